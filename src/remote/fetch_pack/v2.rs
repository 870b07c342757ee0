//! The rounds of protocol v2: every request repeats what matters, since the server remembers nothing.

use std::collections::HashSet;

use bstr::BString;
use gix_hash::ObjectId;

use super::by_name;
use super::{Acked, IN_VAIN_MAX, Negotiated, Ours, ROUND_LEN_FIRST, Request, supports_filter};
use crate::progress::Progress;
use crate::protocol::fetch::{self, Features, Reply, SideBand};
use crate::protocol::ls_refs::Preamble;
use crate::protocol::promisor_remote;
use crate::remote::{Error, Session};
use crate::telemetry;

/// Rounds longer than this grow by a tenth instead of twofold (seen in git 2.47.3).
const ROUND_LEN_LARGE: usize = 16384;

/// Talks until the pack stands next on the wire.
pub(super) fn negotiate(
    session: &mut Session,
    (request, protocols): (&Request, &[BString]),
    ours: Ours<'_>,
    progress: &mut dyn Progress,
) -> Result<Negotiated, Error> {
    const NAME: &str = "negotiation_v2";
    let mut conversation = Conversation {
        round: first_request(session, request, &ours, protocols),
        session,
        ours,
        common: Vec::new(),
        named: HashSet::new(),
        round_len: ROUND_LEN_FIRST,
        in_vain: 0,
    };
    let mut round_count = 0_u64;
    let outcome = telemetry::region("fetch-pack", NAME, || {
        loop {
            round_count += 1;
            let round = || conversation.round(progress);
            if let Some(negotiated) = telemetry::region_of(NAME, "round", &round_count.to_string(), round)? {
                return Ok(negotiated);
            }
        }
    });
    telemetry::data(NAME, "total_rounds", &round_count.to_string());
    outcome
}

struct Conversation<'a> {
    session: &'a mut Session,
    ours: Ours<'a>,
    /// The next request.
    round: fetch::Request,
    /// What both sides have, as far as is known; the server hears it each time.
    common: Vec<ObjectId>,
    /// The ids in `common`.
    named: HashSet<ObjectId>,
    round_len: usize,
    /// How many commits were named since the last that was news to us as common.
    in_vain: usize,
}

impl Conversation<'_> {
    /// One request and its answer; what came of it all if the pack comes next.
    fn round(&mut self, progress: &mut dyn Progress) -> Result<Option<Negotiated>, Error> {
        let Self { round, common, .. } = self;
        let haves = self.ours.haves(self.round_len)?;
        self.in_vain += haves.len();
        round.done = haves.is_empty() || (!common.is_empty() && self.in_vain >= IN_VAIN_MAX);
        round.haves.clone_from(common);
        round.haves.extend(haves);
        let input = self.session.connection().exchange(&round.encode_v2(), progress)?;
        let reply = if round.features.sideband_all {
            Reply::read_v2_sideband_all(input, progress)?
        } else {
            Reply::read_v2(input)?
        };
        if reply.pack {
            let Reply { shallow, packfile_uris: elsewhere, wanted_refs, .. } = reply;
            let wanted_refs = by_name::checked(wanted_refs, &round.want_refs, self.session.object_hash())?;
            return Ok(Some(Negotiated { shallow, side_band: SideBand::Large, elsewhere, wanted_refs }));
        }
        if round.done {
            return Err(unexpected_end());
        }
        for id in reply.acks.unwrap_or_default() {
            match self.ours.acknowledge(id)? {
                Acked::News => self.in_vain = 0,
                Acked::Known => {}
                // It cannot be common: it was never said that we have it.
                Acked::Unknown => continue,
            }
            if self.named.insert(id) {
                common.push(id);
            }
        }
        self.round_len = next_len(self.round_len);
        Ok(None)
    }
}

fn first_request(
    session: &Session,
    request: &Request,
    ours: &Ours<'_>,
    protocols: &[BString],
) -> fetch::Request {
    let features = Features {
        thin_pack: !request.no_thin,
        ofs_delta: true,
        no_progress: request.no_progress,
        include_tag: request.include_tag,
        sideband_all: session.capabilities().supports("fetch", "sideband-all"),
        ..Features::default()
    };
    let knows_uris = session.capabilities().supports("fetch", "packfile-uris");
    let names = promisor_remote::encode_names(&request.accepted);
    let promisor_remote = Some(names).filter(|names| !names.is_empty());
    let wants = by_name::Wants::new(session, request);
    let is_shallow = session.capabilities().supports("fetch", "shallow");
    fetch::Request {
        preamble: Preamble { promisor_remote, ..session.preamble() },
        wants: wants.ids,
        want_refs: wants.names,
        shallow: if is_shallow { ours.shallow.clone() } else { Vec::new() },
        deepen: request.deepen.clone(),
        filter: request.filter.clone().filter(|_| supports_filter(session)),
        packfile_uris: if knows_uris { protocols.to_vec() } else { Vec::new() },
        features,
        ..fetch::Request::default()
    }
}

fn next_len(len: usize) -> usize {
    if len < ROUND_LEN_LARGE { len * 2 } else { len * 11 / 10 }
}

fn unexpected_end() -> Error {
    crate::protocol::Error::Unexpected { expected: "'packfile'", received: "flush".into() }.into()
}
