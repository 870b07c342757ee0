//! Options of `fetch` that decide which refs move, and how many at once.

use bstr::ByteSlice;

use super::support::{Sandbox, Stream, Twin, build};
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

#[test]
fn an_upstream_is_set_where_one_branch_is_named() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    let id = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "main"]).line();
    for refspecs in [
        &["origin", "topic"][..],
        &["origin"],
        &["origin", "main", "topic"],
        &["origin", "v1.0"],
        &["origin", "tag", "v1.0"],
        &["origin", "HEAD"],
        &["../../served/project.git", "main"],
        &["origin", "main:refs/heads/other"],
        &["origin", &id],
    ] {
        twin.done("copy", &[&["fetch", "--set-upstream"], refspecs].concat());
        twin.same("copy");
    }
    twin.prepare(|client| {
        sandbox.git(&client.join("copy"), &["checkout", "-q", "--detach"]).success();
    });
    twin.done("copy", &["fetch", "--set-upstream", "origin", "main"]);
    twin.same("copy");
}

#[test]
fn what_is_fetched_ahead_goes_where_nobody_looks() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    twin.done("copy", &["fetch", "--prefetch"]);
    twin.same("copy");
    twin.prepare(|client| {
        let copy = client.join("copy");
        for refspec in ["refs/heads/*:refs/other/*", "+refs/tags/*:refs/tags/*"] {
            sandbox.git(&copy, &["config", "--add", "remote.origin.fetch", refspec]).success();
        }
    });
    twin.done("copy", &["fetch", "--prefetch", "--prune"]);
    twin.done("copy", &["fetch", "--prefetch", "origin", "main:refs/heads/main"]);
    twin.same("copy");
    // Git 2.47.3 crashes once this is done.
    let run = twin.gitr("copy", &["fetch", "--prefetch", "origin", "main"]);
    assert_eq!(run.status, 0, "{run:?}");
}

#[test]
fn everything_is_fetched_again_on_demand() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.done("copy", &["fetch", "--refetch"]);
    twin.same("copy");
    let loose = |client: &std::path::Path| sandbox.git(&client.join("copy"), &["count-objects"]).stdout;
    assert_eq!(loose(&twin.ours), loose(&twin.theirs));
    grow(&sandbox);
    twin.done("copy", &["fetch", "--refetch", "--keep"]);
    twin.same_objects("copy");
}

#[test]
fn common_commits_are_named_on_demand() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    });
    for (arguments, status) in [
        (&["--negotiation-tip=main"][..], 0),
        (&["--negotiation-tip=main", "--negotiation-tip=v1.0", "origin"], 0),
        (&[], 128),
        (&["--negotiation-tip=main", "--all"], 0),
        (&["--negotiation=main"], 0),
        (&["--negotiati=main", "origin"], 0),
        (&["--negotiation-=main", "--negotiation-t=v1.0"], 0),
    ] {
        let run = twin.run("copy", &[&["fetch", "--negotiate-only"], arguments].concat());
        assert_eq!(run.status, status, "{arguments:?}");
        twin.same("copy");
    }
    let old = Twin::new(&sandbox, 0, Vec::new());
    old.done("", &["clone", "-q", "../served/project.git", "copy"]);
    let run = old.run("copy", &["fetch", "--negotiate-only", "--negotiation-tip=main"]);
    assert_eq!(run.status, 255, "{run:?}");
}

#[test]
fn forced_updates_are_looked_for_unless_nobody_wants_to_know() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    sandbox.git(&sandbox.path("served/project.git"), &["branch", "-f", "main", "main~4"]).success();
    for arguments in [
        &[
            "-c",
            "advice.fetchShowForcedUpdates=false",
            "fetch",
            "--no-show-forced-updates",
            "--no-tags",
            "--dry-run",
        ][..],
        &["-c", "fetch.showForcedUpdates=false", "fetch", "--show-forced-updates", "--no-tags", "--dry-run"],
        &["-c", "fetch.showForcedUpdates=false", "fetch"],
        &["-c", "fetch.showForcedUpdates=false", "fetch"],
        &["fetch", "--no-show-forced-updates", "-q"],
    ] {
        twin.done("copy", arguments);
        twin.same("copy");
    }
}

#[test]
fn rows_can_be_compact() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let served = sandbox.path("served/project.git");
    for name in ["refs/heads/new/origin/x", "refs/heads/a-rather-long-name-for-one-branch", "refs/other/zz"] {
        sandbox.git(&served, &["update-ref", name, "main"]).success();
    }
    for arguments in [
        &["fetch", "-v"][..],
        &[
            "fetch",
            "origin",
            "main:main2",
            "main:feature/main/y",
            "topic:xtopic",
            "refs/other/zz:refs/other/zz",
        ],
        &["fetch", "origin", "new/origin/x:x", "refs/heads/new/origin/x:refs/heads/new"],
    ] {
        for layout in ["fetch.output=compact", "fetch.output=FULL"] {
            twin.run("copy", &[&["-c", layout], arguments].concat());
        }
        twin.same("copy");
    }
    assert_eq!(twin.run("copy", &["-c", "fetch.output=x", "fetch"]).status, 128);
}

