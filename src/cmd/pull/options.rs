//! The options of `gitr pull`, and which of them go to the fetch, the merge and the rebase.

use std::ffi::OsString;

use super::CommandError;
use crate::cmd::Show;
use crate::cmd::arguments::{Parsed, Spec};
use crate::repo::Repository;

pub(super) const SPEC: Spec = Spec {
    name: "pull",
    synopsis: &["git pull [<options>] [<repository> [<refspec>...]]"],
    plain: &["ff-only", "unshallow", "refmap"],
};

/// What a fetch takes.
pub(super) const FETCH_OPTIONS: [&str; 25] = [
    "progress",
    "recurse-submodules",
    "all",
    "append",
    "upload-pack",
    "force",
    "tags",
    "prune",
    "jobs",
    "dry-run",
    "keep",
    "depth",
    "shallow-since",
    "shallow-exclude",
    "deepen",
    "unshallow",
    "update-shallow",
    "refmap",
    "server-option",
    "ipv4",
    "ipv6",
    "negotiation-tip",
    "negotiation-include",
    "show-forced-updates",
    "set-upstream",
];

/// What a merge takes.
pub(super) const MERGE_OPTIONS: [&str; 13] = [
    "progress",
    "log",
    "signoff",
    "squash",
    "commit",
    "edit",
    "cleanup",
    "verify",
    "verify-signatures",
    "strategy",
    "strategy-option",
    "gpg-sign",
    "allow-unrelated-histories",
];

