//! Commits by what their messages say: `:/text` and `<rev>^{/text}`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;
use regex::bytes::{Regex, RegexBuilder};

use super::{Error, Resolver, broken};
use crate::repo::Target;

impl Resolver<'_> {
    /// The youngest commit of all refs and `HEAD` whose message matches `pattern`.
    pub(super) fn search_everywhere(&mut self, pattern: &BStr) -> Result<Option<ObjectId>, Error> {
        if pattern.is_empty() {
            return Ok(None);
        }
        let mut tips: Vec<ObjectId> = Vec::new();
        tips.extend(self.repo.resolve_ref("HEAD".into())?);
        for reference in self.repo.refs("".into())? {
            let id = match reference.target {
                Target::Id(id) => Some(id),
                Target::Symbolic(name) => self.repo.resolve_ref(name.as_bstr())?,
            };
            tips.extend(id);
        }
        self.search(pattern, tips)
    }

    /// The youngest commit that `tips` reach whose message matches `pattern`: `!!` begins a literal `!`, `!-` asks for
    /// one that does not match. `None` as well if `pattern` is no regular expression.
    pub(super) fn search(&mut self, pattern: &BStr, tips: Vec<ObjectId>) -> Result<Option<ObjectId>, Error> {
        let Some((pattern, wanted)) = polarity(pattern) else { return Ok(None) };
        let Some(pattern) = compile(pattern) else { return Ok(None) };
        let mut ahead = Ahead::default();
        for tip in tips {
            if let Some((id, Kind::Commit)) = self.objects.peel(&tip).map_err(broken)? {
                self.look_at(id, &mut ahead)?;
            }
        }
        let mut content = Vec::new();
        while let Some(id) = ahead.pop() {
            if self.read(&id, &mut content)?.is_none() {
                return Err(Error::Object(format!("could not read {id}")));
            }
            let message = content.split_once_str("\n\n").map(|(_, message)| message);
            if message.is_some_and(|message| pattern.is_match(message) == wanted) {
                return Ok(Some(id));
            }
            let parents = self.objects.commit(&id).map_err(broken)?.map(|commit| commit.parents);
            for parent in parents.unwrap_or_default() {
                self.look_at(parent, &mut ahead)?;
            }
        }
        Ok(None)
    }

    fn look_at(&mut self, id: ObjectId, ahead: &mut Ahead) -> Result<(), Error> {
        if ahead.seen.insert(id)
            && let Some(commit) = self.objects.commit(&id).map_err(broken)?
        {
            let order = Reverse(ahead.seen.len());
            ahead.queue.push((commit.date, order, id));
        }
        Ok(())
    }
}

/// The commits that are to be looked at, youngest first, and of equal ones that which was met first.
#[derive(Default)]
struct Ahead {
    queue: BinaryHeap<(i64, Reverse<usize>, ObjectId)>,
    seen: HashSet<ObjectId>,
}

impl Ahead {
    fn pop(&mut self) -> Option<ObjectId> {
        self.queue.pop().map(|(_, _, id)| id)
    }
}

/// The pattern, and whether it is to match; `None` for what git keeps for later.
fn polarity(pattern: &BStr) -> Option<(&BStr, bool)> {
    match pattern.strip_prefix(b"!") {
        None => Some((pattern, true)),
        Some(rest) if rest.starts_with(b"!") => Some((rest.as_bstr(), true)),
        Some(rest) => rest.strip_prefix(b"-").map(|rest| (rest.as_bstr(), false)),
    }
}

/// An extended regular expression as POSIX knows it, near enough: a dot takes in line feeds, `^` and `$` are the ends of
/// the whole message.
fn compile(pattern: &BStr) -> Option<Regex> {
    RegexBuilder::new(pattern.to_str().ok()?).unicode(false).dot_matches_new_line(true).build().ok()
}
