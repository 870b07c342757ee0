//! One run of a program with its figures, and two programs beside each other.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::git::hermetic;
use super::program::Program;
use super::report::say;
use super::{Bench, allowed, is_wanted};

/// The figures of one run.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) cpu: f64,
    pub(super) wall: f64,
    pub(super) peak_mb: f64,
    pub(super) sent: f64,
    pub(super) received: f64,
}

impl Bench {
    /// Runs `program` under GNU time in `place`.
    pub(super) fn measure(&self, program: Program, place: &Path, arguments: &[&str]) -> Result<Figures> {
        let program = program.path();
        self.measure_fed((program.as_os_str(), arguments), place, Stdio::null())
    }

    /// Runs `program` again and again, since GNU time counts no less than hundredths of a second; gives the mean.
    pub(super) fn measure_often(
        &self,
        program: Program,
        place: &Path,
        arguments: &[&str],
    ) -> Result<Figures> {
        const RUNS: u32 = 20;
        let program = program.path();
        let program = program.to_str().context("a program's path is no text")?;
        let script = format!("i=0; while [ $i -lt {RUNS} ]; do \"$@\" || exit 1; i=$((i+1)); done");
        let words = [&["-c", &script, "sh", program], arguments].concat();
        let all = self.measure_fed((OsStr::new("sh"), &words), place, Stdio::null())?;
        let mean = |sum: f64| sum / f64::from(RUNS);
        Ok(Figures {
            cpu: mean(all.cpu),
            wall: mean(all.wall),
            peak_mb: all.peak_mb,
            sent: mean(all.sent),
            received: mean(all.received),
        })
    }

    /// As [`Bench::measure`], with something on standard input.
    pub(super) fn measure_fed(
        &self,
        (program, arguments): (&OsStr, &[&str]),
        place: &Path,
        input: Stdio,
    ) -> Result<Figures> {
        let figures = self.directory.join("figures");
        let before = self.relay.counts();
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%U %S %e %M", "-o"]).arg(&figures).arg(program);
        hermetic(&mut command).current_dir(place).args(arguments).stdin(input).stdout(Stdio::null());
        if program == "gix" {
            // it shows how far it is whoever looks
            command.stderr(Stdio::null());
        }
        let status = command.status();
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
}

/// Lets gitr and `peers` take turns at `run` and prints a row for each of them.
pub(super) fn compare(
    title: &str,
    (turns, peers): (usize, Vec<Program>),
    mut run: impl FnMut(Program) -> Result<Figures>,
) -> Result<()> {
    if !is_wanted(title) {
        return Ok(());
    }
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); peers.len()];
    for _ in 0..allowed(turns) {
        ours.push(run(Program::Gitr)?);
        for (peer, figures) in peers.iter().zip(&mut theirs) {
            figures.push(run(*peer)?);
        }
    }
    for (peer, theirs) in peers.iter().zip(&theirs) {
        let cell = |figure: fn(&Figures) -> f64, digits: usize| {
            let (ours, theirs) = (median(&ours, figure), median(theirs, figure));
            if theirs > 0.0 {
                format!("{ours:.digits$} / {theirs:.digits$} = {:.2}", ours / theirs)
            } else {
                format!("{ours:.digits$} / {theirs:.digits$}")
            }
        };
        let cells = [
            cell(|figures| figures.cpu, 3),
            cell(|figures| figures.wall, 3),
            cell(|figures| figures.peak_mb, 0),
            cell(|figures| figures.sent, 0),
            cell(|figures| figures.received, 0),
        ];
        say(&format!("| {title} | {} | {} |", peer.name(), cells.join(" | ")));
    }
    Ok(())
}

/// The median of one figure.
fn median(runs: &[Figures], figure: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
