//! Cloning a path on the same machine: its objects are linked or copied, nothing is packed.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::Error;
use super::clone::add_alternates;
use crate::storage::Storage;

/// How the objects get here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// Hard links, copies where the file system has none.
    Hard,
    /// Copies.
    None,
}

/// Brings everything below the `objects` directory `from` to `to`, which exists. Symbolic links are refused: they could
/// lead anywhere (CVE-2022-39253, CVE-2023-22490).
pub(super) fn copy_objects(from: &Path, (to, storage): (&Path, Storage), links: Links) -> Result<(), Error> {
    if is_symlink(from)? {
        return Err(Error::Usage(format!(
            "'{}' is a symlink, refusing to clone with --local",
            from.display()
        )));
    }
    let mut directories = vec![PathBuf::new()];
    while let Some(relative) = directories.pop() {
        let directory = from.join(&relative);
        let entries =
            fs::read_dir(&directory).map_err(|error| failed("failed to open", &directory, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("failed to iterate over", &directory, error))?;
            let relative = relative.join(entry.file_name());
            let source = entry.path();
            let kind = entry.file_type().map_err(|error| failed("failed to stat", &source, error))?;
            if kind.is_symlink() {
                return Err(Error::Usage(format!(
                    "symlink '{}' exists, refusing to clone with --local",
                    relative.display()
                )));
            }
            if kind.is_dir() {
                let directory = to.join(&relative);
                let made = storage.make_directories(&directory);
                made.map_err(|error| failed("failed to create directory", &directory, error))?;
                directories.push(relative);
            } else if relative == Path::new("info/alternates") {
                copy_alternates(from, to, storage)?;
            } else {
                copy_file(&source, (&to.join(&relative), storage), links)?;
            }
        }
    }
    Ok(())
}

fn copy_file(source: &Path, (target, storage): (&Path, Storage), links: Links) -> Result<(), Error> {
    // Whatever was there a moment ago could have been replaced by a link to elsewhere (CVE-2024-32021).
    let refused = || {
        let text = format!("symlink '{}' exists, refusing to clone with --local", source.display());
        Err(Error::Usage(text))
    };
    if links == Links::Hard && fs::hard_link(source, target).is_ok() {
        if is_symlink(target)? {
            let _removed = fs::remove_file(target);
            return refused();
        }
        return Ok(());
    }
    let copied = storage.copy(source, target, |mode| mode & 0o777);
    copied.map_err(|error| failed("failed to copy file to", target, error))?;
    // what was copied through a link is not kept, as it could be anybody's
    if is_symlink(source)? {
        let _removed = fs::remove_file(target);
        return refused();
    }
    Ok(())
}

/// The borrower's alternates become ours; those named relative to its objects are named in full.
fn copy_alternates(from: &Path, to: &Path, storage: Storage) -> Result<(), Error> {
    let source = from.join("info/alternates");
    let text = fs::read(&source).map_err(|error| failed("failed to read", &source, error))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let lent: Vec<PathBuf> = lines
        .map(|line| {
            let path = from.join(line.to_path_lossy());
            path.canonicalize().unwrap_or(path)
        })
        .collect();
    add_alternates((to, storage), &lent)
}

fn is_symlink(path: &Path) -> Result<bool, Error> {
    let metadata = fs::symlink_metadata(path).map_err(|error| failed("failed to stat", path, error))?;
    Ok(metadata.file_type().is_symlink())
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// CVE-2024-32021: what was a file when its directory was read is a link when its turn comes.
    #[test]
    fn a_link_that_took_the_place_of_a_file_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("secret"), "secret").expect("it can be written");
        std::os::unix::fs::symlink(path("secret"), path("source")).expect("it can be linked");
        for links in [Links::Hard, Links::None] {
            let error = copy_file(&path("source"), (&path("target"), Storage::default()), links)
                .expect_err("it is a link");
            assert!(error.to_string().ends_with("exists, refusing to clone with --local"), "{error}");
            assert!(path("target").symlink_metadata().is_err(), "{links:?}");
        }
        fs::write(path("file"), "content").expect("it can be written");
        for (links, name) in [(Links::Hard, "linked"), (Links::None, "copied")] {
            copy_file(&path("file"), (&path(name), Storage::default()), links).expect("it is a file");
            assert_eq!(fs::read(path(name)).expect("it is there"), b"content");
        }
    }
}
