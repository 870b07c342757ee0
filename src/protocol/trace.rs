//! Packets as they come and go, told to whoever listens: one event of the `tracing` crate for each, at the level
//! `TRACE`. The command prints them where `GIT_TRACE_PACKET` says.

use super::pktline::{self, Packet};

/// The target of the events. Their fields are `reader` (who reads or writes; empty for the command), `direction` (`<` or
/// `>`) and `packet` (bytes: the data, or the four digits of a special packet).
pub const TARGET: &str = "gitr::packet";

/// The target of the events that show a pack as it is taken from side-bands, in as many as it takes. Their field is `pack`
/// (bytes).
pub const PACKFILE_TARGET: &str = "gitr::packfile";

/// Shows bytes of a pack that was read.
pub(crate) fn pack(bytes: &[u8]) {
    tracing::trace!(target: PACKFILE_TARGET, pack = bytes);
}

/// Does `work`, whose packets are read and written by `reader` rather than by the command: what git leaves to a program of
/// its own. A span of the target of the packets says so, in its field `reader`.
pub(crate) fn told_as<T>(reader: &'static str, work: impl FnOnce() -> T) -> T {
    tracing::trace_span!(target: TARGET, "reader", reader).in_scope(work)
}

/// Tells of a packet that was read.
pub(crate) fn received(packet: Packet<'_>) {
    tracing::trace!(target: TARGET, reader = "", direction = "<", packet = bytes_of(packet));
}

/// Tells of a packet in a side-band that was read, or of the beginning of one.
pub(crate) fn received_in_band(packet: Packet<'_>) {
    tracing::trace!(target: TARGET, reader = "sideband", direction = "<", packet = bytes_of(packet));
}

/// Tells of the packets of a request that is sent.
pub(crate) fn sent(mut request: &[u8]) {
    if !tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
        return;
    }
    while !request.is_empty() {
        let mut reader = pktline::Reader::untraced(&mut request);
        // What is no packet is no packet's business: a pack, or the end.
        let Ok(packet) = reader.read_raw() else { return };
        tracing::trace!(target: TARGET, reader = "", direction = ">", packet = bytes_of(packet));
    }
}

/// What is shown of `packet`.
fn bytes_of(packet: Packet<'_>) -> &[u8] {
    match packet {
        Packet::Data(data) => data,
        Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => packet.shown(),
    }
}
