//! Changing a configuration file without touching what does not change; the layout is that of git 2.47.3.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::Error;
use super::key::{self, Key};
use super::parse::{self, Item, Kind};
use crate::repo::lock::LockFile;
use crate::repo::system_text;
use crate::storage::Storage;

/// One change to a configuration file.
#[derive(Debug, Clone)]
pub enum Change {
    /// Sets the key to one value, in place if it has one; of several, the last one's place.
    Set(BString, BString),
    /// Adds a value beside those it has.
    Add(BString, BString),
    /// Puts the second value in the place of the first that equals the first one; adds it if none does.
    Replace(BString, BString, BString),
    /// Removes all values of the key, and the section if nothing is left in it.
    Unset(BString),
    /// As [`Change::Unset`], but only the values that are among these.
    UnsetValues(BString, Vec<BString>),
    /// Removes a whole section such as `branch.main`, whatever is in it.
    RemoveSection(BString),
    /// Renames a whole section, such as `remote.a` to `remote.b`.
    RenameSection(BString, BString),
}

/// Applies `changes` to the configuration file at `path`, all or none, under its `.lock`. Layout as `git config` writes
/// it: a tab before the key, `key = value`, quotes only where needed. Removing a value that is not there is no error,
/// removing or renaming a section that is not there is.
pub fn edit(path: &Path, changes: &[Change]) -> Result<(), Error> {
    replace(path, &|old| {
        let mut text = old.to_vec();
        for change in changes {
            text = apply(text, change, path)?;
        }
        Ok(text)
    })
}

/// Puts back `before`, which the configuration file at `path` held when it was not yet `after`; where others have changed
/// it since, it stays.
pub fn undo(path: &Path, before: &[u8], after: &[u8]) -> Result<(), Error> {
    replace(path, &|now| Ok(if now == after { before.to_vec() } else { now.to_vec() }))
}

/// Makes the new text of a file of the old one.
type Rewrite<'a> = dyn Fn(&[u8]) -> Result<Vec<u8>, Error> + 'a;

/// Gives the file at `path`, under its `.lock`, the text that `change` makes of what it holds.
fn replace(path: &Path, change: &Rewrite<'_>) -> Result<(), Error> {
    let target = &gix_lock::acquire::resolve_symlink(path);
    let locked = |error| {
        let reason = system_text(&error);
        Error::Config(format!("could not lock config file {}: {reason}", shown(path).display()))
    };
    let mut lock = LockFile::acquire(target, Storage::default()).map_err(locked)?;
    let failed = |action| move |source| Error::Io { action, path: target.clone(), source };
    let old = match std::fs::read(target) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("unable to access")(error)),
    };
    let text = change(old.as_deref().unwrap_or_default())?;
    if old.is_some_and(|old| old == text) {
        return Ok(());
    }
    lock.write_all(&text).map_err(failed("failed to write new configuration file"))?;
    lock.commit().map_err(failed("could not write config file"))
}

/// `text` after `change`; `path` is for errors.
fn apply(text: Vec<u8>, change: &Change, path: &Path) -> Result<Vec<u8>, Error> {
    let bad_line = |line| Error::Config(format!("bad config line {line} in file {}", shown(path).display()));
    let items = parse::parse(&text).map_err(bad_line)?;
    let mut file = Text { text, items };
    match change {
        Change::Set(key, value) => file.set(Key::parse(key)?, value.as_bstr())?,
        Change::Add(key, value) => file.add(Key::parse(key)?, value.as_bstr())?,
        Change::Replace(key, old, new) => {
            file.replace_value(Key::parse(key)?, old.as_bstr(), new.as_bstr())?;
        }
        Change::Unset(key) => file.unset(Key::parse(key)?, &|_| true),
        Change::UnsetValues(key, values) => {
            file.unset(Key::parse(key)?, &|value| values.iter().any(|doomed| doomed == value));
        }
        Change::RemoveSection(name) => file.remove_section(name.as_bstr())?,
        Change::RenameSection(old, new) => file.rename_section(old.as_bstr(), new.as_bstr())?,
    }
    Ok(file.text)
}

/// The file at `path` as messages show it.
fn shown(path: &Path) -> PathBuf {
    let directory = super::cascade::display_name(path.parent().unwrap_or(Path::new("")), "");
    directory.join(path.file_name().unwrap_or_default())
}

/// A file's text with what is in it. The items are those before the change: each change is the last.
struct Text {
    text: Vec<u8>,
    items: Vec<Item>,
}

impl Text {
    fn set(&mut self, key: Key<'_>, value: &BStr) -> Result<(), Error> {
        let mut places = self.entries_of(key);
        let Some(last) = places.pop() else { return self.add(key, value) };
        let line = entry_line(key, value)?;
        // from the end, so that the places before stay right
        self.replace_lines(last, &line);
        for place in places.into_iter().rev() {
            self.replace_lines(place, b"");
        }
        Ok(())
    }

