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

/// What is a number.
const NUMBERS: [&str; 7] = [
    "core.bigFileThreshold",
    "core.compression",
    "core.deltaBaseCacheLimit",
    "core.looseCompression",
    "core.maxTreeDepth",
    "core.packedGitLimit",
    "core.packedGitWindowSize",
];

/// The shortest abbreviation of an id: git-config(1), `core.abbrev`.
const ABBREVIATION_MIN: i64 = 4;

/// zlib's levels of compression, and its choice: git-config(1), `core.compression`.
const LEVELS: RangeInclusive<i64> = -1..=9;

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
        let is_of_core = |entry: &&Entry| entry.section == "core" && entry.subsection.is_none();
        for entry in self.entries.iter().filter(is_of_core) {
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
                "abbrev" | "compression" | "loosecompression" => {
                    check_range(entry, value.as_bstr())?;
                    continue;
                }
                name if BOOLEANS.contains(&name) => &[],
                _ => continue,
            };
            if !is_one_of(words) && boolean(value.as_bstr()).is_none() {
                let text = format!("bad boolean config value '{value}' for 'core.{}'", entry.name);
                return Err(Error::Config(text));
            }
        }
        NUMBERS.iter().try_for_each(|key| self.integer(key).map(drop))?;
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
        self.integer("index.version").map(drop)
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

/// Refuses a number that is too small or too large; what is none is for others to judge.
fn check_range(entry: &Entry, value: &BStr) -> Result<(), Error> {
    let Ok(number) = integer(value) else { return Ok(()) };
    if entry.name != "abbrev" {
        let refuse = || Error::Config(format!("bad zlib compression level {number}"));
        return LEVELS.contains(&number).then_some(()).ok_or_else(refuse);
    }
    if i32::try_from(number).is_err() {
        return Err(Error::Config(format!(
            "bad numeric config value '{value}' for 'core.abbrev': out of range"
        )));
    }
    if number < ABBREVIATION_MIN {
        let reason = format!("abbrev length out of range: {number}");
        return Err(Error::ConfigEntry { reason, message: entry.refusal() });
    }
    Ok(())
}
