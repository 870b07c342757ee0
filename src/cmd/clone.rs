//! `gitr clone`. `git-clone(1)`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::transfer::{bytes, check_credentials};
use super::{CommandError, Context, Show, signal, ui, warn_of_storage};
use crate::remote::Error;
use crate::remote::clone::{Clone, Destination, Options, guess_directory};
use crate::repo::Config;
use crate::transport;
use after::Submodules;
use checkout::check_out;
pub(super) use checkout::checkout_failed;
use options::{Arguments, options, with_settings};

mod after;
mod checkout;
mod format;
mod options;
mod submodule;

const SPEC: Spec = Spec {
    name: "clone",
    synopsis: &["git clone [<options>] [--] <repo> [<dir>]"],
    plain: &["ipv4", "ipv6"],
};

/// Runs `gitr clone`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let (source, directory) = operands(&parsed.values)?;
    let show = Show::new(parsed.values.verbose, parsed.values.quiet, parsed.choice("progress"));
    let config = context.config()?;
    config.check_core()?;
    warn_of_storage(&config);
    let with_settings = with_settings(&config, &parsed.values, &context);
    let mut options = options(&parsed, &context, &with_settings, show)?;
    check_revision(&options)?;
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
    let given = parsed.values.ref_format.is_some().then_some(options.ref_format);
    options.ref_format = format::choose(given, &context, &config)?;
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
    let submodules = Submodules::new(&parsed, &with_settings, &options)?;
    let of_submodules = submodules.settings(&config)?;
    options.config.extend(of_submodules.into_iter().map(|(key, value)| (key, Some(value))));
    signal::guard(destination.made(), std::sync::Arc::clone(&context.is_stopped))?;
    let mut meters = context.meters(&config, show);
    let clone = Clone::new(source.as_bstr(), &destination, &options, &context.env, &context.overrides)?;
    let cloned = match clone.run(&mut meters) {
        Ok(cloned) => cloned,
        Err(error) => {
            drop(meters);
            return Err(failed(error));
        }
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

/// Why there is no clone, as git tells it.
fn failed(error: Error) -> CommandError {
    match error {
        Error::Prerequisites(_) | Error::Unbundle(_) => {
            CommandError::from(error).print();
            CommandError::fatal("remote transport reported error")
        }
        Error::NotConnected { .. } => CommandError::fatal("remote did not send all necessary objects"),
        error => error.into(),
    }
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

/// A remote's name is part of its refs' names.
fn is_valid_remote_name(name: &BString) -> bool {
    let refname = format!("refs/remotes/{name}/test");
    crate::remote::refspec::is_valid_name(refname.as_bytes().as_bstr())
}

fn os(text: BString) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(text.into())
}
