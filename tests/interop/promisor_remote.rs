//! Servers that lack large files and name who has them: the capability `promisor-remote`. C git 2.47 does not know it, so
//! gitr talks to itself; that C git is not disturbed by it is seen as well.

use std::path::PathBuf;

use crate::support::{Format, Git, Run, Sandbox, Stream, build};

/// Bytes of the file that the server lacks.
const LARGE: usize = 60_000;

/// `served/large.git` has everything, `served/project.git` all but the large file.
fn serve(sandbox: &Sandbox) {
    let large = sandbox.path("served/large.git");
    build::empty(sandbox, &large, Format::Sha1);
    let mut stream = Stream::new();
    stream.commit("main", 0).file("small", "small\n").file("large", build::noise(LARGE));
    stream.commit("main", 1).file("small", "smaller\n");
    stream.import(sandbox, &large);
    let served = sandbox.path("served");
    let url = url_of(sandbox, "large.git");
    let clone = ["clone", "-q", "--bare", "-o", "lop", "--filter=blob:limit=5k", &url, "project.git"];
    sandbox.git(&served, &clone).success();
    for (key, value) in [
        ("promisor.advertise", "true"),
        ("promisor.sendFields", "partialCloneFilter, token"),
        ("remote.lop.token", "sesame"),
    ] {
        sandbox.git(&served.join("project.git"), &["config", key, value]).success();
    }
}

fn url_of(sandbox: &Sandbox, name: &str) -> String {
    format!("file://{}", sandbox.path("served").join(name).display())
}

/// Clones `project.git` from gitr's server by `program`, with the remote `lop` known to the client and `settings`.
fn clone(sandbox: &Sandbox, program: PathBuf, settings: &[&str], filter: &str) -> Run {
    let server = crate::serve_transport::server().exec_path.join("git-upload-pack");
    let mut command = sandbox.command(program);
    command.arg("clone").arg(format!("--upload-pack={}", server.display()));
    let url = format!("remote.lop.url={}", url_of(sandbox, "large.git"));
    for setting in ["remote.lop.promisor=true", &url].iter().chain(settings) {
        command.args(["-c", setting]);
    }
    command.args([filter, &url_of(sandbox, "project.git"), "copy"]);
    command.env("GIT_TRACE_PACKET", sandbox.path("packets"));
    std::fs::remove_dir_all(sandbox.path("copy")).ok();
    std::fs::remove_file(sandbox.path("packets")).ok();
    Run::of(&mut command)
}

fn gitr() -> PathBuf {
    crate::support::sandbox::gitr_program().into()
}

/// Whether the client said `text` to the server.
fn has_said(sandbox: &Sandbox, text: &str) -> bool {
    let packets = std::fs::read_to_string(sandbox.path("packets")).unwrap();
    packets.lines().any(|line| line.contains("> ") && line.ends_with(text))
}

#[track_caller]
fn assert_whole(sandbox: &Sandbox) {
    let copy = sandbox.path("copy");
    assert_eq!(std::fs::read(copy.join("large")).unwrap(), build::noise(LARGE));
    sandbox.git(&copy, &["fsck", "--full"]).success();
}

#[test]
fn what_is_accepted_need_not_be_sent() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    for policy in ["all", "knownName", "knownUrl", "KNOWNURL"] {
        let setting = format!("promisor.acceptFromServer={policy}");
        clone(&sandbox, gitr(), &[&setting], "--filter=blob:limit=1m").success();
        assert!(has_said(&sandbox, "promisor-remote=lop"), "{policy}");
        assert_whole(&sandbox);
    }
}

