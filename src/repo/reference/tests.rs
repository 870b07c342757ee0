//! C git does the same beside ours; every file must come out alike.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::files::Loose;
use super::*;
use crate::repo::{Environment, Objects};
use crate::storage::Storage;

const COMMITTER: &str = "A U Thor <author@example.com> 1700000000 +0100";

/// Two equal repositories: one for C git, one for ours.
struct Pair {
    directory: tempfile::TempDir,
    first: ObjectId,
    second: ObjectId,
    tree: ObjectId,
}

impl Pair {
    fn new() -> Self {
        Self::with(&["init", "-q", "-b", "main", "theirs"])
    }

    fn with(init: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        git(directory.path(), init, b"").unwrap();
        let theirs = directory.path().join("theirs");
        let mut pair = Self {
            directory,
            first: gix_hash::Kind::Sha1.null(),
            second: gix_hash::Kind::Sha1.null(),
            tree: gix_hash::Kind::Sha1.null(),
        };
        for message in ["one", "two"] {
            git(&theirs, &["commit", "-q", "--allow-empty", "-m", message], b"").unwrap();
        }
        git(&theirs, &["tag", "-a", "-m", "t", "annotated"], b"").unwrap();
        pair.first = pair.rev_parse("HEAD~");
        pair.second = pair.rev_parse("HEAD");
        pair.tree = pair.rev_parse("HEAD^{tree}");
        pair.copy();
        pair
    }

    /// Makes ours equal to theirs.
    fn copy(&self) {
        let _absent_at_first = fs::remove_dir_all(self.directory.path().join("ours"));
        copy_directory(&self.theirs(), &self.directory.path().join("ours"));
    }

    fn theirs(&self) -> PathBuf {
        self.directory.path().join("theirs")
    }

    fn git_dir(&self) -> PathBuf {
        self.directory.path().join("ours/.git")
    }

    fn rev_parse(&self, name: &str) -> ObjectId {
        let out = git(&self.theirs(), &["rev-parse", name], b"").unwrap();
        ObjectId::from_hex(out.trim().as_bytes()).unwrap()
    }

    fn files(&self) -> Files {
        let git_dir = self.git_dir();
        Files {
            common_dir: git_dir.clone(),
            git_dir,
            object_hash: self.first.kind(),
            storage: Storage::default(),
        }
    }

    fn settings(&self) -> Settings {
        let work_tree = self.directory.path().join("ours");
        let hooks = self.git_dir().join("hooks");
        let env = Environment::from_process();
        Settings {
            log_all: LogAll::Branches,
            lock_timeout: Duration::ZERO,
            packed_timeout: Duration::ZERO,
            committer: COMMITTER.into(),
            hook: crate::repo::hook::Hook::in_directory(&hooks.join(Hook::NAME), &work_tree, &env).map(Hook),
            objects: Objects::open_for_test(self.git_dir().join("objects"), self.first.kind()),
        }
    }

    fn update(&self, edits: &[Edit]) -> Result<(), String> {
        transaction::update(&self.files(), &self.settings(), edits).map_err(|error| error.to_string())
    }

    /// Does `edits` in both repositories and compares what came of it.
    #[track_caller]
    fn check(&self, edits: &[Edit]) -> Result<(), String> {
        let ours = self.update(edits).map_err(|error| self.without_paths(&error));
        let commands: String = edits.iter().map(command).collect();
        let message = edits[0].message.clone().unwrap_or_default().to_string();
        let arguments = ["update-ref", "-m", &message, "--no-deref", "--stdin"];
        let theirs = git(&self.theirs(), &arguments, commands.as_bytes());
        let theirs = theirs.map(|_| ()).map_err(|error| self.without_paths(&error));
        assert_eq!(ours, theirs, "{commands}");
        assert_eq!(self.snapshot("ours"), self.snapshot("theirs"), "{commands}");
        ours
    }

    fn without_paths(&self, error: &str) -> String {
        let line = error.trim_end();
        let line = line.strip_prefix("fatal: ").or_else(|| line.strip_prefix("error: ")).unwrap_or(line);
        let top = self.directory.path();
        ["theirs", "ours"].iter().fold(line.to_owned(), |line, side| {
            let side = top.join(side);
            let real = side.canonicalize().unwrap();
            line.replace(&format!("{}/", real.display()), "").replace(&format!("{}/", side.display()), "")
        })
    }

