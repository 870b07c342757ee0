//! Names that some file system takes for one of git's own files.

use bstr::ByteSlice;

/// A file that git reads by itself.
pub(super) struct File {
    /// Its name, without the dot at the beginning.
    name: &'static str,
    /// How a short name on NTFS begins where those that are made of the name's own letters are in use.
    short: &'static str,
}

/// Only HFS+ is asked for it.
pub(super) const GIT: File = File { name: "git", short: "git" };
pub(super) const MODULES: File = File { name: "gitmodules", short: "gi7eba" };
pub(super) const ATTRIBUTES: File = File { name: "gitattributes", short: "gi7d29" };
pub(super) const IGNORE: File = File { name: "gitignore", short: "gi250a" };
pub(super) const MAILMAP: File = File { name: "mailmap", short: "maba30" };

/// How long the short names are.
const SHORT_LEN: usize = 8;

impl File {
    /// Whether HFS+ or NTFS takes `name` for this file.
    pub fn is_called(&self, name: &[u8]) -> bool {
        self.is_on_hfs(name) || self.is_on_ntfs(name)
    }

    /// Whether NTFS takes `name` for this file.
    pub fn is_on_ntfs(&self, name: &[u8]) -> bool {
        if let Some(rest) = name.strip_prefix(b".").and_then(|name| behind(name, self.name)) {
            return is_ignored(rest);
        }
        let Some((short, rest)) = name.split_at_checked(SHORT_LEN) else { return false };
        let Some((begin, number)) = short.split_once_str("~") else { return false };
        let is_own =
            self.name.get(..SHORT_LEN - 2).is_some_and(|own| begin.eq_ignore_ascii_case(own.as_bytes()))
                && matches!(number, [b'1'..=b'4']);
        let hashed = self.short.get(..begin.len());
        let is_hashed = hashed.is_some_and(|hashed| begin.eq_ignore_ascii_case(hashed.as_bytes()))
            && matches!(number, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
        (is_own || is_hashed) && is_ignored(rest)
    }

    /// Whether HFS+ takes `name` for this file.
    pub fn is_on_hfs(&self, name: &[u8]) -> bool {
        let mut rest = name;
        for wanted in std::iter::once('.').chain(self.name.chars()) {
            match next_char(&mut rest) {
                Some(found) if found.eq_ignore_ascii_case(&wanted) => {}
                Some(_) | None => return false,
            }
        }
        // what cannot be decoded ends it for git 2.47.3 as the end of a path element does
        matches!(next_char(&mut rest), None | Some('/'))
    }
}

/// What follows `word` in `name`, whatever the case is.
fn behind<'a>(name: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (begin, rest) = name.split_at_checked(word.len())?;
    begin.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

/// Whether NTFS overlooks `rest` behind a name: dots, spaces, and a stream of the file.
fn is_ignored(rest: &[u8]) -> bool {
    rest.iter().take_while(|byte| **byte != b':').all(|byte| matches!(byte, b'.' | b' '))
}

/// The next character that counts on HFS+, if one follows.
fn next_char(rest: &mut &[u8]) -> Option<char> {
    loop {
        let (found, len) = bstr::decode_utf8(*rest);
        *rest = rest.get(len..).unwrap_or_default();
        let found = found.filter(|found| !matches!(found, '\u{fffe}' | '\u{ffff}'))?;
        let is_overlooked = matches!(
            found,
            '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        );
        if !is_overlooked {
            return Some(found);
        }
    }
}
