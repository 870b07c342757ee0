//! Refs of ours whose source is gone: found and removed.

use bstr::{BString, ByteSlice};

use super::{RefUpdate, Status, removal};
use crate::protocol::Ref;
use crate::remote::{Error, Refspec};
use crate::repo::{Edit, Repository, Snapshot};

/// The refs of ours that `refspecs` fill and whose source is no longer on the far side.
pub fn stale(ours: &Snapshot, refspecs: &[Refspec], remote_refs: &[Ref]) -> Vec<RefUpdate> {
    let there = Names::new(remote_refs);
    let mut stale = Vec::new();
    for reference in ours.iter() {
        let Some(id) = reference.id else { continue };
        let name = reference.name;
        let mut sources = refspecs.iter().filter_map(|refspec| refspec.source_of(name)).peekable();
        // What a negative refspec leaves out is not ours to remove.
        let is_ours = sources.peek().is_some();
        let is_kept = sources.any(|source| {
            there.contains(&source) || refspecs.iter().any(|refspec| refspec.excludes(source.as_bstr()))
        });
        if is_ours && !is_kept {
            stale.push(RefUpdate {
                remote: None,
                local: Some(name.to_owned()),
                old: Some(id),
                new: None,
                status: Status::Pruned,
            });
        }
    }
    stale.shrink_to_fit();
    stale
}

/// The names that the far side has. Servers tell them in order as a rule; then nothing need be remembered.
enum Names<'a> {
    Sorted(&'a [Ref]),
    Any(std::collections::HashSet<&'a BString>),
}

impl<'a> Names<'a> {
    fn new(refs: &'a [Ref]) -> Self {
        // `HEAD`, which comes first, is where it belongs
        if refs.is_sorted_by(|one, next| one.name < next.name) {
            Self::Sorted(refs)
        } else {
            Self::Any(refs.iter().map(|reference| &reference.name).collect())
        }
    }

    fn contains(&self, name: &BString) -> bool {
        match self {
            Self::Sorted(refs) => refs.binary_search_by(|reference| reference.name.cmp(name)).is_ok(),
            Self::Any(names) => names.contains(name),
        }
    }
}

/// Removes the refs that [`stale`] found, all or none.
pub fn prune(repo: &Repository, stale: &[RefUpdate]) -> Result<(), Error> {
    let mut edits: Vec<Edit> = Vec::with_capacity(stale.len());
    edits.extend(stale.iter().filter_map(removal));
    Ok(repo.update_refs(&edits)?)
}

/// The symbolic refs that name nothing after `pruned` went.
pub fn dangling(ours: &Snapshot, pruned: &[RefUpdate]) -> Vec<BString> {
    if pruned.is_empty() || !ours.has_symbolic() {
        return Vec::new();
    }
    let gone: std::collections::HashSet<&BString> = pruned.iter().filter_map(|u| u.local.as_ref()).collect();
    ours.iter()
        .filter(|reference| reference.symbolic.is_some_and(|target| gone.contains(target)))
        .map(|reference| reference.name.to_owned())
        .collect()
}
