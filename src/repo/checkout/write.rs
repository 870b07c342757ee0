//! Writing files into a work tree.
//!
//! A file costs four system calls: open, write, fstat, close. Nothing is looked at before it is made: a directory is
//! made when its first file comes and a file only where there is none, so nothing is ever written through a symbolic
//! link. What is in the way is removed first, and noted. Where a program filters a file the way is made before it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bstr::{BString, ByteSlice};

use super::blob::Blobs;
use super::collision::{Taken, collided};
use super::driver::complain;
use super::filter::{Converted, Filters};
use super::index::{Entry, Mode, Stat};
use super::work_tree::{Content, DeviceInode, WorkTree};
use super::{Outcome, Place, parallel, stop_on, unreadable};
use crate::progress::{Event, Progress};
use crate::repo::object::Objects;
use crate::repo::{Error, system_text};

const UPDATING_FILES: &str = "Updating files";
const FILTERING_CONTENT: &str = "Filtering content";
pub(super) const UNABLE_TO_CREATE: &str = "unable to create file";

/// How files are written.
pub struct How {
    /// What is done to the content; nothing if `None`.
    pub filters: Option<Filters>,
    /// Whether the file system has symbolic links.
    pub symlinks: bool,
    /// Whether names that differ in case alone are the same.
    pub ignore_case: bool,
    /// How many threads write files that nothing converts.
    pub threads: usize,
}

/// Writes the files of `entries` and notes in each what the system says about its file.
pub fn write(
    place: &Place<'_>,
    objects: &Objects,
    how: How,
    entries: &mut [Entry],
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let blobs = Blobs::open(place)?;
    let writer = Writer {
        objects,
        blobs: &blobs,
        threads: how.threads,
        tree: WorkTree {
            path: place.work_tree.to_owned(),
            current: BString::default(),
            symlinks: how.symlinks,
        },
        filters: how.filters,
        ignore_case: how.ignore_case,
        delayed: BTreeMap::new(),
        processes: BTreeSet::new(),
        outcome: Outcome::default(),
        buffer: Vec::new(),
        done: 0,
        total: entries.iter().filter(|entry| !entry.is_skipped).count() as u64,
        progress,
    };
    writer.run(entries)
}

/// The state of a checkout.
struct Writer<'a> {
    objects: &'a Objects,
    blobs: &'a Blobs,
    threads: usize,
    tree: WorkTree,
    filters: Option<Filters>,
    ignore_case: bool,
    /// The places of the entries that filter processes hold back.
    delayed: BTreeMap<BString, usize>,
    /// The command lines of these processes.
    processes: BTreeSet<BString>,
    outcome: Outcome,
    buffer: Vec<u8>,
    done: u64,
    total: u64,
    progress: &'a mut dyn Progress,
}

