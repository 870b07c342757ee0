//! Names of refs, with what `@` does in them: `@`, `@{-1}`, `@{upstream}`, `@{push}`, `@{<n>}`, `@{<date>}`.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Error, Resolver, reference_error, upstream};
use crate::repo::Target;

/// Substitutions of `@{-1}` and the like in one name; each shortens it or makes it a plain one, so git has no limit.
const SUBSTITUTIONS_MAX: usize = 32;

impl Resolver<'_> {
    /// The object of a ref, or what the ref was.
    pub(super) fn resolve_name(&mut self, text: &BStr) -> Result<Option<ObjectId>, Error> {
        let Some((name, log)) = split_log(text) else { return Ok(None) };
        let Some(log) = log else {
            if let Some(id) = self.prior_detached(name)? {
                return Ok(Some(id));
            }
            let found = self.refs_named(name)?;
            return self.first_of(name, found);
        };
        let found = if name.is_empty() {
            // the log of the current branch, or of a detached HEAD
            let branch = self.repo.head_branch()?.unwrap_or_else(|| "HEAD".into());
            let id = self.repo.resolve_ref(branch.as_bstr())?;
            id.map(|id| (branch, id)).into_iter().collect()
        } else {
            self.logs_named(name)?
        };
        let Some((full, _)) = found.first() else { return Ok(None) };
        let full = full.clone();
        let Some(current) = self.first_of(name, found)? else { return Ok(None) };
        let shown = if name.is_empty() { full.strip_prefix(b"refs/heads/").unwrap_or(&full) } else { name };
        self.resolve_log(full.as_bstr(), shown.as_bstr(), current, log)
    }

    /// The first of `found`, with a warning if the name is ambiguous.
    fn first_of(&mut self, name: &BStr, found: Vec<(BString, ObjectId)>) -> Result<Option<ObjectId>, Error> {
        let Some((_, id)) = found.first() else { return Ok(None) };
        if self.warns_of_ambiguous_refs()? && (found.len() > 1 || self.is_short(name)) {
            self.warn(&format!("refname '{name}' is ambiguous."))?;
        }
        Ok(Some(*id))
    }

    /// The refs that `name` may mean, best first: full name and object.
    pub(super) fn refs_named(&mut self, name: &BStr) -> Result<Vec<(BString, ObjectId)>, Error> {
        let mut found = Vec::new();
        let Some(name) = self.substitute(name)? else { return Ok(found) };
        for candidate in candidates(name.as_bstr()) {
            if let Some(id) = self.repo.resolve_ref(candidate.as_bstr())? {
                found.push((candidate, id));
            }
        }
        Ok(found)
    }

    /// The refs with reflogs that `name` may mean. The log of what a symbolic ref names serves for its own.
    fn logs_named(&mut self, name: &BStr) -> Result<Vec<(BString, ObjectId)>, Error> {
        let mut found = Vec::new();
        let Some(name) = self.substitute(name)? else { return Ok(found) };
        for candidate in candidates(name.as_bstr()) {
            let Some(id) = self.repo.resolve_ref(candidate.as_bstr())? else { continue };
            if self.repo.has_reflog(candidate.as_bstr()) {
                found.push((candidate, id));
            } else if let Some(Target::Symbolic(target)) =
                self.repo.find_ref(candidate.as_bstr())?.map(|reference| reference.target)
                && self.repo.has_reflog(target.as_bstr())
            {
                found.push((target, id));
            }
        }
        Ok(found)
    }

    /// Replaces `@`, `@{-<n>}`, `@{upstream}` and `@{push}` by the names they stand for; `None` if there is no such
    /// earlier branch.
    fn substitute(&mut self, name: &BStr) -> Result<Option<BString>, Error> {
        let mut name = name.to_owned();
        for _ in 0..SUBSTITUTIONS_MAX {
            name = if let Some((number, rest)) = prior_mark(name.as_bstr()) {
                let Some(branch) = self.prior_branch(number)? else { return Ok(None) };
                [branch.as_slice(), rest].concat().into()
            } else if let Some(rest) =
                name.strip_prefix(b"@").filter(|rest| rest.is_empty() || rest.starts_with(b"@{"))
            {
                [b"HEAD", rest].concat().into()
            } else if let Some((branch, mark, rest)) = tracking_mark(name.as_bstr()) {
                let full = self.tracking(branch, mark)?;
                [full.as_slice(), rest].concat().into()
            } else {
                return Ok(Some(name));
            };
        }
        Ok(None)
    }

    fn tracking(&mut self, branch: &BStr, mark: Mark) -> Result<BString, Error> {
        let short = if branch.is_empty() || branch == "HEAD" {
            let current = self.repo.head_branch()?;
            let short = current.as_ref().and_then(|full| full.strip_prefix(b"refs/heads/"));
            short
                .map(BString::from)
                .ok_or_else(|| reference_error("HEAD does not point to a branch".into()))?
        } else {
            branch.to_owned()
        };
        match mark {
            Mark::Upstream => upstream::upstream(self.repo, short.as_bstr()),
            Mark::Push => upstream::push(self.repo, short.as_bstr()),
        }
    }

    /// The id that `HEAD` was detached at, if `name` is `@{-<n>}` and says so.
    fn prior_detached(&mut self, name: &BStr) -> Result<Option<ObjectId>, Error> {
        let Some((number, rest)) = prior_mark(name) else { return Ok(None) };
        if !rest.is_empty() {
            return Ok(None);
        }
        let prior = self.prior_branch(number)?;
        let id = prior.and_then(|prior| ObjectId::from_hex(&prior).ok());
        Ok(id.filter(|id| id.kind() == self.repo.object_hash))
    }

    /// What was checked out before the n-th last checkout: the name of a branch, or an id.
    fn prior_branch(&self, number: usize) -> Result<Option<BString>, Error> {
        let log = self.repo.reflog("HEAD".into())?;
        let moves = log.iter().filter_map(|entry| {
            let moved = entry.message.strip_prefix(b"checkout: moving from ")?;
            moved.split_once_str(" to ").map(|(from, _)| from)
        });
        let Some(index) = number.checked_sub(1) else { return Ok(None) };
        Ok(moves.into_iter().nth(index).map(BString::from))
    }
}

