//! How files are stored (`core.sharedRepository`, `core.fsync`): the modes of all that clones, fetches, pushes and the rest write,
//! beside C git's, and what they synchronise.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{
    Format, Git, Run, Sandbox, build, find_program, missing, sandbox::gitr_program, skipped, state,
};

/// What is done, one command a line, in an empty directory beside `served/project.git`. `git` prepares, `=` is the program whose
/// files are looked at.
const ACTS: &str = "
    = clone -q file://PROJECT copy
    = clone -q PROJECT linked
    = clone -q --no-hardlinks --mirror PROJECT copied.git
    = clone -q -s --sparse PROJECT borrower
    = clone -q --bare --ref-format=reftable file://PROJECT tables.git
    = clone -q --filter=blob:none file://PROJECT partial
    = clone -q --depth=1 --separate-git-dir apart file://PROJECT shallow
    git clone -q --bare PROJECT far.git
    git -C far.git config core.logAllRefUpdates true
    git -C far.git config receive.denyNonFastforwards false
    git clone -q PROJECT work
    git -C work commit -q --allow-empty -m one
    = -C work push -q --receive-pack=SERVER ../far.git HEAD:refs/heads/x/y/z
    = -C work push -q --receive-pack=SERVER ../far.git HEAD~:refs/heads/x/y/a
    git -C work tag t
    = -C work push -q --receive-pack=SERVER ../far.git t :refs/heads/x/y/z
    git -C far.git config receive.unpackLimit 1
    git -C work commit -q --allow-empty -m two
    = -C work push -q --receive-pack=SERVER ../far.git HEAD:refs/heads/kept
    = -C copy fetch -q ../far.git kept:refs/remotes/q/kept
    = -C copy fetch -q --depth=1 ../far.git x/y/a
    = -C copy remote rename origin other
    = -C copy branch -q --set-upstream-to=other/main
    = -C tables.git fetch -q ../far.git kept:refs/q/kept
    git -C far.git bundle create -q ../bundle --all
    = -C linked bundle unbundle ../bundle
";

/// The values of `core.sharedRepository` that are tried below each umask; none is that of the default.
const VALUES: [(&str, &[Option<&str>]); 3] = [
    ("022", &[None, Some("group"), Some("all"), Some("umask"), Some("0640"), Some("0666"), Some("true")]),
    ("077", &[None, Some("group"), Some("0640")]),
    ("002", &[None, Some("0600")]),
];

/// Does [`ACTS`] in `place` with `program`, below `umask`.
fn act(sandbox: &Sandbox, place: &Path, umask: &str, program: &OsStr) {
    fs::create_dir(place).expect("it is not there");
    let project = sandbox.path("served/project.git").display().to_string();
    let server = format!("'{}' receive-pack", program.display());
    let git = Git::reference().program.as_os_str();
    for line in ACTS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (who, words) = line.split_once(' ').expect("a program and words");
        // what we have no command for prepares too
        let who = if who == "=" && !words.contains(" branch ") { program } else { git };
        let words = words.split(' ').map(|word| word.replace("PROJECT", &project).replace("SERVER", &server));
        let mut command = sandbox.command("sh");
        command.args(["-c", "umask \"$0\" && exec \"$@\"", umask]).arg(who).args(words).current_dir(place);
        Run::of(&mut command).success();
    }
}

/// The mode of each file and directory below `place`, ids as `<id>`.
fn modes(place: &Path) -> BTreeSet<String> {
    let mode = |path: &Path| {
        let name = path.strip_prefix(place).expect("it is below").to_string_lossy().into_owned();
        // git lets the owner write to copied objects, and forgets whom the directories of linked and copied ones are for
        let is_local =
            ["linked/.git/objects/", "copied.git/objects/"].iter().any(|start| name.starts_with(start));
        if is_local && (path.is_file() || name.len() == name.rfind('/').map_or(0, |at| at + 3)) {
            return None;
        }
        let parts = name.split('/').map(|part| match part {
            _ if part.len() == 2 && name.contains("objects/") => "xx",
            _ if part.len() >= 38 && name.contains("objects/") => {
                part.rsplit('.').next().filter(|end| end.len() < 9).unwrap_or("<id>")
            }
            _ if part.starts_with("0x") => "<table>",
            _ => part,
        });
        let mode = path.symlink_metadata().expect("it is there").permissions().mode();
        Some(format!("{mode:06o} {}", parts.collect::<Vec<_>>().join("/")))
    };
    state::everything(place).iter().filter_map(|path| mode(path)).collect()
}

