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

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::runtime::{Builder, Runtime};

use self::address::Socket;
use self::connection::{Doors, Role};
use self::limit::{Limit, Limits};
use self::log::Log;
use self::metrics::Metrics;
use self::work::{Pool, Slots};
use crate::repo::Environment;
use crate::repo::config::Override;

pub mod address;
mod admin;
mod body;
mod connection;
mod exchange;
pub mod limit;
pub mod log;
mod metrics;
mod refusal;
mod ticket;
mod watched;
mod work;

/// Threads that wait for sockets.
const WAITERS: usize = 2;
/// Threads that do other blocking work than requests: looking up who a client is.
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
    names: Vec<String>,
    /// Sockets of this machine, which go with the server.
    paths: Vec<PathBuf>,
}

/// What all connections share.
struct Shared {
    settings: Settings,
    /// The root without symbolic links.
    root: PathBuf,
    pool: Arc<Pool>,
    slots: Arc<Slots>,
    doors: Doors,
    metrics: Metrics,
    log: Arc<dyn Log>,
    is_draining: AtomicBool,
    /// Ends connections between two requests; `None` once they are to end.
    graceful: Mutex<Option<GracefulShutdown>>,
}

impl Server {
    /// Serves at `sockets` until [`Self::drain`] is called or the server is dropped, and tells at those of `admin` how it is.
    ///
    /// # Errors
    ///
    /// If the root or a socket cannot be used, or there are no threads.
    pub fn start(
        settings: Settings,
        (sockets, admin): (Vec<Socket>, Vec<Socket>),
        log: Arc<dyn Log>,
    ) -> io::Result<Self> {
        let root = settings.root.canonicalize()?;
        let limits = &settings.limits;
        let workers = limits.count(Limit::Workers).min(MANY_WORKERS);
        let runtime = Builder::new_multi_thread()
            .worker_threads(WAITERS)
            .max_blocking_threads(workers.saturating_add(SIDE_WORKERS))
            .thread_name("gitr-serve")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            root,
            pool: Arc::new(Pool::new(limits)),
            slots: Arc::new(Slots::new(limits.packs())),
            doors: Doors::new(limits),
            metrics: Metrics::new(),
            log,
            is_draining: AtomicBool::new(false),
            graceful: Mutex::new(Some(GracefulShutdown::new())),
            settings,
        });
        let mut server =
            Self { runtime, shared, accepting: Vec::new(), names: Vec::new(), paths: Vec::new() };
        for socket in sockets {
            server.names.push(socket.name());
            let task = server.listen(socket, Role::Git)?;
            server.accepting.push(task);
        }
        for socket in admin {
            // it answers to the end
            server.listen(socket, Role::Admin)?;
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[String] {
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

/// More threads than these are never made.
const MANY_WORKERS: usize = 4096;
