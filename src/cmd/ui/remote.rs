//! The far side's lines: `remote: …`.

use bstr::{BStr, BString, ByteSlice};

use super::{Terminal, filter};
use crate::progress::Ending;

/// Words that are coloured at the beginning of a line, with git's default colours.
const KEYWORDS: [(&str, &str); 4] =
    [("hint", "\x1b[33m"), ("warning", "\x1b[1;33m"), ("success", "\x1b[1;32m"), ("error", "\x1b[1;31m")];

/// The bytes that show one line of band 2, as git 2.47.3 writes them.
pub(super) fn render(line: &BStr, ending: Ending, terminal: &Terminal, is_colored: bool) -> BString {
    let mut text = BString::from("remote: ");
    if is_colored {
        color(line, &mut text);
    } else {
        filter::mask(line, &mut text);
    }
    if ending != Ending::Unterminated && !line.is_empty() {
        // Clears what a longer line before left behind.
        text.extend_from_slice(if terminal.is_smart { b"\x1b[K" } else { b"        " });
    }
    text.push(match ending {
        Ending::Replaced => b'\r',
        Ending::Newline | Ending::Unterminated => b'\n',
    });
    text
}

fn color(line: &BStr, out: &mut BString) {
    let blanks = line.find_not_byteset(b" \t").unwrap_or(line.len());
    let (before, rest) = line.split_at(blanks);
    for (keyword, color) in KEYWORDS {
        let Some(word) = rest.get(..keyword.len()) else { continue };
        let is_word = rest.get(keyword.len()).is_none_or(|next| !next.is_ascii_alphanumeric());
        if is_word && word.eq_ignore_ascii_case(keyword.as_bytes()) {
            out.extend_from_slice(before);
            out.extend_from_slice(color.as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\x1b[m");
            filter::mask(rest.get(keyword.len()..).unwrap_or_default().as_bstr(), out);
            return;
        }
    }
    filter::mask(line, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, ending: Ending, is_smart: bool, is_colored: bool) -> String {
        let terminal = Terminal { is_tty: is_smart, columns: 80, is_smart, delay_seconds: 2 };
        render(line.into(), ending, &terminal, is_colored).to_string()
    }

    #[test]
    fn lines_end_as_git_ends_them() {
        assert_eq!(shown("a", Ending::Newline, false, false), "remote: a        \n");
        assert_eq!(shown("a", Ending::Replaced, true, false), "remote: a\x1b[K\r");
        assert_eq!(shown("a", Ending::Unterminated, true, false), "remote: a\n");
        assert_eq!(shown("", Ending::Newline, false, false), "remote: \n");
    }

    #[test]
    fn keywords_are_colored_as_whole_words() {
        assert_eq!(
            shown(" Error: x", Ending::Unterminated, true, true),
            "remote:  \x1b[1;31mError\x1b[m: x\n"
        );
        assert_eq!(shown("errors", Ending::Unterminated, true, true), "remote: errors\n");
    }
}
