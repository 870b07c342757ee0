//! `.bitmap` files: no bytes panic, or take more than a bit for each object.
#![no_main]

use gitr::pack::bitmap::{Bitmap, Bits};
use libfuzzer_sys::fuzz_target;

const OBJECTS: u32 = 1_000;

fuzz_target!(|bytes: &[u8]| {
    // the checksum of the pack is whatever the file says, so that what is behind it is reached
    let Some(checksum) = bytes.get(12..32).and_then(|bytes| gix_hash::ObjectId::try_from(bytes).ok()) else { return };
    let Ok(bitmap) = Bitmap::open(Box::new(bytes.to_vec()), OBJECTS, &checksum) else { return };
    let (mut reached, mut scratch) = (Bits::new(OBJECTS), Bits::new(OBJECTS));
    for position in 0..OBJECTS {
        if bitmap.has(position) {
            let _read = bitmap.reach(position, &mut reached, &mut scratch);
        }
        let _any = (bitmap.kind(position), bitmap.name_hash(position));
    }
    assert!(reached.iter().all(|bit| bit < OBJECTS));
});
