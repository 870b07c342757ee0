//! `cargo xtask <task>`: the project's own chores. Continuous integration calls nothing else.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore tells what it does")]

mod bench;
mod install;
mod step;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// What can be asked for.
const USAGE: &str = "\
usage: cargo xtask <task>

tasks:
    test    install what is missing, then check format, lints, tests, documentation and licences
    ci      the same
    bench [--turns=<n>] [--only=<words>] [--in=<directory>] [--no-build] [<repository>...]
            measure gitr beside each C git that is found, and gix, on copies of repositories: by path, or one of those
            that are made for it (history, files, blobs, refs; all of them if none is named); print tables and put
            them into benches/README.md. With --turns each program runs at most so often, with --only just the rows
            whose titles contain the words are measured, and nothing is kept; with --in copies are made in that
            directory, which had better be in memory: what a disk does after files were removed is paid by whoever
            makes the next ones; with --no-build it is the gitr that was built last, and what an index comes to at
            the least is left out
";

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does the task that `arguments` name.
fn run(arguments: &[String]) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test" | "ci"] => test::run(),
        ["bench", ref words @ ..] => bench::run(words),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [] => bail!("no task given\n\n{USAGE}"),
        _ => bail!("unknown task '{}'\n\n{USAGE}", arguments.join(" ")),
    }
}
