//! Values that git refuses as soon as it reads its configuration, or an index: of section `core`, `push.default`, and of those about
//! the index: git-config(1).

use std::ops::RangeInclusive;

use bstr::{BStr, ByteSlice};

use super::value::{boolean, integer};
use super::{Config, Entry, Error};

/// What is true or false.
const BOOLEANS: [&str; 12] = [
    "bare",
    "filemode",
    "ignorecase",
    "precomposeunicode",
    "prefersymlinkrefs",
    "preloadindex",
    "protecthfs",
    "protectntfs",
    "quotepath",
    "sparsecheckout",
    "symlinks",
    "trustctime",
];

/// What is a number of bytes.
const SIZES: [&str; 4] = ["bigfilethreshold", "deltabasecachelimit", "packedgitlimit", "packedgitwindowsize"];

/// What only those look at who read or write refs.
const OF_REFS: [&str; 2] = ["logallrefupdates", "prefersymlinkrefs"];

/// The shortest abbreviation of an id: git-config(1), `core.abbrev`.
const ABBREVIATION_MIN: i32 = 4;

/// zlib's levels of compression, and its choice: git-config(1), `core.compression`.
const LEVELS: RangeInclusive<i32> = -1..=9;

/// The values of `push.default`: git-config(1). `tracking` is an old name of `upstream`.
const PUSH_DEFAULTS: [&str; 6] = ["nothing", "current", "upstream", "tracking", "simple", "matching"];

impl Config {
    /// Refuses part of what git refuses as soon as it reads its configuration: what would otherwise be noticed in a checkout, or not
    /// at all.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] or [`Error::ConfigEntry`] in git's words.
    pub fn check_core(&self) -> Result<(), Error> {
        self.check_core_but(&[])
    }

    /// As [`Self::check_core`], for a command that does not look at how refs are written.
    ///
    /// # Errors
    ///
    /// Those of [`Self::check_core`].
    pub fn check_core_without_refs(&self) -> Result<(), Error> {
        self.check_core_but(&OF_REFS)
    }

    fn check_core_but(&self, left_out: &[&str]) -> Result<(), Error> {
        let is_meant = |entry: &&Entry| {
            entry.section == "core" && entry.subsection.is_none() && !left_out.contains(&entry.name.as_str())
        };
        for entry in self.entries.iter().filter(is_meant) {
            if check_number(entry)? {
                continue;
            }
            // one without a value is true, or refused elsewhere
            let Some(value) = &entry.value else { continue };
            let is_one_of =
                |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
            let words: &[&str] = match entry.name.as_str() {
                "autocrlf" => &["input"],
                "safecrlf" => &["warn"],
                "checkstat" if is_one_of(&["default", "minimal"]) => continue,
                "checkstat" => {
                    let reason = format!("invalid value for 'core.checkstat': '{value}'");
                    return Err(Error::ConfigEntry { reason, message: entry.refusal() });
                }
                "logallrefupdates" => &["always"],
                name if BOOLEANS.contains(&name) => &[],
                _ => continue,
            };
            if !is_one_of(words) && boolean(value.as_bstr()).is_none() {
                let text = format!("bad boolean config value '{value}' for 'core.{}'", entry.name);
                return Err(Error::Config(text));
            }
        }
        self.check_push_default()
    }

    /// Refuses what git refuses as soon as it reads an index.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] in git's words.
    pub fn check_index(&self) -> Result<(), Error> {
        for key in ["feature.manyFiles", "index.skipHash"] {
            self.boolean(key)?;
        }
        self.small_integer("index.version").map(drop)
    }

    /// Refuses the first definition of `push.default` that says nothing, also if a later one holds.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigEntry`] in git's words, with the place.
    pub fn check_push_default(&self) -> Result<(), Error> {
        for entry in self.all("push.default") {
            let Some(value) = &entry.value else { return Err(entry.stands_alone()) };
            if !PUSH_DEFAULTS.iter().any(|known| value == known) {
                let reason = format!(
                    "malformed value for push.default: {value}\n\
                     error: must be one of nothing, matching, simple, upstream or current"
                );
                return Err(Error::ConfigEntry { reason, message: entry.refusal() });
            }
        }
        Ok(())
    }
}

/// Refuses a number that git cannot keep, or has no use for; tells whether a number is what the entry has.
fn check_number(entry: &Entry) -> Result<bool, Error> {
    match entry.name.as_str() {
        "maxtreedepth" => entry.small_integer().map(drop)?,
        "compression" | "loosecompression" => {
            let level = entry.small_integer()?;
            if !LEVELS.contains(&level) {
                return Err(Error::Config(format!("bad zlib compression level {level}")));
            }
        }
        "abbrev" => check_abbreviation(entry)?,
        name if SIZES.contains(&name) => check_size(entry)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Refuses what is no number of bytes.
fn check_size(entry: &Entry) -> Result<(), Error> {
    let value = entry.value.as_ref().map_or(BStr::new(""), |value| value.as_bstr());
    let size = if value.contains(&b'-') { Err("invalid unit") } else { integer(value) };
    size.map(drop).map_err(|reason| entry.no_number(reason))
}

/// Refuses what is no length of an abbreviation, and says neither that git finds one nor that nothing is abbreviated.
fn check_abbreviation(entry: &Entry) -> Result<(), Error> {
    let Some(value) = &entry.value else { return Err(entry.stands_alone()) };
    let is_word = value.eq_ignore_ascii_case(b"auto")
        || (boolean(value.as_bstr()) == Some(false) && integer(value.as_bstr()).is_err());
    if is_word {
        return Ok(());
    }
    let length = entry.small_integer()?;
    if length < ABBREVIATION_MIN {
        let reason = format!("abbrev length out of range: {length}");
        return Err(Error::ConfigEntry { reason, message: entry.refusal() });
    }
    Ok(())
}
