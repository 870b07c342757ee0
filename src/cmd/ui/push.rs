//! The table of refs that a push ends with, as git 2.47.3 prints it.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::color::Paint;
use super::filter;
use crate::protocol::push::Rewritten;
use crate::remote::push::{RefUpdate, Status};
use crate::remote::update::short_name;

/// Lays out rows.
pub struct Table<'a> {
    /// What the first columns of a failed row are painted with. git 2.47.3 paints rows of refs that are as they should be
    /// as well, if one fails that the far side has further down.
    pub paint: Paint,
    /// The form is that of `--porcelain`.
    pub is_porcelain: bool,
    /// Rows of refs that are up to date are shown.
    pub shows_unchanged: bool,
    /// Shortens an id.
    pub abbreviate: &'a dyn Fn(&ObjectId) -> BString,
}

/// One row before it is laid out.
struct Row<'a> {
    flag: u8,
    summary: BString,
    source: Option<&'a BStr>,
    name: &'a BString,
    reason: Option<&'a BStr>,
}

impl Table<'_> {
    /// The lines without their line feeds: first what is up to date, then what was done, then what failed.
    pub fn lines(&self, updates: &[RefUpdate]) -> Vec<BString> {
        let width = self.summary_width(updates);
        let unchanged = updates.iter().filter(|update| update.status == Status::UpToDate);
        let unchanged = unchanged.filter(|_| self.shows_unchanged || self.is_porcelain);
        let done = updates.iter().filter(|update| update.status == Status::Done);
        let failed = updates.iter().filter(|update| is_failure(&update.status));
        unchanged
            .chain(done)
            .chain(failed)
            .flat_map(|update| self.rows(update))
            .map(|row| self.line(&row, width))
            .collect()
    }

    /// As wide as a range of two ids.
    fn summary_width(&self, updates: &[RefUpdate]) -> usize {
        /// The length of a shortened id where there is none to measure.
        const ID_WIDTH: usize = 7;
        let ids = updates.iter().flat_map(|update| [update.old, update.new]);
        2 * ids.map(|id| (self.abbreviate)(&id).len()).max().unwrap_or(ID_WIDTH) + 3
    }

    /// The rows of one ref: more than one if the far side did several things instead.
    fn rows<'b>(&self, update: &'b RefUpdate) -> Vec<Row<'b>> {
        let row = |flag, summary: &str, reason| Row {
            flag,
            summary: summary.into(),
            source: update.source.as_ref().map(|source| source.as_bstr()),
            name: &update.name,
            reason,
        };
        // git calls the source of a deletion so where we were the ones who refused it
        let rejected = |reason: &'static str| Row {
            source: update.source.as_ref().map_or(Some("(delete)".into()), |source| Some(source.as_bstr())),
            ..row(b'!', "[rejected]", Some(BStr::new(reason)))
        };
        let only = match &update.status {
            Status::Pending => return Vec::new(),
            Status::UpToDate => row(b'=', "[up to date]", None),
            Status::Done if update.rewritten.is_empty() => self.done(update, None),
            Status::Done => {
                return update.rewritten.iter().map(|as_is| self.done(update, Some(as_is))).collect();
            }
            Status::Unreported => {
                row(b'!', "[remote failure]", Some("remote failed to report status".into()))
            }
            Status::NonFastForward => rejected("non-fast-forward"),
            Status::FetchFirst => rejected("fetch first"),
            Status::NeedsForce => rejected("needs force"),
            Status::AlreadyExists => rejected("already exists"),
            Status::Stale => rejected("stale info"),
            Status::RemoteUpdated => rejected("remote ref updated since checkout"),
            Status::NoDelete => row(b'!', "[rejected]", Some("remote does not support deleting refs".into())),
            Status::ShallowUpdate => rejected("new shallow roots not allowed"),
            Status::AtomicFailed => rejected("atomic push failed"),
            Status::RemoteRejected(reason) => row(b'!', "[remote rejected]", Some(reason.as_bstr())),
        };
        vec![only]
    }

    /// The row of a ref that the far side changed, `instead` if it did another thing than it was asked.
    fn done<'b>(&self, update: &'b RefUpdate, instead: Option<&'b Rewritten>) -> Row<'b> {
        let name = instead.and_then(|instead| instead.name.as_ref()).unwrap_or(&update.name);
        let old = instead.and_then(|instead| instead.old).unwrap_or(update.old);
        let new = instead.and_then(|instead| instead.new).unwrap_or(update.new);
        let is_forced = instead.map_or(update.forced, |instead| instead.forced);
        let row = |flag, summary: BString, reason: Option<&'static str>| Row {
            flag,
            summary,
            source: update.source.as_ref().map(|source| source.as_bstr()),
            name,
            reason: reason.map(BStr::new),
        };
        if update.new.is_null() {
            return Row { source: None, ..row(b'-', "[deleted]".into(), None) };
        }
        if old.is_null() {
            return row(b'*', kind_of_new(name).into(), None);
        }
        let range = |dots: &str| {
            BString::from([&(self.abbreviate)(&old)[..], dots.as_bytes(), &(self.abbreviate)(&new)].concat())
        };
        if is_forced { row(b'+', range("..."), Some("forced update")) } else { row(b' ', range(".."), None) }
    }

    fn line(&self, row: &Row<'_>, width: usize) -> BString {
        let mut line = BString::default();
        if self.is_porcelain {
            line.extend_from_slice(&[row.flag, b'\t']);
            line.extend_from_slice(row.source.unwrap_or_default());
            line.push(b':');
            filter::blank_out(row.name.as_bstr(), &mut line);
            line.extend_from_slice(&[b"\t", &row.summary[..]].concat());
        } else {
            line.push(b' ');
            let head = format!("{} {:<width$}", char::from(row.flag), row.summary.to_str_lossy());
            if row.flag == b'!' {
                self.paint.put(head.as_bytes(), &mut line);
            } else {
                line.extend_from_slice(head.as_bytes());
            }
            line.push(b' ');
            if let Some(source) = row.source {
                line.extend_from_slice(&short_name(&source.to_owned()));
                line.extend_from_slice(b" -> ");
            }
            filter::blank_out(short_name(row.name).as_bstr(), &mut line);
        }
        if let Some(reason) = row.reason {
            line.extend_from_slice(b" (");
            filter::blank_out(reason, &mut line);
            line.push(b')');
        }
        line
    }
}

