//! Listing refs, and who has which branch checked out.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::files::{Files, Loose, is_per_worktree, is_valid_name, path_bytes, read_loose_at};
use super::packed::{Entry, Packed};
use super::store::Store;
use super::{Listed, Reference, Target};
use crate::repo::Error;
use crate::text::strip_prefix;

/// How deep directories below `refs` are entered. Names are shorter than any path the system takes, so only a loop
/// of symbolic links goes deeper.
const DEPTH_MAX: usize = 256;

impl Files {
    /// All refs whose name begins with `prefix`, sorted, but for broken ones.
    pub(super) fn list(&self, prefix: &BStr) -> Result<Vec<Reference>, Error> {
        // loose ones first: a ref that is packed in between is found twice rather than not at all
        let loose = self.loose(prefix)?;
        let packed = self.packed()?;
        let mut refs = Vec::with_capacity(packed.count(prefix) + loose.len());
        merge(&packed, prefix, &loose, self.object_hash, &mut |listed| {
            if let (false, Some(target)) = (listed.is_broken, listed.target()) {
                refs.push(Reference { name: listed.name.to_owned(), target, peeled: listed.peeled });
            }
            Ok::<(), Error>(())
        })?;
        Ok(refs)
    }

    /// Tells all refs whose name begins with `prefix`, sorted.
    pub(super) fn each<E: From<Error>>(
        &self,
        prefix: &BStr,
        tell: &mut dyn FnMut(Listed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let loose = self.loose(prefix)?;
        merge(&self.packed()?, prefix, &loose, self.object_hash, tell)
    }

    /// The loose refs whose name begins with `prefix`, sorted, and what they hold.
    pub(super) fn loose(&self, prefix: &BStr) -> Result<Vec<(BString, Loose)>, Error> {
        let loose = self.loose_names(prefix)?;
        let mut read = Vec::with_capacity(loose.len());
        for name in loose {
            let content = read_loose_at(&self.path(name.as_ref()), self.object_hash)?;
            if !matches!(content, Loose::Missing | Loose::Directory) {
                read.push((name, content));
            }
        }
        Ok(read)
    }

    /// The names of all loose refs that begin with `prefix`, sorted; what they hold has not been looked at.
    pub(super) fn loose_names(&self, prefix: &BStr) -> Result<Vec<BString>, Error> {
        let mut names = Vec::new();
        walk(&self.common_dir, prefix, &mut names)?;
        if self.git_dir != self.common_dir {
            names.retain(|name| !is_per_worktree(name.as_ref()));
            let mut own = Vec::new();
            walk(&self.git_dir, prefix, &mut own)?;
            names.extend(own.into_iter().filter(|name| is_per_worktree(name.as_ref())));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The git directories below `worktrees`, and where their work trees are.
    pub(super) fn linked_work_trees(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut linked = Vec::new();
        for entry in std::fs::read_dir(self.common_dir.join("worktrees")).into_iter().flatten().flatten() {
            let git_dir = entry.path();
            let Ok(link) = std::fs::read(git_dir.join("gitdir")) else { continue };
            let link = git_dir.join(link.trim_end().to_path_lossy());
            let top = link.parent().unwrap_or(&link).to_owned();
            linked.push((git_dir, top));
        }
        linked
    }
}

/// The branches that a work tree keeps from being changed by others: that of `HEAD`, and those a rebase or a bisection
/// will come back to.
pub(super) fn branches_of(files: &Files) -> Result<Vec<BString>, Error> {
    let mut branches = Vec::from_iter(Store::of(files.clone()).head_branch()?);
    for file in ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"] {
        let Ok(content) = std::fs::read(files.git_dir.join(file)) else { continue };
        let name = content.trim();
        let full =
            if name.starts_with(b"refs/heads/") { name.into() } else { [b"refs/heads/", name].concat() };
        // a rebase of no branch says `detached HEAD`, a bisection that began at one an id
        let branch = BString::from(full);
        if is_valid_name(branch.as_ref()) && !branches.contains(&branch) {
            branches.push(branch);
        }
    }
    Ok(branches)
}

/// The branches that a rebase in `git_dir` will move when it is done: git-rebase(1), `--update-refs`. Seen in git 2.47.3: three
/// lines for each, of which the first is the name.
pub(super) fn rebased_branches_of(git_dir: &Path) -> Vec<BString> {
    const LINES_OF_ONE: usize = 3;
    let content = std::fs::read(git_dir.join("rebase-merge/update-refs")).unwrap_or_default();
    let names = content.lines().step_by(LINES_OF_ONE).map(BString::from);
    names.filter(|name| is_valid_name(name.as_ref())).collect()
}

/// Merges packed refs with the loose ones, which count more, and gives `take` each.
fn merge<E: From<Error>>(
    packed: &Packed,
    prefix: &BStr,
    loose: &[(BString, Loose)],
    object_hash: gix_hash::Kind,
    take: &mut dyn FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let shown = loose.iter().filter_map(|(name, content)| listed(name.as_bstr(), content, object_hash));
    let mut loose = shown.peekable();
    for entry in packed.entries_from(prefix) {
        let Entry { name, id, peeled } = entry?;
        if strip_prefix(name, prefix).is_none() {
            break;
        }
        while let Some(found) = loose.next_if(|found| found.name < name) {
            take(found)?;
        }
        if loose.peek().is_none_or(|found| found.name != name) && is_valid_name(name) {
            let is_peeled = packed.fully_peeled || peeled.is_some();
            take(Listed { name, id: Some(id), symbolic: None, peeled, is_broken: false, is_peeled })?;
        }
    }
    loose.try_for_each(take)
}

fn listed<'a>(name: &'a BStr, content: &'a Loose, object_hash: gix_hash::Kind) -> Option<Listed<'a>> {
    let (id, symbolic) = match content {
        Loose::Found(Target::Id(id)) => (Some(*id), None),
        Loose::Found(Target::Symbolic(target)) => (None, Some(target.as_bstr())),
        Loose::Broken => (Some(object_hash.null()), None),
        Loose::Missing | Loose::Directory => return None,
    };
    Some(Listed { name, id, symbolic, peeled: None, is_broken: *content == Loose::Broken, is_peeled: false })
}

impl Listed<'_> {
    fn target(&self) -> Option<Target> {
        let symbolic = self.symbolic.map(|target| Target::Symbolic(target.to_owned()));
        symbolic.or(self.id.map(Target::Id))
    }
}

/// Adds the names of the files below `base/refs` that begin with `prefix`.
pub(super) fn walk(base: &Path, prefix: &BStr, names: &mut Vec<BString>) -> Result<(), Error> {
    let directory =
        prefix.rfind_byte(b'/').map_or(b"refs".as_bstr(), |slash| prefix.split_at(slash).0.as_bstr());
    if directory != "refs" && !directory.starts_with(b"refs/") || !is_valid_name(directory) {
        return Ok(());
    }
    let mut pending = vec![(BString::from(directory), 0)];
    while let Some((directory, depth)) = pending.pop() {
        let path = base.join(directory.to_path_lossy());
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(source) => return Err(Error::Io { action: "unable to open", path, source }),
        };
        for entry in entries.flatten() {
            let mut name = directory.clone();
            name.push(b'/');
            name.extend_from_slice(&path_bytes(Path::new(&entry.file_name())));
            if !is_valid_name(name.as_ref()) || !name.starts_with(prefix) {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                if depth < DEPTH_MAX {
                    pending.push((name, depth + 1));
                }
            } else {
                names.push(name);
            }
        }
    }
    Ok(())
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
