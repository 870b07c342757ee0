//! Any bytes into the decoder of `advertisement_v2`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let data = [b"000eversion 2\n", input].concat();
    input = &data;
    let _ = gitr::protocol::Advertisement::read(&mut input);
});
