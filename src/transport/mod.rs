//! How bytes travel: one [`Transport`] for each kind of URL, all with the same face.
//!
//! git's protocols are half-duplex in every version: the client says one whole thing, the server answers it. So the
//! unit is one exchange, and a pipe and an HTTP POST differ in nothing the caller sees but [`Connection::is_stateful`].

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bstr::BString;

use crate::credential::CredentialProvider;
use crate::progress::Progress;
use crate::protocol::{Service, Version};

pub mod bundle;
mod child;
mod credentials;
pub mod git;
pub mod helper;
pub mod http;
pub mod local;
pub mod pattern;
pub mod policy;
mod program;
pub mod ssh;
pub mod stream;
pub mod url;

pub use child::TARGET as CHILD_TARGET;
pub(crate) use child::{note as trace_note, trace as trace_program};
pub use credentials::credentials;
pub use program::OWN_PROGRAM;
pub use url::{Scheme, Url};

/// Reaches the services of one repository.
pub trait Transport {
    /// Opens a session with `service`, asking for `version`; the greeting tells what came of it.
    fn connect(
        &mut self,
        service: Service,
        version: Version,
        progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error>;
}

/// One session with one service.
pub trait Connection {
    /// Whether the far side remembers what was said in earlier exchanges: pipes do, HTTP does not.
    fn is_stateful(&self) -> bool;
    /// The files of the repository, where the far side is a server that knows nothing of git: all else is an error then.
    /// `None` in a session of git's, and after the first call.
    fn files(&mut self) -> Option<Box<dyn Files>> {
        None
    }
    /// What the far side says before it is asked: the advertisement. Over HTTP the `# service=` preamble is already
    /// taken off. Call once, first.
    fn greeting(&mut self) -> Result<&mut dyn BufRead, Error>;
    /// Says `request` whole, then gives the answer to read. On a pipe the reader goes on for the life of the session,
    /// so read exactly as much as the protocol says.
    fn exchange(&mut self, request: &[u8], progress: &mut dyn Progress) -> Result<&mut dyn BufRead, Error>;
    /// Says `body` while `read` takes in the answer, for requests that take long and are commented on meanwhile: a
    /// push. `read` runs on this thread, `body` is read on another; both have ended when this returns. A far side that
    /// hangs up early is no error here: what it said last is for `read` to judge. An error of `body` ends the request
    /// without its end being told to the far side as well, and is the error that counts.
    fn converse(
        &mut self,
        body: &mut (dyn Read + Send),
        read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error>;
    /// The answer to the last exchange, from where reading stopped.
    fn answer(&mut self) -> Result<&mut dyn BufRead, Error>;
    /// Ends the session and tells how the far side ended: `Ok` also if it had been cut short on purpose.
    fn close(self: Box<Self>) -> Result<(), Error>;
}

/// The files of a repository on a server that knows nothing of git: gitprotocol-http(5), "Dumb Clients".
pub trait Files {
    /// The URL of the repository without user and password, ending in a slash.
    fn base(&self) -> &str;
    /// What `info/refs` says; it is read once, before any file is opened.
    fn refs(&mut self) -> &mut dyn BufRead;
    /// Whether we may be sent elsewhere for objects.
    fn follows_alternates(&self) -> bool;
    /// What `line` of an alternates file of the repository at `base` names; `None` if that is no URL, or one that we must not
    /// go to unasked.
    fn alternate(&self, base: &str, line: &str) -> Option<String>;
    /// Asks for the file at `url`, which is below [`Self::base`] or an alternate.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or takes us for nobody it knows. A file that it does not give is no error.
    fn open(&mut self, url: &str, progress: &mut dyn Progress) -> Result<File, Error>;
}

/// What a server answers to the request for a file.
pub enum File {
    /// The bytes, as they come: as many as the server likes.
    Body(Box<dyn BufRead>),
    /// There is none for us: the status of the answer.
    Missing(u16),
}

/// Where a transport looks up configuration and environment; the caller owns both.
pub trait Settings {
    /// The last value of a configuration key such as `core.sshCommand` or `http.proxy` (no URL matching).
    fn value(&self, key: &str) -> Option<BString>;
    /// Every entry of the section `name` in the order of definition, those with a subsection included: what
    /// `http.<url>.*` matching needs.
    fn section(&self, name: &str) -> Vec<Entry>;
    /// An environment variable.
    fn env(&self, name: &str) -> Option<OsString>;
    /// All environment variables, which is what child programs get; `None` gives them those of this process.
    fn environment(&self) -> Option<Vec<(OsString, OsString)>> {
        None
    }
    /// What `-c` said, as `GIT_CONFIG_PARAMETERS` hands it on to programs that work on the same repository; `None` if that
    /// is nothing, or in the environment already.
    fn parameters(&self) -> Option<OsString> {
        None
    }
}

/// One line of configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The subsection, such as the URL in `[http "https://example.com"]`.
    pub subsection: Option<BString>,
    /// The key, in lower case.
    pub key: String,
    /// The value; `None` if the key stands alone, which means true.
    pub value: Option<BString>,
}

/// What a caller may say about one connection; the command takes it from its options.
#[derive(Clone, Default)]
pub struct Options {
    /// The name of the remote in the configuration, for `remote.<name>.proxy`; `None` for a URL that was given directly.
    pub remote: Option<BString>,
    /// The program to run for [`Service::UploadPack`] on the far side: a shell snippet, as git takes it.
    pub upload_pack: Option<BString>,
    /// The program to run for [`Service::ReceivePack`] on the far side.
    pub receive_pack: Option<BString>,
    /// `-4` or `-6`.
    pub ip_version: IpVersion,
    /// `-v`, which some transports pass on.
    pub verbose: bool,
    /// The git directory that a remote helper program works on; `None` outside of any repository.
    pub git_dir: Option<PathBuf>,
    /// What a remote helper program is told first: the names and values of its `option` command, gitremote-helpers(7).
    pub helper_options: Vec<(&'static str, BString)>,
    /// The directory that relative local paths start from and that children run in; the current one if `None`.
    pub directory: Option<PathBuf>,
    /// Where the words of programs that are started go: `ssh`, or the server of a repository on this machine.
    pub child_stderr: ChildStderr,
    /// Who the user is, for servers that ask over HTTP. `None`: askpass programs and the terminal, as the configuration
    /// and the environment say. Over ssh the `ssh` program asks for itself.
    pub credentials: Option<Arc<dyn CredentialProvider>>,
}

impl fmt::Debug for Options {
    /// Shows whether there is a provider of credentials, and nothing of it: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("remote", &self.remote)
            .field("upload_pack", &self.upload_pack)
            .field("receive_pack", &self.receive_pack)
            .field("ip_version", &self.ip_version)
            .field("verbose", &self.verbose)
            .field("git_dir", &self.git_dir)
            .field("helper_options", &self.helper_options)
            .field("directory", &self.directory)
            .field("child_stderr", &self.child_stderr)
            .field("credentials", &self.credentials.is_some())
            .finish()
    }
}

/// What becomes of a child program's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChildStderr {
    /// It is that of this process, as in git: the user reads why `ssh` or the server failed.
    #[default]
    Inherit,
    /// Nobody reads it: for programs whose standard error is no place for users.
    Discard,
}

