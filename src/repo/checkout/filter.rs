//! From the content of a blob to that of its file: attributes, line endings, encodings, `$Id$` and filter drivers.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_attributes::StateRef;
use gix_attributes::glob::pattern::Case;
use gix_attributes::search::MetadataCollection;
use gix_filter::driver::apply::{Delay, MaybeDelayed};
use gix_filter::driver::{Key, Operation, shutdown};
use gix_filter::pipeline::convert::{ToWorktreeOutcome, to_worktree};
use gix_filter::{Driver, Pipeline, eol};
use gix_hash::ObjectId;
use gix_object::FindExt;

use super::index::{Entry, Mode};
use super::{Options, Place};
use crate::repo::Error;

/// Converts what is written to the work tree.
pub struct Filters {
    pipeline: Pipeline,
    attributes: Attributes,
}

/// What a conversion came to.
pub enum Converted {
    /// The file has the blob's bytes.
    Same,
    /// The file has these bytes.
    Content(Vec<u8>),
    /// A filter process gives the content later.
    Delayed(Key),
}

impl Filters {
    /// The conversions for the files of `entries`; `None` if there can be none, so that no file needs a look.
    pub fn new(place: &Place<'_>, options: &Options, entries: &[Entry]) -> Result<Option<Self>, Error> {
        let attributes = Attributes::new(options, entries)?;
        if attributes.is_empty() && matches!(options.line_endings.auto_crlf, eol::AutoCrlf::Disabled) {
            return Ok(None);
        }
        let pipeline_options = gix_filter::pipeline::Options {
            drivers: options.drivers.clone(),
            eol_config: options.line_endings,
            ..Default::default()
        };
        let mut pipeline = Pipeline::new(gix_default(), place.object_hash, pipeline_options);
        let programs = &mut pipeline.driver_state_mut().context;
        programs.git_dir = Some(absolute(place.git_dir)?);
        programs.worktree_dir = Some(absolute(place.work_tree)?);
        let context = pipeline.driver_context_mut();
        context.ref_name.clone_from(&options.reference);
        context.treeish = options.treeish;
        Ok(Some(Self { pipeline, attributes }))
    }

    /// What the file of `entry`, whose blob is `data`, is to hold.
    pub fn convert(
        &mut self,
        objects: &gix_odb::Handle,
        entry: &Entry,
        data: &[u8],
    ) -> Result<Converted, Error> {
        self.attributes.enter(objects, entry.path.as_bstr())?;
        self.pipeline.driver_context_mut().blob = Some(entry.id);
        let mut driver = None;
        let reason = match self.run(entry, data, &mut driver) {
            Ok(converted) => return Ok(converted),
            Err(reason) => reason,
        };
        let Some(driver) = driver else { return Err(Error::Refused(format!("{}: {reason}", entry.path))) };
        let drivers = std::mem::take(&mut self.pipeline.options_mut().drivers);
        let is_required = drivers.iter().any(|one| one.name == driver && one.required);
        let plain = if is_required { Err(failed(entry, &driver)) } else { Ok(()) };
        let result = plain.and_then(|()| {
            self.run(entry, data, &mut None)
                .map_err(|reason| Error::Refused(format!("{}: {reason}", entry.path)))
        });
        self.pipeline.options_mut().drivers = drivers;
        result
    }

