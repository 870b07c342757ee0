//! A fetch from many remotes: this program once more for each, several at once if that is wished.

use std::process::Command;

use bstr::{BString, ByteSlice};

use super::Run;
use super::options::tags;
use crate::cmd::children::{self, Ended, Job, Work};
use crate::cmd::{CommandError, ui};
use crate::remote::config::{Tags, names};
use crate::remote::submodule::Recurse;
use crate::remote::{Remote, fetch_head};
use crate::repo::{Config, Repository};

/// Which remotes a fetch is from.
pub(super) enum Remotes {
    /// The one that the operands name, or the default one, with refspecs.
    One,
    /// The one of this name, since there is no other.
    Only(BString),
    /// Each of these.
    Several(Vec<BString>),
}

impl Run<'_> {
    /// What `--all`, `--multiple`, groups (`remotes.<group>`) and `fetch.all` come to.
    pub(super) fn remotes(&self) -> Result<Remotes, CommandError> {
        let config = &self.repo.config;
        let operands = self.operands();
        let is_all = self.parsed.choice("all");
        if is_all == Some(true) && !operands.is_empty() {
            return Err(CommandError::fatal(match operands.len() {
                1 => "fetch --all does not take a repository argument",
                _ => "fetch --all does not make sense with refspecs",
            }));
        }
        let names = if operands.is_empty()
            && !(self.values.multiple && is_all.is_none())
            && is_all.or(config.boolean("fetch.all")?) == Some(true)
        {
            match all(config)?.as_slice() {
                [only] => return Ok(Remotes::Only(only.clone())),
                several => several.to_vec(),
            }
        } else if self.values.multiple {
            named(self.repo, operands)?
        } else {
            match operands.first().and_then(|first| group(config, first)) {
                Some(members) if members.len() > 1 => members,
                Some(_) | None => return Ok(Remotes::One),
            }
        };
        if operands.len() > 1 && !self.values.multiple {
            let text = "fetching a group and specifying refspecs does not make sense";
            return Err(CommandError::fatal(text));
        }
        self.check_single_only()?;
        Ok(Remotes::Several(names))
    }

    /// Refuses what makes sense with one remote alone.
    fn check_single_only(&self) -> Result<(), CommandError> {
        let values = self.values;
        if values.negotiate_only {
            return Err(CommandError::fatal("must supply remote when using --negotiate-only"));
        }
        if !values.filter.is_empty() {
            let text = "--filter can only be used with the remote configured in extensions.partialclone";
            return Err(CommandError::fatal(text));
        }
        if values.atomic {
            return Err(CommandError::fatal("--atomic can only be used when fetching from one remote"));
        }
        if values.stdin {
            return Err(CommandError::fatal("--stdin can only be used when fetching from one remote"));
        }
        Ok(())
    }

    /// Fetches from each of `names`; one that fails is named and the rest is done.
    pub(super) fn fetch_several(&self, names: Vec<BString>) -> Result<u8, CommandError> {
        if !names.is_empty() && !self.options.append && !self.options.no_fetch_head {
            fetch_head::truncate(&self.repo.git_path("FETCH_HEAD"))?;
        }
        let jobs_max = children::jobs(self.jobs_of_remotes()?);
        if jobs_max > 1 && names.len() > 1 {
            let mut work = Parallel { run: self, names, next: 0, is_failed: false };
            children::run(jobs_max, "fetch", &mut work)?;
            return Ok(u8::from(work.is_failed));
        }
        let mut code = 0;
        for name in &names {
            self.announce(name)?;
            let status = children::status(self.command()?.arg(&*name.to_os_str_lossy()));
            if !status.is_ok_and(|status| status.success()) {
                ui::message("error", format!("could not fetch {name}").as_bytes().as_bstr());
                code = 1;
            }
        }
        Ok(code)
    }

    fn announce(&self, name: &BString) -> Result<(), CommandError> {
        if self.show.verbosity >= 0 && !self.values.porcelain {
            ui::out(format!("Fetching {name}").as_bytes())?;
        }
        Ok(())
    }

    /// The command line of the fetch from one of many but for its name; reflogs show it.
    fn command(&self) -> Result<Command, CommandError> {
        let mut command = self.context.own_command()?;
        // bundles were looked for already
        command.args(["-c", "fetch.bundleURI="]);
        command.args(["fetch", "--append", "--no-auto-gc", "--no-write-commit-graph"]);
        command.args(self.inherited());
        Ok(command)
    }

    /// The options that the fetches of other remotes and of submodules are given.
    pub(super) fn inherited(&self) -> Vec<&'static str> {
        let options = self.options;
        let choice = |wish: Option<bool>, yes, no| wish.map(|wish| if wish { yes } else { no });
        let given = |is_given: bool, option| is_given.then_some(option);
        let recursion = match self.recursion.choice {
            Some(Recurse::Yes) => Some("--recurse-submodules"),
            Some(Recurse::OnDemand) => Some("--recurse-submodules=on-demand"),
            Some(Recurse::No) => Some("--no-recurse-submodules"),
            None => None,
        };
        let tags = match tags(self.parsed) {
            Some(Tags::All) => Some("--tags"),
            Some(Tags::None) => Some("--no-tags"),
            Some(Tags::Follow) | None => None,
        };
        [
            given(options.dry_run, "--dry-run"),
            choice(options.prune, "--prune", "--no-prune"),
            choice(options.prune_tags, "--prune-tags", "--no-prune-tags"),
            given(options.update_head_ok, "--update-head-ok"),
            given(options.force, "--force"),
            given(options.keep, "--keep"),
            recursion,
            tags,
            given(self.show.verbosity > 1, "-v"),
            given(self.show.verbosity > 0, "-v"),
            given(self.show.verbosity < 0, "-q"),
            given(self.values.ipv4, "--ipv4"),
            given(self.values.ipv6, "--ipv6"),
            given(options.no_fetch_head, "--no-write-fetch-head"),
            given(self.values.porcelain, "--porcelain"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// `--jobs`, else `fetch.parallel`, else one after the other.
    fn jobs_of_remotes(&self) -> Result<i64, CommandError> {
        match self.values.jobs.filter(|jobs| *jobs >= 0) {
            Some(jobs) => Ok(jobs),
            None => Ok(super::parallel(&self.repo.config)?.unwrap_or(1)),
        }
    }
}

/// Fetches from several remotes at once.
struct Parallel<'a> {
    run: &'a Run<'a>,
    names: Vec<BString>,
    next: usize,
    is_failed: bool,
}

