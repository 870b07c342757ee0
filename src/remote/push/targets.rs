//! What refspecs make of the far side's refs: each gets at most one of our objects.

use std::collections::HashMap;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::Told;
use super::refspec::Content;
use super::source::{Found, LocalRefs, Source, Sourced, find_short};
use crate::protocol::Ref;
use crate::remote::Error;
use crate::repo::{Repository, Target as RefTarget};

/// The refs of the far side, those that are to be made last, with what is pushed to each.
///
/// git 2.47.3 does not notice what it adds itself as long as the far side has no refs: two refspecs for one new ref make
/// two targets then. The far side decides which of them it takes.
pub(super) struct Targets {
    pub list: Vec<Target>,
    places: HashMap<BString, usize>,
    null: ObjectId,
    /// Whether the far side has no refs.
    is_fresh: bool,
}

/// A ref of the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The full name.
    pub name: BString,
    /// What it is; the null id if it is not there.
    pub old: ObjectId,
    /// What it is to be, if anything is said about it.
    pub wish: Option<Wish>,
}

/// What a ref is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// What it is called on our side; `None` deletes.
    pub source: Option<BString>,
    /// The object; the null id deletes.
    pub new: ObjectId,
    /// Whether the refspec says `+`.
    pub force: bool,
}

/// Matches in one repository.
pub(super) struct Matcher<'a> {
    pub repo: &'a Repository,
    pub locals: &'a LocalRefs,
    pub refspecs: &'a [Sourced],
    /// `--mirror`.
    pub mirror: bool,
    /// `--prune`.
    pub prune: bool,
}

impl Targets {
    /// The far side's refs, as it advertised them. What is no ref is passed over.
    pub(super) fn new(advertised: &[Ref], object_hash: gix_hash::Kind) -> Self {
        let mut targets =
            Self { list: Vec::new(), places: HashMap::new(), null: object_hash.null(), is_fresh: false };
        for reference in advertised {
            let Some(id) = reference.id else { continue };
            let name = &reference.name;
            let is_ref = name.starts_with(b"refs/") && gix_validate::reference::name(name.as_bstr()).is_ok();
            if is_ref && !targets.places.contains_key(name) {
                targets.push(name.clone(), id);
            }
        }
        targets.is_fresh = targets.list.is_empty();
        targets
    }

    pub(super) fn contains(&self, name: &BString) -> bool {
        self.places.contains_key(name)
    }

    /// The ref `name`, which is put to the others if it is not there.
    pub(super) fn entry(&mut self, name: &BString) -> Option<&mut Target> {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => self.push(name.clone(), self.null),
        };
        self.list.get_mut(place)
    }

    /// What a refspec for one ref fills if it names the ref `name`.
    fn entry_of_one(&mut self, name: &BString) -> Option<&mut Target> {
        if self.is_fresh {
            self.push(name.clone(), self.null);
        }
        self.entry(name)
    }

    /// The ref that the short or full `name` means for a refspec for one ref.
    fn find_one(&self, name: &BStr) -> Found {
        find_short(name, &|full| !self.is_fresh && self.contains(full))
    }

    fn push(&mut self, name: BString, old: ObjectId) -> usize {
        let place = self.list.len();
        self.places.insert(name.clone(), place);
        self.list.push(Target { name, old, wish: None });
        place
    }
}

