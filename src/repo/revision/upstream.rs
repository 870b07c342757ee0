//! `<branch>@{upstream}` and `<branch>@{push}`: which remote-tracking branch a branch goes with.
//!
//! This is a reading of `branch.*`, `remote.*` and `push.default` that needs no remote: full names come out.

use bstr::{BStr, BString, ByteSlice};

use super::{Error, branch_ref, reference_error};
use crate::repo::Repository;

/// The remote-tracking branch that the branch `short` builds upon.
pub(super) fn upstream(repo: &Repository, short: &BStr) -> Result<BString, Error> {
    let Some(merge) = repo.config.string(&format!("branch.{short}.merge")).filter(|merge| !merge.is_empty())
    else {
        return Err(if repo.resolve_ref(branch_ref(short).as_bstr())?.is_none() {
            reference_error(format!("no such branch: '{short}'"))
        } else {
            reference_error(format!("no upstream configured for branch '{short}'"))
        });
    };
    let Some(remote) = repo.config.string(&format!("branch.{short}.remote")) else {
        return Err(reference_error(format!("no upstream configured for branch '{short}'")));
    };
    let full = if merge.starts_with(b"refs/") { merge.clone() } else { branch_ref(merge.as_bstr()) };
    if remote == "." {
        return Ok(full);
    }
    tracking(repo, remote.as_bstr(), full.as_bstr()).ok_or_else(|| {
        reference_error(format!("upstream branch '{merge}' not stored as a remote-tracking branch"))
    })
}

/// The remote-tracking branch of where a push of the branch `short` would go.
pub(super) fn push(repo: &Repository, short: &BStr) -> Result<BString, Error> {
    let full = branch_ref(short);
    let remote = push_remote(repo, short);
    let refspecs = repo.config.strings(&format!("remote.{remote}.push"));
    if !refspecs.is_empty() {
        let Some(destination) = map(&refspecs, full.as_bstr()) else {
            let text = format!("push refspecs for '{remote}' do not include '{short}'");
            return Err(reference_error(text));
        };
        return tracking_or_tell(repo, remote.as_bstr(), destination.as_bstr());
    }
    if repo.config.boolean(&format!("remote.{remote}.mirror")).ok().flatten().unwrap_or(false) {
        return tracking_or_tell(repo, remote.as_bstr(), full.as_bstr());
    }
    let default = repo.config.string("push.default").unwrap_or_default();
    match default.as_slice() {
        b"nothing" => Err(reference_error("push has no destination (push.default is 'nothing')".into())),
        b"matching" | b"current" => tracking_or_tell(repo, remote.as_bstr(), full.as_bstr()),
        b"upstream" | b"tracking" => upstream(repo, short),
        _ => {
            let upstream = upstream(repo, short)?;
            let current = tracking_or_tell(repo, remote.as_bstr(), full.as_bstr())?;
            if current == upstream {
                Ok(current)
            } else {
                let text = "cannot resolve 'simple' push to a single destination";
                Err(reference_error(text.into()))
            }
        }
    }
}

/// Where pushes of the branch go: git-config(1), `branch.<name>.pushRemote`.
fn push_remote(repo: &Repository, short: &BStr) -> BString {
    let keys =
        [format!("branch.{short}.pushRemote"), "remote.pushDefault".into(), format!("branch.{short}.remote")];
    if let Some(remote) = keys.iter().find_map(|key| repo.config.string(key)) {
        return remote;
    }
    let mut names: Vec<BString> =
        repo.config.section("remote").into_iter().filter_map(|(subsection, _, _)| subsection).collect();
    names.sort_unstable();
    names.dedup();
    match <[BString; 1]>::try_from(names) {
        Ok([only]) => only,
        Err(_) => "origin".into(),
    }
}

fn tracking_or_tell(repo: &Repository, remote: &BStr, destination: &BStr) -> Result<BString, Error> {
    tracking(repo, remote, destination).ok_or_else(|| {
        let text =
            format!("push destination '{destination}' on remote '{remote}' has no local tracking branch");
        reference_error(text)
    })
}

/// Where a fetch from `remote` stores `full`.
fn tracking(repo: &Repository, remote: &BStr, full: &BStr) -> Option<BString> {
    map(&repo.config.strings(&format!("remote.{remote}.fetch")), full)
}

/// The destination of `name` by the first of `refspecs` that takes it in and has one, unless a negative one leaves it
/// out.
fn map(refspecs: &[BString], name: &BStr) -> Option<BString> {
    let negative = refspecs.iter().filter_map(|refspec| refspec.strip_prefix(b"^"));
    if negative.into_iter().any(|pattern| captured(pattern, name).is_some()) {
        return None;
    }
    refspecs.iter().find_map(|refspec| {
        let refspec = refspec.strip_prefix(b"+").unwrap_or(refspec);
        let (source, destination) = refspec.split_once_str(":")?;
        let middle = captured(source, name)?;
        match destination.split_once_str("*") {
            Some((before, after)) => Some([before, middle, after].concat().into()),
            None => Some(destination.into()),
        }
    })
}

/// What the star of `pattern` stands for in `name`; empty without a star. `None` if it does not match.
fn captured<'a>(pattern: &[u8], name: &'a BStr) -> Option<&'a [u8]> {
    match pattern.split_once_str("*") {
        Some((before, after)) => name.strip_prefix(before)?.strip_suffix(after),
        None => (pattern == name.as_bytes()).then_some(b""),
    }
}
