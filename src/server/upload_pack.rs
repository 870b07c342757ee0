//! Serving clones and fetches: what `git upload-pack` does. gitprotocol-pack(5), gitprotocol-v2(5).
//!
//! In v2 a client asks one command after the other; a fetch goes
//!
//! ```text
//! ReadArguments ── haves ── SendAcknowledgments ── ready ── SendPack ── Done
//!       │ └──────────── none, or done ────────────────────────┘            │
//!       └── no wants ───────────────────── not ready ──────────────────────┘
//! ```
//!
//! In v0 and v1 the refs are told first, then there is one such walk, and the acknowledgments are given line by line.

use std::io::{BufRead, Write};
use std::sync::Arc;

use bstr::ByteSlice;

use self::settings::Settings;
use super::{Error, Served, Watch};
use crate::protocol::Version;
use crate::repo::{Environment, Objects, Repository};
use crate::telemetry;

mod advertise;
mod bands;
mod commands;
mod common;
mod deepen;
mod elsewhere;
mod fetch;
mod filter;
mod hook;
mod reach;
mod reachable;
mod send;
mod settings;
mod v0;

/// How one conversation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conversation {
    /// On a connection that remembers: greeting, requests, answers.
    #[default]
    Stateful,
    /// Over HTTP, `GET info/refs`: the greeting alone.
    Advertisement,
    /// Over HTTP, `POST`: one request and its answer.
    Request,
}

/// The service for one repository.
#[derive(Debug)]
pub struct UploadPack<'a> {
    repo: &'a Repository,
    refs: Served<'a>,
    settings: Settings,
    conversation: Conversation,
    watch: Arc<Watch>,
}

impl<'a> UploadPack<'a> {
    /// Makes ready to serve `repo`, as its configuration says.
    ///
    /// # Errors
    ///
    /// If the configuration makes no sense.
    pub fn new(repo: &'a Repository, conversation: Conversation) -> Result<Self, Error> {
        let settings = Settings::read(repo)?;
        Ok(Self {
            repo,
            refs: Served::new(repo, "uploadpack"),
            settings,
            conversation,
            watch: Arc::default(),
        })
    }

    /// Lets `watch` limit and stop the work, and hear of it.
    #[must_use]
    pub fn watched(mut self, watch: &Arc<Watch>) -> Self {
        self.watch = Arc::clone(watch);
        self
    }

    /// Holds the conversation in `version`, reading requests from `input` and writing answers to `out`. Each answer is
    /// flushed when it is whole.
    ///
    /// # Errors
    ///
    /// Where the client can be told something it has been.
    pub fn serve(
        &self,
        version: Version,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        telemetry::data("transfer", "negotiated-version", version.number());
        match version {
            Version::V2 => self.serve_v2(input, out),
            Version::V0 | Version::V1 => self.serve_v0(version, input, out),
        }
    }

    /// The objects, of which walks end once nobody waits for them.
    fn objects(&self) -> Result<Objects, Error> {
        Ok(self.repo.objects()?.stopped_by(self.watch.stop_flag()))
    }

    fn serve_v2(&self, input: &mut dyn BufRead, out: &mut (dyn Write + Send)) -> Result<(), Error> {
        if self.conversation != Conversation::Request {
            self.commands().write(out)?;
            out.flush()?;
        }
        match self.conversation {
            Conversation::Advertisement => {}
            Conversation::Request => {
                self.serve_command(input, out)?;
            }
            Conversation::Stateful => while self.serve_command(input, out)? {},
        }
        Ok(())
    }

    fn serve_v0(
        &self,
        version: Version,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        if self.conversation != Conversation::Request {
            self.advertise_refs(version, out)?;
            out.flush()?;
        }
        match self.conversation {
            Conversation::Advertisement => Ok(()),
            Conversation::Request | Conversation::Stateful => self.converse_v0(input, out),
        }
    }
}

/// The version that `GIT_PROTOCOL` asks for: the highest known one among its keys, which colons separate.
pub fn version_asked(env: &Environment) -> Version {
    let asked = env.get("GIT_PROTOCOL").map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
    let known = asked.split_str(":").filter_map(|key| match key {
        b"version=1" => Some(Version::V1),
        b"version=2" => Some(Version::V2),
        _ => None,
    });
    known.max().unwrap_or(Version::V0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_known_version_wins() {
        for (asked, version) in [
            ("", Version::V0),
            ("version=1", Version::V1),
            ("version=2:version=1", Version::V2),
            ("junk:version=2", Version::V2),
            ("version=3", Version::V0),
            ("Version=2", Version::V0),
            ("version=2 ", Version::V0),
        ] {
            let mut env = Environment::default();
            env.set("GIT_PROTOCOL", asked);
            assert_eq!(version_asked(&env), version, "{asked}");
        }
    }
}
