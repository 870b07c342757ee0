//! What is to be done with each path, and what of the user's would be lost by it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::{Blocked, Row, rows};
use crate::repo::Error;
use crate::repo::checkout::ignore::Excludes;
use crate::repo::checkout::index::{Entry, Mode, Stat};
use crate::repo::checkout::looker::Looker;

/// What is done, by path.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) kept: Vec<Entry>,
    pub(super) removed: Vec<BString>,
    /// Ignored files that are in the way.
    pub(super) replaced: Vec<BString>,
    pub(super) written: Vec<Entry>,
    pub(super) blocked: Blocked,
}

/// What is in the way of a file.
enum Obstacle {
    File(BString),
    /// A file that nobody will miss.
    Ignored(BString),
    Directory(Inside),
}

/// What a directory holds besides what git knows.
enum Inside {
    /// Files that somebody will miss.
    Missed,
    /// Files that nobody will miss, or none.
    Ignored(Vec<BString>),
}

/// What was found out about a path.
enum Finding {
    /// The user changed it.
    Changed,
    /// The user put a directory in the place of a file that goes, with what git does not know in it.
    Covered,
    /// This is where it is to be made.
    Made(Obstacle),
    /// The old commit has it, and neither the index nor the new one, and this is there.
    Forgotten(Obstacle),
}

/// The paths that may meet what git does not know.
#[derive(Default)]
struct Unknown<'a> {
    /// Those that are to be made where there was nothing.
    made: Vec<&'a BStr>,
    /// Those that the old commit has and neither the index nor the new one.
    forgotten: Vec<&'a BStr>,
    /// Files that were changed, and that are to go.
    going: Vec<&'a BStr>,
}

impl Looker<'_> {
    /// What takes index and work tree from `old` to `new`, where what `excludes` names may be replaced.
    pub(super) fn plan(
        &mut self,
        old: &[Entry],
        new: &[Entry],
        index: &[Entry],
        excludes: Option<Excludes<'_>>,
    ) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let mut unknown = Unknown::default();
        for (path, row) in &rows(old, new, index) {
            self.settle(path, row, &mut plan, &mut unknown)?;
        }
        // What was changed is told of already.
        let known = plan.removed.iter().chain(&plan.blocked.changed);
        let removed: HashSet<&BStr> = known.map(|path| path.as_bstr()).collect();
        let mut way = Way { top: self.top, removed: &removed, kept: HashSet::new(), excludes };
        let mut findings: BTreeMap<BString, Finding> = BTreeMap::new();
        findings.extend(plan.blocked.changed.iter().map(|path| (path.clone(), Finding::Changed)));
        let covered = unknown.going.iter().filter(|path| way.is_covered(path));
        findings.extend(covered.map(|path| (BString::from(*path), Finding::Covered)));
        findings.extend(way.obstacles(&unknown.made, Finding::Made));
        if !unknown.forgotten.is_empty() {
            way.kept = plan.kept.iter().map(|entry| entry.path.as_bstr()).collect();
        }
        findings.extend(way.obstacles(&unknown.forgotten, Finding::Forgotten));
        (plan.blocked, plan.replaced) = told(&findings);
        Ok(plan)
    }

    /// Decides about one path; what may meet something that git does not know goes to `unknown` too.
    fn settle<'b>(
        &mut self,
        path: &'b BStr,
        row: &Row<'b>,
        plan: &mut Plan,
        unknown: &mut Unknown<'b>,
    ) -> Result<(), Error> {
        if row.index.is_none() && row.new.is_none() {
            unknown.forgotten.push(path);
            return Ok(());
        }
        if row.stays() {
            if let Some(entry) = row.index {
                plan.kept.push(self.refreshed(entry)?);
            }
            return Ok(());
        }
        let id = |entry: &Entry| (entry.mode, entry.id);
        match (row.index, row.new) {
            (Some(entry), _) if row.index.map(id) == row.old.map(id) && self.is_clean(entry)? => {
                plan.removed.push(path.to_owned());
            }
            (None, Some(_)) if row.old.is_none() => unknown.made.push(path),
            (Some(_) | None, _) => {
                plan.blocked.changed.push(path.to_owned());
                if row.new.is_none() && row.index.map(id) == row.old.map(id) {
                    unknown.going.push(path);
                }
                return Ok(());
            }
        }
        plan.written.extend(row.new.map(|entry| Entry {
            path: entry.path.clone(),
            stat: Stat::default(),
            ..*entry
        }));
        Ok(())
    }

    /// An entry that stays, with what is known of its file brought up to date where that is as the index has it. One that may
    /// have changed in the second in which the index was written, or later, is one that git has to look at again, since
    /// seconds are all it compares.
    fn refreshed(&mut self, entry: &Entry) -> Result<Entry, Error> {
        let is_older = self.written_at.is_some_and(|(second, _)| entry.stat.mtime.0 < second);
        let known = if is_older { entry.stat } else { Stat::default() };
        let stat = match fs::symlink_metadata(self.full(entry.path.as_bstr())) {
            Ok(metadata) if entry.mode != Mode::Gitlink && Stat::new(&metadata) != known => {
                if self.is_clean(entry)? { Stat::new(&metadata) } else { known }
            }
            Ok(_) | Err(_) => known,
        };
        Ok(Entry { path: entry.path.clone(), stat, ..*entry })
    }
}

