//! What objects that come in are to obey: `transfer.fsckObjects` and its relatives.

use bstr::ByteSlice;
use gix_hash::ObjectId;

use super::{Error, Repository};
use crate::pack::fsck::{RuleError, Rules};

/// What objects that come in are checked for.
#[derive(Debug)]
pub struct FsckSettings {
    /// The rules; an error where a list cannot be read, or a message cannot have the severity that it is given: git-receive-pack
    /// says so once there is something to check.
    pub rules: Result<Option<Rules>, String>,
    /// Messages that are configured and unknown, as another version of git may have them.
    pub unknown: Vec<String>,
}

impl Repository {
    /// The rules for objects that `command` takes in, `fetch` or `receive`; `None` if they are not checked.
    ///
    /// # Errors
    ///
    /// See [`Self::fsck_settings`], and what is wrong with the rules.
    pub fn fsck_rules(&self, command: &str) -> Result<Option<Rules>, Error> {
        if !self.checks_objects(command)? {
            return Ok(None);
        }
        self.fsck_settings(command)?.rules.map_err(Error::Config)
    }

    /// The same, with what is unknown of it. `<command>.fsckObjects` decides, else `transfer.fsckObjects`;
    /// `<command>.fsck.<msg-id>` changes severities, and `<command>.fsck.skipList` names a file of objects that are let through.
    /// git-config(1), "`fsck.<msg-id>`".
    ///
    /// # Errors
    ///
    /// If a severity is none, whether objects are checked or not.
    pub fn fsck_settings(&self, command: &str) -> Result<FsckSettings, Error> {
        let mut rules = Ok(Rules::default());
        let mut unknown = Vec::new();
        for (subsection, name, value) in self.config.section(command) {
            let is_rule = subsection.is_some_and(|subsection| subsection == "fsck") && name != "skiplist";
            let (true, Ok(known)) = (is_rule, &mut rules) else { continue };
            let Some(value) = value else { continue };
            match known.set(name.as_bytes().as_bstr(), value.as_bstr()) {
                Ok(()) => {}
                Err(RuleError::Message(_)) => unknown.push(name.clone()),
                Err(RuleError::Severity(_)) => {
                    return Err(Error::Config(RuleError::Severity(value.clone()).to_string()));
                }
                Err(error) => rules = Err(error.to_string()),
            }
        }
        if let (Ok(known), Some(path)) = (&mut rules, self.config.path(&format!("{command}.fsck.skipList"))?)
        {
            match read_ids(&path) {
                Ok(ids) => known.skip(ids),
                Err(error) => rules = Err(error.to_string()),
            }
        }
        let is_wanted = self.checks_objects(command)?;
        Ok(FsckSettings { rules: if is_wanted { rules.map(Some) } else { Ok(None) }, unknown })
    }

    fn checks_objects(&self, command: &str) -> Result<bool, Error> {
        match self.config.boolean(&format!("{command}.fsckObjects"))? {
            Some(wish) => Ok(wish),
            None => Ok(self.config.boolean("transfer.fsckObjects")?.unwrap_or(false)),
        }
    }
}

/// The ids in the file at `path`: one a line, with comments.
fn read_ids(path: &std::path::Path) -> Result<Vec<ObjectId>, Error> {
    let unreadable = || Error::Config(format!("could not open object name list: {}", path.display()));
    let text = std::fs::read(path).map_err(|_| unreadable())?;
    let mut ids = Vec::new();
    for line in text.lines() {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let bad = |_| Error::Config(format!("invalid object name: {}", line.as_bstr()));
            ids.push(ObjectId::from_hex(line).map_err(bad)?);
        }
    }
    Ok(ids)
}
