//! Repositories found from below, and those that must not be used.

use std::process::{Command, Output};

use super::*;

/// An empty home with C git in it.
struct Home {
    dir: tempfile::TempDir,
    env: Environment,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut env = Environment::default();
        env.set("HOME", dir.path());
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        env.set("GIT_TEST_DEFAULT_INITIAL_BRANCH_NAME", "main");
        env.set("PATH", Environment::from_process().get("PATH").unwrap());
        Self { dir, env }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn git_in(&self, dir: &str, args: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.env_clear().envs(self.env.vars()).args(args).current_dir(self.path(dir)).output().unwrap()
    }

    fn git(&self, args: &[&str]) {
        let output = self.git_in("", args);
        assert!(output.status.success(), "{args:?}: {}", output.stderr.as_bstr());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let old = std::fs::read_to_string(self.path(name)).unwrap();
        self.write(name, &(old + text));
    }

    fn discover(&self, start: &str) -> Result<Repository, Error> {
        let discovery = Discovery { start: self.path(start), ..Discovery::default() };
        Repository::discover(&discovery, &self.env)
    }

    /// Asks git and ourselves for git directory, common directory and work tree seen from `start`, or for the error.
    fn same_as_git(&self, start: &str) {
        let one = |what: &str| {
            let output = self.git_in(start, &["rev-parse", "--path-format=absolute", what]);
            output.status.success().then(|| output.stdout.to_str_lossy().trim_end().to_owned())
        };
        let all = self.git_in(start, &["rev-parse", "--git-dir"]);
        match self.discover(start) {
            Ok(repository) => {
                assert!(all.status.success(), "{start}: {}", all.stderr.as_bstr());
                let show = |path: &Path| Some(path.to_str().unwrap().to_owned());
                let real = |path: &Path| show(&path.canonicalize().unwrap());
                assert_eq!(real(&repository.git_dir), one("--git-dir"), "{start}");
                assert_eq!(real(&repository.common_dir), one("--git-common-dir"), "{start}");
                // inside of the git directory git has no work tree to show
                if let Some(top) = one("--show-toplevel") {
                    assert_eq!(repository.work_tree.as_deref().and_then(real), Some(top), "{start}");
                }
                let is_bare = one("--is-bare-repository").unwrap();
                if is_bare == "true" {
                    assert_eq!(repository.work_tree, None, "{start}");
                }
            }
            Err(Error::ConfigEntry { reason, message }) => {
                assert_eq!(
                    all.stderr.to_str_lossy(),
                    format!("error: {reason}\nfatal: {message}\n"),
                    "{start}"
                );
            }
            Err(error) => assert_eq!(all.stderr.to_str_lossy(), format!("fatal: {error}\n"), "{start}"),
        }
    }
}

#[test]
fn repositories_are_found_where_git_finds_them() {
    let home = Home::new();
    home.same_as_git("");
    home.git(&["init", "-q", "r"]);
    home.git(&["init", "-q", "--bare", "b.git"]);
    home.git(&["init", "-q", "--separate-git-dir", "store", "sep"]);
    home.git(&["-C", "r", "worktree", "add", "-q", "--orphan", "../linked"]);
    for dir in ["r/a/b", "empty/.git", "nowhere", "bogus", "nothing", "relative", "headless"] {
        std::fs::create_dir_all(home.path(dir)).unwrap();
    }
    home.write("nowhere/.git", "gitdir: nowhere");
    home.write("bogus/.git", "bogus\n");
    home.write("nothing/.git", "gitdir: \n");
    home.write("relative/.git", "gitdir: ../r/.git\n");
    for start in [
        "r",
        "r/a/b",
        "r/.git",
        "r/.git/refs",
        "b.git",
        "b.git/refs",
        "sep",
        "store",
        "linked",
        "empty",
        "nowhere",
        "bogus",
        "nothing",
        "relative",
        "headless",
    ] {
        home.same_as_git(start);
    }
    for config in ["[core]\n\tworktree = ../../empty\n", "[core]\n\tbare = true\n"] {
        home.append("r/.git/config", config);
        home.same_as_git("r");
        home.same_as_git("linked");
    }
}

#[test]
fn git_dir_and_its_companions_are_heeded() {
    let mut home = Home::new();
    home.git(&["init", "-q", "r"]);
    home.git(&["init", "-q", "--bare", "b.git"]);
    std::fs::create_dir_all(home.path("other/sub")).unwrap();
    std::fs::create_dir(home.path("elsewhere")).unwrap();
    for git_dir in ["nope", "r", "r/.git", "b.git", "/nope/x"] {
        home.env.set("GIT_DIR", git_dir);
        home.same_as_git("");
    }
    home.env.set("GIT_DIR", home.path("r/.git"));
    home.env.set("GIT_WORK_TREE", home.path("other"));
    home.env.set("GIT_OBJECT_DIRECTORY", home.path("elsewhere"));
    home.same_as_git("other/sub");
    assert_eq!(home.discover("other").unwrap().objects_dir, home.path("elsewhere"));
}

