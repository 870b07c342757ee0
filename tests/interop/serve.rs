//! `gitr upload-pack` serves C git's clients: what they get from it is what they get from C git's, object by object.

use std::path::Path;

use crate::support::{Format, Git, Run, Sandbox, Stream, build, sandbox};

/// The repository that is served.
const NAME: &str = "served/project.git";

/// One client, once in front of C git's server and once in front of gitr's.
struct Pair<'a> {
    sandbox: &'a Sandbox,
    client: &'a Git,
    version: u8,
}

impl Pair<'_> {
    /// Gives the same command to the client on both sides; `copy` is the name of the clone.
    fn run(&self, arguments: &[&str]) -> [Run; 2] {
        let gitr = format!("'{}' upload-pack", sandbox::gitr_program().display());
        let theirs = "git upload-pack";
        [("theirs", theirs), ("ours", gitr.as_str())].map(|(side, program)| {
            let url = format!("file://{}", self.sandbox.path(NAME).display());
            let program = format!("--upload-pack={program}");
            let version = format!("protocol.version={}", self.version);
            let mut words = vec!["-c".to_owned(), version];
            for argument in arguments {
                words.push(argument.replace("URL", &url).replace("UPLOAD-PACK", &program));
            }
            std::fs::create_dir_all(self.sandbox.path(side)).unwrap();
            self.sandbox.git_of(self.client, &self.sandbox.path(side), &words)
        })
    }

    /// As [`Self::run`]; both have to go well, with the same words, and leave the same objects, refs and boundary.
    #[track_caller]
    fn same(&self, arguments: &[&str]) {
        let [theirs, ours] = self.run(arguments).map(Run::success);
        assert_eq!(ours.stderr, theirs.stderr, "{ours:?}");
        let [theirs, ours] = ["theirs", "ours"].map(|side| self.state(&self.sandbox.path(side).join("copy")));
        assert_eq!(ours, theirs, "{arguments:?} in version {} with {}", self.version, self.client.version);
        let copy = self.sandbox.path("ours/copy");
        self.sandbox.git(&copy, &["fsck", "--connectivity-only"]).success();
    }

    fn state(&self, copy: &Path) -> String {
        let objects = self.sandbox.git(copy, &["cat-file", "--batch-all-objects", "--batch-check"]).success();
        let refs = self.sandbox.git(copy, &["for-each-ref"]).success();
        let shallow = std::fs::read_to_string(copy.join("shallow")).unwrap_or_default();
        format!("{}{}{shallow}", objects.stdout, refs.stdout)
    }

    fn grow(&self, commits: std::ops::Range<usize>) {
        let mut stream = Stream::onto("main");
        stream.history(commits);
        stream.import(self.sandbox, &self.sandbox.path(NAME));
    }

    fn forget(&self) {
        for side in ["theirs", "ours"] {
            std::fs::remove_dir_all(self.sandbox.path(side)).unwrap();
        }
    }
}

/// Runs `scenario` for each C git and each version of the protocol.
fn over_clients(scenario: impl Fn(&Pair<'_>)) {
    for client in Git::all() {
        for version in [0, 2] {
            once(client, version, Format::Sha1, &scenario);
        }
    }
}

fn once(client: &Git, version: u8, format: Format, scenario: &dyn Fn(&Pair<'_>)) {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path(NAME), format, 30);
    scenario(&Pair { sandbox: &sandbox, client, version });
}

#[test]
fn clones_and_fetches_are_those_of_c_git() {
    let scenario = |pair: &Pair<'_>| {
        pair.same(&["clone", "-q", "--bare", "UPLOAD-PACK", "URL", "copy"]);
        pair.grow(30..40);
        pair.same(&["-C", "copy", "fetch", "-q", "UPLOAD-PACK", "URL", "refs/heads/*:refs/heads/*"]);
        pair.same(&["-C", "copy", "fetch", "-q", "UPLOAD-PACK", "URL", "refs/heads/*:refs/heads/*"]);
        pair.forget();
        let single = ["clone", "-q", "--bare", "--single-branch", "-b", "main", "UPLOAD-PACK", "URL", "copy"];
        pair.same(&single);
    };
    over_clients(scenario);
    once(Git::reference(), 1, Format::Sha1, &scenario);
    once(Git::reference(), 2, Format::Sha256, &scenario);
}

#[test]
fn shallow_histories_are_cut_where_c_git_cuts_them() {
    over_clients(|pair| {
        pair.same(&[
            "clone",
            "-q",
            "--bare",
            "--depth=3",
            "--no-single-branch",
            "UPLOAD-PACK",
            "URL",
            "copy",
        ]);
        let heads = "+refs/heads/*:refs/heads/*";
        pair.same(&["-C", "copy", "fetch", "-q", "--deepen=2", "UPLOAD-PACK", "URL", heads]);
        pair.grow(30..34);
        pair.same(&["-C", "copy", "fetch", "-q", "UPLOAD-PACK", "URL", heads]);
        pair.same(&["-C", "copy", "fetch", "-q", "--depth=2", "UPLOAD-PACK", "URL", heads]);
        pair.same(&["-C", "copy", "fetch", "-q", "--shallow-exclude=v0.1", "UPLOAD-PACK", "URL", heads]);
        let date =
            pair.sandbox.git(&pair.sandbox.path(NAME), &["log", "-1", "--format=%ct", "main~4"]).line();
        let since = format!("--shallow-since=@{date}");
        pair.same(&["-C", "copy", "fetch", "-q", &since, "UPLOAD-PACK", "URL", heads]);
        pair.same(&["-C", "copy", "fetch", "-q", "--unshallow", "UPLOAD-PACK", "URL", heads]);
    });
}

#[test]
fn filters_leave_out_what_c_git_leaves_out() {
    for filter in [
        "blob:none",
        "blob:limit=20",
        "tree:0",
        "tree:1",
        "tree:2",
        "object:type=commit",
        "object:type=blob",
        "object:type=tag",
        "combine:tree:2+blob:none",
        "sparse:oid=main:file.txt",
    ] {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path(NAME), Format::Sha1, 20);
        let mut patterns = Stream::onto("main");
        patterns.commit("main", 100).file("file.txt", "/*\n!/*/\ndir*/\n");
        patterns.import(&sandbox, &sandbox.path(NAME));
        let pair = Pair { sandbox: &sandbox, client: Git::reference(), version: 2 };
        let option = format!("--filter={filter}");
        pair.same(&["clone", "-q", "--bare", &option, "UPLOAD-PACK", "URL", "copy"]);
    }
}

