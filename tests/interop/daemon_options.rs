//! What `gitr daemon` makes of git-daemon(1)'s options: who gets what is what C git's daemon gives.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};

use crate::serve_transport::server;
use crate::support::servers::{Process, free_port};
use crate::support::{Format, Git, Run, Sandbox, build};

/// How long a daemon that has left its terminal may take until it answers or is gone.
pub const WITHIN: Duration = Duration::from_secs(20);

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["open.git", "closed.git", "below/deep.git", "work/.git"] {
        build::project(&sandbox, &sandbox.path("served").join(name), Format::Sha1, 2);
    }
    for name in ["open.git", "below/deep.git", "work/.git"] {
        fs::write(sandbox.path("served").join(name).join("git-daemon-export-ok"), "").unwrap();
    }
    sandbox
}

/// A daemon of `git` in front of `served/`, which `SERVED` stands for.
pub fn start(sandbox: &Sandbox, git: &Git, options: &[&str]) -> Process {
    let served = sandbox.path("served").display().to_string();
    Process::start(&sandbox.path("temporary"), |port| {
        let mut command = sandbox.command(&git.program);
        command.args(["daemon", "--listen=127.0.0.1", &format!("--port={port}")]);
        command.args(options.iter().map(|option| option.replace("SERVED", &served)));
        command
    })
}

