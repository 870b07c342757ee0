//! From the content of a blob to that of its file, and back: `$Id$`, line endings, encodings and filter drivers.
//!
//! gix-filter converts line endings and takes ids out of `$Id$`. What it puts in lacks the blank before the dollar sign, what
//! it calls UTF-16 is UTF-8, and its drivers speak a protocol that lacks line feeds: `convert`, `driver` and `process` are
//! ours.

use bstr::{BString, ByteSlice};
use gix_filter::eol;

use super::attribute::{Attributes, Wanted};
use super::convert;
use super::driver::{Direction, Driver, Filtered, Job, Programs, complain};
use super::index::Entry;
use super::{Options, Source};
use crate::progress::Progress;
use crate::repo::Error;
use crate::repo::object::Objects;

/// Converts what is written to the work tree.
pub struct Filters {
    attributes: Attributes,
    line_endings: eol::Configuration,
    drivers: Vec<Driver>,
    programs: Programs,
    reference: Option<BString>,
    treeish: Option<gix_hash::ObjectId>,
}

/// What a conversion came to.
pub enum Converted {
    /// The file has the blob's bytes.
    Same,
    /// The file has these bytes.
    Content(Vec<u8>),
    /// The filter process that this command line names gives the content later.
    Delayed(BString),
}

impl Filters {
    /// The conversions for the files of `entries`; `None` if there can be none, so that no file needs a look. The attributes
    /// are from `source`.
    pub fn new(options: &Options, entries: &[Entry], source: Source<'_>) -> Result<Option<Self>, Error> {
        let attributes = Attributes::new(options, entries, source)?;
        if attributes.is_empty() && matches!(options.line_endings.auto_crlf, eol::AutoCrlf::Disabled) {
            return Ok(None);
        }
        Ok(Some(Self {
            attributes,
            line_endings: options.line_endings,
            drivers: options.drivers.clone(),
            programs: Programs::new(options.surroundings.clone()),
            reference: options.reference.clone(),
            treeish: options.treeish,
        }))
    }

    /// What is wanted of the file of `entry`.
    pub fn wanted(&mut self, objects: &Objects, entry: &Entry) -> Result<Wanted, Error> {
        self.attributes.enter(objects, entry.path.as_bstr())?;
        self.attributes.wanted(entry.path.as_bstr())
    }

    /// Whether a file of which `wanted` is wanted holds the bytes of its blob, whatever they are.
    pub fn keeps_all(&self, wanted: &Wanted) -> bool {
        let has_line_endings = match wanted.line_ending {
            None => !matches!(self.line_endings.auto_crlf, eol::AutoCrlf::Disabled),
            Some(digest) => digest != eol::AttributesDigest::Binary,
        };
        !has_line_endings && wanted.driver.is_none() && wanted.encoding.is_none() && !wanted.ident
    }

    /// Whether a driver has a say in a file of which `wanted` is wanted.
    pub fn has_driver(&self, wanted: &Wanted) -> bool {
        named(&self.drivers, wanted).is_some()
    }

    /// What the file of `entry`, whose blob is `data`, is to hold.
    pub fn convert(
        &mut self,
        wanted: &Wanted,
        entry: &Entry,
        data: &[u8],
        progress: &mut dyn Progress,
    ) -> Result<Converted, Error> {
        let built_in = self.built_in(entry, data, wanted, progress)?;
        let from = built_in.as_deref().unwrap_or(data);
        let filtered = self.smudge(wanted, entry, from, true, progress)?;
        Ok(filtered.unwrap_or_else(|| built_in.map_or(Converted::Same, Converted::Content)))
    }

    /// The content of a file that a filter process held back. It is empty where the process has none after all and the driver
    /// is not required, as in git 2.47.3.
    pub fn fetch(
        &mut self,
        objects: &Objects,
        entry: &Entry,
        progress: &mut dyn Progress,
    ) -> Result<Vec<u8>, Error> {
        let wanted = self.wanted(objects, entry)?;
        match self.smudge(&wanted, entry, b"", false, progress)? {
            Some(Converted::Content(content)) => Ok(content),
            Some(Converted::Same | Converted::Delayed(_)) | None => Ok(Vec::new()),
        }
    }

