//! `gitr daemon`, which serves `git://`. `git-daemon(1)`.

use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bstr::BString;
use rustix::net::sockopt;

use super::arguments::{self, Parsed, Spec};
use super::{CommandError, Context, service, signal};
use crate::server::daemon::{Daemon, Hello, Switch, UserPath};
use crate::server::enter::Naming;
use clients::Clients;
use log::{Destination, Log};
use server::{Server, accept_all, listen};
use system::Credentials;

mod clients;
mod log;
mod server;
mod system;

const SPEC: Spec = Spec {
    name: "daemon",
    synopsis: &[
        "git daemon [--verbose] [--syslog] [--export-all]",
        "           [--timeout=<n>] [--init-timeout=<n>] [--max-connections=<n>]",
        "           [--strict-paths] [--base-path=<path>] [--base-path-relaxed]",
        "           [--user-path | --user-path=<path>]",
        "           [--interpolated-path=<path>]",
        "           [--reuseaddr] [--pid-file=<file>]",
        "           [--(enable|disable|allow-override|forbid-override)=<service>]",
        "           [--access-hook=<path>]",
        "           [--inetd | [--listen=<host_or_ipaddr>] [--port=<n>]",
        "                      [--detach] [--user=<user> [--group=<group>]]]",
        "           [--log-destination=(stderr|syslog|none)]",
        "           [<directory>...]",
    ],
    plain: &[],
};

/// git-daemon(1): the port assigned to git.
const PORT: u16 = 9418;

/// git-daemon(1), `--max-connections`.
const CONNECTIONS_MAX: usize = 32;

#[derive(Debug, clap::Args)]
struct Arguments {
    /// log the details of incoming connections
    #[arg(long)]
    verbose: bool,
    /// serve repositories without the file git-daemon-export-ok
    #[arg(long = "export-all")]
    export_all: bool,
    /// match paths exactly
    #[arg(long = "strict-paths")]
    strict_paths: bool,
    /// where paths begin
    #[arg(long = "base-path", value_name = "path")]
    base_path: Option<PathBuf>,
    /// try paths as they are said, too
    #[arg(long = "base-path-relaxed")]
    base_path_relaxed: bool,
    /// let clients name home directories, as ~<user>; a path within them
    #[arg(long = "user-path", value_name = "path", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    user_path: Option<OsString>,
    /// make the path of host, address and directory
    #[arg(long = "interpolated-path", value_name = "path")]
    interpolated_path: Option<OsString>,
    /// serve one client on standard input and output
    #[arg(long)]
    inetd: bool,
    /// listen on this host or address
    #[arg(long, value_name = "host_or_ipaddr")]
    listen: Vec<String>,
    /// listen on this port
    #[arg(long, value_name = "n")]
    port: Option<u16>,
    /// seconds in which the client says nothing and takes nothing, once it has asked
    #[arg(long, value_name = "n")]
    timeout: Option<u64>,
    /// seconds until the client has asked
    #[arg(long = "init-timeout", value_name = "n")]
    init_timeout: Option<u64>,
    /// clients at the same time
    #[arg(long = "max-connections", value_name = "n")]
    max_connections: Option<usize>,
    /// use the address again when the server is started anew
    #[arg(long)]
    reuseaddr: bool,
    /// write the number of the process to a file
    #[arg(long = "pid-file", value_name = "file")]
    pid_file: Option<PathBuf>,
    /// serve, unless the repository says otherwise
    #[arg(long, value_name = "service")]
    enable: Vec<String>,
    /// do not serve, unless the repository says otherwise
    #[arg(long, value_name = "service")]
    disable: Vec<String>,
    /// let the repository say whether it is served
    #[arg(long = "allow-override", value_name = "service")]
    allow_override: Vec<String>,
    /// do not let the repository say
    #[arg(long = "forbid-override", value_name = "service")]
    forbid_override: Vec<String>,
    /// tell clients why they get nothing
    #[arg(long = "informative-errors")]
    informative_errors: bool,
    /// a program that is asked about each client
    #[arg(long = "access-hook", value_name = "path")]
    access_hook: Option<PathBuf>,
    /// become this user once the sockets are there
    #[arg(long, value_name = "user")]
    user: Option<String>,
    /// become one of this group; that of the user if it is not said
    #[arg(long, value_name = "group")]
    group: Option<String>,
    /// leave the terminal; implies --syslog
    #[arg(long)]
    detach: bool,
    /// log to syslog
    #[arg(long)]
    syslog: bool,
    /// where to log
    #[arg(long = "log-destination", value_name = "stderr|syslog|none")]
    log_destination: Option<String>,
    #[arg(hide = true)]
    operands: Vec<PathBuf>,
}

/// Runs `gitr daemon`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let log = Log::new(destination(&parsed.values)?, parsed.values.verbose);
    match serve(&parsed, context, log) {
        // nobody is there to read what is printed
        Err(error) if log.is_elsewhere() => {
            log.error(&error.text());
            Ok(1)
        }
        ended => ended,
    }
}

