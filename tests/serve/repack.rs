//! Repositories that C git tidies up while they are served: whoever clones gets all, whatever moves below.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::served;
use crate::support::{Sandbox, Serve as _, Stream, build};

/// Clones of each client.
const CLONES: usize = 8;

/// Tidies `repository` up again and again, and adds a commit in between, until `is_over`; how often.
fn tidy(sandbox: &Sandbox, repository: &Path, is_over: &AtomicBool) -> usize {
    let ways: [&[&str]; 6] = [
        &["repack", "-adq"],
        &["pack-refs", "--all", "--prune"],
        &["gc", "-q", "--prune=now"],
        &["repack", "-adbq", "--write-midx"],
        &["commit-graph", "write", "--reachable"],
        &["repack", "-dq", "--geometric=2"],
    ];
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        Stream::onto("main").history(100 + 4 * count..103 + 4 * count).import(sandbox, repository);
        // loose objects, too
        let blob = sandbox.git(repository, &["hash-object", "-w", "HEAD"]).success().line();
        let id = sandbox.git(repository, &["rev-parse", "main"]).line();
        sandbox.git(repository, &["update-ref", &format!("refs/heads/turn/{count}"), &id]).success();
        sandbox.git(repository, &["update-ref", &format!("refs/tags/blob/{count}"), &blob]).success();
        sandbox.git(repository, ways[count % ways.len()]).success();
        count += 1;
    }
    count
}

fn clones_are_whole(options: &[&str]) {
    let (sandbox, server) = served(options);
    let repository = sandbox.path("served/project.git");
    // one that takes a while
    let mut stream = Stream::onto("main");
    stream.commit("main", 90).file("large.bin", build::noise(2 << 20));
    stream.import(&sandbox, &repository);
    let (url, is_over) = (server.url("project.git"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let tidied = scope.spawn(|| tidy(&sandbox, &repository, &is_over));
        for number in 0..CLONES {
            for (client, run) in ["git", "gitr"].map(|client| {
                let place = format!("{client}{number}");
                let words = ["clone", "-q", "--mirror", &url, &place];
                let top = sandbox.path("");
                (
                    place.clone(),
                    if client == "git" { sandbox.git(&top, &words) } else { sandbox.gitr(&top, &words) },
                )
            }) {
                is_over.store(run.status != 0, Ordering::Relaxed);
                run.success();
                sandbox.git(&sandbox.path(client), &["fsck", "--full", "--connectivity-only"]).success();
            }
        }
        // a repository that was cloned before is fetched from while it moves
        for number in 0..CLONES {
            let run = sandbox.git(&sandbox.path("git0"), &["fetch", "-q", "origin"]);
            is_over.store(run.status != 0 || number + 1 == CLONES, Ordering::Relaxed);
            run.success();
        }
        assert!(tidied.join().unwrap() > 2, "it was tidied up in between");
    });
    sandbox.git(&sandbox.path("git0"), &["fetch", "-q", "origin"]).success();
    let [here, there] = [&sandbox.path("git0"), &repository]
        .map(|place| sandbox.git(place, &["for-each-ref"]).success().stdout);
    assert_eq!(here, there);
}

#[test]
fn clones_of_a_repository_that_is_repacked_are_whole() {
    clones_are_whole(&[]);
}

#[test]
fn kept_packs_of_a_repository_that_is_repacked_are_whole() {
    clones_are_whole(&["--pack-cache=20m"]);
}
