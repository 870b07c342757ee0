//! A large repository behind `gitr serve`: C git clones it, fetches from it and pushes to it.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Run, Sandbox, Serve as _, Stream, build};

const COMMITS: usize = 50_000;
const REFS: usize = 5_000;
/// Large blobs, and the bytes of each, which nothing makes smaller.
const BLOBS: usize = 8;
const BLOB_BYTES: usize = 1 << 20;

fn make(sandbox: &Sandbox, path: &Path) {
    build::empty(sandbox, path, Format::Sha1);
    let mut text = String::new();
    for number in 0..COMMITS {
        let time = 1_000_000_000 + number;
        let content = format!("{number}\n");
        write!(
            text,
            "commit refs/heads/main\nmark :{}\ncommitter A <a@example.com> {time} +0000\ndata 1\nx\n\
             M 644 inline {}/file\ndata {}\n{content}\n",
            number + 1,
            number % 50,
            content.len()
        )
        .unwrap();
        if number % (COMMITS / REFS) == 0 {
            write!(text, "reset refs/heads/many/{number}\nfrom :{}\n\n", number + 1).unwrap();
        }
    }
    let mut command = sandbox.command("git");
    command.current_dir(path).args(["fast-import", "--quiet"]);
    Run::with_input(&mut command, text.as_bytes()).success();
    let mut stream = Stream::onto("main");
    let noise = build::noise(BLOB_BYTES + BLOBS);
    for number in 0..BLOBS {
        stream.commit("main", 100_000 + number);
        stream.file(&format!("large{number}"), &noise[number..]);
    }
    stream.import(sandbox, path);
    sandbox.git(path, &["pack-refs", "--all"]).success();
}

#[test]
fn many_commits_refs_and_large_blobs_come_and_go_whole() {
    let sandbox = Sandbox::new();
    let repository = sandbox.path("served/project.git");
    make(&sandbox, &repository);
    let server = GitrServe::start(&sandbox, &["--enable-receive-pack=anybody"]);
    let url = server.url("project.git");
    let refs = |place: &Path| sandbox.git(place, &["for-each-ref"]).success().stdout;
    let copy = sandbox.path("copy.git");
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--mirror", &url, "copy.git"]).success();
    assert_eq!(refs(&copy), refs(&repository));
    let count = sandbox.git(&copy, &["rev-list", "--count", "--all"]).line();
    assert_eq!(count, (COMMITS + BLOBS).to_string());
    let mut stream = Stream::onto("main");
    stream.commit("main", 200_000).file("fetched", "fetched");
    stream.import(&sandbox, &repository);
    sandbox.git(&copy, &["fetch", "-q", "origin"]).success();
    assert_eq!(refs(&copy), refs(&repository));
    let mut stream = Stream::onto("main");
    stream.commit("main", 200_001).file("pushed", build::noise(BLOB_BYTES));
    stream.import(&sandbox, &copy);
    let all = ["push", "-q", &url, "refs/heads/main", "refs/heads/many/1*:refs/heads/pushed/1*"];
    sandbox.git(&copy, &all).success();
    let pushed = sandbox.git(&repository, &["for-each-ref", "refs/heads/pushed"]).success().stdout;
    assert_eq!(bstr::ByteSlice::lines(pushed.as_slice()).count(), 1_111);
    for place in [&copy, &repository] {
        sandbox.git(place, &["fsck", "--connectivity-only"]).success();
    }
}
