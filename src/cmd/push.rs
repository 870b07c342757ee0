//! `gitr push`. `git-push(1)`.

use std::ffi::OsString;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::transfer::bytes;
use super::{CommandError, Context, Show, signal};
use crate::remote::Remote;
use crate::remote::config::default_name;
use crate::remote::push::{Options, Push};
use crate::repo::{Config, Repository};
use crate::transport::Url;

mod options;
mod report;

pub(super) use options::{EVERY_REF, leases, signed};
use report::{Reporter, Verdict};

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
    let repo = context.repository()?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let values = &parsed.values;
    options::check_kinds(values)?;
    let operands: Vec<BString> = values.operands.iter().map(bytes).collect();
    let named = operands.first().cloned().or_else(|| values.repo.as_ref().map(bytes));
    if values.delete && operands.len() < 2 {
        return Err(CommandError::fatal("--delete doesn't make sense without any refs"));
    }
    let remote = choose_remote(&repo, named.as_ref())?;
    let show = Show { verbosity: parsed.verbosity(), progress: parsed.choice("progress") };
    let mut options = options::options(&parsed, &repo, &remote, show)?;
    options.refspecs = options::refspecs(operands.get(1..).unwrap_or_default(), values.delete)?;
    options::check_refspecs(&options)?;
    let reporter = Reporter::new(&repo, &context, show, values.porcelain)?;
    let sets_upstream = values.set_upstream || options::sets_upstream(&repo, &remote, &options)?;
    let run = Run { repo: &repo, context: &context, remote: &remote, show, reporter, sets_upstream };
    let mut is_failed = false;
    // One that fails does not keep the others from being tried, but for a failure that ends the whole command.
    for url in push_urls(&repo.config, &remote) {
        is_failed |= run.push_to(&url, &options)? == Verdict::Failed;
    }
    Ok(u8::from(is_failed))
}

/// One invocation.
struct Run<'a> {
    repo: &'a Repository,
    context: &'a Context,
    remote: &'a Remote,
    show: Show,
    reporter: Reporter<'a>,
    sets_upstream: bool,
}

impl Run<'_> {
    fn push_to(&self, url: &BString, options: &Options) -> Result<Verdict, CommandError> {
        let shown_url = redacted(url);
        self.reporter.pushing_to(shown_url.as_bstr());
        let mut meters = self.context.meters(&self.repo.config, self.show);
        let push = Push::new(self.repo, self.remote, url.as_bstr(), options);
        let sent = push
            .connect(&mut meters)
            .and_then(|connected| connected.decide(&mut meters))
            .and_then(|decided| decided.send(&mut meters));
        drop(meters);
        let outcome = match sent {
            Ok(outcome) => outcome,
            Err(error) => return self.reporter.refused(error, shown_url.as_bstr()),
        };
        let upstreams = self.sets_upstream.then_some(self.remote);
        self.reporter.report(&outcome, shown_url.as_bstr(), upstreams, options.dry_run)
    }
}

/// Where a push goes: the remote that is named, else the one that the configuration gives the current branch.
fn choose_remote(repo: &Repository, named: Option<&BString>) -> Result<Remote, CommandError> {
    /// Seen in git 2.47.3.
    const NO_DESTINATION: &str = "No configured push destination.\n\
        Either specify the URL from the command-line or configure a remote repository using\n\n    \
        git remote add <name> <url>\n\nand then push using the remote name\n\n    git push <name>\n";
    if let Some(name) = named {
        if name.is_empty() {
            return Err(CommandError::fatal("bad repository ''"));
        }
        return Ok(Remote::from_config(&repo.config, name.as_bstr())?);
    }
    let (name, is_explicit) = default_remote(repo)?;
    let is_there = crate::remote::config::exists(&repo.config, name.as_bstr());
    if !is_there && !is_explicit {
        return Err(CommandError::fatal(NO_DESTINATION));
    }
    Ok(Remote::from_config(&repo.config, name.as_bstr())?)
}

/// The name that the configuration gives, and whether it does: `branch.<name>.pushRemote`, `remote.pushDefault`,
/// `branch.<name>.remote`, else the only remote, else `origin`.
fn default_remote(repo: &Repository) -> Result<(BString, bool), CommandError> {
    let config = &repo.config;
    let branch = repo.head_branch()?;
    let short = branch.as_ref().and_then(|full| full.strip_prefix(b"refs/heads/"));
    let of_branch =
        |last: &str| short.and_then(|short| config.string(&format!("branch.{}.{last}", short.as_bstr())));
    let explicit = of_branch("pushRemote")
        .or_else(|| config.string("remote.pushDefault"))
        .or_else(|| of_branch("remote"));
    Ok(match explicit {
        Some(name) => (name, true),
        None => (default_name(config, None), false),
    })
}

/// The URLs that are pushed to.
fn push_urls(_config: &Config, remote: &Remote) -> Vec<BString> {
    remote.urls.clone()
}

/// `url` as it is shown: without a user name or a password.
fn redacted(url: &BString) -> BString {
    Url::parse(url.as_bstr()).map_or_else(|_| url.clone(), |url| url.redacted())
}
