//! `gitr ls-remote`. `git-ls-remote(1)`.

use std::ffi::OsString;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::arguments::{self, Parsed, Spec};
use super::transfer::{bytes, check_credentials, helper_options};
use super::{CommandError, Context, Show, ui};
use crate::protocol::Ref;
use crate::remote::config::{default_name, exists};
use crate::remote::{Remote, RepoSettings, listing};
use crate::repo::{Config, Repository};
use crate::text::push_hex;
use crate::transport;

mod sort;

const SPEC: Spec = Spec {
    name: "ls-remote",
    synopsis: &[
        "git ls-remote [--branches] [--tags] [--refs] [--upload-pack=<exec>]",
        "                     [-q | --quiet] [--exit-code] [--get-url] [--sort=<key>]",
        "                     [--symref] [<repository> [<patterns>...]]",
    ],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// do not print remote URL
    #[arg(short, long)]
    quiet: bool,
    /// path of git-upload-pack on the remote host
    #[arg(long = "upload-pack", visible_alias = "exec", value_name = "exec")]
    upload_pack: Option<OsString>,
    /// limit to tags
    #[arg(short, long)]
    tags: bool,
    /// limit to branches
    #[arg(short, long)]
    branches: bool,
    /// deprecated synonym for --branches
    #[arg(short = 'h', long, hide = true)]
    heads: bool,
    /// do not show peeled tags
    #[arg(long)]
    refs: bool,
    /// take url.<base>.insteadOf into account
    #[arg(long = "get-url")]
    get_url: bool,
    /// field name to sort on
    #[arg(long, value_name = "key", allow_hyphen_values = true)]
    sort: Vec<String>,
    /// exit with exit code 2 if no matching refs are found
    #[arg(long = "exit-code")]
    exit_code: bool,
    /// show underlying ref in addition to the object pointed by it
    #[arg(long)]
    symref: bool,
    /// option to transmit
    #[arg(short = 'o', long = "server-option", value_name = "server-specific")]
    server_option: Vec<OsString>,
    #[arg(hide = true, trailing_var_arg = true)]
    operands: Vec<OsString>,
}

/// One line of the output.
#[derive(Debug, Clone)]
struct Row {
    id: ObjectId,
    name: BString,
    symref: Option<BString>,
}

/// The output. Rows that need no sorting become text at once, since there may be very many.
#[derive(Default)]
struct Table {
    is_sorted: bool,
    rows: Vec<Row>,
    text: Vec<u8>,
}

impl Table {
    fn add(&mut self, row: &Row, with_symrefs: bool) {
        if self.is_sorted {
            self.rows.push(row.clone());
        } else {
            print(row, with_symrefs, &mut self.text);
        }
    }

    fn into_text(mut self, with_symrefs: bool) -> Vec<u8> {
        for row in &self.rows {
            print(row, with_symrefs, &mut self.text);
        }
        self.text
    }
}

/// Runs `gitr ls-remote`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let values = &parsed.values;
    let repo = context.repository_if_any()?;
    repo.as_ref().map(super::enter).transpose()?;
    let outside;
    let config = if let Some(repo) = &repo {
        &repo.config
    } else {
        outside = context.config()?;
        &outside
    };
    let remote = choose_remote(values, repo.as_ref(), config)?;
    let url = remote.urls.first().ok_or_else(|| CommandError::fatal("no URL"))?;
    if values.get_url {
        ui::out(url)?;
        return Ok(0);
    }
    let git_dir = repo.as_ref().map(|repo| repo.git_dir.as_path());
    let mut selection = Selection::new(values);
    let mut table = Table { is_sorted: !values.sort.is_empty(), ..Table::default() };
    list(values, &remote, (config, git_dir), &context, &mut |reference| {
        selection.select(reference, &mut |row| table.add(row, values.symref));
    })?;
    if values.operands.is_empty() && !values.quiet {
        ui::note(format!("From {}", remote.location()?.redacted()));
    }
    let keys = sort::parse(&values.sort, repo.is_some())?;
    sort::sort(&mut table.rows, &keys, repo.as_ref(), config)?;
    let is_empty = table.rows.is_empty() && table.text.is_empty();
    ui::out_raw(&table.into_text(values.symref))?;
    Ok(if is_empty && values.exit_code { 2 } else { 0 })
}

