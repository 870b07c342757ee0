//! The words of `gitr bundle`: usage, mistakes, progress.

use std::fs;

use crate::support::{Run, Twin};

/// Checks that both say and return the same in the clone.
#[track_caller]
fn same(twin: &Twin<'_>, words: &[&str]) -> Run {
    twin.run("copy", &[&["bundle"], words].concat())
}

#[test]
fn a_bundle_needs_a_subcommand_and_a_file() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    for words in
        [&[][..], &["nosuch"], &["-h"], &["create", "-q"], &["verify"], &["list-heads"], &["unbundle"]]
    {
        assert_eq!(same(&twin, words).status, 129, "{words:?}");
    }
    for words in [
        &["list-heads", "-q", "file"][..],
        &["create", "--version=x", "file"],
        &["list-heads", "-h"],
        &["verify", "-h"],
    ] {
        assert_eq!(same(&twin, words).status, 129, "{words:?}");
    }
}

/// git packs and takes in packs in children, which read the configuration. How `create` ends there is a race: it may be ended
/// by a signal while it still writes to the child.
#[test]
fn the_core_is_read_when_objects_move() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    twin.done("copy", &["bundle", "create", "-q", "file", "main"]);
    for setting in [
        "core.autocrlf=x",
        "core.safecrlf=x",
        "core.checkStat=x",
        "core.fileMode=x",
        "core.compression=99",
        "core.eol=crlf",
    ] {
        let words = ["-c", setting, "bundle", "create", "-q", "other", "main"];
        let (ours, theirs) = (twin.gitr("copy", &words), twin.git("copy", &words));
        assert_eq!(ours.status == 0, theirs.status == 0, "{setting}: {ours:?}\n{theirs:?}");
        assert!(ours.stderr.starts_with(&theirs.stderr), "{setting}: {ours:?}\n{theirs:?}");
        if ours.status != 0 {
            assert_eq!(ours.status, 1, "{ours:?}");
            assert!(ours.complains_of("error: pack-objects died"), "{ours:?}");
            assert!(!twin.ours.join("copy/other").exists());
        }
        if setting != "core.compression=99" {
            twin.run("copy", &["-c", setting, "bundle", "unbundle", "file"]);
        }
        twin.run("copy", &["-c", setting, "bundle", "create", "-q", "other", "nosuch"]);
    }
}

#[test]
fn what_cannot_be_put_into_a_bundle_is_refused() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    twin.prepare(|client| {
        fs::create_dir(client.join("copy/directory")).unwrap();
        fs::write(client.join("copy/main"), "a file that is called as a branch").unwrap();
        fs::write(client.join("copy/held.lock"), "").unwrap();
    });
    for words in [
        &["create", "file"][..],
        &["create", "file", "main~1", "--"],
        &["create", "file", "HEAD..HEAD"],
        &["create", "file", "nosuch"],
        &["create", "file", "^nosuch", "HEAD"],
        &["create", "file", "HEAD..nosuch"],
        &["create", "file", "nosuch", "--"],
        &["create", "file", "main"],
        &["create", "file", "1234567890123456789012345678901234567890"],
        &["create", "file", "--max-count=x", "HEAD"],
        &["create", "file", "--since"],
        &["create", "file", "--filter=bogus", "HEAD"],
        &["create", "--version=1", "file", "HEAD"],
        &["create", "--version=4", "file", "HEAD"],
        &["create", "--version=2", "file", "--filter=blob:none", "HEAD"],
        &["create", "directory", "HEAD"],
        &["create", "nosuch/file", "HEAD"],
        &["create", "held", "HEAD"],
    ] {
        assert_eq!(same(&twin, words).status, 128, "{words:?}");
    }
    for client in [&twin.ours, &twin.theirs] {
        for name in ["file", "file.lock", "directory.lock"] {
            assert!(!client.join("copy").join(name).exists(), "{name} was left");
        }
    }
}

