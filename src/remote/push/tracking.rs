//! Our tracking branches after a push: what a fetch would make of them.

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::verdict::tracking_ref;
use super::{RefUpdate, Status};
use crate::remote::update::followed;
use crate::remote::{Error, Remote};
use crate::repo::{Edit, Expected, Repository, Target};

/// What the reflogs say (seen in git 2.47.3).
const MESSAGE: &str = "update by push";

/// A tracking branch that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Its full name.
    pub name: BString,
    /// Why it could not be moved, in git's words; that is no failure of the push.
    pub error: Option<String>,
}

/// Makes the tracking branches of `rows` what the far side's refs are now. One that cannot be moved does not keep the
/// others, but the refusal of a hook ends it: that is the error then.
pub(super) fn update(
    repo: &Repository,
    remote: &Remote,
    rows: &[RefUpdate],
) -> (Vec<Tracked>, Option<Error>) {
    let mut looked_at = Vec::new();
    for (name, new) in rows.iter().flat_map(changes) {
        let Some(tracking) = tracking_ref(remote, name.as_bstr()) else { continue };
        let error = match update_one(repo, &tracking, new) {
            Ok(()) => None,
            Err(error @ crate::repo::Error::RefusedByHook) => {
                looked_at.push(Tracked { name: tracking, error: None });
                return (looked_at, Some(error.into()));
            }
            Err(error) if new.is_null() => Some(error.to_string()),
            Err(error) => Some(format!("update_ref failed for ref '{tracking}': {error}")),
        };
        looked_at.push(Tracked { name: tracking, error });
    }
    (looked_at, None)
}

/// The refs of the far side that are now known, and what they are; the null id if they are gone.
fn changes(row: &RefUpdate) -> Vec<(BString, ObjectId)> {
    if !matches!(row.status, Status::Done | Status::UpToDate) {
        return Vec::new();
    }
    if row.rewritten.is_empty() {
        return vec![(row.name.clone(), row.new)];
    }
    let rewritten = row.rewritten.iter();
    rewritten
        .map(|to| (to.name.clone().unwrap_or_else(|| row.name.clone()), to.new.unwrap_or(row.new)))
        .collect()
}

/// Moves or deletes one.
fn update_one(repo: &Repository, tracking: &BString, new: ObjectId) -> Result<(), crate::repo::Error> {
    if new.is_null() {
        let edit = Edit {
            name: tracking.clone(),
            new: None,
            expected: Expected::Any,
            message: None,
            through: Vec::new(),
        };
        return repo.update_refs(&[edit]);
    }
    let (name, through) = followed(repo, tracking);
    let edit = Edit {
        name,
        through,
        new: Some(Target::Id(new)),
        expected: Expected::Any,
        message: Some(MESSAGE.into()),
    };
    repo.update_refs(&[edit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::push::Rewritten;

    fn id(digit: u8) -> ObjectId {
        ObjectId::from_hex(&[digit; 40]).unwrap()
    }

    fn row(status: Status, rewritten: Vec<Rewritten>) -> RefUpdate {
        RefUpdate {
            source: Some("refs/heads/a".into()),
            name: "refs/heads/b".into(),
            old: id(b'1'),
            new: id(b'2'),
            expected: None,
            forced: false,
            status,
            rewritten,
        }
    }

    #[test]
    fn only_what_is_known_of_the_far_side_is_taken_over() {
        for status in [Status::Done, Status::UpToDate] {
            assert_eq!(changes(&row(status, Vec::new())), [("refs/heads/b".into(), id(b'2'))]);
        }
        for status in
            [Status::Pending, Status::Unreported, Status::Stale, Status::RemoteRejected("no".into())]
        {
            assert_eq!(changes(&row(status, Vec::new())), []);
        }
    }

    #[test]
    fn what_the_far_side_did_instead_counts() {
        let rewritten = vec![
            Rewritten { name: Some("refs/heads/c".into()), ..Rewritten::default() },
            Rewritten { new: Some(id(b'3')), ..Rewritten::default() },
        ];
        assert_eq!(
            changes(&row(Status::Done, rewritten)),
            [("refs/heads/c".into(), id(b'2')), ("refs/heads/b".into(), id(b'3'))]
        );
    }
}
