//! Filter drivers in clones and pulls, beside C git: what it says, what filters hear, work tree and index. gitattributes(5).

use std::path::Path;

use bstr::{BString, ByteSlice};

use super::support::{Run, Sandbox, Twin, find_program, missing};

/// The filter process that behaves as it is told.
const PROCESS: &str = include_str!("filter/process.pl");

/// Files of a repository: path and content; a path that ends with a star is a symbolic link.
pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

/// What both start with.
const FIRST: Files<'_> = &[
    (".gitattributes", "*.x filter=foo\n*.y filter=bar\n"),
    ("a.x", "one\n"),
    ("b.y", "two\n"),
    ("d/it's a!b.x", "three\n"),
    ("empty.x", ""),
    ("link.x*", "a.x"),
    ("z", "plain\n"),
];

/// What a pull brings.
const SECOND: Files<'_> = &[
    ("a", "new\n"),
    ("a.x", "one, changed\n"),
    ("d/it's a!b.x", "three, changed\n"),
    ("new.x", "new\n"),
    ("z", "plain, changed\n"),
];

/// Commits `files` in the repository `served/source`, which is made if it is not there.
pub(super) fn commit(sandbox: &Sandbox, files: Files<'_>) {
    let source = sandbox.path("served/source");
    if !source.exists() {
        sandbox.git(&sandbox.path(""), &["init", "-q", "served/source"]).success();
    }
    for (path, content) in files {
        let (path, is_link) = path.strip_suffix('*').map_or((*path, false), |path| (path, true));
        let path = source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::remove_file(&path).ok();
        if is_link {
            std::os::unix::fs::symlink(content, path).unwrap();
        } else {
            std::fs::write(path, content).unwrap();
        }
    }
    let plain = ["-c", "core.autocrlf=false", "-c", "core.safecrlf=false"];
    sandbox.git(&source, &[&plain[..], &["add", "-A"]].concat()).success();
    sandbox.git(&source, &["commit", "-q", "--allow-empty", "-m", "x"]).success();
}

/// Clones `served/source` by both with `settings`, and compares.
#[track_caller]
pub(super) fn clone<'a>(sandbox: &'a Sandbox, settings: &[&str], options: &[&str]) -> (Twin<'a>, Run) {
    let twin = Twin::new(sandbox, 2, Vec::new());
    let command = ["clone", "-q", "../served/source", "copy"];
    let run = twin.run("", &[&configured(settings)[..], &command[..2], options, &command[2..]].concat());
    same(&twin);
    assert_eq!(sizes(sandbox, &twin.ours), sizes(sandbox, &twin.theirs));
    (twin, run)
}

/// Pulls by both in `copy` with `settings`, and compares.
#[track_caller]
pub(super) fn pull(twin: &Twin<'_>, settings: &[&str]) -> Run {
    let run = twin.run("copy", &[&configured(settings)[..], &["pull"]].concat());
    same(twin);
    run
}

/// `settings` as options.
fn configured<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|setting| ["-c", *setting]).collect()
}

/// Compares `copy` of both: repository, work tree, and what filters heard. What git finds changed is not compared: files that
/// are as old as the index are looked at again or not, as it comes.
#[track_caller]
fn same(twin: &Twin<'_>) {
    twin.same_state("copy");
    let told = |client: &Path| {
        let read = |name: &str| std::fs::read(client.join("copy/.git").join(name)).unwrap_or_default();
        (twin.anonymous(&read("ORIG_HEAD")), twin.anonymous(&read("filter-log")))
    };
    assert_eq!(told(&twin.ours), told(&twin.theirs));
}

/// The sizes in the index of `copy`.
fn sizes(sandbox: &Sandbox, client: &Path) -> Vec<BString> {
    let index = sandbox.git(&client.join("copy"), &["ls-files", "--debug"]).stdout;
    let is_told = |line: &&[u8]| !line.contains_str("time") && !line.contains_str("dev");
    index.lines().filter(is_told).map(BString::from).collect()
}

