//! Against repositories that C git made.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::pack::Bases;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_COMMITTER_NAME", "C")
        .env("GIT_COMMITTER_EMAIL", "c@example.com")
        .env("GIT_COMMITTER_DATE", "1700000000 +0100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}

fn id(directory: &Path, name: &str) -> ObjectId {
    ObjectId::from_hex(git(directory, &["rev-parse", name]).as_bytes()).unwrap()
}

/// A repository with a merge, tags of tags, and loose objects.
fn repository(object_format: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path();
    git(top, &["init", "-q", "-b", "main", "--object-format", object_format]);
    for number in 0..20 {
        std::fs::write(top.join("file"), format!("{number}\n").repeat(number)).unwrap();
        git(top, &["add", "file"]);
        git(top, &["commit", "-q", "-m", "c"]);
    }
    let tree = git(top, &["rev-parse", "HEAD^{tree}"]);
    let octopus =
        git(top, &["commit-tree", &tree, "-p", "HEAD", "-p", "HEAD~5", "-p", "HEAD~9", "-m", "three"]);
    git(top, &["update-ref", "refs/heads/main", &octopus]);
    git(top, &["tag", "-a", "-m", "t", "t1"]);
    git(top, &["tag", "-a", "-m", "t", "t2", "t1"]);
    directory
}

fn open(directory: &Path) -> Objects {
    let object_hash = id(directory, "HEAD").kind();
    Objects::open_for_test(directory.join(".git/objects"), object_hash)
}

#[test]
fn objects_are_found_loose_and_packed() {
    for object_format in ["sha1", "sha256"] {
        let directory = repository(object_format);
        let top = directory.path();
        for packed in [false, true] {
            if packed {
                git(top, &["repack", "-adq"]);
            }
            let objects = open(top);
            let all = git(top, &["cat-file", "--batch-all-objects", "--batch-check"]);
            let mut content = Vec::new();
            for line in all.lines() {
                let fields: Vec<&str> = line.split(' ').collect();
                let id = ObjectId::from_hex(fields[0].as_bytes()).unwrap();
                let kind = gix_object::Kind::from_bytes(fields[1].as_bytes()).unwrap();
                assert!(objects.contains(&id));
                assert_eq!(objects.kind(&id).unwrap(), Some(kind));
                assert_eq!(objects.find(&id, &mut content).unwrap(), Some(kind));
                assert_eq!(content.len().to_string(), fields[2]);
            }
            let absent = ObjectId::null(id(top, "HEAD").kind());
            assert!(!objects.contains(&absent));
            assert_eq!(objects.kind(&absent).unwrap(), None);
            assert_eq!(objects.find(&absent, &mut content).unwrap(), None);
            let tag = id(top, "t2");
            assert_eq!(objects.peel(&tag).unwrap(), Some((id(top, "HEAD"), gix_object::Kind::Commit)));
            assert_eq!(objects.peel(&absent).unwrap(), None);
        }
    }
}

#[test]
fn commits_are_the_same_from_graph_and_object() {
    let directory = repository("sha1");
    let top = directory.path();
    let read = |objects: &mut Objects| -> Vec<String> {
        let all = git(top, &["rev-list", "--all"]);
        let commits = all.lines().map(|hex| {
            let id = ObjectId::from_hex(hex.as_bytes()).unwrap();
            let commit = objects.commit(&id).unwrap().unwrap();
            assert_eq!(objects.commit(&id).unwrap().as_ref(), Some(&commit));
            let parents: Vec<String> = commit.parents.iter().map(ToString::to_string).collect();
            format!("{id} {} {} {}", commit.tree, commit.date, parents.join(" "))
        });
        commits.collect()
    };
    let log = git(top, &["log", "--all", "--format=%H %T %ct %P"]);
    let expected: Vec<&str> = log.lines().collect();
    let mut from_objects = open(top);
    assert_eq!(read(&mut from_objects), expected);
    assert!(from_objects.graph.is_none());
    git(top, &["commit-graph", "write", "--reachable"]);
    let mut from_graph = open(top);
    assert_eq!(read(&mut from_graph), expected);
    assert!(from_graph.graph.is_some());
    let mut not_commits = open(top);
    assert_eq!(not_commits.commit(&id(top, "HEAD^{tree}")).unwrap(), None);
    assert_eq!(not_commits.commit(&id(top, "t1")).unwrap(), None);
}

#[test]
fn a_shallow_boundary_has_no_parents() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["commit-graph", "write", "--reachable"]);
    let boundary = id(top, "HEAD~2");
    let main = top.join(".git/objects");
    let places = Places { main, extra: Vec::new(), object_hash: boundary.kind() };
    let mut objects = Objects::open(places, vec![boundary], true).unwrap();
    assert!(objects.commit(&boundary).unwrap().unwrap().parents.is_empty());
    assert_eq!(objects.commit(&id(top, "HEAD")).unwrap().unwrap().parents.len(), 3);
}

