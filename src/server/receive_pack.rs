//! Serving pushes: what `git receive-pack` does. gitprotocol-pack(5), "Pushing Data To a Server"; git-receive-pack(1).
//!
//! ```text
//! advertise ── commands ── unpack into quarantine ── connectivity ── pre-receive
//!                                 ── migrate ── update, one ref after the other ── report ── post-receive, post-update
//! ```
//!
//! No object can be seen by others before `pre-receive` has agreed, and no ref moves to a commit whose history is not whole,
//! or for a client who was told that nothing came of it.

use std::cell::OnceCell;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use self::certificate::{Nonce, Presented};
use self::hooks::Hooks;
use self::quarantine::Quarantine;
use self::settings::Settings;
use self::voice::Voice;
use super::upload_pack::Conversation;
use super::{Error, Served, Watch, server_info};
use crate::protocol::Version;
use crate::protocol::fetch::SideBand;
use crate::protocol::pktline::write_line;
use crate::protocol::push::{Command, RefReport, Report, Request, Rewritten};
use crate::repo::{Objects, Repository};
use crate::telemetry;

mod advertise;
mod certificate;
mod checks;
mod execute;
mod hooks;
mod proc_receive;
mod quarantine;
mod settings;
mod shallow;
mod unpack;
mod voice;
mod work_tree;

/// The service for one repository.
#[derive(Debug)]
pub struct ReceivePack<'a> {
    repo: &'a Repository,
    refs: Served<'a>,
    settings: Settings,
    conversation: Conversation,
    watch: Arc<Watch>,
    /// What a client that signs its push has to sign with it, if signed pushes are taken.
    nonce: Option<Nonce>,
    rejects_thin: bool,
    /// The branches that are checked out, and where: read once it matters.
    checked_out: OnceCell<Vec<(BString, PathBuf)>>,
    /// The objects, those of the push among them: opened once it is welcome.
    objects: OnceCell<Objects>,
}

/// A command, and what became of it.
#[derive(Debug)]
struct Row {
    command: Command,
    /// Who does it.
    by: By,
    /// Why it is not done.
    error: Option<BString>,
    /// What the hook did instead.
    rewritten: Vec<Rewritten>,
    /// Where the history that it brings ends and ours does not end yet.
    ends: Vec<ObjectId>,
    /// The ref was to be deleted and is not there.
    is_absent: bool,
}

/// Who does what a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// We move the ref.
    Us,
    /// Another command: the ref is a symbolic one to that of the other.
    Alias,
    /// The `proc-receive` hook, which moves whatever it likes.
    Hook,
}

impl Row {
    /// Whether it may be done yet.
    fn is_open(&self) -> bool {
        self.error.is_none() && self.by != By::Alias
    }

    /// Whether it may be done yet, and by us.
    fn is_ours(&self) -> bool {
        self.error.is_none() && self.by == By::Us
    }
}

impl<'a> ReceivePack<'a> {
    /// Makes ready to serve `repo`, as its configuration says.
    ///
    /// # Errors
    ///
    /// If the configuration makes no sense.
    pub fn new(repo: &'a Repository, conversation: Conversation) -> Result<Self, Error> {
        let settings = Settings::read(repo)?;
        let refs = Served::new(repo, "receive");
        Ok(Self {
            repo,
            refs,
            nonce: Nonce::issue(&settings, b".", repo.object_hash),
            rejects_thin: false,
            settings,
            conversation,
            watch: Arc::default(),
            checked_out: OnceCell::new(),
            objects: OnceCell::new(),
        })
    }

    /// Lets `watch` limit the work.
    #[must_use]
    pub fn watched(mut self, watch: &Arc<Watch>) -> Self {
        self.watch = Arc::clone(watch);
        self
    }

    /// Says how the one who started us calls the repository, which goes into nonces: a dot where this is not said, as it is
    /// for C git's daemon and HTTP server.
    #[must_use]
    pub fn called(mut self, name: &[u8]) -> Self {
        self.nonce = Nonce::issue(&self.settings, name, self.repo.object_hash);
        self
    }

    /// Lets a pack be of no use whose deltas are based on what is here: `--reject-thin-pack-for-testing`.
    #[must_use]
    pub fn rejecting_thin(mut self, rejects: bool) -> Self {
        self.rejects_thin = rejects;
        self
    }