/// Whether a ref is not what it was to be.
pub fn is_failure(status: &Status) -> bool {
    match status {
        Status::Pending | Status::UpToDate | Status::Done => false,
        Status::Unreported
        | Status::NonFastForward
        | Status::FetchFirst
        | Status::NeedsForce
        | Status::AlreadyExists
        | Status::Stale
        | Status::RemoteUpdated
        | Status::NoDelete
        | Status::ShallowUpdate
        | Status::AtomicFailed
        | Status::RemoteRejected(_) => true,
    }
}

/// Whether a ref was pushed or could not be: it is no news that one is what it should be.
pub fn is_news(status: &Status) -> bool {
    *status == Status::Done || is_failure(status)
}

fn kind_of_new(name: &BString) -> &'static str {
    if name.starts_with(b"refs/tags/") {
        "[new tag]"
    } else if name.starts_with(b"refs/heads/") {
        "[new branch]"
    } else {
        "[new reference]"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: u8) -> ObjectId {
        ObjectId::from_hex(&[digit; 40]).unwrap()
    }

    fn null() -> ObjectId {
        ObjectId::null(gix_hash::Kind::Sha1)
    }

    fn update(source: &str, name: &str, old: ObjectId, new: ObjectId, status: Status) -> RefUpdate {
        RefUpdate {
            source: (!source.is_empty()).then(|| source.into()),
            name: name.into(),
            old,
            new,
            expected: None,
            forced: false,
            status,
            rewritten: Vec::new(),
        }
    }

    fn updates() -> Vec<RefUpdate> {
        let reason = Status::RemoteRejected("not \u{1b}[31mred".into());
        let (main, tag) = ("refs/heads/main", "refs/tags/v1");
        vec![
            update(main, "refs/heads/other", id(b'1'), id(b'2'), reason),
            update(main, main, id(b'1'), id(b'2'), Status::Done),
            RefUpdate { forced: true, ..update("HEAD", "refs/heads/old", id(b'3'), id(b'2'), Status::Done) },
            update(tag, tag, null(), id(b'2'), Status::Done),
            update("", "refs/heads/gone", id(b'1'), null(), Status::Done),
            update(main, "refs/heads/same", id(b'2'), id(b'2'), Status::UpToDate),
            update(main, "refs/misc/silent", null(), id(b'2'), Status::Unreported),
            update(tag, tag, id(b'1'), id(b'2'), Status::AlreadyExists),
            update(main, "refs/heads/never", id(b'1'), id(b'2'), Status::Pending),
        ]
    }

    fn lines(updates: &[RefUpdate], paint: Paint, is_porcelain: bool, shows_unchanged: bool) -> Vec<BString> {
        let abbreviate = |id: &ObjectId| id.to_hex_with_len(7).to_string().into();
        Table { paint, is_porcelain, shows_unchanged, abbreviate: &abbreviate }.lines(updates)
    }

    #[test]
    fn failures_come_last_and_what_is_up_to_date_first_or_not_at_all() {
        let expected = [
            "   1111111..2222222  main -> main",
            " + 3333333...2222222 HEAD -> old (forced update)",
            " * [new tag]         v1 -> v1",
            " - [deleted]         gone",
            " ! [remote rejected] main -> other (not ?[31mred)",
            " ! [remote failure]  main -> refs/misc/silent (remote failed to report status)",
            " ! [rejected]        v1 -> v1 (already exists)",
        ];
        assert_eq!(lines(&updates(), Paint::default(), false, false), expected);
        let verbose = lines(&updates(), Paint::default(), false, true);
        assert_eq!(verbose.first(), Some(&" = [up to date]      main -> same".into()));
        assert_eq!(verbose.len(), expected.len() + 1);
    }

    #[test]
    fn programs_get_full_names_between_tabs() {
        let expected = [
            "=\trefs/heads/main:refs/heads/same\t[up to date]",
            " \trefs/heads/main:refs/heads/main\t1111111..2222222",
            "+\tHEAD:refs/heads/old\t3333333...2222222 (forced update)",
            "*\trefs/tags/v1:refs/tags/v1\t[new tag]",
            "-\t:refs/heads/gone\t[deleted]",
            "!\trefs/heads/main:refs/heads/other\t[remote rejected] (not ?[31mred)",
            "!\trefs/heads/main:refs/misc/silent\t[remote failure] (remote failed to report status)",
            "!\trefs/tags/v1:refs/tags/v1\t[rejected] (already exists)",
        ];
        assert_eq!(lines(&updates(), Paint::default(), true, false), expected);
    }

    #[test]
    fn what_the_far_side_did_instead_is_shown() {
        let instead =
            |name: Option<&str>, old, new, forced| Rewritten { name: name.map(Into::into), old, new, forced };
        let asked = update("HEAD", "refs/for/main", null(), id(b'2'), Status::Done);
        let rewritten = vec![
            instead(Some("refs/changes/1"), None, None, false),
            instead(Some("refs/heads/main"), Some(id(b'4')), Some(id(b'5')), true),
        ];
        assert_eq!(
            lines(&[RefUpdate { rewritten, ..asked }], Paint::default(), false, false),
            [
                " * [new reference]   HEAD -> refs/changes/1",
                " + 4444444...5555555 HEAD -> main (forced update)",
            ]
        );
    }

    #[test]
    fn failed_rows_are_painted() {
        let shown = lines(&updates(), Paint::new("red".into()).unwrap(), false, false);
        let rejected = " \u{1b}[31m! [rejected]       \u{1b}[m v1 -> v1 (already exists)";
        assert_eq!(shown.last(), Some(&rejected.into()));
        let painted: Vec<bool> = shown.iter().map(|line| line.contains(&b'\x1b')).collect();
        assert_eq!(painted, [false, false, false, false, true, true, true]);
    }
}
