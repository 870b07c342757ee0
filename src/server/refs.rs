//! The refs of a repository as clients see them: within a namespace, without those that are hidden.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;
use crate::pack::Kind;
use crate::repo::hidden::Hidden;
use crate::repo::{Listed, Objects, Repository, Target};
use crate::text::strip_prefix;

/// With more prefixes than these all refs are looked at once, instead of those below each prefix.
const SEPARATE_PREFIXES_MAX: usize = 16;

/// The refs that a repository serves.
#[derive(Debug)]
pub struct Served<'a> {
    repo: &'a Repository,
    /// `refs/namespaces/<name>/`; empty without a namespace.
    namespace: BString,
    hidden: Hidden,
}

/// One ref that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServedRef<'r> {
    /// The name as clients see it.
    pub name: &'r BStr,
    pub id: ObjectId,
    /// The ref it names, as clients see it, if it is a symbolic one.
    pub symref_target: Option<&'r BStr>,
    /// Whether it is not to be shown.
    pub is_hidden: bool,
    listed_peeled: Option<ObjectId>,
    is_peeled: bool,
}

impl ServedRef<'_> {
    /// What is at the end of a chain of tags that begins with the ref.
    pub(super) fn peel(&self, objects: &Objects) -> Option<ObjectId> {
        if self.is_peeled {
            return self.listed_peeled;
        }
        // what is missing or broken is shown as it is, as C git does
        let is_tag = matches!(objects.kind(&self.id), Ok(Some(Kind::Tag)));
        let peeled = if is_tag { objects.peel(&self.id).ok().flatten() } else { None };
        peeled.map(|(id, _)| id)
    }
}

/// What `HEAD` is for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The object, unless the branch is unborn.
    pub id: Option<ObjectId>,
    /// The branch, unless it is detached.
    pub target: Option<BString>,
}

impl<'a> Served<'a> {
    /// The refs of `repo` as `service` (`uploadpack`, `receive`) shows them; `GIT_NAMESPACE` is taken from its environment.
    pub fn new(repo: &'a Repository, service: &str) -> Self {
        let namespace = repo.env.get("GIT_NAMESPACE").map(std::ffi::OsStr::as_encoded_bytes);
        let mut prefix = BString::default();
        for part in namespace.unwrap_or_default().split(|byte| *byte == b'/').filter(|part| !part.is_empty())
        {
            prefix.extend_from_slice(&[b"refs/namespaces/", part, b"/"].concat());
        }
        Self { repo, namespace: prefix, hidden: Hidden::read(&repo.config, service) }
    }

    /// The name of the ref that clients call `name`.
    pub(super) fn full_name(&self, name: &BStr) -> BString {
        [self.namespace.as_slice(), name].concat().into()
    }

    /// The object that clients find under `name`, unless it is hidden.
    pub(super) fn find(&self, name: &BStr) -> Result<Option<ObjectId>, Error> {
        let full = self.full_name(name);
        if self.hidden.hides(Some(name), full.as_ref()) {
            return Ok(None);
        }
        Ok(self.repo.resolve_ref(full.as_ref())?)
    }

    /// `HEAD`; `None` if it is hidden or broken.
    pub(super) fn head(&self) -> Result<Option<Head>, Error> {
        let full = self.full_name("HEAD".into());
        if self.hidden.hides(Some("HEAD".into()), full.as_ref()) {
            return Ok(None);
        }
        let Some(reference) = self.repo.find_ref(full.as_ref())? else { return Ok(None) };
        let target = match reference.target {
            Target::Symbolic(target) => {
                Some(self.strip(target.as_ref()).unwrap_or(target.as_ref()).to_owned())
            }
            Target::Id(_) => None,
        };
        Ok(Some(Head { id: self.repo.resolve_ref(full.as_ref())?, target }))
    }

