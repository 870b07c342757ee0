//! `gitr clone`. `git-clone(1)`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::transfer::{bytes, check_credentials, deepen, filter, helper_options, ip_version};
use super::{CommandError, Context, Show, key_and_value, signal, ui};
use crate::remote::Error;
use crate::remote::clone::{Clone, Cloned, Destination, Local, Options, Reference, guess_directory};
use crate::repo::Config;
use crate::repo::checkout::Outcome;
use crate::transport;
use after::Submodules;

mod after;
mod submodule;

const SPEC: Spec = Spec {
    name: "clone",
    synopsis: &["git clone [<options>] [--] <repo> [<dir>]"],
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
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    /// don't create a checkout
    #[arg(short = 'n', long = "no-checkout")]
    no_checkout: bool,
    /// create a bare repository
    #[arg(long, alias = "naked")]
    bare: bool,
    /// create a mirror repository (implies --bare)
    #[arg(long)]
    mirror: bool,
    /// to clone from a local repository
    #[arg(short, long)]
    local: bool,
    /// don't use local hardlinks, always copy
    #[arg(long = "no-hardlinks")]
    no_hardlinks: bool,
    /// setup as shared repository
    #[arg(short, long)]
    shared: bool,
    /// reference repository
    #[arg(long, value_name = "repo")]
    reference: Vec<OsString>,
    /// reference repository
    #[arg(long = "reference-if-able", value_name = "repo")]
    reference_if_able: Vec<OsString>,
    /// use --reference only while cloning
    #[arg(long)]
    dissociate: bool,
    /// initialize submodules in the clone
    #[arg(long = "recurse-submodules", value_name = "pathspec", num_args = 0..=1, require_equals = true,
          default_missing_value = ".")]
    recurse_submodules: Vec<OsString>,
    /// alias of --recurse-submodules
    #[arg(long, value_name = "pathspec", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    recursive: Vec<OsString>,
    /// number of submodules cloned in parallel
    #[arg(short, long, value_name = "n", allow_hyphen_values = true)]
    jobs: Option<i64>,
    /// directory from which templates will be used
    #[arg(long, value_name = "template-directory")]
    template: Option<OsString>,
    /// use <name> instead of 'origin' to track upstream
    #[arg(short, long, value_name = "name")]
    origin: Option<OsString>,
    /// checkout <branch> instead of the remote's HEAD
    #[arg(short, long, value_name = "branch")]
    branch: Option<OsString>,
    /// clone single revision <rev> and check out
    #[arg(long, value_name = "rev")]
    revision: Option<OsString>,
    /// path to git-upload-pack on the remote
    #[arg(short, long = "upload-pack", value_name = "path")]
    upload_pack: Option<OsString>,
    /// create a shallow clone of that depth
    #[arg(long, value_name = "depth", allow_hyphen_values = true)]
    depth: Option<String>,
    /// create a shallow clone since a specific time
    #[arg(long = "shallow-since", value_name = "time")]
    shallow_since: Option<String>,
    /// deepen history of shallow clone, excluding rev
    #[arg(long = "shallow-exclude", value_name = "revision")]
    shallow_exclude: Vec<String>,
    /// don't clone shallow repository
    #[arg(long = "reject-shallow")]
    reject_shallow: bool,
    /// clone only one branch, HEAD or --branch
    #[arg(long = "single-branch")]
    single_branch: bool,
    /// don't clone any tags, and make later fetches not to follow them
    #[arg(long = "no-tags")]
    no_tags: bool,
    /// any cloned submodules will be shallow
    #[arg(long = "shallow-submodules")]
    shallow_submodules: bool,
    /// separate git dir from working tree
    #[arg(long = "separate-git-dir", value_name = "gitdir")]
    separate_git_dir: Option<OsString>,
    /// specify the reference format to use
    #[arg(long = "ref-format", value_name = "format")]
    ref_format: Option<OsString>,
    /// set config inside the new repository
    #[arg(short, long, value_name = "key=value")]
    config: Vec<OsString>,
    /// option to transmit
    #[arg(long = "server-option", value_name = "server-specific")]
    server_option: Vec<OsString>,
    /// use IPv4 addresses only
    #[arg(short = '4', long)]
    ipv4: bool,
    /// use IPv6 addresses only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// object filtering
    #[arg(long, value_name = "args")]
    filter: Vec<OsString>,
    /// apply partial clone filters to submodules
    #[arg(long = "also-filter-submodules")]
    also_filter_submodules: bool,
    /// any cloned submodules will use their remote-tracking branch
    #[arg(long = "remote-submodules")]
    remote_submodules: bool,
    /// initialize sparse-checkout file to include only files at root
    #[arg(long)]
    sparse: bool,
    /// a URI for downloading bundles before fetching from origin remote
    #[arg(long = "bundle-uri", value_name = "uri")]
    bundle_uri: Option<OsString>,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr clone`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let (source, directory) = operands(&parsed.values)?;
    let show = Show::new(parsed.values.verbose, parsed.values.quiet, parsed.choice("progress"));
    let config = context.config()?;
    let mut options = options(&parsed, &context, &config, show)?;
    check_revision(&options)?;
    check_ref_format(&parsed.values, &context, &config)?;
    let is_bare = options.bare || options.mirror;
    let directory = match directory {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(os(guess_directory(source.as_bstr(), is_bare)?)),
    };
    let path = check_source(&source, &config)?;
    let directory = without_end_slashes(directory);
    let destination = destination(&parsed.values, &context, &directory, is_bare)?;
    announce(&destination, is_bare, show);
    if parsed.values.separate_git_dir.as_ref().is_some_and(|git_dir| git_dir.is_empty()) {
        return Err(CommandError::fatal("The empty string is not a valid path"));
    }
    if let Some(path) = path.filter(|path| path.is_file()) {
        complain_of_no_bundle(&path)?;
    }
    if !is_valid_remote_name(&options.origin) {
        return Err(CommandError::fatal(format!("'{}' is not a valid remote name", options.origin)));
    }
    check_credentials(&config, &[crate::remote::config::rewrite(&config, source.as_bstr())])?;
    if options.sparse && is_bare {
        // Seen in git 2.47.3, where another program says so.
        ui::message("fatal", "this operation must be run in a work tree".into());
        return Err(CommandError::silent(1).with_error("failed to initialize sparse-checkout"));
    }
    let submodules = Submodules::new(&parsed, &config, &options)?;
    options.config.extend(submodules.settings(&config)?);
    signal::guard(destination.made(), std::sync::Arc::clone(&context.is_stopped))?;
    let mut meters = context.meters(&config, show);
    let clone = Clone::new(source.as_bstr(), &destination, &options, &context.env, &context.overrides)?;
    let cloned = match clone.run(&mut meters) {
        Err(error @ (Error::Prerequisites(_) | Error::Unbundle(_))) => {
            drop(meters);
            CommandError::from(error).print();
            return Err(CommandError::fatal("remote transport reported error"));
        }
        cloned => cloned?,
    };
    if cloned.is_local && show.verbosity >= 0 {
        ui::note("done.");
    }
    if parsed.values.no_checkout {
        return Ok(0);
    }
    let code = check_out(&cloned, &mut meters)?;
    let hook_code = after::run_hook(&cloned)?;
    if hook_code != 0 {
        return Ok(hook_code);
    }
    Ok(if code == 0 { submodules.update(&cloned, &context, show) } else { code })
}

/// What does not go with `--revision`.
fn check_revision(options: &Options) -> Result<(), CommandError> {
    let other = match (options.branch.is_some(), options.mirror) {
        (true, _) => "--branch",
        (false, true) => "--mirror",
        (false, false) => return Ok(()),
    };
    if options.revision.is_none() {
        return Ok(());
    }
    Err(CommandError::fatal(format!("options '--revision' and '{other}' cannot be used together")))
}

/// `--ref-format`, else `GIT_DEFAULT_REF_FORMAT`, else `init.defaultRefFormat`: one of the two formats cannot be made here.
fn check_ref_format(values: &Arguments, context: &Context, config: &Config) -> Result<(), CommandError> {
    let given = values.ref_format.as_ref().map(bytes);
    let of_environment = || context.env.get("GIT_DEFAULT_REF_FORMAT").map(|format| bytes(&format.to_owned()));
    let is_demanded = given.is_some() || of_environment().is_some();
    let format = given.or_else(of_environment).or_else(|| config.string("init.defaultRefFormat"));
    let Some(format) = format.filter(|format| format != "files") else { return Ok(()) };
    if format == "reftable" {
        return Err(CommandError::fatal("gitr does not make repositories with 'reftable'"));
    }
    let text = format!("unknown ref storage format '{format}'");
    if is_demanded {
        return Err(CommandError::fatal(text));
    }
    ui::message("warning", text.as_bytes().as_bstr());
    Ok(())
}

/// Fills the work tree and tells what came of it.
fn check_out(cloned: &Cloned, meters: &mut ui::Meters) -> Result<u8, CommandError> {
    if cloned.head.is_none() && !cloned.is_empty && !cloned.repo.is_bare() {
        ui::message("warning", "remote HEAD refers to nonexistent ref, unable to checkout".into());
    }
    if cloned.is_detached && !cloned.repo.is_bare() {
        advise_detached(cloned)?;
    }
    match cloned.checkout(meters) {
        Ok(None) => Ok(0),
        Ok(Some(outcome)) if outcome.errors.is_empty() => {
            warn_of_collisions(&outcome);
            Ok(0)
        }
        Ok(Some(outcome)) => {
            for (path, reason) in &outcome.errors {
                ui::message("error", format!("{path}: {reason}").as_bytes().as_bstr());
            }
            checkout_failed();
            Err(CommandError::silent(128))
        }
        Err(error) => {
            let error = CommandError::from(error);
            let code = error.print();
            checkout_failed();
            Err(CommandError::silent(code))
        }
    }
}

/// Where the clone goes: what is there already is refused.
fn destination(
    values: &Arguments,
    context: &Context,
    directory: &Path,
    is_bare: bool,
) -> Result<Destination, CommandError> {
    if is_bare && values.separate_git_dir.is_some() {
        let text = "options '--bare' and '--separate-git-dir' cannot be used together";
        return Err(CommandError::fatal(text));
    }
    let mut destination = Destination::new(directory, is_bare)?;
    if let Some(work_tree) = context.env.path("GIT_WORK_TREE").filter(|_| !is_bare) {
        destination = destination.with_work_tree(&work_tree)?;
    }
    if let Some(git_dir) = &values.separate_git_dir {
        destination = destination.with_git_dir(Path::new(git_dir))?;
    }
    Ok(destination)
}

/// git shows and uses the directory without them.
fn without_end_slashes(directory: PathBuf) -> PathBuf {
    let text = BString::from(directory.as_os_str().as_encoded_bytes());
    let shorter = text.trim_end_with(|character| character == '/');
    if shorter.is_empty() { directory } else { PathBuf::from(os(shorter.into())) }
}

fn checkout_failed() {
    ui::note(
        "warning: Clone succeeded, but checkout failed.\nYou can inspect what was checked out with 'git status'\nand \
         retry with 'git restore --source=HEAD :/'\n",
    );
}

fn warn_of_collisions(outcome: &Outcome) {
    if outcome.collisions.is_empty() {
        return;
    }
    ui::note(
        "warning: the following paths have collided (e.g. case-sensitive paths\non a case-insensitive filesystem) and \
         only one from the same\ncolliding group is in the working tree:\n",
    );
    for path in &outcome.collisions {
        ui::note(format!("  '{path}'"));
    }
}

/// What git says of a `HEAD` that names no branch, unless `advice.detachedHead` is off.
fn advise_detached(cloned: &Cloned) -> Result<(), CommandError> {
    let is_wanted = cloned.repo.config.boolean("advice.detachedHead")?.unwrap_or(true)
        && cloned.repo.env.get("GIT_ADVICE").is_none_or(|advice| advice != "0");
    let Some(head) = cloned.head.filter(|_| is_wanted) else { return Ok(()) };
    ui::note(format!(
        "Note: switching to '{head}'.\n\nYou are in 'detached HEAD' state. You can look around, make experimental\n\
         changes and commit them, and you can discard any commits you make in this\nstate without impacting any \
         branches by switching back to a branch.\n\nIf you want to create a new branch to retain commits you create, \
         you may\ndo so (now or later) by using -c with the switch command. Example:\n\n  git switch -c \
         <new-branch-name>\n\nOr undo this operation with:\n\n  git switch -\n\nTurn off this advice by setting config \
         variable advice.detachedHead to false\n"
    ));
    Ok(())
}

fn announce(destination: &Destination, is_bare: bool, show: Show) {
    if show.verbosity < 0 {
        return;
    }
    let kind = if is_bare { "bare repository " } else { "" };
    ui::note(format!("Cloning into {kind}'{}'...", destination.directory().display()));
}

fn operands(arguments: &Arguments) -> Result<(BString, Option<OsString>), CommandError> {
    let complain = |text: &str| {
        Err(CommandError::usage(format!("fatal: {text}\n\n{}", arguments::usage_of::<Arguments>(&SPEC))))
    };
    match arguments.operands.as_slice() {
        [] => complain("You must specify a repository to clone."),
        [source] => Ok((bytes(source), None)),
        [source, directory] => Ok((bytes(source), Some(directory.clone()))),
        _ => complain("Too many arguments."),
    }
}

/// git says so and goes on: the file may name a git directory.
fn complain_of_no_bundle(path: &Path) -> Result<(), CommandError> {
    if transport::bundle::open(path)?.is_none() {
        let text = format!("'{}' {}", path.display(), crate::protocol::Error::NotABundle);
        ui::message("error", text.as_bytes().as_bstr());
    }
    Ok(())
}

/// A path that is not there is told before anything is announced. Gives the path if it is one.
fn check_source(source: &BString, config: &Config) -> Result<Option<PathBuf>, CommandError> {
    if crate::repo::discover::local_git_dir(Path::new(&os(source.clone()))).is_some() {
        return Ok(None);
    }
    let rewritten = crate::remote::config::rewrite(config, source.as_bstr());
    let Ok(url) = transport::Url::parse(rewritten.as_bstr()) else { return Ok(None) };
    let Some(path) = url.local_path().filter(|_| url.scheme == transport::url::Scheme::Path) else {
        return Ok(None);
    };
    if crate::remote::clone::find_local(&path).is_some() {
        return Ok(Some(path));
    }
    Err(CommandError::fatal(format!("repository '{source}' does not exist")))
}

fn options(
    parsed: &Parsed<Arguments>,
    context: &Context,
    config: &Config,
    show: Show,
) -> Result<Options, CommandError> {
    let values = &parsed.values;
    let settings = values
        .config
        .iter()
        .map(|text| {
            let (key, value) = key_and_value(&bytes(text));
            (key, value.unwrap_or_else(|| "true".into()))
        })
        .collect();
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
        config: settings,
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

/// A remote's name is part of its refs' names.
fn is_valid_remote_name(name: &BString) -> bool {
    let refname = format!("refs/remotes/{name}/test");
    crate::remote::refspec::is_valid_name(refname.as_bytes().as_bstr())
}

fn os(text: BString) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(text.into())
}
