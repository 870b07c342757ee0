//! Any bytes as a delta and as what it is made for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (base, delta) = data;
    let mut out = Vec::new();
    if gitr::pack::delta::apply(base, delta, &mut out).is_ok() {
        assert_eq!(gitr::pack::delta::result_size(delta), Ok(out.len() as u64));
    }
});
