//! Any bytes into the decoder of `ls_refs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let mut request = input;
    let _ = gitr::protocol::ls_refs::Request::decode(&mut request);
    let _ = gitr::protocol::ls_refs::read_refs(&mut input, gix_hash::Kind::Sha1);
});
