//! Renaming refs together with their reflogs, as `git remote rename` does.
//!
//! All refs get their new names in one transaction; their reflogs are copied before it. C git renames one ref after the
//! other and writes `packed-refs` anew for each, as is done here only where names are in each other's way.

use std::collections::HashSet;
use std::path::PathBuf;

use bstr::{BStr, BString, ByteSlice};

use super::conflict::parents;
use super::directory::{make_directories, remove_empty_directories, remove_empty_parents};
use super::files::Files;
use super::lock::reason;
use super::reflog::{self, Line};
use super::store::Store;
use super::tables::{self, Renaming, Tables};
use super::{Edit, Expected, Target};
use crate::progress::{Event, Progress};
use crate::repo::{Error, Repository};

/// The title of the meter.
const TITLE: &str = "Renaming remote references";

/// A ref that gets another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The name it has.
    pub old: BString,
    /// The name it gets.
    pub new: BString,
    /// What it will hold: the id it holds, or for a symbolic ref what it is to name.
    pub target: Target,
    /// What its reflog says of it.
    pub message: BString,
}

impl Repository {
    /// Renames all of `renames`, with their reflogs; refs that have the new names are replaced. A new symbolic ref begins a
    /// new reflog, as in git.
    ///
    /// # Errors
    ///
    /// In git's words if a new name cannot be; nothing has changed then. Only where names are in each other's way, so that
    /// they have to go one by one, those that went before stay renamed.
    pub fn rename_refs(&self, renames: &[Rename], progress: &mut dyn Progress) -> Result<(), Error> {
        self.check_quarantine()?;
        if let Store::Tables(tables) = self.ref_store() {
            return self.rename_in(&tables, renames, progress);
        }
        if !are_in_each_others_way(renames) {
            return self.rename_together(renames, progress);
        }
        let symbolic = |rename: &&Rename| matches!(rename.target, Target::Symbolic(_));
        let links: Vec<&Rename> = renames.iter().filter(symbolic).collect();
        self.update_refs(&links.iter().map(|rename| removal(rename)).collect::<Vec<_>>())?;
        for rename in renames.iter().filter(|rename| !symbolic(rename)) {
            self.rename_alone(rename)?;
        }
        self.update_refs(&links.iter().map(|rename| creation(rename)).collect::<Vec<_>>())
    }

    fn rename_together(&self, renames: &[Rename], progress: &mut dyn Progress) -> Result<(), Error> {
        let files = self.ref_files();
        let mut logs = CopiedLogs { files: &files, changed: Vec::new() };
        let total = report_steps(renames, progress, &mut |rename| logs.copy(rename))?;
        self.update_refs(&edits_of(renames))?;
        logs.changed.clear();
        for rename in renames {
            self.log_rename(&files, rename)?;
        }
        report_end(total, progress);
        Ok(())
    }

    fn rename_in(
        &self,
        tables: &Tables,
        renames: &[Rename],
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let (settings, how) = (self.ref_settings()?, tables::settings(&self.config)?);
        let mut renaming = Renaming::begin(tables, (&settings, &how), &edits_of(renames))?;
        let total = report_steps(renames, progress, &mut |rename| renaming.copy_log(rename))?;
        renaming.commit()?;
        report_end(total, progress);
        Ok(())
    }

    /// Removes the old ref first; it comes back if the new one cannot be made.
    fn rename_alone(&self, rename: &Rename) -> Result<(), Error> {
        let files = self.ref_files();
        let log = std::fs::read(files.log_path(rename.old.as_ref())).ok();
        self.update_refs(&[removal(rename)])?;
        let made = self.update_refs(&[creation(rename)]);
        let name = if made.is_ok() { &rename.new } else { &rename.old };
        if made.is_err() {
            self.update_refs(&[Edit { name: name.clone(), ..creation(rename) }])?;
        }
        if let Some(log) = log {
            write_log(&files, name.as_ref(), &log)?;
        }
        made?;
        self.log_rename(&files, rename)
    }

    fn log_rename(&self, files: &Files, rename: &Rename) -> Result<(), Error> {
        let Target::Id(id) = rename.target else { return Ok(()) };
        let committer = self.committer()?;
        let line = Line { old: id, new: id, committer: committer.as_ref(), message: rename.message.as_ref() };
        reflog::append(files, self.log_all()?, rename.new.as_ref(), &line)
    }
}

/// All that is to be done to the refs themselves.
fn edits_of(renames: &[Rename]) -> Vec<Edit> {
    renames.iter().map(creation).chain(renames.iter().map(removal)).collect()
}

/// Does `step` for each and reports it; how many steps there are.
fn report_steps(
    renames: &[Rename],
    progress: &mut dyn Progress,
    step: &mut dyn FnMut(&Rename) -> Result<(), Error>,
) -> Result<u64, Error> {
    // git takes symbolic refs away and makes them anew, which are two steps
    let links = renames.iter().filter(|rename| matches!(rename.target, Target::Symbolic(_)));
    let steps: Vec<&Rename> = renames.iter().chain(links).collect();
    let total = steps.len() as u64;
    for (done, rename) in (1..).zip(steps) {
        step(rename)?;
        if progress.report(Event::Phase { title: TITLE, done, total: Some(total), bytes: 0 }).is_break() {
            return Err(Error::Interrupted);
        }
    }
    Ok(total)
}

