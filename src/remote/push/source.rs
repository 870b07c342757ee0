//! What refspecs push: names and expressions looked up on our side.

use std::collections::HashSet;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Told;
use super::refspec::{Content, PushRefspec};
use crate::remote::Error;
use crate::remote::refspec::candidates;
use crate::repo::{Repository, Target};

/// Our refs as a push sees them: symbolic ones stand for what they lead to, those that lead nowhere are left out.
pub(super) struct LocalRefs {
    /// Sorted by name.
    pub refs: Vec<LocalRef>,
    names: HashSet<BString>,
}

/// One of our refs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalRef {
    /// The full name.
    pub name: BString,
    /// The object.
    pub id: ObjectId,
}

/// A refspec whose source is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sourced {
    pub refspec: PushRefspec,
    /// What a refspec for one object pushes.
    pub source: Option<Source>,
}

/// What one refspec pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The full name of a ref of ours, else the expression as it was said.
    pub name: BString,
    /// The object.
    pub id: ObjectId,
}

/// The refs that a short name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// None.
    No,
    /// This one.
    One(BString),
    /// Several.
    Many,
}

impl LocalRefs {
    pub(super) fn read(repo: &Repository) -> Result<Self, Error> {
        let mut refs = Vec::new();
        for reference in repo.refs("refs/".into())? {
            let id = match reference.target {
                Target::Id(id) => Some(id),
                Target::Symbolic(_) => repo.resolve_ref(reference.name.as_bstr())?,
            };
            refs.extend(id.map(|id| LocalRef { name: reference.name, id }));
        }
        let names = refs.iter().map(|reference| reference.name.clone()).collect();
        Ok(Self { refs, names })
    }

    pub(super) fn contains(&self, name: &BString) -> bool {
        self.names.contains(name)
    }

    /// The ref that the short or full `name` means.
    pub(super) fn find(&self, name: &BStr) -> Found {
        find_short(name, &|full| self.names.contains(full))
    }

    fn id(&self, name: &BString) -> Option<ObjectId> {
        let place = self.refs.binary_search_by(|reference| reference.name.cmp(name)).ok()?;
        self.refs.get(place).map(|reference| reference.id)
    }
}

/// Looks up the sources of `refspecs`.
///
/// # Errors
///
/// [`Error::NotPushed`] with a line for each that is not found or means several refs.
pub(super) fn find_sources(
    repo: &Repository,
    locals: &LocalRefs,
    refspecs: Vec<PushRefspec>,
) -> Result<Vec<Sourced>, Error> {
    let (found, told) = find_existing(repo, locals, refspecs)?;
    if told.is_empty() { Ok(found) } else { Err(Error::NotPushed { told }) }
}

/// As [`find_sources`], with what is wrong beside those that are found.
pub(super) fn find_existing(
    repo: &Repository,
    locals: &LocalRefs,
    refspecs: Vec<PushRefspec>,
) -> Result<(Vec<Sourced>, Vec<Told>), Error> {
    let mut found = Vec::with_capacity(refspecs.len());
    let mut told = Vec::new();
    for refspec in refspecs {
        let source = match &refspec.content {
            Content::One { source, .. } => match find_source(repo, locals, source.as_bstr())? {
                Ok(source) => Some(source),
                Err(lines) => {
                    told.extend(lines.into_iter().map(Told::Error));
                    continue;
                }
            },
            Content::Matching | Content::Delete(_) | Content::Pattern { .. } | Content::Exclude(_) => None,
        };
        found.push(Sourced { refspec, source });
    }
    Ok((found, told))
}

/// A ref of ours, else any object; the inner error is what git says if there is none.
fn find_source(
    repo: &Repository,
    locals: &LocalRefs,
    name: &BStr,
) -> Result<Result<Source, Vec<String>>, Error> {
    let nothing = format!("src refspec {name} does not match any");
    match locals.find(name) {
        Found::Many => return Ok(Err(vec![format!("src refspec {name} matches more than one")])),
        Found::One(full) => {
            if let Some(id) = locals.id(&full) {
                return Ok(Ok(Source { name: full, id }));
            }
        }
        Found::No => {}
    }
    match repo.resolve_revision(name) {
        Ok(Some(id)) => Ok(Ok(Source { name: name.to_owned(), id })),
        Ok(None) => Ok(Err(vec![nothing])),
        // The expression means several objects, or leads through one that is broken.
        Err(crate::repo::Error::Object(reason)) => Ok(Err(vec![reason, nothing])),
        Err(error) => Err(error.into()),
    }
}

/// The ref that the short or full `name` means among those that `exists` knows. A ref in full, or below `refs/heads/` or
/// `refs/tags/`, counts more than any other (seen in git 2.47.3).
pub(super) fn find_short(name: &BStr, exists: &dyn Fn(&BString) -> bool) -> Found {
    let is_strong = |full: &BString| {
        full.len() <= name.len() + b"refs/".len()
            || full.starts_with(b"refs/heads/")
            || full.starts_with(b"refs/tags/")
    };
    let found: Vec<BString> = candidates(name).into_iter().filter(exists).collect();
    let (strong, weak): (Vec<BString>, Vec<BString>) = found.into_iter().partition(is_strong);
    let mut names = if strong.is_empty() { weak } else { strong }.into_iter();
    match (names.next(), names.next()) {
        (None, _) => Found::No,
        (Some(only), None) => Found::One(only),
        (Some(_), Some(_)) => Found::Many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &[&str], name: &str) -> Found {
        find_short(name.into(), &|full| names.iter().any(|known| *known == full))
    }

    #[test]
    fn branches_and_tags_count_more_than_tracking_branches() {
        let one = |name: &str| Found::One(name.into());
        for (names, name, expected) in [
            (&["refs/heads/a", "refs/remotes/a"][..], "a", one("refs/heads/a")),
            (&["refs/remotes/o/a"], "o/a", one("refs/remotes/o/a")),
            (&["refs/remotes/o/HEAD"], "o", one("refs/remotes/o/HEAD")),
            (&["refs/remotes/a", "refs/remotes/a/HEAD"], "a", Found::Many),
            (&["refs/heads/a", "refs/tags/a"], "a", Found::Many),
            (&["refs/heads/a", "refs/tags/a"], "heads/a", one("refs/heads/a")),
            (&["refs/heads/a", "refs/heads/refs/heads/a"], "refs/heads/a", Found::Many),
            (&["refs/heads/a"], "b", Found::No),
        ] {
            assert_eq!(find(names, name), expected, "{name} in {names:?}");
        }
    }
}