impl Matcher<'_> {
    /// Applies the refspecs: those for one ref first, then patterns and `:`, then what is to go.
    ///
    /// # Errors
    ///
    /// [`Error::NotPushed`] with what is wrong with each refspec; [`Error::Usage`] where git gives up at once.
    pub(super) fn apply(&self, targets: &mut Targets) -> Result<(), Error> {
        let told = self.apply_all(targets)?;
        if told.is_empty() { Ok(()) } else { Err(Error::NotPushed { told }) }
    }

    /// As [`Self::apply`], but gives back what is wrong with refspecs, and applies the others.
    pub(super) fn apply_all(&self, targets: &mut Targets) -> Result<Vec<Told>, Error> {
        let told = self.apply_single(targets)?;
        self.apply_patterns(targets);
        if self.prune {
            self.prune(targets);
        }
        if self.mirror {
            for target in targets.list.iter_mut().filter(|target| target.wish.is_none()) {
                target.wish = Some(Wish { source: None, new: targets.null, force: false });
            }
        }
        self.leave_out(targets);
        Ok(told)
    }

    fn apply_single(&self, targets: &mut Targets) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        for Sourced { refspec, source } in self.refspecs {
            let (destination, source) = match (&refspec.content, source) {
                (Content::Delete(name), _) => (find_deleted(targets, name.as_bstr()), None),
                (Content::One { destination: None, .. }, Some(source)) => {
                    (self.same_name(targets, source)?, Some(source))
                }
                (Content::One { destination: Some(name), .. }, Some(source)) => {
                    (self.find_destination(targets, name.as_bstr(), source)?, Some(source))
                }
                (Content::One { .. }, None)
                | (Content::Matching | Content::Pattern { .. } | Content::Exclude(_), _) => continue,
            };
            let name = match destination {
                Ok(name) => name,
                Err(lines) => {
                    told.extend(lines);
                    continue;
                }
            };
            let new = source.map_or(targets.null, |source| source.id);
            let Some(target) = targets.entry_of_one(&name) else { continue };
            if target.wish.is_some() {
                told.push(Told::Error(format!("dst ref {name} receives from more than one src")));
                continue;
            }
            let source = source.map(|source| source.name.clone());
            target.wish = Some(Wish { source, new, force: refspec.force });
        }
        Ok(told)
    }

    /// The ref that `name` means as a destination of `source`.
    fn find_destination(
        &self,
        targets: &Targets,
        name: &BStr,
        source: &Source,
    ) -> Result<Result<BString, Vec<Told>>, Error> {
        // A destination without a `refs/` that nobody has is made beside what the source is.
        match targets.find_one(name) {
            Found::One(full) => return Ok(Ok(full)),
            Found::Many => return Ok(Err(ambiguous(name))),
            Found::No if name.starts_with(b"refs/") => return Ok(Ok(name.to_owned())),
            Found::No => {}
        }
        let (resolved, _) = self.follow(source.name.as_bstr())?;
        let kind = [&b"refs/heads/"[..], b"refs/tags/"]
            .into_iter()
            .find(|kind| resolved.as_ref().is_some_and(|name| name.starts_with(kind)));
        match kind {
            Some(kind) => Ok(Ok([kind, name.as_bytes()].concat().into())),
            None => Ok(Err(self.unqualified(name, source)?)),
        }
    }

    /// The destination of `source` where none is said: the ref that it is. A detached `HEAD` is none that can be pushed.
    fn same_name(&self, targets: &Targets, source: &Source) -> Result<Result<BString, Vec<Told>>, Error> {
        let name = source.name.as_bstr();
        match self.follow(name)? {
            (Some(resolved), _) if !resolved.starts_with(b"refs/") => {
                self.find_destination(targets, resolved.as_bstr(), source)
            }
            (Some(resolved), is_symbolic) if !is_symbolic || resolved.starts_with(b"refs/heads/") => {
                Ok(Ok(resolved))
            }
            (Some(_) | None, _) => Err(Error::Usage(format!("{name} cannot be resolved to branch"))),
        }
    }

    /// The ref that `name` leads to through symbolic refs, and whether it goes through any; `None` if it is no ref that
    /// exists.
    fn follow(&self, name: &BStr) -> Result<(Option<BString>, bool), Error> {
        /// As many as git follows.
        const SYMREFS_MAX: usize = 5;
        let mut name = name.to_owned();
        let mut is_symbolic = false;
        if name != "HEAD" && !name.starts_with(b"refs/") {
            return Ok((None, false));
        }
        for _ in 0..=SYMREFS_MAX {
            match self.repo.find_ref(name.as_bstr())?.map(|reference| reference.target) {
                None => return Ok((None, is_symbolic)),
                Some(RefTarget::Id(_)) => return Ok((Some(name), is_symbolic)),
                Some(RefTarget::Symbolic(next)) => (name, is_symbolic) = (next, true),
            }
        }
        Ok((None, is_symbolic))
    }

    /// What git says if it cannot guess what `name` is to be.
    fn unqualified(&self, name: &BStr, source: &Source) -> Result<Vec<Told>, Error> {
        let expression = &source.name;
        let mut told = vec![Told::Error(format!(
            "The destination you provided is not a full refname (i.e.,\n\
             starting with \"refs/\"). We tried to guess what you meant by:\n\n\
             - Looking for a ref that matches '{name}' on the remote side.\n\
             - Checking if the <src> being pushed ('{expression}')\n  \
             is a ref in \"refs/{{heads,tags}}/\". If so we add a corresponding\n  \
             refs/{{heads,tags}}/ prefix on the remote side.\n\n\
             Neither worked, so we gave up. You must fully qualify the ref."
        ))];
        if self.repo.config.boolean("advice.pushUnqualifiedRefName")? == Some(false) {
            return Ok(told);
        }
        let objects = self.repo.objects()?;
        let (kind, wish, directory) = match objects.kind(&source.id).map_err(unreadable)? {
            Some(Kind::Commit) => ("commit", "create a new branch", "heads"),
            Some(Kind::Tag) => ("tag", "create a new tag", "tags"),
            Some(Kind::Tree) => ("tree", "tag a new tree", "tags"),
            Some(Kind::Blob) => ("blob", "tag a new blob", "tags"),
            None => return Ok(told),
        };
        told.push(Told::Hint(format!(
            "The <src> part of the refspec is a {kind} object.\nDid you mean to {wish} by pushing to\n\
             '{expression}:refs/{directory}/{name}'?"
        )));
        Ok(told)
    }

    /// Patterns and `:`, for each of our refs the first that takes it in.
    fn apply_patterns(&self, targets: &mut Targets) {
        for local in &self.locals.refs {
            let Some((name, force, is_matching)) = self.map(local.name.as_bstr()) else { continue };
            // `:` makes nothing new, but in a mirror.
            if is_matching && !self.mirror && !targets.contains(&name) {
                continue;
            }
            let wish = Wish { source: Some(local.name.clone()), new: local.id, force };
            if let Some(target) = targets.entry(&name) {
                target.wish.get_or_insert(wish);
            }
        }
    }

    /// Where patterns or `:` take our ref `name`, whether by force, and whether it was `:`.
    fn map(&self, name: &BStr) -> Option<(BString, bool, bool)> {
        let refspecs = || self.refspecs.iter().map(|sourced| &sourced.refspec);
        let mapped = refspecs().find_map(|refspec| Some((refspec.map_pattern(name)?, refspec.force, false)));
        if mapped.is_some() {
            return mapped;
        }
        let matching = refspecs().filter(|refspec| refspec.content == Content::Matching);
        // of `:` and `+:` the one with force counts
        let force = matching.map(|refspec| refspec.force).max()?;
        (self.mirror || name.starts_with(b"refs/heads/")).then(|| (name.to_owned(), force, true))
    }

    /// Deletes what a pattern or `:` would fill from a ref that is not here.
    fn prune(&self, targets: &mut Targets) {
        let null = targets.null;
        for target in targets.list.iter_mut().filter(|target| target.wish.is_none()) {
            let mut sources = self.refspecs.iter().filter_map(|Sourced { refspec, .. }| {
                let is_any = self.mirror && refspec.content == Content::Matching;
                if is_any { Some(target.name.clone()) } else { refspec.source_of(target.name.as_bstr()) }
            });
            let Some(source) = sources.next().filter(|source| !self.is_excluded(source.as_bstr())) else {
                continue;
            };
            if !self.locals.contains(&source) {
                target.wish = Some(Wish { source: None, new: null, force: false });
            }
        }
    }

    /// Forgets what negative refspecs name: the far side's refs, whatever is pushed to them (seen in git 2.47.3).
    fn leave_out(&self, targets: &mut Targets) {
        targets.list.retain(|target| !self.is_excluded(target.name.as_bstr()));
        let places = targets.list.iter().enumerate().map(|(place, target)| (target.name.clone(), place));
        targets.places = places.collect();
    }

    fn is_excluded(&self, name: &BStr) -> bool {
        self.refspecs.iter().any(|sourced| sourced.refspec.excludes(name))
    }
}

/// The ref that `:<name>` deletes.
fn find_deleted(targets: &Targets, name: &BStr) -> Result<BString, Vec<Told>> {
    match targets.find_one(name) {
        Found::One(full) => Ok(full),
        Found::Many => Err(ambiguous(name)),
        // What is named in full is asked for; the far side may know better.
        Found::No if name.starts_with(b"refs/") => Ok(name.to_owned()),
        Found::No => {
            let text = format!("unable to delete '{name}': remote ref does not exist");
            Err(vec![Told::Error(text)])
        }
    }
}

fn ambiguous(name: &BStr) -> Vec<Told> {
    vec![Told::Error(format!("dst refspec {name} matches more than one"))]
}

/// An object of ours cannot be read.
pub(super) fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
