//! What goes over the wire when all is well, and the words when it is not.

use std::net::TcpListener;

use super::server::{Reply, Server};
use super::*;

/// Advertises on GET and answers POST by `answer`.
fn smart(answer: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(
        move |request| {
            if request.line.starts_with("GET") { Reply::advertisement() } else { answer() }
        },
    )
}

#[test]
fn requests_look_like_those_of_c_git() {
    let server = smart(|| Reply::result(b"0000"));
    let mut connection = connect(&format!("{}/a/repo.git", server.url), &quiet()).unwrap();
    assert_eq!(read_greeting(&mut *connection), "000eversion 2\n0000");
    assert_eq!(exchange(&mut *connection, b"0014command=ls-refs\n0000"), "0000");
    assert_eq!(exchange(&mut *connection, b"0000"), "0000");

    let [get, post, second] = <[_; 3]>::try_from(server.received()).unwrap();
    let agent = concat!("git/2.47.3.gitr-", env!("CARGO_PKG_VERSION"));
    assert_eq!(get.line, "GET /a/repo.git/info/refs?service=git-upload-pack");
    let own = |headers: &[(String, String)]| -> Vec<(String, String)> {
        let mut lines: Vec<_> = headers.iter().filter(|(name, _)| name != "host").cloned().collect();
        lines.sort();
        lines
    };
    let lines = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    };
    let expected = lines(&[
        ("accept", "*/*"),
        ("accept-encoding", "deflate, gzip"),
        ("git-protocol", "version=2"),
        ("pragma", "no-cache"),
        ("user-agent", agent),
    ]);
    assert_eq!(own(&get.headers), expected);
    assert_eq!(post.line, "POST /a/repo.git/git-upload-pack");
    let expected = lines(&[
        ("accept", "application/x-git-upload-pack-result"),
        ("accept-encoding", "deflate, gzip"),
        ("content-length", "24"),
        ("content-type", "application/x-git-upload-pack-request"),
        ("git-protocol", "version=2"),
        ("user-agent", agent),
    ]);
    assert_eq!(own(&post.headers), expected);
    assert_eq!(post.body, b"0014command=ls-refs\n0000");
    assert_eq!(second.body, b"0000");
    assert_eq!([post.peer, second.peer], [get.peer; 2], "one connection serves the whole session");
}

#[test]
fn push_asks_for_no_version() {
    let server = Server::start(|_| {
        let body = packet("# service=git-receive-pack\n") + "00000000";
        Reply::new(200, &[("Content-Type", "application/x-git-receive-pack-advertisement")], body.as_bytes())
    });
    let mut transport = open(&url(&format!("{}/r", server.url)), &quiet(), Options::default()).unwrap();
    let mut connection = transport.connect(Service::ReceivePack, Version::V2, &mut Discard).unwrap();
    assert_eq!(read_greeting(&mut *connection), "0000");
    assert_eq!(server.received()[0].header("git-protocol"), None);
}

#[test]
fn the_preamble_is_taken_off_and_must_name_the_service() {
    let greeting = |body: String| {
        let server = Server::start(move |_| {
            let headers = [("Content-Type", "application/x-git-upload-pack-advertisement; charset=x")];
            Reply::new(200, &headers, body.as_bytes())
        });
        connect(&format!("{}/r", server.url), &quiet()).map(|mut connection| read_greeting(&mut *connection))
    };
    let refs = packet("version 2\n") + "0000";
    let good = packet("# service=git-upload-pack\n") + "0000" + &refs;
    assert_eq!(greeting(good).unwrap(), refs);
    assert_eq!(greeting(refs.clone()).unwrap(), refs);
    assert_eq!(greeting(String::new()).unwrap(), "");
    let message = greeting("zzzz".into()).unwrap_err().to_string();
    assert!(message.contains("bad line length character: zzzz"), "{message}");
    let wrong = packet("# service=git-receive-pack\n") + "0000" + &refs;
    let message = greeting(wrong).unwrap_err().to_string();
    assert_eq!(message, "invalid server response; got '# service=git-receive-pack'");
}

