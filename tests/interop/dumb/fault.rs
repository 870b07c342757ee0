//! Repositories whose files are missing, broken, or not what they should be.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::{Plain, overwrite, packs};
use crate::support::{Format, Run, Sandbox, Twin, build, state};

/// The index of another pack.
const ELSEWHERE: &str = "the index names what the pack has not";

/// What is wrong with a repository, and how to make it so.
type Fault = (&'static str, fn(&Plain, &Path));

/// Faults of loose objects.
const LOOSE: [Fault; 7] = [
    ("a blob is missing", |plain, path| {
        fs::remove_file(file_of(&plain.sandbox, path, "main:README")).unwrap();
    }),
    ("a tree is missing", |plain, path| {
        fs::remove_file(file_of(&plain.sandbox, path, "main^{tree}")).unwrap();
    }),
    ("a commit is missing", |plain, path| fs::remove_file(file_of(&plain.sandbox, path, "main~3")).unwrap()),
    ("the tip is missing", |plain, path| fs::remove_file(file_of(&plain.sandbox, path, "main")).unwrap()),
    ("a blob is no object", |plain, path| {
        overwrite(&file_of(&plain.sandbox, path, "main:README"), b"<html></html>");
    }),
    ("a blob is another", |plain, path| {
        let other = fs::read(file_of(&plain.sandbox, path, "main:run.sh")).unwrap();
        overwrite(&file_of(&plain.sandbox, path, "main:README"), &other);
    }),
    ("a blob breaks off", |plain, path| {
        let file = file_of(&plain.sandbox, path, "main:README");
        let bytes = fs::read(&file).unwrap();
        overwrite(&file, &bytes[..bytes.len() / 2]);
    }),
];

/// Faults of packs.
const PACKED: [Fault; 6] = [
    ("the pack is corrupt", |_, path| {
        let pack = packs(path, "pack").remove(0);
        let mut bytes = fs::read(&pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0);
        overwrite(&pack, &bytes);
    }),
    ("the pack breaks off", |_, path| {
        let pack = packs(path, "pack").remove(0);
        let bytes = fs::read(&pack).unwrap();
        overwrite(&pack, &bytes[..bytes.len() / 2]);
    }),
    ("there is no pack", |_, path| fs::remove_file(packs(path, "pack").remove(0)).unwrap()),
    ("the index is corrupt", |_, path| {
        let index = packs(path, "idx").remove(0);
        let mut bytes = fs::read(&index).unwrap();
        bytes[1100..1140].fill(0);
        overwrite(&index, &bytes);
    }),
    ("there is no list of packs", |_, path| fs::remove_file(path.join("objects/info/packs")).unwrap()),
    (ELSEWHERE, |plain, path| {
        // another pack stands in place of the one that the index is of
        let other = plain.served("other.git");
        build::project(&plain.sandbox, &other, Format::Sha1, 2);
        plain.sandbox.git(&other, &["repack", "-adq"]).success();
        let bytes = fs::read(packs(&other, "pack").remove(0)).unwrap();
        overwrite(&packs(path, "pack").remove(0), &bytes);
    }),
];

#[test]
fn files_that_lie_are_not_believed() {
    let Some(plain) = Plain::start() else { return };
    let faults = LOOSE.iter().map(|fault| (true, fault)).chain(PACKED.iter().map(|fault| (false, fault)));
    for (number, (is_loose, (name, spoil))) in faults.enumerate() {
        let repository = format!("{number}.git");
        let path = if is_loose { plain.loose(&repository) } else { plain.packed(&repository) };
        spoil(&plain, &path);
        let twin = Twin::new(&plain.sandbox, 2, Vec::new());
        let url = plain.url("plain", &repository);
        // with several requests at once C git may name the file of another in its complaint
        let clone = ["-c", "http.maxRequests=1", "clone", &url, "copy"];
        let (ours, theirs) = (twin.gitr("", &clone), twin.git("", &clone));
        if *name == ELSEWHERE {
            // C git cannot say of what type it is
            assert!(ours.complains_of("Cannot obtain needed object"), "{ours:?}");
            assert_eq!(theirs.status, 128, "{theirs:?}");
        } else {
            assert_eq!((words(&ours), ours.status), (words(&theirs), theirs.status), "{name}");
        }
        assert_eq!(ours.status, 128, "{name}");
        assert!(!twin.ours.join("copy").exists(), "{name}");
        // a fetch leaves no ref, and nothing that is half written
        plain.sandbox.git(&twin.ours, &["init", "-q", "--bare", "into"]).success();
        let fetched = twin.gitr("into", &["fetch", &url, "refs/heads/*:refs/heads/*"]);
        assert_eq!(fetched.status, 128, "{name}: {fetched:?}");
        let into = twin.ours.join("into");
        assert_eq!(plain.sandbox.git(&into, &["for-each-ref"]).success().stdout, "", "{name}");
        assert_eq!(state::leftovers(&into), Vec::<PathBuf>::new(), "{name}");
        for object in plain
            .sandbox
            .git(&into, &["cat-file", "--batch-all-objects", "--batch-check"])
            .success()
            .stdout
            .lines()
        {
            assert!(!object.contains_str("missing"), "{name}");
        }
    }
}

#[test]
fn what_comes_object_by_object_is_checked_too() {
    let Some(plain) = Plain::start() else { return };
    let path = plain.loose("loose.git");
    let tree = plain.sandbox.git(&path, &["rev-parse", "main^{tree}"]).success().line();
    let text = format!("tree {tree}\nauthor nobody 1 +0000\ncommitter nobody 1 +0000\n\nno address\n");
    fs::write(path.join("bad"), text).unwrap();
    let hash = ["hash-object", "-t", "commit", "-w", "--literally", "bad"];
    let id = plain.sandbox.git(&path, &hash).success().line();
    plain.sandbox.git(&path, &["update-ref", "refs/heads/bad", &id]).success();
    plain.update("loose.git");
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    let url = plain.url("plain", "loose.git");
    twin.done("", &["clone", &url, "copy"]);
    let refused = twin.gitr("", &["-c", "fetch.fsckObjects=true", "clone", &url, "none"]);
    assert_eq!(refused.status, 128, "{refused:?}");
    assert!(refused.complains_of(&format!("object {id}: missingEmail")), "{refused:?}");
    assert!(!twin.ours.join("none").exists());
}

/// The lines that are the same for both: not those of zlib, nor of where an index was put.
fn words(run: &Run) -> BString {
    let differs = |line: &&[u8]| {
        line.starts_with(b"error: inflate:")
            || line.starts_with(b"error: Packfile index for")
            || line.starts_with(b"fatal: pack has bad object")
    };
    let lines: Vec<&[u8]> = run.stderr.lines().filter(|line| !differs(line)).collect();
    bstr::join("\n", lines).into()
}

/// The file of the loose object that `revision` is.
fn file_of(sandbox: &Sandbox, repository: &Path, revision: &str) -> PathBuf {
    let id = sandbox.git(repository, &["rev-parse", revision]).success().line();
    repository.join("objects").join(&id[..2]).join(&id[2..])
}
