//! What a repository holds, told by C git and by its plain files, never by our own reader.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::Sandbox;

/// What two clones of the same repository must have in common, each part by its name.
pub type State = Vec<(&'static str, BString)>;

/// Reads the state of the repository at `path`, bare or not.
pub fn of(sandbox: &Sandbox, path: &Path) -> State {
    let mut state = without_work_tree(sandbox, path);
    state.push(("index", said(sandbox, path, &["ls-files", "--stage", "--eol"])));
    state.push(("work tree", work_tree(path, &git_directory(path))));
    state
}

/// As [`of`], without the index and the work tree, for what leaves them alone.
pub fn without_work_tree(sandbox: &Sandbox, path: &Path) -> State {
    let directory = git_directory(path);
    let file = |name: &str| BString::from(fs::read(directory.join(name)).unwrap_or_default());
    let format = "--format=%(objectname) %(objecttype) %(refname) %(symref)";
    vec![
        ("refs", said(sandbox, path, &["for-each-ref", format])),
        ("HEAD", file("HEAD")),
        ("config", file("config")),
        ("FETCH_HEAD", file("FETCH_HEAD")),
        ("shallow", sorted(&file("shallow"))),
        ("alternates", file("objects/info/alternates")),
        ("reflogs", if has_tables(&directory) { told_reflogs(sandbox, path) } else { reflogs(&directory) }),
        (
            "files of refs",
            BString::from(if has_tables(&directory) {
                listed(&directory.join("refs"))
            } else {
                String::new()
            }),
        ),
    ]
}

/// Every object that the repository has, borrowed ones included.
pub fn objects(sandbox: &Sandbox, path: &Path) -> BString {
    let format = "--batch-check=%(objectname) %(objecttype) %(objectsize)";
    sandbox.git(path, &["cat-file", "--batch-all-objects", format]).success().stdout
}

/// Checks with C git that the repository is whole and its work tree clean.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn assert_sound(sandbox: &Sandbox, path: &Path) {
    sandbox.git(path, &["fsck", "--full"]).success();
    if path.join(".git").exists() {
        let status = sandbox.git(path, &["status", "--porcelain"]).success();
        assert_eq!(status.stdout, "", "the work tree is not clean");
    }
    assert_eq!(leftovers(path), Vec::<PathBuf>::new(), "temporary files were left");
}

/// Lock files and temporary files below `directory`.
pub fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let is_leftover = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ending = file.extension().unwrap_or_default();
        ending == "lock" || ending == "keep" || name.starts_with("tmp_") || name.contains(".tmp")
    };
    files(directory).into_iter().filter(is_leftover).collect()
}

/// Every file and link below `directory`, sorted; nothing if it is not there.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let is_directory = |path: &PathBuf| path.is_dir() && !path.is_symlink();
    everything(directory).into_iter().filter(|path| !is_directory(path)).collect()
}

/// `directory` and everything below it, sorted; nothing if it is not there.
pub fn everything(directory: &Path) -> Vec<PathBuf> {
    if !directory.exists() {
        return Vec::new();
    }
    let mut found = vec![directory.to_owned()];
    let mut ahead = vec![directory.to_owned()];
    while let Some(next) = ahead.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            found.push(entry.path());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                ahead.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// What git says and returns, whatever that is.
fn said(sandbox: &Sandbox, path: &Path, arguments: &[&str]) -> BString {
    let run = sandbox.git(path, arguments);
    format!("{}{}exit {}", run.stdout, run.stderr, run.status).into()
}

/// `.git` of the repository at `path`, or `path` itself if it is bare.
fn git_directory(path: &Path) -> PathBuf {
    let inner = path.join(".git");
    if inner.exists() { inner } else { path.to_owned() }
}

/// The lines of `text` in order, since the order of a shallow file means nothing.
fn sorted(text: &[u8]) -> BString {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    bstr::join("\n", lines).into()
}

/// Each reflog by its name.
fn reflogs(directory: &Path) -> BString {
    let logs = directory.join("logs");
    let mut all = BString::default();
    for file in files(&logs) {
        let name = file.strip_prefix(&logs).unwrap_or(&file);
        all.extend_from_slice(format!("== {}\n", name.display()).as_bytes());
        all.extend_from_slice(&fs::read(&file).unwrap_or_default());
    }
    all
}

/// Whether the refs are in a reftable.
fn has_tables(directory: &Path) -> bool {
    directory.join("reftable").is_dir()
}

/// Where each symbolic ref leads, and the reflog of each ref that there is, as git tells of them.
fn told_reflogs(sandbox: &Sandbox, path: &Path) -> BString {
    let mut all = said(sandbox, path, &["symbolic-ref", "HEAD"]);
    let lines = |arguments: &[&str]| -> Vec<BString> {
        let run = sandbox.git(path, arguments).success();
        run.stdout.lines().map(BString::from).collect()
    };
    let refs = lines(&["for-each-ref", "--include-root-refs", "--format=%(refname)"]);
    // git keeps those of symbolic refs that are gone
    for name in lines(&["reflog", "list"]).iter().filter(|name| refs.contains(name)) {
        let name = name.to_str_lossy();
        all.extend_from_slice(format!("\n== {name}\n").as_bytes());
        let format = "--format=%H %gd %gs %gn <%ge>";
        all.extend_from_slice(&said(sandbox, path, &["log", "-g", "--date=raw", format, &name, "--"]));
    }
    all
}

/// The names of what is below `directory`.
fn listed(directory: &Path) -> String {
    files(directory).iter().map(|file| file.display().to_string() + "\n").collect()
}

/// Each file of the work tree with its permissions and content.
fn work_tree(path: &Path, directory: &Path) -> BString {
    use std::os::unix::fs::PermissionsExt;
    let mut all = BString::default();
    if path == directory {
        return all;
    }
    for file in files(path).into_iter().filter(|file| !file.starts_with(directory)) {
        let data = file.symlink_metadata().expect("it was just listed");
        let name = file.strip_prefix(path).unwrap_or(&file);
        all.extend_from_slice(format!("== {:o} {}\n", data.permissions().mode(), name.display()).as_bytes());
        let content = if data.is_symlink() {
            fs::read_link(&file).map(|target| target.into_os_string().into_encoded_bytes())
        } else {
            fs::read(&file)
        };
        all.extend_from_slice(&content.unwrap_or_default());
    }
    all
}
