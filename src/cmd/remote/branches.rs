//! `gitr remote set-branches`.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};

use super::check_exists;
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context};
use crate::remote::configure::{Kept, set_branches};

const SPEC: Spec = Spec {
    name: "remote set-branches",
    synopsis: &[
        "git remote set-branches <name> <branch>...",
        "git remote set-branches --add <name> <branch>...",
    ],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// add branch
    #[arg(long)]
    add: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote set-branches`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let operands: Vec<BString> = parsed.values.operands.iter().map(bytes).collect();
    let Some((name, branches)) = operands.split_first() else {
        let usage = arguments::usage_of::<Arguments>(&SPEC);
        return Err(CommandError::bad_option(format!("no remote specified\n{usage}")));
    };
    let repo = context.repository_entered()?;
    crate::remote::Remote::in_repository(&repo, name.as_bstr())?;
    check_exists(&repo, name.as_bstr(), "")?;
    let kept = if parsed.values.add { Kept::All } else { Kept::None };
    match set_branches(&repo, name.as_bstr(), branches, kept) {
        // git says nothing where there is nothing to replace.
        Ok(is_done) => Ok(u8::from(!is_done)),
        Err(crate::remote::Error::Repo(error)) => Err(CommandError::silent(1).with_error(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
