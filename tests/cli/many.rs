//! Fetches from many remotes and into submodules, each beside C git.

use std::path::Path;

use crate::support::{Sandbox, Stream, Twin};

/// Two clones of the project with a second remote, one that is not there, and groups.
fn with_remotes(sandbox: &Sandbox) -> Twin<'_> {
    let twin = crate::clones(sandbox);
    twin.prepare(|client| {
        for (key, value) in [
            ("remote.second.url", "../../served/project.git"),
            ("remote.second.fetch", "+refs/heads/*:refs/remotes/second/*"),
            ("remotes.pair", "origin second"),
            ("remotes.lone", "second"),
            ("remotes.broken", "nosuch origin nosuch"),
        ] {
            sandbox.git(&client.join("copy"), &["config", key, value]).success();
        }
    });
    twin
}

#[test]
fn remotes_are_fetched_one_after_the_other_or_at_once() {
    let sandbox = crate::sandbox();
    let twin = with_remotes(&sandbox);
    for (arguments, status) in [
        (&["fetch", "--all"][..], 0),
        (&["fetch", "--multiple", "second", "origin", "second"], 0),
        (&["fetch", "--multiple", "second", "second", "origin"], 0),
        (&["fetch", "--multiple", "pair", "second"], 0),
        (&["fetch", "--negotiation-tip=nosuch"], 128),
        (&["fetch", "--negotiation-tip=nosuch", "--dry-run", "nosuch"], 128),
        (&["fetch", "--negotiation-tip=refs/nosuch/*"], 0),
        (&["fetch", "pair"], 0),
        (&["fetch", "lone"], 128),
        (&["fetch", "--multiple", "lone"], 0),
        (&["fetch", "broken"], 1),
        (&["fetch", "pair", "main"], 128),
        (&["fetch", "--multiple", "nosuch", "origin"], 128),
        (&["fetch", "--multiple"], 0),
        (&["fetch", "--all", "origin"], 128),
        (&["fetch", "--all", "origin", "main"], 128),
        (&["fetch", "--multiple", "-v", "-j2", "origin"], 0),
        (&["fetch", "--multiple", "--porcelain", "-v", "second", "origin"], 0),
        (&["fetch", "--multiple", "-p", "-t", "-f", "-k", "-u", "--no-write-fetch-head", "second"], 0),
        (&["fetch", "--multiple", "--atomic", "origin"], 128),
        (&["fetch", "--multiple", "--stdin", "origin"], 128),
        (&["fetch", "--multiple", "--filter=blob:none", "origin"], 128),
        (&["-c", "fetch.all=true", "fetch"], 0),
        (&["-c", "fetch.all=true", "fetch", "--no-all"], 0),
        (&["-c", "fetch.all=true", "fetch", "origin"], 0),
        (&["-c", "fetch.parallel=-1", "fetch", "--all"], 128),
    ] {
        assert_eq!(twin.run("copy", arguments).status, status, "{arguments:?}");
        twin.same("copy");
    }
}

#[test]
fn remotes_can_be_left_out_of_all() {
    let sandbox = crate::sandbox();
    let twin = with_remotes(&sandbox);
    for (key, value) in [
        ("remote.second.skipFetchAll", "true"),
        ("remote.second.skipDefaultUpdate", "false"),
        ("remote.second.skipFetchAll", "false"),
        ("remote.second.skipDefaultUpdate", "true"),
    ] {
        twin.prepare(|client| {
            sandbox.git(&client.join("copy"), &["config", key, value]).success();
        });
        twin.done("copy", &["fetch", "--all"]);
        twin.same("copy");
    }
}