/// Installs `script` as what makes packs, for all repositories of the one who serves them.
fn install_hook(sandbox: &Sandbox, script: &str) {
    let hook = sandbox.path("hook");
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let hook = hook.display().to_string();
    sandbox.git(&sandbox.path(""), &["config", "--global", "uploadpack.packObjectsHook", &hook]).success();
    sandbox.git(&sandbox.path(""), &["config", "--global", "uploadpack.allowFilter", "true"]).success();
}

#[test]
fn a_pack_objects_hook_is_given_what_c_git_gives_it() {
    over_clients(|pair| {
        let seen = pair.sandbox.path("seen");
        let tells = "echo \"record $PWD $GIT_DIR $GIT_NO_LAZY_FETCH $*\"; cat input";
        install_hook(
            pair.sandbox,
            &format!("#!/bin/sh\ncat >input\n{{ {tells}; }} >>{}\n\"$@\" <input\n", seen.display()),
        );
        let heads = "+refs/heads/*:refs/heads/*";
        pair.same(&["clone", "-q", "--bare", "--filter=blob:limit=1k", "UPLOAD-PACK", "URL", "copy"]);
        pair.forget();
        pair.same(&["clone", "-q", "--bare", "--depth=3", "UPLOAD-PACK", "URL", "copy"]);
        pair.same(&["-C", "copy", "fetch", "-q", "--depth=5", "UPLOAD-PACK", "URL", heads]);
        pair.grow(30..34);
        pair.same(&["-C", "copy", "fetch", "-q", "--no-tags", "UPLOAD-PACK", "URL", heads]);
        pair.same(&["-C", "copy", "fetch", "-q", "--unshallow", "UPLOAD-PACK", "URL", heads]);
        let seen = std::fs::read_to_string(&seen).unwrap();
        let records: Vec<&str> = seen.split("record ").skip(1).collect();
        assert_eq!(records.len(), 10, "{seen}");
        for sides in records.chunks(2) {
            // how many haves of those that say the same are kept is each one's own affair; the objects are compared
            let [theirs, ours] =
                [sides[0], sides[1]].map(|record| lines(record.split("--not").next().unwrap()));
            assert_eq!(ours, theirs, "in version {}", pair.version);
        }
    });
}

/// The command, and the lines that it reads, in an order of their own on each side.
fn lines(record: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = record.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[test]
fn a_pack_objects_hook_that_fails_is_told_of_as_by_c_git() {
    over_clients(|pair| {
        install_hook(pair.sandbox, "#!/bin/sh\ncat >input\necho oops >&2\nexit 3\n");
        let [theirs, ours] = pair.run(&["clone", "-q", "--bare", "UPLOAD-PACK", "URL", "copy"]);
        assert!(theirs.stderr.to_string().contains("remote: oops"), "{theirs:?}");
        assert_eq!(ours.status, theirs.status);
        // C git sends the NUL that ends its text
        let theirs = theirs.stderr.to_string().replace('\0', "");
        assert_eq!(lines(&ours.stderr.to_string()), lines(&theirs));
        // a repository's own word does not count
        let home = pair.sandbox.path("");
        pair.sandbox.git(&home, &["config", "--global", "--unset", "uploadpack.packObjectsHook"]).success();
        let hook = pair.sandbox.path("hook").display().to_string();
        pair.sandbox
            .git(&pair.sandbox.path(NAME), &["config", "uploadpack.packObjectsHook", &hook])
            .success();
        pair.forget();
        pair.same(&["clone", "-q", "--bare", "UPLOAD-PACK", "URL", "copy"]);
    });
}

#[test]
fn refusals_are_worded_as_c_git_words_them() {
    over_clients(|pair| {
        let unknown = "1111111111111111111111111111111111111111";
        for arguments in [
            &["ls-remote", "UPLOAD-PACK", "file:///nowhere"][..],
            &["init", "-q", "copy"],
            &["-C", "copy", "fetch", "-q", "UPLOAD-PACK", "URL", unknown],
            &["-C", "copy", "fetch", "-q", "--shallow-since=2200-01-01", "UPLOAD-PACK", "URL"],
            &["-C", "copy", "fetch", "-q", "--shallow-exclude=nothing", "UPLOAD-PACK", "URL"],
        ] {
            let [theirs, ours] = pair.run(arguments);
            // client and server write to the same stream at the same time
            let lines = |run: &Run| {
                let mut lines: Vec<String> = run.stderr.to_string().lines().map(ToOwned::to_owned).collect();
                lines.sort();
                lines
            };
            let told = |run: &Run| (run.status, lines(run), run.stdout.clone());
            assert_eq!(told(&ours), told(&theirs), "{ours:?}");
        }
    });
}
