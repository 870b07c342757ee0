//! The command line: one file per command, git's options, words and exit codes.
//!
//! Only this module prints and decides about exit codes. The library's errors become messages in one place,
//! [`CommandError`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bstr::{BString, ByteSlice};

use crate::remote::promisor;
use crate::repo::config::{Override, overrides_as_parameters};
use crate::repo::discover::Discovery;
use crate::repo::{self, Config, Environment, Repository};
use crate::transport::OWN_PROGRAM;

mod arguments;
mod bundle;
mod children;
mod clone;
mod credential;
mod daemon;
mod demo;
mod error;
mod fetch;
mod fetch_pack;
mod global;
mod http_backend;
mod index_pack;
mod index_version;
mod installed;
mod ls_remote;
#[cfg(feature = "otlp")]
mod otlp;
mod pack_objects;
mod pull;
mod push;
mod receive_pack;
mod remote;
mod rpc;
mod send_pack;
mod serve;
mod service;
mod signal;
mod trace;
mod transfer;
pub mod ui;
mod upload_pack;

pub use error::CommandError;

use ui::{Meters, Terminal};

/// What `gitr --version` says: tools look for `git version <number>`, so the version of git whose behaviour this is
/// stands in front.
const VERSION: &str = concat!("git version 2.47.3.gitr.", env!("CARGO_PKG_VERSION"));

/// The commands, for `gitr -h`.
const COMMANDS: &[(&str, &str)] = &[
    ("clone", "Clone a repository into a new directory"),
    ("fetch", "Download objects and refs from another repository"),
    ("ls-remote", "List references in a remote repository"),
    ("pull", "Fetch from and integrate with another repository or a local branch"),
    ("push", "Update remote refs along with associated objects"),
    ("remote", "Manage set of tracked repositories"),
    ("fetch-pack", "Receive missing objects from another repository"),
    ("send-pack", "Push objects over Git protocol to another repository"),
    ("index-pack", "Build pack index file for an existing packed archive"),
    ("pack-objects", "Create a packed archive of objects"),
    ("bundle", "Move objects and refs by archive"),
    ("daemon", "A really simple server for Git repositories"),
    ("serve", "Serve repositories over HTTP"),
    ("http-backend", "Server side implementation of Git over HTTP"),
    ("receive-pack", "Receive what is pushed into the repository"),
    ("upload-pack", "Send objects packed back to git-fetch-pack"),
    ("credential", "Retrieve and store user credentials"),
    ("demo", "Make a repository, serve it on this machine, clone it and push to it"),
];

/// Runs one command line, the program's name first, and gives the exit code: 0 done, 1 a ref was rejected, 128 fatal,
/// 129 wrong usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let all: Vec<OsString> = arguments.into_iter().collect();
    let called = all.first().and_then(|program| service::called_as(program));
    let words: Vec<OsString> = called.into_iter().chain(all.iter().skip(1).cloned()).collect();
    let code = match global::parse(&words).and_then(|invocation| dispatch(invocation, &all)) {
        Ok(code) => code,
        Err(error) => error.print(),
    };
    trace::exit(code);
    code
}

fn dispatch(invocation: global::Invocation, all: &[OsString]) -> Result<u8, CommandError> {
    let global::Invocation { command, arguments, mut globals } = invocation;
    trace::start(&mut globals.env, all, &command);
    if let Ok(program) = std::env::current_exe() {
        globals.env.keep(OWN_PROGRAM, program);
    }
    // a clone goes nowhere, and tells of its directories as they were named
    let context = Context::new(if command == "clone" { globals } else { globals.bound() });
    match command.as_str() {
        "bundle" => bundle::run(&arguments, context),
        "clone" => clone::run(&arguments, context),
        "fetch" => fetch::run(&arguments, context),
        "fetch-pack" => fetch_pack::run(&arguments, context),
        "credential" => credential::run(&arguments, context),
        "index-pack" => index_pack::run(&arguments, context),
        "ls-remote" => ls_remote::run(&arguments, context),
        "pack-objects" => pack_objects::run(&arguments, context),
        "pull" => pull::run(&arguments, context),
        "push" => push::run(&arguments, context),
        "remote" => remote::run(&arguments, context),
        "send-pack" => send_pack::run(&arguments, context),
        "serve" => serve::run(&arguments, context),
        "daemon" => daemon::run(&arguments, context),
        "http-backend" => http_backend::run(&arguments, context),
        "receive-pack" => receive_pack::run(&arguments, context),
        "upload-pack" => upload_pack::run(&arguments, context),
        "demo" => demo::run(&arguments),
        "version" => {
            ui::out(VERSION.as_bytes())?;
            Ok(0)
        }
        "help" => {
            ui::out(usage().as_bytes())?;
            Ok(0)
        }
        other => {
            Err(CommandError::usage(format!("gitr: '{other}' is not a gitr command. See 'gitr --help'.")))
        }
    }
}

