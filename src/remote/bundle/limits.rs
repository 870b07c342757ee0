//! Which commits between the ends of history are meant: git-rev-list(1), "Commit Limiting", and the options that say it.

use std::collections::VecDeque;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::TagRefIter;

use super::grep::Grep;
use super::revisions::Parser;
use super::unreadable;
use crate::pack::enumerate::FilterSpec;
use crate::remote::Error;
use crate::repo::object::Commit;
use crate::repo::{Objects, parse_date};

/// Which commits between the tips are meant.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// `--since`: the walk ends at commits that are older.
    since: Option<i64>,
    /// `--since-as-filter`.
    since_as_filter: Option<i64>,
    until: Option<i64>,
    pub(super) max_count: Option<usize>,
    pub(super) skip: usize,
    pub(super) first_parent: bool,
    /// `--exclude-first-parent-only`: what is left out is followed along first parents alone.
    pub(super) exclude_first_parent: bool,
    parents_min: usize,
    parents_max: Option<usize>,
    /// `--no-walk`: the tips alone, where nothing is left out.
    pub(super) no_walk: bool,
    /// `--no-walk=unsorted`: in the order in which they were said.
    pub(super) is_unsorted: bool,
    /// `--ancestry-path`: commits that lead to one of these or that one of these leads to; with none, to what is left out.
    pub(super) ancestry_path: Option<Vec<ObjectId>>,
    /// `--left-only` or `--right-only` of `a...b`.
    pub(super) side: Option<Side>,
    /// `--unpacked`: commits that are in no pack.
    is_unpacked: bool,
    /// `--grep` and its kin.
    pub(super) grep: Option<Grep>,
}

/// One end of `a...b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What `a` leads to.
    Left,
    /// The rest.
    Right,
}

impl Limits {
    /// Whether the walk ends at `commit`.
    pub(super) fn is_too_old(&self, commit: &Commit) -> bool {
        self.since.is_some_and(|since| commit.date < since)
    }

    /// Whether all commits have to be known before the first is chosen.
    pub(super) fn needs_all(&self) -> bool {
        self.ancestry_path.is_some() || self.side.is_some()
    }

    /// The parents of `commit` that are left out as it is.
    pub(super) fn excluded_parents<'a>(&self, commit: &'a Commit) -> &'a [ObjectId] {
        let count = if self.exclude_first_parent { 1 } else { commit.parents.len() };
        commit.parents.get(..count).unwrap_or_default()
    }

    /// Whether `commit`, which is `id`, is one of those meant.
    pub(super) fn takes(&self, objects: &Objects, id: &ObjectId, commit: &Commit) -> Result<bool, Error> {
        let is_missed = self.is_unpacked && !objects.packs_with(id).is_empty();
        Ok(!is_missed && self.fits(commit) && self.says(objects, id)?)
    }

    /// Whether its message and its people are as they should be.
    fn says(&self, objects: &Objects, id: &ObjectId) -> Result<bool, Error> {
        let Some(grep) = &self.grep else { return Ok(true) };
        let mut content = Vec::new();
        objects.find(id, &mut content).map_err(unreadable)?;
        Ok(grep.takes(&content))
    }

    /// Whether its date and its parents are.
    fn fits(&self, commit: &Commit) -> bool {
        let parents = commit.parents.len();
        self.until.is_none_or(|until| commit.date <= until)
            && self.since_as_filter.is_none_or(|since| commit.date >= since)
            && parents >= self.parents_min
            && self.parents_max.is_none_or(|max| parents <= max)
    }

    /// Whether the tag object `id` was made in the time that is asked for.
    pub(super) fn takes_tag(&self, objects: &Objects, id: &ObjectId) -> Result<bool, Error> {
        if self.since.is_none() && self.until.is_none() {
            return Ok(true);
        }
        let mut content = Vec::new();
        objects.find(id, &mut content).map_err(unreadable)?;
        let tagger = TagRefIter::from_bytes(&content, id.kind()).tagger().ok().flatten();
        let Some(date) = tagger.and_then(|tagger| tagger.time().ok()).map(|time| time.seconds) else {
            return Ok(true);
        };
        Ok(self.since.is_none_or(|since| since < date) && self.until.is_none_or(|until| until > date))
    }
}

