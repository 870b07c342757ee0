//! What the arguments of git-rev-list(1) say, as far as a bundle can be about it.
//!
//! Options that change only the order or the form of what `git rev-list` prints are taken and have no effect. Paths are
//! refused: a bundle holds whole commits.

use std::collections::VecDeque;
use std::io::BufRead;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::TagRefIter;

use super::grep::{self, Grep};
use super::unreadable;
use crate::pack::enumerate::FilterSpec;
use crate::progress::Progress;
use crate::remote::Error;
use crate::remote::refspec::wildmatch;
use crate::repo::object::Commit;
use crate::repo::{Objects, Repository, Target, parse_date};

/// Bytes of what `--stdin` may bring: some hundred thousand names.
const STDIN_LEN_MAX: u64 = 64 << 20;

/// Options that say nothing about which commits are meant.
const WITHOUT_EFFECT: [&str; 15] = [
    "--author-date-order",
    "--boundary",
    "--date-order",
    "--full-history",
    "--in-commit-order",
    "--left-right",
    "--objects",
    "--objects-edge",
    "--objects-edge-aggressive",
    "--quiet",
    "--reverse",
    "--sparse",
    "--topo-order",
    "--unpacked",
    "--use-bitmap-index",
];

/// What arguments say.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    /// Where history begins and ends, in the order that was said.
    pub(super) tips: Vec<Tip>,
    pub(super) limits: Limits,
    /// `--filter`: what the pack leaves out.
    pub(super) filters: Vec<BString>,
}

/// One end of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tip {
    /// What it was called.
    pub(super) name: BString,
    /// The object, a tag if the name leads to one.
    pub(super) id: ObjectId,
    /// Whether it is left out with all that leads to it.
    pub(super) is_excluded: bool,
}

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
    parents_min: usize,
    parents_max: Option<usize>,
    /// `--no-walk`: the tips alone, where nothing is left out.
    pub(super) no_walk: bool,
    /// `--grep` and its kin.
    grep: Option<Grep>,
}

impl Limits {
    /// Whether the walk ends at `commit`.
    pub(super) fn is_too_old(&self, commit: &Commit) -> bool {
        self.since.is_some_and(|since| commit.date < since)
    }

    /// Whether `commit`, which is `id`, is one of those meant.
    pub(super) fn takes(&self, objects: &Objects, id: &ObjectId, commit: &Commit) -> Result<bool, Error> {
        Ok(self.fits(commit) && self.says(objects, id)?)
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

impl Revisions {
    /// Reads `arguments`; `--stdin` reads on from `stdin`.
    pub(super) fn parse(
        repo: &Repository,
        arguments: &[BString],
        stdin: &mut dyn BufRead,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let mut parser = Parser {
            repo,
            objects: repo.objects()?,
            progress,
            revisions: Self::default(),
            is_negated: false,
            ignores_missing: false,
            has_read_stdin: false,
            has_dashes: arguments.iter().any(|argument| argument == "--"),
            hidden: Vec::new(),
            default: None,
            grep: grep::Asked::default(),
        };
        parser.parse(arguments, stdin)?;
        if let (true, Some(name)) = (parser.revisions.tips.is_empty(), parser.default.take()) {
            parser.argument(name.as_bstr())?;
        }
        parser.revisions.limits.grep = parser.grep.compile()?;
        Ok(parser.revisions)
    }
}

/// What is known while arguments are read.
pub(super) struct Parser<'a> {
    pub(super) repo: &'a Repository,
    pub(super) objects: Objects,
    pub(super) progress: &'a mut dyn Progress,
    revisions: Revisions,
    /// After `--not`.
    pub(super) is_negated: bool,
    pub(super) ignores_missing: bool,
    has_read_stdin: bool,
    /// Whether `--` is among the arguments, so that what stands before it is no path.
    has_dashes: bool,
    /// Patterns of `--exclude` for the next option that takes in many refs.
    hidden: Vec<BString>,
    default: Option<BString>,
    grep: grep::Asked,
}

impl Parser<'_> {
    fn parse(&mut self, arguments: &[BString], stdin: &mut dyn BufRead) -> Result<(), Error> {
        let mut rest: VecDeque<&BString> = arguments.iter().collect();
        let mut are_options_over = false;
        while let Some(argument) = rest.pop_front() {
            if argument == "--" {
                return if rest.is_empty() { Ok(()) } else { Err(paths()) };
            } else if are_options_over || !argument.starts_with(b"-") {
                self.argument(argument.as_bstr())?;
            } else if argument == "--end-of-options" {
                are_options_over = true;
            } else if argument == "--stdin" {
                self.stdin(stdin)?;
            } else if !self.refs(argument.as_bstr())? && !self.limit(argument.as_bstr(), &mut rest)? {
                return Err(Error::Usage(format!("unrecognized argument: {argument}")));
            }
        }
        Ok(())
    }

