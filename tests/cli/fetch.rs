//! Options of `fetch` that decide which refs move, and how many at once.

use super::support::{Sandbox, Stream, Twin};
use super::{clones, sandbox};

/// What the server gets after the clones were made: a branch and a tag.
fn grow(sandbox: &Sandbox) {
    let mut stream = Stream::onto("main");
    stream.history(12..14).branch("topic", "refs/heads/main").light_tag("fresh", "refs/heads/main");
    stream.import(sandbox, &sandbox.path("served/project.git"));
}

/// Removes the refs that [`grow`] made.
fn shrink(sandbox: &Sandbox) {
    let served = sandbox.path("served/project.git");
    for name in ["refs/heads/topic", "refs/tags/fresh"] {
        sandbox.git(&served, &["update-ref", "-d", name]).success();
    }
}

/// Two clones that have what [`grow`] made and [`shrink`] took away.
fn outdated(sandbox: &Sandbox) -> Twin<'_> {
    let twin = clones(sandbox);
    grow(sandbox);
    twin.done("copy", &["fetch", "-q"]);
    shrink(sandbox);
    twin
}

#[test]
fn tags_are_pruned_on_demand() {
    let sandbox = sandbox();
    let twin = outdated(&sandbox);
    let url = sandbox.path("served/project.git").display().to_string();
    let everything = "+refs/heads/*:refs/remotes/origin/*";
    twin.done("copy", &["fetch", "--prune-tags"]);
    twin.done("copy", &["fetch", "-p", "-P", "origin", everything]);
    twin.same("copy");
    twin.done("copy", &["fetch", "--prune", "--prune-tags", &url]);
    twin.same("copy");
}

#[test]
fn the_configuration_prunes_for_urls_too() {
    let sandbox = sandbox();
    let twin = outdated(&sandbox);
    let url = sandbox.path("served/project.git").display().to_string();
    twin.prepare(|client| {
        for (key, value) in [("fetch.prune", "true"), ("remote.origin.pruneTags", "true")] {
            sandbox.git(&client.join("copy"), &["config", key, value]).success();
        }
    });
    twin.done("copy", &["fetch", &url, "+refs/heads/*:refs/remotes/origin/*"]);
    twin.same("copy");
    twin.done("copy", &["fetch"]);
    twin.same("copy");
}

#[test]
fn an_atomic_fetch_moves_all_refs_or_none() {
    let sandbox = sandbox();
    let twin = outdated(&sandbox);
    grow(&sandbox);
    let served = sandbox.path("served/project.git");
    sandbox.git(&served, &["branch", "-f", "topic", "main~3"]).success();
    sandbox.git(&served, &["branch", "other", "main"]).success();
    let unforced = ["fetch", "--atomic", "origin", "refs/heads/*:refs/remotes/origin/*"];
    assert_eq!(twin.run("copy", &unforced).status, 1);
    twin.same("copy");
    sandbox.git(&served, &["branch", "-D", "topic"]).success();
    twin.done("copy", &["fetch", "--atomic", "--prune"]);
    twin.same("copy");
    twin.prepare(|client| {
        let second = ["remote", "add", "second", "../../served/project.git"];
        sandbox.git(&client.join("copy"), &second).success();
    });
    assert_eq!(twin.run("copy", &["fetch", "--atomic", "--all"]).status, 128);
}

#[test]
fn a_refmap_takes_the_place_of_the_configuration() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    twin.done("copy", &["fetch", "--refmap=", "origin", "main"]);
    twin.done("copy", &["fetch", "--refmap=refs/heads/*:refs/remotes/other/*", "origin", "topic"]);
    twin.same("copy");
    assert_eq!(twin.run("copy", &["fetch", "--refmap=main:main"]).status, 128);
    assert_eq!(twin.run("copy", &["fetch", "--refmap=a:b:c", "origin", "main"]).status, 128);
}

#[test]
fn a_negotiation_starts_from_the_tips_that_are_named() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let id = sandbox.git(&twin.ours.join("copy"), &["rev-parse", "--short", "main"]).success().line();
    for (number, tip) in ["main", "origin/*", "heads/*", &id].into_iter().enumerate() {
        let mut stream = Stream::onto("main");
        stream.history(20 + number..21 + number).import(&sandbox, &sandbox.path("served/project.git"));
        twin.done("copy", &["fetch", &format!("--negotiation-tip={tip}")]);
        twin.same("copy");
    }
    for tip in ["nothing", "nothing*", "1111111111111111111111111111111111111111"] {
        let mut stream = Stream::onto("main");
        stream.history(30..31).import(&sandbox, &sandbox.path("served/project.git"));
        twin.run("copy", &["fetch", &format!("--negotiation-tip={tip}")]);
    }
}

