//! `gitr bundle`. `git-bundle(1)`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::error::reason;
use super::transfer::bytes;
use super::{CommandError, Context, Show, signal, ui};
use crate::progress::Progress;
use crate::protocol;
use crate::protocol::bundle::Header;
use crate::remote::Error;
use crate::remote::bundle::{Bundled, Unbundling, check_prerequisites, unbundle};
use crate::repo::{LockFile, Repository};
use crate::storage::Storage;

/// How each subcommand is called.
const SYNOPSIS: [&str; 5] = [
    "git bundle create [-q | --quiet | --progress]",
    "                         [--version=<version>] <file> <git-rev-list-args>",
    "git bundle verify [-q | --quiet] <file>",
    "git bundle list-heads <file> [<refname>...]",
    "git bundle unbundle [--progress] <file> [<refname>...]",
];

const SPEC: Spec = Spec { name: "bundle", synopsis: &SYNOPSIS, plain: &[] };
const CREATE: Spec = Spec { synopsis: SYNOPSIS.split_at(2).0, ..SPEC };
const VERIFY: Spec = Spec { synopsis: SYNOPSIS.split_at(2).1.split_at(1).0, ..SPEC };
const LIST_HEADS: Spec = Spec { synopsis: SYNOPSIS.split_at(3).1.split_at(1).0, ..SPEC };
const UNBUNDLE: Spec = Spec { synopsis: SYNOPSIS.split_at(4).1, ..SPEC };

#[derive(Debug, clap::Args)]
struct NoArguments {}

#[derive(Debug, clap::Args)]
struct CreateArguments {
    /// do not show progress meter
    #[arg(short, long)]
    quiet: bool,
    /// show progress meter
    #[arg(long)]
    progress: bool,
    #[arg(long = "all-progress", hide = true)]
    all_progress: bool,
    #[arg(long = "all-progress-implied", hide = true)]
    all_progress_implied: bool,
    /// specify bundle format version
    #[arg(long, value_name = "n", allow_hyphen_values = true)]
    version: Option<i64>,
}

#[derive(Debug, clap::Args)]
struct VerifyArguments {
    /// do not show bundle details
    #[arg(short, long)]
    quiet: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct ListHeadsArguments {
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct UnbundleArguments {
    /// show progress meter
    #[arg(long)]
    progress: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr bundle`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let Some((command, rest)) = arguments.split_first() else {
        let usage = arguments::usage_of::<NoArguments>(&SPEC);
        return Err(CommandError::bad_option(format!("need a subcommand\n{usage}")));
    };
    match command.as_encoded_bytes() {
        b"create" => create(rest, &context),
        b"verify" => verify(rest, &context),
        b"list-heads" => list_heads(rest),
        b"unbundle" => take(rest, &context),
        other => {
            let _parsed: Parsed<NoArguments> = if other.starts_with(b"-") {
                arguments::parse(&SPEC, arguments)?
            } else {
                let usage = arguments::usage_of::<NoArguments>(&SPEC);
                let text = format!("unknown subcommand: `{}'\n{usage}", other.as_bstr());
                return Err(CommandError::bad_option(text));
            };
            Err(CommandError::bad_option("need a subcommand"))
        }
    }
}

fn create(arguments: &[OsString], context: &Context) -> Result<u8, CommandError> {
    let (options, rest) = arguments.split_at(options_len(arguments));
    let parsed: Parsed<CreateArguments> = arguments::parse(&CREATE, options)?;
    let Some((file, revisions)) = rest.split_first() else { return Err(no_file::<CreateArguments>(&CREATE)) };
    let Ok(repo) = context.repository() else {
        return Err(CommandError::fatal("Need a repository to create a bundle."));
    };
    signal::guard_temporaries(std::sync::Arc::clone(&context.is_stopped))?;
    let progress = progress_wish(options);
    let mut meters = context.meters(&repo.config, Show { verbosity: 0, progress });
    let revisions: Vec<BString> = revisions.iter().map(bytes).collect();
    let version = parsed.values.version;
    if file == "-" {
        let bundled = bundled(&repo, &revisions, version, &mut meters)?;
        let mut out = BufWriter::new(io::stdout());
        written(bundled.write(&repo, &mut out, &mut meters))?;
        out.flush()?;
        return Ok(0);
    }
    let path = Path::new(file);
    let lock = LockFile::hold_through_links(path, Storage::default())?;
    let bundled = bundled(&repo, &revisions, version, &mut meters)?;
    let mut out = BufWriter::new(lock);
    written(bundled.write(&repo, &mut out, &mut meters))?;
    let lock = out.into_inner().map_err(|error| cannot_create(path, error.error()))?;
    lock.commit().map_err(|error| cannot_create(path, &error))?;
    Ok(0)
}