    /// An argument that is no option: a revision, or a mistake that is told as git does.
    fn argument(&mut self, argument: &BStr) -> Result<(), Error> {
        let is_path = !self.has_dashes && is_file(self.repo, argument);
        if !self.revision(argument)? {
            return Err(match argument.strip_prefix(b"^") {
                Some(_) => bad_revision(argument),
                None if self.has_dashes => bad_revision(argument),
                None if is_path => paths(),
                None => Error::Usage(format!(
                    "ambiguous argument '{argument}': unknown revision or path not in the working tree.\n{HOW_TO}"
                )),
            });
        }
        if is_path {
            let text = format!("ambiguous argument '{argument}': both revision and filename\n{HOW_TO}");
            return Err(Error::Usage(text));
        }
        Ok(())
    }

    /// `--stdin`: a revision in each line up to an empty one, or an option that takes in refs.
    fn stdin(&mut self, stdin: &mut dyn BufRead) -> Result<(), Error> {
        if std::mem::replace(&mut self.has_read_stdin, true) {
            return Err(Error::Usage("--stdin given twice?".into()));
        }
        let mut text = Vec::new();
        let failed = |source| Error::Io { action: "cannot read", path: "<stdin>".into(), source };
        let mut limited = std::io::Read::take(stdin, STDIN_LEN_MAX);
        std::io::Read::read_to_end(&mut limited, &mut text).map_err(failed)?;
        if text.len() as u64 == STDIN_LEN_MAX {
            return Err(Error::Usage("too many revisions on stdin".into()));
        }
        let is_negated = std::mem::take(&mut self.is_negated);
        for line in
            ByteSlice::lines(text.as_slice()).map(ByteSlice::as_bstr).take_while(|line| !line.is_empty())
        {
            if line == "--" {
                return Err(paths());
            } else if line.starts_with(b"-") {
                if !self.refs(line)? {
                    return Err(Error::Usage(format!("invalid option '{line}' in --stdin mode")));
                }
            } else if !self.revision(line)? {
                return Err(bad_revision(line));
            }
        }
        self.is_negated = is_negated;
        Ok(())
    }

    /// Options that take in refs, and what changes the meaning of what follows; false if it is another.
    fn refs(&mut self, option: &BStr) -> Result<bool, Error> {
        let (name, value) = match option.split_once_str("=") {
            Some((name, value)) => (name.as_bstr(), Some(value.as_bstr())),
            None => (option, None),
        };
        match (name.as_bytes(), value) {
            (b"--not", None) => self.is_negated = !self.is_negated,
            (b"--all", None) => {
                self.many("refs/", "", None)?;
                if let Some(id) = self.repo.resolve_ref("HEAD".into())? {
                    self.add("HEAD".into(), id, self.is_negated);
                }
            }
            (b"--branches", pattern) => self.many("refs/heads/", "refs/heads/", pattern)?,
            (b"--tags", pattern) => self.many("refs/tags/", "refs/tags/", pattern)?,
            (b"--remotes", pattern) => self.many("refs/remotes/", "refs/remotes/", pattern)?,
            (b"--glob", Some(pattern)) => {
                let prefix = if pattern.starts_with(b"refs/") { "" } else { "refs/" };
                let full = BString::from([prefix.as_bytes(), pattern].concat());
                self.many("", "", Some(full.as_bstr()))?;
            }
            (b"--exclude", Some(pattern)) => {
                self.hidden.push(pattern.to_owned());
                return Ok(true);
            }
            _ => return Ok(false),
        }
        if name != "--not" {
            self.hidden.clear();
        }
        Ok(true)
    }

