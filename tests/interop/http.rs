//! HTTP in all its shapes, each beside C git on the same server: what is printed and done, and how many requests it took.

use std::fs;

use crate::support::servers::secure::Secure;
use crate::support::servers::through::{Guard, Proxy};
use crate::support::{Case, Format, Git, Kind, Run, Sandbox, Twin, build, sandbox};

/// The repository that is listed and cloned.
const NAME: &str = "project.git";

/// A sandbox that serves one repository behind TLS.
fn secure(scenario: impl FnOnce(&Sandbox, &Secure)) {
    let sandbox = Sandbox::new();
    let Some(server) = Secure::start(&sandbox, Git::reference()) else { return };
    build::project(&sandbox, &sandbox.path("served").join(NAME), Format::Sha1, 12);
    scenario(&sandbox, &server);
}

/// Clones `url` by both and compares everything; gitr may not ask the server more often than C git.
fn clone_both(sandbox: &Sandbox, server: &Secure, url: &str, settings: &[String]) {
    let twin = Twin::new(sandbox, 2, Vec::new());
    let options: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
    let arguments = [&["clone"], &*options, &[url, "copy"]].concat();
    let begin = server.requests().len();
    let theirs = twin.git("", &arguments);
    let after_git = server.requests().len();
    let ours = twin.gitr("", &arguments);
    let after_ours = server.requests().len();
    assert_eq!((&ours.stdout, &ours.stderr, ours.status), (&theirs.stdout, &theirs.stderr, theirs.status));
    ours.success();
    twin.same_objects("copy");
    let (git_made, we_made) = (after_git - begin, after_ours - after_git);
    assert!(we_made <= git_made, "{we_made} requests, git made {git_made}: {:#?}", server.requests());
}

#[test]
fn a_long_push_goes_in_chunks_over_both_versions() {
    secure(|sandbox, server| {
        let trusting = format!("http.sslCAInfo={}", server.file("ca.pem"));
        let served = sandbox.path("served").join(NAME);
        sandbox.git(&served, &["config", "http.receivepack", "true"]).success();
        // the server runs as somebody else
        Run::of(sandbox.command("chmod").args(["-R", "a+rwX"]).arg(&served)).success();
        let twin = Twin::new(sandbox, 2, Vec::new());
        twin.done("", &["clone", "-c", &trusting, &server.at("git", NAME), "copy"]);
        // what compresses badly, and is longer than the buffer many times over
        let mut state = 1_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let bytes: Vec<u8> = (0..100_000).flat_map(|_| noise()).collect();
        twin.prepare(|directory| fs::write(directory.join("copy/noise"), &bytes).unwrap());
        for (number, version) in ["HTTP/2", "HTTP/1.1"].iter().enumerate() {
            let copy = twin.ours.join("copy");
            sandbox.git(&copy, &["add", "noise"]).success();
            let text = format!("noise {number}");
            sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", &text]).success();
            let branch = format!("HEAD:refs/heads/noise{number}");
            let options = [&format!("http.version={version}"), "http.postBuffer=65536"];
            let pushed =
                twin.gitr("copy", &["-c", options[0], "-c", options[1], "push", "-q", "origin", &branch]);
            pushed.success();
            let tip = sandbox.git(&copy, &["rev-parse", "HEAD"]).success().line();
            let there = format!("refs/heads/noise{number}");
            assert_eq!(sandbox.git(&served, &["rev-parse", &there]).success().line(), tip);
        }
        sandbox.git(&served, &["fsck", "--strict"]).success();
    });
}

#[test]
fn netrc_is_read() {
    secure(|sandbox, server| {
        fs::write(sandbox.path("home/.netrc"), "machine localhost login alice password \"open sesame\"\n")
            .unwrap();
        let trusting = vec![format!("http.sslCAInfo={}", server.file("ca.pem"))];
        clone_both(sandbox, server, &server.at("basic", NAME), &trusting);
    });
}

/// Lists `url` by both with the proxy `proxy`.
#[track_caller]
fn list_both(twin: &Twin<'_>, settings: &[String], url: &str) -> Run {
    let repository = twin.ours.join("place");
    if !repository.exists() {
        twin.done("", &["clone", url, "place"]);
    }
    let options: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
    let arguments = [&*options, &["ls-remote", url]].concat();
    let (ours, theirs) = (twin.gitr("place", &arguments), twin.git("place", &arguments));
    assert_eq!((&ours.stdout, &ours.stderr, ours.status), (&theirs.stdout, &theirs.stderr, theirs.status));
    ours
}

/// A repository over plain HTTP.
fn plain(scenario: impl FnOnce(&Case, &str)) {
    crate::once(Kind::Apache, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        let url = case.url(NAME);
        scenario(case, &url);
    });
}

