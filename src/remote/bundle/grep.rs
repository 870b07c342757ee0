//! `--grep`, `--author` and `--committer`: commits by what they say. git-rev-list(1), "Commit Limiting".

use bstr::{BStr, BString, ByteSlice};
use regex::bytes::{Regex, RegexBuilder};

use crate::remote::Error;

/// What was asked for, as it was said.
#[derive(Debug, Default)]
pub(super) struct Asked {
    syntax: Syntax,
    ignores_case: bool,
    takes_all: bool,
    is_inverted: bool,
    messages: Vec<BString>,
    authors: Vec<BString>,
    committers: Vec<BString>,
}

/// How patterns are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Syntax {
    /// regex(7), "Obsolete (basic) regular expressions", which is the default.
    #[default]
    Basic,
    /// Those of this program's own library, which are more than the extended ones of regex(7).
    Extended,
    /// Plain text.
    Fixed,
}

/// Patterns that commits are held against.
#[derive(Debug)]
pub(super) struct Grep {
    messages: Vec<Regex>,
    authors: Vec<Regex>,
    committers: Vec<Regex>,
    takes_all: bool,
    is_inverted: bool,
}

impl Asked {
    /// Takes an option without a value; false if it is another.
    pub(super) fn switch(&mut self, option: &BStr) -> bool {
        match option.as_bytes() {
            b"-i" | b"--regexp-ignore-case" => self.ignores_case = true,
            b"--basic-regexp" => self.syntax = Syntax::Basic,
            b"-E" | b"--extended-regexp" | b"-P" | b"--perl-regexp" => self.syntax = Syntax::Extended,
            b"-F" | b"--fixed-strings" => self.syntax = Syntax::Fixed,
            b"--all-match" => self.takes_all = true,
            b"--invert-grep" => self.is_inverted = true,
            _ => return false,
        }
        true
    }

    /// The patterns of the option `name`; `None` if it has none.
    pub(super) fn patterns(&mut self, name: &str) -> Option<&mut Vec<BString>> {
        match name {
            "--grep" => Some(&mut self.messages),
            "--author" => Some(&mut self.authors),
            "--committer" => Some(&mut self.committers),
            _ => None,
        }
    }

    /// Makes the patterns ready; `None` if there are none.
    pub(super) fn compile(&self) -> Result<Option<Grep>, Error> {
        let all = |patterns: &[BString]| {
            patterns.iter().map(|pattern| self.one(pattern.as_bstr())).collect::<Result<Vec<Regex>, Error>>()
        };
        let messages = all(&self.messages)?;
        let (authors, committers) = (all(&self.authors)?, all(&self.committers)?);
        if messages.is_empty() && authors.is_empty() && committers.is_empty() {
            return Ok(None);
        }
        let (takes_all, is_inverted) = (self.takes_all, self.is_inverted);
        Ok(Some(Grep { messages, authors, committers, takes_all, is_inverted }))
    }

    fn one(&self, pattern: &BStr) -> Result<Regex, Error> {
        let refused = || Error::Usage(format!("'{pattern}' is no regular expression that is known here"));
        let text = pattern.to_str().map_err(|_| refused())?;
        let text = match self.syntax {
            Syntax::Basic => extended(text),
            Syntax::Extended => text.to_owned(),
            Syntax::Fixed => regex::escape(text),
        };
        let mut builder = RegexBuilder::new(&text);
        builder.unicode(false).case_insensitive(self.ignores_case);
        builder.build().map_err(|_| refused())
    }
}

impl Grep {
    /// Whether the commit with this content is one of those meant.
    pub(super) fn takes(&self, content: &[u8]) -> bool {
        let (head, message) = content.split_once_str("\n\n").unwrap_or((content, b""));
        let lines: Vec<&[u8]> = ByteSlice::lines(message).collect();
        let is_found = |pattern: &Regex| lines.iter().any(|line| pattern.is_match(line));
        let is_meant = if self.takes_all {
            self.messages.iter().all(is_found)
        } else {
            self.messages.is_empty() || self.messages.iter().any(is_found)
        };
        let is_meant = is_meant != (self.is_inverted && !self.messages.is_empty());
        is_meant && named(&self.authors, head, b"author ") && named(&self.committers, head, b"committer ")
    }
}