/// What comes back to `request`: the refusal, or that there is none.
fn answer(port: u16, request: &str) -> BString {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream.write_all(format!("{:04x}{request}", request.len() + 4).as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 512];
    // one that serves goes on to wait for us
    while bytes.len() < 60 {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
    let payload = bytes.get(4..).unwrap_or_default();
    if payload.starts_with(b"ERR ") {
        payload.into()
    } else {
        format!("served: {}", !bytes.is_empty()).into()
    }
}

/// Asks daemons of both with the same `options`.
#[track_caller]
fn same(sandbox: &Sandbox, options: &[&str], requests: &[&str]) -> Vec<BString> {
    let served = sandbox.path("served").display().to_string();
    let [theirs, ours] = [Git::reference(), server()].map(|git| {
        let process = start(sandbox, git, options);
        let asked = requests.iter().map(|request| answer(process.port, &request.replace("SERVED", &served)));
        asked.collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs, "{options:?} {requests:?}");
    ours
}

#[test]
fn services_are_on_and_off_as_git_has_them() {
    let sandbox = sandbox();
    let open = sandbox.path("served/open.git");
    sandbox.git(&open, &["config", "daemon.uploadpack", "false"]).success();
    sandbox.git(&open, &["config", "daemon.receivepack", "true"]).success();
    let requests = [
        "git-upload-pack /open.git",
        "git-receive-pack /open.git",
        "git-upload-pack /work",
        "git-receive-pack /work",
    ];
    let common = ["--base-path=SERVED", "--informative-errors"];
    for more in [
        &[][..],
        &["--forbid-override=upload-pack", "--forbid-override=receive-pack"],
        &["--disable=upload-pack", "--enable=upload-pack", "--forbid-override=upload-pack"],
        &["--enable=upload-pack", "--disable=upload-pack", "--forbid-override=upload-pack"],
        &["--enable=receive-pack", "--forbid-override=receive-pack", "--allow-override=receive-pack"],
    ] {
        same(&sandbox, &[&common[..], more].concat(), &requests);
    }
}

#[test]
fn paths_lead_where_they_lead_in_git() {
    let sandbox = sandbox();
    let paths = [
        "git-upload-pack /open.git",
        "git-upload-pack /open",
        "git-upload-pack /closed.git",
        "git-upload-pack /work",
        "git-upload-pack /work/",
        "git-upload-pack /below/deep.git",
        "git-upload-pack /below//deep.git",
        "git-upload-pack //open.git",
        "git-upload-pack /./open.git",
        "git-upload-pack open.git",
        "git-upload-pack SERVED/open.git",
        "git-upload-pack ~root/open.git",
        "git-upload-pack /open.git\0host=served\0",
        "git-upload-pack /open.git\0host=../SerVed:77\0",
        "git-upload-pack /deep.git\0host=served//below\0",
    ];
    for options in [
        &["--base-path=SERVED"][..],
        &["--base-path=SERVED", "--base-path-relaxed", "--informative-errors"],
        &["--base-path=SERVED", "SERVED/open.git", "SERVED/below"],
        &[
            "--base-path=SERVED",
            "--export-all",
            "--strict-paths",
            "SERVED/open.git",
            "SERVED/below",
            "SERVED/work/.git",
        ],
        &["--interpolated-path=SERVED/../%H%D"],
        &["--interpolated-path=%H%D", "--informative-errors"],
    ] {
        // where paths are strict and one leads to no directory at all, git hangs up without a word
        let is_strict = options.contains(&"--strict-paths");
        let paths = paths.into_iter().filter(|path| !is_strict || !path.contains("SERVED"));
        same(&sandbox, options, &paths.collect::<Vec<_>>());
    }
}

/// The home directory need not be written to for this: what is served lies beside it.
#[test]
fn homes_of_users_are_found() {
    let sandbox = sandbox();
    let user = Run::of(sandbox.command("id").arg("-un")).success().line();
    let requests = ["open.git", "open", "nosuch", "../open.git", "", "work"]
        .map(|rest| format!("git-upload-pack ~{user}/{rest}"));
    let mut requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    requests.extend([
        "git-upload-pack ~nosuchuser/open.git",
        "git-upload-pack ~/open.git",
        "git-upload-pack ~",
    ]);
    let below =
        format!("--user-path=/{}{}", "../".repeat(9), &sandbox.path("served").display().to_string()[1..]);
    let told = same(&sandbox, &[&below, "--informative-errors"], &requests);
    assert_eq!(told[0], "served: true");
    same(&sandbox, &[&below, "--base-path=SERVED", "--informative-errors"], &requests);
    same(&sandbox, &["--user-path"], &requests);
    same(&sandbox, &["--base-path=SERVED"], &requests);
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_decides_who_gets_what() {
    let sandbox = sandbox();
    let (hook, seen) = (sandbox.path("hook"), sandbox.path("seen"));
    let option = format!("--access-hook={}", hook.display());
    let requests = [
        "git-upload-pack /open\0host=LocalHost:7\0",
        "git-upload-pack /open.git",
        "git-upload-pack /closed.git",
    ];
    let tells =
        format!("echo \"$# <$1> <$2> <$3> <$4> <$5> <$6> $REMOTE_ADDR $PWD $GIT_DIR\" >>{}", seen.display());
    for body in [
        tells.as_str(),
        "echo no; echo more; exit 1",
        "exit 1",
        "printf 'a b'; exit 3",
        "printf '\\n'; exit 1",
        "echo said",
        "kill -9 $$",
    ] {
        script(&hook, body);
        for informs in [&[][..], &["--informative-errors"]] {
            let options = [&["--base-path=SERVED", &option], informs].concat();
            same(&sandbox, &options, &requests);
        }
    }
    same(&sandbox, &["--base-path=SERVED", "--access-hook=/nonexistent", "--informative-errors"], &requests);
    let seen = fs::read_to_string(seen).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.len(), 8, "{seen}");
    assert_eq!(lines[2..4], lines[..2], "{seen}");
}

/// Held by tests whose daemons speak to syslog: there is one for all processes.
fn alone() -> fs::File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("syslog.lock");
    let file = fs::File::options().create(true).append(true).open(path).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn what_does_not_go_together_is_refused_in_git_s_words() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    for options in [
        &["--group=root"][..],
        &["--user=nosuchuser"],
        &["--user=root", "--group=nosuchgroup"],
        &["--strict-paths"],
        &["--base-path=/nonexistent"],
        &["--log-destination=x"],
        &["--enable=x"],
        &["--forbid-override=x"],
        // nobody is told, as it is the affair of syslog
        &["--inetd", "--detach"],
        &["--inetd", "--user=root"],
        &["--inetd", "--port=1"],
        &["--syslog", "--base-path=/nonexistent"],
        &["--log-destination=none", "--base-path=/nonexistent"],
    ] {
        let words = [&["daemon"], options].concat();
        let [theirs, ours] =
            [Git::reference(), server()].map(|git| Run::of(sandbox.command(&git.program).args(&words)));
        assert_eq!((ours.status, ours.stderr), (theirs.status, theirs.stderr), "{options:?}");
    }
}

/// Where the C library sends what is for syslog.
const SYSLOG: &str = "/dev/log";

/// Listens in place of a syslog; `None`, after saying so, where there is one or nobody may.
fn syslog() -> Option<UnixDatagram> {
    // one that nobody listens at was left behind
    if UnixDatagram::unbound().is_ok_and(|socket| {
        socket.connect(SYSLOG).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }) {
        fs::remove_file(SYSLOG).ok();
    }
    let bound = UnixDatagram::bind(SYSLOG);
    bound.inspect_err(|error| eprintln!("skipped: cannot listen at {SYSLOG}: {error}")).ok()
}

/// Removes the socket again.
struct Bound;

impl Drop for Bound {
    fn drop(&mut self) {
        fs::remove_file(SYSLOG).ok();
    }
}

/// What a daemon tells syslog until it has told `count` times that a client is gone, without what is different each time.
fn told(socket: &UnixDatagram, count: usize) -> Vec<String> {
    socket.set_read_timeout(Some(WITHIN)).unwrap();
    let (mut told, mut gone) = (Vec::new(), 0);
    while gone < count {
        let mut bytes = [0; 2048];
        let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("{error} after {told:#?}"));
        let line = bytes[..length].to_str_lossy().into_owned();
        // <priority>date name[process]: words; others may use syslog at the same time
        let (head, words) = line.split_once("]: ").unwrap_or_default();
        if !head.contains("git-daemon[") {
            continue;
        }
        // C git's is told of by another process, which names it
        let words =
            words.strip_prefix('[').and_then(|words| Some(words.split_once("] ")?.1)).unwrap_or(words);
        gone += usize::from(words.starts_with("Disconnected"));
        let priority = head.split_once('>').map_or("", |(priority, _)| priority);
        let words = words.split("127.0.0.1:").next().unwrap();
        told.push(format!("{priority}> {words}"));
    }
    told
}

