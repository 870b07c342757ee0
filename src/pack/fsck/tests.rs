//! What is found in objects, as git 2.47.3 tells it.

use super::*;

const HASH: gix_hash::Kind = gix_hash::Kind::Sha1;

/// What is found in the object, each line as it is told.
fn found(kind: Kind, content: &[u8]) -> Vec<String> {
    found_by(&Rules::default(), kind, content).0
}

fn found_by(rules: &Rules, kind: Kind, content: &[u8]) -> (Vec<String>, bool) {
    let checker = Checker::new(Some(rules));
    let id = ObjectId::null(HASH);
    let is_fit = match kind {
        Kind::Blob => checker.check_special(&id, Special::Modules, Some((kind, content))),
        Kind::Commit | Kind::Tag | Kind::Tree => checker.check(&id, kind, content),
    };
    let findings = checker.noted.into_inner().unwrap().findings;
    let text = |finding: Finding| finding.text.split_once(&format!("{id}: ")).unwrap().1.to_owned();
    (findings.into_iter().map(text).collect(), is_fit.is_ok())
}

fn commit(author: &str) -> String {
    format!("tree {}\nauthor {author}\ncommitter C <c@d> 1 +0000\n\nm\n", "1".repeat(40))
}

fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (mode, name) in entries {
        content.extend(format!("{mode} {name}\0").bytes());
        content.extend([1; 20]);
    }
    content
}

#[test]
fn authors_are_checked() {
    // As git 2.47.3 tells it.
    for (author, expected) in [
        ("A <a@b> 1 +0000", ""),
        ("A <a@b> 0 -1200", ""),
        (" <a@b> 1 +0000", ""),
        (
            "<a@b> 1 +0000",
            "missingNameBeforeEmail: invalid author/committer line - missing space before email",
        ),
        (
            "A<a@b> 1 +0000",
            "missingSpaceBeforeEmail: invalid author/committer line - missing space before email",
        ),
        ("A a 1 +0000", "missingEmail: invalid author/committer line - missing email"),
        ("A> <a@b> 1 +0000", "badName: invalid author/committer line - bad name"),
        ("A <a@b 1 +0000", "badEmail: invalid author/committer line - bad email"),
        ("A <a<b> 1 +0000", "badEmail: invalid author/committer line - bad email"),
        (
            "A <a@b>1 +0000",
            "missingSpaceBeforeDate: invalid author/committer line - missing space before date",
        ),
        ("A <a@b> 01 +0000", "zeroPaddedDate: invalid author/committer line - zero-padded date"),
        ("A <a@b> x +0000", "badDate: invalid author/committer line - bad date"),
        ("A <a@b> 1", "badDate: invalid author/committer line - bad date"),
        (
            "A <a@b> 99999999999999999999 +0000",
            "badDateOverflow: invalid author/committer line - date causes integer overflow",
        ),
        ("A <a@b> 1 +000", "badTimezone: invalid author/committer line - bad time zone"),
        ("A <a@b> 1 0000", "badTimezone: invalid author/committer line - bad time zone"),
    ] {
        assert_eq!(found(Kind::Commit, commit(author).as_bytes()).join("|"), expected, "{author}");
    }
}

#[test]
fn headers_are_checked() {
    let whole = commit("A <a@b> 1 +0000");
    let changed = |from: &str, to: &str| found(Kind::Commit, whole.replace(from, to).as_bytes()).join("|");
    assert_eq!(changed("author", "writer"), "missingAuthor: invalid format - expected 'author' line");
    assert_eq!(changed("committer", "maker"), "missingCommitter: invalid format - expected 'committer' line");
    assert_eq!(changed("\nm\n", "\nm\0"), "nulInCommit: NUL byte in the commit object body");
    assert_eq!(changed("\n\nm\n", "\nx"), "unterminatedHeader: unterminated header");
    assert_eq!(changed("\n\nm\n", "\nx\0\n"), "nulInHeader: unterminated header: NUL at offset 96");
    let twice = changed("committer", "author A <a@b> 1 +0000\ncommitter");
    assert_eq!(twice, "multipleAuthors: invalid format - multiple 'author' lines");
}

#[test]
fn tags_are_checked() {
    let tag = |name: &str, tagger: &str| {
        format!("object {}\ntype commit\ntag {name}\n{tagger}\nm\n", "1".repeat(40))
    };
    assert_eq!(found(Kind::Tag, tag("v", "tagger A <a@b> 1 +0000\n").as_bytes()), [""; 0]);
    assert_eq!(found(Kind::Tag, tag("v", "tagger A <a@b> 1 +0000\nx y\n").as_bytes()), [""; 0]);
    let old = found_by(&Rules::default(), Kind::Tag, tag("v", "").as_bytes());
    assert_eq!(old, (vec!["missingTaggerEntry: invalid format - expected 'tagger' line".to_owned()], true));
    let name = found(Kind::Tag, tag("a..b", "tagger A <a@b> 1 +0000\n").as_bytes());
    assert_eq!(name, ["badTagName: invalid 'tag' name: a..b"]);
}

