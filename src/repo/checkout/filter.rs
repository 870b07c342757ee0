//! From the content of a blob to that of its file: `$Id$`, line endings, encodings and filter drivers.
//!
//! gix-filter runs the drivers and converts line endings; its `$Id$` lacks the blank before the dollar sign, and what it
//! calls UTF-16 is UTF-8.

use std::io::Read;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_filter::driver::apply::{Context, Delay, MaybeDelayed};
use gix_filter::driver::{Key, Operation, State, shutdown};
use gix_filter::{Driver, eol};

use super::attribute::{Attributes, Wanted};
use super::convert;
use super::index::Entry;
use super::{Options, Place};
use crate::repo::Error;

/// Converts what is written to the work tree.
pub struct Filters {
    attributes: Attributes,
    line_endings: eol::Configuration,
    drivers: Vec<Driver>,
    processes: State,
    reference: Option<BString>,
    treeish: Option<gix_hash::ObjectId>,
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
        let mut processes = State::default();
        processes.context.git_dir = Some(absolute(place.git_dir)?);
        processes.context.worktree_dir = Some(absolute(place.work_tree)?);
        Ok(Some(Self {
            attributes,
            line_endings: options.line_endings,
            drivers: options.drivers.clone(),
            processes,
            reference: options.reference.clone(),
            treeish: options.treeish,
        }))
    }

    /// Whether the file of `entry` is to hold the bytes of its blob, whatever they are.
    pub fn keeps_all(&mut self, objects: &gix_odb::Handle, entry: &Entry) -> Result<bool, Error> {
        self.attributes.enter(objects, entry.path.as_bstr())?;
        let wanted = self.attributes.wanted(entry.path.as_bstr())?;
        let has_line_endings = match wanted.line_ending {
            None => !matches!(self.line_endings.auto_crlf, eol::AutoCrlf::Disabled),
            Some(digest) => digest != eol::AttributesDigest::Binary,
        };
        let is_filtered = wanted.driver.is_some() || wanted.encoding.is_some();
        Ok(!has_line_endings && !is_filtered && !wanted.ident)
    }

    /// What the file of `entry`, whose blob is `data`, is to hold.
    pub fn convert(
        &mut self,
        objects: &gix_odb::Handle,
        entry: &Entry,
        data: &[u8],
    ) -> Result<Converted, Error> {
        self.attributes.enter(objects, entry.path.as_bstr())?;
        let wanted = self.attributes.wanted(entry.path.as_bstr())?;
        let built_in = self.built_in(entry, data, &wanted)?;
        let Some(driver) =
            wanted.driver.and_then(|name| self.drivers.iter().find(|driver| driver.name == name))
        else {
            return Ok(built_in.map_or(Converted::Same, Converted::Content));
        };
        let mut from = built_in.as_deref().unwrap_or(data);
        let about = Context {
            rela_path: entry.path.as_bstr(),
            ref_name: self.reference.as_ref().map(AsRef::as_ref),
            treeish: self.treeish,
            blob: Some(entry.id),
        };
        let result = self.processes.apply_delayed(driver, &mut from, Operation::Smudge, Delay::Allow, about);
        let filtered = match result {
            Ok(None) => return Ok(built_in.map_or(Converted::Same, Converted::Content)),
            Ok(Some(MaybeDelayed::Delayed(key))) => return Ok(Converted::Delayed(key)),
            Ok(Some(MaybeDelayed::Immediate(read))) => read_all(read),
            Err(_) => None,
        };
        match filtered {
            Some(content) => Ok(Converted::Content(content)),
            None if driver.required => {
                Err(Error::Refused(format!("{}: smudge filter {} failed", entry.path, driver.name)))
            }
            None => Ok(built_in.map_or(Converted::Same, Converted::Content)),
        }
    }

    /// Does what needs no program; `None` if that changes nothing.
    fn built_in(&self, entry: &Entry, data: &[u8], wanted: &Wanted) -> Result<Option<Vec<u8>>, Error> {
        let mut content = if wanted.ident { convert::expand_ident(data, &entry.id) } else { None };
        let line_ending = match wanted.line_ending {
            None => self.line_endings.auto_crlf.into(),
            Some(eol::AttributesDigest::Text) => self.line_endings.to_eol().into(),
            Some(other) => other,
        };
        let mut ended = Vec::new();
        let from = content.as_deref().unwrap_or(data);
        let is_changed = eol::convert_to_worktree(from, line_ending, &mut ended, self.line_endings)
            .map_err(|error| Error::Refused(format!("{}: {error}", entry.path)))?;
        if is_changed {
            content = Some(ended);
        }
        let encoding = wanted.encoding.as_ref().map(|label| label.as_bstr());
        let encoded = encoding.and_then(|label| convert::encode(content.as_deref().unwrap_or(data), label));
        Ok(encoded.or(content))
    }

    /// The paths whose content the filter process `key` has ready by now; none once it has no more.
    pub fn ready(&mut self, key: &Key) -> Result<Vec<BString>, Error> {
        self.processes.list_delayed_paths(key).map_err(|error| Error::Refused(error.to_string()))
    }

    /// The content that the filter process `key` held back for `path`.
    pub fn fetch(&mut self, key: &Key, path: &BStr) -> Result<Vec<u8>, Error> {
        let content = match self.processes.fetch_delayed(key, path, Operation::Smudge) {
            Ok(read) => read_all(read),
            Err(_) => None,
        };
        content.ok_or_else(|| Error::Refused(format!("'{path}' was not filtered properly")))
    }

    /// Ends the filter processes. How they exit does not matter to git.
    pub fn finish(mut self) {
        drop(self.processes.shutdown(shutdown::Mode::WaitForProcesses));
    }
}

/// All that a filter says; `None` if it fails.
fn read_all(mut from: impl Read) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    from.read_to_end(&mut content).ok()?;
    Some(content)
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Io {
        action: "unable to find",
        path: path.to_owned(),
        source,
    })
}

/// A filter driver of the configuration, `filter.<name>.*`, with no program yet.
pub fn driver(name: BString) -> Driver {
    Driver { name, clean: None, smudge: None, process: None, required: false }
}