/// The text of `gitr -h`.
fn usage() -> String {
    let mut text = String::from(
        "usage: gitr [-v | --version] [-h | --help] [-C <path>] [-c <name>=<value>]\n            \
         [--exec-path[=<path>]] [--git-dir=<path>] [--work-tree=<path>] [--bare]\n            \
         [--namespace=<name>] [--config-env=<name>=<envvar>] <command> [<args>]\n\ncommands:\n",
    );
    let width = COMMANDS.iter().map(|(name, _)| name.len() + 3).max().unwrap_or_default();
    for (name, what) in COMMANDS {
        text.push_str(&format!("   {name:<width$}{what}\n"));
    }
    text.truncate(text.trim_end().len());
    text
}

/// What every command needs: where it runs, and how.
#[derive(Clone)]
pub(crate) struct Context {
    /// The environment, with what the global options change in it.
    pub(crate) env: Environment,
    /// `-c` and `--config-env`.
    pub(crate) overrides: Vec<Override>,
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    bare: bool,
    /// Set by a signal: the work is to stop.
    pub(crate) is_stopped: Arc<AtomicBool>,
}

impl Context {
    fn new(globals: global::Globals) -> Self {
        Self {
            env: globals.env,
            overrides: globals.overrides,
            git_dir: globals.git_dir,
            work_tree: globals.work_tree,
            bare: globals.bare,
            is_stopped: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The repository we are in; an error if there is none.
    pub(crate) fn repository(&self) -> Result<Repository, CommandError> {
        self.made_ready(self.discover()??)
    }

    /// The repository we are in, entered at its top.
    pub(crate) fn repository_entered(&self) -> Result<Repository, CommandError> {
        let mut repo = self.repository()?;
        let prefix = enter(&repo)?;
        repo.env.set("GIT_PREFIX", prefix);
        Ok(repo)
    }

    /// Looks for the repository; the outer error is that of a place where nobody can look.
    fn discover(&self) -> Result<Result<Repository, repo::Error>, CommandError> {
        let discovery = Discovery {
            start: std::env::current_dir().map_err(|error| {
                CommandError::fatal(format!("Unable to read current working directory: {error}"))
            })?,
            git_dir: self.git_dir.clone(),
            work_tree: self.work_tree.clone(),
            bare: self.bare,
            overrides: self.overrides.clone(),
        };
        Ok(Repository::discover(&discovery, &self.env))
    }

    fn made_ready(&self, mut repo: Repository) -> Result<Repository, CommandError> {
        warn_of_storage(&repo.config);
        self.fetch_lazily(&mut repo)?;
        Ok(repo)
    }

    /// The repository we are in; `None` if there is none, or one that is not for us.
    ///
    /// # Errors
    ///
    /// If its configuration is broken.
    pub(crate) fn repository_if_any(&self) -> Result<Option<Repository>, CommandError> {
        match self.discover()? {
            Ok(repo) => self.made_ready(repo).map(Some),
            Err(error @ (repo::Error::Config(_) | repo::Error::ConfigEntry { .. })) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Has what a filter left out fetched when it is read. git fetches in a child, which shows its progress whatever the
    /// command was told.
    fn fetch_lazily(&self, repo: &mut Repository) -> Result<(), CommandError> {
        if !repo.is_partial()? {
            return Ok(());
        }
        let is_quiet = repo.config.boolean("promisor.quiet")?.unwrap_or(false);
        let show = Show { verbosity: -i8::from(is_quiet), progress: None };
        let is_seen = show.is_progress_shown(&Terminal::new(&self.env));
        let meters = self.meters(&repo.config, show);
        Ok(promisor::fetch_lazily(repo, Box::new(meters), is_seen)?)
    }

    /// The configuration that holds where there is no repository.
    pub(crate) fn config(&self) -> Result<Config, CommandError> {
        Ok(Config::load(&self.env, &self.overrides, None)?)
    }

    /// Another run of this program, in the same repository.
    pub(crate) fn own_command(&self) -> Result<Command, CommandError> {
        let program = std::env::current_exe()
            .map_err(|error| CommandError::fatal(format!("cannot find this program: {error}")))?;
        let mut command = Command::new(program);
        self.pass_on(&mut command);
        Ok(command)
    }

    /// Gives a program that works in the same repository what ours was given for it. The options in front of the command
    /// are among its arguments then.
    pub(crate) fn pass_on(&self, command: &mut Command) {
        command.env_clear().envs(self.env.vars());
        let parameters = overrides_as_parameters(&self.overrides, &self.env);
        if !parameters.is_empty() {
            command.env("GIT_CONFIG_PARAMETERS", parameters);
        }
        let directories = [("--git-dir", &self.git_dir), ("--work-tree", &self.work_tree)];
        for (option, directory) in directories {
            if let Some(directory) = directory {
                command.arg(option).arg(directory);
            }
        }
        if self.bare {
            command.arg("--bare");
        }
    }

    /// The meters and lines of an operation.
    pub(crate) fn meters(&self, config: &Config, show: Show) -> Meters {
        let terminal = Terminal::new(&self.env);
        let settings = ui::MeterSettings {
            // With --quiet --progress git shows the server's meters and not its own.
            progress: show.verbosity >= 0 && show.is_progress_shown(&terminal),
            quiet: show.verbosity < 0,
            verbosity: show.verbosity.max(0).unsigned_abs(),
            remote_paints: ui::RemotePaints::new(&terminal, config),
        };
        Meters::new(terminal, settings, Arc::clone(&self.is_stopped))
    }
}

/// Goes to the top of the work tree that we are in, where a relative path of a remote begins, on the command line too. Where we
/// were, from there, with a slash at its end: `GIT_PREFIX` in git-config(1), "alias.*".
pub(crate) fn enter(repo: &Repository) -> Result<OsString, CommandError> {
    // one that submodules name may have dots in it
    let top = repo.work_tree.as_ref().and_then(|top| top.canonicalize().ok());
    let here = std::env::current_dir().unwrap_or_default();
    let inner = top.as_ref().and_then(|top| here.strip_prefix(top).ok());
    match (&top, inner.filter(|inner| !inner.as_os_str().is_empty())) {
        (Some(top), Some(inner)) => {
            let refuse = |error| CommandError::fatal(format!("cannot chdir to '{}': {error}", top.display()));
            std::env::set_current_dir(top).map_err(refuse)?;
            Ok(inner.join("").into_os_string())
        }
        _ => Ok(OsString::new()),
    }
}

/// How much a command shows: `--verbose`, `--quiet`, `--progress`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Show {
    /// Above 0 for `--verbose`, below for `--quiet`.
    pub(crate) verbosity: i8,
    /// `--progress` or `--no-progress`.
    pub(crate) progress: Option<bool>,
}

impl Show {
    /// How often `--verbose` and `--quiet` were given, and `--progress`.
    pub(crate) fn new(verbose: u8, quiet: u8, progress: Option<bool>) -> Self {
        let level = |count: u8| i8::try_from(count).unwrap_or(i8::MAX);
        Self { verbosity: level(verbose).saturating_sub(level(quiet)), progress }
    }

    /// git's rule: the option decides, then `--quiet`, then whether stderr is a terminal.
    pub(crate) fn is_progress_shown(self, terminal: &Terminal) -> bool {
        match self.progress {
            Some(wish) => wish,
            None => self.verbosity >= 0 && terminal.is_tty,
        }
    }
}

/// Splits `name=value`; a name alone is true.
fn key_and_value(text: &[u8]) -> (BString, Option<BString>) {
    match text.split_once_str("=") {
        Some((key, value)) => (key.into(), Some(value.into())),
        None => (text.into(), None),
    }
}

/// Says what git warns of in values that tell how files are stored.
pub(crate) fn warn_of_storage(config: &Config) {
    for warning in config.storage_warnings() {
        ui::message("warning", warning.as_bytes().as_bstr());
    }
}
