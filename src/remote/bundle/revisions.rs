//! What the arguments of git-rev-list(1) say, as far as a bundle can be about it.
//!
//! Options that change only the order or the form of what `git rev-list` prints are taken and have no effect (`shape.rs`).
//! Paths are refused: a bundle holds whole commits. So is a walk along reflogs, which git has no use for either.

use std::collections::VecDeque;
use std::io::BufRead;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::limits::Limits;
use super::many::LeftOut;
use super::{grep, shape, unreadable};
use crate::progress::Progress;
use crate::remote::Error;
use crate::repo::reference::WorkTrees;
use crate::repo::revision::Hint;
use crate::repo::{Objects, Repository};

/// Bytes of what `--stdin` may bring: some hundred thousand names.
const STDIN_LEN_MAX: u64 = 64 << 20;

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
    /// What it was called; empty where that could not be a ref.
    pub(super) name: BString,
    /// The object, a tag if the name leads to one.
    pub(super) id: ObjectId,
    /// Whether it is left out with all that it leads to.
    pub(super) is_excluded: bool,
    /// Whether it is `a` of `a...b`.
    pub(super) is_left: bool,
}

impl Revisions {
    /// Reads `arguments`; `--stdin` reads on from `stdin`.
    pub(super) fn parse(
        repo: &Repository,
        arguments: &[BString],
        stdin: &mut dyn BufRead,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let has_dashes = arguments.iter().any(|argument| argument == "--");
        let mut parser = Parser { has_dashes, ..Parser::new(repo, progress)? };
        parser.parse(arguments, stdin)?;
        if let (true, Some(name)) = (parser.revisions.tips.is_empty(), parser.default.take()) {
            parser.argument(name.as_bstr())?;
        }
        if let Some(error) = shape::exclusive(arguments) {
            return Err(error);
        }
        parser.revisions.limits.grep = parser.grep.compile()?;
        Ok(parser.revisions)
    }
}

/// Reads revisions that stand in lines of their own, as git-pack-objects(1) takes them.
pub struct Lines<'a>(Parser<'a>);

impl<'a> Lines<'a> {
    /// Names are looked for in `repo`; `progress` hears what git would print about them.
    ///
    /// # Errors
    ///
    /// If the objects of `repo` cannot be opened.
    pub fn new(repo: &'a Repository, progress: &'a mut dyn Progress) -> Result<Self, Error> {
        Parser::new(repo, progress).map(Self)
    }

    /// The ends of history that `line` means, each with whether it is left out; `is_negated` turns that round.
    ///
    /// # Errors
    ///
    /// In git's words if it means nothing.
    pub fn read(&mut self, line: &BStr, is_negated: bool) -> Result<Vec<(ObjectId, bool)>, Error> {
        self.0.is_negated = is_negated;
        if !self.0.revision(line)? {
            return Err(bad_revision(line));
        }
        let tips = self.0.revisions.tips.drain(..);
        Ok(tips.map(|tip| (tip.id, tip.is_excluded)).collect())
    }
}

/// What is known while arguments are read.
pub(super) struct Parser<'a> {
    pub(super) repo: &'a Repository,
    pub(super) objects: Objects,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) revisions: Revisions,
    /// After `--not`.
    pub(super) is_negated: bool,
    pub(super) ignores_missing: bool,
    has_read_stdin: bool,
    /// Whether `--` is among the arguments, so that what stands before it is no path.
    has_dashes: bool,
    pub(super) left_out: LeftOut,
    /// `--single-worktree`, or all.
    pub(super) work_trees: WorkTrees,
    pub(super) default: Option<BString>,
    pub(super) grep: grep::Asked,
}

impl<'a> Parser<'a> {
    fn new(repo: &'a Repository, progress: &'a mut dyn Progress) -> Result<Self, Error> {
        Ok(Self {
            repo,
            objects: repo.objects()?,
            progress,
            revisions: Revisions::default(),
            is_negated: false,
            ignores_missing: false,
            has_read_stdin: false,
            has_dashes: false,
            left_out: LeftOut::default(),
            work_trees: WorkTrees::All,
            default: None,
            grep: grep::Asked::default(),
        })
    }

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
            } else {
                self.option(argument.as_bstr(), &mut rest)?;
            }
        }
        Ok(())
    }

    fn option(&mut self, option: &BStr, rest: &mut VecDeque<&BString>) -> Result<(), Error> {
        if self.refs(option, rest)? || shape::is_shape(option, rest)? || self.limit(option, rest)? {
            return Ok(());
        }
        let text = match option.as_bytes() {
            b"-g" | b"--walk-reflogs" => {
                "a bundle cannot walk reflogs; use '--reflog' to have what they name in it".to_owned()
            }
            b"--merge" => return Err(paths()),
            _ => format!("unrecognized argument: {option}"),
        };
        Err(Error::Usage(text))
    }

    /// An argument that is no option: a revision, or a mistake that is told as git does.
    fn argument(&mut self, argument: &BStr) -> Result<(), Error> {
        let is_path = !self.has_dashes && is_file(self.repo, argument);
        if !self.revision(argument)? {
            return Err(match argument.strip_prefix(b"^") {
                Some(_) => bad_revision(argument),
                None if self.has_dashes => bad_revision(argument),
                None if is_path => paths(),
                None if argument.starts_with(b"-") => {
                    Error::Usage(format!("option '{argument}' must come before non-option arguments"))
                }
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
                if !self.refs(line, &mut VecDeque::new())? {
                    return Err(Error::Usage(format!("invalid option '{line}' in --stdin mode")));
                }
            } else if !self.revision(line)? {
                return Err(bad_revision(line));
            }
        }
        self.is_negated = is_negated;
        Ok(())
    }

    pub(super) fn add(&mut self, name: BString, id: ObjectId, is_excluded: bool) {
        self.revisions.tips.push(Tip { name, id, is_excluded, is_left: false });
    }

    /// The commit that `--ancestry-path=<commit>` names.
    pub(super) fn ancestry_bottom(&mut self, name: &BStr) -> Result<ObjectId, Error> {
        let id = self.repo.resolve_revision_as(name, Hint::Committish, self.progress)?;
        let peeled = id.map(|id| self.objects.peel(&id)).transpose().map_err(unreadable)?.flatten();
        match peeled {
            Some((commit, Kind::Commit)) => Ok(commit),
            Some(_) | None => {
                Err(Error::Usage(format!("could not get commit for --ancestry-path argument {name}")))
            }
        }
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
