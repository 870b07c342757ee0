//! What git has learnt after 2.47, which is not there to compare with: C git judges what comes of it.

use bstr::ByteSlice;

use crate::support::{Run, Sandbox, Stream, Twin};

/// Clones made by C git, in `copy`, whose remote's `HEAD` names `topic` by now.
fn moved(sandbox: &Sandbox) -> std::path::PathBuf {
    let copy = crate::clones(sandbox).ours.join("copy");
    let served = sandbox.path("served/project.git");
    sandbox.git(&served, &["symbolic-ref", "HEAD", "refs/heads/topic"]).success();
    copy
}

/// What `refs/remotes/origin/HEAD` of `copy` names, told by C git; empty if it is not there.
fn head_of(sandbox: &Sandbox, copy: &std::path::Path) -> String {
    sandbox.git(copy, &["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"]).line()
}

/// git-config(1) of 2.48, `remote.<name>.followRemoteHEAD`.
#[test]
fn the_head_of_a_remote_is_followed_as_is_wished() {
    let sandbox = crate::sandbox();
    let copy = moved(&sandbox);
    let told = "'HEAD' at 'origin' is 'topic', but we have 'main' locally.";
    // the wish, whether ours is there before, what it names afterwards, whether the user is told
    for (wish, is_there, expected, is_told) in [
        ("", true, "origin/main", false),
        ("", false, "", false),
        ("never", false, "", false),
        ("create", true, "origin/main", false),
        ("create", false, "origin/topic", false),
        ("warn", true, "origin/main", true),
        ("warn", false, "origin/topic", false),
        ("warn-if-not-main", true, "origin/main", true),
        ("warn-if-not-topic", true, "origin/main", false),
        ("always", true, "origin/topic", false),
        ("always", false, "origin/topic", false),
        ("nonsense", true, "origin/main", false),
    ] {
        let head = "refs/remotes/origin/HEAD";
        let prepared = if is_there {
            vec!["symbolic-ref", head, "refs/remotes/origin/main"]
        } else {
            vec!["symbolic-ref", "--delete", head]
        };
        sandbox.git(&copy, &prepared);
        for (version, key) in [(0, "fetch.followRemoteHEAD"), (2, "remote.origin.followRemoteHEAD")] {
            sandbox.git(&copy, &prepared);
            let (version, setting) = (format!("protocol.version={version}"), format!("{key}={wish}"));
            let mut arguments = vec!["-c", &version, "fetch"];
            if !wish.is_empty() {
                arguments.splice(0..0, ["-c", &*setting]);
            }
            let run = sandbox.gitr(&copy, &arguments).success();
            assert_eq!(head_of(&sandbox, &copy), expected, "{wish} {is_there}");
            assert_eq!(run.complains_of(told), is_told, "{run:?}");
            assert_eq!(
                run.complains_of("unrecognized followRemoteHEAD value"),
                wish == "nonsense",
                "{run:?}"
            );
        }
    }
    sandbox.git(&copy, &["fsck"]).success();
}

#[test]
fn what_follows_from_another_head_is_advised() {
    let sandbox = crate::sandbox();
    let copy = moved(&sandbox);
    let run = |options: &[&str]| {
        let wish = ["-c", "remote.origin.followRemoteHEAD=warn"];
        sandbox.gitr(&copy, &[&wish[..], options, &["fetch"]].concat()).success()
    };
    let advice = "hint: Run 'git remote set-head origin topic' to follow the change, or set\n";
    assert!(run(&[]).complains_of(advice));
    assert!(!run(&["-c", "advice.fetchRemoteHEADWarn=false"]).complains_of("hint:"));
    let quiet = sandbox.gitr(&copy, &["-c", "fetch.followRemoteHEAD=warn", "fetch", "-q"]).success();
    assert_eq!(quiet.stderr, "");
    // named refs are no reason to look at HEAD
    let named = ["-c", "fetch.followRemoteHEAD=always", "fetch", "origin", "main"];
    sandbox.gitr(&copy, &named).success();
    assert_eq!(head_of(&sandbox, &copy), "origin/main");
}

/// The packets that `arguments` send to the server, one a line.
fn sent(sandbox: &mut Sandbox, place: &std::path::Path, arguments: &[&str]) -> (Run, String) {
    let trace = sandbox.path("trace");
    std::fs::remove_file(&trace).ok();
    sandbox.set("GIT_TRACE_PACKET", &trace);
    let run = sandbox.gitr(place, arguments);
    sandbox.set("GIT_TRACE_PACKET", "");
    let text = std::fs::read(&trace).unwrap();
    let own = text.lines().filter(|line| line.contains_str("> ") && !line.contains_str("upload-pack>"));
    (run, bstr::join("\n", own).to_str_lossy().into_owned())
}