#[test]
fn proxies_let_us_through() {
    plain(|case, url| {
        let twin = case.twin();
        let setting = |proxy: &str| vec![format!("http.proxy={proxy}")];
        if let Some(squid) = Proxy::squid(&case.sandbox, Guard::None) {
            list_both(&twin, &setting(&squid.url("http", "")), url).success();
            assert!(squid.log().matches("GET").count() == 2, "{}", squid.log());
        }
        if let Some(squid) = Proxy::squid(&case.sandbox, Guard::Basic) {
            list_both(&twin, &setting(&squid.url("http", "alice:sesame@")), url).success();
            let refused = list_both(&twin, &setting(&squid.url("http", "alice:wrong@")), url);
            assert!(refused.complains_of("The requested URL returned error: 407"), "{refused:?}");
        }
        if let Some(squid) = Proxy::squid(&case.sandbox, Guard::Digest) {
            list_both(&twin, &setting(&squid.url("http", "alice:sesame@")), url).success();
        }
        if let Some(tinyproxy) = Proxy::tinyproxy(&case.sandbox) {
            list_both(&twin, &setting(&tinyproxy.url("http", "alice:sesame@")), url).success();
        }
        if let Some(socks) = Proxy::microsocks(&case.sandbox) {
            for scheme in ["socks5", "socks5h"] {
                list_both(&twin, &setting(&socks.url(scheme, "alice:sesame@")), url).success();
            }
        }
    });
}

#[test]
fn a_remote_has_a_proxy_of_its_own() {
    plain(|case, url| {
        let Some(squid) = Proxy::squid(&case.sandbox, Guard::None) else { return };
        let twin = case.twin();
        twin.done("", &["clone", url, "copy"]);
        let proxy = format!("remote.origin.proxy={}", squid.url("http", ""));
        for run in [twin.gitr("copy", &["-c", &proxy, "fetch"]), twin.git("copy", &["-c", &proxy, "fetch"])] {
            run.success();
        }
        let gets = squid.log().matches("GET").count();
        assert_eq!(gets, 2, "{}", squid.log());
    });
}

/// The lines of a trace that both programs write, without what differs between any two clients.
fn comparable(text: &str) -> Vec<String> {
    let is_fixed = |line: &&str| {
        let known = ["=> Send header: ", "<= Recv header: "];
        // whether Apache knows the length of an answer depends on how fast the program is that gives it
        let framing = ["Content-Length", "Transfer-Encoding"];
        let own = ["User-Agent", "Accept-Encoding", "Date", "Host", "Server", "Expires"];
        known.iter().any(|prefix| line.starts_with(prefix))
            && !own.iter().chain(&framing).any(|name| line.contains(name))
    };
    let mut lines: Vec<String> = text.lines().filter(is_fixed).map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn requests_are_traced_in_the_form_of_git_without_secrets() {
    let mut sandbox = Sandbox::new();
    let Some(server) = Kind::Apache.start(&sandbox, Git::reference()) else { return };
    build::project(&sandbox, &sandbox.path("served").join(NAME), Format::Sha1, 12);
    let url = &server.url(NAME).replace("http://", "http://alice:hunter2@");
    let trace = sandbox.path("trace");
    sandbox.set("GIT_TRACE_CURL", &trace);
    sandbox.set("GIT_TRACE_BARE", "1");
    sandbox.set("LANGUAGE", "ko_KR:en");
    let read = |run: Run| {
        run.success();
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        text
    };
    let secrets = [
        "-c",
        "http.extraHeader=Cookie: session=hunter2",
        "-c",
        "http.extraHeader=Authorization: Basic hunter2",
    ];
    let arguments = [&secrets[..], &["ls-remote", url]].concat();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let (ours, theirs) = (read(twin.gitr("", &arguments)), read(twin.git("", &arguments)));
    assert_eq!(comparable(&ours), comparable(&theirs));
    assert!(ours.contains("=> Send header: Cookie: session=<redacted>\n"), "{ours}");
    assert!(ours.contains("=> Send header: Accept-Language: ko-KR, en;q=0.9, *;q=0.8\n"), "{ours}");
    assert!(ours.contains("\n=> Send data: ") && !ours.contains("hunter2"), "{ours}");
    sandbox.set("GIT_TRACE_REDACT", "0");
    sandbox.set("GIT_TRACE_CURL_NO_DATA", "1");
    let ours = read(Twin::new(&sandbox, 2, Vec::new()).gitr("", &arguments));
    assert!(ours.contains("=> Send header: Authorization: Basic hunter2\n"), "{ours}");
    assert!(!ours.contains("Send data") && !ours.contains("Recv data"), "{ours}");
}

/// Who reads and writes in a trace of packets, as far as git gives that a program of its own over HTTP.
#[test]
fn traces_name_the_programs_that_git_has_for_it() {
    let Some(case) = Case::new(Kind::Apache, Git::reference(), 0, Format::Sha1) else { return };
    build::project(&case.sandbox, &case.served("traced.git"), case.format, 12);
    case.refresh("traced.git");
    let trace = case.sandbox.path("trace");
    for (version, said) in [(0, "  fetch-pack> want "), (1, "git< version 1"), (2, "git< version 2")] {
        let twin = Twin::new(&case.sandbox, version, Vec::new());
        twin.prepare(|client| drop(case.sandbox.git(client, &["init", "-q", "copy"]).success()));
        for (client, program) in
            [(&twin.theirs, Git::reference().program.clone()), (&twin.ours, sandbox::gitr_program().into())]
        {
            fs::remove_file(&trace).ok();
            let mut command = case.sandbox.command(program);
            command.current_dir(client.join("copy")).env("GIT_TRACE_PACKET", &trace);
            command.args([
                "-c",
                &format!("protocol.version={version}"),
                "pull",
                "-q",
                &case.url("traced.git"),
                "main",
            ]);
            Run::of(&mut command).success();
            let lines = fs::read_to_string(&trace).unwrap();
            assert!(lines.contains(said), "{said} is missing: {lines}");
            assert!(!lines.contains(" pull<") && !lines.contains(" pull>"), "{lines}");
        }
    }
}
