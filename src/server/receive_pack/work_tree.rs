//! `receive.denyCurrentBranch = updateInstead`: index and work tree follow the branch that is pushed to. git-config(1).

use std::path::{Path, PathBuf};

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;

use super::hooks::Hooks;
use super::settings::Deny;
use super::{ReceivePack, Row, Voice};
use crate::progress::Discard;
use crate::repo::Repository;
use crate::repo::checkout::clean::Uncommitted;
use crate::repo::checkout::forward::{Blocked, Forwarded, Ignored};
use crate::repo::discover::local_git_dir;
use crate::server::Error;

/// What the report says where something is in the way.
const NOT_UPDATED: &str = "Could not update working tree to new HEAD";

impl ReceivePack<'_> {
    /// Where the branch `name` is checked out, if it is. Seen in git 2.47.3: its name in the namespace counts.
    pub(super) fn work_tree_of(&self, name: &BStr) -> Result<Option<PathBuf>, Error> {
        let found = self.checked_out()?.iter().find(|(branch, _)| branch == name);
        Ok(found.map(|(_, top)| top.clone()))
    }

    /// Takes the work tree of the branch to the new commit of `row`, if there is one and it is to follow. Whether the
    /// ref may move; if not, the row says why.
    pub(super) fn follow(
        &self,
        row: &mut Row,
        hooks: &Hooks<'_>,
        voice: &mut Voice<'_>,
    ) -> Result<bool, Error> {
        let new = row.command.new;
        if self.settings.current != Deny::UpdateInstead {
            return Ok(true);
        }
        let Some(top) = self.work_tree_of(row.command.name.as_bstr())? else { return Ok(true) };
        if new.is_null() {
            row.error = Some(NOT_UPDATED.into());
            return Ok(false);
        }
        self.commit()?;
        let refusal = match self.take_along(&top, new, hooks, voice) {
            Err(error) if error.is_local() => {
                voice.error(&error.to_string())?;
                Some(if top.is_dir() { NOT_UPDATED } else { "Up-to-date check failed" })
            }
            outcome => outcome?,
        };
        row.error = refusal.map(Into::into);
        Ok(refusal.is_none())
    }

    /// Takes the work tree at `top` to `new`, or has the hook do it; what speaks against it, as the report says it.
    fn take_along(
        &self,
        top: &Path,
        new: ObjectId,
        hooks: &Hooks<'_>,
        voice: &mut Voice<'_>,
    ) -> Result<Option<&'static str>, Error> {
        if top == self.repo.common_dir {
            // C git would write what was pushed among hooks and configuration
            voice.error("the work tree is not known: 'core.worktree' has to say where it is")?;
            return Ok(Some(NOT_UPDATED));
        }
        let git_dir = if self.repo.main_work_tree()?.as_deref() == Some(top) {
            self.repo.common_dir.clone()
        } else {
            local_git_dir(top).ok_or_else(|| Error::Missing(top.to_owned()))?
        };
        let place = Repository::open(&git_dir, Some(top), &[], &self.repo.env)?;
        let Some(hook) = self.repo.hook("push-to-checkout")? else { return update(&place, new, voice) };
        let mut env = hooks.environment();
        env.set("GIT_WORK_TREE", absolute(top));
        let hook = hook.within(env).naming(&absolute(&place.git_dir));
        let code = hook.run(&[new.to_string().as_ref()], b"");
        Ok((code != 0).then_some("push-to-checkout hook declined"))
    }
}

/// Takes index and work tree of `place` from its `HEAD` to `new`; what speaks against it, as the report says it.
fn update(place: &Repository, new: ObjectId, voice: &mut Voice<'_>) -> Result<Option<&'static str>, Error> {
    let mut objects = place.objects()?;
    let mut tree = |id: Option<ObjectId>| -> Result<Option<ObjectId>, Error> {
        let Some(id) = id else { return Ok(Some(ObjectId::empty_tree(place.object_hash))) };
        Ok(objects.commit(&id).map_err(Error::object)?.map(|commit| commit.tree))
    };
    let (from, to) = (tree(place.resolve_ref("HEAD".into())?)?, tree(Some(new))?);
    let (Some(from), Some(to)) = (from, to) else { return Ok(Some(NOT_UPDATED)) };
    match place.uncommitted(&from)? {
        Some(Uncommitted::Unstaged) => return Ok(Some("Working directory has unstaged changes")),
        Some(Uncommitted::Staged) => return Ok(Some("Working directory has staged changes")),
        Some(Uncommitted::Special) | None => {}
    }
    let Some(forward) = place.forward([&from, &to], None, Ignored::Replaced)? else {
        voice.error(
            "the work tree is sparse, in conflict, or has submodules that change: update it by hand",
        )?;
        return Ok(Some(NOT_UPDATED));
    };
    match forward.run(&mut Discard)? {
        Forwarded::Done(outcome) if outcome.is_complete() => Ok(None),
        Forwarded::Done(outcome) => {
            for (_, text) in outcome.errors {
                voice.error(&text)?;
            }
            Ok(Some(NOT_UPDATED))
        }
        Forwarded::Blocked(blocked) => {
            explain(&blocked, voice)?;
            Ok(Some(NOT_UPDATED))
        }
    }
}

/// Tells what is in the way, in the words of git-read-tree(1), which C git runs here.
fn explain(blocked: &Blocked, voice: &mut Voice<'_>) -> Result<(), Error> {
    for path in &blocked.changed {
        voice.error(&format!("Entry '{path}' not uptodate. Cannot merge."))?;
    }
    for path in &blocked.directories {
        voice.error(&format!("Updating '{path}' would lose untracked files in it"))?;
    }
    for path in &blocked.untracked {
        voice.error(&format!("Untracked working tree file '{path}' would be overwritten by merge."))?;
    }
    for path in &blocked.forgotten {
        voice.error(&format!("Untracked working tree file '{path}' would be removed by merge."))?;
    }
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
