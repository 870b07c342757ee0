//! Files that nothing converts, written by several threads.
//!
//! Each thread takes neighbours in the index, which mostly are in the same directory: two threads that make files in one
//! wait for each other in the file system.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};

use bstr::ByteSlice;

use super::Outcome;
use super::blob::Blobs;
use super::index::{Entry, Mode};
use super::work_tree::WorkTree;
use crate::repo::Error;

/// Entries that a thread takes at once.
const TAKEN_AT_ONCE: usize = 128;

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
        chunks: Mutex::new(entries.chunks_mut(TAKEN_AT_ONCE)),
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
    chunks: Mutex<std::slice::ChunksMut<'a, Entry>>,
    outcome: Mutex<Outcome>,
    /// Set when the work is to end at once.
    stop: AtomicBool,
}

impl Work<'_> {
    /// The work of one thread.
    fn run(&self, done: &Sender<u64>) {
        let (mut tree, mut buffer, mut outcome) = (self.tree.clone(), Vec::new(), Outcome::default());
        loop {
            let chunk = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(chunk) = chunk else { break };
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
        all.collisions.append(&mut outcome.collisions);
        all.errors.append(&mut outcome.errors);
    }

    fn write(&self, entry: &mut Entry, (tree, buffer): (&mut WorkTree, &mut Vec<u8>), outcome: &mut Outcome) {
        let is_large = self.blobs.is_large(&entry.id);
        match if is_large { self.blobs.stream(&entry.id) } else { self.blobs.read(&entry.id, buffer) } {
            Some(content) => {
                let made = tree.file(entry.path.as_bstr(), entry.mode, content);
                outcome.note(entry, made, "unable to create file");
            }
            None => outcome.unreadable(entry),
        }
    }
}
