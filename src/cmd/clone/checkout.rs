//! The checkout of a clone, and what is said of it.

use bstr::ByteSlice;

use crate::cmd::{CommandError, signal, ui};
use crate::remote::clone::Cloned;
use crate::repo::checkout::Outcome;

/// Fills the work tree and tells what came of it.
pub(super) fn check_out(cloned: &Cloned, meters: &mut ui::Meters) -> Result<u8, CommandError> {
    if cloned.head.is_none() && !cloned.is_empty && !cloned.repo.is_bare() {
        ui::message("warning", "remote HEAD refers to nonexistent ref, unable to checkout".into());
    }
    if cloned.is_detached && !cloned.repo.is_bare() {
        advise_detached(cloned)?;
    }
    match signal::telling_of_checkout(|| cloned.checkout(meters)) {
        Ok(None) => Ok(0),
        Ok(Some(outcome)) => {
            for (_, reason) in &outcome.errors {
                ui::message("error", reason.as_bytes().as_bstr());
            }
            warn_of_collisions(&outcome);
            if outcome.is_complete() {
                return Ok(0);
            }
            ui::message("fatal", "unable to checkout working tree".into());
            checkout_failed();
            Err(CommandError::silent(128))
        }
        Err(error) => {
            let error = CommandError::from(error);
            let code = error.print();
            checkout_failed();
            Err(CommandError::silent(code))
        }
    }
}

/// Tells that there is a repository without all files of its work tree.
pub(in crate::cmd) fn checkout_failed() {
    ui::note(
        "warning: Clone succeeded, but checkout failed.\nYou can inspect what was checked out with 'git status'\nand \
         retry with 'git restore --source=HEAD :/'\n",
    );
}

fn warn_of_collisions(outcome: &Outcome) {
    if outcome.collisions.is_empty() {
        return;
    }
    ui::note(
        "warning: the following paths have collided (e.g. case-sensitive paths\non a case-insensitive filesystem) and \
         only one from the same\ncolliding group is in the working tree:\n",
    );
    for path in &outcome.collisions {
        ui::note(format!("  '{path}'"));
    }
}

/// What git says of a `HEAD` that names no branch, unless `advice.detachedHead` is off.
fn advise_detached(cloned: &Cloned) -> Result<(), CommandError> {
    let is_wanted = cloned.repo.config.boolean("advice.detachedHead")?.unwrap_or(true)
        && cloned.repo.env.get("GIT_ADVICE").is_none_or(|advice| advice != "0");
    let Some(head) = cloned.head.filter(|_| is_wanted) else { return Ok(()) };
    ui::note(format!(
        "Note: switching to '{head}'.\n\nYou are in 'detached HEAD' state. You can look around, make experimental\n\
         changes and commit them, and you can discard any commits you make in this\nstate without impacting any \
         branches by switching back to a branch.\n\nIf you want to create a new branch to retain commits you create, \
         you may\ndo so (now or later) by using -c with the switch command. Example:\n\n  git switch -c \
         <new-branch-name>\n\nOr undo this operation with:\n\n  git switch -\n\nTurn off this advice by setting config \
         variable advice.detachedHead to false\n"
    ));
    Ok(())
}
