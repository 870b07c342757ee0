//! What a transaction checks: names before anything is locked, each ref under its lock.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Checked, Locked, Settings, cannot_lock};
use crate::repo::reference::conflict::Conflicts;
use crate::repo::reference::files::{Files, Loose, is_valid_name, read_loose_at};
use crate::repo::reference::packed::Packed;
use crate::repo::reference::present::Present;
use crate::repo::reference::{Edit, Expected, Target, bad_name};
use crate::repo::{Error, Objects};

/// Checks one ref under its lock: what it was, whether its name is free, what it becomes.
pub(super) fn check_one<'a>(
    (files, settings): (&Files, &Settings),
    locked: Locked<'a>,
    packed: &mut Option<Packed>,
    (conflicts, present): (&mut Conflicts<'a>, &mut Present),
) -> Result<Checked<'a>, Error> {
    let edit = locked.edit;
    let name = edit.name.as_bstr();
    let path = files.path(name);
    // what somebody makes without our lock is his
    let is_present = locked.lock.is_some() && present.may_be(&path);
    let loose = if is_present { read_loose_at(&path, files.object_hash)? } else { Loose::Missing };
    let old = match &loose {
        Loose::Broken => {
            return Err(cannot_lock(
                name,
                &format!("unable to resolve reference '{name}': reference broken"),
            ));
        }
        Loose::Found(Target::Id(id)) => Some(*id),
        Loose::Found(Target::Symbolic(target)) => files.resolve(target.as_ref(), packed)?,
        Loose::Missing | Loose::Directory => find_packed(files, name, packed)?,
    };
    let is_symbolic = matches!(loose, Loose::Found(Target::Symbolic(_)));
    check_expected(edit, old, is_symbolic)?;
    let is_absent = old.is_none() && !is_symbolic;
    // seen in git 2.47.3: a ref that is not there can be deleted only where it could be made
    if loose == Loose::Directory && (edit.new.is_some() || is_absent) {
        conflicts.with_directory(name)?;
    }
    if let Some(packed) = packed.as_ref().filter(|_| is_absent) {
        conflicts.with_packed(name, packed)?;
    }
    let differs = is_symbolic || edit.new != old.map(Target::Id);
    if let (true, Some(Target::Id(id))) = (differs, &edit.new)
        && let Some(fault) = object_fault(&settings.objects, name, id)?
    {
        return Err(Error::Reference(format!("cannot update ref '{name}': {fault}")));
    }
    Ok(Checked { locked, old, differs, is_present })
}

/// The id of `name` in `packed-refs`.
fn find_packed(files: &Files, name: &BStr, packed: &mut Option<Packed>) -> Result<Option<ObjectId>, Error> {
    if !name.starts_with(b"refs/") {
        return Ok(None);
    }
    if packed.is_none() {
        *packed = Some(files.packed()?);
    }
    packed.as_ref().map_or(Ok(None), |packed| packed.find_id(name))
}

/// Refuses the edit of a ref that is not what it is expected to be.
pub(in crate::repo::reference) fn check_expected(
    edit: &Edit,
    old: Option<ObjectId>,
    is_symbolic: bool,
) -> Result<(), Error> {
    let name = edit.name.as_bstr();
    match (edit.expected, old) {
        (Expected::Any, _) | (Expected::Missing, None) => Ok(()),
        (Expected::Missing, Some(_)) => Err(cannot_lock(name, "reference already exists")),
        (Expected::Id(expected), Some(old)) if expected == old => Ok(()),
        (Expected::Id(expected), Some(old)) => {
            Err(cannot_lock(name, &format!("is at {old} but expected {expected}")))
        }
        (Expected::Id(expected), None) if is_symbolic => {
            Err(cannot_lock(name, &format!("reference is missing but expected {expected}")))
        }
        (Expected::Id(_), None) => Err(cannot_lock(name, &format!("unable to resolve reference '{name}'"))),
    }
}

/// Why the ref `name` cannot hold `id`, if it cannot.
pub(in crate::repo::reference) fn object_fault(
    objects: &Objects,
    name: &BStr,
    id: &ObjectId,
) -> Result<Option<String>, Error> {
    let kind =
        objects.kind(id).map_err(|error| Error::Object(format!("unable to read object {id}: {error}")))?;
    Ok(match kind {
        None => Some(format!("trying to write ref '{name}' with nonexistent object {id}")),
        Some(kind)
            if kind != gix_object::Kind::Commit && (name == "HEAD" || name.starts_with(b"refs/heads/")) =>
        {
            Some(format!("trying to write non-commit object {id} to branch '{name}'"))
        }
        Some(_) => None,
    })
}

/// Refuses names that are none, or that are files of another kind.
pub(in crate::repo::reference) fn check_names(edits: &[Edit]) -> Result<(), Error> {
    for edit in edits {
        let target_ok = match &edit.new {
            Some(Target::Symbolic(target)) => is_valid_name(target.as_ref()),
            Some(Target::Id(_)) | None => true,
        };
        refuse_loop(edit)?;
        if !is_valid_name(edit.name.as_ref()) || !is_safe_name(edit.name.as_ref()) || !target_ok {
            return Err(bad_name(edit.name.as_ref()));
        }
    }
    Ok(())
}

/// Refuses the edit of a ref that leads to itself.
fn refuse_loop(edit: &Edit) -> Result<(), Error> {
    let mut seen: Vec<&BString> = Vec::new();
    for name in edit.through.iter().chain([&edit.name]) {
        if let Some(last) = seen.last().filter(|_| seen.contains(&name)) {
            let reason = format!("multiple updates for '{name}' (including one via symref '{last}')");
            return Err(Error::Reference(format!("{reason} are not allowed")));
        }
        seen.push(name);
    }
    Ok(())
}

/// Refuses names of new refs that are none, or not below `refs/`.
pub(in crate::repo::reference) fn check_names_of_new<'a>(
    names: impl Iterator<Item = &'a BStr>,
) -> Result<(), Error> {
    for name in names {
        if !name.starts_with(b"refs/") || !is_valid_name(name) {
            return Err(bad_name(name));
        }
    }
    Ok(())
}

/// Whether the file of the ref is no other file of git's: it is below `refs/`, or spelled like `HEAD`.
fn is_safe_name(name: &BStr) -> bool {
    name.starts_with(b"refs/") || name.iter().all(|byte| byte.is_ascii_uppercase() || b"_-".contains(byte))
}
