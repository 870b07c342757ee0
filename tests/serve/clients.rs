//! Real clients.

use std::path::Path;

use crate::served;
use crate::support::{Git, Sandbox, Serve as _, Stream, build, sandbox};

/// The objects and the refs of a repository, as C git tells them.
fn state(sandbox: &Sandbox, repository: &Path) -> String {
    let objects = sandbox.git(repository, &["cat-file", "--batch-all-objects", "--batch-check"]).success();
    let refs = sandbox.git(repository, &["for-each-ref"]).success();
    sandbox.git(repository, &["fsck", "--connectivity-only"]).success();
    format!("{}{}", objects.stdout, refs.stdout)
}

/// Every client that is here.
fn clients() -> Vec<Git> {
    let gitr = Git { program: sandbox::gitr_program().into(), ..Git::reference().clone() };
    Git::all().iter().cloned().chain([gitr]).collect()
}

#[test]
fn what_is_cloned_and_fetched_is_what_is_served() {
    let (sandbox, server) = served(&[]);
    let repository = sandbox.path("served/project.git");
    let url = server.url("project.git");
    let run = |client: &Git, place: &Path, words: &[&str]| sandbox.git_of(client, place, words).success();
    for (number, client) in clients().iter().enumerate() {
        let place = sandbox.path(format!("client{number}"));
        std::fs::create_dir(&place).unwrap();
        run(client, &place, &["clone", "-q", "--mirror", &url, "whole"]);
        assert_eq!(state(&sandbox, &place.join("whole")), state(&sandbox, &repository));
        run(client, &place, &["clone", "-q", "--bare", "--depth=2", &url, "shallow"]);
        let boundary = std::fs::read_to_string(place.join("shallow/shallow")).unwrap();
        let count = sandbox.git(&place.join("shallow"), &["rev-list", "--count", "HEAD"]).line();
        assert!(!boundary.is_empty() && count.parse::<usize>().unwrap() < 8, "{boundary} {count}");
        run(client, &place, &["clone", "-q", "--bare", "--filter=blob:none", &url, "partial"]);
        let missing =
            sandbox.git(&place.join("partial"), &["rev-list", "--all", "--objects", "--missing=print"]);
        assert!(missing.success().stdout.lines_with_prefix("?") > 5);
        Stream::onto("main").history(30 + 5 * number..35 + 5 * number).import(&sandbox, &repository);
        run(client, &place.join("whole"), &["fetch", "-q", "origin"]);
        assert_eq!(state(&sandbox, &place.join("whole")), state(&sandbox, &repository));
    }
}

/// Counts lines.
trait Lines {
    fn lines_with_prefix(&self, prefix: &str) -> usize;
}

impl Lines for bstr::BString {
    fn lines_with_prefix(&self, prefix: &str) -> usize {
        bstr::ByteSlice::lines(self.as_slice()).filter(|line| line.starts_with(prefix.as_bytes())).count()
    }
}

#[test]
fn pushes_are_for_those_who_are_let() {
    let (sandbox, server) = served(&["--enable-receive-pack=anybody"]);
    let url = server.url("project.git");
    let noise = build::noise(3 << 20);
    for (number, client) in clients().iter().enumerate() {
        let place = sandbox.path(format!("client{number}"));
        sandbox.git_of(client, &sandbox.path(""), &["clone", "-q", &url, place.to_str().unwrap()]).success();
        let mut stream = Stream::onto("main");
        // more than http.postBuffer: it comes in chunks, after a probe
        stream.commit("main", 100 + number).file("large.bin", &noise[number..]);
        stream.import(&sandbox, &place);
        let branch = format!("main:refs/heads/pushed{number}");
        sandbox.git_of(client, &place, &["push", "-q", "origin", &branch]).success();
        let ours = sandbox.git(&place, &["rev-parse", "main"]).line();
        let there =
            sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", &format!("pushed{number}")]);
        assert_eq!(there.line(), ours);
    }
    sandbox.git(&sandbox.path("served/project.git"), &["fsck", "--strict"]).success();
}

#[test]
fn nobody_pushes_where_nothing_is_said() {
    let (sandbox, server) = served(&[]);
    let url = server.url("project.git");
    let run = sandbox.git(&sandbox.path("served/project.git"), &["push", &url, "main:refs/heads/new"]);
    assert_eq!(run.status, 128, "{run:?}");
    assert!(run.complains_of("403") && run.complains_of("this service is not enabled"), "{run:?}");
    let repository = sandbox.path("served/project.git");
    sandbox.git(&repository, &["config", "http.receivepack", "true"]).success();
    sandbox.git(&repository, &["push", "-q", &url, "main:refs/heads/new"]).success();
}
