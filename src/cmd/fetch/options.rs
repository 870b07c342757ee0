//! The options of a fetch, and what they and the configuration ask for.

use std::ffi::OsString;
use std::io::Read;

use bstr::ByteSlice;

use crate::cmd::arguments::{Parsed, Spec};
use crate::cmd::transfer::{DEPTH_INFINITE, bytes, deepen, filter, helper_options, ip_version};
use crate::cmd::ui::Terminal;
use crate::cmd::{CommandError, Context, Show};
use crate::protocol::fetch::Deepen;
use crate::remote::Refspec;
use crate::remote::config::Tags;
use crate::remote::fetch::Options;
use crate::repo::Repository;
use crate::transport;

pub(super) const SPEC: Spec = Spec {
    name: "fetch",
    synopsis: &[
        "git fetch [<options>] [<repository> [<refspec>...]]",
        "git fetch [<options>] <group>",
        "git fetch --multiple [<options>] [(<repository> | <group>)...]",
        "git fetch --all [<options>]",
    ],
    plain: &["unshallow", "refetch", "refmap", "ipv4", "ipv6"],
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// be more verbose
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// be more quiet
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) quiet: u8,
    /// fetch from all remotes
    #[arg(long)]
    pub(super) all: bool,
    /// set upstream for git pull/fetch
    #[arg(long = "set-upstream")]
    pub(super) set_upstream: bool,
    #[arg(short, long, help = "append to .git/FETCH_HEAD instead of overwriting")]
    pub(super) append: bool,
    /// use atomic transaction to update references
    #[arg(long)]
    pub(super) atomic: bool,
    /// path to upload pack on remote end
    #[arg(long = "upload-pack", value_name = "path")]
    upload_pack: Option<OsString>,
    /// force overwrite of local reference
    #[arg(short, long)]
    pub(super) force: bool,
    /// fetch from multiple remotes
    #[arg(short, long)]
    pub(super) multiple: bool,
    /// fetch all tags and associated objects
    #[arg(short, long)]
    tags: bool,
    /// do not fetch all tags (--no-tags)
    #[arg(short = 'n', overrides_with = "tags")]
    no_tags_short: bool,
    /// number of submodules fetched in parallel
    #[arg(short, long, value_name = "n", allow_hyphen_values = true)]
    pub(super) jobs: Option<i64>,
    /// modify the refspec to place all refs within refs/prefetch/
    #[arg(long)]
    prefetch: bool,
    /// prune remote-tracking branches no longer on remote
    #[arg(short, long)]
    prune: bool,
    /// prune local tags no longer on remote and clobber changed tags
    #[arg(short = 'P', long = "prune-tags")]
    prune_tags: bool,
    /// control recursive fetching of submodules
    #[arg(long = "recurse-submodules", value_name = "on-demand", num_args = 0..=1, require_equals = true,
          default_missing_value = "yes")]
    pub(super) recurse_submodules: Option<OsString>,
    /// dry run
    #[arg(long = "dry-run")]
    pub(super) dry_run: bool,
    /// machine-readable output
    #[arg(long)]
    pub(super) porcelain: bool,
    /// write fetched references to the FETCH_HEAD file
    #[arg(long = "write-fetch-head")]
    write_fetch_head: bool,
    /// keep downloaded pack
    #[arg(short, long)]
    pub(super) keep: bool,
    /// allow updating of HEAD ref
    #[arg(short, long = "update-head-ok")]
    pub(super) update_head_ok: bool,
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    /// deepen history of shallow clone
    #[arg(long, value_name = "depth", allow_hyphen_values = true)]
    depth: Option<String>,
    /// deepen history of shallow repository based on time
    #[arg(long = "shallow-since", value_name = "time")]
    shallow_since: Option<String>,
    /// deepen history of shallow clone, excluding rev
    #[arg(long = "shallow-exclude", value_name = "revision")]
    shallow_exclude: Vec<String>,
    /// deepen history of shallow clone
    #[arg(long, value_name = "n", allow_hyphen_values = true)]
    deepen: Option<i64>,
    /// convert to a complete repository
    #[arg(long)]
    unshallow: bool,
    /// re-fetch without negotiating common commits
    #[arg(long)]
    pub(super) refetch: bool,
    /// What paths in messages begin with; a fetch gives it to the fetches of its submodules.
    #[arg(long = "submodule-prefix", hide = true)]
    pub(super) submodule_prefix: Option<OsString>,
    /// What holds of submodules where nothing else is said; a fetch gives it to the fetches of its submodules.
    #[arg(long = "recurse-submodules-default", hide = true)]
    pub(super) recurse_submodules_default: Option<OsString>,
    /// accept refs that update .git/shallow
    #[arg(long = "update-shallow")]
    update_shallow: bool,
    /// specify fetch refmap
    #[arg(long, value_name = "refmap")]
    refmap: Vec<OsString>,
    /// option to transmit
    #[arg(short = 'o', long = "server-option", value_name = "server-specific")]
    server_option: Vec<OsString>,
    /// use IPv4 addresses only
    #[arg(short = '4', long)]
    pub(super) ipv4: bool,
    /// use IPv6 addresses only
    #[arg(short = '6', long)]
    pub(super) ipv6: bool,
    /// ensure this ref is always sent as a negotiation have
    #[arg(long = "negotiation-include", value_name = "revision")]
    negotiation_include: Vec<OsString>,
    /// report that we have only objects reachable from this object
    // what is shortened means this one, which git has had for longer
    #[arg(long = "negotiation-tip", aliases = ["negotiati", "negotiatio", "negotiation", "negotiation-", "negotiation-restrict"],
          value_name = "revision")]
    pub(super) negotiation_tip: Vec<OsString>,
    /// do not fetch a packfile; instead, print ancestors of negotiation tips
    #[arg(long = "negotiate-only")]
    pub(super) negotiate_only: bool,
    /// object filtering
    #[arg(long, value_name = "args")]
    pub(super) filter: Vec<OsString>,
    /// run 'maintenance --auto' after fetching
    #[arg(long = "auto-maintenance", overrides_with_all = ["auto_gc", "no:auto-gc"])]
    auto_maintenance: bool,
    /// run 'maintenance --auto' after fetching
    #[arg(long = "auto-gc", overrides_with_all = ["auto_maintenance", "no:auto-maintenance"])]
    auto_gc: bool,
    /// check for forced-updates on all updated branches
    #[arg(long = "show-forced-updates")]
    show_forced_updates: bool,
    /// write the commit-graph after fetching
    #[arg(long = "write-commit-graph")]
    write_commit_graph: bool,
    /// accept refspecs from stdin
    #[arg(long)]
    pub(super) stdin: bool,
    #[arg(hide = true)]
    pub(super) operands: Vec<OsString>,
}

