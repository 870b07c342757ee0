//! Pushes that mean no good: packs that lie, deltas that grow, names that lead elsewhere. What is told is what C git tells,
//! and nothing of them stays.

use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};

use crate::bounds::Guarded;
use crate::client::{Answer, ask, head};
use crate::commands::Sides;
use crate::support::{Stream, build, state};

/// No object.
pub const NULL: &str = "0000000000000000000000000000000000000000";
/// What is asked for beside a report.
pub const CAPABILITIES: &str = "report-status side-band-64k object-format=sha1 agent=git/2";
/// gitformat-pack(5): the numbers of kinds.
const BLOB: u8 = 3;
const REF_DELTA: u8 = 7;

/// A pack in the making.
pub struct Pack {
    bytes: Vec<u8>,
    entries: u32,
}

impl Pack {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), entries: 0 }
    }

    /// An entry that says that it has `declared` bytes, behind whose head `base` stands, if there is one.
    pub fn entry(mut self, kind: u8, declared: u64, base: &[u8], content: &[u8]) -> Self {
        let mut rest = declared >> 4;
        let mut byte = kind << 4 | u8::try_from(declared & 0xf).unwrap();
        while rest > 0 {
            self.bytes.push(byte | 0x80);
            byte = u8::try_from(rest & 0x7f).unwrap();
            rest >>= 7;
        }
        self.bytes.push(byte);
        self.bytes.extend_from_slice(base);
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        std::io::Write::write_all(&mut packer, content).unwrap();
        self.bytes.extend(packer.finish().unwrap());
        self.entries += 1;
        self
    }

    fn blob(self, content: &[u8]) -> Self {
        self.entry(BLOB, content.len() as u64, &[], content)
    }

    fn delta(self, base: &[u8; 20], content: &[u8]) -> Self {
        self.entry(REF_DELTA, content.len() as u64, base, content)
    }

    pub fn seal(self) -> Vec<u8> {
        let head = [&b"PACK\0\0\0\x02"[..], &self.entries.to_be_bytes()].concat();
        let mut whole = [head, self.bytes].concat();
        let trailer = Sha1::digest(&whole);
        whole.extend_from_slice(&trailer);
        whole
    }
}

/// The id of a blob of `len` bytes, all of them zero.
fn zeros_id(len: usize) -> [u8; 20] {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {len}\0"));
    let piece = vec![0; 1 << 20];
    for begin in (0..len).step_by(piece.len()) {
        hasher.update(&piece[..piece.len().min(len - begin)]);
    }
    hasher.finalize().into()
}