    fn replace_value(&mut self, key: Key<'_>, old: &BStr, new: &BStr) -> Result<(), Error> {
        let canonical = key.canonical();
        let mut entries = self.items.iter().zip(self.keys());
        let found = entries
            .find(|(item, key)| key.as_ref() == Some(&canonical) && item.value() == old)
            .map(|(item, _)| item.span.clone());
        let Some(place) = found else { return self.add(key, new) };
        let line = entry_line(key, new)?;
        self.replace_lines(place, &line);
        Ok(())
    }

    fn add(&mut self, key: Key<'_>, value: &BStr) -> Result<(), Error> {
        let line = entry_line(key, value)?;
        let mut place = None;
        let mut is_inside = false;
        for item in &self.items {
            match &item.kind {
                Kind::Header(header) => {
                    is_inside = header.is(&key.section.to_ascii_lowercase(), key.subsection);
                }
                Kind::Comment => continue,
                Kind::Entry { .. } => {}
            }
            if is_inside {
                place = Some(match item.kind {
                    Kind::Header(_) => {
                        item.span.end + newline_len(self.text.get(item.span.end..).unwrap_or_default())
                    }
                    Kind::Entry { .. } | Kind::Comment => item.span.end,
                });
            }
        }
        if let Some(place) = place {
            self.replace(place..place, &line);
        } else {
            let mut section = header_line(key.section, key.subsection);
            section.extend(line);
            let end = self.text.len();
            self.replace(end..end, &section);
        }
        Ok(())
    }

    /// Removes the values of `key` that are meant.
    fn unset(&mut self, key: Key<'_>, is_meant: &dyn Fn(&BStr) -> bool) {
        let canonical = key.canonical();
        let keys = self.keys();
        let is_doomed = |index: usize| {
            keys.get(index).is_some_and(|key| key.as_ref() == Some(&canonical))
                && self.items.get(index).is_some_and(|item| is_meant(item.value()))
        };
        let mut cuts: Vec<Range<usize>> = Vec::new();
        for (index, item) in self.items.iter().enumerate().filter(|&(index, _)| is_doomed(index)) {
            let cut = match self.section_left_empty(index, key, &is_doomed) {
                Some(section) => self.with_blank_lines(section),
                None => self.with_indent(item.span.clone()),
            };
            // several values in one section that goes
            if cuts.last().is_none_or(|last| last.end <= cut.start) {
                cuts.push(cut);
            }
        }
        for cut in cuts.into_iter().rev() {
            self.replace(cut, b"");
        }
    }

    /// The span of the section around the entry at `index` if nothing is left in it once the doomed entries are gone:
    /// no entry and no comment.
    fn section_left_empty(
        &self,
        index: usize,
        key: Key<'_>,
        is_doomed: &dyn Fn(usize) -> bool,
    ) -> Option<Range<usize>> {
        let mut start = None;
        for (before, item) in self.items.iter().enumerate().take(index).rev() {
            match item.kind {
                Kind::Header(_) if start.is_none() => start = Some(item.span.start),
                // a comment above the header may belong to it
                Kind::Comment => return None,
                Kind::Entry { .. } if start.is_none() && !is_doomed(before) => return None,
                Kind::Header(_) | Kind::Entry { .. } if start.is_some() => break,
                Kind::Header(_) | Kind::Entry { .. } => {}
            }
        }
        for (after, item) in self.items.iter().enumerate().skip(index + 1) {
            match &item.kind {
                Kind::Header(header) if header.is(&key.section.to_ascii_lowercase(), key.subsection) => {}
                Kind::Header(_) => return Some(start?..item.span.start),
                Kind::Entry { .. } if is_doomed(after) => {}
                Kind::Entry { .. } | Kind::Comment => return None,
            }
        }
        Some(start?..self.text.len())
    }

    fn remove_section(&mut self, name: &BStr) -> Result<(), Error> {
        for (start, end) in self.sections_named(name)?.into_iter().rev() {
            let start = self.with_indent(start..start).start;
            let end = self.with_indent(end..end).start;
            self.text.drain(start..end.max(start));
        }
        Ok(())
    }

    fn rename_section(&mut self, old: &BStr, new: &BStr) -> Result<(), Error> {
        let (section, subsection) = key::check_section(new)?;
        for (start, _) in self.sections_named(old)?.into_iter().rev() {
            let header = self.items.iter().find(|item| item.span.start == start);
            let end = header.map_or(start, |item| item.span.end);
            let rest = self.text.get(end..).unwrap_or_default();
            let blanks = rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
            let rest = rest.get(blanks..).unwrap_or_default();
            let mut replacement = header_line(section, subsection);
            match newline_len(rest) {
                0 if rest.is_empty() => {}
                // what stood behind the header gets its own line
                0 => replacement.push(b'\t'),
                // keep the line's own ending
                _ => drop(replacement.pop()),
            }
            let start = self.with_indent(start..start).start;
            self.text.splice(start..end + blanks, replacement);
        }
        Ok(())
    }

