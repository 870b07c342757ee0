//! v0 and v1: one request, acknowledged line by line. gitprotocol-pack(5), "Packfile Negotiation".

use std::io::{BufRead, Write};

use gix_hash::ObjectId;

use super::commands::behind;
use super::common::{Common, Told};
use super::deepen::{Cut, client_boundary};
use super::reachable::first_unreadable;
use super::send::Job;
use super::{Conversation, UploadPack};
use crate::pack::enumerate::FilterSpec;
use crate::protocol;
use crate::protocol::fetch::{Deepen, Have, MultiAck, Request, write_shallow_v0};
use crate::protocol::pktline::{fill, write_line};
use crate::server::watch::Phase;
use crate::server::{Error, Packets};

impl UploadPack<'_> {
    /// Reads what is wanted and had, and answers with a pack.
    pub(super) fn converse_v0(
        &self,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        let decode = || Request::decode_wants_v0(input);
        let request =
            self.watch.during(Phase::Parse, decode).map_err(|error| behind("upload-pack", error))?;
        if request.wants.is_empty() {
            return Ok(());
        }
        self.watch.command("fetch", &request.preamble)?;
        self.watch.fetch(&request)?;
        let mut objects = self.objects()?;
        let mut packets = Packets { out: &mut *out, in_bands: false };
        let forbidden = match first_unreadable(&request.wants, &objects) {
            None => self.first_forbidden(&request.wants, &mut objects)?,
            unreadable => unreadable,
        };
        if let Some(id) = forbidden {
            let (told, text) =
                (format!("upload-pack: not our ref {id}"), format!("git upload-pack: not our ref {id}"));
            return Err(packets.refuse(&told, text));
        }
        let filter = self.filter_of(&request, &mut packets)?;
        let client = client_boundary(&request, &objects)?;
        let cut = self.move_boundary(&request, client.clone(), out)?;
        if self.conversation == Conversation::Request && fill(input)?.is_empty() {
            // the client only wanted to know its boundary
            return Ok(());
        }
        let mut common = Common::new(self.objects()?);
        let acknowledge = || self.acknowledge(&request, &mut common, input, out);
        let is_enough = self.watch.during(Phase::Negotiate, acknowledge)?;
        self.watch.tell(|account| account.common = common.haves.len());
        if !is_enough {
            return Ok(());
        }
        let mut wants = request.wants;
        wants.extend(cut.more_wants);
        let mut haves = common.haves;
        haves.extend(cut.more_haves);
        let filter_spec = FilterSpec::combined(request.filter.as_slice()).map_err(Error::Refused)?;
        let features = request.features;
        self.send_pack(
            Job {
                wants,
                haves,
                boundary: cut.boundary,
                receiver_shallow: client,
                filter,
                filter_spec,
                features,
                omits_promised: false,
                uri_protocols: Vec::new(),
            },
            out,
        )
    }

    fn move_boundary(
        &self,
        request: &Request,
        client: Vec<ObjectId>,
        out: &mut dyn Write,
    ) -> Result<Cut, Error> {
        let deepen = &request.deepen;
        if *deepen == (Deepen { relative: deepen.relative, ..Deepen::default() }) {
            return Ok(Cut::unmoved(client));
        }
        let excluded = self.excluded(deepen)?;
        let cut = self.deepen(deepen, &excluded, &request.wants, client)?;
        write_shallow_v0(out, &cut.updates)?;
        out.flush()?;
        Ok(cut)
    }

    /// Acknowledges what the client has, line by line; whether a pack is to follow.
    fn acknowledge(
        &self,
        request: &Request,
        common: &mut Common,
        input: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> Result<bool, Error> {
        let mut round =
            Round { request, common, out, last: None, is_ready: false, has_news: false, has_unknown: false };
        loop {
            match Have::read_v0(input).map_err(not_a_have)? {
                None => return Err(protocol::Error::UnexpectedEof { position: 0 }.into()),
                Some(Have::Have(id)) => {
                    self.watch.have()?;
                    round.have(id)?;
                }
                Some(Have::Flush) => {
                    if round.flush()? {
                        return Ok(true);
                    }
                    if self.conversation == Conversation::Request {
                        return Ok(false);
                    }
                }
                Some(Have::Done) => {
                    round.done()?;
                    return Ok(true);
                }
            }
        }
    }
}

fn not_a_have(error: protocol::Error) -> Error {
    match error {
        protocol::Error::Malformed(text) => match text.strip_prefix("unexpected '") {
            Some(line) => Error::Refused(format!("git upload-pack: expected SHA1 list, got '{line}")),
            None => protocol::Error::Malformed(text).into(),
        },
        error => error.into(),
    }
}

/// The haves up to a flush-pkt.
struct Round<'a> {
    request: &'a Request,
    common: &'a mut Common,
    out: &'a mut dyn Write,
    /// The last one that is here too.
    last: Option<ObjectId>,
    is_ready: bool,
    has_news: bool,
    has_unknown: bool,
}

impl Round<'_> {
    fn multi_ack(&self) -> MultiAck {
        self.request.features.multi_ack
    }

    fn is_enough(&mut self) -> Result<bool, Error> {
        self.common.is_enough(&self.request.wants).map_err(Error::object)
    }

    fn ack(&mut self, id: ObjectId, word: &str) -> Result<(), Error> {
        Ok(write_line(self.out, format!("ACK {id}{word}").as_bytes())?)
    }

    fn have(&mut self, id: ObjectId) -> Result<(), Error> {
        if self.common.have(id) == Told::Unknown {
            self.has_unknown = true;
            // what the client has beside is of no use once there is enough: it is told to stop looking
            if self.multi_ack() != MultiAck::None && self.is_enough()? {
                self.is_ready |= self.multi_ack() == MultiAck::Detailed;
                let word = if self.multi_ack() == MultiAck::Detailed { " ready" } else { " continue" };
                self.ack(id, word)?;
            }
            return Ok(());
        }
        self.has_news = true;
        self.last = Some(id);
        match self.multi_ack() {
            MultiAck::Detailed => self.ack(id, " common"),
            MultiAck::Plain => self.ack(id, " continue"),
            MultiAck::None if self.common.haves.len() == 1 => self.ack(id, ""),
            MultiAck::None => Ok(()),
        }
    }

    /// Ends a round; whether the pack may follow at once.
    fn flush(&mut self) -> Result<bool, Error> {
        let is_detailed = self.multi_ack() == MultiAck::Detailed;
        if let Some(last) = self.last
            && is_detailed
            && self.has_news
            && !self.has_unknown
            && self.is_enough()?
        {
            self.is_ready = true;
            self.ack(last, " ready")?;
        }
        if self.common.haves.is_empty() || self.multi_ack() != MultiAck::None {
            write_line(self.out, b"NAK")?;
        }
        if let Some(last) = self.last
            && self.request.features.no_done
            && self.is_ready
        {
            self.ack(last, "")?;
            return Ok(true);
        }
        self.out.flush()?;
        self.has_news = false;
        self.has_unknown = false;
        Ok(false)
    }

    fn done(&mut self) -> Result<(), Error> {
        match self.last {
            Some(last) if self.multi_ack() != MultiAck::None => self.ack(last, ""),
            Some(_) => Ok(()),
            None => Ok(write_line(self.out, b"NAK")?),
        }
    }
}
