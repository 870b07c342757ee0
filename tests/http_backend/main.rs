//! `gitr http-backend` answers recorded requests as git 2.47.3 answered them: status, headers in order, pkt-lines, band 2
//! and whether there is a pack. `cases.txt` has the requests and the answers, `fixtures.sh` makes the repositories.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips and failed cases are told on stderr")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bstr::{BString, ByteSlice};

#[path = "../support/mod.rs"]
mod support;

mod damage;

use support::{Git, Sandbox, sandbox};

/// What differs from git 2.47.3, and why.
const DIFFERENT: [&str; 2] = [
    // the order of two refs wanted by name is that of a hash table there; here they come as they were asked for
    "C/want-ref",
    // how a broken pack is told: the words of another reader
    "C/corrupt",
];

/// Cases that need a repository of another user, which only root can make.
const FOR_ROOT: [&str; 2] = ["A/path-owner", "B/ls-refs-owner"];

/// One request and its answer.
#[derive(Debug, Default)]
struct Case {
    name: String,
    method: String,
    path: BString,
    query: BString,
    protocol: String,
    env: Vec<(String, BString)>,
    unset: Vec<String>,
    body: Vec<u8>,
    answer: Answer,
}

/// An answer as far as it is compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    status: String,
    headers: Vec<String>,
    lines: Vec<String>,
    has_pack: bool,
    progress: String,
    text: String,
}

#[test]
fn recorded_requests_are_answered_as_git_answered_them() {
    let sandbox = Sandbox::new();
    let root = fixtures(&sandbox);
    let is_root = rustix::process::geteuid().is_root();
    let mut failed = Vec::new();
    for case in cases() {
        let name = case.name.as_str();
        let is_missing = case.path.contains_str("/pack-") && case.answer.status.starts_with("200") && {
            // another version of zlib makes another pack
            !root.join(case.path.to_string().trim_start_matches('/')).exists()
        };
        if DIFFERENT.contains(&name) || is_missing || (FOR_ROOT.contains(&name) && !is_root) {
            continue;
        }
        let got = if name.starts_with("G/") { pushed(&sandbox, &case, &root) } else { ask(&case, &root) };
        if got != case.answer {
            failed.push(format!("{name}\n   git: {:?}\n  here: {got:?}", case.answer));
        }
    }
    assert!(failed.is_empty(), "{} cases differ:\n{}", failed.len(), failed.join("\n"));
}

/// Asks of a copy of the repository, since a push changes it.
fn pushed(sandbox: &Sandbox, case: &Case, root: &Path) -> Answer {
    let name = case.path.to_string();
    let name = name.trim_start_matches('/').split('/').next().unwrap().to_owned();
    let place = sandbox.path("pushed");
    std::fs::create_dir_all(&place).unwrap();
    let mut copy = Command::new("cp");
    assert!(copy.arg("-r").arg(root.join(&name)).arg(&place).status().unwrap().success());
    let answer = ask(case, &place);
    std::fs::remove_dir_all(place).unwrap();
    answer
}

/// The repositories that the requests are made to.
fn fixtures(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path("fixtures");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_backend/fixtures.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(&root).arg(&Git::reference().program);
    command.env_clear().env("PATH", support::variable("PATH").unwrap_or_default());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("bash is installed");
    assert!(root.join("replace.git").is_dir(), "the fixtures could not be made");
    root
}

/// All recorded cases.
fn cases() -> Vec<Case> {
    let text = include_str!("cases.txt");
    text.split("\n\n").filter(|block| !block.trim().is_empty()).map(case).collect()
}

fn case(block: &str) -> Case {
    let mut case = Case::default();
    let answer = &mut case.answer;
    for line in block.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "case" => value.clone_into(&mut case.name),
            "method" => value.clone_into(&mut case.method),
            "path" => case.path = unescape(value),
            "query" => case.query = unescape(value),
            "protocol" => value.clone_into(&mut case.protocol),
            "env" => {
                let (name, value) = value.split_once(' ').unwrap_or((value, ""));
                case.env.push((name.to_owned(), unescape(value)));
            }
            "unset" => case.unset.push(value.to_owned()),
            "body" => case.body = bytes(value),
            "status" => value.clone_into(&mut answer.status),
            "header" => answer.headers.push(value.to_owned()),
            "line" | "error" | "special" => answer.lines.push(line.to_owned()),
            "pack" => answer.has_pack = true,
            "progress" => value.clone_into(&mut answer.progress),
            "text" => value.clone_into(&mut answer.text),
            other => panic!("unknown key {other}"),
        }
    }
    case
}

