//! The `shallow` file: commits whose parents are not here.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use bstr::ByteSlice;
use gix_hash::ObjectId;

use super::lock::LockFile;
use super::reference::lock::unable_to_lock;
use super::{Error, Repository};

impl Repository {
    /// The shallow boundary, sorted; empty in a complete repository. Blank lines and repeated ids do no harm: git
    /// 2.47.3 writes some when it clones from a shallow repository.
    pub fn shallow(&self) -> Result<Vec<ObjectId>, Error> {
        let Some(path) = self.shallow_path() else { return Ok(Vec::new()) };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::Io { action: "unable to access", path, source }),
        };
        let mut boundary = Vec::new();
        for line in text.lines().map(ByteSlice::trim_end).filter(|line| !line.is_empty()) {
            let id = ObjectId::from_hex(line).ok().filter(|id| id.kind() == self.object_hash);
            let bad = || Error::Object(format!("bad shallow line: {}", line.as_bstr()));
            boundary.push(id.ok_or_else(bad)?);
        }
        boundary.sort_unstable();
        boundary.dedup();
        Ok(boundary)
    }

    /// Replaces the shallow boundary, under `shallow.lock`; an empty one removes the file.
    pub fn write_shallow(&self, boundary: &[ObjectId]) -> Result<(), Error> {
        self.lock_shallow()?.write(boundary)
    }

    /// Takes `shallow.lock`, so that the boundary can be read, changed and written with nobody in between.
    pub fn lock_shallow(&self) -> Result<ShallowLock, Error> {
        let path = self.common_path("shallow");
        let lock = LockFile::acquire(&path, self.storage).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Error::Refused(unable_to_lock(&path.with_added_extension("lock"), &error))
            }
            _ => Error::Io { action: "unable to create", path: path.clone(), source: error },
        })?;
        Ok(ShallowLock { lock, path, boundary: self.shallow()? })
    }
}

/// The shallow file under its lock, which goes away with the value.
#[derive(Debug)]
pub struct ShallowLock {
    lock: LockFile,
    path: PathBuf,
    boundary: Vec<ObjectId>,
}

impl ShallowLock {
    /// The boundary when the lock was taken.
    pub fn boundary(&self) -> &[ObjectId] {
        &self.boundary
    }

    /// Replaces the boundary; an empty one removes the file.
    pub fn write(self, boundary: &[ObjectId]) -> Result<(), Error> {
        let Self { mut lock, path, .. } = self;
        let failed = |action| {
            let path = path.clone();
            move |source| Error::Io { action, path, source }
        };
        if boundary.is_empty() {
            return lock.remove_file().map_err(failed("unable to unlink"));
        }
        let mut boundary = boundary.to_vec();
        boundary.sort_unstable();
        boundary.dedup();
        let lines: Vec<String> = boundary.iter().map(|id| id.to_string() + "\n").collect();
        lock.write_all(lines.concat().as_bytes()).map_err(failed("failed to write to"))?;
        lock.commit().map_err(failed("unable to write new shallow file"))
    }
}

impl Repository {
    /// `GIT_SHALLOW_FILE` or `shallow`; `None` where the variable is empty, which means that nothing is shallow.
    fn shallow_path(&self) -> Option<PathBuf> {
        match self.env.get("GIT_SHALLOW_FILE") {
            Some(path) if path.is_empty() => None,
            Some(path) => Some(path.into()),
            None => Some(self.common_path("shallow")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::{Config, Environment};

    fn repository(dir: &std::path::Path) -> Repository {
        Repository {
            ref_format: crate::repo::RefFormat::Files,
            storage: crate::storage::Storage::default(),
            git_dir: dir.to_owned(),
            common_dir: dir.to_owned(),
            work_tree: None,
            objects_dir: dir.join("objects"),
            object_hash: gix_hash::Kind::Sha1,
            config: Config::default(),
            env: Environment::default(),
            promisor: None,
            hooks: crate::repo::hook::Hooks::default(),
        }
    }

    fn id(digit: &str) -> ObjectId {
        ObjectId::from_hex(digit.repeat(40).as_bytes()).unwrap()
    }

    #[test]
    fn the_boundary_is_written_sorted_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut repository = repository(dir.path());
        assert!(repository.shallow().unwrap().is_empty());
        repository.write_shallow(&[id("b"), id("a"), id("b")]).unwrap();
        let text = std::fs::read_to_string(dir.path().join("shallow")).unwrap();
        assert_eq!(text, format!("{}\n{}\n", "a".repeat(40), "b".repeat(40)));
        assert_eq!(repository.shallow().unwrap(), [id("a"), id("b")]);
        repository.env.set("GIT_SHALLOW_FILE", "");
        assert!(repository.shallow().unwrap().is_empty());
        repository.write_shallow(&[]).unwrap();
        assert!(!dir.path().join("shallow").exists());
        assert!(!dir.path().join("shallow.lock").exists());
    }

    #[test]
    fn blank_and_repeated_lines_are_let_through_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let repository = repository(dir.path());
        let a = "a".repeat(40);
        std::fs::write(dir.path().join("shallow"), format!("{a}\n\n{a}\n")).unwrap();
        assert_eq!(repository.shallow().unwrap(), [id("a")]);
        std::fs::write(dir.path().join("shallow"), "xyz\n").unwrap();
        assert_eq!(repository.shallow().unwrap_err().to_string(), "bad shallow line: xyz");
    }

    #[test]
    fn a_lock_that_is_held_stops_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("shallow.lock");
        std::fs::write(&lock, "").unwrap();
        let error = repository(dir.path()).write_shallow(&[id("a")]).unwrap_err();
        let text = format!("Unable to create '{}': File exists.\n\nAnother git process", lock.display());
        assert!(error.to_string().starts_with(&text), "{error}");
        assert!(lock.exists());
    }
}
