//! Refspecs as a push reads them: git-push(1), `<refspec>`.

use bstr::{BStr, BString, ByteSlice};

use crate::remote::Error;
use crate::remote::refspec::{is_valid_name, is_valid_side, match_pattern, parse_id, substitute};

/// One refspec of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRefspec {
    /// `+`: the update need not be a fast-forward.
    pub force: bool,
    /// What is pushed where.
    pub content: Content,
}

/// What a refspec pushes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// `:`: branches that both sides have.
    Matching,
    /// `:<destination>`: the ref of the far side is deleted.
    Delete(BString),
    /// `<source>[:<destination>]`: one object. The source is any expression of gitrevisions(7) if there is a destination.
    One {
        /// What is pushed; `HEAD` for `@`.
        source: BString,
        /// Where to, as it was said; the ref that the source is, if nothing was.
        destination: Option<BString>,
    },
    /// Refs by their full names, with one `*` on both sides.
    Pattern {
        /// Which of our refs.
        source: BString,
        /// What they are called on the far side.
        destination: BString,
    },
    /// `^<name>`: refs of ours that match are not pushed.
    Exclude(BString),
}

impl PushRefspec {
    /// Parses a refspec; `tag <name>` is two words and not known here.
    ///
    /// # Errors
    ///
    /// [`Error::Refspec`].
    pub fn parse(text: &BStr) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Refspec(text.to_owned()))
    }

    /// `<pattern>:<pattern>`.
    pub(super) fn same_names(pattern: &str) -> Self {
        let content = Content::Pattern { source: pattern.into(), destination: pattern.into() };
        Self { force: false, content }
    }

    /// `source:destination`, both names of refs in full.
    pub(super) fn one(source: BString, destination: BString) -> Self {
        Self { force: false, content: Content::One { source, destination: Some(destination) } }
    }

    /// The destination of our ref `name` where this is a pattern that takes it in.
    pub(super) fn map_pattern(&self, name: &BStr) -> Option<BString> {
        match &self.content {
            Content::Pattern { source, destination } => {
                let middle = match_pattern(source.as_bstr(), name)?;
                Some(substitute(destination.as_bstr(), middle))
            }
            Content::Matching | Content::Delete(_) | Content::One { .. } | Content::Exclude(_) => None,
        }
    }

    /// Whether this is a negative refspec that leaves out our ref `name`.
    pub(super) fn excludes(&self, name: &BStr) -> bool {
        match &self.content {
            Content::Exclude(pattern) if pattern.contains(&b'*') => {
                match_pattern(pattern.as_bstr(), name).is_some()
            }
            Content::Exclude(excluded) => excluded == name,
            Content::Matching | Content::Delete(_) | Content::One { .. } | Content::Pattern { .. } => false,
        }
    }

    /// Our ref that would be pushed to the far side's `name`: a pattern, or `:`, read from right to left.
    pub(super) fn source_of(&self, name: &BStr) -> Option<BString> {
        match &self.content {
            Content::Pattern { source, destination } => {
                let middle = match_pattern(destination.as_bstr(), name)?;
                Some(substitute(source.as_bstr(), middle))
            }
            Content::Matching => name.starts_with(b"refs/heads/").then(|| name.to_owned()),
            Content::Delete(_) | Content::One { .. } | Content::Exclude(_) => None,
        }
    }
}

fn parse(text: &BStr) -> Option<PushRefspec> {
    if let Some(excluded) = text.strip_prefix(b"^") {
        return parse_negative(excluded.as_bstr());
    }
    let (force, rest) = match text.strip_prefix(b"+") {
        Some(rest) => (true, rest.as_bstr()),
        None => (false, text),
    };
    let content = match rest.rfind_byte(b':') {
        Some(_) if rest == ":" => Content::Matching,
        Some(at) => {
            let (source, destination) = rest.split_at(at);
            parse_sides(source.as_bstr(), destination.get(1..)?.as_bstr())?
        }
        None => parse_source(rest)?,
    };
    Some(PushRefspec { force, content })
}