    /// Runs all conversions once; says in `driver` which one the attributes name.
    fn run(&mut self, entry: &Entry, data: &[u8], driver: &mut Option<BString>) -> Result<Converted, String> {
        let attributes = &self.attributes;
        let mut search = |path: &BStr, found: &mut gix_attributes::search::Outcome| {
            attributes.search(path, found);
            *driver = found.iter_selected().find_map(|one| match one.assignment.state {
                StateRef::Value(name) if one.assignment.name.as_str() == "filter" => {
                    Some(name.as_bstr().to_owned())
                }
                _ => None,
            });
        };
        let delay = to_worktree::Options {
            can_delay: Delay::Allow,
            unknown_encoding: to_worktree::UnknownEncoding::Ignore,
        };
        match self.pipeline.convert_to_worktree(data, entry.path.as_bstr(), &mut search, delay) {
            Ok(ToWorktreeOutcome::Unchanged(_)) => Ok(Converted::Same),
            Ok(ToWorktreeOutcome::Buffer(content)) => Ok(Converted::Content(content.to_vec())),
            Ok(ToWorktreeOutcome::Process(MaybeDelayed::Delayed(key))) => Ok(Converted::Delayed(key)),
            Ok(ToWorktreeOutcome::Process(MaybeDelayed::Immediate(mut read))) => {
                read_all(&mut read).map(Converted::Content).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The paths whose content the filter process `key` has ready by now; none once it has no more.
    pub fn ready(&mut self, key: &Key) -> Result<Vec<BString>, Error> {
        self.pipeline
            .driver_state_mut()
            .list_delayed_paths(key)
            .map_err(|error| Error::Refused(error.to_string()))
    }

    /// The content that the filter process `key` held back for `path`.
    pub fn fetch(&mut self, key: &Key, path: &BStr) -> Result<Vec<u8>, Error> {
        let state = self.pipeline.driver_state_mut();
        let content = state
            .fetch_delayed(key, path, Operation::Smudge)
            .map_err(|error| error.to_string())
            .and_then(|mut read| read_all(&mut read).map_err(|error| error.to_string()));
        content.map_err(|reason| Error::Refused(format!("{path}: {reason}")))
    }

    /// Ends the filter processes. How they exit does not matter to git.
    pub fn finish(mut self) {
        drop(self.pipeline.driver_state_mut().shutdown(shutdown::Mode::WaitForProcesses));
    }
}

/// The message for a driver that must succeed and did not.
fn failed(entry: &Entry, driver: &BString) -> Error {
    Error::Refused(format!("{}: smudge filter {driver} failed", entry.path))
}

fn read_all(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.read_to_end(&mut content)?;
    Ok(content)
}

/// An empty value of a type that is not ours to name: its crate is no dependency.
fn gix_default<T: Default>() -> T {
    T::default()
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Io {
        action: "unable to find",
        path: path.to_owned(),
        source,
    })
}

/// The attributes of paths, from the `.gitattributes` of the tree itself, as git does it while nothing is checked out.
///
/// gix-worktree has such a stack too, but ranks `info/attributes` below the files of subdirectories.
struct Attributes {
    /// The built-in, the system's and the user's.
    global: gix_attributes::Search,
    /// Those of the directories on the way to the current one.
    nested: gix_attributes::Search,
    /// `info/attributes`, which overrules all.
    info: gix_attributes::Search,
    names: MetadataCollection,
    case: Case,
    /// Directories with a `.gitattributes`, and its blob.
    files: BTreeMap<BString, ObjectId>,
    /// The directories whose file is in `nested`, from the top down.
    open: Vec<BString>,
    /// Whether any file outside of the tree was read.
    has_outer: bool,
}

impl Attributes {
    fn new(options: &Options, entries: &[Entry]) -> Result<Self, Error> {
        let failure = |source| Error::Io { action: "unable to read", path: "gitattributes".into(), source };
        let mut names = MetadataCollection::default();
        let mut buffer = Vec::new();
        let outer = &options.attributes_files;
        let global =
            gix_attributes::Search::new_globals(outer.iter(), &mut buffer, &mut names).map_err(failure)?;
        let mut info = gix_attributes::Search::default();
        let has_info = match &options.info_attributes {
            Some(path) => info
                .add_patterns_file(path.clone(), true, None, &mut buffer, &mut names, true)
                .map_err(failure)?,
            None => false,
        };
        let case = if options.ignore_case { Case::Fold } else { Case::Sensitive };
        let has_outer = has_info || global.num_pattern_lists() > 1;
        let files = entries.iter().filter_map(attributes_of).collect();
        Ok(Self {
            global,
            nested: gix_attributes::Search::default(),
            info,
            names,
            case,
            files,
            open: Vec::new(),
            has_outer,
        })
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.has_outer
    }

    /// Reads the files on the way to `path`, and forgets those that are not on it.
    fn enter(&mut self, objects: &gix_odb::Handle, path: &BStr) -> Result<(), Error> {
        while self.open.last().is_some_and(|directory| !contains(directory.as_bstr(), path)) {
            self.open.pop();
            drop(self.nested.pop_pattern_list());
        }
        let depth = self.open.last().map(|directory| directory.len());
        let ends = std::iter::once(0).chain(path.find_iter(b"/"));
        for directory in
            ends.filter(|end| depth.is_none_or(|depth| *end > depth)).filter_map(|end| path.get(..end))
        {
            let Some(id) = self.files.get(directory.as_bstr()) else { continue };
            self.read(objects, directory.into(), *id)?;
        }
        Ok(())
    }

    /// Puts the file `id` of `directory` on top.
    fn read(&mut self, objects: &gix_odb::Handle, directory: BString, id: ObjectId) -> Result<(), Error> {
        let is_top = directory.is_empty();
        let name = if is_top { ".gitattributes".into() } else { format!("{directory}/.gitattributes") };
        let mut buffer = Vec::new();
        let blob = objects
            .find_blob(&id, &mut buffer)
            .map_err(|_| super::unreadable(name.as_bytes().as_bstr(), &id))?;
        // A file that git finds too large has no say. Macros can be defined at the top only.
        let content = if blob.data.len() > FILE_BYTES_MAX { &[] } else { blob.data };
        let failure = |source| Error::Io { action: "unable to read", path: (&name).into(), source };
        let source = directory.to_path_lossy().join(".gitattributes");
        let root = Some(Path::new(""));
        self.nested.add_patterns_buffer(content, source, root, &mut self.names, is_top).map_err(failure)?;
        self.open.push(directory);
        Ok(())
    }

    /// Finds what holds for `path`: the last match in the file nearest to it.
    fn search(&self, path: &BStr, found: &mut gix_attributes::search::Outcome) {
        found.initialize(&self.names);
        for search in [&self.info, &self.nested, &self.global] {
            search.pattern_matching_relative_path(path, self.case, Some(false), found);
            if found.is_done() {
                return;
            }
        }
    }
}

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

/// A filter driver of the configuration, `filter.<name>.*`, with no program yet.
pub fn driver(name: BString) -> Driver {
    Driver { name, clean: None, smudge: None, process: None, required: false }
}