/// The words that start the filter process, if there is a perl.
fn process(sandbox: &Sandbox) -> Option<String> {
    let Some(perl) = find_program("perl") else {
        missing("perl");
        return None;
    };
    let script = sandbox.path("process.pl");
    std::fs::write(&script, PROCESS).unwrap();
    Some(format!("filter.foo.process={} {}", perl.display(), script.display()))
}

/// Clones with a filter process for each of `modes`, which is required and not.
#[track_caller]
fn clone_in_modes(modes: &str) {
    let sandbox = Sandbox::new();
    let Some(process) = process(&sandbox) else { return };
    commit(&sandbox, FIRST);
    for mode in modes.split_whitespace() {
        for required in ["filter.foo.required=false", "filter.foo.required=true"] {
            eprintln!("{mode} {required}");
            clone(&sandbox, &[&format!("{process} {mode}"), required], &[]);
        }
    }
}

#[test]
fn a_process_that_does_not_shake_hands_is_none() {
    clone_in_modes(
        "leaves-before-hello talks other-name version-3 no-version version-3-and-2 leaves-before-capabilities
         other-capability other-key no-smudge no-capabilities",
    );
}

#[test]
fn what_a_process_says_of_a_file_is_believed() {
    clone_in_modes(
        "well status-error status-abort status-bogus status-delayed no-status error-at-second nothing late-error
         late-abort late-bogus other-at-last",
    );
}

#[test]
fn a_process_that_breaks_off_is_started_again_or_the_end() {
    clone_in_modes(
        "leaves leaves-at-second leaves-in-content leaves-after-content talks-instead-of-status
         talks-instead-of-content",
    );
}

#[test]
fn a_process_may_take_its_time() {
    clone_in_modes(
        "delay delay-one delay-twice delay-leaves delay-never delay-other delay-no-status delay-list-error
         delay-list-abort delay-list-bogus delay-status-error delay-status-abort delay-status-bogus delay-status-delayed",
    );
}

#[test]
fn files_that_are_held_back_are_counted() {
    let mut sandbox = Sandbox::new();
    let Some(process) = process(&sandbox) else { return };
    let many: Vec<String> = (0..9).map(|number| format!("{number}.x")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "x\n")).collect();
    commit(&sandbox, &[FIRST, &many].concat());
    let process = format!("{process} delay");
    let words = ["-c", &process, "clone", "--progress", "../served/source", "copy"];
    // the counts, and of the last one the bytes; how fast they come is nobody's affair
    let shown = |run: Run| {
        let lines = run.success().stderr.replace("\r", "\n").to_str_lossy().into_owned();
        let end = |line: &str| line.find(if line.ends_with("done.") { " | " } else { ")" });
        let counts = lines.lines().filter(|line| line.contains("Filtering content"));
        let mut counts: Vec<String> =
            counts.map(|line| line[..end(line).unwrap_or(line.len())].to_owned()).collect();
        counts.dedup();
        counts
    };
    for (delay, is_shown) in [("0", true), ("600", false)] {
        sandbox.set("GIT_PROGRESS_DELAY", delay);
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let (ours, theirs) = (shown(twin.gitr("", &words)), shown(twin.git("", &words)));
        assert_eq!(ours, theirs);
        assert_eq!(!ours.is_empty(), is_shown);
    }
}

#[test]
fn two_processes_take_turns() {
    let sandbox = Sandbox::new();
    let Some(process) = process(&sandbox) else { return };
    let many: Vec<String> = (0..9).map(|number| format!("{number}.{}", ["x", "y"][number % 2])).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "x\n")).collect();
    commit(&sandbox, &[FIRST, &many].concat());
    let other = process.replace("foo", "bar");
    for (one, two) in
        [("delay-one", "delay"), ("delay", "delay-one"), ("delay", "delay"), ("well", "delay-never")]
    {
        clone(&sandbox, &[&format!("{process} {one}"), &format!("{other} {two}")], &[]);
    }
}

