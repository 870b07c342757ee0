//! Taking a bundle in: only where everything it builds on is here, and is whole.

use std::io::BufRead;

use bstr::BString;
use gix_hash::ObjectId;

use super::unreadable;
use crate::pack;
use crate::progress::{Event, Progress};
use crate::protocol::bundle::Header;
use crate::remote::{Error, connectivity, fetch, fetch_pack};
use crate::repo::{Objects, Repository};
use crate::transport::bundle::Bundle;

/// Checks that the commits a bundle builds on are here with their history.
///
/// # Errors
///
/// [`Error::Prerequisites`] with git's lines.
pub fn check_prerequisites(repo: &Repository, objects: &mut Objects, header: &Header) -> Result<(), Error> {
    let ids: Vec<ObjectId> = header.prerequisites.iter().map(|(id, _)| *id).collect();
    let is_here = |id: &ObjectId| id.kind() == repo.object_hash && objects.contains(id);
    let missing: Vec<String> = ids.iter().filter(|id| !is_here(id)).map(|id| format!("{id} ")).collect();
    if !missing.is_empty() {
        let first = "Repository lacks these prerequisite commits:".to_owned();
        return Err(Error::Prerequisites([vec![first], missing].concat()));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let mut known = fetch::tips_of(repo)?;
    known.retain(|id| objects.contains(id));
    match connectivity::first_missing(objects, &ids, &known, None).map_err(unreadable)? {
        None => Ok(()),
        Some(_) => Err(Error::Prerequisites(vec![
            "some prerequisite commits exist in the object store, but are not connected to the repository's history"
                .to_owned(),
        ])),
    }
}

/// Takes in the pack that stands behind `header`, after [`check_prerequisites`]. It stays a pack. No ref moves.
///
/// A bundle that was filtered makes a pack of a promisor. `keep` guards the pack, see [`pack::Options::keep`].
pub fn unbundle(
    repo: &Repository,
    objects: &mut Objects,
    (header, pack): (&Header, &mut dyn BufRead),
    keep: Option<BString>,
    progress: &mut dyn Progress,
) -> Result<pack::Received, Error> {
    check_prerequisites(repo, objects, header)?;
    if header.object_hash != repo.object_hash {
        let (ours, theirs) = (repo.object_hash, header.object_hash);
        return Err(Error::Usage(format!("mismatched algorithms: client {ours}; server {theirs}")));
    }
    let boundary = repo.shallow()?;
    let rules = repo.fsck_rules("fetch")?;
    let options = pack::Options {
        objects: repo.objects_dir.clone(),
        storage: repo.storage,
        object_hash: repo.object_hash,
        bases: (!header.prerequisites.is_empty()).then_some(objects as &dyn pack::Bases),
        unpack_limit: 0,
        keep,
        promisor: header.filter.as_ref().map(|_| "from-bundle\n".into()),
        threads: 0,
        size_max_bytes: 0,
        made_len_max: 0,
        to_end: true,
        fsck: rules.as_ref(),
        shallow: &boundary,
    };
    pack::receive(pack, &options, progress).map_err(|error| match error {
        pack::Error::Interrupted => Error::Interrupted,
        error => Error::Unbundle(error),
    })
}

/// As [`unbundle`], of a file that was opened for a fetch.
pub fn unbundle_file(
    repo: &Repository,
    objects: &mut Objects,
    bundle: &mut Bundle,
    request: &fetch_pack::Request,
    progress: &mut dyn Progress,
) -> Result<pack::Received, Error> {
    unbundle(repo, objects, (&bundle.header, &mut bundle.pack), request.keep.clone(), progress)
}

/// Calls the phase `Receiving objects` what `git bundle unbundle` calls it.
pub struct Unbundling<'a>(pub &'a mut dyn Progress);

impl Progress for Unbundling<'_> {
    fn report(&mut self, event: Event<'_>) -> std::ops::ControlFlow<()> {
        const TITLE: &str = "Unbundling objects";
        self.0.report(match event {
            Event::Phase { title: "Receiving objects", done, total, bytes } => {
                Event::Phase { title: TITLE, done, total, bytes }
            }
            Event::PhaseEnd { title: "Receiving objects", done, total, bytes } => {
                Event::PhaseEnd { title: TITLE, done, total, bytes }
            }
            other => other,
        })
    }
}
