//! `--index-version=<version>[,<offset>]`: the layout of an index, in numbers as C reads them. Seen in git 2.47.3.

use crate::pack::index::Layout;

/// Offsets from here on have no room in the first table.
const OFFSET_END: u32 = 1 << 31;

/// Why a text is no layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misread {
    /// There is no such version.
    Version(i32),
    /// It is no number, or one that is too large.
    Number,
}

/// Reads `<version>[,<offset>]`. No version, which is version 0, is the first one. A comma with nothing behind it is
/// an offset of 0 where `allows_comma`.
pub(super) fn layout(text: &str, allows_comma: bool) -> Result<Layout, Misread> {
    let (version, rest) = number(text, Some(10));
    if version > 2 {
        return Err(Misread::Version(version.cast_signed()));
    }
    let (offset, rest) = match rest.strip_prefix(',') {
        Some(after) if allows_comma || !after.is_empty() => {
            let (offset, rest) = number(after, None);
            (Some(offset), rest)
        }
        _ => (None, rest),
    };
    if !rest.is_empty() || offset.is_some_and(|offset| offset >= OFFSET_END) {
        return Err(Misread::Number);
    }
    let mut layout = Layout { version: if version == 2 { 2 } else { 1 }, ..Layout::default() };
    layout.large_above = offset.map_or(layout.large_above, u64::from);
    Ok(layout)
}

/// The number that `text` begins with, cut to 32 bits, and what follows it: strtoul(3).
fn number(text: &str, radix: Option<u32>) -> (u32, &str) {
    let spaces = |letter: char| letter.is_ascii_whitespace() || letter == '\x0b';
    let signed = text.trim_start_matches(spaces);
    let (is_negative, digits) = match signed.strip_prefix(['+', '-']) {
        Some(digits) => (signed.starts_with('-'), digits),
        None => (false, signed),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let hexadecimal =
        hexadecimal.filter(|digits| digits.starts_with(|letter: char| letter.is_ascii_hexdigit()));
    let (radix, digits) = match (radix, hexadecimal) {
        (Some(radix), _) => (radix, digits),
        (None, Some(digits)) => (16, digits),
        (None, None) => (if digits.starts_with('0') { 8 } else { 10 }, digits),
    };
    let len = digits.find(|letter: char| !letter.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(len);
    if digits.is_empty() {
        return (0, text);
    }
    let value = match u64::from_str_radix(digits, radix) {
        Ok(value) if is_negative => value.wrapping_neg(),
        Ok(value) => value,
        Err(_) => u64::MAX,
    };
    #[expect(clippy::cast_possible_truncation, reason = "as C does it")]
    (value as u32, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        for (text, radix, value, rest) in [
            ("", Some(10), 0, ""),
            ("x", Some(10), 0, "x"),
            (" +1,", Some(10), 1, ","),
            ("0x1", Some(10), 0, "x1"),
            ("-1", Some(10), u32::MAX, ""),
            ("4294967297", Some(10), 1, ""),
            ("99999999999999999999", Some(10), u32::MAX, ""),
            ("010", None, 8, ""),
            ("0x", None, 0, "x"),
            ("0X1fg", None, 31, "g"),
            ("09", None, 0, "9"),
        ] {
            assert_eq!(number(text, radix), (value, rest), "{text}");
        }
    }
}