    /// The paths that the filter process `command` has ready by now, none once it has no more; `None` if it does not say.
    pub fn ready(
        &mut self,
        command: &BString,
        progress: &mut dyn Progress,
    ) -> Result<Option<Vec<BString>>, Error> {
        self.programs.ready(command, progress)
    }

    /// What the blob of `entry` would be if its file, which holds `content`, were added.
    pub fn clean(
        &mut self,
        objects: &Objects,
        entry: &Entry,
        mut content: Vec<u8>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<u8>, Error> {
        let wanted = self.wanted(objects, entry)?;
        if let Some(driver) = named(&self.drivers, &wanted) {
            let job = Job {
                direction: Direction::Clean,
                path: entry.path.as_bstr(),
                reference: None,
                treeish: None,
                blob: None,
                can_delay: false,
            };
            match self.programs.apply(driver, &job, &content, progress)? {
                Filtered::Content(cleaned) => content = cleaned,
                Filtered::Delayed(_) | Filtered::Failed if driver.required => {
                    let text = format!("{}: clean filter '{}' failed", entry.path, driver.name);
                    return Err(Error::Refused(text));
                }
                Filtered::Delayed(_) | Filtered::Failed => {}
            }
        }
        if let Some(encoding) = wanted.encoding.as_ref().map(|label| label.as_bstr()) {
            if let Some(decoded) = convert::decode(&content, encoding) {
                content = decoded;
            } else {
                complain(progress, &format!("failed to encode '{}' from {encoding} to UTF-8", entry.path))?;
            }
        }
        let line_ending = wanted.line_ending.unwrap_or_else(|| self.line_endings.auto_crlf.into());
        convert::to_git(objects, entry, content, line_ending, self.line_endings, wanted.ident)
    }

    /// Ends the filter processes. How they exit does not matter to git, but for signals.
    pub fn finish(self, progress: &mut dyn Progress) -> Result<(), Error> {
        self.programs.finish(progress)
    }

    /// What the driver that is `wanted` makes of `data`; `None` if it makes nothing of it and need not.
    fn smudge(
        &mut self,
        wanted: &Wanted,
        entry: &Entry,
        data: &[u8],
        can_delay: bool,
        progress: &mut dyn Progress,
    ) -> Result<Option<Converted>, Error> {
        let Some(driver) = named(&self.drivers, wanted) else { return Ok(None) };
        let job = Job {
            direction: Direction::Smudge,
            path: entry.path.as_bstr(),
            reference: self.reference.as_ref().map(AsRef::as_ref),
            treeish: self.treeish,
            blob: Some(entry.id),
            can_delay,
        };
        match self.programs.apply(driver, &job, data, progress)? {
            Filtered::Content(content) => Ok(Some(Converted::Content(content))),
            Filtered::Delayed(command) => Ok(Some(Converted::Delayed(command))),
            Filtered::Failed if driver.required => {
                Err(Error::Refused(format!("{}: smudge filter {} failed", entry.path, driver.name)))
            }
            Filtered::Failed => Ok(None),
        }
    }

    /// Does what needs no program; `None` if that changes nothing.
    fn built_in(
        &self,
        entry: &Entry,
        data: &[u8],
        wanted: &Wanted,
        progress: &mut dyn Progress,
    ) -> Result<Option<Vec<u8>>, Error> {
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
        let Some(encoding) = wanted.encoding.as_ref().map(|label| label.as_bstr()) else {
            return Ok(content);
        };
        let from = content.as_deref().unwrap_or(data);
        if from.is_empty() || convert::is_utf8(encoding) {
            return Ok(content);
        }
        let encoded = convert::encode(from, encoding);
        if encoded.is_none() {
            complain(progress, &format!("failed to encode '{}' from UTF-8 to {encoding}", entry.path))?;
        }
        Ok(encoded.or(content))
    }
}

/// The one of `drivers` that `wanted` names.
fn named<'a>(drivers: &'a [Driver], wanted: &Wanted) -> Option<&'a Driver> {
    let name = wanted.driver.as_ref()?;
    drivers.iter().find(|driver| driver.name == *name)
}
