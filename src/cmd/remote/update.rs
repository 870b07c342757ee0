//! `gitr remote update`: a fetch from several remotes.

use std::ffi::OsString;

use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::{CommandError, Context, fetch};

const SPEC: Spec = Spec {
    name: "remote update",
    synopsis: &["git remote update [<options>] [<group> | <remote>]..."],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// prune remotes after fetching
    #[arg(short, long)]
    prune: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote update`. Whatever goes wrong, the code is that of `git fetch` as a child: 1 in place of 128.
pub(super) fn run(arguments: &[OsString], context: Context, is_verbose: bool) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let repo = context.repository_entered()?;
    let mut words: Vec<OsString> = Vec::new();
    match parsed.choice("prune") {
        Some(true) => words.push("--prune".into()),
        Some(false) => words.push("--no-prune".into()),
        None => {}
    }
    if is_verbose {
        words.push("-v".into());
    }
    // reflogs have these words, in git's order
    words.push("--multiple".into());
    let names = &parsed.values.operands;
    words.extend(names.iter().cloned());
    if names.is_empty() {
        words.push("default".into());
    }
    let is_default = words.last().is_some_and(|word| word == "default");
    if is_default && repo.config.string("remotes.default").is_none() {
        words.pop();
        words.push("--all".into());
    }
    let code = fetch::run(&words, context).unwrap_or_else(CommandError::print);
    Ok(u8::from(code != 0))
}
