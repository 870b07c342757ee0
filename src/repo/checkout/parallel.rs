//! Files that nothing converts, written by several threads.
//!
//! Each thread takes neighbours in the index, up to where a directory ends: two threads that make files in one wait for each
//! other in the file system.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};

use bstr::ByteSlice;

use super::Outcome;
use super::blob::Blobs;
use super::index::{Entry, Mode};
use super::work_tree::WorkTree;
use super::write::UNABLE_TO_CREATE;
use crate::repo::Error;

/// Entries that a thread takes at once, or all there are.
const TAKEN_MIN: usize = 64;

/// Entries that a thread takes at once where no directory ends before: a large one is shared.
const TAKEN_MAX: usize = 1024;

/// Writes the files among `entries`, in `threads` threads, and notes in each what the system says about its file.
///
/// `report` hears of files that are done; an error it gives stops the work.
pub(super) fn write_files(
    blobs: &Blobs,
    tree: &WorkTree,
    entries: &mut [Entry],
    threads: usize,
    report: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let work = Work {
        blobs,
        tree,
        rest: Mutex::new(entries),
        outcome: Mutex::default(),
        stop: AtomicBool::new(false),
    };
    let reported = std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (work, sender) = (&work, sender.clone());
            let _handle = scope.spawn(move || work.run(&sender));
        }
        drop(sender);
        // It ends when all threads have.
        let result = receiver.iter().try_for_each(&mut *report);
        work.stop.store(true, Ordering::Relaxed);
        result
    });
    reported?;
    let mut outcome = work.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.errors.sort();
    Ok(outcome)
}

/// What the threads share.
struct Work<'a> {
    blobs: &'a Blobs,
    tree: &'a WorkTree,
    /// What no thread has taken.
    rest: Mutex<&'a mut [Entry]>,
    outcome: Mutex<Outcome>,
    /// Set when the work is to end at once.
    stop: AtomicBool,
}

impl<'a> Work<'a> {
    /// Entries for one thread; none if all are taken.
    fn take(&self) -> &'a mut [Entry] {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *rest);
        let count = taken(all.len(), |at| all.get(at).map(|entry| directory(&entry.path)));
        let (chunk, left) = all.split_at_mut(count);
        *rest = left;
        chunk
    }

    /// The work of one thread.
    fn run(&self, done: &Sender<u64>) {
        let (mut tree, mut buffer, mut outcome) = (self.tree.clone(), Vec::new(), Outcome::default());
        loop {
            let chunk = self.take();
            if chunk.is_empty() {
                break;
            }
            let flow = chunk.iter_mut().try_for_each(|entry| {
                if self.stop.load(Ordering::Relaxed) {
                    return ControlFlow::Break(());
                }
                if !matches!(entry.mode, Mode::File | Mode::Executable) || entry.is_skipped {
                    return ControlFlow::Continue(());
                }
                self.write(entry, (&mut tree, &mut buffer), &mut outcome);
                // Nobody hears it any more who has had enough.
                done.send(1).map_or(ControlFlow::Break(()), ControlFlow::Continue)
            });
            if flow.is_break() {
                break;
            }
        }
        let mut all = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        all.taken.append(&mut outcome.taken);
        all.errors.append(&mut outcome.errors);
    }

    fn write(&self, entry: &mut Entry, (tree, buffer): (&mut WorkTree, &mut Vec<u8>), outcome: &mut Outcome) {
        let is_large = self.blobs.is_large(&entry.id);
        match if is_large { self.blobs.stream(&entry.id) } else { self.blobs.read(&entry.id, buffer) } {
            Some(content) => {
                let made = tree.file_over(entry.path.as_bstr(), entry.mode, content);
                outcome.note(entry, made, UNABLE_TO_CREATE);
            }
            None => outcome.unreadable(entry),
        }
    }
}

/// How many of `len` entries a thread takes, whose directories are `directory`.
fn taken<'a>(len: usize, directory: impl Fn(usize) -> Option<&'a [u8]>) -> usize {
    let most = len.min(TAKEN_MAX);
    (len.min(TAKEN_MIN)..most).find(|end| directory(end - 1) != directory(*end)).unwrap_or(most)
}

/// The path up to the last slash.
fn directory(path: &[u8]) -> &[u8] {
    path.rsplit_once_str("/").map_or(b"", |(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_whole_directories() {
        let taken_of = |paths: &[String]| taken(paths.len(), |at| Some(directory(paths[at].as_bytes())));
        let paths = |sizes: &[usize]| -> Vec<String> {
            let files = sizes.iter().zip('a'..).flat_map(|(count, name)| (0..*count).map(move |_| name));
            files.map(|name| format!("top/{name}/file")).collect()
        };
        assert_eq!(taken_of(&paths(&[])), 0);
        assert_eq!(taken_of(&paths(&[7])), 7);
        assert_eq!(taken_of(&paths(&[60, 3, 2])), 65);
        assert_eq!(taken_of(&paths(&[64, 300])), 64);
        assert_eq!(taken_of(&paths(&[100, 300])), 100);
        assert_eq!(taken_of(&paths(&[1, 2000])), TAKEN_MAX);
        assert_eq!((directory(b"a/b/c"), directory(b"a")), (&b"a/b"[..], &b""[..]));
    }
}