/// What a rebase takes.
pub(super) const REBASE_OPTIONS: [&str; 4] = ["strategy", "strategy-option", "gpg-sign", "signoff"];

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// be more verbose
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// be more quiet
    #[arg(short, long, action = clap::ArgAction::Count)]
    quiet: u8,
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    /// control for recursive fetching of submodules
    #[arg(long = "recurse-submodules", value_name = "on-demand", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    recurse_submodules: Option<OsString>,
    #[arg(short, long, value_name = "(false|true|merges|interactive)", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", help = "incorporate changes by rebasing rather than merging",
          help_heading = MERGING)]
    pub(super) rebase: Option<OsString>,
    /// do not show a diffstat at the end of the merge
    #[arg(short = 'n', help_heading = MERGING)]
    no_diffstat: bool,
    /// show a diffstat at the end of the merge
    #[arg(long, overrides_with = "no_diffstat", help_heading = MERGING)]
    stat: bool,
    #[arg(long = "summary", overrides_with = "no_diffstat", hide = true)]
    summary: bool,
    #[arg(long = "compact-summary", overrides_with_all = ["no_diffstat", "stat", "summary"], hide = true)]
    compact_summary: bool,
    #[arg(long, value_name = "n", num_args = 0..=1, require_equals = true, default_missing_value = "",
          help = "add (at most <n>) entries from shortlog to merge commit message", help_heading = MERGING)]
    log: Option<OsString>,
    #[arg(long, value_name = "...", num_args = 0..=1, require_equals = true, default_missing_value = "",
          help = "add a Signed-off-by trailer", help_heading = MERGING)]
    signoff: Option<OsString>,
    /// create a single commit instead of doing a merge
    #[arg(long, help_heading = MERGING)]
    pub(super) squash: bool,
    #[arg(long, aliases = ["co", "com"], help = "perform a commit if the merge succeeds (default)", help_heading = MERGING)]
    commit: bool,
    /// edit message before committing
    #[arg(long, help_heading = MERGING)]
    edit: bool,
    #[arg(long, value_name = "mode", help = "how to strip spaces and #comments from message",
          help_heading = MERGING)]
    cleanup: Option<OsString>,
    /// allow fast-forward
    #[arg(long, help_heading = MERGING)]
    ff: bool,
    /// abort if fast-forward is not possible
    #[arg(long = "ff-only", overrides_with_all = ["ff", "no:ff"], help_heading = MERGING)]
    pub(super) ff_only: bool,
    /// control use of pre-merge-commit and commit-msg hooks
    #[arg(long, help_heading = MERGING)]
    verify: bool,
    /// verify that the named commit has a valid GPG signature
    #[arg(long = "verify-signatures", help_heading = MERGING)]
    verify_signatures: bool,
    /// automatically stash/stash pop before and after
    #[arg(long, help_heading = MERGING)]
    autostash: bool,
    /// merge strategy to use
    #[arg(short, long, value_name = "strategy", help_heading = MERGING)]
    strategy: Vec<OsString>,
    /// option for selected merge strategy
    #[arg(short = 'X', long = "strategy-option", value_name = "option=value", help_heading = MERGING)]
    strategy_option: Vec<OsString>,
    #[arg(short = 'S', long = "gpg-sign", value_name = "key-id", num_args = 0..=1, require_equals = true,
          default_missing_value = "", help = "GPG sign commit", help_heading = MERGING)]
    gpg_sign: Option<OsString>,
    /// allow merging unrelated histories
    #[arg(long = "allow-unrelated-histories", help_heading = MERGING)]
    allow_unrelated_histories: bool,
    /// fetch from all remotes
    #[arg(long, help_heading = FETCHING)]
    all: bool,
    #[arg(short, long, help = "append to .git/FETCH_HEAD instead of overwriting", help_heading = FETCHING)]
    append: bool,
    /// path to upload pack on remote end
    #[arg(long = "upload-pack", value_name = "path", help_heading = FETCHING)]
    upload_pack: Option<OsString>,
    /// force overwrite of local branch
    #[arg(short, long, help_heading = FETCHING)]
    force: bool,
    /// fetch all tags and associated objects
    #[arg(short, long, help_heading = FETCHING)]
    tags: bool,
    /// prune remote-tracking branches no longer on remote
    #[arg(short, long, help_heading = FETCHING)]
    prune: bool,
    #[arg(short, long, value_name = "n", num_args = 0..=1, require_equals = true, default_missing_value = "",
          help = "number of submodules pulled in parallel", help_heading = FETCHING)]
    jobs: Option<OsString>,
    /// dry run
    #[arg(long = "dry-run", help_heading = FETCHING)]
    pub(super) dry_run: bool,
    /// keep downloaded pack
    #[arg(short, long, help_heading = FETCHING)]
    keep: bool,
    /// deepen history of shallow clone
    #[arg(long, value_name = "depth", allow_hyphen_values = true, help_heading = FETCHING)]
    depth: Option<OsString>,
    /// deepen history of shallow repository based on time
    #[arg(long = "shallow-since", value_name = "time", help_heading = FETCHING)]
    shallow_since: Vec<OsString>,
    /// deepen history of shallow clone, excluding rev
    #[arg(long = "shallow-exclude", value_name = "revision", help_heading = FETCHING)]
    shallow_exclude: Vec<OsString>,
    /// deepen history of shallow clone
    #[arg(long, value_name = "n", help_heading = FETCHING)]
    deepen: Option<OsString>,
    /// convert to a complete repository
    #[arg(long, help_heading = FETCHING)]
    unshallow: bool,
    /// accept refs that update .git/shallow
    #[arg(long = "update-shallow", help_heading = FETCHING)]
    update_shallow: bool,
    /// specify fetch refmap
    #[arg(long, value_name = "refmap", help_heading = FETCHING)]
    refmap: Vec<OsString>,
    /// option to transmit
    #[arg(short = 'o', long = "server-option", value_name = "server-specific", help_heading = FETCHING)]
    server_option: Vec<OsString>,
    /// use IPv4 addresses only
    #[arg(short = '4', long, help_heading = FETCHING)]
    ipv4: bool,
    /// use IPv6 addresses only
    #[arg(short = '6', long, help_heading = FETCHING)]
    ipv6: bool,
    /// report that we have only objects reachable from this object
    // what is shortened means this one, which git has had for longer
    #[arg(long = "negotiation-tip", aliases = ["negotiati", "negotiatio", "negotiation", "negotiation-", "negotiation-restrict"],
          value_name = "revision", help_heading = FETCHING)]
    negotiation_tip: Vec<OsString>,
    /// ensure this ref is always sent as a negotiation have
    #[arg(long = "negotiation-include", value_name = "revision", hide = true, help_heading = FETCHING)]
    negotiation_include: Vec<OsString>,
    /// check for forced-updates on all updated branches
    #[arg(long = "show-forced-updates", help_heading = FETCHING)]
    show_forced_updates: bool,
    /// set upstream for git pull/fetch
    #[arg(long = "set-upstream", help_heading = FETCHING)]
    set_upstream: bool,
    #[arg(hide = true)]
    pub(super) operands: Vec<OsString>,
}

