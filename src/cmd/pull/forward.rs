//! A fast-forward by ourselves.

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::choice::FastForward;
use super::options::ShownChanges;
use super::{CommandError, Pull, diffstat, options, ui};
use crate::cmd::transfer::abbreviation;
use crate::remote::{Error, pull};
use crate::repo::checkout::forward::{Blocked, Forwarded, Ignored};
use crate::repo::{self, Repository};

impl Pull<'_> {
    /// Whether what is asked for is a fast-forward to `head` that needs nothing but what is here.
    pub(super) fn is_plain_fast_forward(
        &self,
        head: ObjectId,
        standing: &pull::Standing,
    ) -> Result<bool, CommandError> {
        let config = &self.repo.config;
        let merges_always = self.choice.fast_forward == Some(FastForward::Never)
            || self.choice.fast_forward.is_none()
                && config.boolean("merge.ff").is_ok_and(|ff| ff == Some(false));
        Ok(standing.can_fast_forward
            && !merges_always
            && !self.choice.autostash.or(config.boolean("merge.autoStash")?).unwrap_or(false)
            && !self.parsed.values.squash
            && self.parsed.passed(&["strategy", "strategy-option"]).is_empty()
            && !options::verifies_signatures(self.parsed, self.repo)?
            && pull::merges_plainly(self.repo)?
            && (self.choice.fast_forward == Some(FastForward::Only)
                || pull::is_fast_forwarded(self.repo, head)?))
    }

    /// Takes index and work tree from one commit, or from none, to another; `false`, after saying so, if something of the
    /// user's is in the way. What we cannot do git does, if it is installed.
    pub(super) fn move_work_tree(&self, from: Option<ObjectId>, to: ObjectId) -> Result<bool, CommandError> {
        let mut meters = self.context.meters(&self.repo.config, options::show(self.parsed));
        let Some(forward) = pull::forward(self.repo, from, to, Ignored::Kept, &mut meters)? else {
            drop(meters);
            let from = from.unwrap_or_else(|| ObjectId::empty_tree(self.repo.object_hash)).to_string();
            return Ok(self.git.run(&["read-tree", "-m", "-u", &from, &to.to_string()])? == 0);
        };
        match forward.run(&mut meters)? {
            Forwarded::Done(outcome) => {
                for (_, reason) in &outcome.errors {
                    ui::message("error", reason.as_bytes().as_bstr());
                }
                Ok(outcome.is_complete())
            }
            Forwarded::Blocked(blocked) => {
                explain(&blocked);
                Ok(false)
            }
        }
    }

    /// Moves work tree and branch from `old` to `new`; `None`, with nothing changed, if that is not to be done here.
    pub(super) fn fast_forward(&self, old: ObjectId, new: ObjectId) -> Result<Option<u8>, CommandError> {
        let mut meters = self.context.meters(&self.repo.config, options::show(self.parsed));
        // git-merge(1), `--overwrite-ignore`, which is what holds where nothing is said
        let forward = match pull::forward(self.repo, Some(old), new, Ignored::Replaced, &mut meters) {
            Ok(Some(forward)) => Ok(forward),
            Ok(None) => return Ok(None),
            // git has begun when it finds that the index is locked
            Err(Error::Repo(repo::Error::Reference(reason))) => Err(reason),
            Err(error) => return Err(error.into()),
        };
        check_diff_settings(self.repo)?;
        pull::remember(self.repo, old)?;
        let is_shown = self.parsed.verbosity() >= 0;
        if is_shown {
            self.announce(old, new)?;
        }
        let forwarded = match forward {
            Ok(forward) => forward.run(&mut meters)?,
            Err(reason) => {
                ui::message("error", reason.as_bytes().as_bstr());
                return Ok(Some(1));
            }
        };
        drop(meters);
        match forwarded {
            Forwarded::Blocked(blocked) => {
                explain(&blocked);
                Ok(Some(1))
            }
            Forwarded::Done(outcome) if outcome.is_complete() => {
                self.repo.tell_index_changed()?;
                let action = self.context.env.get("GIT_REFLOG_ACTION").unwrap_or_default();
                if is_shown {
                    ui::out(b"Fast-forward")?;
                }
                pull::advance(self.repo, old, new, &format!("{}: Fast-forward", action.display()))?;
                if is_shown {
                    self.show_changes(old, new)?;
                }
                if let Some(hook) = self.repo.hook("post-merge")? {
                    let _nobody_waits_for_its_opinion = hook.run(&["0".as_ref()], b"");
                }
                pull::forget_merge(self.repo)?;
                Ok(Some(0))
            }
            Forwarded::Done(outcome) => {
                for (_, reason) in &outcome.errors {
                    ui::message("error", reason.as_bytes().as_bstr());
                }
                Ok(Some(1))
            }
        }
    }

    fn announce(&self, old: ObjectId, new: ObjectId) -> Result<(), CommandError> {
        let objects = self.repo.objects()?;
        let len = abbreviation(self.repo, &objects)?;
        let (from, to) = (objects.abbreviate(&old, len), objects.abbreviate(&new, len));
        Ok(ui::out(format!("Updating {from}..{to}").as_bytes())?)
    }

    /// Shows what changed from one commit to the other, where that is wished.
    fn show_changes(&self, old: ObjectId, new: ObjectId) -> Result<(), CommandError> {
        let is_compact = match options::shown_changes(self.parsed, self.repo) {
            ShownChanges::None => return Ok(()),
            ShownChanges::Full => false,
            ShownChanges::Compact => true,
        };
        let terminal = ui::Terminal::of_stdout(&self.context.env);
        let layout = diffstat::Layout::new(&self.repo.config, &terminal, is_compact)?;
        let changes = pull::changes(self.repo, old, new)?;
        Ok(ui::out_raw(&diffstat::lines(&changes, &layout))?)
    }
}

/// Names what would be lost, as git does.
fn explain(blocked: &Blocked) {
    list(
        "Your local changes to the following files would be overwritten by merge:",
        &blocked.changed,
        "Please commit your changes or stash them before you merge.",
    );
    list("Updating the following directories would lose untracked files in them:", &blocked.directories, "");
    for (fate, paths) in [("overwritten", &blocked.untracked), ("removed", &blocked.forgotten)] {
        list(
            &format!("The following untracked working tree files would be {fate} by merge:"),
            paths,
            "Please move or remove them before you merge.",
        );
    }
    ui::note("Aborting");
}

fn list(what: &str, paths: &[BString], advice: &str) {
    if paths.is_empty() {
        return;
    }
    ui::message("error", what.into());
    for path in paths {
        let mut line = BString::from("\t");
        line.extend_from_slice(&ui::harmless(path.as_bstr()));
        ui::note(line);
    }
    ui::note(advice);
}

/// Refuses what is no boolean before anything changes, as git does, which reads all settings of diffs first.
fn check_diff_settings(repo: &Repository) -> Result<(), CommandError> {
    const KEYS: [&str; 6] = [
        "diff.noprefix",
        "diff.mnemonicPrefix",
        "diff.relative",
        "diff.suppressBlankEmpty",
        "diff.indentHeuristic",
        "diff.autoRefreshIndex",
    ];
    for key in KEYS {
        repo.config.boolean(key)?;
    }
    Ok(())
}
