//! Which refs of the far side go where: refspecs applied to an advertisement.

use std::collections::{HashMap, HashSet};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::refspec::{Source, candidates};
use super::{Error, Refspec, Remote};
use crate::protocol::Ref;
use matching::{leave_out, matches, matches_if_there};

mod matching;

pub use matching::find_by_short_name;

/// One ref that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The name on the far side, or the id in hexadecimal if an object was asked for by id.
    pub remote: BString,
    /// The object.
    pub id: ObjectId,
    /// The ref of ours that gets it; `None` stores nothing but `FETCH_HEAD`.
    pub local: Option<BString>,
    /// Whether the update need not be a fast-forward.
    pub force: bool,
    /// Its place in `FETCH_HEAD`.
    pub fetch_head: FetchHead,
}

/// What a ref means to `git merge FETCH_HEAD`. The order is that of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FetchHead {
    /// It is what `git pull` merges.
    Merge,
    /// It is noted and not merged.
    NotForMerge,
    /// It is not noted.
    Ignore,
}

/// The branch we are on, as its configuration describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentBranch {
    /// `branch.<name>.remote`.
    pub remote: Option<BString>,
    /// `branch.<name>.merge`, any number.
    pub merge: Vec<BString>,
}

/// The refspecs that decide, and what else the user said.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The refspecs of the command line.
    pub refspecs: &'a [Refspec],
    /// `--refmap`: what fills tracking branches by the way in place of the remote's own refspecs.
    pub refmap: Option<&'a [Refspec]>,
    /// The remote, whose own refspecs count where the command line has none.
    pub remote: &'a Remote,
    /// The branch we are on.
    pub branch: &'a CurrentBranch,
    /// `--tags`.
    pub all_tags: bool,
    /// Our symbolic refs, sorted: no pattern stores anything in them, since another ref would move.
    pub symbolic: &'a [BString],
}

impl Asked<'_> {
    /// What a v2 server must be asked for; empty asks for all refs.
    pub fn prefixes(&self, follow_tags: bool) -> Vec<BString> {
        let chosen = if self.refspecs.is_empty() { &self.remote.fetch } else { self.refspecs };
        let mut prefixes: Vec<BString> = chosen.iter().flat_map(Refspec::prefixes).collect();
        if chosen.is_empty() {
            prefixes.push("HEAD".into());
        }
        if self.refspecs.is_empty() && self.is_upstream() {
            prefixes.extend(self.branch.merge.iter().cloned());
        }
        if prefixes.iter().any(|prefix| prefix.is_empty()) {
            return Vec::new();
        }
        if (self.all_tags || follow_tags) && !prefixes.is_empty() {
            prefixes.push("refs/tags/".into());
        }
        without_repeated(prefixes)
    }

    /// Whether the current branch follows this remote, by its name or by the URL or path that it is, such as `.`.
    fn is_upstream(&self) -> bool {
        self.branch.remote.as_ref().is_some_and(|remote| remote == self.remote.display_name())
    }

    /// Whether the command line asks for objects by their ids, and for nothing else.
    pub fn are_all_ids(&self) -> bool {
        let is_id = |refspec: &Refspec| matches!(refspec.source, Source::Id(_));
        !self.refspecs.is_empty() && self.refspecs.iter().all(is_id)
    }

    /// Applies the refspecs to `refs`.
    pub fn map(&self, refs: &[Ref]) -> Result<Vec<Mapping>, Error> {
        self.without_excluded(self.matched(refs)?)
    }

    /// What the refspecs match of `refs`, before anything is left out: tags of that are followed too.
    pub fn matched(&self, refs: &[Ref]) -> Result<Vec<Mapping>, Error> {
        let mut map =
            if self.refspecs.is_empty() { self.map_configured(refs)? } else { self.map_command_line(refs)? };
        if self.all_tags {
            map.extend(matches(&Refspec::all_tags(), (refs, self.symbolic), FetchHead::NotForMerge)?);
        }
        Ok(map)
    }

    /// `map`, of [`Self::matched`] and what was added to it, without what the refspecs exclude and without repetitions.
    pub fn without_excluded(&self, mut map: Vec<Mapping>) -> Result<Vec<Mapping>, Error> {
        leave_out(&mut map, if self.refspecs.is_empty() { &self.remote.fetch } else { self.refspecs });
        remove_duplicates(map)
    }

    /// The command line's refspecs; tracking branches of the refs named are updated by the way.
    fn map_command_line(&self, refs: &[Ref]) -> Result<Vec<Mapping>, Error> {
        let mut map = Vec::new();
        for refspec in self.refspecs {
            map.extend(matches(refspec, (refs, self.symbolic), FetchHead::Merge)?);
        }
        let by_name: HashMap<&BString, &Ref> =
            refs.iter().map(|reference| (&reference.name, reference)).collect();
        let named: Vec<Ref> =
            map.iter().filter_map(|mapping| by_name.get(&mapping.remote)).copied().cloned().collect();
        let mut by_the_way = Vec::new();
        // what these exclude does not count here, as in git
        for refspec in self.refmap.unwrap_or(&self.remote.fetch) {
            by_the_way.extend(matches_if_there(refspec, (&named, self.symbolic), FetchHead::Ignore)?);
        }
        map.extend(by_the_way);
        Ok(map)
    }

    fn map_configured(&self, refs: &[Ref]) -> Result<Vec<Mapping>, Error> {
        let merges: &[BString] = if self.is_upstream() { &self.branch.merge } else { &[] };
        if self.remote.fetch.is_empty() && merges.is_empty() {
            let head = Refspec { force: false, source: Source::Name("HEAD".into()), destination: None };
            return matches(&head, (refs, &[]), FetchHead::Merge);
        }
        let mut map = Vec::new();
        for (index, refspec) in self.remote.fetch.iter().enumerate() {
            let mut matched = matches(refspec, (refs, self.symbolic), FetchHead::NotForMerge)?;
            let is_pattern = matches!(refspec.source, Source::Pattern(_));
            if index == 0
                && self.branch.merge.is_empty()
                && !is_pattern
                && let Some(first) = matched.first_mut()
            {
                first.fetch_head = FetchHead::Merge;
            }
            if map.is_empty() {
                map = matched;
            } else {
                map.extend(matched);
            }
        }
        for merge in merges {
            mark_for_merge(&mut map, merge.as_bstr(), refs)?;
        }
        Ok(map)
    }
}

