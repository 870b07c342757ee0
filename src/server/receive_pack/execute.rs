//! The commands of a push, after its objects have arrived.

use std::collections::HashMap;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::hooks::Hooks;
use super::quarantine::Quarantine;
use super::{By, ReceivePack, Row, Voice, has, proc_receive};
use crate::pack::{Received, Stored};
use crate::protocol::push::Request;
use crate::repo::connectivity::{Arrived, first_missing};
use crate::repo::{Edit, Expected, Target};
use crate::server::Error;

/// The reflog message of a push: as git 2.47.3 has it.
const MESSAGE: &str = "push";

/// Why a ref does not move to what is not whole.
const INCOMPLETE: &str = "missing necessary objects";

impl ReceivePack<'_> {
    /// Checks everything, asks the hooks, makes the objects visible and moves the refs; `rows` tell what came of each.
    pub(super) fn execute(
        &self,
        request: &Request,
        rows: &mut [Row],
        (quarantine, received): (Quarantine, Option<Received>),
        hooks: &Hooks<'_>,
        voice: &mut Voice<'_>,
    ) -> Result<(), Error> {
        if hooks.certificate.as_ref().is_some_and(|certificate| !certificate.has_options(&hooks.options)) {
            fail_open(rows, "inconsistent push options");
            return Ok(());
        }
        self.check_connected(request, rows, (&quarantine, received.as_ref()), voice)?;
        self.reject_hidden(rows);
        self.check_aliases(rows, voice)?;
        if !rows.iter().any(Row::is_open) {
            // what nothing will lead to is not kept
            return Ok(());
        }
        hooks.see(rows)?;
        if !hooks.before(rows, quarantine.environment(&self.repo.env), voice)? {
            fail_open(rows, "pre-receive hook declined");
            return Ok(());
        }
        let _kept = match quarantine.migrate() {
            Ok(kept) => kept,
            Err(error) => {
                voice.error(&format!("unable to migrate objects to permanent storage: {error}"))?;
                fail_open(rows, "unable to migrate objects to permanent storage");
                return Ok(());
            }
        };
        let is_atomic = has(request, "atomic");
        let is_done = self.hand_over(request, rows, hooks, voice)?;
        if is_atomic && !is_done {
            fail_ours(rows, proc_receive::FAILED);
            Ok(())
        } else if is_atomic {
            self.update_atomically(rows, hooks, voice)
        } else {
            self.update_each(rows, hooks, voice)
        }
    }

    /// No ref moves to what is not whole.
    fn check_connected(
        &self,
        request: &Request,
        rows: &mut [Row],
        (quarantine, received): (&Quarantine, Option<&Received>),
        voice: &mut Voice<'_>,
    ) -> Result<(), Error> {
        let tips: Vec<ObjectId> = rows.iter().map(|row| row.command.new).filter(|id| !id.is_null()).collect();
        if tips.is_empty() {
            return Ok(());
        }
        let mut objects = quarantine.repository(self.repo)?.objects()?;
        let before = self.repo.objects()?;
        let known = self.known()?;
        let old_tips: Vec<ObjectId> = tips.iter().filter(|id| before.contains(id)).copied().collect();
        let arrived = received
            .filter(|received| !matches!(received.stored, Stored::Nothing))
            .map(|received| Arrived { links: &received.links, old_tips: &old_tips });
        let missing = voice.during(|| first_missing(&mut objects, &tips, &known, arrived));
        let unread = match missing {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => None,
            Err(error) => Some(error),
        };
        let mut ends = self.ends(request, quarantine)?;
        let rows: Vec<&mut Row> = rows.iter_mut().filter(|row| !row.command.new.is_null()).collect();
        let check = |row: &&mut Row| first_missing(&mut objects, &[row.command.new], &known, None);
        let checked: Vec<_> = voice.during(|| rows.iter().map(check).collect());
        // where none of them alone has what cannot be read, all may lead there
        let is_one = checked.iter().any(|missing| !matches!(missing, Ok(None)));
        let unread = unread.filter(|_| !is_one);
        for (row, checked) in rows.into_iter().zip(checked) {
            let mut missing = match (&checked, &unread) {
                (Ok(Some(missing)), _) => Some(*missing),
                (Ok(None), None) => None,
                // an object that cannot be read is as good as missing
                (Ok(None), Some(error)) | (Err(error), _) => {
                    voice.tell(format!("fatal: {error}\n").as_bytes())?;
                    row.error = Some(INCOMPLETE.into());
                    continue;
                }
            };
            if let (Some(_), Some(ends)) = (missing, &mut ends) {
                missing = self.cut_off(row, ends, &mut objects, &known)?;
            }
            if let Some(missing) = missing {
                voice.tell(format!("fatal: bad object {missing}\n").as_bytes())?;
                row.error = Some(INCOMPLETE.into());
            }
        }
        Ok(())
    }

    /// What our refs hold: history that is whole.
    fn known(&self) -> Result<Vec<ObjectId>, Error> {
        let mut ids = Vec::new();
        self.repo.each_ref("".into(), &mut |listed| {
            ids.extend(listed.id.filter(|_| !listed.is_broken));
            Ok::<(), Error>(())
        })?;
        ids.extend(self.repo.resolve_ref("HEAD".into())?);
        Ok(ids)
    }

    fn reject_hidden(&self, rows: &mut [Row]) {
        for row in rows.iter_mut().filter(|row| row.is_open()) {
            if self.refs.hides(row.command.name.as_bstr()) {
                let what = if row.command.new.is_null() {
                    "deny deleting a hidden ref"
                } else {
                    "deny updating a hidden ref"
                };
                row.error = Some(what.into());
            }
        }
    }

    /// Where a symbolic ref and the one that it leads to are both pushed, they have to be pushed alike, and one of the two
    /// does it.
    fn check_aliases(&self, rows: &mut [Row], voice: &mut Voice<'_>) -> Result<(), Error> {
        let places: HashMap<BString, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.command.name.clone(), place)).collect();
        for place in 0..rows.len() {
            let Some(row) = rows.get(place).filter(|row| row.is_open()) else { continue };
            let full = self.refs.full_name(row.command.name.as_bstr());
            let (name, new, old) = (row.command.name.clone(), row.command.new, row.command.old);
            let (target, through) = self.repo.follow_ref(full.as_bstr());
            if through.is_empty() {
                continue;
            }
            let Some(shown) = self.refs.strip(target.as_bstr()) else { continue };
            let Some(other) = places.get(shown).copied() else { continue };
            let Some(row) = rows.get(other) else { continue };
            if (row.command.new, row.command.old) == (new, old) {
                if let Some(row) = rows.get_mut(place) {
                    row.by = By::Alias;
                }
                continue;
            }
            let objects = self.repo.objects()?;
            let [from, to, target_from, target_to] = [old, new, row.command.old, row.command.new]
                .map(|id| objects.abbreviate(&id, objects.abbreviation_len()));
            voice.error(&format!(
                "refusing inconsistent update between symref '{name}' ({from}..{to}) and its target '{shown}' \
                 ({target_from}..{target_to})"
            ))?;
            for place in [place, other] {
                if let Some(row) = rows.get_mut(place) {
                    row.error = Some("inconsistent aliased update".into());
                }
            }
        }
        Ok(())
    }

    fn update_each(&self, rows: &mut [Row], hooks: &Hooks<'_>, voice: &mut Voice<'_>) -> Result<(), Error> {
        for row in rows.iter_mut().filter(|row| row.is_ours()) {
            let Some(edit) = self.attempt(row, hooks, voice)? else { continue };
            self.commit()?;
            row.error = self.write_ends(&row.ends, voice)?;
            if row.error.is_some() {
                continue;
            }
            if let Err(error) = self.repo.update_refs(&[edit]) {
                voice.error(&error.to_string())?;
                row.error = Some("failed to update ref".into());
            }
        }
        Ok(())
    }

    fn update_atomically(
        &self,
        rows: &mut [Row],
        hooks: &Hooks<'_>,
        voice: &mut Voice<'_>,
    ) -> Result<(), Error> {
        let mut edits = Vec::new();
        for row in rows.iter_mut().filter(|row| row.is_ours()) {
            edits.extend(self.attempt(row, hooks, voice)?);
            if row.error.is_some() {
                break;
            }
        }
        if rows.iter().any(|row| row.error.is_some()) {
            fail_ours(rows, "atomic push failure");
            return Ok(());
        }
        let ends: Vec<ObjectId> = rows.iter().flat_map(|row| &row.ends).copied().collect();
        self.commit()?;
        if let Some(reason) = self.write_ends(&ends, voice)? {
            fail_ours(rows, &reason.to_string());
        } else if let Err(error) = self.repo.update_refs(&edits) {
            voice.error(&error.to_string())?;
            fail_ours(rows, "atomic transaction failed");
        }
        Ok(())
    }

    /// As [`Self::edit`]; where something is wrong with what we have, the row says so, and the others go on.
    fn attempt(
        &self,
        row: &mut Row,
        hooks: &Hooks<'_>,
        voice: &mut Voice<'_>,
    ) -> Result<Option<Edit>, Error> {
        match self.edit(row, hooks, voice) {
            Err(error) if error.is_local() => {
                voice.error(&error.to_string())?;
                row.error = Some("failed to update ref".into());
                Ok(None)
            }
            outcome => outcome,
        }
    }

    /// The change of one ref, once everything speaks for it; else its row says what does not.
    fn edit(&self, row: &mut Row, hooks: &Hooks<'_>, voice: &mut Voice<'_>) -> Result<Option<Edit>, Error> {
        row.error = self.refusal(&row.command, voice)?;
        if row.error.is_some() {
            return Ok(None);
        }
        if !hooks.update(row, voice)? {
            voice.error(&format!("hook declined to update {}", row.command.name))?;
            row.error = Some("hook declined".into());
            return Ok(None);
        }
        let full = self.refs.full_name(row.command.name.as_bstr());
        if !self.follow(row, hooks, voice)? {
            return Ok(None);
        }
        let command = &row.command;
        let is_deleted = command.new.is_null();
        // seen in git 2.47.3: what it is said to hold counts only if that is here
        let is_any = is_deleted && (command.old.is_null() || !self.objects()?.contains(&command.old));
        if is_any {
            row.is_absent = self.repo.find_ref(full.as_bstr())?.is_none();
            voice.warning(if row.is_absent {
                "deleting a non-existent ref"
            } else {
                "allowing deletion of corrupt ref"
            })?;
        }
        let (name, through) =
            if is_deleted { (full, Vec::new()) } else { self.repo.follow_ref(full.as_bstr()) };
        let expected = if command.old.is_null() { Expected::Missing } else { Expected::Id(command.old) };
        Ok(Some(Edit {
            name,
            new: (!is_deleted).then_some(Target::Id(command.new)),
            expected: if is_any { Expected::Any } else { expected },
            message: (!is_deleted).then(|| MESSAGE.into()),
            through,
        }))
    }
}

/// Gives `reason` to all that has no error yet.
fn fail_open(rows: &mut [Row], reason: &str) {
    for row in rows.iter_mut().filter(|row| row.error.is_none()) {
        row.error = Some(reason.into());
    }
}

/// The same, but what the hook has done is done.
fn fail_ours(rows: &mut [Row], reason: &str) {
    for row in rows.iter_mut().filter(|row| row.error.is_none() && row.by != By::Hook) {
        row.error = Some(reason.into());
    }
}
