//! Why a ref does not move: its name, the work trees, the configuration.

use std::collections::HashSet;

use bstr::{BString, ByteSlice};

use super::settings::Deny;
use super::{ReceivePack, Voice};
use crate::protocol::push::Command;
use crate::repo::connectivity::reaches;
use crate::server::Error;

/// What git 2.47.3 says where nothing is configured.
const CURRENT: &str = "\
By default, updating the current branch in a non-bare repository
is denied, because it will make the index and work tree inconsistent
with what you pushed, and will require 'git reset --hard' to match
the work tree to HEAD.

You can set the 'receive.denyCurrentBranch' configuration variable
to 'ignore' or 'warn' in the remote repository to allow pushing into
its current branch; however, this is not recommended unless you
arranged to update its work tree to match what you pushed in some
other way.

To squelch this message and still keep the default behaviour, set
'receive.denyCurrentBranch' configuration variable to 'refuse'.";

/// The same for a deletion.
const DELETE_CURRENT: &str = "\
By default, deleting the current branch is denied, because the next
'git clone' won't result in any file checked out, causing confusion.

You can set 'receive.denyDeleteCurrent' configuration variable to
'warn' or 'ignore' in the remote repository to allow deleting the
current branch, with or without a warning message.

To squelch this message, you can set it to 'refuse'.";

impl ReceivePack<'_> {
    /// What speaks against `command`, as the report says it; the client hears more.
    pub(super) fn refusal(&self, command: &Command, voice: &mut Voice<'_>) -> Result<Option<BString>, Error> {
        let name = &command.name;
        if !is_name(name, command.new.is_null()) {
            voice.error(&format!("refusing to update funny ref '{name}' remotely"))?;
            return Ok(Some("funny refname".into()));
        }
        let is_checked_out = self.work_tree_of(name.as_bstr())?.is_some();
        let mut reason = if is_checked_out { self.against_current(command, voice)? } else { None };
        if reason.is_none() {
            reason = if command.new.is_null() {
                self.against_deletion(command, is_checked_out, voice)?
            } else {
                self.against_update(command, voice)?
            };
        }
        match reason {
            None => self.against_rewind(command, voice),
            reason => Ok(reason.map(Into::into)),
        }
    }

    /// `receive.denyCurrentBranch`, which is asked about deletions as well.
    fn against_current(
        &self,
        command: &Command,
        voice: &mut Voice<'_>,
    ) -> Result<Option<&'static str>, Error> {
        match self.settings.current {
            // the work tree goes along: `follow`
            Deny::Ignore | Deny::UpdateInstead => Ok(None),
            Deny::Warn => voice.warning("updating the current branch").map(|()| None),
            deny @ (Deny::Unconfigured | Deny::Refuse) => {
                voice.error(&format!("refusing to update checked out branch: {}", command.name))?;
                if deny == Deny::Unconfigured {
                    voice.error(CURRENT)?;
                }
                Ok(Some("branch is currently checked out"))
            }
        }
    }

    fn against_update(
        &self,
        command: &Command,
        voice: &mut Voice<'_>,
    ) -> Result<Option<&'static str>, Error> {
        if !self.objects()?.contains(&command.new) {
            voice.error(&format!("unpack should have generated {}, but I can't find it!", command.new))?;
            return Ok(Some("bad pack"));
        }
        Ok(None)
    }

    fn against_deletion(
        &self,
        command: &Command,
        is_checked_out: bool,
        voice: &mut Voice<'_>,
    ) -> Result<Option<&'static str>, Error> {
        let name = &command.name;
        if command.old.is_null() || !name.starts_with(b"refs/heads/") {
            return Ok(None);
        }
        if self.settings.denies_deletes {
            voice.error(&format!("denying ref deletion for {name}"))?;
            return Ok(Some("deletion prohibited"));
        }
        let full = self.refs.full_name(name.as_bstr());
        let is_head = self.repo.head_branch()?.is_some_and(|branch| branch == full);
        if is_checked_out || is_head {
            match self.settings.delete_current {
                Deny::Ignore => {}
                Deny::Warn => voice.warning("deleting the current branch")?,
                deny => {
                    if deny == Deny::Unconfigured {
                        voice.error(DELETE_CURRENT)?;
                    }
                    voice.error(&format!("refusing to delete the current branch: {name}"))?;
                    return Ok(Some("deletion of the current branch prohibited"));
                }
            }
        }
        Ok(None)
    }

    /// `receive.denyNonFastForwards`.
    fn against_rewind(&self, command: &Command, voice: &mut Voice<'_>) -> Result<Option<BString>, Error> {
        let Command { name, old, new } = command;
        if !self.settings.denies_non_fast_forwards
            || old.is_null()
            || new.is_null()
            || !name.starts_with(b"refs/heads/")
        {
            return Ok(None);
        }
        let mut objects = self.repo.objects()?;
        let targets = HashSet::from([*old]);
        if reaches(&mut objects, new, &HashSet::new(), &targets).map_err(Error::object)? {
            return Ok(None);
        }
        voice.error(&format!("denying non-fast-forward {name} (you should pull first)"))?;
        Ok(Some("non-fast-forward".into()))
    }
}

/// Whether a ref may have this name here: two parts below `refs/`, unless it is to go.
fn is_name(name: &BString, is_deleted: bool) -> bool {
    name.strip_prefix(b"refs/").is_some_and(|rest| {
        let is_valid = gix_validate::reference::name(name.as_bstr()).is_ok();
        is_valid && !rest.is_empty() && (is_deleted || rest.contains(&b'/'))
    })
}
