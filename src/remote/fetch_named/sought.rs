//! The words that name what is asked for, and what they match. git-fetch-pack(1).

use std::collections::HashSet;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use crate::protocol::{Ref, Version};
use crate::remote::Session;

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: ObjectId,
    /// The name of the ref, or the id once more.
    pub name: BString,
}

/// What the words ask for, in the order of names, each once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sought(Vec<Word>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    name: BString,
    /// The id that the name is, if it is one.
    id: Option<ObjectId>,
}

/// What was found of it.
pub(super) struct Matched {
    pub(super) refs: Vec<Named>,
    pub(super) unmatched: Vec<String>,
}

impl Sought {
    /// Reads `<name>`, `<id>` and `<id> <name>`, where the name counts.
    pub(super) fn parse(words: &[BString], object_hash: gix_hash::Kind) -> Self {
        let id_of = |text: &[u8]| ObjectId::from_hex(text).ok().filter(|id| id.kind() == object_hash);
        let parsed = words.iter().map(|word| match word.split_once_str(" ") {
            Some((id, name)) if id_of(id).is_some() => Word { name: name.into(), id: None },
            Some(_) | None => Word { name: word.clone(), id: id_of(word) },
        });
        let mut words: Vec<_> = parsed.collect();
        words.sort();
        words.dedup_by(|one, other| one.name == other.name);
        Self(words)
    }

    /// Those of `advertised` that are sought or that `takes` takes, and the ids that may be asked for.
    pub(super) fn matched(
        &self,
        advertised: &[Ref],
        takes: &dyn Fn(&BString) -> bool,
        session: &Session,
    ) -> Matched {
        let mut found: HashSet<&BString> = HashSet::new();
        let names: HashSet<&BString> = self.0.iter().map(|word| &word.name).collect();
        let mut refs = Vec::new();
        for reference in advertised {
            let Some(id) = reference.id else { continue };
            let is_sought = names.contains(&reference.name);
            if is_sought {
                found.insert(&reference.name);
            }
            if is_sought || takes(&reference.name) {
                refs.push(Named { id, name: reference.name.clone() });
            }
        }
        let mut unmatched = Vec::new();
        for Word { name, id } in self.0.iter().filter(|word| !found.contains(&word.name)) {
            match id {
                Some(id) if session.version() == Version::V2 || session.unadvertised(&[*id]).is_empty() => {
                    refs.push(Named { id: *id, name: name.clone() });
                }
                Some(id) => {
                    unmatched.push(format!("Server does not allow request for unadvertised object {id}"));
                }
                None => unmatched.push(format!("no such remote ref {name}")),
            }
        }
        Matched { refs, unmatched }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_ids_or_both() {
        let hex = "a".repeat(40);
        let words = ["refs/heads/b", &hex, &format!("{hex} refs/heads/b"), &format!("{hex}x y"), "abc"];
        let words: Vec<BString> = words.iter().map(|word| BString::from(*word)).collect();
        let Sought(parsed) = Sought::parse(&words, gix_hash::Kind::Sha1);
        let found: Vec<_> = parsed.iter().map(|word| (word.name.to_string(), word.id.is_some())).collect();
        let other = format!("{hex}x y");
        assert_eq!(
            found,
            [(hex.clone(), true), (other, false), ("abc".into(), false), ("refs/heads/b".into(), false)]
        );
        let Sought(of_sha256) = Sought::parse(&words[1..2], gix_hash::Kind::Sha256);
        assert_eq!(of_sha256.first().and_then(|word| word.id), None);
    }
}