impl Work for Parallel<'_> {
    fn next(&mut self) -> Result<Option<Job>, CommandError> {
        let Some(name) = self.names.get(self.next) else { return Ok(None) };
        self.next += 1;
        self.run.announce(name)?;
        let mut command = self.run.command()?;
        command.arg("--end-of-options").arg(&*name.to_os_str_lossy());
        Ok(Some(Job { command, said: Vec::new() }))
    }

    fn ended(&mut self, number: usize, ended: Ended) -> Vec<u8> {
        if ended == Ended::Well {
            return Vec::new();
        }
        self.is_failed = true;
        let Some(name) = self.names.get(number) else { return Vec::new() };
        match ended {
            Ended::Badly { code } => format!("could not fetch '{name}' (exit code: {code})\n").into(),
            Ended::Well | Ended::Never => Vec::new(),
        }
    }
}

/// All remotes but those that `remote.<name>.skipFetchAll` leaves out.
fn all(config: &Config) -> Result<Vec<BString>, CommandError> {
    let mut remotes = Vec::new();
    for name in names(config) {
        if !Remote::from_config(config, name.as_bstr())?.skip_fetch_all {
            remotes.push(name);
        }
    }
    Ok(remotes)
}

/// The remotes and members of groups that `operands` name, once where one is named twice in a row.
fn named(repo: &Repository, operands: &[BString]) -> Result<Vec<BString>, CommandError> {
    let mut remotes = Vec::new();
    for name in operands {
        match group(&repo.config, name) {
            Some(members) => remotes.extend(members),
            None if Remote::in_repository(repo, name.as_bstr())?.name.is_some() => remotes.push(name.clone()),
            None => {
                return Err(CommandError::fatal(format!("no such remote or remote group: {name}")));
            }
        }
    }
    remotes.dedup();
    Ok(remotes)
}

/// The members of the group `name`: `remotes.<name>`, words separated by blanks. One that is named twice without another
/// in between counts once, as in git 2.47.3.
fn group(config: &Config, name: &BString) -> Option<Vec<BString>> {
    let lists = config.strings(&format!("remotes.{name}"));
    let mut members: Vec<BString> = lists.iter().flat_map(|list| list.fields().map(BString::from)).collect();
    members.dedup();
    (!lists.is_empty()).then_some(members)
}