/// The environment of a CGI program that is asked `case`.
fn environment(case: &Case, root: &Path) -> BTreeMap<String, BString> {
    let root_text = root.to_str().unwrap();
    let mut env: BTreeMap<String, BString> = [
        ("HOME", format!("{root_text}/.home")),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("LC_ALL", "C".to_owned()),
        ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
        ("SERVER_PROTOCOL", case.protocol.clone()),
        ("REQUEST_METHOD", case.method.clone()),
        ("GIT_PROJECT_ROOT", root_text.to_owned()),
        ("REMOTE_ADDR", "127.0.0.1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into();
    env.insert("PATH_INFO".into(), case.path.clone());
    env.insert("QUERY_STRING".into(), case.query.clone());
    for (name, value) in &case.env {
        env.insert(name.clone(), value.replace("$ROOT", root_text).into());
    }
    env.retain(|name, _| !case.unset.contains(name));
    env
}

/// Asks gitr.
fn ask(case: &Case, root: &Path) -> Answer {
    let mut command = Command::new(sandbox::gitr_program());
    command.arg("http-backend").env_clear().current_dir("/");
    command.env("PATH", support::variable("PATH").unwrap_or_default());
    for (name, value) in environment(case, root) {
        command.env(name, value.to_os_str().unwrap());
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = case.body.clone();
    let writer = std::thread::spawn(move || input.write_all(&body).is_ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    taken_apart(&output.stdout)
}

fn taken_apart(output: &[u8]) -> Answer {
    let (head, body) = output.split_once_str("\r\n\r\n").expect("there are headers");
    let mut answer = Answer { status: "200 (no Status header)".into(), ..Answer::default() };
    for line in head.lines() {
        let line = line.to_str_lossy().into_owned();
        if let Some(status) = line.strip_prefix("Status: ") {
            status.clone_into(&mut answer.status);
        }
        if !["Date: ", "Expires: ", "Last-Modified: "].iter().any(|name| line.starts_with(name)) {
            answer.headers.push(line);
        }
    }
    let is_pkt_line = body.get(..4).is_some_and(|start| {
        start == b"PACK" || start.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    if is_pkt_line {
        packets(body, &mut answer);
    } else {
        let plain = body.to_str().map(|text| without(text, "git/", end_of_agent));
        answer.text = plain.map_or_else(|_| escape(body), |text| escape(text.as_bytes()));
    }
    answer
}

fn packets(mut body: &[u8], answer: &mut Answer) {
    let mut progress = Vec::new();
    let mut count = 0;
    while !body.is_empty() && count <= 80 {
        count += 1;
        let length = body.get(..4).and_then(|digits| usize::from_str_radix(digits.to_str().ok()?, 16).ok());
        let (length, rest) = match length {
            None => {
                answer.has_pack |= body.starts_with(b"PACK");
                break;
            }
            Some(length) if length < 4 => {
                answer.lines.push(format!("special {length:04x}"));
                (4, &body[4..4])
            }
            Some(length) => (length, &body[4..length.min(body.len())]),
        };
        body = &body[length.min(body.len())..];
        match rest {
            [1, ..] => answer.has_pack = true,
            [2, text @ ..] => progress.extend_from_slice(text),
            [3, text @ ..] => answer.lines.push(format!("error {}", escape(text))),
            [] if length == 4
                && count > 0
                && !matches!(answer.lines.last(), Some(line) if line.starts_with("special")) =>
            {
                answer.lines.push("line ".into());
            }
            [] => {}
            text => answer.lines.push(format!("line {}", escape(&masked(text)))),
        }
    }
    answer.progress = escape(told(&progress).as_bytes());
}

/// Band 2 without percentages, and without how well it packs.
fn told(progress: &[u8]) -> String {
    let text = progress.to_str_lossy().into_owned();
    let mut kept = String::new();
    for piece in text.split_inclusive(['\r', '\n']) {
        let is_meter =
            ["Counting objects: ", "Compressing objects: "].iter().any(|title| piece.starts_with(title));
        if is_meter && piece.ends_with('\r') {
            continue;
        }
        match ["Compressing objects", "Total"].iter().find(|title| piece.starts_with(**title)) {
            Some(title) => kept.extend([title, "\n"]),
            None => kept.push_str(piece),
        }
    }
    kept
}

/// A line with what depends on who serves taken out.
fn masked(line: &[u8]) -> Vec<u8> {
    let mut text = BString::from(line);
    for (key, mask) in [("agent=", "agent=A"), ("session-id=", "session-id=S")] {
        if let Some(start) = text.find(key) {
            let end = text[start..].find_byteset(" \n").map_or(text.len(), |length| start + length);
            text = [&text[..start], mask.as_bytes(), &text[end..]].concat().into();
        }
    }
    text.into()
}

fn end_of_agent(rest: &str) -> usize {
    rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len())
}

fn without(text: &str, start: &str, end: impl Fn(&str) -> usize) -> String {
    match text.split_once(start) {
        Some((before, rest)) => format!("{before}{}", &rest[end(rest)..]),
        None => text.to_owned(),
    }
}

fn escape(bytes: &[u8]) -> String {
    let plain = |byte: u8| (32..127).contains(&byte) && byte != b'\\';
    bytes
        .iter()
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("\\x{byte:02x}") })
        .collect()
}

fn unescape(text: &str) -> BString {
    let mut parts = text.split("\\x");
    let mut plain = BString::from(parts.next().unwrap_or_default());
    for part in parts {
        plain.extend(bytes(&part[..2]));
        plain.extend_from_slice(&part.as_bytes()[2..]);
    }
    plain
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(pair.to_str().unwrap(), 16).unwrap()).collect()
}
