//! The conversation of protocol v0 and v1. On a pipe the server remembers what was said; over HTTP every request repeats
//! the wants and whatever is common by now.

use std::collections::HashSet;
use std::io::BufRead;

use gix_hash::ObjectId;

use super::{Acked, IN_VAIN_MAX, Negotiated, Ours, ROUND_LEN_FIRST, Request, supports_filter, tell};
use crate::progress::{Event, Progress};
use crate::protocol::fetch::{
    self, Ack, Deepen, Features, MultiAck, ShallowUpdate, SideBand, encode_haves_v0, read_shallow_v0,
};
use crate::protocol::ls_refs::Preamble;
use crate::protocol::{pktline, trace};
use crate::remote::{Error, Session};
use crate::telemetry;

/// What trace2 calls the negotiation.
const NAME: &str = "negotiation_v0_v1";

/// On a pipe no round is longer than this, and one is on its way while the answer to the last is read (seen in git 2.47.3):
/// what waits in the pipe stays little.
const ROUND_LEN_PIPE: usize = 32;
/// Over HTTP rounds grow twofold up to this length and then by a tenth (seen in git 2.47.3).
const ROUND_LEN_LARGE: usize = 16384;

/// Talks until the pack stands next on the wire.
pub(super) fn negotiate(
    session: &mut Session,
    request: &Request,
    ours: Ours<'_>,
    progress: &mut dyn Progress,
) -> Result<Negotiated, Error> {
    let features = choose_features(session, request);
    let first = fetch::Request {
        // In v0 the far side knows its own hash function; C git does not repeat it.
        preamble: Preamble { object_format: None, ..session.preamble() },
        wants: request.wants.clone(),
        shallow: ours.shallow.clone(),
        deepen: request.deepen.clone(),
        filter: request.filter.clone().filter(|_| supports_filter(session)),
        features,
        ..fetch::Request::default()
    };
    let mut opening = Vec::new();
    first.encode_wants_v0(&mut opening);
    let mut conversation = Conversation {
        is_stateful: session.is_stateful(),
        deepens: request.deepen != Deepen::default(),
        session,
        progress,
        features,
        pending: opening.clone(),
        opening,
        common: Vec::new(),
        named: HashSet::new(),
        sent_count: 0,
        unanswered: 0,
        has_common: false,
        round_count: 0,
    };
    let is_stateful = conversation.is_stateful;
    let shallow = telemetry::region("fetch-pack", NAME, || {
        let run = || conversation.run(ours, !request.is_kept);
        // over HTTP git has another program ask
        if is_stateful { run() } else { trace::told_as("fetch-pack", run) }
    });
    telemetry::data(NAME, "total_rounds", &conversation.round_count.to_string());
    let shallow = shallow?;
    Ok(Negotiated { shallow, side_band: features.side_band, elsewhere: Vec::new(), wanted_refs: Vec::new() })
}

/// The best of what the server can do. `gitprotocol-capabilities(5)`.
fn choose_features(session: &Session, request: &Request) -> Features {
    let capabilities = session.capabilities();
    let multi_ack = if capabilities.contains("multi_ack_detailed") {
        MultiAck::Detailed
    } else if capabilities.contains("multi_ack") {
        MultiAck::Plain
    } else {
        MultiAck::None
    };
    let side_band = if capabilities.contains("side-band-64k") {
        SideBand::Large
    } else if capabilities.contains("side-band") {
        SideBand::Small
    } else {
        SideBand::None
    };
    Features {
        thin_pack: !request.no_thin && capabilities.contains("thin-pack"),
        ofs_delta: capabilities.contains("ofs-delta"),
        no_progress: request.no_progress && capabilities.contains("no-progress"),
        include_tag: request.include_tag && capabilities.contains("include-tag"),
        multi_ack,
        no_done: !session.is_stateful()
            && multi_ack == MultiAck::Detailed
            && capabilities.contains("no-done"),
        side_band,
        deepen_since: capabilities.contains("deepen-since"),
        deepen_not: capabilities.contains("deepen-not"),
        ..Features::default()
    }
}

