//! Packs that stand elsewhere: a server may name them instead of sending their objects. git-config(1),
//! `fetch.uriProtocols`; gitprotocol-v2(5), "packfile-uris".
//!
//! They are downloaded after the pack that the server sends itself, since it would not wait for us. The name that the
//! server gives a pack is its checksum, so nothing that comes from elsewhere is taken for something else; refs move once
//! all are here.

use std::io::{Read, Seek, SeekFrom};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Request;
use crate::pack;
use crate::progress::Progress;
use crate::protocol;
use crate::remote::bundle_uri::{Unseen, download, shown};
use crate::remote::{Error, RepoSettings};
use crate::repo::Repository;
use crate::transport::{Scheme, Url, policy};

/// Packs that one answer may name.
const PACKS_MAX: usize = 1_000;
/// Bytes of one of them.
const PACK_LEN_MAX: u64 = 1 << 40;

/// A pack that is to be downloaded.
pub(super) struct Pack {
    id: ObjectId,
    url: Url,
}

/// The protocols by which the server may name packs: those of the configuration, unless they are not allowed anyway. Who
/// is reached with encryption does not send us to where anybody can listen.
pub(super) fn protocols(repo: &Repository, request: &Request) -> Vec<BString> {
    let is_encrypted = request.remote.as_ref().is_some_and(|remote| remote.scheme == Scheme::Https);
    let list = repo.config.string("fetch.uriProtocols").unwrap_or_default();
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    usable(list.as_bstr(), is_encrypted, |name| policy::allowed(name, &settings).is_ok())
}

/// Those of `list` that are known, as safe as the remote, and `allowed`.
fn usable(list: &BStr, is_encrypted: bool, allowed: impl Fn(&BStr) -> bool) -> Vec<BString> {
    let is_usable = |name: &&[u8]| {
        let is_known = *name == b"https" || (*name == b"http" && !is_encrypted);
        is_known && allowed(name.as_bstr())
    };
    list.split_str(",").filter(is_usable).map(BString::from).collect()
}

/// Checks what the server named before anything is asked for: only what we said we would take.
pub(super) fn checked(
    named: &[(ObjectId, BString)],
    protocols: &[BString],
    object_hash: gix_hash::Kind,
) -> Result<Vec<Pack>, Error> {
    if named.len() > PACKS_MAX {
        return Err(protocol::Error::TooMany { what: "packfile URIs", limit: PACKS_MAX }.into());
    }
    let check = |(id, uri): &(ObjectId, BString)| {
        let is_clean = !uri.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
        let url = Url::parse(uri.as_bstr()).ok().filter(|_| is_clean && id.kind() == object_hash);
        let is_allowed = |url: &Url| {
            let is_asked_for = protocols.iter().any(|name| name.as_bstr() == url.scheme.name());
            is_asked_for && url.user.is_none() && url.password.is_none()
        };
        url.filter(is_allowed).map(|url| Pack { id: *id, url }).ok_or_else(|| {
            let text = format!("fetch-pack: a pack at '{}' is not allowed", shown(uri.as_bstr()));
            protocol::Error::Unsupported(text).into()
        })
    };
    named.iter().map(check).collect()
}

/// Downloads `packs` and takes them in as `options` say.
///
/// # Errors
///
/// [`Error::Missing`] where a pack is not the one that was named. What came before it stays, without a ref.
pub(super) fn receive(
    packs: &[Pack],
    (repo, request): (&Repository, &Request),
    options: &pack::Options<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<pack::Received>, Error> {
    let mut received = Vec::new();
    for Pack { id, url } in packs {
        let place = (repo, request.remote.as_ref(), &request.transport);
        let file = download(url, place, PACK_LEN_MAX, progress)?;
        let failed = |source| pack::Error::Write { path: file.path().to_owned(), source };
        let mut input = file.open().map_err(failed)?;
        if trailer(&mut input, id.kind()).map_err(failed)?.as_ref() != Some(id) {
            let shown = url.redacted();
            let text = format!("fetch-pack: pack downloaded from {shown} does not match expected hash {id}");
            return Err(Error::Missing(text));
        }
        received.push(pack::receive(&mut input, options, &mut Unseen(progress))?);
    }
    Ok(received)
}

/// The checksum that stands at the end of a pack, and where reading begins again; `None` if it is too short to have one.
fn trailer(input: &mut (impl Read + Seek), object_hash: gix_hash::Kind) -> std::io::Result<Option<ObjectId>> {
    let len = object_hash.len_in_bytes();
    let mut bytes = vec![0; len];
    let end = input.seek(SeekFrom::End(0))?;
    let found = match end.checked_sub(len as u64) {
        Some(place) => {
            input.seek(SeekFrom::Start(place))?;
            input.read_exact(&mut bytes)?;
            ObjectId::try_from(bytes.as_slice()).ok()
        }
        None => None,
    };
    input.rewind()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_would_take_may_be_named() {
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        let both = [BString::from("http"), BString::from("https")];
        let is_allowed = |uri: &str, protocols: &[BString]| {
            checked(&[(id, uri.into())], protocols, gix_hash::Kind::Sha1).is_ok()
        };
        for uri in ["http://h/p.pack", "https://h:8080/p?q=1"] {
            assert!(is_allowed(uri, &both), "{uri}");
        }
        for uri in [
            "file:///etc/passwd",
            "/etc/passwd",
            "ext::sh -c id",
            "ssh://h/p",
            "ftp://h/p",
            "https://user:secret@h/p",
            "https://user@h/p",
            "https://h/a b",
            "https://h/a\nget https://evil/ /etc/x",
            "https://h/\u{1b}[2J",
            "",
        ] {
            assert!(!is_allowed(uri, &both), "{uri}");
        }
        assert!(!is_allowed("http://h/p", &both[1..]));
        let many = vec![(id, BString::from("https://h/p")); PACKS_MAX + 1];
        assert!(checked(&many, &both, gix_hash::Kind::Sha1).is_err());
        assert!(checked(&many[..1], &both, gix_hash::Kind::Sha256).is_err(), "another hash");
    }

    #[test]
    fn a_checksum_is_read_from_the_end() {
        let id = ObjectId::from([7; 20]);
        let bytes = [b"PACK and more".as_slice(), id.as_slice()].concat();
        let mut input = std::io::Cursor::new(bytes);
        assert_eq!(trailer(&mut input, gix_hash::Kind::Sha1).unwrap(), Some(id));
        assert_eq!(input.position(), 0);
        assert_eq!(trailer(&mut std::io::Cursor::new(b"short"), gix_hash::Kind::Sha1).unwrap(), None);
    }
}
