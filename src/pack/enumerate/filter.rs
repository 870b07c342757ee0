//! What a partial clone leaves out. git-rev-list(1), `--filter`.
//!
//! What the wants name themselves is never left out, only what the walk meets.

use std::io;

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use crate::pack::source::Source;

/// Which of the objects that a walk meets are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All blobs.
    BlobNone,
    /// Blobs of so many bytes and more.
    BlobLimit(u64),
    /// Trees and blobs that are so deep and deeper, the tree of a commit being at 0.
    TreeDepth(u64),
    /// Everything that is of another kind.
    ObjectType(Kind),
    /// Blobs that the patterns do not choose.
    Sparse(Patterns),
    /// What any of these leaves out.
    Any(Vec<Self>),
}

impl Filter {
    /// Whether commits that the walk meets are kept.
    pub(super) fn keeps_commits(&self) -> bool {
        self.all(&|filter| !matches!(filter, Self::ObjectType(Kind::Tree | Kind::Blob | Kind::Tag)))
    }

    /// Whether a tree that is entered is kept itself.
    pub(super) fn keeps_trees(&self) -> bool {
        self.all(&|filter| !matches!(filter, Self::ObjectType(Kind::Commit | Kind::Blob | Kind::Tag)))
    }

    /// Whether something in or below a tree at `depth` may be kept.
    pub(super) fn enters(&self, depth: u64) -> bool {
        self.all(&|filter| match filter {
            Self::TreeDepth(limit) => depth < *limit,
            Self::ObjectType(kind) => matches!(kind, Kind::Tree | Kind::Blob),
            Self::BlobNone | Self::BlobLimit(_) | Self::Sparse(_) | Self::Any(_) => true,
        })
    }

    /// Whether the blob `id` at `depth` is kept, where `chosen` tells what the patterns say of its path.
    pub(super) fn keeps_blob(
        &self,
        source: &dyn Source,
        id: &ObjectId,
        depth: u64,
        chosen: &dyn Fn(&Patterns) -> bool,
    ) -> io::Result<bool> {
        Ok(match self {
            Self::BlobNone => false,
            Self::BlobLimit(limit) => source.header(id)?.is_none_or(|(_, size)| size < *limit),
            Self::TreeDepth(limit) => depth < *limit,
            Self::ObjectType(kind) => *kind == Kind::Blob,
            Self::Sparse(patterns) => chosen(patterns),
            Self::Any(filters) => {
                for filter in filters {
                    if !filter.keeps_blob(source, id, depth, chosen)? {
                        return Ok(false);
                    }
                }
                true
            }
        })
    }

    /// Whether it matters how deep a tree is met.
    pub(super) fn minds_depth(&self) -> bool {
        !self.all(&|filter| !matches!(filter, Self::TreeDepth(_)))
    }

    /// Whether it matters at which path a tree is met.
    pub(super) fn minds_path(&self) -> bool {
        !self.all(&|filter| !matches!(filter, Self::Sparse(_)))
    }

    fn all(&self, holds: &dyn Fn(&Self) -> bool) -> bool {
        match self {
            Self::Any(filters) => filters.iter().all(|filter| filter.all(holds)),
            filter => holds(filter),
        }
    }
}

/// Patterns as in a sparse-checkout file, which say what is chosen. gitignore(5), "PATTERN FORMAT".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<gix_glob::Pattern>);

impl Patterns {
    /// Takes the lines of `text` for patterns.
    pub fn parse(text: &[u8]) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with(b"#"));
        Self(lines.filter_map(gix_glob::parse).collect())
    }

    /// Whether `path` or a directory above it is chosen by the last pattern that says something about it.
    pub(super) fn choose(&self, path: &BStr) -> bool {
        let mut end = path.len();
        let mut is_directory = false;
        while let Some(part) = path.get(..end) {
            if let Some(verdict) = self.verdict(part.as_bstr(), is_directory) {
                return verdict;
            }
            let Some(slash) = part.rfind_byte(b'/') else { return false };
            end = slash;
            is_directory = true;
        }
        false
    }

    fn verdict(&self, path: &BStr, is_directory: bool) -> Option<bool> {
        let basename = path.rfind_byte(b'/').map(|slash| slash + 1);
        let mode = gix_glob::wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
        let matches = |pattern: &&gix_glob::Pattern| {
            let case = gix_glob::pattern::Case::Sensitive;
            pattern.matches_repo_relative_path(path, basename, Some(is_directory), case, mode)
        };
        let last = self.0.iter().rev().find(matches)?;
        Some(!last.mode.contains(gix_glob::pattern::Mode::NEGATIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_on_the_nearest_path_decides() {
        let patterns = Patterns::parse(b"# comment\n/*\n!/*/\n/src/\n!*.o\n");
        for (path, chosen) in [
            ("README", true),
            ("docs/a", false),
            ("src/a.c", true),
            ("src/deep/a.c", true),
            ("src/a.o", false),
            ("a.o", false),
        ] {
            assert_eq!(patterns.choose(path.into()), chosen, "{path}");
        }
        assert!(!Patterns::parse(b"").choose("a".into()));
    }

    #[test]
    fn a_combination_keeps_what_all_of_it_keep() {
        let filter = Filter::Any(vec![Filter::BlobNone, Filter::TreeDepth(2)]);
        assert!(filter.enters(1) && !filter.enters(2));
        assert!(filter.minds_depth() && !filter.minds_path());
        assert!(filter.keeps_commits() && filter.keeps_trees());
        assert!(!Filter::ObjectType(Kind::Tree).keeps_commits());
        assert!(!Filter::ObjectType(Kind::Commit).enters(0));
    }
}
