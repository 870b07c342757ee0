//! What a push tells its user when it is over, in the order of git 2.47.3.

use bstr::{BStr, BString, ByteSlice};

use super::redacted;
use crate::cmd::transfer::abbreviation;
use crate::cmd::ui::push::{Table, is_failure, is_news};
use crate::cmd::ui::{self, BadColor, Paint, Terminal};
use crate::cmd::{CommandError, Context, Show};
use crate::remote::push::{Outcome, RefUpdate, Status, Told, Tracked};
use crate::remote::send_pack::CUT_BEHIND_REPORT;
use crate::remote::{Error, upstream};
use crate::repo::{self, Repository};
use crate::{protocol, transport};

/// How a push to one URL ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As asked.
    Done,
    /// At least one ref is not what it was to be.
    Failed,
}

/// Tells of pushes, one after the other.
pub(super) struct Reporter<'a> {
    repo: &'a Repository,
    show: Show,
    is_porcelain: bool,
    paints: Paints,
    has_advice: bool,
}

/// The colours of a push.
struct Paints {
    /// `color.transport.rejected`.
    rejected: Paint,
    /// `color.push.error`.
    error: Paint,
    /// `color.advice.hint`.
    hint: Paint,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        repo: &'a Repository,
        context: &Context,
        show: Show,
        is_porcelain: bool,
    ) -> Result<Self, CommandError> {
        let terminal = Terminal::new(&context.env);
        let paint = |group, slot, default| {
            Paint::of_push(&terminal, &repo.config, (group, slot), default).map_err(
                |BadColor { key, text }| {
                    CommandError::bad_value(&repo.config, &key)
                        .with_error(format!("invalid color value: {text}"))
                },
            )
        };
        let paints = Paints {
            rejected: paint("transport", "rejected", "red")?,
            error: paint("push", "error", "red")?,
            hint: paint("advice", "hint", "yellow")?,
        };
        Ok(Self { repo, show, is_porcelain, paints, has_advice: context.env.has_advice() })
    }

    /// Tells of the end of a push to `url`, which has no rows if it broke before the far side said anything of them;
    /// `upstream` names the remote that pushed branches are to follow from now on.
    pub(super) fn report(
        &self,
        outcome: Outcome,
        url: &BStr,
        upstream: Option<&BStr>,
        is_dry: bool,
    ) -> Result<Verdict, CommandError> {
        // Seen in git 2.47.3, where a helper program speaks HTTP: its end is not that of the push.
        let is_http = url.starts_with(b"http://") || url.starts_with(b"https://");
        let is_told = outcome.broken.is_none();
        let is_whole = is_told && !outcome.rows.iter().any(has_no_objects);
        if let Some(fatal) = outcome.broken.and_then(explain) {
            let has_reported = !outcome.rows.is_empty();
            if !has_reported && !is_http {
                return Err(fatal);
            }
            fatal.print();
            if !has_reported {
                self.failed(url);
                return Ok(Verdict::Failed);
            }
        }
        let rows = &outcome.rows;
        let has_failed = !is_whole || rows.iter().any(|row| is_failure(&row.status));
        if has_failed || self.show.verbosity >= 0 {
            self.print_table(rows, url)?;
        }
        if let Some(remote) = upstream {
            self.set_upstreams(rows, remote, is_dry)?;
        }
        print_tracking(&outcome.tracking, self.show);
        if let Some(error) = outcome.refused {
            return Err(error.into());
        }
        if self.is_porcelain && (is_whole || is_http && is_told) {
            ui::out(b"Done")?;
        } else if self.show.verbosity >= 0 && !has_failed && !rows.iter().any(|row| is_news(&row.status)) {
            ui::note("Everything up-to-date");
        }
        if !has_failed {
            return Ok(Verdict::Done);
        }
        self.failed(url);
        self.advise(rows)?;
        Ok(Verdict::Failed)
    }

    /// Tells why a push to `url` did not come about; a failure that ends the whole command is an error.
    pub(super) fn refused(&self, error: Error, url: &BStr) -> Result<Verdict, CommandError> {
        match error {
            Error::NotPushed { told } => print_told(&told, self.has_advice.then_some(&self.paints.hint)),
            Error::HookDeclined => {}
            Error::Told(error) if matches!(*error, Error::NotPushed { .. }) => {
                // Seen in git 2.47.3: nothing to do is a failure only where a program of ours waited for it.
                if [&b"git://"[..], b"http://", b"https://"].iter().any(|scheme| url.starts_with(scheme)) {
                    ui::note("Everything up-to-date");
                    return Ok(Verdict::Done);
                }
            }
            error => return Err(error.into()),
        }
        self.failed(url);
        Ok(Verdict::Failed)
    }

    /// Tells `text`, which is of a file that is no hook.
    pub(super) fn ignored_hook(&self, text: &str) {
        ui::hint_in(&self.paints.hint, text.as_bytes().as_bstr());
    }

    /// `error: failed to push some refs to '<url>'`.
    fn failed(&self, url: &BStr) {
        ui::error_in(&self.paints.error, &[&b"failed to push some refs to '"[..], url, b"'"].concat());
    }

    fn print_table(&self, rows: &[RefUpdate], url: &BStr) -> Result<(), CommandError> {
        let objects = self.repo.objects()?;
        let length = abbreviation(self.repo, &objects)?;
        let table = Table {
            paint: if self.is_porcelain { Paint::default() } else { self.paints.rejected.clone() },
            is_porcelain: self.is_porcelain,
            shows_unchanged: self.show.verbosity > 0,
            abbreviate: &|id| objects.abbreviate(id, length),
        };
        let lines = table.lines(rows);
        let head = BString::from([&b"To "[..], url].concat());
        let head = (!lines.is_empty()).then(|| ui::harmless(head.as_bstr()));
        for line in head.into_iter().chain(lines) {
            if self.is_porcelain {
                ui::out(&line)?;
            } else {
                ui::note(line);
            }
        }
        Ok(())
    }

    /// Makes each branch that was pushed, or was there already, follow what it was pushed to.
    fn set_upstreams(&self, rows: &[RefUpdate], remote: &BStr, is_dry: bool) -> Result<(), CommandError> {
        for row in rows.iter().filter(|row| matches!(row.status, Status::Done | Status::UpToDate)) {
            let Some(branch) = self.branch_of(row) else { continue };
            let Some(merge) = row.name.strip_prefix(b"refs/heads/") else { continue };
            let (branch, merge, origin) = (branch.as_bstr(), merge.as_bstr(), redacted(remote));
            if is_dry {
                let line = format!("Would set upstream of '{branch}' to '{merge}' of '{origin}'");
                ui::out(line.as_bytes())?;
                continue;
            }
            match upstream::set(self.repo, branch, remote, row.name.as_bstr()) {
                Ok(warnings) => warnings.iter().for_each(|text| ui::message("warning", text.as_bstr())),
                Err(error) => {
                    self.explain_upstream(error, &format!("{origin}/{}", row.name))?;
                    continue;
                }
            }
            if self.show.verbosity >= 0 {
                let how = if upstream::rebases(self.repo)? { " by rebasing" } else { "" };
                ui::out(format!("branch '{branch}' set up to track '{origin}/{merge}'{how}.").as_bytes())?;
            }
        }
        Ok(())
    }

    /// Tells why what a branch follows could not be written: the push itself went well.
    fn explain_upstream(&self, error: Error, upstream: &str) -> Result<(), CommandError> {
        let Error::Repo(repo::Error::Config(reason)) = error else { return Err(error.into()) };
        ui::message("error", reason.as_bytes().as_bstr());
        ui::message("error", "unable to write upstream branch configuration".into());
        if self.has_advice {
            let text = format!(
                "\nAfter fixing the error cause you may try to fix up\nthe remote tracking information by invoking:\n  \
                 git branch --set-upstream-to={upstream}"
            );
            ui::hint_in(&self.paints.hint, text.as_bytes().as_bstr());
        }
        Ok(())
    }

    /// The short name of the local branch that a row is about, `HEAD` and other symbolic refs followed.
    fn branch_of(&self, row: &RefUpdate) -> Option<BString> {
        let source = row.source.as_ref().filter(|_| !row.new.is_null())?;
        let (full, _) = self.repo.follow_ref(source.as_bstr());
        full.strip_prefix(b"refs/heads/").map(BString::from)
    }

    /// Says how to go on: of all reasons for rejections the first that counts.
    fn advise(&self, rows: &[RefUpdate]) -> Result<(), CommandError> {
        if !self.has_advice {
            return Ok(());
        }
        let head = self.repo.head_branch()?.unwrap_or_else(|| "HEAD".into());
        let Some(hint) = HINTS.iter().find(|hint| rows.iter().any(|row| (hint.applies)(row, &head))) else {
            return Ok(());
        };
        for key in ["advice.pushUpdateRejected", "advice.pushNonFastForward", hint.key] {
            if self.repo.config.boolean(key)? == Some(false) {
                return Ok(());
            }
        }
        ui::hint_in(&self.paints.hint, hint.text.into());
        Ok(())
    }
}