fn serve(parsed: &Parsed<Arguments>, context: Context, log: Log) -> Result<u8, CommandError> {
    let values = &parsed.values;
    check(values)?;
    let credentials = values.user.as_deref().map(|user| Credentials::find(user, values.group.as_deref()));
    let credentials = credentials.transpose()?;
    let is_stopped = Arc::clone(&context.is_stopped);
    let limit = values.max_connections.unwrap_or(CONNECTIONS_MAX);
    let server = Arc::new(Server {
        daemon: daemon(parsed, context)?,
        log,
        init_timeout: patience(values.init_timeout),
        timeout: patience(values.timeout),
        clients: Clients::new(if limit == 0 { usize::MAX } else { limit }),
    });
    if values.detach {
        // a new process has but the one thread that makes it, so that all others come later
        system::detach()?;
    }
    signal::guard_temporaries(is_stopped)?;
    if values.inetd {
        let mut input = BufReader::new(service::Input::stdin(server.init_timeout)?);
        let out = service::stdout()?;
        // what is no socket has no such time
        let _no_socket = sockopt::set_socket_timeout(&out, sockopt::Timeout::Send, server.timeout);
        let mut out = BufWriter::with_capacity(service::BUFFER_LEN, out);
        let hello = Hello::read(&mut input)?;
        input.get_mut().wait(server.timeout);
        server.daemon.serve(&hello, None, &Arc::default(), (&mut input, &mut out))?;
        return Ok(0);
    }
    if let Some(file) = &values.pid_file {
        let written = std::fs::write(file, format!("{}\n", std::process::id()));
        written.map_err(|error| {
            CommandError::fatal(format!("could not open pid file '{}': {error}", file.display()))
        })?;
    }
    let listeners = listen(&values.listen, values.port.unwrap_or(PORT), server.log)?;
    if let Some(credentials) = credentials {
        credentials.take()?;
    }
    server.log.detail("Ready to rumble");
    accept_all(listeners, &server)
}

/// Where to log: git-daemon(1), `--log-destination`.
fn destination(values: &Arguments) -> Result<Destination, CommandError> {
    match values.log_destination.as_deref() {
        Some(word) => Destination::parse(word),
        None if values.syslog || values.inetd || values.detach => Ok(Destination::Syslog),
        None => Ok(Destination::Stderr),
    }
}

/// Refuses what does not go together, in the words of git 2.47.3.
fn check(values: &Arguments) -> Result<(), CommandError> {
    if values.inetd && (values.detach || values.user.is_some() || values.group.is_some()) {
        return Err(CommandError::fatal("--detach, --user and --group are incompatible with --inetd"));
    }
    if values.inetd && (values.port.is_some() || !values.listen.is_empty()) {
        return Err(CommandError::fatal("--listen= and --port= are incompatible with --inetd"));
    }
    if values.group.is_some() && values.user.is_none() {
        return Err(CommandError::fatal("--group supplied without --user"));
    }
    if values.strict_paths && values.operands.is_empty() {
        return Err(CommandError::fatal("option --strict-paths requires '<directory>' arguments"));
    }
    if let Some(base) = values.base_path.as_ref().filter(|base| !base.is_dir()) {
        return Err(CommandError::fatal(format!(
            "base-path '{}' does not exist or is not a directory",
            base.display()
        )));
    }
    let known = |name: &&String| ["upload-pack", "receive-pack", "upload-archive"].contains(&name.as_str());
    let lists = [&values.enable, &values.disable, &values.allow_override, &values.forbid_override];
    if let Some(unknown) = lists.into_iter().flatten().find(|name| !known(name)) {
        return Err(CommandError::fatal(format!("No such service {unknown}")));
    }
    Ok(())
}

fn daemon(parsed: &Parsed<Arguments>, context: Context) -> Result<Daemon, CommandError> {
    let values = &parsed.values;
    let switch = |name: &str, is_on: bool| Switch {
        is_on: parsed.last_with(&["enable", "disable"], name).map_or(is_on, |last| last == "enable"),
        may_be_overridden: parsed.last_with(&["allow-override", "forbid-override"], name)
            != Some("forbid-override"),
    };
    let absolute = |path: &PathBuf| std::path::absolute(path);
    let directories = values.operands.iter().map(absolute).collect::<io::Result<Vec<_>>>()?;
    Ok(Daemon {
        env: context.env,
        overrides: context.overrides,
        exports_all: values.export_all,
        naming: if values.strict_paths { Naming::Strict } else { Naming::Lenient },
        base: values.base_path.as_ref().map(absolute).transpose()?,
        base_is_relaxed: values.base_path_relaxed,
        template: values.interpolated_path.as_ref().map(|path| BString::from(path.as_bytes())),
        directories,
        user_path: values
            .user_path
            .as_ref()
            .map(|below| UserPath { below: below.into(), home_of: system::home_of }),
        access_hook: values.access_hook.clone(),
        is_informative: values.informative_errors,
        upload_pack: switch("upload-pack", true),
        receive_pack: switch("receive-pack", false),
    })
}

fn patience(seconds: Option<u64>) -> Option<Duration> {
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}
