//! What clients that read files find: git-update-server-info(1).

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use super::{Error, Served};
use crate::repo::hidden::Hidden;
use crate::repo::{self, LockFile, Repository};

/// `info/refs`: the refs as lines; unless `hides` is set hidden ones too, as git 2.47.3 does.
pub(super) fn refs(repo: &Repository, hides: bool) -> Result<Vec<u8>, Error> {
    if hides {
        Hidden::check(&repo.config, "uploadpack")?;
    }
    let objects = repo.objects()?;
    let mut lines = Vec::new();
    Served::new(repo, "uploadpack").each(&["refs/".into()], &mut |served| {
        if hides && served.is_hidden {
            return Ok(());
        }
        let peeled = served.peel(&objects);
        writeln!(lines, "{}\t{}", served.id, served.name)?;
        if let Some(peeled) = peeled {
            writeln!(lines, "{peeled}\t{}^{{}}", served.name)?;
        }
        Ok(())
    })?;
    Ok(lines)
}

/// `objects/info/packs`: the packs, a line each.
pub(super) fn packs(repo: &Repository) -> io::Result<Vec<u8>> {
    let mut names = Vec::new();
    if let Ok(entries) = fs::read_dir(repo.objects_dir.join("pack")) {
        for entry in entries {
            let name = entry?.file_name();
            if name.as_bytes().starts_with(b"pack-") && name.as_bytes().ends_with(b".pack") {
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    let mut lines: Vec<u8> = names.iter().flat_map(|name| [b"P ", name.as_bytes(), b"\n"].concat()).collect();
    lines.push(b'\n');
    Ok(lines)
}

/// Writes both files.
pub(super) fn write(repo: &Repository) -> Result<(), Error> {
    for (path, content) in [
        (repo.common_path("info/refs"), refs(repo, false)?),
        (repo.objects_dir.join("info/packs"), packs(repo)?),
    ] {
        let failed = |source| repo::Error::Io { action: "unable to update", path: path.clone(), source };
        path.parent().map_or(Ok(()), |directory| repo.storage.make_directories(directory)).map_err(failed)?;
        let mut lock = LockFile::hold(&path, repo.storage)?;
        lock.write_all(&content).and_then(|()| lock.commit()).map_err(failed)?;
    }
    Ok(())
}
