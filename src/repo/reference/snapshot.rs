//! All refs as they were at one moment: for whoever asks for many of them.

use std::cmp::Ordering;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Target;
use super::files::{Files, Loose, SYMREF_DEPTH_MAX, is_valid_name};
use super::packed::Packed;
use crate::repo::{Error, Repository};

/// The refs below `refs/`, read at once. The names of those that are packed stay in the mapped file.
pub struct Snapshot {
    packed: Packed,
    /// Sorted by name; one without target is broken, and none is packed under its name that counts.
    loose: Vec<(BString, Option<Target>)>,
    /// Where each ref is, in the order of names.
    places: Vec<Place>,
}

/// Where a ref is.
#[derive(Clone, Copy)]
enum Place {
    /// In the packed refs: where its name begins, in bytes, and how long it is. There may be many: the id is read anew.
    Packed(usize, u32),
    /// Among the loose ones.
    Loose(usize),
}

/// A ref of a [`Snapshot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The full name.
    pub name: &'a BStr,
    /// The id; `None` in a symbolic ref.
    pub id: Option<ObjectId>,
    /// What a symbolic ref names.
    pub symbolic: Option<&'a BString>,
}

impl Repository {
    /// Reads all refs below `refs/`; see [`Repository::refs`].
    pub fn ref_snapshot(&self) -> Result<Snapshot, Error> {
        self.ref_store().snapshot()
    }
}

impl Snapshot {
    pub(super) fn read(files: &Files) -> Result<Self, Error> {
        // loose ones first: a ref that is packed in between is found twice rather than not at all
        let loose = files.loose(b"refs/".into())?.into_iter().map(|(name, content)| match content {
            Loose::Found(target) => (name, Some(target)),
            Loose::Missing | Loose::Directory | Loose::Broken => (name, None),
        });
        Self::merged(files.packed()?, loose.collect())
    }

    /// Puts both kinds in order; `loose` is sorted.
    pub(super) fn merged(packed: Packed, loose: Vec<(BString, Option<Target>)>) -> Result<Self, Error> {
        let mut places = Vec::with_capacity(packed.count(b"refs/".into()) + loose.len());
        let mut names = loose.iter().enumerate().peekable();
        let place = |(at, (_, target)): (usize, &(BString, Option<Target>))| {
            target.is_some().then_some(Place::Loose(at))
        };
        let mut entries = packed.entries_from(b"refs/".into());
        loop {
            let name_at = entries.name_offset();
            let Some(entry) = entries.next().transpose()? else { break };
            if !entry.name.starts_with(b"refs/") {
                break;
            }
            while let Some(found) = names.next_if(|(_, (name, _))| name.as_bstr() < entry.name) {
                places.extend(place(found));
            }
            let is_hidden = names.peek().is_some_and(|(_, (name, _))| name.as_bstr() == entry.name);
            if !is_hidden && is_valid_name(entry.name) {
                // no system has room for a longer one
                let length = u32::try_from(entry.name.len()).map_err(|_| super::bad_name(entry.name))?;
                places.push(Place::Packed(name_at, length));
            }
        }
        places.extend(names.filter_map(place));
        Ok(Self { packed, loose, places })
    }

