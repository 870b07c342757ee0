//! The options of `gitr clone`, and what they ask for.

use std::ffi::OsString;
use std::path::PathBuf;

use super::format;
use crate::cmd::arguments::Parsed;
use crate::cmd::transfer::{bytes, deepen, filter, helper_options, ip_version};
use crate::cmd::{CommandError, Context, Show, key_and_value, ui};
use crate::remote::clone::{Local, Options, Reference};
use crate::repo::config::Override;
use crate::repo::{Config, RefFormat};
use crate::transport;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// be more verbose
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// be more quiet
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) quiet: u8,
    /// force progress reporting
    #[arg(long)]
    pub(super) progress: bool,
    /// don't create a checkout
    #[arg(short = 'n', long = "no-checkout")]
    pub(super) no_checkout: bool,
    /// create a bare repository
    #[arg(long, alias = "naked")]
    pub(super) bare: bool,
    /// create a mirror repository (implies --bare)
    #[arg(long)]
    pub(super) mirror: bool,
    /// to clone from a local repository
    #[arg(short, long)]
    pub(super) local: bool,
    /// don't use local hardlinks, always copy
    #[arg(long = "no-hardlinks")]
    pub(super) no_hardlinks: bool,
    /// setup as shared repository
    #[arg(short, long)]
    pub(super) shared: bool,
    /// reference repository
    #[arg(long, value_name = "repo")]
    pub(super) reference: Vec<OsString>,
    /// reference repository
    #[arg(long = "reference-if-able", value_name = "repo")]
    pub(super) reference_if_able: Vec<OsString>,
    /// use --reference only while cloning
    #[arg(long)]
    pub(super) dissociate: bool,
    /// initialize submodules in the clone
    // what may be shortened to its other name too is no less clear for that
    #[arg(long = "recurse-submodules", aliases = ["rec", "recu", "recur", "recurs"], value_name = "pathspec",
          num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    pub(super) recurse_submodules: Vec<OsString>,
    /// alias of --recurse-submodules
    #[arg(long, value_name = "pathspec", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    pub(super) recursive: Vec<OsString>,
    /// number of submodules cloned in parallel
    #[arg(short, long, value_name = "n", allow_hyphen_values = true)]
    pub(super) jobs: Option<i64>,
    /// directory from which templates will be used
    #[arg(long, value_name = "template-directory")]
    pub(super) template: Option<OsString>,
    /// use <name> instead of 'origin' to track upstream
    #[arg(short, long, value_name = "name")]
    pub(super) origin: Option<OsString>,
    /// checkout <branch> instead of the remote's HEAD
    #[arg(short, long, value_name = "branch")]
    pub(super) branch: Option<OsString>,
    /// clone single revision <rev> and check out
    #[arg(long, value_name = "rev")]
    pub(super) revision: Option<OsString>,
    /// path to git-upload-pack on the remote
    #[arg(short, long = "upload-pack", value_name = "path")]
    pub(super) upload_pack: Option<OsString>,
    /// create a shallow clone of that depth
    #[arg(long, value_name = "depth", allow_hyphen_values = true)]
    pub(super) depth: Option<String>,
    /// create a shallow clone since a specific time
    #[arg(long = "shallow-since", value_name = "time")]
    pub(super) shallow_since: Option<String>,
    /// deepen history of shallow clone, excluding rev
    #[arg(long = "shallow-exclude", value_name = "revision")]
    pub(super) shallow_exclude: Vec<String>,
    /// don't clone shallow repository
    #[arg(long = "reject-shallow")]
    pub(super) reject_shallow: bool,
    /// clone only one branch, HEAD or --branch
    #[arg(long = "single-branch")]
    pub(super) single_branch: bool,
    /// don't clone any tags, and make later fetches not to follow them
    #[arg(long = "no-tags")]
    pub(super) no_tags: bool,
    /// any cloned submodules will be shallow
    #[arg(long = "shallow-submodules")]
    pub(super) shallow_submodules: bool,
    /// separate git dir from working tree
    #[arg(long = "separate-git-dir", value_name = "gitdir")]
    pub(super) separate_git_dir: Option<OsString>,
    /// specify the reference format to use
    #[arg(long = "ref-format", value_name = "format")]
    pub(super) ref_format: Option<OsString>,
    /// set config inside the new repository
    #[arg(short, long, value_name = "key=value")]
    pub(super) config: Vec<OsString>,
    /// option to transmit
    #[arg(long = "server-option", value_name = "server-specific")]
    pub(super) server_option: Vec<OsString>,
    /// use IPv4 addresses only
    #[arg(short = '4', long)]
    pub(super) ipv4: bool,
    /// use IPv6 addresses only
    #[arg(short = '6', long)]
    pub(super) ipv6: bool,
    /// object filtering
    #[arg(long, value_name = "args")]
    pub(super) filter: Vec<OsString>,
    /// apply partial clone filters to submodules
    #[arg(long = "also-filter-submodules")]
    pub(super) also_filter_submodules: bool,
    /// any cloned submodules will use their remote-tracking branch
    #[arg(long = "remote-submodules")]
    pub(super) remote_submodules: bool,
    /// initialize sparse-checkout file to include only files at root
    #[arg(long)]
    pub(super) sparse: bool,
    /// a URI for downloading bundles before fetching from origin remote
    #[arg(long = "bundle-uri", value_name = "uri")]
    pub(super) bundle_uri: Option<OsString>,
    #[arg(hide = true)]
    pub(super) operands: Vec<OsString>,
}

