//! `cargo xtask bench`: gitr and every C git that is found beside each other, and gix where it is installed and knows the
//! task: on repositories that are made for it, or on one that the caller names.
//!
//! Most are clients of the same `git daemon` on loopback, behind a relay that counts the bytes. They take turns; what is
//! told is the median of each figure, and gitr's divided by C git's. What the server spends is not counted but in the
//! wall clock; rows of [`serve`] count nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::step::{Steps, cargo, root, variable};
use git::{absolute, git, said_by, said_by_git};
use program::Program;
use report::say;
use server::{Daemon, Relay};

mod client;
mod distant;
mod generate;
mod git;
mod large;
mod measure;
mod program;
mod push;
mod report;
mod rows;
mod serve;
mod server;

/// How often each is run, but for what takes long.
const TURNS: usize = 5;

/// How often what moves all of a repository is run.
const TURNS_WHOLE: usize = 3;

/// Commits that a fetch brings.
const FETCHED: [u32; 2] = [1, 100];

/// Commits that a push brings.
const PUSHED: [u32; 3] = [1, 100, 10_000];

/// What is measured where no repository is named: those of [`generate`].
const GENERATED: [&str; 5] = ["history", "files", "blob", "blobs", "refs"];

/// `--turns`: no program runs more often than that.
static TURNS_MAX: OnceLock<usize> = OnceLock::new();

/// `--only`: what the titles of the rows contain that are wanted.
static ONLY: OnceLock<String> = OnceLock::new();

/// `--in`: where the copies are made, such as a file system in memory.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// Runs the benchmarks on each repository among `words`, the name of one that is made or a path, and prints tables. It puts
/// them into benches/README.md unless turns or rows were spared.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (options, sources): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("--"));
    let mut builds = true;
    for option in options {
        if let Some(title) = option.strip_prefix("--only=") {
            ONLY.get_or_init(|| title.to_owned());
            continue;
        }
        if let Some(place) = option.strip_prefix("--in=") {
            PLACE.get_or_init(|| place.into());
            continue;
        }
        match option.strip_prefix("--turns=").map(str::parse) {
            Some(Ok(turns)) if turns > 0 => drop(TURNS_MAX.set(turns)),
            None if option == "--no-build" => builds = false,
            Some(_) | None => bail!("unknown option '{option}' of bench"),
        }
    }
    if builds {
        Steps::default().run("cargo build --release", &mut cargo("build --release --locked"))?;
    }
    let begin = Instant::now();
    let sources = if sources.is_empty() { GENERATED.to_vec() } else { sources };
    for source in &sources {
        match generate::repository(source)? {
            Some(made) => run_on(source, &made, builds)?,
            None => run_on(source, Path::new(source), builds)?,
        }
        say(&format!("\nload at the end: {}", load()));
        // what is done stays if the next repository breaks off
        if TURNS_MAX.get().is_none() && ONLY.get().is_none() {
            report::keep()?;
        }
    }
    println!("\nall of it took {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// How often something runs for which `turns` are due.
fn allowed(turns: usize) -> usize {
    TURNS_MAX.get().map_or(turns, |most| turns.min(*most))
}

/// Whether the row `title` was asked for.
fn is_wanted(title: &str) -> bool {
    ONLY.get().is_none_or(|only| title.contains(only.as_str()))
}

/// Runs those that tell something of the repository at `path`.
fn run_on(name: &str, path: &Path, builds: bool) -> Result<()> {
    let bench = Bench::new(path)?;
    bench.print_head(name)?;
    bench.clone("git://", &bench.url("source.git"))?;
    match name {
        "files" | "blob" | "blobs" => return bench.clone_with_files(),
        "refs" => {
            bench.fetch_nothing()?;
            bench.list_refs()?;
            bench.serve_refs()?;
            return bench.prune();
        }
        _ => {}
    }
    if builds && is_wanted("at the least") {
        bench.print_budget()?;
    }
    bench.clone("file://", &format!("file://{}", bench.source.display()))?;
    bench.clone_over_http()?;
    bench.clone_with_files()?;
    bench.fetch_nothing()?;
    for commits in FETCHED {
        bench.fetch(commits)?;
    }
    bench.index_pack()?;
    bench.produce()?;
    bench.serve()?;
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

impl Bench {
    fn new(source: &Path) -> Result<Self> {
        let directory = PLACE.get().cloned().unwrap_or_else(target).join("gitr-bench");
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

    /// What every figure has to be read with: the machine, what else it does, the versions and the repository.
    fn print_head(&self, name: &str) -> Result<()> {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let mut models = processors.lines().filter(|line| line.starts_with("model name"));
        let model = models.next().and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
        let count = std::thread::available_parallelism()?;
        let objects = said_by_git(&self.source, &["count-objects", "-v"])?;
        let figure = |name: &str| objects.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
        say(&format!("\n### {name}\n"));
        say(&format!("processor: {model}, {count} threads at once, load when it began: {}\\", load()));
        let peers: Vec<_> = program::all().into_iter().map(Program::name).collect();
        say(&format!(
            "programs: {}, {}\\",
            said_by(Program::Gitr, &self.source, &["version"])?,
            peers.join(", ")
        ));
        let (objects, size) = (figure("in-pack: "), figure("size-pack: "));
        say(&format!("repository: {objects} objects, {size} kB packed\\"));
        say(&format!("turns: at most {}", allowed(TURNS)));
        say(
            "\n| what | beside | CPU s | wall s | peak MB | sent | received |\n|---|---|---|---|---|---|---|",
        );
        Ok(())
    }

    /// What the work of an index comes to at the least.
    fn print_budget(&self) -> Result<()> {
        let mut command = cargo("bench --locked --bench budget --");
        let output = command.arg(self.pack()?).output()?;
        let text = String::from_utf8(output.stdout)?;
        let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
        for (what, figures) in rows {
            say(&format!(
                "| *at the least:* {what} | | {} | | | | |",
                figures.replace(" |", ",").trim_end_matches(',')
            ));
        }
        Ok(())
    }

    fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.relay.port)
    }

    /// The one pack of the source.
    fn pack(&self) -> Result<PathBuf> {
        let files = fs::read_dir(self.source.join("objects/pack"))?;
        let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        let pack = paths.find(|path| path.extension().is_some_and(|extension| extension == "pack"));
        pack.context("the repository has no pack")
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

/// How many programs ran or waited for a processor on the average of the last 1, 5 and 15 minutes: `proc_loadavg(5)`.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split(' ').take(3).collect();
    if averages.len() == 3 { averages.join(", ") } else { "unknown".to_owned() }
}

/// Where cargo builds.
fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
