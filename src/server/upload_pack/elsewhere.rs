//! Packs that stand elsewhere, which clients are told of in place of the blobs in them: `uploadpack.blobPackfileUri`,
//! gitprotocol-v2(5), "packfile-uris". What the values mean is told in packfile-uri of git's technical documentation.

use std::collections::HashSet;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use crate::pack::enumerate::Enumerated;
use crate::pack::source::Source;
use crate::repo::{Config, Error, Repository};

/// The key, as errors name it.
const KEY: &str = "uploadpack.blobpackfileuri";

/// Bytes of lines that another program may write before its pack.
const LINES_LEN_MAX: usize = 1 << 20;

/// What the configuration says, value by value; `None` where the key stands alone.
#[derive(Debug)]
pub(super) struct Elsewhere(Vec<Option<BString>>);

/// A blob that stands elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blob {
    id: ObjectId,
    pack: ObjectId,
    uri: BString,
}

impl Elsewhere {
    pub(super) fn read(config: &Config) -> Self {
        let entries = config.section("uploadpack").into_iter();
        let own = entries.filter(|(subsection, key, _)| subsection.is_none() && key == "blobpackfileuri");
        Self(own.map(|(_, _, value)| value).collect())
    }

    /// Whether clients may ask for URIs; that each makes sense is looked at where a pack is made.
    pub(super) fn is_offered(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// The blobs.
    ///
    /// # Errors
    ///
    /// If a value makes no sense, in the words of git 2.47.3.
    pub(super) fn blobs(&self, repo: &Repository) -> Result<Vec<Blob>, Error> {
        repo.config.check_valued(KEY)?;
        let mut seen = HashSet::new();
        let blob = |value: &BString| {
            let blob = Blob::parse(value, repo.object_hash).ok_or_else(|| {
                let form = "<object-hash> <pack-hash> <uri>";
                Error::Config(format!("value of {KEY} must be of the form '{form}' (got '{value}')"))
            })?;
            if !seen.insert(blob.id) {
                let text = format!("object already configured in another {KEY} (got '{value}')");
                return Err(Error::Config(text));
            }
            Ok(blob)
        };
        self.0.iter().flatten().map(blob).collect()
    }
}

impl Blob {
    fn parse(value: &BString, hash: gix_hash::Kind) -> Option<Self> {
        let id = |hex: &[u8]| ObjectId::from_hex(hex).ok().filter(|id| id.kind() == hash);
        let mut parts = value.splitn_str(3, " ");
        let (object, pack, uri) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { id: id(object)?, pack: id(pack)?, uri: uri.into() })
    }

    /// Whether the URI is of one of `protocols`.
    fn is_of(&self, protocols: &[BString]) -> bool {
        let is_of = |protocol: &BString| {
            self.uri.strip_prefix(protocol.as_slice()).is_some_and(|rest| rest.starts_with(b":"))
        };
        protocols.iter().any(is_of)
    }
}

/// Takes those of `blobs` out of `objects` whose URIs are of one of `protocols`, and gives the lines that name the packs
/// they are in: each once, in the order of the configuration.
pub(super) fn take_out(
    blobs: &[Blob],
    protocols: &[BString],
    source: &dyn Source,
    objects: &mut Enumerated,
) -> Vec<BString> {
    let blobs: Vec<&Blob> = blobs.iter().filter(|blob| blob.is_of(protocols)).collect();
    let taken = objects.take_out(source, &blobs.iter().map(|blob| blob.id).collect());
    let mut seen = HashSet::new();
    let mut lines = Vec::new();
    for Blob { pack, uri, .. } in blobs.into_iter().filter(|blob| taken.contains(&blob.id)) {
        if seen.insert((pack, uri)) {
            lines.push([format!("{pack} ").as_bytes(), uri].concat().into());
        }
    }
    lines
}

/// What another program writes before its pack, as it comes.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

impl Head {
    /// Takes more. Once the pack begins: the lines before it, and what is there of it.
    ///
    /// # Errors
    ///
    /// If it goes on and on.
    pub(super) fn take(&mut self, bytes: &[u8]) -> std::io::Result<Option<(Vec<BString>, Vec<u8>)>> {
        self.0.extend_from_slice(bytes);
        let starts = self.0.find_iter("PACK").find(|start| {
            let before = start.checked_sub(1);
            before.is_none_or(|before| self.0.get(before) == Some(&b'\n'))
        });
        match starts {
            Some(start) => {
                let pack = self.0.split_off(start);
                Ok(Some((self.0.lines().map(BString::from).collect(), pack)))
            }
            None if self.0.len() > LINES_LEN_MAX => {
                Err(std::io::Error::other("too many lines before the pack"))
            }
            None => Ok(None),
        }
    }
}

/// The options that ask another program for URIs.
pub(super) fn options(protocols: &[BString]) -> impl Iterator<Item = BString> + '_ {
    protocols.iter().map(|protocol| [b"--uri-protocol=", protocol.as_slice()].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(value: &str) -> Option<Blob> {
        Blob::parse(&value.into(), gix_hash::Kind::Sha1)
    }

    #[test]
    fn a_value_is_two_hashes_and_a_uri() {
        let (one, two) = ("1".repeat(40), "aB".repeat(20));
        let found = blob(&format!("{one} {two} https://x/y z")).unwrap();
        assert_eq!((found.id.to_string(), found.pack.to_string()), (one.clone(), two.to_lowercase()));
        assert_eq!(found.uri, "https://x/y z");
        for (protocols, expected) in
            [(&["https"][..], true), (&["ftp", "https"], true), (&["http"], false), (&["", "HTTPS"], false)]
        {
            let protocols: Vec<BString> = protocols.iter().map(|protocol| (*protocol).into()).collect();
            assert_eq!(found.is_of(&protocols), expected, "{protocols:?}");
        }
        for wrong in
            ["", "x", &one, &format!("{one} {two}"), &format!("{one}  {two} x"), &format!("{one} 1 x")]
        {
            assert_eq!(blob(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lines_end_where_the_pack_begins() {
        let mut head = Head::default();
        assert_eq!(head.take(b"1 x PACK y\n2").unwrap(), None);
        assert_eq!(head.take(b" z\nPA").unwrap(), None);
        let lines = vec!["1 x PACK y".into(), "2 z".into()];
        assert_eq!(head.take(b"CK\n1").unwrap(), Some((lines, b"PACK\n1".to_vec())));
        assert_eq!(Head::default().take(b"PACK").unwrap(), Some((Vec::new(), b"PACK".to_vec())));
        assert!(Head::default().take(&vec![b'x'; LINES_LEN_MAX + 1]).is_err());
    }
}
