//! `gitr remote show`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use super::list;
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::push::print_told;
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, ui};
use crate::remote::Remote;
use crate::remote::config::urls;
use crate::remote::push::{Content, Planned, Preview, PushRefspec, preview};
use crate::remote::survey::{Survey, Tracking, remembered};
use crate::repo::Repository;

mod pull;

const SPEC: Spec =
    Spec { name: "remote show", synopsis: &["git remote show [<options>] <name>"], plain: &[] };

#[derive(Debug, clap::Args)]
struct Arguments {
    /// do not query remotes
    #[arg(short = 'n')]
    no_query: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote show`.
pub(super) fn run(arguments: &[OsString], context: Context, is_verbose: bool) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let repo = context.repository_entered()?;
    if parsed.values.operands.is_empty() {
        list(&repo.config, is_verbose)?;
        return Ok(0);
    }
    super::warn_repeated(&repo)?;
    let pulls = pull::Pulls::read(&repo.config)?;
    for name in parsed.values.operands.iter().map(bytes) {
        let remote = Remote::in_repository(&repo, name.as_bstr())?;
        let mut report = Report { repo: &repo, remote: &remote, name: &name, text: Vec::new() };
        if parsed.values.no_query {
            report.remembered(&pulls)?;
        } else {
            let survey = super::ask(&repo, &remote, &context)?;
            report.queried(&survey, &pulls)?;
        }
        ui::out_raw(&report.text)?;
    }
    Ok(0)
}

/// What becomes of a ref that is deleted.
const DELETE: &str = "delete";

/// What is told of one remote.
struct Report<'a> {
    repo: &'a Repository,
    remote: &'a Remote,
    name: &'a BString,
    text: Vec<u8>,
}

impl Report<'_> {
    fn queried(&mut self, survey: &Survey, pulls: &pull::Pulls) -> Result<(), CommandError> {
        let branches = survey.branches(self.repo, self.remote)?;
        let previews = if self.remote.mirror {
            Vec::new()
        } else {
            let (previews, told) = preview(self.repo, self.remote, &survey.refs)?;
            print_told(&told, None);
            previews
        };
        self.urls();
        match survey.heads().as_slice() {
            [] => self.line(b"  HEAD branch: (unknown)"),
            [only] => self.line(format!("  HEAD branch: {only}").as_bytes()),
            several => {
                self.line(b"  HEAD branch (remote HEAD is ambiguous, may be one of the following):");
                for head in several {
                    self.line(format!("    {head}").as_bytes());
                }
            }
        }
        self.branches(&branches);
        self.text.extend(pulls.section(self.name.as_bstr()));
        self.pushes(previews.iter().map(Row::of_preview).collect(), "");
        Ok(())
    }

    fn remembered(&mut self, pulls: &pull::Pulls) -> Result<(), CommandError> {
        self.urls();
        self.line(b"  HEAD branch: (not queried)");
        let names = remembered(self.repo, self.remote)?;
        if !names.is_empty() {
            let es = if names.len() == 1 { "" } else { "es" };
            self.line(format!("  Remote branch{es}: (status not queried)").as_bytes());
        }
        for name in names {
            self.line(format!("    {name}").as_bytes());
        }
        self.text.extend(pulls.section(self.name.as_bstr()));
        let mut rows: Vec<Row> = self.remote.push.iter().map(Row::of_refspec).collect();
        if rows.is_empty() {
            rows.push(Row::matching(false));
        }
        self.pushes(rows, " (status not queried)");
        Ok(())
    }

    fn line(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.text.push(b'\n');
    }

    fn urls(&mut self) {
        let (_, pushed) = urls(&self.repo.config, self.name.as_bstr());
        let pushed = if pushed.is_empty() { self.remote.push_urls.clone() } else { pushed };
        self.line(format!("* remote {}", self.name).as_bytes());
        let fetched = self.remote.urls.first().cloned().unwrap_or_else(|| "(no URL)".into());
        self.line(format!("  Fetch URL: {fetched}").as_bytes());
        for url in pushed {
            self.line(format!("  Push  URL: {url}").as_bytes());
        }
    }

    fn branches(&mut self, branches: &BTreeMap<BString, Tracking>) {
        if branches.is_empty() {
            return;
        }
        let es = if branches.len() == 1 { "" } else { "es" };
        self.line(format!("  Remote branch{es}:").as_bytes());
        let width = branches.keys().map(|name| name.len()).max().unwrap_or_default();
        for (name, state) in branches {
            let state = match state {
                Tracking::New => format!("new (next fetch will store in remotes/{})", self.name),
                Tracking::Tracked => "tracked".into(),
                Tracking::Skipped => "skipped".into(),
                Tracking::Stale => "stale (use 'git remote prune' to remove)".into(),
            };
            let line = [b"    ", padded(name.as_bstr(), width).as_slice(), b" ", state.as_bytes()].concat();
            self.line(&line);
        }
    }

    fn pushes(&mut self, mut rows: Vec<Row>, note: &str) {
        if self.remote.mirror {
            self.line(b"  Local refs will be mirrored by 'git push'");
            return;
        }
        if rows.is_empty() {
            return;
        }
        rows.sort_by(|a, b| (&a.source, &a.name).cmp(&(&b.source, &b.name)));
        let s = if rows.len() == 1 { "" } else { "s" };
        self.line(format!("  Local ref{s} configured for 'git push'{note}:").as_bytes());
        let width =
            |part: fn(&Row) -> &BString| rows.iter().map(|row| part(row).len()).max().unwrap_or_default();
        let (source_width, name_width) = (width(|row| &row.source), width(|row| &row.name));
        for row in &rows {
            let verb = if row.force { "forces" } else { "pushes" };
            let source = if row.state == Some(DELETE) { "(none)".into() } else { row.source.as_bstr() };
            let source = padded(source, source_width);
            let line = match row.state {
                None => format!("    {source} {verb} to {}", row.name),
                Some(state) => {
                    format!("    {source} {verb} to {} ({state})", padded(row.name.as_bstr(), name_width))
                }
            };
            self.line(line.as_bytes());
        }
    }
}

/// A line about what would be pushed.
struct Row {
    source: BString,
    name: BString,
    force: bool,
    /// `None` where the remote was not asked.
    state: Option<&'static str>,
}

impl Row {
    fn of_preview(preview: &Preview) -> Self {
        let state = match preview.planned {
            Planned::Create => "create",
            Planned::Delete => DELETE,
            Planned::UpToDate => "up to date",
            Planned::FastForward => "fast-forwardable",
            Planned::OutOfDate => "local out of date",
        };
        // As wide as this, though git then shows it as `(none)`.
        let source = preview.source.as_ref().map_or_else(|| "(delete)".into(), |name| short(name.as_bstr()));
        Self { source, name: short(preview.name.as_bstr()), force: preview.force, state: Some(state) }
    }

    fn of_refspec(refspec: &PushRefspec) -> Self {
        let (source, name) = match &refspec.content {
            Content::Matching => return Self::matching(refspec.force),
            Content::Delete(name) => ("(delete)".into(), name.clone()),
            Content::One { source, destination } => {
                (source.clone(), destination.clone().unwrap_or_else(|| source.clone()))
            }
            Content::Pattern { source, destination } => (source.clone(), destination.clone()),
            Content::Exclude(name) => (name.clone(), name.clone()),
        };
        Self { source, name, force: refspec.force, state: None }
    }

    fn matching(force: bool) -> Self {
        Self { source: "(matching)".into(), name: "(matching)".into(), force, state: None }
    }
}

/// A branch without `refs/heads/`.
fn short(name: &BStr) -> BString {
    name.strip_prefix(b"refs/heads/").unwrap_or(name).into()
}

/// `text` with blanks up to `width` bytes, as git counts.
fn padded(text: &BStr, width: usize) -> BString {
    let mut padded = text.to_owned();
    padded.resize(width.max(text.len()), b' ');
    padded
}
