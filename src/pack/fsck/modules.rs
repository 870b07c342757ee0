//! Blobs that git reads by itself: `.gitmodules` and `.gitattributes`.

use bstr::{BStr, BString, ByteSlice};

use super::{Message, Report, Special};

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
    let mut parser = Parser { rest: content };
    let mut section = Section::default();
    loop {
        match parser.next() {
            Ok(None) => return,
            Ok(Some(Item::Section(next))) => section = next,
            Ok(Some(Item::Value(key, value))) if section.is_submodule => {
                check_value((&section.name, &key, &value), report);
            }
            Ok(Some(Item::Value(..))) => {}
            Err(Unreadable) => {
                return report.add(Message::GitmodulesParse, "could not parse gitmodules blob");
            }
        }
    }
}

fn check_value((name, key, value): (&BString, &BString, &BString), report: &mut Report<'_>) {
    if !is_name_safe(name) {
        report.add(Message::GitmodulesName, format_args!("disallowed submodule name: {name}"));
    }
    match key.as_slice() {
        b"url" if !is_url_safe(value.as_bstr()) => {
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

/// A URL may not look like an option, smuggle a line into what credential helpers are told, or make a relative URL
/// climb to another host.
fn is_url_safe(url: &BStr) -> bool {
    if url.starts_with(b"-") {
        return false;
    }
    if url.starts_with(b"./") || url.starts_with(b"../") {
        return !has_line_feed(url) && !climbs_to_host(url);
    }
    let helped =
        ["http::", "https::", "ftp::", "ftps::"].iter().find_map(|word| url.strip_prefix(word.as_bytes()));
    let plain = helped.unwrap_or(url);
    let schemes = ["http://", "https://", "ftp://", "ftps://"];
    let behind = schemes.iter().find_map(|scheme| plain.strip_prefix(scheme.as_bytes()));
    match behind {
        Some(rest) => {
            !has_line_feed(plain.as_bstr()) && !matches!(rest.first(), None | Some(b'/' | b':' | b'?' | b'#'))
        }
        None => helped.is_none(),
    }
}

/// Whether a line feed is in `url`, plain or encoded.
fn has_line_feed(url: &BStr) -> bool {
    url.contains(&b'\n') || url.to_ascii_lowercase().contains_str("%0a")
}

/// Whether what follows the leading `..`s takes the place of a host.
fn climbs_to_host(url: &BStr) -> bool {
    let (mut rest, mut has_climbed) = (url.as_bytes(), false);
    loop {
        if let Some(behind) = rest.strip_prefix(b"../") {
            (rest, has_climbed) = (behind, true);
        } else if let Some(behind) = rest.strip_prefix(b"./") {
            rest = behind;
        } else {
            return has_climbed && matches!(rest.first(), Some(b':' | b'/'));
        }
    }
}

/// A part of the file.
enum Item {
    Section(Section),
    Value(BString, BString),
}

/// `[submodule "name"]`
#[derive(Default)]
struct Section {
    is_submodule: bool,
    name: BString,
}

/// What is no configuration file.
struct Unreadable;

/// Reads a file in the syntax of git-config(1).
struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn next(&mut self) -> Result<Option<Item>, Unreadable> {
        loop {
            let Some(byte) = self.rest.split_off_first() else { return Ok(None) };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'#' | b';' => self.skip_line(),
                b'[' => return self.section().map(|section| Some(Item::Section(section))),
                first if first.is_ascii_alphabetic() => {
                    let (key, value) = self.value(*first)?;
                    return Ok(Some(Item::Value(key, value)));
                }
                _ => return Err(Unreadable),
            }
        }
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once_str("\n").map_or(&[][..], |(_, rest)| rest);
    }

    fn section(&mut self) -> Result<Section, Unreadable> {
        let mut word = Vec::new();
        loop {
            match self.rest.split_off_first() {
                Some(b']') => return Ok(Section::default()),
                Some(b' ' | b'\t') => break,
                Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => word.push(*byte),
                Some(_) | None => return Err(Unreadable),
            }
        }
        self.rest = self.rest.trim_start_with(|c| c == ' ' || c == '\t');
        self.rest = self.rest.strip_prefix(b"\"").ok_or(Unreadable)?;
        let mut name = BString::default();
        loop {
            match self.rest.split_off_first().ok_or(Unreadable)? {
                b'"' => break,
                b'\\' => name.push(*self.rest.split_off_first().ok_or(Unreadable)?),
                b'\n' => return Err(Unreadable),
                byte => name.push(*byte),
            }
        }
        self.rest = self.rest.strip_prefix(b"]").ok_or(Unreadable)?;
        Ok(Section { is_submodule: word.eq_ignore_ascii_case(b"submodule"), name })
    }

    fn value(&mut self, first: u8) -> Result<(BString, BString), Unreadable> {
        let mut key = vec![first.to_ascii_lowercase()];
        while let Some(byte) = self.rest.first().filter(|byte| byte.is_ascii_alphanumeric() || **byte == b'-')
        {
            key.push(byte.to_ascii_lowercase());
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        self.rest = self.rest.trim_start_with(|c| c == ' ' || c == '\t');
        match self.rest.first() {
            Some(b'=') => self.rest = self.rest.get(1..).unwrap_or_default(),
            Some(b'\n' | b'\r') | None => return Ok((key.into(), BString::default())),
            Some(_) => return Err(Unreadable),
        }
        Ok((key.into(), self.text()?))
    }

    fn text(&mut self) -> Result<BString, Unreadable> {
        let (mut text, mut is_quoted, mut kept) = (BString::default(), false, 0);
        self.rest = self.rest.trim_start_with(|c| c == ' ' || c == '\t');
        loop {
            match self.rest.split_off_first() {
                None | Some(b'\n') if is_quoted => return Err(Unreadable),
                None | Some(b'\n') => break,
                Some(b'"') => is_quoted = !is_quoted,
                Some(b'#' | b';') if !is_quoted => {
                    self.skip_line();
                    break;
                }
                Some(b'\\') => match self.rest.split_off_first() {
                    Some(b'\n') => continue,
                    Some(b'n') => text.push(b'\n'),
                    Some(b't') => text.push(b'\t'),
                    Some(b'b') => text.push(8),
                    Some(byte @ (b'\\' | b'"')) => text.push(*byte),
                    Some(_) | None => return Err(Unreadable),
                },
                Some(byte @ (b' ' | b'\t' | b'\r')) if !is_quoted => {
                    text.push(*byte);
                    continue;
                }
                Some(byte) => text.push(*byte),
            }
            kept = text.len();
        }
        text.truncate(kept);
        Ok(text)
    }
}
