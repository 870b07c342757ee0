//! A service that decides who may do what.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use crate::access::{REFS, as_user, sandbox};
use crate::client::{ask, get};
use crate::served;
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, build};

/// A service that decides by what the client says, `count` times, and hands back what it was asked.
fn service(listener: TcpListener, count: usize) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        for _ in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut head = String::new();
            while let Some(Ok(line)) = lines.next().filter(|line| !line.as_ref().unwrap().is_empty()) {
                head += &format!("{line}\n");
            }
            let answer = if head.contains("good") {
                "200 OK\r\nX-Forwarded-User: carol"
            } else if head.contains("whoever") {
                "200 OK"
            } else if head.contains("bad") {
                "403 Forbidden"
            } else if head.contains("odd") {
                "500 Internal Server Error"
            } else {
                "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"elsewhere\""
            };
            stream.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
            asked.push(head);
        }
        asked
    })
}

#[test]
fn a_service_may_decide() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("--forward-auth=http://{}/check?x", listener.local_addr().unwrap());
    let service = service(listener, 4);
    let (_sandbox, mut server) = served(&[&url]);
    let port = server.process.port;
    assert_eq!(as_user(port, REFS, "Bearer good"), 200);
    assert_eq!(as_user(port, REFS, "Bearer bad"), 403);
    assert_eq!(as_user(port, REFS, "Bearer odd"), 502);
    let unknown = get(port, REFS);
    assert_eq!(
        (unknown.status, unknown.header("www-authenticate")),
        (401, Some("Bearer realm=\"elsewhere\""))
    );
    let asked = service.join().unwrap();
    assert!(asked[0].starts_with("GET /check?x HTTP/1.1\n"), "{asked:?}");
    assert!(asked[0].contains(&format!("x-original-uri: {REFS}\n")), "{asked:?}");
    server.wait_for("127.0.0.1 carol ");
    assert_eq!(as_user(port, REFS, "Bearer good"), 502, "nobody is there to decide");
}

/// Of one repository whose path can be written in many ways a service is told one name.
#[test]
fn a_service_is_told_what_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("--forward-auth=http://{}/", listener.local_addr().unwrap());
    let asked = [
        ("GET", "/project.git/info/refs?service=git-upload-pack", "read", "/project.git/info/refs"),
        ("GET", "/%70roject/info%2Frefs?service=git-upload-pack", "read", "/project/info/refs"),
        ("GET", "/project/info/refs?service=git%2Dreceive-pack", "write", "/project/info/refs"),
        ("POST", "/project/git-receive-pack", "write", "/project/git-receive-pack"),
        ("GET", "/project/HEAD", "read", "/project/HEAD"),
    ];
    let service = service(listener, asked.len());
    let (_sandbox, server) = served(&[&url, "--enable-receive-pack"]);
    for (method, uri, ..) in asked {
        // what a client says of itself in this way is not heard
        let forged = "X-Gitr-Repository: other.git\nX-Gitr-Access: none\nX-Gitr-Path: /other";
        let head =
            format!("{method} {uri} HTTP/1.1\nAuthorization: Bearer good\n{forged}\nContent-Length: 0");
        ask(server.process.port, &head, "");
    }
    let told = service.join().unwrap();
    for ((_, uri, access, path), head) in asked.into_iter().zip(told) {
        let mut lines: Vec<&str> = head.lines().filter(|line| line.starts_with("x-")).collect();
        lines.retain(|line| line.starts_with("x-gitr") || line.starts_with("x-original-uri"));
        lines.sort_unstable();
        let expected = [
            format!("x-gitr-access: {access}"),
            format!("x-gitr-path: {path}"),
            "x-gitr-repository: project.git".to_owned(),
            format!("x-original-uri: {uri}"),
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn rules_judge_whom_a_service_names() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("--forward-auth=http://{}/", listener.local_addr().unwrap());
    let service = service(listener, 5);
    let (sandbox, _, _) = sandbox();
    build::project(&sandbox, &sandbox.path("served/secret.git"), Format::Sha1, 3);
    let rules = "[[rule]]\nrepositories=['project.git']\nread=['carol']\n\
                 [[rule]]\nrepositories=['secret.git']\nread=['alice']\n";
    std::fs::write(sandbox.path("rules"), rules).unwrap();
    let file = format!("--rules={}", sandbox.path("rules").display());
    let server = GitrServe::start(&sandbox, &[&url, &file]);
    let secret = "/secret.git/info/refs?service=git-upload-pack";
    for (path, says, status) in
        [(REFS, "good", 200), (REFS, "whoever", 401), (secret, "good", 404), (secret, "bad", 403)]
    {
        assert_eq!(as_user(server.process.port, path, &format!("Bearer {says}")), status, "{path} {says}");
    }
    let private = GitrServe::start(&sandbox, &[&url, "--private"]);
    assert_eq!(as_user(private.process.port, REFS, "Bearer whoever"), 401);
    service.join().unwrap();
}
