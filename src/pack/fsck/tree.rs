//! Trees: names that would do harm, modes, order.

use std::cmp::Ordering;
use std::collections::HashSet;

use bstr::{BStr, ByteSlice};
use gix_object::{TreeRefIter, tree::EntryRef};
use gix_validate::path::component;

use super::{Message, Report, Special, alias};

/// git-fsck(1), "largePathname".
pub(super) const NAME_LEN_MAX: usize = 4096;

/// The modes that git writes.
const MODES: [&str; 5] = ["100755", "100644", "120000", "40000", "160000"];

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
            return add_unreadable(report);
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
    for mode in modes(content, report.id.kind()) {
        let plain = mode.trim_start_with(|digit| digit == '0');
        if plain.len() < mode.len() {
            found.push(Message::ZeroPaddedFilemode);
        }
        if !MODES.map(str::as_bytes).contains(&plain) {
            found.push(Message::BadFilemode);
        }
    }
    for (message, text) in TEXTS {
        if found.contains(&message) {
            report.add(message, text);
        }
    }
}

/// Tells of a tree that cannot be read.
pub(super) fn add_unreadable(report: &mut Report<'_>) {
    report.add(Message::BadTree, "cannot be parsed as a tree");
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
    note(is(&is_dot_git) || alias::GIT.is_on_hfs(name), Message::HasDotgit);
    note(name.len() > report.rules.name_len_max, Message::LargePathname);
    let is_link = entry.mode.is_link();
    // as in git 2.47.3, of what follows a backslash only this name is looked for
    let mut behind = name.find_iter("\\").filter_map(|at| name.get(at + 1..));
    if alias::MODULES.is_called(name) || behind.any(|rest| alias::MODULES.is_on_ntfs(rest)) {
        if is_link {
            report.add(Message::GitmodulesSymlink, ".gitmodules is a symbolic link");
        } else {
            report.specials.push((entry.oid.to_owned(), Special::Modules));
        }
    }
    if alias::ATTRIBUTES.is_called(name) {
        if is_link {
            report.add(Message::GitattributesSymlink, ".gitattributes is a symlink");
        } else {
            report.specials.push((entry.oid.to_owned(), Special::Attributes));
        }
    }
    if is_link && alias::IGNORE.is_called(name) {
        report.add(Message::GitignoreSymlink, ".gitignore is a symlink");
    }
    if is_link && alias::MAILMAP.is_called(name) {
        report.add(Message::MailmapSymlink, ".mailmap is a symlink");
    }
}

/// Whether some file system takes `name` for `.git`.
fn is_dot_git(name: &BStr) -> bool {
    let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    matches!(component(name, None, options), Err(component::Error::DotGitDir))
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
