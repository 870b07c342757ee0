//! Which repository a request is about. One has many names: with `.git` at the end or without, and that of its git directory.

use std::path::{Path, PathBuf};

use crate::repo::discover::local_place;
use crate::server::http::repository_of;

/// The repository that a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As the request has it.
    pub said: PathBuf,
    /// Where it is found: the directory of a bare one, else the top of its work tree.
    pub found: PathBuf,
    /// That, from the root on. Whatever name is used for a repository, it has this one.
    pub name: String,
}

impl Place {
    /// The one that `path` asks something of, which is below `root`.
    pub(super) fn of(path: &Path, root: &Path) -> Self {
        let said = repository_of(path).or_else(|| path.parent()).unwrap_or(path).to_owned();
        // a name of none is as good as another
        let mut found = local_place(&said).map_or_else(|| said.clone(), |(place, _)| place);
        if found.file_name().is_some_and(|name| name == ".git") {
            found.pop();
        }
        let name = found.strip_prefix(root).unwrap_or(&found).to_string_lossy().into_owned();
        Self { said, found, name }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_repository_has_one_name_however_it_is_called() {
        let root = tempfile::tempdir().unwrap();
        for git_dir in ["bare.git", "work/.git", "odd.git/.git"] {
            for part in ["objects", "refs"] {
                fs::create_dir_all(root.path().join(git_dir).join(part)).unwrap();
            }
            fs::write(root.path().join(git_dir).join("HEAD"), "ref: refs/heads/main\n").unwrap();
        }
        let object = format!("objects/ab/{}", "c".repeat(38));
        for (path, name) in [
            ("bare.git/info/refs", "bare.git"),
            ("bare/info/refs", "bare.git"),
            ("bare/git-upload-pack", "bare.git"),
            ("bare/git-upload-archive", "bare.git"),
            ("bare.git/HEAD", "bare.git"),
            ("bare.git/objects/info/packs", "bare.git"),
            (&format!("bare/{object}"), "bare.git"),
            ("work/git-receive-pack", "work"),
            ("work/.git/info/refs", "work"),
            (&format!("work/.git/{object}"), "work"),
            ("odd/info/refs", "odd.git"),
            ("odd.git/.git/HEAD", "odd.git"),
            ("none/info/refs", "none"),
            ("bare.git/description", "bare.git"),
        ] {
            let place = Place::of(&root.path().join(path), root.path());
            assert_eq!((place.name.as_str(), place.found), (name, root.path().join(name)), "{path}");
        }
    }
}
