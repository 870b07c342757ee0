//! A push by a remote helper program: it sends the objects itself. gitremote-helpers(7), "push" and "export".
//!
//! What it is told is as seen in git 2.47.3.

use std::collections::{HashMap, HashSet};

use bstr::{BStr, BString, ByteSlice};

use super::{Options, RefUpdate, Status};
use crate::progress::{Event, Progress};
use crate::protocol::Ref;
use crate::remote::Error;
use crate::remote::far::Foreign;
use crate::remote::send_pack::Signed;
use crate::repo::{Edit, Expected, Repository, Target};
use crate::transport;
use crate::transport::helper::{Answer, Change, Exported, Helper, Report, Reports};

/// What reflogs say of the refs that stand for the far side's.
const MESSAGE: &str = "update by helper";

/// What is to be done, apart from the rows.
pub(super) struct Order<'a> {
    pub(super) repo: &'a Repository,
    pub(super) options: &'a Options,
    pub(super) advertised: &'a [Ref],
    /// The refs that need not be fast-forwards.
    pub(super) forced: &'a HashSet<BString>,
}

impl Order<'_> {
    /// Has the program do what is pending among `rows`, and puts what became of each into its status. What it does not
    /// speak of is no row any more. Gives why it ended too early, if it did.
    pub(super) fn carry_out(
        &self,
        mut foreign: Foreign,
        rows: &mut Vec<RefUpdate>,
        progress: &mut dyn Progress,
    ) -> Result<Option<Error>, Error> {
        let mut broken = None;
        let is_pending = |row: &RefUpdate| row.status == Status::Pending;
        if self.options.atomic
            && rows.iter().any(|row| !matches!(row.status, Status::Pending | Status::UpToDate))
        {
            rows.iter_mut().filter(|row| is_pending(row)).for_each(|row| row.status = Status::AtomicFailed);
        }
        if rows.iter().any(is_pending) {
            let reports = self.ask(foreign.helper()?, rows, progress)?;
            if reports.is_cut {
                broken = Some(transport::Error::HelperEnded(foreign.helper()?.name().to_owned()).into());
            }
            self.judge(rows, reports.list, progress)?;
            rows.retain(|row| !is_pending(row));
            if foreign.helper()?.wants_private_update() && !self.options.dry_run {
                self.update_private(foreign.helper()?, rows)?;
            }
        }
        foreign.close();
        Ok(broken)
    }

    fn ask(
        &self,
        helper: &mut Helper,
        rows: &mut [RefUpdate],
        progress: &mut dyn Progress,
    ) -> Result<Reports, Error> {
        if helper.pushes() {
            let pending: Vec<&RefUpdate> = rows.iter().filter(|row| row.status == Status::Pending).collect();
            for row in &pending {
                if let Some(expected) = row.expected {
                    must(helper, ("cas", &format!("{}:{expected}", row.name)), "cas", progress)?;
                }
            }
            self.set_options(helper, progress)?;
            let changes: Vec<Change> = pending.into_iter().map(|row| self.change(row)).collect();
            return Ok(helper.push(&changes, progress)?);
        }
        self.set_options(helper, progress)?;
        if self.options.force {
            let _known = helper.set("force", "true".into(), progress)?;
        }
        let exported = self.exported(helper, rows)?;
        Ok(helper.export(&exported, progress)?)
    }

    fn change(&self, row: &RefUpdate) -> Change {
        Change {
            source: row.source.clone().filter(|_| !row.new.is_null()),
            destination: row.name.clone(),
            force: self.forced.contains(&row.name),
        }
    }

    /// The far side's refs, then those that are new; the rows learn what the far side has.
    fn exported(&self, helper: &Helper, rows: &mut [RefUpdate]) -> Result<Vec<Exported>, Error> {
        let mut exported = Vec::new();
        let mut places: HashMap<BString, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.name.clone(), place)).collect();
        for reference in self.advertised.iter().filter(|reference| reference.symref_target.is_none()) {
            let private = helper.private_ref(reference.name.as_bstr());
            let id = match &private {
                Some(private) => self.repo.resolve_ref(private.as_bstr())?,
                None => None,
            };
            let row = places.remove(&reference.name).and_then(|place| rows.get_mut(place));
            let change = match row {
                Some(row) => {
                    row.old = id.unwrap_or(row.old);
                    Some(self.exported_change(row)?)
                }
                None => None,
            };
            exported.push(Exported { known: private.filter(|_| id.is_some()), change });
        }
        for row in rows.iter().filter(|row| places.contains_key(&row.name)) {
            exported.push(Exported { known: None, change: Some(self.exported_change(row)?) });
        }
        Ok(exported)
    }

    /// As [`Self::change`]; a stream tells of branches, not of `HEAD`.
    fn exported_change(&self, row: &RefUpdate) -> Result<Change, Error> {
        let change = self.change(row);
        if change.source.as_ref().is_none_or(|source| source != "HEAD") {
            return Ok(change);
        }
        let branch = self.repo.head_branch()?;
        Ok(Change { source: branch.or(change.source), ..change })
    }

    /// What holds for the push as a whole; the program must know it all.
    fn set_options(&self, helper: &mut Helper, progress: &mut dyn Progress) -> Result<(), Error> {
        let options = self.options;
        if options.dry_run {
            must(helper, ("dry-run", "true"), "dry-run", progress)?;
        } else if options.signed == Signed::Yes {
            must(helper, ("pushcert", "true"), "--signed", progress)?;
        } else if options.signed == Signed::IfAsked {
            must(helper, ("pushcert", "if-asked"), "--signed=if-asked", progress)?;
        }
        if options.atomic {
            must(helper, ("atomic", "true"), "--atomic", progress)?;
        }
        if options.force_if_includes {
            must(helper, ("force-if-includes", "true"), "--force-if-includes", progress)?;
        }
        for option in &options.push_options {
            must(helper, ("push-option", &option.to_str_lossy()), "'push-option'", progress)?;
        }
        Ok(())
    }

    /// Takes in what the program said of each ref.
    fn judge(
        &self,
        rows: &mut [RefUpdate],
        reports: Vec<Report>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let places: HashMap<BString, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.name.clone(), place)).collect();
        for report in reports {
            let row = places.get(&report.name).and_then(|place| rows.get_mut(*place));
            if let Some(row) = row {
                if row.status == Status::Pending {
                    row.status = status(&report);
                }
            } else if !self.advertised.iter().any(|reference| reference.name == report.name) {
                let text = format!("helper reported unexpected status of {}", report.name);
                if progress.report(Event::Warning(&text)).is_break() {
                    return Err(Error::Interrupted);
                }
            }
        }
        Ok(())
    }

    /// Moves the refs that stand for the far side's to where those are now.
    fn update_private(&self, helper: &Helper, rows: &[RefUpdate]) -> Result<(), Error> {
        for row in rows.iter().filter(|row| row.status == Status::Done) {
            let Some(name) = helper.private_ref(row.name.as_bstr()) else { continue };
            let new = (!row.new.is_null()).then_some(Target::Id(row.new));
            let message = new.is_some().then(|| MESSAGE.into());
            let edit = Edit { name, new, expected: Expected::Any, message, through: Vec::new() };
            self.repo.update_refs(&[edit])?;
        }
        Ok(())
    }
}

