//! One revision or range as users write it: `main`, `^old`, `old..new`, `a...b`, `x^@`, `x^!`, `x^-`. gitrevisions(7).

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::merge_base::common;
use super::revisions::{Parser, Tip};
use super::unreadable;
use crate::remote::Error;
use crate::repo::revision::Hint;

impl Parser<'_> {
    /// Adds what `text` means; false if it means nothing.
    pub(super) fn revision(&mut self, text: &BStr) -> Result<bool, Error> {
        if let Some(is_known) = self.range(text)? {
            return Ok(is_known || self.ignores_missing);
        }
        if let Some(is_known) = self.parents(text)? {
            return Ok(is_known || self.ignores_missing);
        }
        let (name, is_excluded) = match text.strip_prefix(b"^") {
            Some(name) => (name.as_bstr(), !self.is_negated),
            None => (text, self.is_negated),
        };
        let Some(id) = self.object(name, Hint::Configured)? else { return Ok(self.ignores_missing) };
        if self.is_there(name, &id)? {
            self.add(name.to_owned(), id, is_excluded);
        }
        Ok(true)
    }

    /// `a..b` and `a...b`, where an end that is left out is `HEAD`; `None` if `text` is no range.
    fn range(&mut self, text: &BStr) -> Result<Option<bool>, Error> {
        let Some((left, right)) = text.split_once_str("..").filter(|_| text != "..") else { return Ok(None) };
        let (right, is_symmetric) = match right.strip_prefix(b".") {
            Some(right) => (right, true),
            None => (right, false),
        };
        let or_head = |end: &[u8]| if end.is_empty() { BString::from("HEAD") } else { end.into() };
        let (left, right) = (or_head(left), or_head(right));
        let from = self.object(left.as_bstr(), Hint::Committish)?;
        let to = self.object(right.as_bstr(), Hint::Committish)?;
        let (Some(from), Some(to)) = (from, to) else { return Ok(self.ignores_missing.then_some(true)) };
        if !self.is_there(left.as_bstr(), &from)? || !self.is_there(right.as_bstr(), &to)? {
            return Ok(Some(true));
        }
        if !is_symmetric {
            self.add(left, from, !self.is_negated);
            self.add(right, to, self.is_negated);
            return Ok(Some(true));
        }
        let (one, other) = (self.commit(left.as_bstr(), &from)?, self.commit(right.as_bstr(), &to)?);
        for base in common(&mut self.objects, one, other)? {
            self.add(base.to_string().into(), base, !self.is_negated);
        }
        self.revisions.tips.push(Tip { name: left, id: from, is_excluded: self.is_negated, is_left: true });
        self.add(right, to, self.is_negated);
        Ok(Some(true))
    }

    /// `x^@`, `x^!`, `x^-` and `x^-<n>`; `None` if `text` is none of them. Parents are called by nothing that could be a
    /// ref.
    fn parents(&mut self, text: &BStr) -> Result<Option<bool>, Error> {
        let (base, mark) = match text.rfind("^") {
            Some(at) => text.split_at(at),
            None => return Ok(None),
        };
        let which = match mark {
            b"^@" | b"^!" => None,
            b"^-" => Some(1),
            _ => match mark.strip_prefix(b"^-").and_then(|digits| digits.to_str().ok()?.parse().ok()) {
                Some(number @ 1_usize..) => Some(number),
                Some(_) | None => return Ok(None),
            },
        };
        let (base, is_excluded) = match base.strip_prefix(b"^") {
            Some(base) => (base.as_bstr(), !self.is_negated),
            None => (base.as_bstr(), self.is_negated),
        };
        let Some(id) = self.object(base, Hint::Committish)? else { return Ok(Some(false)) };
        let Some((commit, Kind::Commit)) = self.objects.peel(&id).map_err(unreadable)? else {
            return Ok(Some(false));
        };
        let parents = self.objects.commit(&commit).map_err(unreadable)?.map(|commit| commit.parents);
        let mut parents = parents.unwrap_or_default();
        if let Some(number) = which {
            let Some(parent) = number.checked_sub(1).and_then(|index| parents.get(index)) else {
                return Ok(Some(false));
            };
            parents = vec![*parent];
        }
        let takes_parents = mark == b"^@";
        for parent in parents {
            let is_parent_excluded = if takes_parents { is_excluded } else { !is_excluded };
            self.add(format!("{text}:{parent}").into(), parent, is_parent_excluded);
        }
        if !takes_parents {
            self.add(base.to_owned(), id, is_excluded);
        }
        Ok(Some(true))
    }

    fn object(&mut self, name: &BStr, hint: Hint) -> Result<Option<ObjectId>, Error> {
        if name.is_empty() {
            return Ok(None);
        }
        Ok(self.repo.resolve_revision_as(name, hint, self.progress)?)
    }

    /// Whether the object is here; if it is not, that is an error unless missing ones do not matter.
    fn is_there(&self, name: &BStr, id: &ObjectId) -> Result<bool, Error> {
        match self.objects.contains(id) {
            true => Ok(true),
            false if self.ignores_missing => Ok(false),
            false => Err(Error::Usage(format!("bad object {name}"))),
        }
    }

    fn commit(&self, name: &BStr, id: &ObjectId) -> Result<ObjectId, Error> {
        match self.objects.peel(id).map_err(unreadable)? {
            Some((id, Kind::Commit)) => Ok(id),
            Some(_) | None => Err(Error::Usage(format!("bad revision '{name}'"))),
        }
    }
}