/// What remotes print stays together, whoever is first; one that fails is named and the others are fetched.
#[test]
fn lines_of_different_remotes_do_not_mix() {
    const REMOTES: usize = 6;
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    twin.prepare(|client| {
        let mut config = std::fs::read_to_string(client.join("copy/.git/config")).unwrap();
        for number in 0..REMOTES {
            config += &format!("[remote \"r{number}\"]\n\turl = ../../served/project.git\n");
            config += &format!("\tfetch = +refs/heads/*:refs/remotes/r{number}/*\n");
        }
        config += "[remote \"bad\"]\n\turl = ../../served/nosuch.git\n";
        std::fs::write(client.join("copy/.git/config"), config).unwrap();
    });
    let (ours, theirs) =
        (twin.gitr("copy", &["fetch", "--all", "-j", "4"]), twin.git("copy", &["fetch", "--all", "-j", "4"]));
    assert_eq!((ours.status, theirs.status), (1, 1), "{ours:?}");
    assert_eq!(ours.stdout, theirs.stdout);
    let blocks = |text: &bstr::BString| {
        let text = text.to_string();
        let mut blocks: Vec<String> = text.split("From ").map(str::to_owned).collect();
        // where the complaint of the bad one stands is a matter of time
        let complaint = "could not fetch 'bad' (exit code: 128)\n";
        assert!(text.contains(complaint), "{text}");
        for block in &mut blocks {
            if let Some(at) = block.find("fatal: ") {
                block.truncate(at);
            }
        }
        blocks.retain(|block| !block.is_empty());
        blocks.sort();
        blocks
    };
    assert_eq!(blocks(&ours.stderr), blocks(&theirs.stderr));
    let names = ["for-each-ref", "--format=%(refname) %(objectname)"];
    let refs = |client: &Path| sandbox.git(&client.join("copy"), &names).success().stdout;
    assert_eq!(refs(&twin.ours), refs(&twin.theirs));
}

/// A superproject with a submodule, both served, and clones of it with the submodule checked out.
struct Nested<'a> {
    sandbox: &'a Sandbox,
    twin: Twin<'a>,
}

impl<'a> Nested<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let served = sandbox.path("served");
        let git = |place: &Path, arguments: &[&str]| {
            let allowed = [&["-c", "protocol.file.allow=always"], arguments].concat();
            sandbox.git(place, &allowed).success()
        };
        for name in ["inner", "outer"] {
            git(&served, &["init", "-q", name]);
            git(&served.join(name), &["commit", "-q", "--allow-empty", "-m", "one"]);
        }
        let url = format!("file://{}", served.join("inner").display());
        git(&served.join("outer"), &["submodule", "--quiet", "add", &url, "deep/sub"]);
        git(&served.join("outer"), &["commit", "-q", "-m", "submodule"]);
        let twin = Twin::new(sandbox, 2, Vec::new());
        let url = format!("file://{}", served.join("outer").display());
        for client in [&twin.ours, &twin.theirs] {
            git(client, &["clone", "-q", "--recurse-submodules", &url, "copy"]);
        }
        Self { sandbox, twin }
    }

    /// A new commit of the submodule, and one of the superproject that uses it, which `is_hidden` from the refs of the
    /// submodule.
    fn advance(&self, is_hidden: bool) {
        let served = self.sandbox.path("served");
        let git = |place: &Path, arguments: &[&str]| {
            self.sandbox.git(place, arguments).success();
        };
        let (inner, outer) = (served.join("inner"), served.join("outer"));
        git(&inner, &["commit", "-q", "--allow-empty", "-m", "next"]);
        git(&outer.join("deep/sub"), &["fetch", "-q"]);
        git(&outer.join("deep/sub"), &["checkout", "-q", "origin/main"]);
        git(&outer, &["commit", "-q", "-a", "-m", "next"]);
        if is_hidden {
            git(&inner, &["update-ref", "refs/hidden/x", "HEAD"]);
            git(&inner, &["reset", "-q", "--hard", "HEAD^"]);
            git(&inner, &["config", "transfer.hideRefs", "refs/hidden"]);
        }
    }

    /// Both fetch; what they print and what the submodule has is the same.
    #[track_caller]
    fn fetch(&self, options: &[&str], status: i32) {
        let run = self.twin.run("copy", &[&["-c", "protocol.file.allow=always", "fetch"], options].concat());
        assert_eq!(run.status, status, "{options:?}: {run:?}");
        let count = |client: &Path| {
            let arguments = ["-C", "deep/sub", "rev-list", "--count", "--all", "FETCH_HEAD"];
            self.sandbox.git(&client.join("copy"), &arguments).stdout
        };
        assert_eq!(count(&self.twin.ours), count(&self.twin.theirs), "{options:?}");
    }
}

#[test]
fn submodules_are_fetched_where_their_commits_are_used() {
    let sandbox = Sandbox::new();
    let nested = Nested::new(&sandbox);
    nested.fetch(&[], 0);
    nested.advance(false);
    nested.fetch(&[], 0);
    nested.advance(false);
    nested.fetch(&["--no-recurse-submodules"], 0);
    nested.advance(false);
    nested.fetch(&["--dry-run"], 0);
    nested.fetch(&["--recurse-submodules=on-demand", "-v", "--jobs=3"], 0);
    nested.fetch(&["--recurse-submodules", "-v"], 0);
    nested.fetch(&["--recurse-submodules", "-q", "--prune"], 0);
    nested.fetch(&["--recurse-submodules-default=yes", "--submodule-prefix=top/"], 0);
}