#[test]
fn syslog_is_told_what_git_tells_it() {
    let _alone = alone();
    let Some(socket) = syslog() else { return };
    let _bound = Bound;
    let sandbox = sandbox();
    for option in ["--syslog", "--log-destination=syslog"] {
        let [theirs, ours] = [Git::reference(), server()].map(|git| {
            let process = start(&sandbox, git, &["--base-path=SERVED", "--verbose", option]);
            // who looked whether somebody listens said nothing
            let mut all = told(&socket, 1);
            for name in ["open.git", "closed.git", "none.git"] {
                let url = format!("git://127.0.0.1:{}/{name}", process.port);
                let run = sandbox.git(&sandbox.path(""), &["ls-remote", &url]);
                assert_eq!(run.status == 0, name == "open.git", "{run:?}");
                all.extend(told(&socket, 1));
            }
            all
        });
        assert_eq!(ours, theirs, "{option}");
        assert!(ours.len() > 12, "{ours:#?}");
    }
}

#[test]
fn a_daemon_leaves_the_terminal() {
    let _alone = alone();
    let sandbox = sandbox();
    for git in [Git::reference(), server()] {
        let (port, file) = (free_port(), sandbox.path("pid"));
        let mut command = sandbox.command(&git.program);
        command.args(["daemon", "--detach", "--listen=127.0.0.1", &format!("--port={port}")]);
        command.args([
            format!("--pid-file={}", file.display()),
            format!("--base-path={}", sandbox.path("served").display()),
        ]);
        let run = Run::of(&mut command).success();
        assert_eq!((run.stdout, run.stderr), ("".into(), "".into()));
        let deadline = Instant::now() + WITHIN;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{git:?} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(answer(port, "git-upload-pack /open.git"), "served: true");
        let id: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        // a session of its own, and no stream of ours
        let (theirs, ours) = (session(&id.to_string()), session("self"));
        assert_ne!(theirs, ours, "{git:?}");
        for stream in 0..3 {
            let place = fs::read_link(format!("/proc/{id}/fd/{stream}")).unwrap();
            assert_eq!(place, Path::new("/dev/null"), "{git:?}");
        }
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        fs::remove_file(file).unwrap();
    }
}

/// The session of a process; 0 where its leader is of another space of process ids.
fn session(process: &str) -> String {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    state.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned()
}

/// Only root may become another; who may not is told so.
#[test]
fn a_daemon_becomes_another_user() {
    let _alone = alone();
    let sandbox = sandbox();
    if !rustix::process::getuid().is_root() {
        let user = Run::of(sandbox.command("id").arg("-un")).success().line();
        let port = free_port();
        let words = [
            "daemon".to_owned(),
            format!("--user={user}"),
            "--listen=127.0.0.1".into(),
            format!("--port={port}"),
        ];
        let [theirs, ours] =
            [Git::reference(), server()].map(|git| Run::of(sandbox.command(&git.program).args(&words)));
        assert_eq!((ours.status, theirs.status), (128, 128), "{ours:?} {theirs:?}");
        for run in [ours, theirs] {
            assert!(run.stderr.contains_str("cannot drop privileges"), "{run:?}");
        }
        return;
    }
    let (hook, seen) = (sandbox.path("hook"), sandbox.path("temporary/seen"));
    fs::create_dir_all(sandbox.path("temporary")).unwrap();
    for place in ["", "temporary"] {
        fs::set_permissions(sandbox.path(place), fs::Permissions::from_mode(0o777)).unwrap();
    }
    script(&hook, &format!("id -un >>{0}; id -gn >>{0}; id -G | wc -w >>{0}", seen.display()));
    sandbox.git(&sandbox.path(""), &["config", "--global", "safe.directory", "*"]).success();
    let option = format!("--access-hook={}", hook.display());
    for user in [&["--user=nobody"][..], &["--user=nobody", "--group=daemon"]] {
        let options = [&["--base-path=SERVED", &option, "--informative-errors"], user].concat();
        let told = same(&sandbox, &options, &["git-upload-pack /open.git"]);
        assert_eq!(told, ["served: true"]);
        let told = fs::read_to_string(&seen).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 6, "{told}");
        assert_eq!((lines[0], &lines[3..]), ("nobody", &lines[..3]), "{told}");
        fs::remove_file(&seen).unwrap();
    }
}