impl Parser<'_> {
    /// Options that limit the walk; false if it is another.
    pub(super) fn limit(&mut self, option: &BStr, rest: &mut VecDeque<&BString>) -> Result<bool, Error> {
        if self.grep.switch(option) {
            return Ok(true);
        }
        let limits = &mut self.revisions.limits;
        match option.as_bytes() {
            b"--ignore-missing" => self.ignores_missing = true,
            b"--no-walk" | b"--no-walk=sorted" | b"--no-walk=unsorted" => {
                limits.no_walk = true;
                limits.is_unsorted = option == "--no-walk=unsorted";
            }
            b"--do-walk" => limits.no_walk = false,
            b"--first-parent" => limits.first_parent = true,
            b"--exclude-first-parent-only" => limits.exclude_first_parent = true,
            b"--merges" => limits.parents_min = 2,
            b"--no-merges" => limits.parents_max = Some(1),
            b"--no-min-parents" => limits.parents_min = 0,
            b"--no-max-parents" => limits.parents_max = None,
            b"--left-only" => limits.side = Some(Side::Left),
            b"--right-only" => limits.side = Some(Side::Right),
            b"--cherry" => {
                limits.side = Some(Side::Right);
                limits.parents_max = Some(1);
            }
            b"--unpacked" => limits.is_unpacked = true,
            b"--ancestry-path" => drop(limits.ancestry_path.get_or_insert_default()),
            b"--no-filter" => self.revisions.filters.clear(),
            _ => return self.valued(option, rest),
        }
        Ok(true)
    }

    /// Options with a value, behind `=` or as the next argument.
    fn valued(&mut self, option: &BStr, rest: &mut VecDeque<&BString>) -> Result<bool, Error> {
        let (name, value) = split_value(option);
        let name = name.to_str_lossy();
        let mut value = || match value.or_else(|| rest.pop_front().map(|value| value.as_bstr())) {
            Some(value) => Ok(value),
            None if name == "-n" => Err(Error::Usage("-n requires an argument".into())),
            None if name == "--default" => Err(Error::Usage("bad --default argument".into())),
            None => Err(Error::Usage(format!("Option '{name}' requires a value"))),
        };
        if let Some(patterns) = self.grep.patterns(&name) {
            patterns.push(value()?.to_owned());
            return Ok(true);
        }
        let limits = &mut self.revisions.limits;
        match &*name {
            "--max-count" | "-n" => limits.max_count = usize::try_from(number(value()?)?).ok(),
            "--skip" => limits.skip = usize::try_from(number(value()?)?).unwrap_or(0),
            "--since" | "--after" => limits.since = Some(date(value()?)?),
            "--until" | "--before" => limits.until = Some(date(value()?)?),
            "--since-as-filter" => limits.since_as_filter = Some(date(value()?)?),
            "--max-age" => limits.since = Some(seconds(value()?)?),
            "--min-age" => limits.until = Some(seconds(value()?)?),
            "--min-parents" => limits.parents_min = usize::try_from(number(value()?)?).unwrap_or(0),
            "--max-parents" => limits.parents_max = usize::try_from(number(value()?)?).ok(),
            "--unpacked" => return Err(Error::Usage("--unpacked=<packfile> no longer supported".into())),
            "--ancestry-path" if option != "--ancestry-path" => {
                let commit = self.ancestry_bottom(value()?)?;
                self.revisions.limits.ancestry_path.get_or_insert_default().push(commit);
            }
            "--default" if option == "--default" => self.default = Some(value()?.to_owned()),
            "--filter" if option != "--filter" => {
                let spec = value()?.to_owned();
                FilterSpec::parse(spec.as_bstr()).map_err(Error::Usage)?;
                self.revisions.filters.push(spec);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The name of an option and, where it stands in the same argument, its value: `--skip=2`, `-n2`, `-2`.
fn split_value(option: &BStr) -> (&[u8], Option<&BStr>) {
    let digits = option.strip_prefix(b"-").unwrap_or_default();
    match option.split_once_str("=") {
        Some((name, value)) if name.starts_with(b"--") => (name, Some(value.as_bstr())),
        _ if digits.first().is_some_and(u8::is_ascii_digit) => (b"-n", Some(digits.as_bstr())),
        _ if option.len() > 2 && option.starts_with(b"-n") => {
            (b"-n", option.get(2..).map(ByteSlice::as_bstr))
        }
        Some(_) | None => (option.as_bytes(), None),
    }
}

fn number(text: &BStr) -> Result<i64, Error> {
    let parsed = text.to_str().ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Error::Usage(format!("'{text}': not an integer")))
}

fn seconds(text: &BStr) -> Result<i64, Error> {
    number(text).map_err(|_| Error::Usage(format!("'{text}': not a number of seconds since epoch")))
}

/// A date in any form that git takes.
fn date(text: &BStr) -> Result<i64, Error> {
    let parsed = text.to_str().ok().and_then(parse_date);
    parsed.ok_or_else(|| Error::Usage(format!("invalid date '{text}'")))
}
