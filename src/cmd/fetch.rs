//! `gitr fetch`. `git-fetch(1)`.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use super::arguments::{self, Parsed, Spec};
use super::transfer::{
    DEPTH_INFINITE, abbreviation, bytes, check_credentials, deepen, filter, helper_options, ip_version,
    reflog_action,
};
use super::{CommandError, Context, Show, signal, ui};
use crate::protocol::fetch::Deepen;
use crate::remote::config::{Tags, default_name, names};
use crate::remote::fetch::{Fetch, Listed, Options, Outcome};
use crate::remote::update::{RefUpdate, Status};
use crate::remote::{Refspec, Remote};
use crate::repo::{Config, Repository};
use crate::transport;

const SPEC: Spec = Spec {
    name: "fetch",
    synopsis: &[
        "git fetch [<options>] [<repository> [<refspec>...]]",
        "git fetch [<options>] <group>",
        "git fetch --multiple [<options>] [(<repository> | <group>)...]",
        "git fetch --all [<options>]",
    ],
    plain: &["unshallow", "ipv4", "ipv6"],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// be more verbose
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// be more quiet
    #[arg(short, long, action = clap::ArgAction::Count)]
    quiet: u8,
    /// fetch from all remotes
    #[arg(long)]
    all: bool,
    #[arg(short, long, help = "append to .git/FETCH_HEAD instead of overwriting")]
    append: bool,
    /// use atomic transaction to update references
    #[arg(long)]
    atomic: bool,
    /// path to upload pack on remote end
    #[arg(long = "upload-pack", value_name = "path")]
    upload_pack: Option<OsString>,
    /// force overwrite of local reference
    #[arg(short, long)]
    force: bool,
    /// fetch all tags and associated objects
    #[arg(short, long)]
    tags: bool,
    /// do not fetch all tags (--no-tags)
    #[arg(short = 'n', overrides_with = "tags")]
    no_tags_short: bool,
    /// number of submodules fetched in parallel
    #[arg(short, long, value_name = "n")]
    jobs: Option<i64>,
    /// prune remote-tracking branches no longer on remote
    #[arg(short, long)]
    prune: bool,
    /// prune local tags no longer on remote and clobber changed tags
    #[arg(short = 'P', long = "prune-tags")]
    prune_tags: bool,
    /// dry run
    #[arg(long = "dry-run")]
    dry_run: bool,
    /// write fetched references to the FETCH_HEAD file
    #[arg(long = "write-fetch-head")]
    write_fetch_head: bool,
    /// machine-readable output
    #[arg(long)]
    porcelain: bool,
    /// fetch from multiple remotes
    #[arg(short, long)]
    multiple: bool,
    /// keep downloaded pack
    #[arg(short, long)]
    keep: bool,
    /// allow updating of HEAD ref
    #[arg(short, long = "update-head-ok")]
    update_head_ok: bool,
    /// force progress reporting
    #[arg(long)]
    progress: bool,
    /// deepen history of shallow clone
    #[arg(long, value_name = "depth", allow_hyphen_values = true)]
    depth: Option<String>,
    /// deepen history of shallow repository based on time
    #[arg(long = "shallow-since", value_name = "time")]
    shallow_since: Option<String>,
    /// deepen history of shallow clone, excluding rev
    #[arg(long = "shallow-exclude", value_name = "revision")]
    shallow_exclude: Vec<String>,
    /// deepen history of shallow clone
    #[arg(long, value_name = "n")]
    deepen: Option<String>,
    /// convert to a complete repository
    #[arg(long)]
    unshallow: bool,
    /// specify fetch refmap
    #[arg(long, value_name = "refmap")]
    refmap: Vec<OsString>,
    /// option to transmit
    #[arg(short = 'o', long = "server-option", value_name = "server-specific")]
    server_option: Vec<OsString>,
    /// use IPv4 addresses only
    #[arg(short = '4', long)]
    ipv4: bool,
    /// use IPv6 addresses only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// report that we have only objects reachable from this object
    #[arg(long = "negotiation-tip", value_name = "revision")]
    negotiation_tip: Vec<OsString>,
    /// object filtering
    #[arg(long, value_name = "args")]
    filter: Option<OsString>,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr fetch`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let repo = context.repository()?;
    signal::guard_temporaries(std::sync::Arc::clone(&context.is_stopped))?;
    let show = Show::new(parsed.values.verbose, parsed.values.quiet, parsed.choice("progress"));
    let mut options = options(&parsed, &repo, &context, show)?;
    options.reflog_action = reflog_action("fetch", &context.env, arguments);
    let is_all = parsed.choice("all").or(repo.config.boolean("fetch.all")?);
    let mut run = Run { repo: &repo, context: &context, show, is_porcelain: parsed.values.porcelain };
    if parsed.values.all && !parsed.values.operands.is_empty() {
        return Err(CommandError::fatal("fetch --all does not take a repository argument"));
    }
    if is_all == Some(true) && parsed.values.operands.is_empty() {
        return run.fetch_all(&options);
    }
    let operands: Vec<BString> = parsed.values.operands.iter().map(bytes).collect();
    let is_group = matches!(operands.as_slice(), [only] if group(&repo.config, only).is_some());
    if parsed.values.multiple || is_group {
        return run.fetch_named(&operands, &options);
    }
    let Some(remote) = choose_remote(&parsed.values, &repo)? else { return Ok(0) };
    options.refspecs = refspecs(parsed.values.operands.get(1..).unwrap_or_default())?;
    if options.refmap.is_some() && options.refspecs.is_empty() {
        return Err(CommandError::fatal("--refmap option is only meaningful with command-line refspec(s)"));
    }
    run.fetch_one(&remote, &options)
}

/// One invocation.
struct Run<'a> {
    repo: &'a Repository,
    context: &'a Context,
    show: Show,
    is_porcelain: bool,
}

impl Run<'_> {
    /// Fetches from every remote; one that fails is named and the rest is done.
    fn fetch_all(&mut self, options: &Options) -> Result<u8, CommandError> {
        let mut remotes = Vec::new();
        for name in names(&self.repo.config) {
            let remote = Remote::from_config(&self.repo.config, name.as_bstr())?;
            if !remote.skip_fetch_all {
                remotes.push(remote);
            }
        }
        if let [only] = remotes.as_slice() {
            return self.fetch_one(only, options);
        }
        self.fetch_several(&remotes, options)
    }

    /// Fetches from remotes and groups (`remotes.<group>`) by name.
    fn fetch_named(&mut self, names: &[BString], options: &Options) -> Result<u8, CommandError> {
        let config = &self.repo.config;
        let mut remotes = Vec::new();
        for name in names {
            for member in group(config, name).unwrap_or_else(|| vec![name.clone()]) {
                if !crate::remote::config::exists(config, member.as_bstr()) {
                    return Err(CommandError::fatal(format!("no such remote or remote group: {name}")));
                }
                remotes.push(Remote::from_config(config, member.as_bstr())?);
            }
        }
        self.fetch_several(&remotes, options)
    }

    fn fetch_several(&mut self, remotes: &[Remote], options: &Options) -> Result<u8, CommandError> {
        if options.atomic {
            return Err(CommandError::fatal("--atomic can only be used when fetching from one remote"));
        }
        let mut options = options.clone();
        let mut worst = 0;
        for (index, remote) in remotes.iter().enumerate() {
            let name = remote.display_name();
            if self.show.verbosity >= 0 {
                ui::out(format!("Fetching {name}").as_bytes())?;
            }
            options.append |= index > 0;
            options.reflog_action = self.reflog_action_of(name, &options);
            let code = self.fetch_one(remote, &options).unwrap_or_else(CommandError::print);
            if code != 0 {
                ui::message("error", format!("could not fetch {name}").as_bytes().as_bstr());
                worst = 1;
            }
        }
        Ok(worst)
    }

    /// What reflogs say of one remote of many: the command line of the process that C git starts for it.
    fn reflog_action_of(&self, name: &BStr, options: &Options) -> BString {
        if self.context.env.get("GIT_REFLOG_ACTION").is_some() {
            return options.reflog_action.clone();
        }
        let given = [
            (options.dry_run, "--dry-run"),
            (options.prune == Some(true), "--prune"),
            (options.prune == Some(false), "--no-prune"),
            (options.force, "--force"),
            (options.tags == Some(Tags::All), "--tags"),
            (options.tags == Some(Tags::None), "--no-tags"),
            (self.show.verbosity > 1, "-v"),
            (self.show.verbosity > 0, "-v"),
            (self.show.verbosity < 0, "-q"),
        ];
        let mut action = BString::from("fetch --append --no-auto-gc --no-write-commit-graph");
        for (_, option) in given.iter().filter(|(is_given, _)| *is_given) {
            action.extend_from_slice(format!(" {option}").as_bytes());
        }
        action.extend_from_slice(format!(" {name}").as_bytes());
        action
    }

    fn fetch_one(&mut self, remote: &Remote, options: &Options) -> Result<u8, CommandError> {
        check_credentials(&self.repo.config, &remote.urls)?;
        let mut meters = self.context.meters(&self.repo.config, self.show);
        let mut listed = Fetch::new(self.repo, remote, options)?.list(&mut meters)?;
        let mut printer = Printer::new(self, &listed);
        let (pruned, dangling) = listed.prune()?;
        printer.print(&pruned, &[])?;
        for name in dangling {
            let is_dry = options.dry_run;
            let became = if is_dry { "will become" } else { "has become" };
            printer.line(format!("   ({name} {became} dangling)"));
        }
        let mut outcome = listed.transfer(&mut meters)?.update()?;
        let refusal = outcome.refusal.take();
        let code = report(&mut printer, &outcome, remote)?;
        refusal.map_or(Ok(code), |refusal| Err(refusal.into()))
    }
}

/// The members of the group `name`: `remotes.<name>`, words separated by blanks.
fn group(config: &Config, name: &BString) -> Option<Vec<BString>> {
    let lists = config.strings(&format!("remotes.{name}"));
    let members = lists.iter().flat_map(|list| list.fields().map(BString::from)).collect();
    (!lists.is_empty()).then_some(members)
}

/// Prints the table, under one `From` line.
struct Printer<'a> {
    repo: &'a Repository,
    url: BString,
    show: Show,
    columns: usize,
    is_headed: bool,
    is_porcelain: bool,
}

impl<'a> Printer<'a> {
    fn new(run: &Run<'a>, listed: &Listed<'_>) -> Self {
        Self {
            repo: run.repo,
            url: listed.url().to_owned(),
            show: run.show,
            columns: ui::Terminal::new(&run.context.env).columns,
            is_headed: false,
            is_porcelain: run.is_porcelain,
        }
    }

    /// Prints the rows of `updates`, each failed one behind its reason, the next of `errors`.
    fn print(&mut self, updates: &[RefUpdate], errors: &[crate::repo::Error]) -> Result<(), CommandError> {
        if updates.is_empty() {
            return Ok(());
        }
        if self.is_porcelain {
            for update in updates {
                if let Some(row) = ui::porcelain_row(update, self.repo.object_hash, self.show.verbosity > 0) {
                    ui::out(&row)?;
                }
            }
            return Ok(());
        }
        let objects = self.repo.objects()?;
        let table = ui::Table::measure(
            updates,
            self.columns,
            self.show.verbosity > 0,
            abbreviation(self.repo, &objects)?,
        );
        let mut errors = errors.iter();
        for update in updates {
            let is_failed = matches!(update.status, Status::Failed(_));
            if let Some(error) = is_failed.then(|| errors.next()).flatten() {
                ui::message("error", error.to_string().as_bytes().as_bstr());
            }
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

fn report(printer: &mut Printer<'_>, outcome: &Outcome, remote: &Remote) -> Result<u8, CommandError> {
    printer.print(&outcome.updates, &outcome.errors)?;
    if outcome.errors.iter().any(|error| error.to_string().contains("; cannot create ")) {
        let name = remote.display_name();
        ui::message(
            "error",
            format!(
                "some local refs could not be updated; try running\n 'git remote prune {name}' to remove any old, \
                 conflicting branches"
            )
            .as_bytes()
            .as_bstr(),
        );
    }
    Ok(u8::from(outcome.updates.iter().any(|update| update.status.is_rejected())))
}

fn choose_remote(arguments: &Arguments, repo: &Repository) -> Result<Option<Remote>, CommandError> {
    let name = if let Some(name) = arguments.operands.first() {
        bytes(name)
    } else {
        let branch = repo.head_branch()?;
        let name = default_name(&repo.config, branch.as_ref().map(|branch| branch.as_bstr()));
        let is_there = crate::remote::config::exists(&repo.config, name.as_bstr());
        if !is_there && name == "origin" {
            // Seen in git 2.47.3: nothing to fetch from is nothing to do.
            return Ok(None);
        }
        name
    };
    Ok(Some(Remote::from_config(&repo.config, name.as_bstr())?))
}

/// The refspecs of the command line; `tag <name>` is two words.
fn refspecs(words: &[OsString]) -> Result<Vec<Refspec>, CommandError> {
    let mut refspecs = Vec::new();
    let mut words = words.iter().map(bytes);
    while let Some(word) = words.next() {
        if word == "tag" {
            let name = words.next().ok_or_else(|| CommandError::fatal("you need to specify a tag name"))?;
            refspecs.push(Refspec::tag(name.as_bstr())?);
        } else {
            refspecs.push(Refspec::parse_fetch(word.as_bstr())?);
        }
    }
    Ok(refspecs)
}

/// `--refmap`, any number; an empty one stands for nothing.
fn refmap(texts: &[OsString]) -> Result<Option<Vec<Refspec>>, CommandError> {
    if texts.is_empty() {
        return Ok(None);
    }
    let given = texts.iter().filter(|text| !text.is_empty());
    let refspecs = given.map(|text| Refspec::parse_fetch(bytes(text).as_bstr()));
    Ok(Some(refspecs.collect::<Result<_, _>>()?))
}

fn options(
    parsed: &Parsed<Arguments>,
    repo: &Repository,
    context: &Context,
    show: Show,
) -> Result<Options, CommandError> {
    let values = &parsed.values;
    let tags = match (parsed.choice("tags"), values.no_tags_short) {
        (Some(true), _) => Some(Tags::All),
        (Some(false), _) | (None, true) => Some(Tags::None),
        (None, false) => None,
    };
    let terminal = ui::Terminal::new(&context.env);
    Ok(Options {
        tags,
        prune: parsed.choice("prune"),
        prune_tags: parsed.choice("prune-tags"),
        atomic: values.atomic,
        refmap: refmap(&values.refmap)?,
        negotiation_tips: values.negotiation_tip.iter().map(bytes).collect(),
        keep: values.keep,
        dry_run: values.dry_run,
        force: values.force,
        append: values.append,
        no_fetch_head: values.dry_run || parsed.choice("write-fetch-head") == Some(false),
        update_head_ok: values.update_head_ok,
        deepen: deepening(values, repo)?,
        filter: filter(values.filter.as_ref())?,
        no_progress: !show.is_progress_shown(&terminal),
        transport: transport::Options {
            upload_pack: values.upload_pack.as_ref().map(bytes),
            ip_version: ip_version(values.ipv4, values.ipv6),
            verbose: show.verbosity > 0,
            helper_options: helper_options(show, &repo.env),
            ..transport::Options::default()
        },
        server_options: values.server_option.iter().map(bytes).collect(),
        ..Options::default()
    })
}

fn deepening(values: &Arguments, repo: &Repository) -> Result<Deepen, CommandError> {
    let together = |one: &str, other: &str| {
        CommandError::fatal(format!("options '{one}' and '{other}' cannot be used together"))
    };
    if values.unshallow {
        if values.depth.is_some() {
            return Err(together("--depth", "--unshallow"));
        }
        if repo.shallow()?.is_empty() {
            return Err(CommandError::fatal("--unshallow on a complete repository does not make sense"));
        }
        return Ok(Deepen { depth: DEPTH_INFINITE, ..Deepen::default() });
    }
    if let Some(text) = &values.deepen {
        if values.depth.is_some() {
            return Err(together("--deepen", "--depth"));
        }
        let more: i64 = text.parse().unwrap_or(0);
        if more < 0 {
            return Err(CommandError::fatal("negative depth in --deepen is not supported"));
        }
        let depth = u32::try_from(more).unwrap_or(DEPTH_INFINITE).min(DEPTH_INFINITE);
        return Ok(Deepen { depth, relative: true, ..Deepen::default() });
    }
    deepen(values.depth.as_ref(), values.shallow_since.as_ref(), &values.shallow_exclude)
}