/// Which addresses of a host may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpVersion {
    /// Whatever the resolver gives.
    #[default]
    Any,
    /// `-4`.
    V4,
    /// `-6`.
    V6,
}

/// Prepares the transport that `url` asks for. Nothing is contacted yet.
///
/// # Errors
///
/// [`Error::Url`] if `protocol.allow` or one of its kin forbids it, or if a part of `url` could be taken for an option by
/// the program it is handed to; [`Error::Program`] if it takes a remote helper, which [`helper::start`] is for.
pub fn open(url: &Url, settings: &dyn Settings, options: Options) -> Result<Box<dyn Transport>, Error> {
    policy::allowed(url.scheme.name(), settings)?;
    Ok(match &url.scheme {
        Scheme::Path | Scheme::File => Box::new(local::Local::new(url, settings, options)),
        Scheme::Git => Box::new(git::Git::new(url, settings, options)?),
        Scheme::Ssh => Box::new(ssh::Ssh::new(url, settings, options)?),
        Scheme::Http | Scheme::Https => return http::open(url, settings, options),
        Scheme::Helper(name) => {
            return Err(Error::Program(format!(
                "'{name}' needs a remote helper program, which is not used here"
            )));
        }
    })
}

/// What can go wrong on the way, sorted by whose fault it is. The messages are C git's; those that C git prints after
/// the far side's own words end with its `Could not read from remote repository.` advice, see [`Error::NoAccess`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wire broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The far side ended before it said anything useful; its own words are on the user's terminal already. git
    /// prints five lines for this.
    #[error(
        "Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists."
    )]
    NoAccess,
    /// The server cannot be reached or answered with an error: the whole message as git words it, such as
    /// `unable to access 'URL/': Could not resolve host: H`.
    #[error("{0}")]
    Access(String),
    /// They refused: the lines of a `text/plain` error page, to be shown as `remote: …`, then the message.
    #[error("{message}")]
    Refused {
        /// The server's own lines.
        remote: Vec<BString>,
        /// What git says after them.
        message: String,
    },
    /// A request over HTTP failed after the greeting. git prints `reason` behind `error: `, then what comes of it for the
    /// operation behind `fatal: `.
    #[error("{reason}")]
    Rpc {
        /// The lines of a `text/plain` error page, to be shown as `remote: …`.
        remote: Vec<BString>,
        /// What failed, such as `RPC failed; HTTP 500 curl 22 The requested URL returned error: 500`.
        reason: String,
        /// What git says after it, such as `the remote end hung up unexpectedly`.
        consequence: &'static str,
    },
    /// The URL cannot be used, or is not safe to use.
    #[error("{0}")]
    Url(String),
    /// A program that must be started is missing or failed to start.
    #[error("{0}")]
    Program(String),
    /// A program failed to start. git prints two lines: `reason` behind `severity`, then `message` behind `fatal: `.
    #[error("{reason}\nfatal: {message}")]
    Start {
        /// What git prints before `reason`: `error` if the program is in no directory of `PATH`, `fatal` if it was named
        /// by its path, `git` if it is one that git itself looks for.
        severity: &'static str,
        /// Why, such as `cannot exec '/usr/bin/plink': No such file or directory`.
        reason: String,
        /// What it was needed for, such as `unable to fork`.
        message: String,
    },
    /// A remote helper program ended in the middle. It has said why on its standard error; git says nothing more.
    #[error("remote helper '{0}' ended unexpectedly")]
    HelperEnded(BString),
    /// The far side's program reported failure after it had said all it should. A fetch of git's then ends with exit
    /// code 1 and no word, a clone with this one, an ls-remote does not care.
    #[error("remote transport reported error")]
    Ended,
    /// The far side broke the protocol.
    #[error(transparent)]
    Protocol(#[from] crate::protocol::Error),
}

#[cfg(test)]
mod tests;
