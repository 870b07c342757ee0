//! Blobs that git reads by itself: `.gitmodules` and `.gitattributes`.

use bstr::{BStr, ByteSlice};

use super::config::{Parser, Unreadable, Variable};
use super::{Message, Report, Special, url};

/// gitattributes(5), "NOTES": lines of this many bytes are ignored.
const ATTRIBUTES_LINE_LEN_MAX: usize = 2048;

/// gitattributes(5), "NOTES": files that are larger are ignored, in bytes.
const ATTRIBUTES_LEN_MAX: usize = 100 * 1024 * 1024;

/// Checks the content of a blob that a tree names in a special way.
pub(super) fn check(special: Special, content: &[u8], report: &mut Report<'_>) {
    match special {
        Special::Modules => check_modules(content, report),
        Special::Attributes => check_attributes(content, report),
    }
}

fn check_attributes(content: &[u8], report: &mut Report<'_>) {
    if content.len() > ATTRIBUTES_LEN_MAX {
        report.add(Message::GitattributesLarge, ".gitattributes too large to parse");
    } else if content.lines().any(|line| line.len() >= ATTRIBUTES_LINE_LEN_MAX) {
        report.add(Message::GitattributesLineLength, ".gitattributes has too long lines to parse");
    }
}

fn check_modules(content: &[u8], report: &mut Report<'_>) {
    let mut parser = Parser::new(content);
    loop {
        match parser.next() {
            Ok(None) => return,
            Ok(Some(Variable { name, value })) => {
                let below = name.strip_prefix(b"submodule.").and_then(|below| below.rsplit_once_str("."));
                if let Some((submodule, key)) = below {
                    check_value((submodule.as_bstr(), key, value.as_bstr()), report);
                }
            }
            Err(Unreadable) => {
                return report.add(Message::GitmodulesParse, "could not parse gitmodules blob");
            }
        }
    }
}

fn check_value((name, key, value): (&BStr, &[u8], &BStr), report: &mut Report<'_>) {
    if !is_name_safe(name) {
        report.add(Message::GitmodulesName, format_args!("disallowed submodule name: {name}"));
    }
    match key {
        b"url" if !url::is_safe(value) => {
            report.add(Message::GitmodulesUrl, format_args!("disallowed submodule url: {value}"));
        }
        b"path" if value.starts_with(b"-") => {
            report.add(Message::GitmodulesPath, format_args!("disallowed submodule path: {value}"));
        }
        b"update" if value.starts_with(b"!") => {
            report
                .add(Message::GitmodulesUpdate, format_args!("disallowed submodule update setting: {value}"));
        }
        _ => {}
    }
}

/// A name becomes a directory below `modules/`.
fn is_name_safe(name: &[u8]) -> bool {
    !name.is_empty() && name.split(|byte| matches!(byte, b'/' | b'\\')).all(|part| part != b"..")
}
