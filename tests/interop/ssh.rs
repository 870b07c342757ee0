//! SSH: other programs than OpenSSH's, and all that can go wrong before git is reached.

use std::fs;
use std::process::Stdio;

use bstr::ByteSlice;

use crate::support::servers::Process;
use crate::support::servers::ssh::Sshd;
use crate::support::{Format, Git, Run, Sandbox, Serve, Stream, Twin, build, find_program};

/// The repository that is served.
const NAME: &str = "r.git";

/// A sandbox with a repository that sshd serves; `None`, after saying so, if a program is missing.
fn served() -> Option<(Sandbox, Sshd)> {
    let mut sandbox = Sandbox::new();
    let server = Sshd::start(&sandbox, Git::reference())?;
    build::project(&sandbox, &sandbox.path("served").join(NAME), Format::Sha1, 12);
    sandbox.set("GIT_SSH_COMMAND", server.command());
    Some((sandbox, server))
}

/// Clones, fetches and pushes; C git does the first two beside it.
fn round(sandbox: &Sandbox, url: &str) {
    let served = sandbox.path("served").join(NAME);
    let twin = Twin::new(sandbox, 2, Vec::new());
    twin.done("", &["clone", "-q", url, "copy"]);
    twin.same_objects("copy");
    let mut stream = Stream::onto("main");
    stream.history(12..15).import(sandbox, &served);
    twin.done("copy", &["fetch"]);
    twin.same("copy");
    let copy = twin.ours.join("copy");
    sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    twin.gitr("copy", &["push", "origin", "HEAD:refs/heads/new"]).success();
    let id = |place, name| sandbox.git(place, &["rev-parse", name]).success().line();
    assert_eq!(id(&served, "new"), id(&copy, "HEAD"));
}

#[test]
fn putty_reaches_what_openssh_does() {
    let Some((mut sandbox, server)) = served() else { return };
    let Some(plink) = server.plink(&sandbox) else { return };
    sandbox.set("GIT_SSH_COMMAND", plink.command());
    round(&sandbox, &server.url(NAME));
}

#[test]
fn what_goes_wrong_is_told_in_plinks_own_words() {
    let Some((mut sandbox, server)) = served() else { return };
    let Some(plink) = server.plink(&sandbox) else { return };
    let url = server.url(NAME);
    let usual = plink.command();
    let other = server.directory().join("other");
    let mut command = sandbox.command("ssh-keygen");
    Run::of(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other)).success();
    let mut command = sandbox.command(find_program("puttygen").unwrap());
    let wrong_file = server.directory().join("other.ppk");
    Run::of(command.arg(&other).args(["-O", "private", "-o"]).arg(&wrong_file)).success();
    let wrong_key = usual.replace("user.ppk", "other.ppk");
    let unknown_host = usual.replace(&format!(" -hostkey {}", plink.host_key), "");
    let wrong_host = usual.replace(&plink.host_key, &format!("SHA256:{}", "A".repeat(43)));
    for (command, options) in [
        (&*unknown_host, &[][..]),
        (&wrong_host, &[]),
        (&wrong_key, &[]),
        (&usual, &["--upload-pack=nosuch-program"]),
        (&usual, &["--upload-pack=exit 3;"]),
        (&usual, &["--upload-pack=kill -9 $PPID;"]),
        ("/nonexistent/plink", &[]),
        ("nonexistent-plink", &[]),
    ] {
        sandbox.set("GIT_SSH_COMMAND", command);
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let words = [&["clone"], options, &[&*url, "copy"]].concat();
        let (ours, theirs) = (twin.gitr("", &words), twin.git("", &words));
        assert_eq!((ours.status, theirs.status), (128, 128), "{command}: {ours:?}");
        // plink itself tells times and places
        let last = |run: &Run| run.stderr.lines().rev().take(4).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(last(&ours), last(&theirs), "{command}: {ours:?} {theirs:?}");
        assert!(!twin.ours.join("copy").exists());
    }
    sandbox.set("GIT_SSH_COMMAND", usual);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    quoted(&twin, &url);
}

