//! What is to be done with each path, and what of the user's would be lost by it.

use std::collections::HashSet;
use std::fs;
use std::io;

use bstr::{BStr, BString, ByteSlice};

use super::{Blocked, Row, rows};
use crate::repo::Error;
use crate::repo::checkout::index::{Entry, Mode, Stat};
use crate::repo::checkout::looker::Looker;

/// What is done, by path.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) kept: Vec<Entry>,
    pub(super) removed: Vec<BString>,
    pub(super) written: Vec<Entry>,
    pub(super) blocked: Blocked,
}

/// What is in the way of a file.
enum Obstacle {
    File(BString),
    Directory(BString),
}

impl Looker<'_> {
    /// What takes index and work tree from `old` to `new`.
    pub(super) fn plan(&mut self, old: &[Entry], new: &[Entry], index: &[Entry]) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let mut made = Vec::new();
        for (path, row) in &rows(old, new, index) {
            self.settle(path, row, &mut plan, &mut made)?;
        }
        // What was changed is told of already.
        let known = plan.removed.iter().chain(&plan.blocked.changed);
        let removed: HashSet<&BStr> = known.map(|path| path.as_bstr()).collect();
        let obstacles: Vec<Obstacle> = made.iter().filter_map(|path| self.obstacle(path, &removed)).collect();
        for obstacle in obstacles {
            match obstacle {
                Obstacle::File(path) => plan.blocked.untracked.push(path),
                Obstacle::Directory(path) => plan.blocked.directories.push(path),
            }
        }
        Ok(plan)
    }

    /// Decides about one path; those that are to be made where there was nothing go to `made` too.
    fn settle<'b>(
        &mut self,
        path: &'b BStr,
        row: &Row<'b>,
        plan: &mut Plan,
        made: &mut Vec<&'b BStr>,
    ) -> Result<(), Error> {
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
            (None, Some(_)) if row.old.is_none() => made.push(path),
            (Some(_) | None, _) => {
                plan.blocked.changed.push(path.to_owned());
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

    /// What of the user's is where `path` is to be made, once the files `removed` are gone.
    fn obstacle(&self, path: &BStr, removed: &HashSet<&BStr>) -> Option<Obstacle> {
        for end in path.find_iter(b"/") {
            let above = path.get(..end)?.as_bstr();
            match fs::symlink_metadata(self.full(above)) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) if removed.contains(above) => return None,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Ok(_) | Err(_) => return Some(Obstacle::File(above.to_owned())),
            }
        }
        match fs::symlink_metadata(self.full(path)) {
            Ok(metadata) if metadata.is_dir() => {
                (!self.holds_only(path, removed)).then(|| Obstacle::Directory(path.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Ok(_) | Err(_) => Some(Obstacle::File(path.to_owned())),
        }
    }

    /// Whether the directory `path` has no files but those `removed`.
    fn holds_only(&self, path: &BStr, removed: &HashSet<&BStr>) -> bool {
        let mut ahead = vec![path.to_owned()];
        while let Some(directory) = ahead.pop() {
            let Ok(entries) = fs::read_dir(self.full(directory.as_bstr())) else { return false };
            for entry in entries {
                let Ok(entry) = entry else { return false };
                let name = entry.file_name().into_encoded_bytes();
                let inner = BString::from([directory.as_bytes(), b"/", &name].concat());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => ahead.push(inner),
                    Ok(_) if removed.contains(inner.as_bstr()) => {}
                    Ok(_) | Err(_) => return false,
                }
            }
        }
        true
    }
}
