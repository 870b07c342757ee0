//! `gitr remote rename` and `remove`.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};

use super::{check_exists, check_free, usage, warn_repeated, warn_stranded};
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, Show, ui};
use crate::remote::{Error, Remote, configure};
use crate::repo;

const RENAME: Spec = Spec {
    name: "remote rename",
    synopsis: &["git remote rename [--[no-]progress] <old> <new>"],
    plain: &[],
};

const REMOVE: Spec = Spec { name: "remote remove", synopsis: &["git remote remove <name>"], plain: &[] };

#[derive(Debug, clap::Args)]
struct RenameArguments {
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct RemoveArguments {
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote rename`.
pub(super) fn rename(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<RenameArguments> = arguments::parse(&RENAME, arguments)?;
    let operands: Vec<BString> = parsed.values.operands.iter().map(bytes).collect();
    let [old, new] = operands.as_slice() else { return Err(usage::<RenameArguments>(&RENAME)) };
    let repo = context.repository_entered()?;
    Remote::from_config(&repo.config, old.as_bstr())?;
    let is_configured = repo.config.is_of_repository("remote", old.as_bstr());
    if old == new && !is_configured && configure::migrate(&repo, old.as_bstr())? {
        return Ok(0);
    }
    check_exists(&repo, old.as_bstr(), ":")?;
    check_free(&repo, new.as_bstr())?;
    let show = Show { progress: parsed.choice("progress"), ..Show::default() };
    let mut meters = context.meters(&repo.config, show);
    match configure::rename(&repo, old.as_bstr(), new.as_bstr(), &mut meters) {
        Ok(stranded) => {
            drop(meters);
            if let Some(stranded) = stranded {
                warn_stranded(&stranded, old.as_bstr());
            }
            Ok(0)
        }
        Err(Error::Repo(repo::Error::ConfigEntry { reason, message }))
            if message.starts_with("Could not") =>
        {
            let error = CommandError::silent(1);
            // as git, which does not say why here
            let error = if reason.starts_with("no such section") { error } else { error.with_error(reason) };
            Err(error.with_error(message))
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs `gitr remote remove`.
pub(super) fn remove(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<RemoveArguments> = arguments::parse(&REMOVE, arguments)?;
    let operands: Vec<BString> = parsed.values.operands.iter().map(bytes).collect();
    let [name] = operands.as_slice() else { return Err(usage::<RemoveArguments>(&REMOVE)) };
    let repo = context.repository_entered()?;
    Remote::from_config(&repo.config, name.as_bstr())?;
    check_exists(&repo, name.as_bstr(), ":")?;
    warn_repeated(&repo)?;
    let removed = configure::remove(&repo, name.as_bstr())?;
    for key in &removed.several {
        ui::note(format!("warning: {} has multiple values", key.to_ascii_lowercase().as_bstr()));
    }
    if let Some(reason) = &removed.refused {
        ui::message("error", format!("could not delete references: {reason}").as_bytes().as_bstr());
    }
    note_kept(&removed.kept);
    if let Some(reason) = removed.not_unset {
        return Err(CommandError::silent(1).with_error(reason));
    }
    if let Some(stranded) = &removed.stranded {
        warn_stranded(stranded, name.as_bstr());
    }
    Ok(u8::from(removed.refused.is_some()))
}

/// Tells of our own branches that the remote filled.
fn note_kept(branches: &[BString]) {
    match branches {
        [] => return,
        [_] => ui::note(
            "Note: A branch outside the refs/remotes/ hierarchy was not removed;\nto delete it, use:",
        ),
        [..] => ui::note(
            "Note: Some branches outside the refs/remotes/ hierarchy were not removed;\nto delete them, use:",
        ),
    }
    for branch in branches {
        ui::safe_note(format!("  git branch -d {branch}").as_bytes());
    }
}
