//! Searches for deltas among the objects for which none is reused.
//!
//! Objects that are likely alike are brought together by sorting: by kind, by what their path ends with, and from large to
//! small, since it takes fewer bytes to leave something out than to put something in. A [`Window`] slides over them. The
//! sorted list is cut into segments that depend on nothing but the list, so that the deltas found are the same whatever the
//! number of threads, each of which takes one segment after the other.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::super::meter::Meter;
use super::super::source::Source;
use super::super::{Error, map};
use super::Settings;
use super::deflate::Deflater;
use super::known::Known;
use super::list::{Entry, Form, List, NONE, header};
use super::turned::turn;
use super::window::{Delta, Window};
use crate::progress::{Event, Progress};

/// Objects smaller than this are not worth a delta, in bytes; as seen in git 2.47.3.
const SIZE_MIN: u64 = 50;

/// A segment ends where the paths begin to end with something else, once it has so many objects.
const SEGMENT_LEN_MIN: usize = 512;

/// A segment ends anyway when it has so many objects: the first of the next one have nothing to be based on.
const SEGMENT_LEN_MAX: usize = 4096;

/// How often the caller hears of the work of the threads.
const INTERVAL: Duration = Duration::from_millis(50);

/// A delta that was found.
pub(super) struct Found {
    /// The object it makes.
    pub target: u32,
    /// The object it is based on.
    pub base: u32,
    /// The bytes of the delta.
    pub len: usize,
    /// Its zlib stream, unless there was no room for it: then the delta is made again when it is written.
    pub deflated: Option<Arc<[u8]>>,
}

/// When the search for a delta ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Effort {
    /// When all of the window was tried.
    Best,
    /// When one was found that is small beside the object, or a few were tried.
    Enough,
}

/// How many objects are tried as bases where one that is good enough will do: of git.git, ten make a pack of a hundred commits
/// a tenth smaller and take a quarter more time.
const ENOUGH_WINDOW: usize = 2;

/// Objects whose search has taken memory that is worth giving back.
const LARGE: usize = 1_000;

/// Searches for deltas; gives those found in the order of their targets. Reports the phase `Compressing objects` if there
/// is anything to search. Bases that are of no use are so marked in `list`.
pub(super) fn search(
    source: &dyn Source,
    list: &mut List,
    (settings, effort): (&Settings, Effort),
    progress: &mut dyn Progress,
) -> Result<Vec<Found>, Error> {
    let is_on = settings.window > 0 && settings.depth > 0;
    let targets = (0..list.sent).filter(|index| is_on && is_candidate(list, settings, *index)).count();
    if targets == 0 || list.entries.len() < 2 {
        return Ok(Vec::new());
    }
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    if threads > 1 {
        let note = format!("Delta compression using up to {threads} threads");
        if progress.report(Event::Note(&note)).is_break() {
            return Err(Error::Interrupted);
        }
    }
    let mut meter = Meter::new(progress, "Compressing objects", targets as u64);
    let heights = heights(list);
    let mut found = match effort {
        // what it finds is larger than what a search does, and cannot be the base of others
        Effort::Best => Vec::new(),
        Effort::Enough => turn(source, list, &heights, settings, &mut meter)?,
    };
    measure_bases(source, list, &found)?;
    let order = candidates(list, settings, &found);
    if order.len() > 1 {
        let work = Work {
            source,
            list,
            settings,
            effort,
            window: match effort {
                Effort::Best => settings.window,
                Effort::Enough => settings.window.min(ENOUGH_WINDOW),
            },
            heights,
            order: &order,
            segments: &segments(&order, list),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            done: AtomicU64::new(found.len() as u64),
            cached_bytes: AtomicU64::new(found.iter().map(Found::kept_bytes).sum()),
        };
        found.extend(work.run(threads, &mut meter)?);
    }
    meter.end(targets as u64, 0)?;
    if targets > LARGE {
        // the windows were large, and it may take long until all is written
        map::give_back();
    }
    found.sort_unstable_by_key(|found| found.target);
    Ok(found)
}

impl Found {
    /// The memory that the delta takes, in bytes.
    fn kept_bytes(&self) -> u64 {
        self.deflated.as_ref().map_or(0, |deflated| deflated.len() as u64)
    }
}

/// What the threads share.
pub(super) struct Work<'a> {
    pub source: &'a dyn Source,
    pub list: &'a List,
    pub settings: &'a Settings,
    pub effort: Effort,
    /// How many objects are tried as bases.
    pub window: usize,
    /// The length of the longest chain of reused deltas above each object that is sent.
    pub heights: Vec<u32>,
    order: &'a [u32],
    segments: &'a [Range<usize>],
    next: AtomicUsize,
    /// Set when the work is to end at once.
    stop: AtomicBool,
    /// Objects searched so far.
    done: AtomicU64,
    /// Bytes of deltas that are kept.
    cached_bytes: AtomicU64,
}

