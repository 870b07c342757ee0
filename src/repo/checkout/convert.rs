//! Conversions of file content: `$Id$` and encodings.

use bstr::{BStr, ByteSlice};
use gix_filter::{encoding, eol, ident};
use gix_hash::ObjectId;
use gix_object::FindExt;

use super::index::Entry;
use crate::repo::Error;
use crate::repo::object::Objects;

/// The content that a blob of `entry` has whose file, in UTF-8 by now, holds `content`: line endings and `$Id$` as in
/// history.
pub fn to_git(
    objects: &Objects,
    entry: &Entry,
    mut content: Vec<u8>,
    line_ending: eol::AttributesDigest,
    line_endings: eol::Configuration,
    has_ident: bool,
) -> Result<Vec<u8>, Error> {
    let mut changed = Vec::new();
    let mut blob = Vec::new();
    let mut known = |buffer: &mut Vec<u8>| {
        buffer.clear();
        buffer.extend(objects.find_blob(&entry.id, &mut blob).iter().flat_map(|found| found.data));
        Ok(Some(()))
    };
    let options = eol::convert_to_git::Options { round_trip_check: None, config: line_endings };
    let failed = |error| Error::Refused(format!("{}: {error}", entry.path));
    if eol::convert_to_git(&content, line_ending, &mut changed, &mut known, options).map_err(failed)? {
        std::mem::swap(&mut content, &mut changed);
    }
    let failed = |error| Error::Refused(format!("{}: {error}", entry.path));
    if has_ident && ident::undo(&content, &mut changed).map_err(failed)? {
        return Ok(changed);
    }
    Ok(content)
}

/// Puts the id of a file's blob between the dollar signs of each `$Id$` or `$Id: … $`, unless it holds what another
/// system put there, which has a blank inside. `None` if there is none.
pub fn expand_ident(data: &[u8], id: &ObjectId) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(dollar) = data.get(at..).and_then(|rest| rest.find_byte(b'$')) {
        let name = at + dollar + 1;
        let rest = data.get(name..).unwrap_or_default();
        let Some(value) = rest.strip_prefix(b"Id") else {
            // As git counts: the byte that does not fit is taken with the dollar sign.
            at = name + if rest.starts_with(b"I") { 2 } else { 1 };
            continue;
        };
        let value_at = name + 2;
        let len = match value.first() {
            Some(b'$') => 1,
            Some(b':') => {
                let Some(end) = value.find_byteset(b"$\n").filter(|end| value.get(*end) == Some(&b'$'))
                else {
                    at = value_at + 1;
                    continue;
                };
                if is_foreign(value.get(1..end).unwrap_or_default()) {
                    at = value_at + end + 1;
                    continue;
                }
                end + 1
            }
            _ => {
                at = value_at + 1;
                continue;
            }
        };
        out.extend_from_slice(data.get(kept..value_at).unwrap_or_default());
        out.extend_from_slice(format!(": {id} $").as_bytes());
        at = value_at + len;
        kept = at;
    }
    out.extend_from_slice(data.get(kept..).unwrap_or_default());
    (kept > 0).then_some(out)
}

/// Whether the text behind `$Id:` was not written by git: it begins with a blank and has another before its last byte.
fn is_foreign(text: &[u8]) -> bool {
    let Some(words) = text.strip_prefix(b" ") else { return false };
    words.find_byte(b' ').is_some_and(|blank| blank + 1 < words.len())
}

/// Whether `label` asks for no conversion.
pub fn is_utf8(label: &BStr) -> bool {
    label.eq_ignore_ascii_case(b"UTF-8") || label.eq_ignore_ascii_case(b"UTF8")
}