#[test]
fn a_large_file_goes_to_a_process_in_pieces() {
    let sandbox = Sandbox::new();
    let Some(process) = process(&sandbox) else { return };
    let large = "more than one packet\n".repeat(20_000);
    commit(&sandbox, &[FIRST, &[("large.x", &large)]].concat());
    clone(&sandbox, &[&format!("{process} well")], &[]);
    clone(&sandbox, &["filter.foo.smudge=cat"], &[]);
    clone(&sandbox, &["filter.foo.smudge=true"], &[]);
    clone(&sandbox, &["filter.foo.smudge=head -c 3"], &[]);
}

/// Not in here are programs that may end before they are told something: whether that is seen is chance.
#[test]
fn a_program_runs_for_each_file() {
    let sandbox = Sandbox::new();
    commit(&sandbox, FIRST);
    std::fs::write(sandbox.path("no-program"), "").unwrap();
    let no_program = sandbox.path("no-program").display().to_string();
    for program in [
        "cat",
        "cat # x",
        "echo %f; echo %% %x %; cat",
        "cat; env | grep '^GIT_DIR\\|^GIT_PREFIX\\|^GIT_CONFIG_P' | sort >>.git/filter-log; pwd >>.git/filter-log",
        "exit 0",
        "exit 3 %f",
        "cat >/dev/null; exit 1",
        "echo to stderr >&2; cat",
        "kill -9 $$",
        "kill -9 $$ %f",
        "nonesuch",
        "/nonesuch",
        "/nonesuch x",
        "/",
        &no_program,
        "",
    ] {
        for required in ["filter.foo.required=false", "filter.foo.required=true"] {
            eprintln!("{program} {required}");
            clone(&sandbox, &[&format!("filter.foo.smudge={program}"), required], &[]);
        }
    }
    for program in ["nonesuch", "/nonesuch", ""] {
        for required in ["filter.foo.required=false", "filter.foo.required=true"] {
            clone(&sandbox, &[&format!("filter.foo.process={program}"), required], &[]);
        }
    }
}

#[test]
fn a_driver_is_what_has_a_program() {
    let sandbox = Sandbox::new();
    commit(&sandbox, FIRST);
    for settings in [
        &["filter.foo.required=true"][..],
        &["filter.foo.required"],
        &["filter.foo.required=x"],
        &["filter.foo.required=true", "filter.foo.clean=cat"],
        &["filter.foo.clean=cat", "filter.foo.required=0"],
        &["filter.foo.smudge"],
        &["filter.foo.clean"],
        &["filter.foo.process"],
        &["filter.foo.smudge=false", "filter.foo.process=", "filter.foo.smudge=sed s/^/x/"],
        &["filter.other.smudge=false", "filter.other.required=true"],
    ] {
        eprintln!("{settings:?}");
        clone(&sandbox, settings, &[]);
    }
}

