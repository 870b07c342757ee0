//! `gitr daemon`, which serves `git://`. `git-daemon(1)`.

use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bstr::BString;

use super::arguments::{self, Parsed, Spec};
use super::{CommandError, Context, service, signal, ui};
use crate::server::daemon::{Daemon, Hello, Switch};
use crate::server::enter::Naming;

const SPEC: Spec = Spec {
    name: "daemon",
    synopsis: &[
        "git daemon [--verbose] [--export-all]",
        "           [--timeout=<n>] [--init-timeout=<n>] [--max-connections=<n>]",
        "           [--strict-paths] [--base-path=<path>] [--base-path-relaxed]",
        "           [--interpolated-path=<path>]",
        "           [--reuseaddr] [--pid-file=<file>]",
        "           [--(enable|disable|allow-override|forbid-override)=<service>]",
        "           [--inetd | [--listen=<host_or_ipaddr>] [--port=<n>]]",
        "           [--log-destination=(stderr|none)]",
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
    /// seconds without a word of the client, once it has asked
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
    /// where to log
    #[arg(long = "log-destination", value_name = "stderr|none")]
    log_destination: Option<String>,
    #[arg(hide = true)]
    operands: Vec<PathBuf>,
}

/// Runs `gitr daemon`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let values = &parsed.values;
    check(values)?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let limit = values.max_connections.unwrap_or(CONNECTIONS_MAX);
    let server = Arc::new(Server {
        daemon: daemon(values, context)?,
        log: Log {
            is_on: values.log_destination.as_deref() != Some("none") && !values.inetd,
            is_verbose: values.verbose,
        },
        init_timeout: patience(values.init_timeout),
        timeout: patience(values.timeout),
        connections: AtomicUsize::new(0),
        connections_max: if limit == 0 { usize::MAX } else { limit },
    });
    if values.inetd {
        let mut input = BufReader::new(service::Input::stdin(server.init_timeout)?);
        let mut out = BufWriter::with_capacity(service::BUFFER_LEN, service::stdout()?);
        let hello = Hello::read(&mut input)?;
        input.get_mut().wait(server.timeout);
        server.daemon.serve(&hello, None, &mut input, &mut out)?;
        return Ok(0);
    }
    let listeners = listen(&values.listen, values.port.unwrap_or(PORT))?;
    if let Some(file) = &values.pid_file {
        let written = std::fs::write(file, format!("{}\n", std::process::id()));
        written.map_err(|error| {
            CommandError::fatal(format!("could not open pid file '{}': {error}", file.display()))
        })?;
    }
    server.log.note("Ready to rumble");
    accept_all(listeners, &server)
}

/// Refuses what does not go together, in the words of git 2.47.3.
fn check(values: &Arguments) -> Result<(), CommandError> {
    if values.inetd && (values.port.is_some() || !values.listen.is_empty()) {
        return Err(CommandError::fatal("--listen= and --port= are incompatible with --inetd"));
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
    match values.log_destination.as_deref() {
        None | Some("stderr" | "none") => Ok(()),
        Some(other) => Err(CommandError::fatal(format!("unknown log destination '{other}'"))),
    }
}

fn daemon(values: &Arguments, context: Context) -> Result<Daemon, CommandError> {
    let switch = |name: &str, is_on: bool| {
        let has = |list: &[String]| list.iter().any(|known| known == name);
        Switch {
            is_on: (is_on || has(&values.enable)) && !has(&values.disable),
            may_be_overridden: has(&values.allow_override) && !has(&values.forbid_override),
        }
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
        is_informative: values.informative_errors,
        upload_pack: switch("upload-pack", true),
        receive_pack: switch("receive-pack", false),
    })
}

fn patience(seconds: Option<u64>) -> Option<Duration> {
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Listens on each of `hosts`, on every address if none is said.
fn listen(hosts: &[String], port: u16) -> Result<Vec<TcpListener>, CommandError> {
    let failed = |host: &str, error: &io::Error| {
        CommandError::fatal(format!(
            "unable to allocate any listen sockets on host {host} port {port}: {error}"
        ))
    };
    if hosts.is_empty() {
        // one socket for both kinds of address, where the system has both
        let all = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
        return Ok(vec![all.map_err(|error| failed("(any)", &error))?]);
    }
    let mut listeners = Vec::new();
    for host in hosts {
        let addresses = (host.as_str(), port).to_socket_addrs().map_err(|error| failed(host, &error))?;
        for address in addresses {
            listeners.push(TcpListener::bind(address).map_err(|error| failed(host, &error))?);
        }
    }
    Ok(listeners)
}

/// Takes clients for as long as the process lives.
fn accept_all(listeners: Vec<TcpListener>, server: &Arc<Server>) -> Result<u8, CommandError> {
    let mut threads = Vec::new();
    for listener in listeners {
        let server = Arc::clone(server);
        threads.push(
            std::thread::Builder::new().name("listener".into()).spawn(move || server.accept(&listener))?,
        );
    }
    for thread in threads {
        let _ended = thread.join();
    }
    Ok(0)
}

/// What all connections share.
struct Server {
    daemon: Daemon,
    log: Log,
    init_timeout: Option<Duration>,
    timeout: Option<Duration>,
    connections: AtomicUsize,
    connections_max: usize,
}

/// A place among the connections, given back when dropped.
struct Place(Arc<Server>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        loop {
            let (stream, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    // out of descriptors: a client that leaves makes room
                    self.log.note(&format!("accept failed: {error}"));
                    std::thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            if self.connections.fetch_add(1, Ordering::SeqCst) >= self.connections_max {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                self.log.note("Too many children, dropping connection");
                continue;
            }
            let place = Place(Arc::clone(&self));
            let spawned = std::thread::Builder::new()
                .name("client".into())
                .spawn(move || place.0.client(&stream, address));
            if let Err(error) = spawned {
                self.log.note(&format!("unable to fork: {error}"));
            }
        }
    }

    fn client(&self, stream: &TcpStream, address: SocketAddr) {
        self.log.detail(&format!("Connection from {address}"));
        match self.converse(stream, address) {
            Ok(()) => self.log.detail("Disconnected"),
            Err(text) => self.log.note(&text),
        }
    }

    fn converse(&self, stream: &TcpStream, address: SocketAddr) -> Result<(), String> {
        let text = |error: io::Error| error.to_string();
        stream.set_read_timeout(self.init_timeout).map_err(text)?;
        let mut input = BufReader::new(stream);
        let hello = Hello::read(&mut input).map_err(|error| error.to_string())?;
        if let Some(host) = &hello.host {
            self.log.detail(&format!("Extended attribute \"host\": {host}"));
        }
        self.log.detail(&format!("Request {} for '{}'", hello.service, hello.path));
        stream.set_read_timeout(self.timeout).map_err(text)?;
        let mut out = BufWriter::with_capacity(service::BUFFER_LEN, stream);
        let served = self.daemon.serve(&hello, Some(address), &mut input, &mut out);
        let flushed = out.flush();
        served.map_err(|error| error.to_string())?;
        flushed.map_err(text)
    }
}

/// The pause after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where notes go.
struct Log {
    is_on: bool,
    is_verbose: bool,
}

impl Log {
    fn note(&self, text: &str) {
        if self.is_on {
            ui::note(format!("[{}] {}", std::process::id(), ui::one_line(text)));
        }
    }

    fn detail(&self, text: &str) {
        if self.is_verbose {
            self.note(text);
        }
    }
}
