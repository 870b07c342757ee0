//! How what was fetched is to be joined with what is here: the options, else the configuration.

use std::ffi::OsString;

use bstr::{BStr, ByteSlice};

use super::CommandError;
use super::options::Arguments;
use crate::cmd::arguments::Parsed;
use crate::repo::Repository;
use crate::repo::config::boolean;

/// `--rebase`, `branch.<name>.rebase`, `pull.rebase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rebase {
    /// Nobody says.
    Unspecified,
    /// Merge.
    No,
    /// Rebase.
    Plain,
    /// Rebase merge commits too.
    Merges,
    /// Ask the user about each commit.
    Interactive,
}

/// `--ff`, `--no-ff`, `--ff-only`, `pull.ff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FastForward {
    Allowed,
    Never,
    Only,
}

impl FastForward {
    /// The option of a merge.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Allowed => "--ff",
            Self::Never => "--no-ff",
            Self::Only => "--ff-only",
        }
    }
}

/// What was chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) rebase: Rebase,
    /// `None` if nobody says.
    pub(super) fast_forward: Option<FastForward>,
    /// `--autostash`, and for a rebase `rebase.autoStash`.
    pub(super) autostash: Option<bool>,
}

impl Choice {
    /// What `parsed` says, `wish` being its `--rebase`, and where that is silent the configuration.
    pub(super) fn new(
        parsed: &Parsed<Arguments>,
        wish: Option<Rebase>,
        repo: &Repository,
    ) -> Result<Self, CommandError> {
        let fast_forward = match (parsed.values.ff_only, parsed.choice("ff")) {
            (true, _) => Some(FastForward::Only),
            (false, Some(true)) => Some(FastForward::Allowed),
            (false, Some(false)) => Some(FastForward::Never),
            // An explicit --rebase counts more than what the configuration says of fast-forwards.
            (false, None) => match configured_fast_forward(repo)? {
                Some(FastForward::Only) if wish.is_some() => Some(FastForward::Allowed),
                configured => configured,
            },
        };
        let rebase = match wish {
            Some(wish) => wish,
            None => configured_rebase(repo)?,
        };
        let mut autostash = parsed.choice("autostash");
        let choice = Self { rebase, fast_forward, autostash };
        if choice.is_rebase() {
            autostash = Some(autostash.or(repo.config.boolean("rebase.autoStash")?).unwrap_or(false));
        }
        Ok(Self { autostash, ..choice })
    }

    /// Whether it is a rebase of any kind.
    pub(super) fn is_rebase(self) -> bool {
        match self.rebase {
            Rebase::Unspecified | Rebase::No => false,
            Rebase::Plain | Rebase::Merges | Rebase::Interactive => true,
        }
    }

    /// The option that says so.
    pub(super) fn autostash_word(self) -> Option<OsString> {
        self.autostash.map(|choice| if choice { "--autostash" } else { "--no-autostash" }.into())
    }
}

/// `--rebase` and `--no-rebase`.
pub(super) fn rebase_option(parsed: &Parsed<Arguments>) -> Result<Option<Rebase>, CommandError> {
    if parsed.choice("rebase") == Some(false) {
        return Ok(Some(Rebase::No));
    }
    let Some(value) = &parsed.values.rebase else { return Ok(None) };
    let text = value.to_string_lossy();
    let refuse = || CommandError::bad_option(format!("invalid value for '--rebase': '{text}'"));
    parse_rebase(text.as_bytes().as_bstr()).map(Some).ok_or_else(refuse)
}

fn configured_rebase(repo: &Repository) -> Result<Rebase, CommandError> {
    let branch = repo.head_branch()?;
    let short = branch.as_ref().and_then(|full| full.strip_prefix(b"refs/heads/"));
    let of_branch = short.map(|short| format!("branch.{}.rebase", short.as_bstr()));
    for key in of_branch.into_iter().chain(["pull.rebase".to_owned()]) {
        if !repo.config.strings(&key).is_empty() {
            // A key that stands alone is true.
            let value = repo.config.string(&key).unwrap_or_default();
            let is_true = value.is_empty() && repo.config.boolean(&key)? == Some(true);
            let parsed = if is_true { Some(Rebase::Plain) } else { parse_rebase(value.as_bstr()) };
            return parsed
                .ok_or_else(|| CommandError::fatal(format!("invalid value for '{key}': '{value}'")));
        }
    }
    Ok(Rebase::Unspecified)
}

fn parse_rebase(value: &BStr) -> Option<Rebase> {
    match value.as_bytes() {
        b"merges" | b"m" => Some(Rebase::Merges),
        b"interactive" | b"i" => Some(Rebase::Interactive),
        _ => boolean(value).map(|is_on| if is_on { Rebase::Plain } else { Rebase::No }),
    }
}

fn configured_fast_forward(repo: &Repository) -> Result<Option<FastForward>, CommandError> {
    const KEY: &str = "pull.ff";
    let Some(value) = repo.config.string(KEY) else { return Ok(None) };
    if value == "only" {
        return Ok(Some(FastForward::Only));
    }
    match repo.config.boolean(KEY) {
        Ok(Some(true)) => Ok(Some(FastForward::Allowed)),
        Ok(Some(false)) => Ok(Some(FastForward::Never)),
        Ok(None) | Err(_) => Err(CommandError::fatal(format!("invalid value for '{KEY}': '{value}'"))),
    }
}
