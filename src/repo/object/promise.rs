//! Objects that a filter left out: who brings them, and which of those that are missing were promised. `partial-clone` in
//! git's technical documentation.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use gix_hash::{ObjectId, oid};

use super::Objects;
use crate::repo::Repository;

/// Brings objects that are missing and needed after all.
pub trait Promisor: fmt::Debug + Send + Sync {
    /// Fetches `ids` into the repository, all in one request to each remote that is asked.
    ///
    /// # Errors
    ///
    /// Names an object that no remote sent, in git's words.
    fn bring(&self, ids: &[ObjectId]) -> io::Result<()>;
}

/// What may be missing from a database, and what becomes of it.
#[derive(Clone, Default)]
pub(super) struct Promise {
    /// Whether any remote has promised anything.
    is_given: bool,
    promisor: Option<Arc<dyn Promisor>>,
    /// What is missing and named by an object in a pack of a promisor; empty until it was asked for.
    named: Arc<OnceLock<HashSet<ObjectId>>>,
}

impl Objects {
    /// Says that objects may be missing since others have promised them, and who brings them when they are read.
    pub(in crate::repo) fn with_promise(mut self, promisor: Option<Arc<dyn Promisor>>) -> Self {
        self.promise = Promise { is_given: true, promisor, named: Arc::default() };
        self
    }

    /// These objects, of which nothing more is fetched: what a filter left out is missing.
    #[must_use]
    pub fn here(mut self) -> Self {
        self.promise.promisor = None;
        self
    }

    /// These objects, of which more is fetched when it is read, if `repo` has somebody who does that.
    #[must_use]
    pub fn or_promised(mut self, repo: &Repository) -> Self {
        self.promise.promisor = repo.promisor.clone().filter(|_| self.promise.is_given);
        self
    }

    /// Fetches those of `ids` that are missing, all at once, where that is done when they are read.
    ///
    /// # Errors
    ///
    /// As [`Promisor::bring`].
    pub fn bring(&self, ids: &[ObjectId]) -> io::Result<()> {
        let Some(promisor) = &self.promise.promisor else { return Ok(()) };
        let wants: Vec<ObjectId> =
            ids.iter().filter(|id| !id.is_null() && !self.contains(id)).copied().collect();
        if wants.is_empty() {
            return Ok(());
        }
        promisor.bring(&wants)?;
        self.look_again().map_err(io::Error::other)
    }

    /// What `look` finds of `id`, which is fetched where it is missing.
    pub(super) fn find_or_bring<T>(
        &self,
        id: &oid,
        mut look: impl FnMut() -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let found = look()?;
        if found.is_some() || self.promise.promisor.is_none() || id.is_null() {
            return Ok(found);
        }
        self.bring(&[id.to_owned()])?;
        look()
    }

    /// Whether `id` is here in a pack that a promisor sent: what it refers to may be missing.
    pub fn is_from_promisor(&self, id: &oid) -> bool {
        self.promise.is_given && self.packs.is_from_promisor(id, &self.stores)
    }

    /// Whether `id`, which is missing, was promised: an object that a promisor sent refers to it. The first question costs
    /// a look at all such objects.
    pub fn is_promised(&self, id: &oid) -> bool {
        let look = || {
            let links = self.packs.links_of_promisors(&self.stores, &|id| self.contains(id));
            links.named().map(|(id, _)| id).collect()
        };
        self.promise.is_given && self.promise.named.get_or_init(look).contains(id)
    }
}