/// git-config(1) of 2.48, `remote.<name>.serverOption`.
#[test]
fn a_server_is_told_what_is_configured_for_it() {
    let mut sandbox = crate::sandbox();
    let copy = crate::clones(&sandbox).ours.join("copy");
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (key, value) in
        [("origin", "lost"), ("origin", ""), ("origin", "one"), ("origin", "two"), ("other", "x")]
    {
        let key = format!("remote.{key}.serverOption");
        sandbox.git(&copy, &["config", "--global", "--add", &key, value]).success();
    }
    let outside = sandbox.path("");
    for (place, arguments) in [
        (&copy, &["fetch", "origin"][..]),
        (&copy, &["ls-remote", "origin"]),
        (&outside, &["clone", "--bare", &url, "new"]),
    ] {
        let (run, text) = sent(&mut sandbox, place, arguments);
        run.success();
        assert!(text.contains("server-option=one") && text.contains("server-option=two"), "{text}");
        assert!(!text.contains("server-option=lost") && !text.contains("server-option=x"), "{text}");
    }
    let (_, text) = sent(&mut sandbox, &copy, &["fetch", "--server-option=given"]);
    assert!(text.contains("server-option=given") && !text.contains("server-option=one"), "{text}");
    let (run, _) = sent(&mut sandbox, &copy, &["-c", "protocol.version=0", "fetch"]);
    assert_eq!(run.status, 128);
    assert!(run.complains_of("server options require protocol version 2 or later"), "{run:?}");
}

/// git-clone(1) of 2.49, `--revision`.
#[test]
fn one_revision_is_cloned_without_a_branch() {
    let sandbox = crate::sandbox();
    let served = sandbox.path("served/project.git");
    let id = |name: &str| sandbox.git(&served, &["rev-parse", name]).success().line();
    let url = format!("file://{}", served.display());
    let (old, tag) = (id("main~3"), id("v1.0"));
    for (number, (revision, commit)) in [
        ("refs/heads/main", id("main")),
        ("refs/tags/v1.0", id("v1.0^{commit}")),
        ("topic", id("topic")),
        ("HEAD", id("HEAD")),
        (&*old, old.clone()),
        (&*tag, id("v1.0^{commit}")),
    ]
    .into_iter()
    .enumerate()
    {
        for version in ["protocol.version=0", "protocol.version=2"] {
            for options in [&[][..], &["--depth=1"]] {
                let name = format!("copy{number}-{version}-{}", options.len());
                let arguments = ["-c", version, "clone", "-q", "--revision", revision];
                let place = sandbox.path("");
                sandbox.gitr(&place, &[&arguments[..], options, &[&url, &name]].concat()).success();
                let copy = place.join(&name);
                let git = |words: &[&str]| sandbox.git(&copy, words);
                assert_eq!(git(&["rev-parse", "HEAD"]).line(), commit, "{revision}");
                assert_eq!(git(&["symbolic-ref", "-q", "HEAD"]).status, 1, "{revision}");
                assert_eq!(git(&["for-each-ref"]).success().stdout, "", "{revision}");
                assert_eq!(git(&["status", "--porcelain"]).success().stdout, "");
                assert_eq!(git(&["config", "remote.origin.url"]).line(), url);
                assert_eq!(git(&["config", "remote.origin.fetch"]).status, 1);
                let count = git(&["rev-list", "--count", "HEAD"]).success().line();
                let expected = sandbox.git(&served, &["rev-list", "--count", &commit]).line();
                assert_eq!(count, if options.is_empty() { expected } else { "1".to_owned() });
                git(&["fsck"]).success();
            }
        }
    }
}

#[test]
fn what_does_not_go_with_a_revision_is_refused() {
    let sandbox = crate::sandbox();
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    let place = sandbox.path("");
    for (options, complaint) in [
        (&["--branch=main"][..], "fatal: options '--revision' and '--branch' cannot be used together"),
        (&["--mirror"], "fatal: options '--revision' and '--mirror' cannot be used together"),
    ] {
        let arguments = [&["clone", "--revision=refs/heads/main"], options, &[&url, "copy"]].concat();
        let run = sandbox.gitr(&place, &arguments);
        assert_eq!(run.status, 128);
        assert!(run.complains_of(complaint), "{run:?}");
    }
    let absent = "1".repeat(40);
    let blob = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "main:README"]).line();
    for revision in ["nosuch", "main:main", "refs/heads/*", &absent, &blob] {
        let run = sandbox.gitr(&place, &["clone", "--revision", revision, &url, "copy"]);
        assert_eq!(run.status, 128, "{run:?}");
        assert!(!place.join("copy").exists());
    }
    let run = sandbox.gitr(&place, &["clone", "--revision", "nosuch", &url, "copy"]);
    assert!(run.complains_of("fatal: Remote revision nosuch not found in upstream origin"), "{run:?}");
}

/// The haves that a fetch in a new copy of `copy` says.
fn haves(sandbox: &mut Sandbox, copy: &std::path::Path, arguments: &[&str]) -> Vec<String> {
    let place = sandbox.path("one");
    std::fs::remove_dir_all(&place).ok();
    crate::support::build::copy(sandbox, copy, &place);
    let (run, text) = sent(sandbox, &place, arguments);
    run.success();
    sandbox.git(&place, &["fsck"]).success();
    text.lines().filter_map(|line| line.split_once("have ")).map(|(_, id)| id.to_owned()).collect()
}