/// Tells why nothing is pushed; hints if they have a colour.
pub(in crate::cmd) fn print_told(told: &[Told], hint: Option<&Paint>) {
    for told in told {
        match (told, hint) {
            (Told::Error(text), _) => ui::message("error", text.as_bytes().as_bstr()),
            (Told::Hint(text), Some(paint)) => ui::hint_in(paint, text.as_bytes().as_bstr()),
            (Told::Hint(_), None) => {}
            (Told::Plain(text), _) => ui::safe_note(text.as_bytes()),
        }
    }
}

/// Names the tracking branches that were looked at, if asked to, and tells what is wrong with them.
pub(in crate::cmd) fn print_tracking(looked_at: &[Tracked], show: Show) {
    for Tracked { name, error } in looked_at {
        if show.verbosity > 0 {
            ui::safe_note(&[b"updating local tracking ref '", &name[..], b"'"].concat());
        }
        if let Some(error) = error {
            ui::message("error", error.as_bytes().as_bstr());
        }
    }
}

/// Tells why the session did not end as it should; gives the error if there is nothing more to tell then.
pub(in crate::cmd) fn explain(error: Error) -> Option<CommandError> {
    /// What git says where nothing came back.
    const DISCONNECTED: &str = "send-pack: unexpected disconnect while reading sideband packet";
    match error {
        // Said by the far side's program itself, or not at all.
        Error::Transport(transport::Error::Ended | transport::Error::HelperEnded(_)) => None,
        Error::Protocol(protocol::Error::Report(text)) => {
            if text == CUT_BEHIND_REPORT {
                ui::note(DISCONNECTED);
            }
            ui::message("error", text.as_bytes().as_bstr());
            None
        }
        Error::Transport(transport::Error::Access(text)) if text.starts_with("RPC failed") => {
            ui::message("error", text.as_bytes().as_bstr());
            explain(protocol::Error::UnexpectedEof { position: 0 }.into())
        }
        // Band 3: the last words of the far side.
        Error::Protocol(protocol::Error::Remote(text)) => {
            ui::remote_lines(&text.lines().map(BString::from).collect::<Vec<_>>());
            Some(protocol::Error::UnexpectedEof { position: 0 }.into())
        }
        error @ Error::Protocol(protocol::Error::UnexpectedEof { .. }) => {
            ui::note(DISCONNECTED);
            Some(error.into())
        }
        error => Some(error.into()),
    }
}

