//! What indexing a pack costs at the least: `cargo bench --bench budget -- <pack>`.
//!
//! Each part of the work is done alone, by what the engine does it with: inflating every entry once, hashing as many
//! bytes as there are, with the detection of attacks and without, checksums, and writing. What an index takes beyond
//! their sum is overhead.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a bench")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use gitr::pack::entry::{Header, PACK_HEADER_LEN};
use gitr::pack::hash::{Checksum, object_id, object_ids};
use gix_hash::Kind::Sha1;
use gix_object::Kind;
use sirocco::Format;
use sirocco::inflate::Decoder;

/// Bytes that are hashed to find out how fast that is.
const HASHED_BYTES: usize = 256 * 1024 * 1024;

/// Bytes of one object, about what git.git has on average, and objects hashed at once.
const OBJECT_LEN: usize = 20_000;
const AT_ONCE: usize = 128;

fn main() {
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from)
    else {
        println!("usage: cargo bench --bench budget -- <pack>");
        return;
    };
    let pack = fs::read(&path).unwrap();
    let mut inflated = 0;
    let seconds = timed(|| inflated = inflate_all(&pack));
    row("inflate each entry once", inflated, seconds);
    row("checksum of the pack", pack.len(), timed(|| checksum(&pack)));
    row(
        "CRC-32 of the pack",
        pack.len(),
        timed(|| {
            std::hint::black_box(crc32fast::hash(&pack));
        }),
    );
    row("write the pack", pack.len(), timed(|| write(&pack)));
    let objects = noise();
    row("ids, many at once", HASHED_BYTES, timed(|| hash_many(&objects)));
    row("ids, one after the other", HASHED_BYTES, timed(|| hash_each(&objects)));
    let mut copy = vec![0; OBJECT_LEN];
    let copied = timed(|| {
        for object in &objects {
            copy.copy_from_slice(object);
            // or nothing is copied, since nobody looks
            std::hint::black_box(&mut copy);
        }
    });
    row("copy what deltas copy", HASHED_BYTES, copied);
}

fn row(what: &str, bytes: usize, seconds: f64) {
    let megabytes = bytes as f64 / 1e6;
    println!("| {what} | {megabytes:.0} MB | {seconds:.2} s | {:.0} MB/s |", megabytes / seconds);
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Inflates every entry of `pack`; gives how many bytes that makes.
fn inflate_all(pack: &[u8]) -> usize {
    let mut decoder = Decoder::new(Format::Zlib);
    let mut out = Vec::new();
    let mut rest = pack.get(PACK_HEADER_LEN..).unwrap();
    let mut made = 0;
    while rest.len() > Sha1.len_in_bytes() {
        let (header, len) = Header::decode(rest, Sha1).unwrap().unwrap();
        out.resize(usize::try_from(header.size).unwrap(), 0);
        rest = rest.get(len..).unwrap();
        let progress = decoder.decompress(rest, &mut out, true).unwrap();
        made += progress.output.len();
        rest = rest.get(progress.consumed..).unwrap();
    }
    made
}

fn checksum(pack: &[u8]) {
    let mut checksum = Checksum::new(Sha1);
    checksum.update(pack);
    assert!(!checksum.finish().is_null());
}

fn write(pack: &[u8]) {
    let path = std::env::temp_dir().join(format!("gitr-budget-{}", std::process::id()));
    let mut file = fs::File::create(&path).unwrap();
    for piece in pack.chunks(128 * 1024) {
        file.write_all(piece).unwrap();
    }
    fs::remove_file(path).unwrap();
}

/// Objects that nothing is known of.
fn noise() -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let object = |_| (0..OBJECT_LEN / 8).flat_map(|_| next()).collect();
    (0..HASHED_BYTES / OBJECT_LEN).map(object).collect()
}

fn hash_many(objects: &[Vec<u8>]) {
    for some in objects.chunks(AT_ONCE) {
        let some: Vec<_> = some.iter().map(|object| (Kind::Blob, object.as_slice())).collect();
        assert!(object_ids(Sha1, &some).iter().all(Result::is_ok));
    }
}

fn hash_each(objects: &[Vec<u8>]) {
    assert!(objects.iter().all(|object| object_id(Sha1, Kind::Blob, object).is_ok()));
}
