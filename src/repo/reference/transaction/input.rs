//! What the `reference-transaction` hook reads (githooks(5)).

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use crate::repo::reference::{Edit, Expected, Target};

/// The lines `<old> <new> <ref>` that the hook reads; `head` is the edit that `HEAD` follows. A symbolic ref that led to
/// an edit stands before it, without an old id (seen in git 2.47.3).
pub(in crate::repo::reference) fn of_edits<'a>(
    object_hash: gix_hash::Kind,
    edits: impl IntoIterator<Item = &'a Edit>,
    head: Option<usize>,
) -> Vec<u8> {
    let edits: Vec<&Edit> = edits.into_iter().collect();
    let mut input = Vec::new();
    let head = head.and_then(|index| edits.get(index)).map(|edit| (edit, b"HEAD".as_bstr()));
    let named = edits.iter().map(|edit| (edit, edit.name.as_bstr()));
    for (edit, name) in named.chain(head) {
        let through = edit
            .through
            .iter()
            .filter(|_| name == edit.name)
            .map(|name| (object_hash.null(), name.as_bstr()));
        for (old, name) in through.chain([(old_id(object_hash, edit), name)]) {
            push_line(&mut input, object_hash, (edit, old, name));
        }
    }
    input
}

/// The lines of a transaction that is given up before refs are looked at: as they were asked for.
pub(in crate::repo::reference) fn of_given_up(object_hash: gix_hash::Kind, edits: &[Edit]) -> Vec<u8> {
    let mut input = Vec::new();
    for edit in edits {
        let name = edit.through.first().unwrap_or(&edit.name).as_bstr();
        push_line(&mut input, object_hash, (edit, old_id(object_hash, edit), name));
    }
    input
}

fn old_id(object_hash: gix_hash::Kind, edit: &Edit) -> ObjectId {
    match edit.expected {
        Expected::Id(id) => id,
        Expected::Any | Expected::Missing => object_hash.null(),
    }
}

fn push_line(input: &mut Vec<u8>, object_hash: gix_hash::Kind, (edit, old, name): (&Edit, ObjectId, &BStr)) {
    let new = match &edit.new {
        None => object_hash.null().to_string().into(),
        Some(Target::Id(id)) => id.to_string().into(),
        Some(Target::Symbolic(target)) => BString::from([b"ref:", target.as_bytes()].concat()),
    };
    input.extend_from_slice(format!("{old} ").as_bytes());
    input.extend_from_slice(&[new.as_bytes(), b" ", name.as_bytes(), b"\n"].concat());
}

/// The lines that the hook reads for `packed-refs`.
pub(super) fn of_deletions(object_hash: gix_hash::Kind, names: &[&BStr]) -> Vec<u8> {
    let null = object_hash.null();
    let mut input = Vec::new();
    for name in names {
        input.extend_from_slice(format!("{null} {null} ").as_bytes());
        input.extend_from_slice(&[name.as_bytes(), b"\n"].concat());
    }
    input
}
