//! Bundles that were cut or changed: refused as C git refuses them, and nothing of them is left.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::{Format, Sandbox, Twin, build, state};

/// A bundle of a project, and the place where its pack begins.
fn bundle(sandbox: &Sandbox) -> (Vec<u8>, usize) {
    let path = sandbox.path("served/project.git");
    build::project(sandbox, &path, Format::Sha1, 8);
    sandbox.git(&path, &["bundle", "create", "-q", "../whole.bundle", "--all"]).success();
    let bytes = fs::read(sandbox.path("served/whole.bundle")).unwrap();
    let start = bytes.find("\n\nPACK").unwrap() + 2;
    (bytes, start)
}

/// Every way to take in what is in `file` fails and leaves nothing.
#[track_caller]
fn is_refused(sandbox: &Sandbox, twin: &Twin<'_>, bytes: &[u8], what: &str) {
    let file = sandbox.path("broken.bundle");
    fs::write(&file, bytes).unwrap();
    let file = file.display().to_string();
    let before = state::files(&twin.ours.join("empty.git"));
    let unbundled = twin.gitr("empty.git", &["bundle", "unbundle", &file]);
    assert_eq!((unbundled.stdout.as_bstr(), unbundled.status), ("".into(), 1), "{what}: {unbundled:?}");
    let fetched = twin.gitr("empty.git", &["fetch", "--no-write-fetch-head", &file, "+refs/*:refs/*"]);
    assert_ne!(fetched.status, 0, "{what}: {fetched:?}");
    assert_eq!(state::files(&twin.ours.join("empty.git")), before, "{what}");
    let cloned = twin.gitr("", &["clone", &file, "copy"]);
    assert_eq!(cloned.status, 128, "{what}: {cloned:?}");
    assert!(!twin.ours.join("copy").exists(), "{what}");
}

/// A client with an empty repository.
fn client(sandbox: &Sandbox) -> Twin<'_> {
    let twin = Twin::new(sandbox, 2, Vec::new());
    build::empty(sandbox, &twin.ours.join("empty.git"), Format::Sha1);
    twin
}

#[test]
fn cut_bundles() {
    let sandbox = Sandbox::new();
    let (bytes, start) = bundle(&sandbox);
    let twin = client(&sandbox);
    let step = (bytes.len() - start) / 6;
    let places = [20, start / 2, start]
        .into_iter()
        .chain((start + 1..bytes.len()).step_by(step))
        .chain([bytes.len() - 1]);
    for place in places {
        is_refused(&sandbox, &twin, &bytes[..place], &format!("cut at {place}"));
    }
}

#[test]
fn flipped_bits_and_bytes_too_many() {
    let sandbox = Sandbox::new();
    let (bytes, start) = bundle(&sandbox);
    let twin = client(&sandbox);
    let step = (bytes.len() - start) / 8;
    for place in (start..bytes.len()).step_by(step) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        is_refused(&sandbox, &twin, &changed, &format!("changed at {place}"));
    }
    is_refused(&sandbox, &twin, &[&bytes[..], b"more"].concat(), "more at the end");
}

#[test]
fn headers_that_lie() {
    let sandbox = Sandbox::new();
    let (bytes, start) = bundle(&sandbox);
    let twin = client(&sandbox);
    let tip = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "main"]).success().line();
    let lie = "1234567890123456789012345678901234567890";
    let lying = [&bytes[..start].replace(&tip, lie), &bytes[start..]].concat();
    let file = sandbox.path("lying.bundle").display().to_string();
    fs::write(&file, lying).unwrap();
    let fetched = twin.gitr("empty.git", &["fetch", &file, "+refs/*:refs/*"]);
    assert_ne!(fetched.status, 0, "{fetched:?}");
    let refs = sandbox.git(&twin.ours.join("empty.git"), &["for-each-ref"]).success();
    assert_eq!(refs.stdout, "");
    let cloned = twin.gitr("", &["clone", &file, "copy"]);
    assert_eq!(cloned.status, 128, "{cloned:?}");
    assert!(!twin.ours.join("copy").exists());
}

/// Names that would lead out of `refs/` are no refs.
#[test]
fn names_that_are_none() {
    let sandbox = Sandbox::new();
    let (bytes, start) = bundle(&sandbox);
    let twin = client(&sandbox);
    for name in
        ["refs/heads/../../config", "refs/heads/a.lock", "../config", "refs/heads/a\u{1b}[2J", "config"]
    {
        let line = format!(" {name}\n");
        let header = bytes[..start].replace(" refs/heads/main\n", &line);
        let file = sandbox.path("named.bundle").display().to_string();
        fs::write(&file, [&header, &bytes[start..]].concat()).unwrap();
        let config = fs::read(twin.ours.join("empty.git/config")).unwrap();
        twin.gitr("empty.git", &["fetch", "-q", &file, "+refs/*:refs/*"]);
        assert_eq!(fs::read(twin.ours.join("empty.git/config")).unwrap(), config);
        let listed = twin.gitr("empty.git", &["bundle", "verify", &file]).success();
        assert!(!listed.stderr.contains(&0x1b), "{listed:?}");
        let files: Vec<PathBuf> = state::files(Path::new(&twin.ours.join("empty.git/refs")));
        assert!(files.iter().all(|file| !file.ends_with("config")), "{files:?}");
    }
}