/// git-fetch(1) of later versions: `--negotiation-restrict` is `--negotiation-tip`; `--negotiation-include` is said first.
#[test]
fn a_negotiation_names_what_it_is_told_to_name() {
    let mut sandbox = crate::sandbox();
    let copy = crate::clones(&sandbox).ours.join("copy");
    let served = sandbox.path("served/project.git");
    let old = sandbox.git(&served, &["rev-parse", "main~4"]).success().line();
    Stream::onto("main").history(20..22).import(&sandbox, &served);
    for version in ["protocol.version=0", "protocol.version=2"] {
        let mut said = |options: &[&str], fetch: &[&str]| {
            haves(&mut sandbox, &copy, &[&["-c", version], options, &["fetch"], fetch].concat())
        };
        let tips = said(&[], &["--negotiation-tip=origin/topic"]);
        assert!(!tips.is_empty() && tips[0] != old);
        assert_eq!(said(&[], &["--negotiation-restrict=origin/topic"]), tips);
        assert_eq!(said(&["-c", "remote.origin.negotiationRestrict=origin/topic"], &[]), tips);
        let expected: Vec<_> =
            std::iter::once(&old).chain(tips.iter().filter(|tip| **tip != old)).cloned().collect();
        let include = format!("--negotiation-include={old}");
        assert_eq!(said(&[], &["--negotiation-tip=origin/topic", &include]), expected);
        let setting = format!("remote.origin.negotiationInclude={old}");
        assert_eq!(said(&["-c", &setting], &["--negotiation-tip=origin/topic"]), expected);
    }
}

/// git(1), `GIT_DEFAULT_REF_FORMAT`, and git-config(1), `init.defaultRefFormat`: what is not known is warned of or refused.
#[test]
fn the_formats_of_a_clone_are_wished_for_in_many_places() {
    const REFS: &str = "GIT_DEFAULT_REF_FORMAT";
    const HASH: &str = "GIT_DEFAULT_HASH";
    const BOTH: [&str; 4] = ["-c", "init.defaultRefFormat=x", "-c", "init.defaultObjectFormat=y"];
    /// Variables, options in front of `clone`, and those of it.
    type Row = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);
    const ROWS: [Row; 15] = [
        (&[], &BOTH, &[]),
        (&[], &BOTH, &["-q"]),
        (&[], &["-c", "init.defaultRefFormat"], &[]),
        (&[], &["-c", "init.defaultObjectFormat"], &["--ref-format=files"]),
        (&[], &["-c", "init.defaultBranch"], &[]),
        (&[], &BOTH, &["--ref-format=files"]),
        (&[(REFS, "x")], &BOTH, &[]),
        (&[(REFS, "x")], &[], &["--separate-git-dir="]),
        (&[(REFS, "x")], &[], &["--origin=bad~"]),
        (&[(REFS, "x")], &[], &["--ref-format=files"]),
        (&[(REFS, "files")], &[], &["--ref-format=x"]),
        (&[(REFS, "x"), (HASH, "y")], &[], &[]),
        (&[(HASH, "y")], &[], &["--ref-format=files"]),
        (&[(HASH, "sha256")], &[], &[]),
        (&[(REFS, ""), (HASH, "")], &[], &[]),
    ];
    for (variables, before, options) in ROWS {
        let mut sandbox = crate::sandbox();
        let url = sandbox.path("served/project.git").display().to_string();
        for (name, value) in variables {
            sandbox.set(*name, *value);
        }
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let run = twin.run("", &[before, &["clone"], options, &[&url, "copy"]].concat());
        if run.status == 0 {
            twin.same_state("copy");
        } else {
            assert!(!twin.ours.join("copy").exists());
        }
    }
}

/// git-config(1) of 2.55, `sideband.allowControlCharacters`.
#[test]
fn control_characters_of_the_far_side_are_shown_as_is_wished() {
    let sandbox = crate::sandbox();
    let hook = "printf '\\033[31mred\\033[m\\033[2Kgone\\007\\n' >&2; exec \"$@\"; :";
    let set = ["config", "--global", "uploadpack.packObjectsHook", hook];
    sandbox.git(&sandbox.path(""), &set).success();
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (setting, shown) in [
        ("x.y=z", "remote: \x1b[31mred\x1b[m^[[2Kgone^G"),
        ("sideband.allowControlCharacters=false", "remote: ^[[31mred^[[m^[[2Kgone^G"),
        ("sideband.allowControlCharacters=erase", "remote: ^[[31mred^[[m\x1b[2Kgone^G"),
        ("sideband.allowControlCharacters", "remote: \x1b[31mred\x1b[m\x1b[2Kgone\x07"),
    ] {
        let place = sandbox.path("shown");
        let run = sandbox.gitr(&sandbox.path(""), &["-c", setting, "clone", &url, "shown"]).success();
        assert!(run.complains_of(shown), "{setting}: {run:?}");
        std::fs::remove_dir_all(place).unwrap();
    }
}
