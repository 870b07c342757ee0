//! The values of section `core` that git reads before a command begins: git-config(1).

use bstr::ByteSlice;

use super::value::boolean;
use super::{Config, Entry, Error};

/// What is true or false.
const BOOLEANS: [&str; 4] = ["filemode", "ignorecase", "symlinks", "trustctime"];

impl Config {
    /// Refuses the first definition that git refuses as soon as it reads its configuration, and that would otherwise be noticed
    /// in a checkout, or not at all.
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
                name if BOOLEANS.contains(&name) => &[],
                _ => continue,
            };
            if !is_one_of(words) && boolean(value.as_bstr()).is_none() {
                let text = format!("bad boolean config value '{value}' for 'core.{}'", entry.name);
                return Err(Error::Config(text));
            }
        }
        Ok(())
    }
}