impl Writer<'_> {
    fn run(mut self, entries: &mut [Entry]) -> Result<Outcome, Error> {
        self.tick(0)?;
        let in_threads = self.filters.is_none() && self.threads > 1;
        if in_threads {
            self.files_in_threads(entries)?;
        }
        for (at, entry) in entries.iter_mut().enumerate().filter(|(_, entry)| !entry.is_skipped) {
            match entry.mode {
                Mode::File | Mode::Executable if in_threads => {}
                Mode::File | Mode::Executable => self.file(at, entry)?,
                Mode::Gitlink => {
                    let made = self.tree.submodule(entry.path.as_bstr());
                    self.outcome.note(entry, made, "cannot create submodule directory");
                    self.tick(1)?;
                }
                Mode::Symlink => self.symlink(entry)?,
            }
        }
        let (title, done, total) = (UPDATING_FILES, self.done, Some(self.total));
        stop_on(self.progress.report(Event::PhaseEnd { title, done, total, bytes: 0 }))?;
        self.fetch_delayed(entries)?;
        if let Some(filters) = self.filters.take() {
            filters.finish(self.progress)?;
        }
        self.outcome.collisions = collided(entries, &self.outcome.taken, self.ignore_case);
        Ok(self.outcome)
    }

    /// Writes all files, which nothing converts, in threads.
    fn files_in_threads(&mut self, entries: &mut [Entry]) -> Result<(), Error> {
        let (blobs, tree, threads) = (self.blobs, self.tree.clone(), self.threads);
        let outcome = parallel::write_files(blobs, &tree, entries, threads, &mut |files| self.tick(files))?;
        self.outcome = outcome;
        Ok(())
    }

    /// Writes one file, or leaves it for later if its filter process wants time.
    fn file(&mut self, at: usize, entry: &mut Entry) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.file_with(at, entry, &mut buffer);
        self.buffer = buffer;
        outcome?;
        self.tick(1)
    }

    fn file_with(&mut self, at: usize, entry: &mut Entry, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let wanted = match &mut self.filters {
            Some(filters) => Some(filters.wanted(self.objects, entry)?),
            None => None,
        };
        let converts =
            self.filters.as_mut().zip(wanted).filter(|(filters, wanted)| !filters.keeps_all(wanted));
        let Some((filters, wanted)) = converts else {
            let content = if self.blobs.is_large(&entry.id) {
                self.blobs.stream(&entry.id)
            } else {
                self.blobs.read(&entry.id, buffer)
            };
            match content {
                Some(content) => {
                    let made = self.tree.file_over(entry.path.as_bstr(), entry.mode, content);
                    self.outcome.note(entry, made, UNABLE_TO_CREATE);
                }
                None => self.outcome.unreadable(entry),
            }
            return Ok(());
        };
        let has_driver = filters.has_driver(&wanted);
        if has_driver && !self.outcome.make_way(&mut self.tree, entry) {
            return Ok(());
        }
        let Some(data) = self.blobs.find(&entry.id, buffer) else {
            self.outcome.unreadable(entry);
            return Ok(());
        };
        let converted = filters.convert(&wanted, entry, data, self.progress)?;
        let content = match &converted {
            Converted::Same => data,
            Converted::Content(content) => content,
            Converted::Delayed(command) => {
                self.delayed.insert(entry.path.clone(), at);
                self.processes.insert(command.clone());
                return Ok(());
            }
        };
        self.outcome.write(&mut self.tree, entry, content, has_driver);
        Ok(())
    }

    fn symlink(&mut self, entry: &mut Entry) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.blobs.find(&entry.id, &mut buffer) {
            Some(target) => {
                let made = self.tree.symlink(entry.path.as_bstr(), target);
                self.outcome.note(entry, made, "unable to create symlink");
            }
            None => self.outcome.unreadable(entry),
        }
        self.buffer = buffer;
        self.tick(1)
    }

    /// Writes what the filter processes held back, as it becomes ready: each process is asked in turn until it has no more.
    fn fetch_delayed(&mut self, entries: &mut [Entry]) -> Result<(), Error> {
        let Some(mut filters) = self.filters.take() else { return Ok(()) };
        let mut filtering = Filtering { done: 0, total: self.delayed.len() as u64, bytes: 0 };
        if filtering.total > 0 {
            stop_on(self.progress.report(filtering.phase()))?;
        }
        while !self.processes.is_empty() {
            for command in self.processes.clone() {
                if !self.fetch_from(&command, &mut filters, entries, &mut filtering)? {
                    self.processes.remove(&command);
                }
            }
        }
        for path in std::mem::take(&mut self.delayed).into_keys() {
            let reason = format!("'{path}' was not filtered properly");
            self.outcome.errors.push((path, reason));
        }
        self.filters = Some(filters);
        if filtering.total > 0 {
            let Filtering { done, total, bytes } = filtering;
            let (title, total) = (FILTERING_CONTENT, Some(total));
            stop_on(self.progress.report(Event::PhaseEnd { title, done, total, bytes }))?;
        }
        Ok(())
    }

    /// Writes what the process `command` has ready; whether it is to be asked again.
    fn fetch_from(
        &mut self,
        command: &BString,
        filters: &mut Filters,
        entries: &mut [Entry],
        filtering: &mut Filtering,
    ) -> Result<bool, Error> {
        let Some(ready) = filters.ready(command, self.progress)? else {
            self.outcome.is_incomplete = true;
            return Ok(false);
        };
        let mut is_asked_again = !ready.is_empty();
        for path in ready {
            let Some(entry) = self.delayed.remove(&path).and_then(|at| entries.get_mut(at)) else {
                let text = format!(
                    "external filter '{command}' signaled that '{path}' is now available although it has not been \
                     delayed earlier"
                );
                complain(self.progress, &text)?;
                self.outcome.is_incomplete = true;
                is_asked_again = false;
                continue;
            };
            filtering.done += 1;
            stop_on(self.progress.report(filtering.phase()))?;
            if self.outcome.make_way(&mut self.tree, entry) {
                let content = filters.fetch(self.objects, entry, self.progress)?;
                filtering.bytes += content.len() as u64;
                self.outcome.write(&mut self.tree, entry, &content, true);
            }
            // as git, which shows a file before it is there and counts its bytes afterwards
            stop_on(self.progress.report(filtering.phase()))?;
        }
        Ok(is_asked_again)
    }

    fn tick(&mut self, files: u64) -> Result<(), Error> {
        self.done += files;
        let (title, done, total) = (UPDATING_FILES, self.done, Some(self.total));
        stop_on(self.progress.report(Event::Phase { title, done, total, bytes: 0 }))
    }
}