struct Conversation<'a> {
    session: &'a mut Session,
    progress: &'a mut dyn Progress,
    is_stateful: bool,
    deepens: bool,
    features: Features,
    /// Wants and boundary, which a forgetful server hears with every request.
    opening: Vec<u8>,
    /// What has still to be sent before the next haves.
    pending: Vec<u8>,
    common: Vec<ObjectId>,
    /// The ids in `common`.
    named: HashSet<ObjectId>,
    /// How many haves were sent.
    sent_count: usize,
    /// How many rounds were sent whose answer was not read yet.
    unanswered: usize,
    /// Whether the far side has anything that we have.
    has_common: bool,
    /// How many rounds there were but for the one that ends with `done`.
    round_count: u64,
}

/// What the answers to one round come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// Something was acknowledged, or nothing.
    GoOn { news: bool },
    /// The server has heard enough.
    Ready,
    /// The one acknowledgment of a server without `multi_ack`.
    Only,
    /// The pack stands next.
    Pack,
}

impl Conversation<'_> {
    /// `warns` says whether a user should hear that nothing is common.
    fn run(&mut self, mut ours: Ours<'_>, warns: bool) -> Result<Vec<ShallowUpdate>, Error> {
        let shallow = if self.deepens { self.exchange_boundary()? } else { Vec::new() };
        // Without multi_ack each common have may be acknowledged, and nothing ends the list: one at a time.
        let is_single = self.features.multi_ack == MultiAck::None;
        let mut round_len = if is_single { 1 } else { ROUND_LEN_FIRST };
        let mut in_vain = 0;
        let mut is_acknowledged = false;
        let mut last = Answered::GoOn { news: false };
        let rest = loop {
            let haves = ours.haves(round_len)?;
            for have in &haves {
                tell(self.progress, &format!("have {have}"))?;
            }
            self.sent_count += haves.len();
            if haves.len() < round_len {
                break haves;
            }
            in_vain += haves.len();
            self.round_count += 1;
            last = telemetry::region_of(NAME, "round", &self.round_count.to_string(), || {
                self.exchange_round(&haves, &mut ours)
            })?;
            match last {
                Answered::GoOn { news: true } => (in_vain, is_acknowledged) = (0, true),
                Answered::GoOn { news: false } => {}
                Answered::Ready | Answered::Only => break Vec::new(),
                Answered::Pack => return Ok(shallow),
            }
            if is_acknowledged && in_vain >= IN_VAIN_MAX {
                tell(self.progress, "giving up")?;
                break Vec::new();
            }
            round_len = if is_single { 1 } else { self.next_len(round_len) };
        };
        self.exchange_done(&rest, last)?;
        let is_news = warns && self.sent_count > 0 && !self.has_common;
        if is_news && self.progress.report(Event::Warning("no common commits")).is_break() {
            return Err(Error::Interrupted);
        }
        Ok(shallow)
    }

    /// Sends the wants and reads how the boundary moves.
    fn exchange_boundary(&mut self) -> Result<Vec<ShallowUpdate>, Error> {
        let body = std::mem::take(&mut self.pending);
        let input = self.session.connection().exchange(&body, self.progress)?;
        Ok(read_shallow_v0(input)?)
    }

    fn exchange_round(&mut self, haves: &[ObjectId], ours: &mut Ours<'_>) -> Result<Answered, Error> {
        let mut body = self.body();
        encode_haves_v0(haves, &mut body);
        pktline::write_flush(&mut body).map_err(crate::protocol::Error::Io)?;
        let input = self.session.connection().exchange(&body, self.progress)?;
        self.unanswered += 1;
        if self.is_stateful && self.features.multi_ack != MultiAck::None && self.unanswered == 1 {
            return Ok(Answered::GoOn { news: false });
        }
        if self.deepens && !self.is_stateful {
            read_shallow_v0(input)?;
        }
        let mut common = Vec::new();
        let answered = read_acknowledgments(input, self.features, ours, (&mut common, self.progress))?;
        self.unanswered -= 1;
        self.has_common |= !common.is_empty();
        for id in common {
            self.remember(id);
        }
        Ok(answered)
    }

    fn remember(&mut self, id: ObjectId) {
        if !self.is_stateful && self.named.insert(id) {
            self.common.push(id);
        }
    }

    /// Says that no more haves come than `haves`, and reads up to the pack.
    fn exchange_done(&mut self, haves: &[ObjectId], last: Answered) -> Result<(), Error> {
        let mut body = self.body();
        encode_haves_v0(haves, &mut body);
        tell(self.progress, "done")?;
        pktline::write_line(&mut body, b"done").map_err(crate::protocol::Error::Io)?;
        let input = self.session.connection().exchange(&body, self.progress)?;
        if self.deepens && !self.is_stateful {
            read_shallow_v0(input)?;
        }
        if last == Answered::Only && self.is_stateful {
            return Ok(());
        }
        loop {
            match read_ack(input, self.progress)? {
                Ack::Nak if self.unanswered > 0 => self.unanswered -= 1,
                Ack::Nak => return Ok(()),
                Ack::Final(_) => {
                    self.has_common = true;
                    return Ok(());
                }
                Ack::Continue(_) | Ack::Common(_) | Ack::Ready(_) => self.has_common = true,
            }
        }
    }

    /// The beginning of the next request.
    fn body(&mut self) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.pending);
        if !self.is_stateful {
            body.clone_from(&self.opening);
            encode_haves_v0(&self.common, &mut body);
        }
        body
    }

    fn next_len(&self, len: usize) -> usize {
        match (self.is_stateful, len) {
            (true, _) if self.sent_count < ROUND_LEN_PIPE => ROUND_LEN_PIPE - self.sent_count,
            (true, _) => ROUND_LEN_PIPE,
            (false, len) if len < ROUND_LEN_LARGE => len * 2,
            (false, len) => len * 11 / 10,
        }
    }
}