#[test]
fn trees_are_checked() {
    for (entries, expected) in [
        (&[("100644", "a"), ("40000", "a.b"), ("160000", "b")][..], ""),
        (&[("100644", "a/b")], "fullPathname: contains full pathnames"),
        (&[("40000", ".")], "hasDot: contains '.'"),
        (&[("40000", "..")], "hasDotdot: contains '..'"),
        (&[("40000", ".GIT")], "hasDotgit: contains '.git'"),
        (&[("40000", "git~1")], "hasDotgit: contains '.git'"),
        (&[("40000", "a\\.git")], "hasDotgit: contains '.git'"),
        (&[("40000", ".g\u{200c}it")], "hasDotgit: contains '.git'"),
        (&[("40000", ".Git\u{fffe}x")], "hasDotgit: contains '.git'"),
        (&[("040000", "a")], "zeroPaddedFilemode: contains zero-padded file modes"),
        (&[("100664", "a")], "badFilemode: contains bad file modes"),
        (&[("140000", "a")], "badFilemode: contains bad file modes"),
        (
            &[("100644", "a"), ("100644", "a.b"), ("40000", "a")],
            "duplicateEntries: contains duplicate file entries",
        ),
        (&[("100644", "b"), ("100644", "a")], "treeNotSorted: not properly sorted"),
        (&[("120000", ".gitmodules")], "gitmodulesSymlink: .gitmodules is a symbolic link"),
        (&[("120000", ".gitattributes")], "gitattributesSymlink: .gitattributes is a symlink"),
        (&[("120000", ".mailmap")], "mailmapSymlink: .mailmap is a symlink"),
    ] {
        assert_eq!(found(Kind::Tree, &tree(entries)).join("|"), expected, "{entries:?}");
    }
}

#[test]
fn names_that_some_file_system_takes_for_those_of_git_are_found() {
    // As git 2.47.3 tells it.
    for (name, expected) in [
        (".GitModules", "gitmodulesSymlink"),
        (".gitmodules. :stream", "gitmodulesSymlink"),
        ("GITMOD~4", "gitmodulesSymlink"),
        ("gi7eba~1", "gitmodulesSymlink"),
        ("gi7~1234", "gitmodulesSymlink|gitattributesSymlink"),
        ("a\\gitmod~1", "gitmodulesSymlink"),
        (".git\u{feff}modules\u{200c}", "gitmodulesSymlink"),
        ("GITATT~1", "gitattributesSymlink"),
        ("gi7d29~9", "gitattributesSymlink"),
        (".gitattributes .", "gitattributesSymlink"),
        (".git\u{200c}attributes", "gitattributesSymlink"),
        ("gi250a~1", "gitignoreSymlink"),
        (".gitignor\u{202a}E", "gitignoreSymlink"),
        ("maba30~1", "mailmapSymlink"),
        ("MAILMA~1", "mailmapSymlink"),
        ("gitatt~5", ""),
        ("gitatt~1x", ""),
        ("gitatt~1\\x", ""),
        ("gi7d29~0", ""),
        ("gi7d29~a", ""),
        ("a\\.gitattributes", ""),
        ("gitattributes", ""),
        (".gitattributesx", ""),
        (".git\u{200b}attributes", ""),
        ("~1", ""),
    ] {
        let found = found(Kind::Tree, &tree(&[("120000", name)]));
        let names: Vec<&str> = found.iter().map(|text| text.split_once(':').unwrap().0).collect();
        assert_eq!(names.join("|"), expected, "{name}");
    }
}

#[test]
fn submodules_are_checked() {
    for (content, expected) in [
        ("[submodule \"a\"]\n\tpath = a # comment\n\turl = https://x/y\n[core]\n\tx\n", ""),
        ("[submodule \"a\"]\n\turl = ../../b.git\n", ""),
        ("[submodule \"a\"]\n\turl = git@host:x\n", ""),
        ("[submodule \"../a\"]\n\tpath = a\n", "gitmodulesName: disallowed submodule name: ../a"),
        ("[submodule \"a\"]\n\turl = -x\n", "gitmodulesUrl: disallowed submodule url: -x"),
        ("[submodule \"a\"]\n\tpath = -a\n", "gitmodulesPath: disallowed submodule path: -a"),
        ("[submodule \"a\"]\n\tupdate = !x\n", "gitmodulesUpdate: disallowed submodule update setting: !x"),
        ("[submodule \"a\n", "gitmodulesParse: could not parse gitmodules blob"),
        (
            "[submodule \"a\"]\n\turl = \"https://x/\\ny\"\n",
            "gitmodulesUrl: disallowed submodule url: https://x/\ny",
        ),
        ("[submodule \"a\"]\n\turl = ./%0ahost=x\n", "gitmodulesUrl: disallowed submodule url: ./%0ahost=x"),
        (
            "[submodule \"a\"]\n\turl = ../../../:foo\n",
            "gitmodulesUrl: disallowed submodule url: ../../../:foo",
        ),
        ("[submodule \"a\"]\n\turl = http::-x\n", "gitmodulesUrl: disallowed submodule url: http::-x"),
        ("[submodule \"a\"]\n\turl = https:///x\n", "gitmodulesUrl: disallowed submodule url: https:///x"),
        ("[submodule.A]\n\turl = -x\n", "gitmodulesUrl: disallowed submodule url: -x"),
        ("[SubModule.a \"b\"]\n\turl = -x\n", "gitmodulesUrl: disallowed submodule url: -x"),
        ("[submodule...]\n\tpath = a\n", "gitmodulesName: disallowed submodule name: .."),
        ("[submodule.]\n\tpath = a\n", "gitmodulesName: disallowed submodule name: "),
        ("[submodule]\n\turl = -x\n[submodules \"a\"]\n\turl = -x\n", ""),
        ("[submodule\r\"a\"]\n\turl = -x\n", "gitmodulesUrl: disallowed submodule url: -x"),
        (
            "[submodule \"a\"]\r\n\tpath = a\\\r\nb\r\n\turl = -x\r\n",
            "gitmodulesUrl: disallowed submodule url: -x",
        ),
        ("[submodule \"a\"]\n\turl = -\\", "gitmodulesUrl: disallowed submodule url: -"),
        ("[submodule \"a\"]\n\turl\r = -x\n", "gitmodulesParse: could not parse gitmodules blob"),
        ("[submodule \"a\0b\"]\n\turl = -x\n", ""),
        ("[]\n", "gitmodulesParse: could not parse gitmodules blob"),
        ("[submodule\n\"a\"]\n\turl = -x\n", "gitmodulesParse: could not parse gitmodules blob"),
    ] {
        assert_eq!(found(Kind::Blob, content.as_bytes()).join("|"), expected, "{content}");
    }
}

