//! No control character of the far side reaches the terminal as it is (CVE-2024-52005).

use bstr::{BStr, BString, ByteSlice};

use crate::repo::Config;

/// The bytes that end sequences which move the cursor, and which erase what is there: ECMA-48, 8.3.
const CURSOR: &[u8] = b"ABCDEFGHdf";
const ERASE: &[u8] = b"JKX";

/// Which control characters of the far side reach the terminal: git-config(1), `sideband.allowControlCharacters`, as git has it
/// since 2.55.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Allowed {
    /// All of them.
    All,
    /// Tabs, line feeds, and sequences that end with one of these bytes.
    Sequences(Vec<u8>),
}

impl Default for Allowed {
    fn default() -> Self {
        Self::Sequences(b"m".to_vec())
    }
}

impl Allowed {
    /// As `config` has it. A word that means nothing allows nothing.
    pub(super) fn new(config: &Config) -> Self {
        const KEY: &str = "sideband.allowControlCharacters";
        match config.boolean(KEY) {
            Ok(None) => return Self::default(),
            Ok(Some(true)) => return Self::All,
            Ok(Some(false)) => return Self::Sequences(Vec::new()),
            Err(_) => {}
        }
        let value = config.string(KEY).unwrap_or_default();
        let ends = value.split(|byte| *byte == b',').flat_map(|word| match word.trim() {
            b"color" => b"m",
            b"cursor" => CURSOR,
            b"erase" => ERASE,
            _ => b"",
        });
        Self::Sequences(ends.copied().collect())
    }
}

/// Appends `text` to `out`: control characters as `^X`, but for those that are `allowed`.
pub(super) fn mask(text: &BStr, allowed: &Allowed, out: &mut BString) {
    let Allowed::Sequences(ends) = allowed else { return out.extend_from_slice(text) };
    let mut rest: &[u8] = text;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(length) = sequence_len(rest, ends) {
            let (sequence, after) = rest.split_at(length);
            out.extend_from_slice(sequence);
            rest = after;
            continue;
        }
        match byte {
            b'\t' | b'\n' => out.push(byte),
            0..=0x1f => out.extend_from_slice(&[b'^', byte + b'@']),
            0x7f => out.extend_from_slice(b"^?"),
            _ => {
                rest = copy_char(rest, out);
                continue;
            }
        }
        rest = after;
    }
}

/// Appends `text` to `out` with a question mark for each control character but tab and line feed, colours included: so
/// git treats what stands in its own messages.
pub(super) fn blank_out(text: &BStr, out: &mut BString) {
    let mut rest: &[u8] = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte.is_ascii_control() {
            out.push(if matches!(byte, b'\t' | b'\n') { byte } else { b'?' });
            rest = after;
        } else {
            rest = copy_char(rest, out);
        }
    }
}

/// Copies one character; the C1 control characters of Unicode are left out, as terminals obey them too.
fn copy_char<'a>(text: &'a [u8], out: &mut BString) -> &'a [u8] {
    let (character, length) = bstr::decode_utf8(text);
    let (bytes, rest) = text.split_at(length.max(1).min(text.len()));
    match character {
        Some('\u{80}'..='\u{9f}') => out.push(b'?'),
        None if bytes.iter().all(|byte| (0x80..=0x9f).contains(byte)) => out.push(b'?'),
        Some(_) | None => out.extend_from_slice(bytes),
    }
    rest
}

/// The length of a sequence at the beginning of `text` that ends with one of `ends`.
fn sequence_len(text: &[u8], ends: &[u8]) -> Option<usize> {
    let parameters = text.strip_prefix(b"\x1b[")?;
    let end = parameters.find_not_byteset(b"0123456789;:")?;
    ends.contains(parameters.get(end)?).then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &[u8]) -> BString {
        let mut out = BString::default();
        mask(text.as_bstr(), &Allowed::default(), &mut out);
        out
    }

    #[test]
    fn more_or_less_is_let_through_where_that_is_wished() {
        let text = b"\x1b[31mred\x1b[m\x1b[Gover\x1b[2K\x1b[?25l\x07".as_bstr();
        for (value, shown) in [
            ("color", "\x1b[31mred\x1b[m^[[Gover^[[2K^[[?25l^G"),
            ("erase,cursor", "^[[31mred^[[m\x1b[Gover\x1b[2K^[[?25l^G"),
            ("erase, color", "\x1b[31mred\x1b[m^[[Gover\x1b[2K^[[?25l^G"),
            ("false", "^[[31mred^[[m^[[Gover^[[2K^[[?25l^G"),
            ("nonsense", "^[[31mred^[[m^[[Gover^[[2K^[[?25l^G"),
            ("true", "\x1b[31mred\x1b[m\x1b[Gover\x1b[2K\x1b[?25l\x07"),
        ] {
            let config = format!("[sideband]\nallowControlCharacters = {value}\n");
            let env = crate::repo::Environment::default();
            let config = Config::from_bytes(config.as_bytes(), "config".as_ref(), &env).unwrap();
            let mut out = BString::default();
            mask(text, &Allowed::new(&config), &mut out);
            assert_eq!(out, shown, "{value}");
        }
    }

    #[test]
    fn titles_and_cursor_moves_are_made_visible() {
        assert_eq!(masked(b"a\x1b]0;title\x07b"), "a^[]0;title^Gb");
        assert_eq!(masked(b"\x1b[2Jx\x1b[6n\rz\x7f"), "^[[2Jx^[[6n^Mz^?");
        assert_eq!(masked(b"\xc2\x9b31m \x9b"), "?31m ?");
    }

    #[test]
    fn a_message_has_no_control_character_at_all() {
        let mut out = BString::default();
        blank_out(b"go \x1b[31maway\x07\r\n\tnow \xc2\x9b1m\x7f \xc3\xa9".as_bstr(), &mut out);
        assert_eq!(out, b"go ?[31maway??\n\tnow ?1m? \xc3\xa9".as_bstr());
    }

    #[test]
    fn colors_and_text_pass() {
        assert_eq!(masked(b"\x1b[1;31mred\x1b[m \xc3\xa9\t."), b"\x1b[1;31mred\x1b[m \xc3\xa9\t.".as_bstr());
    }

    #[test]
    fn a_sequence_cut_short_is_masked() {
        assert_eq!(masked(b"\x1b["), "^[[");
        assert_eq!(masked(b"\x1b[31"), "^[[31");
    }
}
