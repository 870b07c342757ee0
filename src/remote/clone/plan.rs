//! What a clone decides before it makes anything: refs to fetch, where they go, and what `HEAD` will be.

use std::collections::HashSet;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Clone;
use crate::protocol::Ref;
use crate::remote::ref_map::{Asked, CurrentBranch, FetchHead, Mapping, find_by_short_name};
use crate::remote::refspec::Source;
use crate::remote::{Error, Refspec, Remote, session};
use crate::repo::{Edit, Expected, Objects, Target, init};

/// What a clone fetches and where it goes.
pub(super) struct Plan {
    /// Whether the remote has any ref.
    pub(super) has_refs: bool,
    pub(super) map: Vec<Mapping>,
    /// Tags that are kept if their object comes along.
    pub(super) followed: Vec<Mapping>,
    pub(super) wants: Vec<ObjectId>,
    pub(super) configured: Option<BString>,
    /// What `refs/remotes/<origin>/HEAD` is to name.
    pub(super) remote_head: Option<BString>,
    pub(super) head: Head,
    /// Whether the remote has nothing at all.
    pub(super) is_empty: bool,
    /// Whether it is one revision that is cloned, without any branch.
    pub(super) is_revision: bool,
}

impl Plan {
    /// Refuses refs that the far side names and that are nothing: a server of C git's gives broken ones the null id.
    pub(super) fn check(&self) -> Result<(), Error> {
        let broken = self.map.iter().find(|mapping| mapping.id.is_null());
        match broken.and_then(|mapping| mapping.local.as_ref()) {
            Some(local) => Err(Error::Usage(format!("'{local}' has neither a valid OID nor a target"))),
            None => Ok(()),
        }
    }

    /// Makes a `HEAD` that is no branch what the tag or revision leads to, which is known once `objects` has it.
    pub(super) fn peel_head(&mut self, objects: &Objects) -> Result<(), Error> {
        let Head::Detached(id) = &self.head else { return Ok(()) };
        let peeled = objects.peel(id).map_err(|error| crate::repo::Error::Object(error.to_string()))?;
        match peeled {
            Some((id, gix_object::Kind::Commit)) => self.head = Head::Detached(id),
            Some(_) | None if self.is_revision => {
                return Err(Error::Usage(format!("{id} is not a commit")));
            }
            // refused when `HEAD` is written
            Some((id, _)) => self.head = Head::Detached(id),
            None => {}
        }
        Ok(())
    }

    /// The names of all that is fetched, on the far side.
    pub(super) fn names(&self) -> Vec<BString> {
        let mut names: Vec<BString> = self.map.iter().map(|mapping| mapping.remote.clone()).collect();
        if let Head::Branch { name, .. } = &self.head {
            names.push(name.clone());
        }
        names
    }

    /// The edits that store the tags that came along.
    pub(super) fn followed_edits(&self, objects: &Objects) -> Vec<Edit> {
        let tags = self.followed.iter().filter(|tag| objects.contains(&tag.id));
        tags.filter_map(|tag| {
            let new = Some(Target::Id(tag.id));
            Some(Edit {
                name: tag.local.clone()?,
                new,
                expected: Expected::Any,
                message: None,
                through: Vec::new(),
            })
        })
        .collect()
    }
}

/// What the new repository's `HEAD` is.
pub(super) enum Head {
    Branch { name: BString, id: ObjectId },
    Detached(ObjectId),
    Unborn(BString),
}

impl Head {
    pub(super) fn commit(&self) -> Option<ObjectId> {
        match self {
            Self::Branch { id, .. } | Self::Detached(id) => Some(*id),
            Self::Unborn(_) => None,
        }
    }
}

