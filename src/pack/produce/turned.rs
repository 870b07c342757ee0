//! Deltas of the other direction.
//!
//! As a rule git keeps older versions of a file as deltas to newer ones. Who has an older one and is to get a newer would get all of
//! it, or a delta that has to be searched for. But what the deltas on disk copy from the new version is what both have in
//! common: turned round they make the new one of the old, and nothing has to be compared.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::Error;
use super::super::delta::{Copied, Instruction, of_shared, replay, result_size};
use super::super::entry::{Content, HEADER_LEN_MAX, Header};
use super::super::enumerate::Object;
use super::super::inflate::Inflater;
use super::super::meter::Meter;
use super::super::source::{Entries, Source};
use super::deflate::Deflater;
use super::known::Known;
use super::list::{Form, List, NONE, content};
use super::search::Found;
use super::{Reuse, Settings};

/// Deltas between the two versions at most, so many as git makes by itself (`pack.depth`).
const LINKS_MAX: usize = 50;

/// Larger objects are left to the search, in bytes.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Gives deltas to objects that are sent and for which none is reused, based on objects which the receiver has and which are made of
/// them on disk; in the order of the targets. A target has `heights` deltas above it.
pub(super) fn turn(
    source: &dyn Source,
    list: &List,
    heights: &[u32],
    settings: &Settings,
    meter: &mut Meter<'_>,
) -> Result<Vec<Found>, Error> {
    let targets = targets(list, heights, settings);
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let mut packs = Packs { source, settings, opened: HashMap::new() };
    let mut ways: BTreeMap<u32, Way> = BTreeMap::new();
    for base in list.sent.. {
        let Some(entry) = list.entries.get(base as usize) else { break };
        if entry.offset == 0 || entry.form == Form::Unusable {
            continue;
        }
        let Some((links, target)) = packs.links(&targets, (entry.pack, entry.offset)) else { continue };
        if ways.get(&target).is_none_or(|way| links.len() < way.links.len()) {
            let _longer = ways.insert(target, Way { base, pack: entry.pack, links });
        }
    }
    let mut turner = Turner::new(list, packs);
    let mut found = Vec::new();
    for (target, way) in ways {
        if turner.kept_bytes > settings.delta_cache_bytes {
            break;
        }
        found.extend(turner.turn(target, &way));
        meter.update(found.len() as u64, 0)?;
        meter.look(found.len() as u64, 0)?;
    }
    Ok(found)
}

/// Objects by the places of their entries: the pack, and where they begin there.
type ByPlace = HashMap<(u32, u64), u32>;

/// The objects for which a delta may be found so.
fn targets(list: &List, heights: &[u32], settings: &Settings) -> ByPlace {
    let has_bases = list.entries.len() > list.sent as usize;
    if !has_bases || settings.reuse != Reuse::All {
        return HashMap::new();
    }
    let sent = (0..list.sent).zip(&list.entries).zip(heights);
    let fit = sent.filter(|((_, entry), height)| {
        entry.base == NONE
            && entry.offset > 0
            && entry.size <= SIZE_MAX.min(settings.big_file_threshold_bytes)
            && (**height as usize) < settings.depth
    });
    fit.map(|((index, entry), _)| ((entry.pack, entry.offset), index)).collect()
}

/// How one leads from a base to the object that it is made of on disk.
struct Way {
    base: u32,
    pack: u32,
    /// That of the base first.
    links: Vec<Link>,
}

/// A delta on disk.
#[derive(Hash)]
struct Link {
    /// Where its zlib stream begins.
    at: u64,
    /// What that inflates to, in bytes.
    size: u64,
}

/// Packs that were opened.
struct Packs<'a> {
    source: &'a dyn Source,
    settings: &'a Settings,
    opened: HashMap<u32, Option<Arc<dyn Entries>>>,
}

