//! URLs, repositories and configuration made to have something done that nobody asked for. What C git refuses is refused
//! in its words, before anything is started.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::{Format, Sandbox, Twin, build, state};

/// A sandbox in which every ssh program and every proxy leaves a mark.
fn sandbox() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new();
    let (program, mark) = (sandbox.path("recorder"), sandbox.path("mark"));
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>{}\nexit 1\n", mark.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.set("GIT_SSH", &program);
    sandbox.set("GIT_PROXY_COMMAND", &program);
    (sandbox, mark)
}

/// CVE-2017-1000117 and its kin: no part of a URL is an option of a program.
#[test]
fn nothing_in_a_url_is_taken_for_an_option() {
    let (mut sandbox, mark) = sandbox();
    for variant in ["ssh", "plink", "tortoiseplink", "simple", "auto"] {
        sandbox.set("GIT_SSH_VARIANT", variant);
        let twin = Twin::new(&sandbox, 2, Vec::new());
        for url in [
            "ssh://-oProxyCommand=touch%20PWN/x",
            "ssh://-oProxyCommand=touch PWN/x",
            "ssh://u@-oProxyCommand=touch/x",
            "ssh://-Ffile@host/x",
            "ssh://[-oX]:22/x",
            "ssh://%2doX/x",
            "git+ssh://-oX/x",
            "-oProxyCommand=touch:x",
            "[-oX:22]:x",
            "ssh://h/~-u",
            "h:-u",
            "git://-x/p",
            "git://-x:9/p",
        ] {
            // git gives a user that begins with a dash to ssh; the recorder would see
            let (ours, theirs) =
                (twin.gitr("", &["ls-remote", "--", url]), twin.git("", &["ls-remote", "--", url]));
            let was_started = mark.exists();
            fs::remove_file(&mark).ok();
            assert_eq!((ours.status, theirs.status), (128, 128), "{variant} {url}: {ours:?}");
            if theirs.complains_of("blocked") {
                assert_eq!(ours.stderr, theirs.stderr, "{variant} {url}");
            }
            let clone = twin.gitr("", &["clone", "--", url, "copy"]);
            assert_eq!(clone.status, 128, "{variant} {url}: {clone:?}");
            let arguments = fs::read_to_string(&mark).unwrap_or_default();
            let last = arguments.lines().last().unwrap_or_default();
            // the command for the far side is quoted there, and is the only word that may hold the path
            let is_safe = arguments.is_empty() || url.contains("/~-u") && last.contains("'~-u'");
            assert!(is_safe, "{variant} {url} ({was_started}): {arguments}");
            fs::remove_file(&mark).ok();
        }
    }
    assert!(!sandbox.path("ours/PWN").exists());
}

/// CVE-2021-40330 and its kin: no part of a URL is a line of its own.
#[test]
fn no_url_ends_a_line() {
    let (sandbox, mark) = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for url in ["git://h/a\nb", "git://h/a%0ab", "git://h%0a/p"] {
        let run = twin.gitr("", &["ls-remote", url]);
        assert_eq!(run.status, 128, "{run:?}");
        assert!(!mark.exists(), "{url}");
    }
    for url in ["ssh://h%0ax/p", "ssh://u%0a@h/p", "ssh://h%1b[2J/p", "ssh://h\r/p"] {
        let run = twin.gitr("", &["ls-remote", url]);
        assert_eq!(run.status, 128, "{run:?}");
        assert!(!mark.exists(), "{url}");
    }
}

/// The path of `file://` and what `ext::` is told are words of their own.
#[test]
fn local_paths_are_no_options() {
    let (sandbox, _) = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for url in [
        "file://--upload-pack=touch PWN",
        "file:///--upload-pack=touch PWN",
        "./--x",
        "ext::sh -c touch% PWN",
    ] {
        let (ours, theirs) =
            (twin.gitr("", &["ls-remote", "--", url]), twin.git("", &["ls-remote", "--", url]));
        assert_eq!((ours.status, theirs.status), (128, 128), "{url}: {ours:?}");
        assert_eq!(ours.stderr, theirs.stderr, "{url}");
    }
    for place in ["ours", "ours/PWN", "PWN"] {
        assert_eq!(sandbox.path(place).exists(), place == "ours");
    }
}

/// Puts a link to something of the second directory into the repository at the first.
type Damage = fn(&Path, &Path);

/// CVE-2022-39253, CVE-2023-22490, CVE-2024-32021: a clone by links takes nothing that is elsewhere.
#[test]
fn links_within_a_source_are_refused() {
    let secret = |sandbox: &Sandbox| {
        let path = sandbox.path("secret");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("key"), "secret").unwrap();
        path
    };
    let damage: [(&str, Damage); 4] = [
        ("objects is one", |git_dir, secret| {
            fs::rename(git_dir.join("objects"), secret.join("objects")).unwrap();
            symlink(secret.join("objects"), git_dir.join("objects")).unwrap();
        }),
        ("a directory is one", |git_dir, secret| symlink(secret, git_dir.join("objects/zz")).unwrap()),
        ("a file is one", |git_dir, secret| {
            symlink(secret.join("key"), git_dir.join("objects/pack/key")).unwrap();
        }),
        ("a file of info is one", |git_dir, secret| {
            fs::create_dir_all(git_dir.join("objects/info")).unwrap();
            symlink(secret.join("key"), git_dir.join("objects/info/key")).unwrap();
        }),
    ];
    for (name, damage) in damage {
        let sandbox = Sandbox::new();
        let served = sandbox.path("served/r.git");
        build::project(&sandbox, &served, Format::Sha1, 4);
        damage(&served, &secret(&sandbox));
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let url = served.display().to_string();
        for options in [&[][..], &["--no-hardlinks"]] {
            let words = [&["clone"], options, &[&*url, "copy"]].concat();
            let run = twin.run("", &words);
            assert_eq!(run.status, 128, "{name}: {run:?}");
            assert!(!twin.ours.join("copy").exists(), "{name}");
        }
        // by the protocol everything is looked at
        twin.done("", &["clone", "-q", "--no-local", &url, "copy"]);
        twin.same("copy");
    }
}

/// Protocols that a `.gitmodules` file, and not the user, names.
#[test]
fn what_modules_name_is_not_the_users() {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served/r.git");
    fs::create_dir(&served).unwrap();
    let git = |arguments: &[&str]| drop(sandbox.git(&served, arguments).success());
    git(&["init", "-q"]);
    let modules = "[submodule \"m\"]\n\tpath = m\n\turl = ext::sh -c touch% PWN\n";
    fs::write(served.join(".gitmodules"), modules).unwrap();
    git(&["add", ".gitmodules"]);
    git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},m", Format::Sha1.id_of('1'))]);
    git(&["commit", "-q", "-m", "one"]);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", served.display());
    let (ours, theirs) = (
        twin.gitr("", &["clone", "-q", "--recurse-submodules", &url, "copy"]),
        twin.git("", &["clone", "-q", "--recurse-submodules", &url, "copy"]),
    );
    assert_eq!(ours.status, theirs.status, "{ours:?} {theirs:?}");
    assert!(ours.complains_of("transport 'ext' not allowed"), "{ours:?}");
    assert!(state::everything(&twin.ours).iter().all(|path| !path.ends_with("PWN")));
}
