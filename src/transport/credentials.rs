//! What configuration and environment say about credentials: gitcredentials(7).

use bstr::ByteSlice as _;

use super::Settings;
use crate::credential::{Configuration, Entry};

/// What `settings` say about credential helpers and prompts.
pub fn credentials(settings: &dyn Settings) -> Configuration {
    let configured =
        || settings.value("core.askPass").and_then(|value| value.to_os_str().ok().map(Into::into));
    let candidates = [settings.env("GIT_ASKPASS"), configured(), settings.env("SSH_ASKPASS")];
    let prompt = settings.env("GIT_TERMINAL_PROMPT");
    let off = |value: std::ffi::OsString| ["0", "false", "no", "off", ""].iter().any(|word| value == *word);
    let entries = settings.section("credential").into_iter().map(|entry| Entry {
        url: entry.subsection.map(|url| url.to_string()),
        key: entry.key,
        value: entry.value.map(|value| value.to_string()),
    });
    Configuration {
        entries: entries.collect(),
        askpass: candidates.into_iter().flatten().find(|program| !program.is_empty()),
        terminal_disabled: prompt.is_some_and(off),
        environment: settings.environment(),
        warning: None,
    }
}
