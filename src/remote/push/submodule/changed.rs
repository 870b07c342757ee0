//! Which submodules the commits of a superproject change, and to what.

use std::collections::BTreeMap;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::{Kind, TreeRefIter};

use super::walk::{new_commits, unreadable};
use super::{directory, leads_elsewhere};
use crate::remote::Error;
use crate::remote::submodule::declared::{self, Place};
use crate::repo::{Config, Objects, Repository};

/// Directories below each other; git's `core.maxTreeDepth` by default.
const DEPTH_MAX: usize = 2048;

/// The file that names submodules.
const MODULES: &[u8] = b".gitmodules";

/// The submodules that the commits change which `tips` reach and `known` do not: path and new commits. Like C git it takes no
/// notice of what a root commit brings, and in a merge of what it takes from one of its parents. `complain` is told of paths
/// that are passed over.
pub(super) fn changed(
    repo: &Repository,
    tips: &[ObjectId],
    known: Vec<ObjectId>,
    complain: &mut dyn FnMut(String),
) -> Result<BTreeMap<BString, Vec<ObjectId>>, Error> {
    let mut objects = repo.objects()?;
    let commits = new_commits(&mut objects, tips, &known)?;
    bring_trees(&mut objects, &commits)?;
    let mut finder = Finder { repo, objects, names: BTreeMap::new(), current: None };
    let mut found: BTreeMap<BString, Vec<ObjectId>> = BTreeMap::new();
    for id in commits {
        for (path, link) in finder.links_of(&id)? {
            let Some(today) = finder.path_today(&id, path.clone())? else { continue };
            // what `.gitmodules` says need not be meant well: C git complains that it cannot look there, and goes on
            if today != path && leads_elsewhere(today.as_bstr()) {
                complain(format!("warning: ignoring invalid submodule path '{today}'"));
                continue;
            }
            let ids = found.entry(today).or_default();
            if !ids.contains(&link) {
                ids.push(link);
            }
        }
    }
    Ok(found)
}

/// A submodule that commits of a superproject change.
#[derive(Debug, Clone)]
pub(in crate::remote) struct Changed {
    /// Its name in `.gitmodules` of the first such commit, else its path.
    pub(in crate::remote) name: BString,
    /// Its path there.
    pub(in crate::remote) path: BString,
    /// The first such commit.
    pub(in crate::remote) commit: ObjectId,
    /// The commits it is changed to.
    pub(in crate::remote) ids: Vec<ObjectId>,
}