/// Seen in git 2.47.3: an option that is not known, and paths, break it or are passed over.
#[test]
fn what_a_bundle_cannot_be_about_is_told() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    for (words, text) in [
        (&["--nosuch", "main"][..], "fatal: unrecognized argument: --nosuch\n"),
        (&["main", "--", "README"], "fatal: a bundle cannot be limited to paths\n"),
        (&["main", "README"], "fatal: a bundle cannot be limited to paths\n"),
    ] {
        let run = twin.gitr("copy", &[&["bundle", "create", "file"], words].concat());
        assert_eq!((run.stderr.to_string().as_str(), run.status), (text, 128));
    }
    assert!(!twin.ours.join("copy/file").exists());
}

#[test]
fn a_file_that_is_no_bundle_is_told() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    twin.prepare(|client| {
        for (name, text) in [
            ("empty", ""),
            ("other", "other\n"),
            ("v4", "# v4 git bundle\n\n"),
            ("line", "# v2 git bundle\nfoo\n"),
            ("short", "# v2 git bundle\n-1234\n"),
            ("capability", "# v3 git bundle\n@foo\n\n"),
            ("hash", "# v3 git bundle\n@object-format=bar\n\n"),
            ("early", "# v2 git bundle\n@object-format=sha1\n\n"),
        ] {
            fs::write(client.join("copy").join(name), text).unwrap();
        }
    });
    for file in ["empty", "other", "v4", "line", "short", "capability", "hash", "early", "nosuch", "."] {
        for command in ["verify", "list-heads", "unbundle"] {
            assert_eq!(same(&twin, &[command, file]).status, 1, "{command} {file}");
        }
    }
}

#[test]
fn a_repository_is_needed_but_for_lists() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    same(&twin, &["create", "../file", "--all"]).success();
    twin.done("", &["bundle", "list-heads", "file"]);
    assert_eq!(twin.run("", &["bundle", "verify", "file"]).status, 1);
    assert_eq!(twin.run("", &["bundle", "unbundle", "file"]).status, 128);
    assert_eq!(twin.run("", &["bundle", "create", "other", "main"]).status, 128);
}

#[test]
fn progress_is_shown_where_it_is_asked_for() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    for (options, is_shown) in [
        (&["--progress"][..], true),
        (&["--all-progress"], true),
        (&["--no-quiet"], true),
        (&["-q", "--progress"], true),
        (&["--progress", "-q"], false),
        (&["--no-progress"], false),
        (&[], false),
    ] {
        let words = [&["bundle", "create"], options, &["file", "--all"]].concat();
        for run in [twin.gitr("copy", &words), twin.git("copy", &words)] {
            let run = run.success();
            assert_eq!(run.complains_of("Writing objects: 100%"), is_shown, "{run:?}");
        }
    }
    let unbundled = twin.gitr("copy", &["bundle", "unbundle", "--progress", "file"]).success();
    assert!(unbundled.complains_of("Unbundling objects: 100%"), "{unbundled:?}");
    assert!(!unbundled.complains_of("Receiving objects"), "{unbundled:?}");
}

/// A bundle goes where a link leads, with the permissions of a new file.
#[cfg(unix)]
#[test]
fn a_link_to_a_bundle_stays_one() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    twin.prepare(|client| {
        let copy = client.join("copy");
        for name in ["target", "file"] {
            fs::write(copy.join(name), "old\n").unwrap();
            fs::set_permissions(copy.join(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        symlink("target", copy.join("leads")).unwrap();
        symlink("new", copy.join("to-nothing")).unwrap();
        symlink("nosuch/new", copy.join("to-nowhere")).unwrap();
    });
    for (name, status) in [("leads", 0), ("file", 0), ("to-nothing", 0), ("to-nowhere", 128)] {
        assert_eq!(same(&twin, &["create", "-q", name, "main"]).status, status, "{name}");
    }
    for name in ["target", "file", "new", "leads", "to-nothing", "to-nowhere"] {
        let kind = |client: &std::path::Path| {
            let path = client.join("copy").join(name);
            let metadata = path.symlink_metadata().unwrap();
            (metadata.file_type(), metadata.permissions().mode())
        };
        assert_eq!(kind(&twin.ours), kind(&twin.theirs), "{name}");
    }
}