/// The two marks that stand for a remote-tracking branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Upstream,
    Push,
}

/// Takes `@{<n>}` or `@{<date>}` off the end. `None` if `@{-<n>}` does not stand at the beginning.
fn split_log(text: &BStr) -> Option<(&BStr, Option<&BStr>)> {
    let Some(inner) = text.strip_suffix(b"}") else { return Some((text, None)) };
    let Some((name, log)) = inner.rsplit_once_str("@{") else { return Some((text, None)) };
    if log.starts_with(b"-") {
        return name.is_empty().then_some((text, None));
    }
    if log.is_empty() || mark_of(log).is_some() {
        return Some((text, None));
    }
    Some((name.as_bstr(), Some(log.as_bstr())))
}

/// `@{-<n>}` at the beginning, and what follows it.
fn prior_mark(name: &BStr) -> Option<(usize, &[u8])> {
    let (number, rest) = name.strip_prefix(b"@{-")?.split_once_str("}")?;
    if !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((number.to_str().ok()?.parse().ok()?, rest))
}

/// The first `@{upstream}` or `@{push}`: what stands before it, which one it is, what follows it.
fn tracking_mark(name: &BStr) -> Option<(&BStr, Mark, &[u8])> {
    for at in name.find_iter("@{") {
        let (branch, rest) = name.split_at_checked(at)?;
        let Some((inner, rest)) = rest.strip_prefix(b"@{")?.split_once_str("}") else { continue };
        if let Some(mark) = mark_of(inner) {
            return Some((branch.as_bstr(), mark, rest));
        }
    }
    None
}

fn mark_of(inner: &[u8]) -> Option<Mark> {
    match inner.to_ascii_lowercase().as_slice() {
        b"u" | b"upstream" => Some(Mark::Upstream),
        b"push" => Some(Mark::Push),
        _ => None,
    }
}

/// gitrevisions(7), "`<refname>`": the full names that a short one may mean, in the order they are tried.
fn candidates(name: &BStr) -> [BString; 6] {
    [
        ("", ""),
        ("refs/", ""),
        ("refs/tags/", ""),
        ("refs/heads/", ""),
        ("refs/remotes/", ""),
        ("refs/remotes/", "/HEAD"),
    ]
    .map(|(before, after)| [before.as_bytes(), name, after.as_bytes()].concat().into())
}
