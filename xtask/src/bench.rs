//! `cargo xtask bench`: gitr and C git beside each other, on a repository that the caller names.
//!
//! Both are clients of the same `git daemon` on loopback, behind a relay that counts the bytes. They take turns; what is
//! told is the median of each figure, and gitr's divided by C git's. What the server spends is not counted but in the
//! wall clock.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use crate::step::{Steps, cargo, root, variable};

mod distant;
mod large;

/// How often each is run, but for what takes long.
const TURNS: usize = 5;

/// How often what moves all of a repository is run.
const TURNS_WHOLE: usize = 3;

/// Commits that a push brings.
const PUSHED: [u32; 3] = [1, 100, 10_000];

/// Runs every benchmark on the repository at `source`, and prints a table.
pub(crate) fn run(source: &str) -> Result<()> {
    Steps::default().run("cargo build --release", &mut cargo("build --release --locked"))?;
    let bench = Bench::new(Path::new(source))?;
    bench.print_head()?;
    bench.clone()?;
    bench.fetch_nothing()?;
    bench.index_pack()?;
    for commits in PUSHED {
        bench.push(&format!("push {commits} commits"), Some(commits), TURNS)?;
    }
    bench.push("push everything", None, TURNS_WHOLE)?;
    bench.push_large()?;
    bench.fetch_nothing_from_afar()
}

/// What all benchmarks of one repository share.
struct Bench {
    directory: PathBuf,
    /// A bare repository with one pack, which is what clients push from and the server serves.
    source: PathBuf,
    relay: Relay,
    _daemon: Daemon,
}

/// One of the two programs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Gitr,
    Git,
}

/// The figures of one run.
#[derive(Clone, Copy, Default)]
struct Figures {
    cpu: f64,
    wall: f64,
    peak_mb: f64,
    sent: f64,
    received: f64,
}

impl Bench {
    fn new(source: &Path) -> Result<Self> {
        let directory = target().join("bench");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let ours = directory.join("source.git");
        git(&directory, &["clone", "-q", "--bare", &format!("file://{}", absolute(source)?), "source.git"])?;
        git(&ours, &["repack", "-a", "-d", "-q"])?;
        let daemon = Daemon::start(&directory)?;
        let relay = Relay::start(daemon.port)?;
        Ok(Self { directory, source: ours, relay, _daemon: daemon })
    }

    /// What every figure has to be read with: the machine, the versions and the repository.
    fn print_head(&self) -> Result<()> {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let mut models = processors.lines().filter(|line| line.starts_with("model name"));
        let model = models.next().and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
        let count = std::thread::available_parallelism()?;
        let objects = said_by_git(&self.source, &["count-objects", "-v"])?;
        let figure = |name: &str| objects.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
        println!("\nprocessor: {model}, {count} threads at once");
        println!(
            "programs: {}, {}",
            said_by(Program::Gitr, &self.source, &["version"])?,
            said_by_git(&self.source, &["version"])?
        );
        println!("repository: {} objects, {} kB packed", figure("in-pack: "), figure("size-pack: "));
        println!("\n| what | CPU s | wall s | peak MB | sent | received |\n|---|---|---|---|---|---|");
        Ok(())
    }

    fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.relay.port)
    }

    fn clone(&self) -> Result<()> {
        let url = self.url("source.git");
        compare("clone --bare", TURNS_WHOLE, |program| {
            let copy = self.fresh("copy.git")?;
            self.measure(program, &self.directory, &["clone", "-q", "--bare", &url, &copy])
        })
    }

    fn fetch_nothing(&self) -> Result<()> {
        let copy = self.fresh("copy.git")?;
        git(&self.directory, &["clone", "-q", "--mirror", &self.url("source.git"), &copy])?;
        let copy = self.directory.join(copy);
        compare("fetch nothing", TURNS, |program| self.measure(program, &copy, &["fetch", "-q"]))
    }

    /// An index for the pack that is there, with one thread and with two.
    fn index_pack(&self) -> Result<()> {
        let files = fs::read_dir(self.source.join("objects/pack"))?;
        let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        let pack = paths.find(|path| path.extension().is_some_and(|extension| extension == "pack"));
        let pack = pack.context("the repository has no pack")?;
        for threads in ["1", "2"] {
            let option = format!("--threads={threads}");
            compare(&format!("index-pack {option}"), TURNS_WHOLE, |program| {
                let arguments = ["index-pack", &option, "-o", "bench.idx", &pack.to_string_lossy()];
                self.measure(program, &self.directory, &arguments)
            })?;
        }
        Ok(())
    }

    /// A push of the last `commits` of the first-parent history, or of all of it.
    fn push(&self, title: &str, commits: Option<u32>, turns: usize) -> Result<()> {
        let template = self.fresh("template.git")?;
        git(&self.directory, &["init", "-q", "--bare", &template])?;
        if let Some(commits) = commits {
            let base = format!("HEAD~{commits}");
            if git(&self.source, &["rev-parse", "-q", "--verify", &base]).is_err() {
                println!("| {title} | the history is shorter | | | | |");
                return Ok(());
            }
            let template = self.directory.join(&template);
            let template = template.to_string_lossy();
            git(&self.source, &["push", "-q", &template, &format!("{base}:refs/heads/base")])?;
        }
        compare(title, turns, |program| self.push_into_copy(program, &self.source, &template))
    }

    /// A push of all of a repository of a gigabyte.
    fn push_large(&self) -> Result<()> {
        let source = self.fresh("large.git")?;
        large::make(&self.directory, &source)?;
        let source = self.directory.join(source);
        let template = self.fresh("template.git")?;
        git(&self.directory, &["init", "-q", "--bare", &template])?;
        compare("push a gigabyte", TURNS_WHOLE, |program| self.push_into_copy(program, &source, &template))
    }

    /// Pushes `HEAD` of `source` to a copy of `template`.
    fn push_into_copy(&self, program: Program, source: &Path, template: &str) -> Result<Figures> {
        let target = self.fresh("target.git")?;
        link(&self.directory.join(template), &self.directory.join(&target))?;
        let url = self.url(&target);
        let figures = self.measure(program, source, &["push", "-q", &url, "HEAD:refs/heads/new"])?;
        git(&self.directory.join(&target), &["rev-parse", "-q", "--verify", "refs/heads/new"])?;
        Ok(figures)
    }

    /// Runs `program` under GNU time in `place`.
    fn measure(&self, program: Program, place: &Path, arguments: &[&str]) -> Result<Figures> {
        let figures = self.directory.join("figures");
        let program = program_path(program);
        let before = self.relay.counts();
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%U %S %e %M", "-o"]).arg(&figures).arg(program);
        let status = hermetic(&mut command).current_dir(place).args(arguments).stdout(Stdio::null()).status();
        if !status.context("cannot run GNU time: install the package 'time'")?.success() {
            bail!("'{}' failed", arguments.join(" "));
        }
        let text = fs::read_to_string(&figures)?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [user, system, wall, peak_kb] = numbers[..] else { bail!("GNU time says '{text}'") };
        let after = self.relay.counts();
        Ok(Figures {
            cpu: user + system,
            wall,
            peak_mb: peak_kb / 1024.0,
            sent: after.0 - before.0,
            received: after.1 - before.1,
        })
    }

    /// The name of a directory that does not exist any more.
    fn fresh(&self, name: &str) -> Result<String> {
        let path = self.directory.join(name);
        if path.exists() {
            fs::remove_dir_all(path)?;
        }
        Ok(name.to_owned())
    }
}

