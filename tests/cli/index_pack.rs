//! `index-pack`: words, exit codes and files, compared with C git's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::support::{Format, Git, Run, Sandbox, Twin, build, sandbox::gitr_program, state};

/// Two directories with a repository `copy`, its pack as `whole.pack`, the pack of the last commit as `part.pack`, a
/// thin one as `thin.pack`, and an empty repository `new`.
pub fn packs(sandbox: &Sandbox, format: Format) -> Twin<'_> {
    let twin = Twin::new(sandbox, 2, Vec::new());
    build::project(sandbox, &sandbox.path("served/project.git"), format, 12);
    let source = sandbox.path("served/project.git").display().to_string();
    for directory in [&twin.ours, &twin.theirs] {
        sandbox.git(directory, &["clone", "-q", "--bare", &source, "copy"]).success();
        build::empty(sandbox, &directory.join("new"), format);
    }
    for (name, arguments, revisions) in [
        ("whole", &["--delta-base-offset"][..], "main\n"),
        ("part", &[], "main\n^main~1\n"),
        ("thin", &["--thin"], "main\n^main~1\n"),
        ("old", &[], "main~1\n"),
    ] {
        let arguments = [&["pack-objects", "--revs", "--stdout", "-q"], arguments].concat();
        let copy = twin.theirs.join("copy");
        let mut command = sandbox.command(&Git::reference().program);
        let run = Run::with_input(command.args(arguments).current_dir(copy), revisions.as_bytes());
        let pack = run.success().stdout;
        twin.prepare(|directory| fs::write(directory.join(format!("{name}.pack")), &pack).unwrap());
    }
    twin
}

