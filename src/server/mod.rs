//! The other side of [`crate::protocol`]: what `git upload-pack` and its like do.
//!
//! No socket is touched here: a service reads requests from one stream and writes answers to another, whether these are
//! the pipes of ssh, a connection of `git://` or the bodies of HTTP.

use std::io::{self, Write};

use bstr::BString;

use crate::protocol::fetch::SideBand;
use crate::protocol::pktline;
use crate::protocol::sideband::{self, SidebandWriter};
use crate::{pack, protocol, repo};

pub mod daemon;
pub mod enter;
pub mod http;
pub mod receive_pack;
mod refs;
mod server_info;
pub mod upload_pack;
pub mod watch;

pub(crate) use crate::pack::map::give_back;
pub use crate::pack::produce::KnownDeltas;
pub use receive_pack::ReceivePack;
pub use refs::Served;
pub use upload_pack::UploadPack;
pub use watch::Watch;

/// What can go wrong while a request is served, sorted by whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wire broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// They broke the protocol.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    /// They asked for what they do not get, or for nonsense; the text is what git prints behind `fatal: `.
    #[error("{0}")]
    Refused(String),
    /// They asked for more than is served.
    #[error("{0}")]
    TooMuch(String),
    /// The pack could not be made. They have been told no more than that; `reason` is for us.
    #[error("git upload-pack: aborting due to possible repository corruption on the remote side.")]
    Pack {
        /// What went wrong.
        reason: pack::Error,
    },
    /// `uploadpack.packObjectsHook` failed. They have been told no more than that.
    #[error("git upload-pack: aborting due to possible repository corruption on the remote side.")]
    PackObjectsHook {
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// There is no repository where they look for one.
    #[error("'{}' does not appear to be a git repository", .0.display())]
    Missing(std::path::PathBuf),
    /// Our repository is not as it should be.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

impl Error {
    /// Whether something is wrong on our side that others need not suffer from.
    fn is_local(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Repo(_))
            && !matches!(self, Self::Repo(repo::Error::Interrupted))
    }

    /// An object of ours could not be read.
    fn object(error: io::Error) -> Self {
        Self::Repo(repo::Error::Object(error.to_string()))
    }
}

/// Writes pkt-lines; each in a band where the client asked for `sideband-all`.
struct Packets<'a> {
    out: &'a mut dyn Write,
    in_bands: bool,
}

impl Packets<'_> {
    /// Writes `line` and a line feed.
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.data(&[line, b"\n"].concat())
    }

    /// Writes `data` as it is.
    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        if self.in_bands {
            SidebandWriter::new(self.out, SideBand::Large).write_band(sideband::DATA, data)
        } else {
            pktline::write_data(self.out, data)
        }
    }

    fn delimiter(&mut self) -> io::Result<()> {
        pktline::write_delimiter(self.out)
    }

    /// Ends the answer, and sends it.
    fn flush(&mut self) -> io::Result<()> {
        pktline::write_flush(self.out)?;
        self.out.flush()
    }

    /// Tells the client why it gets nothing: gitprotocol-pack(5), "error-line". `text` is what is printed here.
    fn refuse(&mut self, told: &str, text: impl Into<String>) -> Error {
        let told = harmless(told);
        let written = if self.in_bands {
            SidebandWriter::new(self.out, SideBand::Large).write_band(sideband::ERROR, told.as_bytes())
        } else {
            pktline::write_data(self.out, format!("ERR {told}").as_bytes())
        };
        match written.and_then(|()| self.out.flush()) {
            Ok(()) => Error::Refused(text.into()),
            Err(error) => error.into(),
        }
    }
}

/// `text` without what moves a terminal: what a client has said comes back in errors, and not every client looks at it.
/// C git sends it as it is.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() && !"\n\t".contains(letter) { '?' } else { letter };
    text.chars().map(shown).collect()
}

/// What this server calls itself: `GIT_USER_AGENT`, else [`protocol::AGENT`].
fn agent(env: &repo::Environment) -> BString {
    let given = env.get("GIT_USER_AGENT").map(std::ffi::OsStr::as_encoded_bytes);
    // as git does, what would end the word is made harmless
    given.map_or_else(
        || protocol::AGENT.into(),
        |agent| {
            agent
                .iter()
                .map(|byte| if byte.is_ascii_graphic() { *byte } else { b'.' })
                .collect::<Vec<u8>>()
                .into()
        },
    )
}
