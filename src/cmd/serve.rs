//! `gitr serve`, a server of HTTP. C git has none: it is `git http-backend` and the web server around it in one.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arguments::{self, Parsed, Spec};
use super::{CommandError, Context, ui};
use crate::listen::access::Files;
use crate::listen::address::{Address, Network, Socket};
use crate::listen::limit::Limit;
use crate::listen::tls::Identity;
use crate::listen::{Backend, Keeping, Proxies, Pushing, Role, Server, Settings};
use crate::server::KnownDeltas;

mod limits;
mod log;

use self::limits::{limits, limits_text};
use self::log::{Format, Printed};

const SPEC: Spec = Spec {
    name: "serve",
    synopsis: &[
        "gitr serve [--listen=<address>]... [--root=<directory>] [--export-all]",
        "           [--enable-receive-pack[=(users|anybody)]] [--limit=<name>=<value>]...",
        "           [--tls-listen=<address>]... [--tls-cert=<file>]... [--tls-key=<file>]...",
        "           [--vhost=<host>=<directory>]... [--trust-proxy=(<network>|unix)]...",
        "           [--htpasswd=<file>] [--tokens=<file>] [--rules=<file>]",
        "           [--forward-auth=<url>] [--private]",
        "           [--pack-cache[=<size>]] [--backend=(gitr|git)] [--status-page]",
        "           [--admin=<address>]... [--log-format=(text|json|none)] [--pid-file=<file>]",
    ],
    plain: &[
        "listen",
        "tls-listen",
        "tls-cert",
        "tls-key",
        "vhost",
        "trust-proxy",
        "htpasswd",
        "tokens",
        "rules",
        "forward-auth",
        "pack-cache",
        "pack-cache-time",
        "pack-cache-dir",
        "delta-cache",
        "backend",
        "admin",
        "root",
        "limit",
        "log-format",
        "pid-file",
        "compat",
    ],
};

/// Where to listen if nothing is said: this machine alone hears it.
const LISTEN: &str = "127.0.0.1:8080";

#[derive(Debug, clap::Args)]
struct Arguments {
    /// listen at <host>:<port>, <port> or unix:<path> (can be repeated)
    #[arg(long, value_name = "address")]
    listen: Vec<String>,
    /// listen for HTTPS (can be repeated)
    #[arg(long = "tls-listen", value_name = "address")]
    tls_listen: Vec<String>,
    /// a certificate and those that vouch for it, in PEM; clients get the one for the name they ask for (can be repeated)
    #[arg(long = "tls-cert", value_name = "file")]
    tls_cert: Vec<PathBuf>,
    /// the key of each certificate, in the same order
    #[arg(long = "tls-key", value_name = "file")]
    tls_key: Vec<PathBuf>,
    /// serve another directory to those who ask for <host> (can be repeated)
    #[arg(long, value_name = "host=directory")]
    vhost: Vec<String>,
    /// believe the X-Forwarded-For of these (can be repeated)
    #[arg(long = "trust-proxy", value_name = "(<network>|unix)")]
    trust_proxy: Vec<String>,
    /// users and passwords, as htpasswd writes them: bcrypt, apr1 or SHA
    #[arg(long, value_name = "file")]
    htpasswd: Option<PathBuf>,
    /// users and tokens, one pair a line; a token is taken as Bearer and as a password
    #[arg(long, value_name = "file")]
    tokens: Option<PathBuf>,
    /// who may read and write which repositories, as TOML
    #[arg(long, value_name = "file")]
    rules: Option<PathBuf>,
    /// ask this URL whether a request is allowed, and for whom; rules and --private hold as well
    #[arg(long = "forward-auth", value_name = "url")]
    forward_auth: Option<String>,
    /// let users alone read, where no rule says otherwise
    #[arg(long)]
    private: bool,
    /// show people at / what is served
    #[arg(long = "status-page")]
    status_page: bool,
    /// keep answers to fetches, for whoever asks the same: <size> bytes of them, 1g if not said
    #[arg(
        long = "pack-cache",
        value_name = "size",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1g"
    )]
    pack_cache: Option<String>,
    /// how long an answer is kept, 60s if not said
    #[arg(long = "pack-cache-time", value_name = "time")]
    pack_cache_time: Option<String>,
    /// where answers are kept, instead of in the directory for temporary files
    #[arg(long = "pack-cache-dir", value_name = "directory")]
    pack_cache_dir: Option<PathBuf>,
    /// memory for deltas that the next client may lack as well, 32m if not said
    #[arg(long = "delta-cache", value_name = "size")]
    delta_cache: Option<String>,
    /// who answers: gitr, or C git's http-backend
    #[arg(long, value_name = "(gitr|git)")]
    backend: Option<String>,
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
    let sockets = sockets(values)?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let server = Server::start(settings, sockets, Arc::new(Printed(format)))
        .map_err(|error| CommandError::fatal(format!("cannot serve: {error}")))?;
    if let Some(file) = &values.pid_file {
        write_pid(file)?;
    }
    for (role, address) in server.addresses() {
        ui::note(format!("listening at {}", shown(*role, address)));
    }
    for signal in &mut signals {
        if signal == SIGTERM || signal == SIGINT {
            break;
        }
        server.reload();
    }
    end_at_once_if_asked_again(signals)?;
    ui::note("ending: transfers come to their end");
    let is_whole = server.drain();
    #[cfg(feature = "otlp")]
    super::otlp::end();
    Ok(u8::from(!is_whole))
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