#[test]
fn files_are_for_those_who_may_use_them() {
    let mut sandbox = crate::sandbox();
    let mut seen = BTreeSet::new();
    for (umask, values) in VALUES {
        for value in values {
            sandbox.set("GIT_CONFIG_COUNT", if value.is_some() { "1" } else { "0" });
            sandbox.set("GIT_CONFIG_KEY_0", "core.sharedRepository");
            sandbox.set("GIT_CONFIG_VALUE_0", value.unwrap_or_default());
            let name = format!("{umask}-{}", value.unwrap_or("none"));
            let (ours, theirs) = (sandbox.path(format!("ours-{name}")), sandbox.path(format!("them-{name}")));
            act(&sandbox, &ours, umask, &gitr_program());
            act(&sandbox, &theirs, umask, Git::reference().program.as_os_str());
            let (ours, theirs) = (modes(&ours), modes(&theirs));
            let differing: Vec<_> = ours.symmetric_difference(&theirs).collect();
            assert!(differing.is_empty(), "{name}: {differing:#?}");
            seen.insert(ours);
        }
    }
    assert!(seen.len() > 7, "the values make a difference: {}", seen.len());
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let sandbox = crate::sandbox();
    let project = sandbox.path("served/project.git");
    for value in ["0400", "3", "GROUP", "foo", "0640 ", "888", "2", "1k", "-1", ""] {
        let setting = format!("core.sharedRepository={value}");
        let arguments = ["-c", &setting, "clone", "-q", &project.display().to_string(), "copy"];
        let mut say = Vec::new();
        for place in ["ours", "theirs"] {
            fs::create_dir_all(sandbox.path(place)).expect("it can be made");
            let place = sandbox.path(place);
            let run = if place.ends_with("ours") {
                sandbox.gitr(&place, &arguments)
            } else {
                sandbox.git(&place, &arguments)
            };
            let mode = place.join("copy/.git/HEAD").metadata().ok().map(|found| found.permissions().mode());
            fs::remove_dir_all(place.join("copy")).ok();
            say.push((run.status, run.stderr, mode));
        }
        assert_eq!(say.first(), say.last(), "{value}");
    }
}

/// What `core.fsync` may say, and what git warns of.
const SYNCED: [&str; 15] = [
    "",
    "all",
    "none",
    "committed",
    "committed, -pack",
    "-pack",
    "-pack-metadata",
    "reference,none",
    "none,reference",
    "all,-pack",
    "-all,index",
    "pack-meta,-pack",
    "loose",
    "all none",
    "nothing,-nought",
];

/// The files below `place` that `program` synchronises when it clones, and what it warns of.
fn synchronised(
    sandbox: &Sandbox,
    settings: &[&str],
    program: &OsStr,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let place = sandbox.path("copy");
    fs::remove_dir_all(&place).ok();
    let trace = sandbox.path("trace");
    let project = format!("file://{}", sandbox.path("served/project.git").display());
    let mut command = sandbox.command("strace");
    command.args(["-f", "-y", "-e", "trace=fsync,fdatasync", "-o"]).arg(&trace).arg(program);
    for setting in settings {
        command.args(["-c", setting]);
    }
    let run = Run::of(command.args(["clone", "-q", &project]).arg(&place)).success();
    let text = fs::read_to_string(trace).expect("it was traced");
    let names = text.lines().filter_map(|line| {
        let (_, path) = line.split_once("sync(")?.1.split_once("/copy/.git/")?;
        let path = path.split('>').next()?;
        // the directory of packs too is synchronised by us
        let kinds = ["tmp_pack_", "tmp_idx_", "tmp_rev_", "packed-refs", "index", "refs/heads"];
        kinds.iter().find(|kind| path.contains(*kind)).map(|kind| (*kind).to_owned())
    });
    let warnings = run.stderr.to_string().lines().map(str::to_owned).collect();
    (names.collect(), warnings)
}

