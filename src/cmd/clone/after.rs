//! What a clone does when its work tree is there: the post-checkout hook, and submodules, which C git fetches.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use bstr::BString;

use super::Arguments;
use crate::cmd::arguments::Parsed;
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, Show, children, installed, ui};
use crate::remote::clone::Cloned;
use crate::repo::Config;

/// Runs the `post-checkout` hook; the exit code of the clone is its. githooks(5).
pub(super) fn run_hook(cloned: &Cloned) -> Result<u8, CommandError> {
    let Some(head) = cloned.head.filter(|_| !cloned.repo.is_bare()) else { return Ok(0) };
    let Some(hook) = cloned.repo.hook("post-checkout")? else { return Ok(0) };
    let old = gix_hash::ObjectId::null(cloned.repo.object_hash).to_string();
    let new = head.to_string();
    let arguments = [old.as_str(), &new, "1"].map(OsStr::new);
    // git names the directory here, although the hook runs where it would find it
    let git_dir = std::path::absolute(&cloned.repo.git_dir).unwrap_or_else(|_| cloned.repo.git_dir.clone());
    let status = hook.naming(&git_dir).with_output_to_stderr().run(&arguments, b"")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// What `--recurse-submodules` and its relatives ask for.
pub(super) struct Submodules {
    /// The pathspecs; none if submodules are left alone.
    paths: Vec<BString>,
    is_shallow: bool,
    is_remote: bool,
    /// The filter, if submodules get it too.
    filter: Option<BString>,
    jobs: Option<i64>,
}

impl Submodules {
    /// Reads options and configuration, and refuses what does not go together.
    pub(super) fn new(
        parsed: &Parsed<Arguments>,
        config: &Config,
        filter: Option<&BString>,
    ) -> Result<Self, CommandError> {
        let values = &parsed.values;
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
        Ok(Self {
            paths,
            is_shallow: values.shallow_submodules,
            is_remote: values.remote_submodules,
            filter: filter.filter(|_| filters).cloned(),
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
        Ok(settings)
    }

    /// Has C git clone the submodules; whether that went well.
    pub(super) fn update(
        &self,
        cloned: &Cloned,
        context: &Context,
        show: Show,
    ) -> Result<bool, CommandError> {
        let Some(work_tree) = cloned.repo.work_tree.as_ref().filter(|_| !self.paths.is_empty()) else {
            return Ok(true);
        };
        if cloned.head.is_none() {
            return Ok(true);
        }
        let Some(git) = installed::git(&context.env) else {
            ui::message("error", "cannot clone submodules: git is not installed".into());
            ui::hint("with git, run 'git submodule update --init --recursive' in the clone");
            return Ok(false);
        };
        let mut command = Command::new(git);
        context.pass_on(&mut command);
        command.current_dir(work_tree).env_remove("GIT_DIR").stdin(Stdio::null());
        let status = children::git_status(command.args(self.arguments(cloned, show)))?;
        Ok(status.success())
    }

    fn arguments(&self, cloned: &Cloned, show: Show) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            ["submodule", "update", "--require-init", "--recursive"].map(OsString::from).into();
        let mut add = |is_wanted: bool, option: &str| {
            if is_wanted {
                arguments.push(option.into());
            }
        };
        add(self.is_shallow, "--depth=1");
        if let Some(jobs) = self.jobs {
            add(true, &format!("--jobs={jobs}"));
        }
        add(show.progress == Some(true), "--progress");
        add(show.verbosity < 0, "--quiet");
        add(self.is_remote, "--remote");
        add(self.is_remote, "--no-fetch");
        if let Some(filter) = &self.filter {
            add(true, &format!("--filter={filter}"));
        }
        add(true, if cloned.is_single_branch() { "--single-branch" } else { "--no-single-branch" });
        arguments
    }
}
