//! Where redirects may lead, and what must not go with them.

use super::server::{Reply, Server};
use super::*;

/// Redirects every request by `status` to what `target` makes of its path.
fn redirecting(status: u16, target: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let path = request.line.split(' ').nth(1).unwrap();
        Reply::new(status, &[("Location", &target(path))], b"")
    })
}

fn smart() -> Server {
    Server::start(|request| {
        if request.line.starts_with("GET") { Reply::advertisement() } else { Reply::result(b"0000") }
    })
}

#[test]
fn a_redirect_moves_the_whole_session() {
    let target = smart();
    let to = target.url.clone();
    let server = redirecting(301, move |path| format!("{to}{}", path.replace("/old", "/new")));
    let mut transport = open(&url(&format!("{}/old", server.url)), &quiet(), Options::default()).unwrap();
    let mut warnings = Warnings::default();
    let mut connection = transport.connect(Service::UploadPack, Version::V2, &mut warnings).unwrap();
    assert_eq!(warnings.0, [format!("redirecting to {}/new/", target.url)]);
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");
    assert_eq!(target.received().last().unwrap().line, "POST /new/git-upload-pack");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn no_secret_follows_to_another_host() {
    let target = Server::start(|_| Reply::new(401, &[("WWW-Authenticate", "Basic realm=x")], b""));
    let to = target.url.clone();
    let server = redirecting(302, move |path| to.replace("http://", "http://mallory:x@") + path);
    let settings = quiet().with("extraheader", "X-Token: secret");
    let message = refusal(&(server.url.replace("http://", "http://alice:secret@") + "/r"), &settings);
    assert_eq!(message, format!("could not read Username for '{}': terminal prompts disabled", target.url));
    assert_eq!(server.received()[0].header("x-token"), Some("secret"));
    for request in target.received() {
        assert_eq!(request.header("authorization").or(request.header("x-token")), None);
    }
}

#[test]
fn a_redirect_must_keep_the_end_of_the_url() {
    let target = smart();
    let to = target.url.clone();
    let server = redirecting(302, move |_| format!("{to}/login"));
    let message = refusal(&format!("{}/r", server.url), &quiet());
    let expected = format!(
        "unable to update url base from redirection:\n  asked for: \
         {}/r/info/refs?service=git-upload-pack\n   redirect: {}/login",
        server.url, target.url
    );
    assert_eq!(message, expected);
}

#[test]
fn loops_and_other_protocols_end() {
    let server = redirecting(302, |path| format!("{path}x"));
    let message = refusal(&format!("{}/r", server.url), &quiet());
    assert!(message.ends_with("': Maximum (20) redirects followed"), "{message}");
    assert_eq!(server.received().len(), 21);
    let server = redirecting(302, |_| "file:///etc/passwd".into());
    let message = refusal(&format!("{}/r", server.url), &quiet());
    assert!(message.ends_with("': Protocol \"file\" disabled in followed redirect"), "{message}");
}

#[test]
fn redirects_can_be_forbidden() {
    let server = redirecting(302, str::to_owned);
    let message = refusal(&format!("{}/r", server.url), &quiet().with("followredirects", "false"));
    let expected = format!("unable to access '{}/r/': The requested URL returned error: 302", server.url);
    assert_eq!(message, expected);
}

#[test]
fn a_redirected_post_needs_permission() {
    let post = |settings: &FakeSettings| {
        let target = smart();
        let to = target.url.clone();
        let server = Server::start(move |request| {
            let path = request.line.split(' ').nth(1).unwrap();
            let moved = Reply::new(307, &[("Location", &format!("{to}{path}"))], b"");
            if request.line.starts_with("GET") { Reply::advertisement() } else { moved }
        });
        let mut connection = connect(&format!("{}/r", server.url), settings).unwrap();
        let error = connection.exchange(b"0000", &mut Discard).err().map(|error| error.to_string());
        (error, target.received())
    };
    let (error, received) = post(&quiet());
    let expected = "RPC failed; HTTP 307 curl 22 The requested URL returned error: 307";
    assert_eq!(error.as_deref(), Some(expected));
    assert!(received.is_empty());
    let (error, received) = post(&quiet().with("followredirects", "true"));
    assert_eq!(error, None);
    assert_eq!((&*received[0].line, &*received[0].body), ("POST /r/git-upload-pack", &b"0000"[..]));
}
