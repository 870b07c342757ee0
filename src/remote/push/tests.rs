//! What is decided about the refs of a far side that C git made, and what becomes of them.

use std::path::Path;
use std::process::{Command, Output};

use super::*;
use crate::progress::Discard;
use crate::repo::Environment;

/// A bare repository `far.git` with `main`, `side`, `other` (all at the second commit of `main`) and the annotated tag
/// `v1`, and `work`, a clone of it with the same branches.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.git(".", &["init", "-q", "--bare", "-b", "main", "far.git"]);
        site.git(".", &["init", "-q", "-b", "main", "work"]);
        site.work(&["remote", "add", "origin", "../far.git"]);
        for message in ["first", "second"] {
            site.work(&["commit", "-q", "--allow-empty", "-m", message]);
        }
        site.work(&["tag", "-m", "v1", "v1", "main~1"]);
        site.work(&["branch", "side"]);
        site.work(&["branch", "other"]);
        site.work(&["push", "-q", "origin", "main", "side", "other", "v1"]);
        site
    }

    fn environment(&self) -> Environment {
        let mut env: Environment = Environment::from_process()
            .vars()
            .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GIT_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.set("HOME", self.0.path());
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            env.set(format!("GIT_{who}_NAME"), "A");
            env.set(format!("GIT_{who}_EMAIL"), "a@example.com");
        }
        env
    }

    fn run(&self, directory: &str, words: &[&str]) -> Output {
        let directory = self.0.path().join(directory);
        let mut command = Command::new("git");
        command.args(words).current_dir(directory).env_clear().envs(self.environment().vars());
        command.output().unwrap()
    }

    fn git(&self, directory: &str, words: &[&str]) -> String {
        let output = self.run(directory, words);
        assert!(output.status.success(), "{words:?}: {}", output.stderr.as_bstr());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn work(&self, words: &[&str]) -> String {
        self.git("work", words)
    }

    fn id(&self, name: &str) -> ObjectId {
        ObjectId::from_hex(self.work(&["rev-parse", name]).as_bytes()).unwrap()
    }

    fn repo(&self) -> Repository {
        Repository::open(&self.path("work/.git"), None, &[], &self.environment()).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, refspecs: &[&str]) -> Options {
        Options {
            refspecs: refspecs.iter().map(|text| BString::from(*text)).collect(),
            transport: transport::Options {
                directory: Some(self.path("work")),
                child_stderr: transport::ChildStderr::Discard,
                ..transport::Options::default()
            },
            ..Options::default()
        }
    }

    /// Goes as far as `step`.
    fn push<T>(
        &self,
        remote: &str,
        options: &Options,
        step: impl FnOnce(Decided<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let repo = self.repo();
        let remote = Remote::from_config(&repo.config, remote.into())?;
        let url = remote.push_urls[0].clone();
        let push = Push::new(&repo, &remote, url.as_bstr(), options);
        step(push.connect(&mut Discard)?.decide(&mut Discard)?)
    }

    /// The rows as `<source> <name> <status>`, `+` in front of what is forced.
    fn decide(&self, options: &Options) -> Result<Vec<String>, Error> {
        self.push("origin", options, |decided| {
            let rows = decided.rows().iter().map(shown).collect();
            decided.close();
            Ok(rows)
        })
    }

    fn rows(&self, refspecs: &[&str]) -> Vec<String> {
        self.decide(&self.options(refspecs)).unwrap()
    }

    /// What git prints of a push that is none.
    fn told(&self, refspecs: &[&str]) -> Vec<String> {
        match self.decide(&self.options(refspecs)) {
            Err(Error::NotPushed { told }) => told.iter().map(|told| format!("{told:?}")).collect(),
            outcome => panic!("{outcome:?}"),
        }
    }

    fn send(&self, refspecs: &[&str]) -> Result<Outcome, Error> {
        self.push("origin", &self.options(refspecs), |decided| decided.send(&mut Discard))
    }

    #[cfg(unix)]
    fn install(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("work/.git/hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn shown(row: &RefUpdate) -> String {
    let force = if row.forced { "+" } else { "" };
    let source = row.source.as_ref().map_or("(delete)".into(), ToString::to_string);
    format!("{force}{source} {} {:?}", row.name, row.status)
}

#[test]
fn destinations_are_completed() {
    let site = Site::new();
    site.work(&["branch", "new"]);
    site.work(&["tag", "light"]);
    site.work(&["symbolic-ref", "refs/heads/link", "refs/heads/new"]);
    for (refspec, expected) in [
        ("main", "refs/heads/main refs/heads/main UpToDate"),
        ("HEAD", "HEAD refs/heads/main UpToDate"),
        ("@:unknown", "HEAD refs/heads/unknown Pending"),
        ("light:unknown", "refs/tags/light refs/tags/unknown Pending"),
        ("main~1:refs/misc/x", "main~1 refs/misc/x Pending"),
        ("main~1:side", "main~1 refs/heads/side NonFastForward"),
        ("origin/main", "refs/remotes/origin/main refs/remotes/origin/main Pending"),
        ("link", "refs/heads/link refs/heads/new Pending"),
        (":side", "(delete) refs/heads/side Pending"),
        (":refs/heads/nosuch", "(delete) refs/heads/nosuch Pending"),
    ] {
        assert_eq!(site.rows(&[refspec]), [expected], "{refspec}");
    }
}

#[test]
fn every_refspec_that_fails_is_told_of() {
    let site = Site::new();
    site.work(&["tag", "side"]);
    assert_eq!(
        site.told(&["nosuch", "side:refs/heads/x", "main", "none:y"]),
        [
            r#"Error("src refspec nosuch does not match any")"#,
            r#"Error("src refspec side matches more than one")"#,
            r#"Error("src refspec none does not match any")"#,
        ]
    );
    assert_eq!(
        site.told(&[":nosuch", "main:refs/x/a", "main:refs/x/a"]),
        [
            r#"Error("unable to delete 'nosuch': remote ref does not exist")"#,
            r#"Error("dst ref refs/x/a receives from more than one src")"#,
        ]
    );
    site.git("far.git", &["tag", "other", "main"]);
    assert_eq!(site.told(&["main:other"]), [r#"Error("dst refspec other matches more than one")"#]);
}

#[test]
fn a_destination_that_nobody_can_guess_is_explained() {
    let site = Site::new();
    let Err(Error::NotPushed { told }) = site.decide(&site.options(&["main~1:x", "v1^{tag}:y"])) else {
        panic!("pushed")
    };
    let [Told::Error(text), Told::Hint(hint), Told::Error(_), Told::Hint(second)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        text.starts_with(
            "The destination you provided is not a full refname (i.e.,\nstarting with \"refs/\")."
        )
    );
    assert!(
        text.contains(
            "- Checking if the <src> being pushed ('main~1')\n  is a ref in \"refs/{heads,tags}/\"."
        )
    );
    assert_eq!(
        hint,
        "The <src> part of the refspec is a commit object.\nDid you mean to create a new branch by pushing to\n\
         'main~1:refs/heads/x'?"
    );
    assert!(second.ends_with("Did you mean to create a new tag by pushing to\n'v1^{tag}:refs/tags/y'?"));
    site.work(&["config", "advice.pushUnqualifiedRefName", "false"]);
    assert_eq!(site.told(&["main~1:x"]).len(), 1);
}

#[test]
fn what_is_no_branch_needs_a_destination() {
    let site = Site::new();
    let id = site.id("main").to_string();
    let error = site.decide(&site.options(&[&id])).unwrap_err().to_string();
    assert_eq!(error, format!("{id} cannot be resolved to branch"));
    let error = site.decide(&site.options(&["main:"])).unwrap_err().to_string();
    assert_eq!(error, "invalid refspec 'main:'");
}

#[test]
fn patterns_take_what_they_match_and_no_ref_twice() {
    let site = Site::new();
    site.work(&["branch", "new"]);
    site.work(&["reset", "-q", "--hard", "main~1"]);
    assert_eq!(
        site.rows(&["refs/heads/*", "^refs/heads/s*"]),
        [
            "refs/heads/main refs/heads/main NonFastForward",
            "refs/heads/other refs/heads/other UpToDate",
            "refs/heads/new refs/heads/new Pending",
        ]
    );
    assert_eq!(
        site.rows(&["main:refs/heads/side", "+refs/heads/*:refs/heads/*"])[2],
        "refs/heads/main refs/heads/side NonFastForward"
    );
    assert_eq!(site.rows(&["+:"]).len(), 3);
    let all = Options { all: true, ..site.options(&[]) };
    assert_eq!(site.decide(&all).unwrap().len(), 4);
    let tags = Options { tags: true, ..site.options(&["new"]) };
    assert_eq!(
        site.decide(&tags).unwrap(),
        ["refs/tags/v1 refs/tags/v1 UpToDate", "refs/heads/new refs/heads/new Pending"]
    );
}

#[test]
fn what_is_gone_here_goes_there() {
    let site = Site::new();
    site.work(&["branch", "-q", "-D", "side", "other"]);
    let pruned = |refspecs: &[&str]| {
        let rows = site.decide(&Options { prune: true, ..site.options(refspecs) }).unwrap();
        rows.into_iter().filter(|row| row.starts_with("(delete)")).collect::<Vec<_>>()
    };
    let (first, second) = ("(delete) refs/heads/other Pending", "(delete) refs/heads/side Pending");
    assert_eq!(pruned(&["refs/heads/*"]), [first, second]);
    assert_eq!(pruned(&[":"]), [first, second]);
    assert_eq!(pruned(&["refs/heads/*", "^refs/heads/side"]), [first]);
    assert_eq!(pruned(&["main"]), [""; 0]);
    let mirror = Options { mirror: true, ..site.options(&[]) };
    assert_eq!(
        site.decide(&mirror).unwrap(),
        [
            "refs/heads/main refs/heads/main UpToDate",
            first,
            second,
            "refs/tags/v1 refs/tags/v1 UpToDate",
            "refs/remotes/origin/main refs/remotes/origin/main Pending",
            "refs/remotes/origin/other refs/remotes/origin/other Pending",
            "refs/remotes/origin/side refs/remotes/origin/side Pending",
        ]
    );
}

#[test]
fn annotated_tags_follow_what_they_name() {
    let site = Site::new();
    site.work(&["tag", "light"]);
    site.work(&["tag", "-m", "x", "near"]);
    site.work(&["tag", "-m", "x", "nested", "near"]);
    site.work(&["tag", "-m", "x", "tree", "main^{tree}"]);
    site.work(&["checkout", "-q", "-b", "far"]);
    site.work(&["commit", "-q", "--allow-empty", "-m", "far"]);
    site.work(&["tag", "-m", "x", "ahead"]);
    let follow = |refspec: &str| {
        let rows = site.decide(&Options { follow_tags: true, ..site.options(&[refspec]) }).unwrap();
        rows.into_iter().filter(|row| row.contains("refs/tags/")).collect::<Vec<_>>()
    };
    let [near, nested] = ["near", "nested"].map(|tag| format!("refs/tags/{tag} refs/tags/{tag} Pending"));
    assert_eq!(follow("main"), [near.clone(), nested.clone()]);
    assert_eq!(follow("far"), ["refs/tags/ahead refs/tags/ahead Pending".to_owned(), near, nested]);
}

#[test]
fn each_rule_has_its_rejection() {
    let site = Site::new();
    site.git(".", &["init", "-q", "-b", "main", "foreign"]);
    site.git("foreign", &["commit", "-q", "--allow-empty", "-m", "foreign"]);
    site.git("foreign", &["push", "-q", "../far.git", "main:foreign"]);
    for (refspec, expected) in [
        ("main~1:refs/heads/main", "main~1 refs/heads/main NonFastForward"),
        ("main:foreign", "refs/heads/main refs/heads/foreign FetchFirst"),
        ("main:refs/tags/v1", "refs/heads/main refs/tags/v1 AlreadyExists"),
        ("main^{tree}:refs/heads/main", "main^{tree} refs/heads/main NeedsForce"),
        ("v1:refs/heads/main", "refs/tags/v1 refs/heads/main NonFastForward"),
    ] {
        assert_eq!(site.rows(&[refspec]), [expected], "{refspec}");
        let forced = expected.rsplit_once(' ').unwrap().0;
        assert_eq!(site.rows(&[&format!("+{refspec}")]), [format!("+{forced} Pending")], "{refspec}");
        let force = Options { force: true, ..site.options(&[refspec]) };
        assert_eq!(site.decide(&force).unwrap(), [format!("+{forced} Pending")], "{refspec}");
    }
    site.work(&["commit", "-q", "--allow-empty", "-m", "ahead"]);
    assert_eq!(site.rows(&["+main"]), ["refs/heads/main refs/heads/main Pending"]);
}

#[test]
fn leases_say_what_must_be_there() {
    let site = Site::new();
    let (right, wrong, null) = (site.id("side"), site.id("side~1"), site.repo().object_hash.null());
    let status = |all: bool, refs: &[(&str, Option<ObjectId>)], refspec: &str| {
        let refs = refs.iter().map(|(name, expected)| (BString::from(*name), *expected)).collect();
        let options = Options { lease: Leases { all, refs }, ..site.options(&[refspec]) };
        let rows = site.decide(&options).unwrap();
        let row = rows.first().unwrap();
        row.rsplit_once(' ')
            .map(|(_, status)| format!("{}{status}", if row.starts_with('+') { "+" } else { "" }))
            .unwrap()
    };
    let back = "side~1:refs/heads/side";
    assert_eq!(status(true, &[], back), "+Pending");
    assert_eq!(status(false, &[("side", None)], back), "+Pending");
    assert_eq!(status(false, &[("side", Some(right))], back), "+Pending");
    assert_eq!(status(false, &[("heads/side", Some(wrong))], back), "Stale");
    assert_eq!(status(true, &[("side", Some(wrong))], back), "Stale");
    assert_eq!(status(false, &[("side", Some(wrong)), ("side", Some(right))], back), "Stale");
    assert_eq!(status(false, &[("nosuch", Some(wrong))], back), "NonFastForward");
    assert_eq!(status(false, &[("side", Some(wrong))], &format!("+{back}")), "+Pending");
    assert_eq!(status(false, &[("side", Some(wrong))], ":side"), "Stale");
    assert_eq!(status(false, &[("side", Some(wrong))], "side"), "UpToDate");
    assert_eq!(status(false, &[("new", Some(null))], "main:refs/heads/new"), "Pending");
    assert_eq!(status(true, &[], "main:refs/heads/new"), "Pending");
    // nothing tracks tags, so nobody knows what is there
    assert_eq!(status(true, &[], "main:refs/tags/v1"), "Stale");
}

#[test]
fn what_was_fetched_must_have_been_looked_at() {
    let site = Site::new();
    let tried = |refspec: &str| {
        let lease = Leases { all: true, refs: Vec::new() };
        site.decide(&Options { lease, force_if_includes: true, ..site.options(&[refspec]) }).unwrap()
    };
    site.work(&["commit", "-q", "--amend", "--allow-empty", "-m", "other words"]);
    assert_eq!(tried("main"), ["+refs/heads/main refs/heads/main Pending"]);
    site.git(".", &["clone", "-q", "far.git", "third"]);
    site.git("third", &["commit", "-q", "--allow-empty", "-m", "third"]);
    site.git("third", &["push", "-q", "origin", "main"]);
    site.work(&["fetch", "-q"]);
    assert_eq!(tried("main"), ["refs/heads/main refs/heads/main RemoteUpdated"]);
    assert_eq!(tried("side~1:main"), ["side~1 refs/heads/main RemoteUpdated"]);
    site.work(&["reset", "-q", "--hard", "origin/main"]);
    site.work(&["reset", "-q", "--hard", "main@{1}"]);
    assert_eq!(tried("main"), ["+refs/heads/main refs/heads/main Pending"]);
}

#[test]
fn the_configuration_says_what_is_pushed_by_default() {
    let site = Site::new();
    site.work(&["checkout", "-q", "-b", "topic"]);
    let outcome = |settings: &[(&str, &str)], refspecs: &[&str]| {
        for (key, value) in settings {
            site.work(&["config", key, value]);
        }
        let outcome = site.decide(&site.options(refspecs)).map_err(|error| error.to_string());
        for (key, _) in settings {
            site.work(&["config", "--unset", key]);
        }
        outcome
    };
    let failure = |settings: &[(&str, &str)]| outcome(settings, &[]).unwrap_err();
    let success = |settings: &[(&str, &str)]| outcome(settings, &[]).unwrap();
    let to_topic = ["refs/heads/topic refs/heads/topic Pending"];
    let to_side = ["refs/heads/topic refs/heads/side UpToDate"];
    let (remote, own, other) = (
        ("branch.topic.remote", "origin"),
        ("branch.topic.merge", "refs/heads/topic"),
        ("branch.topic.merge", "refs/heads/side"),
    );
    assert!(failure(&[]).starts_with("The current branch topic has no upstream branch.\n"));
    assert!(failure(&[("push.default", "nothing")]).ends_with("push.default is \"nothing\"."));
    assert!(
        failure(&[remote, other]).starts_with("The upstream branch of your current branch does not match\n")
    );
    assert!(failure(&[remote, other]).contains("To choose either option permanently"));
    assert!(!failure(&[remote, other, ("push.default", "simple")]).contains("permanently"));
    assert!(failure(&[("push.default", "bogus")]).starts_with("malformed value for push.default: bogus\n"));
    let elsewhere = failure(&[("branch.topic.remote", "elsewhere"), own, ("push.default", "upstream")]);
    assert!(elsewhere.starts_with("You are pushing to remote 'origin', which is not the upstream of\n"));
    assert_eq!(success(&[remote, own]), to_topic);
    assert_eq!(success(&[("push.autoSetupRemote", "true")]), to_topic);
    assert_eq!(success(&[("branch.topic.remote", "elsewhere"), other]), to_topic);
    assert_eq!(success(&[("push.default", "current")]), to_topic);
    assert_eq!(success(&[remote, other, ("push.default", "tracking")]), to_side);
    assert_eq!(success(&[("push.default", "matching")]).len(), 3);
    assert_eq!(success(&[("remote.origin.push", "refs/heads/topic:refs/heads/side")]), to_side);
    assert_eq!(
        outcome(&[("remote.origin.push", "refs/heads/*:refs/q/*")], &["topic"]).unwrap(),
        ["topic refs/q/topic Pending"].map(|row| row.replace("topic refs", "refs/heads/topic refs"))
    );
    assert_eq!(outcome(&[remote, other, ("push.default", "upstream")], &["topic"]).unwrap(), to_side);
    site.work(&["checkout", "-q", "--detach"]);
    assert!(failure(&[]).starts_with("You are not currently on a branch.\n"));
}

#[test]
fn the_upstream_is_set_only_where_there_is_none() {
    let site = Site::new();
    let sets = |options: &Options| {
        let repo = site.repo();
        let remote = Remote::from_config(&repo.config, "origin".into()).unwrap();
        sets_upstream(&repo, &remote, options).unwrap()
    };
    assert!(!sets(&site.options(&[])));
    site.work(&["config", "push.autoSetupRemote", "true"]);
    assert!(sets(&site.options(&[])) && !sets(&site.options(&["main"])));
    // without a remote the branch follows nothing
    site.work(&["config", "branch.main.merge", "refs/heads/x"]);
    assert!(sets(&site.options(&[])));
    site.work(&["config", "branch.main.remote", "origin"]);
    assert!(!sets(&site.options(&[])));
}

#[test]
fn a_push_has_urls_of_its_own() {
    let site = Site::new();
    let urls = |settings: &[(&str, &str)]| {
        for (key, value) in settings {
            site.work(&["config", "--add", key, value]);
        }
        let remote = Remote::from_config(&site.repo().config, "origin".into()).unwrap();
        for (key, _) in settings {
            site.run("work", &["config", "--unset-all", key]);
        }
        remote.push_urls
    };
    let rewrites = [("url.new:.pushInsteadOf", "old:"), ("url.read:.insteadOf", "old:")];
    assert_eq!(urls(&[]), ["../far.git"]);
    assert_eq!(urls(&[("remote.origin.pushurl", "a"), ("remote.origin.pushurl", "b")]), ["a", "b"]);
    assert_eq!(urls(&[("remote.origin.pushurl", "old:a"), rewrites[0], rewrites[1]]), ["read:a"]);
    site.work(&["config", "--add", "remote.origin.url", "old:x"]);
    assert_eq!(urls(&[]), ["../far.git", "old:x"]);
    assert_eq!(urls(&rewrites[1..]), ["../far.git", "read:x"]);
    assert_eq!(urls(&rewrites), ["new:x"]);
}

#[test]
fn refs_are_deleted_and_tracking_branches_go_along() {
    let site = Site::new();
    let outcome = site.send(&[":side", "main"]).unwrap();
    assert!(outcome.broken.is_none());
    assert_eq!(
        outcome.rows.iter().map(shown).collect::<Vec<_>>(),
        ["refs/heads/main refs/heads/main UpToDate", "(delete) refs/heads/side Done"]
    );
    let tracked: Vec<_> = outcome.tracking.iter().map(|tracked| tracked.name.to_string()).collect();
    assert_eq!(tracked, ["refs/remotes/origin/main", "refs/remotes/origin/side"]);
    assert_eq!(site.git("far.git", &["branch", "--format=%(refname)"]), "refs/heads/main\nrefs/heads/other");
    assert_eq!(
        site.work(&["for-each-ref", "--format=%(refname)", "refs/remotes"]),
        "refs/remotes/origin/main\nrefs/remotes/origin/other"
    );
}

#[test]
fn a_tracking_branch_that_was_behind_is_brought_up_to_date() {
    let site = Site::new();
    site.work(&["update-ref", "refs/remotes/origin/main", "main~1"]);
    site.send(&["main"]).unwrap();
    assert_eq!(site.id("refs/remotes/origin/main"), site.id("main"));
    assert!(site.work(&["reflog", "-1", "origin/main"]).ends_with("update by push"));
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = Site::new();
    let before = site.work(&["for-each-ref"]) + &site.git("far.git", &["for-each-ref"]);
    let options = Options { dry_run: true, ..site.options(&[":side", "main:refs/heads/new"]) };
    let outcome = site.push("origin", &options, |decided| decided.send(&mut Discard)).unwrap();
    assert!(outcome.rows.iter().all(|row| row.status == Status::Done) && outcome.tracking.is_empty());
    assert_eq!(site.work(&["for-each-ref"]) + &site.git("far.git", &["for-each-ref"]), before);
}

#[test]
fn all_change_or_none() {
    let site = Site::new();
    let options = Options { atomic: true, ..site.options(&[":side", "main~1:refs/heads/other"]) };
    let outcome = site.push("origin", &options, |decided| decided.send(&mut Discard)).unwrap();
    let statuses: Vec<&Status> = outcome.rows.iter().map(|row| &row.status).collect();
    assert_eq!(statuses, [&Status::NonFastForward, &Status::AtomicFailed]);
    assert_eq!(site.git("far.git", &["branch", "--list", "side", "--format=%(refname)"]), "refs/heads/side");
}

#[test]
fn a_far_side_without_refs_has_nothing_in_common() {
    let site = Site::new();
    site.git(".", &["init", "-q", "--bare", "empty.git"]);
    let outcome = site.push("../empty.git", &site.options(&[":"]), |_| Ok(()));
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "No refs in common and none specified; doing nothing.\nPerhaps you should specify a branch."
    );
}

#[test]
fn a_far_side_without_refs_is_asked_for_one_ref_as_often_as_refspecs_name_it() {
    let site = Site::new();
    site.git(".", &["init", "-q", "--bare", "empty.git"]);
    let options = site.options(&["main~1:refs/heads/new", "main:refs/heads/new"]);
    let outcome = site.push("../empty.git", &options, |decided| decided.send(&mut Discard)).unwrap();
    let statuses: Vec<&Status> = outcome.rows.iter().map(|row| &row.status).collect();
    assert_eq!(statuses, [&Status::Done, &Status::RemoteRejected("failed to update ref".into())]);
    assert_eq!(site.git("empty.git", &["rev-parse", "new"]), site.id("main~1").to_string());
}

#[test]
fn nothing_is_pushed_into_a_bundle() {
    let site = Site::new();
    site.work(&["bundle", "create", "-q", "../a.bundle", "main"]);
    let outcome = site.push("../a.bundle", &site.options(&["main"]), |_| Ok(()));
    assert!(matches!(outcome, Err(Error::NotPushed { told }) if told.is_empty()));
}

#[cfg(unix)]
#[test]
fn the_hook_hears_of_what_would_be_sent_and_may_refuse() {
    let site = Site::new();
    site.install("pre-push", "(echo \"$@\"; cat) >seen\ntest -e refuse && exit 1\nexit 0\n");
    let (main, null) = (site.id("main"), site.repo().object_hash.null());
    let refspecs = [":side", "main", "main~1:refs/heads/other", "main:refs/tags/v1"];
    std::fs::write(site.path("work/refuse"), "").unwrap();
    assert!(matches!(site.send(&refspecs), Err(Error::HookDeclined)));
    assert!(site.run("far.git", &["rev-parse", "side"]).status.success());
    let tag = site.id("v1");
    assert_eq!(
        std::fs::read_to_string(site.path("work/seen")).unwrap(),
        format!(
            "origin ../far.git\n(delete) {null} refs/heads/side {main}\nrefs/heads/main {main} refs/tags/v1 {tag}\n"
        )
    );
    std::fs::remove_file(site.path("work/refuse")).unwrap();
    site.send(&["main"]).unwrap();
    assert_eq!(std::fs::read_to_string(site.path("work/seen")).unwrap(), "origin ../far.git\n");
    std::fs::write(site.path("work/refuse"), "").unwrap();
    let options = Options { no_verify: true, ..site.options(&[":side"]) };
    site.push("origin", &options, |decided| decided.send(&mut Discard)).unwrap();
}