/// Names each prefix once, in the order given.
fn without_repeated(mut prefixes: Vec<BString>) -> Vec<BString> {
    let mut seen = HashSet::new();
    prefixes.retain(|prefix| seen.insert(prefix.clone()));
    prefixes
}

/// Marks what `branch.<name>.merge` names; fetches it where no refspec does.
fn mark_for_merge(map: &mut Vec<Mapping>, merge: &BStr, refs: &[Ref]) -> Result<(), Error> {
    let names = candidates(merge);
    let mut found = false;
    for mapping in map.iter_mut().filter(|mapping| names.contains(&mapping.remote)) {
        mapping.fetch_head = FetchHead::Merge;
        found = true;
    }
    if !found {
        let refspec = Refspec { force: false, source: Source::Name(merge.to_owned()), destination: None };
        map.extend(matches_if_there(&refspec, (refs, &[]), FetchHead::Merge)?);
    }
    Ok(())
}

/// The tags that point to what we have or are about to get and that we do not have: what tag following adds.
/// `has_object` tells of objects here, `has_ref` of refs here.
pub fn tags_to_follow(
    refs: &[Ref],
    map: &[Mapping],
    has_object: &dyn Fn(&ObjectId) -> bool,
    has_ref: &mut dyn FnMut(&BStr) -> bool,
) -> Vec<Mapping> {
    let tags = refs.iter().filter(|reference| reference.name.starts_with(b"refs/tags/"));
    let mut lacking = tags.filter(|tag| !has_ref(tag.name.as_bstr())).peekable();
    // as a rule there is none, and what is mapped need not be looked at
    if lacking.peek().is_none() {
        return Vec::new();
    }
    let coming: HashSet<ObjectId> = map.iter().map(|mapping| mapping.id).collect();
    let mapped: HashSet<&BString> = map.iter().filter_map(|mapping| mapping.local.as_ref()).collect();
    let mut tags = Vec::new();
    for reference in lacking {
        let Some(id) = reference.id else { continue };
        let target = reference.peeled.unwrap_or(id);
        let is_wanted = coming.contains(&target) || coming.contains(&id) || has_object(&target);
        if is_wanted && !mapped.contains(&reference.name) {
            tags.push(Mapping {
                remote: reference.name.clone(),
                id,
                local: Some(reference.name.clone()),
                force: false,
                fetch_head: FetchHead::NotForMerge,
            });
        }
    }
    tags
}

/// Folds mappings that say the same, of which the first decides about force; two sources for one destination are an error.
fn remove_duplicates(mut map: Vec<Mapping>) -> Result<Vec<Mapping>, Error> {
    // What a pattern gives is in order as a rule: then each name can be there only once, and nothing need be remembered.
    let is_rising = |pair: &[Mapping]| match pair {
        [one, next] => one.local.is_some() && one.local < next.local,
        _ => true,
    };
    if map.windows(2).all(is_rising) {
        return Ok(map);
    }
    let mut first_of: HashMap<&BString, usize> = HashMap::with_capacity(map.len());
    let mut repeated: Vec<(usize, usize)> = Vec::new();
    for (index, mapping) in map.iter().enumerate() {
        let Some(local) = &mapping.local else { continue };
        let first = *first_of.entry(local).or_insert(index);
        let other = map.get(first).filter(|_| first != index);
        let Some(Mapping { remote, .. }) = other else { continue };
        if *remote != mapping.remote {
            return Err(Error::Usage(format!(
                "Cannot fetch both {remote} and {} to {local}",
                mapping.remote
            )));
        }
        repeated.push((first, index));
    }
    for &(first, index) in &repeated {
        let fetch_head = map.get(index).map(|mapping| mapping.fetch_head);
        if let (Some(kept), Some(fetch_head)) = (map.get_mut(first), fetch_head) {
            kept.fetch_head = kept.fetch_head.min(fetch_head);
        }
    }
    let gone: HashSet<usize> = repeated.into_iter().map(|(_, index)| index).collect();
    let mut index = 0;
    map.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
    Ok(map)
}

#[cfg(test)]
mod tests;