#[test]
fn urls_of_submodules_are_those_that_git_takes() {
    // As git 2.47.3 tells it.
    for url in [
        "a",
        "../a",
        ".\\a",
        "./:a",
        "../\\a",
        "../..a:",
        "git@host:a",
        "ssh://h:x/a",
        "file:///a",
        "HTTPS://h:x/a",
        "http::http://h/a",
        "http::file:///a",
        "https://h",
        "https://u:p@h:443/a",
        "https://h:/a",
        "https://h:00080/a",
        "https://[::1]:80/a",
        "https://h:80:80/a",
        "https://h_-./a",
        "https://h/a/../b",
        "https://h//..",
        "https://h/?/../..",
        "https://u^@h/a",
        "https://h/%41",
        "https://h/a b",
    ] {
        assert!(url::is_safe(url.as_bytes()), "{url}");
    }
}

#[test]
fn urls_that_git_does_not_take_are_refused() {
    // As git 2.47.3 tells it.
    for url in [
        "-a",
        "..\\..\\..\\:x",
        ".\\%0ahost=x",
        "./x:%0ahost=x",
        "..\\/a",
        "..//a",
        "./../:a",
        "../a\nb",
        "http::-x",
        "http::ssh:/h",
        "http::1://h",
        "https::a",
        "https://",
        "https://?",
        "https://u@/a",
        "https://:80/a",
        "https://::",
        "https://h:0/a",
        "https://h:99999/a",
        "https://h:b/a",
        "https://h:-1/a",
        "https://h^a/a",
        "https://h%41/a",
        "https://h%zzh/a",
        "https://u%zz@h/a",
        "https://h/%4",
        "https://h?%zz",
        "https://a@b@c/d",
        "https://*.h/a",
        "https://h\\a/b",
        "https://h/../a",
        "https://h/%2E%2e/a",
        "https://h/a/../..",
        "ftps://h:b",
        "https://h/%0aa",
        "https://[::1]:x/a",
        "https://\u{e9}/a",
    ] {
        assert!(!url::is_safe(url.as_bytes()), "{url}");
    }
}

#[test]
fn severities_can_be_changed() {
    let mut rules = Rules::default();
    let bad = commit("A 1 +0000");
    assert!(!found_by(&rules, Kind::Commit, bad.as_bytes()).1);
    rules.set_all("MISSINGemail=warn,hasDot=ignore".into()).unwrap();
    let (told, is_fit) = found_by(&rules, Kind::Commit, bad.as_bytes());
    assert_eq!((told.len(), is_fit), (1, true));
    rules.set_all("missingEmail=ignore".into()).unwrap();
    assert_eq!(found_by(&rules, Kind::Commit, bad.as_bytes()), (Vec::new(), true));
    for (list, expected) in [
        ("foo=error", "Unhandled message id: foo"),
        ("missingEmail=foo", "Unknown fsck message type: 'foo'"),
        ("missingEmail", "Missing '=': 'missingEmail'"),
        ("nulInHeader=warn", "Cannot demote nulinheader to warn"),
    ] {
        assert_eq!(rules.set_all(list.into()).unwrap_err().to_string(), expected);
    }
    rules.set("largePathname".into(), "error:3".into()).unwrap();
    let long = found_by(&rules, Kind::Tree, &tree(&[("100644", "four")])).0;
    assert_eq!(long, ["largePathname: contains excessively large pathname"]);
    rules.skip([ObjectId::null(HASH)]);
    assert!(found_by(&rules, Kind::Tree, &tree(&[("100644", "four")])).1);
}
