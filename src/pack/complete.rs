//! The second pass over a pack: deltas become objects, and a thin pack gets the bases that it leaves out.

use std::collections::HashSet;

use gix_hash::ObjectId;

use super::family::Family;
use super::held::Held;
use super::links::Found;
use super::meter::Meter;
use super::table::{NONE, Pack, Table};
use super::{Bases, Error, Options, map, resolve, thin, worker};
use crate::progress::Progress;

/// After so many bytes of a pack the first pass leaves enough memory to be worth giving back.
const GIVE_BACK_FROM: u64 = 8 * 1024 * 1024;

/// The second pass: resolves the deltas, with bases from outside of the pack where it is thin.
pub(super) fn resolve_all(
    held: &mut Held,
    table: &mut Table,
    found: &Found<'_>,
    options: &Options<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if table.deltas == 0 {
        return Ok(());
    }
    let mut meter = Meter::new(progress, "Resolving deltas", table.deltas);
    meter.begin()?;
    if table.end >= GIVE_BACK_FROM {
        map::give_back();
    }
    let early = table.entries.iter().map(|entry| entry.base() != NONE).collect();
    let mut second = SecondPass {
        family: Family::new(table),
        early,
        meter,
        received: table.entries.len(),
        end: table.end,
        made: HashSet::new(),
    };
    second.resolve(held, table, found, options)?;
    second.made = second.added_in_vain(table);
    if !second.made.is_empty() {
        // A pack with an object twice is one that C git refuses to verify. Without the bases that the pack makes
        // itself nothing is missing, unless the bases were made from each other.
        second.reset(table);
        second.resolve(held, table, found, options)?;
    }
    table.forget_kept();
    second.meter.end(table.deltas, 0)
}

/// The state of the second pass.
struct SecondPass<'a> {
    family: Family,
    /// The deltas that the first pass has resolved.
    early: Vec<bool>,
    meter: Meter<'a>,
    /// How many entries the stream had, and where they end.
    received: usize,
    end: u64,
    /// Bases of which it is known that the pack makes them.
    made: HashSet<ObjectId>,
}

impl SecondPass<'_> {
    fn resolve(
        &mut self,
        held: &mut Held,
        table: &mut Table,
        found: &Found<'_>,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        let mut roots = roots_of(table, &self.family);
        let mut done = table.resolved();
        loop {
            done += {
                let bytes = map::map(held.file()).map_err(|source| held.error(source))?;
                let pack = Pack { table, bytes: &bytes, hash: options.object_hash };
                let meter = &mut self.meter;
                let mut tick = |more| {
                    meter.update(done + more, 0)?;
                    meter.look(done + more, 0)
                };
                let means = (thread_count(options), worker::LIVE_BYTES_MAX);
                resolve::resolve(pack, (&self.family, &roots), found, means, &mut tick)?
            };
            if done == table.deltas {
                return Ok(());
            }
            let count = table.deltas - done;
            let unresolved = || Error::Unresolved { count };
            let bases: &dyn Bases = options.bases.ok_or_else(unresolved)?;
            let file = held.copied().ok_or_else(unresolved)?;
            let mut missing = self.family.missing();
            missing.retain(|id| !self.made.contains(id));
            self.family.completing = true;
            roots = thin::append_bases(file, table, &missing, bases)?;
            if roots.is_empty() {
                return Err(unresolved());
            }
        }
    }

    /// The bases that were added although the pack makes them itself.
    fn added_in_vain(&self, table: &Table) -> HashSet<ObjectId> {
        if table.entries.len() <= self.received {
            return HashSet::new();
        }
        let is_received = |index: u32| (index as usize) < self.received;
        let added = table.ids().filter(|(index, _)| !is_received(*index)).map(|(_, id)| id);
        let added = added.collect::<HashSet<_>>();
        let received = table.ids().filter(|(index, _)| is_received(*index)).map(|(_, id)| id);
        received.filter(|id| added.contains(id)).collect()
    }

    /// Goes back to where the first pass ended.
    fn reset(&mut self, table: &mut Table) {
        table.truncate(self.received);
        table.end = self.end;
        for (entry, early) in table.entries.iter_mut().zip(&self.early) {
            if !early {
                entry.forget();
            }
        }
        self.family.reset();
    }
}

/// The objects that are no deltas and have deltas to them.
fn roots_of(table: &Table, family: &Family) -> Vec<u32> {
    let whole =
        table.ids().filter(|(index, _)| table.entry(*index).is_some_and(|entry| entry.base() == NONE));
    whole.filter(|(index, id)| family.has_children(*index, id)).map(|(index, _)| index).collect()
}

/// The threads that work.
pub(super) fn thread_count(options: &Options<'_>) -> usize {
    match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}