/// As [`changed`], by name and with what is not in the work tree: what a fetch looks for.
pub(in crate::remote) fn changed_by_name(
    repo: &Repository,
    tips: &[ObjectId],
    known: Vec<ObjectId>,
) -> Result<Vec<Changed>, Error> {
    let mut objects = repo.objects()?;
    let commits = new_commits(&mut objects, tips, &known)?;
    bring_trees(&mut objects, &commits)?;
    let mut finder = Finder { repo, objects, names: BTreeMap::new(), current: None };
    let mut found: Vec<Changed> = Vec::new();
    for commit in commits {
        for (path, link) in finder.links_of(&commit)? {
            let is_populated = directory(repo, path.as_bstr()).join(".git").exists();
            let known = finder.name_in(&commit, path.as_bstr())?;
            let Some(name) = known.or_else(|| is_populated.then(|| path.clone())) else { continue };
            match found.iter_mut().find(|change| change.name == name) {
                Some(change) if change.ids.contains(&link) => {}
                Some(change) => change.ids.push(link),
                None => found.push(Changed { name, path, commit, ids: vec![link] }),
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Fetches the directories of `commits` and of their parents that a filter left out, all at once.
fn bring_trees(objects: &mut Objects, commits: &[ObjectId]) -> Result<(), Error> {
    let mut trees = Vec::new();
    for id in commits {
        let Some(commit) = objects.commit(id).map_err(unreadable)? else { continue };
        trees.push(commit.tree);
        for parent in &commit.parents {
            trees.extend(objects.commit(parent).map_err(unreadable)?.map(|parent| parent.tree));
        }
    }
    trees.sort_unstable();
    trees.dedup();
    objects.bring(&trees).map_err(unreadable)
}

/// Looks into the commits of a superproject.
struct Finder<'a> {
    repo: &'a Repository,
    objects: Objects,
    /// What the versions of `.gitmodules` say: names by paths.
    names: BTreeMap<ObjectId, BTreeMap<BString, BString>>,
    /// What `.gitmodules` says now: paths by names.
    current: Option<BTreeMap<BString, BString>>,
}

impl Finder<'_> {
    /// The submodules that the commit `id` changes: path and commit.
    fn links_of(&mut self, id: &ObjectId) -> Result<Vec<(BString, ObjectId)>, Error> {
        let mut found = Vec::new();
        let Some(commit) = self.objects.commit(id).map_err(unreadable)? else { return Ok(found) };
        if commit.parents.is_empty() {
            return Ok(found);
        }
        let mut parents = Vec::new();
        for parent in &commit.parents {
            parents.extend(self.objects.commit(parent).map_err(unreadable)?.map(|parent| parent.tree));
        }
        let mut ahead = vec![Pair { path: BString::default(), depth: 0, new: commit.tree, old: parents }];
        while let Some(pair) = ahead.pop() {
            if pair.depth < DEPTH_MAX && !pair.old.contains(&pair.new) {
                self.compare(&pair, &mut ahead, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Compares one directory with what it was in each parent; directories below it that differ are put `ahead`.
    fn compare(
        &self,
        pair: &Pair,
        ahead: &mut Vec<Pair>,
        found: &mut Vec<(BString, ObjectId)>,
    ) -> Result<(), Error> {
        let new = self.entries(&pair.new)?;
        let mut old = Vec::new();
        for tree in &pair.old {
            old.push(self.entries(tree)?);
        }
        for (name, (entry, id)) in new {
            let before: Vec<_> = old.iter().filter_map(|tree| tree.get(&name).copied()).collect();
            if before.contains(&(entry, id)) {
                continue;
            }
            let path: BString = if pair.path.is_empty() {
                name
            } else {
                [&pair.path, b"/".as_slice(), &name].concat().into()
            };
            match entry {
                Entry::Tree => {
                    let trees = before.into_iter().filter(|(entry, _)| *entry == Entry::Tree);
                    let old = trees.map(|(_, id)| id).collect();
                    ahead.push(Pair { path, depth: pair.depth + 1, new: id, old });
                }
                Entry::Link => found.push((path, id)),
            }
        }
        Ok(())
    }

    /// The directories and submodules of a tree.
    fn entries(&self, tree: &ObjectId) -> Result<BTreeMap<BString, (Entry, ObjectId)>, Error> {
        let content = self.read(tree, Kind::Tree)?;
        let mut entries = BTreeMap::new();
        for entry in TreeRefIter::from_bytes(&content, self.repo.object_hash) {
            let entry = entry.map_err(|_| broken(format!("bad tree object {tree}")))?;
            let kind = match (entry.mode.is_tree(), entry.mode.is_commit()) {
                (true, _) => Entry::Tree,
                (_, true) => Entry::Link,
                (false, false) => continue,
            };
            entries.insert(entry.filename.to_owned(), (kind, entry.oid.to_owned()));
        }
        Ok(entries)
    }

    /// Where the submodule is now that was at `path` in `commit`; `None` if nothing is known of it.
    fn path_today(&mut self, commit: &ObjectId, path: BString) -> Result<Option<BString>, Error> {
        let populated = |path: &BString| directory(self.repo, path.as_bstr()).join(".git").exists();
        let Some(name) = self.name_in(commit, path.as_bstr())? else {
            return Ok(populated(&path).then_some(path));
        };
        if self.current.is_none() {
            self.current = Some(self.modules_now()?);
        }
        let current = self.current.as_ref().and_then(|paths| paths.get(&name));
        Ok(current.cloned().or_else(|| populated(&name).then_some(name)))
    }

    /// The name that `.gitmodules` of `commit` has for `path`.
    fn name_in(&mut self, commit: &ObjectId, path: &BStr) -> Result<Option<BString>, Error> {
        let Some(blob) = self.modules_of(commit)? else { return Ok(None) };
        if !self.names.contains_key(&blob) {
            let content = self.read(&blob, Kind::Blob)?;
            let pairs = modules(self.repo, &content)?.into_iter().map(|(name, path)| (path, name));
            self.names.insert(blob, pairs.collect());
        }
        Ok(self.names.get(&blob).and_then(|names| names.get(path)).cloned())
    }

    /// The blob of `.gitmodules` in `commit`.
    fn modules_of(&mut self, commit: &ObjectId) -> Result<Option<ObjectId>, Error> {
        let Some(commit) = self.objects.commit(commit).map_err(unreadable)? else { return Ok(None) };
        let content = self.read(&commit.tree, Kind::Tree)?;
        let mut entries = TreeRefIter::from_bytes(&content, self.repo.object_hash);
        let found = entries.find_map(|entry| entry.ok().filter(|entry| entry.filename == MODULES));
        Ok(found.filter(|entry| entry.mode.is_blob()).map(|entry| entry.oid.to_owned()))
    }

    /// What the `.gitmodules` says that counts now: paths by names.
    fn modules_now(&self) -> Result<BTreeMap<BString, BString>, Error> {
        if declared::has_conflict(self.repo)? {
            return Ok(BTreeMap::new());
        }
        let content = match declared::place(self.repo)? {
            Some(Place::File(file)) => std::fs::read(file).unwrap_or_default(),
            Some(Place::Blob(blob)) => self.read(&blob, Kind::Blob)?,
            None => Vec::new(),
        };
        modules(self.repo, &content)
    }

    fn read(&self, id: &ObjectId, kind: Kind) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        match self.objects.find(id, &mut content).map_err(unreadable)? {
            Some(found) if found == kind => Ok(content),
            Some(_) | None => Err(broken(format!("unable to read {kind} {id}"))),
        }
    }
}

/// One directory, now and in the parents.
struct Pair {
    path: BString,
    depth: usize,
    new: ObjectId,
    old: Vec<ObjectId>,
}

/// What of a tree is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Tree,
    Link,
}

/// The submodules that `content`, a `.gitmodules`, names: paths by names.
fn modules(repo: &Repository, content: &[u8]) -> Result<BTreeMap<BString, BString>, Error> {
    let config = Config::from_bytes(content, Path::new(".gitmodules"), &repo.env)?;
    let mut paths = BTreeMap::new();
    for (name, key, value) in config.section("submodule") {
        if let (Some(name), "path", Some(path)) = (name, key.as_str(), value) {
            paths.insert(name, path);
        }
    }
    Ok(paths)
}

fn broken(text: String) -> Error {
    crate::repo::Error::Object(text).into()
}
