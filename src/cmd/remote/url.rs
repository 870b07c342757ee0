//! `gitr remote get-url` and `set-url`.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};

use super::{check_exists, usage};
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, ui};
use crate::remote::Remote;
use crate::remote::config::urls;
use crate::remote::configure::{UrlKind, add_url, delete_urls, set_url};
use crate::repo::Repository;

const GET: Spec =
    Spec { name: "remote get-url", synopsis: &["git remote get-url [--push] [--all] <name>"], plain: &[] };

const SET: Spec = Spec {
    name: "remote set-url",
    synopsis: &[
        "git remote set-url [--push] <name> <newurl> [<oldurl>]",
        "git remote set-url --add <name> <newurl>",
        "git remote set-url --delete <name> <url>",
    ],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct GetArguments {
    /// query push URLs rather than fetch URLs
    #[arg(long)]
    push: bool,
    /// return all URLs
    #[arg(long)]
    all: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct SetArguments {
    /// manipulate push URLs
    #[arg(long)]
    push: bool,
    /// add URL
    #[arg(long)]
    add: bool,
    /// delete URLs
    #[arg(long)]
    delete: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote get-url`.
pub(super) fn get(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<GetArguments> = arguments::parse(&GET, arguments)?;
    let [name] = parsed.values.operands.as_slice() else { return Err(usage::<GetArguments>(&GET)) };
    let (repo, name) = (context.repository_entered()?, bytes(name));
    let remote = Remote::in_repository(&repo, name.as_bstr())?;
    check_exists(&repo, name.as_bstr(), "")?;
    let urls = if parsed.values.push { &remote.push_urls } else { &remote.urls };
    let count = if parsed.values.all { urls.len() } else { 1 };
    for url in urls.iter().take(count) {
        ui::out(url)?;
    }
    Ok(0)
}

/// Runs `gitr remote set-url`.
pub(super) fn set(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<SetArguments> = arguments::parse(&SET, arguments)?;
    let values = &parsed.values;
    if values.add && values.delete {
        return Err(CommandError::fatal("--add --delete doesn't make sense"));
    }
    let operands: Vec<BString> = values.operands.iter().map(bytes).collect();
    let (name, url, old) = match operands.as_slice() {
        [name, url] => (name.as_bstr(), url.as_bstr(), None),
        [name, url, old] if !values.add && !values.delete => {
            (name.as_bstr(), url.as_bstr(), Some(old.as_bstr()))
        }
        [..] => return Err(usage::<SetArguments>(&SET)),
    };
    let repo = context.repository_entered()?;
    Remote::in_repository(&repo, name)?;
    check_exists(&repo, name, "")?;
    let kind = if values.push { UrlKind::Push } else { UrlKind::Fetch };
    let known = known(&repo, &operands, kind);
    if values.add {
        add_url(&repo, name, kind, url)?;
    } else if values.delete {
        delete_urls(&repo, name, kind, url, &known)?;
    } else if let Some(key) = set_url(&repo, name, kind, url, old.map(|old| (old, known.as_slice())))? {
        ui::note(format!("warning: {key} has multiple values"));
        return Err(CommandError::fatal(format!("could not set '{key}' to '{url}'")));
    }
    Ok(0)
}

/// The URLs as a transfer sees them, those that stand for others left out.
fn known(repo: &Repository, operands: &[BString], kind: UrlKind) -> Vec<BString> {
    let Some(name) = operands.first() else { return Vec::new() };
    let (fetched, pushed) = urls(&repo.config, name.as_bstr());
    match kind {
        UrlKind::Fetch => fetched,
        UrlKind::Push if repo.config.string(&format!("remote.{name}.pushurl")).is_some() => pushed,
        UrlKind::Push => Vec::new(),
    }
}
