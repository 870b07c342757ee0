//! Options of git-rev-list(1) that say nothing about which objects are meant: how commits are ordered, simplified and shown.
//! `git bundle` takes them without effect.

use std::collections::VecDeque;

use bstr::{BStr, BString, ByteSlice};

use crate::remote::Error;

/// Options without a value.
const PLAIN: [&str; 46] = [
    "--abbrev",
    "--abbrev-commit",
    "--author-date-order",
    "--boundary",
    "--cc",
    "--cherry-mark",
    "--cherry-pick",
    "--children",
    "--count",
    "--date-order",
    "--dense",
    "--expand-tabs",
    "--full-diff",
    "--full-history",
    "--graph",
    "--in-commit-order",
    "--left-right",
    "--log-size",
    "--no-abbrev",
    "--no-abbrev-commit",
    "--no-expand-tabs",
    "--no-graph",
    "--no-notes",
    "--no-show-signature",
    "--notes",
    "--objects",
    "--objects-edge",
    "--objects-edge-aggressive",
    "--oneline",
    "--parents",
    "--pretty",
    "--quiet",
    "--relative-date",
    "--remove-empty",
    "--reverse",
    "--show-linear-break",
    "--show-notes",
    "--show-pulls",
    "--show-signature",
    "--simplify-by-decoration",
    "--simplify-merges",
    "--sparse",
    "--topo-order",
    "-c",
    "-m",
    "-v",
];

/// Options whose value stands behind `=`.
const VALUED: [&str; 8] =
    ["abbrev", "expand-tabs", "format", "notes", "pretty", "show-linear-break", "show-notes", "encoding"];

/// Options of which only one may be said, in the order in which they were said, and what git calls them.
const EXCLUSIVE: [(&str, &str, &str); 12] = [
    ("--cherry-mark", "--cherry-pick", "'--cherry-pick' and '--cherry-mark'"),
    ("--cherry-pick", "--cherry-mark", "'--cherry-mark' and '--cherry-pick'"),
    ("--left-only", "--right-only", "'--right-only' and '--left-only'"),
    ("--left-only", "--cherry", "'--cherry' and '--left-only'"),
    ("--right-only", "--left-only", "'--left-only' and '--right-only/--cherry'"),
    ("--cherry", "--left-only", "'--left-only' and '--right-only/--cherry'"),
    ("--graph", "--no-walk", "'--no-walk' and '--graph'"),
    ("--no-walk", "--graph", "'--no-walk' and '--graph'"),
    ("--graph", "--reverse", "'--graph' and '--reverse'"),
    ("--reverse", "--graph", "'--graph' and '--reverse'"),
    ("--parents", "--children", "'--parents' and '--children'"),
    ("--children", "--parents", "'--parents' and '--children'"),
];

/// How `--date` is told what a date looks like, but for `format:…`; `auto:` may stand before each, `-local` behind it.
const DATES: [&str; 14] = [
    "default",
    "human",
    "iso",
    "iso-strict",
    "iso8601",
    "iso8601-strict",
    "local",
    "normal",
    "raw",
    "relative",
    "rfc",
    "rfc2822",
    "short",
    "unix",
];

/// Takes an option that has no effect; false if it is another. The value of `--date` and `--encoding` may be the next
/// argument.
///
/// # Errors
///
/// `--date` with something that is no form of dates.
pub(super) fn is_shape(option: &BStr, rest: &mut VecDeque<&BString>) -> Result<bool, Error> {
    let (name, value) = match option.split_once_str("=") {
        Some((name, value)) => (name.as_bstr(), Some(value.as_bstr())),
        None => (option, None),
    };
    if value.is_none() && PLAIN.iter().any(|known| name == *known) {
        return Ok(true);
    }
    if name == "--date" || name == "--encoding" {
        let missing = || Error::Usage(format!("Option '{name}' requires a value"));
        let value = value.or_else(|| rest.pop_front().map(|value| value.as_bstr())).ok_or_else(missing)?;
        if name == "--date" && !is_date_format(value) {
            return Err(Error::Usage(format!("unknown date format {value}")));
        }
        return Ok(true);
    }
    let name = name.strip_prefix(b"--").unwrap_or_default();
    Ok(value.is_some() && VALUED.iter().any(|known| name == known.as_bytes()))
}

/// That two options do not go together, if they are among `options`.
pub(super) fn exclusive(options: &[BString]) -> Option<Error> {
    let place = |wanted: &str| options.iter().position(|option| option == wanted);
    EXCLUSIVE.into_iter().find_map(|(first, second, names)| {
        let is_said = place(first)? < place(second)?;
        is_said.then(|| Error::Usage(format!("options {names} cannot be used together")))
    })
}

fn is_date_format(text: &BStr) -> bool {
    let text = text.strip_prefix(b"auto:").unwrap_or(text);
    let text = text.strip_suffix(b"-local").unwrap_or(text);
    text.starts_with(b"format:") || DATES.iter().any(|known| text == known.as_bytes())
}
