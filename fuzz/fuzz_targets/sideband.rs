//! Any bytes into the decoder of `sideband`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    let mut discard = gitr::progress::Discard;
    let progress = gitr::progress::Shared::new(&mut discard);
    let mut demux = gitr::protocol::sideband::Demux::new(&mut input, &progress);
    let _ = std::io::copy(&mut demux, &mut std::io::sink());
});
