//! Pushes whose server or client is killed, at many moments: what is served stays whole, each ref is what it was or what
//! was pushed, and the next push goes through.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::servers::{Process, free_port};
use crate::support::{Format, Git, Run, Sandbox, Stream, build, sandbox, state};

/// The bytes of a push that nothing makes smaller.
const CARGO: usize = 100_000;
/// After how many bytes of the client somebody is killed: in the greeting, among the commands, in the pack.
const MOMENTS: [usize; 9] = [1, 150, 400, 800, 2_000, 20_000, 60_000, 99_000, 100_200];
/// The moments after the last byte: in a hook, given the first word of its call.
const HOOKS: [(&str, &str); 6] = [
    ("pre-receive", ""),
    ("update", ""),
    ("reference-transaction", "prepared"),
    ("reference-transaction", "committed"),
    ("post-receive", ""),
    ("post-update", ""),
];

/// What serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Serve,
    Daemon,
    ReceivePack,
}

/// A repository that is pushed to, again and again, and the one that pushes.
struct Scene {
    sandbox: Sandbox,
    server: Server,
    pushed: usize,
}

impl Scene {
    fn new(server: Server) -> Self {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 12);
        build::copy(&sandbox, &sandbox.path("served/project.git"), &sandbox.path("work.git"));
        let scene = Self { sandbox, server, pushed: 0 };
        for (hook, word) in HOOKS {
            let armed = scene.armed(hook, word);
            let file = scene.served().join("hooks").join(hook);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let mut script = fs::read_to_string(&file).unwrap_or_else(|_| "#!/bin/sh\n".to_owned());
            let this = if word.is_empty() { "true".to_owned() } else { format!("test \"$1\" = {word}") };
            script += &format!("{this} && rm '{0}' 2>/dev/null && kill -9 $PPID\n", armed.display());
            fs::write(&file, script.replace("\nexit 0\n", "\n") + "exit 0\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        scene
    }

    fn served(&self) -> PathBuf {
        self.sandbox.path("served/project.git")
    }

    /// The file whose presence makes a hook kill, once.
    fn armed(&self, hook: &str, word: &str) -> PathBuf {
        self.sandbox.path(format!("temporary/kill-in-{hook}-{word}"))
    }

    /// Starts the server where it is one of its own.
    fn start(&self) -> Option<Process> {
        let root = self.sandbox.path("served");
        let gitr = sandbox::gitr_program();
        let start = |words: &dyn Fn(u16) -> Vec<String>| {
            Process::start(&self.sandbox.path("servers"), |port| {
                let mut command = self.sandbox.command(&gitr);
                command.args(words(port));
                command
            })
        };
        let root = root.display();
        match self.server {
            Server::ReceivePack => None,
            Server::Serve => Some(start(&|port| {
                ["serve", "--export-all", "--enable-receive-pack=anybody", "--root", &root.to_string()]
                    .map(ToOwned::to_owned)
                    .into_iter()
                    .chain([format!("--listen=127.0.0.1:{port}")])
                    .collect()
            })),
            Server::Daemon => Some(start(&|port| {
                ["daemon", "--listen=127.0.0.1", "--export-all", "--enable=receive-pack"]
                    .map(ToOwned::to_owned)
                    .into_iter()
                    .chain([format!("--port={port}"), format!("--base-path={root}")])
                    .collect()
            })),
        }
    }

    /// New commits to push, and into which kind of storage they go on the far side.
    fn grow(&mut self) {
        self.pushed += 1;
        let noise = build::noise(CARGO * (self.pushed + 1));
        let mut stream = Stream::onto("main");
        stream.commit("main", 100 + self.pushed).file("large.bin", &noise[CARGO * self.pushed..]);
        stream.import(&self.sandbox, &self.sandbox.path("work.git"));
        let limit = if self.pushed.is_multiple_of(2) { "1" } else { "100" };
        self.sandbox.git(&self.served(), &["config", "receive.unpackLimit", limit]).success();
    }

    /// The push; gitr and C git take turns. `port` is where the server is, or a relay before it.
    fn push(&self, port: Option<u16>) -> Command {
        let gitr = sandbox::gitr_program();
        let git = &Git::reference().program;
        let mut command = self.sandbox.command(if self.pushed.is_multiple_of(3) {
            gitr.as_os_str()
        } else {
            git.as_os_str()
        });
        let url = match (self.server, port) {
            (Server::Serve, Some(port)) => format!("http://127.0.0.1:{port}/project.git"),
            (Server::Daemon, Some(port)) => format!("git://127.0.0.1:{port}/project.git"),
            _ => format!("file://{}", self.served().display()),
        };
        command.current_dir(self.sandbox.path("work.git")).args(["push", "-q"]);
        if port.is_none() {
            command.arg(format!("--receive-pack='{}' receive-pack", gitr.display()));
        }
        command.arg(url).arg("main").arg(format!("main:refs/heads/try/{}", self.pushed));
        command
    }

    /// Each ref of what is served and what it names.
    fn refs(&self) -> String {
        self.sandbox.git(&self.served(), &["for-each-ref", "--format=%(refname) %(objectname)"]).line()
    }

    /// After a push that was cut short: all is whole, and another push goes through.
    fn assert_whole(&self, before: &str, moment: &str) {
        let served = self.served();
        self.sandbox.git(&served, &["fsck", "--full"]).success();
        let wanted = self.sandbox.git(&self.sandbox.path("work.git"), &["rev-parse", "main"]).line();
        for line in self.refs().lines() {
            let (name, id) = line.split_once(' ').unwrap();
            let is_pushed = name == "refs/heads/main" || name == format!("refs/heads/try/{}", self.pushed);
            let is_new = is_pushed && id == wanted;
            assert!(before.lines().any(|old| old == line) || is_new, "{:?}, {moment}: {line}", self.server);
        }
        // what git tells people to remove by hand after a crash
        for lock in state::leftovers(&served).iter().filter(|file| file.extension() == Some("lock".as_ref()))
        {
            fs::remove_file(lock).unwrap();
        }
        let process = self.start();
        Run::of(&mut self.push(process.as_ref().map(|process| process.port))).success();
        let there = self.sandbox.git(&served, &["rev-parse", "main"]).line();
        assert_eq!(there, wanted, "{:?}, {moment}", self.server);
        self.sandbox.git(&served, &["fsck", "--full"]).success();
    }
}

/// Relays to `port` until the clients have sent `most` bytes, and kills the process group that comes by the channel.
fn relay(port: u16, most: usize, victim: mpsc::Receiver<Pid>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let here = listener.local_addr().unwrap().port();
    let left = Arc::new(Mutex::new((most, Some(victim))));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let left = Arc::clone(&left);
            std::thread::spawn(move || carry(from, to, &left));
            std::thread::spawn(move || {
                std::io::copy(&mut &server, &mut &client).ok();
                client.shutdown(Shutdown::Both).ok();
            });
        }
    });
    here
}

