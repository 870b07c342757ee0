//! `--recurse-submodules`: how submodules are pushed, by another run of this program each.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, ui};
use crate::remote::push::Options;
use crate::remote::push::submodule::{Next, Recurse, Submodule, Superproject, Terminal};
use crate::remote::{Error, Remote};
use crate::repo::{Config, Repository};

/// What a submodule is told whose own configuration would not have it pushed.
const INSTEAD: &str = "recursing into submodule with push.recurseSubmodules=only; using on-demand instead";

/// The option and its `--no-` form, else the configuration.
pub(super) fn recurse(
    choice: Option<bool>,
    value: Option<&OsString>,
    config: &Config,
) -> Result<Recurse, CommandError> {
    if choice == Some(false) {
        return Ok(Recurse::No);
    }
    let Some(value) = value.map(bytes) else { return Ok(Recurse::from_config(config)?) };
    if let Some(recurse) = Recurse::parse(value.as_bstr())? {
        return Ok(recurse);
    }
    let configured = Recurse::from_config(config)?;
    if configured == Recurse::Only {
        ui::message("warning", INSTEAD.into());
    }
    Ok(configured.for_submodule())
}

/// The submodules of one push.
pub(super) struct Submodules<'a> {
    pub(super) repo: &'a Repository,
    pub(super) context: &'a Context,
    pub(super) remote: &'a Remote,
    pub(super) recurse: Recurse,
    /// The refspecs as typed.
    pub(super) refspecs: &'a [BString],
}

impl Submodules<'_> {
    /// Does what is to be done before `new_ids` may be pushed; whether they are to be.
    pub(super) fn before_push(&self, new_ids: &[ObjectId], options: &Options) -> Result<Next, Error> {
        let superproject = Superproject {
            repo: self.repo,
            remote: self.remote,
            recurse: self.recurse,
            dry_run: options.dry_run,
            refspecs: self.refspecs,
            push_options: &options.push_options,
            overrides: &self.context.overrides,
        };
        superproject.before_push(new_ids, &mut Stderr)
    }
}

/// Shows what happens on standard error, where the pushes of submodules have theirs too.
struct Stderr;

impl Terminal for Stderr {
    fn say(&mut self, line: &str) {
        ui::safe_note(line.as_bytes());
    }

    fn push(&mut self, submodule: &Submodule) -> Result<bool, Error> {
        let run = || submodule.command(&std::env::current_exe()?).status();
        let status = run().map_err(|source| Error::Io {
            action: "cannot push submodule",
            path: submodule.directory.clone(),
            source,
        })?;
        Ok(status.success())
    }
}
