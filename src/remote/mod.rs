//! What a fetch does to a repository: remotes and refspecs, sessions, negotiation, and the refs that move.
//!
//! ```text
//! Remote ── transport::open ── Session::open ── refs() ── RefMap ── fetch_pack ── connectivity ── update
//! ```
//!
//! [`fetch::Fetch`] and [`clone::Clone`] lead through the steps in the only order that is safe: a ref moves after the
//! pack is on disk and its history is known to be connected.

use bstr::BString;
use gix_hash::ObjectId;

pub mod accept;
pub mod bundle;
pub mod bundle_uri;
pub mod clone;
pub mod config;
pub mod configure;
mod dumb;
pub mod far;
pub mod fetch;
pub mod fetch_head;
pub mod fetch_named;
pub mod fetch_pack;
mod history;
mod legacy;
pub mod listing;
mod local_clone;
pub mod negotiate;
pub mod promisor;
pub mod pull;
pub mod push;
pub mod ref_map;
pub mod refspec;
pub mod send_pack;
pub mod session;
mod settings;
pub mod submodule;
pub mod survey;
mod tip;
pub mod update;
pub mod upstream;

pub(crate) use crate::repo::session_id::host as host_name;
pub use crate::repo::{connectivity, pack_settings};
pub use config::Remote;
pub use far::Far;
pub use refspec::Refspec;
pub use session::Session;
pub use settings::RepoSettings;

/// What can go wrong between us and a remote, sorted by whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The way to the remote broke, or the remote refused.
    #[error(transparent)]
    Transport(#[from] crate::transport::Error),
    /// They broke the protocol, or refused in its words.
    #[error(transparent)]
    Protocol(#[from] crate::protocol::Error),
    /// The pack they sent is bad, or cannot be stored.
    #[error(transparent)]
    Pack(#[from] crate::pack::Error),
    /// Our own repository is at fault.
    #[error(transparent)]
    Repo(#[from] crate::repo::Error),
    /// The history that was sent has holes. Names the remote as git does.
    #[error("{url} did not send all necessary objects")]
    NotConnected {
        /// The URL, without secrets.
        url: BString,
        /// One of the missing objects, and what it should be.
        missing: Option<ObjectId>,
    },
    /// They lack a ref or a feature we asked for.
    #[error("{0}")]
    Missing(String),
    /// They give nothing that they have not advertised, and were asked for it by id. git prints a line for each of these
    /// and exits with 1.
    #[error("{}", unadvertised(.0))]
    Unadvertised(Vec<ObjectId>),
    /// What a bundle builds on is not here, or not whole. git prints each line behind `error: ` and exits with 1.
    #[error("{}", .0.join("\n"))]
    Prerequisites(Vec<String>),
    /// The pack of a bundle cannot be taken in. git, where a process of its own does that, exits with 1.
    #[error(transparent)]
    Unbundle(crate::pack::Error),
    /// A refspec cannot be parsed.
    #[error("invalid refspec '{0}'")]
    Refspec(BString),
    /// We were asked for something that cannot be done; the text says what.
    #[error("{0}")]
    Usage(String),
    /// A push ended before anything was asked for, and not by a failure: refspecs match nothing or too much, say. git prints
    /// the lines, then `error: failed to push some refs to '<url>'`, and exits with 1.
    #[error("{}", push::joined(told))]
    NotPushed {
        /// What git prints, in order; empty if it says nothing more.
        told: Vec<push::Told>,
    },
    /// The `pre-push` hook refused. git says no more than `error: failed to push some refs to '<url>'` and exits with 1.
    #[error("pre-push hook declined")]
    HookDeclined,
    /// An object that is needed is not here, and no promisor remote sent it. Why they did not was told by
    /// [`Event::Fatal`](crate::progress::Event::Fatal).
    #[error("could not fetch {0} from promisor remote")]
    NotPromised(ObjectId),
    /// What went wrong was told by [`Event::Fatal`](crate::progress::Event::Fatal) already, before the far side heard that
    /// nothing will come of the push and told of that.
    #[error(transparent)]
    Told(Box<Self>),
    /// A file could not be read or written.
    #[error("{action} '{}': {}", path.display(), reason(source))]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or directory.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The caller asked the work to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether the work ended because [`Progress::report`](crate::progress::Progress::report) said so: nothing is
    /// wrong then. Every layer can be the one that was asked to stop.
    pub fn is_interrupted(&self) -> bool {
        use crate::{pack, protocol, repo, transport};
        matches!(
            self,
            Self::Interrupted
                | Self::Transport(transport::Error::Protocol(protocol::Error::Interrupted))
                | Self::Protocol(protocol::Error::Interrupted)
                | Self::Pack(pack::Error::Interrupted)
                | Self::Repo(repo::Error::Interrupted)
        ) || matches!(self, Self::Told(error) if error.is_interrupted())
    }
}

/// git's line for each of `ids`.
fn unadvertised(ids: &[ObjectId]) -> String {
    let line = |id| format!("Server does not allow request for unadvertised object {id}");
    ids.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the system said, without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
