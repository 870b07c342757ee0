//! Pushes whose history ends where ours does not yet: `receive.shallowUpdate`. git-config(1); git's technical
//! documentation, "Shallow commits".

use std::collections::HashSet;

use bstr::BString;
use gix_hash::ObjectId;

use super::quarantine::Quarantine;
use super::{ReceivePack, Row, Voice};
use crate::protocol::push::Request;
use crate::repo::Objects;
use crate::repo::connectivity::{History, first_missing, history};
use crate::server::Error;

/// What the report says where history ends at a commit of the client's, and no such history is taken.
const NOT_ALLOWED: &str = "shallow update not allowed";
/// What it says where the end of history cannot be written down.
const NOT_WRITTEN: &str = "shallow error";

/// Where the client's history ends and ours does not.
#[derive(Debug)]
pub(super) struct Ends {
    ids: HashSet<ObjectId>,
    /// The objects of the push as they look if all history ends there.
    objects: Objects,
}

impl ReceivePack<'_> {
    /// What the client has said of the ends of its history, `None` if that is nothing new.
    pub(super) fn ends(&self, request: &Request, quarantine: &Quarantine) -> Result<Option<Ends>, Error> {
        let mut boundary = self.repo.shallow()?;
        let ids: HashSet<ObjectId> =
            request.shallow.iter().filter(|id| !boundary.contains(id)).copied().collect();
        if ids.is_empty() {
            return Ok(None);
        }
        boundary.extend(&ids);
        let objects = quarantine.repository(self.repo)?.objects_within(boundary)?;
        Ok(Some(Ends { ids, objects }))
    }

    /// Looks whether the history of `row`, which is not whole in `objects`, is whole as the client sees it, and notes where
    /// it ends then; else why the ref does not move. `known` are tips whose history is whole.
    pub(super) fn cut_off(
        &self,
        row: &mut Row,
        ends: &mut Ends,
        objects: &mut Objects,
        known: &[ObjectId],
    ) -> Result<Option<ObjectId>, Error> {
        let roots = match history(&mut ends.objects, &row.command.new, known).map_err(Error::object)? {
            History::Missing(id) => return Ok(Some(id)),
            History::Whole { roots } => roots,
        };
        for id in roots.into_iter().filter(|id| ends.ids.contains(id)) {
            // the client may end where we go on
            if first_missing(objects, &[id], known, None).map_err(Error::object)?.is_some() {
                row.ends.push(id);
            }
        }
        if !self.settings.takes_shallow {
            row.error = Some(NOT_ALLOWED.into());
        }
        Ok(None)
    }

    /// Writes down that history `ends` there, before refs lead to it. If that fails the client hears why, and what is given
    /// is for the report.
    pub(super) fn write_ends(
        &self,
        ends: &[ObjectId],
        voice: &mut Voice<'_>,
    ) -> Result<Option<BString>, Error> {
        if ends.is_empty() {
            return Ok(None);
        }
        let written = self.repo.lock_shallow().and_then(|lock| {
            let boundary = [lock.boundary(), ends].concat();
            lock.write(&boundary)
        });
        match written {
            Ok(()) => Ok(None),
            Err(error) => {
                voice.error(&error.to_string())?;
                Ok(Some(NOT_WRITTEN.into()))
            }
        }
    }
}
