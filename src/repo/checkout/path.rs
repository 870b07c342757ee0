//! Which names of a tree may become files.

use bstr::{BStr, ByteSlice};
use gix_validate::path::{component, component::Error, component::Mode, component::Options};

/// The file systems whose aliases of `.git` are refused besides the name itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// `core.protectHFS`: names equal to `.git` once ignored code points are gone. Git's default on macOS.
    pub hfs: bool,
    /// `core.protectNTFS`: short names, alternate streams, trailing dots and spaces. Git's default everywhere.
    pub ntfs: bool,
}

impl Default for Protection {
    fn default() -> Self {
        Self { hfs: cfg!(target_os = "macos"), ntfs: true }
    }
}

/// Whether `name`, one entry of a tree, may be created in a work tree.
///
/// Stricter than git 2.47.3 in one thing: that lets a name with a slash through, whose index no longer gives the tree
/// it came from.
pub fn is_safe(name: &BStr, is_symlink: bool, protection: Protection) -> bool {
    let options = Options {
        protect_windows: cfg!(windows),
        protect_hfs: protection.hfs,
        protect_ntfs: protection.ntfs,
    };
    let mode = is_symlink.then_some(Mode::Symlink);
    if component(name, mode, options).is_err() {
        return false;
    }
    !protection.ntfs || name.split_str(b"\\").all(|part| is_safe_part(part.as_bstr(), mode, options))
}

/// Whether one of the parts that NTFS sees in a name with backslashes is safe; git allows `..` among them where the
/// backslash is an ordinary byte.
fn is_safe_part(part: &BStr, mode: Option<Mode>, options: Options) -> bool {
    !matches!(component(part, mode, options), Err(Error::DotGitDir | Error::SymlinkedGitModules))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: bool = false;
    const SYMLINK: bool = true;

    #[test]
    fn aliases_of_the_git_directory_are_refused_as_git_does() {
        let both = Protection { hfs: true, ntfs: true };
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc",
            ".git",
            ".GIT",
            ".Git",
            ".git ",
            ".git.",
            ".git. ",
            ".git...",
            "git~1",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
            ".git:",
            ".git\\foo",
            "a\\.git",
            "a\\.git\\x",
            "a\\.GIT:x",
            "a\\git~1",
            ".git\\",
            ".g\u{200c}it",
            ".gi\u{200d}t",
            "\u{feff}.git",
            ".git\u{206f}",
        ] {
            assert!(!is_safe(name.into(), FILE, both), "{name:?} is let through");
        }
        for name in [
            "a",
            ".gitignore",
            ".gitmodules",
            ".gitattributes",
            "git",
            ".git.x\\y",
            ".git .x",
            "a\\b",
            "..a",
            "c:x",
        ] {
            assert!(is_safe(name.into(), FILE, both), "{name:?} is refused");
        }
    }

    #[test]
    fn gitmodules_may_not_be_a_symlink() {
        for name in [".gitmodules", ".GITmodules", "gitmod~1", "a\\.gitmodules", ".gitmodules "] {
            assert!(!is_safe(name.into(), SYMLINK, Protection::default()), "{name:?} is let through");
        }
        assert!(is_safe(".gitattributes".into(), SYMLINK, Protection::default()));
    }

    #[test]
    fn the_configuration_can_switch_the_aliases_off_but_not_git_itself() {
        let neither = Protection { hfs: false, ntfs: false };
        assert!(is_safe("git~1".into(), FILE, neither));
        assert!(is_safe(".g\u{200c}it".into(), FILE, neither));
        assert!(!is_safe(".GIT".into(), FILE, neither));
    }
}
