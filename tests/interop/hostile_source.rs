//! Repositories that belong to others or were made to do harm: what they configure, hook and name as submodules is not
//! obeyed. What C git refuses is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::support::{Format, Run, Sandbox, Twin, build, state};

/// Some user that nobody here is.
const STRANGER: u32 = 54_321;

/// Gives everything below `path` to the stranger; false, after saying so, if that takes a right that is missing.
fn given_away(path: &Path) -> bool {
    if chown(path, Some(STRANGER), Some(STRANGER)).is_err() {
        eprintln!("skipped: giving files to another user takes root");
        return false;
    }
    for entry in fs::read_dir(path).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            given_away(&entry.path());
        } else {
            chown(entry.path(), Some(STRANGER), Some(STRANGER)).unwrap();
        }
    }
    true
}

/// A sandbox whose user trusts no directory of others.
fn careful() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let configuration = sandbox.path("home/.gitconfig");
    let text = fs::read_to_string(&configuration).unwrap().replace("[safe]\n\tdirectory = *\n", "");
    fs::write(&configuration, text).unwrap();
    let served = sandbox.path("served/r.git");
    build::project(&sandbox, &served, Format::Sha1, 4);
    (sandbox, served)
}

/// CVE-2024-32020, CVE-2024-32004: no hard links to files of others, and nothing is run for them.
#[test]
fn what_belongs_to_others_is_not_cloned_unless_it_is_declared_safe() {
    let (sandbox, served) = careful();
    if !given_away(&served) {
        return;
    }
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let (path, url) = (served.display().to_string(), format!("file://{}", served.display()));
    for words in [
        &["clone", &path, "copy"][..],
        &["clone", "--no-hardlinks", &path, "copy"],
        &["clone", "--shared", &path, "copy"],
        &["clone", "--no-local", &path, "copy"],
        &["clone", &url, "copy"],
        &["ls-remote", &path],
        &["ls-remote", &url],
    ] {
        let (ours, theirs) = (twin.gitr("", words), twin.git("", words));
        assert_eq!((ours.status, theirs.status), (128, 128), "{words:?}: {ours:?} {theirs:?}");
        let dubious = format!("detected dubious ownership in repository at '{path}'");
        assert!(ours.complains_of(&dubious) && theirs.complains_of(&dubious), "{ours:?} {theirs:?}");
        assert!(!twin.ours.join("copy").exists());
    }
    // who says so may
    sandbox.git(&sandbox.path(""), &["config", "--global", "safe.directory", &path]).success();
    twin.done("", &["clone", "-q", "--no-hardlinks", &path, "copy"]);
    twin.same("copy");
}