#[test]
fn c_git_keeps_the_repository_in_order() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    grow(&sandbox);
    let packs = |client: &std::path::Path| {
        let count = sandbox.git(&client.join("copy"), &["count-objects", "-v"]).success();
        count
            .stdout
            .lines()
            .filter(|line| !line.starts_with(b"size"))
            .map(bstr::BString::from)
            .collect::<Vec<_>>()
    };
    let auto = ["-c", "maintenance.auto=true", "-c", "maintenance.autoDetach=false", "-c", "gc.auto=1"];
    twin.done("copy", &[&auto[..], &["fetch", "--no-auto-maintenance", "-q"]].concat());
    assert_eq!(packs(&twin.ours), packs(&twin.theirs));
    twin.git("copy", &[&auto[..], &["fetch", "-q"]].concat()).success();
    twin.gitr("copy", &[&auto[..], &["fetch", "-q"]].concat()).success();
    assert_eq!(packs(&twin.ours), packs(&twin.theirs));
    twin.done("copy", &["fetch", "--write-commit-graph", "-q"]);
    let chain =
        |client: &std::path::Path| client.join("copy/.git/objects/info/commit-graphs/commit-graph-chain");
    assert_eq!(std::fs::read(chain(&twin.ours)).unwrap(), std::fs::read(chain(&twin.theirs)).unwrap());
    twin.same("copy");
}

/// A pack may build on what a filter left out: that is fetched first, all at once.
#[test]
fn bases_that_a_partial_clone_lacks_are_fetched() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let served = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 50);
    for number in 0..60 {
        stream.file(&format!("many/file{number}.txt"), format!("{number}\n"));
    }
    stream.import(&sandbox, &served);
    let url = format!("file://{}", served.display());
    twin.done("", &["clone", "-q", "--bare", "--filter=tree:0", &url, "partial.git"]);
    twin.prepare(|client| {
        let partial = client.join("partial.git");
        sandbox.git(&partial, &["config", "--unset", "remote.origin.partialclonefilter"]).success();
    });
    let mut stream = Stream::onto("main");
    stream.commit("main", 51).file("many/file7.txt", "changed\n").import(&sandbox, &served);
    let objects = |client: &std::path::Path| {
        let arguments = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"];
        sandbox.git(&client.join("partial.git"), &arguments).success().stdout
    };
    twin.done("partial.git", &["fetch", "origin", "main:main"]);
    assert_eq!(objects(&twin.ours), objects(&twin.theirs));
    sandbox.git(&twin.ours.join("partial.git"), &["fsck"]).success();
}

#[test]
fn a_filter_is_refused_where_the_format_cannot_be_upgraded() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| {
        sandbox.git(&client.join("copy"), &["config", "extensions.nonsense", "true"]).success();
    });
    assert_eq!(twin.run("copy", &["fetch", "--filter=blob:none"]).status, 128);
}

#[test]
fn a_ref_that_leads_to_itself_is_not_moved() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for (name, target) in [("a", "b"), ("b", "a"), ("self", "self")] {
        let full = |name: &str| format!("refs/remotes/origin/{name}");
        twin.prepare(|client| {
            sandbox.git(&client.join("copy"), &["symbolic-ref", &full(name), &full(target)]).success();
        });
    }
    for name in ["a", "b", "self"] {
        let refspec = format!("main:refs/remotes/origin/{name}");
        assert_eq!(twin.run("copy", &["fetch", "origin", &refspec]).status, 1, "{name}");
    }
    twin.same_state("copy");
}

#[test]
fn a_date_that_is_none_is_refused() {
    let mut sandbox = sandbox();
    let kept = sandbox.path("kept");
    std::fs::rename(clones(&sandbox).ours.join("copy"), &kept).unwrap();
    grow(&sandbox);
    sandbox.set("GIT_COMMITTER_DATE", "not a date");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.prepare(|client| drop(build::copy(&sandbox, &kept, &client.join("copy"))));
    for words in [&["fetch", "-q"][..], &["remote", "rename", "origin", "x"]] {
        assert_eq!(twin.run("copy", words).status, 128, "{words:?}");
    }
}

/// Where the configuration cannot be read nobody knows what it names.
#[test]
fn a_broken_configuration_is_told() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| {
        let config = client.join("copy/.git/config");
        let broken = [&std::fs::read(&config).unwrap()[..], b"[bad\n"].concat();
        std::fs::write(&config, broken).unwrap();
    });
    for words in
        [&["ls-remote", "--get-url"][..], &["ls-remote"], &["ls-remote", "--get-url", "origin"], &["fetch"]]
    {
        assert_eq!(twin.run("copy", words).status, 128, "{words:?}");
    }
}
