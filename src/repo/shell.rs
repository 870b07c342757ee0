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
