//! What objects that come in are to obey: `transfer.fsckObjects` and its relatives.

use bstr::ByteSlice;
use gix_hash::ObjectId;

use super::{Error, Repository};
use crate::pack::fsck::{RuleError, Rules};

impl Repository {
    /// The rules for objects that `command` takes in, `fetch` or `receive`; `None` if they are not checked.
    ///
    /// `<command>.fsckObjects` decides, else `transfer.fsckObjects`; `<command>.fsck.<msg-id>` changes severities, and
    /// `<command>.fsck.skipList` names a file of objects that are let through. git-config(1), "`fsck.<msg-id>`".
    pub fn fsck_rules(&self, command: &str) -> Result<Option<Rules>, Error> {
        let own = self.config.boolean(&format!("{command}.fsckObjects"))?;
        let is_wanted = match own {
            Some(wish) => wish,
            None => self.config.boolean("transfer.fsckObjects")?.unwrap_or(false),
        };
        if !is_wanted {
            return Ok(None);
        }
        let mut rules = Rules::default();
        for (subsection, name, value) in self.config.section(command) {
            let is_rule = subsection.is_some_and(|subsection| subsection == "fsck") && name != "skiplist";
            let Some(value) = value.filter(|_| is_rule) else { continue };
            match rules.set(name.as_bytes().as_bstr(), value.as_bstr()) {
                // a message of another version of git
                Ok(()) | Err(RuleError::Message(_)) => {}
                Err(error) => return Err(Error::Config(error.to_string())),
            }
        }
        if let Some(path) = self.config.path(&format!("{command}.fsck.skipList"))? {
            rules.skip(read_ids(&path)?);
        }
        Ok(Some(rules))
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
