//! C git pushes one superproject, we judge its copy.

use std::path::Path;
use std::process::Output;

use super::*;

/// A superproject with the submodules `a b` and `dir/two`, and the remotes of all.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.git(".", "init -q --bare -b main super.git");
        for name in ["sub", "sub2"] {
            site.git(".", &format!("init -q --bare -b main {name}.git"));
            site.git(".", "init -q -b main seed");
            site.git("seed", "commit -q --allow-empty -m seed");
            site.git("seed", &format!("push -q ../{name}.git main"));
        }
        site.git(".", "init -q -b main work");
        site.git("work", "remote add origin ../super.git");
        site.git("work", "commit -q --allow-empty -m first");
        for (url, path) in [("../sub.git", "a b"), ("../sub2.git", "dir/two")] {
            site.run("work", &["submodule", "--quiet", "add", url, path]);
        }
        site.git("work", "commit -q -m submodules");
        site.git("work", "push -q origin main");
        site
    }

    fn git(&self, directory: &str, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let output = self.run(directory, &words);
        assert!(output.status.success(), "{line}: {}", output.stderr.as_bstr());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn run(&self, directory: &str, words: &[&str]) -> Output {
        Command::new("git")
            .args(words)
            .current_dir(self.0.path().join(directory))
            .env_clear()
            .envs(self.environment().vars())
            .output()
            .unwrap()
    }

    fn environment(&self) -> Environment {
        let mut env: Environment = Environment::from_process()
            .vars()
            .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GIT_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.set("HOME", self.0.path());
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        env.set("GIT_ALLOW_PROTOCOL", "file");
        for who in ["AUTHOR", "COMMITTER"] {
            env.set(format!("GIT_{who}_NAME"), "A");
            env.set(format!("GIT_{who}_EMAIL"), "a@example.com");
        }
        env
    }

    /// Commits in the submodule and, in the superproject, that it did.
    fn advance(&self, path: &str) {
        self.git(&format!("work/{path}"), "commit -q --allow-empty -m more");
        self.git("work", "commit -q -a -m more");
    }

    fn id(&self, name: &str) -> ObjectId {
        ObjectId::from_hex(self.git("work", &format!("rev-parse {name}")).as_bytes()).unwrap()
    }

    /// What we do about the submodules before `refspecs` are pushed to `remote`: the lines, then the error.
    fn ours(&self, recurse: Recurse, dry_run: bool, remote: &str, refspecs: &[&str]) -> (Next, String) {
        let repo =
            Repository::open(&self.0.path().join("work/.git"), None, &[], &self.environment()).unwrap();
        let remote = Remote::from_config(&repo.config, remote.into()).unwrap();
        let refspecs: Vec<BString> = refspecs.iter().map(|text| (*text).into()).collect();
        let ids: Vec<ObjectId> = refspecs
            .iter()
            .map(|refspec| {
                self.id(refspec
                    .trim_start_with(|sign| sign == '+')
                    .split_str(":")
                    .next()
                    .unwrap()
                    .to_str()
                    .unwrap())
            })
            .collect();
        let superproject = Superproject {
            repo: &repo,
            remote: &remote,
            recurse,
            dry_run,
            refspecs: &refspecs,
            push_options: &[],
            overrides: &[],
        };
        let mut listener = Listener::default();
        match superproject.before_push(&ids, &mut listener) {
            Ok(next) => (next, listener.0),
            Err(error) => (Next::Stop, format!("{}fatal: {error}\n", listener.0)),
        }
    }

    /// C git's lines for the same, without the table of the superproject.
    fn theirs(&self, options: &[&str], remote: &str, refspecs: &[&str]) -> String {
        let output = self.run("work", &[&["push"], options, &[remote], refspecs].concat());
        let text = output.stderr.to_str().unwrap();
        // this comes from the far side, which was left alone
        let text = text.replace("fatal: the remote end hung up unexpectedly\n", "");
        text.split("To ../super.git\n").next().unwrap().replace("Everything up-to-date\n", "")
    }

    /// Compares `check`.
    fn check(&self, remote: &str, refspecs: &[&str]) -> String {
        let (_, ours) = self.ours(Recurse::Check, false, remote, refspecs);
        let options = ["--recurse-submodules=check", "--dry-run"];
        assert_eq!(ours, self.theirs(&options, remote, refspecs), "{refspecs:?}");
        ours
    }
}

/// Collects the lines, and pushes with C git.
#[derive(Default)]
struct Listener(String);

impl Terminal for Listener {
    fn say(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }

    fn push(&mut self, submodule: &Submodule) -> Result<bool, Error> {
        let output = submodule.command(Path::new("git")).output().unwrap();
        self.0 += output.stderr.to_str().unwrap();
        Ok(output.status.success())
    }
}

