//! A repository of about a gigabyte, made anew and the same each time: many small commits, files that nothing makes
//! smaller, and one file that git streams because of its size (`core.bigFileThreshold`).

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::git::{git, hermetic};

/// Commits, each of which changes one text file.
const COMMITS: usize = 20_000;
/// Text files.
const TEXTS: usize = 500;
/// Lines of a text file, of which a commit changes one.
const LINES: usize = 60;
/// Each of so many commits brings noise as well.
const COMMITS_PER_NOISE: usize = 40;
/// Bytes of noise in one file.
const NOISE_BYTES: usize = 900 * 1024;
/// Bytes of the largest file: more than git's 512 MiB, from where on it streams.
const LARGEST_BYTES: usize = 544 * 1024 * 1024;

/// Makes the repository at `place`, packed, with its history in `refs/heads/main`.
pub(super) fn make(parent: &Path, name: &str) -> Result<()> {
    git(parent, &["init", "-q", "--bare", "-b", "main", name])?;
    let place = parent.join(name);
    let mut command = Command::new("git");
    hermetic(&mut command).current_dir(&place).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = command.spawn().context("cannot run git fast-import")?;
    let input = child.stdin.take().context("git fast-import has no input")?;
    write(&mut BufWriter::new(input))?;
    if !child.wait()?.success() {
        bail!("'git fast-import' failed");
    }
    Ok(())
}

fn write(out: &mut dyn Write) -> io::Result<()> {
    let mut noise = Noise::new();
    let mut versions = [0_usize; TEXTS];
    for number in 0..COMMITS {
        let who = format!("Committer <committer@example.com> {} +0000", 1_000_000_000 + 60 * number);
        writeln!(out, "commit refs/heads/main\ncommitter {who}\ndata 8\nchange\n")?;
        // a step that has no divisor in common with their number takes the files in turn, neighbours far apart
        let text = number * 37 % TEXTS;
        if let Some(version) = versions.get_mut(text) {
            *version += 1;
            write_text(out, text, *version)?;
        }
        if number % COMMITS_PER_NOISE == 0 {
            write_noise(out, &format!("noise/{number}"), NOISE_BYTES, &mut noise)?;
        }
        if number == COMMITS / 2 {
            write_noise(out, "largest", LARGEST_BYTES, &mut noise)?;
        }
    }
    writeln!(out, "done")
}

fn write_text(out: &mut dyn Write, number: usize, version: usize) -> io::Result<()> {
    let line = |line: usize| {
        let changed = if line < version % LINES { version } else { 0 };
        format!("line {line} of the file {number} as its version {changed} has it\n")
    };
    let text: String = (0..LINES).map(line).collect();
    writeln!(out, "M 644 inline text/{}/{number}.txt\ndata {}\n{text}", number % 20, text.len())
}

pub(super) fn write_noise(
    out: &mut dyn Write,
    path: &str,
    mut bytes: usize,
    noise: &mut Noise,
) -> io::Result<()> {
    writeln!(out, "M 644 inline {path}\ndata {bytes}")?;
    while bytes > 0 {
        let word = noise.next().to_le_bytes();
        let part = word.get(..bytes.min(word.len())).unwrap_or_default();
        out.write_all(part)?;
        bytes -= part.len();
    }
    writeln!(out)
}

/// Marsaglia's xorshift: nothing compresses it, and it is the same each time.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
