//! The walk over the trees of commits to be sent, for what the receiver lacks of them.

use std::collections::HashSet;
use std::rc::Rc;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::boundary::{Boundary, Place};
use super::count::Count;
use super::filter::Filter;
use super::filtered::{Above, Filtered};
use super::ids::{IdSet, Seed};
use super::packed::{Reading, Tree, Trees};
use super::tree::{self, Entry, EntryKind};
use super::versions::{Directory, Versions};
use super::{Enumerated, Object, fold_name};
use crate::pack::Error;
use crate::pack::source::Source;

/// How objects are read that may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    IsError,
    /// A promisor remote has them.
    IsPassedOver,
}

/// The walk, and what it has found.
pub(super) struct Walk<'a, 'p> {
    source: &'a dyn Source,
    missing: Missing,
    is_thin: bool,
    boundary: Boundary<'a>,
    count: Count<'p>,
    found: Enumerated,
    /// Trees and blobs that were met, but for those of the receiver.
    seen: IdSet,
    /// Trees that were compared with what the receiver has in a directory.
    compared: HashSet<(ObjectId, Place), Seed>,
    base_ids: IdSet,
    filtered: Option<Filtered<'a>>,
    /// What is passed over with all that is below it.
    except: Option<&'a dyn Fn(&oid) -> bool>,
    trees: Trees<'a>,
    versions: Versions,
    /// Buffers for trees to come.
    spare: Vec<Vec<u32>>,
}

/// A tree of which a part was visited.
struct Level {
    id: ObjectId,
    above: Above,
    tree: Rc<Tree>,
    /// Where the entries begin that are to be looked at, the last one first.
    ahead: Vec<u32>,
    /// The name hash of the path and the slash behind it.
    name_hash: u32,
    place: Option<Place>,
}

/// What is known of a tree that is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// It is to be sent, and visited.
    First,
    /// It is visited once more, to compare what is below it with another place.
    Elsewhere,
    /// There is nothing to do.
    Again,
}

/// Where an object stands, as far as its bases depend on it.
#[derive(Clone, Copy)]
enum Standing<'n> {
    /// The wants name it.
    Named,
    Root(Option<Place>),
    Below(Option<Place>, &'n [u8]),
}

impl<'a, 'p> Walk<'a, 'p> {
    /// A walk that adds to `found`, whatever is not in `boundary`.
    pub fn new(source: &'a dyn Source, boundary: Boundary<'a>, count: Count<'p>, found: Enumerated) -> Self {
        Self {
            source,
            missing: Missing::IsError,
            is_thin: false,
            boundary,
            count,
            found,
            seen: IdSet::default(),
            compared: HashSet::default(),
            base_ids: IdSet::default(),
            filtered: None,
            except: None,
            trees: Trees::new(source),
            versions: Versions::default(),
            spare: Vec::new(),
        }
    }

    /// What becomes of missing objects; they are an error if nothing is said.
    pub fn missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Whether bases are looked for; not if nothing is said.
    pub fn thin(self, is_thin: bool) -> Self {
        Self { is_thin, ..self }
    }

    /// What is left out; nothing if nothing is said.
    pub fn filter(self, filter: Option<&'a Filter>) -> Self {
        Self { filtered: filter.map(Filtered::new), ..self }
    }

    /// What is passed over with all that is below it; nothing if nothing is said.
    pub fn except(self, except: &'a dyn Fn(&oid) -> bool) -> Self {
        Self { except: Some(except), ..self }
    }

    /// What was found, as it is.
    pub fn into_parts(self) -> (Enumerated, Count<'p>) {
        (self.found, self.count)
    }

    /// Visits the tree of a commit.
    pub fn commit_tree(&mut self, id: ObjectId) -> Result<(), Error> {
        if self.filtered.as_ref().is_some_and(|filtered| !filtered.filter.enters(0)) {
            return Ok(());
        }
        let place = self.boundary.root();
        self.visit(id, Standing::Root(place), 1)
    }

    /// Visits a tree that belongs to no commit, which is sent whatever the filter says.
    pub fn lone_tree(&mut self, id: ObjectId) -> Result<(), Error> {
        self.visit(id, Standing::Named, 0)
    }

    /// Visits a blob that stands in no tree.
    pub fn lone_blob(&mut self, id: ObjectId) -> Result<(), Error> {
        if self.boundary.has(&id) || self.is_excepted(&id) || !self.seen.insert(id) {
            return Ok(());
        }
        self.send(id, Kind::Blob, 0, Standing::Named)
    }

