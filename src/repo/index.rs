//! The index, as far as a transport has to know it: which submodules are in it. gitformat-index(5).

use std::io::ErrorKind;

use bstr::{BString, ByteSlice};

use super::{Error, Repository};

/// What stands in front of the hash of an entry: two time stamps, device, inode, mode, owner, group, size.
const STAT_BYTES: usize = 40;
/// Where the mode is among these.
const MODE_OFFSET: usize = 24;
/// The mode of a submodule, with the bits of permissions masked out.
const GITLINK: u32 = 0o160_000;
/// Entries without path compression fill up to a multiple of this.
const ALIGNMENT: usize = 8;
/// The flag of an entry with two more bytes of flags.
const EXTENDED: u16 = 0x4000;

impl Repository {
    /// The paths of the submodules in the index, in its order; none if there is no index. Entries of a shared index
    /// (`core.splitIndex`) are not looked for.
    pub fn gitlinks(&self) -> Result<Vec<BString>, Error> {
        let path = self.env.path("GIT_INDEX_FILE").unwrap_or_else(|| self.git_path("index"));
        let data = match std::fs::read(&path) {
            Ok(data) => data,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::Io { action: "unable to read", path, source }),
        };
        let broken = || Error::Refused(format!("index file corrupt: '{}'", path.display()));
        gitlinks(&data, self.object_hash.len_in_bytes()).ok_or_else(broken)
    }
}

/// The paths of submodules in `data`; `None` if it is no index.
fn gitlinks(data: &[u8], hash_len: usize) -> Option<Vec<BString>> {
    let rest = data.strip_prefix(b"DIRC")?;
    let (version, rest) = take_u32(rest)?;
    let (count, mut rest) = take_u32(rest)?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let mut links: Vec<BString> = Vec::new();
    let mut path = BString::default();
    for _ in 0..count {
        let (mode, _) = take_u32(rest.get(MODE_OFFSET..)?)?;
        let flags = rest.get(STAT_BYTES + hash_len..)?;
        let (flags, after) = flags.split_first_chunk::<2>()?;
        let is_extended = version > 2 && u16::from_be_bytes(*flags) & EXTENDED != 0;
        let after = after.get(if is_extended { 2 } else { 0 }..)?;
        let name = if version == 4 {
            let (removed, after) = take_varint(after)?;
            let kept = path.len().checked_sub(removed)?;
            path.truncate(kept);
            after
        } else {
            path.clear();
            after
        };
        let end = name.find_byte(0)?;
        path.extend_from_slice(name.get(..end)?);
        let len = rest.len() - name.len() + end;
        let len = if version == 4 { len + 1 } else { (len / ALIGNMENT + 1) * ALIGNMENT };
        rest = rest.get(len..)?;
        // the stages of a conflict have the path several times
        if mode & 0o170_000 == GITLINK && links.last() != Some(&path) {
            links.push(path.clone());
        }
    }
    Some(links)
}

fn take_u32(data: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = data.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// How many bytes of the path before are not in the next one: gitformat-pack(5), "offset encoding".
fn take_varint(data: &[u8]) -> Option<(usize, &[u8])> {
    let (mut byte, mut rest) = data.split_first()?;
    let mut number = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        (byte, rest) = rest.split_first()?;
        number = number.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
    }
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH_LEN: usize = 20;

    fn entry(version: u32, removed: u8, name: &str, mode: u32) -> Vec<u8> {
        let mut entry = vec![0; STAT_BYTES + HASH_LEN + 2];
        entry[MODE_OFFSET..MODE_OFFSET + 4].copy_from_slice(&mode.to_be_bytes());
        if version == 4 {
            entry.push(removed);
        }
        entry.extend_from_slice(name.as_bytes());
        let fill = if version == 4 { 1 } else { ALIGNMENT - entry.len() % ALIGNMENT };
        entry.resize(entry.len() + fill, 0);
        entry
    }

    fn index(version: u32, entries: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(entries.len()).unwrap();
        let head = [b"DIRC".as_slice(), &version.to_be_bytes(), &count.to_be_bytes()].concat();
        [head, entries.concat()].concat()
    }

    #[test]
    fn submodules_are_found_in_every_version() {
        for version in [2, 3] {
            let entries = [
                entry(version, 0, "a/file", 0o100_644),
                entry(version, 0, "a/sub", 0o160_000),
                entry(version, 0, "sub", 0o160_000),
            ];
            assert_eq!(gitlinks(&index(version, &entries), HASH_LEN).unwrap(), ["a/sub", "sub"]);
        }
        let entries =
            [entry(4, 0, "a/file", 0o100_644), entry(4, 4, "sub", 0o160_000), entry(4, 5, "sub", 0o160_000)];
        assert_eq!(gitlinks(&index(4, &entries), HASH_LEN).unwrap(), ["a/sub", "sub"]);
    }

    #[test]
    fn an_index_that_is_cut_is_none() {
        for version in [2, 4] {
            let whole = index(version, &[entry(version, 0, "sub", 0o160_000)]);
            for len in 0..whole.len() {
                assert_eq!(gitlinks(&whole[..len], HASH_LEN), None, "at {len}");
            }
            assert!(gitlinks(&whole, HASH_LEN).is_some());
        }
    }
}