#[test]
fn unpushed_commits_are_listed() {
    let site = Site::new();
    assert_eq!(site.check("origin", &["main"]), "");
    site.advance("dir/two");
    assert!(site.check("origin", &["main"]).contains("any remote:\n  dir/two\n\nPlease"));
    site.advance("a b");
    assert!(site.check("origin", &["main"]).contains("  a b\n  dir/two\n"));
    assert!(site.check("../super.git", &["main"]).contains("  a b\n"));
    assert_eq!(site.check("origin", &["main~2:refs/heads/old"]), "");
    assert_eq!(site.ours(Recurse::No, false, "origin", &["main"]), (Next::Push, String::new()));
    site.git("work/a b", "push -q origin HEAD:refs/heads/elsewhere");
    assert!(!site.check("origin", &["main"]).contains("  a b\n"));
}

#[test]
fn what_cannot_be_known_needs_no_push() {
    let site = Site::new();
    // a commit that no ref of the submodule has any more
    site.advance("a b");
    site.git("work/a b", "reset -q --hard HEAD~");
    assert_eq!(site.check("origin", &["main"]), "");
    // a commit that is not there
    site.git("work", "update-index --cacheinfo 160000,1234567890123456789012345678901234567890,dir/two");
    site.git("work", "commit -q -m gone");
    assert_eq!(site.check("origin", &["main"]), "");
    // a submodule that is not checked out
    let site = Site::new();
    site.advance("dir/two");
    site.git("work", "submodule --quiet deinit -f dir/two");
    let (_, ours) = site.ours(Recurse::Check, false, "origin", &["main"]);
    assert_eq!(ours, "");
    // one without remote-tracking branches
    let site = Site::new();
    site.advance("dir/two");
    site.git("work/dir/two", "remote remove origin");
    assert_eq!(site.check("origin", &["main"]), "");
}

#[test]
fn merges_and_roots_are_looked_at_as_git_does() {
    let site = Site::new();
    site.git("work", "checkout -q -b side");
    site.advance("dir/two");
    site.git("work", "checkout -q main");
    site.git("work", "submodule --quiet update");
    site.git("work", "commit -q --allow-empty -m main");
    site.git("work", "push -q origin side:refs/heads/side");
    site.git("work", "merge -q --no-edit side");
    // what the merge takes from a side that is there already is no change of its own
    assert_eq!(site.check("origin", &["main"]), "");
    site.git("work", "submodule --quiet update");
    site.git("work/a b", "checkout -q -b evil");
    site.git("work/a b", "commit -q --allow-empty -m evil");
    site.run("work", &["add", "a b"]);
    site.git("work", "commit -q --amend --no-edit");
    assert!(site.check("origin", &["main"]).contains("  a b\n"));
    // a root commit
    let tree = site.git("work", "rev-parse HEAD^{tree}");
    let root = site.git("work", &format!("commit-tree -m root {tree}"));
    assert_eq!(site.check("origin", &[&format!("{root}:refs/heads/root")]), "");
}

#[test]
fn a_submodule_that_moved_is_found_where_it_is() {
    let site = Site::new();
    site.advance("dir/two");
    site.git("work", "mv dir/two moved");
    site.git("work", "commit -q -m moved");
    assert!(site.check("origin", &["main"]).contains("  moved\n"));
}

#[test]
fn submodules_are_pushed_first() {
    let site = Site::new();
    site.advance("a b");
    site.advance("dir/two");
    let theirs = site.theirs(&["--recurse-submodules=on-demand", "--dry-run"], "origin", &["main"]);
    let (next, ours) = site.ours(Recurse::OnDemand, true, "origin", &["main"]);
    assert_eq!((next, ours), (Next::Push, theirs));
    let (next, ours) = site.ours(Recurse::Only, false, "origin", &["main"]);
    assert_eq!(next, Next::Stop);
    let lines: Vec<&str> = ours.lines().filter(|line| line.starts_with("Pushing")).collect();
    assert_eq!(lines, ["Pushing submodule 'a b'", "Pushing submodule 'dir/two'"]);
    assert_eq!(site.git("sub.git", "rev-parse main"), site.git("work/a b", "rev-parse HEAD"));
    assert_eq!(site.ours(Recurse::OnDemand, false, "origin", &["main"]), (Next::Push, String::new()));
}

#[test]
fn a_submodule_that_cannot_be_pushed_stops_the_push() {
    let site = Site::new();
    site.advance("a b");
    std::fs::rename(site.0.path().join("sub.git"), site.0.path().join("gone")).unwrap();
    for remote in ["origin", "../super.git"] {
        let theirs = site.theirs(&["--recurse-submodules=on-demand"], remote, &["main"]);
        let (_, ours) = site.ours(Recurse::OnDemand, false, remote, &["main"]);
        assert_eq!(ours, theirs, "{remote}");
        assert!(ours.ends_with("fatal: failed to push all needed submodules\n"), "{ours}");
    }
}

