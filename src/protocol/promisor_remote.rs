//! The capability `promisor-remote`: a server names remotes that have what it may lack, and a client says which of them it
//! accepts, so that what they have can be left out. gitprotocol-v2(5) of git 2.49 and later.

use std::fmt;

use bstr::{BStr, BString, ByteSlice};

/// Remotes that are taken from one advertisement.
const REMOTES_MAX: usize = 1_000;

/// A remote that a server names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PromisorRemote {
    /// Its name in the server's configuration.
    pub name: BString,
    /// Where it is, as the server sees it.
    pub url: BString,
    /// `partialCloneFilter`: what of a repository it does not have to have.
    pub filter: Option<BString>,
    /// `token`: what lets a client in there.
    pub token: Option<BString>,
}

/// Tokens are secrets.
impl fmt::Debug for PromisorRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromisorRemote")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// The value of the capability that advertises `remotes`.
pub fn encode(remotes: &[PromisorRemote]) -> BString {
    let remotes = remotes.iter().map(|remote| {
        let fields = [
            ("name", Some(&remote.name)),
            ("url", Some(&remote.url).filter(|url| !url.is_empty())),
            ("partialCloneFilter", remote.filter.as_ref()),
            ("token", remote.token.as_ref()),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some([name.as_bytes(), b"=", &escaped(value?.as_bstr())].concat()));
        bstr::join(",", given)
    });
    bstr::join(";", remotes).into()
}

/// The remotes that the value of the capability advertises; those without a name say nothing. Fields that are not known are
/// passed over.
pub fn decode(value: &BStr) -> Vec<PromisorRemote> {
    let mut remotes = Vec::new();
    for text in value.split_str(";").take(REMOTES_MAX) {
        let mut remote = PromisorRemote::default();
        for field in text.split_str(",") {
            let Some((name, value)) = field.split_once_str("=") else { continue };
            let value = unescaped(value);
            match name.to_ascii_lowercase().as_slice() {
                b"name" => remote.name = value,
                b"url" => remote.url = value,
                b"partialclonefilter" => remote.filter = Some(value),
                b"token" => remote.token = Some(value),
                _ => {}
            }
        }
        remotes.extend((!remote.name.is_empty()).then_some(remote));
    }
    remotes
}

/// The value by which a client accepts the remotes called `names`.
pub fn encode_names(names: &[BString]) -> BString {
    bstr::join(";", names.iter().map(|name| escaped(name.as_bstr()))).into()
}

/// The names that a client accepts.
pub fn decode_names(value: &BStr) -> Vec<BString> {
    value.split_str(";").take(REMOTES_MAX).map(unescaped).filter(|name| !name.is_empty()).collect()
}

/// `text` without what would end it or a line.
fn escaped(text: &BStr) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.iter() {
        match byte {
            b'%' | b',' | b';' | ..=b' ' | 0x7f.. => out.extend_from_slice(format!("%{byte:02x}").as_bytes()),
            plain => out.push(*plain),
        }
    }
    out
}

fn unescaped(text: &[u8]) -> BString {
    percent_encoding::percent_decode(text).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remotes() -> Vec<PromisorRemote> {
        vec![
            PromisorRemote {
                name: "large, objects".into(),
                url: "https://example.com/a;b%c".into(),
                filter: Some("combine:blob:none+tree:3".into()),
                token: Some("se=cret".into()),
            },
            PromisorRemote {
                name: "other".into(),
                url: "file:///srv/x y".into(),
                ..PromisorRemote::default()
            },
        ]
    }

    #[test]
    fn what_is_advertised_is_understood() {
        let value = encode(&remotes());
        assert_eq!(
            value,
            "name=large%2c%20objects,url=https://example.com/a%3bb%25c,partialCloneFilter=combine:blob:none+tree:3,\
             token=se=cret;name=other,url=file:///srv/x%20y"
        );
        assert_eq!(decode(value.as_bstr()), remotes());
    }

    #[test]
    fn names_are_accepted_in_one_value() {
        let names: Vec<BString> = vec!["a;b".into(), "c".into()];
        assert_eq!(encode_names(&names), "a%3bb;c");
        assert_eq!(decode_names("a%3bb;c;".into()), names);
    }

    #[test]
    fn what_makes_no_sense_says_nothing() {
        assert_eq!(decode(";url=x;name=;bogus;,".into()), Vec::new());
        let known = decode("NAME=a,future=1,url=%zz".into());
        assert_eq!(known[0].url, "%zz");
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", remotes()).contains("cret"));
    }
}
