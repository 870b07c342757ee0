//! Any bytes into the decoder of `push_report`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    if let Ok(report) = gitr::protocol::push::Report::read(&mut input, gix_hash::Kind::Sha1) {
        // what was read can be said again, and says the same
        let again = gitr::protocol::push::Report::read(&mut &report.encode()[..], gix_hash::Kind::Sha1);
        assert_eq!(again.ok().map(|again| again.encode()), Some(report.encode()));
    }
});
