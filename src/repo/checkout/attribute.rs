//! The attributes of paths, gitattributes(5).

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_attributes::glob::pattern::Case;
use gix_attributes::search::{MetadataCollection, Outcome};
use gix_attributes::{Search, StateRef};
use gix_filter::eol::{self, AttributesDigest};
use gix_hash::ObjectId;
use gix_object::FindExt;

use super::index::{Entry, Mode};
use super::{Options, Source};
use crate::repo::Error;
use crate::repo::object::Objects;

/// What the attributes of a path ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `ident`.
    pub ident: bool,
    /// `text`, `crlf` and `eol`; `None` leaves it to the configuration.
    pub line_ending: Option<AttributesDigest>,
    /// `working-tree-encoding`.
    pub encoding: Option<BString>,
    /// `filter`.
    pub driver: Option<BString>,
}

/// The attributes of paths, from the `.gitattributes` of a [`Source`].
///
/// gix-worktree has such a stack too, but ranks `info/attributes` below the files of subdirectories.
pub struct Attributes {
    /// The built-in, the system's and the user's.
    global: Search,
    /// Those of the directories on the way to the current one.
    nested: Search,
    /// `info/attributes`, which overrules all.
    info: Search,
    names: MetadataCollection,
    case: Case,
    /// Directories with a `.gitattributes`, and its blob.
    files: BTreeMap<BString, ObjectId>,
    /// The work tree, if its files count, and whether they come first.
    work_tree: Option<(PathBuf, bool)>,
    /// Directories that were found to have no file.
    without: HashSet<BString>,
    /// The directories whose file is in `nested`, from the top down.
    open: Vec<BString>,
    /// Whether any file outside of the tree was read.
    has_outer: bool,
    /// Room for the attributes of one path.
    found: Outcome,
}

impl Attributes {
    /// Reads the files outside of the tree, and notes which of `entries` are those in it.
    pub fn new(options: &Options, entries: &[Entry], source: Source<'_>) -> Result<Self, Error> {
        let failure = |source| Error::Io { action: "unable to read", path: "gitattributes".into(), source };
        let mut names = MetadataCollection::default();
        let mut buffer = Vec::new();
        let outer = &options.attributes_files;
        let global = Search::new_globals(outer.iter(), &mut buffer, &mut names).map_err(failure)?;
        let mut info = Search::default();
        let has_info = match &options.info_attributes {
            Some(path) => info
                .add_patterns_file(path.clone(), true, None, &mut buffer, &mut names, true)
                .map_err(failure)?,
            None => false,
        };
        let case = if options.ignore_case { Case::Fold } else { Case::Sensitive };
        let has_outer = has_info || global.num_pattern_lists() > 1;
        let files = entries.iter().filter_map(attributes_of).collect();
        let mut found = Outcome::default();
        found.initialize_with_selection(&names, SELECTED);
        let work_tree = match source {
            Source::Tree => None,
            Source::TreeThenFiles(top) => Some((top.to_owned(), false)),
            Source::FilesThenTree(top) => Some((top.to_owned(), true)),
        };
        let (nested, open, without) = (Search::default(), Vec::new(), HashSet::new());
        Ok(Self { global, nested, info, names, case, files, work_tree, without, open, has_outer, found })
    }

