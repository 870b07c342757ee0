//! `--recurse-submodules`: submodules are cloned by another run of this program each, and checked out by ourselves.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::after::Submodules;
use crate::cmd::children::{self, Ended, Job, Work};
use crate::cmd::{CommandError, Context, Show, ui};
use crate::remote::config;
use crate::remote::submodule::declared::Procedure;
use crate::remote::submodule::place::Said;
use crate::remote::submodule::update::{Registered, Step, Submodule, Superproject};
use crate::remote::submodule::{checkout, environment_of};
use crate::repo::Repository;
use crate::repo::config::overrides_as_parameters;

/// What a failure costs that leaves the other submodules as they are.
const FAILED: u8 = 1;
/// What a failure costs that ends everything.
const FATAL: u8 = 128;

/// How the submodules of a clone are cloned.
pub(super) struct Update<'a> {
    pub(super) options: &'a Submodules,
    pub(super) context: &'a Context,
    pub(super) show: Show,
    /// Whether no more than one branch of each is cloned.
    pub(super) is_single_branch: bool,
}

impl Update<'_> {
    /// Clones the submodules of `repo` and theirs; gives the exit code. `prefix` is the path of `repo` for the user.
    pub(super) fn run(&self, repo: &Repository, prefix: BString) -> u8 {
        match self.try_run(repo, prefix) {
            Ok(code) => code,
            Err(error) => error.print(),
        }
    }

    fn try_run(&self, repo: &Repository, prefix: BString) -> Result<u8, CommandError> {
        let Some(top) = &repo.work_tree else { return Ok(0) };
        let mut superproject = Superproject::new(repo, top, prefix, &self.context.overrides)?;
        let configured = superproject.jobs()?;
        for warning in superproject.warnings() {
            ui::message("warning", warning.as_bytes().as_bstr());
        }
        superproject.register(&mut |registered| self.tell(&registered))?;
        let mut clones = Clones {
            update: self,
            superproject: &superproject,
            steps: superproject.steps()?.into(),
            again: VecDeque::new(),
            started: Vec::new(),
            cloned: Vec::new(),
            is_aborted: false,
        };
        let jobs = self.options.jobs.or(configured).unwrap_or(1);
        children::run(children::jobs(jobs), "submodule", &mut clones)?;
        let Clones { mut cloned, is_aborted, .. } = clones;
        if is_aborted {
            return Ok(FAILED);
        }
        // those that were tried again come where they belong
        cloned.sort_by(|one, other| one.path.cmp(&other.path));
        let mut code = 0;
        for submodule in &cloned {
            match self.update(&superproject, submodule)? {
                0 => {}
                FATAL => return Ok(FATAL),
                failed => code = failed,
            }
        }
        Ok(code)
    }

    fn tell(&self, registered: &Registered) {
        match registered {
            Registered::Url { name, url, shown } => {
                if self.show.verbosity >= 0 {
                    let line = format!("Submodule '{name}' ({url}) registered for path '{shown}'");
                    ui::safe_note(line.as_bytes());
                }
            }
            Registered::Warning(text) => ui::message("warning", text.as_bytes().as_bstr()),
        }
    }

    /// Brings a submodule that was cloned to its commit, and clones its own submodules; the exit code.
    fn update(&self, superproject: &Superproject, submodule: &Submodule) -> Result<u8, CommandError> {
        let procedure = superproject.procedure(submodule)?;
        let repo = self.open(submodule)?;
        let commit = if self.options.is_remote {
            superproject.followed(submodule, &repo)?
        } else {
            self.bring(submodule, &repo)?;
            submodule.commit
        };
        let code = match procedure {
            Procedure::Command(command) => self.run_command(&command, submodule, &commit)?,
            Procedure::Checkout | Procedure::Merge | Procedure::Rebase | Procedure::Nothing => {
                self.check_out(submodule, &commit)?
            }
        };
        if code != 0 {
            return Ok(code);
        }
        let code = self.run(&repo, [submodule.shown.as_slice(), b"/"].concat().into());
        if code != 0 {
            let text = format!("Failed to recurse into submodule path '{}'", submodule.shown);
            ui::message("fatal", text.as_bytes().as_bstr());
        }
        Ok(code)
    }

    fn open(&self, submodule: &Submodule) -> Result<Repository, CommandError> {
        let Submodule { git_dir, directory, .. } = submodule;
        let environment = environment_of(&self.context.env);
        Ok(Repository::open(git_dir, Some(directory), &self.context.overrides, &environment)?)
    }

    /// Fetches the commit of `submodule` if the clone has not brought it: with what branches have now, else by itself.
    fn bring(&self, submodule: &Submodule, repo: &Repository) -> Result<(), CommandError> {
        let Submodule { commit, shown, .. } = submodule;
        if checkout::is_kept(repo, commit)? {
            return Ok(());
        }
        if !self.fetch(submodule, &[])? && self.show.verbosity >= 0 {
            let text =
                format!("Unable to fetch in submodule path '{shown}'; trying to directly fetch {commit}:");
            ui::safe_note(text.as_bytes());
        }
        if checkout::is_kept(repo, commit)? {
            return Ok(());
        }
        let branch = repo.head_branch()?;
        let remote = config::default_name(&repo.config, branch.as_ref().map(|branch| branch.as_bstr()));
        if self.fetch(submodule, &[&remote, &commit.to_string().into()])? {
            return Ok(());
        }
        Err(CommandError::fatal(format!(
            "Fetched in submodule path '{shown}', but it did not contain {commit}. Direct fetching of that commit failed."
        )))
    }

    /// Fetches in `submodule`; whether that went well.
    fn fetch(&self, submodule: &Submodule, operands: &[&BString]) -> Result<bool, CommandError> {
        let mut command = self.command()?;
        command.current_dir(&submodule.directory).env("GIT_DIR", ".git").arg("fetch");
        if self.show.verbosity < 0 {
            command.arg("--quiet");
        }
        if self.options.is_shallow {
            command.arg("--depth=1");
        }
        command.args(operands.iter().map(|operand| operand.to_os_str_lossy()));
        Ok(children::status(&mut command)?.success())
    }

    /// Another run of this program, for a repository that is not the one that was cloned.
    fn command(&self) -> Result<Command, CommandError> {
        let program = self.context.own_command()?.get_program().to_owned();
        let mut command = Command::new(program);
        command.env_clear().envs(environment_of(&self.context.env).vars());
        let parameters = overrides_as_parameters(&self.context.overrides, &self.context.env);
        if !parameters.is_empty() {
            command.env("GIT_CONFIG_PARAMETERS", parameters);
        }
        // whoever wrote .gitmodules is not the user
        command.env("GIT_PROTOCOL_FROM_USER", "0");
        Ok(command)
    }

    fn check_out(&self, submodule: &Submodule, commit: &ObjectId) -> Result<u8, CommandError> {
        let mut repo = self.open(submodule)?;
        self.context.fetch_lazily(&mut repo)?;
        let old = repo.resolve_ref("HEAD".into())?;
        let old = old.unwrap_or_else(|| ObjectId::null(repo.object_hash));
        let quiet = Show { verbosity: -1, progress: Some(false) };
        let mut meters = self.context.meters(&repo.config, quiet);
        let code = match checkout::check_out(&repo, commit, &mut meters) {
            Ok(outcome) if outcome.is_complete() => checkout::run_hook(&repo, &old, commit)?,
            Ok(outcome) => {
                for (_, reason) in &outcome.errors {
                    ui::message("error", reason.as_bytes().as_bstr());
                }
                FAILED
            }
            Err(error) => CommandError::from(error).print(),
        };
        let shown = &submodule.shown;
        if code != 0 {
            let text = format!("Unable to checkout '{commit}' in submodule path '{shown}'");
            ui::message("fatal", text.as_bytes().as_bstr());
        } else if self.show.verbosity >= 0 {
            ui::out(format!("Submodule path '{shown}': checked out '{commit}'").as_bytes())?;
        }
        Ok(code)
    }

    /// Runs the `command` that the user has for `submodule`, with the commit as its argument.
    fn run_command(
        &self,
        command: &BString,
        submodule: &Submodule,
        commit: &ObjectId,
    ) -> Result<u8, CommandError> {
        let line = format!("{command} {commit}");
        let environment = environment_of(&self.context.env);
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).env_clear().envs(environment.vars()).current_dir(&submodule.directory);
        let shown = &submodule.shown;
        if !children::status(&mut shell)?.success() {
            let text = format!("Execution of '{line}' failed in submodule path '{shown}'");
            return Err(CommandError::fatal(text));
        }
        if self.show.verbosity >= 0 {
            ui::out(format!("Submodule path '{shown}': '{line}'").as_bytes())?;
        }
        Ok(0)
    }
}