/// Whether one of `patterns`, if there are any, matches the name and address that `key` has in `head`.
fn named(patterns: &[Regex], head: &[u8], key: &[u8]) -> bool {
    let person = ByteSlice::lines(head).find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let end = person.rfind_byte(b'>').map_or(person.len(), |end| end + 1);
    let person = person.get(..end).unwrap_or_default();
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(person))
}

/// A basic regular expression as an extended one: which of the special characters have a backslash is the other way round.
fn extended(basic: &str) -> String {
    let mut out = String::new();
    let mut letters = basic.chars().peekable();
    while let Some(letter) = letters.next() {
        // an asterisk without anything to repeat, and an anchor in the middle, stand for themselves
        let is_first = out.is_empty() || out.ends_with(['(', '|']);
        match letter {
            '\\' => match letters.next() {
                Some(special @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => out.push(special),
                Some('<' | '>') => out.push_str("\\b"),
                Some(other) => out.extend(['\\', other]),
                None => out.push_str("\\\\"),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => out.extend(['\\', letter]),
            '*' if is_first || out == "^" => out.push_str("\\*"),
            '^' if !is_first => out.push_str("\\^"),
            '$' if letters.peek().is_some_and(|next| *next != '\\') => out.push_str("\\$"),
            '[' => bracket(&mut letters, &mut out),
            other => out.push(other),
        }
    }
    out
}

/// Goes on behind an opening bracket, where a backslash stands for itself.
fn bracket(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('[');
    if letters.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if letters.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(letter) = letters.next() {
        match letter {
            ']' => return out.push(']'),
            '[' if letters.peek() == Some(&':') => {
                out.push('[');
                let class: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                out.push_str(&class);
                out.push(']');
            }
            '\\' | '[' | '&' | '~' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &[u8] =
        b"tree x\nauthor A U Thor <a@example.com> 1 +0000\ncommitter C <c@example.com> 2 +0000\n\n\
        Fix the bug (again)\n\nSee a*b in [1].\n";

    fn takes(options: &[&str]) -> bool {
        let mut asked = Asked::default();
        for option in options {
            match option.split_once('=') {
                Some((name, value)) => asked.patterns(name).expect("it has patterns").push(value.into()),
                None => assert!(asked.switch(BStr::new(option)), "{option}"),
            }
        }
        asked.compile().expect("they make sense").is_none_or(|grep| grep.takes(COMMIT))
    }

    #[test]
    fn lines_of_the_message_and_people_are_matched() {
        for (options, is_taken) in [
            (&[][..], true),
            (&["--grep=bug"], true),
            (&["--grep=BUG"], false),
            (&["-i", "--grep=BUG"], true),
            (&["--grep=bug.*See"], false),
            (&["--grep=(again)$"], true),
            (&["--grep=^\\(Fix\\|Mend\\) "], true),
            (&["-E", "--grep=^(Fix|Mend) "], true),
            (&["-E", "--grep=(again)$"], false),
            (&["-F", "--grep=a*b"], true),
            (&["--grep=a\\*b"], true),
            (&["--grep=[[]1[]]"], true),
            (&["--grep=[^[:alpha:]]1"], true),
            (&["--grep=nosuch", "--grep=bug"], true),
            (&["--all-match", "--grep=nosuch", "--grep=bug"], false),
            (&["--invert-grep", "--grep=bug"], false),
            (&["--author=Thor"], true),
            (&["--author=^A U"], true),
            (&["--author=1 +0000"], false),
            (&["--author=Thor", "--committer=Thor"], false),
            (&["--author=Thor", "--grep=nosuch"], false),
        ] {
            assert_eq!(takes(options), is_taken, "{options:?}");
        }
    }
}
