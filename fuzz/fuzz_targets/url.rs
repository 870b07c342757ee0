//! Any bytes into the parser of URLs; what is written from the parts must be parsed into the same parts.
#![no_main]

use bstr::ByteSlice;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/protocol/urls/print.rs"]
mod print;

fuzz_target!(|data: &[u8]| {
    let Ok(url) = gitr::transport::Url::parse(data.as_bstr()) else { return };
    assert_eq!(url.text, data);
    let _ = (url.redacted(), url.local_path());
    let Some(printed) = print::print(&url) else { return };
    let again = gitr::transport::Url::parse(printed.as_bstr()).expect("what was parsed can be parsed");
    assert_eq!((&again.scheme, &again.user, &again.host), (&url.scheme, &url.user, &url.host));
    assert_eq!((again.port, &again.path), (url.port, &url.path));
});
