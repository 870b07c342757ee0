//! What may become of each ref: git-push(1), "Note about fast-forwards" and `--force-with-lease`.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::targets::{Target, Wish, unreadable};
use super::{Options, RefUpdate, Status};
use crate::remote::refspec::{Source, candidates};
use crate::remote::update::{is_ancestor, is_ancestor_of_any};
use crate::remote::{Error, Remote};
use crate::repo::{Objects, Repository};

/// Decides about the refs of one push.
pub(super) struct Judge<'a> {
    pub repo: &'a Repository,
    pub remote: &'a Remote,
    pub options: &'a Options,
    pub objects: Objects,
}

/// What a lease says of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    /// What the ref must be; the null id says that it must not be there.
    expected: ObjectId,
    /// Whether our branch must have included that before (`--force-if-includes`).
    must_include: bool,
}

impl Judge<'_> {
    /// The row of `target`, which is to become what `wish` says.
    pub(super) fn row(&mut self, target: &Target, wish: &Wish) -> Result<RefUpdate, Error> {
        let lease = self.lease(target.name.as_bstr())?;
        let mut row = RefUpdate {
            source: wish.source.clone(),
            name: target.name.clone(),
            old: target.old,
            new: wish.new,
            expected: lease.map(|lease| lease.expected),
            forced: false,
            status: Status::Pending,
            rewritten: Vec::new(),
        };
        if !row.new.is_null() && row.old == row.new {
            row.status = Status::UpToDate;
            return Ok(row);
        }
        let broken_lease = match lease {
            Some(lease) => self.broken_lease(&row, lease)?,
            None => None,
        };
        let holds = lease.is_some() && broken_lease.is_none();
        let rejection = match broken_lease {
            Some(status) => Some(status),
            None => self.no_fast_forward(&row)?,
        };
        if let Some(status) = rejection {
            if wish.force || self.options.force || holds {
                row.forced = true;
            } else {
                row.status = status;
            }
        }
        Ok(row)
    }

    /// Why `row` is no update that goes without force, if so. Deletions always go.
    fn no_fast_forward(&mut self, row: &RefUpdate) -> Result<Option<Status>, Error> {
        if row.new.is_null() || row.old.is_null() {
            return Ok(None);
        }
        if row.name.starts_with(b"refs/tags/") {
            return Ok(Some(Status::AlreadyExists));
        }
        if !self.objects.contains(&row.old) {
            return Ok(Some(Status::FetchFirst));
        }
        let (Some(old), Some(new)) = (self.commit(row.old)?, self.commit(row.new)?) else {
            return Ok(Some(Status::NeedsForce));
        };
        let is_ahead = is_ancestor(&mut self.objects, old, new).map_err(unreadable)?;
        Ok((!is_ahead).then_some(Status::NonFastForward))
    }

    /// The commit that `id` is or, as a tag, names.
    fn commit(&self, id: ObjectId) -> Result<Option<ObjectId>, Error> {
        let peeled = self.objects.peel(&id).map_err(unreadable)?;
        Ok(peeled.filter(|(_, kind)| *kind == Kind::Commit).map(|(id, _)| id))
    }

    /// What `--force-with-lease` says of the far side's ref `name`: the first that names it, as seen in git 2.47.3, else
    /// the one for all.
    fn lease(&self, name: &BStr) -> Result<Option<Lease>, Error> {
        let leases = &self.options.lease;
        let named = leases
            .refs
            .iter()
            .find(|(short, _)| candidates(short.as_bstr()).iter().any(|full| full.as_bstr() == name));
        match named {
            Some((_, Some(expected))) => {
                return Ok(Some(Lease { expected: *expected, must_include: false }));
            }
            None if !leases.all => return Ok(None),
            Some((_, None)) | None => {}
        }
        let tracked = match tracking_ref(self.remote, name) {
            Some(tracking) => self.repo.resolve_ref(tracking.as_bstr())?,
            None => None,
        };
        Ok(Some(Lease {
            expected: tracked.unwrap_or_else(|| self.repo.object_hash.null()),
            must_include: tracked.is_some() && self.options.force_if_includes,
        }))
    }

    /// Whether what the lease asks for is not so.
    fn broken_lease(&mut self, row: &RefUpdate, lease: Lease) -> Result<Option<Status>, Error> {
        if row.old != lease.expected {
            return Ok(Some(Status::Stale));
        }
        if lease.must_include && !self.includes(row.name.as_bstr(), lease.expected)? {
            return Ok(Some(Status::RemoteUpdated));
        }
        Ok(None)
    }

    /// Whether our ref `name`, as its reflog tells it, has included `tip` at any time. It is the one that is called as the
    /// far side's ref is, whatever is pushed (seen in git 2.47.3).
    fn includes(&mut self, name: &BStr, tip: ObjectId) -> Result<bool, Error> {
        if self.repo.resolve_ref(name)?.is_none() {
            return Ok(false);
        }
        let mut tips: Vec<ObjectId> = self.repo.reflog(name)?.into_iter().map(|entry| entry.new).collect();
        tips.retain(|id| !id.is_null());
        tips.sort_unstable();
        tips.dedup();
        is_ancestor_of_any(&mut self.objects, tip, &tips).map_err(unreadable)
    }
}

/// The ref of ours that a fetch from `remote` stores its `name` in, also if a negative refspec says that none does (seen in
/// git 2.47.3).
pub(super) fn tracking_ref(remote: &Remote, name: &BStr) -> Option<BString> {
    remote.fetch.iter().find_map(|refspec| match &refspec.source {
        Source::Pattern(_) => refspec.map_pattern(name)?,
        Source::Name(source) if source == name => refspec.destination.clone(),
        Source::Name(_) | Source::Id(_) | Source::Exclude(_) => None,
    })
}