impl Packs<'_> {
    fn entries(&mut self, pack: u32) -> Option<&dyn Entries> {
        let open = || self.source.entries(pack).ok().flatten();
        self.opened.entry(pack).or_insert_with(open).as_deref()
    }

    /// The deltas from an entry of `pack` to the nearest of `targets` that it is made of, and which that is.
    fn links(&mut self, targets: &ByPlace, (pack, mut offset): (u32, u64)) -> Option<(Vec<Link>, u32)> {
        let hash = self.settings.object_hash;
        let entries = self.entries(pack)?;
        let mut links = Vec::new();
        while links.len() <= LINKS_MAX {
            if let Some(target) = targets.get(&(pack, offset)).filter(|_| !links.is_empty()) {
                return Some((links, *target));
            }
            let end = entries.offset(entries.count())?.min(offset.checked_add(HEADER_LEN_MAX as u64)?);
            let (header, len) = Header::decode(entries.bytes(offset..end)?, hash).ok()??;
            let link = Link { at: offset.checked_add(len as u64)?, size: header.size };
            match header.content {
                Content::Object(_) => return None,
                Content::OfsDelta { distance } => offset = offset.checked_sub(distance)?,
                Content::RefDelta { base } => offset = entries.offset(entries.place_of(&base)?)?,
            }
            links.push(link);
        }
        None
    }
}

/// Turns deltas round.
struct Turner<'a> {
    list: &'a List,
    packs: Packs<'a>,
    inflater: Inflater,
    deflater: Deflater,
    /// What the deltas that were made take, in bytes.
    kept_bytes: u64,
    /// For the content of a target, and the delta to it.
    content: Vec<u8>,
    delta: Vec<u8>,
}

impl<'a> Turner<'a> {
    fn new(list: &'a List, packs: Packs<'a>) -> Self {
        let deflater = Deflater::new(packs.settings.compression);
        let (inflater, content, delta) = (Inflater::new(), Vec::new(), Vec::new());
        Self { list, packs, inflater, deflater, kept_bytes: 0, content, delta }
    }

    /// The delta to `target`, made now or before; `None` if it is not worth it, or something cannot be read: whoever needs that
    /// finds out.
    fn turn(&mut self, target: u32, way: &Way) -> Option<Found> {
        let object = self.list.objects.get(target as usize)?;
        let base = self.list.objects.get(way.base as usize)?;
        // on disk others may lie between the two after a repack
        let trailer = self.packs.entries(way.pack)?.trailer();
        let known = self.packs.settings.known.as_ref();
        let known = known.map(|known| {
            (
                known,
                known.question((object.id, base.id, self.packs.settings.compression, trailer, &way.links)),
            )
        });
        let made = if let Some(made) = known.and_then(|(known, question)| known.get(question)) {
            made
        } else {
            let made = self.make(target, (object, base), way)?;
            if let Some((known, question)) = known {
                known.put(question, made.clone());
            }
            made
        };
        let Known::Delta(_, len, deflated) = made else { return None };
        self.kept_bytes += deflated.len() as u64;
        Some(Found { target, base: way.base, len, deflated: Some(deflated) })
    }

    /// Makes that delta; `None` if something cannot be read.
    fn make(&mut self, target: u32, (object, base): (&Object, &Object), way: &Way) -> Option<Known> {
        let size = self.list.entries.get(target as usize)?.size;
        let (base_size, mut shared) = self.shared(way, size)?;
        content(self.packs.source, object, &mut self.content).ok()?;
        if self.content.len() as u64 != size {
            return None;
        }
        of_shared(base_size, &mut shared, &self.content, &mut self.delta);
        // as in the search, what is half as long as the object is hardly smaller when both are deflated
        if self.delta.len() >= self.content.len() / 2 {
            return Some(Known::Worthless);
        }
        let mut deflated = Vec::new();
        self.deflater.deflate(&self.delta, &mut deflated);
        Some(Known::Delta(base.id, self.delta.len(), deflated.into()))
    }

