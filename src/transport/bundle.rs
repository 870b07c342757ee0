//! A bundle file: a server that has already said everything.
//!
//! No session is needed: the header is the advertisement, and the pack stands behind it. gitformat-bundle(5).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::Error;
use crate::protocol::bundle::Header;

/// Bytes read at once.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// A bundle file whose header is read.
#[derive(Debug)]
pub struct Bundle {
    /// What it holds, and what a repository must have to take it.
    pub header: Header,
    /// The file from the first byte of the pack on.
    pub pack: BufReader<File>,
}

/// Opens the bundle at `path`; `None` if it is no regular file or does not begin like a bundle.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, [`Error::Protocol`] if its header is broken.
pub fn open(path: &Path) -> Result<Option<Bundle>, Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        // What is missing or no file at all is for the local transport to complain about.
        _ => return Ok(None),
    }
    let mut pack = BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path)?);
    if !is_bundle(pack.fill_buf()?) {
        return Ok(None);
    }
    Ok(Some(Bundle { header: Header::read(&mut pack)?, pack }))
}

/// Whether `start` is the first line of a bundle, `# v2 git bundle` and the like: which versions can be read is for
/// [`Header::read`] to say.
fn is_bundle(start: &[u8]) -> bool {
    let Some(rest) = start.strip_prefix(b"# v") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(b" git bundle\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_its_first_line() {
        for (start, expected) in [
            ("# v2 git bundle\n", true),
            ("# v3 git bundle\n@object-format=sha256\n", true),
            ("# v2 git bundle", false),
            ("# v git bundle\n", false),
            ("# pack-refs with: peeled\n", false),
            ("", false),
        ] {
            assert_eq!(is_bundle(start.as_bytes()), expected, "{start}");
        }
    }

    #[test]
    fn what_is_none_is_left_to_others() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert!(open(directory.path()).expect("a directory is no bundle").is_none());
        assert!(open(&directory.path().join("missing")).expect("nor is nothing").is_none());
        let file = directory.path().join("gitfile");
        std::fs::write(&file, "gitdir: elsewhere\n").expect("it can be written");
        assert!(open(&file).expect("nor is a gitfile").is_none());
    }
}