#[test]
fn what_is_not_accepted_has_to_be_sent() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let elsewhere = "remote.lop.url=file:///elsewhere";
    for settings in [
        &[][..],
        &["promisor.acceptFromServer=none"],
        &["promisor.acceptFromServer=knownUrl", elsewhere],
        &["promisor.acceptFromServer=all", "promisor.checkFields=token", "remote.lop.token=another"],
        &["promisor.acceptFromServer=knownName", "promisor.checkFields=partialCloneFilter"],
    ] {
        let run = clone(&sandbox, gitr(), settings, "--filter=blob:limit=1m");
        assert_ne!(run.status, 0, "{settings:?}: {run:?}");
        assert!(!has_said(&sandbox, "promisor-remote=lop"), "{settings:?}");
        assert!(!sandbox.path("copy").exists());
    }
    let run = clone(&sandbox, gitr(), &["promisor.acceptFromServer=bogus"], "--filter=blob:limit=1m");
    assert!(
        run.complains_of("unknown 'bogus' value for 'promisor.acceptFromServer' config option"),
        "{run:?}"
    );
}

#[test]
fn fields_that_agree_are_accepted() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let settings = [
        "promisor.acceptFromServer=knownName",
        "promisor.checkFields=partialCloneFilter token",
        "remote.lop.partialCloneFilter=blob:limit=5120",
        "remote.lop.token=sesame",
    ];
    clone(&sandbox, gitr(), &settings, "--filter=blob:limit=1m").success();
    assert_whole(&sandbox);
}

/// The filter is the one of the remote that is accepted, and the next fetch finds it out anew.
#[test]
fn a_filter_comes_from_the_server() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    clone(&sandbox, gitr(), &["promisor.acceptFromServer=knownUrl"], "--filter=auto").success();
    assert!(has_said(&sandbox, "filter blob:limit=5120"));
    assert_whole(&sandbox);
    let copy = sandbox.path("copy");
    let kept = sandbox.git(&copy, &["config", "remote.origin.partialclonefilter"]).success();
    assert_eq!(kept.line(), "auto");
    let mut stream = Stream::onto("main");
    stream.commit("main", 2).file("more", "more\n").import(&sandbox, &sandbox.path("served/project.git"));
    let server = crate::serve_transport::server().exec_path.join("git-upload-pack");
    let option = format!("--upload-pack={}", server.display());
    let mut command = sandbox.command(gitr());
    command.current_dir(&copy).args(["fetch", &option]).env("GIT_TRACE_PACKET", sandbox.path("packets"));
    Run::of(&mut command).success();
    assert!(has_said(&sandbox, "filter blob:limit=5120"));
    sandbox.git(&copy, &["fsck", "--full"]).success();
}

/// A client that knows nothing of it is served as before.
#[test]
fn other_clients_are_not_disturbed() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    for git in Git::all() {
        clone(&sandbox, git.program.clone(), &["core.bare=true"], "--filter=blob:none").success();
        assert!(!has_said(&sandbox, "promisor-remote=lop"));
        sandbox.git(&sandbox.path("copy"), &["fsck", "--full"]).success();
    }
}

