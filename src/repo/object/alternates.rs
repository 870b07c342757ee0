//! Whose objects a repository borrows: `objects/info/alternates` and `GIT_ALTERNATE_OBJECT_DIRECTORIES`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

/// How far from the repository a list of alternates is still read. As seen in git 2.47.3.
const DEPTH_MAX: usize = 5;

/// The directories that `objects` borrows from, and those that they borrow from: each once, in the order in which git asks
/// them, itself not among them. Those that are not there are left out, as git does after a word about it.
///
/// gitrepository-layout(5), "objects/info/alternates". Directories that name each other are no mistake.
pub(super) fn borrowed_by(objects: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([resolved(objects)]);
    let mut ahead = vec![(objects.to_owned(), 0)];
    while let Some((directory, depth)) = ahead.pop() {
        if depth > 0 {
            if !directory.is_dir() || !seen.insert(resolved(&directory)) {
                continue;
            }
            found.push(directory.clone());
        }
        if depth <= DEPTH_MAX {
            ahead.extend(named_in(&directory).into_iter().rev().map(|named| (named, depth + 1)));
        }
    }
    found
}

/// What `info/alternates` of one directory names. A file that cannot be read names nothing.
fn named_in(objects: &Path) -> Vec<PathBuf> {
    let text = fs::read(objects.join("info/alternates")).unwrap_or_default();
    let named = gix_odb::alternate::parse(&text).unwrap_or_default();
    named.into_iter().map(|named| objects.join(named)).collect()
}

/// Whether gix-odb comes to the same: it refuses directories that name each other.
pub(super) fn are_followed_by_gix(objects: &Path, borrowed: &[PathBuf]) -> bool {
    if borrowed.is_empty() && !objects.join("info/alternates").exists() {
        return true;
    }
    let here = std::env::current_dir().unwrap_or_default();
    gix_odb::alternate::resolve(objects.to_owned(), &here).is_ok_and(|followed| {
        let followed = followed.iter().filter(|directory| directory.is_dir());
        followed.map(|path| resolved(path)).eq(borrowed.iter().map(|path| resolved(path)))
    })
}

fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Splits `GIT_ALTERNATE_OBJECT_DIRECTORIES` at the path separator; entries may be in double quotes with C escapes
/// (git(1)).
pub(super) fn parse_environment(value: &OsStr) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut rest = value.as_encoded_bytes();
    let separator = if cfg!(windows) { b';' } else { b':' };
    while !rest.is_empty() {
        let quoted = rest.strip_prefix(b"\"").and_then(unquote);
        let (path, after) = quoted.unwrap_or_else(|| {
            let (path, after) =
                rest.split_at(rest.iter().position(|byte| *byte == separator).unwrap_or(rest.len()));
            (path.to_vec(), after)
        });
        let after = after.strip_prefix(&[separator]).unwrap_or(after);
        if !path.is_empty() {
            paths.push(bytes_to_path(path));
        }
        rest = after;
    }
    paths
}

/// How `directory` is written in `GIT_ALTERNATE_OBJECT_DIRECTORIES`, for [`parse_environment`].
pub(crate) fn quote_alternate(directory: &Path) -> OsString {
    let separator = if cfg!(windows) { b';' } else { b':' };
    let bytes = directory.as_os_str().as_encoded_bytes();
    if !bytes.contains(&separator) && !bytes.starts_with(b"\"") {
        return directory.into();
    }
    let escaped = bytes.replace(b"\\", b"\\\\").replace(b"\"", b"\\\"");
    bytes_to_path([b"\"".as_slice(), &escaped, b"\""].concat()).into()
}

/// Undoes C quoting up to the closing quote; `None` if there is none.
fn unquote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = quoted;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((out, rest)),
            b'\\' => {
                let (&escape, after) = rest.split_first()?;
                rest = after;
                out.push(match escape {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'0'..=b'3' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        let text = format!("{}{}", char::from(escape), std::str::from_utf8(digits).ok()?);
                        u8::from_str_radix(&text, 8).ok()?
                    }
                    other => other,
                });
            }
            other => out.push(other),
        }
    }
}

fn bytes_to_path(bytes: Vec<u8>) -> PathBuf {
    use bstr::ByteVec as _;
    bytes.into_path_buf().unwrap_or_default()
}
