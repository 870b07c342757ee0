//! What `gitr daemon` asks of the system: users by name, another user's rights, the terminal, syslog.

use std::ffi::CString;
use std::path::PathBuf;

use nix::syslog::{Facility, LogFlags, Severity, openlog, syslog};
use nix::unistd::{Gid, Group, Uid, User, daemon, initgroups, setgid, setuid};

use crate::cmd::CommandError;

/// A user and a group to become.
pub(super) struct Credentials {
    name: CString,
    user: Uid,
    group: Gid,
}

impl Credentials {
    /// Finds those of `user`, and of `group` if it is not to be that of the user.
    pub(super) fn find(user: &str, group: Option<&str>) -> Result<Self, CommandError> {
        let found = User::from_name(user).ok().flatten();
        let found = found.ok_or_else(|| CommandError::fatal(format!("user not found - {user}")))?;
        let group = match group {
            None => found.gid,
            Some(name) => {
                let group = Group::from_name(name).ok().flatten();
                group.ok_or_else(|| CommandError::fatal(format!("group not found - {name}")))?.gid
            }
        };
        let name = CString::new(user).map_err(|_| CommandError::fatal("user not found"))?;
        Ok(Self { name, user: found.uid, group })
    }

    /// Becomes the user, for good.
    pub(super) fn take(&self) -> Result<(), CommandError> {
        let taken = initgroups(&self.name, self.group)
            .and_then(|()| setgid(self.group))
            .and_then(|()| setuid(self.user));
        taken.map_err(|error| CommandError::fatal(format!("cannot drop privileges: {}", error.desc())))
    }
}

/// The home directory of `user`.
pub(super) fn home_of(user: &str) -> Option<PathBuf> {
    User::from_name(user).ok().flatten().map(|user| user.dir)
}

/// Goes on as another process, in a session of its own and without the streams of this one, which ends. To be called while
/// there is but one thread.
pub(super) fn detach() -> Result<(), CommandError> {
    let stays_here = true;
    daemon(stays_here, false)
        .map_err(|error| CommandError::fatal(format!("--detach failed: {}", error.desc())))
}

/// How much a line of syslog matters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Error,
    Info,
}

/// Says to syslog who we are: as git 2.47.3.
pub(super) fn open_syslog() {
    let _without_name = openlog(Some(c"git-daemon"), LogFlags::LOG_PID, Facility::LOG_DAEMON);
}

/// Tells syslog.
pub(super) fn log(level: Level, text: &str) {
    let severity = match level {
        Level::Error => Severity::LOG_ERR,
        Level::Info => Severity::LOG_INFO,
    };
    // there is nobody to tell of a log that cannot be written
    let _told_or_not = syslog(severity, text);
}
