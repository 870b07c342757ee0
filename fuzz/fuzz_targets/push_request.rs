//! Any bytes into the decoder of `push_request`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let _ = gitr::protocol::push::Request::decode(&mut input, gix_hash::Kind::Sha1);
});
