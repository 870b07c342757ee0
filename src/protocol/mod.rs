//! What the bytes mean: every message of git's wire protocol as a type that can be encoded and decoded.
//!
//! No socket and no repository is touched here. Client and server use the same types.

use bstr::BString;
use gix_hash::ObjectId;

pub mod advertisement;
pub mod bundle;
pub mod bundle_uri;
pub mod capability;
pub mod command;
pub mod fetch;
pub mod ls_refs;
pub mod pktline;
pub mod promisor_remote;
pub mod push;
pub mod sideband;
pub mod trace;

pub use advertisement::Advertisement;
pub use capability::Capabilities;

/// gitprotocol-v2(5), "agent": what we call ourselves. The far side branches on `git/`, so it stands in front.
pub const AGENT: &str = concat!("git/2.47.3-gitr-", env!("CARGO_PKG_VERSION"));

/// The version of the wire protocol, `gitprotocol-v2(5)` and `gitprotocol-pack(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// The original protocol: the server lists its refs as soon as the connection stands.
    V0,
    /// As version 0, with a `version 1` line in front.
    V1,
    /// The server lists its commands; the client asks for what it needs.
    #[default]
    V2,
}

impl Version {
    /// Its number, as words of the protocol and logs have it.
    pub fn number(self) -> &'static str {
        match self {
            Self::V0 => "0",
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }
}

/// The program on the far side that a client talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Serves clone, fetch and ls-remote.
    UploadPack,
    /// Serves push.
    ReceivePack,
}

impl Service {
    /// The name on the wire: `git-upload-pack` or `git-receive-pack`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// One reference as a server advertises it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ref {
    /// The full name, such as `HEAD` or `refs/heads/main`.
    pub name: BString,
    /// The object it points to; `None` if the ref is a symbolic ref to a branch that is not yet born.
    pub id: Option<ObjectId>,
    /// The object at the end of the chain of tags, if `id` is an annotated tag and the server said so.
    pub peeled: Option<ObjectId>,
    /// The ref this one points to by name, if the server said so.
    pub symref_target: Option<BString>,
}

impl Ref {
    /// A ref that points to `id` and nothing more.
    pub fn direct(name: impl Into<BString>, id: ObjectId) -> Self {
        Self { name: name.into(), id: Some(id), peeled: None, symref_target: None }
    }
}

/// What can be wrong with bytes of the protocol, sorted by whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wire broke.
    #[error(transparent)]
    Io(std::io::Error),
    /// The far side hung up before the message was whole.
    #[error("the remote end hung up unexpectedly")]
    UnexpectedEof {
        /// Bytes of this message stream read so far.
        position: u64,
    },
    /// The far side hung up in the middle of its greeting.
    #[error("the remote end hung up upon initial contact")]
    CutShort,
    /// They broke the protocol: a pkt-line's length is not four hexadecimal digits.
    #[error("protocol error: bad line length character: {}", printable(bytes))]
    BadLineLength {
        /// The four bytes that stood where the length should.
        bytes: [u8; 4],
        /// Where they stood, in bytes from the beginning of the stream.
        position: u64,
    },
    /// They broke the protocol at once: something on the way printed a text before they spoke, such as a shell's profile.
    #[error("protocol error: bad line length character: {}", printable(bytes))]
    Banner {
        /// The four bytes that stood where the length should.
        bytes: [u8; 4],
        /// The first line of the text, or what can be shown of it.
        line: String,
    },
    /// They broke the protocol: the length is a number no pkt-line can have.
    #[error("protocol error: bad line length {length}")]
    LineLength {
        /// The length read.
        length: usize,
        /// Where it stood.
        position: u64,
    },
    /// They broke the protocol: a message that has no place here. `expected` and `received` as git words them.
    #[error("expected {expected}, received '{received}'")]
    Unexpected {
        /// What would have been in place.
        expected: &'static str,
        /// What came, made printable.
        received: String,
    },
    /// They broke the protocol in another way; the text says how.
    #[error("protocol error: {0}")]
    Malformed(String),
    /// They broke the protocol: an argument that may be there once is there again, in git's words.
    #[error("multiple {argument} lines forbidden")]
    Repeated {
        /// The word that the line begins with.
        argument: &'static str,
    },
    /// They broke the protocol: a report on a push that makes no sense, in git's words, which git prints behind `error: `.
    #[error("{0}")]
    Report(String),
    /// A limit of ours was passed.
    #[error("received more than {limit} {what}")]
    TooMany {
        /// What there was too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// They lack a feature we cannot do without.
    #[error("{0}")]
    Unsupported(String),
    /// A file is no bundle of a version that is known; the words continue its name.
    #[error("does not look like a v2 or v3 bundle file")]
    NotABundle,
    /// They refused: the words of an `ERR` packet or of side-band 3, as received.
    #[error("remote error: {}", .0)]
    Remote(BString),
    /// The caller of the work asked it to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// This error, with what follows in `input` if it is about the very first bytes: then they were no packet at all.
    pub(crate) fn with_banner(self, input: &mut dyn std::io::BufRead) -> Self {
        let Self::BadLineLength { bytes, position: 0 } = self else { return self };
        let mut line = bytes.to_vec();
        if !bytes.contains(&b'\n') {
            let mut limited = std::io::Read::take(input, SHOWN_LEN_MAX as u64);
            // What cannot be read is not shown.
            let _rest = std::io::BufRead::read_until(&mut limited, b'\n', &mut line);
        }
        let first = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Self::Banner { bytes, line: printable(first.trim_ascii_end()) }
    }
}

impl From<std::io::Error> for Error {
    /// Digs out the protocol error that a reader of this module wrapped, and folds an early end of the stream into
    /// [`Error::UnexpectedEof`]. The same as [`sideband::into_protocol_error`].
    fn from(error: std::io::Error) -> Self {
        sideband::into_protocol_error(error)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// `bytes` for an error message: control characters and what is not ASCII as `?`, as C git shows a bad length, and no
/// more than the first [`SHOWN_LEN_MAX`] bytes.
fn printable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' };
    bytes.iter().take(SHOWN_LEN_MAX).map(shown).collect()
}

/// The most bytes of a bad line that an error message quotes.
const SHOWN_LEN_MAX: usize = 200;

/// An object id in hexadecimal digits of either case, 40 or 64 of them; `None` for anything else.
fn parse_id(hex: &[u8]) -> Option<ObjectId> {
    crate::text::id_of_hex(hex)
}

/// The error of C git for a line that has no place where it came.
fn unexpected_line(line: &[u8]) -> Error {
    Error::Malformed(format!("unexpected '{}'", printable(line)))
}