/// The clones of submodules: each is tried twice, the second time when all others were tried.
struct Clones<'a> {
    update: &'a Update<'a>,
    superproject: &'a Superproject,
    steps: VecDeque<Step>,
    /// Those that failed once.
    again: VecDeque<Submodule>,
    /// What was started, and whether that was the second time.
    started: Vec<(Submodule, bool)>,
    cloned: Vec<Submodule>,
    /// One has failed twice.
    is_aborted: bool,
}

impl Work for Clones<'_> {
    fn next(&mut self) -> Result<Option<Job>, CommandError> {
        while !self.is_aborted {
            let (submodule, is_second) = match self.steps.pop_front() {
                Some(Step::Skip(shown)) => {
                    ui::safe_note(format!("Skipping submodule '{shown}'").as_bytes());
                    continue;
                }
                Some(Step::Clone(submodule)) => (*submodule, false),
                None => match self.again.pop_front() {
                    Some(submodule) => (submodule, true),
                    None => return Ok(None),
                },
            };
            let mut said = Vec::new();
            match self.superproject.prepare(&submodule, &mut |line| self.update.say(line, &mut said)) {
                Ok(lenders) => {
                    let command = self.command(&submodule, &lenders)?;
                    self.started.push((submodule, is_second));
                    return Ok(Some(Job { command, said }));
                }
                Err(error) => {
                    ui::relay(&said);
                    CommandError::from(error).print();
                    ui::relay(&self.failed(submodule, is_second));
                }
            }
        }
        Ok(None)
    }

    fn ended(&mut self, number: usize, ended: Ended) -> Vec<u8> {
        let Some((submodule, is_second)) = self.started.get(number).cloned() else { return Vec::new() };
        let reason = if ended == Ended::Well {
            match self.superproject.connect(&submodule) {
                Ok(()) => {
                    self.cloned.push(submodule);
                    return Vec::new();
                }
                Err(error) => error.to_string(),
            }
        } else {
            let Submodule { url, directory, .. } = &submodule;
            format!("clone of '{url}' into submodule path '{}' failed", directory.display())
        };
        let mut text = b"fatal: ".to_vec();
        text.extend_from_slice(&ui::harmless(reason.as_bytes().as_bstr()));
        text.push(b'\n');
        text.extend(self.failed(submodule, is_second));
        text
    }
}

