//! What no server, no proxy and no value may bring about.

use std::sync::{Arc, Mutex};

use super::super::Download;
use super::server::{Reply, Server};
use super::*;
use crate::credential::{Credential, CredentialProvider, Error as CredentialError, Target};

/// Gives Alice's password, and notes what it is asked and told.
#[derive(Default)]
struct Recorder(Mutex<Vec<&'static str>>);

impl CredentialProvider for Recorder {
    fn fill(&self, _target: &Target, _lines: &[String]) -> Result<Option<Credential>, CredentialError> {
        self.0.lock().unwrap().push("fill");
        Ok(Some(Credential::new("alice", Secret::new("secret"))))
    }
    fn approve(&self, _target: &Target, _credential: &Credential) {
        self.0.lock().unwrap().push("approve");
    }
    fn reject(&self, _target: &Target, _credential: &Credential) {
        self.0.lock().unwrap().push("reject");
    }
}

#[test]
fn a_line_break_in_a_value_begins_no_header_line() {
    for line_break in ["\n", "\r", "\r\n"] {
        let server = Server::start(|request| match request.header("authorization") {
            Some(_) => Reply::advertisement(),
            None => Reply::new(401, &[("WWW-Authenticate", "Digest realm=x, nonce=y")], b""),
        });
        let directory = tempfile::tempdir().unwrap();
        let cookies = directory.path().join("cookies");
        let evil = format!("a{line_break}X-Evil: 1");
        std::fs::write(&cookies, format!("127.0.0.1\tFALSE\t/\tFALSE\t0\tname\t{evil}\n")).unwrap();
        let settings = quiet()
            .with("extraheader", &format!("X-Mine: {evil}"))
            .with("extraheader", &format!("X-{evil}"))
            .with("useragent", &evil)
            .with("cookiefile", &cookies.display().to_string())
            .with_env("LANGUAGE", evil.as_str());
        // a URL with a newline is refused before anything is asked
        let login = evil.replace('\n', "\r");
        let password = Some(Secret::new(login.as_str()));
        let user = Some(login.as_str().into());
        let url = Url { user, password, ..url(&format!("{}/r", server.url)) };
        let mut transport = open(&url, &settings, Options::default()).unwrap();
        let _refused_or_not = transport.connect(Service::UploadPack, Version::V2, &mut Discard);
        let received = server.received();
        assert!(!received.is_empty(), "{line_break:?}");
        for request in received {
            assert_eq!(request.header("x-evil"), None, "{line_break:?}");
            assert!(request.header("host").is_some(), "{line_break:?}");
        }
    }
}

#[test]
fn a_proxy_that_is_never_content_is_given_up() {
    let challenge = "Digest realm=x, nonce=y, qop=auth, stale=true";
    let proxy = Server::start(move |_| Reply::new(407, &[("Proxy-Authenticate", challenge)], b""));
    let settings = quiet().with("proxy", &proxy.url.replace("http://", "http://alice:secret@"));
    let message = refusal("http://git.test/r", &settings);
    assert!(message.ends_with("The requested URL returned error: 407"), "{message}");
    assert_eq!(proxy.received().len(), 3);
}

#[test]
fn who_asks_where_a_download_was_led_has_no_say_in_what_is_known() {
    let elsewhere = Server::start(|_| Reply::new(401, &[("WWW-Authenticate", "Basic realm=x")], b""));
    let to = format!("{}/bundle", elsewhere.url);
    let server = Server::start(move |_| Reply::new(302, &[("Location", &to)], b""));
    let recorder = Arc::new(Recorder::default());
    let options = Options { credentials: Some(recorder.clone()), ..Options::default() };
    let download = Download { settings: &quiet(), options, remote: None, len_max: 1000 };
    let text = format!("{}/bundle", server.url);
    let error = download.get(&url(&text), &mut Vec::new(), &mut Discard).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("unable to access '{text}': The requested URL returned error: 401")
    );
    assert_eq!(*recorder.0.lock().unwrap(), Vec::<&str>::new());
}

#[test]
fn what_is_meant_for_one_server_goes_to_no_other() {
    let [one, other] = [(); 2].map(|()| Server::start(|_| Reply::new(404, &[], b"")));
    let host = other.url.strip_prefix("http://").unwrap();
    let settings = quiet().with_url(Some(&one.url), "extraheader", "X-Secret: S");
    let asked = |text: String| {
        let url = Url::parse(text.as_bytes().into()).unwrap();
        let mut transport = open(&url, &settings, Options::default())?;
        transport.connect(Service::UploadPack, Version::V2, &mut Discard)
    };
    for letter in ["\\", ":x\\", "%23"] {
        asked(format!("{}{letter}@{host}/r.git", one.url)).err().unwrap();
    }
    assert_eq!(one.received().len(), 0);
    assert_eq!(other.received().len(), 3);
    for request in other.received() {
        assert_eq!(request.header("x-secret"), None, "{}", request.line);
    }
    for letter in ["#", "?", "/"] {
        asked(format!("{}{letter}@{host}/r.git", one.url)).err().unwrap();
    }
    assert_eq!(other.received().len(), 3);
    let received = one.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.header("x-secret") == Some("S")));
}

#[test]
fn a_host_is_not_mended() {
    let server = Server::start(|_| Reply::advertisement());
    for end in ["\\r.git", "\\", " /r.git", "./r.git\t"] {
        let text = format!("{}{end}", server.url);
        let url = Url::parse(text.as_bytes().into()).unwrap();
        let message = match open(&url, &quiet(), Options::default()) {
            Ok(_) => panic!("{text:?} is taken"),
            Err(error) => error.to_string(),
        };
        assert!(message.ends_with(": URL using bad/illegal format or missing URL"), "{message}");
    }
    assert_eq!(server.received().len(), 0);
}
