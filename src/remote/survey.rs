//! How the refs of a remote and ours stand to each other: what `git remote show` tells, and `set-head --auto` and `prune`
//! act on.

use std::collections::BTreeMap;

use bstr::{BStr, BString, ByteSlice};

use super::ref_map::{Asked, CurrentBranch};
use super::refspec::Source;
use super::update::{self, RefUpdate};
use super::{Error, Refspec, Remote, RepoSettings, listing};
use crate::progress::Progress;
use crate::protocol::Ref;
use crate::repo::{Repository, Target};

/// The refs of a remote that was asked, beside ours.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What the remote has.
    pub refs: Vec<Ref>,
}

/// How one branch of a remote stands to its tracking branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tracking {
    /// The next fetch will make one.
    New,
    /// There is one.
    Tracked,
    /// A negative refspec leaves it out.
    Skipped,
    /// The branch is gone and the tracking branch is there.
    Stale,
}

impl Survey {
    /// Asks `remote` for all its refs.
    ///
    /// # Errors
    ///
    /// If the remote cannot be reached or breaks the protocol.
    pub fn ask(
        repo: &Repository,
        remote: &Remote,
        options: &listing::Options,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let refs = listing::list(remote, &settings, options, progress)?;
        Ok(Self { refs })
    }

    /// The branches that the remote's `HEAD` may name, without `refs/heads/`: the one that it says, else all that are where
    /// it is.
    pub fn heads(&self) -> Vec<BString> {
        let Some(head) = self.refs.iter().find(|reference| reference.name == "HEAD") else {
            return Vec::new();
        };
        let is_head = |reference: &&Ref| match &head.symref_target {
            Some(target) => reference.name == *target,
            None => reference.id == head.id,
        };
        let branches = self.refs.iter().filter(|reference| reference.id.is_some()).filter(is_head);
        branches
            .filter_map(|reference| reference.name.strip_prefix(b"refs/heads/").map(BString::from))
            .collect()
    }

    /// The tracking branches whose branch is gone.
    ///
    /// # Errors
    ///
    /// If our refs cannot be read.
    pub fn stale(&self, repo: &Repository, remote: &Remote) -> Result<Vec<RefUpdate>, Error> {
        Ok(update::stale(&repo.ref_snapshot()?, &remote.fetch, &self.refs))
    }

    /// What of the remote is or will be tracked, each by its name without `refs/heads/`. A stale one has the name of ours.
    ///
    /// # Errors
    ///
    /// If our refs cannot be read.
    pub fn branches(&self, repo: &Repository, remote: &Remote) -> Result<BTreeMap<BString, Tracking>, Error> {
        let mut branches = BTreeMap::new();
        for (name, local) in self.mapped(repo, remote)? {
            let state = if remote.fetch.iter().any(|refspec| refspec.excludes(name.as_bstr())) {
                Tracking::Skipped
            } else {
                match local {
                    Some(local) if repo.resolve_ref(local.as_bstr())?.is_some() => Tracking::Tracked,
                    Some(_) | None => Tracking::New,
                }
            };
            note(&mut branches, name.as_bstr(), state);
        }
        for stale in self.stale(repo, remote)? {
            if let Some(local) = &stale.local {
                note(&mut branches, local.as_bstr(), Tracking::Stale);
            }
        }
        Ok(branches)
    }

    /// What the refspecs fetch and where it goes, negative ones left out of account.
    fn mapped(&self, repo: &Repository, remote: &Remote) -> Result<Vec<(BString, Option<BString>)>, Error> {
        let symbolic = repo.ref_snapshot()?.symbolic_names();
        let is_positive = |refspec: &&Refspec| !matches!(refspec.source, Source::Exclude(_));
        let mut found = Vec::new();
        for refspec in remote.fetch.iter().filter(is_positive) {
            let is_missing = match &refspec.source {
                Source::Name(name) => {
                    super::ref_map::find_by_short_name(&self.refs, name.as_bstr()).is_none()
                }
                Source::Pattern(_) | Source::Id(_) | Source::Exclude(_) => false,
            };
            if is_missing {
                continue;
            }
            let asked = Asked {
                refspecs: &[],
                refmap: None,
                remote: &Remote { fetch: vec![refspec.clone()], ..remote.clone() },
                branch: &CurrentBranch::default(),
                all_tags: false,
                symbolic: &symbolic,
            };
            found.extend(asked.map(&self.refs)?.into_iter().map(|mapping| (mapping.remote, mapping.local)));
        }
        Ok(found)
    }
}

/// What our tracking branches say that the remote has, which is not asked: names without `refs/heads/`, sorted.
///
/// # Errors
///
/// If our refs cannot be read.
pub fn remembered(repo: &Repository, remote: &Remote) -> Result<Vec<BString>, Error> {
    let mut names = Vec::new();
    for reference in repo.refs("refs/".into())? {
        if matches!(reference.target, Target::Symbolic(_)) {
            continue;
        }
        let sources = remote.fetch.iter().filter_map(|refspec| refspec.source_of(reference.name.as_bstr()));
        let is_excluded = |source: &BString| remote.fetch.iter().any(|r| r.excludes(source.as_bstr()));
        let mut sources = sources.filter(|source| !is_excluded(source));
        names.extend(sources.next().map(|source| short(source.as_bstr())));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Where two refspecs say different things of one name the first of git's own order counts: new, tracked, skipped, stale.
fn note(branches: &mut BTreeMap<BString, Tracking>, name: &BStr, state: Tracking) {
    branches.entry(short(name)).and_modify(|known| *known = state.min(*known)).or_insert(state);
}

/// A branch without `refs/heads/`, any other ref in full.
fn short(name: &BStr) -> BString {
    name.strip_prefix(b"refs/heads/").unwrap_or(name).into()
}

#[cfg(test)]
mod tests {
    use gix_hash::ObjectId;

    use super::*;

    fn id(letter: char) -> ObjectId {
        ObjectId::from_hex(letter.to_string().repeat(40).as_bytes()).unwrap()
    }

    #[test]
    fn a_head_that_names_nothing_may_be_any_branch_at_its_place() {
        let refs = |head: Ref| {
            let branches = [("a", '1'), ("main", '1'), ("side", '2')]
                .map(|(name, letter)| Ref::direct(format!("refs/heads/{name}"), id(letter)));
            let tag = Ref::direct("refs/tags/v1", id('1'));
            Survey { refs: [vec![head], branches.to_vec(), vec![tag]].concat() }
        };
        let head = Ref::direct("HEAD", id('1'));
        assert_eq!(refs(head.clone()).heads(), ["a", "main"]);
        let naming = |name: &str| Ref { symref_target: Some(name.into()), ..head.clone() };
        assert_eq!(refs(naming("refs/heads/main")).heads(), ["main"]);
        assert_eq!(refs(naming("refs/heads/unborn")).heads(), Vec::<BString>::new());
        assert_eq!(Survey { refs: Vec::new() }.heads(), Vec::<BString>::new());
    }
}
