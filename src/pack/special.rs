//! The blobs that trees name `.gitmodules` and `.gitattributes`, which are checked once the whole pack is known: only then
//! is it clear which ones they are.

use std::collections::HashMap;
use std::sync::Arc;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::fsck::{Checker, Rules, Special};
use super::links::Malformed;
use super::made::{Made, in_families};
use super::placement::Placement;
use super::receive::{Passed, unpacks};
use super::table::{Pack, Table};
use super::{Bases, Error, Options, map};
use crate::progress::Progress;

/// Larger files of this kind are against the rules as such; they are not read, in bytes.
const SIZE_MAX: u64 = 512 * 1024 * 1024;

/// Checks the special blobs that `checker` has seen named in the pack.
pub(super) fn check(
    passed: &Passed,
    checker: &Checker<'_>,
    (options, placement): (&Options<'_>, &Placement),
) -> Result<(), Error> {
    let mut specials = checker.specials();
    if specials.is_empty() {
        return Ok(());
    }
    let wanted: HashMap<ObjectId, Option<u32>> = specials.iter().map(|(id, _)| (*id, None)).collect();
    let places = places(wanted, &passed.table);
    let bytes = map::map(passed.held.file()).map_err(|source| passed.held.error(source))?;
    let pack = Pack { table: &passed.table, bytes: &bytes, hash: options.object_hash };
    let place = |id: &ObjectId| places.get(id).copied().flatten();
    let order = in_families(pack.table, places.values().copied().flatten().collect());
    let ranks: HashMap<u32, usize> = order.into_iter().zip(0..).collect();
    specials.sort_by_key(|(id, special)| {
        (*special == Special::Attributes, place(id).and_then(|at| ranks.get(&at)))
    });
    let mut made = Made::new(pack);
    for (id, special) in specials {
        let (kind, content) = match place(&id).and_then(|at| Some((at, pack.table.entry(at)?))) {
            Some((at, entry)) if pack.table.size(at) <= SIZE_MAX => (entry.kind(), made.object(at)?),
            Some(_) => continue,
            None => {
                let mut content = Vec::new();
                let found = options.bases.map(|bases| bases.find(&id, &mut content)).transpose();
                (found.map_err(Error::Read)?.flatten(), Arc::new(content))
            }
        };
        if kind.is_none() && is_excused(id, special, (options, placement)) {
            continue;
        }
        let object = kind.map(|kind| (kind, content.as_slice()));
        // seen in git 2.47.3: where objects are unpacked, blobs are looked at last
        let in_turn = kind.filter(|_| !unpacks(passed.count, options));
        checker.check_special(&id, special, object).map_err(|error| refused(in_turn, error))?;
    }
    Ok(())
}

/// Checks the blobs `ids`, which trees name `.gitmodules` and which came after the pack of these trees.
///
/// # Errors
///
/// [`Error::BadPack`] where one is missing or against the rules.
pub fn check_modules(
    ids: &[ObjectId],
    rules: &Rules,
    bases: &dyn Bases,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let checker = Checker::new(Some(rules));
    let outcome = ids.iter().try_for_each(|id| check_stored(&checker, id, Special::Modules, bases));
    checker.tell(progress);
    outcome
}

/// Checks the objects `ids`, which came one by one, and what their trees name in a special way.
///
/// # Errors
///
/// As [`check_modules`].
pub fn check_objects(
    ids: &[ObjectId],
    rules: &Rules,
    bases: &dyn Bases,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let checker = Checker::new(Some(rules));
    let mut content = Vec::new();
    let mut outcome =
        ids.iter().try_for_each(|id| match bases.find(id, &mut content).map_err(Error::Read)? {
            Some(kind) => checker.check(id, kind, &content).map_err(|error| refused(Some(kind), error)),
            None => Err(Error::Missing { kind: "object", id: *id }),
        });
    for (id, special) in checker.specials() {
        outcome = outcome.and(check_stored(&checker, &id, special, bases));
    }
    checker.tell(progress);
    outcome
}

/// Checks the object `id` of `bases`, which a tree names as `special`.
fn check_stored(
    checker: &Checker<'_>,
    id: &ObjectId,
    special: Special,
    bases: &dyn Bases,
) -> Result<(), Error> {
    let mut content = Vec::new();
    let kind = bases.find(id, &mut content).map_err(Error::Read)?;
    let object = kind.map(|kind| (kind, content.as_slice()));
    checker.check_special(id, special, object).map_err(|error| refused(kind, error))
}

/// Which entries have the ids in `wanted`.
fn places(mut wanted: HashMap<ObjectId, Option<u32>>, table: &Table) -> HashMap<ObjectId, Option<u32>> {
    for (index, id) in table.ids() {
        if let Some(place) = wanted.get_mut(&id) {
            *place = Some(index);
        }
    }
    wanted
}

/// Whether the blob `id` may be missing: the promisor has it, or the caller looks for it.
fn is_excused(id: ObjectId, special: Special, (options, placement): (&Options<'_>, &Placement)) -> bool {
    if let (Special::Modules, Some(missing)) = (special, &placement.missing_modules) {
        missing.borrow_mut().push(id);
        return true;
    }
    options.promisor.is_some()
}

fn refused(kind: Option<Kind>, error: Malformed) -> Error {
    match (kind, error) {
        (Some(Kind::Blob), error) | (_, error @ Malformed::Unreadable(..)) => {
            Error::BadPack(error.to_string())
        }
        (_, Malformed::Unfit) => Error::BadPack("fsck error in pack objects".into()),
    }
}
