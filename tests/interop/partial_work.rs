//! What C git does in a partial clone by gitr, with gitr as the program that fetches what is missing: all of it works as in
//! a whole clone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::partial::{missing, serve};
use crate::support::{Case, Git, Kind, Run, Sandbox, build, sandbox, state};

/// The repository that is cloned.
const NAME: &str = "project.git";

/// What each lazy fetch of C git's asks of gitr.
const LAZY_FETCH: &str = "-c fetch.negotiationAlgorithm=noop fetch origin --no-tags --no-write-fetch-head \
                          --recurse-submodules=no --filter=blob:none --stdin";

/// C git whose own fetches are gitr's: where it keeps its programs, and what was fetched so far.
struct Mixed {
    programs: PathBuf,
    log: PathBuf,
}

impl Mixed {
    fn new(sandbox: &Sandbox) -> Self {
        let mixed = Self { programs: sandbox.path("programs"), log: sandbox.path("fetches") };
        fs::create_dir(&mixed.programs).unwrap();
        let git = Git::reference();
        for entry in fs::read_dir(&git.exec_path).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "git" {
                std::os::unix::fs::symlink(entry.path(), mixed.programs.join(entry.file_name())).unwrap();
            }
        }
        let script = format!(
            "#!/bin/sh\nfor word; do\n\tcase $skip$word in\n\t-c) skip=value; continue;;\n\tfetch)\n\t\t\
             echo \"$*\" >>{log}\n\t\texec {gitr} \"$@\";;\n\tvalue* | -*) skip=; continue;;\n\tesac\n\tbreak\ndone\n\
             exec {git} \"$@\"\n",
            log = mixed.log.display(),
            gitr = PathBuf::from(sandbox::gitr_program()).display(),
            git = git.program.display(),
        );
        let program = mixed.programs.join("git");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        mixed
    }

    /// Runs C git in `place`.
    fn git(&self, sandbox: &Sandbox, place: &Path, arguments: &[&str]) -> Run {
        let mut command = sandbox.command(&Git::reference().program);
        command.env("GIT_EXEC_PATH", &self.programs).current_dir(place).args(arguments);
        Run::of(&mut command)
    }

    /// Gives `script` to a shell in `place`, whose git this is.
    fn shell(&self, sandbox: &Sandbox, place: &Path, script: &str) -> Run {
        let mut directories = vec![self.programs.clone()];
        directories.extend(crate::support::program_directories());
        let mut command = sandbox.command("sh");
        command.env("GIT_EXEC_PATH", &self.programs).env("PATH", std::env::join_paths(directories).unwrap());
        Run::of(command.current_dir(place).args(["-e", "-c", script]))
    }

    /// The command lines of the fetches since the last call.
    fn fetches(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        fs::remove_file(&self.log).ok();
        text.lines().map(str::to_owned).collect()
    }
}

/// What C git does in a partial clone, from where nothing more than history is there to where all of it is.
const COMMANDS: [&[&str]; 16] = [
    &["log", "--stat", "-3"],
    &["status", "--porcelain"],
    &["diff", "--no-renames", "v0.1^0~3", "v1.0^0~9"],
    &["blame", "-s", "main", "--", "dir1/file1.txt"],
    &["checkout", "-q", "topic"],
    &["checkout", "-q", "main~5"],
    &["show", "topic"],
    &["merge-tree", "--write-tree", "main", "topic"],
    &["archive", "--format=tar", "main~7", "dir1"],
    &["log", "-p", "-S", "line 7", "main"],
    &["format-patch", "--stdout", "-2", "main"],
    &["fsck", "--no-progress"],
    &["repack", "-a", "-d", "-q"],
    &["gc", "-q"],
    &["checkout", "-q", "main"],
    &["log", "-p", "--all"],
];