#[test]
fn long_requests_are_compressed_and_longer_ones_sent_in_chunks() {
    let server = smart(|| Reply::result(b"0000"));
    let settings = quiet().with("postbuffer", "65520");
    let mut connection = connect(&format!("{}/r", server.url), &settings).unwrap();
    let request = |len: usize| "0123456789abcdef".repeat(len / 16).into_bytes();
    for len in [1024, 1040, 65536] {
        assert_eq!(exchange(&mut *connection, &request(len)), "0000");
    }
    let received = server.received();
    assert_eq!(received[1].header("content-encoding"), None);
    assert_eq!(received[1].body, request(1024));
    assert_eq!(received[2].header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*received[2].body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, request(1040));
    assert_eq!(received[3].body, b"0000", "a probe goes before what cannot be said twice");
    assert_eq!(received[4].header("transfer-encoding"), Some("chunked"));
    assert_eq!(received[4].body, request(65536));
}

#[test]
fn compressed_answers_are_unpacked() {
    let server = smart(|| {
        let packed = super::super::rpc::gzip(b"0004 and more").unwrap();
        let headers =
            [("Content-Type", "application/x-git-upload-pack-result"), ("Content-Encoding", "gzip")];
        Reply::new(200, &headers, &packed)
    });
    let mut connection = connect(&format!("{}/r", server.url), &quiet()).unwrap();
    assert_eq!(exchange(&mut *connection, b"0000"), "0004 and more");
}

#[test]
fn extra_headers_and_the_user_agent_follow_configuration() {
    let server = Server::start(|_| Reply::advertisement());
    let settings = quiet()
        .with("extraheader", "X-Forgotten: 1")
        .with("extraheader", "")
        .with("extraheader", "X-All: a: b")
        .with_url(Some(&server.url), "extraheader", "Authorization: Bearer token")
        .with_url(Some("http://other.test"), "extraheader", "X-Other: 1")
        .with("useragent", "git/1.0")
        .with_env("LANGUAGE", "ko_KR.UTF-8:en!!:de_DE@euro");
    connect(&format!("{}/r", server.url), &settings).unwrap();
    let request = &server.received()[0];
    assert_eq!(request.header("x-all"), Some("a: b"));
    assert_eq!(request.header("authorization"), Some("Bearer token"));
    assert_eq!(request.header("x-forgotten").or(request.header("x-other")), None);
    assert_eq!(request.header("user-agent"), Some("git/1.0"));
    // seen in git 2.47.3
    assert_eq!(request.header("accept-language"), Some("ko-KR, en;q=0.9, de-DE;q=0.8, *;q=0.7"));
}

#[test]
fn a_query_in_the_url_stays() {
    let server = Server::start(|_| Reply::advertisement());
    connect(&format!("{}/x.git?q=1", server.url), &quiet()).unwrap();
    // seen in git 2.47.3
    assert_eq!(server.received()[0].line, "GET /x.git?q=1/info/refs&service=git-upload-pack");
}