/// Every file below `directory` but those a broken run leaves behind.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = state::files(directory).into_iter();
    let kept = all.filter(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b"tmp_"));
    kept.map(|path| (path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// Checks that both have the same files with the same content in `place`.
#[track_caller]
pub fn same_files(twin: &Twin<'_>, place: &str) {
    let (ours, theirs) = (files(&twin.ours.join(place)), files(&twin.theirs.join(place)));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    assert!(ours == theirs, "the content differs");
}

/// `stderr` as it looks in the end: of each meter the last state without its rate, and of an object that is missing, of
/// which there may be several, not which.
fn ends(stderr: &[u8]) -> BString {
    let mut ends = BString::default();
    for line in stderr.lines() {
        let last = line.rsplit_str("\r").next().unwrap_or_default();
        let cut = |text: &'static str| last.find(text).unwrap_or(last.len());
        let end = &last[..cut(" | ").min(cut("expected object"))];
        ends.extend_from_slice(end);
        ends.push(b'\n');
    }
    ends
}

/// Gives `arguments` and `pack` on standard input to both in `place`, and checks that both say and make the same.
#[track_caller]
pub fn fed(sandbox: &Sandbox, twin: &Twin<'_>, place: &str, arguments: &[&str], pack: &[u8]) -> Run {
    let programs = [(gitr_program(), &twin.ours), (Git::reference().program.clone().into(), &twin.theirs)];
    let [ours, theirs] = programs.map(|(program, directory)| {
        let mut command = sandbox.command(program);
        let run = Run::with_input(command.args(arguments).current_dir(directory.join(place)), pack);
        (twin.anonymous(&run.stdout), ends(&twin.anonymous(&run.stderr)), run)
    });
    assert_eq!((&ours.0, &ours.1, ours.2.status), (&theirs.0, &theirs.1, theirs.2.status), "{arguments:?}");
    same_files(twin, place);
    theirs.2
}

#[test]
fn a_file_is_indexed_beside_it() {
    for format in Format::ALL {
        let sandbox = Sandbox::new();
        let twin = packs(&sandbox, format);
        let hash = format!("--object-format={}", format.name());
        for arguments in [
            &["whole.pack"][..],
            &["--no-rev-index", "part.pack"],
            &["-o", "other.idx", "whole.pack"],
            &["--keep", "--promisor=from there", "old.pack"],
            &["--index-version=1", "-o", "one.idx", "whole.pack"],
            &["--index-version=2,0x40", "-o", "large.idx", "whole.pack"],
            &["--index-version=1,0x40", "-o", "narrow.idx", "whole.pack"],
            &["--index-version=0", "-o", "none.idx", "whole.pack"],
            &["--index-version=,0100", "-o", "comma.idx", "whole.pack"],
            &["--index-version=4294967298, 0X40", "-o", "spaced.idx", "whole.pack"],
            &["--threads=2", "--rev-index", "--max-input-size=1000000", "whole.pack"],
            &["--verify", "whole.pack"],
            &["--verify-stat", "whole.pack"],
            &["--verify-stat-only", "whole.pack"],
        ] {
            let with_hash = [&["index-pack", &hash], arguments].concat();
            twin.done("", &with_hash);
            same_files(&twin, "");
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    twin.prepare(|directory| {
        let pack = fs::read(directory.join("whole.pack")).unwrap();
        fs::write(directory.join("cut.pack"), &pack[..pack.len() / 2]).unwrap();
        fs::write(directory.join("long.pack"), [&pack[..], b"junk"].concat()).unwrap();
        fs::write(directory.join("none.pack"), b"").unwrap();
        fs::write(directory.join("name"), &pack).unwrap();
    });
    for arguments in [
        &["cut.pack"][..],
        &["long.pack"],
        &["none.pack"],
        &["name"],
        &["nosuch.pack"],
        &["thin.pack"],
        &["-o", "index", "whole.pack"],
        &["--fix-thin", "whole.pack"],
        &["--verify", "whole.pack"],
        &["--verify", "nosuch.pack"],
        &["--verify-stat", "-o", "other.idx", "whole.pack"],
        &["--max-input-size=100", "whole.pack"],
        &["--max-input-size=+7", "whole.pack"],
        &["--max-input-size=-1", "whole.pack"],
        &["--max-input-size=-4294967295k", "whole.pack"],
        &["--max-input-size=9223372036854775808", "whole.pack"],
        &["--max-input-size=-99999999999999999999", "whole.pack"],
        &["--index-version=3", "whole.pack"],
        &["--index-version=2,x", "whole.pack"],
        &["--index-version=2,-1", "whole.pack"],
        &["--index-version=0x1", "whole.pack"],
        &["--object-format=md5", "whole.pack"],
        &["--pack_header=x", "whole.pack"],
        &["--stdin"],
    ] {
        let run = twin.run("", &[&["index-pack"], arguments].concat());
        assert_eq!(run.status, 128, "{run:?}");
        same_files(&twin, "");
    }
    for arguments in [&[][..], &["-h"], &["--nosuch", "x"], &["a", "b"], &["--threads=x", "a"], &["-o"]] {
        assert_eq!(twin.run("", &[&["index-pack"], arguments].concat()).status, 129);
    }
}

#[test]
fn an_object_that_is_there_twice_is_refused_by_strict() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let pack = of_blobs(2);
    twin.prepare(|directory| fs::write(directory.join("twice.pack"), &pack).unwrap());
    // C git leaves half an index behind here.
    assert_eq!(twin.run("", &["index-pack", "--strict", "twice.pack"]).status, 128);
    assert!(!twin.ours.join("twice.idx").exists());
    assert_eq!(twin.run("", &["index-pack", "twice.pack"]).status, 0);
    same_files(&twin, "");
    assert_eq!(twin.run("", &["index-pack", "--verify", "--strict", "twice.pack"]).status, 128);
    for option in ["--verify", "--verify-stat", "--verify-stat-only"] {
        assert_eq!(twin.run("", &["index-pack", option, "twice.pack"]).status, 128);
    }
    for (options, status) in [
        (&["--strict"][..], 128),
        (&["--check-self-contained-and-connected"], 128),
        (&["--fsck-objects"], 0),
        (&["--fsck-objects", "--strict"], 128),
    ] {
        let arguments = [&["index-pack", "--stdin"], options].concat();
        assert_eq!(fed(&sandbox, &twin, "new", &arguments, &pack).status, status);
    }
}

/// A pack that has the blob `abc` so many times.
pub fn of_blobs(count: u8) -> Vec<u8> {
    // as zlib stores what it does not compress
    let entry = b"\x33\x78\x01\x01\x03\x00\xfc\xffabc\x02\x4d\x01\x27";
    let mut pack = [&b"PACK\0\0\0\x02\0\0\0"[..], &[count], &entry.repeat(count.into())].concat();
    let mut checksum = gitr::pack::hash::Checksum::new(gix_hash::Kind::Sha1);
    checksum.update(&pack);
    pack.extend(checksum.finish().as_slice());
    pack
}

#[test]
fn a_wrong_index_is_found() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    twin.done("", &["index-pack", "whole.pack"]);
    for (name, at) in [("whole.idx", 1100), ("whole.rev", 20)] {
        let before = fs::read(twin.ours.join(name)).unwrap();
        let mut wrong = before.clone();
        wrong[at] ^= 1;
        let write = |bytes: &[u8]| {
            twin.prepare(|directory| {
                fs::remove_file(directory.join(name)).unwrap();
                fs::write(directory.join(name), bytes).unwrap();
            });
        };
        write(&wrong);
        assert_eq!(twin.run("", &["index-pack", "--verify", "whole.pack"]).status, 128);
        write(&before);
    }
    twin.done("", &["index-pack", "--verify", "whole.pack"]);
}

#[test]
fn a_stream_becomes_a_pack() {
    for format in Format::ALL {
        let sandbox = Sandbox::new();
        let twin = packs(&sandbox, format);
        let pack = |name: &str| fs::read(twin.ours.join(name)).unwrap();
        let run = |arguments: &[&str], pack: &[u8]| {
            fed(&sandbox, &twin, "new", &[&["index-pack", "--stdin"], arguments].concat(), pack)
        };
        assert_eq!(run(&[], &pack("thin.pack")).status, 128);
        assert_eq!(run(&["--check-self-contained-and-connected"], &pack("part.pack")).status, 128);
        assert_eq!(run(&["--check-self-contained-and-connected"], &pack("old.pack")).status, 0);
        assert_eq!(run(&[], &pack("thin.pack")).status, 128);
        assert_eq!(run(&["--check-self-contained-and-connected"], &pack("part.pack")).status, 1);
        assert_eq!(run(&["--keep=why"], &pack("part.pack")).status, 0);
        assert_eq!(run(&["--keep"], &pack("part.pack")).status, 0);
        assert_eq!(run(&["--promisor", "-v"], &pack("whole.pack")).status, 0);
        assert_eq!(run(&["copy.pack"], &pack("whole.pack")).status, 0);
        assert_eq!(run(&["copy.pack"], &pack("whole.pack")).status, 128);
        assert_eq!(run(&["nosuch/copy.pack"], &pack("whole.pack")).status, 128);
        let headless = &pack("whole.pack")[12..];
        let objects = u32::from_be_bytes(pack("whole.pack")[8..12].try_into().unwrap());
        assert_eq!(run(&[&format!("--pack_header=2,{objects}")], headless).status, 0);
        assert_eq!(run(&["--max-input-size=99"], &pack("whole.pack")).status, 128);
        assert_eq!(run(&["--progress-title", "Reading", "-v"], &pack("part.pack")).status, 0);
    }
}

#[test]
fn a_thin_pack_is_completed() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let pack = |name: &str| fs::read(twin.ours.join(name)).unwrap();
    fed(&sandbox, &twin, "new", &["index-pack", "--stdin"], &pack("old.pack")).success();
    let mut command = sandbox.command(gitr_program());
    let command = command.args(["index-pack", "--stdin", "--fix-thin"]).current_dir(twin.ours.join("new"));
    let run = Run::with_input(command, &pack("thin.pack")).success();
    // Where the bases stand in the pack, and how they are deflated, is not what git does: the name is another.
    let name = format!("objects/pack/pack-{}.idx", run.line().strip_prefix("pack\t").unwrap());
    sandbox.git(&twin.ours.join("new"), &["verify-pack", &name]).success();
    state::assert_sound(&sandbox, &twin.ours.join("new"));
}

/// Puts an object of `kind` into the repository `copy` of C git and a pack of it and of `others` into both directories, as
/// `bad.pack`; gives its id.
fn pack_of(sandbox: &Sandbox, twin: &Twin<'_>, (kind, content): (&str, &[u8]), others: &[&str]) -> String {
    let copy = twin.theirs.join("copy");
    let run = |arguments: &[&str], input: &[u8]| {
        let mut command = sandbox.command(&Git::reference().program);
        Run::with_input(command.args(arguments).current_dir(&copy), input).success()
    };
    let id = run(&["hash-object", "-t", kind, "-w", "--stdin", "--literally"], content).line();
    let ids = [&[&*id], others].concat().join("\n") + "\n";
    let pack = run(&["pack-objects", "-q", "--stdout"], ids.as_bytes()).stdout;
    twin.prepare(|directory| fs::write(directory.join("bad.pack"), &pack).unwrap());
    id
}

#[test]
fn objects_against_the_rules_are_refused() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let tree = sandbox.git(&twin.theirs.join("copy"), &["rev-parse", "main^{tree}"]).success().line();
    let head = sandbox.git(&twin.theirs.join("copy"), &["rev-parse", "main"]).success().line();
    let commit = |who: &str| format!("tree {tree}\nauthor {who}\ncommitter A <a@b> 1 +0000\n\nm\n");
    let tag = format!("object {head}\ntype commit\ntag a tag\n\nm\n");
    let entry = |mode: &str, name: &str| {
        let bytes = (0..20).map(|at| u8::from_str_radix(&tree[2 * at..2 * at + 2], 16).unwrap());
        format!("{mode} {name}\0").into_bytes().into_iter().chain(bytes).collect::<Vec<_>>()
    };
    for (kind, content, status) in [
        ("commit", commit("A U Thor").into_bytes(), 128),
        ("commit", commit("A <a@b> 1 +0000").into_bytes(), 0),
        ("tag", tag.into_bytes(), 0),
        ("tree", entry("40000", ".GIT"), 128),
        ("tree", entry("040000", "a"), 128),
        ("tree", [entry("40000", "b"), entry("40000", "a")].concat(), 128),
    ] {
        pack_of(&sandbox, &twin, (kind, &content), &[]);
        let run = twin.run("new", &["index-pack", "--fsck-objects", "../bad.pack"]);
        assert_eq!(run.status, status, "{run:?}");
        let [ours, theirs] = [&twin.ours, &twin.theirs].map(|directory| directory.join("bad.idx").exists());
        assert_eq!((ours, theirs), (status == 0, status == 0));
        let all = ["hasDotgit", "zeroPaddedFilemode", "treeNotSorted", "missingEmail"];
        let lenient = all.map(|name| format!("{name}=ignore")).join(",");
        twin.done("new", &["index-pack", &format!("--fsck-objects={lenient}"), "../bad.pack"]);
        twin.prepare(|directory| fs::remove_file(directory.join("bad.idx")).unwrap());
        twin.prepare(|directory| fs::remove_file(directory.join("bad.rev")).unwrap());
    }
    assert_eq!(twin.run("", &["index-pack", "--strict=foo=error", "bad.pack"]).status, 128);
    assert_eq!(twin.run("", &["index-pack", "--strict=missingEmail=foo", "bad.pack"]).status, 128);
    assert_eq!(twin.run("", &["index-pack", "--strict=nulInHeader=warn", "bad.pack"]).status, 128);
}

