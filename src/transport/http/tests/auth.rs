//! Who we say we are, when, and to whom.

use super::server::{Received, Reply, Server};
use super::*;

/// `alice:secret`.
const ALICE: &str = "Basic YWxpY2U6c2VjcmV0";

/// Answers 401 to everybody but Alice.
fn guarded() -> Server {
    Server::start(|request| {
        if request.header("authorization") != Some(ALICE) {
            let headers = [("WWW-Authenticate", "Basic realm=\"x\""), ("Content-Type", "text/plain")];
            Reply::new(401, &headers, b"Please log in\n")
        } else if request.line.starts_with("GET") {
            Reply::advertisement()
        } else {
            Reply::result(b"0000")
        }
    })
}

fn names(requests: &[Received]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("authorization")).collect()
}

fn as_user(server: &Server, userinfo: &str) -> String {
    server.url.replace("http://", &format!("http://{userinfo}@")) + "/r.git"
}

#[test]
fn credentials_of_the_url_wait_until_they_are_asked_for() {
    let server = guarded();
    let mut connection = connect(&as_user(&server, "alice:secret"), &quiet()).unwrap();
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");
    assert_eq!(names(&server.received()), [None, Some(ALICE), Some(ALICE)]);
}

#[test]
fn a_public_greeting_may_be_followed_by_a_private_exchange() {
    let server =
        Server::start(|request| match (request.line.starts_with("GET"), request.header("authorization")) {
            (true, _) => Reply::advertisement(),
            (false, Some(ALICE)) => Reply::result(b"0000"),
            (false, _) => Reply::new(401, &[("WWW-Authenticate", "Basic realm=x")], b""),
        });
    let settings = quiet().with("postbuffer", "65520");
    let mut connection = connect(&as_user(&server, "alice:secret"), &settings).unwrap();
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");
    assert_eq!(exchange(&mut *connection, &vec![b'x'; 65521]), "0000");
    assert_eq!(names(&server.received()), [None, None, Some(ALICE), Some(ALICE), Some(ALICE)]);
}

#[test]
fn a_challenge_may_be_folded() {
    let server = Server::start(|request| {
        if request.header("authorization") == Some(ALICE) {
            return Reply::advertisement();
        }
        Reply::new(
            401,
            &[("WWW-Authenticate", "Custom a=1\r\n \r\n b=2"), ("WWW-Authenticate", "Basic")],
            b"",
        )
    });
    connect(&as_user(&server, "alice:secret"), &quiet()).unwrap();
    assert_eq!(names(&server.received()), [None, Some(ALICE)]);
    assert_eq!(super::super::site::unfolded("a=\"1  2\"      b=2"), "a=\"1  2\" b=2");
}

#[test]
fn wrong_credentials_fail_at_once() {
    let server = guarded();
    let expected = format!("Authentication failed for '{}/r.git/'", server.url);
    match connect(&as_user(&server, "alice:wrong"), &quiet()).err() {
        Some(Error::Refused { remote, message }) => {
            assert_eq!(message, expected);
            assert_eq!(remote, ["Please log in"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.received().len(), 2);
}

#[test]
fn what_nobody_can_be_asked_for_is_named() {
    let server = guarded();
    let expected = format!("could not read Username for '{}': terminal prompts disabled", server.url);
    assert_eq!(refusal(&format!("{}/r.git", server.url), &quiet()), expected);
    let expected = format!(
        "could not read Password for '{}': terminal prompts disabled",
        server.url.replace("http://", "http://alice@")
    );
    assert_eq!(refusal(&as_user(&server, "alice"), &quiet()), expected);
}

#[test]
fn an_authorization_of_the_users_own_is_the_only_one() {
    let server = guarded();
    let settings = quiet().with("extraheader", &format!("Authorization: {ALICE}"));
    connect(&as_user(&server, "bob:other"), &settings).unwrap();
    assert_eq!(names(&server.received()), [Some(ALICE)]);
}

#[cfg(unix)]
#[test]
fn an_askpass_program_is_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("ask");
    std::fs::write(&program, "#!/bin/sh\ncase \"$1\" in\nUser*) echo alice;;\n*) echo secret;;\nesac\n")
        .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = guarded();
    let settings = quiet().with_env("GIT_ASKPASS", program);
    connect(&format!("{}/r.git", server.url), &settings).unwrap();
    assert_eq!(names(&server.received()), [None, Some(ALICE)]);
}

#[test]
fn a_scheme_that_is_not_spoken_is_named() {
    let server = Server::start(|_| Reply::new(401, &[("WWW-Authenticate", "Negotiate")], b""));
    let message = refusal(&as_user(&server, "alice:secret"), &quiet());
    assert!(
        message.ends_with("the server accepts only 'Negotiate' authentication, which is not supported"),
        "{message}"
    );
}

#[test]
fn digest_is_shown_without_the_password_and_counted() {
    let server = Server::start(|request| {
        let uri = request.line.split_once(' ').unwrap().1;
        match request.header("authorization") {
            Some(proof) if proof.starts_with("Digest username=\"alice\"") => {
                assert!(proof.contains(&format!("uri=\"{uri}\"")), "{proof}");
                if request.line.starts_with("GET") { Reply::advertisement() } else { Reply::result(b"0000") }
            }
            _ => {
                Reply::new(401, &[("WWW-Authenticate", "Digest realm=\"x\", nonce=\"n\", qop=\"auth\"")], b"")
            }
        }
    });
    let mut connection = connect(&as_user(&server, "alice:secret"), &quiet()).unwrap();
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");
    let received = server.received();
    let counts: Vec<bool> = received
        .iter()
        .skip(1)
        .zip(1..)
        .map(|(request, count)| request.header("authorization").unwrap().contains(&format!("nc={count:08x}")))
        .collect();
    assert_eq!(counts, [true; 3]);
}

#[test]
fn netrc_is_asked_before_the_user() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".netrc"), "machine 127.0.0.1 login alice password secret\n").unwrap();
    let server = guarded();
    connect(&format!("{}/r", server.url), &quiet().with_env("HOME", home.path())).unwrap();
    assert_eq!(names(&server.received()), [None, Some(ALICE)]);
}

#[test]
fn who_is_told_to_be_forward_does_not_wait_to_be_asked() {
    let server = guarded();
    connect(&as_user(&server, "alice:secret"), &quiet().with("proactiveauth", "basic")).unwrap();
    assert_eq!(names(&server.received()), [Some(ALICE)]);
}