/// CVE-2024-32465: neither hooks nor programs that the source's configuration names are run.
#[test]
fn what_a_source_configures_is_not_run() {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served/r.git");
    build::project(&sandbox, &served, Format::Sha1, 4);
    let (mark, program) = (sandbox.path("mark"), sandbox.path("program"));
    fs::write(&program, format!("#!/bin/sh\necho \"$0\" >>{}\nexec \"$@\"\n", mark.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let name = program.display().to_string();
    for key in [
        "uploadpack.packObjectsHook",
        "core.fsmonitor",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "core.gitProxy",
        "core.pager",
        "core.editor",
        "gpg.program",
    ] {
        sandbox.git(&served, &["config", key, &name]).success();
    }
    fs::create_dir_all(served.join("hooks")).unwrap();
    for hook in ["post-checkout", "post-merge", "pre-auto-gc", "reference-transaction", "post-index-change"] {
        fs::copy(&program, served.join("hooks").join(hook)).unwrap();
    }
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let (path, url) = (served.display().to_string(), format!("file://{}", served.display()));
    for (number, source) in [&path, &url].into_iter().enumerate() {
        twin.done("", &["clone", "-q", source, &format!("copy-{number}")]);
        twin.done("", &["ls-remote", source]);
        twin.done(&format!("copy-{number}"), &["fetch", "-q"]);
        assert!(!mark.exists(), "{source}: {}", fs::read_to_string(&mark).unwrap_or_default());
    }
}

/// A repository whose `.gitmodules` says `modules`, with a submodule's entry at each of `paths`.
fn with_modules(sandbox: &Sandbox, modules: &str, paths: &[&str]) -> String {
    let served = sandbox.path("served/modules");
    fs::remove_dir_all(&served).ok();
    fs::create_dir(&served).unwrap();
    let git = |words: &[&str]| drop(sandbox.git(&served, words).success());
    git(&["init", "-q"]);
    fs::write(served.join(".gitmodules"), modules).unwrap();
    git(&["add", ".gitmodules"]);
    for path in paths {
        let entry = format!("160000,{},{path}", Format::Sha1.id_of('1'));
        git(&["update-index", "--add", "--cacheinfo", &entry]);
    }
    git(&["commit", "-q", "-m", "modules"]);
    format!("file://{}", served.display())
}

/// CVE-2018-17456, CVE-2018-11235, CVE-2019-1387, CVE-2025-48384, and protocols that no `.gitmodules` may ask for.
#[test]
fn no_submodule_leads_elsewhere() {
    let mut sandbox = Sandbox::new();
    let program = sandbox.path("recorder");
    fs::write(&program, "#!/bin/sh\ntouch PWN\nexit 1\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.set("GIT_SSH", &program);
    for (name, path, url) in [
        ("m", "m", "-u./payload"),
        ("m", "m", "--upload-pack=touch PWN"),
        ("m", "-x", "https://127.0.0.1:1/x"),
        ("../../hooks", "m", "https://127.0.0.1:1/x"),
        ("m/../../x", "m", "https://127.0.0.1:1/x"),
        ("m", "m", "ssh://-oProxyCommand=touch PWN/x"),
        ("m", "m", "fd::7"),
        ("m", "m", "ext::sh -c touch% PWN"),
        ("m", "m", "file:///nonexistent/x"),
        ("m", "m\r", "https://127.0.0.1:1/x"),
        ("m", "m", "https://127.0.0.1%0ahost=evil/x"),
    ] {
        let modules = format!("[submodule \"{name}\"]\n\tpath = \"{path}\"\n\turl = {url}\n");
        let source = with_modules(&sandbox, &modules, &[path]);
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let words = ["clone", "-q", "--recurse-submodules", &source, "copy"];
        let (ours, theirs) = (twin.gitr("", &words), twin.git("", &words));
        // the exit code of C git is that of its own child
        assert_eq!(ours.status == 0, theirs.status == 0, "{name} {path} {url}: {ours:?} {theirs:?}");
        let found = state::everything(&twin.ours);
        assert!(found.iter().all(|path| !path.ends_with("PWN")), "{name} {path} {url}: {found:?}");
        // whether a server's objects are looked at is for the receiver to say
        let checked = ["-c", "fetch.fsckObjects=true", "clone", "-q", &source, "checked"];
        let (ours, theirs): (Run, Run) = (twin.gitr("", &checked), twin.git("", &checked));
        assert_eq!(ours.status, theirs.status, "{name} {path} {url}: {ours:?} {theirs:?}");
        for client in [&twin.ours, &twin.theirs] {
            fs::remove_dir_all(client).unwrap();
        }
    }
}

/// What a tag leads to is for the tag to say: a server's word of it would be handed on to those who clone from us.
#[test]
fn what_a_server_claims_of_tags_is_not_believed() {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served/r.git");
    build::project(&sandbox, &served, Format::Sha1, 4);
    sandbox.git(&served, &["tag", "-a", "-m", "of a tree", "tree", "main^{tree}"]).success();
    sandbox.git(&served, &["pack-refs", "--all"]).success();
    let id = |name: &str| sandbox.git(&served, &["rev-parse", name]).success().line();
    let (main, claimed) = (id("main"), id("main~1"));
    let mut lies = String::new();
    for line in fs::read_to_string(served.join("packed-refs")).unwrap().lines() {
        let line = if line.starts_with('^') { format!("^{claimed}") } else { line.to_owned() };
        lies.push_str(&format!("{line}\n"));
        if line == format!("{main} refs/heads/main") {
            lies.push_str(&format!("^{claimed}\n"));
        }
    }
    fs::write(served.join("packed-refs"), lies).unwrap();
    let url = format!("file://{}", served.display());
    for version in 0..=2 {
        let twin = Twin::new(&sandbox, version, Vec::new());
        for options in [
            &["--bare"][..],
            &["--no-checkout"],
            &["--ref-format=reftable"],
            &["--branch=v1.0"],
            &["--bare", "--filter=tree:0"],
        ] {
            let words = [&["clone", "-q"], options, &[&*url, "copy"]].concat();
            let (ours, theirs) = (twin.gitr("", &words), twin.git("", &words));
            assert_eq!((ours.status, theirs.status), (0, 0), "{options:?}: {ours:?} {theirs:?}");
            twin.same_state("copy");
            let packed = |client: &Path| {
                let directory = client.join("copy");
                let files = state::files(&directory);
                let packed = files.iter().find(|file| file.ends_with("packed-refs")).map(fs::read);
                let said = sandbox.git(&directory, &["show-ref", "-d"]).success().stdout;
                (packed.map(|packed| String::from_utf8(packed.unwrap()).unwrap()), said)
            };
            assert_eq!(packed(&twin.ours), packed(&twin.theirs), "{options:?}");
            for client in [&twin.ours, &twin.theirs] {
                fs::remove_dir_all(client.join("copy")).unwrap();
            }
        }
    }
}
