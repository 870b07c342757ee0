//! The options of `gitr index-pack`, which git reads one by one: none has a `--no-` form or may be shortened.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use crate::cmd::CommandError;
use crate::cmd::index_version::layout;
use crate::pack::entry::PACK_HEADER_LEN;
use crate::pack::fsck::Rules;
use crate::pack::index::Layout;

const USAGE: &str = "usage: git index-pack [-v] [-o <index-file>] [--keep | --keep=<msg>] [--[no-]rev-index] \
    [--verify] [--strict[=<msg-id>=<severity>...]] [--fsck-objects[=<msg-id>=<severity>...]] \
    (<pack-file> | --stdin [--fix-thin] [<pack-file>])";

/// What the command line asks for.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) pack: Option<PathBuf>,
    /// `-o`
    pub(super) index: Option<PathBuf>,
    pub(super) stdin: bool,
    pub(super) fix_thin: bool,
    pub(super) verbose: bool,
    pub(super) keep: Option<OsString>,
    pub(super) promisor: Option<OsString>,
    pub(super) rev_index: Option<bool>,
    pub(super) verify: Option<Verify>,
    /// `--strict`, and `--fsck-objects`, of which the first has the second in it
    pub(super) strict: bool,
    pub(super) fsck_objects: bool,
    /// What both say of single messages, in turn.
    severities: Vec<BString>,
    /// `--check-self-contained-and-connected`
    pub(super) connected: bool,
    pub(super) threads: Option<usize>,
    pub(super) input_size_max_bytes: i64,
    pub(super) progress_title: Option<OsString>,
    pub(super) layout: Option<Layout>,
    pub(super) hash: Option<gix_hash::Kind>,
    /// The header of the pack, if whoever started us has read it already.
    pub(super) pack_header: Option<[u8; PACK_HEADER_LEN]>,
}

/// How a pack is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// `--verify`: nothing is shown.
    Silent,
    /// `--verify-stat`: every object, and how long the chains of deltas are.
    Objects,
    /// `--verify-stat-only`: the chains alone.
    Chains,
}

impl Arguments {
    /// Reads the words behind the command's name.
    pub(super) fn parse(words: &[OsString]) -> Result<Self, CommandError> {
        if words == ["-h"] {
            return Err(misuse());
        }
        let mut arguments = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if !word.as_bytes().starts_with(b"-") {
                if arguments.pack.replace(word.into()).is_some() {
                    return Err(misuse());
                }
            } else if word == "-o" {
                let file = rest.next().filter(|_| arguments.index.is_none()).ok_or_else(misuse)?;
                arguments.index = Some(file.into());
            } else if word == "--progress-title" {
                let is_new = arguments.progress_title.is_none();
                arguments.progress_title = Some(rest.next().filter(|_| is_new).ok_or_else(misuse)?.clone());
            } else {
                arguments.option(word)?;
            }
        }
        Ok(arguments)
    }

    /// An option of one word.
    fn option(&mut self, word: &OsStr) -> Result<(), CommandError> {
        let bytes = word.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..)),
            None => (bytes, None),
        };
        let text = |value: Option<&[u8]>| OsString::from_vec(value.unwrap_or_default().to_vec());
        match (name, value) {
            (b"-v", None) => self.verbose = true,
            (b"--stdin", None) => self.stdin = true,
            (b"--fix-thin", None) => self.fix_thin = true,
            (b"--strict" | b"--fsck-objects", value) => {
                let flag = if name == b"--strict" { &mut self.strict } else { &mut self.fsck_objects };
                *flag = true;
                self.severities.extend(value.map(BString::from));
            }
            (b"--check-self-contained-and-connected", None) => self.connected = true,
            (b"--verify", None) => self.verify = Some(Verify::Silent),
            (b"--verify-stat", None) => self.verify = Some(Verify::Objects),
            (b"--verify-stat-only", None) => self.verify = Some(Verify::Chains),
            (b"--keep", value) => self.keep = Some(text(value)),
            (b"--promisor", value) => self.promisor = Some(text(value)),
            (b"--rev-index", None) => self.rev_index = Some(true),
            (b"--no-rev-index", None) => self.rev_index = Some(false),
            // The first one changes nothing that is shown, the second is for programs of git alone.
            (b"--show-resolving-progress" | b"--report-end-of-input", None) => {}
            (name, Some(value)) => self.number(name, value, word)?,
            (_, None) => return Err(misuse()),
        }
        Ok(())
    }

    /// An option whose value is more than a text.
    fn number(&mut self, name: &[u8], value: &[u8], word: &OsStr) -> Result<(), CommandError> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let bad = || CommandError::fatal(format!("bad {}", word.display()));
        match name {
            b"--threads" => self.threads = Some(text.parse().map_err(|_| misuse())?),
            b"--max-input-size" => self.input_size_max_bytes = leading_number(text),
            b"--index-version" => self.layout = Some(layout(text, true).map_err(|_| bad())?),
            b"--pack_header" => self.pack_header = Some(pack_header(text).ok_or_else(bad)?),
            b"--object-format" => {
                let unknown = || CommandError::fatal(format!("unknown hash algorithm '{text}'"));
                self.hash = Some(text.parse().map_err(|_| unknown())?);
            }
            _ => return Err(misuse()),
        }
        Ok(())
    }

    /// The rules that objects are to obey, if they are to obey any.
    pub(super) fn rules(&self) -> Result<Option<Rules>, CommandError> {
        if !self.strict && !self.fsck_objects {
            return Ok(None);
        }
        let mut rules = Rules::default();
        for list in &self.severities {
            rules.set_all(list.as_bstr()).map_err(CommandError::fatal)?;
        }
        Ok(Some(rules))
    }

    /// What goes together.
    pub(super) fn check(&self, has_repository: bool) -> Result<(), CommandError> {
        if self.pack.is_none() && !self.stdin {
            return Err(misuse());
        }
        if self.fix_thin && !self.stdin {
            return Err(CommandError::fatal("the option '--fix-thin' requires '--stdin'"));
        }
        if self.stdin && !has_repository {
            return Err(CommandError::fatal("--stdin requires a git repository"));
        }
        if self.stdin && self.hash.is_some() {
            return Err(CommandError::fatal(
                "options '--object-format' and '--stdin' cannot be used together",
            ));
        }
        Ok(())
    }
}

fn misuse() -> CommandError {
    CommandError::usage(USAGE)
}

/// The number that `text` begins with, as strtoumax(3) reads it, whose bits git takes for a number with a sign.
fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let number = match digits.parse::<u64>() {
        Ok(number) if is_negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) => u64::MAX,
    };
    number.cast_signed()
}

/// `<version>,<objects>`
fn pack_header(text: &str) -> Option<[u8; PACK_HEADER_LEN]> {
    let (version, objects) = text.split_once(',')?;
    let (version, objects): (u32, u32) = (version.parse().ok()?, objects.parse().ok()?);
    let mut header = crate::pack::entry::encode_pack_header(objects);
    header.get_mut(4..8)?.copy_from_slice(&version.to_be_bytes());
    Some(header)
}
