//! The rounds of protocol v2: every request repeats what matters, since the server remembers nothing.

use std::collections::HashSet;

use bstr::BString;
use gix_hash::ObjectId;

use super::{Acked, IN_VAIN_MAX, Negotiated, Ours, ROUND_LEN_FIRST, Request, supports_filter};
use crate::progress::Progress;
use crate::protocol::fetch::{self, Features, Reply, SideBand};
use crate::protocol::ls_refs::Preamble;
use crate::protocol::promisor_remote;
use crate::remote::{Error, Session};

/// Rounds longer than this grow by a tenth instead of twofold (seen in git 2.47.3).
const ROUND_LEN_LARGE: usize = 16384;

/// Talks until the pack stands next on the wire.
pub(super) fn negotiate(
    session: &mut Session,
    (request, protocols): (&Request, &[BString]),
    mut ours: Ours<'_>,
    progress: &mut dyn Progress,
) -> Result<Negotiated, Error> {
    let mut round = first_request(session, request, &ours, protocols);
    let mut common: Vec<ObjectId> = Vec::new();
    let mut named = HashSet::new();
    let mut round_len = ROUND_LEN_FIRST;
    let mut in_vain = 0;
    loop {
        let haves = ours.haves(round_len)?;
        in_vain += haves.len();
        round.done = haves.is_empty() || (!common.is_empty() && in_vain >= IN_VAIN_MAX);
        round.haves.clone_from(&common);
        round.haves.extend(haves);
        let input = session.connection().exchange(&round.encode_v2(), progress)?;
        let reply = if round.features.sideband_all {
            Reply::read_v2_sideband_all(input, progress)?
        } else {
            Reply::read_v2(input)?
        };
        if reply.pack {
            let Reply { shallow, packfile_uris: elsewhere, .. } = reply;
            return Ok(Negotiated { shallow, side_band: SideBand::Large, elsewhere });
        }
        if round.done {
            return Err(unexpected_end());
        }
        for id in reply.acks.unwrap_or_default() {
            match ours.acknowledge(id)? {
                Acked::News => in_vain = 0,
                Acked::Known => {}
                // It cannot be common: it was never said that we have it.
                Acked::Unknown => continue,
            }
            if named.insert(id) {
                common.push(id);
            }
        }
        round_len = next_len(round_len);
    }
}

fn first_request(
    session: &Session,
    request: &Request,
    ours: &Ours<'_>,
    protocols: &[BString],
) -> fetch::Request {
    let features = Features {
        thin_pack: true,
        ofs_delta: true,
        no_progress: request.no_progress,
        include_tag: request.include_tag,
        sideband_all: session.capabilities().supports("fetch", "sideband-all"),
        ..Features::default()
    };
    let knows_uris = session.capabilities().supports("fetch", "packfile-uris");
    let names = promisor_remote::encode_names(&request.accepted);
    let promisor_remote = Some(names).filter(|names| !names.is_empty());
    let is_shallow = session.capabilities().supports("fetch", "shallow");
    fetch::Request {
        preamble: Preamble { promisor_remote, ..session.preamble() },
        wants: request.wants.clone(),
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
