//! What is wrong with objects that can be read: the rules of git-fsck(1), for packs that come in.
//!
//! Each [`Message`] has a severity, which the configuration may change (`fsck.<msg-id>`). An object with an error is
//! refused, and with it the pack; a warning is told.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::links::Malformed;
use crate::progress::{Event, Progress};

mod alias;
mod config;
mod headers;
mod message;
mod modules;
mod tree;
mod url;

pub use message::{Message, Severity};

/// Findings that are told; of a pack full of faults nobody wants to know them all.
const FINDINGS_MAX: usize = 1_000;

/// Which findings count, and how much.
#[derive(Debug, Clone)]
pub struct Rules {
    severities: Vec<Severity>,
    /// Objects that are not looked at: `fsck.skipList`.
    skipped: HashSet<ObjectId>,
    name_len_max: usize,
}

impl Default for Rules {
    /// The severities of a pack that comes in: what `git fsck` merely warns of is an error here.
    fn default() -> Self {
        let severities = Message::ALL.iter().map(|message| message.incoming()).collect();
        Self { severities, skipped: HashSet::new(), name_len_max: tree::NAME_LEN_MAX }
    }
}

impl Rules {
    /// Sets the severity of the message called `name`, which may be written in any case, to `error`, `warn` or `ignore`.
    pub fn set(&mut self, name: &BStr, severity: &BStr) -> Result<(), RuleError> {
        let message = Message::ALL
            .iter()
            .position(|message| message.name().as_bytes().eq_ignore_ascii_case(name.trim()));
        let at = message.ok_or_else(|| RuleError::Message(name.to_ascii_lowercase().into()))?;
        let (word, limit) = match severity.split_once_str(":") {
            Some((word, limit)) if Message::ALL.get(at) == Some(&Message::LargePathname) => {
                (word, Some(limit))
            }
            Some(_) | None => (severity.as_bytes(), None),
        };
        let severity = Severity::parse(word).ok_or_else(|| RuleError::Severity(word.into()))?;
        if let Some(limit) = limit {
            let limit = limit.to_str().ok().and_then(|limit| limit.parse().ok());
            self.name_len_max = limit.ok_or_else(|| RuleError::Severity(word.into()))?;
        }
        let slot = self.severities.get_mut(at);
        if Message::ALL.get(at).is_some_and(|message| message.is_fatal()) && severity != Severity::Error {
            return Err(RuleError::Fatal(name.to_ascii_lowercase().into(), word.into()));
        }
        if let Some(slot) = slot {
            *slot = severity;
        }
        Ok(())
    }

    /// Sets what `list` says: `<msg-id>=<severity>`, separated by commas.
    pub fn set_all(&mut self, list: &BStr) -> Result<(), RuleError> {
        for rule in list.split_str(",").filter(|rule| !rule.is_empty()) {
            let (name, severity) = rule.split_once_str("=").ok_or_else(|| RuleError::Lone(rule.into()))?;
            self.set(name.into(), severity.into())?;
        }
        Ok(())
    }

    /// Objects that are not looked at.
    pub fn skip(&mut self, ids: impl IntoIterator<Item = ObjectId>) {
        self.skipped.extend(ids);
    }

    fn severity(&self, message: Message) -> Severity {
        let at = Message::ALL.iter().position(|known| *known == message);
        at.and_then(|at| self.severities.get(at)).copied().unwrap_or(Severity::Error)
    }
}

/// A rule that does not exist, in git's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// There is no such message.
    #[error("Unhandled message id: {0}")]
    Message(BString),
    /// There is no such severity.
    #[error("Unknown fsck message type: '{0}'")]
    Severity(BString),
    /// A message without a severity.
    #[error("Missing '=': '{0}'")]
    Lone(BString),
    /// This message is always an error.
    #[error("Cannot demote {0} to {1}")]
    Fatal(BString, BString),
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    severity: Severity,
    text: String,
}

/// Checks objects; used by many threads.
#[derive(Default)]
pub(super) struct Checker<'a> {
    rules: Option<&'a Rules>,
    noted: Mutex<Noted>,
}

/// What was found so far.
#[derive(Default)]
struct Noted {
    findings: Vec<Finding>,
    /// Objects that trees name `.gitmodules` and `.gitattributes`.
    modules: HashSet<ObjectId>,
    attributes: HashSet<ObjectId>,
}

/// What trees name in a way that makes them more than blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// `.gitmodules`
    Modules,
    /// `.gitattributes`
    Attributes,
}

impl<'a> Checker<'a> {
    pub fn new(rules: Option<&'a Rules>) -> Self {
        Self { rules, noted: Mutex::default() }
    }

