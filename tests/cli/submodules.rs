//! `clone --recurse-submodules`, each row beside C git: what is printed and returned, and what is on disk afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bstr::BString;

use crate::support::{Run, Sandbox, Twin};

/// A commit that nobody has.
const NOWHERE: &str = "1234567890123456789012345678901234567890";

/// A superproject: its name, `.gitmodules`, and the path and commit of each submodule. `<served>` stands for the directory
/// of all; `plain` is the tip of that repository, `plain~1` its parent, `hidden` a commit that no ref of it has.
type Super = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const A: &str = "[submodule \"a\"]\n\tpath = a\n\turl = ../plain\n";
const B: &str = "[submodule \"b\"]\n\tpath = b\n\turl = ../plain\n";

const SUPERS: [Super; 26] = [
    ("two", "<a><b>", &[("a", "plain~1"), ("b", "plain")]),
    ("inner", "[submodule \"below/x\"]\n\tpath = x\n\turl = ../plain\n", &[("x", "plain")]),
    (
        "outer",
        "[submodule \"one\"]\n\tpath = one\n\turl = ../inner\n[submodule \"n/two\"]\n\tpath = deep/two\n\turl = \
         file://<served>/plain\n",
        &[("one", "inner"), ("deep/two", "plain")],
    ),
    (
        "missing",
        "<a>[submodule \"m\"]\n\tpath = m\n\turl = ../nosuch\n<b>",
        &[("a", "plain"), ("b", "plain"), ("m", "plain")],
    ),
    ("dots", "[submodule \"../../x\"]\n\tpath = x\n\turl = ../plain\n<b>", &[("b", "plain"), ("x", "plain")]),
    ("dash-url", "[submodule \"a\"]\n\tpath = a\n\turl = -u./x\n<b>", &[("a", "plain"), ("b", "plain")]),
    (
        "dash-path",
        "[submodule \"a\"]\n\tpath = -x\n\turl = ../plain\n<b>",
        &[("-x", "plain"), ("b", "plain")],
    ),
    (
        "host",
        "[submodule \"a\"]\n\tpath = a\n\turl = ssh://-oProxyCommand=x/y\n<b>",
        &[("a", "plain"), ("b", "plain")],
    ),
    ("ext", "[submodule \"a\"]\n\tpath = a\n\turl = ext::sh -c touch% pwned\n", &[("a", "plain")]),
    (
        "nested",
        "<a>[submodule \"a/refs\"]\n\tpath = b\n\turl = ../plain\n",
        &[("a", "plain"), ("b", "plain")],
    ),
    ("unknown", "<b>", &[("a", "plain"), ("b", "plain")]),
    ("no-url", "[submodule \"a\"]\n\tpath = a\n<b>", &[("a", "plain"), ("b", "plain")]),
    ("none", "<a>\tupdate = none\n<b>", &[("a", "plain"), ("b", "plain")]),
    ("merge", "<a>\tupdate = merge\n<b>\tupdate = rebase\n", &[("a", "plain"), ("b", "plain")]),
    ("command", "<a>\tupdate = !touch pwned\n<b>", &[("a", "plain"), ("b", "plain")]),
    ("bogus", "<a>\tupdate = bogus\n<b>", &[("a", "plain"), ("b", "plain")]),
    ("gone", "<a><b>", &[("a", NOWHERE), ("b", "plain")]),
    ("hidden", "[submodule \"a\"]\n\tpath = a\n\turl = file://<served>/plain\n", &[("a", "hidden")]),
    (
        "shallow",
        "[submodule \"a\"]\n\tpath = a\n\turl = file://<served>/plain\n\tshallow = true\n<b>",
        &[("a", "plain"), ("b", "plain")],
    ),
    ("branch", "<a>\tbranch = side\n<b>\tbranch = .\n", &[("a", "plain"), ("b", "plain~1")]),
    ("no-branch", "<a>\tbranch = nosuch\n<b>", &[("a", "plain"), ("b", "plain")]),
    ("far-up", "[submodule \"a\"]\n\tpath = a\n\turl = ../../../../../../../../../../x\n", &[("a", "plain")]),
    ("broken", "[submodule \"a\n", &[("a", "plain")]),
    (
        "below-missing",
        "[submodule \"a\"]\n\tpath = a\n\turl = ../missing\n<b>",
        &[("a", "missing"), ("b", "plain")],
    ),
    ("below-gone", "[submodule \"a\"]\n\tpath = a\n\turl = ../gone\n<b>", &[("a", "gone"), ("b", "plain")]),
    ("tree", "<a><b>", &[("a", "plain^{tree}"), ("b", "plain")]),
];

/// Options in front of `clone`, those of it, the superproject, and how it ends.
type Row = (&'static [&'static str], &'static [&'static str], &'static str, i32);