#[test]
fn a_connection_is_shared() {
    let Some((mut sandbox, server)) = served() else { return };
    let socket = sandbox.path("temporary/control");
    let line =
        format!("exec {} -M -N -S {} -p {} 127.0.0.1", server.command(), socket.display(), server.port());
    let mut command = sandbox.command("/bin/sh");
    command.arg("-c").arg(line).stdin(Stdio::null());
    let mut master = Process::spawn(command, &sandbox.path("temporary/log"), server.port());
    assert!(master.wait_until(|| socket.exists()), "the first connection is not made");
    // Without a key of its own, there is no other way in.
    sandbox
        .set("GIT_SSH_COMMAND", format!("ssh -F none -i none -o IdentitiesOnly=yes -S {}", socket.display()));
    round(&sandbox, &server.url(NAME));
}

/// plink's `-share`: one that is connected lets others in.
#[test]
fn a_connection_of_plinks_is_shared() {
    let Some((mut sandbox, server)) = served() else { return };
    let Some(plink) = server.plink(&sandbox) else { return };
    let port = server.port();
    let line = format!("exec {} -share -N -P {port} 127.0.0.1", plink.command());
    let mut command = sandbox.command("/bin/sh");
    command.arg("-c").arg(line).stdin(Stdio::null());
    let mut first = Process::spawn(command, &sandbox.path("temporary/log"), port);
    let is_there = || {
        let mut command = sandbox.command(&plink.program);
        let run = Run::of(command.args(["-shareexists", "-P", &port.to_string(), "127.0.0.1"]));
        run.status == 0
    };
    assert!(first.wait_until(is_there), "the first connection is not made");
    // Without a key of its own, there is no other way in.
    sandbox.set("GIT_SSH_COMMAND", format!("{} -batch -share -noagent", plink.program.display()));
    round(&sandbox, &server.url(NAME));
}

#[test]
fn what_goes_wrong_is_told_in_the_programs_own_words() {
    let Some((mut sandbox, server)) = served() else { return };
    let url = server.url(NAME);
    let directory = server.directory().to_owned();
    let other = directory.join("other");
    let mut command = sandbox.command("ssh-keygen");
    Run::of(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other)).success();
    let user = format!("{}/user ", directory.display());
    let usual = server.command();
    let unknown_host = format!("{usual} -o UserKnownHostsFile=none -o StrictHostKeyChecking=yes")
        .replace(&format!("-o UserKnownHostsFile={}/known_hosts", directory.display()), "");
    let wrong_key = usual.replace(&user, &format!("{} ", other.display()));
    for (command, options) in [
        (unknown_host.as_str(), &[][..]),
        (&wrong_key, &[]),
        (&usual, &["--upload-pack=nosuch-program"]),
        (&usual, &["--upload-pack=exit 3;"]),
        (&usual, &["--upload-pack=kill -9 $PPID;"]),
        ("/nonexistent/ssh", &[]),
        ("nonexistent-ssh", &[]),
        ("exit 7;", &[]),
    ] {
        sandbox.set("GIT_SSH_COMMAND", command);
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let run = twin.run("", &[&["clone"], options, &[&*url, "copy"]].concat());
        assert_eq!(run.status, 128, "{run:?}");
        assert!(!twin.ours.join("copy").exists());
    }
    sandbox.set("GIT_SSH_COMMAND", usual);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    assert_eq!(twin.run("", &["ls-remote", &server.url("nosuch.git")]).status, 128);
}

#[test]
fn a_text_in_front_is_quoted() {
    let Some((sandbox, server)) = served() else { return };
    let twin = Twin::new(&sandbox, 2, Vec::new());
    quoted(&twin, &server.url(NAME));
    fs::remove_dir_all(&twin.ours).ok();
}

/// What the far side of `url` prints before git speaks there is shown.
#[track_caller]
fn quoted(twin: &Twin<'_>, url: &str) {
    let arguments = ["ls-remote", "--upload-pack=echo Welcome to this host; git-upload-pack", url];
    let (ours, theirs) = (twin.gitr("", &arguments), twin.git("", &arguments));
    assert_eq!((ours.status, theirs.status), (128, 128));
    // the far side may say before that it was left alone
    let told =
        |run: &Run| run.stderr.lines().find(|line| line.starts_with(b"fatal: protocol ")).map(<[u8]>::to_vec);
    assert_eq!(told(&ours), told(&theirs));
    assert!(told(&ours).is_some(), "{ours:?}");
    assert!(ours.complains_of("hint: the far side printed 'Welcome to this host' before git spoke there"));
}