#[test]
fn broken_commits_are_errors() {
    let sha1 = gix_hash::Kind::Sha1;
    let tree = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";
    let author = "author A <a@b> 1 +0000\n";
    for (content, date) in [
        (format!("{tree}{author}committer C <c> 5 +0000\n\nm"), Some(5)),
        (format!("{tree}{author}committer C <c> -5 +0000\n\nm"), Some(-5)),
        (format!("{tree}{author}committer C <c> junk\n\ncommitter C <c> 7 +0000\n"), Some(0)),
        (format!("{tree}\n"), Some(0)),
        (format!("{tree}parent 4b82\n{author}"), None),
        ("tree x\n".to_owned(), None),
        (format!("parent {}", &tree[5..]), None),
        (String::new(), None),
    ] {
        assert_eq!(commit::parse(content.as_bytes(), sha1).map(|commit| commit.date), date, "{content}");
    }
}

#[test]
fn abbreviations_are_as_long_as_gits() {
    let directory = repository("sha1");
    let top = directory.path();
    // enough objects for prefixes of four digits to collide
    let blobs: Vec<String> = (0..1_200).map(|n| format!("blob\ndata <<E\n{n}\nE\n")).collect();
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(top)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    io::Write::write_all(&mut import.stdin.take().unwrap(), blobs.concat().as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    let objects = open(top);
    let all = git(top, &["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    let ids: Vec<&str> = all.lines().collect();
    for pair in ids.windows(3) {
        let id = ObjectId::from_hex(pair[1].as_bytes()).unwrap();
        let shared = |other: &str| pair[1].bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let expected = (shared(pair[0]).max(shared(pair[2])) + 1).max(4);
        assert_eq!(objects.abbreviate(&id, 4), pair[1][..expected]);
    }
    let head = id(top, "HEAD");
    let short = git(top, &["rev-parse", "--short", "HEAD"]);
    assert_eq!(objects.abbreviate(&head, objects.abbreviation_len()), short);
}

#[test]
fn alternates_are_read_from_file_and_environment() {
    let directory = repository("sha1");
    let top = directory.path();
    let borrower = tempfile::tempdir().unwrap();
    git(borrower.path(), &["init", "-q"]);
    let main = borrower.path().join(".git/objects");
    let lender = top.join(".git/objects");
    let head = id(top, "HEAD");
    let object_hash = head.kind();
    let missing = borrower.path().join("missing");
    let extra = vec![missing.clone(), lender.clone()];
    let places = Places { main: main.clone(), extra, object_hash };
    let objects = Objects::open(places, Vec::new(), true).unwrap();
    assert!(objects.contains(&head));
    assert_eq!(objects.alternates(), std::slice::from_ref(&lender));
    assert!(!Objects::open_for_test(main.clone(), object_hash).contains(&head));
    let alternates = format!("{}\n{}\n", missing.display(), lender.display());
    std::fs::write(main.join("info/alternates"), alternates).unwrap();
    let objects = Objects::open_for_test(main, object_hash);
    assert!(objects.contains(&head));
    assert!(objects.alternates().contains(&lender));
    assert_eq!(objects.kind(&head).unwrap(), Some(gix_object::Kind::Commit));
}

#[cfg(unix)]
#[test]
fn alternates_of_the_environment_may_be_quoted() {
    let parse = |text: &str| stores::parse_alternates(text.as_ref());
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(parse("/a:/b c::d"), paths(&["/a", "/b c", "d"]));
    assert_eq!(parse("\"/a:\\\"b\\102\":/c"), paths(&["/a:\"bB", "/c"]));
    assert_eq!(parse("\"open:/c"), paths(&["\"open", "/c"]));
    assert_eq!(parse("\"\\"), paths(&["\"\\"]));
    assert_eq!(parse(""), paths(&[]));
}

#[test]
fn packs_that_come_are_seen_by_find_at_once_and_by_contains_after_refresh() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let mut objects = open(top);
    assert!(objects.contains(&id(top, "HEAD")));
    git(top, &["commit", "-q", "--allow-empty", "-m", "new"]);
    git(top, &["repack", "-dq"]);
    let new = id(top, "HEAD");
    assert!(!objects.contains(&new));
    assert_eq!(objects.clone().kind(&new).unwrap(), Some(gix_object::Kind::Commit));
    assert!(!objects.contains(&new));
    objects.refresh().unwrap();
    assert!(objects.contains(&new));
    // a repack takes the packs away that were open
    let old = open(top);
    git(top, &["repack", "-adq"]);
    assert_eq!(old.kind(&new).unwrap(), Some(gix_object::Kind::Commit));
}

#[test]
fn one_value_serves_many_threads() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let objects = open(top);
    let all = git(top, &["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    let ids: Vec<ObjectId> = all.lines().map(|hex| ObjectId::from_hex(hex.as_bytes()).unwrap()).collect();
    let bases: &dyn Bases = &objects;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut content = Vec::new();
                for id in &ids {
                    assert!(bases.contains(id));
                    assert!(bases.find(id, &mut content).unwrap().is_some());
                }
            });
        }
    });
}
