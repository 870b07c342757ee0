//! Which repository a request is about. One has many names: with `.git` at the end or without, that of its git directory, those
//! of its linked work trees, and links.

use std::path::{Path, PathBuf};

use crate::repo::discover::{common_dir, is_git_dir, local_place};
use crate::server::http::repository_of;

/// The repository that a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it is: the directory of a bare one, else the top of its work tree.
    pub found: PathBuf,
    /// That, from the root on. Whatever name is used for a repository, it has this one.
    pub name: String,
    /// Where it seems to be, from the root on, if that is not where it is: a link or a `.git` file leads there.
    pub alias: Option<String>,
}

impl Place {
    /// The one that `path` asks something of, which is below `root`.
    pub(super) fn of(path: &Path, root: &Path) -> Self {
        let said = repository_of(path).or_else(|| path.parent()).unwrap_or(path);
        // a name of none is as good as another
        let (seen, git_dir) = local_place(said).unwrap_or_else(|| (said.to_owned(), said.to_owned()));
        let seen = owner(&seen, root);
        // what is outside of the root has no name but that which leads there
        let real = common_dir(&git_dir).canonicalize().ok().filter(|real| real.starts_with(root));
        let found = real.map_or_else(|| seen.clone(), |real| owner(&real, root));
        let name = |place: &Path| place.strip_prefix(root).unwrap_or(place).to_string_lossy().into_owned();
        let alias = (seen != found).then(|| name(&seen));
        Self { name: name(&found), found, alias }
    }
}

/// The repository that the directory `place` belongs to. The git directories of linked work trees and of submodules are within
/// that of a repository: gitrepository-layout(5).
fn owner(place: &Path, root: &Path) -> PathBuf {
    let Ok(below) = place.strip_prefix(root) else { return place.to_owned() };
    let mut owner = root.to_owned();
    for part in below.components() {
        let part = part.as_os_str();
        if part == ".git" || ((part == "worktrees" || part == "modules") && is_git_dir(&owner)) {
            break;
        }
        owner.push(part);
    }
    owner
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
            assert_eq!(place.alias, None, "{path}");
        }
    }

    #[test]
    fn what_leads_into_a_repository_is_that_repository() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let repository = |git_dir: &Path| {
            for part in ["objects", "refs"] {
                fs::create_dir_all(git_dir.join(part)).unwrap();
            }
            fs::write(git_dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        };
        let linked = |git_dir: &Path| {
            fs::create_dir_all(git_dir).unwrap();
            fs::write(git_dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            fs::write(git_dir.join("commondir"), "../..\n").unwrap();
        };
        let git_file = |work_tree: &str, target: &Path| {
            fs::create_dir_all(root.join(work_tree)).unwrap();
            fs::write(root.join(work_tree).join(".git"), format!("gitdir: {}\n", target.display())).unwrap();
        };
        let submodules = ["work/.git/modules/a", "work/.git/modules/a/modules/b", "bare.git/modules/sub"];
        for git_dir in ["work/.git", "bare.git"].into_iter().chain(submodules) {
            repository(&root.join(git_dir));
        }
        for git_dir in ["work/.git/worktrees/tree", "bare.git/worktrees/tree"] {
            linked(&root.join(git_dir));
        }
        repository(&outside.path().join("far.git"));
        git_file("tree", &root.join("work/.git/worktrees/tree"));
        git_file("work/sub", &root.join("work/.git/modules/a"));
        git_file("far", &outside.path().join("far.git"));
        std::os::unix::fs::symlink("work", root.join("link")).unwrap();
        // names of directories, where there is no git directory around them
        repository(&root.join("modules/worktrees/own.git"));
        for (path, name, alias) in [
            ("work/.git/worktrees/tree", "work", None),
            ("work/.git/worktrees/none", "work", None),
            ("work/.git/modules/a", "work", None),
            ("work/.git/modules/a/modules/b", "work", None),
            ("bare.git/worktrees/tree", "bare.git", None),
            ("bare.git/modules/sub", "bare.git", None),
            ("tree", "work", Some("tree")),
            ("work/sub", "work", Some("work/sub")),
            ("link", "work", Some("link")),
            ("link/.git/worktrees/tree", "work", Some("link")),
            ("far", "far", None),
            ("modules/worktrees/own", "modules/worktrees/own.git", None),
        ] {
            let place = Place::of(&root.join(path).join("info/refs"), &root);
            assert_eq!((place.name.as_str(), place.alias.as_deref()), (name, alias), "{path}");
        }
    }
}
