//! What becomes of `refs/remotes/<remote>/HEAD` when a remote is fetched from. git-config(1) of git 2.48,
//! `remote.<name>.followRemoteHEAD`. Where nothing is configured it is left alone, as git 2.47 does.

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Fetch, Transferred};
use crate::remote::{Error, session};
use crate::repo::{Edit, Expected, Target};

/// What a fetch by the refspecs of a remote does with `refs/remotes/<remote>/HEAD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FollowHead {
    /// Nothing (`never`, and where nothing is said).
    #[default]
    Never,
    /// It is made if it is not there (`create`).
    Create,
    /// The same, and one that names another branch than the far side's is told of (`warn`), unless the far side's is
    /// this one (`warn-if-not-<branch>`).
    Warn {
        /// The branch that is known of.
        unless: Option<BString>,
    },
    /// It is made to name what the far side's names (`always`).
    Always,
    /// Nothing: what was configured is none of the above.
    Unknown(BString),
}

impl FollowHead {
    /// What a value of the configuration means.
    pub(in crate::remote) fn parse(text: &BString) -> Self {
        match text.as_slice() {
            b"never" => Self::Never,
            b"create" => Self::Create,
            b"warn" => Self::Warn { unless: None },
            b"always" => Self::Always,
            other => match other.strip_prefix(b"warn-if-not-") {
                Some(branch) => Self::Warn { unless: Some(branch.into()) },
                None => Self::Unknown(text.clone()),
            },
        }
    }
}

/// Ours names another branch than the far side's, and the user wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherHead {
    /// The branch that the far side's `HEAD` names, without `refs/heads/`.
    pub theirs: BString,
    /// What ours is.
    pub ours: OurHead,
}

/// What `refs/remotes/<remote>/HEAD` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OurHead {
    /// It names a branch, told without `refs/remotes/<remote>/` if it is one of that remote.
    Branch(BString),
    /// It names no branch.
    Detached(ObjectId),
}

impl Fetch<'_> {
    /// Whether it matters what the far side's `HEAD` names.
    pub(super) fn follows_head(&self) -> bool {
        let is_by_remote =
            self.refspecs.is_empty() && self.remote.name.is_some() && !self.remote.fetch.is_empty();
        let follows = match self.remote.follow_head {
            FollowHead::Create | FollowHead::Warn { .. } | FollowHead::Always => true,
            FollowHead::Never | FollowHead::Unknown(_) => false,
        };
        follows && is_by_remote && !self.options.prefetch && !self.options.dry_run
    }
}

impl Transferred<'_> {
    /// Makes or moves `refs/remotes/<remote>/HEAD`, or gives what there is to tell of it. That it cannot be moved is no
    /// reason for a fetch to fail.
    pub(super) fn follow_head(&self) -> Result<Option<OtherHead>, Error> {
        let Fetch { repo, remote, .. } = &self.fetch;
        let (Some(name), true) = (&remote.name, self.fetch.follows_head()) else { return Ok(None) };
        let top = format!("refs/remotes/{name}/");
        let theirs = session::guess_head_branch(&self.refs, &[]);
        let Some(short) = theirs.as_ref().and_then(|theirs| theirs.strip_prefix(b"refs/heads/")) else {
            return Ok(None);
        };
        let target = BString::from([top.as_bytes(), short].concat());
        if repo.find_ref(target.as_bstr())?.is_none() {
            return Ok(None);
        }
        let head = BString::from(format!("{top}HEAD"));
        let ours = repo.find_ref(head.as_bstr())?.map(|reference| reference.target);
        match (ours, &remote.follow_head) {
            (Some(Target::Symbolic(ours)), _) if ours == target => Ok(None),
            (None, _) | (Some(_), FollowHead::Always) => {
                let new = Some(Target::Symbolic(target));
                let message = Some("fetch".into());
                let edit = Edit { name: head, new, expected: Expected::Any, message, through: Vec::new() };
                let _moved_or_not = repo.update_refs(&[edit]);
                Ok(None)
            }
            (Some(ours), FollowHead::Warn { unless })
                if unless.as_ref().is_none_or(|known| known != short) =>
            {
                let ours = match ours {
                    Target::Symbolic(name) => {
                        OurHead::Branch(name.strip_prefix(top.as_bytes()).unwrap_or(&name).into())
                    }
                    Target::Id(id) => OurHead::Detached(id),
                };
                Ok(Some(OtherHead { theirs: short.into(), ours }))
            }
            (Some(_), _) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        for (text, expected) in [
            ("never", FollowHead::Never),
            ("create", FollowHead::Create),
            ("warn", FollowHead::Warn { unless: None }),
            ("warn-if-not-main", FollowHead::Warn { unless: Some("main".into()) }),
            ("always", FollowHead::Always),
            ("Always", FollowHead::Unknown("Always".into())),
        ] {
            assert_eq!(FollowHead::parse(&text.into()), expected);
        }
    }
}
