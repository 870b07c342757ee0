//! What the commands have in common that serve a repository: by which name they were called, which repository is
//! meant, and the two streams they talk over.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::{CommandError, Context};
use crate::repo::Repository;
use crate::server;
use crate::server::enter::{Naming, enter};
use crate::server::upload_pack::Conversation;

/// The programs that C git installs under a name of their own: an ssh server runs `git-upload-pack '<path>'`.
const PROGRAMS: [(&str, &str); 4] = [
    ("git-upload-pack", "upload-pack"),
    ("git-receive-pack", "receive-pack"),
    ("git-http-backend", "http-backend"),
    ("git-daemon", "daemon"),
];

/// The command that the name of the program stands for.
pub(super) fn called_as(program: &OsStr) -> Option<OsString> {
    let name = Path::new(program).file_name()?;
    PROGRAMS.iter().find(|(known, _)| name == *known).map(|(_, command)| (*command).into())
}

/// Opens the repository that a client calls `path`. `~` is a home directory, unless `naming` is strict.
///
/// # Errors
///
/// If there is none, or it is another user's and `safe.directory` does not lift the ban.
pub(super) fn open(path: &OsStr, naming: Naming, context: &Context) -> Result<Repository, CommandError> {
    let path = Path::new(path);
    let entered = match (naming, path.strip_prefix("~"), context.env.home()) {
        (Naming::Lenient, Ok(rest), Some(home)) => {
            enter(&home.join(rest), naming, &context.overrides, &context.env)
        }
        _ => enter(path, naming, &context.overrides, &context.env),
    };
    entered.map_err(|error| match error {
        server::Error::Missing(_) => server::Error::Missing(path.to_owned()).into(),
        error => error.into(),
    })
}

/// Bytes that are written at once.
pub(super) const BUFFER_LEN: usize = 65_536;

/// The part of a conversation that the options of a service ask for: `--http-backend-info-refs`, `--stateless-rpc`.
pub(super) fn conversation(is_advertisement: bool, is_request: bool) -> Conversation {
    match (is_advertisement, is_request) {
        (true, _) => Conversation::Advertisement,
        (false, true) => Conversation::Request,
        (false, false) => Conversation::Stateful,
    }
}

/// Standard output, without the buffer of std, which looks for the ends of lines.
pub(super) fn stdout() -> io::Result<File> {
    Ok(File::from(rustix::stdio::stdout().try_clone_to_owned()?))
}

/// Standard input, which gives up if nothing comes for a while.
pub(super) struct Input {
    file: File,
    patience: Option<Duration>,
}

impl Input {
    /// Reads standard input; `patience` is how long each read may take.
    pub(super) fn stdin(patience: Option<Duration>) -> io::Result<Self> {
        let file: OwnedFd = rustix::stdio::stdin().try_clone_to_owned()?;
        Ok(Self { file: file.into(), patience })
    }

    /// From now on, each read may take so long.
    pub(super) fn wait(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(patience) = self.patience {
            let limit = patience.try_into().map_err(io::Error::other)?;
            let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
            if poll(&mut fds, Some(&limit))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_be_the_command() {
        for (program, command) in [
            ("/usr/bin/git-upload-pack", Some("upload-pack")),
            ("git-upload-pack", Some("upload-pack")),
            ("gitr", None),
            ("upload-pack", None),
        ] {
            assert_eq!(called_as(OsStr::new(program)), command.map(OsString::from), "{program}");
        }
    }
}