/// Reads the answers to one round; what was acknowledged goes to `common` too.
fn read_acknowledgments(
    input: &mut dyn BufRead,
    features: Features,
    ours: &mut Ours<'_>,
    (common, progress): (&mut Vec<ObjectId>, &mut dyn Progress),
) -> Result<Answered, Error> {
    let mut news = false;
    let mut is_ready = false;
    loop {
        match read_ack(input, progress)? {
            Ack::Nak if is_ready && features.no_done => {}
            Ack::Nak if is_ready => return Ok(Answered::Ready),
            Ack::Nak => return Ok(Answered::GoOn { news }),
            Ack::Final(_) if is_ready && features.no_done => return Ok(Answered::Pack),
            Ack::Final(id) => {
                ours.acknowledge(id)?;
                common.push(id);
                return Ok(Answered::Only);
            }
            Ack::Continue(id) | Ack::Common(id) => {
                match ours.acknowledge(id)? {
                    Acked::News => news = true,
                    Acked::Known => {}
                    Acked::Unknown => continue,
                }
                common.push(id);
            }
            Ack::Ready(id) => {
                ours.acknowledge(id)?;
                common.push(id);
                is_ready = true;
            }
        }
    }
}

/// Reads one acknowledgment, and tells of it with the number that git has for its kind (seen in git 2.47.3).
fn read_ack(input: &mut dyn BufRead, progress: &mut dyn Progress) -> Result<Ack, Error> {
    let ack = Ack::read_v0(input)?;
    let told = match &ack {
        Ack::Nak => None,
        Ack::Final(id) => Some((1, id)),
        Ack::Continue(id) => Some((2, id)),
        Ack::Common(id) => Some((3, id)),
        Ack::Ready(id) => Some((4, id)),
    };
    if let Some((number, id)) = told {
        tell(progress, &format!("got ack ({number}) {id}"))?;
    }
    Ok(ack)
}
