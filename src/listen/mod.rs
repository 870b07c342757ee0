//! The sockets of `gitr serve`: HTTP/1.1 and HTTP/2 in front of [`crate::server::http`], which answers.
//!
//! ```text
//! accept ── places ── TLS ── HTTP ── who is it ── queue ── worker ── answer
//!  connection.rs             hyper    access       work     server    body
//! ```
//!
//! Sockets wait in a runtime of few threads; what computes or reads a disk is done by workers, whose number is limited.
//! Between them bodies travel in channels of some pieces, so that a slow client slows its worker and fills no memory. A
//! client that hangs up stops its worker.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use self::access::{Access, Files};
use self::address::{Network, Socket};
use self::budget::Budget;
use self::cache::Cache;
use self::limit::{Limit, Limits};
use self::lists::Lists;
use self::log::Log;
use self::metrics::Metrics;
use self::slot::Slots;
use self::tls::{Certificates, Identity};
use self::turn::Turns;
use self::work::Pool;
use crate::repo::Environment;
use crate::repo::config::Override;
use crate::server::{KnownDeltas, Watch};

pub mod access;
pub mod address;
mod admin;
mod body;
mod budget;
mod cache;
mod connection;
mod exchange;
mod git;
mod job;
pub mod limit;
mod lists;
pub mod log;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod page;
mod refusal;
mod slot;
mod ticket;
pub mod tls;
mod turn;
mod wait;
mod watched;
mod work;

/// Threads that wait for sockets.
const WAITERS: usize = 2;
/// Threads that do other blocking work than requests: passwords, pages and names of hosts.
const SIDE_WORKERS: usize = 8;
/// How long workers have after their clients were cut off.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where the repositories are.
    pub root: PathBuf,
    /// The environment of the services.
    pub env: Environment,
    /// `-c` values.
    pub overrides: Vec<Override>,
    /// Whether all repositories are served, or those alone that have the file `git-daemon-export-ok`.
    pub exports_all: bool,
    /// Who may push where `http.receivepack` does not say.
    pub pushes: Pushing,
    /// Whether symbolic links may lead out of the root.
    pub follows_links: bool,
    /// Whether what fails is answered as `git http-backend` does: by an empty answer.
    pub imitates_backend: bool,
    /// How much clients may take.
    pub limits: Limits,
    /// Where it stands who may do what.
    pub access: Files,
    /// Hosts that have a root of their own.
    pub hosts: Vec<(String, PathBuf)>,
    /// Who is believed that says for whom he asks, by `X-Forwarded-For`.
    pub proxies: Proxies,
    /// Whether there is a page at `/` for people.
    pub has_page: bool,
    /// Who answers.
    pub backend: Backend,
    /// Where answers are kept for whoever asks the same; nowhere if it is not set.
    pub cache: Option<Keeping>,
    /// Memory for deltas that are kept for the next client.
    pub delta_cache_bytes: usize,
    /// The certificates of secure sockets.
    pub identities: Vec<Identity>,
}

/// Who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Backend {
    /// We do.
    #[default]
    Gitr,
    /// This program does, which is git.
    Git(PathBuf),
}

impl Backend {
    fn name(&self) -> &'static str {
        match self {
            Self::Gitr => "gitr",
            Self::Git(_) => "git",
        }
    }
}

/// How answers are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// Bytes of all of them.
    pub bytes_max: u64,
    /// How long one is good.
    pub age_max: Duration,
    /// A directory for files without names.
    pub directory: PathBuf,
}

/// Who stands between us and clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Whoever has such an address.
    pub networks: Vec<Network>,
    /// Whoever comes by a socket of this machine.
    pub machine: bool,
}

impl Proxies {
    fn trust(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.machine,
        }
    }
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Clients.
    Git,
    /// Clients, in secret.
    Secure,
    /// Those who run the server: `/livez`, `/readyz` and `/metrics`.
    Admin,
}

/// Who may push to a repository that does not say it itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pushing {
    /// Nobody.
    #[default]
    Off,
    /// Whoever proves who he is.
    Users,
    /// Everybody.
    Anybody,
}

/// A server that runs.
pub struct Server {
    runtime: Runtime,
    shared: Arc<Shared>,
    accepting: Vec<tokio::task::JoinHandle<()>>,
    names: Vec<(Role, String)>,
    /// Sockets of this machine, which go with the server.
    paths: Vec<PathBuf>,
}

/// What all connections share.
struct Shared {
    settings: Settings,
    /// The root without symbolic links.
    root: PathBuf,
    /// Those of some hosts.
    hosts: HashMap<String, PathBuf>,
    access: RwLock<Arc<Access>>,
    /// Who has a password looked at.
    passwords: Turns,
    /// Who has a page made.
    pages: Turns,
    certificates: Option<Arc<Certificates>>,
    tls: Option<TlsAcceptor>,
    cache: Option<Cache>,
    lists: Arc<Lists>,
    /// Deltas that were made.
    known: Arc<KnownDeltas>,
    pool: Arc<Pool>,
    slots: Arc<Slots>,
    /// Of bytes of requests that wait.
    budget: Arc<Budget>,
    /// Of connections.
    doors: Arc<Budget>,
    metrics: Metrics,
    log: Arc<dyn Log>,
    is_draining: AtomicBool,
    /// Ends connections between two requests; `None` once they are to end.
    graceful: Mutex<Option<GracefulShutdown>>,
}