    /// Checks one object.
    pub fn check(&self, id: &ObjectId, kind: Kind, content: &[u8]) -> Result<(), Malformed> {
        let Some(rules) = self.rules.filter(|rules| !rules.skipped.contains(id)) else { return Ok(()) };
        let mut report = Report { rules, id, findings: Vec::new(), specials: Vec::new() };
        match kind {
            Kind::Blob => return Ok(()),
            Kind::Commit => headers::check_commit(content, &mut report),
            Kind::Tag => headers::check_tag(content, &mut report),
            Kind::Tree => tree::check(content, &mut report),
        }
        self.take(report)
    }

    /// What the rules say of a tree that cannot be read.
    pub fn check_unreadable(&self, tree: &ObjectId) -> Result<(), Malformed> {
        let Some(rules) = self.rules.filter(|rules| !rules.skipped.contains(tree)) else { return Ok(()) };
        let mut report = Report { rules, id: tree, findings: Vec::new(), specials: Vec::new() };
        tree::add_unreadable(&mut report);
        self.take(report)
    }

    /// Checks a blob that a tree names in a special way.
    pub fn check_special(
        &self,
        id: &ObjectId,
        special: Special,
        object: Option<(Kind, &[u8])>,
    ) -> Result<(), Malformed> {
        let Some(rules) = self.rules.filter(|rules| !rules.skipped.contains(id)) else { return Ok(()) };
        let mut report = Report { rules, id, findings: Vec::new(), specials: Vec::new() };
        match object {
            None => report.add(special.missing(), format_args!("unable to read {} blob", special.name())),
            Some((Kind::Blob, content)) => modules::check(special, content, &mut report),
            Some((Kind::Commit | Kind::Tag | Kind::Tree, _)) => {
                report.add(special.no_blob(), format_args!("non-blob found at {}", special.name()));
            }
        }
        self.take(report)
    }

    /// What trees named in a special way.
    pub fn specials(&self) -> Vec<(ObjectId, Special)> {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |ids: &HashSet<ObjectId>, special| {
            let mut ids = ids.iter().map(|id| (*id, special)).collect::<Vec<_>>();
            ids.sort_unstable_by_key(|(id, _)| *id);
            ids
        };
        [of(&noted.modules, Special::Modules), of(&noted.attributes, Special::Attributes)].concat()
    }

    /// Tells what was found.
    pub fn tell(&self, progress: &mut dyn Progress) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in noted.findings.drain(..) {
            let event = match finding.severity {
                Severity::Error => Event::Error(&finding.text),
                Severity::Warn | Severity::Ignore => Event::Warning(&finding.text),
            };
            // What has been found is found, even if nobody wants to go on.
            let _stopped = progress.report(event);
        }
    }

    /// Takes note of an error that no rule tells of.
    pub fn note(&self, text: String) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.findings.len() < FINDINGS_MAX {
            noted.findings.push(Finding { severity: Severity::Error, text });
        }
    }

    fn take(&self, report: Report<'_>) -> Result<(), Malformed> {
        let is_bad = report.findings.iter().any(|finding| finding.severity == Severity::Error);
        if !report.findings.is_empty() || !report.specials.is_empty() {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let room = FINDINGS_MAX.saturating_sub(noted.findings.len());
            noted.findings.extend(report.findings.into_iter().take(room));
            for (id, special) in report.specials {
                let _was_new = match special {
                    Special::Modules => noted.modules.insert(id),
                    Special::Attributes => noted.attributes.insert(id),
                };
            }
        }
        if is_bad { Err(Malformed::Unfit) } else { Ok(()) }
    }
}

impl Special {
    fn name(self) -> &'static str {
        match self {
            Self::Modules => ".gitmodules",
            Self::Attributes => ".gitattributes",
        }
    }

    fn missing(self) -> Message {
        match self {
            Self::Modules => Message::GitmodulesMissing,
            Self::Attributes => Message::GitattributesMissing,
        }
    }

    fn no_blob(self) -> Message {
        match self {
            Self::Modules => Message::GitmodulesBlob,
            Self::Attributes => Message::GitattributesBlob,
        }
    }
}

/// What is found in one object.
struct Report<'a> {
    rules: &'a Rules,
    id: &'a ObjectId,
    findings: Vec<Finding>,
    specials: Vec<(ObjectId, Special)>,
}

impl Report<'_> {
    fn add(&mut self, message: Message, text: impl std::fmt::Display) {
        let severity = self.rules.severity(message);
        if severity != Severity::Ignore {
            let text = format!("object {}: {}: {text}", self.id, message.name());
            self.findings.push(Finding { severity, text });
        }
    }

    /// Whether there is an error, after which the rest of a header is not looked at.
    fn has_error(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

#[cfg(test)]
mod tests;