impl Work<'_> {
    /// Whether the work is to end at once; what comes of it is of no interest any more.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn run(&self, threads: usize, meter: &mut Meter<'_>) -> Result<Vec<Found>, Error> {
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads.min(self.segments.len()) {
                let sender = sender.clone();
                let _handle = scope.spawn(move || self.work(&sender));
            }
            drop(sender);
            let (mut all, mut error) = (Vec::new(), None);
            loop {
                let result = match receiver.recv_timeout(INTERVAL) {
                    Ok(Ok(found)) => {
                        all.extend(found);
                        meter.update(self.done.load(Ordering::Relaxed), 0)
                    }
                    Ok(Err(error)) => Err(error),
                    Err(RecvTimeoutError::Timeout) => {
                        let done = self.done.load(Ordering::Relaxed);
                        meter.update(done, 0).and_then(|()| meter.look(done, 0))
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                if let (Err(first), None) = (result, &error) {
                    error = Some(first);
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
            error.map_or(Ok(all), Err)
        })
    }

    /// One thread: takes segments until none is left.
    fn work(&self, sender: &Sender<Result<Vec<Found>, Error>>) {
        let mut deflater = Deflater::new(self.settings.compression);
        while let Some(segment) = self.segments.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let result = self.search_segment(segment.clone(), &mut deflater);
            let is_over = result.is_err();
            if sender.send(result).is_err() || is_over {
                return;
            }
        }
    }

    fn search_segment(&self, segment: Range<usize>, deflater: &mut Deflater) -> Result<Vec<Found>, Error> {
        let mut all = Vec::new();
        let mut window = Window::new(self);
        for index in self.order.get(segment).unwrap_or_default() {
            if self.is_stopped() {
                break;
            }
            if let Some((base, delta)) = window.slide(*index)? {
                all.push(self.keep((*index, base), delta, deflater));
            }
            if self.list.is_sent(*index) {
                let _before = self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(all)
    }

    /// Deflates a delta, and keeps it if there is room.
    fn keep(&self, (target, base): (u32, u32), delta: Delta<'_>, deflater: &mut Deflater) -> Found {
        let (len, zlib) = match delta {
            Delta::Known(len, zlib) => (len, zlib),
            Delta::New(delta, question) => {
                let mut stream = Vec::new();
                deflater.deflate(delta, &mut stream);
                let zlib = Arc::from(stream);
                if let (Some(known), Some(question), Some(base)) =
                    (&self.settings.known, question, self.list.id(base))
                {
                    known.put(question, Known::Delta(*base, delta.len(), Arc::clone(&zlib)));
                }
                (delta.len(), zlib)
            }
        };
        let bytes = zlib.len() as u64;
        let before = self.cached_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_kept = before + bytes <= self.settings.delta_cache_bytes;
        if !is_kept {
            let _before = self.cached_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Found { target, base, len, deflated: is_kept.then_some(zlib) }
    }
}

/// Whether a delta is to be searched for the object at `index`, or it may be the base of one.
fn is_candidate(list: &List, settings: &Settings, index: u32) -> bool {
    let sizes = SIZE_MIN..=settings.big_file_threshold_bytes;
    list.entries.get(index as usize).is_some_and(|entry| {
        entry.base == NONE && entry.form != Form::Unusable && sizes.contains(&entry.size)
    })
}

/// The objects to search deltas for, which are not in `found`, and those that may be bases, sorted so that objects which are alike
/// are near.
fn candidates(list: &List, settings: &Settings, found: &[Found]) -> Vec<u32> {
    let all = (0..).take(list.entries.len()).filter(|index| is_candidate(list, settings, *index));
    let mut order: Vec<u32> = all.filter(|index| !is_found(found, *index)).collect();
    // what the receiver has comes first, so that it can be a base for all others
    order.sort_unstable_by_key(|index| {
        (group(list, *index), list.is_sent(*index), Reverse(size(list, *index)), *index)
    });
    order
}

/// Whether one of `found`, which are in the order of their targets, is the delta to the object at `index`.
fn is_found(found: &[Found], index: u32) -> bool {
    found.binary_search_by_key(&index, |found| found.target).is_ok()
}

/// Looks up the sizes of the bases that may be of use. Others are unusable: where nothing like them is sent, or only what has its
/// delta in `found`.
fn measure_bases(source: &dyn Source, list: &mut List, found: &[Found]) -> Result<(), Error> {
    let is_open = |(index, entry): &(u32, &Entry)| entry.base == NONE && !is_found(found, *index);
    let open = (0..list.sent).zip(&list.entries).filter(is_open);
    let groups: HashSet<_> = open.filter_map(|(index, _)| group(list, index)).collect();
    for index in (0..).take(list.entries.len()).skip(list.sent as usize) {
        let is_useful = group(list, index).is_some_and(|group| groups.contains(&group));
        let Some((object, entry)) =
            list.objects.get(index as usize).zip(list.entries.get_mut(index as usize))
        else {
            break;
        };
        if !is_useful {
            entry.form = Form::Unusable;
        } else if entry.form == Form::Content {
            entry.size = header(source, object)?;
        }
    }
    Ok(())
}

/// What objects that are likely alike have in common.
fn group(list: &List, index: u32) -> Option<(gix_object::Kind, u32)> {
    list.objects.get(index as usize).map(|object| (object.kind, object.name_hash))
}

fn size(list: &List, index: u32) -> u64 {
    list.entries.get(index as usize).map_or(0, |entry| entry.size)
}

fn segments(order: &[u32], list: &List) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut start = 0;
    for (at, pair) in (1..).zip(order.windows(2)) {
        let [a, b] = pair else { continue };
        let is_new = group(list, *a) != group(list, *b);
        if at - start >= if is_new { SEGMENT_LEN_MIN } else { SEGMENT_LEN_MAX } {
            segments.push(start..at);
            start = at;
        }
    }
    segments.push(start..order.len());
    segments
}

/// How long the longest chain of reused deltas above each object is.
fn heights(list: &List) -> Vec<u32> {
    let mut heights = vec![0; list.sent as usize];
    for index in 0..list.sent {
        let (mut at, mut height) = (index, 0);
        while let Some(base) =
            list.entries.get(at as usize).map(|entry| entry.base).filter(|base| *base != NONE)
        {
            height += 1;
            match heights.get_mut(base as usize) {
                Some(known) if *known < height => *known = height,
                Some(_) | None => break,
            }
            at = base;
        }
    }
    heights
}