    /// All files that have to do with refs.
    fn snapshot(&self, side: &str) -> BTreeMap<String, String> {
        let git_dir = self.directory.path().join(side).join(".git");
        let mut found = BTreeMap::new();
        let mut pending: Vec<PathBuf> =
            ["refs", "logs", "HEAD", "HEAD.lock", "packed-refs", "packed-refs.lock", "hook.log"]
                .iter()
                .map(|name| git_dir.join(name))
                .collect();
        while let Some(path) = pending.pop() {
            let name = path.strip_prefix(&git_dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.exists() {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
        found
    }

    fn both(&self, work: impl Fn(&Path)) {
        for side in ["ours", "theirs"] {
            work(&self.directory.path().join(side).join(".git"));
        }
    }
}

fn git(directory: &Path, arguments: &[&str], input: &[u8]) -> Result<String, String> {
    use std::io::Write as _;
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A U Thor")
        .env("GIT_AUTHOR_EMAIL", "author@example.com")
        .env("GIT_COMMITTER_NAME", "A U Thor")
        .env("GIT_COMMITTER_EMAIL", "author@example.com")
        .env("GIT_COMMITTER_DATE", "1700000000 +0100")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

fn command(edit: &Edit) -> String {
    let name = &edit.name;
    match (&edit.new, edit.expected) {
        (Some(Target::Id(new)), Expected::Any) => format!("update {name} {new}\n"),
        (Some(Target::Id(new)), Expected::Missing) => format!("create {name} {new}\n"),
        (Some(Target::Id(new)), Expected::Id(old)) => format!("update {name} {new} {old}\n"),
        (Some(Target::Symbolic(target)), _) => format!("symref-update {name} {target}\n"),
        (None, Expected::Id(old)) => format!("delete {name} {old}\n"),
        (None, _) => format!("delete {name}\n"),
    }
}

fn set(name: &str, new: ObjectId, expected: Expected) -> Edit {
    Edit {
        name: name.into(),
        new: Some(Target::Id(new)),
        expected,
        message: Some("a  b\nc ".into()),
        through: Vec::new(),
    }
}

fn delete(name: &str, expected: Expected) -> Edit {
    Edit { name: name.into(), new: None, expected, message: Some("a  b\nc ".into()), through: Vec::new() }
}

fn point(name: &str, target: &str) -> Edit {
    let new = Some(Target::Symbolic(target.into()));
    Edit {
        name: name.into(),
        new,
        expected: Expected::Any,
        message: Some("a  b\nc ".into()),
        through: Vec::new(),
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn refs_are_made_moved_and_deleted_as_git_does() {
    let pair = Pair::new();
    let (first, second) = (pair.first, pair.second);
    pair.check(&[set("refs/heads/a/b/c", first, Expected::Missing)]).unwrap();
    pair.check(&[set("refs/heads/main", first, Expected::Id(second))]).unwrap();
    pair.check(&[set("refs/heads/main", first, Expected::Any)]).unwrap();
    pair.check(&[
        set("refs/tags/light", first, Expected::Any),
        set("refs/remotes/o/x", second, Expected::Any),
    ])
    .unwrap();
    pair.check(&[point("refs/remotes/o/HEAD", "refs/remotes/o/x")]).unwrap();
    pair.check(&[point("refs/remotes/o/dangling", "refs/remotes/o/y")]).unwrap();
    pair.check(&[set("refs/remotes/o/HEAD", first, Expected::Id(second))]).unwrap();
    pair.both(|git_dir| drop(git(git_dir.parent().unwrap(), &["pack-refs", "--all"], b"").unwrap()));
    pair.check(&[set("refs/heads/a/b/c", second, Expected::Id(first))]).unwrap();
    pair.check(&[set("refs/tags/light", first, Expected::Any)]).unwrap();
    pair.check(&[delete("refs/heads/a/b/c", Expected::Id(second)), delete("refs/tags/light", Expected::Any)])
        .unwrap();
    pair.check(&[set("refs/heads/a", second, Expected::Missing)]).unwrap();
    pair.check(&[delete("refs/heads/none", Expected::Any)]).unwrap();
    pair.check(&[delete("refs/remotes/o/dangling", Expected::Any), delete("refs/heads/main", Expected::Any)])
        .unwrap();
    pair.check(&[point("HEAD", "refs/heads/a")]).unwrap();
    pair.check(&[set("HEAD", first, Expected::Any)]).unwrap();
    pair.both(|git_dir| fs::create_dir_all(git_dir.join("refs/heads/empty/sub/dir")).unwrap());
    pair.check(&[set("refs/heads/empty", first, Expected::Any)]).unwrap();
    pair.both(|git_dir| fs::create_dir_all(git_dir.join("logs/refs/heads/logs/sub")).unwrap());
    pair.check(&[set("refs/heads/logs", first, Expected::Any)]).unwrap();
}

/// So many in one directory that it is listed rather than each looked for: loose, packed and both, with reflogs and
/// without.
#[test]
fn many_refs_are_deleted_as_git_deletes_them() {
    let pair = Pair::new();
    let (first, second) = (pair.first, pair.second);
    let names: Vec<String> =
        (0..60).map(|n| format!("refs/{}/many/n{n}", ["heads", "tags"][n % 2])).collect();
    let made: Vec<Edit> = names.iter().map(|name| set(name, first, Expected::Missing)).collect();
    pair.check(&made).unwrap();
    pair.both(|git_dir| drop(git(git_dir.parent().unwrap(), &["pack-refs", "--all"], b"").unwrap()));
    let moved: Vec<Edit> = names[..20].iter().map(|name| set(name, second, Expected::Id(first))).collect();
    pair.check(&moved).unwrap();
    pair.check(&[point("refs/heads/many/symbolic", "refs/heads/main")]).unwrap();
    // what is asked for is not what is there, in a loose ref and in a packed one
    for wrong in [0, 50] {
        let edits = names.iter().enumerate().map(|(at, name)| {
            let old = if (at < 20) == (at == wrong) { first } else { second };
            let old = if at >= 20 && at != wrong { first } else { old };
            delete(name, Expected::Id(old))
        });
        pair.check(&edits.collect::<Vec<_>>()).unwrap_err();
    }
    let kept = "refs/heads/many/n58";
    let mut gone: Vec<Edit> =
        names.iter().filter(|name| *name != kept).map(|name| delete(name, Expected::Any)).collect();
    gone.push(delete("refs/heads/many/symbolic", Expected::Any));
    gone.push(set(kept, second, Expected::Id(first)));
    pair.check(&gone).unwrap();
    let directories = |side: &str| {
        let git_dir = pair.directory.path().join(side).join(".git");
        let tops = ["refs/heads/many", "refs/tags/many", "logs/refs/heads/many", "logs/refs/tags/many"];
        tops.map(|top| git_dir.join(top).exists())
    };
    assert_eq!(directories("ours"), directories("theirs"));
    assert_eq!(directories("ours"), [true, false, true, false]);
}

/// As they were before symbolic refs were files.
#[cfg(unix)]
#[test]
fn symbolic_links_are_symbolic_refs_as_in_git() {
    use std::os::unix::fs::symlink;
    let pair = Pair::new();
    let files = pair.files();
    symlink("refs/heads/main", pair.git_dir().join("refs/heads/link")).unwrap();
    symlink("main", pair.git_dir().join("refs/heads/near")).unwrap();
    symlink("nowhere", pair.git_dir().join("refs/heads/broken")).unwrap();
    let main = Loose::Found(Target::Symbolic("refs/heads/main".into()));
    assert_eq!(files.read_loose("refs/heads/link".into()).unwrap(), main);
    assert_eq!(files.read_loose("refs/heads/near".into()).unwrap(), Loose::Found(Target::Id(pair.second)));
    assert_eq!(files.read_loose("refs/heads/broken".into()).unwrap(), Loose::Missing);
    assert_eq!(files.read_loose("refs/heads".into()).unwrap(), Loose::Directory);
    let ours = pair.directory.path().join("ours");
    let theirs = git(&ours, &["rev-parse", "refs/heads/link", "refs/heads/near"], b"").unwrap();
    assert_eq!(theirs, format!("{0}\n{0}\n", pair.second));
}

#[test]
fn refusals_are_gits_and_leave_nothing() {
    let pair = Pair::new();
    let (first, second) = (pair.first, pair.second);
    let missing = ObjectId::from_hex(b"1111111111111111111111111111111111111111").unwrap();
    pair.check(&[set("refs/heads/p/q", first, Expected::Any)]).unwrap();
    for pack in [false, true] {
        if pack {
            pair.both(|git_dir| drop(git(git_dir.parent().unwrap(), &["pack-refs", "--all"], b"").unwrap()));
        }
        for edits in [
            vec![set("refs/heads/main", first, Expected::Id(first))],
            vec![set("refs/heads/main", first, Expected::Missing)],
            vec![set("refs/heads/new", first, Expected::Id(first))],
            vec![delete("refs/heads/none", Expected::Id(first))],
            vec![delete("refs/heads/main", Expected::Id(first))],
            vec![set("refs/heads/main/sub", first, Expected::Any)],
            vec![set("refs/heads/main/sub/deep", first, Expected::Any)],
            vec![set("refs/heads/p", first, Expected::Any)],
            vec![set("refs/heads/r", first, Expected::Any), set("refs/heads/r/s", first, Expected::Any)],
            vec![set("refs/heads/r/s", first, Expected::Any), set("refs/heads/r", first, Expected::Any)],
            vec![set("refs/heads/r", first, Expected::Any), set("refs/heads/r", second, Expected::Any)],
            vec![
                set("refs/heads/fine", first, Expected::Any),
                set("refs/heads/main", first, Expected::Missing),
            ],
            vec![set("refs/heads/tree", pair.tree, Expected::Any)],
            vec![set("refs/heads/lost", missing, Expected::Any)],
            vec![set("refs/tags/lost", missing, Expected::Any)],
        ] {
            pair.check(&edits).unwrap_err();
        }
    }
    pair.check(&[set("refs/tags/tree", pair.tree, Expected::Any)]).unwrap();
}

#[test]
fn what_is_in_the_way_is_told_as_git_tells_it() {
    let pair = Pair::new();
    let first = pair.first;
    pair.both(|git_dir| {
        let heads = git_dir.join("refs/heads");
        fs::write(heads.join("locked.lock"), "").unwrap();
        fs::write(heads.join("broken"), "garbage\n").unwrap();
        fs::create_dir_all(heads.join("full/sub")).unwrap();
        fs::write(heads.join("full/sub/other.lock"), "").unwrap();
        fs::create_dir_all(heads.join("parent/sub")).unwrap();
        fs::write(heads.join("parent/sub/child"), format!("{first}\n")).unwrap();
        fs::create_dir_all(git_dir.join("logs/refs/heads/logs")).unwrap();
        fs::write(git_dir.join("logs/refs/heads/logs/other"), "").unwrap();
    });
    pair.check(&[set("refs/heads/locked", first, Expected::Any)]).unwrap_err();
    pair.check(&[set("refs/heads/broken", first, Expected::Any)]).unwrap_err();
    pair.check(&[delete("refs/heads/broken", Expected::Any)]).unwrap_err();
    pair.check(&[set("refs/heads/full", first, Expected::Any)]).unwrap_err();
    pair.check(&[set("refs/heads/parent", first, Expected::Any)]).unwrap_err();
    pair.check(&[set("refs/heads/logs", first, Expected::Any)]).unwrap_err();
    pair.both(|git_dir| fs::write(git_dir.join("packed-refs.lock"), "").unwrap());
    pair.check(&[delete("refs/heads/main", Expected::Any)]).unwrap_err();
    pair.both(|git_dir| fs::write(git_dir.join("HEAD.lock"), "").unwrap());
    pair.check(&[set("refs/heads/main", first, Expected::Any)]).unwrap_err();
}

#[test]
fn bad_names_are_refused() {
    let pair = Pair::new();
    let before = pair.snapshot("ours");
    for name in
        ["refs/heads/a..b", "refs/heads/x.lock", "refs/../../x", "refs/heads/", "", "@", "refs/heads/a b"]
    {
        let error = pair.update(&[set(name, pair.first, Expected::Any)]).unwrap_err();
        assert_eq!(error, format!("refusing to update ref with bad name '{name}'"));
        let refs = [(name.into(), pair.first)];
        assert!(rewrite::add(&pair.files(), &pair.settings(), &refs).is_err(), "{name}");
        assert_eq!(pair.files().find(name.into(), &mut None).unwrap(), None);
    }
    for name in ["config", "objects/x", "hooks/y"] {
        pair.update(&[set(name, pair.first, Expected::Any)]).unwrap_err();
    }
    assert_eq!(pair.snapshot("ours"), before);
}

#[test]
fn sha256_refs_are_no_different() {
    let pair = Pair::with(&["init", "-q", "-b", "main", "--object-format=sha256", "theirs"]);
    let (first, second) = (pair.first, pair.second);
    assert_eq!(first.kind(), gix_hash::Kind::Sha256);
    pair.check(&[
        set("refs/heads/a", first, Expected::Missing),
        set("refs/heads/main", first, Expected::Id(second)),
    ])
    .unwrap();
    pair.both(|git_dir| drop(git(git_dir.parent().unwrap(), &["pack-refs", "--all"], b"").unwrap()));
    pair.check(&[set("refs/heads/a", second, Expected::Id(second))]).unwrap_err();
    pair.check(&[delete("refs/heads/a", Expected::Id(first))]).unwrap();
    assert_eq!(pair.files().list("refs/heads/".into()).unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn the_hook_sees_what_gits_sees() {
    use std::os::unix::fs::PermissionsExt as _;
    let pair = Pair::new();
    pair.both(|git_dir| {
        let hook = git_dir.join("hooks/reference-transaction");
        fs::create_dir_all(git_dir.join("hooks")).unwrap();
        let script =
            "#!/bin/sh\nexec >>.git/hook.log\necho $1 $#\ncat\n! grep -q \"$1\" .git/refuse 2>/dev/null\n";
        fs::write(&hook, script).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    });
    let (first, second) = (pair.first, pair.second);
    pair.check(&[
        set("refs/heads/z", first, Expected::Missing),
        set("refs/heads/main", first, Expected::Id(second)),
    ])
    .unwrap();
    pair.check(&[delete("refs/heads/z", Expected::Id(first))]).unwrap();
    pair.both(|git_dir| {
        git(git_dir.parent().unwrap(), &["pack-refs", "--all"], b"").unwrap();
        // the order in which it removes loose refs is that of the directory
        fs::remove_file(git_dir.join("hook.log")).unwrap();
    });
    pair.check(&[set("refs/heads/y", first, Expected::Any), delete("refs/heads/main", Expected::Any)])
        .unwrap();
    pair.check(&[point("HEAD", "refs/heads/y")]).unwrap();
    pair.check(&[set("refs/heads/y", first, Expected::Id(second))]).unwrap_err();
    pair.both(|git_dir| fs::write(git_dir.join("refuse"), "prepared\n").unwrap());
    let refused = pair.check(&[set("refs/heads/y", second, Expected::Any)]);
    assert_eq!(refused.unwrap_err(), "ref updates aborted by hook");
}

#[test]
fn lists_agree_with_for_each_ref() {
    let pair = Pair::new();
    let format = "--format=%(refname) %(if)%(symref)%(then)%(symref)%(else)%(objectname)%(end)";
    let theirs = pair.theirs();
    for index in 0..300 {
        let name = format!("refs/{}/n{}", ["heads", "tags", "heads/deep/er"][index % 3], index * 7919 % 1000);
        git(&theirs, &["update-ref", &name, &pair.first.to_string()], b"").unwrap();
        if index == 200 {
            git(&theirs, &["pack-refs", "--all"], b"").unwrap();
        }
    }
    git(&theirs, &["update-ref", "refs/heads/n0", &pair.second.to_string()], b"").unwrap();
    git(&theirs, &["symbolic-ref", "refs/remotes/o/HEAD", "refs/heads/main"], b"").unwrap();
    fs::write(theirs.join(".git/refs/heads/broken"), "junk").unwrap();
    fs::write(theirs.join(".git/refs/heads/some.lock"), "junk").unwrap();
    pair.copy();
    let mut packed = None;
    for prefix in
        ["", "refs/heads/", "refs/heads/n1", "refs/tags/", "refs/remotes/", "refs/nothing", "refs", "x"]
    {
        let ours: Vec<String> = pair.files().list(prefix.into()).unwrap().iter().map(line).collect();
        let all = git(&theirs, &["for-each-ref", format], b"").unwrap();
        let expected: Vec<&str> = all.lines().filter(|line| line.starts_with(prefix)).collect();
        assert_eq!(ours, expected, "{prefix}");
        for reference in pair.files().list(prefix.into()).unwrap() {
            let single = pair.files().find(reference.name.as_ref(), &mut packed).unwrap();
            assert_eq!(single, Some(reference));
        }
    }
}

fn line(reference: &Reference) -> String {
    match &reference.target {
        Target::Id(id) => format!("{} {id}", reference.name),
        Target::Symbolic(target) => format!("{} {target}", reference.name),
    }
}

#[test]
fn symbolic_refs_are_followed_five_times() {
    let pair = Pair::new();
    let chain: Vec<Edit> = (0..7)
        .map(|step| match step {
            0 => point("refs/heads/s0", "refs/heads/main"),
            _ => point(&format!("refs/heads/s{step}"), &format!("refs/heads/s{}", step - 1)),
        })
        .collect();
    pair.check(&chain).unwrap();
    pair.check(&[point("refs/heads/loop", "refs/heads/loop")]).unwrap();
    for edit in &chain {
        let name = edit.name.to_string();
        let theirs = git(&pair.theirs(), &["rev-parse", "--verify", "-q", &name], b"").ok();
        let ours = pair.files().resolve(edit.name.as_ref(), &mut None).unwrap();
        assert_eq!(ours.map(|id| id.to_string()), theirs.map(|id| id.trim().to_owned()), "{name}");
    }
    assert_eq!(pair.files().resolve("refs/heads/loop".into(), &mut None).unwrap(), None);
}

#[test]
fn many_refs_are_written_as_pack_refs_does() {
    let pair = Pair::new();
    let tag = pair.rev_parse("annotated");
    let mut refs: Vec<_> = (0..500)
        .map(|index| (BString::from(format!("refs/remotes/o/n{}", index * 7919 % 1000)), pair.first))
        .collect();
    refs.push(("refs/tags/other".into(), tag));
    let new: Vec<_> = refs.iter().map(|(name, id)| (name.as_bstr(), *id)).collect();
    rewrite::add(&pair.files(), &pair.settings(), &new).unwrap();
    let commands: Vec<String> = refs.iter().map(|(name, id)| format!("create {name} {id}\n")).collect();
    git(&pair.theirs(), &["update-ref", "--stdin"], commands.concat().as_bytes()).unwrap();
    pair.both(|git_dir| drop(git(git_dir.parent().unwrap(), &["pack-refs", "--all"], b"").unwrap()));
    let packed = |side| pair.snapshot(side).remove("packed-refs").unwrap();
    assert_eq!(packed("ours"), packed("theirs"));
    let again = [("refs/remotes/o/n0/sub".into(), pair.first)];
    let error = rewrite::add(&pair.files(), &pair.settings(), &again).unwrap_err().to_string();
    assert!(error.ends_with("'refs/remotes/o/n0' exists; cannot create 'refs/remotes/o/n0/sub'"), "{error}");
    let above = [("refs/remotes/o".into(), pair.first)];
    assert!(rewrite::add(&pair.files(), &pair.settings(), &above).is_err());
    assert_eq!(packed("ours"), packed("theirs"));
    assert!(!pair.git_dir().join("packed-refs.lock").exists());
}

#[test]
fn packed_refs_of_old_gits_are_read_and_completed() {
    let pair = Pair::new();
    let (first, tag) = (pair.first, pair.rev_parse("annotated"));
    let path = pair.git_dir().join("packed-refs");
    fs::write(&path, format!("{first} refs/heads/z\n{tag} refs/tags/t\n{first} refs/heads/a\n")).unwrap();
    let files = pair.files();
    for name in ["refs/heads/a", "refs/heads/z", "refs/tags/t"] {
        assert!(files.find(name.into(), &mut None).unwrap().is_some(), "{name}");
    }
    pair.update(&[delete("refs/heads/z", Expected::Id(first))]).unwrap();
    let second = pair.second;
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!(
            "# pack-refs with: peeled fully-peeled sorted \n{first} refs/heads/a\n{tag} refs/tags/t\n^{second}\n"
        )
    );
    for (content, error) in [
        (format!("{first} refs/heads/a\ngarbage\n"), "unexpected line in "),
        (format!("{first} refs/heads/a"), "unterminated line in "),
        (format!("{first}refs/heads/a\n"), "unexpected line in "),
        ("^^^\n\n".to_owned(), "unexpected line in "),
    ] {
        fs::write(&path, &content).unwrap();
        let found = files.list("".into()).unwrap_err().to_string();
        assert!(found.starts_with(error), "{found}");
        let sorted = format!("# pack-refs with: peeled fully-peeled sorted \n{content}");
        fs::write(&path, sorted).unwrap();
        assert!(files.list("".into()).is_err());
    }
}

#[test]
fn concurrent_updates_lose_nothing() {
    let pair = Pair::new();
    let names =
        |worker: usize| (0..20).map(move |index| format!("refs/heads/d{}/w{worker}-{index}", index % 3));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let pair = &pair;
            scope.spawn(move || {
                let patient = Settings {
                    lock_timeout: Duration::from_mins(1),
                    packed_timeout: Duration::from_mins(1),
                    ..pair.settings()
                };
                for (index, name) in names(worker).enumerate() {
                    let edit = set(&name, pair.first, Expected::Missing);
                    transaction::update(&pair.files(), &patient, &[edit]).unwrap();
                    if index % 2 == 1 {
                        let gone = delete(&name, Expected::Id(pair.first));
                        transaction::update(&pair.files(), &patient, &[gone]).unwrap();
                    }
                }
            });
        }
    });
    let listed = pair.files().list("refs/heads/d".into()).unwrap();
    assert_eq!(listed.len(), 40);
    assert!(pair.snapshot("ours").keys().all(|name| !name.contains(".lock")));
    git(&pair.directory.path().join("ours"), &["fsck"], b"").unwrap();
}

#[test]
fn only_one_of_many_wins_a_race() {
    let pair = Pair::new();
    let wins = std::thread::scope(|scope| {
        let race =
            |_| scope.spawn(|| pair.update(&[set("refs/heads/race", pair.first, Expected::Missing)]).is_ok());
        let racers: Vec<_> = (0..8).map(race).collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
}

#[test]
fn checked_out_branches_are_found_in_all_work_trees() {
    let pair = Pair::new();
    git(&pair.theirs(), &["worktree", "add", "-q", "-b", "side", "../linked"], b"").unwrap();
    let common_dir = pair.theirs().join(".git");
    let files = Files {
        git_dir: common_dir.join("worktrees/linked"),
        common_dir: common_dir.clone(),
        object_hash: pair.first.kind(),
        storage: Storage::default(),
    };
    let top = pair.directory.path().join("linked").canonicalize().unwrap();
    assert_eq!(files.linked_work_trees(), [(files.git_dir.clone(), top)]);
    assert_eq!(list::branches_of(&files).unwrap(), ["refs/heads/side"]);
    assert_eq!(
        list::branches_of(&Files { git_dir: common_dir.clone(), ..files.clone() }).unwrap(),
        ["refs/heads/main"]
    );
    let head = files.find("HEAD".into(), &mut None).unwrap().unwrap();
    assert_eq!(head.target, Target::Symbolic("refs/heads/side".into()));
    // through another symbolic ref
    fs::write(common_dir.join("refs/heads/alias"), "ref: refs/heads/main\n").unwrap();
    fs::write(files.git_dir.join("HEAD"), "ref: refs/heads/alias\n").unwrap();
    assert_eq!(list::branches_of(&files).unwrap(), ["refs/heads/main"]);
    fs::write(common_dir.join("refs/heads/alias"), "ref: refs/heads/alias\n").unwrap();
    assert!(list::branches_of(&files).unwrap().is_empty());
    fs::remove_file(common_dir.join("refs/heads/alias")).unwrap();
    fs::create_dir_all(files.git_dir.join("refs/bisect")).unwrap();
    fs::write(files.git_dir.join("refs/bisect/bad"), format!("{}\n", pair.first)).unwrap();
    let names: Vec<_> = files.list("".into()).unwrap().into_iter().map(|reference| reference.name).collect();
    assert_eq!(names, ["refs/bisect/bad", "refs/heads/main", "refs/heads/side", "refs/tags/annotated"]);
}

#[test]
fn names_are_valid_where_git_says_so() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "refs/heads/a",
        "HEAD",
        "a",
        "refs/heads/.a",
        "refs/heads/a.",
        "refs/heads/a.lock",
        "refs/heads/a.lock/b",
        "refs/heads//a",
        "/a",
        "a/",
        "a@{b",
        "@",
        "refs/@",
        "a..b",
        "a b",
        "a~",
        "a^",
        "a:",
        "a?",
        "a*",
        "a[",
        "a\\",
        "a\x7f",
        "a\x01",
        "refs/heads/\u{e4}",
        "refs/heads/-x",
        "refs/heads/{a}",
        "refs/heads/a.b",
    ] {
        let theirs = git(directory.path(), &["check-ref-format", "--allow-onelevel", name], b"").is_ok();
        assert_eq!(is_valid(name), theirs, "{name}");
    }
}

fn is_valid(name: &str) -> bool {
    files::is_valid_name(name.into())
}
