//! The words of servers in UTF-8, whatever they are written in: RFC 9110, 8.3.2.

use std::borrow::Cow;

/// `bytes` in UTF-8, if what `content_type` names is known; else as they are.
pub(super) fn to_utf8<'a>(bytes: &'a [u8], content_type: &str) -> Cow<'a, [u8]> {
    let charset = charset(content_type).unwrap_or_default().to_ascii_lowercase();
    let text: String = match (charset.as_str(), bytes) {
        ("iso-8859-1" | "latin1", _) => bytes.iter().copied().map(char::from).collect(),
        ("utf-16" | "utf-16le", [0xff, 0xfe, rest @ ..]) | ("utf-16le", rest) => {
            utf16(rest, u16::from_le_bytes)
        }
        ("utf-16" | "utf-16be", [0xfe, 0xff, rest @ ..] | rest) => utf16(rest, u16::from_be_bytes),
        _ => return Cow::Borrowed(bytes),
    };
    Cow::Owned(text.into_bytes())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// What a value of `Content-Type` says of the character set, however it is spaced.
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_utf8() {
        let read = |bytes: &'static [u8], content_type| to_utf8(bytes, content_type).into_owned();
        assert_eq!(read(b"\xff\xfeh\0i\0", "text/plain; charset=utf-16"), b"hi");
        assert_eq!(read(b"\xfe\xff\0h\0i", "text/plain; foo=bar ;charset=utf-16; other=nonsense"), b"hi");
        assert_eq!(read(b"\0h\0i!", "text/plain; charset=\"UTF-16\""), b"hi");
        assert_eq!(read(b"h\0", "text/plain; charset=utf-16le"), b"h");
        assert_eq!(read(b"\xe9", "text/plain;charset = ISO-8859-1"), "é".as_bytes());
        assert_eq!(read(b"\xd8\x00\0h", "text/plain; charset=utf-16be"), "\u{fffd}h".as_bytes());
        for content_type in ["text/plain", "text/plain; charset=utf-8", "text/plain; charset=klingon", ""] {
            assert_eq!(read(b"\xe9", content_type), b"\xe9", "{content_type}");
        }
    }
}
