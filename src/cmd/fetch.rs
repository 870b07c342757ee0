//! `gitr fetch`. `git-fetch(1)`.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};

use super::arguments::{self, Parsed};
use super::transfer::{bytes, check_credentials, reflog_action};
use super::{CommandError, Context, Show, signal, ui};
use crate::remote::config::default_name;
use crate::remote::fetch::{Fetch, Options, Outcome};
use crate::remote::submodule::declared::Found;
use crate::remote::{Remote, bundle_uri};
use crate::repo::{Config, Repository};
use crate::telemetry;

mod after;
mod options;
mod printer;
mod several;
mod submodule;

use options::Arguments;
use printer::Printer;
pub(super) use printer::tell_not_pruned;
use several::Remotes;
use submodule::Recursion;

/// What git refuses without a value as soon as it reads the configuration of a fetch.
const VALUED: [&str; 2] = ["fetch.negotiationalgorithm", "fetch.output"];

/// What it refuses then if it is not true or false.
const BOOLEANS: [&str; 2] = ["fetch.writeCommitGraph", "advice.fetchShowForcedUpdates"];

/// Looks for new bundles where `fetch.bundleURI` says, once for all remotes.
fn fetch_bundles(
    repo: &Repository,
    context: &Context,
    options: &Options,
    show: Show,
) -> Result<(), CommandError> {
    let uri = repo.config.string("fetch.bundleURI").unwrap_or_default();
    if uri.is_empty() {
        return Ok(());
    }
    let mut meters = context.meters(&repo.config, show);
    let outcome = bundle_uri::fetch(repo, uri.as_bstr(), (None, &options.transport), &mut meters)?;
    if !outcome.is_complete {
        let text = format!("failed to fetch bundles from '{}'", bundle_uri::shown(uri.as_bstr()));
        ui::message("warning", text.as_bytes().as_bstr());
    }
    Ok(())
}

/// Runs `gitr fetch`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&options::SPEC, arguments)?;
    let repo = context.repository_entered()?;
    repo.config.check_core()?;
    repo.config.check_index()?;
    repo.config.check_values(&VALUED)?;
    BOOLEANS.iter().try_for_each(|key| repo.config.boolean(key).map(drop))?;
    signal::guard_temporaries(std::sync::Arc::clone(&context.is_stopped))?;
    let show = Show { verbosity: parsed.verbosity(), progress: parsed.choice("progress") };
    let mut options = options::options(&parsed, &repo, &context, show)?;
    options.reflog_action = reflog_action("fetch", &context.env, arguments);
    parallel(&repo.config)?;
    let recursion = Recursion::new(&parsed, &repo)?;
    check_together(&parsed, recursion)?;
    let is_compact = printer::is_compact(&repo.config)?;
    let modules = submodule::read_modules(&repo, recursion, parsed.values.negotiate_only)?;
    if !parsed.values.negotiate_only {
        fetch_bundles(&repo, &context, &options, show)?;
    }
    let run = Run {
        repo: &repo,
        context: &context,
        parsed: &parsed,
        values: &parsed.values,
        operands: parsed.values.operands.iter().map(bytes).collect(),
        options: &options,
        recursion: recursion.for_porcelain(parsed.values.porcelain),
        show,
        is_compact,
        modules: &modules,
    };
    let code = match run.remotes()? {
        Remotes::Several(names) => telemetry::region("fetch", "fetch-multiple", || run.fetch_several(names))?,
        Remotes::Only(name) => run.fetch_one(&name)?,
        Remotes::One => {
            let Some(name) = run.remote_name()? else { return Ok(0) };
            run.fetch_one(&name)?
        }
    };
    if !parsed.values.negotiate_only {
        run.maintain()?;
    }
    Ok(code)
}

/// One invocation.
struct Run<'a> {
    repo: &'a Repository,
    context: &'a Context,
    parsed: &'a Parsed<Arguments>,
    values: &'a Arguments,
    operands: Vec<BString>,
    /// But for refspecs.
    options: &'a Options,
    recursion: Recursion,
    show: Show,
    /// `fetch.output`.
    is_compact: bool,
    /// `.gitmodules`.
    modules: &'a Found,
}

/// What came of the fetch from one remote.
enum Fetched {
    /// All went well.
    Done(Box<Outcome>),
    /// A ref was not moved; the exit code.
    Failed(u8),
    /// Nothing was to be fetched (`--negotiate-only`); the exit code.
    Negotiated(u8),
}

