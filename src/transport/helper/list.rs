//! `list`: the refs of the far side. gitremote-helpers(7), "REF LIST ATTRIBUTES" and "REF LIST KEYWORDS".

use std::collections::HashMap;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Answer, Helper};
use crate::progress::Progress;
use crate::protocol::{self, Ref};
use crate::transport::Error;

/// The most refs that are taken.
const REFS_MAX: usize = 10_000_000;

/// What the refs are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To fetch.
    Fetch,
    /// To push.
    Push,
}

/// The answer to `list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The refs. Where the program does not know what one is before it was imported, its id is the null id.
    pub refs: Vec<Ref>,
    /// The hash function of the ids.
    pub object_hash: gix_hash::Kind,
}

impl Helper {
    /// Asks for the refs of the far side.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the answer makes no sense.
    pub fn list(&mut self, purpose: Purpose, progress: &mut dyn Progress) -> Result<Listing, Error> {
        if self.capabilities.object_format {
            let _its_ids_tell = self.set("object-format", "true".into(), progress)? == Answer::Ok;
        }
        let for_push = purpose == Purpose::Push && self.capabilities.push;
        self.say(&[if for_push { b"list for-push" } else { b"list" }])?;
        let mut rows = Rows::default();
        loop {
            let line = self.hear()?;
            if line.is_empty() {
                return Ok(rows.listing());
            }
            rows.take(line.as_bstr())?;
        }
    }
}

/// The lines so far.
#[derive(Debug)]
struct Rows {
    object_hash: gix_hash::Kind,
    refs: Vec<Ref>,
}

impl Default for Rows {
    fn default() -> Self {
        Self { object_hash: gix_hash::Kind::Sha1, refs: Vec::new() }
    }
}

impl Rows {
    fn take(&mut self, line: &BStr) -> Result<(), Error> {
        if let Some(pair) = line.strip_prefix(b":") {
            if let Some(format) = pair.strip_prefix(b"object-format ") {
                self.object_hash = hash_named(format).ok_or_else(|| {
                    Error::Program(format!("unsupported object format '{}'", format.as_bstr()))
                })?;
            }
            return Ok(());
        }
        if self.refs.len() >= REFS_MAX {
            return Err(protocol::Error::TooMany { what: "refs", limit: REFS_MAX }.into());
        }
        let malformed = || Error::Program(format!("malformed response in ref list: {line}"));
        let (value, rest) = line.split_once_str(" ").ok_or_else(malformed)?;
        // What follows the name are attributes; `unchanged` is the only one, and changes nothing here.
        let name = BString::from(rest.split_str(" ").next().unwrap_or_default());
        self.refs.push(match value {
            b"?" => Ref::direct(name, ObjectId::null(self.object_hash)),
            [b'@', target @ ..] => Ref { name, id: None, peeled: None, symref_target: Some(target.into()) },
            hex => {
                let id = ObjectId::from_hex(hex).ok().filter(|id| id.kind() == self.object_hash);
                Ref::direct(name, id.ok_or_else(malformed)?)
            }
        });
        Ok(())
    }

    /// Symbolic refs are what they name, and `<tag>^{}` says what a tag points to.
    fn listing(self) -> Listing {
        let Self { object_hash, refs: rows } = self;
        let mut refs: Vec<Ref> = Vec::with_capacity(rows.len());
        for row in rows {
            match (row.name.strip_suffix(b"^{}"), refs.last_mut()) {
                (Some(name), Some(tag)) if tag.name == name => tag.peeled = row.id,
                _ => refs.push(row),
            }
        }
        let ids: HashMap<BString, Option<ObjectId>> =
            refs.iter().map(|reference| (reference.name.clone(), reference.id)).collect();
        for reference in &mut refs {
            if let Some(target) = &reference.symref_target {
                reference.id = ids.get(target).copied().flatten();
            }
        }
        Listing { refs, object_hash }
    }
}

fn hash_named(name: &[u8]) -> Option<gix_hash::Kind> {
    name.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(lines: &[&str]) -> Result<Listing, String> {
        let mut rows = Rows::default();
        lines.iter().try_for_each(|line| rows.take((*line).into())).map_err(|error| error.to_string())?;
        Ok(rows.listing())
    }

    #[test]
    fn every_kind_of_line() {
        let one = "1".repeat(40);
        let line = format!("{one} refs/heads/main unchanged");
        let peeled = format!("{one} refs/x^{{}}");
        let lines = [":foo bar", "@refs/heads/main HEAD", &line, "? refs/x", &peeled, "@refs/none refs/y"];
        let listing = listed(&lines).expect("it is well");
        let id = ObjectId::from_hex(one.as_bytes()).ok();
        let symbolic = |name: &str, target: &str, id| Ref {
            name: name.into(),
            id,
            peeled: None,
            symref_target: Some(target.into()),
        };
        assert_eq!(
            listing.refs,
            [
                symbolic("HEAD", "refs/heads/main", id),
                Ref { name: "refs/heads/main".into(), id, peeled: None, symref_target: None },
                Ref { peeled: id, ..Ref::direct("refs/x", ObjectId::null(gix_hash::Kind::Sha1)) },
                symbolic("refs/y", "refs/none", None),
            ]
        );
        assert_eq!(listing.object_hash, gix_hash::Kind::Sha1);
    }

    #[test]
    fn ids_are_of_the_hash_that_was_named() {
        let long = format!("{} refs/a", "2".repeat(64));
        let listing = listed(&[":object-format sha256", &long]).expect("it is well");
        assert_eq!(listing.object_hash, gix_hash::Kind::Sha256);
        for (lines, expected) in [
            (vec![long.as_str()], format!("malformed response in ref list: {long}")),
            (vec!["refs/a"], "malformed response in ref list: refs/a".to_owned()),
            (vec!["zz refs/a"], "malformed response in ref list: zz refs/a".to_owned()),
            (vec![":object-format md5"], "unsupported object format 'md5'".to_owned()),
        ] {
            assert_eq!(listed(&lines).expect_err("it is not"), expected);
        }
    }
}
