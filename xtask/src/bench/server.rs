//! The server of a bench, and the relay before it that counts the bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use super::git::{hermetic, said_by_git};

/// `git daemon`, which serves the directory of a bench.
pub(super) struct Daemon {
    child: Child,
    pub(super) port: u16,
}

impl Daemon {
    pub(super) fn start(directory: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // `git daemon` would be a child of its own, and outlive the program that starts it.
        let programs = said_by_git(directory, &["--exec-path"])?;
        let mut command = Command::new(Path::new(&programs).join("git-daemon"));
        hermetic(&mut command)
            .args(["--export-all", "--enable=receive-pack", "--listen=127.0.0.1", "--reuseaddr"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", directory.display()))
            .stderr(Stdio::null());
        let child = command.spawn().context("cannot run git daemon")?;
        let daemon = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // nothing is left to be done about a server that is gone already
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Passes connections on and counts what goes either way.
pub(super) struct Relay {
    pub(super) port: u16,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Relay {
    pub(super) fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay =
            Self { port: listener.local_addr()?.port(), sent: Arc::default(), received: Arc::default() };
        let (sent, received) = (Arc::clone(&relay.sent), Arc::clone(&relay.received));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                pass(&client, &server, &sent);
                pass(&server, &client, &received);
            }
        });
        Ok(relay)
    }

    #[expect(clippy::cast_precision_loss, reason = "no one counts that many bytes")]
    pub(super) fn counts(&self) -> (f64, f64) {
        (self.sent.load(Ordering::SeqCst) as f64, self.received.load(Ordering::SeqCst) as f64)
    }
}

/// Copies from one socket to the other in a thread of its own.
fn pass(from: &TcpStream, to: &TcpStream, count: &Arc<AtomicU64>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let count = Arc::clone(count);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(length) = from.read(&mut buffer) {
            let chunk = buffer.get(..length).unwrap_or_default();
            if chunk.is_empty() || to.write_all(chunk).is_err() {
                break;
            }
            count.fetch_add(length as u64, Ordering::SeqCst);
        }
        // whoever is gone needs not to be told
        drop(to.shutdown(Shutdown::Write));
    });
}
