//! `refs/remotes/<name>/HEAD`: which branch the name of a remote alone stands for.

use bstr::{BStr, BString, ByteSlice};

use super::tracking_top;
use crate::remote::Error;
use crate::repo::{Edit, Expected, Repository, Target};

/// Makes `refs/remotes/<remote>/HEAD` name the tracking branch of `branch`; `message` goes to its reflog.
///
/// # Errors
///
/// In git's words if the ref cannot be written.
pub fn set_head(repo: &Repository, remote: &BStr, branch: &BStr, message: &str) -> Result<(), Error> {
    let top = tracking_top(remote);
    let target = BString::from([top.as_bytes(), branch].concat());
    let edit = Edit {
        name: head_name(remote),
        new: Some(Target::Symbolic(target)),
        expected: Expected::Any,
        message: Some(message.into()),
        through: Vec::new(),
    };
    Ok(repo.update_refs(&[edit])?)
}

/// Removes `refs/remotes/<remote>/HEAD`; one that is not there is no error.
///
/// # Errors
///
/// In git's words if the ref cannot be removed.
pub fn delete_head(repo: &Repository, remote: &BStr) -> Result<(), Error> {
    let edit = Edit {
        name: head_name(remote),
        new: None,
        expected: Expected::Any,
        message: None,
        through: Vec::new(),
    };
    Ok(repo.update_refs(&[edit])?)
}

fn head_name(remote: &BStr) -> BString {
    [tracking_top(remote).as_bytes(), b"HEAD"].concat().into()
}
