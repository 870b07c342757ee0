//! The table of refs that a fetch shows.

use bstr::{BString, ByteSlice};

use super::Run;
use crate::cmd::transfer::abbreviation;
use crate::cmd::{CommandError, Show, ui};
use crate::remote::Remote;
use crate::remote::fetch::{Listed, Outcome, Pruned};
use crate::remote::update::{RefUpdate, Status};
use crate::repo::{Config, Repository};

/// Prints the table, under one `From` line.
pub(super) struct Printer<'a> {
    repo: &'a Repository,
    url: BString,
    show: Show,
    layout: ui::TableLayout,
    ref_width: usize,
    is_headed: bool,
    /// How many rows of an outcome have been printed.
    printed: usize,
    /// How many of its errors have been.
    told: usize,
    is_porcelain: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(run: &Run<'a>, listed: &Listed<'_>) -> Self {
        let layout = ui::TableLayout {
            columns: ui::Terminal::new(&run.context.env).columns,
            shows_unchanged: run.show.verbosity > 0,
            is_compact: run.is_compact,
        };
        Self {
            repo: run.repo,
            url: listed.url().to_owned(),
            show: run.show,
            layout,
            ref_width: ui::measure(listed.stored_names(), layout),
            is_headed: false,
            printed: 0,
            told: 0,
            is_porcelain: run.values.porcelain,
        }
    }

    /// Prints what [`Listed::prune`] did.
    pub(super) fn print_pruned(&mut self, pruned: &Pruned, is_dry: bool) -> Result<(), CommandError> {
        if let Some(reason) = &pruned.failure {
            tell_not_pruned(&pruned.updates, reason);
        }
        self.print(&pruned.updates, &[])?;
        for name in &pruned.dangling {
            let became = if is_dry { "will become" } else { "has become" };
            self.line(format!("   ({name} {became} dangling)"));
        }
        Ok(())
    }

    /// Prints the rows that have come since it was last called, and gives the exit code.
    pub(super) fn print_outcome(&mut self, outcome: &Outcome, remote: &Remote) -> Result<u8, CommandError> {
        let rows = outcome.updates.get(self.printed..).unwrap_or_default();
        let errors = outcome.errors.get(self.told..).unwrap_or_default();
        self.print(rows, errors)?;
        (self.printed, self.told) = (outcome.updates.len(), outcome.errors.len());
        // as git, which takes a ref that leads to itself for one that is in its own way, and a quarantine for the like
        let is_in_the_way = |text: &str| {
            text.contains("; cannot create ")
                || text.starts_with("multiple updates ")
                || text == "ref updates forbidden inside quarantine environment"
        };
        if errors.iter().any(|error| is_in_the_way(&error.to_string())) {
            let name = remote.display_name();
            ui::message(
                "error",
                format!(
                    "some local refs could not be updated; try running\n 'git remote prune {name}' to remove any \
                     old, conflicting branches"
                )
                .as_bytes()
                .as_bstr(),
            );
        }
        Ok(u8::from(outcome.updates.iter().any(|update| update.status.is_rejected())))
    }

    /// Prints the rows of `updates`, each failed one behind its reason, the next of `errors`.
    fn print(&mut self, updates: &[RefUpdate], errors: &[crate::repo::Error]) -> Result<(), CommandError> {
        if updates.is_empty() {
            return Ok(());
        }
        let mut errors = errors.iter();
        let mut tell_failure = |update: &RefUpdate| {
            let is_failed = matches!(update.status, Status::Failed(_));
            if let Some(error) = is_failed.then(|| errors.next()).flatten() {
                ui::message("error", error.to_string().as_bytes().as_bstr());
            }
        };
        if self.is_porcelain {
            for update in updates {
                tell_failure(update);
                if let Some(row) = ui::porcelain_row(update, self.repo.object_hash, self.show.verbosity > 0) {
                    ui::out(&row)?;
                }
            }
            return Ok(());
        }
        let objects = self.repo.objects()?;
        let table = ui::Table::new(self.layout, self.ref_width, abbreviation(self.repo, &objects)?);
        for update in updates {
            tell_failure(update);
            if let Some(row) = table.row(update, &objects) {
                self.line(row);
            }
        }
        Ok(())
    }

    fn line(&mut self, line: impl AsRef<[u8]>) {
        if self.show.verbosity < 0 || self.is_porcelain {
            return;
        }
        if !self.is_headed {
            ui::note(format!("From {}", self.url));
            self.is_headed = true;
        }
        ui::safe_note(line.as_ref());
    }
}

/// Tells why the refs of `stale` are still there.
pub(in crate::cmd) fn tell_not_pruned(stale: &[RefUpdate], reason: &crate::remote::Error) {
    let what = match stale {
        [RefUpdate { local: Some(only), .. }] => format!("reference {only}"),
        [..] => "references".to_owned(),
    };
    ui::message("error", format!("could not delete {what}: {reason}").as_bytes().as_bstr());
}

/// `fetch.output`: whether what both sides of a row have in common is written once.
pub(super) fn is_compact(config: &Config) -> Result<bool, CommandError> {
    match config.string("fetch.output") {
        None => Ok(false),
        Some(wish) if wish.eq_ignore_ascii_case(b"full") => Ok(false),
        Some(wish) if wish.eq_ignore_ascii_case(b"compact") => Ok(true),
        Some(wish) => Err(CommandError::fatal(format!("invalid value for 'fetch.output': '{wish}'"))),
    }
}
