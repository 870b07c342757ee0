//! `gitr push`. `git-push(1)`.

use std::ffi::OsString;
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::arguments::{self, Parsed, Spec};
use super::transfer::{bytes, check_credentials};
use super::{CommandError, Context, Show, signal, ui};
use crate::remote::config::{default_name, exists};
use crate::remote::push::submodule::Next;
use crate::remote::push::{Options, Outcome, Push, sets_upstream};
use crate::remote::{Error, Remote};
use crate::repo::Repository;
use crate::transport::Url;

mod options;
mod report;
mod submodule;

pub(super) use options::{EVERY_REF, leases, signed};
use report::{Reporter, Verdict};
pub(super) use report::{explain, print_told, print_tracking};
use submodule::{Submodules, recurse};

const SPEC: Spec = Spec {
    name: "push",
    synopsis: &["git push [<options>] [<repository> [<refspec>...]]"],
    plain: &["ipv4", "ipv6"],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// be more verbose
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// be more quiet
    #[arg(short, long, action = clap::ArgAction::Count)]
    quiet: u8,
    /// repository
    #[arg(long, value_name = "repository")]
    repo: Option<OsString>,
    /// push all branches
    #[arg(long)]
    all: bool,
    /// alias of --all
    #[arg(long)]
    branches: bool,
    /// mirror all refs
    #[arg(long)]
    mirror: bool,
    /// delete refs
    #[arg(short, long)]
    delete: bool,
    /// push tags (can't be used with --all or --branches or --mirror)
    #[arg(long)]
    tags: bool,
    /// dry run
    #[arg(short = 'n', long = "dry-run")]
    dry_run: bool,
    /// machine-readable output
    #[arg(long)]
    porcelain: bool,
    /// force updates
    #[arg(short, long)]
    force: bool,
    /// require old value of ref to be at this value
    #[arg(long = "force-with-lease", value_name = "refname>:<expect", num_args = 0..=1, require_equals = true,
          default_missing_value = options::EVERY_REF)]
    force_with_lease: Vec<OsString>,
    /// require remote updates to be integrated locally
    #[arg(long = "force-if-includes")]
    force_if_includes: bool,
    /// control recursive pushing of submodules
    #[arg(long = "recurse-submodules", value_name = "(check|on-demand|no)")]
    recurse_submodules: Option<OsString>,
    /// use thin pack
    #[arg(long)]
    thin: bool,
    /// receive pack program
    #[arg(long = "receive-pack", value_name = "receive-pack")]
    receive_pack: Option<OsString>,
    /// receive pack program
    #[arg(long, value_name = "receive-pack")]
    exec: Option<OsString>,
    /// set upstream for git pull/status
    #[arg(short = 'u', long = "set-upstream")]
    set_upstream: bool,
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    /// prune locally removed refs
    #[arg(long)]
    prune: bool,
    /// bypass pre-push hook
    #[arg(long = "no-verify")]
    no_verify: bool,
    /// push missing but relevant tags
    #[arg(long = "follow-tags")]
    follow_tags: bool,
    /// GPG sign the push
    #[arg(long, value_name = "(yes|no|if-asked)", num_args = 0..=1, require_equals = true,
          default_missing_value = "yes")]
    signed: Option<OsString>,
    /// request atomic transaction on remote side
    #[arg(long)]
    atomic: bool,
    /// option to transmit
    #[arg(short = 'o', long = "push-option", value_name = "server-specific")]
    push_option: Vec<OsString>,
    /// use IPv4 addresses only
    #[arg(short = '4', long)]
    ipv4: bool,
    /// use IPv6 addresses only
    #[arg(short = '6', long)]
    ipv6: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr push`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let repo = context.repository_entered()?;
    repo.config.check_core()?;
    repo.config.check_index()?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let values = &parsed.values;
    options::check_kinds(values)?;
    let operands: Vec<BString> = values.operands.iter().map(bytes).collect();
    let named = operands.first().cloned().or_else(|| values.repo.as_ref().map(bytes));
    if values.delete && operands.len() < 2 {
        return Err(CommandError::fatal("--delete doesn't make sense without any refs"));
    }
    let name = match named {
        Some(name) => name,
        None => default_remote(&repo)?,
    };
    if name.is_empty() {
        return Err(CommandError::fatal("bad repository ''"));
    }
    let remote = Remote::in_repository(&repo, name.as_bstr())?;
    check_credentials(&repo.config, &remote.urls)?;
    let show = Show { verbosity: parsed.verbosity(), progress: parsed.choice("progress") };
    let mut options = options::options(&parsed, &repo, &remote, show)?;
    options.refspecs = options::refspecs(operands.get(1..).unwrap_or_default(), values.delete)?;
    options::check_refspecs(&options)?;
    let reporter = Reporter::new(&repo, &context, show, values.porcelain)?;
    let sets_upstream = values.set_upstream || sets_upstream(&repo, &remote, &options)?;
    let submodules = Submodules {
        repo: &repo,
        context: &context,
        remote: &remote,
        recurse: recurse(
            parsed.choice("recurse-submodules"),
            values.recurse_submodules.as_ref(),
            &repo.config,
        )?,
        refspecs: &options.refspecs,
    };
    let run = Run {
        repo: &repo,
        context: &context,
        remote: &remote,
        name: &name,
        show,
        reporter,
        submodules,
        sets_upstream,
    };
    let mut is_failed = false;
    // One that fails does not keep the others from being tried, but for a failure that ends the whole command.
    for url in &remote.push_urls {
        is_failed |= run.push_to(url, &options)? == Verdict::Failed;
    }
    Ok(u8::from(is_failed))
}

/// One invocation.
struct Run<'a> {
    repo: &'a Repository,
    context: &'a Context,
    remote: &'a Remote,
    /// What the remote was called.
    name: &'a BString,
    show: Show,
    reporter: Reporter<'a>,
    submodules: Submodules<'a>,
    sets_upstream: bool,
}

impl Run<'_> {
    fn push_to(&self, url: &BString, options: &Options) -> Result<Verdict, CommandError> {
        let shown_url = redacted(url.as_bstr());
        let push = Push::new(self.repo, self.remote, url.as_bstr(), options);
        if self.show.verbosity > 0 {
            push.check()?;
            ui::safe_note(&[&b"Pushing to "[..], &shown_url].concat());
        }
        match self.send(push, options) {
            Ok(outcome) => {
                let upstream = self.sets_upstream.then_some(self.name.as_bstr());
                self.reporter.report(outcome, shown_url.as_bstr(), upstream, options.dry_run)
            }
            Err(error) => self.reporter.refused(error, shown_url.as_bstr()),
        }
    }

    fn send(&self, push: Push<'_>, options: &Options) -> Result<Outcome, Error> {
        let mut meters = self.context.meters(&self.repo.config, self.show);
        let mut decided = push.connect(&mut meters)?.decide(&mut meters)?;
        if !options.no_verify
            && let Some(text) = self.repo.ignored_hook("pre-push")?
        {
            self.reporter.ignored_hook(&text);
        }
        if let Err(error) = decided.ask_hook() {
            decided.close();
            return Err(error);
        }
        // A ref that is up to date does not say that its submodules are (seen in git 2.47.3).
        let new_ids: Vec<ObjectId> =
            decided.rows().iter().map(|row| row.new).filter(|id| !id.is_null()).collect();
        match self.submodules.before_push(&new_ids, options) {
            Err(error) => Err(decided.give_up(error, &mut meters)),
            Ok(Next::Push) => decided.send(&mut meters).or_else(broken),
            Ok(Next::Stop) => {
                decided.close();
                Ok(Outcome::default())
            }
        }
    }
}

/// What stands for the remote where the command line names none: `branch.<name>.pushRemote`, `remote.pushDefault`,
/// `branch.<name>.remote`, the only remote, `origin` if there is one.
fn default_remote(repo: &Repository) -> Result<BString, CommandError> {
    /// Seen in git 2.47.3.
    const NO_DESTINATION: &str = "No configured push destination.\n\
        Either specify the URL from the command-line or configure a remote repository using\n\n    \
        git remote add <name> <url>\n\nand then push using the remote name\n\n    git push <name>\n";
    let config = &repo.config;
    let branch = repo.head_branch()?;
    let short = branch.as_ref().and_then(|full| full.strip_prefix(b"refs/heads/"));
    let of_branch =
        |last: &str| short.and_then(|short| config.string(&format!("branch.{}.{last}", short.as_bstr())));
    let configured = of_branch("pushRemote")
        .or_else(|| config.string("remote.pushDefault"))
        .or_else(|| of_branch("remote"));
    if let Some(name) = configured {
        return Ok(name);
    }
    let name = default_name(config, None);
    if exists(config, name.as_bstr()) { Ok(name) } else { Err(CommandError::fatal(NO_DESTINATION)) }
}

/// The end of a push whose far side has said nothing; an error if there was nothing to say.
pub(super) fn broken(error: Error) -> Result<Outcome, Error> {
    let is_over = error.is_interrupted() || matches!(error, Error::HookDeclined);
    if is_over { Err(error) } else { Ok(Outcome { broken: Some(error), ..Outcome::default() }) }
}

/// `url` as it is shown: without a user name or a password.
pub(super) fn redacted(url: &BStr) -> BString {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.redacted())
}