#[test]
fn refusals_are_worded_as_in_c_git() {
    let server = Server::start(|request| {
        let status: u16 = request.line.split('/').nth(1).unwrap().parse().unwrap();
        Reply::new(status, &[("Content-Type", "text/plain; charset=utf-8")], b"sorry\r\nno\n\n")
    });
    let at = |status: u16| format!("{}/{status}/r.git", server.url);
    let shown = |status: u16| format!("{}/", at(status));
    assert_eq!(refusal(&at(404), &quiet()), format!("repository '{}' not found", shown(404)));
    for status in [403, 429, 500] {
        let expected =
            format!("unable to access '{}': The requested URL returned error: {status}", shown(status));
        assert_eq!(refusal(&at(status), &quiet()), expected);
    }
    let secret = at(404).replace("http://", "http://alice:secret@");
    assert_eq!(refusal(&secret, &quiet()), format!("repository '{}' not found", shown(404)));
    match connect(&at(403), &quiet()).err() {
        Some(Error::Refused { remote, .. }) => assert_eq!(remote, ["sorry", "no"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_greeting_is_read_as_files() {
    let server = Server::start(|_| Reply::new(200, &[("Content-Type", "text/html")], b"<html>"));
    let mut connection = connect(&format!("{}/r.git", server.url), &quiet()).unwrap();
    assert!(connection.greeting().is_err());
    let mut files = connection.files().unwrap();
    assert_eq!(files.base(), format!("{}/r.git/", server.url));
    let mut text = Vec::new();
    files.refs().read_to_end(&mut text).unwrap();
    assert_eq!(text, b"<html>");
    assert!(connection.files().is_none());
    let base = files.base().to_owned();
    let alternate = |line: &str| files.alternate(&base, line);
    assert_eq!(alternate("../../other.git/objects"), Some(format!("{}/other.git/objects", server.url)));
    assert_eq!(alternate("http://user:secret@other/objects#x").as_deref(), Some("http://other/objects"));
    assert_eq!((alternate("file:///r/objects"), alternate("ftp://h/objects")), (None, None));
}

#[test]
fn a_failed_post_is_an_rpc_failure() {
    let server = smart(|| Reply::new(503, &[], b""));
    let mut connection = connect(&format!("{}/r", server.url), &quiet()).unwrap();
    let error = connection.exchange(b"0000", &mut Discard).err().unwrap().to_string();
    assert_eq!(error, "RPC failed; HTTP 503 curl 22 The requested URL returned error: 503");
    let server = smart(|| Reply::new(200, &[("Content-Type", "text/html")], b""));
    let mut connection = connect(&format!("{}/r", server.url), &quiet()).unwrap();
    let error = connection.exchange(b"0000", &mut Discard).err().unwrap().to_string();
    assert_eq!(error, "RPC failed; the answer is of type 'text/html'");
}

#[test]
fn an_answer_may_be_of_another_type() {
    for (body, expected) in [
        (&b"0000"[..], None),
        (b"0008abcd00", Some("RPC failed; 2 bytes of length header were received")),
        (b"0008abcd0008abc", Some("RPC failed; 1 bytes of body are still expected")),
    ] {
        let server = smart(move || Reply::new(200, &[("Content-Type", "text/plain")], body));
        let mut connection = connect(&format!("{}/r", server.url), &quiet()).unwrap();
        let mut read = Vec::new();
        let end = connection.exchange(b"0000", &mut Discard).unwrap().read_to_end(&mut read);
        assert_eq!(read, body);
        assert_eq!(end.err().map(|error| error.to_string()).as_deref(), expected);
    }
}

#[test]
fn a_cut_answer_says_so() {
    let headers = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\n";
    let known = ("Content-Length: 100\r\n\r\n", "92 bytes remaining to read");
    let unknown = ("Transfer-Encoding: chunked\r\n\r\n64\r\n", "outstanding read data remaining");
    for (framing, missing) in [known, unknown] {
        let text = format!("{headers}{framing}0008abcd");
        let server = smart(move || Reply::Last(text.clone().into_bytes()));
        let mut connection = connect(&format!("{}/r", server.url), &quiet()).unwrap();
        let mut read = Vec::new();
        let error = connection.exchange(b"0000", &mut Discard).unwrap().read_to_end(&mut read).unwrap_err();
        assert_eq!(read, b"0008abcd");
        assert_eq!(error.to_string(), format!("RPC failed; curl 18 transfer closed with {missing}"));
    }
}

#[test]
fn a_cut_greeting_names_the_repository() {
    let server = Server::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n";
        Reply::Last(format!("{head}Content-Length: 100\r\n\r\n000eversion 2\n").into_bytes())
    });
    let at = format!("{}/r.git", server.url);
    let mut connection = connect(&at, &quiet()).unwrap();
    let error = connection.greeting().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    // seen in git 2.47.3
    let expected = format!("unable to access '{at}/': transfer closed with 86 bytes remaining to read");
    assert_eq!(error.to_string(), expected);
}

/// The bytes of an answer with `body`.
fn answer_bytes(kind: &str, body: &[u8]) -> Vec<u8> {
    let kind = format!("application/x-git-upload-pack-{kind}");
    match Reply::new(200, &[("Content-Type", &kind)], body) {
        Reply::Send(bytes) | Reply::Last(bytes) => bytes,
    }
}

#[test]
fn every_cut_is_noticed() {
    let greeting = answer_bytes("advertisement", b"000eversion 2\n0000");
    let result = answer_bytes("result", b"0000");
    for len in 0..greeting.len() {
        let part = greeting[..len].to_vec();
        let server = Server::start(move |_| Reply::Last(part.clone()));
        let connected = connect(&format!("{}/r", server.url), &quiet());
        let read =
            connected.map(|mut connection| connection.greeting().unwrap().read_to_end(&mut Vec::new()));
        assert!(!matches!(read, Ok(Ok(_))), "{len} bytes of a greeting are taken for all of it");
    }
    for len in 0..result.len() {
        let (whole, part) = (greeting.clone(), result[..len].to_vec());
        let server = Server::start(move |request| {
            if request.line.starts_with("GET") {
                Reply::Send(whole.clone())
            } else {
                Reply::Last(part.clone())
            }
        });
        let mut connection = connect(&format!("{}/r", server.url), &quiet()).unwrap();
        let answered = connection.exchange(b"0000", &mut Discard);
        let read = answered.map(|answer| answer.read_to_end(&mut Vec::new()));
        assert!(!matches!(read, Ok(Ok(_))), "{len} bytes of an answer are taken for all of it");
    }
}

#[test]
fn servers_that_cannot_be_reached_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let at = format!("http://{address}/r.git");
    let message = refusal(&at, &quiet());
    let begin =
        format!("unable to access '{at}/': Failed to connect to 127.0.0.1 port {} after ", address.port());
    assert!(message.starts_with(&begin), "{message}");
    assert!(message.ends_with(" ms: Couldn't connect to server"), "{message}");
    let proxied = refusal("http://git.test/r.git", &quiet().with("proxy", &format!("http://{address}")));
    assert!(proxied.contains(&format!("Failed to connect to 127.0.0.1 port {} after", address.port())));

    let message = refusal("http://no-such-host.invalid/r.git", &quiet());
    let expected =
        "unable to access 'http://no-such-host.invalid/r.git/': Could not resolve host: no-such-host.invalid";
    assert_eq!(message, expected);
}

#[test]
fn silence_and_nonsense_are_named() {
    let server = Server::start(|_| Reply::Last(Vec::new()));
    let at = format!("{}/r.git", server.url);
    assert_eq!(refusal(&at, &quiet()), format!("unable to access '{at}/': Empty reply from server"));
    let server = Server::start(|_| Reply::Last(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()));
    let at = format!("{}/r.git", server.url);
    let expected = format!("unable to access '{at}/': Received HTTP/0.9 when not allowed");
    assert_eq!(refusal(&at, &quiet()), expected);
    let expected = "unable to access 'http://127.0.0.1%0a:1/x/': URL using bad/illegal format or missing URL";
    assert_eq!(refusal("http://127.0.0.1%0a:1/x", &quiet()), expected);
}

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let proxy = Server::start(|_| Reply::advertisement());
    connect("http://git.test/r.git", &quiet().with("proxy", &proxy.url)).unwrap();
    let line = &proxy.received()[0].line;
    assert_eq!(line, "GET http://git.test/r.git/info/refs?service=git-upload-pack");
}

