//! The entries of a tree object, read where they are.

use bstr::ByteSlice as _;
use gix_hash::ObjectId;
use gix_object::Kind;

use crate::pack::Error;
use crate::pack::source::Source;

/// Puts the content of the tree `id` into `content`; false if there is no such object.
pub(super) fn read(source: &dyn Source, id: &ObjectId, content: &mut Vec<u8>) -> Result<bool, Error> {
    content.clear();
    match source.find(id, content) {
        Ok(None) => Ok(false),
        Ok(Some(Kind::Tree)) => Ok(true),
        Ok(Some(kind)) => Err(Error::BadPack(format!("object {id} is a {kind}, not a tree"))),
        Err(source) => Err(Error::Unreadable { id: *id, source }),
    }
}

/// What an entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Tree,
    /// A file or a symbolic link.
    Blob,
    /// The commit of a submodule, which is in another repository.
    Submodule,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub kind: EntryKind,
    pub name: &'a [u8],
    /// The bytes of the id.
    pub id: &'a [u8],
}

/// Takes one entry off the front of `rest`, for ids of `id_len` bytes; `None` if there is none that can be read.
pub(super) fn next_entry<'a>(rest: &mut &'a [u8], id_len: usize) -> Option<Entry<'a>> {
    let (mode, after) = mode(rest)?;
    let end = after.find_byte(0)?;
    let (name, after) = after.split_at_checked(end)?;
    let (id, after) = after.get(1..)?.split_at_checked(id_len)?;
    *rest = after;
    let kind = match mode & 0o170_000 {
        0o040_000 => EntryKind::Tree,
        0o160_000 => EntryKind::Submodule,
        _ => EntryKind::Blob,
    };
    Some(Entry { kind, name, id })
}

/// The octal number in front and what follows the space behind it.
fn mode(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut mode = 0_u32;
    let mut rest = bytes;
    loop {
        match rest.split_off_first()? {
            // as in git, nothing but zeros is a mode too
            b' ' if rest.len() + 1 < bytes.len() => return Some((mode, rest)),
            digit @ b'0'..=b'7' => mode = mode.checked_mul(8)? | u32::from(digit - b'0'),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut content: &[u8]) -> Option<Vec<(EntryKind, &[u8], u8)>> {
        let mut found = Vec::new();
        while !content.is_empty() {
            let entry = next_entry(&mut content, 20)?;
            found.push((entry.kind, entry.name, entry.id[0]));
        }
        Some(found)
    }

    fn entry(mode_and_name: &str, id: u8) -> Vec<u8> {
        [mode_and_name.as_bytes(), &[0], &[id; 20]].concat()
    }

    #[test]
    fn modes_tell_trees_from_files_and_submodules() {
        let modes = ["40000 a", "040000 b", "100644 c", "100755 d", "120000 e", "160000 f", "0 g"];
        let content: Vec<u8> = modes.iter().zip(1..).flat_map(|(mode, id)| entry(mode, id)).collect();
        let kinds: Vec<_> = read(&content).unwrap().into_iter().map(|(kind, ..)| kind).collect();
        let (tree, blob) = (EntryKind::Tree, EntryKind::Blob);
        assert_eq!(kinds, [tree, tree, blob, blob, blob, EntryKind::Submodule, blob]);
    }

    #[test]
    fn broken_entries_are_none() {
        let whole = entry("100644 name", 7);
        assert_eq!(read(&whole).unwrap(), [(EntryKind::Blob, b"name".as_slice(), 7)]);
        for length in 1..whole.len() {
            assert_eq!(read(&whole[..length]), None);
        }
        assert_eq!(read(&entry("10x644 name", 7)), None);
        assert_eq!(read(&entry(" name", 7)), None);
        assert_eq!(read(&entry("77777777777777777777 name", 7)), None);
    }
}