    /// Takes out what the receiver has under another path, and ends the phase.
    pub fn finish(mut self) -> Result<Enumerated, Error> {
        if self.boundary.root().is_some() && !self.seen.is_empty() {
            self.boundary.look_around(&mut self.count)?;
            for object in &self.found.objects {
                if object.kind == Kind::Tree && self.boundary.has(&object.id) {
                    self.boundary.close(object.id, &mut self.count)?;
                }
            }
            self.found.objects.retain(|object| !self.boundary.has(&object.id));
            self.found.missing.retain(|id| !self.boundary.has(id));
        }
        self.count.end(self.found.objects.len() + self.found.bases.len())?;
        Ok(self.found)
    }

    /// Visits a tree that stands in no other, whose entries are at `depth` for filters.
    fn visit(&mut self, root: ObjectId, standing: Standing<'_>, depth: u64) -> Result<(), Error> {
        if self.boundary.has(&root) || self.is_excepted(&root) {
            return Ok(());
        }
        let place = match standing {
            Standing::Root(place) => place,
            Standing::Named | Standing::Below(..) => None,
        };
        let above = Above { depth, path: Vec::new() };
        let Some(level) = self.open(root, place, 0, standing, above)? else { return Ok(()) };
        let mut levels = vec![level];
        while let Some(mut level) = levels.pop() {
            match self.next_tree(&mut level)? {
                Some(_) if levels.len() >= self.source.tree_depth_max() => {
                    return Err(Error::BadPack("exceeded maximum allowed tree depth".to_owned()));
                }
                Some(below) => levels.extend([level, below]),
                None => self.close(level),
            }
        }
        Ok(())
    }

    /// Visits entries of a tree up to the next tree that is to be visited itself.
    fn next_tree(&mut self, level: &mut Level) -> Result<Option<Level>, Error> {
        let tree = Rc::clone(&level.tree);
        while let Some(at) = level.ahead.pop() {
            let mut rest = tree.content.get(at as usize..).unwrap_or_default();
            let Some(entry) = tree::next_entry(&mut rest, level.id.as_slice().len()) else {
                return Err(bad_tree(&level.id));
            };
            match entry.kind {
                EntryKind::Submodule => {}
                EntryKind::Blob => self.blob(level, &entry)?,
                EntryKind::Tree => {
                    if let Some(below) = self.tree(level, &entry)? {
                        return Ok(Some(below));
                    }
                }
            }
        }
        Ok(None)
    }

    fn blob(&mut self, level: &Level, entry: &Entry<'_>) -> Result<(), Error> {
        let id = oid::from_bytes_unchecked(entry.id);
        if self.seen.contains(id) || self.boundary.has(id) || self.is_excepted(id) {
            return Ok(());
        }
        let id = id.to_owned();
        if let Some(filtered) = &mut self.filtered
            && !filtered.keeps_blob(self.source, &id, &level.above, entry.name)?
        {
            return Ok(());
        }
        self.seen.insert(id);
        let name_hash = fold_name(level.name_hash, entry.name);
        self.send(id, Kind::Blob, name_hash, Standing::Below(level.place, entry.name))
    }

    fn tree(&mut self, level: &Level, entry: &Entry<'_>) -> Result<Option<Level>, Error> {
        let id = oid::from_bytes_unchecked(entry.id);
        if self.boundary.has(id) {
            if level.place.is_some() {
                self.boundary.keep(id);
            }
            return Ok(None);
        }
        if self.is_excepted(id) {
            return Ok(None);
        }
        let depth = level.above.depth;
        if self.filtered.as_ref().is_some_and(|filtered| !filtered.filter.enters(depth)) {
            return Ok(None);
        }
        let above = Above { depth: depth + 1, path: self.path_below(level, entry.name) };
        let place = level.place.and_then(|place| self.boundary.enter(place, entry.name));
        let name_hash = fold_name(level.name_hash, entry.name);
        self.open(id.to_owned(), place, name_hash, Standing::Below(level.place, entry.name), above)
    }

    /// Reads a tree that is not the receiver's, if there is something to do with it.
    fn open(
        &mut self,
        id: ObjectId,
        place: Option<Place>,
        name_hash: u32,
        standing: Standing<'_>,
        above: Above,
    ) -> Result<Option<Level>, Error> {
        let met = self.meet(id, place, &above);
        if met == Met::Again {
            return Ok(None);
        }
        let Some(tree) = self.read(&id, place)? else {
            if self.missing == Missing::IsError {
                return Err(Error::Missing { kind: "tree", id });
            }
            self.found.missing.extend((met == Met::First).then_some(id));
            return Ok(None);
        };
        let is_kept = self.filtered.as_ref().is_none_or(|filtered| filtered.filter.keeps_trees());
        if met == Met::First && (is_kept || matches!(standing, Standing::Named)) {
            self.push(id, Kind::Tree, name_hash, standing)?;
        }
        if let Some(place) = place {
            self.boundary.open(place);
        }
        let name_hash = match standing {
            Standing::Named | Standing::Root(_) => 0,
            Standing::Below(..) => fold_name(name_hash, b"/"),
        };
        let ahead = self.ahead(&id, &tree, Directory { place, name_hash })?;
        Ok(Some(Level { id, above, tree, ahead, name_hash, place }))
    }