/// A proxy that lets Alice through if she says so in the right way.
fn guarded_proxy(challenge: &'static str) -> Server {
    Server::start(move |request| match request.header("proxy-authorization") {
        Some(proof) if challenge.starts_with(proof.split(' ').next().unwrap()) => Reply::advertisement(),
        _ => Reply::new(407, &[("Proxy-Authenticate", challenge)], b""),
    })
}

#[test]
fn a_proxy_is_told_who_asks_when_it_asks() {
    let proofs = |proxy: &Server, settings: &FakeSettings| {
        connect("http://git.test/r.git", settings).unwrap();
        let received = proxy.received();
        let proofs =
            received.iter().map(|request| request.header("proxy-authorization").map(ToOwned::to_owned));
        proofs.collect::<Vec<_>>()
    };
    let with = |proxy: &Server| quiet().with("proxy", &proxy.url.replace("http://", "http://alice:secret@"));
    let alice = Some("Basic YWxpY2U6c2VjcmV0".to_owned());
    let proxy = guarded_proxy("Basic realm=x");
    assert_eq!(proofs(&proxy, &with(&proxy)), [None, alice.clone()]);
    let proxy = guarded_proxy("Basic realm=x");
    assert_eq!(proofs(&proxy, &with(&proxy).with("proxyauthmethod", "basic")), [alice]);
    let proxy = guarded_proxy("Digest realm=x, nonce=y, qop=auth");
    let digest = proofs(&proxy, &with(&proxy));
    assert!(
        digest[1].as_deref().is_some_and(|proof| proof.contains("uri=\"http://git.test/r.git/info/refs?"))
    );
    let proxy = guarded_proxy("Basic realm=x");
    let message = refusal("http://git.test/r.git", &with(&proxy).with("proxyauthmethod", "digest"));
    assert!(message.ends_with("The requested URL returned error: 407"), "{message}");
    assert_eq!(proxy.received().len(), 1);
}

