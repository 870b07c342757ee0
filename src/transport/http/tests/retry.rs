//! Failures that pass, and those that must not be tried again.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::{Reply, Server};
use super::*;

/// Answers the first `failures` requests by `failure`, the others as they should be.
fn troubled(failures: usize, failure: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request| {
        let is_early = count.fetch_add(1, Ordering::Relaxed) < failures;
        match (is_early, request.line.starts_with("GET")) {
            (true, _) => failure(),
            (false, true) if request.line.contains("receive-pack") => {
                let body = packet("# service=git-receive-pack\n") + "00000000";
                let kind = "application/x-git-receive-pack-advertisement";
                Reply::new(200, &[("Content-Type", kind)], body.as_bytes())
            }
            (false, true) => Reply::advertisement(),
            (false, false) => Reply::result(b"0000"),
        }
    })
}

fn busy() -> Reply {
    Reply::new(429, &[("Retry-After", "0"), ("Content-Type", "text/plain")], b"slow down\n")
}

/// Connects; gives the warnings.
fn warnings(server: &Server, settings: &FakeSettings) -> Result<Vec<String>, Error> {
    let mut transport = open(&url(&format!("{}/r", server.url)), settings, Options::default())?;
    let mut warnings = Warnings::default();
    transport.connect(Service::UploadPack, Version::V2, &mut warnings)?;
    Ok(warnings.0)
}

#[test]
fn patience_is_asked_for() {
    let server = troubled(1, busy);
    let message = warnings(&server, &quiet()).unwrap_err().to_string();
    assert!(message.ends_with("The requested URL returned error: 429"), "{message}");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_busy_server_is_asked_again_and_the_user_told() {
    let server = troubled(2, busy);
    let told = warnings(&server, &quiet().with("maxretries", "2")).unwrap();
    let expected = "The requested URL returned error: 429; trying again in 0.0 seconds";
    assert_eq!(told, [format!("{expected} (1 of 2)"), format!("{expected} (2 of 2)")]);
    let received = server.received();
    assert!(
        received.iter().all(|request| request.peer == received[0].peer),
        "one connection serves all tries"
    );
    let server = troubled(3, busy);
    assert!(warnings(&server, &quiet().with_env("GIT_HTTP_MAX_RETRIES", "2")).is_err());
    assert_eq!(server.received().len(), 3);
}

#[test]
fn a_server_that_wants_too_much_patience_gets_none() {
    let server = troubled(1, || Reply::new(429, &[("Retry-After", "301")], b""));
    assert!(warnings(&server, &quiet().with("maxretries", "5")).is_err());
    assert_eq!(server.received().len(), 1);
}

#[test]
fn gateways_and_connections_recover() {
    for status in [502, 503, 504] {
        let server = troubled(1, move || Reply::new(status, &[("Retry-After", "0")], b""));
        warnings(&server, &quiet().with("maxretries", "1")).unwrap();
    }
    let server = troubled(1, || Reply::Last(Vec::new()));
    warnings(&server, &quiet().with("maxretries", "1")).unwrap();
    let server = troubled(1, || Reply::new(500, &[], b""));
    assert!(warnings(&server, &quiet().with("maxretries", "1")).is_err());
}

#[test]
fn a_fetch_is_asked_for_again_and_a_push_never() {
    let settings = quiet().with("maxretries", "3");
    let cut_post = || {
        let is_first = AtomicUsize::new(0);
        Server::start(move |request| match (request.line.starts_with("GET"), &request.line) {
            (true, line) if line.contains("receive-pack") => {
                let body = packet("# service=git-receive-pack\n") + "00000000";
                let kind = "application/x-git-receive-pack-advertisement";
                Reply::new(200, &[("Content-Type", kind)], body.as_bytes())
            }
            (true, _) => Reply::advertisement(),
            (false, _) if is_first.fetch_add(1, Ordering::Relaxed) == 0 => Reply::Last(Vec::new()),
            (false, _) => Reply::result(b"0000"),
        })
    };
    let server = cut_post();
    let mut connection = connect(&format!("{}/r", server.url), &settings).unwrap();
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");
    let server = cut_post();
    let mut transport = open(&url(&format!("{}/r", server.url)), &settings, Options::default()).unwrap();
    let mut connection = transport.connect(Service::ReceivePack, Version::V1, &mut Discard).unwrap();
    let mut body: &[u8] = b"0000PACK";
    let error = connection.converse(&mut body, &mut |_| Ok(()), &mut Discard).unwrap_err().to_string();
    assert_eq!(error, "RPC failed; curl 52 Empty reply from server");
    assert_eq!(server.received().len(), 2);
}