/// Sets what the program has to know of; `shown` is what messages call it.
fn must(
    helper: &mut Helper,
    (name, value): (&str, &str),
    shown: &str,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    match helper.set(name, value.as_bytes().as_bstr(), progress)? {
        Answer::Ok => Ok(()),
        Answer::Unsupported => {
            Err(Error::Usage(format!("helper {} does not support {shown}", helper.name())))
        }
    }
}

/// What a report says, in the words that git's own helpers use.
fn status(report: &Report) -> Status {
    let why: Option<&BStr> = report.why.as_ref().map(|why| why.as_bstr());
    let word = why.map(|why| why.as_bytes());
    match (report.is_ok, word) {
        (_, Some(b"up to date")) => Status::UpToDate,
        (true, _) => Status::Done,
        (false, Some(b"non-fast forward")) => Status::NonFastForward,
        (false, Some(b"already exists")) => Status::AlreadyExists,
        (false, Some(b"fetch first")) => Status::FetchFirst,
        (false, Some(b"needs force")) => Status::NeedsForce,
        (false, Some(b"stale info")) => Status::Stale,
        (false, Some(b"remote ref updated since checkout")) => Status::RemoteUpdated,
        (false, Some(b"expecting report")) => Status::Unreported,
        (false, Some(b"atomic push failed")) => Status::AtomicFailed,
        (false, why) => Status::RemoteRejected(why.unwrap_or_default().into()),
    }
}