fn bundled(
    repo: &Repository,
    revisions: &[BString],
    version: Option<i64>,
    progress: &mut dyn Progress,
) -> Result<Bundled, CommandError> {
    let bundled = Bundled::new(repo, revisions, &mut io::stdin().lock(), version, progress)?;
    repo.config.check_index()?;
    repo.config.check_core().map_err(|error| died("pack-objects", error))?;
    Ok(bundled)
}

/// What a promisor did not send, and what is wrong with the configuration, is told as by git, which packs in a child.
fn written(result: Result<(), Error>) -> Result<(), CommandError> {
    use crate::repo::Error as RepoError;
    match result {
        Err(error @ (Error::NotPromised(_) | Error::Repo(RepoError::Config(_)))) => {
            Err(died("pack-objects", error))
        }
        result => Ok(result?),
    }
}

/// What git says of `error` where a child of its ends by it.
fn died(child: &str, error: impl Into<CommandError>) -> CommandError {
    error.into().print();
    CommandError::silent(1).with_error(format!("{child} died"))
}

fn cannot_create(path: &Path, error: &io::Error) -> CommandError {
    CommandError::fatal(format!("cannot create '{}': {}", path.display(), reason(error)))
}

fn verify(arguments: &[OsString], context: &Context) -> Result<u8, CommandError> {
    let parsed: Parsed<VerifyArguments> = arguments::parse(&VERIFY, arguments)?;
    let VerifyArguments { quiet, operands } = parsed.values;
    let Some(file) = operands.first() else { return Err(no_file::<VerifyArguments>(&VERIFY)) };
    let opened = Opened::open(file)?;
    let Ok(repo) = context.repository() else {
        return Err(CommandError::silent(1).with_error("need a repository to verify a bundle"));
    };
    let header = &opened.header;
    let checked = check_prerequisites(&repo, &mut repo.objects()?.here(), header);
    // what is here and not connected is no reason for git to say less of the bundle
    let is_missing = matches!(&checked, Err(Error::Prerequisites(lines)) if lines.len() > 1);
    if is_missing && quiet {
        return Ok(1);
    }
    if !is_missing && !quiet {
        describe(header)?;
    }
    checked?;
    ui::safe_note(format!("{} is okay", opened.name).as_bytes());
    Ok(0)
}

/// What `verify` prints of a bundle that can be taken in.
fn describe(header: &Header) -> io::Result<()> {
    match header.refs.len() {
        1 => ui::out(b"The bundle contains this ref:")?,
        count => ui::out(format!("The bundle contains these {count} refs:").as_bytes())?,
    }
    print_refs(header, &[])?;
    match header.prerequisites.len() {
        0 => ui::out(b"The bundle records a complete history.")?,
        1 => ui::out(b"The bundle requires this ref:")?,
        count => ui::out(format!("The bundle requires these {count} refs:").as_bytes())?,
    }
    for (id, _) in &header.prerequisites {
        ui::out(format!("{id} ").as_bytes())?;
    }
    ui::out(format!("The bundle uses this hash algorithm: {}", header.object_hash).as_bytes())?;
    if let Some(filter) = &header.filter {
        ui::out(&[b"The bundle uses this filter: ", filter.as_slice()].concat())?;
    }
    Ok(())
}

fn list_heads(arguments: &[OsString]) -> Result<u8, CommandError> {
    let parsed: Parsed<ListHeadsArguments> = arguments::parse(&LIST_HEADS, arguments)?;
    let Some((file, names)) = parsed.values.operands.split_first() else {
        return Err(no_file::<ListHeadsArguments>(&LIST_HEADS));
    };
    print_refs(&Opened::open(file)?.header, names)?;
    Ok(0)
}

