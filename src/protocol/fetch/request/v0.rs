//! The request as v0 and v1 have it: gitprotocol-pack(5).

use std::io::BufRead;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Features, MultiAck, Request, SideBand, expected, first_word, push_ids};
use crate::protocol::capability::hash_kind;
use crate::protocol::ls_refs::read_argument;
use crate::protocol::pktline::{Reader, push_line};
use crate::protocol::{Capabilities, Error, parse_id};

/// What errors call an id.
const ID: &str = "object ID";

impl Request {
    /// v0: the wants with capabilities behind the first, `shallow`, `deepen…`, `filter` lines and a flush-pkt. Order as
    /// C git sends it (seen in git 2.47.3, which never sends `object-format`, whatever the hash). Without a want
    /// nothing but the flush-pkt is left, which says goodbye.
    pub fn encode_wants_v0(&self, out: &mut Vec<u8>) {
        if let Some((first, others)) = self.wants.split_first() {
            let mut line = format!("want {first}").into_bytes();
            for word in self.words_v0() {
                line.push(b' ');
                line.extend_from_slice(&word);
            }
            push_line(out, &[&line]);
            push_ids(out, "want ", others);
            push_ids(out, "shallow ", &self.shallow);
            self.deepen.push(out);
            self.push_filter(out);
        }
        out.extend_from_slice(b"0000");
    }

    /// Reads what [`Self::encode_wants_v0`] wrote, as a server does. Words behind the first want that are not known are
    /// passed over, as C git does.
    pub fn decode_wants_v0(input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let mut request = Self::default();
        let mut words = Capabilities::default();
        while let Some(line) = read_argument(&mut reader)? {
            match line.split_once_str(" ") {
                Some((b"want", rest)) if request.wants.is_empty() => {
                    words = Capabilities::from_list(rest.split_once_str(" ").map_or(b"", |(_, words)| words));
                    request.wants.push(want(rest, line)?);
                    request.take_words_v0(&words);
                }
                Some((b"want", rest)) => request.wants.push(want(rest, line)?),
                Some((b"filter", _)) if !words.contains("filter") => {
                    return Err(Error::Unsupported(
                        "git upload-pack: filtering capability not negotiated".into(),
                    ));
                }
                Some((
                    key @ (b"shallow" | b"deepen" | b"deepen-since" | b"deepen-not" | b"filter"),
                    value,
                )) => {
                    request.take_boundary(key, value, line)?;
                }
                _ => return Err(expected(ID, line)),
            }
        }
        Ok(request)
    }

    fn take_words_v0(&mut self, words: &Capabilities) {
        self.features = Features::from_v0(words);
        self.deepen.relative = words.contains("deepen-relative");
        self.preamble.agent = words.value("agent").map(Into::into);
        self.preamble.session_id = words.value("session-id").map(Into::into);
        self.preamble.object_format = words.value("object-format").and_then(|name| hash_kind(name));
    }

    fn words_v0(&self) -> Vec<BString> {
        let features = &self.features;
        let multi_ack = match features.multi_ack {
            MultiAck::None => "",
            MultiAck::Plain => "multi_ack",
            MultiAck::Detailed => "multi_ack_detailed",
        };
        let side_band = match features.side_band {
            SideBand::None => "",
            SideBand::Small => "side-band",
            SideBand::Large => "side-band-64k",
        };
        let only_if = |asked, word| if asked { word } else { "" };
        let words = [
            multi_ack,
            only_if(features.no_done, "no-done"),
            side_band,
            only_if(self.deepen.relative, "deepen-relative"),
            only_if(features.thin_pack, "thin-pack"),
            only_if(features.no_progress, "no-progress"),
            only_if(features.include_tag, "include-tag"),
            only_if(features.ofs_delta, "ofs-delta"),
            only_if(features.deepen_since, "deepen-since"),
            only_if(features.deepen_not, "deepen-not"),
        ];
        let mut words: Vec<BString> =
            words.into_iter().filter(|word| !word.is_empty()).map(Into::into).collect();
        let preamble = &self.preamble;
        words.extend(preamble.agent.iter().map(|agent| format!("agent={agent}").into()));
        words.extend(preamble.session_id.iter().map(|id| format!("session-id={id}").into()));
        words.extend(preamble.object_format.iter().map(|hash| format!("object-format={hash}").into()));
        words.extend(self.filter.iter().map(|_| "filter".into()));
        words
    }
}

/// The id of a line `want`, behind which there may be more.
fn want(rest: &[u8], line: &[u8]) -> Result<ObjectId, Error> {
    parse_id(first_word(rest)).ok_or_else(|| expected(ID, line))
}

impl Features {
    fn from_v0(words: &Capabilities) -> Self {
        let multi_ack = if words.contains("multi_ack_detailed") {
            MultiAck::Detailed
        } else if words.contains("multi_ack") {
            MultiAck::Plain
        } else {
            MultiAck::None
        };
        let side_band = if words.contains("side-band-64k") {
            SideBand::Large
        } else if words.contains("side-band") {
            SideBand::Small
        } else {
            SideBand::None
        };
        Self {
            thin_pack: words.contains("thin-pack"),
            ofs_delta: words.contains("ofs-delta"),
            no_progress: words.contains("no-progress"),
            include_tag: words.contains("include-tag"),
            no_done: words.contains("no-done"),
            deepen_since: words.contains("deepen-since"),
            deepen_not: words.contains("deepen-not"),
            multi_ack,
            side_band,
            ..Self::default()
        }
    }
}
