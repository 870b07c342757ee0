//! What changed between two trees, counted as git's diffstat does: git-diff(1), "--stat" and "--summary".
//!
//! gix-diff compares the trees, finds renames and pairs lines; attributes are those of the work tree.

use std::ops::ControlFlow;

use bstr::{BStr, BString, ByteSlice};
use gix_diff::blob::{Algorithm, Diff, InternedInput, Platform, ResourceKind, pipeline, platform};
use gix_diff::tree_with_rewrites::{Change as Found, Options};
use gix_diff::{Rewrites, tree};
use gix_glob::pattern::Case;
use gix_hash::{ObjectId, oid};
use gix_object::TreeRefIter;
use gix_object::tree::{EntryKind, EntryMode};
use gix_worktree::Stack;
use gix_worktree::stack::State;
use gix_worktree::stack::state::Attributes;
use gix_worktree::stack::state::attributes::Source;

use super::diff_order::DiffOrder;
use super::object::Objects;
use super::{Error, Repository};

/// Files of more bytes than this are told in bytes (`core.bigFileThreshold`).
const BIG_FILE_BYTES: u64 = 512 << 20;

/// `diff.renameLimit` where it is not set.
const RENAME_LIMIT: usize = 1000;

/// One path that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is, or was if it is gone.
    pub path: BString,
    /// Where it was before, and how much of it stayed, in percent.
    pub renamed: Option<(BString, u8)>,
    /// Its mode before, as trees have it; `None` if it is new.
    pub old: Option<u16>,
    /// Its mode now; `None` if it is gone.
    pub new: Option<u16>,
    /// How much changed.
    pub amount: Amount,
}

/// How much of a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Lines of a text.
    Lines {
        /// Only in the new one.
        added: usize,
        /// Only in the old one.
        removed: usize,
    },
    /// The sizes of what is no text, both 0 if nothing changed in it.
    Bytes {
        /// Before.
        old: u64,
        /// Now.
        new: u64,
    },
}

/// A file before or after: where it is, what it is and its object.
type Side<'a> = (&'a BStr, EntryMode, ObjectId);

impl Repository {
    /// The files that differ between the trees `from` and `to`, in the order of `diff.orderFile`, else sorted by path as a tree
    /// is.
    ///
    /// # Errors
    ///
    /// If an object is missing or broken, or a file of attributes cannot be read.
    pub fn diffstat(&self, from: &oid, to: &oid) -> Result<Vec<Change>, Error> {
        let objects = Objects::at(self.objects_dir.clone(), self.object_hash)?;
        let tree = |id: &oid| -> Result<Vec<u8>, Error> {
            let mut buffer = Vec::new();
            let found = gix_object::FindExt::find_tree_iter(&objects, id, &mut buffer);
            found.map(drop).map_err(|error| failed(&error))?;
            Ok(buffer)
        };
        let (old, new) = (tree(from)?, tree(to)?);
        let attributes = self.attributes()?;
        let mut platform = self.diff_platform(attributes.clone())?;
        let mut found = Vec::new();
        gix_diff::tree_with_rewrites(
            TreeRefIter::from_bytes(&old, self.object_hash),
            TreeRefIter::from_bytes(&new, self.object_hash),
            &mut platform,
            &mut tree::State::default(),
            &objects,
            |change| {
                found.push(change.into_owned());
                Ok(ControlFlow::Continue(()))
            },
            Options {
                location: Some(tree::recorder::Location::Path),
                rewrites: Some(Rewrites {
                    limit: self
                        .config
                        .integer("diff.renameLimit")?
                        .map_or(RENAME_LIMIT, |limit| usize::try_from(limit).unwrap_or(0)),
                    track_empty: true,
                    ..Rewrites::default()
                }),
            },
        )
        .map_err(|error| failed(&error))?;
        let mut counter = Counter { objects: &objects, platform, attributes, hash: self.object_hash };
        let mut changes = Vec::new();
        for change in &found {
            counter.platform.clear_resource_cache();
            changes.extend(counter.change(change)?);
        }
        let order = DiffOrder::of(self)?;
        changes.sort_by_cached_key(|change| (order.rank(change.path.as_bstr()), change.path.clone()));
        Ok(changes)
    }

    /// The attributes of the work tree.
    fn attributes(&self) -> Result<Stack, Error> {
        let options = self.checkout_options()?;
        let mut names = gix_attributes::search::MetadataCollection::default();
        let files = options.attributes_files.iter();
        let globals = gix_attributes::Search::new_globals(files, &mut Vec::new(), &mut names)
            .map_err(|source| Error::Io { action: "unable to read", path: "gitattributes".into(), source })?;
        let attributes =
            Attributes::new(globals, options.info_attributes, Source::WorktreeThenIdMapping, names);
        let case = if options.ignore_case { Case::Fold } else { Case::Sensitive };
        let top = self.work_tree.clone().unwrap_or_default();
        Ok(Stack::new(top, State::AttributesStack(attributes), case, Vec::new(), Vec::new()))
    }

