//! Lists of bundles that stand elsewhere: the v2 command `bundle-uri`, and the same list as a file. `gitprotocol-v2(5)`,
//! "bundle-uri"; git's technical documentation, "bundle-uri".

use std::io::BufRead;

use bstr::{BStr, BString, ByteSlice};

use super::ls_refs::Preamble;
use super::pktline::{Packet, Reader, push_line};
use super::{Error, printable};

/// Bundles of one list.
const BUNDLES_MAX: usize = 10_000;
/// Lines of one answer.
const LINES_MAX: usize = 5 * BUNDLES_MAX;

/// Asks for the list. Order as C git sends it (seen in git 2.47.3): the command comes last.
pub fn encode_request(preamble: &Preamble) -> Vec<u8> {
    let mut out = Vec::new();
    preamble.push_agent(&mut out);
    preamble.push_object_format(&mut out);
    push_line(&mut out, &[b"command=bundle-uri"]);
    out.extend_from_slice(b"00010000");
    out
}

/// Reads the answer to its end. The inner error is what is wrong with the list: what comes next on the connection is as it
/// should be.
pub fn read_list(input: &mut dyn BufRead, base: &BStr) -> Result<Result<List, String>, Error> {
    let mut reader = Reader::new(input);
    let mut list = Ok(List::new(base));
    for number in 1..=LINES_MAX {
        let packet = reader.read()?;
        match packet {
            Packet::Flush => return Ok(list),
            Packet::Delimiter | Packet::ResponseEnd => {
                return Err(Error::Unexpected {
                    expected: "flush after bundle-uri listing",
                    received: String::new(),
                });
            }
            Packet::Data(_) => {
                let line = packet.shown();
                if let Ok(known) = &mut list
                    && let Err(reason) = known.take_line(line)
                {
                    list = Err(format!(
                        "error on bundle-uri response line {number}: {}: {reason}",
                        printable(line)
                    ));
                }
            }
        }
    }
    Err(Error::TooMany { what: "lines of a bundle list", limit: LINES_MAX })
}

/// A list of bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Which of them are needed.
    pub mode: Mode,
    /// Whether the creation tokens say in which order bundles build on each other: `bundle.heuristic=creationToken`.
    pub has_tokens: bool,
    /// The bundles, in the order in which they were first named.
    pub bundles: Vec<Listed>,
    base: BString,
}

/// Which bundles of a list are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// All of them.
    #[default]
    All,
    /// Any one will do.
    Any,
}

/// One bundle of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the list calls it.
    pub id: BString,
    /// Where it is, relative URIs made whole; empty if the list does not say.
    pub uri: BString,
    /// The larger the newer.
    pub token: u64,
    /// What is wrong with the entry, for a warning.
    pub complaint: Option<String>,
}

impl List {
    /// An empty list whose relative URIs begin at `base`.
    pub fn new(base: &BStr) -> Self {
        Self { mode: Mode::All, has_tokens: false, bundles: Vec::new(), base: base.to_owned() }
    }

    /// Takes `bundle.<key>=<value>` or `bundle.<id>.<key>=<value>`.
    fn take_line(&mut self, line: &[u8]) -> Result<(), String> {
        let (key, value) = match line.split_once_str("=") {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
            _ if line.is_empty() => return Err("bundle-uri: got an empty line".into()),
            Some(_) => return Err("bundle-uri: line has empty key or value".into()),
            None => return Err("bundle-uri: line is not of the form 'key=value'".into()),
        };
        let Some(rest) = key.strip_prefix(b"bundle.") else { return Ok(()) };
        let (id, key) = match rest.rsplit_once_str(".") {
            Some((id, key)) => (Some(id.as_bstr()), key),
            None => (None, rest),
        };
        self.take(id, &key.to_str_lossy(), value.as_bstr())
    }

    /// Takes one value of the section `bundle`. Keys that are not known are passed over.
    ///
    /// # Errors
    ///
    /// A reason why the whole list cannot be used.
    pub fn take(&mut self, id: Option<&BStr>, key: &str, value: &BStr) -> Result<(), String> {
        match (id, key.to_ascii_lowercase().as_str()) {
            (None, "version") if value != "1" => Err(format!("unknown version '{}'", printable(value))),
            (None, "mode") => {
                self.mode = match value.as_bytes() {
                    b"all" => Mode::All,
                    b"any" => Mode::Any,
                    _ => return Err(format!("unknown mode '{}'", printable(value))),
                };
                Ok(())
            }
            (None, "heuristic") => {
                // others may come
                self.has_tokens = value == "creationToken";
                Ok(())
            }
            (None, _) => Ok(()),
            (Some(id), key) => self.take_of(id, key, value),
        }
    }