impl Run<'_> {
    fn operands(&self) -> &[BString] {
        &self.operands
    }

    /// What the command line calls the remote, else the name of the default one; `None` if there is nothing to fetch from.
    fn remote_name(&self) -> Result<Option<BString>, CommandError> {
        // an empty one is none, as in git
        if let Some(name) = self.operands.first().filter(|name| !name.is_empty()) {
            return Ok(Some(name.clone()));
        }
        let config = &self.repo.config;
        let branch = self.repo.head_branch()?;
        let name = default_name(config, branch.as_ref().map(|branch| branch.as_bstr()));
        let is_there = crate::remote::config::exists(config, name.as_bstr());
        // Seen in git 2.47.3: nothing to fetch from is nothing to do.
        Ok(Some(name).filter(|name| is_there || name != "origin"))
    }

    /// Fetches from one remote, then into submodules.
    fn fetch_one(&self, name: &BString) -> Result<u8, CommandError> {
        let remote = Remote::in_repository(self.repo, name.as_bstr())?;
        check_credentials(&self.repo.config, &remote.urls)?;
        match telemetry::region("fetch", "fetch-one", || self.fetch_from(name, &remote))? {
            Fetched::Failed(code) | Fetched::Negotiated(code) => Ok(code),
            Fetched::Done(outcome) => {
                telemetry::region("fetch", "recurse-submodule", || self.fetch_submodules(&remote, &outcome))
            }
        }
    }

    fn fetch_from(&self, name: &BString, remote: &Remote) -> Result<Fetched, CommandError> {
        let mut options = self.options.clone();
        let words = self.values.operands.get(1..).unwrap_or_default();
        options.refspecs = options::refspecs(words, self.values.stdin)?;
        if options.refmap.is_some() && options.refspecs.is_empty() {
            let text = "--refmap option is only meaningful with command-line refspec(s)";
            return Err(CommandError::fatal(text));
        }
        if self.values.negotiate_only {
            return self.negotiate(remote, &options).map(Fetched::Negotiated);
        }
        let mut meters = self.context.meters(&self.repo.config, self.show);
        let mut listed = Fetch::new(self.repo, remote, &options)?.list(&mut meters)?;
        let noted: Vec<BString> = listed.noted_names().cloned().collect();
        let mut printer = Printer::new(self, &listed);
        let pruned = listed.prune()?;
        printer.print_pruned(&pruned, options.dry_run)?;
        let updated = listed.transfer(&mut meters)?.update()?;
        printer.print_outcome(updated.outcome(), remote)?;
        let mut outcome = updated.follow_tags(&mut meters)?;
        let refusal = outcome.refusal.take();
        let code = printer.print_outcome(&outcome, remote)? | u8::from(pruned.failure.is_some());
        if let Some(refusal) = refusal {
            return Err(refusal.into());
        }
        self.tell_of_other_head(remote, outcome.other_head.as_ref())?;
        self.warn_of_forced_check(&outcome)?;
        if code != 0 {
            return Ok(Fetched::Failed(code));
        }
        if self.values.set_upstream {
            self.set_upstream(name, &noted)?;
        }
        Ok(Fetched::Done(Box::new(outcome)))
    }

    /// `--negotiate-only`: prints the commits that both sides have.
    fn negotiate(&self, remote: &Remote, options: &Options) -> Result<u8, CommandError> {
        /// Seen in git 2.47.3, whose helper ends like this.
        const FAILED: u8 = 255;
        let mut meters = self.context.meters(&self.repo.config, self.show);
        let Some(common) = Fetch::new(self.repo, remote, options)?.negotiate(&mut meters)? else {
            ui::message("fatal", "the remote end hung up unexpectedly".into());
            return Ok(FAILED);
        };
        for id in common {
            ui::out(id.to_string().as_bytes())?;
        }
        Ok(0)
    }
}

/// Refuses options that exclude each other.
fn check_together(parsed: &Parsed<Arguments>, recursion: Recursion) -> Result<(), CommandError> {
    let values = &parsed.values;
    for (is_given, option) in [(values.negotiate_only, "--negotiate-only"), (values.porcelain, "--porcelain")]
    {
        if is_given && recursion.is_asked_for() {
            let text = format!("options '{option}' and '--recurse-submodules' cannot be used together");
            return Err(CommandError::fatal(text));
        }
    }
    if values.negotiate_only && values.negotiation_tip.is_empty() {
        return Err(CommandError::fatal("--negotiate-only needs one or more --negotiation-tip=*"));
    }
    Ok(())
}

/// `fetch.parallel`.
fn parallel(config: &Config) -> Result<Option<i64>, CommandError> {
    match config.integer("fetch.parallel")? {
        Some(jobs) if jobs < 0 => Err(CommandError::fatal("fetch.parallel cannot be negative")),
        jobs => Ok(jobs),
    }
}
