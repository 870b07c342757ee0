//! Any bytes into the decoder of `pktline`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let mut reader = gitr::protocol::pktline::Reader::new(&mut input);
    while let Ok(Some(_)) = reader.read_or_eof() {}
});