#[test]
fn a_tree_that_breaks_off_is_indexed_where_nobody_asks_for_links() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let _id = pack_of(&sandbox, &twin, ("tree", b"100644 a\0short"), &[]);
    assert_eq!(twin.run("", &["index-pack", "bad.pack"]).status, 0);
    let [ours, theirs] =
        [&twin.ours, &twin.theirs].map(|directory| fs::read(directory.join("bad.idx")).unwrap());
    assert!(ours == theirs);
}

#[test]
fn submodules_against_the_rules_are_refused() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    for (content, status) in [
        ("[submodule \"a\"]\n\tpath = a\n\turl = https://host/a\n", 0),
        ("[submodule \"a\"]\n\turl = -x\n", 128),
        ("[submodule \"a\"]\n\tpath = -x\n", 128),
        ("[submodule \"a\"]\n\tupdate = !x\n", 128),
        ("[submodule \"..\"]\n\tpath = x\n", 128),
        ("[submodule \"a\n", 0),
    ] {
        let blob = pack_of(&sandbox, &twin, ("blob", content.as_bytes()), &[]);
        let bytes = (0..20).map(|at| u8::from_str_radix(&blob[2 * at..2 * at + 2], 16).unwrap());
        let tree = b"100644 .gitmodules\0".iter().copied().chain(bytes).collect::<Vec<_>>();
        pack_of(&sandbox, &twin, ("tree", &tree), &[&blob]);
        assert_eq!(twin.run("", &["index-pack", "--strict", "bad.pack"]).status, status, "{content}");
        // The blob of another pack is the caller's affair. (Without a repository, git 2.47.3 crashes here.)
        pack_of(&sandbox, &twin, ("tree", &tree), &[]);
        let run = twin.done("new", &["index-pack", "--fsck-objects", "../bad.pack"]);
        assert!(run.stdout.contains_str(&blob), "{run:?}");
    }
}