#[test]
fn what_is_not_written_to_fetch_head_is_not_shown() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    twin.done("copy", &["fetch", "--no-write-fetch-head", "origin", "topic"]);
    twin.done("copy", &["fetch", "--dry-run", "origin", "main"]);
    twin.same("copy");
}

#[test]
fn a_refspec_without_force_overrides_the_configuration() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    sandbox.git(&sandbox.path("served/project.git"), &["branch", "-f", "main", "main~2"]).success();
    let run = twin.run("copy", &["fetch", "origin", "refs/heads/*:refs/remotes/origin/*"]);
    assert_eq!(run.status, 1);
    twin.same("copy");
}

#[test]
fn few_objects_become_loose_ones() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    let count = |client: &std::path::Path| sandbox.git(&client.join("copy"), &["count-objects", "-v"]).stdout;
    twin.done("copy", &["fetch"]);
    assert_eq!(count(&twin.ours), count(&twin.theirs));
    shrink(&sandbox);
    let mut stream = Stream::onto("main");
    stream.history(14..16).import(&sandbox, &sandbox.path("served/project.git"));
    twin.done("copy", &["fetch", "--keep"]);
    let packs = |client: &std::path::Path| {
        let directory = client.join("copy/.git/objects/pack");
        let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let mut kinds: Vec<_> = names.map(|path| path.extension().unwrap().to_owned()).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(packs(&twin.ours), packs(&twin.theirs));
}

#[test]
fn a_branch_that_a_work_tree_of_a_bare_repository_has_is_left_alone() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.prepare(|client| {
        sandbox.git(client, &["clone", "-q", "--bare", "../served/project.git", "bare.git"]).success();
        sandbox
            .git(client, &["-C", "bare.git", "worktree", "add", "-q", "-b", "side", "../tree", "main~1"])
            .success();
    });
    assert_eq!(twin.run("bare.git", &["fetch", "origin", "main:side"]).status, 128);
    assert_eq!(twin.run("tree", &["fetch", "origin", "main:side"]).status, 128);
    twin.done("bare.git", &["fetch", "origin", "main:main", "main:new"]);
    twin.done("bare.git", &["fetch", "-u", "origin", "main:side"]);
}

#[test]
fn an_old_server_is_not_asked_for_what_it_has_not_advertised() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 0, Vec::new());
    twin.done("", &["clone", "-q", "../served/project.git", "copy"]);
    let served = sandbox.path("served/project.git");
    sandbox.git(&served, &["config", "uploadpack.allowAnySHA1InWant", "false"]).success();
    let absent = "1".repeat(40);
    let refspec = format!("{absent}:refs/heads/new");
    for refspecs in [&[&*absent][..], &["main", &*refspec]] {
        assert_eq!(twin.run("copy", &[&["fetch", "origin"], refspecs].concat()).status, 1);
    }
    sandbox.git(&served, &["config", "uploadpack.allowTipSHA1InWant", "true"]).success();
    let ours = twin.gitr("copy", &["fetch", "origin", &absent]);
    assert!(
        ours.complains_of(&format!("fatal: remote error: upload-pack: not our ref {absent}")),
        "{ours:?}"
    );
}

#[test]
fn a_filter_makes_the_remote_a_promisor() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let served = sandbox.path("served/project.git");
    sandbox.git(&served, &["config", "uploadpack.allowFilter", "true"]).success();
    let url = format!("file://{}", served.display());
    twin.prepare(|client| {
        sandbox.git(client, &["init", "-q", "empty"]).success();
    });
    twin.done("empty", &["fetch", "--filter=blob:none", &url, "main:refs/heads/other"]);
    grow(&sandbox);
    twin.done("copy", &["fetch", "--filter=blob:none", "origin"]);
    twin.done("copy", &["fetch", "--filter=tree:0", "origin"]);
    for (name, file) in [("empty", ".git/config"), ("copy", ".git/config")] {
        let read = |client: &std::path::Path| std::fs::read_to_string(client.join(name).join(file)).unwrap();
        assert_eq!(read(&twin.ours), read(&twin.theirs));
    }
    sandbox.git(&twin.ours.join("empty"), &["fsck", "--connectivity-only"]).success();
}
