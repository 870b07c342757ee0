//! `gitr remote`. `git-remote(1)`.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::transfer::{check_credentials, helper_options};
use super::{CommandError, Context, Show, ui};
use crate::remote::config::{names, urls};
use crate::remote::configure::Stranded;
use crate::remote::survey::Survey;
use crate::remote::{Remote, listing};
use crate::repo::{Config, Repository};
use crate::transport;

mod add;
mod branches;
mod head;
mod prune;
mod rename;
mod show;
mod update;
mod url;

const SPEC: Spec = Spec {
    name: "remote",
    synopsis: &[
        "git remote [-v | --verbose]",
        "git remote add [-t <branch>] [-m <master>] [-f] [--tags | --no-tags] [--mirror=<fetch|push>] <name> <url>",
        "git remote rename [--[no-]progress] <old> <new>",
        "git remote remove <name>",
        "git remote set-head <name> (-a | --auto | -d | --delete | <branch>)",
        "git remote [-v | --verbose] show [-n] <name>",
        "git remote prune [-n | --dry-run] <name>",
        "git remote [-v | --verbose] update [-p | --prune] [(<group> | <remote>)...]",
        "git remote set-branches [--add] <name> <branch>...",
        "git remote get-url [--push] [--all] <name>",
        "git remote set-url [--push] <name> <newurl> [<oldurl>]",
        "git remote set-url --add <name> <newurl>",
        "git remote set-url --delete <name> <url>",
    ],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// be verbose; must be placed before a subcommand
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Runs `gitr remote`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let options = arguments.iter().take_while(|word| word.as_encoded_bytes().starts_with(b"-")).count();
    let (options, rest) = arguments.split_at_checked(options).unwrap_or((arguments, &[]));
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, options)?;
    let is_verbose = parsed.values.verbose > 0;
    let Some((verb, rest)) = rest.split_first() else {
        list(&context.repository()?.config, is_verbose)?;
        return Ok(0);
    };
    match verb.to_string_lossy().as_ref() {
        "add" => add::run(rest, context),
        "rename" => rename::rename(rest, context),
        "rm" | "remove" => rename::remove(rest, context),
        "set-head" => head::run(rest, context),
        "set-branches" => branches::run(rest, context),
        "get-url" => url::get(rest, context),
        "set-url" => url::set(rest, context),
        "show" => show::run(rest, context, is_verbose),
        "prune" => prune::run(rest, context),
        "update" => update::run(rest, context, is_verbose),
        other => {
            let usage = arguments::usage_of::<Arguments>(&SPEC);
            Err(CommandError::bad_option(format!("unknown subcommand: `{other}'\n{usage}")))
        }
    }
}

/// Prints all remotes, with their URLs if `is_verbose`.
fn list(config: &Config, is_verbose: bool) -> Result<(), CommandError> {
    let mut names = names(config);
    names.sort();
    let mut text = BString::default();
    let mut line = |name: &BString, rest: &[&[u8]]| {
        text.extend_from_slice(&[name.as_slice(), &rest.concat(), b"\n"].concat());
    };
    for name in &names {
        if !is_verbose {
            line(name, &[]);
            continue;
        }
        let (fetched, pushed) = urls(config, name.as_bstr());
        match fetched.first() {
            Some(url) => line(name, &[b"\t", url, b" (fetch)", &filter(config, name)]),
            None => line(name, &[b"\t"]),
        }
        for url in &pushed {
            line(name, &[b"\t", url, b" (push)"]);
        }
    }
    ui::out_raw(&text)?;
    Ok(())
}

/// What is left out of a partial clone, behind the URL.
fn filter(config: &Config, name: &BString) -> Vec<u8> {
    let filter = config.string(&format!("remote.{name}.partialclonefilter"));
    filter.map(|filter| [b" [", filter.as_slice(), b"]"].concat()).unwrap_or_default()
}

/// An error unless the repository's own configuration or a file of its own has the remote `name`; `colon` is what stands
/// before the name.
fn check_exists(repo: &Repository, name: &BStr, colon: &str) -> Result<(), CommandError> {
    /// git-remote(1), "EXIT STATUS".
    const NO_SUCH_REMOTE: u8 = 2;
    if Remote::is_known_to(repo, name)? {
        return Ok(());
    }
    Err(CommandError::silent(NO_SUCH_REMOTE).with_error(format!("No such remote{colon} '{name}'")))
}

/// An error if the repository's own configuration or a file of its own has the remote `name`, or if that is no name for
/// one.
fn check_free(repo: &Repository, name: &BStr) -> Result<(), CommandError> {
    /// git-remote(1), "EXIT STATUS".
    const EXISTS_ALREADY: u8 = 3;
    if Remote::is_known_to(repo, name)? {
        let text = format!("remote {name} already exists.");
        return Err(CommandError::silent(EXISTS_ALREADY).with_error(text));
    }
    if !crate::remote::configure::is_valid_name(name) {
        return Err(CommandError::fatal(format!("'{name}' is not a valid remote name")));
    }
    Ok(())
}

/// Asks `remote` for its refs.
fn ask(repo: &Repository, remote: &Remote, context: &Context) -> Result<Survey, CommandError> {
    let transport = transport::Options {
        git_dir: std::path::absolute(&repo.git_dir).ok(),
        helper_options: helper_options(Show::default(), &context.env),
        ..transport::Options::default()
    };
    check_credentials(&repo.config, &remote.urls)?;
    let options = listing::Options { transport, ..listing::Options::default() };
    let mut meters = context.meters(&repo.config, Show::default());
    Ok(Survey::ask(repo, remote, &options, &mut meters)?)
}

/// The usage of a verb, exit code 129.
fn usage<A: clap::Args>(spec: &Spec) -> CommandError {
    CommandError::usage(arguments::usage_of::<A>(spec))
}

/// Warns of a `remote.pushDefault` that names a remote which is gone. git calls every file `file` here.
fn warn_stranded(stranded: &Stranded, name: &BStr) {
    let Stranded { scope, line } = stranded;
    ui::note(format!(
        "warning: The {scope} configuration remote.pushDefault in:\n\tfile:{line}\nnow names the non-existent remote \
         '{name}'"
    ));
}

/// Warns of what branches say more than once.
fn warn_repeated(repo: &Repository) -> Result<(), CommandError> {
    for branch in crate::remote::config::branches(&repo.config)? {
        for key in &branch.repeated {
            ui::note(format!("warning: more than one {key}"));
        }
    }
    Ok(())
}
