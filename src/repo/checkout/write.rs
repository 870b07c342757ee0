//! Writing files into an empty work tree.
//!
//! A file costs four system calls: open, write, fstat, close. Nothing is looked at before it is made: a directory is
//! made when its first file comes and a file only where there is none, so nothing is ever written through a symbolic
//! link. Symbolic links are made last, when every other path is there.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;

use bstr::{BString, ByteSlice};
use gix_filter::driver::Key;

use super::blob::Blobs;
use super::filter::{Converted, Filters};
use super::index::{Entry, Mode, Stat};
use super::work_tree::{Content, WorkTree};
use super::{Outcome, Place, parallel, unreadable};
use crate::progress::{Event, Progress};
use crate::repo::Error;

const UPDATING_FILES: &str = "Updating files";
const FILTERING_CONTENT: &str = "Filtering content";

/// How files are written.
pub struct How {
    /// What is done to the content; nothing if `None`.
    pub filters: Option<Filters>,
    /// Whether the file system has symbolic links.
    pub symlinks: bool,
    /// How many threads write files that nothing converts.
    pub threads: usize,
}

/// Writes the files of `entries` and notes in each what the system says about its file.
pub fn write(
    place: &Place<'_>,
    objects: &gix_odb::Handle,
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
        delayed: BTreeMap::new(),
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
    objects: &'a gix_odb::Handle,
    blobs: &'a Blobs,
    threads: usize,
    tree: WorkTree,
    filters: Option<Filters>,
    /// By filter process, the places of the entries that it holds back.
    delayed: BTreeMap<Key, BTreeMap<BString, usize>>,
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
                Mode::Symlink => {}
            }
        }
        self.fetch_delayed(entries)?;
        for entry in entries.iter_mut().filter(|entry| entry.mode == Mode::Symlink && !entry.is_skipped) {
            self.symlink(entry)?;
        }
        if let Some(filters) = self.filters.take() {
            filters.finish();
        }
        let (title, done, total) = (UPDATING_FILES, self.done, Some(self.total));
        stop_on(self.progress.report(Event::PhaseEnd { title, done, total, bytes: 0 }))?;
        self.outcome.collisions = collided(&self.tree, entries, &self.outcome.collisions);
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
        let is_done = self.file_with(at, entry, &mut buffer);
        self.buffer = buffer;
        if is_done? { self.tick(1) } else { Ok(()) }
    }

    fn file_with(&mut self, at: usize, entry: &mut Entry, buffer: &mut Vec<u8>) -> Result<bool, Error> {
        let streams = match &mut self.filters {
            Some(filters) => self.blobs.is_large(&entry.id) && filters.keeps_all(self.objects, entry)?,
            None => self.blobs.is_large(&entry.id),
        };
        let content = if streams { self.blobs.stream(&entry.id) } else { self.blobs.read(&entry.id, buffer) };
        let Some(content) = content else {
            self.outcome.unreadable(entry);
            return Ok(true);
        };
        let converted = match (&mut self.filters, &content) {
            (Some(filters), Content::Bytes(data)) => filters.convert(self.objects, entry, data)?,
            _ => Converted::Same,
        };
        let content = match &converted {
            Converted::Same => content,
            Converted::Content(content) => Content::Bytes(content),
            Converted::Delayed(key) => {
                self.delayed.entry(key.clone()).or_default().insert(entry.path.clone(), at);
                return Ok(false);
            }
        };
        let made = self.tree.file(entry.path.as_bstr(), entry.mode, content);
        self.outcome.note(entry, made, "unable to create file");
        Ok(true)
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

    /// Writes what the filter processes held back, as it becomes ready.
    fn fetch_delayed(&mut self, entries: &mut [Entry]) -> Result<(), Error> {
        let Some(mut filters) = self.filters.take() else { return Ok(()) };
        let (title, total) = (FILTERING_CONTENT, self.delayed.values().map(|paths| paths.len() as u64).sum());
        let (mut done, mut bytes) = (0, 0);
        for (key, mut waiting) in std::mem::take(&mut self.delayed) {
            loop {
                let ready = filters.ready(&key)?;
                if ready.is_empty() {
                    break;
                }
                for path in ready {
                    let Some(entry) = waiting.remove(&path).and_then(|at| entries.get_mut(at)) else {
                        return Err(Error::Refused(format!(
                            "external filter named '{path}', which it did not delay"
                        )));
                    };
                    let content = filters.fetch(&key, path.as_bstr())?;
                    (done, bytes) = (done + 1, bytes + content.len() as u64);
                    let made = self.tree.file(path.as_bstr(), entry.mode, Content::Bytes(&content));
                    self.outcome.note(entry, made, "unable to create file");
                    stop_on(self.progress.report(Event::Phase { title, done, total: Some(total), bytes }))?;
                    self.tick(1)?;
                }
            }
            for (path, _) in waiting {
                let reason = format!("'{path}' was not filtered properly");
                self.outcome.errors.push((path, reason));
            }
        }
        self.filters = Some(filters);
        if total > 0 {
            stop_on(self.progress.report(Event::PhaseEnd { title, done, total: Some(total), bytes }))?;
        }
        Ok(())
    }

    fn tick(&mut self, files: u64) -> Result<(), Error> {
        self.done += files;
        let (title, done, total) = (UPDATING_FILES, self.done, Some(self.total));
        stop_on(self.progress.report(Event::Phase { title, done, total, bytes: 0 }))
    }
}

impl Outcome {
    /// Keeps what became of an entry: its stat data, a collision or an error.
    pub(super) fn note(&mut self, entry: &mut Entry, made: io::Result<Stat>, action: &str) {
        match made {
            Ok(stat) => entry.stat = stat,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.collisions.push(entry.path.clone());
            }
            Err(error) => {
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                self.errors.push((entry.path.clone(), format!("{action} {}: {text}", entry.path)));
            }
        }
    }

    pub(super) fn unreadable(&mut self, entry: &Entry) {
        let reason = unreadable(entry.path.as_bstr(), &entry.id).to_string();
        self.errors.push((entry.path.clone(), reason));
    }
}

fn stop_on(flow: std::ops::ControlFlow<()>) -> Result<(), Error> {
    if flow.is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Adds to the paths that found something in their place those that are there, and sorts them as the index is.
fn collided(tree: &WorkTree, entries: &[Entry], paths: &[BString]) -> Vec<BString> {
    if paths.is_empty() {
        return Vec::new();
    }
    let mut taken = HashSet::new();
    for path in paths {
        let ends = path.find_iter(b"/").chain(Some(path.len()));
        for part in ends.filter_map(|end| path.get(..end)?.to_path().ok()) {
            let metadata = fs::symlink_metadata(tree.path.join(part));
            taken.extend(
                metadata.ok().filter(|metadata| !metadata.is_dir()).map(|it| Stat::new(&it).device_inode),
            );
        }
    }
    let folded: HashSet<_> = paths.iter().map(|path| path.to_lowercase()).collect();
    let is_in_the_way = |entry: &&Entry| {
        let inode = entry.stat.device_inode;
        (inode.1 != 0 && taken.contains(&inode)) || folded.contains(&entry.path.to_lowercase())
    };
    entries.iter().filter(is_in_the_way).map(|entry| entry.path.clone()).collect()
}
