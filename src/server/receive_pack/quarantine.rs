//! Where what is received waits until it is welcome. git-receive-pack(1), "QUARANTINE ENVIRONMENT".

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::pack::Keep;
use crate::repo::object::quote_alternate;
use crate::repo::{Environment, Error, Repository, TemporaryDirectory};
use crate::storage::Storage;

/// An `objects` directory of its own, removed when dropped and by the signals that end the process.
#[derive(Debug)]
pub(super) struct Quarantine {
    directory: TemporaryDirectory,
    /// Where its content belongs.
    objects: PathBuf,
    storage: Storage,
    /// Alternates that hold already.
    alternates: Option<OsString>,
}

impl Quarantine {
    pub(super) fn create(repo: &Repository) -> Result<Self, Error> {
        let objects = repo.objects_dir.clone();
        let failed = |source| Error::Io { action: "unable to create", path: objects.clone(), source };
        let absolute = std::path::absolute(&objects).map_err(failed)?;
        let directory = TemporaryDirectory::create(&absolute, "tmp_objdir-incoming-").map_err(failed)?;
        repo.storage.make_directories(&directory.path().join("pack")).map_err(failed)?;
        let alternates = repo.env.get("GIT_ALTERNATE_OBJECT_DIRECTORIES").map(OsStr::to_owned);
        Ok(Self { directory, objects: absolute, storage: repo.storage, alternates })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The environment in which its objects can be seen.
    pub(super) fn environment(&self, env: &Environment) -> Environment {
        let mut env = env.clone();
        let mut alternates = quote_alternate(&self.objects);
        if let Some(others) = &self.alternates {
            alternates.push(":");
            alternates.push(others);
        }
        env.set("GIT_OBJECT_DIRECTORY", self.path());
        env.set("GIT_ALTERNATE_OBJECT_DIRECTORIES", alternates);
        env.set("GIT_QUARANTINE_PATH", self.path());
        env
    }

    /// `repo` with the objects that wait.
    pub(super) fn repository(&self, repo: &Repository) -> Result<Repository, Error> {
        let env = self.environment(&repo.env);
        Repository::open(&repo.git_dir, repo.work_tree.as_deref(), &[], &env)
    }

    /// Puts everything where it belongs. Loose objects first, packs before their indices, so that nobody finds an object
    /// that names one he cannot find. What is given guards the packs until refs lead to what is in them: nothing does yet, and
    /// somebody who repacks would drop it.
    pub(super) fn migrate(self) -> io::Result<Vec<Keep>> {
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            let name = entry.file_name();
            if name != "pack" {
                self.storage.make_directories(&self.objects.join(&name))?;
                move_all(&entry.path(), &self.objects.join(&name), |_| 0)?;
            }
        }
        let target = self.objects.join("pack");
        self.storage.make_directories(&target)?;
        let kept = self.guard(&target)?;
        move_all(&self.path().join("pack"), &target, |path| {
            let extension = path.extension().unwrap_or_default();
            ["keep", "pack", "rev", "idx"].iter().position(|known| extension == *known).unwrap_or(0)
        })?;
        Ok(kept)
    }

    /// Makes the `.keep` files of all packs in `target`, which they are about to be in.
    fn guard(&self, target: &Path) -> io::Result<Vec<Keep>> {
        let host = rustix::system::uname();
        let content = format!("receive-pack {} on {}", std::process::id(), host.nodename().to_string_lossy());
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.path().join("pack"))? {
            let path = target.join(entry?.file_name()).with_extension("keep");
            if path.with_extension("pack").exists() || path.exists() {
                continue;
            }
            kept.extend(Keep::create(&path, content.as_bytes())?);
        }
        Ok(kept)
    }
}

/// Moves the files of one directory into another, those of the lowest `rank` first. What is there already stays.
fn move_all(from: &Path, to: &Path, rank: impl Fn(&Path) -> usize) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(from)? {
        files.push(entry?.path());
    }
    files.sort_by_key(|path| rank(path));
    for file in files {
        let target = to.join(file.file_name().unwrap_or_default());
        if !target.exists() {
            fs::rename(&file, &target)?;
        }
    }
    Ok(())
}
