//! Fetching from a server that knows nothing of git, file by file: gitprotocol-http(5), "Dumb Clients".
//!
//! ```text
//! list: info/refs, HEAD ── fetch: Walk ─┬─ an object: its loose file, else a pack that has it, else an alternate's
//!                                       └─ what it refers to, until all is here
//! ```
//!
//! Nothing that the server says is believed: each object is stored under the id that it has, a pack under its own checksum.
//! What is told to the user is as seen in git 2.47.3.

use std::io::{BufRead, Read};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;
use crate::progress::Progress;
use crate::protocol::{self, Ref};
use crate::transport::helper::Listing;
use crate::transport::{self, File, Files};

mod place;
mod walk;

pub(super) use walk::fetch;

/// The most refs that are taken.
const REFS_MAX: usize = 10_000_000;
/// The longest line of `info/refs`, in bytes.
const LINE_LEN_MAX: u64 = 64 * 1024;
/// The longest `HEAD`, in bytes.
const HEAD_LEN_MAX: u64 = 4 * 1024;

/// The refs of the repository: what `info/refs` says, and `HEAD`.
pub(super) fn list(files: &mut dyn Files, progress: &mut dyn Progress) -> Result<Listing, Error> {
    let base = files.base().to_owned();
    let mut listing = read_refs(&base, files.refs())?;
    let head = match files.open(&format!("{base}HEAD"), progress)? {
        File::Body(body) => read_line(&mut body.take(HEAD_LEN_MAX))?.unwrap_or_default(),
        File::Missing(_) => return Ok(listing),
    };
    listing.refs.splice(0..0, head_of(head.trim_end(), &listing));
    Ok(listing)
}

/// What `HEAD` is, if it is anything: a ref that is there, or an id.
fn head_of(text: &[u8], listing: &Listing) -> Option<Ref> {
    let Some(target) = text.strip_prefix(b"ref:") else {
        let id = ObjectId::from_hex(text).ok().filter(|id| id.kind() == listing.object_hash)?;
        return Some(Ref::direct("HEAD", id));
    };
    let target = BString::from(target.trim_start());
    let id = listing.refs.iter().find(|reference| reference.name == target)?.id?;
    Some(Ref { symref_target: Some(target), ..Ref::direct("HEAD", id) })
}

/// Reads lines of an id, a tab and a name.
fn read_refs(base: &str, input: &mut dyn BufRead) -> Result<Listing, Error> {
    let bad = |more: &str| {
        let text = format!("{base}info/refs not valid: {more}is this a git repository?");
        Error::from(transport::Error::Access(text))
    };
    let mut listing = Listing { refs: Vec::new(), object_hash: gix_hash::Kind::Sha1 };
    while let Some(line) = read_line(&mut input.take(LINE_LEN_MAX))? {
        let (id, name) = line.split_once_str("\t").ok_or_else(|| bad(""))?;
        let id = ObjectId::from_hex(id).ok();
        if listing.refs.is_empty() {
            let hash = id.ok_or_else(|| bad("could not determine hash algorithm; "))?.kind();
            listing.object_hash = hash;
        }
        let id = id.filter(|id| id.kind() == listing.object_hash).ok_or_else(|| bad(""))?;
        match (name.strip_suffix(b"^{}"), listing.refs.last_mut()) {
            (Some(tag), Some(last)) if last.name == tag => last.peeled = Some(id),
            _ => listing.refs.push(Ref::direct(name, id)),
        }
        if listing.refs.len() > REFS_MAX {
            return Err(protocol::Error::TooMany { what: "refs", limit: REFS_MAX }.into());
        }
    }
    Ok(listing)
}

/// The next line without its end; `None` at the end. One that is longer than `input` lets through is an error.
fn read_line(input: &mut std::io::Take<impl BufRead>) -> Result<Option<Vec<u8>>, Error> {
    let mut line = Vec::new();
    let amount = input.read_until(b'\n', &mut line).map_err(transport::Error::from)?;
    if line.pop_if(|byte| *byte == b'\n').is_none() && input.limit() == 0 {
        let limit = usize::try_from(LINE_LEN_MAX).unwrap_or(usize::MAX);
        return Err(protocol::Error::TooMany { what: "bytes in a line of info/refs", limit }.into());
    }
    Ok((amount > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const ID: &str = "1234567890123456789012345678901234567890";

    fn listed(text: &str) -> Result<Listing, String> {
        read_refs("http://h/r/", &mut text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn refs_are_lines_of_an_id_and_a_name() {
        let found =
            listed(&format!("{ID}\trefs/heads/main\n{ID}\trefs/tags/v1\n{ID}\trefs/tags/v1^{{}}")).unwrap();
        assert_eq!(found.refs.len(), 2);
        assert_eq!(found.refs[1].peeled, found.refs[0].id);
        let head = head_of(b"ref: refs/heads/main", &found).unwrap();
        assert_eq!((head.id, head.symref_target), (found.refs[0].id, Some("refs/heads/main".into())));
        assert!(head_of(ID.as_bytes(), &found).unwrap().symref_target.is_none());
        assert!(head_of(b"ref: refs/heads/gone", &found).is_none());
        assert!(head_of(b"<html>", &found).is_none());
        assert!(listed("").unwrap().refs.is_empty());
    }

    #[test]
    fn what_is_no_list_of_refs_is_refused() {
        let asks = "http://h/r/info/refs not valid: is this a git repository?";
        assert_eq!(listed("<html>\n").unwrap_err(), asks);
        assert_eq!(listed(&format!("{ID}\trefs/heads/main\n{ID}{ID}\tx\n")).unwrap_err(), asks);
        let unknown =
            "http://h/r/info/refs not valid: could not determine hash algorithm; is this a git repository?";
        assert_eq!(listed("abc\tdef\n").unwrap_err(), unknown);
        let mut endless = io::BufReader::new(io::repeat(b'a'));
        assert!(read_refs("http://h/r/", &mut endless).is_err());
    }
}
