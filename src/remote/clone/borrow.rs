//! Clones that borrow objects: `--shared`, `--reference`, `--reference-if-able`, and `--dissociate`, which pays back.
//! gitrepository-layout(5), `objects/info/alternates`.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Clone;
use crate::pack;
use crate::pack::enumerate::{Wanted, enumerate};
use crate::pack::produce::{Settings, produce};
use crate::progress::{Discard, Event, Progress};
use crate::remote::{Error, connectivity};
use crate::repo::pack_settings::pack_settings;
use crate::repo::{Objects, Repository, discover};
use crate::storage::Storage;

/// A repository on this machine to borrow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is, as the user named it.
    pub path: PathBuf,
    /// Whether the clone goes on without it if it cannot lend (`--reference-if-able`).
    pub is_optional: bool,
}

impl Clone<'_> {
    /// The `objects` directories of all that is named to borrow from, each once.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if one is no repository that can lend.
    pub(super) fn lenders(&self, progress: &mut dyn Progress) -> Result<Vec<PathBuf>, Error> {
        let mut lenders = Vec::new();
        for Reference { path, is_optional } in &self.options.references {
            match lender(path) {
                Ok(objects) if lenders.contains(&objects) => {}
                Ok(objects) => lenders.push(objects),
                Err(reason) if *is_optional => {
                    let text = format!("info: Could not add alternate for '{}': {reason}", path.display());
                    if progress.report(Event::Detail { level: 0, text: &text }).is_break() {
                        return Err(Error::Interrupted);
                    }
                }
                Err(reason) => return Err(Error::Usage(reason)),
            }
        }
        Ok(lenders)
    }
}

/// Whether what `wants` name is here already, with all it reaches, since others lend it.
pub(super) fn is_lent(repo: &Repository, wants: &[ObjectId]) -> Result<bool, Error> {
    let mut objects = repo.objects()?;
    if objects.alternates().is_empty() || wants.iter().any(|want| !objects.contains(want)) {
        return Ok(false);
    }
    let missing = connectivity::first_missing(&mut objects, wants, &[], None)
        .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
    Ok(missing.is_none())
}

/// Makes copies of what is borrowed, and borrows no more. `tips` are what refs name.
pub(super) fn dissociate(
    repo: &Repository,
    tips: &[ObjectId],
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let alternates = repo.objects_dir.join("info/alternates");
    if !alternates.exists() {
        return Ok(());
    }
    let old = packs(&repo.objects_dir)?;
    let new = repack(repo, tips, progress)?;
    fs::remove_file(&alternates).map_err(|error| failed("failed to remove", &alternates, error))?;
    // All that they hold is in the new one.
    let is_replaced = |pack: &PathBuf| Some(pack) != new.as_ref() && !pack.with_extension("keep").exists();
    remove_packs(&repo.objects_dir.join("pack"), old.into_iter().filter(is_replaced).collect())
}

/// Removes `packs` from `directory` with all that is said of them, first what says that they are there.
fn remove_packs(directory: &Path, packs: Vec<PathBuf>) -> Result<(), Error> {
    let entries = fs::read_dir(directory).map_err(|error| failed("failed to open", directory, error))?;
    let is_shared = |name: &OsStr| name.as_encoded_bytes().starts_with(b"multi-pack-index");
    for entry in entries.flatten().filter(|entry| !packs.is_empty() && is_shared(&entry.file_name())) {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| failed("failed to remove", &path, error))?;
    }
    for pack in packs {
        for extension in ["idx", "rev", "bitmap", "mtimes", "promisor", "pack"] {
            let _removed_or_none = fs::remove_file(pack.with_extension(extension));
        }
    }
    Ok(())
}

/// Adds `objects` to the directories that the repository with `ours` borrows from.
pub(in crate::remote) fn add_alternates(
    (ours, storage): (&Path, Storage),
    objects: &[PathBuf],
) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let file = ours.join("info/alternates");
    let mut text = fs::read(&file).unwrap_or_default();
    for directory in objects {
        let line = directory.as_os_str().as_encoded_bytes();
        if text.lines().all(|known| known != line) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    storage.write(&file, &text).map_err(|error| failed("failed to write", &file, error))
}

/// The `objects` directory of the repository at `path`; why it cannot lend otherwise, in git's words.
pub(in crate::remote) fn lender(path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    let Some(git_dir) = discover::local_git_dir(path) else {
        return Err(format!("reference repository '{shown}' is not a local repository."));
    };
    if git_dir.join("commondir").exists() {
        return Err(format!("reference repository '{shown}' as a linked checkout is not supported yet."));
    }
    if git_dir.join("shallow").exists() {
        return Err(format!("reference repository '{shown}' is shallow"));
    }
    if git_dir.join("info/grafts").exists() {
        return Err(format!("reference repository '{shown}' is grafted"));
    }
    let objects = git_dir.join("objects");
    Ok(objects.canonicalize().unwrap_or(objects))
}

/// Puts all that `tips` reach into one pack of our own, but for what a filter left out; `None` if that is nothing.
fn repack(
    repo: &Repository,
    tips: &[ObjectId],
    progress: &mut dyn Progress,
) -> Result<Option<PathBuf>, Error> {
    let source = repo.objects()?.here();
    let is_partial = repo.is_partial()?;
    let settings = pack_settings(repo, true, progress)?;
    let wanted = Wanted { wants: tips.to_vec(), is_partial, ..Wanted::default() };
    let boundary = repo.shallow()?;
    let options = pack::Options {
        objects: repo.objects_dir.clone(),
        storage: repo.storage,
        object_hash: repo.object_hash,
        bases: None,
        unpack_limit: 0,
        keep: None,
        // the promisor sent all of it or has it, and what it leads to may be missing
        promisor: is_partial.then(BString::default),
        threads: 0,
        size_max_bytes: 0,
        made_len_max: 0,
        to_end: true,
        // they were checked when they came, or are those of a neighbour
        fsck: None,
        shallow: &boundary,
    };
    let (reader, writer) =
        std::io::pipe().map_err(|error| failed("failed to make", Path::new("a pipe"), error))?;
    let (made, received) = std::thread::scope(|scope| {
        let making = scope.spawn(|| make(&source, &wanted, &settings, BufWriter::new(writer)));
        let received = pack::receive(&mut BufReader::new(reader), &options, progress);
        (making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), received)
    });
    // Why the stream broke off is told by whoever made it.
    made.or_else(|error| if received.is_err() { Err(error) } else { Ok(()) })?;
    match received?.stored {
        pack::Stored::Pack { path, .. } => Ok(Some(path)),
        pack::Stored::Loose | pack::Stored::Nothing => Ok(None),
    }
}

fn make(
    source: &Objects,
    wanted: &Wanted,
    settings: &Settings,
    mut out: BufWriter<std::io::PipeWriter>,
) -> Result<(), pack::Error> {
    let objects = enumerate(source, wanted, &mut Discard)?;
    produce(source, objects, settings, &mut out, &mut Discard)?;
    out.flush().map_err(pack::Error::Read)
}

/// The packs in the `objects` directory.
fn packs(objects: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = objects.join("pack");
    let entries = fs::read_dir(&directory).map_err(|error| failed("failed to open", &directory, error))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect())
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
