//! `FETCH_HEAD`: what was fetched, for `git merge` and `git pull`. Its form is that of git 2.47.3.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;
use super::ref_map::{FetchHead, Mapping};
use crate::text::push_hex;

/// Lines are written in pieces of so many bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Empties the file, or leaves it to be appended to (`--append`).
pub fn truncate(path: &Path) -> Result<(), Error> {
    std::fs::write(path, b"").map_err(|source| cannot(path, source))
}

/// How long the file is; 0 if there is none.
pub fn len(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Takes away what was added since the file had `len` bytes.
pub fn cut(path: &Path, len: u64) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).open(path).map_err(|source| cannot(path, source))?;
    file.set_len(len).map_err(|source| cannot(path, source))
}

/// Adds a line for each of `mappings` in the order given; those to be ignored have none. `url` is as [`display_url`]
/// gives it.
pub fn append(path: &Path, mappings: &[Mapping], url: &BStr) -> Result<(), Error> {
    let url = BString::from(url.replace(b"\\n", b"\\\\n"));
    let file =
        OpenOptions::new().create(true).append(true).open(path).map_err(|source| cannot(path, source))?;
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
    let mut text = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.fetch_head != FetchHead::Ignore) {
        text.clear();
        line(mapping, url.as_bstr(), &mut text);
        file.write_all(&text).map_err(|source| cannot(path, source))?;
    }
    file.flush().map_err(|source| cannot(path, source))
}

/// The objects that are to be merged, in the order of their lines.
pub fn to_merge(path: &Path) -> Result<Vec<ObjectId>, Error> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(cannot(path, source)),
    };
    let merged = text.lines().filter_map(|line| {
        let (id, rest) = line.split_once_str("\t")?;
        ObjectId::from_hex(id).ok().filter(|_| rest.starts_with(b"\t"))
    });
    Ok(merged.collect())
}

/// The URL as messages and the file show it: no `/` and no `.git` at the end.
pub fn display_url(url: &BStr) -> BString {
    let url = url.trim_end_with(|letter| letter == '/');
    url.strip_suffix(b".git").unwrap_or(url).into()
}

/// What kind of ref `name` is, and its name without that.
pub fn describe(name: &BStr) -> (&'static str, &BStr) {
    const KINDS: [(&[u8], &str); 3] =
        [(b"refs/heads/", "branch"), (b"refs/tags/", "tag"), (b"refs/remotes/", "remote-tracking branch")];
    if name == "HEAD" {
        return ("", "".into());
    }
    KINDS
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(*prefix)?.as_bstr())))
        .unwrap_or(("", name))
}

fn line(mapping: &Mapping, url: &BStr, out: &mut Vec<u8>) {
    let (kind, what) = describe(mapping.remote.as_bstr());
    push_hex(out, &mapping.id);
    out.push(b'\t');
    if mapping.fetch_head == FetchHead::NotForMerge {
        out.extend_from_slice(b"not-for-merge");
    }
    out.push(b'\t');
    if !what.is_empty() {
        if !kind.is_empty() {
            out.extend_from_slice(kind.as_bytes());
            out.push(b' ');
        }
        out.push(b'\'');
        out.extend_from_slice(what);
        out.extend_from_slice(b"' of ");
    }
    out.extend_from_slice(url);
    out.push(b'\n');
}

fn cannot(path: &Path, source: std::io::Error) -> Error {
    Error::Io { action: "cannot open", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(remote: &str, fetch_head: FetchHead) -> String {
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        let mapping = Mapping { remote: remote.into(), id, local: None, force: false, fetch_head };
        let mut out = Vec::new();
        line(&mapping, "file:///up".into(), &mut out);
        String::from_utf8(out).unwrap().replace(&id.to_string(), "ID")
    }

    #[test]
    fn lines_are_those_of_git() {
        assert_eq!(written("HEAD", FetchHead::Merge), "ID\t\tfile:///up\n");
        assert_eq!(written("refs/heads/a/b", FetchHead::Merge), "ID\t\tbranch 'a/b' of file:///up\n");
        assert_eq!(
            written("refs/tags/v1", FetchHead::NotForMerge),
            "ID\tnot-for-merge\ttag 'v1' of file:///up\n"
        );
        assert_eq!(written("refs/notes/x", FetchHead::Merge), "ID\t\t'refs/notes/x' of file:///up\n");
    }

    #[test]
    fn what_is_to_be_merged_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("FETCH_HEAD");
        assert!(to_merge(&path).unwrap().is_empty());
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let text = format!(
            "{one}\t\tbranch 'a' of x\n{two}\tnot-for-merge\tbranch 'b' of x\nnonsense\n{two}\t\tx\n"
        );
        std::fs::write(&path, text).unwrap();
        let found: Vec<String> = to_merge(&path).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, [one, two]);
    }

    #[test]
    fn urls_are_shortened() {
        assert_eq!(display_url("file:///up.git/".into()), "file:///up");
        assert_eq!(display_url("https://h/x".into()), "https://h/x");
    }
}
