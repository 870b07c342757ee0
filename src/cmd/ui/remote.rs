//! The far side's lines: `remote: …`.

use bstr::{BStr, BString, ByteSlice};

use super::Terminal;
use super::color::Paint;
use super::filter::{self, Allowed};
use crate::progress::Ending;
use crate::repo::Config;

/// Words that are coloured at the beginning of a line, with git's default colours.
const KEYWORDS: [(&str, &str); 4] =
    [("hint", "yellow"), ("warning", "bold yellow"), ("success", "bold green"), ("error", "bold red")];

/// The colours of the far side's words: `color.remote` and `color.remote.<slot>`.
#[derive(Debug, Clone, Default)]
pub struct RemotePaints {
    /// The words with their colours; none where there is no colour.
    paints: Vec<(&'static str, Paint)>,
    /// Values that name no colour. Seen in git 2.47.3: it tells of them, coloured or not, once the far side speaks.
    bad: Vec<BString>,
    /// Which control characters of theirs are let through.
    allowed: Allowed,
}

impl RemotePaints {
    /// As `config` has them for `terminal`.
    pub fn new(terminal: &Terminal, config: &Config) -> Self {
        let mut all = Self { allowed: Allowed::new(config), ..Self::default() };
        for (word, default) in KEYWORDS {
            let text = config.string(&format!("color.remote.{word}")).unwrap_or_else(|| default.into());
            let paint = Paint::new(text.as_bstr()).or_else(|| {
                all.bad.push(text);
                Paint::new(default.into())
            });
            all.paints.extend(paint.map(|paint| (word, paint)));
        }
        if !terminal.has_color(config, "remote") {
            all.paints.clear();
        }
        all
    }

    /// The complaints of values that name no colour; the second time there are none.
    pub(super) fn complaints(&mut self) -> impl Iterator<Item = BString> {
        let complain = |text: BString| BString::from(format!("invalid color value: {text}"));
        std::mem::take(&mut self.bad).into_iter().map(complain)
    }
}

/// The bytes that show one line of band 2, as git 2.47.3 writes them.
pub(super) fn render(line: &BStr, ending: Ending, terminal: &Terminal, paints: &RemotePaints) -> BString {
    let mut text = BString::from("remote: ");
    color(line, paints, &mut text);
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

fn color(line: &BStr, RemotePaints { paints, allowed, .. }: &RemotePaints, out: &mut BString) {
    let blanks = line.find_not_byteset(b" \t").unwrap_or(line.len());
    let (before, rest) = line.split_at(blanks);
    for (keyword, paint) in paints {
        let Some(word) = rest.get(..keyword.len()) else { continue };
        let is_word = rest.get(keyword.len()).is_none_or(|next| !next.is_ascii_alphanumeric());
        if is_word && word.eq_ignore_ascii_case(keyword.as_bytes()) {
            out.extend_from_slice(before);
            paint.put(word, out);
            filter::mask(rest.get(keyword.len()..).unwrap_or_default().as_bstr(), allowed, out);
            return;
        }
    }
    filter::mask(line, allowed, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, ending: Ending, is_smart: bool, is_colored: bool) -> String {
        let terminal = Terminal { is_tty: is_smart, columns: 80, is_smart, delay_seconds: 2 };
        let paint = |(word, color): (&'static str, &str)| Some((word, Paint::new(color.into())?));
        let paints = KEYWORDS.into_iter().filter(|_| is_colored).filter_map(paint).collect();
        render(line.into(), ending, &terminal, &RemotePaints { paints, ..RemotePaints::default() })
            .to_string()
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