fn commands_of_git(case: &Case, filter: &str) {
    serve(case);
    let url = case.url(NAME);
    let twin = case.twin();
    twin.gitr("", &["clone", "-q", filter, &url, "copy"]).success();
    twin.git("", &["clone", "-q", &url, "copy"]).success();
    let mixed = Mixed::new(&case.sandbox);
    let (partial, whole) = (twin.ours.join("copy"), twin.theirs.join("copy"));
    for arguments in COMMANDS {
        let ours = mixed.git(&case.sandbox, &partial, arguments).success();
        let theirs = case.sandbox.git(&whole, arguments).success();
        assert!(ours.stdout == theirs.stdout, "{ours:?}\n== in a whole clone\n{theirs:?}");
    }
    let fetches = mixed.fetches();
    assert!(!fetches.is_empty() && fetches.iter().all(|line| line == LAZY_FETCH), "{fetches:#?}");
    assert_eq!(missing(&case.sandbox, &partial), "");
    assert_eq!(state::leftovers(&partial), Vec::<PathBuf>::new());
}

#[test]
fn all_commands_of_git_work_where_gitr_fetches_for_it() {
    crate::once(Kind::File, |case| commands_of_git(case, "--filter=blob:none"));
    crate::once(Kind::Apache, |case| commands_of_git(case, "--filter=tree:0"));
}

/// What people do in a work tree, each in a clone of its own: its commands, one a line.
const WORK: [(&str, &str); 25] = [
    (
        "merge",
        "git merge -q --no-edit origin/topic~1 v0.1~3\ngit merge -q --no-edit -s ours origin/release/1.0",
    ),
    (
        "merge --squash",
        "git reset -q --hard main~8\ngit merge --squash -q origin/topic~1\ngit commit -q -m squashed",
    ),
    (
        "rebase",
        "git switch -q -c new main~9\necho new >dir1/file1.txt\ngit commit -q -a -m new\ngit rebase -q -X ours main",
    ),
    ("rebase --onto", "git rebase -q --onto main~15 main~4"),
    ("cherry-pick", "git switch -q --detach main~12\ngit cherry-pick main~2 origin/topic"),
    ("revert", "git revert --no-edit main~1 main~2"),
    (
        "stash",
        "git switch -q --detach main~6\necho more >>README\ngit stash -q\ngit switch -q main\ngit stash pop -q",
    ),
    (
        "bisect",
        "git bisect start main main~18\ngit bisect run sh -c '! grep -q \"line 1[0-9]\" dir*/*.txt'\ngit bisect reset",
    ),
    (
        "worktree",
        "git worktree add -q ../tree v1.0~8\ngit -C ../tree ls-files -s\nrm -r ../tree\ngit worktree prune -v",
    ),
    (
        "sparse-checkout",
        "git sparse-checkout set dir1\ngit switch -q --detach main~9\ngit sparse-checkout add dir2 deep\n\
                         git sparse-checkout reapply\ngit sparse-checkout disable",
    ),
    ("switch", "git switch -q topic\ngit switch -q --detach main~14\ngit switch -q -c new main~3"),
    (
        "restore",
        "git restore --source=main~13 --staged --worktree .\ngit restore --source=main~7 -- dir3\ngit restore --staged .",
    ),
    (
        "reset",
        "git reset -q --hard main~11\ngit reset -q main~3\ngit reset -q --keep HEAD~2 || git status --porcelain",
    ),
    ("checkout", "git checkout -q main~10 -- dir1 dir2\ngit checkout -q -m main~3"),
    ("describe", "git describe --contains main~9\ngit describe --tags --dirty --always\ngit name-rev main~2"),
    ("blame", "git blame -s -C -C main~2 -- dir2/file2.txt\ngit blame -w -M main -- dir1/file1.txt"),
    ("grep", "git grep -c 'line 1' main~9 main~3\ngit grep --cached -h deep"),
    (
        "log",
        "git log -p -m --first-parent main~4\ngit log --stat -M -C --find-copies-harder topic\n\
             git log -L1,2:dir1/file1.txt main\ngit log --follow --oneline -- dir2/file2.txt\ngit log -G 'line 7' --oneline main",
    ),
    (
        "diff",
        "git diff main~15 main~3\ngit diff --numstat --ignore-all-space v0.1~9...topic\n\
              git diff --cc main~2 main~7 topic\ngit range-diff main~6..main~4 main~4..main~2\ngit diff-tree -r -p main~5\n\
              git diff --check main~9\ngit diff --name-status -B -M main~17",
    ),
    (
        "format-patch and am",
        "git format-patch -q -o ../patches main~6..main~3\ngit switch -q --detach main~6\n\
                             git am -q -3 ../patches/*\nrm -r ../patches",
    ),
    (
        "apply",
        "git diff --full-index main~7 main~6 >../patch\ngit switch -q --detach main~9\n\
               git apply -3 ../patch\nrm ../patch",
    ),
    (
        "archive",
        "git archive main~5 | git get-tar-commit-id\ngit archive --format=tar main~8 dir2 link | tar -tf -",
    ),
    ("gc", "git gc -q --prune=now\ngit log -p main~8\ngit gc -q --aggressive\ngit log -p main~4"),
    (
        "repack",
        "git repack -q -a -d -f\ngit cat-file blob main~7:dir1/file1.txt\ngit repack -q -A -d --write-midx\n\
                git cat-file --batch-check='%(objectname) %(objectsize)' --batch-all-objects >../sizes\n\
                rm ../sizes\ngit maintenance run --task=incremental-repack --task=commit-graph --quiet",
    ),
    (
        "plumbing",
        "git update-index --refresh\ngit read-tree -m -u main main~9\ngit checkout-index -a -f\ngit ls-files -s --eol\ngit ls-tree -r -l main~6\n\
                  git cat-file -p main~8:README\ngit merge-tree --write-tree main~3 topic~1\n\
                  git rev-list --objects main~3 >../list\nrm ../list\ngit fast-export main~9..main~7\ngit write-tree",
    ),
];