/// Whether the far side could make nothing of the objects. git then says nothing of `Done`, which for refs that were
/// rejected one by one it does.
fn has_no_objects(row: &RefUpdate) -> bool {
    matches!(&row.status, Status::RemoteRejected(reason) if reason == "unpacker error")
}

/// What to do about a rejection.
struct Hint {
    /// The key that silences it.
    key: &'static str,
    /// Whether it is about `row`; the second is the full name of the current branch.
    applies: fn(&RefUpdate, &BString) -> bool,
    text: &'static str,
}

/// In the order of their weight: of several one is shown.
const HINTS: [Hint; 6] = [
    Hint {
        key: "advice.pushNonFFCurrent",
        applies: |row, head| row.status == Status::NonFastForward && row.name == *head,
        text: "Updates were rejected because the tip of your current branch is behind\n\
            its remote counterpart. If you want to integrate the remote changes,\n\
            use 'git pull' before pushing again.\n\
            See the 'Note about fast-forwards' in 'git push --help' for details.",
    },
    Hint {
        key: "advice.pushNonFFMatching",
        applies: |row, _| row.status == Status::NonFastForward,
        text: "Updates were rejected because a pushed branch tip is behind its remote\n\
            counterpart. If you want to integrate the remote changes, use 'git pull'\n\
            before pushing again.\n\
            See the 'Note about fast-forwards' in 'git push --help' for details.",
    },
    Hint {
        key: "advice.pushAlreadyExists",
        applies: |row, _| row.status == Status::AlreadyExists,
        text: "Updates were rejected because the tag already exists in the remote.",
    },
    Hint {
        key: "advice.pushFetchFirst",
        applies: |row, _| row.status == Status::FetchFirst,
        text: "Updates were rejected because the remote contains work that you do not\n\
            have locally. This is usually caused by another repository pushing to\n\
            the same ref. If you want to integrate the remote changes, use\n\
            'git pull' before pushing again.\n\
            See the 'Note about fast-forwards' in 'git push --help' for details.",
    },
    Hint {
        key: "advice.pushNeedsForce",
        applies: |row, _| row.status == Status::NeedsForce,
        text: "You cannot update a remote ref that points at a non-commit object,\n\
            or update a remote ref to make it point at a non-commit object,\n\
            without using the '--force' option.",
    },
    Hint {
        key: "advice.pushRefNeedsUpdate",
        applies: |row, _| row.status == Status::RemoteUpdated,
        text: "Updates were rejected because the tip of the remote-tracking branch has\n\
            been updated since the last checkout. If you want to integrate the\n\
            remote changes, use 'git pull' before pushing again.\n\
            See the 'Note about fast-forwards' in 'git push --help' for details.",
    },
];
