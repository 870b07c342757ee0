//! Bundles: refs and the objects they need in one file. `git-bundle(1)`, `gitformat-bundle(5)`.
//!
//! ```text
//! create   arguments ── revisions ── walk ── Bundled: header and what to pack ── write
//! unbundle header ── check ── pack::receive
//! ```

use std::collections::HashSet;
use std::io::{BufRead, Write};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use self::limits::Limits;
use self::revisions::{Revisions, Tip};
use self::walk::Walked;
use super::pack_settings::pack_settings;
use super::promisor::{LazyFetch, enumerate_whole, promisors};
use super::{Error, update};
use crate::pack::enumerate::filter::Filter;
use crate::pack::enumerate::{FilterSpec, Wanted};
use crate::pack::produce::produce;
use crate::progress::{Event, Progress};
use crate::protocol::Ref;
use crate::protocol::bundle::Header;
use crate::repo::{Objects, Repository};
use crate::transport;

mod arguments;
mod check;
mod grep;
mod limits;
mod many;
mod merge_base;
mod narrow;
mod revisions;
mod shape;
mod walk;

pub use check::{Unbundling, check_prerequisites, unbundle, unbundle_file};
pub use revisions::Lines;

/// A bundle that is decided upon: its header, and what its pack is to hold.
#[derive(Debug)]
pub struct Bundled {
    header: Header,
    wanted: Wanted,
}

impl Bundled {
    /// Decides what `arguments` mean, which are those of git-rev-list(1) that say where history begins and ends; with
    /// `--stdin` more of them are read from `stdin`. `version` is that of the header, the oldest that will do if `None`.
    ///
    /// # Errors
    ///
    /// In git's words: an expression that means nothing, an option that is not known, or nothing left to put into the bundle.
    pub fn new(
        repo: &Repository,
        arguments: &[BString],
        stdin: &mut dyn BufRead,
        version: Option<i64>,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let revisions = Revisions::parse(repo, arguments, stdin, progress)?;
        let filter = FilterSpec::combined(&revisions.filters).map_err(Error::Usage)?;
        let mut header = Header::new(repo.object_hash, filter);
        if let Some(version) = version {
            header.version = checked_version(version, &header)?;
        }
        let mut objects = repo.objects()?;
        let filter = filter_of(repo, &header, &objects)?;
        let walked = walk::walk(&mut objects, &revisions)?;
        for id in &walked.boundary {
            header.prerequisites.push((*id, subject(&objects, id)?));
        }
        let tips = unique(&revisions.tips);
        let mut chooser = Chooser { repo, objects: &objects, limits: &revisions.limits, walked: &walked };
        let mut wants = Vec::new();
        for tip in tips.iter().filter(|tip| !tip.is_excluded) {
            match chooser.choose(tip, progress)? {
                Choice::Nothing => {}
                Choice::Objects => wants.push(tip.id),
                Choice::Ref(name) => {
                    wants.push(tip.id);
                    header.refs.push(Ref::direct(name, tip.id));
                }
            }
        }
        if header.refs.is_empty() {
            return Err(Error::Usage("Refusing to create empty bundle.".into()));
        }
        // along first parents alone much that these lead to is not left out
        let leaves_out_all = !revisions.limits.exclude_first_parent;
        let excluded = tips.iter().filter(|tip| tip.is_excluded && leaves_out_all).map(|tip| tip.id);
        let haves = excluded.chain(walked.boundary.iter().copied()).collect();
        Ok(Self { header, wanted: Wanted { wants, haves, thin: true, filter, ..Wanted::default() } })
    }

    /// Writes header and pack.
    pub fn write(
        mut self,
        repo: &Repository,
        out: &mut dyn Write,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let settings = pack_settings(repo, true, progress)?;
        let mut objects = repo.objects()?.here();
        let remotes = promisors(repo)?;
        self.wanted.is_partial = !remotes.is_empty();
        let transport = transport::Options::default();
        let lazy = LazyFetch { repo, transport: &transport, server_options: &[], no_progress: true };
        let found = enumerate_whole(&lazy, &remotes, &mut objects, &self.wanted, progress)?;
        self.header.write(out).map_err(crate::pack::Error::Send)?;
        produce(&objects, found, &settings, out, progress)?;
        Ok(())
    }
}

