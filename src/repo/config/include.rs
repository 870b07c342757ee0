//! `include.path` and `includeIf.<condition>.path`: git-config(1), "Includes" and "Conditional includes".

use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_glob::wildmatch::Mode;

use super::value::{self, to_path};
use super::{Dirs, Entry, Environment};
use crate::repo::reference::tables;

/// The condition that looks at the URLs of remotes.
const HASCONFIG: &[u8] = b"hasconfig:remote.*.url:";

/// When an entry includes the file it names.
pub(super) enum Include {
    /// `include.path`.
    Always,
    /// `includeIf`, with the condition, such as `gitdir:~/work/`.
    If(BString),
}

impl Include {
    /// `None` if `entry` includes nothing.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        match (entry.section.as_slice(), &entry.subsection, entry.name.as_str()) {
            (b"include", None, "path") => Some(Self::Always),
            (b"includeif", Some(condition), "path") => Some(Self::If(condition.clone())),
            _ => None,
        }
    }

    /// Whether the file must not define URLs of remotes, on which its own inclusion depends.
    pub(super) fn depends_on_urls(&self) -> bool {
        matches!(self, Self::If(condition) if condition.starts_with(HASCONFIG))
    }
}

/// What conditions are held against.
pub(super) struct Conditions<'a> {
    env: &'a Environment,
    /// The git directory as it was named and as it really is; empty outside of a repository.
    git_dirs: Vec<BString>,
    /// The branch that `HEAD` names, without `refs/heads/`.
    branch: Option<BString>,
    /// The URLs of all remotes, once they are known.
    pub remote_urls: Option<Vec<BString>>,
}

impl<'a> Conditions<'a> {
    /// The conditions of the repository at `dirs`.
    pub(super) fn new(env: &'a Environment, dirs: Option<Dirs<'_>>) -> Self {
        let git_dirs = dirs.map(|dirs| {
            let absolute = std::path::absolute(dirs.git).unwrap_or_else(|_| dirs.git.to_owned());
            let real = dirs.git.canonicalize().unwrap_or_else(|_| absolute.clone());
            vec![path_to_bytes(&real), path_to_bytes(&absolute)]
        });
        let branch = dirs.and_then(|dirs| {
            let head = std::fs::read(dirs.git.join("HEAD")).ok()?;
            let mut branch: BString = head.strip_prefix(b"ref:")?.trim().into();
            if branch == "refs/heads/.invalid" {
                branch = tables::head_branch_of(dirs.git)?;
            }
            Some(branch.strip_prefix(b"refs/heads/")?.into())
        });
        Self { env, git_dirs: git_dirs.unwrap_or_default(), branch, remote_urls: None }
    }

    /// Whether `condition` of the file at `parent` (or of the command line) holds; `None` if the URLs of remotes must
    /// be known first. The error says what is wrong with the condition.
    pub(super) fn hold(&self, condition: &BStr, parent: Option<&Path>) -> Result<Option<bool>, String> {
        let holds = if let Some(pattern) = condition.strip_prefix(b"gitdir:") {
            self.git_dir_matches(pattern.as_bstr(), parent, Mode::empty())?
        } else if let Some(pattern) = condition.strip_prefix(b"gitdir/i:") {
            self.git_dir_matches(pattern.as_bstr(), parent, Mode::IGNORE_CASE)?
        } else if let Some(pattern) = condition.strip_prefix(b"onbranch:") {
            let pattern = with_all_below(pattern.into());
            self.branch.as_ref().is_some_and(|branch| matches(&pattern, branch, Mode::empty()))
        } else if let Some(pattern) = condition.strip_prefix(HASCONFIG) {
            let Some(urls) = &self.remote_urls else { return Ok(None) };
            urls.iter().any(|url| matches(pattern, url, Mode::empty()))
        } else {
            false
        };
        Ok(Some(holds))
    }

    fn git_dir_matches(&self, pattern: &BStr, parent: Option<&Path>, mode: Mode) -> Result<bool, String> {
        let pattern = if let Some(rest) = pattern.strip_prefix(b"./") {
            let Some(parent) = parent else {
                return Err("relative config include conditionals must come from files".to_owned());
            };
            // the directory is meant literally, whatever characters it has
            let directory = parent.parent().unwrap_or(Path::new(""));
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            let mut prefix = path_to_bytes(&directory);
            prefix.push(b'/');
            let rest = with_all_below(rest.into());
            let below = |dir: &BString| {
                dir.strip_prefix(prefix.as_slice()).is_some_and(|dir| matches(&rest, dir, mode))
            };
            return Ok(self.git_dirs.iter().any(below));
        } else if pattern.starts_with(b"~/") {
            path_to_bytes(&value::path(pattern, self.env).unwrap_or_default())
        } else if pattern.starts_with(b"/") || to_path(pattern).is_absolute() {
            pattern.to_owned()
        } else {
            [b"**/".as_slice(), pattern.as_ref()].concat().into()
        };
        let pattern = with_all_below(pattern);
        Ok(self.git_dirs.iter().any(|dir| matches(&pattern, dir, mode)))
    }
}

/// A pattern that ends in `/` means everything below.
fn with_all_below(mut pattern: BString) -> BString {
    if pattern.ends_with(b"/") {
        pattern.extend_from_slice(b"**");
    }
    pattern
}

fn matches(pattern: &[u8], text: &[u8], mode: Mode) -> bool {
    gix_glob::wildmatch(pattern.as_bstr(), text.as_bstr(), mode | Mode::NO_MATCH_SLASH_LITERAL)
}

fn path_to_bytes(path: &Path) -> BString {
    path.as_os_str().as_encoded_bytes().into()
}
