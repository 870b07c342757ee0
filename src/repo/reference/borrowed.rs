//! The tips of the repositories that lend us objects. git-config(1), `core.alternateRefsCommand` and
//! `core.alternateRefsPrefixes`; git-rev-list(1), `--alternate-refs`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;

use super::tips_of;
use crate::repo::config::local_repo_env;
use crate::repo::{Error, Repository, shell};
use crate::telemetry;

impl Repository {
    /// The tips of the repositories whose objects are borrowed: those that `core.alternateRefsCommand` prints, else those
    /// below `core.alternateRefsPrefixes`, else all.
    ///
    /// # Errors
    ///
    /// If the objects cannot be found, or the command not be started.
    pub fn borrowed_tips(&self) -> Result<Vec<ObjectId>, Error> {
        let mut tips = Vec::new();
        let command = self.config.string("core.alternateRefsCommand");
        let prefixes = self.config.string("core.alternateRefsPrefixes").unwrap_or_else(|| "refs/".into());
        for objects in self.objects()?.alternates() {
            let Some(git_dir) = objects.parent() else { continue };
            if let Some(command) = &command {
                tips.extend(self.told_tips(command.as_bstr(), git_dir)?);
                continue;
            }
            for prefix in prefixes.fields() {
                let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
                tips.extend(tips_of(git_dir, prefix.as_bstr(), self.object_hash));
            }
        }
        Ok(tips)
    }

    /// The ids that `command` prints of the repository at `git_dir`, its last argument, one to a line and up to the first
    /// line that is none. Seen in git 2.47.3: how the command ends is not looked at.
    fn told_tips(&self, command: &BStr, git_dir: &Path) -> Result<Vec<ObjectId>, Error> {
        let failed =
            |source| Error::Io { action: "cannot run", path: PathBuf::from(command.to_string()), source };
        let mut shell = shell(command).map_err(failed)?;
        shell.arg(git_dir).current_dir(&self.git_dir).env_clear().envs(self.env.vars());
        for name in local_repo_env() {
            shell.env_remove(name);
        }
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let child = shell.spawn().map_err(failed)?;
        telemetry::child_started(&child, "alternate-refs", &shell);
        let id = child.id();
        let output = child.wait_with_output().map_err(failed)?;
        telemetry::child_ended(id, output.status);
        let ids = output.stdout.lines().map(|line| ObjectId::from_hex(line).ok());
        Ok(ids.map_while(|id| id.filter(|id| id.kind() == self.object_hash)).collect())
    }
}