/// UTF-8 `data` in the encoding `label` of a work tree. `None` if it is UTF-8 already, or cannot be converted: git then
/// complains and writes it as it is.
pub fn encode(data: &[u8], label: &BStr) -> Option<Vec<u8>> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let text = data.to_str().ok()?;
    let marked = || std::iter::once(BYTE_ORDER_MARK).chain(text.chars());
    let label = label.to_str().ok()?.to_ascii_uppercase();
    match label.as_str() {
        "UTF-8" | "UTF8" => None,
        // What iconv chooses where nothing is said.
        "UTF-16" | "UTF16" | "UTF-16LE-BOM" => Some(utf16(marked(), u16::to_le_bytes)),
        "UTF-16BE-BOM" => Some(utf16(marked(), u16::to_be_bytes)),
        "UCS-2" | "UCS2" | "UCS-2LE" if text.chars().any(|one| u32::from(one) > 0xFFFF) => None,
        "UTF-16LE" | "UTF16LE" | "UCS-2" | "UCS2" | "UCS-2LE" => Some(utf16(text.chars(), u16::to_le_bytes)),
        "UTF-16BE" | "UTF16BE" => Some(utf16(text.chars(), u16::to_be_bytes)),
        "UTF-32" | "UTF32" => Some(utf32(marked(), u32::to_le_bytes)),
        "UTF-32LE" | "UTF32LE" => Some(utf32(text.chars(), u32::to_le_bytes)),
        "UTF-32BE" | "UTF32BE" | "UCS-4" | "UCS4" => Some(utf32(text.chars(), u32::to_be_bytes)),
        "ISO-8859-1" | "ISO8859-1" | "LATIN1" | "LATIN-1" => {
            text.chars().map(|one| u8::try_from(u32::from(one)).ok()).collect()
        }
        "ASCII" | "US-ASCII" => text.is_ascii().then(|| data.to_vec()),
        other => other_encoding(text, other),
    }
}