/// Pulls with each of `settings`; no file could have changed unseen since the clone.
#[track_caller]
fn pull_with(settings: &[&[&str]], prepare: impl Fn(&Path)) {
    for settings in settings {
        eprintln!("{settings:?}");
        let sandbox = Sandbox::new();
        let process = process(&sandbox);
        commit(&sandbox, FIRST);
        let (twin, _) = clone(&sandbox, &[], &[]);
        commit(&sandbox, SECOND);
        twin.prepare(|client| {
            let copy = client.join("copy");
            settle(&sandbox, &copy);
            prepare(&copy);
        });
        let settings: Option<Vec<String>> = settings
            .iter()
            .map(|setting| match setting.strip_prefix("process ") {
                Some(mode) => process.as_ref().map(|process| format!("{process} {mode}")),
                None => Some((*setting).to_owned()),
            })
            .collect();
        let Some(settings) = settings else { return };
        pull(&twin, &settings.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Makes all files of `copy` old, and the index know it.
fn settle(sandbox: &Sandbox, copy: &Path) {
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(400_000);
    for file in super::support::state::files(copy) {
        let is_plain = !file.is_symlink() && !file.starts_with(copy.join(".git"));
        if is_plain {
            std::fs::File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
        }
    }
    sandbox.git(copy, &["update-index", "-q", "--refresh"]).success();
}

#[test]
fn a_pull_filters_what_it_brings() {
    pull_with(
        &[
            &["filter.foo.smudge=false", "filter.foo.required=true"],
            &["filter.foo.smudge=false"],
            &["filter.foo.smudge=nonesuch", "filter.foo.required=true"],
            &["filter.foo.smudge=echo smudged %f; cat"],
            &["filter.foo.clean=cat", "filter.foo.required=true"],
            &["filter.foo.smudge=env | grep '^GIT_DIR\\|^GIT_CONFIG_P' | sort >>.git/filter-log; cat"],
            &["process well"],
            &["process delay"],
            &["process delay-never"],
            &["process delay-one"],
            &["process error-at-second", "filter.foo.required=true"],
            &["process error-at-second"],
            &["process status-abort"],
            &["process other-capability"],
            &["process leaves"],
            &["process leaves", "filter.foo.required=true"],
            &["process leaves-before-hello"],
        ],
        |_| {},
    );
}

#[test]
fn a_pull_asks_filters_whether_files_changed() {
    // as a user may have left it: the same to the filter, if git asks it
    for left in ["2ne\n", "2ne222\n"] {
        let cleaned = ["filter.foo.clean=tr 2 o", "filter.foo.smudge=cat"];
        pull_with(&[&cleaned, &["filter.foo.smudge=cat"]], |copy| {
            std::fs::write(copy.join("a.x"), left).unwrap();
        });
    }
    pull_with(&[&["filter.foo.clean=false", "filter.foo.required=true"], &["process well"]], |copy| {
        std::fs::write(copy.join("a.x"), "another\n").unwrap();
    });
}

/// On no file system but one that folds case do names collide; a filter that makes files of others does as well.
#[test]
fn paths_that_collide_are_told_of() {
    let sandbox = Sandbox::new();
    commit(
        &sandbox,
        &[
            (".gitattributes", "*.m filter=make\nm filter=make\n"),
            ("0.m", "0\n"),
            ("A", "x\n"),
            ("Z", "1\n"),
            ("d/One", "d\n"),
            ("d/one", "d\n"),
            ("d/two", "e\n"),
            ("e/f", "f\n"),
            ("m", "m\n"),
            ("q", "q\n"),
            ("z", "2\n"),
            ("zl*", "z"),
            ("zm*", "nowhere"),
            ("zn*", "d"),
        ],
    );
    let source = sandbox.path("served/source");
    let module = format!("160000,{},sub", "1".repeat(40));
    sandbox.git(&source, &["update-index", "--add", "--cacheinfo", &module]).success();
    sandbox.git(&source, &["commit", "-q", "-m", "x"]).success();
    for ignore_case in ["core.ignoreCase=true", "core.ignoreCase=false"] {
        for made in [
            "true",
            "echo hi > z",
            "echo hi > Z; echo hi > a",
            "mkdir -p d; echo hi > d/one; echo hi > z; echo hi > q",
            "mkdir -p z",
            "mkdir -p e/f/g && echo x > e/f/g/h",
            "echo hi > d",
            "ln -s ../served d",
            "ln -s nowhere z",
            "echo hi > m",
            "echo hi > zl",
            "mkdir zl; mkdir zm; mkdir zn",
            "mkdir sub",
            "mkdir sub; echo > sub/x",
            "echo > sub",
            "ln A z",
        ] {
            eprintln!("{ignore_case} {made}");
            clone(&sandbox, &[ignore_case, &format!("filter.make.smudge=({made}) 2>/dev/null; cat")], &[]);
        }
    }
}