#[test]
fn a_commit_that_no_ref_has_is_asked_for_by_id() {
    let sandbox = Sandbox::new();
    let nested = Nested::new(&sandbox);
    nested.advance(true);
    nested.fetch(&[], 0);
}

#[test]
fn the_configuration_says_which_submodules_are_fetched() {
    let sandbox = Sandbox::new();
    let nested = Nested::new(&sandbox);
    for (settings, status) in [
        (&[("submodule.recurse", "true")][..], 0),
        (&[("fetch.recurseSubmodules", "false"), ("submodule.recurse", "true")], 0),
        (&[("submodule.recurse", "true"), ("fetch.recurseSubmodules", "false")], 0),
        (&[("submodule.deep/sub.fetchRecurseSubmodules", "true")], 0),
        (&[("fetch.recurseSubmodules", "bogus")], 128),
        (&[("submodule.deep/sub.fetchRecurseSubmodules", "bogus")], 128),
        (&[("submodule.fetchJobs", "-1")], 128),
    ] {
        let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut arguments = vec!["-c", "protocol.file.allow=always"];
        for setting in &settings {
            arguments.extend(["-c", setting]);
        }
        arguments.push("fetch");
        assert_eq!(nested.twin.run("copy", &arguments).status, status, "{settings:?}");
    }
    nested.fetch(&["--recurse-submodules=bogus"], 128);
    nested.fetch(&["--porcelain", "--recurse-submodules"], 128);
    nested.fetch(&["--negotiate-only", "--negotiation-tip=main", "--recurse-submodules"], 128);
}

#[test]
fn a_submodule_that_cannot_be_fetched_is_named() {
    let sandbox = Sandbox::new();
    let nested = Nested::new(&sandbox);
    nested.advance(false);
    std::fs::rename(sandbox.path("served/inner"), sandbox.path("served/moved")).unwrap();
    nested.fetch(&["--recurse-submodules"], 1);
}

/// What is not checked out is fetched where it is kept, if new commits of it are used.
#[test]
fn a_submodule_without_a_work_tree_is_fetched_on_demand() {
    let sandbox = Sandbox::new();
    let nested = Nested::new(&sandbox);
    nested.twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["checkout", "-q", "--no-recurse-submodules", "HEAD^"]).success();
        std::fs::remove_dir_all(copy.join("deep")).unwrap();
    });
    nested.advance(false);
    let run = nested.twin.done("copy", &["-c", "protocol.file.allow=always", "fetch"]);
    assert!(run.complains_of("Fetching submodule deep/sub at commit "), "{run:?}");
}

/// One that came with the fetch is not here yet: it is named, and nothing has failed.
#[test]
fn a_new_submodule_is_named_with_its_commit() {
    let sandbox = Sandbox::new();
    let nested = Nested::new(&sandbox);
    let served = sandbox.path("served");
    let url = format!("file://{}", served.join("inner").display());
    for path in ["new", "deep/new"] {
        let git = |arguments: &[&str]| sandbox.git(&served.join("outer"), arguments).success();
        git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, path]);
        git(&["commit", "-q", "-m", path]);
    }
    nested.fetch(&["--dry-run"], 0);
    nested.fetch(&["--recurse-submodules"], 0);
    let run = nested.twin.run("copy", &["fetch", "-q", "--refetch"]);
    assert_eq!(run.status, 0, "{run:?}");
}

#[test]
fn refspecs_come_from_standard_input() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    let mut stream = Stream::onto("main");
    stream.history(12..14).branch("topic", "refs/heads/main");
    stream.import(&sandbox, &sandbox.path("served/project.git"));
    for (arguments, input) in [
        (&["fetch", "--stdin"][..], "main\nrefs/heads/topic:refs/heads/mine\n"),
        (&["fetch", "--stdin", "origin", "main"], "v1.0\n"),
        (&["fetch", "--stdin", "origin"], "tag v1.0\n"),
        (&["fetch", "--stdin", "origin", "nosuch"], ""),
        (&["fetch", "--stdin"], ""),
    ] {
        twin.run_with_input("copy", arguments, input);
        twin.same("copy");
    }
}