/// What is said of an accepted remote is written down where the user wants that, and nothing that cannot be right.
#[test]
fn fields_are_stored_where_they_are_news() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let kept = |key: &str| {
        let run = sandbox.git(&sandbox.path("copy"), &["config", "--local", "--get-all", key]);
        run.stdout.to_string()
    };
    let accepts = "promisor.acceptFromServer=knownUrl";
    let stores = "promisor.storeFields=partialCloneFilter token other";
    let run = clone(&sandbox, gitr(), &[accepts, stores], "--filter=blob:limit=1m").success();
    assert!(
        run.complains_of("Storing new filter from server for remote 'lop': '' -> 'blob:limit=5120'"),
        "{run:?}"
    );
    assert!(run.complains_of("Storing new token from server for remote 'lop'"), "{run:?}");
    assert!(!run.complains_of("sesame"), "{run:?}");
    assert_eq!(
        (&*kept("remote.lop.partialclonefilter"), &*kept("remote.lop.token")),
        ("blob:limit=5120\n", "sesame\n")
    );
    assert_whole(&sandbox);
    // what is known already is no news, who is not accepted or not known here has no say
    let knows = ["remote.lop.token=sesame", "remote.lop.partialCloneFilter=blob:limit=5120"];
    for settings in [&[accepts, stores, knows[0], knows[1]][..], &[accepts]] {
        let run = clone(&sandbox, gitr(), settings, "--filter=blob:limit=1m").success();
        assert!(!run.complains_of("Storing new"), "{settings:?}: {run:?}");
        // the option itself is written down, once
        let expected = if settings.contains(&knows[0]) { "sesame\n" } else { "" };
        assert_eq!(kept("remote.lop.token"), expected, "{settings:?}");
    }
    // nobody has the large file then
    let unknown = ["promisor.acceptFromServer=all", stores, "remote.lop.promisor=false"];
    for settings in [&unknown[..], &["promisor.acceptFromServer=none", stores]] {
        let run = clone(&sandbox, gitr(), settings, "--filter=blob:limit=1m");
        assert!(!run.complains_of("Storing new"), "{run:?}");
    }
    let served = sandbox.path("served/project.git");
    for (key, value) in [("remote.lop.token", "a\nb"), ("remote.lop.partialclonefilter", "nonsense")] {
        sandbox.git(&served, &["config", key, value]).success();
    }
    let run = clone(&sandbox, gitr(), &[accepts, stores], "--filter=blob:limit=1m").success();
    assert!(
        run.complains_of("a token with a control character from the server for remote 'lop' is not stored"),
        "{run:?}"
    );
    assert!(run.complains_of("an invalid partialCloneFilter"), "{run:?}");
    assert_eq!((&*kept("remote.lop.partialclonefilter"), &*kept("remote.lop.token")), ("", ""));
}

/// `promisor.acceptFromServerUrl`: what is allowed for its URL is accepted, and written down where it is new. The rows: what is
/// configured, and under which name the remote is here afterwards, if it was accepted.
#[test]
fn what_is_allowed_for_its_url_is_accepted() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let served = format!("file://{}", sandbox.path("served").display());
    let spelled = served.replace("/served", "/other/%2e%2e/s%65rved");
    let path = sandbox.path("served/large.git").display().to_string();
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let automatic = words.fold("promisor-auto".to_owned(), |name, word| format!("{name}-{word}"));
    let url = format!("{served}/large.git");
    let rows: [(&[&str], Option<&str>); 12] = [
        (&["<key>=<served>/*"], Some(&automatic)),
        (&["<key>=<spelled>/*"], Some(&automatic)),
        (&["<key>=https://example.com/*", "<key>=cdn=<served>/*"], Some("cdn")),
        (&["<key>=cdn=<served>/*", "promisor.acceptFromServer=none"], Some("cdn")),
        (&["<key>=cdn=<served>/*", "promisor.storeFields=token", "promisor.checkFields=token"], Some("cdn")),
        (&["<key>=cdn=<served>/*", "remote.cdn.url=file:///elsewhere"], Some("cdn-1")),
        (&["<key>=cdn=<served>/*", "remote.cdn.url=<url>"], Some("cdn")),
        (&["<key>=cdn=<served>/*", "remote.lop.url=<url>", "remote.lop.promisor=true"], Some("lop")),
        (&["<key>=<served>/*", "remote.lop.url=file:///elsewhere"], None),
        (&["<key>=https://example.com/*"], None),
        (&["<key>=bad name=<served>/*"], None),
        (&["<key>=no url"], None),
    ];
    let program = crate::serve_transport::server().exec_path.join("git-upload-pack");
    for (settings, expected) in rows {
        std::fs::remove_dir_all(sandbox.path("copy")).ok();
        std::fs::remove_file(sandbox.path("packets")).ok();
        let mut command = sandbox.command(gitr());
        command.arg("clone").arg(format!("--upload-pack={}", program.display()));
        for setting in settings {
            let setting = setting.replace("<key>", "promisor.acceptFromServerUrl").replace("<url>", &url);
            command.arg("-c").arg(setting.replace("<served>", &served).replace("<spelled>", &spelled));
        }
        command.args(["--filter=blob:limit=1m", &url_of(&sandbox, "project.git"), "copy"]);
        let run = Run::of(command.env("GIT_TRACE_PACKET", sandbox.path("packets")));
        assert_eq!(has_said(&sandbox, "promisor-remote=lop"), expected.is_some(), "{settings:?}: {run:?}");
        let Some(name) = expected else {
            assert_ne!(run.status, 0, "{settings:?}: {run:?}");
            continue;
        };
        let run = run.success();
        assert_whole(&sandbox);
        let kept = |key: &str| {
            let key = format!("remote.{name}.{key}");
            sandbox.git(&sandbox.path("copy"), &["config", "--get-all", &key]).line()
        };
        let advertised = if name == "lop" { "" } else { "lop" };
        assert_eq!(
            (&*kept("url"), &*kept("promisor"), &*kept("advertisedAs")),
            (&*url, "true", advertised),
            "{settings:?}: {run:?}"
        );
        let is_stored = settings.contains(&"promisor.storeFields=token");
        assert_eq!(kept("token"), if is_stored { "sesame" } else { "" });
        // the next fetch finds it as it is
        let mut fetch = sandbox.command(gitr());
        fetch.current_dir(sandbox.path("copy")).arg("fetch");
        let run = Run::of(fetch.arg(format!("--upload-pack={}", program.display()))).success();
        assert_eq!(run.stderr, "", "{settings:?}");
    }
}

