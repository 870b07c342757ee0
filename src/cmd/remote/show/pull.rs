//! The part of `gitr remote show` about `git pull`: what branches say of remotes.

use bstr::{BStr, BString, ByteSlice};

use super::padded;
use crate::cmd::{CommandError, ui};
use crate::remote::config::{Branch, branches};
use crate::repo::Config;
use crate::repo::config::boolean;

/// What all branches say.
pub(super) struct Pulls(Vec<(Branch, Option<&'static str>)>);

impl Pulls {
    /// Reads what all branches say; warns of what is not understood.
    pub(super) fn read(config: &Config) -> Result<Self, CommandError> {
        let with_rebase = |branch: Branch| {
            let rebase = branch.rebase.as_ref().and_then(|value| rebase(&branch.name, value.as_bstr()));
            (branch, rebase)
        };
        Ok(Self(branches(config)?.into_iter().map(with_rebase).collect()))
    }

    /// The lines about the remote `name`.
    pub(super) fn section(&self, name: &BStr) -> Vec<u8> {
        let is_shown = |branch: &Branch| {
            branch.remote.as_ref().is_some_and(|remote| remote == name) && !branch.merges.is_empty()
        };
        let shown: Vec<_> = self.0.iter().filter(|(branch, _)| is_shown(branch)).collect();
        let mut text = Vec::new();
        if shown.is_empty() {
            return text;
        }
        let es = if shown.len() == 1 { "" } else { "es" };
        text.extend_from_slice(format!("  Local branch{es} configured for 'git pull':\n").as_bytes());
        let is_one =
            |(branch, rebase): &&&(Branch, Option<&str>)| rebase.is_none() || branch.merges.len() == 1;
        // What cannot be rebased is told of, and takes no room.
        let valid: Vec<_> = shown.iter().filter(is_one).collect();
        for (branch, _) in shown.iter().filter(|row| !is_one(row)) {
            let text = format!("invalid branch.{}.merge; cannot rebase onto > 1 branch", branch.name);
            ui::message("error", text.as_bytes().as_bstr());
        }
        let width = valid.iter().map(|(branch, _)| branch.name.len()).max().unwrap_or_default();
        let any_rebases = shown.iter().any(|(_, rebase)| rebase.is_some());
        for (branch, rebase) in valid {
            text.extend(rows(branch, *rebase, width, any_rebases));
        }
        text
    }
}

/// How a branch is rebased: `branch.<name>.rebase`.
fn rebase(branch: &BString, value: &BStr) -> Option<&'static str> {
    match value.as_bytes() {
        b"merges" | b"m" => return Some("rebases interactively (with merges)"),
        b"interactive" | b"i" => return Some("rebases interactively"),
        _ => {}
    }
    match boolean(value) {
        Some(true) => Some("rebases"),
        Some(false) => None,
        None => {
            ui::note(format!("warning: unhandled branch.{branch}.rebase={value}; assuming 'true'"));
            None
        }
    }
}

fn rows(branch: &Branch, rebase: Option<&str>, width: usize, any_rebases: bool) -> Vec<u8> {
    let name = padded(branch.name.as_bstr(), width);
    let merges = branch.merges.iter().flat_map(|merge| merge.split_str(" "));
    let mut merges = merges.map(|merge| merge.strip_prefix(b"refs/heads/").unwrap_or(merge).as_bstr());
    let first = merges.next().unwrap_or_default();
    if let Some(rebase) = rebase {
        return format!("    {name} {rebase} onto remote {first}\n").into_bytes();
    }
    let indent = if any_rebases { " " } else { "" };
    let mut text = format!("    {name} {indent}merges with remote {first}\n").into_bytes();
    for other in merges {
        let blank = padded("".into(), width);
        text.extend_from_slice(format!("    {blank} {indent}   and with remote {other}\n").as_bytes());
    }
    text
}