impl Clone<'_> {
    /// Decides what is fetched and where it goes.
    pub(super) fn plan(&self, refs: &[Ref]) -> Result<Plan, Error> {
        if let Some(revision) = &self.options.revision {
            return self.plan_revision(refs, revision);
        }
        let preferred = self.preferred(refs)?;
        let remote_branch = session::guess_head_branch(refs, &preferred);
        let branch_top = match (self.options.mirror, self.options.bare) {
            (true, _) => BString::from("refs/"),
            (false, true) => "refs/heads/".into(),
            (false, false) => format!("refs/remotes/{}/", self.options.origin).into(),
        };
        let chosen = self.chosen(refs, remote_branch.as_ref(), &preferred)?;
        let is_there = |name: &&BString| refs.iter().any(|r| r.name == **name && r.id.is_some());
        let (refspec, configured) = self.refspec(chosen.as_ref().filter(is_there), &branch_top);
        let mut refspecs: Vec<Refspec> = refspec.iter().cloned().collect();
        refspecs.extend(self.extra_refspecs()?);
        let all_tags = !self.options.no_tags && !self.options.mirror && !self.is_single_branch();
        let mut map = self.map(refs, &refspecs, all_tags)?;
        map.retain(|mapping| mapping.local.is_some());
        let head_ref = refs.iter().find(|reference| reference.name == "HEAD");
        let head = self.head(refs, &map, chosen.as_ref(), head_ref)?;
        let mut wants: Vec<ObjectId> = map.iter().map(|mapping| mapping.id).collect();
        wants.extend(head.commit());
        wants.sort_unstable();
        wants.dedup();
        let is_empty = map.is_empty() && head_ref.is_none_or(|head| head.id.is_none());
        let remote_head = remote_branch.filter(|_| !self.is_bare()).and_then(|branch| {
            map.iter().find(|mapping| mapping.remote == branch).and_then(|mapping| mapping.local.clone())
        });
        let followed = if self.follows_tags() {
            let mapped: HashSet<&BString> = map.iter().map(|mapping| &mapping.remote).collect();
            let tags = self.map(refs, &[], true)?;
            tags.into_iter().filter(|tag| !mapped.contains(&tag.remote)).collect()
        } else {
            Vec::new()
        };
        let has_refs = refs.iter().any(|reference| reference.id.is_some());
        let is_revision = false;
        Ok(Plan { has_refs, map, followed, wants, configured, remote_head, head, is_empty, is_revision })
    }

    /// `--revision`: one ref or id, which is checked out and kept nowhere else.
    fn plan_revision(&self, refs: &[Ref], revision: &BString) -> Result<Plan, Error> {
        let id = match Refspec::parse_fetch(revision.as_bstr()) {
            Ok(Refspec { source: Source::Id(id), destination: None, .. }) => Some(id),
            Ok(Refspec { source: Source::Name(name), destination: None, .. }) => {
                find_by_short_name(refs, name.as_bstr()).and_then(|reference| reference.id)
            }
            Ok(_) | Err(_) => None,
        };
        let Some(id) = id else {
            let origin = &self.options.origin;
            return Err(Error::Missing(format!("Remote revision {revision} not found in upstream {origin}")));
        };
        let mapping = Mapping {
            remote: revision.clone(),
            id,
            local: None,
            force: false,
            fetch_head: FetchHead::Ignore,
        };
        Ok(Plan {
            has_refs: false,
            map: vec![mapping],
            followed: Vec::new(),
            wants: vec![id],
            configured: None,
            remote_head: None,
            head: Head::Detached(id),
            is_empty: false,
            is_revision: true,
        })
    }

    fn map(&self, refs: &[Ref], refspecs: &[Refspec], all_tags: bool) -> Result<Vec<Mapping>, Error> {
        let mut remote = Remote::of_url(&self.config, self.url.as_bstr());
        remote.name = Some(self.options.origin.clone());
        remote.fetch = refspecs.to_vec();
        let branch = CurrentBranch::default();
        if refspecs.is_empty() {
            // Without refspecs a fetch would take HEAD; a clone takes tags alone, or nothing.
            remote.fetch = vec![Refspec::parse_fetch("^refs/none".into())?];
        }
        let (remote, branch) = (&remote, &branch);
        let asked = Asked { refspecs: &[], refmap: None, remote, branch, all_tags, symbolic: &[] };
        asked.map(refs)
    }

    /// The ref that `--branch` or else the remote's `HEAD` names.
    fn chosen(
        &self,
        refs: &[Ref],
        remote_branch: Option<&BString>,
        default: &[BString],
    ) -> Result<Option<BString>, Error> {
        let Some(branch) = &self.options.branch else {
            // A v0 server says nothing of an unborn HEAD: the branch we would make is taken if it is there.
            let has_head = refs.iter().any(|reference| reference.name == "HEAD");
            let default = default.first().filter(|name| !has_head && refs.iter().any(|r| r.name == **name));
            return Ok(remote_branch.or(default).cloned());
        };
        ["refs/heads/", "refs/tags/"]
            .iter()
            .map(|prefix| BString::from(format!("{prefix}{branch}")))
            .find(|full| refs.iter().any(|reference| reference.name == *full && reference.id.is_some()))
            .map(Some)
            .ok_or_else(|| {
                Error::Missing(format!(
                    "Remote branch {branch} not found in upstream {}",
                    self.options.origin
                ))
            })
    }

    /// The branches that the remote's `HEAD` is taken to be, the likeliest first, where it does not say.
    fn preferred(&self, refs: &[Ref]) -> Result<Vec<BString>, Error> {
        let head = refs.iter().find(|reference| reference.name == "HEAD");
        // what is configured is of no account here, right or wrong
        if head.is_some_and(|head| head.symref_target.is_some()) {
            return Ok(Vec::new());
        }
        Ok(vec![
            format!("refs/heads/{}", init::default_branch(&self.config)?).into(),
            "refs/heads/master".into(),
        ])
    }

    /// The refspec to fetch with now, and the one to write into the configuration.
    fn refspec(&self, chosen: Option<&BString>, top: &BString) -> (Option<Refspec>, Option<BString>) {
        let single = || {
            chosen.map(|full| match full.strip_prefix(b"refs/heads/") {
                Some(short) if !self.options.mirror => format!("+{full}:{top}{}", short.as_bstr()).into(),
                Some(_) | None => BString::from(format!("+{full}:{full}")),
            })
        };
        let from = if self.options.mirror { "refs/" } else { "refs/heads/" };
        let all = || Some(BString::from(format!("+{from}*:{top}*")));
        let text = if self.is_single_branch() { single() } else { all() };
        let refspec = text.as_ref().and_then(|text| Refspec::parse_fetch(text.as_bstr()).ok());
        let configured = match (self.options.mirror, self.options.bare) {
            // A mirror of one branch becomes a whole one with its next fetch, as git's does.
            (true, _) => all(),
            (false, true) => None,
            (false, false) => text,
        };
        (refspec, configured)
    }

    /// What `HEAD` is to be.
    fn head(
        &self,
        refs: &[Ref],
        map: &[Mapping],
        chosen: Option<&BString>,
        head: Option<&Ref>,
    ) -> Result<Head, Error> {
        let id_of = |name: &BString| refs.iter().find(|r| r.name == *name).and_then(|r| r.id);
        if let Some((name, id)) = chosen.and_then(|name| Some((name, id_of(name)?))) {
            let is_mapped = map.iter().any(|mapping| mapping.remote == *name);
            if name.starts_with(b"refs/heads/") && (is_mapped || self.options.branch.is_none()) {
                return Ok(Head::Branch { name: name.clone(), id });
            }
            return Ok(Head::Detached(id));
        }
        Ok(match head {
            Some(Ref { id: Some(id), .. }) => Head::Detached(*id),
            Some(Ref { symref_target: Some(target), .. }) if target.starts_with(b"refs/heads/") => {
                Head::Unborn(target.clone())
            }
            Some(_) | None => {
                Head::Unborn(format!("refs/heads/{}", init::default_branch(&self.config)?).into())
            }
        })
    }
}
