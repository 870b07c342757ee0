//! Signals in the middle of a clone or a fetch: what was half made goes, and the program ends by the signal.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::support::{Format, Git, Sandbox, build, sandbox, state};

/// Stands in for ssh: tells that it runs, then stays silent for as long as it is listened to.
const SILENT: &str = "#!/bin/sh\necho started >\"$STARTED\"\ncat >/dev/null\n";

/// Starts `program` with `words` and a far side that says nothing, sends `signal` once it waits; how it ended.
fn interrupted(sandbox: &Sandbox, program: &Path, words: &[&str], signal: &str) -> ExitStatus {
    let (started, ssh) = (sandbox.path("started"), sandbox.path("ssh"));
    if !started.exists() {
        assert!(Command::new("mkfifo").arg(&started).status().unwrap().success());
        fs::write(&ssh, SILENT).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut child = sandbox
        .command(program)
        .args(words)
        .env("GIT_SSH", &ssh)
        .env("GIT_SSH_VARIANT", "simple")
        .env("STARTED", &started)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(fs::read_to_string(&started).unwrap(), "started\n");
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    child.wait().unwrap()
}

/// gitr and C git.
fn programs() -> [PathBuf; 2] {
    [sandbox::gitr_program().into(), Git::reference().program.clone()]
}

#[test]
fn an_interrupted_clone_leaves_nothing() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        for is_there in [false, true] {
            for program in &programs() {
                let sandbox = Sandbox::new();
                let copy = sandbox.path("copy");
                if is_there {
                    fs::create_dir(&copy).unwrap();
                }
                let words = ["clone", "ssh://host/project.git", "copy"];
                let status = interrupted(&sandbox, program, &words, signal);
                let what = format!("{signal}, {}", program.display());
                assert_eq!(status.signal(), Some(number), "{what}: {status}");
                assert_eq!(copy.exists(), is_there, "{what}");
                assert_eq!(state::files(&sandbox.path("temporary")).len(), 0, "{what}");
                if is_there {
                    assert_eq!(fs::read_dir(&copy).unwrap().count(), 0, "{what}");
                }
            }
        }
    }
}