/// The client's half.
fn carry(mut from: TcpStream, mut to: TcpStream, left: &Mutex<(usize, Option<mpsc::Receiver<Pid>>)>) {
    let mut buffer = [0; 8 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut left = left.lock().unwrap();
        let passed = length.min(left.0);
        to.write_all(&buffer[..passed]).ok();
        left.0 -= passed;
        if left.0 == 0 {
            if let Some(victim) = left.1.take() {
                kill_process_group(victim.recv().unwrap(), Signal::KILL).ok();
            }
            to.shutdown(Shutdown::Both).ok();
            from.shutdown(Shutdown::Both).ok();
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().unwrap()
}

/// `gitr receive-pack` that is killed after so many bytes of the client.
fn doomed_receive_pack(scene: &Scene, most: usize) -> String {
    let file = scene.sandbox.path("doomed");
    let fifo = scene.sandbox.path(format!("fifo-{}", free_port()));
    let text = format!(
        "#!/bin/sh\nmkfifo '{fifo}' || exit\n'{gitr}' receive-pack \"$@\" <'{fifo}' &\n\
         head -c {most} >'{fifo}'\nkill -9 $!\nrm '{fifo}'\n",
        fifo = fifo.display(),
        gitr = sandbox::gitr_program().display()
    );
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    format!("--receive-pack={}", file.display())
}

/// Kills the server after each of the moments.
fn kill_server(server: Server) {
    let mut scene = Scene::new(server);
    for most in MOMENTS {
        scene.grow();
        let before = scene.refs();
        let process = scene.start();
        let mut client = if let Some(process) = &process {
            let (sender, victim) = mpsc::channel();
            sender.send(process.group()).unwrap();
            spawn(scene.push(Some(relay(process.port, most, victim))))
        } else {
            let mut command = scene.push(None);
            command.arg(doomed_receive_pack(&scene, most));
            spawn(command)
        };
        let is_done = client.wait().unwrap().success();
        assert!(!is_done || most > CARGO, "{server:?}, {most} bytes: the push was done");
        scene.assert_whole(&before, &format!("server killed after {most} bytes"));
    }
    for (hook, word) in HOOKS {
        scene.grow();
        let (before, armed) = (scene.refs(), scene.armed(hook, word));
        fs::write(&armed, "").unwrap();
        let process = scene.start();
        spawn(scene.push(process.as_ref().map(|process| process.port))).wait().unwrap();
        drop(process);
        assert!(!armed.exists(), "{server:?}: {hook} {word} was run");
        scene.assert_whole(&before, &format!("server killed in {hook} {word}"));
    }
}

/// Kills the client after each of the moments.
fn kill_client(server: Server) {
    let mut scene = Scene::new(server);
    let process = scene.start().unwrap();
    for most in MOMENTS {
        scene.grow();
        let before = scene.refs();
        let (sender, victim) = mpsc::channel();
        let mut client = spawn(scene.push(Some(relay(process.port, most, victim))));
        // a client that ends before it has sent so much has no one to hear of it
        sender.send(Pid::from_child(&client)).ok();
        let is_done = client.wait().unwrap().success();
        assert!(!is_done || most > CARGO, "{server:?}, {most} bytes: the push was done");
        scene.assert_whole(&before, &format!("client killed after {most} bytes"));
        scene.sandbox.git(&scene.sandbox.path("work.git"), &["fsck", "--full"]).success();
    }
}

#[test]
fn a_killed_serve_leaves_what_it_serves_whole() {
    kill_server(Server::Serve);
}

#[test]
fn a_killed_daemon_leaves_what_it_serves_whole() {
    kill_server(Server::Daemon);
}

#[test]
fn a_killed_receive_pack_leaves_what_it_serves_whole() {
    kill_server(Server::ReceivePack);
}

#[test]
fn a_killed_client_leaves_everything_whole() {
    kill_client(Server::Serve);
    kill_client(Server::Daemon);
}
