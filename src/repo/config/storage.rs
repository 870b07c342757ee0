//! What the configuration says of how files are stored: git-config(1), `core.sharedRepository`, `core.fsync` and
//! `core.looseCompression`.

use bstr::{BStr, ByteSlice};

use super::value::boolean;
use super::{Config, Error};
use crate::storage::{Component, Level, Shared, Storage, Synced};

/// The way to synchronise files that is always taken, whichever of git's is asked for: it is the safest.
const METHODS: [&str; 3] = ["fsync", "writeout-only", "batch"];

impl Config {
    /// How files are stored.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] in git's words if `core.sharedRepository` makes no sense.
    pub fn storage(&self) -> Result<Storage, Error> {
        let shared = match self.last("core.sharedRepository").map(|entry| &entry.value) {
            None => Shared::default(),
            Some(None) => Shared::Group,
            Some(Some(value)) => shared(value.as_bstr())?,
        };
        for key in ["core.fsync", "core.fsyncMethod"] {
            if let Some(entry) = self.last(key).filter(|entry| entry.value.is_none()) {
                return Err(entry.stands_alone());
            }
        }
        let synced = match self.string("core.fsync") {
            Some(value) => Synced::parse(value.as_bstr()).0,
            None if self.boolean("core.fsyncObjectFiles")?.unwrap_or(false) => {
                Synced::default().with(Component::LooseObject)
            }
            None => Synced::default(),
        };
        Ok(Storage { shared, synced, loose_level: self.loose_level() })
    }

    /// `core.looseCompression`, else `core.compression`. Levels that zlib does not have are refused by
    /// [`check_core`](Self::check_core), where git looks at them.
    fn loose_level(&self) -> Level {
        let mut levels = ["core.looseCompression", "core.compression"]
            .into_iter()
            .filter_map(|key| self.integer(key).ok().flatten());
        levels.next().and_then(Level::new).unwrap_or_default()
    }

    /// What git warns of in those values.
    pub fn storage_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(value) = self.string("core.fsync") {
            let (_, unknown) = Synced::parse(value.as_bstr());
            warnings
                .extend(unknown.iter().map(|word| format!("ignoring unknown core.fsync component '{word}'")));
        }
        if let Some(value) =
            self.string("core.fsyncMethod").filter(|value| !METHODS.iter().any(|known| value == known))
        {
            warnings.push(format!("ignoring unknown core.fsyncMethod value '{value}'"));
        }
        if self.string("core.fsyncObjectFiles").is_some() {
            warnings.push("core.fsyncObjectFiles is deprecated; use core.fsync instead".to_owned());
        }
        warnings
    }
}

/// Reads a value of `core.sharedRepository`. Seen in git 2.47.3: what is a whole octal number is one, other numbers are as any
/// boolean value.
fn shared(value: &BStr) -> Result<Shared, Error> {
    match value.as_bytes() {
        b"umask" => return Ok(Shared::Umask),
        b"group" => return Ok(Shared::Group),
        b"all" | b"world" | b"everybody" => return Ok(Shared::Everybody),
        _ => {}
    }
    let octal = value.to_str().ok().and_then(|text| i64::from_str_radix(text, 8).ok());
    match octal {
        None if value.is_empty() => Ok(Shared::Umask),
        Some(0) => Ok(Shared::Umask),
        Some(1) => Ok(Shared::Group),
        Some(2) => Ok(Shared::Everybody),
        Some(mode) if mode & 0o600 == 0o600 => Ok(Shared::Mode(u16::try_from(mode & 0o666).unwrap_or(0o666))),
        Some(mode) => Err(Error::Config(format!(
            "problem with core.sharedRepository filemode value (0{mode:03o}).\n\
             The owner of files must always have read and write permissions."
        ))),
        None => match boolean(value) {
            Some(true) => Ok(Shared::Group),
            Some(false) => Ok(Shared::Umask),
            None => {
                Err(Error::Config(format!("bad boolean config value '{value}' for 'core.sharedrepository'")))
            }
        },
    }
}
