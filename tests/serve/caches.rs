//! Files that git keeps beside its objects, with a bit turned over: whoever is served gets a pack that is whole, or an error.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;
use gitr::protocol::Version;
use gitr::repo::{Environment, Repository};
use gitr::server::UploadPack;
use gitr::server::upload_pack::Conversation;

use crate::abuse::Chance;
use crate::client::{fetch, ls_refs, packets};
use crate::support::{Format, Run, Sandbox, Stream, build};

/// Bits that are turned over in each file.
const FLIPS: usize = 20;

/// What one is served who asks so; `None` if that ends in an error.
fn served(sandbox: &Sandbox, repository: &Path, body: &[u8]) -> Option<Vec<u8>> {
    let env: Environment = sandbox.variables().into_iter().collect();
    let repo = Repository::open(repository, None, &[], &env).ok()?;
    let mut out = Vec::new();
    let service = UploadPack::new(&repo, Conversation::Request).ok()?;
    service.serve(Version::V2, &mut &*body, &mut out).ok().map(|()| out)
}

/// Band 1.
fn pack(answer: &[u8]) -> Vec<u8> {
    let (mut rest, mut data) = (answer, Vec::new());
    while let Some(length) = rest.get(..4).and_then(|head| head.to_str().ok()) {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length > 4 && rest[4] == 1 {
            data.extend_from_slice(&rest[5..length]);
        }
        rest = &rest[length.max(4)..];
    }
    data
}

/// The files, of which some are not there in each repository.
fn files(repository: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(repository.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_none_or(|extension| extension != "pack"));
    found.push(repository.join("objects/info/commit-graph"));
    found.push(repository.join("packed-refs"));
    found
}

/// A repository with packs, a commit-graph and bitmaps: of a pack, or of several.
fn repository(sandbox: &Sandbox, has_many: bool) -> PathBuf {
    let repository = sandbox.path(format!("served/{has_many}.git"));
    build::project(sandbox, &repository, Format::Sha1, 40);
    let git = |words: &[&str]| drop(sandbox.git(&repository, words).success());
    if has_many {
        git(&["repack", "-dq"]);
        Stream::onto("main").history(41..60).import(sandbox, &repository);
        git(&["repack", "-dq"]);
        git(&["multi-pack-index", "write", "--bitmap"]);
    } else {
        git(&["repack", "-adbq"]);
    }
    git(&["commit-graph", "write", "--reachable"]);
    git(&["pack-refs", "--all"]);
    repository
}

/// Checks that C git takes the pack of `answer`, and has all that `tip` leads to unless `may_lack`.
fn assert_whole(sandbox: &Sandbox, (answer, tip): (&[u8], &str), may_lack: bool, what: &str) {
    let copy = sandbox.path("copy.git");
    fs::remove_dir_all(&copy).ok();
    build::empty(sandbox, &copy, Format::Sha1);
    let mut command = sandbox.command("git");
    command.current_dir(&copy).args(["index-pack", "--stdin"]);
    let run = Run::with_input(&mut command, &pack(answer));
    assert_eq!(run.status, 0, "{what}: {run:?}");
    if may_lack {
        return;
    }
    let listed = sandbox.git(&copy, &["rev-list", "--objects", "--quiet", tip]);
    assert_eq!(listed.status, 0, "{what}: {listed:?}");
}

#[test]
fn a_turned_bit_costs_an_error_at_most() {
    let sandbox = Sandbox::new();
    let mut chance = Chance(0xb17_f11b);
    for has_many in [false, true] {
        let repository = repository(&sandbox, has_many);
        let id = |name: &str| sandbox.git(&repository, &["rev-parse", name]).success().line();
        let (tip, old) = (id("main"), id("main~5"));
        let (want, have) = (format!("want {tip}"), format!("have {old}"));
        let incremental = packets(&["command=fetch", "0001", &want, &have, "done", "0000"]);
        let mut whole = 0;
        for file in files(&repository) {
            // what a bitmap leaves out is left out, and clients look for themselves
            let may_lack = has_many || file.extension().is_some_and(|extension| extension == "bitmap");
            let good = fs::read(&file).unwrap();
            // git makes them so that nobody writes them
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            for _ in 0..FLIPS {
                let mut bad = good.clone();
                let bit = chance.below(bad.len() * 8);
                bad[bit / 8] ^= 1 << (bit % 8);
                fs::write(&file, &bad).unwrap();
                served(&sandbox, &repository, &ls_refs());
                served(&sandbox, &repository, &incremental);
                let Some(answer) = served(&sandbox, &repository, &fetch(&tip)) else { continue };
                assert_whole(&sandbox, (&answer, &tip), may_lack, &format!("{} bit {bit}", file.display()));
                whole += 1;
            }
            fs::write(&file, &good).unwrap();
        }
        assert!(whole > FLIPS, "{whole} had what they asked for");
    }
}
