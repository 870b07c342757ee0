//! What git advises where branches have diverged.

use super::{CommandError, ui};
use crate::repo::Repository;

/// How to choose between the ways to join branches.
pub(super) fn need_to_choose() {
    ui::hint(
        "You have divergent branches and need to specify how to reconcile them.\n\
         You can do so by running one of the following commands sometime before\n\
         your next pull:\n\n  \
         git config pull.rebase false  # merge\n  \
         git config pull.rebase true   # rebase\n  \
         git config pull.ff only       # fast-forward only\n\n\
         You can replace \"git config\" with \"git config --global\" to set a default\n\
         preference for all repositories. You can also pass --rebase, --no-rebase,\n\
         or --ff-only on the command line to override the configured default per\n\
         invocation.",
    );
}

/// What to do where a fast-forward alone was allowed, unless `advice.diverging` is off.
pub(super) fn diverging(repo: &Repository) -> Result<(), CommandError> {
    let wish = repo.config.boolean("advice.diverging")?;
    if wish == Some(false) || !repo.env.has_advice() {
        return Ok(());
    }
    ui::hint(
        "Diverging branches can't be fast-forwarded, you need to either:\n\n\tgit merge --no-ff\n\nor:\n\n\tgit rebase",
    );
    // Nobody is told of what he has set already.
    if wish.is_none() {
        ui::hint("\nDisable this message with \"git config advice.diverging false\"");
    }
    Ok(())
}
