//! Checkouts by us and by git itself, of repositories that git made, compared by git and `diff`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::progress::{Discard, Event};
use crate::repo::Environment;

/// A directory with a repository in `source`, and room for checkouts of it.
struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    fn new(format: &str) -> Self {
        let sandbox = Self { directory: tempfile::tempdir().expect("temporary directory") };
        let argument = format!("--object-format={format}");
        sandbox.git(sandbox.root(), &["init", "-q", &argument, "source"], b"");
        sandbox
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn source(&self) -> PathBuf {
        self.root().join("source")
    }

    /// Runs git without any configuration but the repository's; its output, which it must succeed to give.
    fn git(&self, directory: &Path, arguments: &[&str], input: &[u8]) -> String {
        let path = Environment::from_process().get("PATH").map(ToOwned::to_owned).unwrap_or_default();
        let mut command = Command::new("git");
        command.current_dir(directory).args(arguments).env_clear().env("PATH", path).env("HOME", self.root());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "A").env(format!("GIT_{role}_EMAIL"), "a@example.com");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("git is installed");
        child.stdin.take().expect("piped").write_all(input).expect("git reads its input");
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let full = self.source().join(path);
        std::fs::create_dir_all(full.parent().expect("has a parent")).expect("directories");
        std::fs::write(full, content).expect("file");
    }

    /// Commits all files of the source.
    fn commit(&self) {
        self.git(&self.source(), &["add", "-A"], b"");
        self.git(&self.source(), &["commit", "-q", "--allow-empty", "-m", "x"], b"");
    }

    /// Commits `tree`, whatever it holds.
    fn commit_tree(&self, tree: &str) {
        let commit = self.git(&self.source(), &["commit-tree", "-m", "x", tree], b"");
        self.git(&self.source(), &["update-ref", "HEAD", &commit], b"");
    }

    /// Writes a tree object that git would not write.
    fn odd_tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            content.extend_from_slice(ObjectId::from_hex(id.as_bytes()).expect("an id").as_slice());
        }
        self.git(&self.source(), &["hash-object", "--literally", "-t", "tree", "-w", "--stdin"], &content)
    }

    fn blob(&self, content: &str) -> String {
        self.git(&self.source(), &["hash-object", "-w", "--stdin"], content.as_bytes())
    }

    /// Clones the source without a checkout to `name`; `settings` go into its configuration.
    fn clone_bare_work_tree(&self, name: &str, settings: &[(&str, &str)]) -> PathBuf {
        let clone = self.root().join(name);
        std::fs::create_dir(&clone).expect("directory");
        self.git(&clone, &["init", "-q", &format!("--object-format={}", self.format())], b"");
        let alternates = self.source().join(".git/objects").display().to_string();
        std::fs::write(clone.join(".git/objects/info/alternates"), alternates + "\n").expect("alternates");
        let head = self.git(&self.source(), &["rev-parse", "HEAD"], b"");
        self.git(&clone, &["update-ref", "HEAD", &head], b"");
        for (key, value) in settings {
            self.git(&clone, &["config", key, value], b"");
        }
        clone
    }

    fn format(&self) -> String {
        self.git(&self.source(), &["rev-parse", "--show-object-format"], b"")
    }

    fn tree(&self) -> ObjectId {
        let id = self.git(&self.source(), &["rev-parse", "HEAD^{tree}"], b"");
        ObjectId::from_hex(id.as_bytes()).expect("an id")
    }

    /// Checks the source out into `clone` with our code.
    fn check_out(&self, clone: &Path, options: &Options) -> Result<Outcome, Error> {
        check_out(clone, &self.tree(), options, &mut Discard)
    }

    /// Checks the source out with our code and with git, and compares everything. Gives our work tree.
    fn compare(&self, settings: &[(&str, &str)], options: &Options) -> PathBuf {
        let theirs = self.clone_bare_work_tree("theirs", settings);
        self.git(&theirs, &["-c", "index.threads=1", "read-tree", "-u", "--reset", "HEAD"], b"");
        let ours = self.clone_bare_work_tree("ours", settings);
        let outcome = self.check_out(&ours, options).expect("checkout");
        assert_eq!((outcome.collisions.len(), outcome.errors.len()), (0, 0), "{outcome:?}");

        let difference = Command::new("diff")
            .args(["-r", "--no-dereference", "--exclude=.git", "theirs", "ours"])
            .current_dir(self.root())
            .output()
            .expect("diff is installed");
        assert_eq!(String::from_utf8_lossy(&difference.stdout), "");
        assert_eq!(modes(&ours, Path::new("")), modes(&theirs, Path::new("")));
        assert_eq!(cache_tree(&ours, &self.tree()), cache_tree(&theirs, &self.tree()));
        // First what does not refresh the index: the stat data must be right as it is.
        assert_eq!(self.git(&ours, &["diff-files"], b""), "");
        assert_eq!(self.git(&ours, &["diff-index", "--cached", "HEAD"], b""), "");
        let listed = ["ls-files", "-s", "-z"];
        assert_eq!(self.git(&ours, &listed, b""), self.git(&theirs, &listed, b""));
        assert_eq!(self.git(&ours, &["fsck", "--strict"], b""), "");
        assert_eq!(self.git(&ours, &["status", "--porcelain"], b""), "");
        ours
    }
}

