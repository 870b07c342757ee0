//! The pack, and beside it what a person may want to see. gitprotocol-pack(5), "Packfile Data".

use std::collections::HashSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::UploadPack;
use crate::pack::enumerate::filter::Filter;
use crate::pack::enumerate::{Enumerated, Object, Wanted, enumerate};
use crate::pack::produce::produce;
use crate::pack::{self, Kind};
use crate::progress::{Event, Progress};
use crate::protocol::fetch::{Features, SideBand};
use crate::protocol::sideband::{DATA, ERROR, SidebandWriter, TEXT};
use crate::repo::pack_settings::pack_settings;
use crate::repo::{Objects, Repository};
use crate::server::watch::Phase;
use crate::server::{Error, Served, Watch};
use crate::telemetry;

/// What a client is told when its pack cannot be made: nothing of our disk.
const GIVING_UP: &str = "aborting due to possible repository corruption on the remote side.";

/// The phase that clients do not hear of: they count for themselves what arrives.
const UNTOLD: &str = "Writing objects";

/// The phase in which deltas are searched.
const DELTAS: &str = "Compressing objects";

/// How often a phase that gets no further by a percent is told.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of band 1 in one packet.
const PACKET_LEN_MAX: usize = 65_515;

/// A pack to be sent.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub wants: Vec<ObjectId>,
    pub haves: Vec<ObjectId>,
    /// Commits whose parents are not sent.
    pub boundary: Vec<ObjectId>,
    /// Of those, the ones that the client has.
    pub receiver_shallow: Vec<ObjectId>,
    pub filter: Option<Filter>,
    /// The filter as git spells it.
    pub filter_spec: Option<BString>,
    pub features: Features,
    /// Whether what is missing here is left out, since the client gets it from who promised it.
    pub omits_promised: bool,
}

impl UploadPack<'_> {
    /// Makes the pack and sends it, framed as `features.side_band` says, with the flush-pkt behind it.
    pub(super) fn send_pack(&self, job: Job, out: &mut (dyn Write + Send)) -> Result<(), Error> {
        let features = job.features;
        let bands = Mutex::new(Bands {
            out: &mut *out,
            kind: features.side_band,
            data: Vec::new(),
            spoke: Instant::now(),
            keep_alive: self.settings.keep_alive,
            failure: None,
        });
        let made = self.make(job, &bands);
        let mut bands = bands.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = bands.failure.take() {
            return Err(failure.into());
        }
        if let Err(error) = made {
            bands.send_data()?;
            if let Error::Pack { reason } = &error {
                bands.tell(format!("fatal: {reason}\n").as_bytes())?;
            }
            bands.write(ERROR, GIVING_UP.as_bytes())?;
            bands.out.flush()?;
            return Err(error);
        }
        bands.send_data()?;
        SidebandWriter::new(bands.out, bands.kind).finish()?;
        Ok(out.flush()?)
    }

    fn make(&self, job: Job, bands: &Mutex<Bands<'_>>) -> Result<(), Error> {
        if let Some(hook) = &self.settings.pack_objects_hook {
            return self.make_by_hook(hook.as_bstr(), &job, bands);
        }
        let mut progress = Told {
            bands,
            shows: !job.features.no_progress,
            last: None,
            watch: &self.watch,
            enumerated: None,
        };
        let settings = pack_settings(self.repo, job.features.ofs_delta, &mut progress)?;
        let source = source(self.repo, &job.boundary)?;
        let includes_tags = job.features.include_tag;
        let wanted = Wanted {
            wants: job.wants,
            haves: job.haves,
            receiver_shallow: job.receiver_shallow,
            thin: job.features.thin_pack,
            is_partial: job.omits_promised,
            filter: job.filter,
        };
        let failed = |reason| Error::Pack { reason };
        let select = || enumerate(&source, &wanted, &mut progress).map_err(failed);
        let mut objects = self.watch.during(Phase::Select, select)?;
        if includes_tags {
            add_tags(&self.refs, &source, &mut objects)?;
        }
        let mut data = Data(bands);
        let begun = Instant::now();
        progress.enumerated = Some(begun);
        let produced = produce(&source, objects, &settings, &mut data, &mut progress).map_err(failed)?;
        telemetry::pack_sent((produced.objects, produced.deltas), (produced.reused, produced.reused_deltas));
        self.watch.tell(|account| account.pack = Some(produced));
        let searched = progress.enumerated.unwrap_or(begun);
        self.watch.took(Phase::Delta, searched - begun);
        self.watch.took(Phase::Write, searched.elapsed());
        Ok(())
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

/// The bands of one answer, which the maker of the pack and the teller of its progress share.
pub(super) struct Bands<'a> {
    out: &'a mut (dyn Write + Send),
    kind: SideBand,
    /// Band 1 that waits for more.
    pub data: Vec<u8>,
    /// When the client last heard of us.
    spoke: Instant,
    keep_alive: Option<Duration>,
    /// Why nothing more can be sent.
    failure: Option<io::Error>,
}

