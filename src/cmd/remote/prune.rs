//! `gitr remote prune`.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use super::usage;
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, fetch, ui};
use crate::remote::{Error, Remote, update};
use crate::repo::{self, Repository};

const SPEC: Spec =
    Spec { name: "remote prune", synopsis: &["git remote prune [<options>] <name>"], plain: &[] };

#[derive(Debug, clap::Args)]
struct Arguments {
    /// dry run
    #[arg(short = 'n', long = "dry-run")]
    dry_run: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote prune`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let names: Vec<BString> = parsed.values.operands.iter().map(bytes).collect();
    if names.is_empty() {
        return Err(usage::<Arguments>(&SPEC));
    }
    let repo = context.repository_entered()?;
    let mut code = 0;
    for name in &names {
        code |= prune(&repo, name.as_bstr(), parsed.values.dry_run, &context)?;
    }
    Ok(code)
}

fn prune(repo: &Repository, name: &BStr, is_dry: bool, context: &Context) -> Result<u8, CommandError> {
    let remote = Remote::in_repository(repo, name)?;
    let stale = super::ask(repo, &remote, context)?.stale(repo, &remote)?;
    if stale.is_empty() {
        return Ok(0);
    }
    let url = remote.urls.first().cloned().unwrap_or_else(|| "(no URL)".into());
    ui::out(format!("Pruning {name}\nURL: {url}").as_bytes())?;
    let dangling = update::dangling(&repo.ref_snapshot()?, &stale);
    let mut code = 0;
    if !is_dry && let Err(error) = update::prune(repo, &stale) {
        if matches!(error, Error::Repo(repo::Error::RefusedByHook)) {
            return Err(error.into());
        }
        fetch::tell_not_pruned(&stale, &error);
        code = 1;
    }
    let (done, becomes) = if is_dry { ("would prune", "will become") } else { ("pruned", "has become") };
    for local in stale.iter().filter_map(|update| update.local.as_ref()) {
        let short = local.strip_prefix(b"refs/remotes/").unwrap_or(local).as_bstr();
        ui::out(format!(" * [{done}] {short}").as_bytes())?;
    }
    for link in dangling {
        ui::out(format!(" {link} {becomes} dangling!").as_bytes())?;
    }
    Ok(code)
}
