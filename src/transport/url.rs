//! URLs as git reads them.

use bstr::{BStr, BString};
use std::path::PathBuf;

use super::Error;

/// Where a repository is, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// How it is reached.
    pub scheme: Scheme,
    /// The user, percent-decoded.
    pub user: Option<BString>,
    /// The password, percent-decoded; only http and https URLs have a use for it.
    pub password: Option<crate::credential::Secret>,
    /// The host without brackets; empty for local paths.
    pub host: BString,
    /// The port, where one was given.
    pub port: Option<u16>,
    /// The path on the far side, as the far side is to see it.
    pub path: BString,
    /// The text it was parsed from.
    pub text: BString,
}

/// How a repository is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// A path on this machine, given as such.
    Path,
    /// `file://`.
    File,
    /// `git://`.
    Git,
    /// `ssh://` and the scp-like form.
    Ssh,
    /// `http://`.
    Http,
    /// `https://`.
    Https,
    /// `<name>::<address>`, or a scheme of which git knows nothing: the program `git-remote-<name>`.
    Helper(BString),
}

impl Url {
    /// Parses `text` by git's rules: `gitfaq(7)` no, `git-fetch(1)` "GIT URLS".
    pub fn parse(_text: &BStr) -> Result<Self, Error> {
        todo!("transport helper")
    }
    /// The local path of [`Scheme::Path`] and [`Scheme::File`].
    pub fn local_path(&self) -> Option<PathBuf> {
        todo!()
    }
    /// The text with user name and password left out, for messages and FETCH_HEAD.
    pub fn redacted(&self) -> BString {
        todo!()
    }
}