/// The headings of the usage.
const MERGING: &str = "Options related to merging";
const FETCHING: &str = "Options related to fetching";

/// `-v` and `-q` as they are passed on.
pub(super) fn verbosity(parsed: &Parsed<Arguments>) -> Vec<OsString> {
    let verbosity = parsed.verbosity();
    let word = if verbosity < 0 { "-q" } else { "-v" };
    vec![word.into(); usize::from(verbosity.unsigned_abs())]
}

/// Refuses a `--cleanup` that no merge would take, before anything is fetched.
pub(super) fn check_cleanup(parsed: &Parsed<Arguments>) -> Result<(), CommandError> {
    /// git-commit(1), `--cleanup`.
    const MODES: [&str; 5] = ["default", "strip", "whitespace", "verbatim", "scissors"];
    let mode = parsed.values.cleanup.as_ref().map(|mode| mode.to_string_lossy());
    match mode.filter(|mode| !MODES.contains(&mode.as_ref())) {
        Some(mode) => Err(CommandError::fatal(format!("Invalid cleanup mode {mode}"))),
        None => Ok(()),
    }
}

/// Whether submodules come along: `--recurse-submodules`, `submodule.recurse`.
pub(super) fn recurses(parsed: &Parsed<Arguments>, repo: &Repository) -> Result<bool, CommandError> {
    if let Some(value) = &parsed.values.recurse_submodules {
        return Ok(!["no", "false", "off"].iter().any(|no| value == no));
    }
    if parsed.choice("recurse-submodules") == Some(false) {
        return Ok(false);
    }
    Ok(repo.config.boolean("submodule.recurse")?.unwrap_or(false))
}

/// How much is shown.
pub(super) fn show(parsed: &Parsed<Arguments>) -> Show {
    Show { verbosity: parsed.verbosity(), progress: parsed.choice("progress") }
}

/// `-n`, `--stat` and their like as they are passed on.
pub(super) fn diffstat(parsed: &Parsed<Arguments>) -> Option<OsString> {
    if parsed.values.no_diffstat {
        return Some("-n".into());
    }
    if parsed.values.compact_summary {
        return Some("--compact-summary".into());
    }
    let choice = parsed.choice("stat").or(parsed.choice("summary"))?;
    Some(if choice { "--stat" } else { "--no-stat" }.into())
}

/// What is shown of what a fast-forward changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownChanges {
    None,
    /// Files with their lines, then what is new or gone.
    Full,
    /// All in one line for each file.
    Compact,
}

/// `-n`, `--stat`, `--compact-summary`, `merge.stat`. `compact` is of git 2.51; what `merge.stat` does not know is shown.
pub(super) fn shown_changes(parsed: &Parsed<Arguments>, repo: &Repository) -> ShownChanges {
    if let Some(word) = diffstat(parsed) {
        return match word.to_str() {
            Some("--stat") => ShownChanges::Full,
            Some("--compact-summary") => ShownChanges::Compact,
            _ => ShownChanges::None,
        };
    }
    let value =
        ["merge.stat", "merge.diffstat"].into_iter().find_map(|key| Some((key, repo.config.string(key)?)));
    match value {
        Some((_, value)) if value == "compact" => ShownChanges::Compact,
        Some((key, _)) if !repo.config.boolean(key).ok().flatten().unwrap_or(true) => ShownChanges::None,
        Some(_) | None => ShownChanges::Full,
    }
}

/// Whether a merge looks at signatures: `--verify-signatures`, `merge.verifySignatures`.
pub(super) fn verifies_signatures(
    parsed: &Parsed<Arguments>,
    repo: &Repository,
) -> Result<bool, CommandError> {
    let choice = parsed.choice("verify-signatures");
    Ok(choice.or(repo.config.boolean("merge.verifySignatures")?).unwrap_or(false))
}