fn parse_sides(source: &BStr, destination: &BStr) -> Option<Content> {
    let is_pattern = source.contains(&b'*');
    if is_pattern != destination.contains(&b'*') || !is_valid_side(destination, is_pattern) {
        return None;
    }
    if source.is_empty() {
        return Some(Content::Delete(destination.to_owned()));
    }
    let destination = destination.to_owned();
    if is_pattern {
        return is_valid_side(source, true)
            .then(|| Content::Pattern { source: source.to_owned(), destination });
    }
    // What names an object is found out later: any expression may.
    Some(Content::One { source: head_for_at(source), destination: Some(destination) })
}

/// A refspec of one side, which has to be a name.
fn parse_source(source: &BStr) -> Option<Content> {
    let is_pattern = source.contains(&b'*');
    let name = head_for_at(source);
    if !is_valid_side(name.as_bstr(), is_pattern) {
        return None;
    }
    Some(if is_pattern {
        Content::Pattern { source: name.clone(), destination: name }
    } else {
        Content::One { source: name, destination: None }
    })
}

fn parse_negative(excluded: &BStr) -> Option<PushRefspec> {
    let is_pattern = excluded.contains(&b'*');
    let is_id = parse_id(excluded).is_some();
    let is_valid = if is_pattern { is_valid_side(excluded, true) } else { is_valid_name(excluded) };
    (is_valid && !is_id)
        .then(|| PushRefspec { force: false, content: Content::Exclude(head_for_at(excluded)) })
}

/// gitrevisions(7): `@` alone is `HEAD`.
fn head_for_at(name: &BStr) -> BString {
    if name == "@" { "HEAD".into() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Content {
        PushRefspec::parse(text.into()).expect(text).content
    }

    #[test]
    fn every_form_is_known() {
        let one = |source: &str, destination: Option<&str>| Content::One {
            source: source.into(),
            destination: destination.map(BString::from),
        };
        for (text, expected) in [
            ("main", one("main", None)),
            ("@", one("HEAD", None)),
            ("@:x", one("HEAD", Some("x"))),
            ("main:x", one("main", Some("x"))),
            ("HEAD~2^{tree}:refs/tags/x", one("HEAD~2^{tree}", Some("refs/tags/x"))),
            ("HEAD:a/b:refs/tags/x", one("HEAD:a/b", Some("refs/tags/x"))),
            (":x", Content::Delete("x".into())),
            (":", Content::Matching),
            ("^refs/heads/w*", Content::Exclude("refs/heads/w*".into())),
            ("refs/heads/*", PushRefspec::same_names("refs/heads/*").content),
        ] {
            assert_eq!(content(text), expected, "{text}");
        }
    }

    #[test]
    fn a_plus_forces_any_of_them() {
        for text in ["+main", "+:", "+:x", "+a:b", "+refs/heads/*:refs/x/*"] {
            assert!(PushRefspec::parse(text.into()).expect(text).force, "{text}");
        }
        assert!(!PushRefspec::parse("main".into()).expect("main").force);
    }

    #[test]
    fn malformed_refspecs_are_refused() {
        for bad in [
            "",
            "+",
            "main:",
            "HEAD~1",
            "a*:b",
            "a:b*",
            ":refs/*",
            "a:x/",
            "a:.x",
            "a:b..c",
            "refs/*/*",
            "^",
            "^a:b",
            "^refs/*:x",
            "a b",
            "^1234567890123456789012345678901234567890",
        ] {
            let error = PushRefspec::parse(bad.into()).expect_err(bad).to_string();
            assert_eq!(error, format!("invalid refspec '{bad}'"));
        }
    }

    #[test]
    fn patterns_are_read_both_ways() {
        let pattern = PushRefspec::parse("refs/heads/*:refs/x/*-y".into()).unwrap();
        assert_eq!(pattern.map_pattern("refs/heads/a/b".into()), Some("refs/x/a/b-y".into()));
        assert_eq!(pattern.map_pattern("refs/tags/a".into()), None);
        assert_eq!(pattern.source_of("refs/x/a-y".into()), Some("refs/heads/a".into()));
        assert_eq!(pattern.source_of("refs/x/a".into()), None);
        let matching = PushRefspec::parse(":".into()).unwrap();
        assert_eq!(matching.source_of("refs/heads/a".into()), Some("refs/heads/a".into()));
        assert_eq!(matching.source_of("refs/tags/a".into()), None);
        let negative = PushRefspec::parse("^refs/heads/a*".into()).unwrap();
        assert!(negative.excludes("refs/heads/ab".into()) && !negative.excludes("refs/heads/b".into()));
    }
}
