//! `diff.orderFile`: in which order the files of a diff are shown. git-diff(1), "-O".

use bstr::{BStr, BString, ByteSlice};
use gix_glob::wildmatch;
use gix_glob::wildmatch::Mode;

use super::{Error, Repository, system_text};

/// The patterns of such a file: what the first matches comes first, what none matches last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DiffOrder {
    patterns: Vec<BString>,
}

impl DiffOrder {
    /// What the file that `repo` configures says; its path begins at the top of the work tree.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(super) fn of(repo: &Repository) -> Result<Self, Error> {
        let Some(path) = repo.config.path("diff.orderFile")? else { return Ok(Self::default()) };
        let top = repo.work_tree.as_deref().unwrap_or(&repo.git_dir);
        let text = std::fs::read(top.join(&path)).map_err(|source| {
            let reason = system_text(&source);
            Error::Refused(format!("failed to read orderfile '{}': {reason}", path.display()))
        })?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &[u8]) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let pattern = |line: &[u8]| match line.strip_prefix(b"\\#") {
            Some(rest) => BString::from([b"#", rest].concat()),
            None => line.into(),
        };
        Self { patterns: lines.map(pattern).collect() }
    }

    /// Where `path` comes, with all others of the same rank.
    pub(super) fn rank(&self, path: &BStr) -> usize {
        let matches = |pattern: &BString| {
            let mut part = Some(path);
            while let Some(this) = part {
                if wildmatch(pattern.as_bstr(), this, Mode::empty()) {
                    return true;
                }
                part = this.rsplit_once_str("/").map(|(before, _)| before.as_bstr());
            }
            false
        };
        self.patterns.iter().position(matches).unwrap_or(self.patterns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_path_and_what_is_below_it() {
        let order = DiffOrder::parse(b"foo*bar\n\n# comment\n\\#x\n*.c\n");
        let ranks = ["fooasdfbar", "foo/bar/baz/asdf", "#x", "a/b.c", "foobarx", "# comment"];
        assert_eq!(ranks.map(|path| order.rank(path.into())), [0, 0, 1, 2, 3, 3]);
    }
}