    /// Tells all refs, sorted by name, hidden ones as well, whose name as clients see it begins with one of `prefixes`; with
    /// none, all. Symbolic refs that lead nowhere are left out, `HEAD` is not among them.
    pub(super) fn each(
        &self,
        prefixes: &[BString],
        tell: &mut dyn FnMut(ServedRef<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefixes = without_covered(prefixes);
        if prefixes.is_empty() || prefixes.len() > SEPARATE_PREFIXES_MAX {
            return self.repo.each_ref(self.namespace.as_bstr(), &mut |listed| match self.serve(listed)? {
                Some(served) if prefixes.is_empty() || begins_with_one(served.name, &prefixes) => {
                    tell(served)
                }
                Some(_) | None => Ok(()),
            });
        }
        for prefix in prefixes {
            self.repo.each_ref(self.full_name(prefix.as_ref()).as_ref(), &mut |listed| {
                self.serve(listed)?.map_or(Ok(()), &mut *tell)
            })?;
        }
        Ok(())
    }

    fn serve<'r>(&'r self, listed: Listed<'r>) -> Result<Option<ServedRef<'r>>, Error> {
        let Some(name) = self.strip(listed.name) else { return Ok(None) };
        let is_hidden = !self.hidden.is_empty() && self.hidden.hides(Some(name), listed.name);
        let symref_target = listed.symbolic.map(|target| self.strip(target).unwrap_or(target));
        let id = match listed.id {
            Some(id) => Some(id),
            None => self.repo.resolve_ref(listed.name)?,
        };
        // a broken ref is no tag, whatever its id
        let is_peeled = (listed.is_peeled || listed.is_broken) && symref_target.is_none();
        let listed_peeled = listed.peeled;
        Ok(id.map(|id| ServedRef { name, id, symref_target, is_hidden, listed_peeled, is_peeled }))
    }

    /// What the refs outside of the namespace hold.
    pub(super) fn outside(&self) -> Result<Vec<ObjectId>, Error> {
        if self.namespace.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        self.repo.each_ref("".into(), &mut |listed| {
            if !listed.is_broken && self.strip(listed.name).is_none() {
                ids.extend(listed.id);
            }
            Ok::<(), Error>(())
        })?;
        Ok(ids)
    }

    /// Whether the ref that clients call `name` is hidden.
    pub(super) fn hides(&self, name: &BStr) -> bool {
        self.hidden.hides(Some(name), self.full_name(name).as_ref())
    }

    /// The name as clients see it; `None` outside of the namespace.
    pub(super) fn strip<'n>(&self, name: &'n BStr) -> Option<&'n BStr> {
        strip_prefix(name, &self.namespace)
    }
}

/// `prefixes` sorted, without those that another one covers.
fn without_covered(prefixes: &[BString]) -> Vec<BString> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    let mut kept: Vec<BString> = Vec::new();
    for prefix in sorted {
        if kept.last().is_none_or(|last| !prefix.starts_with(last)) {
            kept.push(prefix);
        }
    }
    kept
}

/// Whether `name` begins with one of `prefixes`, which are sorted and none of which begins with another.
pub(super) fn begins_with_one(name: &BStr, prefixes: &[BString]) -> bool {
    let behind = prefixes.partition_point(|prefix| prefix.as_bstr() <= name);
    let nearest = behind.checked_sub(1).and_then(|place| prefixes.get(place));
    nearest.is_some_and(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_others_cover_are_dropped() {
        let prefixes: Vec<BString> =
            ["refs/heads/a", "refs/tags/", "refs/heads/", "HEAD", "refs/heads/"].map(Into::into).into();
        assert_eq!(without_covered(&prefixes), ["HEAD", "refs/heads/", "refs/tags/"]);
        assert!(without_covered(&["x".into(), "".into()]).iter().all(|prefix| prefix.is_empty()));
    }

    #[test]
    fn a_name_is_found_by_its_nearest_prefix() {
        let prefixes = without_covered(&["refs/heads/m".into(), "refs/tags/v1".into(), "HEAD".into()]);
        for (name, found) in [
            ("HEAD", true),
            ("refs/heads/main", true),
            ("refs/heads/l", false),
            ("refs/tags/v1", true),
            ("refs/tags/v2", false),
            ("A", false),
        ] {
            assert_eq!(begins_with_one(name.into(), &prefixes), found, "{name}");
        }
    }
}