impl Bands<'_> {
    fn write(&mut self, band: u8, bytes: &[u8]) -> io::Result<()> {
        self.spoke = Instant::now();
        SidebandWriter::new(self.out, self.kind).write_band(band, bytes)
    }

    pub fn send_data(&mut self) -> io::Result<()> {
        let data = std::mem::take(&mut self.data);
        if !data.is_empty() {
            self.write(DATA, &data)?;
        }
        self.data = data;
        self.data.clear();
        Ok(())
    }

    pub fn tell(&mut self, text: &[u8]) -> io::Result<()> {
        self.send_data()?;
        self.write(TEXT, text)?;
        self.out.flush()
    }

    pub fn keep_alive(&mut self) -> io::Result<()> {
        if self.kind == SideBand::None || self.keep_alive.is_none_or(|limit| self.spoke.elapsed() < limit) {
            return Ok(());
        }
        self.spoke = Instant::now();
        SidebandWriter::new(self.out, self.kind).write_keepalive()?;
        self.out.flush()
    }
}

pub(super) fn lock<'m, 'a>(bands: &'m Mutex<Bands<'a>>) -> MutexGuard<'m, Bands<'a>> {
    bands.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Band 1.
struct Data<'m, 'a>(&'m Mutex<Bands<'a>>);

impl Write for Data<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bands = lock(self.0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PACKET_LEN_MAX - bands.data.len();
            let (taken, more) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            bands.data.extend_from_slice(taken);
            rest = more;
            if bands.data.len() == PACKET_LEN_MAX
                && let Err(error) = bands.send_data()
            {
                bands.failure = Some(io::Error::from(error.kind()));
                return Err(error);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Band 2: the meters of git, as text.
struct Told<'m, 'a> {
    bands: &'m Mutex<Bands<'a>>,
    shows: bool,
    /// What was told last: the phase, its percent, when.
    last: Option<(&'static str, Option<u64>, Instant)>,
    watch: &'m Watch,
    /// When what is sent was known; later, when its deltas were.
    enumerated: Option<Instant>,
}

impl Told<'_, '_> {
    fn line(&mut self, event: Event<'_>) -> Option<String> {
        match event {
            Event::Phase { title, done, total, .. } if title != UNTOLD => {
                let percent = percent(done, total);
                let is_due = match self.last {
                    Some((told, before, at)) if told == title => {
                        before != percent || at.elapsed() >= INTERVAL
                    }
                    // a phase without end is first told of after a while
                    Some(_) | None if total.is_none() => {
                        self.last = Some((title, percent, Instant::now()));
                        false
                    }
                    Some(_) | None => true,
                };
                if !is_due {
                    return None;
                }
                self.last = Some((title, percent, Instant::now()));
                Some(format!("{}\r", meter(title, done, total)))
            }
            Event::PhaseEnd { title, done, total, .. } if title != UNTOLD && done > 0 => {
                let last = self.last.take();
                let mut text = String::new();
                let full = percent(done, total);
                if full.is_some() && last.is_none_or(|(told, before, _)| told != title || before != full) {
                    text = format!("{}\r", meter(title, done, total));
                }
                Some(format!("{text}{}, done.\n", meter(title, done, total)))
            }
            Event::Note(text) if text.starts_with("Total ") => Some(format!("{text}\n")),
            Event::Warning(text) => Some(format!("warning: {text}\n")),
            Event::Error(text) => Some(format!("error: {text}\n")),
            _ => None,
        }
    }
}

impl Progress for Told<'_, '_> {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::PhaseEnd { title: DELTAS, .. } = event
            && self.enumerated.is_some()
        {
            self.enumerated = Some(Instant::now());
        }
        let line = if self.shows { self.line(event) } else { None };
        let mut bands = lock(self.bands);
        let told = match line {
            _ if self.watch.is_stopped() => Err(io::ErrorKind::BrokenPipe.into()),
            Some(line) => bands.tell(line.as_bytes()),
            None => bands.keep_alive(),
        };
        match told {
            Ok(()) => ControlFlow::Continue(()),
            // nobody is there to read: the work is for nothing
            Err(error) => {
                bands.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn percent(done: u64, total: Option<u64>) -> Option<u64> {
    done.saturating_mul(100).checked_div(total?)
}

fn meter(title: &str, done: u64, total: Option<u64>) -> String {
    match (percent(done, total), total) {
        (Some(percent), Some(total)) => format!("{title}: {percent:3}% ({done}/{total})"),
        _ => format!("{title}: {done}"),
    }
}

impl From<pack::Error> for Error {
    fn from(reason: pack::Error) -> Self {
        Self::Pack { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: SideBand, shows: bool, events: &[Event<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let bands = Mutex::new(Bands {
            out: &mut out,
            kind,
            data: Vec::new(),
            spoke: Instant::now(),
            keep_alive: None,
            failure: None,
        });
        let watch = Watch::default();
        let mut progress = Told { bands: &bands, shows, last: None, watch: &watch, enumerated: None };
        for event in events {
            assert!(progress.report(*event).is_continue());
        }
        out
    }

    #[test]
    fn meters_are_git_s() {
        let title = "Counting objects";
        let events = [
            Event::PhaseEnd { title: "Enumerating objects", done: 7, total: None, bytes: 0 },
            Event::Phase { title, done: 1, total: Some(7), bytes: 0 },
            Event::Phase { title, done: 1, total: Some(7), bytes: 0 },
            Event::PhaseEnd { title, done: 7, total: Some(7), bytes: 0 },
            Event::PhaseEnd { title: UNTOLD, done: 7, total: Some(7), bytes: 9 },
            Event::Note("Delta compression using up to 2 threads"),
            Event::Note("Total 4 (delta 0)"),
        ];
        let expected = "Enumerating objects: 7, done.\n|Counting objects:  14% (1/7)\r|\
                        Counting objects: 100% (7/7)\rCounting objects: 100% (7/7), done.\n|Total 4 (delta 0)\n";
        let packet = |text: &str| format!("{:04x}\u{2}{text}", text.len() + 5);
        let packets = expected.split('|').map(packet).collect::<Vec<_>>().concat();
        assert_eq!(String::from_utf8(told(SideBand::Large, true, &events)).unwrap(), packets);
        assert!(told(SideBand::Large, false, &events).is_empty());
        assert!(told(SideBand::None, true, &events).is_empty());
    }

    #[test]
    fn nothing_is_told_of_a_phase_with_nothing_in_it() {
        let event = Event::PhaseEnd { title: "Enumerating objects", done: 0, total: None, bytes: 0 };
        assert!(told(SideBand::Large, true, &[event]).is_empty());
    }
}
