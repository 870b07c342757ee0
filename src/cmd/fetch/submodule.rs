//! `--recurse-submodules`: how submodules are fetched, by another run of this program each.

use std::collections::VecDeque;
use std::process::Command;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Run;
use super::options::Arguments;
use crate::cmd::arguments::Parsed;
use crate::cmd::children::{self, Ended, Job, Work};
use crate::cmd::transfer::{abbreviation, bytes};
use crate::cmd::{CommandError, ui};
use crate::remote::Remote;
use crate::remote::fetch::Outcome;
use crate::remote::submodule::declared::{self, Found};
use crate::remote::submodule::{self, Recurse, Step, Submodule, Superproject};
use crate::repo::config::overrides_as_parameters;
use crate::repo::{Config, Repository};

/// What is to become of submodules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recursion {
    /// What the command line says, else the configuration.
    pub(super) choice: Option<Recurse>,
    /// What holds where nothing is said.
    default: Recurse,
    is_on_command_line: bool,
}

impl Recursion {
    pub(super) fn new(parsed: &Parsed<Arguments>, repo: &Repository) -> Result<Self, CommandError> {
        let values = &parsed.values;
        let given = match (&values.recurse_submodules, parsed.choice("recurse-submodules")) {
            (_, Some(false)) => Some(Recurse::No),
            (Some(word), _) => Some(Recurse::parse(bytes(word).as_bstr(), "recurse-submodules")?),
            (None, _) => None,
        };
        let configured = Recurse::from_config(&repo.config)?;
        let default = match &values.recurse_submodules_default {
            Some(word) => Recurse::parse(bytes(word).as_bstr(), "recurse-submodules-default")?,
            None => Recurse::OnDemand,
        };
        Ok(Self { choice: given.or(configured), default, is_on_command_line: given.is_some() })
    }

    /// Whether the command line wants it.
    pub(super) fn is_asked_for(self) -> bool {
        self.is_on_command_line && self.choice != Some(Recurse::No)
    }

    /// What programs read has no place for submodules.
    pub(super) fn for_porcelain(self, is_porcelain: bool) -> Self {
        if is_porcelain { Self { choice: Some(Recurse::No), ..self } } else { self }
    }
}

/// Reads `.gitmodules` before anything moves, if it matters.
pub(super) fn read_modules(
    repo: &Repository,
    recursion: Recursion,
    negotiates_only: bool,
) -> Result<Found, CommandError> {
    submodule::jobs(&repo.config, &Config::default())?;
    let is_left_out = recursion.choice == Some(Recurse::No) || negotiates_only;
    let modules = if is_left_out { Found::default() } else { declared::read(repo)? };
    submodule::jobs(&repo.config, &modules.config)?;
    complain(&modules);
    Ok(modules)
}

/// Tells what is wrong with the `.gitmodules` of a commit: git does so whenever it reads it.
fn complain(modules: &Found) {
    if let Some(complaint) = &modules.complaint {
        ui::message("error", complaint.as_bytes().as_bstr());
    }
}

impl Run<'_> {
    /// Fetches into the submodules that are to be fetched; gives the exit code.
    pub(super) fn fetch_submodules(&self, remote: &Remote, outcome: &Outcome) -> Result<u8, CommandError> {
        let may_have_any = self.repo.work_tree.is_some() || self.repo.git_path("modules").exists();
        if self.recursion.choice == Some(Recurse::No) || !may_have_any {
            return Ok(0);
        }
        // with a conflict about it, it is not read again
        let of_none = Found::default();
        let modules = if declared::has_conflict(self.repo)? { &of_none } else { self.modules };
        complain(modules);
        let Recursion { choice, default, .. } = self.recursion;
        let (modules, known) = (&modules.config, &outcome.known);
        let superproject =
            Superproject::new(self.repo, modules, (choice, default), &outcome.new_ids(), known)?;
        let jobs = match (
            self.values.jobs.filter(|jobs| *jobs >= 0),
            submodule::jobs(&self.repo.config, &self.modules.config)?,
        ) {
            (Some(jobs), _) | (None, Some(jobs)) => jobs,
            (None, None) => super::parallel(&self.repo.config)?.unwrap_or(1),
        };
        let mut work = Fetches {
            run: self,
            superproject: &superproject,
            steps: superproject.steps()?.into(),
            again: VecDeque::new(),
            started: Vec::new(),
            inherited: self.inherited_by_submodules(remote),
            lines: Vec::new(),
            failed: Vec::new(),
            code: 0,
        };
        children::run(children::jobs(jobs), "submodule", &mut work)?;
        let Fetches { failed, code, .. } = work;
        if !failed.is_empty() {
            let lines = failed.iter().map(|name| format!("\n\t{name}"));
            ui::safe_lines(format!("Errors during submodule fetch:{}", lines.collect::<String>()).as_bytes());
        }
        Ok(code)
    }

    /// The options of the fetches of submodules: what was decided about pruning is said in any case.
    fn inherited_by_submodules(&self, remote: &Remote) -> Vec<&'static str> {
        let mut options = self.options.clone();
        options.prune = Some(options.prune.unwrap_or(remote.prune));
        options.prune_tags = Some(options.prune_tags.unwrap_or(remote.prune_tags));
        Run { options: &options, operands: Vec::new(), ..*self }.inherited()
    }
}