/// What [`encode`] made, in UTF-8 again. `None` if it cannot have been made by it.
pub fn decode(data: &[u8], label: &BStr) -> Option<Vec<u8>> {
    if data.is_empty() || is_utf8(label) {
        return Some(data.to_vec());
    }
    let name = label.to_str().ok()?.to_ascii_uppercase();
    let units16 = |data: &[u8], value: fn([u8; 2]) -> u16| {
        let (units, []) = data.as_chunks::<2>() else { return None };
        let text: Result<String, _> = char::decode_utf16(units.iter().map(|unit| value(*unit))).collect();
        text.ok().map(String::into_bytes)
    };
    let units32 = |data: &[u8], value: fn([u8; 4]) -> u32| {
        let (units, []) = data.as_chunks::<4>() else { return None };
        let text: Option<String> = units.iter().map(|unit| char::from_u32(value(*unit))).collect();
        text.map(String::into_bytes)
    };
    match name.as_str() {
        "UTF-16" | "UTF16" | "UTF-16LE-BOM" | "UTF-16BE-BOM" => match data.split_first_chunk::<2>()? {
            ([0xFF, 0xFE], rest) => units16(rest, u16::from_le_bytes),
            ([0xFE, 0xFF], rest) => units16(rest, u16::from_be_bytes),
            _ => None,
        },
        "UTF-16LE" | "UTF16LE" | "UCS-2" | "UCS2" | "UCS-2LE" => units16(data, u16::from_le_bytes),
        "UTF-16BE" | "UTF16BE" => units16(data, u16::from_be_bytes),
        "UTF-32" | "UTF32" => units32(data.strip_prefix(b"\xFF\xFE\0\0")?, u32::from_le_bytes),
        "UTF-32LE" | "UTF32LE" => units32(data, u32::from_le_bytes),
        "UTF-32BE" | "UTF32BE" | "UCS-4" | "UCS4" => units32(data, u32::from_be_bytes),
        "ISO-8859-1" | "ISO8859-1" | "LATIN1" | "LATIN-1" => {
            Some(data.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
        }
        "ASCII" | "US-ASCII" => data.is_ascii().then(|| data.to_vec()),
        other => {
            let text = web_encoding(other)?.decode_without_bom_handling_and_without_replacement(data)?;
            Some(text.into_owned().into_bytes())
        }
    }
}

fn utf16(text: impl Iterator<Item = char>, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mut units = [0; 2];
    text.flat_map(|one| one.encode_utf16(&mut units).iter().copied().map(bytes).collect::<Vec<_>>())
        .flatten()
        .collect()
}

fn utf32(text: impl Iterator<Item = char>, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
    text.flat_map(|one| bytes(u32::from(one))).collect()
}

fn other_encoding(text: &str, label: &str) -> Option<Vec<u8>> {
    let encoding = web_encoding(label)?;
    let (content, used, has_unmappable) = encoding.encode(text);
    (used == encoding && !has_unmappable).then(|| content.into_owned())
}

/// The encodings of the web, of which some labels mean more than they say; those that [`encode`] names are not left to it.
fn web_encoding(label: &str) -> Option<&'static encoding::Encoding> {
    encoding::Encoding::for_label(label.as_bytes())
        .or_else(|| encoding::Encoding::for_label(label.replace('-', "_").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each result was seen in git 2.47.3.
    #[test]
    fn ident_is_expanded_where_git_does() {
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        let expand = |text: &str| {
            let out = expand_ident(text.as_bytes(), &id).unwrap_or_else(|| text.into());
            String::from_utf8(out).expect("text").replace(&id.to_string(), "ID")
        };
        for (text, expected) in [
            ("$Id$\n", "$Id: ID $\n"),
            ("$Id:$", "$Id: ID $"),
            ("$Id: foo $", "$Id: ID $"),
            ("$Id: foo$", "$Id: ID $"),
            ("$Id:foo $", "$Id: ID $"),
            ("$Id:a b$", "$Id: ID $"),
            ("$Id:  $", "$Id: ID $"),
            ("$Id: foo bar $", "$Id: foo bar $"),
            ("$Id:  foo $", "$Id:  foo $"),
            ("$Id: a  $", "$Id: a  $"),
            ("$Id: x y $Id$", "$Id: x y $Id$"),
            ("$Id: foo\n$", "$Id: foo\n$"),
            ("$Id:\n$Id$", "$Id:\n$Id: ID $"),
            ("a $Id$ b $Id$", "a $Id: ID $ b $Id: ID $"),
            ("$Id$Id$", "$Id: ID $Id$"),
            ("$Idx$Id$", "$Idx$Id: ID $"),
            ("$$Id$", "$$Id$"),
            ("$$$Id$", "$$$Id: ID $"),
            ("$I$Id$", "$I$Id$"),
            ("$a$Id$", "$a$Id: ID $"),
            ("$Id: a $ $", "$Id: ID $ $"),
            ("$Id", "$Id"),
            ("$", "$"),
        ] {
            assert_eq!(expand(text), expected, "{text:?}");
        }
    }

    #[test]
    fn encodings_are_those_of_iconv() {
        let encode = |label: &str| encode("h\u{e9}\n".as_bytes(), label.into());
        assert_eq!(encode("UTF-8"), None);
        assert_eq!(encode("utf-16").as_deref(), Some(b"\xff\xfeh\0\xe9\0\n\0".as_slice()));
        assert_eq!(encode("UTF-16BE").as_deref(), Some(b"\0h\0\xe9\0\n".as_slice()));
        assert_eq!(encode("UTF-32LE").as_deref(), Some(b"h\0\0\0\xe9\0\0\0\n\0\0\0".as_slice()));
        assert_eq!(encode("ISO-8859-1").as_deref(), Some(b"h\xe9\n".as_slice()));
        assert_eq!(encode("windows-1252").as_deref(), Some(b"h\xe9\n".as_slice()));
        assert_eq!(encode("SHIFT-JIS"), None);
        assert_eq!(encode("nonsense"), None);
        assert_eq!(super::encode(b"\xff", "UTF-16".into()), None);
    }

    #[test]
    fn what_was_encoded_can_be_decoded() {
        let text = "h\u{e9}\n".as_bytes();
        let labels = "UTF-16 utf16 UTF-16LE-BOM UTF-16BE-BOM UTF-16LE UTF-16BE UTF-32 UTF-32LE UTF-32BE UCS-2 UCS-4 latin1 \
                      windows-1252 ISO-8859-15";
        for label in labels.split_whitespace() {
            let encoded = encode(text, label.into()).expect(label);
            assert_eq!(decode(&encoded, label.into()).as_deref(), Some(text), "{label}");
        }
        assert_eq!(decode(b"", "UTF-16".into()).as_deref(), Some(&b""[..]));
        assert_eq!(decode(b"h\0", "UTF-16".into()), None);
        assert_eq!(decode(b"h", "UTF-16LE".into()), None);
        assert_eq!(decode(b"\xff", "utf-8".into()).as_deref(), Some(&b"\xff"[..]));
        assert_eq!(decode(b"h", "nonsense".into()), None);
    }
}
