//! `gitr serve`, a server of HTTP. C git has none: it is `git http-backend` and the web server around it in one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arguments::{self, Parsed, Spec};
use super::{CommandError, Context, ui};
use crate::listen::address::{Address, Socket};
use crate::listen::limit::{Limit, Limits};
use crate::listen::{Pushing, Server, Settings};

mod log;

use self::log::{Format, Printed};

const SPEC: Spec = Spec {
    name: "serve",
    synopsis: &[
        "gitr serve [--listen=<address>]... [--root=<directory>] [--export-all]",
        "           [--enable-receive-pack[=(users|anybody)]] [--limit=<name>=<value>]...",
        "           [--admin=<address>]... [--log-format=(text|json|none)] [--pid-file=<file>]",
    ],
    plain: &["listen", "admin", "root", "limit", "log-format", "pid-file", "compat"],
};

/// Where to listen if nothing is said: this machine alone hears it.
const LISTEN: &str = "127.0.0.1:8080";

#[derive(Debug, clap::Args)]
struct Arguments {
    /// listen at <host>:<port>, <port> or unix:<path> (can be repeated)
    #[arg(long, value_name = "address")]
    listen: Vec<String>,
    /// answer /livez, /readyz and /metrics at <address> (can be repeated)
    #[arg(long, value_name = "address")]
    admin: Vec<String>,
    /// the directory that the repositories are in
    #[arg(long, value_name = "directory")]
    root: Option<PathBuf>,
    /// serve repositories without the file git-daemon-export-ok
    #[arg(long = "export-all")]
    export_all: bool,
    /// let users push, or anybody
    #[arg(
        long = "enable-receive-pack",
        value_name = "(users|anybody)",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "users"
    )]
    enable_receive_pack: Option<String>,
    /// follow symbolic links that lead out of the directory
    #[arg(long = "follow-symlinks")]
    follow_symlinks: bool,
    /// set a limit, see below (can be repeated); 0 is none
    #[arg(long, value_name = "name=value")]
    limit: Vec<String>,
    /// answer what fails as git http-backend does
    #[arg(long, value_name = "(http-backend)")]
    compat: Option<String>,
    /// how each request is logged
    #[arg(long = "log-format", value_name = "(text|json|none)")]
    log_format: Option<String>,
    /// write the number of the process to a file
    #[arg(long = "pid-file", value_name = "file")]
    pid_file: Option<PathBuf>,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr serve`, until a signal ends it.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    if arguments.first().is_some_and(|first| first == "-h" || first == "--help") {
        ui::out(format!("{}{}", arguments::usage_of::<Arguments>(&SPEC), limits_text()).as_bytes())?;
        return Ok(129);
    }
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let values = &parsed.values;
    if !values.operands.is_empty() {
        return Err(CommandError::usage(arguments::usage_of::<Arguments>(&SPEC)));
    }
    let format = Format::parse(values.log_format.as_deref()).ok_or_else(|| {
        CommandError::fatal(format!(
            "unknown log format '{}'",
            values.log_format.as_deref().unwrap_or_default()
        ))
    })?;
    let settings = settings(values, context)?;
    let sockets = (sockets(&values.listen)?, bind(&values.admin)?);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let server = Server::start(settings, sockets, Arc::new(Printed(format)))
        .map_err(|error| CommandError::fatal(format!("cannot serve: {error}")))?;
    if let Some(file) = &values.pid_file {
        write_pid(file)?;
    }
    for address in server.addresses() {
        ui::note(format!("listening at {}", shown(address)));
    }
    for signal in &mut signals {
        if signal == SIGTERM || signal == SIGINT {
            break;
        }
    }
    end_at_once_if_asked_again(signals)?;
    ui::note("ending: transfers come to their end");
    Ok(u8::from(!server.drain()))
}

/// A second signal does not wait for transfers.
fn end_at_once_if_asked_again(mut signals: Signals) -> std::io::Result<()> {
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in &mut signals {
            if signal != SIGHUP {
                crate::repo::remove_temporaries();
                let _never_returns = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    })?;
    Ok(())
}

fn shown(address: &str) -> String {
    if address.starts_with("unix:") { address.to_owned() } else { format!("http://{address}/") }
}

fn write_pid(file: &Path) -> Result<(), CommandError> {
    fs::write(file, format!("{}\n", std::process::id())).map_err(|error| {
        CommandError::fatal(format!("could not open pid file '{}': {error}", file.display()))
    })
}

fn settings(values: &Arguments, context: Context) -> Result<Settings, CommandError> {
    let root = values.root.clone().unwrap_or_else(|| ".".into());
    if !root.is_dir() {
        let text = format!("root '{}' does not exist or is not a directory", root.display());
        return Err(CommandError::fatal(text));
    }
    Ok(Settings {
        root,
        limits: limits(&values.limit, &context)?,
        env: context.env,
        overrides: context.overrides,
        exports_all: values.export_all,
        pushes: pushing(values.enable_receive_pack.as_deref())?,
        follows_links: values.follow_symlinks,
        imitates_backend: imitates(values.compat.as_deref())?,
    })
}

fn imitates(compat: Option<&str>) -> Result<bool, CommandError> {
    match compat {
        None => Ok(false),
        Some("http-backend") => Ok(true),
        Some(other) => Err(CommandError::fatal(format!("nothing is known of '{other}' for --compat"))),
    }
}

fn pushing(said: Option<&str>) -> Result<Pushing, CommandError> {
    match said {
        None => Ok(Pushing::Off),
        Some("users") => Ok(Pushing::Users),
        Some("anybody") => Ok(Pushing::Anybody),
        Some(other) => {
            Err(CommandError::fatal(format!("who may push is 'users' or 'anybody', not '{other}'")))
        }
    }
}

/// The limits: what is said on the command line counts for more than the environment.
fn limits(said: &[String], context: &Context) -> Result<Limits, CommandError> {
    let mut limits = Limits::default();
    let bad = |name: &str, text: &str| CommandError::fatal(format!("bad value '{text}' for limit '{name}'"));
    for limit in Limit::all() {
        if let Some(text) = context.env.get(&limit.variable()).and_then(OsStr::to_str) {
            limits.set(limit, limit.parse(text).ok_or_else(|| bad(limit.name(), text))?);
        }
    }
    for pair in said {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let limit = Limit::called(name)
            .ok_or_else(|| CommandError::fatal(format!("there is no limit called '{name}'")))?;
        limits.set(limit, limit.parse(text).ok_or_else(|| bad(name, text))?);
    }
    Ok(limits)
}

fn limits_text() -> String {
    let mut text = String::from("\nlimits, with their variables and values:\n");
    for limit in Limit::all() {
        let name = limit.name();
        text.push_str(&format!("    {name:<24}{:<30}{}\n", limit.variable(), limit.explanation()));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The sockets that are asked for; else those of systemd; else one for this machine.
fn sockets(said: &[String]) -> Result<Vec<Socket>, CommandError> {
    let mut sockets = Socket::inherited().map_err(|error| unbound("LISTEN_FDS", &error))?;
    let default = [LISTEN.to_owned()];
    sockets.extend(bind(if said.is_empty() && sockets.is_empty() { &default } else { said })?);
    Ok(sockets)
}

fn unbound(address: &str, error: &std::io::Error) -> CommandError {
    CommandError::fatal(format!("cannot listen at '{address}': {error}"))
}

fn bind(said: &[String]) -> Result<Vec<Socket>, CommandError> {
    let mut sockets = Vec::new();
    for text in said {
        let address = Address::parse(text)
            .ok_or_else(|| CommandError::fatal(format!("'{text}' is no address to listen at")))?;
        sockets.extend(address.bind().map_err(|error| unbound(text, &error))?);
    }
    Ok(sockets)
}