/// A number as deltas have it.
fn size(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// A delta that repeats a base of `len` bytes so many times, in copies of a megabyte or of all that there is.
fn repeated(len: u64, times: u64) -> Vec<u8> {
    const COPY: u64 = 1 << 20;
    let mut bytes = [size(len), size(len * times)].concat();
    let copy = len.min(COPY);
    for _ in 0..len * times / copy {
        // offset 0, a size of three bytes
        bytes.extend([0xf0, 0, 0, 0]);
        let end = bytes.len();
        bytes[end - 3..].copy_from_slice(&copy.to_le_bytes()[..3]);
    }
    bytes
}

pub fn push(port: u16, repository: &str, command: &[u8], pack: &[u8]) -> Answer {
    let line = [command, b"\0 ", CAPABILITIES.as_bytes()].concat();
    let line = [format!("{:04x}", line.len() + 4).as_bytes(), &line, b"0000"].concat();
    let body = [&line, pack].concat();
    let said = head(&format!("Content-Length: {}", body.len()));
    ask(port, &said.replace("project", repository).replace("upload-pack", "receive-pack"), body)
}

/// What stands in each band, whatever packets it came in.
pub fn bands(answer: &Answer) -> [BString; 3] {
    let mut bands = [BString::default(), BString::default(), BString::default()];
    let mut rest = answer.body.as_slice();
    while let Some(length) = rest.get(..4).and_then(|length| length.to_str().ok()) {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length < 5 {
            break;
        }
        bands[usize::from(rest[4] - 1)].extend_from_slice(&rest[5..length]);
        rest = &rest[length..];
    }
    bands
}

/// Everything but objects that wait for `git gc`: refs, and that no file is left of a push.
fn assert_nothing_left(server: &Guarded) {
    let repository = server.repository();
    let objects = state::everything(&repository.join("objects"));
    let waiting: Vec<&PathBuf> =
        objects.iter().filter(|path| path.to_string_lossy().contains("tmp_")).collect();
    assert!(waiting.is_empty() && state::leftovers(&repository).is_empty(), "{waiting:?}");
    server.sandbox.git(&repository, &["fsck", "--full", "--strict"]).success();
    let left = server.sandbox.git(&repository, &["for-each-ref", "refs/heads/bad"]).success();
    assert_eq!(left.stdout, "");
}

#[test]
fn packs_that_lie_are_refused_and_leave_nothing() {
    let mut server = Guarded::start(&["--enable-receive-pack=anybody"]);
    let zeros = vec![0; 1 << 20];
    let id = zeros_id(zeros.len());
    let base = || Pack::new().blob(&zeros);
    let endless = [&b"PACK\0\0\0\x02\xff\xff\xff\xff"[..], &base().bytes].concat();
    let packs = [
        ("more than it declares", Pack::new().entry(BLOB, 10, &[], &zeros).seal()),
        ("less than it declares", Pack::new().entry(BLOB, 2 << 20, &[], &zeros).seal()),
        ("declares all that there is", Pack::new().entry(BLOB, u64::MAX >> 4, &[], &zeros).seal()),
        ("a commit of 300 gigabytes", Pack::new().entry(1, 300 << 30, &[], &zeros).seal()),
        ("a delta of 300 gigabytes", base().entry(REF_DELTA, 300 << 30, &id, b"").seal()),
        ("a result of 2^62 bytes", base().delta(&id, &[size(1 << 20), size(1 << 62)].concat()).seal()),
        ("a base of 2^62 bytes", base().delta(&id, &[size(1 << 62), size(1)].concat()).seal()),
        (
            "a copy beyond the base",
            base().delta(&id, &[size(1 << 20), size(9), vec![0x97, 0xff, 0xff, 0xff, 9]].concat()).seal(),
        ),
        ("a base that nobody has", Pack::new().delta(&[7; 20], &repeated(1 << 20, 2)).seal()),
        ("four billion entries", endless),
        ("another kind", Pack::new().entry(5, 1, &[], b"x").seal()),
        ("another version", [&b"PACK\0\0\0\x09"[..], &base().seal()[8..]].concat()),
        ("another checksum", [&base().seal()[..], b"x"].concat()[1..].to_vec()),
    ];
    let command = format!("{NULL} {} refs/heads/bad", server.tip());
    for (what, pack) in packs {
        for limit in ["100", "1"] {
            server.sandbox.git(&server.repository(), &["config", "receive.unpackLimit", limit]).success();
            let answer = push(server.port(), "project", command.as_bytes(), &pack);
            assert_eq!((answer.status, answer.is_whole), (200, true), "{what} {answer:?}");
            let [report, text, _] = bands(&answer);
            assert!(!report.contains_str("unpack ok") && report.contains_str("unpack "), "{what} {report}");
            assert!(report.contains_str("ng refs/heads/bad unpacker error"), "{what} {report}");
            assert!(text.is_empty() || text.contains_str("fatal: "), "{what} {text}");
            assert_nothing_left(&server);
        }
        server.is_as_before();
    }
}

#[test]
fn deltas_that_grow_beyond_measure_are_refused_and_counted() {
    let mut server = Guarded::start(&["--enable-receive-pack=anybody", "--limit=delta-bytes=20m"]);
    // a megabyte, sixteen of them, 256, four gigabytes: some kilobytes of pack
    let mut pack = Pack::new().blob(&vec![0; 1 << 20]);
    for level in [20_u32, 24, 28] {
        let content = repeated(1 << level, 16);
        pack = pack.delta(&zeros_id(1 << level), &content);
    }
    let bomb = pack.seal();
    assert!(bomb.len() < 10_000, "{} bytes", bomb.len());
    let command = format!("{NULL} {} refs/heads/bad", server.tip());
    for turn in 1..=2 {
        let answer = push(server.port(), "project", command.as_bytes(), &bomb);
        let [report, text, _] = bands(&answer);
        assert_eq!(answer.status, 200);
        assert!(report.contains_str("abnormal exit"), "{report}");
        assert!(text.contains_str("delta needs 268435456 bytes, more than the 20971520"), "{text}");
        assert_nothing_left(&server);
        server.has_limited("delta-bytes", turn);
    }
}

#[test]
fn deltas_and_their_bases_are_as_long_as_what_they_make_may_be() {
    let mut server = Guarded::start(&["--enable-receive-pack=anybody", "--limit=delta-bytes=20m"]);
    let zeros = vec![0; 32 << 20];
    // both make one byte
    let of_a_long_base = [size(32 << 20), size(1), vec![1, b'x']].concat();
    let long = [size(1 << 20), size(1), zeros.clone()].concat();
    let packs = [
        Pack::new().blob(&zeros).delta(&zeros_id(32 << 20), &of_a_long_base),
        Pack::new().blob(&zeros[..1 << 20]).delta(&zeros_id(1 << 20), &long),
    ];
    let command = format!("{NULL} {} refs/heads/bad", server.tip());
    for (turn, pack) in (1..).zip(packs) {
        let answer = push(server.port(), "project", command.as_bytes(), &pack.seal());
        let [report, text, _] = bands(&answer);
        assert!(report.contains_str("abnormal exit"), "{report}");
        assert!(text.contains_str("delta needs 335544"), "{text}");
        assert_nothing_left(&server);
        server.has_limited("delta-bytes", turn);
    }
    // what no delta is made of may be as long as it likes
    let blob = Pack::new().blob(&zeros).seal();
    let command = format!("{NULL} {} refs/tags/large", gix_hash::ObjectId::from(zeros_id(32 << 20)));
    let answer = push(server.port(), "project", command.as_bytes(), &blob);
    assert!(bands(&answer)[0].contains_str("ok refs/tags/large"), "{answer:?}");
}

/// What the two files of a published collision begin with: M. Stevens and others, "The first collision for full SHA-1".
const SHATTERED: [&[u8]; 2] = [
    include_bytes!("../../src/pack/hash/shattered-1.bin"),
    include_bytes!("../../src/pack/hash/shattered-2.bin"),
];

/// Behind the heads of objects the published files do not collide; another content under a name that is known is refused.
#[test]
fn no_object_takes_the_place_of_another() {
    let sides = Sides::new();
    let work = sides.sandbox.path("work.git");
    build::copy(&sides.sandbox, &sides.repositories()[0], &work);
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file("1.pdf", SHATTERED[0]).file("2.pdf", SHATTERED[1]);
    stream.import(&sides.sandbox, &work);
    let id = |file: &str| sides.sandbox.git(&work, &["rev-parse", &format!("main:{file}")]).success().line();
    assert_ne!(id("1.pdf"), id("2.pdf"));
    for (side, server) in &sides.servers {
        let url = format!("http://127.0.0.1:{}/{side}.git", server.process.port);
        sides.sandbox.git(&work, &["push", "-q", &url, "main:refs/heads/pdf"]).success();
    }
    for (place, content) in ["1.pdf", "2.pdf"].iter().zip(SHATTERED) {
        for repository in sides.repositories() {
            let there = sides.sandbox.git(&repository, &["cat-file", "blob", &id(place)]).success().stdout;
            assert_eq!(there, content.as_bstr());
        }
    }
    // an object that is there, with the content of another
    let known = sides.sandbox.git(&work, &["hash-object", "-w", "--stdin"]).success().line();
    let mut other = ZlibEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut other, b"blob 5\0other").unwrap();
    let other = other.finish().unwrap();
    for repository in sides.repositories() {
        let file = repository.join("objects").join(&known[..2]).join(&known[2..]);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &other).unwrap();
    }
    let command = format!("{NULL} {} refs/heads/collided", sides.tip);
    for limit in ["100", "1"] {
        for repository in sides.repositories() {
            sides.sandbox.git(&repository, &["config", "receive.unpackLimit", limit]).success();
        }
        let pack = Pack::new().blob(b"").seal();
        if limit == "1" {
            let [report, text, _] = sides.same(command.as_bytes(), &pack);
            assert!(
                text.contains_str("SHA1 COLLISION FOUND WITH") && report.contains_str("ng "),
                "{report} {text}"
            );
        } else {
            let server = &sides.servers[0].1;
            let [report, ..] = bands(&push(server.process.port, "ours", command.as_bytes(), &pack));
            assert!(report.contains_str("ng refs/heads/collided unpacker error"), "{report}");
        }
    }
}