/// What can be told of a repository after a piece of work, in one shell line.
const OUTCOME: &str =
    "git status --porcelain --branch\ngit log --format='%H %s' HEAD\ngit write-tree\ngit diff --stat\n";

/// Does each `step`th piece of work in two clones, of which gitr's is partial.
fn work(case: &Case, filter: &str, step: usize) {
    serve(case);
    let url = case.url(NAME);
    let twin = case.twin();
    twin.gitr("", &["clone", "-q", filter, &url, "pristine"]).success();
    twin.git("", &["clone", "-q", &url, "pristine"]).success();
    let mixed = Mixed::new(&case.sandbox);
    for (name, script) in WORK.into_iter().step_by(step) {
        let run = |client: &Path| {
            let copy = client.join("copy");
            fs::remove_dir_all(&copy).ok();
            build::copy(&case.sandbox, &client.join("pristine"), &copy);
            let branches = "git branch -q topic origin/topic\n";
            mixed.shell(&case.sandbox, &copy, &format!("{branches}{script}\n{OUTCOME}"))
        };
        let (theirs, ours) = (run(&twin.theirs), run(&twin.ours));
        assert_eq!(theirs.status, 0, "{name}: {theirs:?}");
        assert!(
            (twin.anonymous(&ours.stdout), ours.status) == (twin.anonymous(&theirs.stdout), theirs.status),
            "{name}: {ours:?}\n== in a whole clone\n{theirs:?}"
        );
        let fetches = mixed.fetches();
        assert!(fetches.iter().all(|line| line == LAZY_FETCH), "{name}: {fetches:#?}");
        let copy = twin.ours.join("copy");
        mixed.git(&case.sandbox, &copy, &["fsck", "--no-progress"]).success();
        assert_eq!(state::leftovers(&copy), Vec::<PathBuf>::new(), "{name}");
    }
}

#[test]
fn all_work_in_a_clone_without_files_goes_as_in_a_whole_one() {
    crate::once(Kind::File, |case| work(case, "--filter=blob:none", 1));
}

#[test]
fn all_work_in_a_clone_without_directories_goes_as_in_a_whole_one() {
    crate::once(Kind::File, |case| work(case, "--filter=tree:0", 3));
}