    /// Whether no path can have an attribute.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.has_outer && self.work_tree.is_none()
    }

    /// Reads the files on the way to `path`, and forgets those that are not on it.
    pub fn enter(&mut self, objects: &Objects, path: &BStr) -> Result<(), Error> {
        while self.open.last().is_some_and(|directory| !contains(directory.as_bstr(), path)) {
            self.open.pop();
            drop(self.nested.pop_pattern_list());
        }
        let depth = self.open.last().map(|directory| directory.len());
        let ends = std::iter::once(0).chain(path.find_iter(b"/"));
        for directory in
            ends.filter(|end| depth.is_none_or(|depth| *end > depth)).filter_map(|end| path.get(..end))
        {
            let directory = directory.as_bstr();
            let has_one = self.work_tree.is_some() || self.files.contains_key(directory);
            if !has_one || self.without.contains(directory) {
                continue;
            }
            match self.content(objects, directory)? {
                Some(content) => self.open(directory.to_owned(), &content)?,
                None => drop(self.without.insert(directory.to_owned())),
            }
        }
        Ok(())
    }

    /// The attributes of `directory`; `None` if it has none.
    fn content(&self, objects: &Objects, directory: &BStr) -> Result<Option<Vec<u8>>, Error> {
        let Some((top, is_first)) = &self.work_tree else { return self.of_tree(objects, directory) };
        let of_work_tree = || {
            let path = top.join(directory.to_path_lossy()).join(".gitattributes");
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            // one that cannot be read has no say
            if is_file { fs::read(&path).ok() } else { None }
        };
        if *is_first {
            return of_work_tree()
                .map_or_else(|| self.of_tree(objects, directory), |content| Ok(Some(content)));
        }
        Ok(self.of_tree(objects, directory)?.or_else(of_work_tree))
    }

    /// The attributes of `directory` in the tree.
    fn of_tree(&self, objects: &Objects, directory: &BStr) -> Result<Option<Vec<u8>>, Error> {
        let Some(id) = self.files.get(directory) else { return Ok(None) };
        let name = directory.to_path_lossy().join(".gitattributes");
        let mut buffer = Vec::new();
        match objects.find_blob(id, &mut buffer) {
            // git takes a byte order mark from files alone: here it is a part of the first pattern
            Ok(blob) if blob.data.starts_with(BYTE_ORDER_MARK) => Ok(Some([b"\n", blob.data].concat())),
            Ok(blob) => Ok(Some(blob.data.to_vec())),
            Err(_) => Err(super::unreadable(name.as_os_str().as_encoded_bytes().as_bstr(), id)),
        }
    }

    /// Puts the attributes of `directory` on top.
    fn open(&mut self, directory: BString, content: &[u8]) -> Result<(), Error> {
        let is_top = directory.is_empty();
        // A file that git finds too large has no say. Macros can be defined at the top only.
        let content = if content.len() > FILE_BYTES_MAX { &[] } else { content };
        let source = directory.to_path_lossy().join(".gitattributes");
        let failure = |error| Error::Io { action: "unable to read", path: source.clone(), source: error };
        let (root, names) = (Some(Path::new("")), &mut self.names);
        self.nested.add_patterns_buffer(content, source.clone(), root, names, is_top).map_err(failure)?;
        self.open.push(directory);
        Ok(())
    }

    /// What the attributes of `path` ask for; call [`Attributes::enter`] first. In the file nearest to it the last
    /// line that matches counts.
    pub fn wanted(&mut self, path: &BStr) -> Result<Wanted, Error> {
        let found = &mut self.found;
        found.initialize(&self.names);
        for search in [&self.info, &self.nested, &self.global] {
            if found.is_done() {
                break;
            }
            search.pattern_matching_relative_path(path, self.case, Some(false), found);
        }
        let mut wanted = Wanted::default();
        let (mut text, mut crlf, mut eol) = (None, None, None);
        for one in found.iter_selected() {
            let state = one.assignment.state;
            match one.assignment.name.as_str() {
                "text" => text = line_ending(state),
                "crlf" => crlf = line_ending(state),
                "eol" => eol = eol_mode(state),
                "ident" => wanted.ident = state == StateRef::Set,
                "filter" => wanted.driver = value(state),
                "working-tree-encoding" if matches!(state, StateRef::Set | StateRef::Unset) => {
                    return Err(Error::Refused("true/false are no valid working-tree-encodings".to_owned()));
                }
                "working-tree-encoding" => wanted.encoding = value(state),
                _ => {}
            }
        }
        wanted.line_ending = combine(text.or(crlf), eol);
        Ok(wanted)
    }
}

/// The attributes that matter here.
const SELECTED: [&str; 6] = ["text", "crlf", "eol", "ident", "filter", "working-tree-encoding"];

fn value(state: StateRef<'_>) -> Option<BString> {
    match state {
        StateRef::Value(value) => Some(value.as_bstr().to_owned()),
        StateRef::Set | StateRef::Unset | StateRef::Unspecified => None,
    }
}

/// The meaning of `text`, and of `crlf` that was before it.
fn line_ending(state: StateRef<'_>) -> Option<AttributesDigest> {
    match state {
        StateRef::Set => Some(AttributesDigest::Text),
        StateRef::Unset => Some(AttributesDigest::Binary),
        StateRef::Value(value) if value.as_bstr() == "input" => Some(AttributesDigest::TextInput),
        StateRef::Value(value) if value.as_bstr() == "auto" => Some(AttributesDigest::TextAuto),
        StateRef::Value(_) | StateRef::Unspecified => None,
    }
}

fn eol_mode(state: StateRef<'_>) -> Option<eol::Mode> {
    match state {
        StateRef::Value(value) if value.as_bstr() == "lf" => Some(eol::Mode::Lf),
        StateRef::Value(value) if value.as_bstr() == "crlf" => Some(eol::Mode::CrLf),
        StateRef::Set | StateRef::Unset | StateRef::Unspecified | StateRef::Value(_) => None,
    }
}

/// `eol` makes a path text, but for one that is said not to be.
fn combine(text: Option<AttributesDigest>, eol: Option<eol::Mode>) -> Option<AttributesDigest> {
    match (text, eol) {
        (Some(AttributesDigest::Binary), _) | (_, None) => text,
        (Some(AttributesDigest::TextAuto), Some(eol::Mode::Lf)) => Some(AttributesDigest::TextAutoInput),
        (Some(AttributesDigest::TextAuto), Some(eol::Mode::CrLf)) => Some(AttributesDigest::TextAutoCrlf),
        (_, Some(eol::Mode::Lf)) => Some(AttributesDigest::TextInput),
        (_, Some(eol::Mode::CrLf)) => Some(AttributesDigest::TextCrlf),
    }
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// git ignores larger `.gitattributes` files.
const FILE_BYTES_MAX: usize = 100 << 20;

/// The directory that `entry` gives attributes to. A symbolic link gives none.
fn attributes_of(entry: &Entry) -> Option<(BString, ObjectId)> {
    let directory = entry.path.strip_suffix(b".gitattributes")?;
    let is_file = matches!(entry.mode, Mode::File | Mode::Executable);
    let directory = if directory.is_empty() { directory } else { directory.strip_suffix(b"/")? };
    is_file.then(|| (directory.into(), entry.id))
}

/// Whether `path` lies in `directory` or below it.
fn contains(directory: &BStr, path: &BStr) -> bool {
    directory.is_empty() || path.strip_prefix(directory.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
}
