//! The table of refs that a fetch ends with, as git 2.47.3 prints it.

use bstr::{BString, ByteSlice};

use crate::remote::fetch_head::describe;
use crate::remote::update::{Kind, RefUpdate, Status, Tried, short_name};
use crate::repo::Objects;

/// Lays out rows.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    layout: Layout,
    summary_width: usize,
    ref_width: usize,
    abbreviation: usize,
}

/// How rows are to look.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Columns of the terminal.
    pub columns: usize,
    /// Whether rows of refs that did not move are shown.
    pub shows_unchanged: bool,
    /// Whether what both names have in common is written once (`fetch.output`).
    pub is_compact: bool,
}

/// git's default and smallest width of the column of the far side's names.
const REF_WIDTH_MIN: usize = 10;

impl Table {
    /// `ref_width` is what [`measure`] gives, `abbreviation` `core.abbrev`'s length.
    pub fn new(layout: Layout, ref_width: usize, abbreviation: usize) -> Self {
        Self { layout, summary_width: 2 * abbreviation + 3, ref_width, abbreviation }
    }

    /// One row, without its line feed; `None` if it is not shown.
    pub fn row(&self, update: &RefUpdate, objects: &Objects) -> Option<BString> {
        if update.status == Status::UpToDate && !self.layout.shows_unchanged {
            return None;
        }
        let (flag, summary, reason) = self.describe(update, objects);
        let remote = update.remote.as_ref().map_or_else(|| "(none)".into(), short_name);
        let local = update.local.as_ref().map_or_else(|| "FETCH_HEAD".into(), short_name);
        let (remote, local) =
            if self.layout.is_compact { without_common(remote, local) } else { (remote, local) };
        let (summary_width, ref_width) = (self.summary_width, self.ref_width);
        let summary = pad(summary.into(), summary_width);
        let mut row = BString::from(format!(" {flag} "));
        row.extend_from_slice(&summary);
        row.push(b' ');
        row.extend_from_slice(&pad(remote, ref_width));
        row.extend_from_slice(b" -> ");
        row.extend_from_slice(&local);
        if let Some(reason) = reason {
            row.extend_from_slice(format!("  ({reason})").as_bytes());
        }
        Some(row)
    }

    fn describe(&self, update: &RefUpdate, objects: &Objects) -> (char, String, Option<&'static str>) {
        let range = |dots: &str| {
            let short = |id: Option<gix_hash::ObjectId>| {
                id.map(|id| objects.abbreviate(&id, self.abbreviation).to_string()).unwrap_or_default()
            };
            format!("{}{dots}{}", short(update.old), short(update.new))
        };
        let failed = Some("unable to update local ref");
        match update.status {
            Status::UpToDate => ('=', "[up to date]".into(), None),
            Status::New(kind) => ('*', new(kind).into(), None),
            Status::FastForward => (' ', range(".."), None),
            Status::Forced => ('+', range("..."), Some("forced update")),
            Status::TagUpdated => ('t', "[tag update]".into(), None),
            Status::Pruned => ('-', "[deleted]".into(), None),
            Status::NonFastForward => ('!', "[rejected]".into(), Some("non-fast-forward")),
            Status::WouldClobberTag => ('!', "[rejected]".into(), Some("would clobber existing tag")),
            Status::Failed(Tried::New(kind)) => ('!', new(kind).into(), failed),
            Status::Failed(Tried::FastForward) => ('!', range(".."), failed),
            Status::Failed(Tried::Forced) => ('!', range("..."), failed),
            Status::Failed(Tried::TagUpdated) => ('!', "[tag update]".into(), failed),
            Status::Noted => {
                let kind = update.remote.as_ref().map_or("", |name| describe(name.as_bstr()).0);
                ('*', if kind.is_empty() { "branch".into() } else { kind.into() }, None)
            }
        }
    }
}

/// How wide the column of the far side's names is for `names`: those of each ref there and here, and whether it stays as it
/// is. What is known before anything is transferred decides, as in git.
pub fn measure<'a>(names: impl Iterator<Item = (&'a BString, &'a BString, bool)>, layout: Layout) -> usize {
    let mut ref_width = REF_WIDTH_MIN;
    for (remote, local, is_unchanged) in names {
        if !layout.shows_unchanged && is_unchanged {
            continue;
        }
        let (remote, local) = (width(&short_name(remote)), width(&short_name(local)));
        // A name that both have is written once, and a third of the terminal is for what the two do not share.
        let (local, columns) =
            if layout.is_compact { (0, layout.columns * 2 / 3) } else { (local, layout.columns) };
        // git's rough guess of a row's length: 21 for flag and summary, 4 for the arrow.
        if 21 + remote + 4 + local < columns {
            ref_width = ref_width.max(remote);
        }
    }
    ref_width
}

/// One row of `--porcelain`: flag, old id, new id, local ref, each after one blank; `None` if it is not shown.
pub fn porcelain_row(update: &RefUpdate, hash: gix_hash::Kind, shows_unchanged: bool) -> Option<BString> {
    let flag = match update.status {
        Status::UpToDate if !shows_unchanged => return None,
        Status::UpToDate => '=',
        Status::New(_) | Status::Noted => '*',
        Status::FastForward => ' ',
        Status::Forced => '+',
        Status::TagUpdated => 't',
        Status::Pruned => '-',
        Status::NonFastForward | Status::WouldClobberTag | Status::Failed(_) => '!',
    };
    let null = gix_hash::ObjectId::null(hash);
    let local = update.local.clone().unwrap_or_else(|| "FETCH_HEAD".into());
    let mut row =
        BString::from(format!("{flag} {} {} ", update.old.unwrap_or(null), update.new.unwrap_or(null)));
    row.extend_from_slice(&local);
    Some(row)
}

fn new(kind: Kind) -> &'static str {
    match kind {
        Kind::Branch => "[new branch]",
        Kind::Tag => "[new tag]",
        Kind::Other => "[new ref]",
    }
}

/// Both names with `*` for the one that is a part of the other, between slashes.
fn without_common(remote: BString, local: BString) -> (BString, BString) {
    if remote == local {
        return (remote, "*".into());
    }
    if let Some(shorter) = starred(&remote, &local) {
        return (shorter, local);
    }
    match starred(&local, &remote) {
        Some(shorter) => (remote, shorter),
        None => (remote, local),
    }
}

/// `name` with `*` in place of `part`, where that stands between slashes or at an end.
fn starred(name: &BString, part: &BString) -> Option<BString> {
    let at = name.find(part.as_slice())?;
    let (before, rest) = name.split_at_checked(at)?;
    let after = rest.get(part.len()..)?;
    let is_bounded =
        (before.is_empty() || before.ends_with(b"/")) && (after.is_empty() || after.starts_with(b"/"));
    is_bounded.then(|| [before, b"*", after].concat().into())
}

fn width(name: &BString) -> usize {
    name.chars().count()
}

fn pad(mut text: BString, to: usize) -> BString {
    let blanks = to.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(b' ', blanks));
    text
}