/// The refspecs of the command line, where `tag <name>` is two words, and with `--stdin` those of standard input, one a
/// line.
pub(super) fn refspecs(words: &[OsString], reads_stdin: bool) -> Result<Vec<Refspec>, CommandError> {
    let mut refspecs = Vec::new();
    let mut words = words.iter().map(bytes);
    while let Some(word) = words.next() {
        if word == "tag" {
            let name = words.next().ok_or_else(|| CommandError::fatal("you need to specify a tag name"))?;
            refspecs.push(Refspec::tag(name.as_bstr())?);
        } else {
            refspecs.push(Refspec::parse_fetch(word.as_bstr())?);
        }
    }
    if reads_stdin {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text)?;
        for line in text.lines() {
            refspecs.push(Refspec::parse_fetch(line.as_bstr())?);
        }
    }
    Ok(refspecs)
}

/// What one fetch is to do, but for its refspecs.
pub(super) fn options(
    parsed: &Parsed<Arguments>,
    repo: &Repository,
    context: &Context,
    show: Show,
) -> Result<Options, CommandError> {
    let values = &parsed.values;
    let terminal = Terminal::new(&context.env);
    Ok(Options {
        deepen: deepening(values, repo)?,
        tags: tags(parsed),
        prune: parsed.choice("prune"),
        prune_tags: parsed.choice("prune-tags"),
        prefetch: values.prefetch,
        refetch: values.refetch,
        update_shallow: values.update_shallow,
        skips_forced_check: !shows_forced_updates(parsed, repo)?,
        atomic: values.atomic,
        refmap: refmap(&values.refmap)?,
        negotiation_tips: values.negotiation_tip.iter().map(bytes).collect(),
        negotiation_include: values.negotiation_include.iter().map(bytes).collect(),
        skips_unchanged: show.verbosity <= 0,
        keep: values.keep,
        dry_run: values.dry_run,
        force: values.force,
        append: values.append,
        no_fetch_head: values.dry_run || parsed.choice("write-fetch-head") == Some(false),
        update_head_ok: values.update_head_ok,
        filter: filter(&values.filter)?,
        no_filter: parsed.choice("filter") == Some(false),
        no_progress: !show.is_progress_shown(&terminal),
        transport: transport::Options {
            upload_pack: values.upload_pack.as_ref().map(bytes),
            ip_version: ip_version(values.ipv4, values.ipv6),
            verbose: show.verbosity > 0,
            helper_options: helper_options(show, &repo.env),
            ..transport::Options::default()
        },
        server_options: values.server_option.iter().map(bytes).collect(),
        ..Options::default()
    })
}

