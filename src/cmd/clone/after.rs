//! What a clone does when its work tree is there: the post-checkout hook, and what submodules it clones.

use std::ffi::OsStr;

use bstr::BString;

use super::{Arguments, submodule};
use crate::cmd::arguments::Parsed;
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, Show};
use crate::remote::clone::{Cloned, Options, Reference};
use crate::repo::Config;

/// Runs the `post-checkout` hook; the exit code of the clone is its. githooks(5).
pub(super) fn run_hook(cloned: &Cloned) -> Result<u8, CommandError> {
    let Some(head) = cloned.head.filter(|_| !cloned.repo.is_bare()) else { return Ok(0) };
    let Some(hook) = cloned.repo.hook("post-checkout")? else { return Ok(0) };
    let old = gix_hash::ObjectId::null(cloned.repo.object_hash).to_string();
    let new = head.to_string();
    let arguments = [old.as_str(), &new, "1"].map(OsStr::new);
    Ok(hook.run(&arguments, b""))
}

/// What `--recurse-submodules` and its relatives ask for.
pub(super) struct Submodules {
    /// The pathspecs; none if submodules are left alone.
    paths: Vec<BString>,
    /// One commit of each is enough.
    pub(super) is_shallow: bool,
    /// The branches of their remotes count, not the commits that the superproject names.
    pub(super) is_remote: bool,
    /// The filter, if submodules get it too.
    pub(super) filter: Option<BString>,
    /// How their refs are kept, if `--ref-format` says so.
    pub(super) ref_format: Option<BString>,
    /// How many are cloned at once.
    pub(super) jobs: Option<i64>,
    /// What borrows, if anything does: where submodules borrow, and what happens where they cannot.
    strategy: Option<&'static str>,
}

impl Submodules {
    /// Reads options and configuration, and refuses what does not go together.
    pub(super) fn new(
        parsed: &Parsed<Arguments>,
        config: &Config,
        options: &Options,
    ) -> Result<Self, CommandError> {
        let values = &parsed.values;
        let filter = options.filter.as_ref();
        let is_off =
            parsed.choice("recurse-submodules") == Some(false) || parsed.choice("recursive") == Some(false);
        let given = values.recurse_submodules.iter().chain(&values.recursive).filter(|_| !is_off);
        let mut paths: Vec<BString> = given.map(bytes).collect();
        paths.sort_unstable();
        paths.dedup();
        if values.also_filter_submodules {
            for (is_given, option) in
                [(filter.is_some(), "--filter"), (!paths.is_empty(), "--recurse-submodules")]
            {
                if !is_given {
                    let text = format!("the option '--also-filter-submodules' requires '{option}'");
                    return Err(CommandError::fatal(text));
                }
            }
        }
        let filters = match parsed.choice("also-filter-submodules") {
            Some(filters) => filters,
            None => config.boolean("clone.filterSubmodules")?.unwrap_or(false),
        };
        let strategy = if paths.is_empty() { None } else { strategy(&options.references)? };
        Ok(Self {
            strategy,
            paths,
            is_shallow: values.shallow_submodules,
            is_remote: values.remote_submodules,
            filter: filter.filter(|_| filters).cloned(),
            ref_format: values.ref_format.as_ref().map(bytes),
            jobs: values.jobs.filter(|jobs| *jobs >= 0),
        })
    }

    /// What the new repository's configuration says of it.
    pub(super) fn settings(&self, config: &Config) -> Result<Vec<(BString, BString)>, CommandError> {
        let mut settings: Vec<(BString, BString)> =
            self.paths.iter().map(|path| ("submodule.active".into(), path.clone())).collect();
        let is_sticky = config.boolean("submodule.stickyRecursiveClone")?.unwrap_or(false);
        if is_sticky && !self.paths.is_empty() {
            settings.push(("submodule.recurse".into(), "true".into()));
        }
        if let Some(strategy) = self.strategy {
            settings.push(("submodule.alternateLocation".into(), "superproject".into()));
            settings.push(("submodule.alternateErrorStrategy".into(), strategy.into()));
        }
        Ok(settings)
    }

    /// Clones the submodules, and theirs; gives the exit code.
    pub(super) fn update(&self, cloned: &Cloned, context: &Context, show: Show) -> u8 {
        if self.paths.is_empty() || cloned.head.is_none() {
            return 0;
        }
        let update =
            submodule::Update { options: self, context, show, is_single_branch: cloned.is_single_branch() };
        update.run(&cloned.repo, BString::default())
    }
}

/// `submodule.alternateErrorStrategy` for a clone that borrows from `references`; nothing where it does not borrow.
fn strategy(references: &[Reference]) -> Result<Option<&'static str>, CommandError> {
    let is_optional = |reference: &Reference| reference.is_optional;
    match (references.iter().any(is_optional), references.iter().all(is_optional)) {
        (_, _) if references.is_empty() => Ok(None),
        (true, false) => Err(CommandError::fatal(
            "clone --recursive is not compatible with both --reference and --reference-if-able",
        )),
        (true, true) => Ok(Some("info")),
        (false, _) => Ok(Some("die")),
    }
}
