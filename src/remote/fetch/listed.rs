//! Once the remote has answered with its refs: what is stale goes, what is missing comes.

use bstr::{BStr, BString, ByteSlice};

use super::source::Again;
use super::tips::{known_tips, lent_tips, tags_missing};
use super::{CATEGORY, Fetch, Listed, Source, Transferred};
use crate::progress::Progress;
use crate::remote::Error;
use crate::remote::config::Tags;
use crate::remote::ref_map::Mapping;
use crate::remote::update::{self, RefUpdate};
use crate::telemetry;

/// What pruning came to.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The row of each ref whose source is gone.
    pub updates: Vec<RefUpdate>,
    /// The symbolic refs that lead to one of them.
    pub dangling: Vec<BString>,
    /// Why they are all still there, if they are; the fetch goes on.
    pub failure: Option<Error>,
}

impl<'a> Listed<'a> {
    /// The URL as messages show it.
    pub fn url(&self) -> &BStr {
        self.fetch.url.as_bstr()
    }

    /// What is going to be fetched, but for tags that nobody can know of before the objects are here.
    pub fn map(&self) -> &[Mapping] {
        &self.map
    }

    /// The refs that are stored: their names there and here, and whether they stay as they are.
    pub fn stored_names(&self) -> impl Iterator<Item = (&BString, &BString, bool)> {
        let mut near = 0;
        self.map.iter().filter_map(move |mapping| {
            let local = mapping.local.as_ref()?;
            let is_unchanged = self.ours.resolve_near(local.as_bstr(), &mut near) == Some(mapping.id);
            Some((&mapping.remote, local, is_unchanged))
        })
    }

    /// The refs that only `FETCH_HEAD` takes note of.
    pub fn noted_names(&self) -> impl Iterator<Item = &BString> {
        self.map.iter().filter(|mapping| mapping.local.is_none()).map(|mapping| &mapping.remote)
    }

    /// Removes the refs whose source is gone, if that is wished. Where all refs move together they stay until the others
    /// move.
    ///
    /// # Errors
    ///
    /// If the `reference-transaction` hook refuses; what else keeps them is told in [`Pruned::failure`].
    pub fn prune(&mut self) -> Result<Pruned, Error> {
        let Fetch { repo, remote, options, refspecs, .. } = &self.fetch;
        if !options.prune.unwrap_or(remote.prune) {
            return Ok(Pruned::default());
        }
        let refspecs = if refspecs.is_empty() { &remote.fetch } else { refspecs };
        let stale = update::stale(&self.ours, refspecs, &self.refs);
        let dangling = update::dangling(&self.ours, &stale);
        let mut failure = None;
        if options.atomic {
            self.stale.clone_from(&stale);
        } else if !options.dry_run && !stale.is_empty() {
            match update::prune(repo, &stale) {
                Err(refusal @ Error::Repo(crate::repo::Error::RefusedByHook)) => return Err(refusal),
                outcome => failure = outcome.err(),
            }
            self.ours = repo.ref_snapshot()?;
        }
        Ok(Pruned { updates: stale, dangling, failure })
    }

    /// Fetches the objects that are missing and checks that the history of all that was asked for is whole.
    pub fn transfer(self, progress: &mut dyn Progress) -> Result<Transferred<'a>, Error> {
        telemetry::region(CATEGORY, "fetch_refs", || self.transfer_objects(progress))
    }

    fn transfer_objects(mut self, progress: &mut dyn Progress) -> Result<Transferred<'a>, Error> {
        let repo = self.fetch.repo;
        self.fetch.check_checked_out(&self.map, &self.ours)?;
        let mut objects = match self.objects.take() {
            Some(objects) => objects,
            None => repo.objects()?.here(),
        };
        let follows_tags = self.follows_tags();
        if let Source::Foreign(foreign) = &mut self.source
            && self.tags == Tags::Follow
        {
            foreign.set("followtags", "true", progress)?;
        }
        let mut known = known_tips(repo, &self.ours)?;
        // A ref that names nothing is no ground to stand on.
        known.retain(|id| objects.contains(id));
        known.extend(lent_tips(repo, &objects));
        let kept = match self.take_objects(&mut objects, &known, progress) {
            Ok(kept) => kept,
            Err(error) => {
                if let (Error::Unadvertised(_), Source::Session(session)) = (&error, self.source) {
                    let _nothing_was_asked = session.close();
                }
                return Err(error);
            }
        };
        let objects = objects.or_promised(repo);
        let Self { fetch, source, mut refs, map, ours, stale, .. } = self;
        let tells_head =
            refs.iter().any(|reference| reference.name == "HEAD" && reference.symref_target.is_some());
        if tells_head || !fetch.follows_head() {
            // nobody asks for the others any more, and they may be many
            refs.retain(|reference| reference.name == "HEAD" || reference.name.starts_with(b"refs/tags/"));
            refs.shrink_to_fit();
        }
        // as git: what was not written by now is shown once more
        let asked = if fetch.options.dry_run { &[][..] } else { map.as_slice() };
        let tags = if follows_tags { tags_missing(&ours, &refs, asked, &objects) } else { Vec::new() };
        let again = if tags.iter().all(|tag| objects.contains(&tag.id)) {
            source.close(kept.is_some())?;
            Again::Nowhere
        } else {
            source.once_more(kept.is_some())?
        };
        Ok(Transferred { fetch, again, refs, map, tags, stale, objects, ours, known, kept })
    }

    pub(super) fn follows_tags(&self) -> bool {
        self.fetch.follows_tags(self.tags)
    }
}