/// A pull whose own fetch has written down who has the large file gets it from there.
#[test]
fn a_pull_knows_whom_its_fetch_has_come_to_know() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let served = sandbox.path("served");
    let project = served.join("project.git");
    let program = crate::serve_transport::server().exec_path.join("git-upload-pack");
    let upload_pack = format!("--upload-pack={}", program.display());
    for (key, value) in [("promisor.advertise", "true"), ("remote.lop.fetch", "+refs/heads/*:refs/heads/*")] {
        sandbox.git(&project, &["config", key, value]).success();
    }
    let clone = ["clone", "-q", "--filter=blob:none", "--no-checkout", &upload_pack];
    let url = url_of(&sandbox, "project.git");
    sandbox.gitr(&sandbox.path(""), &[&clone[..], &[&url, "copy"]].concat()).success();
    let copy = sandbox.path("copy");
    sandbox.git(&copy, &["sparse-checkout", "set", "--no-cone", "/small"]).success();
    sandbox.git(&copy, &["checkout", "-q"]).success();
    sandbox.git(&copy, &["sparse-checkout", "set", "--no-cone", "/small", "/other"]).success();
    let mut more = Stream::onto("main");
    more.commit("main", 2).file("other", &build::noise(2 * LARGE)[LARGE..]);
    more.import(&sandbox, &served.join("large.git"));
    sandbox.git(&project, &["fetch", "-q", "lop"]).success();
    let allows = format!("promisor.acceptFromServerUrl=file://{}/*", served.display());
    sandbox.gitr(&copy, &["-c", &allows, "pull", "-q", "--ff-only", &upload_pack]).success();
    assert_eq!(std::fs::read(copy.join("other")).unwrap(), build::noise(2 * LARGE)[LARGE..]);
    assert_eq!(sandbox.git(&copy, &["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn what_cannot_be_a_rule_for_urls_is_warned_of() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let warns = |value: &str, text: &str| {
        let setting = format!("promisor.acceptFromServerUrl={value}");
        let run = clone(&sandbox, gitr(), &[&setting], "--filter=blob:limit=1m");
        assert!(run.complains_of(text), "{run:?}");
    };
    warns("bad name=https://example.com/*", "warning: invalid remote name 'bad name'");
    warns("no url", "warning: invalid URL pattern 'no url'");
}
