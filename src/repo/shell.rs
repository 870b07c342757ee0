//! Lines of shell that the configuration names, run as C git runs them.

use std::io;
use std::process::Command;

use bstr::{BStr, BString, ByteSlice};

/// The shell that reads them. Windows has one where git is installed.
const SHELL: &str = if cfg!(windows) { "sh" } else { "/bin/sh" };

/// The command that runs `line`, to which what is added to the command are arguments.
///
/// # Errors
///
/// If the system cannot have `line` as an argument.
pub fn shell(line: &BStr) -> io::Result<Command> {
    let script = BString::from([line.as_bytes(), b" \"$@\""].concat());
    let mut shell = Command::new(SHELL);
    shell.arg("-c");
    for word in [script.as_bstr(), line] {
        shell.arg(word.to_os_str().map_err(io::Error::other)?);
    }
    Ok(shell)
}

/// What makes a line one for the shell; another names a program. Seen in git 2.47.3.
const SHELL_MEANS: &[u8] = b"|&;<>()$`\\\"' \t\n*?[#~=%";

/// The command that runs `line`, which nothing is added to, without a shell where it is just the name of a program.
///
/// # Errors
///
/// If the system cannot have `line` as an argument.
pub(super) fn program(line: &BStr) -> io::Result<Command> {
    let word = line.to_os_str().map_err(io::Error::other)?;
    if line.find_byteset(SHELL_MEANS).is_none() {
        return Ok(Command::new(word));
    }
    let mut shell = Command::new(SHELL);
    shell.args(["-c".as_ref(), word, word]);
    Ok(shell)
}
