//! Any bytes into the decoder of `advertisement_v0`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let _ = gitr::protocol::Advertisement::read(&mut input);
});
