//! What is said on the wire, packet by packet: gitr's and C git's clients in front of gitr's and C git's servers, and what
//! C git 2.47.3 said to itself, as `traces/` has it. `GITR_TEST_RECORD=1` writes those files anew.
//!
//! Names and numbers that change with each run are masked, and of packs only the number of objects is told: how they are
//! cut into bands and which deltas they have is up to the server.

use std::fmt::Write as _;
use std::path::Path;

use bstr::ByteSlice as _;

use crate::gitr_as_git;
use crate::support::page::Page;
use crate::support::proxy::{Fault, Proxy};
use crate::support::{Format, Git, Kind, Run, Sandbox, Stream, build};

/// The version whose words are recorded.
const RECORDED: &str = "2.47.3";
/// All branches by their own names.
const BRANCHES: &str = "+refs/heads/*:refs/heads/*";
/// What the client does; `|` stands between commands, `grow` is new history on the server, `init` an empty copy.
const SCRIPTS: [(&str, &str); 22] = [
    ("clone", "clone -q --bare URL copy"),
    ("clone-v0", "-c protocol.version=0 clone -q --bare URL copy"),
    ("clone-v1", "-c protocol.version=1 clone -q --bare URL copy"),
    ("shallow", "clone -q --bare --depth=2 URL copy"),
    ("shallow-v0", "-c protocol.version=0 clone -q --bare --depth=2 URL copy"),
    ("deepen-relative", "clone -q --bare --depth=2 URL copy | -C copy fetch -q --deepen=3 URL BRANCHES"),
    (
        "deepen-since",
        "clone -q --bare --depth=1 URL copy | -C copy fetch -q --shallow-since=@1112912593 URL BRANCHES",
    ),
    (
        "deepen-not",
        "clone -q --bare --depth=1 URL copy | grow | -C copy fetch -q --shallow-exclude=v0.1 URL BRANCHES",
    ),
    ("unshallow", "clone -q --bare --depth=1 URL copy | -C copy fetch -q --unshallow URL BRANCHES"),
    ("incremental", "clone -q --bare URL copy | grow | -C copy fetch -q URL BRANCHES"),
    (
        "incremental-v0",
        "clone -q --bare URL copy | grow | -c protocol.version=0 -C copy fetch -q URL BRANCHES",
    ),
    ("nothing", "clone -q --bare URL copy | -C copy fetch -q URL BRANCHES"),
    ("blob-none", "clone -q --bare --filter=blob:none URL copy"),
    ("blob-limit", "clone -q --bare --filter=blob:limit=20 URL copy"),
    ("tree-depth", "clone -q --bare --filter=tree:1 URL copy"),
    ("object-type", "clone -q --bare --filter=object:type=commit URL copy"),
    ("sparse", "clone -q --bare --filter=sparse:oid=main:README URL copy"),
    ("combine", "clone -q --bare --filter=tree:2 --filter=blob:none URL copy"),
    ("want-ref", "init | -C copy fetch -q URL refs/heads/main refs/tags/v1.0"),
    ("packfile-uris", "-c fetch.uriProtocols=http clone -q --bare URL copy"),
    ("packfile-uris-https", "-c fetch.uriProtocols=https,ftp clone -q --bare URL copy"),
    ("by-id", "init | -C copy fetch -q --depth=1 URL ID"),
];

/// What `client` and the server `git daemon` of `server` say to each other.
fn trace(client: &Path, server: &Git, name: &str, script: &str) -> String {
    let sandbox = Sandbox::new();
    let repository = sandbox.path("served/project.git");
    build::project(&sandbox, &repository, Format::Sha1, 30);
    if name == "want-ref" {
        sandbox.git(&repository, &["config", "uploadpack.allowRefInWant", "true"]).success();
    }
    let _page = name.starts_with("packfile-uris").then(|| stand_elsewhere(&sandbox, &repository));
    let server = Kind::Daemon.start(&sandbox, server).unwrap();
    let proxy = Proxy::before(&server.url("project.git"), Fault::None);
    let id = sandbox.git(&repository, &["rev-parse", "main~3"]).line();
    let mut told = String::new();
    let (mut sent, mut received) = (0, 0);
    for command in script.split(" | ") {
        if command == "grow" {
            Stream::onto("main").history(30..36).import(&sandbox, &repository);
            continue;
        }
        if command == "init" {
            build::empty(&sandbox, &sandbox.path("copy"), Format::Sha1);
            continue;
        }
        let word = |word| match word {
            "URL" => proxy.url.as_str(),
            "BRANCHES" => BRANCHES,
            "ID" => id.as_str(),
            other => other,
        };
        let words: Vec<&str> = command.split(' ').map(word).collect();
        let git = Git { program: client.to_owned(), ..Git::reference().clone() };
        sandbox.git_of(&git, &sandbox.path(""), &words).success();
        let (client, server) = (proxy.client_bytes(), proxy.server_bytes());
        writeln!(told, "$ {command}").unwrap();
        told += &packets("C", without_farewell(&client[sent..]));
        told += &packets("S", &server[received..]);
        (sent, received) = (client.len(), server.len());
    }
    sandbox.git(&sandbox.path("copy"), &["fsck", "--connectivity-only"]).success();
    told
}

