//! What git says where nothing of what was fetched is to be merged.

use bstr::{BString, ByteSlice};

use super::{CommandError, ui};
use crate::remote::config::names;
use crate::remote::fetch::current_branch;
use crate::repo::Repository;

/// Says why there is nothing to merge, or to rebase onto.
pub(super) fn explain_none(
    repo: &Repository,
    operands: &[BString],
    is_rebase: bool,
) -> Result<(), CommandError> {
    if operands.len() > 1 {
        ui::note(if is_rebase {
            "There is no candidate for rebasing against among the refs that you just fetched."
        } else {
            "There are no candidates for merging among the refs that you just fetched."
        });
        ui::note(
            "Generally this means that you provided a wildcard refspec which had no\nmatches on the remote end.",
        );
        return Ok(());
    }
    let head = repo.head_branch()?;
    let full = head.as_ref().filter(|full| full.starts_with(b"refs/heads/"));
    let Some(full) = full else {
        ui::note("You are not currently on a branch.");
        which_branch(is_rebase);
        return Ok(());
    };
    let branch = current_branch(repo)?;
    if let Some(remote) = operands.first().filter(|remote| branch.remote.as_ref() != Some(*remote)) {
        ui::safe_note(
            format!(
                "You asked to pull from the remote '{remote}', but did not specify\na branch. Because this is not the \
                 default configured remote\nfor your current branch, you must specify a branch on the command line."
            )
            .as_bytes(),
        );
        return Ok(());
    }
    let short = full.strip_prefix(b"refs/heads/").unwrap_or(full).as_bstr();
    if let Some(merge) = branch.merge.first().filter(|_| branch.remote.is_some()) {
        ui::note(format!(
            "Your configuration specifies to merge with the ref '{merge}'\nfrom the remote, but no such ref was \
             fetched."
        ));
        return Ok(());
    }
    ui::note("There is no tracking information for the current branch.");
    which_branch(is_rebase);
    let names = names(&repo.config);
    let remote = match names.as_slice() {
        [only] => only.as_bstr(),
        [..] => "<remote>".into(),
    };
    ui::note(format!(
        "If you wish to set tracking information for this branch you can do so with:\n\n    \
         git branch --set-upstream-to={remote}/<branch> {short}\n"
    ));
    Ok(())
}

fn which_branch(is_rebase: bool) {
    let what = if is_rebase { "rebase against" } else { "merge with" };
    ui::note(format!(
        "Please specify which branch you want to {what}.\nSee git-pull(1) for details.\n\n    git pull <remote> <branch>\n"
    ));
}
