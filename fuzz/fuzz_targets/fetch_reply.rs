//! Any bytes into the decoder of `fetch_reply`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let mut acks = input;
    while gitr::protocol::fetch::Ack::read_v0(&mut acks).is_ok() {}
    let mut banded = input;
    let _ = gitr::protocol::fetch::Reply::read_v2_sideband_all(&mut banded, &mut gitr::progress::Discard);
    let _ = gitr::protocol::fetch::Reply::read_v2(&mut input);
});