    fn take_of(&mut self, id: &BStr, key: &str, value: &BStr) -> Result<(), String> {
        let place = match self.bundles.iter().position(|bundle| bundle.id == id) {
            Some(place) => place,
            None if self.bundles.len() == BUNDLES_MAX => return Err("too many bundles".into()),
            None => {
                let fresh = Listed { id: id.to_owned(), uri: BString::default(), token: 0, complaint: None };
                self.bundles.push(fresh);
                self.bundles.len() - 1
            }
        };
        let Some(bundle) = self.bundles.get_mut(place) else { return Ok(()) };
        match key {
            "uri" if !bundle.uri.is_empty() => Err("uri given twice".into()),
            "uri" => {
                bundle.uri = resolve(self.base.as_bstr(), value)?;
                Ok(())
            }
            "creationtoken" => {
                match value.to_str().ok().and_then(|value| value.parse().ok()) {
                    Some(token) => bundle.token = token,
                    None => {
                        bundle.complaint = Some(format!(
                            "could not parse bundle list key creationToken with value '{}'",
                            printable(value)
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// `uri` made whole: with a scheme it is, with a slash in front it begins at the server of `base`, else in the directory
/// `base`.
fn resolve(base: &BStr, uri: &BStr) -> Result<BString, String> {
    if uri.find("://").is_some() {
        return Ok(uri.to_owned());
    }
    let (root, directory) = match base.split_once_str("://") {
        Some((scheme, rest)) => {
            let host = rest.find_byte(b'/').unwrap_or(rest.len());
            base.split_at(scheme.len() + b"://".len() + host)
        }
        None => base.split_at(0),
    };
    if uri.starts_with(b"/") {
        return Ok([root, uri].concat().into());
    }
    let mut directory = directory.strip_suffix(b"/").unwrap_or(directory);
    let mut rest = uri.as_bytes();
    loop {
        if let Some(after) = rest.strip_prefix(b"./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix(b"../") {
            let end = directory
                .rfind_byte(b'/')
                .ok_or_else(|| format!("cannot strip one component off url '{}'", printable(base)))?;
            directory = directory.get(..end).unwrap_or_default();
            rest = after;
        } else {
            return Ok([root, directory, b"/", rest].concat().into());
        }
    }
}

/// The directory that the file at `uri` stands in: where its relative URIs begin.
pub fn directory(uri: &BStr) -> BString {
    uri.rfind_byte(b'/').and_then(|end| uri.get(..end)).map_or_else(|| ".".into(), BString::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::pktline::{write_flush, write_line};

    fn answer(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            write_line(&mut bytes, line.as_bytes()).expect("memory takes it");
        }
        write_flush(&mut bytes).expect("memory takes it");
        bytes
    }

    fn read(lines: &[&str]) -> Result<List, String> {
        read_list(&mut &answer(lines)[..], "https://example.com/a/b".into()).expect("well framed")
    }

    #[test]
    fn relative_uris_begin_at_the_list() {
        for (base, uri, expected) in [
            ("https://h/a/b", "c.bundle", "https://h/a/b/c.bundle"),
            ("https://h/a/b/", "./c/d", "https://h/a/b/c/d"),
            ("https://h/a/b", "../c", "https://h/a/c"),
            ("https://h/a/b", "../../c", "https://h/c"),
            ("https://h/a/b", "/c", "https://h/c"),
            ("https://h", "c", "https://h/c"),
            ("https://h/a", "http://other/x", "http://other/x"),
            ("file:///a/b", "c", "file:///a/b/c"),
            ("file:///a/b", "/c", "file:///c"),
            ("/a/b", "../c", "/a/c"),
            ("dir", "c", "dir/c"),
        ] {
            assert_eq!(resolve(base.into(), uri.into()).unwrap(), expected, "{base} {uri}");
        }
        for (base, uri) in [("https://h", "../c"), ("https://h/a", "../../c"), ("dir", "../../c")] {
            assert!(resolve(base.into(), uri.into()).is_err(), "{base} {uri}");
        }
    }

    #[test]
    fn a_list_is_put_together_from_its_lines() {
        let list = read(&[
            "bundle.version=1",
            "bundle.mode=any",
            "bundle.heuristic=creationToken",
            "bundle.one.uri=one.bundle",
            "bundle.two.uri=https://cdn.example/two",
            "bundle.two.creationtoken=18446744073709551615",
            "bundle.one.creationToken=7",
            "bundle.one.location=here",
            "other.key=value",
        ])
        .unwrap();
        assert_eq!((list.mode, list.has_tokens), (Mode::Any, true));
        let found: Vec<_> =
            list.bundles.iter().map(|b| (b.id.to_string(), b.uri.to_string(), b.token)).collect();
        assert_eq!(
            found,
            [
                ("one".into(), "https://example.com/a/b/one.bundle".into(), 7),
                ("two".into(), "https://cdn.example/two".into(), u64::MAX),
            ]
        );
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for lines in [
            &["bundle.version=2"][..],
            &["bundle.mode=some"],
            &["bundle.a.uri=x", "bundle.a.uri=y"],
            &["=value"],
            &["key="],
            &["key"],
            &["bundle.a.uri=../../../x"],
        ] {
            assert!(read(lines).is_err(), "{lines:?}");
        }
        let list = read(&["bundle.a.creationToken=x"]).unwrap();
        assert!(list.bundles[0].complaint.is_some());
    }

    #[test]
    fn a_bad_line_leaves_the_connection_in_step() {
        let mut bytes = answer(&["bundle.version=9", "bundle.a.uri=x"]);
        bytes.extend_from_slice(b"next");
        let mut input = &bytes[..];
        assert!(read_list(&mut input, "".into()).unwrap().is_err());
        assert_eq!(input, b"next");
        assert!(read_list(&mut &b"0000"[..], "".into()).unwrap().unwrap().bundles.is_empty());
        assert!(read_list(&mut &b"0001"[..], "".into()).is_err());
        assert!(read_list(&mut &b""[..], "".into()).is_err());
    }
}