fn check_out(
    clone: &Path,
    tree: &oid,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let git_dir = clone.join(".git");
    let objects_dir = git_dir.join("objects");
    let place = Place {
        git_dir: &git_dir,
        work_tree: clone,
        objects_dir: &objects_dir,
        object_hash: tree.kind(),
        storage: Storage::default(),
    };
    checkout(&place, tree, options, progress)
}

/// The cache tree of an index, as its bytes are; it is the last that is in there.
fn cache_tree(clone: &Path, tree: &oid) -> Vec<u8> {
    let index = std::fs::read(clone.join(".git/index")).expect("an index");
    let (body, _) = index.split_at(index.len() - tree.kind().len_in_bytes());
    let at = bstr::ByteSlice::rfind(body, b"TREE\0");
    at.map_or(Vec::new(), |at| body.split_at(at).1.to_vec())
}

/// Path and permissions of every file below `directory`, but for the git directory.
fn modes(top: &Path, directory: &Path) -> Vec<(PathBuf, u32)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(top.join(directory)).expect("directory") {
        let entry = entry.expect("entry");
        let path = directory.join(entry.file_name());
        let metadata = entry.metadata().expect("metadata");
        if path == Path::new(".git") {
            continue;
        }
        if metadata.is_dir() {
            found.extend(modes(top, &path));
        }
        found.push((path, metadata.mode()));
    }
    found.sort();
    found
}

fn driver(name: &str, smudge: &str) -> Driver {
    Driver { name: name.into(), smudge: Some(smudge.into()), ..Driver::default() }
}

/// Everything a tree can hold, in odd places and under odd names.
fn fill(sandbox: &Sandbox) {
    for path in [
        "a",
        "a-b",
        "a.c/x",
        "dir/sub/deep/file",
        "dir/sub.txt",
        "dir/suc/z",
        "with space",
        "ünïcode/☃",
        "new\nline",
    ] {
        sandbox.put(path, format!("content of {path}\n"));
    }
    sandbox.put("empty", "");
    sandbox.put(&format!("{0}/{0}/{0}", "long".repeat(40)), "x");
    sandbox.put("dir/run", "#!/bin/sh\n");
    std::os::unix::fs::symlink("a", sandbox.source().join("link")).expect("symlink");
    std::os::unix::fs::symlink("nowhere/at all", sandbox.source().join("dir/dangling")).expect("symlink");
    std::os::unix::fs::symlink("dir", sandbox.source().join("0-link-to-directory")).expect("symlink");
    sandbox.git(&sandbox.source(), &["add", "-A"], b"");
    sandbox.git(&sandbox.source(), &["update-index", "--chmod=+x", "dir/run"], b"");
    let commit = ObjectId::empty_tree(sandbox_kind(sandbox)).to_string();
    let entry = format!("160000,{commit},dir/module");
    sandbox.git(&sandbox.source(), &["update-index", "--add", "--cacheinfo", &entry], b"");
    sandbox.git(&sandbox.source(), &["commit", "-q", "-m", "x"], b"");
}

fn sandbox_kind(sandbox: &Sandbox) -> gix_hash::Kind {
    if sandbox.format() == "sha256" { gix_hash::Kind::Sha256 } else { gix_hash::Kind::Sha1 }
}

