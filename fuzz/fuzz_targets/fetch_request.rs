//! Any bytes into the decoder of `fetch_request`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let mut wants = input;
    let _ = gitr::protocol::fetch::Request::decode_wants_v0(&mut wants);
    let _ = gitr::protocol::fetch::Request::decode_v2(&mut input);
});
