//! Any bytes into the decoder of `bundle`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let _ = gitr::protocol::bundle::Header::read(&mut input);
});