/// What becomes of a tip.
enum Choice {
    /// It is left out.
    Nothing,
    /// Its objects are packed; no ref has its name.
    Objects,
    /// It is this ref of the bundle.
    Ref(BString),
}

/// Says which tips become refs of a bundle.
struct Chooser<'a> {
    repo: &'a Repository,
    objects: &'a Objects,
    limits: &'a Limits,
    walked: &'a Walked,
}

impl Chooser<'_> {
    fn choose(&mut self, tip: &Tip, progress: &mut dyn Progress) -> Result<Choice, Error> {
        let kind = self.objects.kind(&tip.id).map_err(unreadable)?;
        if self.walked.excluded.contains(&tip.id) || self.walked.boundary.contains(&tip.id) {
            return Ok(Choice::Nothing);
        }
        let Some(name) = self.ref_name(tip)? else { return Ok(Choice::Objects) };
        if kind == Some(Kind::Tag) && !self.limits.takes_tag(self.objects, &tip.id)? {
            return Ok(Choice::Nothing);
        }
        if kind == Some(Kind::Commit) && !self.walked.shown.contains(&tip.id) {
            let text = format!("ref '{}' is excluded by the rev-list options", tip.name);
            if progress.report(Event::Warning(&text)).is_break() {
                return Err(Error::Interrupted);
            }
            return Ok(Choice::Objects);
        }
        Ok(Choice::Ref(name))
    }

    /// The name under which the bundle has the ref that `tip` was called by; `None` if there is no such ref or there are
    /// several. A symbolic ref keeps its name where that was said in full, else it is what it leads to.
    fn ref_name(&self, tip: &Tip) -> Result<Option<BString>, Error> {
        if tip.name.is_empty() {
            return Ok(None);
        }
        let found = self.repo.refs_called(tip.name.as_bstr())?;
        let [(full, id)] = found.as_slice() else { return Ok(None) };
        if *id != tip.id {
            return Ok(None);
        }
        if *full == tip.name {
            return Ok(Some(full.clone()));
        }
        Ok(Some(update::followed(self.repo, full).0))
    }
}

/// The version that was asked for, if it can say what the header has to.
fn checked_version(version: i64, header: &Header) -> Result<u32, Error> {
    match u32::try_from(version) {
        Ok(version @ 2..=3) if version >= header.version => Ok(version),
        Ok(2) => {
            Err(Error::Usage(format!("cannot write bundle version 2 with algorithm {}", header.object_hash)))
        }
        Ok(_) | Err(_) => Err(Error::Usage(format!("unsupported bundle version {version}"))),
    }
}

/// What the pack behind `header` leaves out.
fn filter_of(repo: &Repository, header: &Header, objects: &Objects) -> Result<Option<Filter>, Error> {
    let Some(text) = &header.filter else { return Ok(None) };
    let spec = FilterSpec::parse(text.as_bstr()).map_err(Error::Usage)?;
    Ok(Some(repo.filter(&spec, objects)?))
}

/// Each name once, and all that has none.
fn unique(tips: &[Tip]) -> Vec<&Tip> {
    let mut seen = HashSet::new();
    tips.iter().filter(|tip| tip.name.is_empty() || seen.insert(&tip.name)).collect()
}

/// The first paragraph of a commit's message in one line: the comment behind a prerequisite.
fn subject(objects: &Objects, id: &ObjectId) -> Result<BString, Error> {
    let mut content = Vec::new();
    objects.find(id, &mut content).map_err(unreadable)?;
    let message = content.split_once_str("\n\n").map(|(_, message)| message).unwrap_or_default();
    let lines = ByteSlice::lines(message).map(ByteSlice::trim_end).skip_while(|line| line.is_empty());
    let lines: Vec<&[u8]> = lines.take_while(|line| !line.is_empty()).collect();
    Ok(lines.join(&b' ').into())
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
