//! Refspecs: which refs of one side become which of the other. `git-fetch(1)`, "CONFIGURED REMOTE-TRACKING BRANCHES"
//! and `<refspec>`.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;

/// One refspec of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refspec {
    /// `+`: the update need not be a fast-forward.
    pub force: bool,
    /// What is fetched.
    pub source: Source,
    /// Where it is stored; `None` stores nothing but `FETCH_HEAD`.
    pub destination: Option<BString>,
}

/// The left side of a fetch refspec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A ref by its full name or by one that git completes; `HEAD` if the side was empty.
    Name(BString),
    /// Names with one `*`; the destination, if any, has one too.
    Pattern(BString),
    /// An object by its full id.
    Id(ObjectId),
    /// `^name`: names that match are left out. Has no destination.
    Exclude(BString),
}

impl Refspec {
    /// Parses a refspec given to fetch. `tag <name>` is two words and not parsed here, see [`Self::tag`].
    pub fn parse_fetch(text: &BStr) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Refspec(text.to_owned()))
    }

    /// What `tag <name>` stands for: `refs/tags/<name>:refs/tags/<name>`.
    pub fn tag(name: &BStr) -> Result<Self, Error> {
        let mut text = BString::from("refs/tags/");
        text.extend_from_slice(name);
        let mut both = text.clone();
        both.push(b':');
        both.extend_from_slice(&text);
        Self::parse_fetch(both.as_bstr())
    }

    /// `refs/tags/*:refs/tags/*`, which `--tags` adds.
    pub fn all_tags() -> Self {
        Self {
            force: false,
            source: Source::Pattern("refs/tags/*".into()),
            destination: Some("refs/tags/*".into()),
        }
    }

    /// The destination of the ref `name`, if this is a pattern that takes it in: `Some(None)` where nothing is stored.
    pub fn map_pattern(&self, name: &BStr) -> Option<Option<BString>> {
        let Source::Pattern(pattern) = &self.source else { return None };
        let middle = match_pattern(pattern.as_bstr(), name)?;
        Some(self.destination.as_ref().map(|destination| substitute(destination.as_bstr(), middle)))
    }

    /// Whether this is a negative refspec that leaves `name` out.
    pub fn excludes(&self, name: &BStr) -> bool {
        match &self.source {
            Source::Exclude(pattern) if pattern.contains(&b'*') => {
                match_pattern(pattern.as_bstr(), name).is_some()
            }
            Source::Exclude(excluded) => excluded == name,
            Source::Name(_) | Source::Pattern(_) | Source::Id(_) => false,
        }
    }

    /// The source that would be stored at the local ref `name`: the refspec read from right to left, as prune needs it.
    pub fn source_of(&self, name: &BStr) -> Option<BString> {
        let destination = self.destination.as_ref()?;
        match &self.source {
            Source::Pattern(pattern) => {
                let middle = match_pattern(destination.as_bstr(), name)?;
                Some(substitute(pattern.as_bstr(), middle))
            }
            Source::Name(source) => (destination == name).then(|| source.clone()),
            Source::Id(_) | Source::Exclude(_) => None,
        }
    }

    /// What a server must be asked for so that this refspec can be matched: prefixes for v2's `ls-refs`.
    pub fn prefixes(&self) -> Vec<BString> {
        match &self.source {
            Source::Pattern(pattern) => {
                vec![pattern.split_once_str("*").map_or(pattern.as_bytes(), |(before, _)| before).into()]
            }
            Source::Name(name) => candidates(name.as_bstr()),
            Source::Id(_) | Source::Exclude(_) => Vec::new(),
        }
    }
}

/// The full names that a short one may mean, in the order git tries them. `gitrevisions(7)`, "`<refname>`".
pub fn candidates(name: &BStr) -> Vec<BString> {
    const RULES: [(&str, &str); 6] = [
        ("", ""),
        ("refs/", ""),
        ("refs/tags/", ""),
        ("refs/heads/", ""),
        ("refs/remotes/", ""),
        ("refs/remotes/", "/HEAD"),
    ];
    RULES
        .iter()
        .map(|(before, after)| {
            let mut full = BString::from(*before);
            full.extend_from_slice(name);
            full.extend_from_slice(after.as_bytes());
            full
        })
        .collect()
}

fn parse(text: &BStr) -> Option<Refspec> {
    if let Some(excluded) = text.strip_prefix(b"^") {
        return parse_negative(excluded.as_bstr());
    }
    let (force, rest) = match text.strip_prefix(b"+") {
        Some(rest) => (true, rest.as_bstr()),
        None => (false, text),
    };
    let (source, destination) = match rest.rfind_byte(b':') {
        Some(at) => {
            let (source, destination) = rest.split_at(at);
            (source.as_bstr(), Some(destination.get(1..)?.as_bstr()))
        }
        None => (rest, None),
    };
    let pattern = source.contains(&b'*');
    match destination.filter(|side| !side.is_empty()) {
        Some(side) if side.contains(&b'*') != pattern || !is_valid_side(side, pattern) => return None,
        // What many refs are to become must be said.
        None if pattern => return None,
        Some(_) | None => {}
    }
    let source = parse_source(source, pattern)?;
    let destination = destination.filter(|side| !side.is_empty()).map(ToOwned::to_owned);
    Some(Refspec { force, source, destination })
}

