//! What the refspecs of the configuration would push, without pushing: a part of `git remote show`.

use bstr::BString;
use gix_hash::ObjectId;
use gix_object::Kind;

use super::Told;
use super::refspec::{Content, PushRefspec};
use super::source::{LocalRefs, find_existing};
use super::targets::{Matcher, Target, Targets, Wish, unreadable};
use crate::protocol::Ref;
use crate::remote::update::is_ancestor;
use crate::remote::{Error, Remote};
use crate::repo::{Objects, Repository};

/// One ref that would be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The full name of our ref, or the object as it is named; `None` where the far side's ref is deleted.
    pub source: Option<BString>,
    /// The full name of the far side's ref.
    pub name: BString,
    /// Whether the refspec says `+`.
    pub force: bool,
    /// What it comes to.
    pub planned: Planned,
}

/// What a push would do to a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// It is made.
    Create,
    /// It is deleted.
    Delete,
    /// Nothing.
    UpToDate,
    /// It moves ahead.
    FastForward,
    /// It would lose what it has.
    OutOfDate,
}

/// Matches `remote.<name>.push`, `:` if there is none, with our refs and those that the remote `advertised`. What is wrong
/// with refspecs is given back, the others are shown.
///
/// # Errors
///
/// [`Error::Usage`] where git gives up, or if our repository cannot be read.
pub fn preview(
    repo: &Repository,
    remote: &Remote,
    advertised: &[Ref],
) -> Result<(Vec<Preview>, Vec<Told>), Error> {
    let mut refspecs = remote.push.clone();
    if refspecs.is_empty() {
        refspecs.push(PushRefspec { force: false, content: Content::Matching });
    }
    let locals = LocalRefs::read(repo)?;
    let (sourced, mut told) = find_existing(repo, &locals, refspecs)?;
    let matcher = Matcher { repo, locals: &locals, refspecs: &sourced, mirror: false, prune: false };
    let mut targets = Targets::new(advertised, repo.object_hash);
    told.extend(matcher.apply_all(&mut targets)?);
    let mut objects = repo.objects()?.here();
    let wished = targets.list.iter().filter_map(|target| Some((target, target.wish.as_ref()?)));
    let rows = wished.map(|(target, wish)| {
        let planned = planned(&mut objects, target, wish)?;
        Ok(Preview { source: wish.source.clone(), name: target.name.clone(), force: wish.force, planned })
    });
    Ok((rows.collect::<Result<_, Error>>()?, told))
}

fn planned(objects: &mut Objects, target: &Target, wish: &Wish) -> Result<Planned, Error> {
    if wish.new.is_null() {
        return Ok(Planned::Delete);
    }
    if wish.new == target.old {
        return Ok(Planned::UpToDate);
    }
    if target.old.is_null() {
        return Ok(Planned::Create);
    }
    let commit = |objects: &Objects, id: ObjectId| -> Result<Option<ObjectId>, Error> {
        let peeled = if objects.contains(&id) { objects.peel(&id).map_err(unreadable)? } else { None };
        Ok(peeled.filter(|(_, kind)| *kind == Kind::Commit).map(|(id, _)| id))
    };
    let (Some(old), Some(new)) = (commit(objects, target.old)?, commit(objects, wish.new)?) else {
        return Ok(Planned::OutOfDate);
    };
    let is_ahead = is_ancestor(objects, old, new).map_err(unreadable)?;
    Ok(if is_ahead { Planned::FastForward } else { Planned::OutOfDate })
}
