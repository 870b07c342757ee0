//! Against `git http-backend`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::server::{Received, Reply, Server};
use super::*;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = command(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", output.stderr.as_bstr());
    output.stdout.to_str().unwrap().trim().to_owned()
}

/// `git` with nothing of the user's about it.
fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    let identity = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    command.current_dir(directory).env("HOME", directory).env("GIT_CONFIG_NOSYSTEM", "1");
    command.envs(identity.map(|name| (name, "test")));
    command
}

/// A repository `r.git` with one commit on `main` below `directory`; gives the commit.
fn repository(directory: &Path) -> String {
    let path = directory.join("r.git");
    git(directory, &["init", "-q", "--bare", "-b", "main", "r.git"]);
    let tree = git(&path, &["mktree"]);
    let commit = git(&path, &["commit-tree", "-m", "one", &tree]);
    git(&path, &["update-ref", "refs/heads/main", &commit]);
    commit
}

/// Runs `git http-backend` for each request, as a web server would.
fn backend(directory: &Path) -> Server {
    let root = directory.to_owned();
    Server::start(move |request| {
        let mut child = cgi(&root, request).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&request.body).unwrap();
        let output = child.wait_with_output().unwrap().stdout;
        let (head, body) = split_head(&output);
        let headers: Vec<_> =
            head.to_str().unwrap().lines().filter_map(|line| line.split_once(": ")).collect();
        let status = headers.iter().find(|(name, _)| *name == "Status");
        let status = status.map_or(200, |(_, value)| value[..3].parse().unwrap());
        Reply::new(status, &headers, body)
    })
}

fn cgi(root: &Path, request: &Received) -> Command {
    let mut command = command(root);
    let (method, target) = request.line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("CONTENT_TYPE", request.header("content-type").unwrap_or_default());
    command.env("CONTENT_LENGTH", request.body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", request.header("content-encoding").unwrap_or_default());
    command.env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or_default());
    command
}

#[test]
fn version_2_lists_and_fetches() {
    let directory = tempfile::tempdir().unwrap();
    let commit = repository(directory.path());
    let server = backend(directory.path());
    let mut connection = connect(&format!("{}/r.git", server.url), &quiet()).unwrap();
    let greeting = read_greeting(&mut *connection);
    assert!(greeting.starts_with_str(packet("version 2\n")), "{greeting}");
    let request = packet("command=ls-refs\n") + "0001" + &packet("ref-prefix refs/\n") + "0000";
    let refs = exchange(&mut *connection, request.as_bytes());
    assert_eq!(refs, packet(&format!("{commit} refs/heads/main\n")) + "0000");

    // so many haves that the request is compressed
    let have = packet(&format!("have {}\n", "1".repeat(40)));
    let request = packet("command=fetch\n")
        + "0001"
        + &packet("no-progress\n")
        + &packet(&format!("want {commit}\n"))
        + &have.repeat(40)
        + &packet("done\n")
        + "0000";
    let answer = exchange(&mut *connection, request.as_bytes());
    assert!(answer.starts_with_str(packet("packfile\n")), "{answer}");
    assert!(contains(&answer, "\u{1}PACK"), "{answer}");
    assert!(answer.ends_with(b"0000"));
    assert_eq!(server.received().last().unwrap().header("content-encoding"), Some("gzip"));
    connection.close().unwrap();
}

#[test]
fn version_0_lists_and_fetches() {
    let directory = tempfile::tempdir().unwrap();
    let commit = repository(directory.path());
    let server = backend(directory.path());
    let mut transport = open(&url(&format!("{}/r.git/", server.url)), &quiet(), Options::default()).unwrap();
    let mut connection = transport.connect(Service::UploadPack, Version::V0, &mut Discard).unwrap();
    assert!(!connection.is_stateful());
    let greeting = read_greeting(&mut *connection);
    assert_eq!(greeting.get(4..44), Some(commit.as_bytes()), "{greeting}");
    assert!(contains(&greeting, "refs/heads/main\n0000"), "{greeting}");
    let want = packet(&format!("want {commit} ofs-delta no-progress\n"));
    let answer = exchange(&mut *connection, (want + "0000" + &packet("done\n")).as_bytes());
    assert!(answer.starts_with(b"0008NAK\nPACK"), "{answer}");
}

#[test]
fn a_missing_repository_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let server = backend(directory.path());
    let at = format!("{}/none.git", server.url);
    assert_eq!(refusal(&at, &quiet()), format!("repository '{at}/' not found"));
}

#[test]
fn entries_are_matched_as_git_does() {
    let directory = tempfile::tempdir().unwrap();
    let patterns = [
        "https://git.test",
        "https://*.test/a",
        "https://git.test/a/b",
        "https://me@git.test/a",
        "https://GIT.test:443/%7Ex/",
        "http://git.test:8080",
        "https://a.*.test",
        "http://*.0.0.1:8471",
        "http://127.1:8471",
        "http://2130706433:8471/r",
        "http:/127.0.0.1:8471/r",
        "http:\\\\127.0.0.1:8471/r",
        " http://127.0.0.1:8471/r",
        "http://127.0.0.1:8471/r?x",
        "http://127.0.0.1:8471/#f",
        "http://:p@127.0.0.1:8471/r",
    ];
    let urls = [
        "https://git.test/",
        "https://git.test/a",
        "https://me@git.test/a/x.git",
        "https://you@git.test/a/b/c",
        "https://git.test/ab",
        "https://git.test/~x/r",
        "http://git.test:8080/r",
        "https://a.git.test/r",
        "https://other.test/a/",
        "http://127.0.0.1:8471/r",
        "http://127.0.0.1.:8471/r?x/y",
        "http://127.0.0.1:8471#f",
        "http://@127.0.0.1:8471/r/",
        "http://127.1:8471/r",
        "http://127.0.0.1:8471/x/..//r",
    ];
    let file = directory.path().join("config");
    let mut settings = FakeSettings::default().with("useragent", "all");
    git(directory.path(), &["config", "-f", "config", "http.userAgent", "all"]);
    for pattern in patterns {
        settings = settings.with_url(Some(pattern), "useragent", pattern);
        let key = format!("http.{pattern}.userAgent");
        git(directory.path(), &["config", "-f", "config", &key, pattern]);
    }
    assert!(file.exists());
    for url in urls {
        let expected =
            git(directory.path(), &["config", "-f", "config", "--get-urlmatch", "http.userAgent", url]);
        let ours = super::super::settings::HttpSettings::read(&settings, url, &Options::default()).unwrap();
        assert_eq!(ours.user_agent, expected, "{url}");
    }
}

/// What stands before the empty line and what after it.
fn split_head(output: &[u8]) -> (&[u8], &[u8]) {
    let end = output.find("\r\n\r\n").unwrap();
    (&output[..end], &output[end + 4..])
}