/// Lets both take turns at `run` and prints one row.
fn compare(title: &str, turns: usize, mut run: impl FnMut(Program) -> Result<Figures>) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        ours.push(run(Program::Gitr)?);
        theirs.push(run(Program::Git)?);
    }
    let cell = |figure: fn(&Figures) -> f64, digits: usize| {
        let (ours, theirs) = (median(&ours, figure), median(&theirs, figure));
        format!("{ours:.digits$} / {theirs:.digits$} = {:.2}", ours / theirs.max(f64::MIN_POSITIVE))
    };
    let cells = [
        cell(|figures| figures.cpu, 2),
        cell(|figures| figures.wall, 2),
        cell(|figures| figures.peak_mb, 0),
        cell(|figures| figures.sent, 0),
        cell(|figures| figures.received, 0),
    ];
    println!("| {title} | {} |", cells.join(" | "));
    Ok(())
}

/// The median of one figure.
fn median(runs: &[Figures], figure: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// `git daemon`, which serves the directory of a bench.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    fn start(directory: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("git");
        hermetic(&mut command)
            .args(["daemon", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", "--reuseaddr"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", directory.display()))
            .stderr(Stdio::null());
        let child = command.spawn().context("cannot run git daemon")?;
        let daemon = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // nothing is left to be done about a server that is gone already
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Passes connections on and counts what goes either way.
struct Relay {
    port: u16,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Relay {
    fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay =
            Self { port: listener.local_addr()?.port(), sent: Arc::default(), received: Arc::default() };
        let (sent, received) = (Arc::clone(&relay.sent), Arc::clone(&relay.received));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                pass(&client, &server, &sent);
                pass(&server, &client, &received);
            }
        });
        Ok(relay)
    }

    #[expect(clippy::cast_precision_loss, reason = "no one counts that many bytes")]
    fn counts(&self) -> (f64, f64) {
        (self.sent.load(Ordering::SeqCst) as f64, self.received.load(Ordering::SeqCst) as f64)
    }
}

/// Copies from one socket to the other in a thread of its own.
fn pass(from: &TcpStream, to: &TcpStream, count: &Arc<AtomicU64>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let count = Arc::clone(count);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(length) = from.read(&mut buffer) {
            let chunk = buffer.get(..length).unwrap_or_default();
            if chunk.is_empty() || to.write_all(chunk).is_err() {
                break;
            }
            count.fetch_add(length as u64, Ordering::SeqCst);
        }
        // whoever is gone needs not to be told
        drop(to.shutdown(Shutdown::Write));
    });
}

/// Runs git, whose output is nobody's affair.
fn git(place: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("git");
    let status = hermetic(&mut command).current_dir(place).args(arguments).stdout(Stdio::null()).status();
    if !status.context("cannot run git")?.success() {
        bail!("'git {}' failed", arguments.join(" "));
    }
    Ok(())
}

/// What git says, without the end of its last line.
fn said_by_git(place: &Path, arguments: &[&str]) -> Result<String> {
    said_by(Program::Git, place, arguments)
}

/// What `program` prints.
fn said_by(program: Program, place: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program_path(program));
    let output = hermetic(&mut command).current_dir(place).args(arguments).output()?;
    if !output.status.success() {
        bail!("'{}' failed", arguments.join(" "));
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// What is run.
fn program_path(program: Program) -> PathBuf {
    match program {
        Program::Gitr => target().join("release/gitr"),
        Program::Git => "git".into(),
    }
}

/// Where cargo builds.
fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Keeps the user's configuration away.
fn hermetic(command: &mut Command) -> &mut Command {
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
}

/// Copies a repository; its packs are linked.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link(&entry.path(), &target)?;
        } else if entry.path().components().any(|part| part.as_os_str() == "objects") {
            fs::hard_link(entry.path(), target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<String> {
    let path = fs::canonicalize(path).with_context(|| format!("cannot find '{}'", path.display()))?;
    Ok(path.display().to_string())
}