    /// From where to where the sections `name` go: from header to next header or the end of the file.
    fn sections_named(&self, name: &BStr) -> Result<Vec<(usize, usize)>, Error> {
        let (section, subsection) = key::split_section(name);
        let section = section.to_ascii_lowercase();
        let headers = self.items.iter().filter_map(|item| match &item.kind {
            Kind::Header(header) => Some((item.span.start, header.is(&section, subsection))),
            Kind::Entry { .. } | Kind::Comment => None,
        });
        let headers: Vec<_> = headers.collect();
        let ends = headers.iter().skip(1).map(|&(start, _)| start).chain([self.text.len()]);
        let sections = headers.iter().zip(ends).filter(|((_, same), _)| *same);
        let sections: Vec<_> = sections.map(|(&(start, _), end)| (start, end)).collect();
        if sections.is_empty() {
            return Err(Error::Config(format!("no such section: {name}")));
        }
        Ok(sections)
    }

    /// The canonical key of each item that is an entry.
    fn keys(&self) -> Vec<Option<BString>> {
        let mut current = None;
        let keys = self.items.iter().map(|item| match &item.kind {
            Kind::Header(header) => {
                current = Some(header);
                None
            }
            Kind::Entry { name, .. } => current.map(|header| {
                let subsection = header.subsection.as_ref().map(|subsection| subsection.as_slice());
                Key { section: &header.section, subsection, name: name.as_bytes() }.canonical()
            }),
            Kind::Comment => None,
        });
        keys.collect()
    }

    /// The spans of all entries of `key`.
    fn entries_of(&self, key: Key<'_>) -> Vec<Range<usize>> {
        let canonical = key.canonical();
        let entries = self.items.iter().zip(self.keys());
        entries
            .filter(|(_, key)| key.as_ref() == Some(&canonical))
            .map(|(item, _)| item.span.clone())
            .collect()
    }

    /// `span` with all white space before it.
    fn with_blank_lines(&self, span: Range<usize>) -> Range<usize> {
        let before = self.text.get(..span.start).unwrap_or_default();
        let blanks = before.iter().rev().take_while(|&&byte| parse::is_space(byte)).count();
        span.start - blanks..span.end
    }

    /// `span` with the blanks before it on its line.
    fn with_indent(&self, span: Range<usize>) -> Range<usize> {
        let before = self.text.get(..span.start).unwrap_or_default();
        let blanks = before.iter().rev().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
        span.start - blanks..span.end
    }

    fn replace_lines(&mut self, span: Range<usize>, line: &[u8]) {
        let span = self.with_indent(span);
        self.replace(span, line);
    }

    /// Puts `lines` in the place of `span`, at the beginning of a line.
    fn replace(&mut self, span: Range<usize>, lines: &[u8]) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let joins = !before.is_empty() && !before.ends_with(b"\n");
        let newline: &[u8] = if joins { b"\n" } else { b"" };
        self.text.splice(span, [newline, lines].concat());
    }
}

/// The length of the line ending at the beginning of `text`.
fn newline_len(text: &[u8]) -> usize {
    match text {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

fn header_line(section: &[u8], subsection: Option<&[u8]>) -> Vec<u8> {
    let mut line = vec![b'['];
    line.extend_from_slice(section);
    if let Some(subsection) = subsection {
        line.extend_from_slice(b" \"");
        for &byte in subsection {
            if matches!(byte, b'"' | b'\\') {
                line.push(b'\\');
            }
            line.push(byte);
        }
        line.push(b'"');
    }
    line.extend_from_slice(b"]\n");
    line
}

/// `<tab>name = value`. A value is quoted if it would not read back otherwise; a CR too, since the reader takes CR LF
/// for the end of the line (CVE-2025-48384).
fn entry_line(key: Key<'_>, value: &BStr) -> Result<Vec<u8>, Error> {
    if value.contains(&0) {
        return Err(Error::Config(format!("invalid value for '{}': it contains NUL", key.canonical())));
    }
    let quoted = value.starts_with(b" ") || value.ends_with(b" ") || value.find_byteset(b";#\r").is_some();
    let mut line = vec![b'\t'];
    line.extend_from_slice(key.name);
    line.extend_from_slice(b" = ");
    line.extend(quoted.then_some(b'"'));
    for &byte in value.iter() {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b'"' | b'\\' => line.extend([b'\\', byte]),
            byte => line.push(byte),
        }
    }
    line.extend(quoted.then_some(b'"'));
    line.push(b'\n');
    Ok(line)
}