    /// Where the entries of the tree `id` begin that are to be looked at, the last one first.
    fn ahead(&mut self, id: &oid, tree: &Tree, directory: Directory) -> Result<Vec<u32>, Error> {
        let mut ahead = self.spare.pop().unwrap_or_default();
        ahead.clear();
        let minds_standing = self.filtered.as_ref().is_some_and(Filtered::minds_standing);
        if minds_standing || !tree.fresh(directory.place, &mut ahead) {
            let none = Versions::default();
            let versions = if minds_standing { &none } else { &self.versions };
            let id_len = id.as_bytes().len();
            versions.compare(directory, &tree.content, id_len, &mut ahead).ok_or_else(|| bad_tree(id))?;
        }
        ahead.reverse();
        Ok(ahead)
    }

    /// The tree `id`; `None` if it is not here.
    fn read(&mut self, id: &ObjectId, place: Option<Place>) -> Result<Option<Rc<Tree>>, Error> {
        let minds_standing = self.filtered.as_ref().is_some_and(Filtered::minds_standing);
        let reading = if minds_standing { Reading::Whole } else { Reading::New };
        if let Some(tree) = self.trees.read(id, place, reading) {
            return Ok(Some(tree));
        }
        let mut content = Vec::new();
        let is_here = tree::read(self.source, id, &mut content)?;
        Ok(is_here.then(|| Rc::new(Tree::new(content, id.as_slice().len()))))
    }

    /// Everything in the tree was visited, which spares doing so in the next version of it.
    fn close(&mut self, level: Level) {
        let Level { place, name_hash, tree, ahead, .. } = level;
        self.spare.push(ahead);
        self.trees.was_visited(&tree, place);
        if tree.is_whole() {
            self.versions.put(Directory { place, name_hash }, tree);
        }
    }

    fn is_excepted(&self, id: &oid) -> bool {
        self.except.is_some_and(|except| except(id))
    }

    fn path_below(&self, level: &Level, name: &[u8]) -> Vec<u8> {
        let minds_path = self.filtered.as_ref().is_some_and(|filtered| filtered.filter.minds_path());
        if minds_path { [&level.above.path, name, b"/"].concat() } else { Vec::new() }
    }

    fn meet(&mut self, id: ObjectId, place: Option<Place>, above: &Above) -> Met {
        let is_news = self.filtered.as_mut().is_some_and(|filtered| filtered.is_news(id, above));
        if self.seen.insert(id) {
            self.compared.extend(place.map(|place| (id, place)));
            return Met::First;
        }
        match place {
            _ if is_news => Met::Elsewhere,
            Some(place) if self.compared.insert((id, place)) => Met::Elsewhere,
            Some(_) | None => Met::Again,
        }
    }

    /// Adds a blob, unless it is missing and may be: that is noted. Where it may not, who reads it finds out.
    fn send(
        &mut self,
        id: ObjectId,
        kind: Kind,
        name_hash: u32,
        standing: Standing<'_>,
    ) -> Result<(), Error> {
        if self.missing == Missing::IsPassedOver && !self.source.contains(&id) {
            self.found.missing.push(id);
            return Ok(());
        }
        self.push(id, kind, name_hash, standing)
    }

    fn push(
        &mut self,
        id: ObjectId,
        kind: Kind,
        name_hash: u32,
        standing: Standing<'_>,
    ) -> Result<(), Error> {
        self.found.objects.push(Object { id, kind, name_hash });
        if self.is_thin {
            self.add_bases(name_hash, standing);
        }
        self.count.add(1)
    }

    fn add_bases(&mut self, name_hash: u32, standing: Standing<'_>) {
        let (bases, base_ids) = (&mut self.found.bases, &mut self.base_ids);
        let mut add = |id: ObjectId, kind| {
            if base_ids.insert(id) {
                bases.push(Object { id, kind, name_hash });
            }
        };
        match standing {
            Standing::Root(Some(_)) => self.boundary.root_bases().iter().for_each(|id| add(*id, Kind::Tree)),
            Standing::Below(Some(place), name) => {
                for (id, kind) in self.boundary.take_bases(place, name) {
                    add(*id, if *kind == EntryKind::Tree { Kind::Tree } else { Kind::Blob });
                }
            }
            Standing::Named | Standing::Root(None) | Standing::Below(None, _) => {}
        }
    }
}

fn bad_tree(id: &oid) -> Error {
    Error::BadPack(format!("bad tree object {id}"))
}