/// What the options and the configuration ask for.
pub(super) fn options(
    parsed: &Parsed<Arguments>,
    context: &Context,
    config: &Config,
    show: Show,
) -> Result<Options, CommandError> {
    let values = &parsed.values;
    let origin = match &values.origin {
        Some(name) => bytes(name),
        None => config.string("clone.defaultRemoteName").unwrap_or_else(|| "origin".into()),
    };
    let terminal = ui::Terminal::new(&context.env);
    let is_cut =
        values.depth.is_some() || values.shallow_since.is_some() || !values.shallow_exclude.is_empty();
    if values.bundle_uri.is_some() && is_cut {
        let text =
            "options '--bundle-uri' and '--depth/--shallow-since/--shallow-exclude' cannot be used together";
        return Err(CommandError::fatal(text));
    }
    let deepen = deepen(values.depth.as_ref(), values.shallow_since.as_ref(), &values.shallow_exclude)?;
    Ok(Options {
        ref_format: values.ref_format.as_ref().map_or(Ok(RefFormat::Files), format::named)?,
        bare: values.bare,
        mirror: values.mirror,
        branch: values.branch.as_ref().map(bytes),
        revision: values.revision.as_ref().map(bytes),
        single_branch: parsed.choice("single-branch"),
        no_tags: values.no_tags,
        deepen,
        bundle_uri: values.bundle_uri.as_ref().map(bytes),
        filter: filter(&values.filter)?,
        reject_shallow: match parsed.choice("reject-shallow") {
            Some(reject) => reject,
            None => config.boolean("clone.rejectShallow")?.unwrap_or(false),
        },
        config: settings(values),
        local: local(parsed),
        insists_on_local: parsed.choice("local") == Some(true),
        references: references(values),
        dissociate: values.dissociate,
        sparse: values.sparse,
        template: values.template.clone().map(PathBuf::from),
        no_progress: !show.is_progress_shown(&terminal),
        transport: transport::Options {
            remote: Some(origin.clone()),
            upload_pack: values.upload_pack.as_ref().map(bytes),
            ip_version: ip_version(values.ipv4, values.ipv6),
            verbose: show.verbosity > 0,
            helper_options: helper_options(show, &context.env),
            ..transport::Options::default()
        },
        server_options: values.server_option.iter().map(bytes).collect(),
        origin,
    })
}

/// `--config`: keys and values.
fn settings(values: &Arguments) -> Vec<Override> {
    values.config.iter().map(|text| key_and_value(&bytes(text))).collect()
}

/// `config` with what `--config` adds, as the new repository will have it: what stands in front of the command counts more. It
/// holds for `clone.*` alone, as in git 2.47.3; what makes no sense is told of when it is to be written.
pub(super) fn with_settings(config: &Config, values: &Arguments, context: &Context) -> Config {
    let all = [settings(values), context.overrides.clone()].concat();
    Config::load(&context.env, &all, None).unwrap_or_else(|_| config.clone())
}

fn local(parsed: &Parsed<Arguments>) -> Local {
    match (parsed.choice("local"), parsed.values.no_hardlinks) {
        (Some(false), _) => Local::Transfer,
        (Some(true) | None, _) if parsed.values.shared => Local::Share,
        (Some(true) | None, true) => Local::Copy,
        (Some(true) | None, false) => Local::Link,
    }
}

/// Those that must be there first, as in git.
fn references(values: &Arguments) -> Vec<Reference> {
    let reference = |is_optional| move |path: &OsString| Reference { path: path.into(), is_optional };
    let needed = values.reference.iter().map(reference(false));
    needed.chain(values.reference_if_able.iter().map(reference(true))).collect()
}