    /// The refs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.places.iter().filter_map(|place| self.seen(*place))
    }

    /// The ref `name`.
    pub fn find(&self, name: &BStr) -> Option<Seen<'_>> {
        self.seen(*self.places.get(self.search(name).ok()?)?)
    }

    /// The id that `name` leads to through symbolic refs, as many as C git follows; `None` if there is none.
    pub fn resolve(&self, name: &BStr) -> Option<ObjectId> {
        let mut name = name;
        for _ in 0..SYMREF_DEPTH_MAX {
            let seen = self.find(name)?;
            match seen.symbolic {
                None => return seen.id,
                Some(next) => name = next.as_bstr(),
            }
        }
        None
    }

    /// As [`Self::resolve`], for who asks for many names in about the order they have here. `near` is where the last was
    /// found, and is moved.
    pub fn resolve_near(&self, name: &BStr, near: &mut usize) -> Option<ObjectId> {
        let seen = self.seen(*self.places.get(self.search_near(name, near)?)?)?;
        if seen.symbolic.is_some() { self.resolve(name) } else { seen.id }
    }

    /// Whether there is a ref `name`, wherever it leads; `near` as in [`Self::resolve_near`].
    pub fn has_near(&self, name: &BStr, near: &mut usize) -> bool {
        self.search_near(name, near).is_some()
    }

    fn search_near(&self, name: &BStr, near: &mut usize) -> Option<usize> {
        let is_there = |at: usize| self.places.get(at).is_some_and(|place| self.name(*place) == name);
        let at = if is_there(*near) {
            *near
        } else {
            let found = self.search(name);
            *near = found.unwrap_or_else(|at| at);
            found.ok()?
        };
        *near = at + 1;
        Some(at)
    }

    /// Whether `name` is a symbolic ref.
    pub fn is_symbolic(&self, name: &BStr) -> bool {
        self.find(name).is_some_and(|seen| seen.symbolic.is_some())
    }

    /// The names of all symbolic refs, sorted.
    pub fn symbolic_names(&self) -> Vec<BString> {
        let symbolic = self.loose.iter().filter(|(_, target)| matches!(target, Some(Target::Symbolic(_))));
        symbolic.map(|(name, _)| name.clone()).collect()
    }

    /// Whether there is any symbolic ref.
    pub fn has_symbolic(&self) -> bool {
        self.loose.iter().any(|(_, target)| matches!(target, Some(Target::Symbolic(_))))
    }

    /// The ref that a change of `name` changes: where symbolic refs lead to; and those symbolic refs.
    pub fn follow(&self, name: &BString) -> (BString, Vec<BString>) {
        let mut name = name.clone();
        let mut through = Vec::new();
        for _ in 0..SYMREF_DEPTH_MAX {
            match self.find(name.as_bstr()).and_then(|seen| seen.symbolic) {
                Some(target) => through.push(std::mem::replace(&mut name, target.clone())),
                None => break,
            }
        }
        (name, through)
    }

    /// Where `name` is among the places, or would be.
    fn search(&self, name: &BStr) -> Result<usize, usize> {
        self.places.binary_search_by(|place| -> Ordering { self.name(*place).cmp(name) })
    }

    fn name(&self, place: Place) -> &BStr {
        match place {
            Place::Packed(at, length) => self.packed.name_at(at, length as usize),
            Place::Loose(at) => self.loose.get(at).map_or(b"".as_bstr(), |(name, _)| name.as_bstr()),
        }
    }

    fn seen(&self, place: Place) -> Option<Seen<'_>> {
        match place {
            Place::Packed(at, _) => {
                Some(Seen { name: self.name(place), id: self.packed.id_before(at), symbolic: None })
            }
            Place::Loose(at) => match self.loose.get(at)? {
                (name, Some(Target::Id(id))) => {
                    Some(Seen { name: name.as_bstr(), id: Some(*id), symbolic: None })
                }
                (name, Some(Target::Symbolic(target))) => {
                    Some(Seen { name: name.as_bstr(), id: None, symbolic: Some(target) })
                }
                (_, None) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot of these packed refs, in order, and these loose ones.
    fn snapshot(packed: &[&str], loose: &[(&str, Option<Target>)]) -> Snapshot {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("packed-refs");
        let lines = packed.iter().map(|name| format!("{} {name}\n^{}\n", "1".repeat(40), "2".repeat(40)));
        let header = "# pack-refs with: peeled fully-peeled sorted \n";
        std::fs::write(&path, header.to_owned() + &lines.collect::<String>()).unwrap();
        let loose = loose.iter().map(|(name, target)| ((*name).into(), target.clone())).collect();
        Snapshot::merged(Packed::open(&path, gix_hash::Kind::Sha1).unwrap(), loose).unwrap()
    }

    fn id(digit: &str) -> ObjectId {
        ObjectId::from_hex(digit.repeat(40).as_bytes()).unwrap()
    }

    fn symbolic(name: &str) -> Target {
        Target::Symbolic(name.into())
    }

    #[test]
    fn loose_refs_count_more_than_packed_ones() {
        let packed = ["other", "refs/a", "refs/b", "refs/c", "refs/c..d", "refs/e"];
        let loose =
            [("refs/0", Some(Target::Id(id("3")))), ("refs/b", Some(Target::Id(id("3")))), ("refs/c", None)];
        let snapshot = snapshot(&packed, &loose);
        let all: Vec<_> = snapshot.iter().map(|seen| (seen.name.to_string(), seen.id)).collect();
        let expected = [("refs/0", "3"), ("refs/a", "1"), ("refs/b", "3"), ("refs/e", "1")];
        assert_eq!(all, expected.map(|(name, digit)| (name.to_owned(), Some(id(digit)))));
        for (name, id) in all {
            assert_eq!(snapshot.resolve(name.as_bytes().as_bstr()), id);
        }
        assert!(snapshot.find("refs/c".into()).is_none() && snapshot.find("other".into()).is_none());
    }

    /// Whatever the order of the questions, the answers are those of [`Snapshot::resolve`].
    #[test]
    fn names_are_found_near_the_last_one_or_anywhere() {
        let snapshot = snapshot(&["refs/a", "refs/c", "refs/d"], &[("refs/b", Some(symbolic("refs/d")))]);
        let mut near = 0;
        for name in ["refs/a", "refs/b", "refs/c", "refs/d", "refs/z", "refs/b", "refs/0", "refs/a", "refs/d"]
        {
            assert_eq!(
                snapshot.resolve_near(name.into(), &mut near),
                snapshot.resolve(name.into()),
                "{name}"
            );
            let is_there = snapshot.find(name.into()).is_some();
            assert_eq!(snapshot.has_near(name.into(), &mut 0), is_there, "{name}");
        }
    }

    #[test]
    fn symbolic_refs_are_followed_to_their_end_and_no_further_than_git_does() {
        let loose = [
            ("refs/a", Some(symbolic("refs/b"))),
            ("refs/dangling", Some(symbolic("refs/none"))),
            ("refs/loop", Some(symbolic("refs/loop"))),
        ];
        let snapshot = snapshot(&["refs/b"], &loose);
        assert_eq!(snapshot.resolve("refs/a".into()), Some(id("1")));
        for name in ["refs/dangling", "refs/loop", "refs/none"] {
            assert_eq!(snapshot.resolve(name.into()), None, "{name}");
        }
        assert_eq!(snapshot.symbolic_names(), ["refs/a", "refs/dangling", "refs/loop"]);
        assert!(snapshot.has_symbolic() && snapshot.is_symbolic("refs/a".into()));
        assert!(!snapshot.is_symbolic("refs/b".into()) && !snapshot.is_symbolic("refs/none".into()));
        assert_eq!(snapshot.follow(&"refs/a".into()), ("refs/b".into(), vec!["refs/a".into()]));
        assert_eq!(snapshot.follow(&"refs/loop".into()).1.len(), SYMREF_DEPTH_MAX);
    }
}
