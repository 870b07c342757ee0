//! Servers of HTTP, each in a control group of its own, which counts what all its processes spend, those that are gone as well.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::Load;
use crate::bench::git::{hermetic, said_by};
use crate::bench::measure::Figures;
use crate::bench::program::Program;

/// Where control groups of version 2 are, beside others or alone.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long a server may take until it listens.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long the processes of a server may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What is missing for rows of servers.
pub(super) fn lacks() -> Option<String> {
    for program in ["nginx", "fcgiwrap"] {
        let found = Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            return Some(format!("{program} is not installed"));
        }
    }
    match Group::new("try") {
        Ok(_) => None,
        Err(error) => Some(format!("there is no control group to count in: {error}")),
    }
}

/// A server.
pub(super) struct Front {
    pub(super) program: Program,
    port: u16,
    children: Vec<Child>,
    group: Group,
}

impl Front {
    /// Lets `program` serve what is in `directory`.
    pub(super) fn start(program: Program, directory: &Path) -> Result<Self> {
        let name = program.name().replace(' ', "-");
        let group = Group::new(&name)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut front = Self { program, port, children: Vec::new(), group };
        if program == Program::Gitr {
            let address = format!("--listen=127.0.0.1:{port}");
            let root = format!("--root={}", directory.display());
            // as long as nginx waits: a crowd is to be served, not turned away, however busy the machine is
            let patience = "--limit=queue-time=600s";
            let quiet = "--log-format=none";
            front.run(&program.path(), &["serve", &address, &root, "--export-all", quiet, patience])?;
        } else {
            front.start_backend(&directory.join(name), directory)?;
        }
        wait_for(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), "a server does not start")?;
        Ok(front)
    }

    /// C git's program, with what it needs before it.
    fn start_backend(&mut self, own: &Path, served: &Path) -> Result<()> {
        fs::create_dir_all(own)?;
        let socket = own.join("socket");
        let workers = (2 * std::thread::available_parallelism()?.get()).to_string();
        self.run(Path::new("fcgiwrap"), &["-c", &workers, "-s", &format!("unix:{}", socket.display())])?;
        wait_for(|| socket.exists(), "fcgiwrap does not start")?;
        let programs = said_by(self.program, served, &["--exec-path"])?;
        let config = own.join("nginx.conf");
        fs::write(&config, configuration(own, served, self.port, &programs))?;
        self.run(Path::new("nginx"), &["-c", &config.display().to_string()])
    }

    /// Runs a program in the group.
    fn run(&mut self, program: &Path, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.group.0.join("cgroup.procs"));
        hermetic(&mut command).arg(program).args(arguments).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.children.push(child.with_context(|| format!("cannot run {}", program.display()))?);
        Ok(())
    }

    /// What one operation of `load` costs.
    #[expect(clippy::cast_precision_loss, reason = "no one counts that many bytes")]
    pub(super) fn bear(&self, load: &Load) -> Result<Figures> {
        let before = self.group.cpu()?;
        let is_over = AtomicBool::new(false);
        let (seen, peak_kb) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| self.group.peak_kb(&is_over));
            let seen = load.put_on(self.port);
            is_over.store(true, Ordering::SeqCst);
            (seen, watcher.join().unwrap_or_default())
        });
        let mut seen = seen.with_context(|| format!("of {}", self.program.name()))?;
        // a server is done a little after its client
        std::thread::sleep(LOOK);
        let times = load.times as f64;
        seen.seconds.sort_by(f64::total_cmp);
        let late = seen.seconds.get((seen.seconds.len() * 95).div_ceil(100).saturating_sub(1));
        Ok(Figures {
            cpu: (self.group.cpu()? - before) / times,
            wall: late.copied().unwrap_or_default(),
            peak_mb: peak_kb as f64 / 1024.0,
            sent: seen.sent as f64 / times,
            received: seen.received as f64 / times,
        })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        for process in self.group.processes().lines() {
            drop(Command::new("kill").args(["-KILL", process]).status());
        }
        for child in &mut self.children {
            drop(child.wait());
        }
    }
}

/// A control group, which goes when it is dropped.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> io::Result<Self> {
        let is_there = |place: &&&str| Path::new(place).join("cgroup.controllers").exists();
        let place = HIERARCHIES.iter().find(is_there).ok_or(io::ErrorKind::NotFound)?;
        let path = Path::new(place).join(format!("gitr-bench-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Seconds of CPU that were spent in it.
    fn cpu(&self) -> Result<f64> {
        let text = fs::read_to_string(self.0.join("cpu.stat"))?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let micros: f64 = usage.context("a control group does not count")?.parse()?;
        Ok(micros / 1_000_000.0)
    }

    /// The numbers of its processes, a line each.
    fn processes(&self) -> String {
        fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default()
    }

    /// The most memory that its processes had at a time, what they share counted once, until `is_over`.
    fn peak_kb(&self, is_over: &AtomicBool) -> u64 {
        let mut peak = 0;
        while !is_over.load(Ordering::SeqCst) {
            peak = peak.max(self.processes().lines().filter_map(resident_kb).sum());
            std::thread::sleep(LOOK);
        }
        peak
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let begin = Instant::now();
        // its processes are ending
        while fs::remove_dir(&self.0).is_err() && begin.elapsed() < END_WITHIN {
            std::thread::sleep(LOOK);
        }
    }
}

/// The memory of a process; `None` if it is gone.
fn resident_kb(process: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn wait_for(is_there: impl Fn() -> bool, otherwise: &str) -> Result<()> {
    let begin = Instant::now();
    while !is_there() {
        if begin.elapsed() > START_WITHIN {
            bail!("{otherwise}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// How nginx hands everything to C git's program in `programs`, and keeps nothing of the answers.
fn configuration(own: &Path, served: &Path, port: u16, programs: &str) -> String {
    let here = own.display();
    let mut text = format!(
        "daemon off;\nuser root;\nworker_processes auto;\npid {here}/pid;\nerror_log {here}/error;\n\
         events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\nclient_max_body_size 0;\n"
    );
    for kind in ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"] {
        text.push_str(&format!("{kind}_temp_path {here}/{kind};\n"));
    }
    text.push_str(&format!(
        "server {{\nlisten 127.0.0.1:{port};\nlocation / {{\nfastcgi_pass unix:{here}/socket;\n\
         fastcgi_buffering off;\nfastcgi_read_timeout 600;\n"
    ));
    let served = served.display().to_string();
    let backend = format!("{programs}/git-http-backend");
    for (name, value) in [
        ("REQUEST_METHOD", "$request_method"),
        ("QUERY_STRING", "$query_string"),
        ("CONTENT_TYPE", "$content_type"),
        ("CONTENT_LENGTH", "$content_length"),
        ("HTTP_CONTENT_ENCODING", "$http_content_encoding"),
        ("REMOTE_ADDR", "$remote_addr"),
        ("SERVER_PROTOCOL", "$server_protocol"),
        ("GIT_PROTOCOL", "$http_git_protocol"),
        ("PATH_INFO", "$uri"),
        ("SCRIPT_FILENAME", &backend),
        ("GIT_PROJECT_ROOT", &served),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ] {
        text.push_str(&format!("fastcgi_param {name} \"{value}\";\n"));
    }
    text.push_str("}\n}\n}\n");
    text
}