    /// The size of the base, and what of it is in the object of `size` bytes where the way ends: `at` tells where in that,
    /// `from` where in the base.
    fn shared(&mut self, way: &Way, size: u64) -> Option<(usize, Vec<Copied>)> {
        let mut deltas = Vec::new();
        for Link { at, size } in &way.links {
            let entries = self.packs.entries(way.pack)?;
            let stream = entries.bytes(*at..entries.offset(entries.count())?)?;
            let mut delta = Vec::new();
            self.inflater.inflate(stream, *size, &mut delta).ok()?;
            deltas.push(delta);
        }
        let sizes = deltas.iter().map(|delta| result_size(delta).ok()).collect::<Option<Vec<_>>>()?;
        let base_size = usize::try_from(*sizes.first()?).ok()?;
        // nothing is left out of the base yet
        let mut shared = vec![Copied { at: 0, from: 0, len: base_size }];
        for (delta, next_size) in deltas.iter().zip(sizes.iter().skip(1).chain([&size])) {
            let mut copies = Vec::new();
            replay(usize::try_from(*next_size).ok()?, delta, |instruction| match instruction {
                Instruction::Copy(range) => copies.push(range),
                Instruction::Insert(_) => {}
            })
            .ok()?;
            shared = carried(&shared, &copies);
        }
        Some((base_size, shared))
    }
}

/// What of `shared`, told by where it is in one version, is in the next, of which that one copies `copies`.
fn carried(shared: &[Copied], copies: &[Copied]) -> Vec<Copied> {
    let mut carried = Vec::new();
    for part in shared {
        let end = part.at + part.len;
        let first = copies.partition_point(|copy| copy.at + copy.len <= part.at);
        for copy in copies.iter().skip(first).take_while(|copy| copy.at < end) {
            let begin = part.at.max(copy.at);
            let len = end.min(copy.at + copy.len) - begin;
            carried.push(Copied {
                at: copy.from + (begin - copy.at),
                from: part.from + (begin - part.at),
                len,
            });
        }
    }
    carried
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::delta::{Index, apply, create};
    use super::*;

    /// Makes a delta, and what it copies.
    fn copies(base: &[u8], target: &[u8]) -> Vec<Copied> {
        let index = Index::new(base);
        let mut delta = Vec::new();
        assert!(create(base, || &index, target, usize::MAX, &mut delta));
        let mut copies = Vec::new();
        replay(base.len(), &delta, |instruction| {
            if let Instruction::Copy(range) = instruction {
                copies.push(range);
            }
        })
        .unwrap();
        copies
    }

    proptest! {
        /// Versions of a file, each with some of its lines replaced, moved or repeated: the oldest and the newest have in
        /// common what the deltas between them say.
        #[test]
        fn the_other_way_round_deltas_make_the_newest_of_the_oldest(
            edits in prop::collection::vec((0..60_usize, 0..60_usize, 0..4_u8), 1..12),
        ) {
            let mut lines: Vec<String> = (0..60).map(|line| format!("{line} is a line of the file\n")).collect();
            let mut versions = vec![lines.concat().into_bytes()];
            for (number, (at, other, kind)) in edits.into_iter().enumerate() {
                let at = at % lines.len();
                match kind {
                    0 => lines[at] = format!("changed by {number}\n"),
                    1 => lines.insert(at, lines[other % lines.len()].clone()),
                    2 => drop(lines.remove(at)),
                    _ => lines.rotate_left(at),
                }
                versions.push(lines.concat().into_bytes());
            }
            let (oldest, newest) = (versions.first().unwrap(), versions.last().unwrap());
            let mut shared = vec![Copied { at: 0, from: 0, len: oldest.len() }];
            for pair in versions.windows(2) {
                shared = carried(&shared, &copies(&pair[1], &pair[0]));
            }
            for Copied { at, from, len } in &shared {
                prop_assert_eq!(&oldest[*from..from + len], &newest[*at..at + len]);
            }
            let (mut delta, mut made) = (Vec::new(), Vec::new());
            of_shared(oldest.len(), &mut shared, newest, &mut delta);
            apply(oldest, &delta, &mut made).unwrap();
            prop_assert_eq!(&made, newest);
        }
    }
}