/// `gitr bundle unbundle`.
fn take(arguments: &[OsString], context: &Context) -> Result<u8, CommandError> {
    let parsed: Parsed<UnbundleArguments> = arguments::parse(&UNBUNDLE, arguments)?;
    let Some((file, names)) = parsed.values.operands.split_first() else {
        return Err(no_file::<UnbundleArguments>(&UNBUNDLE));
    };
    let mut opened = Opened::open(file)?;
    let Ok(repo) = context.repository() else {
        return Err(CommandError::fatal("Need a repository to unbundle."));
    };
    signal::guard_temporaries(std::sync::Arc::clone(&context.is_stopped))?;
    repo.config.check_core().map_err(|error| died("index-pack", error))?;
    repo.config.check_index().map_err(|error| died("index-pack", error))?;
    let show = Show { verbosity: 0, progress: Some(parsed.values.progress) };
    let mut meters = context.meters(&repo.config, show);
    let bundle = (&opened.header, &mut opened.pack as &mut dyn BufRead);
    unbundle(&repo, &mut repo.objects()?.here(), bundle, None, &mut Unbundling(&mut meters))?;
    drop(meters);
    print_refs(&opened.header, names)?;
    Ok(0)
}

/// The refs of a bundle, those in `names` if there are any.
fn print_refs(header: &Header, names: &[OsString]) -> io::Result<()> {
    let is_wanted = |name: &BStr| {
        names.is_empty() || names.iter().any(|wanted| wanted.as_encoded_bytes() == name.as_bytes())
    };
    for reference in header.refs.iter().filter(|reference| is_wanted(reference.name.as_bstr())) {
        let Some(id) = reference.id else { continue };
        ui::out(&[id.to_string().as_bytes(), b" ", &reference.name].concat())?;
    }
    Ok(())
}

/// A bundle whose header is read.
struct Opened {
    /// What messages call it.
    name: String,
    header: Header,
    pack: Box<dyn BufRead>,
}

impl Opened {
    /// Opens `file`, or stdin for `-`.
    fn open(file: &OsString) -> Result<Self, CommandError> {
        let failed = |text: String| Err(CommandError::silent(1).with_error(text));
        let (name, mut pack): (_, Box<dyn BufRead>) = if file == "-" {
            ("<stdin>".to_owned(), Box::new(BufReader::new(io::stdin())))
        } else {
            let name = file.to_string_lossy().into_owned();
            match File::open(file) {
                Ok(file) => (name, Box::new(BufReader::new(file))),
                Err(_) => return failed(format!("could not open '{name}'")),
            }
        };
        match Header::read(&mut *pack) {
            Ok(header) => Ok(Self { name, header, pack }),
            Err(protocol::Error::NotABundle | protocol::Error::Io(_)) => {
                failed(format!("'{name}' {}", protocol::Error::NotABundle))
            }
            Err(error) => failed(error.to_string()),
        }
    }
}

/// How many of `arguments` stand before the file: options end there, and what follows is for others to read.
fn options_len(arguments: &[OsString]) -> usize {
    let mut is_value = false;
    let is_operand = |argument: &OsString| {
        let text = argument.as_encoded_bytes();
        if std::mem::take(&mut is_value) {
            return false;
        }
        is_value = text.len() > 2 && b"--version".starts_with(text);
        !text.starts_with(b"-") || text == b"-"
    };
    arguments.iter().position(is_operand).unwrap_or(arguments.len())
}

/// Of the options about progress the last one counts.
fn progress_wish(options: &[OsString]) -> Option<bool> {
    options.iter().rev().find_map(|option| match option.as_encoded_bytes() {
        b"-q" | b"--quiet" | b"--no-progress" => Some(false),
        b"--progress" | b"--all-progress" | b"--no-quiet" => Some(true),
        _ => None,
    })
}

fn no_file<A: clap::Args>(spec: &Spec) -> CommandError {
    CommandError::usage(format!("fatal: need a <file> argument\n\n{}", arguments::usage_of::<A>(spec)))
}
