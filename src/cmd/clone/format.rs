//! The formats of a new repository: that of its refs, and that of its ids, which the source decides about.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, ui};
use crate::repo::{Config, RefFormat};

/// `--ref-format`.
pub(super) fn named(value: &OsString) -> Result<RefFormat, CommandError> {
    let name = bytes(value);
    of_refs(name.as_bstr()).ok_or_else(|| CommandError::fatal(unknown_refs(&name)))
}

/// The format of refs: what was `given`, else `GIT_DEFAULT_REF_FORMAT`, else `init.defaultRefFormat`. Whatever is not known is
/// told of in git's order: the configuration is warned of, variables end everything.
pub(super) fn choose(
    given: Option<RefFormat>,
    context: &Context,
    config: &Config,
) -> Result<RefFormat, CommandError> {
    for key in ["init.defaultRefFormat", "init.defaultObjectFormat"] {
        config.check_valued_early(key)?;
    }
    let warn = |text: String| ui::message("warning", text.as_bytes().as_bstr());
    let configured = config.string("init.defaultRefFormat").and_then(|name| {
        let format = of_refs(name.as_bstr());
        if format.is_none() {
            warn(unknown_refs(&name));
        }
        format
    });
    if let Some(name) = config.string("init.defaultObjectFormat").filter(is_no_hash) {
        warn(unknown_hash(&name));
    }
    let variable = |name: &str| context.env.get(name).map(|value| bytes(&value.to_owned()));
    if let Some(name) = variable("GIT_DEFAULT_HASH").filter(is_no_hash) {
        return Err(CommandError::fatal(unknown_hash(&name)));
    }
    match (given, variable("GIT_DEFAULT_REF_FORMAT")) {
        (Some(format), _) => Ok(format),
        (None, Some(name)) => of_refs(name.as_bstr()).ok_or_else(|| CommandError::fatal(unknown_refs(&name))),
        (None, None) => Ok(configured.unwrap_or(RefFormat::Files)),
    }
}

fn of_refs(name: &BStr) -> Option<RefFormat> {
    match name.as_bytes() {
        b"files" => Some(RefFormat::Files),
        b"reftable" => Some(RefFormat::Tables),
        _ => None,
    }
}

fn is_no_hash(name: &BString) -> bool {
    name != "sha1" && name != "sha256"
}

fn unknown_refs(name: &BString) -> String {
    format!("unknown ref storage format '{name}'")
}

fn unknown_hash(name: &BString) -> String {
    format!("unknown hash algorithm '{name}'")
}
