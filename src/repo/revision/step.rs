//! The steps behind a name: `^2`, `~3`, `^{commit}`, `^{/text}`.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::{Error, Event, Hint, Resolver, broken};

/// One step from an object to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `^n`: the n-th parent; 0 is the commit itself.
    Parent(usize),
    /// `~n`: so many first parents up.
    Ancestor(usize),
    /// `^{}`: what a tag leads to.
    Peel,
    /// `^{object}`: the object itself, if it exists.
    Exist,
    /// `^{commit}` and the like.
    Kind(Kind),
    /// `^{/text}`: the youngest commit that says so.
    Search(BString),
}

impl Step {
    /// What an abbreviated id before this step should be.
    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Parent(_) | Self::Ancestor(_) | Self::Kind(Kind::Commit) => Hint::Committish,
            Self::Kind(Kind::Tree) => Hint::Treeish,
            Self::Kind(Kind::Blob | Kind::Tag) | Self::Peel | Self::Exist | Self::Search(_) => {
                Hint::Configured
            }
        }
    }
}

/// Takes the steps off the end of `expression`: the base, and each step with the expression up to its end, in the order
/// they are taken. `None` if a number is too large for any history.
pub(super) fn split(expression: &BStr) -> Option<(&BStr, Vec<(Step, &BStr)>)> {
    let mut base = expression;
    let mut steps = Vec::new();
    while let Some((before, step)) = last_step(base)? {
        steps.push((step, base));
        base = before;
    }
    steps.reverse();
    Some((base, steps))
}

/// The last step and what stands before it; the outer `None` is a number that is too large.
#[expect(clippy::option_option, reason = "no step, and a step that leads nowhere")]
fn last_step(text: &BStr) -> Option<Option<(&BStr, Step)>> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = text.split_at(text.len() - digits);
    if let Some((sign @ (b'^' | b'~'), before)) = before.split_last() {
        let number = if number.is_empty() {
            1
        } else {
            i32::try_from(number.to_str().ok()?.parse::<u64>().ok()?).ok()?
        };
        let number = usize::try_from(number).ok()?;
        let step = if *sign == b'^' { Step::Parent(number) } else { Step::Ancestor(number) };
        return Some(Some((before.as_bstr(), step)));
    }
    Some(braced_step(text))
}

/// `^{…}` at the end.
fn braced_step(text: &BStr) -> Option<(&BStr, Step)> {
    let (before, inner) = text.strip_suffix(b"}")?.rsplit_once_str("^{")?;
    let step = match inner {
        b"" => Step::Peel,
        b"object" => Step::Exist,
        _ => match inner.strip_prefix(b"/") {
            Some(pattern) => Step::Search(pattern.into()),
            None => Step::Kind(Kind::from_bytes(inner).ok()?),
        },
    };
    Some((before.as_bstr(), step))
}

impl Resolver<'_> {
    /// Where `step` leads from `id`; `so_far` is the expression up to its end, for messages.
    pub(super) fn take_step(
        &mut self,
        id: ObjectId,
        step: &Step,
        so_far: &BStr,
    ) -> Result<Option<ObjectId>, Error> {
        match step {
            Step::Parent(number) => self.parent(id, *number),
            Step::Ancestor(count) => self.ancestor(id, *count),
            Step::Peel => Ok(self.objects.peel(&id).map_err(broken)?.map(|(id, _)| id)),
            Step::Exist => Ok(self.objects.contains(&id).then_some(id)),
            Step::Kind(kind) => self.peel_or_tell(id, *kind, so_far),
            Step::Search(pattern) => match self.peel_or_tell(id, Kind::Commit, so_far)? {
                Some(commit) if !pattern.is_empty() => self.search(pattern.as_bstr(), vec![commit]),
                found => Ok(found),
            },
        }
    }

    fn parent(&mut self, id: ObjectId, number: usize) -> Result<Option<ObjectId>, Error> {
        let Some(id) = self.commit_of(id)? else { return Ok(None) };
        let Some(parent) = number.checked_sub(1) else { return Ok(Some(id)) };
        let commit = self.objects.commit(&id).map_err(broken)?;
        Ok(commit.and_then(|commit| commit.parents.get(parent).copied()))
    }

    fn ancestor(&mut self, id: ObjectId, count: usize) -> Result<Option<ObjectId>, Error> {
        let Some(mut id) = self.commit_of(id)? else { return Ok(None) };
        for _ in 0..count {
            let commit = self.objects.commit(&id).map_err(broken)?;
            match commit.and_then(|commit| commit.parents.first().copied()) {
                Some(parent) => id = parent,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    /// The commit that `id` is or a tag leads to.
    fn commit_of(&mut self, id: ObjectId) -> Result<Option<ObjectId>, Error> {
        match self.objects.peel(&id).map_err(broken)? {
            Some((commit, Kind::Commit)) => Ok(Some(commit)),
            Some((other, kind @ (Kind::Tree | Kind::Blob | Kind::Tag))) => {
                self.report(Event::Error(&format!("object {other} is a {kind}, not a commit")))?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The object of `kind` that `id` is or leads to: tags name an object, commits have a tree.
    pub(super) fn peel_to(&mut self, id: ObjectId, kind: Kind) -> Result<Option<ObjectId>, Error> {
        if kind == Kind::Tag {
            let is_tag = self.objects.kind(&id).map_err(broken)? == Some(Kind::Tag);
            return Ok(is_tag.then_some(id));
        }
        match self.objects.peel(&id).map_err(broken)? {
            Some((id, Kind::Commit)) if kind == Kind::Tree => {
                Ok(self.objects.commit(&id).map_err(broken)?.map(|commit| commit.tree))
            }
            Some((id, found)) => Ok((found == kind).then_some(id)),
            None => Ok(None),
        }
    }

    /// As [`Self::peel_to`], telling what the object leads to instead.
    fn peel_or_tell(&mut self, id: ObjectId, kind: Kind, so_far: &BStr) -> Result<Option<ObjectId>, Error> {
        let found = self.peel_to(id, kind)?;
        if found.is_none()
            && let Some((_, last)) = self.objects.peel(&id).map_err(broken)?
        {
            // git tries the tree of a commit before it gives up
            let last = if last == Kind::Blob { last } else { Kind::Tree };
            let text = format!("{so_far}: expected {kind} type, but the object dereferences to {last} type");
            self.report(Event::Error(&text))?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_off_the_end() {
        let (base, steps) = split("a^{/b^c}~2^".into()).unwrap();
        assert_eq!(base, "a");
        let steps: Vec<Step> = steps.into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [Step::Search("b^c".into()), Step::Ancestor(2), Step::Parent(1)]);
        for whole in ["a^{x}", "a^{tree", "", "a@{1}", "a^{tree}x"] {
            assert_eq!(split(whole.into()), Some((whole.into(), Vec::new())), "{whole}");
        }
        assert_eq!(split("a~2147483648".into()), None);
        assert_eq!(split("a^99999999999999999999999".into()), None);
    }

    #[test]
    fn a_long_chain_of_steps_needs_no_deep_stack() {
        let text = format!("HEAD{}", "^".repeat(200_000));
        assert_eq!(split(text.as_bytes().as_bstr()).unwrap().1.len(), 200_000);
    }
}