fn report_end(total: u64, progress: &mut dyn Progress) {
    let end = Event::PhaseEnd { title: TITLE, done: total, total: Some(total), bytes: 0 };
    // all is done already
    let _too_late_to_stop = progress.report(end);
}

/// Whether a new name lies below an old one, or an old one below a new one.
fn are_in_each_others_way(renames: &[Rename]) -> bool {
    let names = |name: fn(&Rename) -> &BString| renames.iter().map(name).map(|name| name.as_bstr()).collect();
    let (old, new): (HashSet<&BStr>, HashSet<&BStr>) =
        (names(|rename| &rename.old), names(|rename| &rename.new));
    let lies_in = |name: &&BStr, others: &HashSet<&BStr>| parents(name).any(|parent| others.contains(parent));
    new.iter().any(|name| lies_in(name, &old)) || old.iter().any(|name| lies_in(name, &new))
}

/// Reflogs under their new names; removed again unless the refs follow, and what was there put back.
struct CopiedLogs<'a> {
    files: &'a Files,
    /// Names, and the logs that they had.
    changed: Vec<(BString, Option<Vec<u8>>)>,
}

impl CopiedLogs<'_> {
    fn copy(&mut self, rename: &Rename) -> Result<(), Error> {
        if matches!(rename.target, Target::Symbolic(_)) {
            return Ok(());
        }
        let log = std::fs::read(self.files.log_path(rename.old.as_ref())).ok();
        let replaced = std::fs::read(self.files.log_path(rename.new.as_ref())).ok();
        if log.is_none() && replaced.is_none() {
            return Ok(());
        }
        self.changed.push((rename.new.clone(), replaced));
        // what has no log begins one
        write_log(self.files, rename.new.as_ref(), &log.unwrap_or_default())
    }
}

impl Drop for CopiedLogs<'_> {
    fn drop(&mut self) {
        for (name, replaced) in &self.changed {
            if let Some(log) = replaced {
                let _as_well_as_can_be = write_log(self.files, name.as_ref(), log);
                continue;
            }
            let _gone_or_not = std::fs::remove_file(self.files.log_path(name.as_ref()));
            remove_empty_parents(&self.files.base(name.as_ref()).join("logs"), name.as_ref());
        }
    }
}

fn write_log(files: &Files, name: &BStr, log: &[u8]) -> Result<(), Error> {
    let path: PathBuf = files.log_path(name);
    remove_empty_directories(&path);
    let written = make_directories(path.parent().unwrap_or(&path), files.storage)
        .and_then(|()| files.storage.write(&path, log));
    written.map_err(|error| {
        Error::Reference(format!("unable to move logfile to '{}': {}", path.display(), reason(&error)))
    })
}

/// The ref by its new name. Its reflog is written apart, since git has the id on both sides of the line.
fn creation(rename: &Rename) -> Edit {
    Edit {
        name: rename.new.clone(),
        new: Some(rename.target.clone()),
        expected: Expected::Any,
        message: match rename.target {
            Target::Symbolic(_) => Some(rename.message.clone()),
            Target::Id(_) => None,
        },
        through: Vec::new(),
    }
}

fn removal(rename: &Rename) -> Edit {
    let expected = match rename.target {
        Target::Id(id) => Expected::Id(id),
        Target::Symbolic(_) => Expected::Any,
    };
    Edit { name: rename.old.clone(), new: None, expected, message: None, through: Vec::new() }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use gix_hash::ObjectId;

    use super::*;

    fn id(letter: u8) -> ObjectId {
        ObjectId::from_bytes_or_panic(&[letter; 20])
    }

    fn rename(old: &str, new: &str) -> Rename {
        Rename { old: old.into(), new: new.into(), target: Target::Id(id(1)), message: "renamed".into() }
    }

    #[test]
    fn names_below_each_other_are_found() {
        let is_found = |rows: &[(&str, &str)]| {
            let renames: Vec<Rename> = rows.iter().map(|(old, new)| rename(old, new)).collect();
            are_in_each_others_way(&renames)
        };
        assert!(is_found(&[("refs/a/x", "refs/a/x/y")]));
        assert!(is_found(&[("refs/a/x/y", "refs/a/x")]));
        assert!(is_found(&[("refs/a/z", "refs/a/x/z"), ("refs/a/x", "refs/b/x")]));
        assert!(!is_found(&[("refs/a/x", "refs/a/xy"), ("refs/a/y", "refs/b/x/y")]));
    }

    #[test]
    fn a_log_that_nothing_follows_is_removed_again() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files {
            git_dir: directory.path().into(),
            common_dir: directory.path().into(),
            object_hash: gix_hash::Kind::Sha1,
            storage: crate::storage::Storage::default(),
        };
        let old = directory.path().join("logs/refs/remotes/a/main");
        std::fs::create_dir_all(old.parent().unwrap()).unwrap();
        std::fs::write(&old, "line\n").unwrap();
        let rename = rename("refs/remotes/a/main", "refs/remotes/b/main");
        let new = directory.path().join("logs/refs/remotes/b/main");
        let mut logs = CopiedLogs { files: &files, changed: Vec::new() };
        logs.copy(&rename).unwrap();
        assert_eq!(std::fs::read(&new).unwrap(), b"line\n");
        drop(logs);
        assert!(old.is_file() && !new.parent().unwrap().exists());
    }
}
