//! `fetch`: the program itself brings objects into the repository.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Answer, Helper};
use crate::progress::Progress;
use crate::transport::Error;

/// The most `.keep` files that one fetch may name.
const KEEP_FILES_MAX: usize = 10_000;

/// What a fetch brought.
#[derive(Debug)]
pub struct Fetched {
    /// What keeps the new packs from a concurrent `git gc` until refs have moved.
    pub keep: Vec<KeepFile>,
    /// Whether the program has seen to it that all history is here, as it was asked to.
    pub is_connected: bool,
}

/// A `.keep` file of the program's; removed when dropped.
#[derive(Debug)]
pub struct KeepFile(PathBuf);

impl Drop for KeepFile {
    fn drop(&mut self) {
        // One that is gone already keeps nothing.
        let _removed_or_gone = std::fs::remove_file(&self.0);
    }
}

impl Helper {
    /// Whether there is a `fetch` command.
    pub fn fetches(&self) -> bool {
        self.capabilities.fetch
    }

    /// Asks the program to vouch for what it brings, if it can.
    ///
    /// # Errors
    ///
    /// If the program has gone.
    pub fn ask_connectivity(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        if self.capabilities.check_connectivity {
            let _known = self.set("check-connectivity", "true".into(), progress)? == Answer::Ok;
        }
        Ok(())
    }

    /// Brings the objects of `wants`, refs of the listing with what they are, and all that they reach.
    ///
    /// # Errors
    ///
    /// [`Error::HelperEnded`] if it failed, and said why itself.
    pub fn fetch(
        &mut self,
        wants: &[(ObjectId, BString)],
        progress: &mut dyn Progress,
    ) -> Result<Fetched, Error> {
        for (id, name) in wants {
            self.say(&[b"fetch ", id.to_string().as_bytes(), b" ", name])?;
        }
        self.say(&[])?;
        let mut fetched = Fetched { keep: Vec::new(), is_connected: false };
        loop {
            let line = self.hear()?;
            match line.as_slice() {
                b"" => return Ok(fetched),
                b"connectivity-ok" => fetched.is_connected = true,
                _ => match line.strip_prefix(b"lock ").and_then(keep_file) {
                    Some(keep) if fetched.keep.len() < KEEP_FILES_MAX => fetched.keep.push(keep),
                    Some(_) | None => self.surprised(&line, progress)?,
                },
            }
        }
    }

    /// The ref of the repository that [`Helper::import`] and [`Helper::export`] keep in place of the far side's `name`.
    pub fn private_ref(&self, name: &BStr) -> Option<BString> {
        self.capabilities.private_ref(name)
    }
}

/// Only what can be such a file is one: it is going to be removed.
fn keep_file(path: &[u8]) -> Option<KeepFile> {
    let path: &Path = &path.to_path_lossy();
    let is_keep = path.extension().is_some_and(|extension| extension == "keep");
    let is_pack = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"pack-"));
    (is_keep && is_pack).then(|| KeepFile(path.to_owned()))
}