#[test]
fn every_kind_of_entry_is_as_git_leaves_it() {
    for format in ["sha1", "sha256"] {
        let sandbox = Sandbox::new(format);
        fill(&sandbox);
        let ours = sandbox.compare(&[], &Options::default());
        assert!(ours.join("dir/module").is_dir());
        assert_eq!(sandbox.git(&ours, &["write-tree"], b""), sandbox.tree().to_string());
    }
}

#[test]
fn an_empty_tree_gives_an_empty_index() {
    let sandbox = Sandbox::new("sha1");
    sandbox.commit();
    let ours = sandbox.compare(&[], &Options::default());
    assert!(ours.join(".git/index").is_file());
}

#[test]
fn many_files_of_fast_import_are_written_and_counted() {
    let sandbox = Sandbox::new("sha1");
    let mut stream = String::from("commit HEAD\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\n");
    for number in 0..2000 {
        let content = format!("number {number}\n");
        let path = format!("d{}/e{}/f{number}", number % 7, number % 31);
        write!(stream, "M 644 inline {path}\ndata {}\n{content}\n", content.len()).expect("memory");
    }
    sandbox.git(&sandbox.source(), &["fast-import", "--quiet"], stream.as_bytes());
    sandbox.compare(&[], &Options::default());

    let clone = sandbox.clone_bare_work_tree("counted", &[]);
    let mut recorder = Recorder { events: Vec::new(), limit: u64::MAX };
    check_out(&clone, &sandbox.tree(), &Options::default(), &mut recorder).expect("checkout");
    assert_eq!(recorder.events.len(), 2002);
    assert_eq!(recorder.events.first(), Some(&("Updating files", 0, Some(2000))));
    assert_eq!(recorder.events.last(), Some(&("Updating files", 2000, Some(2000))));
}

#[test]
fn large_files_go_from_the_object_to_the_work_tree() {
    let content: Vec<u8> = (0..9 << 13_u32).flat_map(|at: u32| [at.to_le_bytes()[0]; 128]).collect();
    for repack in [false, true] {
        let sandbox = Sandbox::new("sha1");
        for name in ["binary", "plain", "text"] {
            sandbox.put(name, &content);
        }
        sandbox.put(".gitattributes", "binary -text\ntext eol=crlf\n");
        sandbox.commit();
        if repack {
            sandbox.git(&sandbox.source(), &["repack", "-adq"], b"");
        }
        let id = sandbox.git(&sandbox.source(), &["rev-parse", "HEAD:binary"], b"");
        let id = ObjectId::from_hex(id.as_bytes()).expect("an id");
        let objects_dir = sandbox.source().join(".git/objects");
        let place = Place {
            git_dir: &objects_dir,
            work_tree: &objects_dir,
            objects_dir: &objects_dir,
            object_hash: id.kind(),
            storage: Storage::default(),
        };
        assert!(blob::Blobs::open(&place).expect("objects").is_large(&id));
        sandbox.compare(&[], &Options::default());
    }
}

#[test]
fn one_thread_and_many_write_the_same() {
    for workers in [1, 3] {
        let sandbox = Sandbox::new("sha1");
        fill(&sandbox);
        sandbox.compare(&[], &Options { workers, parallel_from: 1, ..Options::default() });
    }
}

