//! Answers that are kept, and C git in the place of gitr.

use bstr::ByteSlice as _;

use crate::client::{fetch, get, ls_refs, packets, post};
use crate::served;
use crate::support::servers::free_port;
use crate::support::{Serve as _, Stream};

const REFS: &str = "/project.git/info/refs?service=git-upload-pack";

/// What the server has counted under a name with labels.
fn count(admin: u16, name: &str) -> u64 {
    let metrics = get(admin, "/metrics").body.to_string();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.trim().parse().unwrap()
}

#[test]
fn what_was_asked_before_is_not_made_again_until_the_repository_changes() {
    let admin = free_port();
    let (sandbox, server) = served(&["--pack-cache=10m", &format!("--admin=127.0.0.1:{admin}")]);
    let port = server.process.port;
    let repository = sandbox.path("served/project.git");
    let id = sandbox.git(&repository, &["rev-parse", "main"]).line();
    let hits = || count(admin, "gitr_cache_total{result=\"hit\"}");
    let made = post(port, fetch(&id));
    assert!(made.is_whole && made.body.contains_str("PACK"), "{made:?}");
    // a repository that has just changed is too young
    assert!((0..10_000).any(|_| post(port, fetch(&id)).status == 200 && hits() > 0));
    let kept = post(port, fetch(&id));
    assert_eq!((kept.status, kept.is_whole), (200, true));
    assert_eq!(kept.header("content-type"), made.header("content-type"));
    assert_eq!(kept.body.find("PACK"), made.body.find("PACK"));
    let missing = fetch(&"1".repeat(40));
    for _ in 0..2 {
        assert!(post(port, &missing).body.contains_str("not our ref"));
    }
    assert!((0..10_000).any(|_| {
        let before = hits();
        post(port, ls_refs());
        hits() > before
    }));
    for number in 40..43 {
        Stream::onto("main").history(number..number + 1).import(&sandbox, &repository);
        let id = sandbox.git(&repository, &["rev-parse", "main"]).line();
        assert!(post(port, ls_refs()).body.contains_str(&id), "a list is never older than the refs");
        assert!(post(port, fetch(&id)).body.contains_str("PACK"));
    }
}

#[test]
fn nobody_spoils_what_others_get() {
    let admin = free_port();
    let (sandbox, server) = served(&["--pack-cache", &format!("--admin=127.0.0.1:{admin}")]);
    let port = server.process.port;
    let id = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "main"]).line();
    let good = fetch(&id);
    let (begin, _) = good.split_at(good.len() - 4);
    // who asks is no argument
    for line in ["agent=x", "session-id=x"] {
        let bad = [begin, &packets(&[line, "0000"])].concat();
        let misses = || count(admin, "gitr_cache_total{result=\"miss\"}");
        let before = misses();
        // a repository that has just changed is too young
        assert!((0..10_000).any(|_| post(port, &bad).body.contains_str("ERR ") && misses() > before));
        assert!(post(port, &good).body.contains_str("PACK"), "{line}");
    }
    let hits = count(admin, "gitr_cache_total{result=\"hit\"}");
    for _ in 0..2 {
        assert!(post(port, fetch(&"1".repeat(40))).body.contains_str("not our ref"));
    }
    assert_eq!(count(admin, "gitr_cache_total{result=\"hit\"}"), hits, "a refusal is not kept");
}

#[test]
fn what_the_configuration_forbids_is_not_served_because_it_was_kept() {
    let admin = free_port();
    let (sandbox, server) = served(&["--pack-cache", &format!("--admin=127.0.0.1:{admin}")]);
    let port = server.process.port;
    let (repository, included) = (sandbox.path("served/project.git"), sandbox.path("included"));
    let id = sandbox.git(&repository, &["rev-parse", "main"]).line();
    std::fs::write(&included, "").unwrap();
    sandbox.git(&repository, &["config", "include.path", included.to_str().unwrap()]).success();
    let hits = || count(admin, "gitr_cache_total{result=\"hit\"}");
    assert!((0..10_000).any(|_| post(port, fetch(&id)).status == 200 && hits() > 0));
    for (text, status) in [("", 200), ("[http]\n\tuploadpack = false\n", 403), ("", 200)] {
        std::fs::write(&included, text).unwrap();
        assert_eq!(post(port, fetch(&id)).status, status, "{text}");
        assert_eq!(post(port, ls_refs()).status, status, "{text}");
    }
}

#[test]
fn many_who_ask_the_same_get_the_same() {
    let (sandbox, server) = served(&["--pack-cache", "--limit=packs=1"]);
    let port = server.process.port;
    let repository = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 200).file("large.bin", crate::support::build::noise(2 << 20));
    stream.import(&sandbox, &repository);
    let id = sandbox.git(&repository, &["rev-parse", "main"]).line();
    let threads: Vec<_> = (0..12)
        .map(|number| {
            let request = fetch(&id);
            std::thread::spawn(move || match number {
                // some ask and do not wait
                0 | 5 => {
                    let mut client = crate::client::Client::new(port);
                    let head = crate::client::head(&format!("Content-Length: {}", request.len()));
                    client.send(format!("{}\r\nHost: x\r\n\r\n", head.replace('\n', "\r\n")));
                    client.send(&request);
                    None
                }
                _ => Some(post(port, &request)),
            })
        })
        .collect();
    let answers: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(answers.len(), 10);
    for answer in &answers {
        assert!(answer.is_whole && answer.body.len() > 2 << 20, "{} {}", answer.is_whole, answer.body.len());
    }
}

#[test]
fn c_git_may_answer_instead() {
    let (sandbox, server) = served(&["--backend=git", "--enable-receive-pack=anybody"]);
    let port = server.process.port;
    let url = server.url("project.git");
    let repository = sandbox.path("served/project.git");
    let place = sandbox.path("clone");
    sandbox.git(&sandbox.path(""), &["clone", "-q", &url, place.to_str().unwrap()]).success();
    let mut stream = Stream::onto("main");
    stream.commit("main", 200).file("large.bin", crate::support::build::noise(2 << 20));
    stream.import(&sandbox, &place);
    sandbox.gitr(&place, &["push", "-q", "origin", "main:refs/heads/pushed"]).success();
    sandbox.git(&repository, &["fsck", "--strict"]).success();
    assert!(get(port, REFS).body.contains_str("agent=git/"));
    assert!(!get(port, REFS).body.contains_str("gitr"));
    assert_eq!(get(port, "/none.git/info/refs?service=git-upload-pack").status, 404);
    assert_eq!(get(port, "/project.git/../project.git/HEAD").status, 400);
    std::os::unix::fs::symlink(sandbox.path("clone/.git"), sandbox.path("served/link.git")).unwrap();
    assert_eq!(get(port, "/link.git/info/refs?service=git-upload-pack").status, 404);
    let (_sandbox, closed) = served(&["--backend=git"]);
    assert_eq!(get(closed.process.port, "/project.git/info/refs?service=git-receive-pack").status, 403);
}
