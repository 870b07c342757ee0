//! Which files the user can do without: gitignore(5).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_glob::pattern::Case;
use gix_ignore::Search;
use gix_ignore::search::Ignore;

use super::Options;

/// The patterns that hold in a work tree.
pub(super) struct Excludes<'a> {
    top: &'a Path,
    case: Case,
    /// The user's and the repository's.
    outer: Search,
    /// Those of directories that were asked about; none where there is no `.gitignore`.
    nested: BTreeMap<BString, Search>,
}

impl<'a> Excludes<'a> {
    /// Reads the files outside of the work tree `top`; `None` if nothing is to count as ignored.
    pub(super) fn new(top: &'a Path, options: &Options) -> Option<Self> {
        let mut outer = Search::default();
        for file in options.exclude_files.as_ref()? {
            // one that cannot be read has no say
            if let Ok(content) = fs::read(top.join(file)) {
                add(&mut outer, &content, file, None);
            }
        }
        let case = if options.ignore_case { Case::Fold } else { Case::Sensitive };
        Some(Self { top, case, outer, nested: BTreeMap::new() })
    }

    /// Whether `path` is ignored, or a directory that it is in.
    pub(super) fn is_ignored(&mut self, path: &BStr, is_directory: bool) -> bool {
        let above = path.find_iter(b"/").filter_map(|end| path.get(..end));
        let mut parts = above.map(|part| (part.as_bstr(), true)).chain([(path, is_directory)]);
        parts.any(|(part, is_directory)| self.is_excluded(part, is_directory))
    }

    /// What the patterns say of `path` itself: of the file nearest to it, the last that matches.
    fn is_excluded(&mut self, path: &BStr, is_directory: bool) -> bool {
        let case = self.case;
        let mut rest = path;
        loop {
            let directory = rest.rfind_byte(b'/').and_then(|end| rest.get(..end)).unwrap_or_default();
            let found =
                self.of(directory.as_bstr()).pattern_matching_relative_path(path, Some(is_directory), case);
            if let Some(found) = found {
                return !found.pattern.is_negative();
            }
            if directory.is_empty() {
                break;
            }
            rest = directory.as_bstr();
        }
        let found = self.outer.pattern_matching_relative_path(path, Some(is_directory), case);
        found.is_some_and(|found| !found.pattern.is_negative())
    }

    /// The patterns of the `.gitignore` in `directory`. A symbolic link has none.
    fn of(&mut self, directory: &BStr) -> &Search {
        let top = self.top;
        self.nested.entry(directory.to_owned()).or_insert_with(|| {
            let name = directory.to_path_lossy().join(".gitignore");
            let path = top.join(&name);
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            let mut search = Search::default();
            if let Some(content) = is_file.then(|| fs::read(&path).ok()).flatten() {
                add(&mut search, &content, &name, Some(Path::new("")));
            }
            search
        })
    }
}

/// Adds the patterns in `content`, the file `name`; they hold below its directory if `root` is given.
fn add(search: &mut Search, content: &[u8], name: &Path, root: Option<&Path>) {
    let without_precious = Ignore { support_precious: false };
    // nothing but a name that is no path on this system can fail
    let _added = search.add_patterns_buffer(content, name, root, without_precious);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_decides_and_what_is_below_an_ignored_directory_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        fs::create_dir_all(top.join("sub/kept")).unwrap();
        for (name, text) in [
            ("user", "*.o\nbuild/\n/top\nsub/x\n"),
            ("info", "!b.o\n# none\n"),
            (".gitignore", "*.log\n!keep.log\nlist\n"),
            ("sub/.gitignore", "!*.log\n/here\n"),
            ("sub/kept/.gitignore", "\u{feff}here\n"),
        ] {
            fs::write(top.join(name), text).unwrap();
        }
        let exclude_files = Some(vec!["user".into(), top.join("info"), "nosuch".into()]);
        let mut excludes = Excludes::new(top, &Options { exclude_files, ..Options::default() }).unwrap();
        for (path, is_directory, is_ignored) in [
            ("a.o", false, true),
            ("b.o", false, false),
            ("sub/b.o", false, false),
            ("build", false, false),
            ("build", true, true),
            ("build/keep.log", false, true),
            ("sub/build/x", false, true),
            ("top", false, true),
            ("sub/top", false, false),
            ("sub/x", false, true),
            ("sub/sub/x", false, false),
            ("a.log", false, true),
            ("keep.log", false, false),
            ("sub/a.log", false, false),
            ("sub/list/b.o", false, true),
            ("sub/here", false, true),
            ("sub/kept/here", false, true),
            ("here", false, false),
            ("# none", false, false),
        ] {
            assert_eq!(excludes.is_ignored(path.into(), is_directory), is_ignored, "{path}");
        }
        assert!(Excludes::new(top, &Options::default()).is_none());
    }
}
