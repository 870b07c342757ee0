//! Starting a program that signs.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::repo::{Error, Repository};

/// The most bytes that are kept of what a program says on one stream; signatures have some hundreds.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// A program's name or path.
pub(super) struct Program(pub(super) PathBuf);

/// How a program ended, and what it said.
pub(super) struct Ended {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Program {
    /// To be run at the top of the work tree, as git does.
    pub(super) fn command(&self, repo: &Repository) -> Command {
        command(&self.0, repo)
    }

    pub(super) fn cannot_run(&self, error: &io::Error) -> Error {
        let reason = crate::repo::system_text(error);
        Error::Sign(format!("cannot exec '{}': {reason}", self.0.display()))
    }
}

/// `program`, to be run at the top of the work tree, else in the git directory.
pub(super) fn command(program: &Path, repo: &Repository) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repo.work_tree.as_deref().unwrap_or(&repo.git_dir));
    command.env_clear().envs(repo.env.vars());
    command
}

/// Runs `command` with `input` and takes in what it says.
pub(super) fn run(mut command: Command, input: &[u8]) -> io::Result<Ended> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // a program need not read its input: how it ends tells whether it should have
                let _read_or_not = stdin.write_all(input);
            }
        });
        let errors = scope.spawn(|| read(stderr));
        let output = read(stdout);
        (output, errors.join().unwrap_or_default())
    });
    Ok(Ended { success: child.wait()?.success(), stdout, stderr })
}

/// What comes out of `pipe`, up to the limit; the end of a pipe that breaks is its end.
fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _whole_or_cut = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
    }
    bytes
}