#[test]
fn what_is_asked_for_is_synchronised() {
    if find_program("strace").is_none() {
        return missing("strace");
    }
    let sandbox = crate::sandbox();
    let mut seen = BTreeSet::new();
    let rows = SYNCED.iter().map(|value| vec![format!("core.fsync={value}")]);
    let more = [
        vec!["core.fsyncMethod=bad".to_owned()],
        vec!["core.fsyncObjectFiles=true".to_owned()],
        vec!["core.fsync=none".to_owned(), "core.fsync=pack".to_owned()],
        Vec::new(),
    ];
    for row in rows.chain(more) {
        let settings: Vec<&str> = row.iter().map(String::as_str).collect();
        let theirs = synchronised(&sandbox, &settings, Git::reference().program.as_os_str());
        let ours = synchronised(&sandbox, &settings, &gitr_program());
        assert_eq!(ours, theirs, "{settings:?}");
        seen.insert(ours.0);
    }
    assert!(seen.len() > 6, "{seen:#?}");
}

#[test]
fn loose_objects_are_synchronised_if_that_is_asked_for() {
    if find_program("strace").is_none() {
        return missing("strace");
    }
    let sandbox = crate::sandbox();
    build::empty(&sandbox, &sandbox.path("served/empty.git"), Format::Sha1);
    let project = sandbox.path("served/project.git").display().to_string();
    for (setting, count) in
        [("core.fsync=loose-object", true), ("core.fsync=objects,-loose", true), ("core.fsync=", false)]
    {
        let copy = sandbox.path("copy");
        fs::remove_dir_all(&copy).ok();
        sandbox.git(&sandbox.path(""), &["init", "-q", "copy"]).success();
        let trace = sandbox.path("trace");
        let mut command = sandbox.command("strace");
        command.args(["-f", "-y", "-e", "trace=fsync", "-o"]).arg(&trace).arg(gitr_program());
        command.args(["-C", "copy", "-c", setting, "-c", "fetch.unpackLimit=10000", "fetch", "-q", &project]);
        Run::of(&mut command).success();
        let text = fs::read_to_string(trace).expect("it was traced");
        assert_eq!(text.contains("tmp_obj_"), count, "{setting}: {text}");
    }
}

/// What belongs to one user of the group stays as he left it, and is no reason to refuse what another pushes.
#[test]
fn files_of_another_user_are_his_to_share() {
    if !rustix::process::geteuid().is_root() || find_program("runuser").is_none() {
        return skipped("only root can be two users");
    }
    let sandbox = crate::sandbox();
    let [shared, work] = ["shared.git", "work"].map(|name| sandbox.path(name));
    let git = |place: &Path, words: &[&str]| sandbox.git(place, words).success();
    git(&sandbox.path(""), &["config", "--global", "safe.directory", "*"]);
    git(&sandbox.path(""), &["clone", "-q", "--bare", "served/project.git", "shared.git"]);
    git(&sandbox.path(""), &["clone", "-q", "shared.git", "work"]);
    git(&shared, &["config", "core.logAllRefUpdates", "true"]);
    git(&shared, &["config", "core.sharedRepository", "all"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", "first"]);
    git(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", "second"]);
    let log = shared.join("logs/refs/heads/main");
    let program = sandbox.path("gitr");
    fs::copy(gitr_program(), &program).expect("there is room");
    let server = format!("--receive-pack='{}' receive-pack", program.display());
    let change = "chgrp -R nogroup shared.git && chmod -R g+w shared.git && chmod 660 \"$0\" && chown -R nobody work && chmod 755 home";
    Run::of(sandbox.command("sh").args(["-c", change]).arg(&log)).success();
    let mut push = sandbox.command("runuser");
    let home = format!("HOME={}", sandbox.path("home").display());
    push.args(["-u", "nobody", "--", "env", &home]).arg(&Git::reference().program).current_dir(&work);
    Run::of(push.args(["push", "-q", &server, "origin", "HEAD:refs/heads/main"])).success();
    let lines = fs::read_to_string(&log).expect("it is there");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let mode = log.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "as its owner left it");
}
