//! Trees: names that would do harm, modes, order.

use std::cmp::Ordering;
use std::collections::HashSet;

use bstr::{BStr, ByteSlice};
use gix_object::{TreeRefIter, tree::EntryRef};
use gix_validate::path::component::{self, Mode};

use super::{Message, Report, Special};

/// git-fsck(1), "largePathname".
pub(super) const NAME_LEN_MAX: usize = 4096;

/// What is wrong with some entry, told once for the tree.
const TEXTS: [(Message, &str); 11] = [
    (Message::NullSha1, "contains entries pointing to null sha1"),
    (Message::FullPathname, "contains full pathnames"),
    (Message::EmptyName, "contains empty pathname"),
    (Message::HasDot, "contains '.'"),
    (Message::HasDotdot, "contains '..'"),
    (Message::HasDotgit, "contains '.git'"),
    (Message::ZeroPaddedFilemode, "contains zero-padded file modes"),
    (Message::BadFilemode, "contains bad file modes"),
    (Message::DuplicateEntries, "contains duplicate file entries"),
    (Message::TreeNotSorted, "not properly sorted"),
    (Message::LargePathname, "contains excessively large pathname"),
];

/// Checks a tree.
pub(super) fn check(content: &[u8], report: &mut Report<'_>) {
    let mut found = Vec::new();
    let mut names = HashSet::new();
    let mut last: Option<EntryRef<'_>> = None;
    for entry in TreeRefIter::from_bytes(content, report.id.kind()) {
        let Ok(entry) = entry else {
            return report.add(Message::BadTree, "cannot be parsed as a tree");
        };
        check_entry(&entry, report, &mut found);
        if !names.insert(entry.filename) {
            found.push(Message::DuplicateEntries);
        }
        if last.is_some_and(|last| order(&last, &entry) == Ordering::Greater) {
            found.push(Message::TreeNotSorted);
        }
        last = Some(entry);
    }
    if modes(content, report.id.kind()).any(|mode| mode.starts_with(b"0")) {
        found.push(Message::ZeroPaddedFilemode);
    }
    for (message, text) in TEXTS {
        if found.contains(&message) {
            report.add(message, text);
        }
    }
}

fn check_entry(entry: &EntryRef<'_>, report: &mut Report<'_>, found: &mut Vec<Message>) {
    let name = entry.filename;
    let mut note = |is_so: bool, message| {
        if is_so {
            found.push(message);
        }
    };
    note(entry.oid.is_null(), Message::NullSha1);
    note(name.contains(&b'/'), Message::FullPathname);
    note(name.is_empty(), Message::EmptyName);
    note(name == ".", Message::HasDot);
    note(name == "..", Message::HasDotdot);
    let is = |matches: &dyn Fn(&BStr) -> bool| name.split_str("\\").any(|part| matches(part.as_bstr()));
    note(is(&|part| is_alias(part, None)), Message::HasDotgit);
    note(name.len() > report.rules.name_len_max, Message::LargePathname);
    let mode = entry.mode.value();
    let known = [0o100_755, 0o100_644, 0o120_000, 0o040_000, 0o160_000];
    note(!known.contains(&mode), Message::BadFilemode);
    let is_link = entry.mode.is_link();
    if is(&|part| is_alias(part, Some(Mode::Symlink))) && !is(&|part| is_alias(part, None)) {
        if is_link {
            report.add(Message::GitmodulesSymlink, ".gitmodules is a symbolic link");
        } else {
            report.specials.push((entry.oid.to_owned(), Special::Modules));
        }
    }
    let is_called = |wanted: &str| plain(name).eq_ignore_ascii_case(wanted.as_bytes());
    if is_called(".gitattributes") {
        if is_link {
            report.add(Message::GitattributesSymlink, ".gitattributes is a symlink");
        } else {
            report.specials.push((entry.oid.to_owned(), Special::Attributes));
        }
    }
    if is_link && is_called(".gitignore") {
        report.add(Message::GitignoreSymlink, ".gitignore is a symlink");
    }
    if is_link && is_called(".mailmap") {
        report.add(Message::MailmapSymlink, ".mailmap is a symlink");
    }
}

/// `name` as NTFS sees it: without dots and spaces at its end.
fn plain(name: &BStr) -> &[u8] {
    let kept = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |at| at + 1);
    name.get(..kept).unwrap_or(name)
}

/// Whether some file system takes `name` for `.git`, or with `mode` for `.gitmodules`.
fn is_alias(name: &BStr, mode: Option<Mode>) -> bool {
    let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    matches!(
        gix_validate::path::component(name, mode, options),
        Err(component::Error::DotGitDir | component::Error::SymlinkedGitModules)
    )
}

/// The order of a tree: a directory is compared as if its name ended with a slash.
fn order(a: &EntryRef<'_>, b: &EntryRef<'_>) -> Ordering {
    let end = |entry: &EntryRef<'_>| entry.mode.is_tree().then_some(b'/');
    let bytes = |entry: &EntryRef<'_>| entry.filename.iter().copied().chain(end(entry)).collect::<Vec<_>>();
    bytes(a).cmp(&bytes(b))
}

/// The modes as they are written.
fn modes(content: &[u8], hash: gix_hash::Kind) -> impl Iterator<Item = &[u8]> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (mode, behind) = rest.split_once_str(" ")?;
        let end = behind.find_byte(0)?;
        rest = behind.get(end + 1 + hash.len_in_bytes()..)?;
        Some(mode)
    })
}