impl Server {
    /// Serves at `sockets` until [`Self::drain`] is called or the server is dropped.
    ///
    /// # Errors
    ///
    /// If the root or a socket cannot be used, or there are no threads.
    pub fn start(settings: Settings, sockets: Vec<(Role, Socket)>, log: Arc<dyn Log>) -> io::Result<Self> {
        let limits = &settings.limits;
        let workers = limits.count(Limit::Workers).min(MANY_WORKERS);
        let runtime = Builder::new_multi_thread()
            .worker_threads(WAITERS)
            .max_blocking_threads(workers.saturating_add(SIDE_WORKERS))
            .thread_name("gitr-serve")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared::new(settings, log)?);
        let mut server =
            Self { runtime, shared, accepting: Vec::new(), names: Vec::new(), paths: Vec::new() };
        for (role, socket) in sockets {
            let name = socket.name();
            let task = server.listen(socket, role)?;
            if role != Role::Admin {
                // the others answer to the end
                server.accepting.push(task);
                server.names.push((role, name));
            }
        }
        Ok(server)
    }

    /// Reads the certificates and the files of users anew. What cannot be read stays as it was.
    pub fn reload(&self) {
        if let Some(certificates) = &self.shared.certificates {
            certificates.reload();
        }
        match Access::load(&self.shared.settings.access) {
            Ok(access) => {
                let mut held = self.shared.access.write().unwrap_or_else(PoisonError::into_inner);
                *held = Arc::new(access);
            }
            Err(error) => self.shared.log.note(&format!("users and rules stay as they were: {error}")),
        }
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[(Role, String)] {
        &self.names
    }

    /// Takes no more connections, lets answers come to their end for as long as the limit allows, and ends. Whether all
    /// came to their end.
    pub fn drain(mut self) -> bool {
        self.shared.is_draining.store(true, Ordering::SeqCst);
        for task in self.accepting.drain(..) {
            task.abort();
        }
        let graceful = self.shared.graceful.lock().unwrap_or_else(PoisonError::into_inner).take();
        let grace = self.shared.settings.limits.time(Limit::GraceTime);
        let is_over = self.runtime.block_on(async {
            match graceful {
                Some(graceful) => tokio::time::timeout(grace, graceful.shutdown()).await.is_ok(),
                None => true,
            }
        });
        if !is_over {
            self.shared.metrics.limited(Limit::GraceTime);
            self.shared.log.note("the grace-time is over: transfers were cut off");
        }
        for path in self.paths.drain(..) {
            let _gone_already = std::fs::remove_file(path);
        }
        self.runtime.shutdown_timeout(LAST_WAIT);
        is_over
    }

    fn listen(&mut self, socket: Socket, role: Role) -> io::Result<tokio::task::JoinHandle<()>> {
        let shared = Arc::clone(&self.shared);
        let _within = self.runtime.enter();
        Ok(match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                self.runtime.spawn(connection::accept_tcp(shared, listener, role))
            }
            Socket::Unix(listener, path) => {
                self.paths.extend(path);
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                self.runtime.spawn(connection::accept_unix(shared, listener, role))
            }
        })
    }
}

impl Shared {
    /// Watches a new request.
    fn watch(&self) -> Watch {
        Watch::new(self.settings.limits.of_request()).knowing(Arc::clone(&self.known))
    }

    fn new(settings: Settings, log: Arc<dyn Log>) -> io::Result<Self> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        let whole = |path: &PathBuf| path.canonicalize().map_err(|error| named(path, error));
        let host = |(name, root): &(String, PathBuf)| Ok((name.to_ascii_lowercase(), whole(root)?));
        let certificates = match settings.identities.as_slice() {
            [] => None,
            identities => Some(Certificates::load(identities.to_vec(), Arc::clone(&log))?),
        };
        let limits = &settings.limits;
        Ok(Self {
            root: whole(&settings.root)?,
            hosts: settings.hosts.iter().map(host).collect::<io::Result<_>>()?,
            access: RwLock::new(Arc::new(Access::load(&settings.access)?)),
            passwords: Turns::new(HASHING_MAX, limits),
            pages: Turns::new(PAGES_MAX, limits),
            tls: certificates.as_ref().map(Certificates::acceptor).transpose()?,
            certificates,
            cache: settings
                .cache
                .as_ref()
                .map(|keeping| Cache::new(keeping.bytes_max, keeping.age_max, keeping.directory.clone())),
            lists: Arc::default(),
            known: Arc::new(KnownDeltas::new(settings.delta_cache_bytes)),
            pool: Arc::new(Pool::new(limits)),
            slots: Arc::new(Slots::new(limits.packs())),
            budget: Budget::new(limits.get(Limit::QueueBytes), limits.get(Limit::QueueBytesPerAddress)),
            doors: Budget::new(limits.get(Limit::Connections), limits.get(Limit::ConnectionsPerAddress)),
            metrics: Metrics::new(),
            log,
            is_draining: AtomicBool::new(false),
            graceful: Mutex::new(Some(GracefulShutdown::new())),
            settings,
        })
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the repositories of `host` are.
    fn root_of(&self, host: Option<&str>) -> &Path {
        let name = host.map(|host| match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_ascii_lowercase(),
            Some(_) | None => host.to_ascii_lowercase(),
        });
        name.and_then(|name| self.hosts.get(&name)).unwrap_or(&self.root)
    }
}

/// Passwords that are hashed at a time; each keeps a processor busy for a while.
const HASHING_MAX: usize = 2;
/// Pages that are made at a time; each may read many directories.
const PAGES_MAX: usize = 2;
/// More threads than these are never made.
const MANY_WORKERS: usize = 4096;