/// Keeps the phases, and stops the work after `limit` files.
struct Recorder {
    events: Vec<(&'static str, u64, Option<u64>)>,
    limit: u64,
}

impl Progress for Recorder {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Phase { title, done, total, .. } | Event::PhaseEnd { title, done, total, .. } = event {
            self.events.push((title, done, total));
            if done >= self.limit {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_stopped_checkout_leaves_neither_index_nor_lock() {
    let sandbox = Sandbox::new("sha1");
    fill(&sandbox);
    let clone = sandbox.clone_bare_work_tree("ours", &[]);
    let mut recorder = Recorder { events: Vec::new(), limit: 3 };
    let result = check_out(&clone, &sandbox.tree(), &Options::default(), &mut recorder);
    assert!(matches!(result, Err(Error::Interrupted)));
    assert!(!clone.join(".git/index").exists() && !clone.join(".git/index.lock").exists());
}

#[test]
fn a_held_lock_stops_a_checkout_before_it_writes() {
    let sandbox = Sandbox::new("sha1");
    fill(&sandbox);
    let clone = sandbox.clone_bare_work_tree("ours", &[]);
    std::fs::write(clone.join(".git/index.lock"), "").expect("lock");
    let error = sandbox.check_out(&clone, &Options::default()).expect_err("locked").to_string();
    assert!(
        error.starts_with("Unable to create '") && error.contains("index.lock': File exists."),
        "{error}"
    );
    assert!(!clone.join("a").exists());
}

#[test]
fn attributes_convert_as_git_does() {
    let sandbox = Sandbox::new("sha1");
    let attributes = "*.txt text eol=crlf\n*.bin -text\n*.auto text=auto eol=crlf\n*.u16 text working-tree-encoding=UTF-16LE\n\
                      *.latin working-tree-encoding=ISO-8859-1\n*.id ident\n[attr]windows text eol=crlf\n*.bat windows\n\
                      *.bom working-tree-encoding=UTF-16LE-BOM\n";
    sandbox.put("lines.txt", "one\ntwo\n");
    sandbox.put("deep/er/lines.txt", "one\ntwo\n");
    sandbox.put("deep/lines.txt", "one\ntwo\n");
    sandbox.put("deeper/lines.txt", "one\ntwo\n");
    sandbox.put("raw.bin", "one\ntwo\n");
    sandbox.put("text.auto", "one\ntwo\n");
    sandbox.put("binary.auto", "one\n\0two\n");
    sandbox.put("run.bat", "echo\n");
    sandbox.put("name.id", "before $Id$ after\n");
    sandbox.commit();
    sandbox.put(".gitattributes", attributes);
    sandbox.put("deep/.gitattributes", "lines.txt -text\n");
    sandbox.put("deep/er/.gitattributes", "*.txt text eol=lf\n");
    sandbox.put("wide.u16", "h\0\u{e9}\0\n\0".replace('\u{e9}', "i").as_bytes());
    sandbox.put("narrow.latin", b"caf\xe9\n");
    sandbox.commit();
    let ours = sandbox.compare(&[], &Options::default());
    assert_eq!(std::fs::read(ours.join("lines.txt")).expect("file"), b"one\r\ntwo\r\n");
    assert_eq!(std::fs::read(ours.join("deep/lines.txt")).expect("file"), b"one\ntwo\n");
    assert_eq!(std::fs::read(ours.join("narrow.latin")).expect("file"), b"caf\xe9\n");
    assert!(std::fs::read_to_string(ours.join("name.id")).expect("file").starts_with("before $Id: "));
}

#[test]
fn core_autocrlf_converts_without_any_attribute() {
    let sandbox = Sandbox::new("sha1");
    sandbox.put("text", "one\ntwo\n");
    sandbox.put("mixed", "one\r\ntwo\n");
    sandbox.put("binary", "one\n\0");
    sandbox.commit();
    let line_endings = gix_filter::eol::Configuration {
        auto_crlf: gix_filter::eol::AutoCrlf::Enabled,
        ..Default::default()
    };
    let ours = sandbox.compare(&[("core.autocrlf", "true")], &Options { line_endings, ..Options::default() });
    assert_eq!(std::fs::read(ours.join("text")).expect("file"), b"one\r\ntwo\r\n");
}

#[test]
fn info_attributes_overrule_those_of_the_tree() {
    let sandbox = Sandbox::new("sha1");
    sandbox.put("sub/file.txt", "one\n");
    sandbox.put("sub/.gitattributes", "*.txt text eol=crlf\n");
    sandbox.commit();
    let info = sandbox.root().join("info-attributes");
    std::fs::write(&info, "*.txt -text\n").expect("file");
    let clone = sandbox.clone_bare_work_tree("ours", &[]);
    let options = Options { info_attributes: Some(info), ..Options::default() };
    sandbox.check_out(&clone, &options).expect("checkout");
    assert_eq!(std::fs::read(clone.join("sub/file.txt")).expect("file"), b"one\n");
}

#[test]
fn a_smudge_filter_runs_if_the_configuration_has_it() {
    let sandbox = Sandbox::new("sha1");
    sandbox.put("a.x", "apple\n");
    sandbox.put("dir/it's b.x", "apple\n");
    sandbox.commit();
    sandbox.put(".gitattributes", "*.x filter=swap\n");
    sandbox.commit();
    let settings = [("filter.swap.smudge", "sed s/apple/pear/"), ("filter.swap.clean", "sed s/pear/apple/")];
    let drivers = vec![driver("swap", "sed s/apple/pear/")];
    let ours = sandbox.compare(&settings, &Options { drivers, ..Options::default() });
    assert_eq!(std::fs::read(ours.join("a.x")).expect("file"), b"pear\n");

    let plain = sandbox.clone_bare_work_tree("plain", &[]);
    sandbox.check_out(&plain, &Options::default()).expect("checkout");
    assert_eq!(std::fs::read(plain.join("a.x")).expect("file"), b"apple\n");
}

#[test]
fn a_filter_that_fails_matters_only_if_it_is_required() {
    let sandbox = Sandbox::new("sha1");
    sandbox.put("a.x", "apple\n");
    sandbox.put(".gitattributes", "*.x filter=bad\n");
    sandbox.commit();
    for program in ["false", "exit 3;"] {
        let clone = sandbox.clone_bare_work_tree(&format!("optional-{}", program.len()), &[]);
        let options = Options { drivers: vec![driver("bad", program)], ..Options::default() };
        let outcome = sandbox.check_out(&clone, &options).expect("checkout");
        assert!(outcome.errors.is_empty());
        assert_eq!(std::fs::read(clone.join("a.x")).expect("file"), b"apple\n");

        let clone = sandbox.clone_bare_work_tree(&format!("required-{}", program.len()), &[]);
        let required = Driver { required: true, ..driver("bad", program) };
        let error = sandbox.check_out(&clone, &Options { drivers: vec![required], ..Options::default() });
        assert_eq!(error.expect_err("required").to_string(), "a.x: smudge filter bad failed");
        assert!(!clone.join("a.x").exists() && !clone.join(".git/index").exists());
    }
}

/// A long-running filter, gitattributes(5), that holds every file back once.
const DELAYING_FILTER: &str = r#"
packet() {
    length=$(dd bs=1 count=4 2>/dev/null)
    case "$length" in ''|0000) return 1;; esac
    text=$(dd bs=1 count=$((0x$length - 4)) 2>/dev/null)
}
skip() { while packet; do :; done; }
put() { printf '%04x%s\n' $((${#1} + 5)) "$1"; }
end() { printf 0000; }
skip; put git-filter-server; put version=2; end
skip; put capability=smudge; put capability=delay; end
held=
while packet; do
    command=$text; path=; delay=
    while packet; do
        case "$text" in pathname=*) path=$text;; can-delay=1) delay=yes;; esac
    done
    if [ "$command" = command=list_available_blobs ]; then
        for one in $held; do put "$one"; done
        end; put status=success; end; held=
        continue
    fi
    skip
    if [ "$delay" ]; then held="$held $path"; put status=delayed; end; continue; fi
    put status=success; end; put "filtered $path"; end; end
done
"#;

#[test]
fn a_filter_process_can_delay_its_files() {
    let sandbox = Sandbox::new("sha1");
    for path in ["a.x", "dir/b.x", "dir/c.x", "plain"] {
        sandbox.put(path, "content\n");
    }
    sandbox.put(".gitattributes", "*.x filter=slow\n");
    sandbox.commit();
    let script = sandbox.root().join("filter.sh");
    std::fs::write(&script, DELAYING_FILTER).expect("script");
    let process = format!("sh {}", script.display());
    let theirs = sandbox.clone_bare_work_tree("theirs", &[("filter.slow.process", &process)]);
    sandbox.git(&theirs, &["read-tree", "-u", "--reset", "HEAD"], b"");
    let ours = sandbox.clone_bare_work_tree("ours", &[]);
    let drivers = vec![Driver { name: "slow".into(), process: Some(process.into()), ..Driver::default() }];
    let outcome = sandbox.check_out(&ours, &Options { drivers, ..Options::default() }).expect("checkout");
    assert!(outcome.errors.is_empty(), "{outcome:?}");
    for path in ["a.x", "dir/b.x", "dir/c.x", "plain"] {
        let read = |clone: &Path| std::fs::read_to_string(clone.join(path)).expect("file");
        assert_eq!(read(&ours), read(&theirs), "{path}");
        assert_eq!(read(&ours).contains("filtered pathname="), path != "plain");
    }
}

#[test]
fn without_symlinks_a_link_is_a_file_with_its_target() {
    let sandbox = Sandbox::new("sha1");
    fill(&sandbox);
    let ours =
        sandbox.compare(&[("core.symlinks", "false")], &Options { symlinks: false, ..Options::default() });
    assert_eq!(std::fs::read(ours.join("dir/dangling")).expect("file"), b"nowhere/at all");
}

#[test]
fn hostile_names_are_refused_in_gits_words_and_nothing_is_written() {
    let names: [&[u8]; 12] = [
        b".git",
        b".GIT",
        b"..",
        b".",
        b"a/b",
        b"/abs",
        b".git/hooks/x",
        b"git~1",
        b".git::$INDEX_ALLOCATION",
        b".git\\x",
        b"../escaped",
        b".git. ",
    ];
    for name in names {
        let sandbox = Sandbox::new("sha1");
        let blob = sandbox.blob("x");
        let inner = sandbox.odd_tree(&[("100644", name, &blob)]);
        let tree = sandbox.odd_tree(&[("100644", b"a", &blob), ("40000", b"sub", &inner)]);
        sandbox.commit_tree(&tree);
        let clone = sandbox.clone_bare_work_tree("ours", &[]);
        let outcome = sandbox.check_out(&clone, &Options::default()).expect("refused, not failed");
        let path = [b"sub/", name].concat();
        let reason = format!("invalid path 'sub/{}'", String::from_utf8_lossy(name));
        assert_eq!(outcome.errors, [(path.into(), reason)]);
        assert_eq!(modes(&clone, Path::new("")), []);
        assert!(!clone.join(".git/index").exists() && !clone.join(".git/index.lock").exists());
    }
}

#[test]
fn a_link_is_never_a_way_to_another_place() {
    let sandbox = Sandbox::new("sha1");
    let target = sandbox.blob("../outside");
    let blob = sandbox.blob("x");
    let inner = sandbox.odd_tree(&[("100644", b"x", &blob)]);
    std::fs::create_dir(sandbox.root().join("outside")).expect("directory");
    let between: (&str, &[u8], &str) = ("100644", b"a.", &blob);
    for (at, link) in
        [("120000", b"a".as_slice(), target.as_str()), ("100644", b"a", &blob)].into_iter().enumerate()
    {
        let tree = sandbox.odd_tree(&[link, between, ("40000", b"a", &inner)]);
        sandbox.commit_tree(&tree);
        let clone = sandbox.clone_bare_work_tree(&format!("ours{at}"), &[]);
        let outcome = sandbox.check_out(&clone, &Options::default()).expect("refused, not failed");
        assert_eq!(outcome.errors, [("a".into(), "invalid path 'a'".to_owned())]);
    }
    assert_eq!(modes(&sandbox.root().join("outside"), Path::new("")), []);
}

#[test]
fn what_is_in_the_way_is_removed_and_not_followed() {
    let sandbox = Sandbox::new("sha1");
    fill(&sandbox);
    let outside = sandbox.root().join("outside");
    std::fs::create_dir(&outside).expect("directory");
    let clone = sandbox.clone_bare_work_tree("ours", &[]);
    // As if the file system had folded a link of another name into this one.
    std::os::unix::fs::symlink(&outside, clone.join("a.c")).expect("symlink");
    std::os::unix::fs::symlink(outside.join("new"), clone.join("empty")).expect("symlink");
    std::fs::create_dir_all(clone.join("a-b/c")).expect("directory");
    std::fs::create_dir(clone.join("link")).expect("directory");
    std::fs::write(clone.join("dir"), "x").expect("file");
    let outcome = sandbox.check_out(&clone, &Options::default()).expect("checkout");
    assert_eq!(outcome.collisions, ["a-b", "empty", "link"]);
    assert!(outcome.is_complete());
    assert_eq!(modes(&outside, Path::new("")), []);
    assert_eq!(sandbox.git(&clone, &["status", "--porcelain"], b""), " D link");
}

#[test]
fn missing_blobs_are_named_before_and_during_a_checkout() {
    let sandbox = Sandbox::new("sha1");
    let (here, lost) = (sandbox.blob("x"), "1".repeat(40));
    let inner = sandbox.odd_tree(&[("100644", b"m", &lost), ("160000", b"module", &"2".repeat(40))]);
    let tree = sandbox.odd_tree(&[("100644", b"a", &here), ("40000", b"d", &inner), ("100644", b"z", &lost)]);
    sandbox.commit_tree(&tree);
    let clone = sandbox.clone_bare_work_tree("ours", &[]);
    let lost_id = ObjectId::from_hex(lost.as_bytes()).expect("an id");
    let missing = missing_blobs(&clone.join(".git/objects"), &sandbox.tree(), None, &Options::default());
    assert_eq!(missing.expect("listed"), [lost_id]);
    let outcome = sandbox.check_out(&clone, &Options::default()).expect("checkout");
    let reasons: Vec<_> = outcome.errors.iter().map(|(_, reason)| reason.as_str()).collect();
    let reason = |path: &str| format!("unable to read sha1 file of {path} ({lost})");
    assert_eq!(reasons, [reason("d/m"), reason("z")]);
    assert!(clone.join("a").exists() && !clone.join(".git/index").exists());

    let error = check_out(&clone, &lost_id, &Options::default(), &mut Discard).expect_err("no such tree");
    assert_eq!(error.to_string(), format!("unable to read tree ({lost})"));
}

#[test]
fn trees_that_git_would_not_write_get_no_cache_tree() {
    let sandbox = Sandbox::new("sha1");
    let blob = sandbox.blob("x");
    let empty = sandbox.odd_tree(&[]);
    let good = sandbox.odd_tree(&[("100644", b"x", &blob)]);
    let old = sandbox.odd_tree(&[("100664", b"x", &blob)]);
    let unsorted = sandbox.odd_tree(&[("100644", b"b", &blob), ("100755", b"a", &blob)]);
    let trees = [
        sandbox.odd_tree(&[("40000", b"good", &good), ("40000", b"old", &old)]),
        sandbox.odd_tree(&[("40000", b"good", &good), ("40000", b"unsorted", &unsorted)]),
        sandbox.odd_tree(&[("40000", b"empty", &empty), ("40000", b"good", &good)]),
    ];
    for (at, tree) in trees.iter().enumerate() {
        sandbox.commit_tree(tree);
        let clone = sandbox.clone_bare_work_tree(&format!("ours{at}"), &[]);
        let outcome = sandbox.check_out(&clone, &Options::default()).expect("checkout");
        assert!(outcome.errors.is_empty(), "{outcome:?}");
        assert_eq!(sandbox.git(&clone, &["diff-files"], b""), "");
        // What git builds without any cache tree is what it gets from ours.
        let from_ours = sandbox.git(&clone, &["write-tree"], b"");
        let entries = sandbox.git(&clone, &["ls-files", "-s"], b"");
        sandbox.git(&clone, &["read-tree", "--empty"], b"");
        sandbox.git(&clone, &["update-index", "--index-info"], (entries + "\n").as_bytes());
        assert_eq!(from_ours, sandbox.git(&clone, &["write-tree"], b""));
    }
}

#[test]
fn a_name_that_is_too_long_is_told_in_gits_words() {
    let sandbox = Sandbox::new("sha1");
    let (name, blob) = ("n".repeat(300), sandbox.blob("x"));
    sandbox.commit_tree(&sandbox.odd_tree(&[("100644", name.as_bytes(), &blob)]));
    let clone = sandbox.clone_bare_work_tree("ours", &[]);
    let outcome = sandbox.check_out(&clone, &Options::default()).expect("checkout");
    assert_eq!(outcome.errors[0].1, format!("unable to create file {name}: File name too long"));
}

#[test]
fn trees_nested_too_deep_are_refused() {
    let sandbox = Sandbox::new("sha1");
    let mut stream = String::from("commit HEAD\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\n");
    write!(stream, "M 644 inline {}f\ndata 1\nx\n", "d/".repeat(2100)).expect("memory");
    sandbox.git(&sandbox.source(), &["fast-import", "--quiet"], stream.as_bytes());
    let clone = sandbox.root().join("ours");
    std::fs::create_dir_all(clone.join(".git")).expect("directory");
    let git_dir = clone.join(".git");
    let place = Place {
        git_dir: &git_dir,
        work_tree: &clone,
        objects_dir: &sandbox.source().join(".git/objects"),
        object_hash: gix_hash::Kind::Sha1,
        storage: Storage::default(),
    };
    let commit = sandbox.git(&sandbox.source(), &["cat-file", "-p", "HEAD"], b"");
    let id = commit.split_whitespace().nth(1).expect("the tree");
    let tree = ObjectId::from_hex(id.as_bytes()).expect("an id");
    let error = checkout(&place, &tree, &Options::default(), &mut Discard).expect_err("too deep");
    assert_eq!(error.to_string(), "exceeded maximum allowed tree depth");
}