fn choose_remote(
    values: &Arguments,
    repo: Option<&Repository>,
    config: &Config,
) -> Result<Remote, CommandError> {
    let name = match (values.operands.first(), repo) {
        (Some(name), _) => bytes(name),
        (None, Some(repo)) => {
            let branch = repo.head_branch()?;
            default_name(config, branch.as_ref().map(|branch| branch.as_bstr()))
        }
        (None, None) => "origin".into(),
    };
    if values.operands.is_empty() && !exists(config, name.as_bstr()) {
        return Err(CommandError::fatal("No remote configured to list refs from."));
    }
    let remote = match repo {
        Some(repo) => Remote::in_repository(repo, name.as_bstr())?,
        None => Remote::from_config(config, name.as_bstr())?,
    };
    check_credentials(config, &remote.urls)?;
    Ok(remote)
}

fn list(
    values: &Arguments,
    remote: &Remote,
    (config, git_dir): (&Config, Option<&Path>),
    context: &Context,
    take: &mut dyn FnMut(&Ref),
) -> Result<(), CommandError> {
    let options = listing::Options {
        prefixes: prefixes(values),
        transport: transport::Options {
            upload_pack: values.upload_pack.as_ref().map(bytes),
            git_dir: git_dir.and_then(|path| std::path::absolute(path).ok()),
            helper_options: helper_options(Show::default(), &context.env),
            ..transport::Options::default()
        },
        server_options: values.server_option.iter().map(bytes).collect(),
    };
    let settings = RepoSettings { config, env: &context.env };
    let mut meters = context.meters(config, Show::default());
    Ok(listing::for_each(remote, (&settings, &options), &mut meters, take)?)
}

fn prefixes(values: &Arguments) -> Vec<BString> {
    let mut prefixes = Vec::new();
    if values.branches || values.heads {
        prefixes.push("refs/heads/".into());
    }
    if values.tags {
        prefixes.push("refs/tags/".into());
    }
    prefixes
}

/// What the command line lets through.
struct Selection {
    prefixes: Vec<BString>,
    patterns: Vec<BString>,
    refs_only: bool,
    /// The row that is shown, whose buffers are used again.
    row: Row,
}

impl Selection {
    fn new(values: &Arguments) -> Self {
        Self {
            prefixes: prefixes(values),
            patterns: values.operands.iter().skip(1).map(bytes).collect(),
            refs_only: values.refs,
            row: Row { id: ObjectId::null(gix_hash::Kind::Sha1), name: BString::default(), symref: None },
        }
    }

    /// Gives `take` the rows of `reference` that kinds and patterns let through, that of a peeled tag among them.
    fn select(&mut self, reference: &Ref, take: &mut dyn FnMut(&Row)) {
        let Some(id) = reference.id else { return };
        self.row.id = id;
        self.row.name.clear();
        self.row.name.extend_from_slice(&reference.name);
        self.row.symref.clone_from(&reference.symref_target);
        if self.is_wanted() {
            take(&self.row);
        }
        let Some(peeled) = reference.peeled.filter(|_| !self.refs_only) else { return };
        self.row.id = peeled;
        self.row.name.extend_from_slice(b"^{}");
        self.row.symref = None;
        if self.is_wanted() {
            take(&self.row);
        }
    }

    fn is_wanted(&self) -> bool {
        let name = self.row.name.as_bstr();
        let is_kind = self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(prefix));
        let is_ref = !self.refs_only || name.starts_with(b"refs/");
        is_kind && is_ref && is_match(&self.patterns, name)
    }
}

/// Whether one of `patterns` matches the end of `name`, beginning at a slash.
fn is_match(patterns: &[BString], name: &BStr) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let mut path = BString::from("/");
    path.extend_from_slice(name);
    patterns.iter().any(|pattern| {
        let mut anchored = BString::from("*/");
        anchored.extend_from_slice(pattern);
        crate::remote::refspec::wildmatch(anchored.as_bstr(), path.as_bstr())
    })
}

/// Appends the lines of one row.
fn print(row: &Row, with_symrefs: bool, out: &mut Vec<u8>) {
    if let Some(target) = row.symref.as_ref().filter(|_| with_symrefs) {
        out.extend_from_slice(b"ref: ");
        out.extend_from_slice(target);
        out.push(b'\t');
        out.extend_from_slice(&row.name);
        out.push(b'\n');
    }
    push_hex(out, &row.id);
    out.push(b'\t');
    out.extend_from_slice(&row.name);
    out.push(b'\n');
}
