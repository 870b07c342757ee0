//! `gitr send-pack`, which pushes to a URL without a look at remotes. `git-send-pack(1)`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::push::{EVERY_REF, broken, explain, leases, print_told, print_tracking, redacted, signed};
use super::rpc::Rpc;
use super::transfer::{abbreviation, bytes};
use super::ui::push::{Table, is_failure, is_news};
use super::ui::{self, Paint, Terminal};
use super::{CommandError, Context, Show, signal};
use crate::progress::Progress;
use crate::protocol::{Service, Version, pktline};
use crate::remote::push::{Options, Outcome, Push, RefUpdate, Status};
use crate::remote::{Error, Remote, Session};
use crate::repo::Repository;
use crate::transport;

const SPEC: Spec = Spec {
    name: "send-pack",
    synopsis: &[
        "git send-pack [--mirror] [--dry-run] [--force]",
        "                     [--receive-pack=<git-receive-pack>]",
        "                     [--verbose] [--thin] [--atomic]",
        "                     [--[no-]signed | --signed=(true|false|if-asked)]",
        "                     [<host>:]<directory> (--all | <ref>...)",
    ],
    plain: &[],
};

/// How C git reports that a ref was rejected: -1.
const REJECTED: u8 = 255;

/// How C git ends where it was not told what to push and both sides have nothing in common.
const NOTHING_IN_COMMON: u8 = 128;

