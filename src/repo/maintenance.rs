//! What is done after a repository has grown: git's own `maintenance`, where there is a git.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Command, Stdio};

use super::{Error, Repository};

/// Bytes of the program's output that are passed on at once.
const HEARD_LEN_MAX: usize = 1_024;

impl Repository {
    /// Runs `git maintenance run --auto`, which looks itself whether there is anything to do; what it writes goes to `hear`.
    /// Without a git in `PATH` nothing is done, as nothing has to be.
    ///
    /// # Errors
    ///
    /// If it cannot be heard.
    pub fn maintain(&self, hear: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let failed = |source| Error::Io { action: "cannot run", path: "git maintenance".into(), source };
        let (mut output, writer) = io::pipe().map_err(failed)?;
        let mut command = Command::new("git");
        command.args(["maintenance", "run", "--auto", "--quiet"]).current_dir(&self.git_dir);
        command.env_clear().envs(self.env.vars()).env("GIT_DIR", OsStr::new("."));
        command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        let Ok(mut child) = command.spawn() else { return Ok(()) };
        // the end of its output is seen once nobody else has the pipe
        drop(command);
        let mut buffer = [0; HEARD_LEN_MAX];
        loop {
            match output.read(&mut buffer) {
                Ok(0) => break,
                Ok(amount) => hear(buffer.get(..amount).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        child.wait().map(drop).map_err(failed)
    }
}
