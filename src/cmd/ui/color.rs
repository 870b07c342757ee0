//! Colours as the configuration names them. `git-config(1)`, "Values", "color".

use std::collections::BTreeSet;

use bstr::{BStr, BString, ByteSlice};

use super::Terminal;
use crate::repo::Config;

/// The eight colours, in the order of their numbers.
const NAMES: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// Attributes with the numbers that turn them on and off.
const ATTRIBUTES: [(&str, u8, u8); 7] = [
    ("bold", 1, 22),
    ("dim", 2, 22),
    ("italic", 3, 23),
    ("ul", 4, 24),
    ("blink", 5, 25),
    ("reverse", 7, 27),
    ("strike", 9, 29),
];

/// What stands around a coloured text; nothing where there is no colour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paint {
    start: BString,
    reset: BString,
}

impl Paint {
    /// The colour `color.<group>.<slot>`, else the one that `default` names, if `color.<group>` asks for any. Seen in git
    /// 2.47.3: where a push asks for its colours, `color.ui` does not count.
    pub fn of_push(
        terminal: &Terminal,
        config: &Config,
        (group, slot): (&str, &str),
        default: &str,
    ) -> Result<Self, BadColor> {
        if !terminal.wants_color(config.string(&format!("color.{group}"))) {
            return Ok(Self::default());
        }
        let color = |slot: &str, default: &str| {
            let key = format!("color.{group}.{slot}");
            let text = config.string(&key).unwrap_or_else(|| default.into());
            sequence(text.as_bstr()).ok_or(BadColor { key, text })
        };
        Ok(Self { start: color(slot, default)?, reset: color("reset", "reset")? })
    }

    /// The colour `color.diff.<slot>`, else the one that `default` names, if `color.diff` or `color.ui` asks for any; what
    /// names no colour counts as not set.
    pub fn of_diff(terminal: &Terminal, config: &Config, slot: &str, default: &str) -> Self {
        if !terminal.has_color(config, "diff") {
            return Self::default();
        }
        let text = config.string(&format!("color.diff.{slot}"));
        let start = text.and_then(|text| sequence(text.as_bstr())).or_else(|| sequence(default.into()));
        Self { start: start.unwrap_or_default(), reset: sequence("reset".into()).unwrap_or_default() }
    }

    /// The colour that `text` names; `None` if it names none.
    pub fn new(text: &BStr) -> Option<Self> {
        Some(Self { start: sequence(text)?, reset: sequence("reset".into())? })
    }

    /// Appends `text` to `out`, coloured.
    pub fn put(&self, text: &[u8], out: &mut BString) {
        for part in [&self.start, text, &self.reset] {
            out.extend_from_slice(part);
        }
    }
}

/// A value of the configuration that names no colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadColor {
    /// The key.
    pub key: String,
    /// The value.
    pub text: BString,
}

/// The escape sequence that `text` stands for: at most two colours, the second for the background, and any attributes.
/// Empty where nothing is to change; `None` if git would not take it.
fn sequence(text: &BStr) -> Option<BString> {
    let mut is_reset = false;
    let mut attributes = BTreeSet::new();
    let mut colors = Vec::new();
    for word in text.fields() {
        let word = word.to_str().ok()?;
        if word.eq_ignore_ascii_case("reset") {
            is_reset = true;
        } else if let Some(code) = attribute(word) {
            attributes.insert(code);
        } else {
            // The number of the background is ten above that of the foreground.
            let shift = match colors.len() {
                0 => 0,
                1 => 10,
                _ => return None,
            };
            colors.push(color(word, shift)?);
        }
    }
    let codes = attributes.iter().map(ToString::to_string).chain(colors.into_iter().flatten());
    let codes: Vec<String> = is_reset.then(String::new).into_iter().chain(codes).collect();
    if codes.is_empty() {
        return Some(BString::default());
    }
    Some(format!("\x1b[{}m", codes.join(";")).into())
}

/// The code of an attribute, `no` or `no-` in front of it included.
fn attribute(word: &str) -> Option<u8> {
    let plain = word.strip_prefix("no").map(|rest| rest.strip_prefix('-').unwrap_or(rest));
    let find = |name: &str| ATTRIBUTES.iter().find(|(known, _, _)| *known == name);
    find(word).map(|(_, on, _)| *on).or_else(|| find(plain?).map(|(_, _, off)| *off))
}

/// The code of a colour; `Some(None)` for one that changes nothing.
#[expect(clippy::option_option, reason = "no colour is not the same as no such colour")]
fn color(word: &str, shift: u8) -> Option<Option<String>> {
    let word = word.to_ascii_lowercase();
    let basic = |number: usize, base: u8| u8::try_from(number).ok().map(|number| base + shift + number);
    let by_name = |name: &str| NAMES.iter().position(|known| *known == name);
    let code = match word.as_str() {
        "normal" | "-1" => return Some(None),
        "default" => (39 + shift).to_string(),
        name if name.starts_with('#') => {
            let [red, green, blue] = rgb(name.strip_prefix('#')?)?;
            format!("{};2;{red};{green};{blue}", 38 + shift)
        }
        name => match (by_name(name), name.strip_prefix("bright").and_then(by_name)) {
            (Some(number), _) => basic(number, 30)?.to_string(),
            (None, Some(number)) => basic(number, 90)?.to_string(),
            (None, None) => match name.parse::<u8>().ok()? {
                number @ 0..=7 => (30 + shift + number).to_string(),
                number @ 8..=15 => (90 + shift + number - 8).to_string(),
                number => format!("{};5;{number}", 38 + shift),
            },
        },
    };
    Some(Some(code))
}

/// `rrggbb`, or `rgb` for short.
fn rgb(digits: &str) -> Option<[u8; 3]> {
    let (width, factor) = match digits.len() {
        6 => (2, 1),
        3 => (1, 17),
        _ => return None,
    };
    let part = |index: usize| {
        let digits = digits.get(index * width..(index + 1) * width)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u8::from_str_radix(digits, 16).ok()?.checked_mul(factor)).flatten()
    };
    Some([part(0)?, part(1)?, part(2)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_those_of_git() {
        // What `git config --get-color` of git 2.47.3 prints.
        for (text, expected) in [
            ("red", "\x1b[31m"),
            ("red bold", "\x1b[1;31m"),
            ("brightred", "\x1b[91m"),
            ("7 12", "\x1b[37;104m"),
            ("200 201", "\x1b[38;5;200;48;5;201m"),
            ("#ff00ff", "\x1b[38;2;255;0;255m"),
            ("#f0f", "\x1b[38;2;255;0;255m"),
            ("normal blue", "\x1b[44m"),
            ("-1 3", "\x1b[43m"),
            ("default default", "\x1b[39;49m"),
            ("bold nobold red", "\x1b[1;22;31m"),
            ("no-dim nodim dim bold", "\x1b[1;2;22m"),
            ("italic ul blink reverse strike", "\x1b[3;4;5;7;9m"),
            ("reset", "\x1b[m"),
            ("reset red", "\x1b[;31m"),
            ("  RED  ", "\x1b[31m"),
            ("normal", ""),
            ("", ""),
        ] {
            assert_eq!(sequence(text.into()), Some(expected.into()), "{text}");
        }
    }

    #[test]
    fn what_git_refuses_is_refused() {
        for text in ["256", "BOLD", "red blue green", "#ff00zz", "#ff", "#+f+f+f", "brightdefault", "bogus"] {
            assert_eq!(sequence(text.into()), None, "{text}");
        }
    }
}