#[derive(Debug, clap::Args)]
struct Arguments {
    /// be more verbose
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// be more quiet
    #[arg(short, long, action = clap::ArgAction::Count)]
    quiet: u8,
    /// receive pack program
    #[arg(long = "receive-pack", value_name = "receive-pack")]
    receive_pack: Option<OsString>,
    /// receive pack program
    #[arg(long, value_name = "receive-pack")]
    exec: Option<OsString>,
    /// remote name
    #[arg(long, value_name = "remote")]
    remote: Option<OsString>,
    /// push all refs
    #[arg(long)]
    all: bool,
    /// dry run
    #[arg(short = 'n', long = "dry-run")]
    dry_run: bool,
    /// mirror all refs
    #[arg(long)]
    mirror: bool,
    /// force updates
    #[arg(short, long)]
    force: bool,
    /// GPG sign the push
    #[arg(long, value_name = "(yes|no|if-asked)", num_args = 0..=1, require_equals = true,
          default_missing_value = "yes")]
    signed: Option<OsString>,
    /// option to transmit
    #[arg(long = "push-option", value_name = "server-specific")]
    push_option: Vec<OsString>,
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    /// use thin pack
    #[arg(long)]
    thin: bool,
    /// request atomic transaction on remote side
    #[arg(long)]
    atomic: bool,
    /// use stateless RPC protocol
    #[arg(long = "stateless-rpc")]
    stateless_rpc: bool,
    /// read refs from stdin
    #[arg(long)]
    stdin: bool,
    /// print status from remote helper
    #[arg(long = "helper-status")]
    helper_status: bool,
    /// require old value of ref to be at this value
    #[arg(long = "force-with-lease", value_name = "refname>:<expect", num_args = 0..=1, require_equals = true,
          default_missing_value = EVERY_REF)]
    force_with_lease: Vec<OsString>,
    /// require remote updates to be integrated locally
    #[arg(long = "force-if-includes")]
    force_if_includes: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr send-pack`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let repo = context.repository_entered()?;
    repo.config.check_core()?;
    repo.config.check_index()?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let values = &parsed.values;
    let misuse = || CommandError::usage(arguments::usage_of::<Arguments>(&SPEC));
    let Some((destination, words)) = values.operands.split_first() else { return Err(misuse()) };
    let mut input = BufReader::new(std::io::stdin());
    let mut refspecs: Vec<BString> = words.iter().map(bytes).collect();
    if values.stdin {
        let said = if values.stateless_rpc { read_packets(&mut input)? } else { read_lines(&mut input)? };
        refspecs.extend(said);
    }
    let kinds = [values.all, values.mirror, !refspecs.is_empty()];
    if kinds.iter().filter(|is_given| **is_given).count() > 1 {
        return Err(misuse());
    }
    if refspecs.is_empty() && !values.all && !values.mirror {
        // What both sides have.
        refspecs.push(":".into());
    }
    let destination = bytes(destination);
    let remote = remote(&repo, &destination, values.remote.as_ref().map(bytes).as_ref())?;
    let show = Show { verbosity: parsed.verbosity(), progress: parsed.choice("progress") };
    let mut options = options(&parsed, &repo, show)?;
    options.refspecs = refspecs;
    let rpc = values.stateless_rpc.then(|| Rpc::new(Box::new(input), Box::new(std::io::stdout())));
    let mut meters = context.meters(&repo.config, show);
    let sent = send(Push::new(&repo, &remote, destination.as_bstr(), &options), rpc, &mut meters);
    drop(meters);
    let outcome = match sent {
        Err(Error::NotPushed { told }) => {
            print_told(&told, context.env.has_advice().then_some(&Paint::default()));
            return Ok(REJECTED);
        }
        Err(Error::Told(error)) if matches!(*error, Error::NotPushed { .. }) => return Ok(NOTHING_IN_COMMON),
        sent => sent?,
    };
    report(&repo, outcome, &destination, show, values.helper_status)
}

/// Pushes, over `rpc` if there is one.
fn send(push: Push<'_>, rpc: Option<Rpc>, meters: &mut dyn Progress) -> Result<Outcome, Error> {
    let connected = match rpc {
        Some(mut rpc) => {
            let session = Session::open(&mut rpc, Service::ReceivePack, Version::V0, meters)?;
            push.over(session, meters)?
        }
        None => push.connect(meters)?,
    };
    connected.decide(meters)?.send(meters).or_else(broken)
}

/// The remote whose tracking branches follow the push: that of `--remote`, which must have `destination` for a URL.
fn remote(repo: &Repository, destination: &BString, named: Option<&BString>) -> Result<Remote, CommandError> {
    let Some(name) = named else {
        let mut remote = Remote::of_url(&repo.config, destination.as_bstr());
        remote.urls = vec![destination.clone()];
        return Ok(remote);
    };
    let remote = Remote::from_config(&repo.config, name.as_bstr())?;
    if !remote.urls.contains(destination) {
        return Err(CommandError::fatal(format!("Destination {destination} is not a uri for {name}")));
    }
    Ok(remote)
}

fn options(parsed: &Parsed<Arguments>, repo: &Repository, show: Show) -> Result<Options, CommandError> {
    let values = &parsed.values;
    Ok(Options {
        all: values.all,
        mirror: values.mirror,
        force: values.force,
        lease: leases(repo, &values.force_with_lease)?,
        force_if_includes: values.force_if_includes,
        atomic: values.atomic,
        dry_run: values.dry_run,
        thin: values.thin,
        quiet: show.verbosity < 0 || !show.is_progress_shown(&Terminal::new(&repo.env)),
        push_options: values.push_option.iter().map(bytes).collect(),
        signed: signed(parsed.choice("signed"), values.signed.as_ref(), &repo.config)?,
        // The hook is that of `git push`.
        no_verify: true,
        transport: transport::Options {
            receive_pack: values.exec.as_ref().or(values.receive_pack.as_ref()).map(bytes),
            verbose: show.verbosity > 0,
            ..transport::Options::default()
        },
        ..Options::default()
    })
}

/// `--stdin`: a refspec on each line.
pub(super) fn read_lines(input: &mut dyn BufRead) -> Result<Vec<BString>, CommandError> {
    let mut refspecs = Vec::new();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        refspecs.push(line.trim_end_with(|last| last == '\n').into());
        line.clear();
    }
    Ok(refspecs)
}

/// `--stdin` with `--stateless-rpc`: a refspec in each pkt-line, up to a flush-pkt; what follows is the server's.
pub(super) fn read_packets(input: &mut dyn BufRead) -> Result<Vec<BString>, CommandError> {
    let mut refspecs = Vec::new();
    let mut reader = pktline::Reader::new(input);
    while let Some(line) = reader.read()?.line() {
        refspecs.push(line.into());
    }
    Ok(refspecs)
}

fn report(
    repo: &Repository,
    outcome: Outcome,
    destination: &BString,
    show: Show,
    is_for_helper: bool,
) -> Result<u8, CommandError> {
    let rows = &outcome.rows;
    let has_failed = outcome.broken.is_some() || rows.iter().any(|row| is_failure(&row.status));
    let code = if has_failed { REJECTED } else { 0 };
    // a pack that could not be made was told of, and the far side has said what it thinks of that
    let is_told = |error: &Error| matches!(error, Error::Told(_)) && !rows.is_empty();
    if let Some(fatal) = outcome.broken.filter(|error| !is_told(error)).and_then(explain) {
        return Err(fatal);
    }
    if is_for_helper {
        for line in helper_lines(&outcome.remote_refs, rows) {
            ui::out(&line)?;
        }
    } else {
        print_table(repo, rows, destination, show)?;
    }
    print_tracking(&outcome.tracking, show);
    if !has_failed && !rows.iter().any(|row| is_news(&row.status)) {
        ui::note("Everything up-to-date");
    }
    Ok(code)
}

fn print_table(
    repo: &Repository,
    rows: &[RefUpdate],
    destination: &BString,
    show: Show,
) -> Result<(), CommandError> {
    let objects = repo.objects()?;
    let length = abbreviation(repo, &objects)?;
    let table = Table {
        paint: Paint::default(),
        is_porcelain: false,
        // Seen in git 2.47.3: --quiet shows them as well.
        shows_unchanged: show.verbosity != 0,
        abbreviate: &|id| objects.abbreviate(id, length),
    };
    let lines = table.lines(rows);
    if !lines.is_empty() {
        ui::safe_note(&[&b"To "[..], &redacted(destination.as_bstr())].concat());
    }
    lines.into_iter().for_each(ui::note);
    Ok(())
}

/// What a remote helper is told: of each of `remote_refs`, then of the new refs among `rows`.
fn helper_lines(remote_refs: &[BString], rows: &[RefUpdate]) -> Vec<BString> {
    let mut untold: BTreeMap<&BString, &RefUpdate> = rows.iter().map(|row| (&row.name, row)).collect();
    let mut lines = Vec::new();
    for name in remote_refs {
        lines.push(match untold.remove(name) {
            Some(row) => helper_line(row),
            None => [b"error ", name.as_slice(), b" no match"].concat().into(),
        });
    }
    lines.extend(rows.iter().filter(|row| untold.contains_key(&row.name)).map(helper_line));
    lines
}

/// What a remote helper is told of a ref: gitremote-helpers(7), "push".
fn helper_line(row: &RefUpdate) -> BString {
    let (word, reason) = match &row.status {
        Status::Pending => ("error", Some("no match".into())),
        Status::UpToDate => ("ok", Some("up to date".into())),
        Status::Done => ("ok", None),
        Status::Unreported => ("error", Some("expecting report".into())),
        Status::NonFastForward => ("error", Some("non-fast forward".into())),
        Status::FetchFirst => ("error", Some("fetch first".into())),
        Status::NeedsForce => ("error", Some("needs force".into())),
        Status::AlreadyExists => ("error", Some("already exists".into())),
        Status::Stale => ("error", Some("stale info".into())),
        Status::RemoteUpdated => ("error", Some("remote ref updated since checkout".into())),
        Status::NoDelete => ("error", Some("remote does not support deleting refs".into())),
        Status::ShallowUpdate => ("error", Some("shallow update not allowed".into())),
        Status::AtomicFailed => ("error", Some("atomic push failed".into())),
        Status::RemoteRejected(reason) => ("error", Some(ui::harmless(reason.as_bstr()))),
    };
    let mut line = BString::from([word.as_bytes(), b" ", &row.name].concat());
    if let Some(reason) = reason {
        line.push(b' ');
        line.extend_from_slice(&reason);
    }
    line
}
