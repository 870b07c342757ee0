//! Any bytes into the decoder of `bundle_uri`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let _ = gitr::protocol::bundle_uri::read_list(&mut input, "https://example.com/list".into());
});