#[test]
fn a_name_is_given_its_address_by_hand() {
    let server = Server::start(|_| Reply::advertisement());
    let port = server.url.rsplit(':').next().unwrap();
    let settings = quiet().with("curloptresolve", &format!("git.test:{port}:127.0.0.1"));
    connect(&format!("http://git.test:{port}/r.git"), &settings).unwrap();
    assert_eq!(server.received()[0].header("host"), Some(&*format!("git.test:{port}")));
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}/r.git", listener.local_addr().unwrap());
    let settings = quiet().with("lowspeedlimit", "10").with_env("GIT_HTTP_LOW_SPEED_TIME", "1");
    let expected = "Operation too slow. Less than 10 bytes/sec transferred the last 1 seconds";
    assert_eq!(refusal(&at, &settings), format!("unable to access '{at}/': {expected}"));
}

#[test]
fn cookies_come_from_a_file_and_go_back_into_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cookies");
    std::fs::write(&file, "127.0.0.1\tFALSE\t/\tFALSE\t0\told\t1\n").unwrap();
    let server = Server::start(|request| {
        if request.line.starts_with("GET") {
            let headers = [
                ("Content-Type", "application/x-git-upload-pack-advertisement"),
                ("Set-Cookie", "new=2; Path=/; Max-Age=3600"),
            ];
            Reply::new(200, &headers, b"000eversion 2\n0000")
        } else {
            Reply::result(b"0000")
        }
    });
    let at = format!("{}/r", server.url);
    let settings = quiet().with("cookiefile", file.to_str().unwrap()).with("savecookies", "true");
    exchange(&mut *connect(&at, &settings).unwrap(), b"0000");
    let sent = |number: usize| server.received()[number].header("cookie").map(ToOwned::to_owned);
    assert_eq!([sent(0), sent(1)].map(Option::unwrap), ["old=1", "old=1; new=2"]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("\tnew\t2\n"));
    exchange(&mut *connect(&at, &quiet().with("cookiefile", "")).unwrap(), b"0000");
    assert_eq!([sent(2), sent(3)], [None, Some("new=2".to_owned())]);
    exchange(&mut *connect(&at, &quiet()).unwrap(), b"0000");
    assert_eq!([sent(4), sent(5)], [None, None]);
}

#[test]
fn a_proxy_that_refuses_a_tunnel_is_quoted() {
    let message = |status: u16| {
        let proxy = Server::start(move |_| Reply::new(status, &[], b""));
        let message = refusal("https://git.test/r.git", &quiet().with("proxy", &proxy.url));
        assert_eq!(proxy.received()[0].line, "CONNECT git.test:443");
        message
    };
    let prefix = "unable to access 'https://git.test/r.git/': ";
    assert_eq!(message(407), format!("{prefix}CONNECT tunnel failed, response 407"));
    assert_eq!(message(403), format!("{prefix}CONNECT tunnel failed, response 403"));
}

#[test]
fn a_reset_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}/r.git", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // the rest of the request stays unread: the system answers that with a reset
        stream.read_exact(&mut [0]).unwrap();
    });
    assert_eq!(
        refusal(&at, &quiet()),
        format!("unable to access '{at}/': Recv failure: Connection reset by peer")
    );
    server.join().unwrap();
}