#[test]
fn the_search_ends_at_a_ceiling() {
    let mut home = Home::new();
    home.git(&["init", "-q", "r"]);
    std::fs::create_dir_all(home.path("r/a/b")).unwrap();
    for ceiling in ["r", "r/a", "r/a/b", ""] {
        home.env.set("GIT_CEILING_DIRECTORIES", home.path(ceiling));
        home.same_as_git("r/a/b");
        home.same_as_git("r");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_search_ends_where_the_file_system_does() {
    let mut home = Home::new();
    // a file system of its own on Linux, unless a container says otherwise: then both search on to the root
    home.dir = tempfile::tempdir_in("/dev/shm").unwrap();
    home.same_as_git("");
    home.env.set("GIT_DISCOVERY_ACROSS_FILESYSTEM", "1");
    home.same_as_git("");
    home.env.set("GIT_DISCOVERY_ACROSS_FILESYSTEM", "bogus");
    home.same_as_git("");
}

#[test]
fn formats_that_git_does_not_know_are_refused_in_its_words() {
    let home = Home::new();
    home.git(&["init", "-q", "r"]);
    let original = std::fs::read_to_string(home.path("r/.git/config")).unwrap();
    let v1 = original.replace("version = 0", "version = 1");
    let v2 = original.replace("version = 0", "version = 2");
    for text in [
        v2,
        format!("{v1}[extensions]\n\tfoo = 1\n"),
        format!("{v1}[extensions]\n\tfoo = 1\n\tbar = 1\n"),
        format!("{original}[extensions]\n\tfoo = 1\n"),
        format!("{original}[extensions]\n\tobjectformat = sha256\n"),
        format!("{original}[extensions]\n\tnoop-v1 = 1\n\trefstorage = files\n"),
        format!("{v1}[extensions]\n\tobjectformat = sha512\n"),
        format!("{v1}[extensions]\n\trefstorage = foo\n"),
        format!("{v1}[extensions]\n\tnoop-v1 = foo\n\tpreciousObjects = 1\n"),
        format!("{original}[foo\n"),
    ] {
        home.write("r/.git/config", &text);
        home.same_as_git("r");
    }
}

#[test]
fn a_bare_repository_is_not_stumbled_upon_where_that_is_forbidden() {
    let home = Home::new();
    home.git(&["init", "-q", "--bare", "b.git"]);
    home.git(&["init", "-q", "r"]);
    home.write(".gitconfig", "[safe]\n\tbareRepository = explicit\n");
    for start in ["b.git", "r", "r/.git", "r/.git/refs"] {
        home.same_as_git(start);
    }
}

#[cfg(unix)]
#[test]
fn repositories_of_others_are_refused_unless_declared_safe() {
    let mut home = Home::new();
    home.git(&["init", "-q", "dir/r"]);
    home.git(&["init", "-q", "--bare", "b.git"]);
    home.git(&["init", "-q", "sp ace'd"]);
    if !rustix::process::geteuid().is_root() {
        // only root can give files away; that ones own repositories open is all there is to see
        home.same_as_git("dir/r");
        return;
    }
    for name in ["dir/r", "b.git", "sp ace'd"] {
        std::os::unix::fs::chown(home.path(name), Some(1234), None).unwrap();
    }
    for name in ["dir/r", "b.git", "sp ace'd"] {
        home.same_as_git(name);
    }
    let shown = home.path("dir/r").display().to_string();
    let parent = home.path("dir").display().to_string();
    for value in [shown.as_str(), &format!("{shown}/"), &format!("{parent}/*"), &parent, "*", "", "~/dir/r"] {
        home.write(".gitconfig", &format!("[safe]\n\tdirectory = {value}\n"));
        home.same_as_git("dir/r");
    }
    home.write(".gitconfig", "[safe]\n\tdirectory = *\n\tdirectory =\n");
    home.same_as_git("dir/r");
    home.append("dir/r/.git/config", "[safe]\n\tdirectory = *\n");
    home.same_as_git("dir/r");
    home.env.set("SUDO_UID", "1234");
    home.same_as_git("b.git");
}

#[test]
fn a_path_means_the_repository_that_upload_pack_would_serve() {
    let home = Home::new();
    assert_eq!(local_git_dir(&home.path("n")), None);
    home.git(&["init", "-q", "--bare", "n.git"]);
    assert_eq!(local_git_dir(&home.path("n")), Some(home.path("n.git")));
    home.git(&["init", "-q", "--bare", "n.git/.git"]);
    assert_eq!(local_git_dir(&home.path("n")), Some(home.path("n.git/.git")));
    home.git(&["init", "-q", "--bare", "n"]);
    assert_eq!(local_git_dir(&home.path("n")), Some(home.path("n")));
    home.git(&["init", "-q", "--bare", "n/.git"]);
    assert_eq!(local_git_dir(&home.path("n")), Some(home.path("n/.git")));
    assert_eq!(local_git_dir(&home.path("n/")), Some(home.path("n/.git")));
    std::fs::remove_dir_all(home.path("n/.git")).unwrap();
    home.write("n/.git", "gitdir: ../n.git\n");
    assert_eq!(local_git_dir(&home.path("n")), Some(home.path("n.git")));
}
