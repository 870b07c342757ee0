//! Real servers on loopback ports, each started by the test that needs it and stopped with it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Git, Sandbox, build::Format};

mod apache;
mod bundle;
mod daemon;
pub mod dulwich;
pub mod jgit;
mod lighttpd;
mod local;
mod nginx;
pub mod secure;
pub mod serve;
pub mod ssh;
pub mod through;

/// How long a server may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How often a server is started anew because another program took its port.
const PORT_TRIES: usize = 5;
/// Ports for servers.
const PORTS: Range<u16> = 12_000..32_000;
/// So many ports lie between those where two processes that follow each other begin to look.
const PORTS_APART: usize = 16;
/// The pause between two looks at a server that starts or stops.
const POLL: Duration = Duration::from_millis(5);
/// How long a server may take to end before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A way to reach the repositories in `served/` of a sandbox.
pub trait Serve {
    /// The URL of the repository at `served/<name>`.
    fn url(&self, name: &str) -> String;

    /// Options that `clone`, `fetch` and `ls-remote` need to reach the server that is meant.
    fn options(&self) -> Vec<String> {
        Vec::new()
    }

    /// Options that `push` needs to reach the server that is meant.
    fn push_options(&self) -> Vec<String> {
        Vec::new()
    }

    /// Variables that the client needs.
    fn variables(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Makes what the server shows of `served/<name>` current, and lets the server write it, after the repository
    /// changed.
    fn refresh(&self, _sandbox: &Sandbox, _name: &str, _format: Format) {}
}

/// The kinds of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path, cloned by hard links and fetched through `git-upload-pack`.
    Path,
    /// `file://`, which runs `git-upload-pack`.
    File,
    /// `git daemon`.
    Daemon,
    /// OpenSSH.
    Ssh,
    /// Apache with `git-http-backend` as CGI.
    Apache,
    /// lighttpd with `git-http-backend` as CGI.
    Lighttpd,
    /// nginx with `git-http-backend` under fcgiwrap.
    Nginx,
    /// A bundle file.
    Bundle,
    /// `jgit daemon`, whichever git is asked for.
    Jgit,
    /// dulwich's server of `git://`, whichever git is asked for.
    Dulwich,
    /// `gitr serve`, whichever git is asked for.
    GitrServe,
}

impl Kind {
    /// Whether it is reached by `http://`.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Apache | Self::Lighttpd | Self::Nginx | Self::GitrServe)
    }

    /// Starts a server of this kind that hands out `served/` of `sandbox` with the programs of `git`; `None`, after
    /// saying so, if a program is missing.
    pub fn start(self, sandbox: &Sandbox, git: &Git) -> Option<Box<dyn Serve>> {
        match self {
            Self::Path => Some(Box::new(local::Local::path(sandbox, git))),
            Self::File => Some(Box::new(local::Local::file(sandbox, git))),
            Self::Daemon => Some(Box::new(daemon::Daemon::start(sandbox, git))),
            Self::Ssh => ssh::Sshd::start(sandbox, git).map(|server| Box::new(server) as _),
            Self::Apache => apache::Apache::start(sandbox, git).map(|server| Box::new(server) as _),
            Self::Lighttpd => lighttpd::Lighttpd::start(sandbox, git).map(|server| Box::new(server) as _),
            Self::Nginx => nginx::Nginx::start(sandbox, git).map(|server| Box::new(server) as _),
            Self::Bundle => Some(Box::new(bundle::Bundle::new(sandbox, git))),
            Self::Jgit => jgit::Jgit::start(sandbox).map(|server| Box::new(server) as _),
            Self::Dulwich => dulwich::Dulwich::start(sandbox).map(|server| Box::new(server) as _),
            Self::GitrServe => {
                Some(Box::new(serve::GitrServe::start(sandbox, &["--enable-receive-pack=anybody"])))
            }
        }
    }
}

/// A server process and its children; the drop ends them all.
pub struct Process {
    /// The leader of the process group.
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Process {
    /// Starts what `command` makes for a free port and waits until that port answers.
    ///
    /// # Panics
    /// If the server ends at once on every port or does not answer in time; its log is in the message.
    pub fn start(directory: &Path, mut command: impl FnMut(u16) -> Command) -> Self {
        fs::create_dir_all(directory).expect("the sandbox can be written");
        let log = directory.join("log");
        for _ in 0..PORT_TRIES {
            let port = free_port();
            let mut process = Self::spawn(command(port), &log, port);
            if process.is_answering() {
                return process;
            }
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        panic!("the server in {} does not start: {said}", directory.display());
    }

    /// Starts `command` in a process group of its own with its words in `log`.
    pub fn spawn(mut command: Command, log: &Path, port: u16) -> Self {
        let file = fs::File::create(log).expect("the sandbox can be written");
        let twin = file.try_clone().expect("a file can be shared");
        command.stdin(Stdio::null()).stdout(file).stderr(twin).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Self { child, port }
    }

    /// Sends a signal to the process itself.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).expect("the server runs");
    }

    /// The process group of the server and its children.
    pub fn group(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Waits until the port answers; false if the process ended before.
    fn is_answering(&mut self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        self.wait_until(|| TcpStream::connect(address).is_ok())
    }

    /// Waits until `ready`; false if the process ended before or the time is over.
    pub fn wait_until(&mut self, ready: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + START_WITHIN;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            if ready() {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = self.group();
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).ok();
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(POLL);
        }
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        self.child.wait().ok();
    }
}

/// A loopback port that nobody listens on and that no other test is given while this process runs. Systems give their own
/// connections ports above these: who waits for a server there is by and by connected with itself.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let first = std::process::id() as usize * PORTS_APART + taken.len();
    let (port, mark) = (first..first + PORTS.len())
        .find_map(|number| {
            let port = PORTS.start + u16::try_from(number % PORTS.len()).ok()?;
            let mark = mark_of(port).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| (port, mark))
        })
        .expect("loopback has a free port");
    taken.push(mark);
    port
}

/// What only one process at a time can have, and the end of which ends with it.
fn mark_of(port: u16) -> io::Result<UnixListener> {
    let name = format!("gitr test port {port}");
    UnixListener::bind_addr(&net::SocketAddr::from_abstract_name(name)?)
}

/// The port of a URL of a server on loopback.
///
/// # Panics
/// If it names none.
pub fn port_of(url: &str) -> u16 {
    let port = url.split([':', '/']).nth(4).and_then(|port| port.parse().ok());
    port.expect("the URL has a host and a port")
}

/// Finds `program`, or says that it is missing.
fn require(program: &str) -> Option<PathBuf> {
    let found = super::find_program(program);
    if found.is_none() {
        super::missing(program);
    }
    found
}

/// The directory of the server `name` in `sandbox`.
fn home_of(sandbox: &Sandbox, name: &str) -> PathBuf {
    let directory = sandbox.path("servers").join(name);
    fs::create_dir_all(&directory).expect("the sandbox can be written");
    directory
}

/// What servers that do not inherit the sandbox's environment date their reflogs with; it has no spaces, which each of
/// their configurations would quote in its own way.
const COMMITTER_DATE: &str = "2005-04-07T15:13:13-0700";

/// The variables of a CGI program in `sandbox`: who it is, where the repositories are.
fn cgi_variables(sandbox: &Sandbox) -> [(&'static str, String); 6] {
    [
        ("GIT_PROJECT_ROOT", sandbox.path("served").display().to_string()),
        ("GIT_HTTP_EXPORT_ALL", "1".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("HOME", sandbox.path("home").display().to_string()),
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("GIT_COMMITTER_DATE", COMMITTER_DATE.to_owned()),
    ]
}
