//! Any entries as a pack, with the header and the trailer that belong to them: nothing may be left behind where they are
//! not fit.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use gitr::pack::entry::encode_pack_header;
use gitr::pack::hash::Checksum;
use gitr::pack::{Options, receive};
use gitr::progress::Discard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((count, entries)) = data.split_first() else { return };
    let hash = gix_hash::Kind::Sha1;
    let mut pack = encode_pack_header(u32::from(*count)).to_vec();
    pack.extend_from_slice(entries);
    let mut checksum = Checksum::new(hash);
    checksum.update(&pack);
    pack.extend_from_slice(checksum.finish().as_slice());
    let options = Options {
        objects: directory(),
        storage: gitr::storage::Storage::default(),
        object_hash: hash,
        bases: None,
        unpack_limit: 0,
        keep: None,
        promisor: None,
        threads: 1,
        size_max_bytes: 0,
        made_len_max: 0,
        to_end: true,
        fsck: None,
        shallow: &[],
    };
    let received = receive(&mut pack.as_slice(), &options, &mut Discard);
    let packs = options.objects.join("pack");
    for file in std::fs::read_dir(&packs).into_iter().flatten().flatten() {
        assert!(received.is_ok(), "'{}' was left behind", file.path().display());
        std::fs::remove_file(file.path()).expect("a file that is there can be removed");
    }
});

/// The directory of this process.
fn directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let name = || std::env::temp_dir().join(format!("gitr-fuzz-{}", std::process::id()));
    DIRECTORY.get_or_init(name).clone()
}
