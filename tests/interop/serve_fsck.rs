//! `receive.fsckObjects`: objects that break rules, pushed to C git and to gitr.

use std::fs;

use crate::serve_pair::Pair;
use crate::support::{Format, Git, Run};

/// The blob `content` in the repository that is pushed from.
fn blob(pair: &Pair<'_>, content: &[u8]) -> String {
    object(pair, "blob", content)
}

fn object(pair: &Pair<'_>, kind: &str, content: &[u8]) -> String {
    let mut command = pair.sandbox.command(&Git::reference().program);
    command.current_dir(pair.sandbox.path("work.git"));
    command.args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"]);
    Run::with_input(&mut command, content).success().line()
}

/// A tree as its bytes are: modes, names and ids.
fn tree(pair: &Pair<'_>, entries: &[(&str, &[u8], &str)]) -> String {
    let mut content = Vec::new();
    for (mode, name, id) in entries {
        content.extend_from_slice(&[mode.as_bytes(), b" ", name, b"\0"].concat());
        content.extend((0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()));
    }
    object(pair, "tree", &content)
}

/// Makes a commit of `tree` the branch `bad`.
fn commit(pair: &Pair<'_>, tree: &str) {
    let who = "A <a@example.com> 1700000000 +0000";
    let id = object(pair, "commit", format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n").as_bytes());
    let work = pair.sandbox.path("work.git");
    fs::write(work.join("refs/heads/bad"), format!("{id}\n")).unwrap();
}

/// Pushes the branch; both have to say the same of it.
fn told(pair: &Pair<'_>, what: &str, limit: &str) -> Run {
    pair.configure("receive.unpackLimit", limit);
    let run = pair.same(&["bad"]);
    assert_ne!(run.status, 0, "{what}: {run:?}");
    run
}

#[test]
fn modules_that_do_harm_are_refused_in_the_words_of_c_git() {
    let pair = Pair::bare(Git::reference(), Format::Sha1);
    pair.configure("receive.fsckObjects", "true");
    for (what, content) in [
        ("gitmodulesUrl", "[submodule \"a\"]\n\tpath = a\n\turl = -u./payload\n"),
        ("gitmodulesUrl", "[submodule \"a\"]\n\tpath = a\n\turl = http://x%0ahost=evil/a\n"),
        ("gitmodulesUrl", "[submodule \"a\"]\n\tpath = a\n\turl = ../..//:x\n"),
        ("gitmodulesUrl", "[submodule \"a\"]\n\tpath = a\n\turl = \"..\\\\..\\\\..\\\\:x\"\n"),
        ("gitmodulesUrl", "[submodule \"a\"]\n\tpath = a\n\turl = https://example.com:99999/x\n"),
        ("gitmodulesUrl", "[submodule.a]\n\tpath = a\n\turl = -u./payload\n"),
        ("gitmodulesUrl", "[submodule\r\"a\"]\r\n\tpath = a\\\r\nb\r\n\turl = -u./payload\r\n"),
        ("gitmodulesPath", "[submodule \"a\"]\n\tpath = -x\n\turl = ./a\n"),
        ("gitmodulesName", "[submodule \"../../evil\"]\n\tpath = a\n\turl = ./a\n"),
        ("gitmodulesName", "[submodule \"..\"]\n\tpath = a\n\turl = ./a\n"),
        ("gitmodulesName", "[submodule...]\n\tpath = a\n\turl = ./a\n"),
        ("gitmodulesUpdate", "[submodule \"a\"]\n\tpath = a\n\turl = ./a\n\tupdate = !touch x\n"),
    ] {
        let id = blob(&pair, content.as_bytes());
        commit(&pair, &tree(&pair, &[("100644", b".gitmodules", &id)]));
        for limit in ["100", "1"] {
            let run = told(&pair, what, limit);
            assert!(run.complains_of(what), "{what}: {run:?}");
        }
    }
    // a file that is none, and one that is read as no configuration: the first is an error, the second a note
    let file = blob(&pair, b"x");
    let inner = tree(&pair, &[("100644", b"x", &file)]);
    for (what, entry) in [
        ("gitmodulesSymlink", ("120000", &b".gitmodules"[..], file.as_str())),
        ("gitmodulesBlob", ("40000", b".gitmodules", &inner)),
    ] {
        commit(&pair, &tree(&pair, &[entry]));
        let run = told(&pair, what, "100");
        assert!(run.complains_of(what), "{what}: {run:?}");
    }
}

#[test]
fn trees_that_do_harm_are_refused_in_the_words_of_c_git() {
    let pair = Pair::bare(Git::reference(), Format::Sha1);
    pair.configure("receive.fsckObjects", "true");
    let file = blob(&pair, b"x");
    let null = "0".repeat(40);
    let one = |name: &'static [u8]| vec![("100644", name, file.as_str())];
    for (what, entries) in [
        ("hasDotgit", one(b".git")),
        ("hasDotgit", one(b".GIT")),
        ("hasDotgit", one(b"git~1")),
        ("hasDotgit", one(b".git ")),
        ("hasDotgit", one(b".git::$DATA")),
        ("hasDotgit", one(b".g\xe2\x80\x8cit")),
        ("hasDot", one(b".")),
        ("hasDotdot", one(b"..")),
        ("fullPathname", one(b"a/b")),
        ("treeNotSorted", vec![("100644", b"b", file.as_str()), ("100644", b"a", file.as_str())]),
        ("duplicateEntries", vec![("100644", b"a", file.as_str()), ("100644", b"a", file.as_str())]),
        ("zeroPaddedFilemode", vec![("0100644", b"a", file.as_str())]),
        ("badFilemode", vec![("123456", b"a", file.as_str())]),
        ("gitmodulesSymlink", vec![("120000", b"GITMOD~1", file.as_str())]),
        ("gitattributesSymlink", vec![("120000", b"GITATT~1", file.as_str())]),
        ("gitattributesSymlink", vec![("120000", b".git\xe2\x80\x8cattributes", file.as_str())]),
        ("mailmapSymlink", vec![("120000", b"maba30~1", file.as_str())]),
        ("nullSha1", vec![("160000", b"a", null.as_str())]),
    ] {
        commit(&pair, &tree(&pair, &entries));
        for limit in ["100", "1"] {
            pair.configure("receive.unpackLimit", limit);
            // some of them are warnings alone
            let run = pair.same(&["+bad"]);
            assert!(run.complains_of(what), "{what}: {run:?}");
            pair.prepare(|sandbox, place| {
                drop(sandbox.git(place, &["update-ref", "-d", "refs/heads/bad"]));
            });
        }
    }
}
