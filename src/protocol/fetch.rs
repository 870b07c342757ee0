//! Asking for a pack: the v2 command `fetch`, and the upload request of v0 and v1.
//!
//! One [`Request`] says all that a round can say, whatever the version; [`Request::encode_v2`] writes it as one command,
//! [`Request::encode_wants_v0`] and [`encode_haves_v0`] as the parts of a v0 conversation, which differs between pipes
//! and HTTP only in which parts are sent again. The answer is a [`Reply`] in v2; in v0 it is [`Ack`]s and, in front of
//! them, [`ShallowUpdate`]s.

mod reply;
mod request;

pub use reply::{Ack, Reply, ShallowUpdate, read_shallow_v0, write_shallow_v0};
pub use request::{Deepen, Features, Have, MultiAck, Request, SideBand, encode_haves_v0};
