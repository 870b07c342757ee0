//! The limits of a server, as a user says them.

use std::ffi::OsStr;

use crate::cmd::{CommandError, Context};
use crate::listen::limit::{Limit, Limits};

/// The limits: what is said on the command line counts for more than the environment.
pub(super) fn limits(said: &[String], context: &Context) -> Result<Limits, CommandError> {
    let mut limits = Limits::default();
    let bad = |name: &str, text: &str| CommandError::fatal(format!("bad value '{text}' for limit '{name}'"));
    for limit in Limit::all() {
        if let Some(text) = context.env.get(&limit.variable()).and_then(OsStr::to_str) {
            limits.set(limit, limit.parse(text).ok_or_else(|| bad(limit.name(), text))?);
        }
    }
    for pair in said {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let limit = Limit::called(name)
            .ok_or_else(|| CommandError::fatal(format!("there is no limit called '{name}'")))?;
        limits.set(limit, limit.parse(text).ok_or_else(|| bad(name, text))?);
    }
    Ok(limits)
}

/// What help says of them.
pub(super) fn limits_text() -> String {
    let mut text = String::from("\nlimits, with their variables and values:\n");
    for limit in Limit::all() {
        let name = limit.name();
        text.push_str(&format!("    {name:<24}{:<30}{}\n", limit.variable(), limit.explanation()));
    }
    #[cfg(feature = "otlp")]
    text.push_str(crate::cmd::otlp::HELP);
    text.truncate(text.trim_end().len());
    text
}