    /// What gix-diff reads blobs with.
    #[expect(clippy::default_trait_access, reason = "the type is of a crate that nothing else here names")]
    fn diff_platform(&self, attributes: Stack) -> Result<Platform, Error> {
        let large = self.config.integer("core.bigFileThreshold")?;
        let pipeline = gix_diff::blob::Pipeline::new(
            pipeline::WorktreeRoots::default(),
            gix_filter::Pipeline::new(
                Default::default(),
                self.object_hash,
                gix_filter::pipeline::Options::default(),
            ),
            self.diff_drivers()?,
            pipeline::Options {
                large_file_threshold_bytes: large
                    .map_or(BIG_FILE_BYTES, |bytes| u64::try_from(bytes).unwrap_or(BIG_FILE_BYTES)),
                ..pipeline::Options::default()
            },
        );
        let algorithm = self.config.string("diff.algorithm");
        let algorithm = match algorithm.map(|name| name.to_ascii_lowercase()).as_deref() {
            Some(b"histogram" | b"patience") => Algorithm::Histogram,
            Some(b"minimal") => Algorithm::MyersMinimal,
            Some(_) | None => Algorithm::Myers,
        };
        let options = platform::Options {
            algorithm: Some(algorithm),
            skip_internal_diff_if_external_is_configured: false,
        };
        Ok(Platform::new(options, pipeline, pipeline::Mode::ToGit, attributes))
    }

    /// `diff.<driver>.binary`, for the attribute `diff`.
    fn diff_drivers(&self) -> Result<Vec<gix_diff::blob::Driver>, Error> {
        let mut drivers: Vec<gix_diff::blob::Driver> = Vec::new();
        for (name, key, _) in self.config.section("diff") {
            let Some(name) = name.filter(|_| key == "binary") else { continue };
            let is_binary = self.config.boolean(&format!("diff.{name}.binary"))?;
            drivers.retain(|driver| driver.name != name);
            drivers.push(gix_diff::blob::Driver { name, is_binary, ..gix_diff::blob::Driver::default() });
        }
        Ok(drivers)
    }
}

/// Counts what changed in one file after another.
struct Counter<'a> {
    objects: &'a Objects,
    platform: Platform,
    attributes: Stack,
    hash: gix_hash::Kind,
}