#[test]
fn a_fetch_checks_what_comes() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let copy = twin.theirs.join("copy");
    let tree = sandbox.git(&copy, &["rev-parse", "main^{tree}"]).success().line();
    let commit = format!("tree {tree}\nauthor A\ncommitter A <a@b> 1 +0000\n\nm\n");
    let id = pack_of(&sandbox, &twin, ("commit", commit.as_bytes()), &[]);
    sandbox.git(&copy, &["update-ref", "refs/heads/bad", &id]).success();
    let url = copy.display().to_string();
    for (setting, status) in [
        ("transfer.fsckObjects=false", 0),
        ("transfer.fsckObjects=true", 128),
        ("fetch.fsckObjects=true", 128),
    ] {
        sandbox.git(&twin.ours, &["init", "-q", "--bare", setting]).success();
        let run = sandbox.gitr(&twin.ours.join(setting), &["-c", setting, "fetch", "-q", &url, "bad:bad"]);
        assert_eq!(run.status, status, "{run:?}");
        assert_eq!(run.complains_of("missingEmail"), status != 0, "{run:?}");
        assert_eq!(state::leftovers(&twin.ours.join(setting)), Vec::<PathBuf>::new());
    }
    let place = twin.ours.join("transfer.fsckObjects=true");
    let lenient =
        ["-c", "fetch.fsckObjects", "-c", "fetch.fsck.missingEmail=warn", "fetch", "-q", &url, "bad:bad"];
    sandbox.gitr(&place, &lenient).success();
}

/// What is wrong with how refs are written is of no concern to it.
#[test]
fn only_settings_that_concern_it_are_read() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    twin.prepare(|directory| drop(sandbox.git(directory, &["init", "-q"]).success()));
    for (setting, status) in [
        ("core.logAllRefUpdates=x", 0),
        ("core.preferSymlinkRefs=x", 0),
        ("core.preferSymlinkRefs", 0),
        ("core.abbrev=x", 128),
        ("core.abbrev=", 0),
        ("core.bigFileThreshold=-1", 128),
        ("core.fileMode=x", 128),
    ] {
        let run = twin.run("", &["-c", setting, "index-pack", "whole.pack"]);
        assert_eq!(run.status, status, "{setting}");
        same_files(&twin, "");
    }
}
