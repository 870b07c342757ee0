//! Abbreviated ids, and which of several objects is meant.

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::{Error, Event, Hint, Resolver, broken};

/// gitrevisions(7), "`<sha1>`": the fewest digits.
const LEN_MIN: usize = 4;

/// What begins the list of objects that an id may mean.
const CANDIDATES: &str = "\nhint: The candidates are:";

/// What the digits of an abbreviated id stand for.
enum Meant {
    Nothing,
    One(ObjectId),
    Several(Vec<ObjectId>),
}

impl Resolver<'_> {
    /// The object whose id begins with `digits`. If there are several and `hint` does not tell which one is meant, it is
    /// told which there are, and the answer is none.
    pub(super) fn resolve_short(&mut self, digits: &BStr, hint: Hint) -> Result<Option<ObjectId>, Error> {
        let digits = digits.to_ascii_lowercase();
        let meant = match self.meant_by(digits.as_bstr(), hint)? {
            Meant::Nothing => return Ok(None),
            Meant::One(id) => return Ok(Some(id)),
            Meant::Several(ids) => ids,
        };
        let mut text = format!("short object ID {} is ambiguous{CANDIDATES}", digits.as_bstr());
        for line in self.describe(meant)? {
            text.push_str("\nhint:   ");
            text.push_str(&line);
        }
        self.report(Event::Error(&text))?;
        Ok(None)
    }

    /// The commit that `text` names as git-describe(1) does, `v1.0-14-gdeadbee`. Nothing is told if there are several.
    pub(super) fn resolve_described(&mut self, text: &BStr) -> Result<Option<ObjectId>, Error> {
        let Some((_, digits)) = text.rsplit_once_str("-g") else { return Ok(None) };
        match self.meant_by(digits.as_bstr(), Hint::Commit)? {
            Meant::One(id) => Ok(Some(id)),
            Meant::Nothing | Meant::Several(_) => Ok(None),
        }
    }

    fn meant_by(&self, digits: &BStr, hint: Hint) -> Result<Meant, Error> {
        let candidates = self.candidates(digits);
        match candidates[..] {
            [] => return Ok(Meant::Nothing),
            [only] => return Ok(Meant::One(only)),
            [_, _, ..] => {}
        }
        let hint = if hint == Hint::Configured { self.configured_hint()? } else { hint };
        let mut fitting = Vec::new();
        for candidate in &candidates {
            if self.fits(candidate, hint)? {
                fitting.push(*candidate);
            }
        }
        Ok(match fitting[..] {
            [] => Meant::Several(candidates),
            [only] => Meant::One(only),
            [_, _, ..] => Meant::Several(fitting),
        })
    }

    /// Whether `digits` are the beginning of exactly one id.
    pub(super) fn is_short(&self, digits: &BStr) -> bool {
        self.candidates(digits).len() == 1
    }

    fn candidates(&self, digits: &BStr) -> Vec<ObjectId> {
        let lengths = LEN_MIN..=self.repo.object_hash.len_in_hex();
        if !lengths.contains(&digits.len()) || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Vec::new();
        }
        self.objects.find_all_prefixed(digits.to_ascii_lowercase().as_bstr())
    }

    /// `core.disambiguate`.
    fn configured_hint(&self) -> Result<Hint, Error> {
        let Some(value) = self.repo.config.string("core.disambiguate") else { return Ok(Hint::Configured) };
        match value.to_ascii_lowercase().as_slice() {
            b"none" => Ok(Hint::Configured),
            b"commit" => Ok(Hint::Commit),
            b"committish" => Ok(Hint::Committish),
            b"tree" => Ok(Hint::Tree),
            b"treeish" => Ok(Hint::Treeish),
            b"blob" => Ok(Hint::Blob),
            _ => Err(Error::Config(format!("unknown hint type for 'core.disambiguate': {value}"))),
        }
    }

    fn fits(&self, id: &ObjectId, hint: Hint) -> Result<bool, Error> {
        let kind = self.objects.kind(id).map_err(broken)?;
        let peeled = |objects: &super::Objects| {
            objects.peel(id).map(|found| found.map(|(_, kind)| kind)).map_err(broken)
        };
        Ok(match hint {
            Hint::Configured => true,
            Hint::Commit => kind == Some(Kind::Commit),
            Hint::Tree => kind == Some(Kind::Tree),
            Hint::Blob => kind == Some(Kind::Blob),
            Hint::Committish => peeled(&self.objects)? == Some(Kind::Commit),
            Hint::Treeish => matches!(peeled(&self.objects)?, Some(Kind::Commit | Kind::Tree)),
        })
    }

    /// A line for each object, in git's order: tags, commits, trees, blobs.
    fn describe(&self, ids: Vec<ObjectId>) -> Result<Vec<String>, Error> {
        let mut known = Vec::new();
        for id in ids {
            known.push((rank(self.objects.kind(&id).map_err(broken)?), id));
        }
        known.sort_unstable();
        let length = self.objects.abbreviation_len();
        let mut lines = Vec::new();
        for (_, id) in known {
            let short = self.objects.abbreviate(&id, length);
            let mut content = Vec::new();
            let what = match self.read(&id, &mut content)? {
                Some(kind @ (Kind::Commit | Kind::Tag)) => {
                    format!("{kind} {}", title(kind, &content, self.repo.object_hash))
                }
                Some(kind @ (Kind::Tree | Kind::Blob)) => kind.to_string(),
                None => "[bad object]".to_owned(),
            };
            lines.push(format!("{short} {what}"));
        }
        Ok(lines)
    }
}

fn rank(kind: Option<Kind>) -> u8 {
    match kind {
        Some(Kind::Tag) => 0,
        Some(Kind::Commit) => 1,
        Some(Kind::Tree) => 2,
        Some(Kind::Blob) => 3,
        None => 4,
    }
}

/// `<day> - <subject>` of a commit, `<day> - <name>` of a tag.
fn title(kind: Kind, content: &[u8], object_hash: gix_hash::Kind) -> String {
    let day = |time: Option<gix_date::Time>| {
        let format = |time: gix_date::Time| time.format(gix_date::time::format::SHORT).ok();
        time.and_then(format).unwrap_or_default()
    };
    if kind == Kind::Tag {
        let tag = gix_object::TagRef::from_bytes(content, object_hash).ok();
        let time = tag.as_ref().and_then(|tag| tag.tagger().ok().flatten()).and_then(|who| who.time().ok());
        return format!("{} - {}", day(time), tag.map_or(BStr::new(""), |tag| tag.name));
    }
    let commit = gix_object::CommitRef::from_bytes(content, object_hash).ok();
    let time = commit.as_ref().and_then(|commit| commit.author().ok()).and_then(|who| who.time().ok());
    let subject = commit.map(|commit| commit.message_summary().into_owned()).unwrap_or_default();
    format!("{} - {subject}", day(time))
}