const ALLOWED: &[&str] = &["-c", "protocol.file.allow=always"];
const ALL: &[&str] = &["--recurse-submodules"];

const ROWS: [Row; 69] = [
    (ALLOWED, ALL, "outer", 0),
    (ALLOWED, &["--recurse-submodules", "-q"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--progress", "-q"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "--jobs=2", "-q"], "outer", 0),
    (&["-c", "protocol.file.allow=always", "-c", "submodule.fetchJobs=2"], &["--recursive", "-q"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "--single-branch"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--shallow-submodules"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--shallow-submodules", "-q"], "hidden", 0),
    (ALLOWED, &["--recurse-submodules", "--remote-submodules"], "branch", 0),
    (ALLOWED, &["--recurse-submodules", "--remote-submodules"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "--remote-submodules"], "no-branch", 128),
    (ALLOWED, &["--recurse-submodules", "--remote-submodules", "-c", "submodule.a.branch=side"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "--filter=blob:none", "--also-filter-submodules"], "outer", 0),
    (
        &["-c", "protocol.file.allow=always", "-c", "clone.filterSubmodules=true"],
        &["--recurse-submodules", "--filter=blob:limit=3"],
        "outer",
        0,
    ),
    (ALLOWED, &["--recurse-submodules", "--filter=blob:none"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--reference", "<served>/outer"], "two", 1),
    (ALLOWED, &["--recurse-submodules", "--reference-if-able", "<served>/outer"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "--reference", "<served>/lender"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--reference", "a", "--reference-if-able", "b"], "outer", 128),
    (&["-c", "protocol.file.allow=always", "-c", "submodule.alternateLocation=x"], ALL, "two", 1),
    (
        &[
            "-c",
            "protocol.file.allow=always",
            "-c",
            "submodule.alternateLocation=superproject",
            "-c",
            "submodule.alternateErrorStrategy=x",
        ],
        ALL,
        "two",
        1,
    ),
    (ALLOWED, &["--recurse-submodules", "--separate-git-dir=elsewhere"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--sparse"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--ref-format=reftable"], "outer", 0),
    (
        &["-c", "protocol.file.allow=always", "-c", "init.defaultRefFormat=reftable"],
        &["--recurse-submodules", "--ref-format=files"],
        "outer",
        0,
    ),
    (&["-c", "protocol.file.allow=always", "-c", "init.defaultRefFormat=reftable"], ALL, "two", 0),
    (ALLOWED, &["--recurse-submodules", "--no-checkout"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--bare"], "outer", 0),
    (ALLOWED, &["--recurse-submodules", "--origin=upstream"], "two", 0),
    (ALLOWED, &["--recurse-submodules=one", "--no-recurse-submodules"], "outer", 0),
    (ALLOWED, &["--remote-submodules"], "outer", 0),
    (ALLOWED, &["-c", "submodule.stickyRecursiveClone=true", "--recurse-submodules=one"], "outer", 0),
    (
        &["-c", "protocol.file.allow=always", "-c", "submodule.stickyRecursiveClone=true"],
        &["--recurse-submodules=one"],
        "outer",
        0,
    ),
    (ALLOWED, &["--recursive=one", "--recurse-submodules=nosuch"], "outer", 0),
    (ALLOWED, &["--recurse-submodules=deep"], "outer", 0),
    (ALLOWED, &["--recurse-submodules=deep/"], "outer", 0),
    (ALLOWED, &["--recurse-submodules=*wo"], "outer", 0),
    (ALLOWED, &["--recurse-submodules=:^deep", "--recurse-submodules=."], "outer", 0),
    (ALLOWED, &["--recurse-submodules=:!one"], "outer", 0),
    (ALLOWED, &["--recurse-submodules=:(icase)ONE"], "outer", 0),
    (ALLOWED, &["--recurse-submodules=:(bad)one"], "two", 128),
    (ALLOWED, &["--recurse-submodules=../one"], "two", 128),
    (ALLOWED, &["--recurse-submodules="], "two", 128),
    (ALLOWED, &["--recurse-submodules", "-c", "submodule.a.active=false"], "two", 0),
    (ALLOWED, &["--recurse-submodules=a", "-c", "submodule.b.active=true"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "-c", "submodule.a.url=<served>/nosuch"], "two", 1),
    (ALLOWED, &["--recurse-submodules", "-c", "submodule.a.update=none"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "-c", "submodule.a.update=!echo updated"], "two", 0),
    (ALLOWED, &["--recurse-submodules", "-c", "submodule.a.update=!exit 3;"], "two", 128),
    (ALLOWED, &["--recurse-submodules", "-c", "submodule.a.update=bogus"], "two", 128),
    (&["-c", "protocol.file.allow=always", "-c", "submodule.fetchJobs=-1"], ALL, "two", 128),
    (&["-c", "protocol.file.allow=always", "-c", "submodule.fetchJobs=x"], ALL, "two", 128),
    (&[], ALL, "two", 1),
    (&["-c", "protocol.file.allow=user"], ALL, "two", 1),
    (&["-c", "protocol.allow=always"], ALL, "two", 0),
    (&[], &["--recurse-submodules", "-c", "protocol.file.allow=always"], "two", 1),
    (ALLOWED, ALL, "missing", 1),
    (ALLOWED, &["--recurse-submodules", "-q"], "missing", 1),
    (ALLOWED, ALL, "dots", 0),
    (ALLOWED, ALL, "dash-url", 128),
    (ALLOWED, ALL, "dash-path", 0),
    (ALLOWED, ALL, "host", 1),
    (ALLOWED, ALL, "ext", 1),
    (&["-c", "protocol.ext.allow=user"], ALL, "ext", 1),
    (ALLOWED, ALL, "nested", 1),
    (ALLOWED, ALL, "no-url", 128),
    (ALLOWED, ALL, "far-up", 128),
    (ALLOWED, ALL, "broken", 128),
    (ALLOWED, ALL, "below-missing", 1),
];

/// Superprojects that are cloned with nothing but `--recurse-submodules`, and how that ends.
const SIMPLE: [(&str, i32); 10] = [
    ("unknown", 0),
    ("none", 0),
    ("merge", 0),
    ("command", 128),
    ("bogus", 128),
    ("gone", 128),
    ("hidden", 0),
    ("shallow", 0),
    ("below-gone", 128),
    ("tree", 128),
];

/// Builds what is served.
fn serve(sandbox: &Sandbox) {
    let served = sandbox.path("served");
    let git = |place: &str, arguments: &[&str]| -> String {
        sandbox.git(&served.join(place), arguments).success().stdout.to_string().trim_end().to_owned()
    };
    git("", &["init", "-q", "plain"]);
    for number in ["1", "2"] {
        std::fs::write(served.join("plain/file"), number).unwrap();
        git("plain", &["add", "."]);
        git("plain", &["commit", "-q", "-m", number]);
    }
    git("plain", &["branch", "side", "HEAD~1"]);
    let hidden = git("plain", &["commit-tree", "-p", "HEAD", "-m", "hidden", "HEAD^{tree}"]);
    for (name, modules, links) in SUPERS {
        git("", &["init", "-q", name]);
        let text =
            modules.replace("<a>", A).replace("<b>", B).replace("<served>", &served.display().to_string());
        std::fs::write(served.join(name).join(".gitmodules"), text).unwrap();
        git(name, &["add", "."]);
        for (path, commit) in links {
            let (repo, suffix) = commit.split_at(commit.find(['~', '^']).unwrap_or(commit.len()));
            let id = match *commit {
                NOWHERE => NOWHERE.to_owned(),
                "hidden" => hidden.clone(),
                _ => git(repo, &["rev-parse", &format!("HEAD{suffix}")]),
            };
            git(name, &["update-index", "--add", "--cacheinfo", &format!("160000,{id},{path}")]);
        }
        git(name, &["commit", "-q", "-m", name]);
    }
    let url = served.join("outer").display().to_string();
    git("", &["-c", "protocol.file.allow=always", "clone", "-q", "--recurse-submodules", &url, "lender"]);
}

/// What submodules have on disk below `top`: their configuration and where they are tied together, by path.
fn ties(twin: &Twin<'_>, top: &Path) -> Vec<(PathBuf, BString)> {
    const FILES: [&str; 6] = [".git", "HEAD", "config", "alternates", "shallow", "FETCH_HEAD"];
    let mut found = Vec::new();
    let mut ahead = vec![top.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else if path.file_name().is_some_and(|name| FILES.iter().any(|file| name == *file)) {
                let text = twin.anonymous(&std::fs::read(&path).unwrap());
                found.push((path.strip_prefix(top).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// What C git says of the submodules of `top`: their commits, what is changed, reflogs and index.
fn said(sandbox: &Sandbox, top: &Path) -> BString {
    let git = |arguments: &[&str]| sandbox.git(top, arguments).stdout;
    let each = "git status --porcelain; git ls-files --stage; git reflog HEAD; git rev-parse --git-dir";
    let all = [
        git(&["submodule", "status", "--recursive"]),
        git(&["submodule", "foreach", "--recursive", each]),
        git(&["status", "--porcelain"]),
    ];
    all.concat().into()
}

/// What was printed and returned, with what the far side says for itself, which comes when it comes, at the end.
fn settled(run: &Run) -> (String, Vec<String>, i32) {
    let is_theirs = |line: &String| line.starts_with("fatal: git upload-pack:");
    let lines = run.stderr.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
    let (theirs, mut others): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_theirs);
    others.extend(theirs);
    (run.stdout.to_string(), others, run.status)
}

/// Clones as `row` says, with both, and compares what there is then.
fn compare(sandbox: &Sandbox, twin: &Twin<'_>, number: usize, row: Row) {
    let (before, options, name, status) = row;
    let served = sandbox.path("served").display().to_string();
    let copy = format!("copy{number}");
    let url = format!("{served}/{name}");
    let options: Vec<String> = options.iter().map(|option| option.replace("<served>", &served)).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let words = [before, &["clone"], &options, &[&url, &copy]].concat();
    let (our_run, their_run) = (twin.gitr("", &words), twin.git("", &words));
    assert_eq!(settled(&our_run), settled(&their_run), "gitr does not say what git says: {words:?}");
    assert_eq!(our_run.status, status, "{row:?}\n{our_run:?}");
    for place in [copy.as_str(), "elsewhere"] {
        let (ours, theirs) = (twin.ours.join(place), twin.theirs.join(place));
        assert_eq!(ties(twin, &ours), ties(twin, &theirs), "{row:?}");
    }
    let (ours, theirs) = (twin.ours.join(&copy), twin.theirs.join(&copy));
    if theirs.join(".git").exists() {
        let anonymous = |top: &Path| twin.anonymous(&said(sandbox, top));
        assert_eq!(anonymous(&ours), anonymous(&theirs), "{row:?}");
    }
    assert!(!ours.join("a/pwned").exists() && !sandbox.path("ours/pwned").exists());
}

#[test]
fn submodules_are_cloned_as_git_clones_them() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for (number, row) in ROWS.into_iter().enumerate() {
        compare(&sandbox, &twin, number, row);
    }
}

#[test]
fn what_gitmodules_says_is_heeded_or_refused_as_by_git() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for (number, (name, status)) in SIMPLE.into_iter().enumerate() {
        compare(&sandbox, &twin, number, (ALLOWED, ALL, name, status));
    }
}

/// A template directory whose post-checkout hook is `script`.
fn template(sandbox: &Sandbox, script: &str) -> String {
    let hook = sandbox.path("template/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("--template={}", sandbox.path("template").display())
}

/// CVE-2024-32002: what is in the way of a submodule once it is about to be cloned.
#[test]
fn a_submodule_goes_through_no_symbolic_link_and_over_nothing() {
    let sandbox = Sandbox::new();
    serve(&sandbox);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = sandbox.path("served/outer").display().to_string();
    for (number, script) in [
        "#!/bin/sh\nmkdir ../outside\nrm -rf deep\nln -s ../outside deep\n",
        "#!/bin/sh\nmkdir ../outside\nrm -rf deep/two\nln -s ../../outside deep/two\n",
        "#!/bin/sh\ntouch deep/two/mine\n",
    ]
    .into_iter()
    .enumerate()
    {
        let option = template(&sandbox, script);
        let copy = format!("copy{number}");
        let words = [ALLOWED, &["clone", &option, "--recurse-submodules=deep", &url, &copy]].concat();
        let run = twin.gitr("", &words);
        assert_ne!(run.status, 0, "{run:?}");
        assert_eq!(settled(&run), settled(&twin.git("", &words)));
        let outside = std::fs::read_dir(twin.ours.join("outside"));
        assert_eq!(outside.map_or(0, Iterator::count), 0);
        twin.prepare(|client| drop(std::fs::remove_dir(client.join("outside"))));
    }
}

#[test]
fn hooks_of_templates_run_in_submodules() {
    let mut sandbox = Sandbox::new();
    serve(&sandbox);
    let script = "#!/bin/sh\necho \"$*\"; pwd\ntest \"$(basename \"$PWD\")\" != a\n";
    template(&sandbox, script);
    sandbox.set("GIT_TEMPLATE_DIR", sandbox.path("template"));
    let twin = Twin::new(&sandbox, 2, Vec::new());
    compare(&sandbox, &twin, 0, (ALLOWED, ALL, "two", 1));
}

#[test]
fn submodules_are_cloned_where_no_git_is() {
    let mut sandbox = Sandbox::new();
    serve(&sandbox);
    let programs = sandbox.path("programs");
    std::fs::create_dir(&programs).unwrap();
    let program = crate::support::sandbox::gitr_program();
    for name in ["git", "git-upload-pack"] {
        std::os::unix::fs::symlink(&program, programs.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("/bin/sh", programs.join("sh")).unwrap();
    sandbox.set("PATH", &programs);
    let url = sandbox.path("served/outer").display().to_string();
    let words = [ALLOWED, &["clone", "--recurse-submodules", &url, "copy"]].concat();
    sandbox.gitr(&sandbox.path(""), &words).success();
    for file in ["copy/one/x/file", "copy/deep/two/file"] {
        assert_eq!(std::fs::read(sandbox.path(file)).unwrap(), b"2");
    }
}
