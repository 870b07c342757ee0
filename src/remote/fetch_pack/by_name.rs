//! Wants by the names of refs: what a ref is then is what it is when the pack is made, and not when refs were listed.
//! gitprotocol-v2(5), "Ref-in-Want Feature".

use std::collections::HashSet;

use bstr::BString;
use gix_hash::ObjectId;

use super::Request;
use crate::protocol::{self, Ref};
use crate::remote::ref_map::Mapping;
use crate::remote::{Error, Session};

/// What is asked for by name, and what by id.
#[derive(Debug, Default)]
pub(super) struct Wants {
    pub(super) names: Vec<BString>,
    pub(super) ids: Vec<ObjectId>,
}

impl Wants {
    /// The wants of `request`, by name where the far side of `session` takes names, as C git asks.
    pub(super) fn new(session: &Session, request: &Request) -> Self {
        if !session.capabilities().supports("fetch", "ref-in-want") {
            return Self { names: Vec::new(), ids: request.wants.clone() };
        }
        let wanted: HashSet<&ObjectId> = request.wants.iter().collect();
        let (mut seen, mut covered, mut names) = (HashSet::new(), HashSet::new(), Vec::new());
        let mut by_id = HashSet::new();
        for (id, name) in request.names.iter().filter(|(id, _)| wanted.contains(id)) {
            if ObjectId::from_hex(name).is_ok() {
                by_id.insert(id);
                continue;
            }
            covered.insert(id);
            if seen.insert(name) {
                names.push(name.clone());
            }
        }
        let is_asked = |id: &&ObjectId| by_id.contains(id) || !covered.contains(id);
        let ids = request.wants.iter().filter(is_asked).copied().collect();
        Self { names, ids }
    }
}

/// Checks what the far side says that refs are: only what was asked for.
pub(super) fn checked(
    wanted: Vec<(ObjectId, BString)>,
    asked: &[BString],
    hash: gix_hash::Kind,
) -> Result<Vec<(ObjectId, BString)>, Error> {
    let asked: HashSet<&BString> = asked.iter().collect();
    match wanted.iter().find(|(id, name)| id.kind() != hash || !asked.contains(name)) {
        Some((_, name)) => {
            Err(protocol::Error::Unsupported(format!("unexpected wanted-ref: '{name}'")).into())
        }
        None => Ok(wanted),
    }
}

/// Something that was listed under a name.
pub(in crate::remote) trait Named {
    /// Makes it what `wanted` says; whether that is news.
    fn follow(&mut self, wanted: &[(ObjectId, BString)]) -> bool;
}

impl Named for Mapping {
    fn follow(&mut self, wanted: &[(ObjectId, BString)]) -> bool {
        let found = wanted.iter().find(|(_, name)| *name == self.remote).map_or(self.id, |(id, _)| *id);
        std::mem::replace(&mut self.id, found) != found
    }
}

impl Named for Ref {
    fn follow(&mut self, wanted: &[(ObjectId, BString)]) -> bool {
        // a symbolic ref goes where the other goes
        let is_it = |name: &BString| *name == self.name || self.symref_target.as_ref() == Some(name);
        let found = wanted.iter().find(|(_, name)| is_it(name)).map(|(id, _)| *id);
        if found.is_none() || found == self.id {
            return false;
        }
        (self.id, self.peeled) = (found, None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let (hash, id) = (gix_hash::Kind::Sha1, ObjectId::from([7; 20]));
        let asked = [BString::from("refs/heads/a")];
        assert!(checked(vec![(id, "refs/heads/a".into())], &asked, hash).is_ok());
        let error = checked(vec![(id, "refs/heads/b".into())], &asked, hash).unwrap_err();
        assert_eq!(error.to_string(), "unexpected wanted-ref: 'refs/heads/b'");
        let long = ObjectId::null(gix_hash::Kind::Sha256);
        assert!(checked(vec![(long, "refs/heads/a".into())], &asked, hash).is_err());
    }

    #[test]
    fn a_ref_becomes_what_the_server_says() {
        let (old, new) = (ObjectId::from([1; 20]), ObjectId::from([2; 20]));
        let wanted = [(new, BString::from("refs/heads/a"))];
        let mut head = Ref { symref_target: Some("refs/heads/a".into()), ..Ref::direct("HEAD", old) };
        assert!(head.follow(&wanted));
        assert_eq!(head.id, Some(new));
        assert!(!head.follow(&wanted), "no news");
        assert!(!Ref::direct("refs/heads/b", old).follow(&wanted));
    }
}