fn parse_source(source: &BStr, pattern: bool) -> Option<Source> {
    if source.is_empty() || source == "@" {
        return Some(Source::Name("HEAD".into()));
    }
    if let Some(id) = parse_id(source) {
        return Some(Source::Id(id));
    }
    if !is_valid_side(source, pattern) {
        return None;
    }
    Some(if pattern { Source::Pattern(source.to_owned()) } else { Source::Name(source.to_owned()) })
}

/// Negative refspecs have one side that is a name or a pattern, never an id.
fn parse_negative(excluded: &BStr) -> Option<Refspec> {
    let valid = !excluded.is_empty()
        && !excluded.contains(&b':')
        && parse_id(excluded).is_none()
        && is_valid_side(excluded, excluded.contains(&b'*'));
    valid.then(|| Refspec { force: false, source: Source::Exclude(excluded.to_owned()), destination: None })
}

pub(super) fn parse_id(text: &BStr) -> Option<ObjectId> {
    let lengths = [gix_hash::Kind::Sha1.len_in_hex(), gix_hash::Kind::Sha256.len_in_hex()];
    if !lengths.contains(&text.len()) {
        return None;
    }
    ObjectId::from_hex(text).ok()
}

/// `git-check-ref-format(1)` with `--allow-onelevel`, and `--refspec-pattern` for patterns.
pub(super) fn is_valid_side(side: &BStr, pattern: bool) -> bool {
    if !pattern {
        return is_valid_name(side);
    }
    if side.find_iter("*").count() != 1 {
        return false;
    }
    // A star may stand for anything that a name may hold, so a letter in its place decides.
    is_valid_name(side.replace(b"*", b"x").as_bstr())
}

/// Whether `name` is well-formed, one level being enough.
pub fn is_valid_name(name: &BStr) -> bool {
    crate::text::is_partial_ref_name(name)
}

/// Whether the shell pattern `pattern` matches all of `path`; a star matches slashes too.
pub fn wildmatch(pattern: &BStr, path: &BStr) -> bool {
    gix_glob::wildmatch(pattern, path, gix_glob::wildmatch::Mode::empty())
}

/// What the `*` of `pattern` stands for in `name`.
pub(super) fn match_pattern<'a>(pattern: &BStr, name: &'a BStr) -> Option<&'a [u8]> {
    let (before, after) = split_at_star(pattern)?;
    name.strip_prefix(before)?.strip_suffix(after)
}

fn split_at_star(pattern: &BStr) -> Option<(&[u8], &[u8])> {
    let (before, rest) = pattern.split_at_checked(pattern.find_byte(b'*')?)?;
    Some((before, rest.get(1..)?))
}

pub(super) fn substitute(pattern: &BStr, middle: &[u8]) -> BString {
    match split_at_star(pattern) {
        Some((before, after)) => [before, middle, after].concat().into(),
        None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Refspec {
        Refspec::parse_fetch(text.into()).expect(text)
    }

    #[test]
    fn sides_and_force_are_told_apart() {
        let spec = parsed("+refs/heads/*:refs/remotes/origin/*");
        assert!(spec.force);
        assert_eq!(
            spec.map_pattern("refs/heads/a/b".into()),
            Some(Some(BString::from("refs/remotes/origin/a/b")))
        );
        assert_eq!(spec.map_pattern("refs/tags/a".into()), None);
        assert_eq!(spec.source_of("refs/remotes/origin/x".into()), Some("refs/heads/x".into()));
    }

    #[test]
    fn an_empty_source_is_head() {
        assert_eq!(parsed(":refs/heads/x").source, Source::Name("HEAD".into()));
        assert_eq!(parsed("").source, Source::Name("HEAD".into()));
        assert_eq!(parsed("@").source, Source::Name("HEAD".into()));
    }

    #[test]
    fn a_star_in_the_middle_of_a_component_matches() {
        let spec = parsed("refs/heads/rel-*-x:refs/y/*-z");
        assert_eq!(spec.map_pattern("refs/heads/rel-1-x".into()), Some(Some("refs/y/1-z".into())));
    }

    #[test]
    fn negative_refspecs_have_one_side() {
        assert!(parsed("^refs/heads/wip/*").excludes("refs/heads/wip/a".into()));
        assert!(!parsed("^refs/heads/wip/*").excludes("refs/heads/main".into()));
        for bad in ["^", "^a:b", "^1234567890123456789012345678901234567890"] {
            assert!(Refspec::parse_fetch(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn malformed_refspecs_are_refused() {
        for bad in [
            "main:refs/heads/x:y",
            "refs/heads/*:x",
            "a:b*",
            "refs/*/*:x/*",
            "a..b",
            "a b",
            "x:y.lock",
            "-:~",
        ] {
            assert!(Refspec::parse_fetch(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_full_id_is_an_object() {
        let spec = parsed("1234567890123456789012345678901234567890:refs/heads/x");
        assert!(matches!(spec.source, Source::Id(_)));
    }
}