fn shown(role: Role, address: &str) -> String {
    let scheme = if role == Role::Secure { "https" } else { "http" };
    if address.starts_with("unix:") { address.to_owned() } else { format!("{scheme}://{address}/") }
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
    let access = access(values)?;
    let pushes = pushing(values.enable_receive_pack.as_deref())?;
    if (pushes == Pushing::Users || values.private) && !access.knows_users() {
        let text = "users are known by --htpasswd, --tokens or --forward-auth alone";
        let hint = "--enable-receive-pack=anybody lets everybody push";
        return Err(CommandError::fatal(text).with_hint(hint));
    }
    let mut overrides = context.overrides.clone();
    // logs of both sides can be matched, unless somebody has said that they are not to be
    if context.config()?.boolean("transfer.advertiseSID")?.is_none() {
        overrides.push(("transfer.advertiseSID".into(), Some("true".into())));
    }
    Ok(Settings {
        access,
        pushes,
        has_page: values.status_page,
        backend: backend(values.backend.as_deref())?,
        cache: keeping(values, &context)?,
        delta_cache_bytes: delta_cache(values.delta_cache.as_deref())?,
        hosts: values.vhost.iter().map(|text| host(text)).collect::<Result<_, _>>()?,
        proxies: proxies(&values.trust_proxy)?,
        identities: identities(values)?,
        root,
        limits: limits(&values.limit, &context)?,
        env: context.env,
        overrides,
        exports_all: values.export_all,
        follows_links: values.follow_symlinks,
        imitates_backend: imitates(values.compat.as_deref())?,
    })
}

/// Who may do what. A service that decides sees all that clients say of themselves, so that nobody else is to judge it.
fn access(values: &Arguments) -> Result<Files, CommandError> {
    let of_users = [("htpasswd", &values.htpasswd), ("tokens", &values.tokens)];
    if let Some((name, _)) = of_users.iter().find(|(_, file)| file.is_some() && values.forward_auth.is_some())
    {
        let text = format!("options '--forward-auth' and '--{name}' cannot be used together");
        return Err(CommandError::fatal(text));
    }
    Ok(Files {
        htpasswd: values.htpasswd.clone(),
        tokens: values.tokens.clone(),
        rules: values.rules.clone(),
        forward: values.forward_auth.clone(),
        is_private: values.private,
    })
}

fn host(text: &str) -> Result<(String, PathBuf), CommandError> {
    let pair = text.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty());
    let (name, path) =
        pair.ok_or_else(|| CommandError::fatal(format!("'{text}' is no host and directory")))?;
    Ok((name.to_owned(), path.into()))
}

fn proxies(said: &[String]) -> Result<Proxies, CommandError> {
    let mut proxies = Proxies::default();
    for text in said {
        if text == "unix" {
            proxies.machine = true;
            continue;
        }
        let network = Network::parse(text);
        let bad = || CommandError::fatal(format!("'{text}' is neither a network nor 'unix'"));
        proxies.networks.push(network.ok_or_else(bad)?);
    }
    Ok(proxies)
}

fn identities(values: &Arguments) -> Result<Vec<Identity>, CommandError> {
    if values.tls_cert.len() != values.tls_key.len() {
        return Err(CommandError::fatal("each --tls-cert needs its --tls-key"));
    }
    if values.tls_cert.is_empty() && !values.tls_listen.is_empty() {
        return Err(CommandError::fatal("--tls-listen needs --tls-cert and --tls-key"));
    }
    let pairs = values.tls_cert.iter().zip(&values.tls_key);
    Ok(pairs.map(|(chain, key)| Identity { chain: chain.clone(), key: key.clone() }).collect())
}

fn backend(said: Option<&str>) -> Result<Backend, CommandError> {
    match said {
        None | Some("gitr") => Ok(Backend::Gitr),
        Some("git") => {
            let found = which::which("git");
            found
                .map(Backend::Git)
                .map_err(|_| CommandError::fatal("--backend=git needs git to be installed"))
        }
        Some(other) => Err(CommandError::fatal(format!("the backend is 'gitr' or 'git', not '{other}'"))),
    }
}

fn keeping(values: &Arguments, context: &Context) -> Result<Option<Keeping>, CommandError> {
    let Some(size) = &values.pack_cache else { return Ok(None) };
    let bad = |text: &str| CommandError::fatal(format!("bad value '{text}' for the cache of packs"));
    let time = values.pack_cache_time.as_deref().unwrap_or("60s");
    let temporary = || context.env.path("TMPDIR").unwrap_or_else(|| "/tmp".into());
    Ok(Some(Keeping {
        bytes_max: Limit::RequestBytes.parse(size).ok_or_else(|| bad(size))?,
        age_max: Duration::from_millis(Limit::IdleTime.parse(time).ok_or_else(|| bad(time))?),
        directory: values.pack_cache_dir.clone().unwrap_or_else(temporary),
    }))
}

fn delta_cache(said: Option<&str>) -> Result<usize, CommandError> {
    let Some(text) = said else { return Ok(KnownDeltas::BYTES) };
    let bytes = Limit::RequestBytes.parse(text).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| CommandError::fatal(format!("bad value '{text}' for the cache of deltas")))
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

/// The sockets that are asked for; else those of systemd; else one for this machine.
fn sockets(values: &Arguments) -> Result<Vec<(Role, Socket)>, CommandError> {
    let inherited = Socket::inherited().map_err(|error| unbound("LISTEN_FDS", &error))?;
    let is_silent = values.listen.is_empty() && values.tls_listen.is_empty() && inherited.is_empty();
    let default = [LISTEN.to_owned()];
    let plain = bind(if is_silent { &default } else { &values.listen })?;
    let mut sockets: Vec<(Role, Socket)> =
        inherited.into_iter().chain(plain).map(|socket| (Role::Git, socket)).collect();
    sockets.extend(bind(&values.tls_listen)?.into_iter().map(|socket| (Role::Secure, socket)));
    sockets.extend(bind(&values.admin)?.into_iter().map(|socket| (Role::Admin, socket)));
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