#[test]
fn remote_and_refspecs_have_to_make_sense_in_submodules() {
    let site = Site::new();
    site.advance("a b");
    site.git("work/a b", "tag both");
    site.git("work/a b", "branch both");
    let head = site.git("work", "rev-parse HEAD");
    site.git("work", "branch both");
    site.git("work", "branch alone");
    site.git("work", "remote add other ../super.git");
    for (remote, refspec) in [
        ("origin", "alone"),
        ("origin", "refs/heads/both:refs/heads/x"),
        ("origin", "both:refs/heads/x"),
        ("origin", "+main:refs/heads/x"),
        ("origin", "HEAD:refs/heads/x"),
        ("origin", &format!("{head}:refs/heads/x")),
        ("other", "main"),
    ] {
        let theirs = site.theirs(&["--recurse-submodules=on-demand", "--dry-run"], remote, &[refspec]);
        let (_, ours) = site.ours(Recurse::OnDemand, true, remote, &[refspec]);
        assert_eq!(ours, theirs, "{remote} {refspec}");
    }
    site.git("work", "checkout -q alone");
    let theirs = site.theirs(&["--recurse-submodules=on-demand", "--dry-run"], "origin", &["HEAD"]);
    assert_eq!(site.ours(Recurse::OnDemand, true, "origin", &["HEAD"]).1, theirs);
    assert!(theirs.contains("HEAD does not match the named branch in the superproject"), "{theirs}");
}

#[test]
fn settings_are_read_as_git_reads_them() {
    let parse = |text: &str| Recurse::parse(text.into()).map_err(|error| error.to_string());
    assert_eq!(parse("check"), Ok(Some(Recurse::Check)));
    assert_eq!(parse("on-demand"), Ok(Some(Recurse::OnDemand)));
    assert_eq!(parse("only"), Ok(Some(Recurse::Only)));
    assert_eq!(parse("no"), Ok(Some(Recurse::No)));
    assert_eq!(parse("false"), Ok(Some(Recurse::No)));
    assert_eq!(parse("only-is-on-demand"), Ok(None));
    assert_eq!(parse("true"), Err("bad recurse-submodules argument: true".into()));
    let read = |text: &str| {
        let config =
            Config::from_bytes(text.as_bytes(), Path::new("config"), &Environment::default()).unwrap();
        Recurse::from_config(&config).map_err(|error| error.to_string())
    };
    assert_eq!(read(""), Ok(Recurse::No));
    assert_eq!(read("[submodule]recurse"), Ok(Recurse::OnDemand));
    assert_eq!(read("[push]recurseSubmodules=check\n[submodule]recurse=false"), Ok(Recurse::Check));
    assert_eq!(read("[push]recurseSubmodules=yes"), Err("bad push.recursesubmodules argument: yes".into()));
    assert_eq!(Recurse::Only.for_submodule(), Recurse::OnDemand);
    assert_eq!(Recurse::Check.for_submodule(), Recurse::Check);
}

#[cfg(unix)]
#[test]
fn what_a_symbolic_link_leads_to_is_not_pushed() {
    use std::os::unix::fs::symlink;

    for (path, at, what) in [("a b", "a b", ""), ("dir/two", "dir", "'dir' in ")] {
        let site = Site::new();
        site.advance(path);
        let (link, elsewhere) = (site.0.path().join("work").join(at), site.0.path().join("elsewhere"));
        std::fs::rename(&link, &elsewhere).unwrap();
        symlink(&elsewhere, &link).unwrap();
        let reason = format!("expected {what}submodule path '{path}' not to be a symbolic link");
        for recurse in [Recurse::Check, Recurse::OnDemand] {
            assert_eq!(site.ours(recurse, false, "origin", &["main"]).1, format!("fatal: {reason}\n"));
        }
        assert!(site.theirs(&["--recurse-submodules=check"], "origin", &["main"]).contains(&reason));
    }
}

/// C git looks there, and complains if it cannot.
#[test]
fn what_modules_name_outside_is_passed_over() {
    let site = Site::new();
    site.advance("dir/two");
    site.git("work", "config -f .gitmodules submodule.dir/two.path ../outside");
    let warning = "warning: ignoring invalid submodule path '../outside'\n";
    let ours = site.ours(Recurse::Check, false, "origin", &["main"]);
    assert_eq!(ours, (Next::Push, warning.to_owned()));
    assert!(!site.theirs(&["--recurse-submodules=check"], "origin", &["main"]).contains("Aborting"));
}

#[test]
fn what_is_outside_of_the_work_tree_is_not_pushed() {
    let site = Site::new();
    site.git(".", "clone -q sub.git elsewhere");
    site.git("elsewhere", "commit -q --allow-empty -m more");
    let id = site.git("elsewhere", "rev-parse HEAD");
    site.git("work", &format!("update-index --add --cacheinfo 160000,{id},up/elsewhere"));
    let inner = site.git("work", "write-tree --prefix=up/");
    let tree = site.0.path().join("tree");
    std::fs::write(&tree, format!("040000 tree {inner}\t..\n")).unwrap();
    let output = Command::new("git")
        .args(["mktree"])
        .current_dir(site.0.path().join("work"))
        .stdin(std::fs::File::open(&tree).unwrap())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    let commit = site.git("work", &format!("commit-tree -m up -p HEAD {}", tree.trim_end()));
    site.git("work", &format!("update-ref refs/heads/up {commit}"));
    let (_, said) = site.ours(Recurse::OnDemand, false, "origin", &["up"]);
    assert_eq!(said, "fatal: invalid submodule path '../elsewhere'\n");
}