/// How far the files are that were held back.
struct Filtering {
    done: u64,
    total: u64,
    bytes: u64,
}

impl Filtering {
    fn phase(&self) -> Event<'static> {
        let Self { done, total, bytes } = *self;
        Event::Phase { title: FILTERING_CONTENT, done, total: Some(total), bytes }
    }
}

impl Outcome {
    /// Whether all files were written.
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && !self.is_incomplete
    }

    /// Keeps what became of an entry: its stat data, a collision or an error.
    pub(super) fn note(
        &mut self,
        entry: &mut Entry,
        made: io::Result<(Stat, Option<DeviceInode>)>,
        action: &str,
    ) {
        match made {
            Ok((stat, taken)) => {
                entry.stat = stat;
                self.note_taken(entry, taken);
            }
            Err(error) => {
                let text = format!("{action} {}: {}", entry.path, system_text(&error));
                self.errors.push((entry.path.clone(), text));
            }
        }
    }

    pub(super) fn unreadable(&mut self, entry: &Entry) {
        let reason = unreadable(entry.path.as_bstr(), &entry.id).to_string();
        self.errors.push((entry.path.clone(), reason));
    }

    /// Removes what is in the way of an entry, and notes it; whether that could be done.
    fn make_way(&mut self, tree: &mut WorkTree, entry: &mut Entry) -> bool {
        match tree.make_way(entry.path.as_bstr()) {
            Ok(taken) => {
                self.note_taken(entry, taken);
                true
            }
            Err(error) => {
                self.note(entry, Err(error), UNABLE_TO_CREATE);
                false
            }
        }
    }

    /// Writes the file of an entry. Where the way `is_made`, whatever is there came since, and stays.
    fn write(&mut self, tree: &mut WorkTree, entry: &mut Entry, content: &[u8], is_made: bool) {
        let (path, content) = (entry.path.as_bstr(), Content::Bytes(content));
        let made = if is_made {
            tree.file(path, entry.mode, content).map(|stat| (stat, None))
        } else {
            tree.file_over(path, entry.mode, content)
        };
        self.note(entry, made, UNABLE_TO_CREATE);
    }

    fn note_taken(&mut self, entry: &Entry, taken: Option<DeviceInode>) {
        let taken = taken.map(|device_inode| Taken { path: entry.path.clone(), device_inode });
        self.taken.extend(taken);
    }
}
