//! All refs as they were at one moment: for whoever asks for many of them.

use bstr::{BStr, BString};
use gix_hash::ObjectId;

use super::files::SYMREF_DEPTH_MAX;
use super::{Reference, Target};
use crate::repo::{Error, Repository};

/// The refs below `refs/`, read at once.
#[derive(Debug)]
pub struct Snapshot {
    /// Sorted by name.
    refs: Vec<Reference>,
}

impl Repository {
    /// Reads all refs below `refs/`; see [`Repository::refs`].
    pub fn ref_snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot { refs: self.refs("refs/".into())? })
    }
}

impl Snapshot {
    /// The refs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Reference> {
        self.refs.iter()
    }

    /// The ref `name`.
    pub fn find(&self, name: &BStr) -> Option<&Reference> {
        let at = self.refs.binary_search_by(|reference| reference.name.as_slice().cmp(name)).ok()?;
        self.refs.get(at)
    }

    /// The id that `name` leads to through symbolic refs, as many as C git follows; `None` if there is none.
    pub fn resolve(&self, name: &BStr) -> Option<ObjectId> {
        let mut name = name;
        for _ in 0..SYMREF_DEPTH_MAX {
            match &self.find(name)?.target {
                Target::Id(id) => return Some(*id),
                Target::Symbolic(next) => name = next.as_ref(),
            }
        }
        None
    }

    /// As [`Self::resolve`], for who asks for many names in about the order they have here. `near` is where the last was
    /// found, and is moved.
    pub fn resolve_near(&self, name: &BStr, near: &mut usize) -> Option<ObjectId> {
        let is_there = |at: usize| self.refs.get(at).is_some_and(|reference| reference.name == name);
        let at = if is_there(*near) {
            *near
        } else {
            let found = self.refs.binary_search_by(|reference| reference.name.as_slice().cmp(name));
            *near = found.unwrap_or_else(|at| at);
            found.ok()?
        };
        *near = at + 1;
        match &self.refs.get(at)?.target {
            Target::Id(id) => Some(*id),
            Target::Symbolic(_) => self.resolve(name),
        }
    }

    /// Whether `name` is a symbolic ref.
    pub fn is_symbolic(&self, name: &BStr) -> bool {
        matches!(self.find(name), Some(Reference { target: Target::Symbolic(_), .. }))
    }

    /// Whether there is any symbolic ref.
    pub fn has_symbolic(&self) -> bool {
        self.refs.iter().any(|reference| matches!(reference.target, Target::Symbolic(_)))
    }

    /// The ref that a change of `name` changes: where symbolic refs lead to; and those symbolic refs.
    pub fn follow(&self, name: &BString) -> (BString, Vec<BString>) {
        let mut name = name.clone();
        let mut through = Vec::new();
        for _ in 0..SYMREF_DEPTH_MAX {
            match self.find(name.as_ref()) {
                Some(Reference { target: Target::Symbolic(target), .. }) => {
                    through.push(std::mem::replace(&mut name, target.clone()));
                }
                Some(_) | None => break,
            }
        }
        (name, through)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the order of the questions, the answers are those of [`Snapshot::resolve`].
    #[test]
    fn names_are_found_near_the_last_one_or_anywhere() {
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        let reference = |name: &str, target: Target| Reference { name: name.into(), target, peeled: None };
        let names = ["refs/a", "refs/b", "refs/c", "refs/d"];
        let mut refs: Vec<_> = names.iter().map(|name| reference(name, Target::Id(id))).collect();
        refs[1].target = Target::Symbolic("refs/d".into());
        let snapshot = Snapshot { refs };
        let mut near = 0;
        for name in ["refs/a", "refs/b", "refs/c", "refs/d", "refs/z", "refs/b", "refs/0", "refs/a", "refs/d"]
        {
            assert_eq!(
                snapshot.resolve_near(name.into(), &mut near),
                snapshot.resolve(name.into()),
                "{name}"
            );
        }
    }

    #[test]
    fn symbolic_refs_are_followed_to_their_end_and_no_further_than_git_does() {
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        let reference = |name: &str, target: Target| Reference { name: name.into(), target, peeled: None };
        let refs = vec![
            reference("refs/a", Target::Symbolic("refs/b".into())),
            reference("refs/b", Target::Id(id)),
            reference("refs/dangling", Target::Symbolic("refs/none".into())),
            reference("refs/loop", Target::Symbolic("refs/loop".into())),
        ];
        let snapshot = Snapshot { refs };
        assert_eq!(snapshot.resolve("refs/a".into()), Some(id));
        for name in ["refs/dangling", "refs/loop", "refs/none"] {
            assert_eq!(snapshot.resolve(name.into()), None, "{name}");
        }
        assert!(snapshot.has_symbolic() && snapshot.is_symbolic("refs/a".into()));
        assert!(!snapshot.is_symbolic("refs/b".into()) && !snapshot.is_symbolic("refs/none".into()));
        assert_eq!(snapshot.follow(&"refs/a".into()), ("refs/b".into(), vec!["refs/a".into()]));
        assert_eq!(snapshot.follow(&"refs/loop".into()).1.len(), SYMREF_DEPTH_MAX);
    }
}