    /// Takes in the refs below `prefix` that match `pattern`, which begins there; they are called by what follows `cut`.
    fn many(&mut self, prefix: &str, cut: &str, pattern: Option<&BStr>) -> Result<(), Error> {
        let pattern = pattern.map(|pattern| {
            let is_glob = pattern.find_byteset(b"*?[").is_some();
            let slash = if pattern.ends_with(b"/") { "" } else { "/" };
            let end = if is_glob { String::new() } else { format!("{slash}*") };
            BString::from([prefix.as_bytes(), pattern, end.as_bytes()].concat())
        });
        for reference in self.repo.refs(prefix.into())? {
            let name = reference.name.strip_prefix(cut.as_bytes()).unwrap_or(&reference.name).as_bstr();
            let is_wanted =
                pattern.as_ref().is_none_or(|pattern| wildmatch(pattern.as_bstr(), reference.name.as_bstr()));
            if !is_wanted || self.hidden.iter().any(|hidden| wildmatch(hidden.as_bstr(), name)) {
                continue;
            }
            let id = match reference.target {
                Target::Id(id) => Some(id),
                Target::Symbolic(_) => self.repo.resolve_ref(reference.name.as_bstr())?,
            };
            if let Some(id) = id.filter(|id| self.objects.contains(id)) {
                self.add(name.to_owned(), id, self.is_negated);
            }
        }
        Ok(())
    }

    /// Options that limit the walk; false if it is another.
    fn limit(&mut self, option: &BStr, rest: &mut VecDeque<&BString>) -> Result<bool, Error> {
        if WITHOUT_EFFECT.iter().any(|known| option == *known) || self.grep.switch(option) {
            return Ok(true);
        }
        let limits = &mut self.revisions.limits;
        match option.as_bytes() {
            b"--ignore-missing" => self.ignores_missing = true,
            b"--no-walk" | b"--no-walk=sorted" | b"--no-walk=unsorted" => limits.no_walk = true,
            b"--do-walk" => limits.no_walk = false,
            b"--first-parent" => limits.first_parent = true,
            b"--merges" => limits.parents_min = 2,
            b"--no-merges" => limits.parents_max = Some(1),
            b"--no-min-parents" => limits.parents_min = 0,
            b"--no-max-parents" => limits.parents_max = None,
            b"--no-filter" => self.revisions.filters.clear(),
            _ => return self.valued(option, rest),
        }
        Ok(true)
    }

    /// Options with a value, behind `=` or as the next argument.
    fn valued(&mut self, option: &BStr, rest: &mut VecDeque<&BString>) -> Result<bool, Error> {
        let digits = option.strip_prefix(b"-").unwrap_or_default();
        let (name, value) = match option.split_once_str("=") {
            Some((name, value)) if name.starts_with(b"--") => (name, Some(value.as_bstr())),
            _ if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                (&b"-n"[..], Some(digits.as_bstr()))
            }
            _ if option.len() > 2 && option.starts_with(b"-n") => {
                (&b"-n"[..], option.get(2..).map(ByteSlice::as_bstr))
            }
            Some(_) | None => (option.as_bytes(), None),
        };
        let name = name.to_str_lossy();
        let mut value = || match value.or_else(|| rest.pop_front().map(|value| value.as_bstr())) {
            Some(value) => Ok(value),
            None if name == "-n" => Err(Error::Usage("-n requires an argument".into())),
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
            "--max-age" => limits.since = Some(number(value()?)?),
            "--min-age" => limits.until = Some(number(value()?)?),
            "--min-parents" => limits.parents_min = usize::try_from(number(value()?)?).unwrap_or(0),
            "--max-parents" => limits.parents_max = usize::try_from(number(value()?)?).ok(),
            "--default" => self.default = Some(value()?.to_owned()),
            "--filter" if option != "--filter" => {
                let spec = value()?.to_owned();
                FilterSpec::parse(spec.as_bstr()).map_err(Error::Usage)?;
                self.revisions.filters.push(spec);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn add(&mut self, name: BString, id: ObjectId, is_excluded: bool) {
        self.revisions.tips.push(Tip { name, id, is_excluded });
    }
}

/// What git says of words that may be revisions or paths.
const HOW_TO: &str = "Use '--' to separate paths from revisions, like this:\n\
    'git <command> [<revision>...] -- [<file>...]'";

fn bad_revision(text: &BStr) -> Error {
    Error::Usage(format!("bad revision '{text}'"))
}

fn paths() -> Error {
    Error::Usage("a bundle cannot be limited to paths".into())
}

/// Whether `argument` could be meant as a file of the work tree.
fn is_file(repo: &Repository, argument: &BStr) -> bool {
    repo.work_tree.is_some() && argument.to_path().is_ok_and(|path| path.symlink_metadata().is_ok())
}

fn number(text: &BStr) -> Result<i64, Error> {
    let parsed = text.to_str().ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Error::Usage(format!("'{text}': not an integer")))
}

/// A date in any form that git takes.
fn date(text: &BStr) -> Result<i64, Error> {
    let parsed = text.to_str().ok().and_then(parse_date);
    parsed.ok_or_else(|| Error::Usage(format!("invalid date '{text}'")))
}