/// What of `findings` is told, and which files are replaced. Seen in git 2.47.3: where something is told of a path, nothing below
/// it is looked at, and of a directory that a file replaces the first change is enough.
fn told(findings: &BTreeMap<BString, Finding>) -> (Blocked, Vec<BString>) {
    let (mut blocked, mut replaced) = (Blocked::default(), Vec::new());
    let mut ends: HashSet<&BStr> = HashSet::new();
    for (path, finding) in findings {
        if above(path.as_bstr()).any(|above| ends.contains(above)) {
            continue;
        }
        match finding {
            Finding::Changed => blocked.changed.push(path.clone()),
            Finding::Covered | Finding::Forgotten(Obstacle::Directory(Inside::Missed)) => {
                blocked.directories.push(path.clone());
            }
            Finding::Made(Obstacle::File(file)) => blocked.untracked.push(file.clone()),
            Finding::Made(Obstacle::Directory(inside)) => match (first_change(findings, path), inside) {
                (Some(change), _) => blocked.changed.push(change),
                (None, Inside::Missed) => blocked.directories.push(path.clone()),
                (None, Inside::Ignored(files)) => {
                    replaced.extend_from_slice(files);
                    continue;
                }
            },
            Finding::Forgotten(Obstacle::File(file)) => blocked.forgotten.push(file.clone()),
            Finding::Made(Obstacle::Ignored(file)) => {
                replaced.push(file.clone());
                continue;
            }
            Finding::Forgotten(Obstacle::Ignored(_) | Obstacle::Directory(Inside::Ignored(_))) => continue,
        }
        ends.insert(path.as_bstr());
    }
    let Blocked { untracked, forgotten, .. } = &mut blocked;
    // told of already
    forgotten.retain(|path| !untracked.contains(path));
    (blocked, replaced)
}

/// The first change that was found below `directory`.
fn first_change(findings: &BTreeMap<BString, Finding>, directory: &BString) -> Option<BString> {
    let start = BString::from([directory.as_bytes(), b"/"].concat());
    let below = findings.range::<BString, _>(&start..).take_while(|(path, _)| path.starts_with(&start));
    let mut changes = below.filter(|(_, finding)| matches!(finding, Finding::Changed | Finding::Covered));
    changes.next().map(|(path, _)| path.clone())
}

/// The directories that `path` is in, the outermost first.
fn above(path: &BStr) -> impl Iterator<Item = &BStr> {
    path.find_iter(b"/").filter_map(|end| path.get(..end)).map(ByteSlice::as_bstr)
}

/// Looks for what is in the way.
struct Way<'a> {
    top: &'a Path,
    /// Files that are not there any more.
    removed: &'a HashSet<&'a BStr>,
    /// Files that git knows and that stay.
    kept: HashSet<&'a BStr>,
    excludes: Option<Excludes<'a>>,
}

impl Way<'_> {
    /// The obstacles of those of `paths` that have any, as `finding`s.
    fn obstacles(
        &mut self,
        paths: &[&BStr],
        finding: impl Fn(Obstacle) -> Finding,
    ) -> Vec<(BString, Finding)> {
        let found =
            paths.iter().filter_map(|path| Some((BString::from(*path), finding(self.obstacle(path)?))));
        found.collect()
    }

    /// What of the user's is at `path`, or above it, once the files `removed` are gone.
    fn obstacle(&mut self, path: &BStr) -> Option<Obstacle> {
        for above in above(path) {
            match fs::symlink_metadata(self.full(above)) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) if self.removed.contains(above) => return None,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Ok(_) | Err(_) => return Some(self.file(above)),
            }
        }
        match fs::symlink_metadata(self.full(path)) {
            Ok(metadata) if metadata.is_dir() => Some(Obstacle::Directory(self.directory(path))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Ok(_) | Err(_) => Some(self.file(path)),
        }
    }

    fn file(&mut self, path: &BStr) -> Obstacle {
        let path = path.to_owned();
        if self.is_ignored(path.as_bstr()) { Obstacle::Ignored(path) } else { Obstacle::File(path) }
    }

    /// Whether a directory is at `path` whose files somebody will miss.
    fn is_covered(&mut self, path: &BStr) -> bool {
        let is_directory = fs::symlink_metadata(self.full(path)).is_ok_and(|metadata| metadata.is_dir());
        is_directory && matches!(self.directory(path), Inside::Missed)
    }

    /// What the directory `path` holds besides the files `removed` and `kept`.
    fn directory(&mut self, path: &BStr) -> Inside {
        let mut ignored = Vec::new();
        let mut ahead = vec![path.to_owned()];
        while let Some(directory) = ahead.pop() {
            let Ok(entries) = fs::read_dir(self.full(directory.as_bstr())) else { return Inside::Missed };
            for entry in entries {
                let Ok(entry) = entry else { return Inside::Missed };
                let name = entry.file_name().into_encoded_bytes();
                let inner = BString::from([directory.as_bytes(), b"/", &name].concat());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => ahead.push(inner),
                    Ok(_)
                        if self.removed.contains(inner.as_bstr()) || self.kept.contains(inner.as_bstr()) => {}
                    Ok(_) if self.is_ignored(inner.as_bstr()) => ignored.push(inner),
                    Ok(_) | Err(_) => return Inside::Missed,
                }
            }
        }
        Inside::Ignored(ignored)
    }

    fn full(&self, path: &BStr) -> PathBuf {
        self.top.join(path.to_path_lossy())
    }

    /// Whether nobody misses the file `path`.
    fn is_ignored(&mut self, path: &BStr) -> bool {
        self.excludes.as_mut().is_some_and(|excludes| excludes.is_ignored(path, false))
    }
}
