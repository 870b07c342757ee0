//! Where traces go: git(1), `GIT_TRACE`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::cmd::error::reason;
use crate::cmd::ui;
use crate::repo::Environment;

/// Where lines go.
pub(super) enum Sink {
    Stderr,
    File(File),
}

impl Sink {
    /// `0` and `false` are nowhere, `1` and `true` stderr, another digit that file descriptor, an absolute path a file that
    /// is added to.
    pub(super) fn named(env: &Environment, variable: &str) -> Option<Self> {
        match Self::at(&env.get(variable)?.to_string_lossy(), variable) {
            Ok(sink) => sink,
            Err(complaint) => {
                ui::note(format!("warning: {complaint}"));
                None
            }
        }
    }

    /// The place that `value` of `variable` names, if it names one; an error says why nothing can be written there.
    pub(super) fn at(value: &str, variable: &str) -> Result<Option<Self>, String> {
        let descriptor = match value.to_ascii_lowercase().as_str() {
            "" | "0" | "false" => return Ok(None),
            "1" | "2" | "true" => return Ok(Some(Self::Stderr)),
            digit if digit.len() == 1 && digit.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(format!("/dev/fd/{digit}"))
            }
            _ => None,
        };
        let path = descriptor.unwrap_or_else(|| value.to_owned());
        if !Path::new(&path).is_absolute() {
            return Err(format!(
                "unknown trace value for '{variable}': {path}\n         If you want to trace into a file, then \
                 please set {variable}\n         to an absolute pathname (starting with /)"
            ));
        }
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(file) => Ok(Some(Self::File(file))),
            Err(error) => Err(format!("could not open '{path}' for tracing: {}", reason(&error))),
        }
    }

    pub(super) fn write(&self, lines: &[u8]) {
        match self {
            Self::Stderr => ui::trace(lines),
            Self::File(file) => {
                // git says nothing either where a trace cannot be written.
                let _written = (&mut &*file).write_all(lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLE: &str = "GIT_TRACE_PACKET";

    #[test]
    fn nothing_is_traced_unless_asked_for() {
        for value in ["", "0", "false", "relative/path"] {
            let env = Environment::from_iter([(VARIABLE.into(), value.into())]);
            assert!(Sink::named(&env, VARIABLE).is_none(), "{value}");
        }
        assert!(Sink::named(&Environment::default(), VARIABLE).is_none());
    }
}
