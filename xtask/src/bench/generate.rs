//! Repositories that are made, the same each time, and kept for the next bench.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::git::{git, hermetic};
use super::{large, target};

/// A repository for each bench: its name, which of its forms it is now, and who writes it as a stream of git fast-import.
const KINDS: [(&str, u32, Writer); 5] =
    [("history", 1, history), ("files", 1, files), ("blob", 1, blob), ("blobs", 1, blobs), ("refs", 2, refs)];

type Writer = fn(&mut dyn Write) -> io::Result<()>;

/// Commits of the long history: each makes itself, two trees and a blob, 400,000 objects in all.
const COMMITS: usize = 100_000;
/// Its directories, the files in each, and the lines of a file, of which a commit changes one.
const DIRECTORIES: usize = 40;
const FILES_EACH: usize = 50;
const LINES: usize = 300;

/// Small files in one commit.
const FILES: usize = 50_000;

/// Bytes of the one large file, which nothing makes smaller: from here on git streams.
const BLOB_BYTES: usize = 512 * 1024 * 1024;

/// Larger files, and the bytes of each, which nothing makes smaller.
const BLOBS: usize = 2;
const BLOBS_BYTES: usize = 1024 * 1024 * 1024;

/// Refs, each to a commit of its own, as the pull requests of a busy project are.
const REFS: usize = 100_000;

/// The repository of `kind`, made unless it is there from the last time; `None` if `kind` is the name of none.
pub(super) fn repository(kind: &str) -> Result<Option<PathBuf>> {
    let Some((_, form, write)) = KINDS.iter().find(|(name, ..)| *name == kind) else { return Ok(None) };
    let inputs = target().join("bench-inputs");
    let done = inputs.join(format!("{kind}-{form}.git"));
    if done.exists() {
        return Ok(Some(done));
    }
    println!("making the repository '{kind}', which takes a while the first time");
    fs::create_dir_all(&inputs)?;
    let unfinished = inputs.join(format!("{kind}.tmp"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    git(&inputs, &["init", "-q", "--bare", "-b", "main", &format!("{kind}.tmp")])?;
    import(&unfinished, *write)?;
    git(&unfinished, &["repack", "-a", "-d", "-f", "-q", "--depth=50", "--window=10"])?;
    fs::rename(&unfinished, &done)?;
    Ok(Some(done))
}

fn import(place: &Path, write: Writer) -> Result<()> {
    let mut command = Command::new("git");
    hermetic(&mut command).current_dir(place).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = command.spawn().context("cannot run git fast-import")?;
    let mut input = BufWriter::new(child.stdin.take().context("git fast-import has no input")?);
    write(&mut input)?;
    input.flush()?;
    drop(input);
    if !child.wait()?.success() {
        bail!("'git fast-import' failed");
    }
    Ok(())
}

fn commit(out: &mut dyn Write, number: usize) -> io::Result<()> {
    commit_to(out, "main", number)
}

/// The commit `number`, which `branch` is to name; its parent and files follow.
fn commit_to(out: &mut dyn Write, branch: &str, number: usize) -> io::Result<()> {
    let time = 1_000_000_000 + 60 * number;
    writeln!(out, "commit refs/heads/{branch}\ncommitter A <a@example.com> {time} +0000\ndata 8\nchange\n")
}

/// Many commits to few files: chains of deltas as long as they get.
fn history(out: &mut dyn Write) -> io::Result<()> {
    let mut versions = vec![0_usize; DIRECTORIES * FILES_EACH];
    for number in 0..COMMITS {
        commit(out, number)?;
        // A step that has no divisor in common with their number takes the files in turn.
        let file = number * 37 % versions.len();
        let Some(version) = versions.get_mut(file) else { continue };
        *version += 1;
        let line = |line: usize| {
            let changed = if line % 7 == *version % 7 { *version } else { 0 };
            format!("line {line} of the file {file} as its version {changed} has it\n")
        };
        let text: String = (0..LINES).map(line).collect();
        writeln!(out, "M 644 inline {}/{file}.txt\ndata {}\n{text}", file / FILES_EACH, text.len())?;
    }
    writeln!(out, "done")
}

fn files(out: &mut dyn Write) -> io::Result<()> {
    commit(out, 0)?;
    for number in 0..FILES {
        let line = |line: usize| format!("line {line} of {}\n", number * 7919 % 1_000_003);
        let text: String = (0..number % 60).map(line).collect();
        let path = format!("{}/{}/{number}.txt", number % 25, number % 500);
        writeln!(out, "M 644 inline {path}\ndata {}\n{text}", text.len())?;
    }
    writeln!(out, "done")
}

fn blob(out: &mut dyn Write) -> io::Result<()> {
    commit(out, 0)?;
    large::write_noise(out, "blob", BLOB_BYTES, &mut large::Noise::new())?;
    writeln!(out, "done")
}

fn blobs(out: &mut dyn Write) -> io::Result<()> {
    let mut noise = large::Noise::new();
    commit(out, 0)?;
    for number in 0..BLOBS {
        large::write_noise(out, &format!("blob{number}"), BLOBS_BYTES, &mut noise)?;
    }
    writeln!(out, "done")
}

fn refs(out: &mut dyn Write) -> io::Result<()> {
    commit(out, 0)?;
    writeln!(out, "M 644 inline file\ndata 2\nx\n")?;
    let mut parent = "main".to_owned();
    for number in 0..REFS {
        let branch = format!("{}/branch{number}", number % 300);
        commit_to(out, &branch, number + 1)?;
        writeln!(out, "from refs/heads/{parent}\n")?;
        parent = branch;
    }
    writeln!(out, "done")
}
