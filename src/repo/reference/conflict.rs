//! Directory/file conflicts: `refs/heads/a` and `refs/heads/a/b` cannot both exist, loose or packed.

use std::collections::{HashMap, HashSet};

use bstr::{BStr, ByteSlice};

use super::Edit;
use super::directory::remove_empty_directories;
use super::files::{Files, Loose};
use super::packed::Packed;
use crate::repo::Error;

/// Refuses edits of which one name is a directory of another, or of which two have the same name.
pub(super) fn among(edits: &[Edit]) -> Result<(), Error> {
    in_the_way(edits)?.map_or(Ok(()), |(first, second)| {
        Err(Error::Reference(format!(
            "cannot lock ref '{first}': cannot process '{first}' and '{second}' at the same time"
        )))
    })
}

/// The names of two edits of which one is a directory of the other. Two of the same name are refused.
pub(super) fn in_the_way(edits: &[Edit]) -> Result<Option<(&BStr, &BStr)>, Error> {
    among_names(edits.iter().map(|edit| edit.name.as_bstr()))
}

/// As [`in_the_way`], for names alone.
pub(super) fn among_names<'a>(
    names: impl ExactSizeIterator<Item = &'a BStr> + Clone,
) -> Result<Option<(&'a BStr, &'a BStr)>, Error> {
    let mut order = HashMap::with_capacity(names.len());
    for (index, name) in names.clone().enumerate() {
        if order.insert(name, index).is_some() {
            return Err(Error::Reference(format!("multiple updates for ref '{name}' not allowed")));
        }
    }
    for (index, name) in names.enumerate() {
        for parent in parents(name) {
            let Some(other) = order.get(parent) else { continue };
            return Ok(Some(if index < *other { (name, parent) } else { (parent, name) }));
        }
    }
    Ok(None)
}

/// Checks names against what exists, with a memory for the directories that many names share.
pub(super) struct Conflicts<'a> {
    files: &'a Files,
    /// Directories of names that are no loose refs.
    loose: HashSet<&'a BStr>,
    /// Directories of names that are no packed refs.
    packed: HashSet<&'a BStr>,
}

impl<'a> Conflicts<'a> {
    pub(super) fn new(files: &'a Files) -> Self {
        Self { files, loose: HashSet::new(), packed: HashSet::new() }
    }

    /// Refuses `name` if a directory of it is a loose ref.
    pub(super) fn with_loose_parents(&mut self, name: &'a BStr) -> Result<(), Error> {
        for parent in parents(name) {
            if !self.loose.insert(parent) {
                continue;
            }
            if self.files.path(parent).is_file() {
                return Err(exists(name, parent));
            }
        }
        Ok(())
    }

    /// Refuses the new ref `name` if a directory of it is a packed ref, or if it is itself a directory of refs.
    pub(super) fn with_packed(&mut self, name: &'a BStr, packed: &Packed) -> Result<(), Error> {
        for parent in parents(name) {
            if self.packed.insert(parent) && packed.contains(parent)? {
                return Err(exists(name, parent));
            }
        }
        let directory = [name.as_bytes(), b"/"].concat();
        match packed.entries_from(directory.as_bstr()).next().transpose()? {
            Some(entry) if entry.name.starts_with(&directory) => Err(exists(name, entry.name)),
            _ => Ok(()),
        }
    }

    /// Clears empty directories out of the way of the file of `name`; refuses `name` if there are others.
    pub(super) fn with_directory(&self, name: &BStr) -> Result<(), Error> {
        let path = self.files.path(name);
        remove_empty_directories(&path);
        if self.files.read_loose(name)? != Loose::Directory {
            return Ok(());
        }
        let directory = [name.as_bytes(), b"/"].concat();
        match self.files.loose_names(directory.as_bstr())?.first() {
            Some(child) => Err(exists(name, child.as_ref())),
            None => Err(Error::Reference(format!(
                "cannot lock ref '{name}': there is a non-empty directory '{}' blocking reference '{name}'",
                path.display()
            ))),
        }
    }
}

/// The directories of a name, the longest last: `refs`, `refs/heads` for `refs/heads/a`.
pub(super) fn parents(name: &BStr) -> impl Iterator<Item = &BStr> {
    name.find_iter(b"/").filter_map(|slash| name.get(..slash)).map(ByteSlice::as_bstr)
}

pub(super) fn exists(name: &BStr, other: &BStr) -> Error {
    Error::Reference(format!("cannot lock ref '{name}': '{other}' exists; cannot create '{name}'"))
}