impl Counter<'_> {
    /// What became of one path; `None` for a directory, since its files are told themselves.
    fn change(&mut self, found: &Found) -> Result<Option<Change>, Error> {
        let (old, new, similarity) = sides(found);
        let is_directory = |side: &Option<Side<'_>>| side.is_some_and(|(_, mode, _)| mode.is_tree());
        if is_directory(&old) || is_directory(&new) {
            return Ok(None);
        }
        let Some((path, ..)) = new.or(old) else { return Ok(None) };
        let renamed = match (old, similarity) {
            (Some((from, ..)), Some(percent)) => Some((from.to_owned(), percent)),
            _ => None,
        };
        Ok(Some(Change {
            path: path.to_owned(),
            renamed,
            old: old.map(|(_, mode, _)| mode.value()),
            new: new.map(|(_, mode, _)| mode.value()),
            amount: self.amount(path, old, new)?,
        }))
    }

    /// How much changed from `old` to `new`.
    fn amount(&mut self, path: &BStr, old: Option<Side<'_>>, new: Option<Side<'_>>) -> Result<Amount, Error> {
        let is_commit = |side: Option<Side<'_>>| side.is_some_and(|(_, mode, _)| mode.is_commit());
        if is_commit(old) || is_commit(new) {
            // a submodule is told as one line with its commit
            let lines = |side: Option<Side<'_>>| -> Result<usize, Error> {
                match side {
                    None => Ok(0),
                    Some((_, mode, _)) if mode.is_commit() => Ok(1),
                    Some((_, _, id)) => self.lines(&id),
                }
            };
            return Ok(Amount::Lines { added: lines(new)?, removed: lines(old)? });
        }
        let missing = (path, EntryMode::from(EntryKind::Blob), self.hash.null());
        for (side, kind) in [(old, ResourceKind::OldOrSource), (new, ResourceKind::NewOrDestination)] {
            let (path, mode, id) = side.unwrap_or(missing);
            let set = self.platform.set_resource(id, mode.kind(), path, kind, self.objects);
            set.map_err(|error| failed(&error))?;
        }
        let is_same = old.map(|(.., id)| id) == new.map(|(.., id)| id);
        let prepared = self.platform.prepare_diff().map_err(|error| failed(&error))?;
        match prepared.operation {
            platform::prepare_diff::Operation::InternalDiff { algorithm } => {
                if is_same {
                    return Ok(Amount::Lines { added: 0, removed: 0 });
                }
                let input = InternedInput::new(prepared.old.intern_source(), prepared.new.intern_source());
                Ok(counted(&Diff::compute(algorithm, &input)))
            }
            platform::prepare_diff::Operation::SourceOrDestinationIsBinary
            | platform::prepare_diff::Operation::ExternalCommand { .. } => {
                if is_same {
                    return Ok(Amount::Bytes { old: 0, new: 0 });
                }
                let (before, now) = (len(&prepared.old.data), len(&prepared.new.data));
                if before.max(now) < BIG_FILE_BYTES && self.is_said_to_be_text(path)? {
                    return self.lines_changed(old, new);
                }
                Ok(Amount::Bytes { old: before, new: now })
            }
        }
    }

    /// Whether `path` has the attribute `diff`, which gix-diff takes for none at all.
    fn is_said_to_be_text(&mut self, path: &BStr) -> Result<bool, Error> {
        let mut found = gix_attributes::search::Outcome::default();
        found.initialize_with_selection(&gix_attributes::search::MetadataCollection::default(), ["diff"]);
        let at = self.attributes.at_entry(path, None, self.objects);
        let at = at.map_err(|source| Error::Io {
            action: "unable to read",
            path: "gitattributes".into(),
            source,
        })?;
        at.matching_attributes(&mut found);
        Ok(found.iter_selected().any(|found| found.assignment.state == gix_attributes::StateRef::Set))
    }

    /// How many lines changed, whatever the files look like.
    fn lines_changed(&self, old: Option<Side<'_>>, new: Option<Side<'_>>) -> Result<Amount, Error> {
        let read = |side: Option<Side<'_>>| side.map_or(Ok(Vec::new()), |(.., id)| self.blob(&id));
        let (old, new) = (read(old)?, read(new)?);
        let input = InternedInput::new(old.as_slice(), new.as_slice());
        Ok(counted(&Diff::compute(Algorithm::Myers, &input)))
    }

    /// The lines of a blob.
    fn lines(&self, id: &oid) -> Result<usize, Error> {
        Ok(self.blob(id)?.lines_with_terminator().count())
    }

    /// The bytes of a blob.
    fn blob(&self, id: &oid) -> Result<Vec<u8>, Error> {
        let mut buffer = Vec::new();
        let blob = gix_object::FindExt::find_blob(self.objects, id, &mut buffer);
        blob.map(drop).map_err(|error| failed(&error))?;
        Ok(buffer)
    }
}

/// The file before and after, and how similar both are if its name is another.
fn sides(found: &Found) -> (Option<Side<'_>>, Option<Side<'_>>, Option<u8>) {
    match found {
        Found::Addition { location, entry_mode, id, .. } => {
            (None, Some((location.as_bstr(), *entry_mode, *id)), None)
        }
        Found::Deletion { location, entry_mode, id, .. } => {
            (Some((location.as_bstr(), *entry_mode, *id)), None, None)
        }
        Found::Modification { location, previous_entry_mode, previous_id, entry_mode, id } => (
            Some((location.as_bstr(), *previous_entry_mode, *previous_id)),
            Some((location.as_bstr(), *entry_mode, *id)),
            None,
        ),
        Found::Rewrite {
            source_location,
            source_entry_mode,
            source_id,
            diff,
            entry_mode,
            id,
            location,
            ..
        } => {
            // 100 is kept for what is the same
            let reached =
                |percent: &u8| diff.is_none_or(|lines| lines.similarity * 100.0 >= f32::from(*percent));
            let percent = (0..100).rev().find(reached).unwrap_or(0);
            (
                Some((source_location.as_bstr(), *source_entry_mode, *source_id)),
                Some((location.as_bstr(), *entry_mode, *id)),
                Some(if source_id == id { 100 } else { percent }),
            )
        }
    }
}

/// The lines of a diff.
fn counted(diff: &Diff) -> Amount {
    let count = |lines| usize::try_from(lines).unwrap_or(usize::MAX);
    Amount::Lines { added: count(diff.count_additions()), removed: count(diff.count_removals()) }
}

/// The bytes of a side.
fn len(data: &platform::resource::Data<'_>) -> u64 {
    match data {
        platform::resource::Data::Missing => 0,
        platform::resource::Data::Buffer { buf, .. } => buf.len() as u64,
        platform::resource::Data::Binary { size } => *size,
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Object(error.to_string())
}