    /// What is wrong with the configuration and does no harm, for the one who runs the server.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.settings.fsck.unknown.iter().map(|name| format!("skipping unknown msg id '{name}'"))
    }

    /// The branches that are checked out, and where.
    fn checked_out(&self) -> Result<&[(BString, PathBuf)], Error> {
        if let Some(known) = self.checked_out.get() {
            return Ok(known);
        }
        let found = self.repo.checked_out_branches()?;
        Ok(self.checked_out.get_or_init(|| found))
    }

    /// The objects once those of the push are welcome.
    fn objects(&self) -> Result<&Objects, Error> {
        if let Some(known) = self.objects.get() {
            return Ok(known);
        }
        let opened = self.repo.objects()?;
        Ok(self.objects.get_or_init(|| opened))
    }

    /// Holds the conversation in `version`, of which there is no 2: that is 0.
    ///
    /// # Errors
    ///
    /// Where the client can be told something it has been. A ref that is refused is no error.
    pub fn serve(
        &self,
        version: Version,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        telemetry::data("transfer", "negotiated-version", version.number());
        if self.conversation != Conversation::Request {
            if version == Version::V1 {
                write_line(out, b"version 1")?;
            }
            self.advertise(out)?;
            out.flush()?;
        }
        if self.conversation == Conversation::Advertisement {
            return Ok(());
        }
        let mut request = Request::decode(input, self.repo.object_hash)?;
        if request.commands.is_empty() && request.certificate.is_none() {
            return Ok(());
        }
        self.check(&request)?;
        tracing::Span::current().record("command", "push");
        if let Some(id) = value(&request, "session-id=") {
            Watch::session(&id.to_str_lossy());
        }
        let certificate = request.certificate.take().map(|text| self.presented(text)).transpose()?;
        if let Some(certificate) = &certificate {
            request.commands.extend_from_slice(certificate.commands());
        }
        self.receive(&request, certificate, input, out)
    }

    /// Begins what cannot be taken back.
    ///
    /// # Errors
    ///
    /// If nobody waits for it any more: who was told that it takes too long, or is gone, is not to find it done.
    fn commit(&self) -> Result<(), Error> {
        if self.watch.commit() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::BrokenPipe).into()) }
    }

    /// What is in a certificate.
    fn presented(&self, text: BString) -> Result<Presented<'_>, Error> {
        let is_stateful = self.conversation == Conversation::Stateful;
        let slop = (!is_stateful).then_some(self.settings.nonce_slop);
        Presented::read(text, self.repo.object_hash, self.nonce.as_ref(), slop)
    }

    /// Refuses what was not advertised.
    fn check(&self, request: &Request) -> Result<(), Error> {
        let own = self.repo.object_hash.to_string();
        let format = value(request, "object-format=").unwrap_or(b"sha1");
        if format != own.as_bytes() {
            return Err(Error::Refused(format!("error: unsupported object format '{}'", format.as_bstr())));
        }
        if request.certificate.is_some() && !request.commands.is_empty() {
            // gitprotocol-pack(5) forbids it; hooks could not tell what was signed
            return Err(Error::Refused(
                "protocol error: got both push certificate and unsigned commands".into(),
            ));
        }
        Ok(())
    }

    fn receive(
        &self,
        request: &Request,
        certificate: Option<Presented<'_>>,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        let has = |word: &str| has(request, word);
        let side_band = if has("side-band-64k") { SideBand::Large } else { SideBand::None };
        let keep_alive = self.settings.keep_alive;
        let mut voice = Voice { out, side_band, spoke: Instant::now(), keep_alive };
        let mut rows: Vec<Row> = request.commands.iter().map(|command| self.row(command)).collect();
        let needs_pack = rows.iter().any(|row| !row.command.new.is_null());
        let quarantine = Quarantine::create(self.repo)?;
        let unpacked =
            if needs_pack { self.unpack(&quarantine, has("quiet"), input, &mut voice) } else { Ok(None) };
        let options = request.options.as_deref().unwrap_or_default();
        let hooks = Hooks::new(self.repo, options.to_vec(), certificate);
        let unpack = match unpacked {
            Ok(received) => {
                self.execute(request, &mut rows, (quarantine, received), &hooks, &mut voice)?;
                Ok(())
            }
            Err(unpack::Failure::Told(reason)) => {
                for row in &mut rows {
                    row.error = Some("unpacker error".into());
                }
                Err(reason)
            }
            Err(unpack::Failure::Broken(error)) => return Err(error),
        };
        let refs = rows.iter().map(report).collect();
        let report = Report { unpack, refs };
        if has("report-status-v2") || has("report-status") {
            voice.report(&report, has("report-status-v2"))?;
        }
        hooks.afterwards(&rows, &mut voice)?;
        if self.settings.writes_server_info {
            server_info::write(self.repo)?;
        }
        if self.settings.maintains {
            self.maintain(&mut voice)?;
        }
        voice.finish()
    }

    fn row(&self, command: &Command) -> Row {
        let is_handed_over = self.settings.handed_over.iter().any(|entry| entry.takes(command));
        Row {
            command: command.clone(),
            by: if is_handed_over { By::Hook } else { By::Us },
            error: None,
            rewritten: Vec::new(),
            ends: Vec::new(),
            is_absent: false,
        }
    }

    fn maintain(&self, voice: &mut Voice<'_>) -> Result<(), Error> {
        let mut failure = None;
        self.repo.maintain(&mut |text| {
            if failure.is_none() {
                failure = voice.tell(text).err();
            }
        })?;
        failure.map_or(Ok(()), Err)
    }
}

fn report(row: &Row) -> RefReport {
    let outcome = match &row.error {
        Some(reason) => Err(reason.clone()),
        None => Ok(row.rewritten.clone()),
    };
    RefReport { name: row.command.name.clone(), outcome }
}

/// Whether the client chose the capability `word`.
fn has(request: &Request, word: &str) -> bool {
    request.capabilities.iter().any(|known| known == word)
}

/// The value of the capability that begins with `key`.
fn value<'r>(request: &'r Request, key: &str) -> Option<&'r [u8]> {
    request.capabilities.iter().find_map(|word| word.strip_prefix(key.as_bytes()))
}
