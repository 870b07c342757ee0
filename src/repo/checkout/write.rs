//! Writing files into an empty work tree.
//!
//! A file costs four system calls: open, write, fstat, close. Nothing is looked at before it is made: a directory is
//! made when its first file comes and a file only where there is none, so nothing is ever written through a symbolic
//! link. Symbolic links are made last, when every other path is there.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use bstr::{BStr, BString, ByteSlice};
use gix_filter::driver::Key;
use gix_object::FindExt;

use super::filter::{Converted, Filters};
use super::index::{Entry, Mode, Stat};
use super::{Outcome, Place, unreadable};
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
}

/// Writes the files of `entries` and notes in each what the system says about its file.
pub fn write(
    place: &Place<'_>,
    objects: &gix_odb::Handle,
    how: How,
    entries: &mut [Entry],
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let writer = Writer {
        objects,
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
        for (at, entry) in entries.iter_mut().enumerate().filter(|(_, entry)| !entry.is_skipped) {
            match entry.mode {
                Mode::File | Mode::Executable => self.file(at, entry)?,
                Mode::Gitlink => {
                    let made = self.tree.submodule(entry.path.as_bstr());
                    self.note(entry, made, "cannot create submodule directory");
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

    /// Writes one file, or leaves it for later if its filter process wants time.
    fn file(&mut self, at: usize, entry: &mut Entry) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let Ok(blob) = self.objects.find_blob(&entry.id, &mut buffer) else {
            self.unreadable(entry);
            return self.tick(1);
        };
        let converted = match &mut self.filters {
            None => Converted::Same,
            Some(filters) => filters.convert(self.objects, entry, blob.data)?,
        };
        let content = match &converted {
            Converted::Same => blob.data,
            Converted::Content(content) => content,
            Converted::Delayed(key) => {
                self.delayed.entry(key.clone()).or_default().insert(entry.path.clone(), at);
                self.buffer = buffer;
                return Ok(());
            }
        };
        let made = self.tree.file(entry.path.as_bstr(), entry.mode, content);
        self.buffer = buffer;
        self.note(entry, made, "unable to create file");
        self.tick(1)
    }

    fn symlink(&mut self, entry: &mut Entry) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.objects.find_blob(&entry.id, &mut buffer) {
            Ok(blob) => {
                let made = self.tree.symlink(entry.path.as_bstr(), blob.data);
                self.note(entry, made, "unable to create symlink");
            }
            Err(_) => self.unreadable(entry),
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
                    let made = self.tree.file(path.as_bstr(), entry.mode, &content);
                    self.note(entry, made, "unable to create file");
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

    /// Keeps what became of an entry: its stat data, a collision or an error.
    fn note(&mut self, entry: &mut Entry, made: io::Result<Stat>, action: &str) {
        match made {
            Ok(stat) => entry.stat = stat,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.outcome.collisions.push(entry.path.clone());
            }
            Err(error) => {
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                self.outcome.errors.push((entry.path.clone(), format!("{action} {}: {text}", entry.path)));
            }
        }
    }

    fn unreadable(&mut self, entry: &Entry) {
        let reason = unreadable(entry.path.as_bstr(), &entry.id).to_string();
        self.outcome.errors.push((entry.path.clone(), reason));
    }

    fn tick(&mut self, files: u64) -> Result<(), Error> {
        self.done += files;
        let (title, done, total) = (UPDATING_FILES, self.done, Some(self.total));
        stop_on(self.progress.report(Event::Phase { title, done, total, bytes: 0 }))
    }
}

fn stop_on(flow: std::ops::ControlFlow<()>) -> Result<(), Error> {
    if flow.is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// The place where files are made. Each function fails with [`io::ErrorKind::AlreadyExists`] where something is.
struct WorkTree {
    path: PathBuf,
    /// The directory, from the top, that is known to be one, with all above it.
    current: BString,
    /// Whether the file system has symbolic links.
    symlinks: bool,
}

impl WorkTree {
    fn file(&mut self, path: &BStr, mode: Mode, content: &[u8]) -> io::Result<Stat> {
        let full = self.prepare(path)?;
        let mut file = create_new(&full, mode)?;
        if let Err(error) = file.write_all(content) {
            drop(file);
            // The first error says more than that of the removal would.
            drop(fs::remove_file(&full));
            return Err(error);
        }
        Ok(Stat::new(&file.metadata()?))
    }

    fn symlink(&mut self, path: &BStr, target: &[u8]) -> io::Result<Stat> {
        if !self.symlinks {
            return self.file(path, Mode::File, target);
        }
        let full = self.prepare(path)?;
        let target = target.to_path().map_err(io::Error::other)?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(target, &full)?;
        #[cfg(windows)]
        std::os::windows::fs::symlink_file(target, &full)?;
        Ok(Stat::new(&fs::symlink_metadata(&full)?))
    }

    /// Makes the empty directory of a submodule.
    fn submodule(&mut self, path: &BStr) -> io::Result<Stat> {
        let full = self.prepare(path)?;
        fs::create_dir(&full)?;
        Ok(Stat::new(&fs::symlink_metadata(&full)?))
    }

    /// Makes the directories above `path` and gives its full name.
    fn prepare(&mut self, path: &BStr) -> io::Result<PathBuf> {
        let directory = path.rfind_byte(b'/').and_then(|end| path.get(..end)).unwrap_or_default();
        if self.current != directory {
            self.enter(directory.as_bstr())?;
        }
        Ok(self.path.join(path.to_path().map_err(io::Error::other)?))
    }

    /// Makes those of the directories down to `directory` that are not known.
    fn enter(&mut self, directory: &BStr) -> io::Result<()> {
        let ends = directory.find_iter(b"/").chain(Some(directory.len()));
        for above in ends.filter_map(|end| directory.get(..end)).filter(|above| !above.is_empty()) {
            let rest = self.current.strip_prefix(above);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) {
                continue;
            }
            let full = self.path.join(above.to_path().map_err(io::Error::other)?);
            match fs::create_dir(&full) {
                // An own one, in other case or from before the symbolic links; never through a link.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&full)?.is_dir() {
                        return Err(error);
                    }
                }
                made => made?,
            }
        }
        self.current = directory.to_owned();
        Ok(())
    }
}

/// Makes a file that was not there; the umask takes what it takes from 0666 or 0777.
fn create_new(path: &std::path::Path, mode: Mode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if mode == Mode::Executable {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o777);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
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
