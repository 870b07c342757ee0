//! `gitr remote set-head`.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use super::usage;
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, ui};
use crate::remote::configure::{delete_head, set_head};
use crate::remote::{Error, Remote};
use crate::repo::{self, Repository};

const SPEC: Spec = Spec {
    name: "remote set-head",
    synopsis: &["git remote set-head <name> (-a | --auto | -d | --delete | <branch>)"],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// set refs/remotes/<name>/HEAD according to remote
    #[arg(short, long)]
    auto: bool,
    /// delete refs/remotes/<name>/HEAD
    #[arg(short, long)]
    delete: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote set-head`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let repo = context.repository_entered()?;
    let operands: Vec<BString> = parsed.values.operands.iter().map(bytes).collect();
    let Arguments { auto, delete, .. } = parsed.values;
    match operands.as_slice() {
        [name, branch] if !auto && !delete => set(&repo, name.as_bstr(), branch.as_bstr()),
        [name] if auto && !delete => {
            let Some(branch) = ask(&repo, name, &context)? else { return Ok(1) };
            let code = set(&repo, name.as_bstr(), branch.as_bstr())?;
            if code == 0 {
                ui::out(format!("{name}/HEAD set to {branch}").as_bytes())?;
            }
            Ok(code)
        }
        [name] if delete && !auto => remove(&repo, name.as_bstr()),
        [..] => Err(usage::<Arguments>(&SPEC)),
    }
}

/// The branch that the remote's `HEAD` names; `None`, after saying so, if that is not clear.
fn ask(repo: &Repository, name: &BString, context: &Context) -> Result<Option<BString>, CommandError> {
    let remote = Remote::in_repository(repo, name.as_bstr())?;
    let mut heads = super::ask(repo, &remote, context)?.heads();
    if heads.len() > 1 {
        let text = "Multiple remote HEAD branches. Please choose one explicitly with:";
        ui::message("error", text.into());
        for head in &heads {
            ui::safe_note(format!("  git remote set-head {name} {head}").as_bytes());
        }
        return Ok(None);
    }
    if heads.is_empty() {
        ui::message("error", "Cannot determine remote HEAD".into());
    }
    Ok(heads.pop())
}

fn set(repo: &Repository, name: &BStr, branch: &BStr) -> Result<u8, CommandError> {
    let tracking = format!("refs/remotes/{name}/{branch}");
    if repo.resolve_ref(tracking.as_bytes().as_bstr())?.is_none() {
        ui::message("error", format!("Not a valid ref: {tracking}").as_bytes().as_bstr());
        return Ok(1);
    }
    match set_head(repo, name, branch, "remote set-head") {
        Ok(()) => Ok(0),
        Err(error) => failed(error, &format!("Could not setup refs/remotes/{name}/HEAD")),
    }
}

fn remove(repo: &Repository, name: &BStr) -> Result<u8, CommandError> {
    match delete_head(repo, name) {
        Ok(()) => Ok(0),
        Err(error) => failed(error, &format!("Could not delete refs/remotes/{name}/HEAD")),
    }
}

/// Tells why `HEAD` is as it was, and what follows from that. A hook that refuses ends the command at once.
fn failed(error: Error, consequence: &str) -> Result<u8, CommandError> {
    if matches!(error, Error::Repo(repo::Error::RefusedByHook)) {
        return Err(error.into());
    }
    for text in [&error.to_string(), consequence] {
        ui::message("error", text.as_bytes().as_bstr());
    }
    Ok(1)
}