/// `--tags`, `--no-tags` and `-n`.
pub(super) fn tags(parsed: &Parsed<Arguments>) -> Option<Tags> {
    match (parsed.choice("tags"), parsed.values.no_tags_short) {
        (Some(true), _) => Some(Tags::All),
        (Some(false), _) | (None, true) => Some(Tags::None),
        (None, false) => None,
    }
}

/// `--auto-maintenance` or `--auto-gc`, of which the last counts.
pub(super) fn runs_maintenance(parsed: &Parsed<Arguments>) -> bool {
    let choice = parsed.choice("auto-maintenance").or_else(|| parsed.choice("auto-gc"));
    choice.unwrap_or(true)
}

/// `--write-commit-graph`, else `fetch.writeCommitGraph`, which `feature.experimental` sets too.
pub(super) fn writes_commit_graph(
    parsed: &Parsed<Arguments>,
    repo: &Repository,
) -> Result<bool, CommandError> {
    if let Some(choice) = parsed.choice("write-commit-graph") {
        return Ok(choice);
    }
    Ok(match repo.config.boolean("fetch.writeCommitGraph")? {
        Some(wish) => wish,
        None => repo.config.boolean("feature.experimental")?.unwrap_or(false),
    })
}

fn shows_forced_updates(parsed: &Parsed<Arguments>, repo: &Repository) -> Result<bool, CommandError> {
    match parsed.choice("show-forced-updates") {
        Some(choice) => Ok(choice),
        None => Ok(repo.config.boolean("fetch.showForcedUpdates")?.unwrap_or(true)),
    }
}

/// `--refmap`, any number; an empty one stands for nothing.
fn refmap(texts: &[OsString]) -> Result<Option<Vec<Refspec>>, CommandError> {
    if texts.is_empty() {
        return Ok(None);
    }
    let given = texts.iter().filter(|text| !text.is_empty());
    let refspecs = given.map(|text| Refspec::parse_fetch(bytes(text).as_bstr()));
    Ok(Some(refspecs.collect::<Result<_, _>>()?))
}

fn deepening(values: &Arguments, repo: &Repository) -> Result<Deepen, CommandError> {
    let together = |one: &str, other: &str| {
        CommandError::fatal(format!("options '{one}' and '{other}' cannot be used together"))
    };
    let more = values.deepen;
    if more.is_some() && values.depth.is_some() {
        return Err(together("--deepen", "--depth"));
    }
    if more.is_some_and(|more| more < 0) {
        return Err(CommandError::fatal("negative depth in --deepen is not supported"));
    }
    if values.unshallow {
        if values.depth.is_some() || more.is_some() {
            return Err(together("--depth", "--unshallow"));
        }
        if repo.shallow()?.is_empty() {
            return Err(CommandError::fatal("--unshallow on a complete repository does not make sense"));
        }
    }
    // whether these go together is for the server to say
    let wish = deepen(values.depth.as_ref(), values.shallow_since.as_ref(), &values.shallow_exclude)?;
    if values.unshallow {
        return Ok(Deepen { depth: DEPTH_INFINITE, ..wish });
    }
    if let Some(more) = more {
        let depth = u32::try_from(more).unwrap_or(DEPTH_INFINITE).min(DEPTH_INFINITE);
        return Ok(Deepen { depth, relative: true, ..wish });
    }
    Ok(wish)
}