/// Lets a blob of `repository` stand elsewhere, in a pack of its own on a page that is to be kept.
fn stand_elsewhere(sandbox: &Sandbox, repository: &Path) -> Page {
    let files = sandbox.path("files");
    std::fs::create_dir_all(&files).unwrap();
    let (page, _asked) = Page::files(&files);
    // C git forgets those that lie in a pack
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file("big", "stands elsewhere\n");
    stream.import(sandbox, repository);
    let blob = sandbox.git(repository, &["rev-parse", "main:big"]).success().line();
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(repository).args(["pack-objects", "-q"]).arg(files.join("p"));
    let pack = Run::with_input(&mut command, format!("{blob}\n").as_bytes()).success().line();
    let value = format!("{blob} {pack} {}", page.url(&format!("p-{pack}.pack")));
    sandbox.git(repository, &["config", "uploadpack.blobPackfileUri", &value]).success();
    sandbox.git(repository, &["config", "uploadpack.allowSidebandAll", "true"]).success();
    page
}

/// The client's bytes without the flush-pkt that says goodbye, which the relay may read after the client has ended.
fn without_farewell(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"0000").unwrap_or(bytes);
    if bytes.ends_with(b"00000000") { &bytes[..bytes.len() - 4] } else { bytes }
}

/// Each packet in a line after `who`.
fn packets(who: &str, mut bytes: &[u8]) -> String {
    let mut told = String::new();
    let mut bands = [Vec::new(), Vec::new(), Vec::new()];
    let mut wanted_refs = None;
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length = usize::from_str_radix(length.to_str().unwrap(), 16).unwrap();
        let (payload, rest) = rest.split_at(length.saturating_sub(4));
        bytes = rest;
        if payload == b"wanted-refs\n" {
            wanted_refs = Some(told.len() + "S wanted-refs\n".len());
        } else if let Some(start) = wanted_refs.take_if(|_| length < 4) {
            // C git has them in no order
            let mut lines: Vec<&str> = told[start..].lines().collect();
            lines.sort_unstable();
            let lines = lines.join("\n") + "\n";
            told.replace_range(start.., &lines);
        }
        match (length, payload) {
            (0..4, _) => writeln!(told, "{who} 000{length}").unwrap(),
            // all of the answer is in bands
            (_, [1, line @ ..]) if bands[0].is_empty() && !line.starts_with(b"PACK") => {
                writeln!(told, "{who} in band 1: {}", masked(line)).unwrap();
            }
            (_, [band @ 1..=3, data @ ..]) => bands[usize::from(*band) - 1].extend_from_slice(data),
            _ => writeln!(told, "{who} {}", masked(payload)).unwrap(),
        }
    }
    assert_eq!(bytes, b"", "all of it is packets");
    let [pack, said, failure] = bands;
    if !pack.is_empty() {
        assert!(pack.starts_with(b"PACK\0\0\0\x02"), "{:?}", pack.as_bstr());
        let count = u32::from_be_bytes(pack[8..12].try_into().unwrap());
        writeln!(told, "{who} a pack of {count} objects").unwrap();
    }
    for (name, words) in [("says", said), ("fails", failure)] {
        if !words.is_empty() {
            writeln!(told, "{who} {name} {:?}", words.as_bstr()).unwrap();
        }
    }
    told
}

/// The words of a packet, those masked that are of one run or one program.
fn masked(payload: &[u8]) -> String {
    let text = payload.trim_end_with(|letter| letter == '\n').to_str_lossy().replace('\0', " \\0 ");
    let mask = |word: &str| {
        let names = ["agent=", "session-id=", "host=", "http://"];
        names
            .into_iter()
            .find(|name| word.starts_with(name))
            .map_or(word.to_owned(), |name| format!("{name}*"))
    };
    text.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

/// Compares the scripts from `first` on, every second one, so that two tests share the work. gitr's client asks in its own
/// order, so that it is compared with itself.
fn compare(first: usize) {
    let git = Git::reference();
    let gitr = gitr_as_git(&Sandbox::new());
    let mut wrong = String::new();
    for (name, script) in SCRIPTS.into_iter().skip(first).step_by(2) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/peers/traces/{name}.txt"));
        for client in [git, &gitr] {
            let expected = trace(&client.program, git, name, script);
            if client.version == RECORDED {
                if crate::support::variable("GITR_TEST_RECORD").is_some() {
                    std::fs::write(&file, &expected).unwrap();
                }
                let recorded = std::fs::read_to_string(&file).unwrap();
                assert_eq!(expected, recorded, "C git does not say what is recorded of it");
            }
            let told = trace(&client.program, &gitr, name, script);
            if told != expected {
                let client = &client.version;
                writeln!(wrong, "{name}, client {client}: gitr\n{told}\nC git\n{expected}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_said_is_what_c_git_says() {
    compare(0);
}

#[test]
fn what_is_said_is_what_c_git_says_in_the_other_half() {
    compare(1);
}
