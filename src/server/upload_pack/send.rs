//! The pack, and beside it what a person may want to see. gitprotocol-pack(5), "Packfile Data".

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::UploadPack;
use super::bands::{Bands, Data, Told, lock};
use super::elsewhere::take_out;
use crate::pack::enumerate::{Enumerated, FilterSpec, Object, Wanted, enumerate};
use crate::pack::produce::produce;
use crate::pack::{self, Kind};
use crate::protocol::fetch::Features;
use crate::repo::pack_settings::pack_settings;
use crate::repo::{self, Objects, Repository};
use crate::server::watch::Phase;
use crate::server::{Error, Served};
use crate::telemetry;

/// A pack to be sent.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub wants: Vec<ObjectId>,
    pub haves: Vec<ObjectId>,
    /// Commits whose parents are not sent.
    pub boundary: Vec<ObjectId>,
    /// Of those, the ones that the client has.
    pub receiver_shallow: Vec<ObjectId>,
    pub filter: Option<FilterSpec>,
    /// The filter as git spells it.
    pub filter_spec: Option<BString>,
    pub features: Features,
    /// Whether what is missing here is left out, since the client gets it from who promised it.
    pub omits_promised: bool,
    /// Protocols by which the client fetches packs that stand elsewhere. If there are any, the line `packfile` is still to
    /// be sent.
    pub uri_protocols: Vec<BString>,
}

impl UploadPack<'_> {
    /// Makes the pack and sends it, framed as `features.side_band` says, with the flush-pkt behind it.
    pub(super) fn send_pack(&self, job: Job, out: &mut (dyn Write + Send)) -> Result<(), Error> {
        let features = job.features;
        let bands = Mutex::new(Bands::new(out, features.side_band, self.settings.keep_alive));
        let made = self.make(job, &bands);
        let mut bands = bands.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = bands.failure.take() {
            return Err(failure.into());
        }
        match made {
            Ok(()) => Ok(bands.finish()?),
            Err(error) => {
                bands.give_up(told(&error).as_deref())?;
                Err(error)
            }
        }
    }

    fn make(&self, job: Job, bands: &Mutex<Bands<'_>>) -> Result<(), Error> {
        if let Some(hook) = &self.settings.pack_objects_hook {
            return self.make_by_hook(hook.as_bstr(), &job, bands);
        }
        let mut progress = Told::new(bands, !job.features.no_progress, &self.watch);
        let mut settings = pack_settings(self.repo, job.features.ofs_delta, &mut progress)?;
        settings.known = self.watch.known().map(|known| known.of(&self.repo.objects_dir));
        let elsewhere = self.settings.elsewhere.blobs(self.repo)?;
        let source = source(self.repo, &job.boundary)?.stopped_by(self.watch.stop_flag());
        let includes_tags = job.features.include_tag;
        // its patterns are of the client's choosing
        let filter = job.filter.map(|spec| self.repo.filter(&spec, &source)).transpose();
        let filter = filter.map_err(|error| Error::Refused(error.to_string()))?;
        let wanted = Wanted {
            wants: job.wants,
            haves: job.haves,
            receiver_shallow: job.receiver_shallow,
            thin: job.features.thin_pack,
            is_partial: job.omits_promised,
            filter,
        };
        let failed = |reason| Error::Pack { reason };
        let select = || enumerate(&source, &wanted, &mut progress).map_err(failed);
        let mut objects = self.watch.during(Phase::Select, select)?;
        if includes_tags {
            add_tags(&self.refs, &source, &mut objects)?;
        }
        if !job.uri_protocols.is_empty() {
            let lines = take_out(&elsewhere, &job.uri_protocols, &source, &mut objects);
            lock(bands).begin(&lines)?;
        }
        let mut data = Data(bands);
        let begun = Instant::now();
        progress.enumerated = Some(begun);
        progress.part = Phase::Delta.span();
        let produced = produce(&source, objects, &settings, &mut data, &mut progress).map_err(failed)?;
        telemetry::pack_sent((produced.objects, produced.deltas), (produced.reused, produced.reused_deltas));
        self.watch.tell(|account| account.pack = Some(produced));
        let searched = progress.enumerated.unwrap_or(begun);
        self.watch.took(Phase::Delta, searched - begun);
        self.watch.took(Phase::Write, searched.elapsed());
        Ok(())
    }
}

/// What is told of `error` before it is told that there is no pack: git's pack-objects says so much.
fn told(error: &Error) -> Option<String> {
    match error {
        Error::Pack { reason } => Some(format!("fatal: {reason}\n")),
        Error::Refused(text) | Error::Repo(repo::Error::Config(text)) => Some(format!("fatal: {text}\n")),
        Error::Repo(repo::Error::ConfigEntry { reason, message }) => {
            Some(format!("error: {reason}\nfatal: {message}\n"))
        }
        _ => None,
    }
}

/// The objects, with the history cut off at `boundary` as well as where our own ends.
fn source(repo: &Repository, boundary: &[ObjectId]) -> Result<Objects, Error> {
    if boundary.is_empty() {
        return Ok(repo.objects()?);
    }
    let mut all = repo.shallow()?;
    all.extend_from_slice(boundary);
    Ok(repo.objects_within(all)?)
}

/// Adds the annotated tags of refs whose objects are sent: gitprotocol-pack(5), "include-tag".
fn add_tags(refs: &Served<'_>, source: &Objects, objects: &mut Enumerated) -> Result<(), Error> {
    let mut sent: HashSet<ObjectId> = objects.objects.iter().map(|object| object.id).collect();
    refs.each(&["refs/tags/".into()], &mut |served| {
        let Some(peeled) = served.peel(source).filter(|_| !served.is_hidden) else { return Ok(()) };
        if !sent.contains(&peeled) && !objects.is_packed(source, &peeled) {
            return Ok(());
        }
        // a tag of a tag needs that one as well
        let mut id = served.id;
        let mut content = Vec::new();
        while !objects.is_packed(source, &id) && sent.insert(id) {
            objects.objects.push(Object { id, kind: Kind::Tag, name_hash: 0 });
            match source.tag_target(&id, &mut content).map_err(Error::object)? {
                Some(target) if target != peeled => id = target,
                Some(_) | None => break,
            }
        }
        Ok(())
    })
}

impl From<pack::Error> for Error {
    fn from(reason: pack::Error) -> Self {
        Self::Pack { reason }
    }
}
