//! What a server tells of its work: a line for each request.

use std::net::IpAddr;
use std::time::Duration;

use crate::protocol::Version;
use crate::server::watch::Account;

/// Takes what is told. It is called by many threads at once and must not wait.
pub trait Log: Send + Sync {
    /// A request is over.
    fn request(&self, entry: &Entry);
    /// Something else is worth a word.
    fn note(&self, text: &str);
}

/// One request and what became of it. What clients say is in it as they say it: control characters are to be made
/// harmless by whoever writes it.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// From where it came; `None` for sockets of this machine.
    pub address: Option<IpAddr>,
    /// Whom the client proved to be.
    pub user: Option<String>,
    /// `GET` and the like.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The host that was asked for.
    pub host: Option<String>,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: &'static str,
    /// The version of git's protocol.
    pub version: Version,
    /// The status that was answered; 0 if the client went away before.
    pub status: u16,
    /// Bytes of the request's body, as they came.
    pub received: u64,
    /// Bytes of the answer's body, as they went.
    pub sent: u64,
    /// How long it took.
    pub time: Duration,
    /// How long of that it waited for a worker.
    pub queued: Duration,
    /// How it ended.
    pub result: Ending,
    /// Why it was refused.
    pub reason: Option<String>,
    /// What it was about.
    pub account: Account,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It was answered.
    #[default]
    Done,
    /// It was refused.
    Refused,
    /// It went over a limit.
    Limited,
    /// The client went away.
    Gone,
    /// It failed.
    Failed,
}

impl Ending {
    /// The word for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Gone => "client_gone",
            Self::Failed => "failed",
        }
    }
}