impl Clones<'_> {
    /// Takes note that `submodule` was not cloned; the line to show.
    fn failed(&mut self, submodule: Submodule, is_second: bool) -> Vec<u8> {
        let path = ui::harmless(submodule.path.as_bstr());
        if is_second {
            self.is_aborted = true;
            return format!("Failed to clone '{path}' a second time, aborting\n").into();
        }
        self.again.push_back(submodule);
        format!("Failed to clone '{path}'. Retry scheduled\n").into()
    }

    /// The clone of `submodule`, which borrows from `lenders`.
    fn command(&self, submodule: &Submodule, lenders: &[PathBuf]) -> Result<Command, CommandError> {
        let Update { options, show, is_single_branch, .. } = self.update;
        let mut command = self.update.command()?;
        command.current_dir(self.superproject.top()).stdin(Stdio::null());
        command.args(["clone", "--no-checkout"]);
        if show.verbosity < 0 {
            command.arg("--quiet");
        }
        if show.progress == Some(true) {
            command.arg("--progress");
        }
        if options.is_shallow || submodule.is_shallow {
            command.arg("--depth=1");
        }
        for lender in lenders {
            command.arg("--reference").arg(lender);
        }
        command.arg("--separate-git-dir").arg(&submodule.git_dir);
        if let Some(format) = &options.ref_format {
            command.arg(format!("--ref-format={format}"));
        }
        if let Some(filter) = &options.filter {
            command.arg(format!("--filter={filter}"));
        }
        command.arg(if *is_single_branch { "--single-branch" } else { "--no-single-branch" });
        command.arg("--").arg(&*submodule.url.to_os_str_lossy()).arg(&submodule.directory);
        Ok(command)
    }
}

impl Update<'_> {
    /// Adds to `text` what is said while a place is looked at.
    fn say(&self, said: Said, text: &mut Vec<u8>) {
        match said {
            Said::Line(line) => {
                text.extend_from_slice(&ui::harmless(line.as_bytes().as_bstr()));
                text.push(b'\n');
            }
            Said::Advice(advice) => {
                let is_wanted = self.context.config().ok().and_then(|config| {
                    config.boolean("advice.submoduleAlternateErrorStrategyDie").ok().flatten()
                });
                if self.context.env.has_advice() && is_wanted != Some(false) {
                    for line in advice.lines() {
                        text.extend_from_slice(format!("hint: {line}\n").as_bytes());
                    }
                }
            }
        }
    }
}