#[test]
fn an_interrupted_fetch_changes_what_it_changes_under_c_git() {
    let states = programs().map(|program| {
        let sandbox = Sandbox::new();
        let path = sandbox.path("project.git");
        build::project(&sandbox, &path, Format::Sha1, 3);
        let words = ["--git-dir=project.git", "fetch", "ssh://host/project.git", "+refs/*:refs/*"];
        let status = interrupted(&sandbox, &program, &words, "TERM");
        assert_eq!(status.signal(), Some(15), "{status}");
        let names = state::everything(&path).into_iter();
        names.map(|name| name.strip_prefix(&path).unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(states[0], states[1]);
}

/// The fetches that run at the same time end with the one that started them, before they move anything.
#[test]
fn an_interrupted_fetch_from_many_takes_all_of_them_along() {
    const HOSTS: [&str; 2] = ["one", "two"];
    let watched = "#!/bin/sh\necho started >\"$STARTED-$1\"\nexec 3>\"$ENDED-$1\"\ncat >/dev/null\n";
    for program in &programs() {
        let sandbox = Sandbox::new();
        let [started, ended, ssh] = ["started", "ended", "ssh"].map(|name| sandbox.path(name));
        fs::write(&ssh, watched).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        sandbox.git(&sandbox.path(""), &["init", "-q", "--bare", "project.git"]).success();
        let of = |path: &Path, host: &str| PathBuf::from(format!("{}-{host}", path.display()));
        for host in HOSTS {
            let url = format!("ssh://{host}/project.git");
            sandbox.git(&sandbox.path("project.git"), &["remote", "add", host, &url]).success();
            let fifos = [of(&started, host), of(&ended, host)];
            assert!(Command::new("mkfifo").args(fifos).status().unwrap().success());
        }
        let mut command = sandbox.command(program);
        command.args(["--git-dir=project.git", "fetch", "--all", "--jobs=2"]);
        command.env("GIT_SSH", &ssh).env("GIT_SSH_VARIANT", "simple");
        command.env("STARTED", &started).env("ENDED", &ended).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let ends = HOSTS.map(|host| {
            assert_eq!(fs::read_to_string(of(&started, host)).unwrap(), "started\n");
            fs::File::open(of(&ended, host)).unwrap()
        });
        let sent = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(15), "{}", program.display());
        // held open by the far side of a fetch for as long as that listens to it
        for mut end in ends {
            assert_eq!(end.read(&mut [0]).unwrap(), 0);
        }
    }
}

/// What is there is a repository without all files of its work tree.
#[test]
fn an_interrupted_checkout_of_a_clone_is_told_of() {
    let said = programs().map(|program| {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path("project.git"), Format::Sha1, 3);
        let [attributes, release, said] = ["attributes", "release", "said"].map(|name| sandbox.path(name));
        fs::write(&attributes, "* filter=waits\n").unwrap();
        assert!(Command::new("mkfifo").arg(&release).status().unwrap().success());
        let mut command = sandbox.command(&program);
        command.arg("-c").arg(format!("core.attributesFile={}", attributes.display()));
        command.args(["-c", "filter.waits.smudge=kill -TERM $PPID; cat \"$RELEASE\""]);
        command.args(["clone", "project.git", "copy"]).env("RELEASE", &release);
        let status = command.stderr(fs::File::create(&said).unwrap()).status().unwrap();
        fs::write(&release, "").unwrap();
        assert_eq!(status.signal(), Some(15), "{}: {status}", program.display());
        assert!(sandbox.path("copy/.git/HEAD").exists(), "{}", program.display());
        fs::read_to_string(said).unwrap()
    });
    assert!(said[1].contains("checkout failed"), "{}", said[1]);
    assert_eq!(said[0], said[1]);
}

/// A push that waits for its hook, whose server is ended: what was received goes.
#[test]
fn an_interrupted_receive_pack_leaves_no_quarantine() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let sandbox = Sandbox::new();
        let [started, release] = ["started", "release"].map(|name| sandbox.path(name));
        assert!(Command::new("mkfifo").args([&started, &release]).status().unwrap().success());
        let request = push_of_main(&sandbox);
        let to = sandbox.path("to.git");
        let hook = to.join("hooks/pre-receive");
        fs::create_dir_all(to.join("hooks")).unwrap();
        let waits = "#!/bin/sh\necho \"$GIT_QUARANTINE_PATH\" >\"$STARTED\"\ncat \"$RELEASE\"\n";
        fs::write(&hook, waits).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = sandbox.command(sandbox::gitr_program());
        command.arg("receive-pack").arg(&to).env("STARTED", &started).env("RELEASE", &release);
        command.stdin(fs::File::open(&request).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let waiting = PathBuf::from(fs::read_to_string(&started).unwrap().trim_end());
        assert!(waiting.exists(), "{}", waiting.display());
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let status = child.wait().unwrap();
        fs::write(&release, "").unwrap();
        assert_eq!(status.signal(), Some(number), "{signal}: {status}");
        assert!(!waiting.exists(), "{signal}");
    }
}

/// What a client sends that creates `main` in the empty `to.git`: a file.
fn push_of_main(sandbox: &Sandbox) -> PathBuf {
    let (from, request) = (sandbox.path("from.git"), sandbox.path("request"));
    build::project(sandbox, &from, Format::Sha1, 3);
    sandbox.git(&sandbox.path(""), &["init", "-q", "--bare", "to.git"]).success();
    let tip = sandbox.git(&from, &["rev-parse", "main"]).success().line();
    let line = format!("{} {tip} refs/heads/main", "0".repeat(40));
    let script = "printf '%04x%s\\0report-status0000' $((${#1} + 18)) \"$1\"
        echo main | git pack-objects -q --revs --stdout";
    let mut make = sandbox.command("sh");
    make.current_dir(&from).args(["-c", script, "sh", &line]);
    make.stdout(fs::File::create(&request).unwrap());
    assert!(make.status().unwrap().success());
    request
}
