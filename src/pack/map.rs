//! The one place where a file is mapped, and where pages that are not needed any more are let go.
#![expect(unsafe_code, reason = "mapping a file is unsafe, and so is asking the C library: see SAFETY")]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// Maps the whole of `file`, a temporary file of ours.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file was created by this process under a random name and is written by it alone; nobody shortens it
    // while the map lives, and bytes are added only after the map is dropped.
    unsafe { Mmap::map(file) }
}

/// Maps a file of a repository that git writes under another name and never changes once it has its own.
pub(crate) fn map_stored(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: as for the packs that gix-pack maps, nobody writes to such a file or shortens it: git replaces it by another
    // one, and the map stays that of the old. What is read from it is checked as everything else from disk.
    unsafe { Mmap::map(&file) }
}

/// Gives the memory back that holds `pack`, all of a pack as gix-pack maps it. Whoever reads on gets the same bytes from
/// the file again.
pub(crate) fn let_go(pack: &gix_pack::data::File) {
    let Some(bytes) = pack.entry_slice(0..pack.pack_end() as u64) else { return };
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        let begin = bytes.as_ptr().cast_mut().cast();
        // SAFETY: the bytes are those of a file which is mapped to be read, shared, and never written to: without their
        // pages they are what they were. The map lives as long as `pack`.
        let _what_stays_costs_memory = unsafe { madvise(begin, bytes.len(), Advice::LinuxDontNeed) };
    }
    #[cfg(not(target_os = "linux"))]
    let _other_systems_see_to_it = bytes;
}

/// Gives memory back to the system that the allocator holds and nobody uses: what is left between small objects that stay,
/// which it would keep. Takes about a millisecond.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: malloc_trim(3) takes any number, may be called by any thread at any time, and lets go of free memory alone.
        let _whether_there_was_any = unsafe { malloc_trim(0) };
    }
}