/// The fetches of submodules, those by commit ids last.
struct Fetches<'a> {
    run: &'a Run<'a>,
    superproject: &'a Superproject<'a>,
    steps: VecDeque<Step>,
    /// Submodules that have not got all they need, and the commits they lack.
    again: VecDeque<(Submodule, Vec<ObjectId>)>,
    /// What was started, and whether that was for single commits.
    started: Vec<(Submodule, bool)>,
    inherited: Vec<&'static str>,
    /// Lines about submodules that are not to be reached, which stand in front of what comes next.
    lines: Vec<u8>,
    failed: Vec<BString>,
    code: u8,
}

impl Work for Fetches<'_> {
    fn next(&mut self) -> Result<Option<Job>, CommandError> {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Inaccessible(line) => {
                    self.tell(&line);
                    self.code = 1;
                }
                Step::Unknown { path, commit } => {
                    let commit = self.shortened(&commit)?;
                    self.tell(&format!("Could not access submodule '{path}' at commit {commit}"));
                }
                Step::Fetch(submodule) => {
                    let command = self.command(&submodule)?;
                    let announcement = self.announcement(&submodule)?;
                    let said = [std::mem::take(&mut self.lines), announcement].concat();
                    self.started.push((submodule, false));
                    return Ok(Some(Job { command, said }));
                }
            }
        }
        let Some((submodule, commits)) = self.again.pop_front() else { return Ok(None) };
        let mut command = self.command(&submodule)?;
        command.arg(&*self.superproject.remote_of(&submodule)?.to_os_str_lossy());
        command.args(commits.iter().map(ToString::to_string));
        self.started.push((submodule, true));
        Ok(Some(Job { command, said: std::mem::take(&mut self.lines) }))
    }

    fn left_over(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    fn ended(&mut self, number: usize, ended: Ended) -> Vec<u8> {
        let Some((submodule, is_second)) = self.started.get(number).cloned() else { return Vec::new() };
        if ended != Ended::Well {
            self.code = 1;
            self.failed.push(submodule.name.clone());
        }
        if !is_second {
            match self.superproject.missing(&submodule) {
                Ok(commits) if commits.is_empty() => {}
                Ok(commits) => self.again.push_back((submodule, commits)),
                Err(error) => {
                    self.code = 1;
                    return format!("error: {error}\n").into();
                }
            }
        }
        Vec::new()
    }
}

impl Fetches<'_> {
    fn tell(&mut self, line: &str) {
        self.lines.extend_from_slice(&ui::harmless(line.into()));
        self.lines.push(b'\n');
    }

    /// The fetch of `submodule`, but for a remote and commits.
    fn command(&self, submodule: &Submodule) -> Result<Command, CommandError> {
        let program = self.run.context.own_command()?.get_program().to_owned();
        let mut command = Command::new(program);
        let environment = self.superproject.environment();
        command.env_clear().envs(environment.vars()).current_dir(&submodule.git_dir);
        let parameters = overrides_as_parameters(&self.run.context.overrides, &self.run.context.env);
        if !parameters.is_empty() {
            command.env("GIT_CONFIG_PARAMETERS", parameters);
        }
        command.arg("fetch").args(&self.inherited);
        command.args(["--recurse-submodules-default", submodule.default.word()]);
        let prefix = [self.prefix().as_slice(), &submodule.path, b"/"].concat();
        let mut option = std::ffi::OsString::from("--submodule-prefix=");
        option.push(prefix.to_os_str_lossy());
        command.arg(option);
        Ok(command)
    }

    /// The line in front of what the fetch of `submodule` shows.
    fn announcement(&self, submodule: &Submodule) -> Result<Vec<u8>, CommandError> {
        if self.run.show.verbosity < 0 {
            return Ok(Vec::new());
        }
        let path = BString::from([self.prefix().as_slice(), &submodule.path].concat());
        let mut line = BString::from(format!("Fetching submodule {}", ui::harmless(path.as_bstr())));
        if let Some(commit) = submodule.commit {
            line.extend_from_slice(format!(" at commit {}", self.shortened(&commit)?).as_bytes());
        }
        line.push(b'\n');
        Ok(line.into())
    }

    fn shortened(&self, commit: &ObjectId) -> Result<String, CommandError> {
        let objects = self.run.repo.objects()?;
        Ok(objects.abbreviate(commit, abbreviation(self.run.repo, &objects)?).to_string())
    }

    /// What paths begin with, if this is itself the fetch of a submodule.
    fn prefix(&self) -> BString {
        self.run.values.submodule_prefix.as_ref().map(bytes).unwrap_or_default()
    }
}
