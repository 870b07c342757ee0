//! Values of `http.*`: what they mean, and what is said of those that mean nothing.

use super::super::settings::HttpSettings;
use super::server::{Reply, Server};
use super::*;

#[test]
fn settings_that_are_not_known_are_warned_of() {
    let server = Server::start(|_| Reply::advertisement());
    let settings = quiet().with("sslversion", "ssl9").with_env("GIT_HTTP_PROXY_AUTHMETHOD", "negotiate");
    let mut transport = open(&url(&format!("{}/r", server.url)), &settings, Options::default()).unwrap();
    let mut warnings = Warnings::default();
    transport.connect(Service::UploadPack, Version::V2, &mut warnings).unwrap();
    // seen in git 2.47.3
    let expected = [
        "unsupported ssl version ssl9: using default",
        "unsupported proxy authentication method negotiate: using anyauth",
    ];
    assert_eq!(warnings.0, expected);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    for (key, value, expected) in [
        ("sslverify", "perhaps", "bad boolean config value 'perhaps' for 'http.sslverify'"),
        ("ssltry", "x", "bad boolean config value 'x' for 'http.ssltry'"),
        ("emptyauth", "x", "bad boolean config value 'x' for 'http.emptyauth'"),
        ("postbuffer", "1x", "bad numeric config value '1x' for 'http.postbuffer': invalid unit"),
        ("maxrequests", "x", "bad numeric config value 'x' for 'http.maxrequests': invalid unit"),
        ("lowspeedlimit", "3g", "bad numeric config value '3g' for 'http.lowspeedlimit': out of range"),
    ] {
        assert_eq!(refusal("http://git.test/r.git", &quiet().with(key, value)), expected);
    }
}

#[test]
fn numbers_are_read_as_git_reads_them() {
    let read = |key: &str, value: &str| {
        HttpSettings::read(&quiet().with(key, value), "http://git.test/", &Options::default()).unwrap()
    };
    for (value, expected) in [("0x200000", 0x20_0000), ("3g", 3 << 30), ("0400000", 0x2_0000), ("-1", 65520)]
    {
        assert_eq!(read("postbuffer", value).post_buffer_len, expected, "{value}");
    }
    let warnings = read("postbuffer", "-1").warnings;
    assert_eq!(warnings, ["negative value for http.postBuffer; defaulting to 65520"]);
    for key in ["lowspeedlimit", "lowspeedtime", "keepaliveidle", "maxretries"] {
        read(key, "-1");
    }
    assert!(read("savecookies", "0x1").saves_cookies);
}
