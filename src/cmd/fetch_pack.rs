//! `gitr fetch-pack`, which fetches objects by the names of refs and moves none. `git-fetch-pack(1)`.

use std::ffi::{OsStr, OsString};
use std::io::BufReader;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::rpc::Rpc;
use super::send_pack::{read_lines, read_packets};
use super::transfer::{DEPTH_INFINITE, bytes, deepen, filter};
use super::ui::{MeterSettings, Meters, RemotePaints, Terminal};
use super::{CommandError, Context, signal, ui};
use crate::pack::{Received, Stored};
use crate::progress::{Event, Progress};
use crate::remote::fetch_named::{Named, Options, Outcome, fetch_named};
use crate::remote::{Error, RepoSettings};
use crate::repo::Repository;
use crate::transport::{self, Scheme, Transport, Url};

const USAGE: &str = "usage: git fetch-pack [--all] [--stdin] [--quiet | -q] [--keep | -k] [--thin] [--include-tag] \
    [--upload-pack=<git-upload-pack>] [--depth=<n>] [--no-progress] [--diag-url] [-v] [<host>:]<directory> [<refs>...]";

/// What the command line asks for. The options stand in front and are read one by one: none may be shortened, and few have
/// a `--no-` form.
#[derive(Default)]
struct Arguments {
    /// What the library is asked for, but for the words of standard input.
    options: Options,
    destination: OsString,
    stdin: bool,
    quiet: bool,
    verbose: bool,
    depth: i64,
    since: Option<String>,
    exclude: Vec<String>,
    deepens_relative: bool,
    filters: Vec<OsString>,
    stateless_rpc: bool,
    /// `--check-self-contained-and-connected`
    tells_connected: bool,
    shows_url: bool,
}

/// Runs `gitr fetch-pack`.
pub(super) fn run(words: &[OsString], context: Context) -> Result<u8, CommandError> {
    if words == ["-h"] {
        return Err(misuse());
    }
    let repo = context.repository_entered()?;
    repo.config.check_core()?;
    repo.config.check_index()?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let arguments = Arguments::parse(words)?;
    let mut options = arguments.options(&repo)?;
    let mut input = BufReader::new(std::io::stdin());
    if arguments.stdin {
        let said = if arguments.stateless_rpc { read_packets(&mut input)? } else { read_lines(&mut input)? };
        options.words.extend(said);
    }
    if arguments.shows_url {
        return show_url(&Url::parse_native(bytes(&arguments.destination).as_bstr())?);
    }
    let mut transport: Box<dyn Transport> = if arguments.stateless_rpc {
        Box::new(Rpc::new(Box::new(input), Box::new(std::io::stdout())))
    } else {
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let url = Url::parse_native(bytes(&arguments.destination).as_bstr())?;
        transport::open(&url, &settings, options.transport.clone())?
    };
    let mut meters = arguments.meters(&repo, &context);
    let outcome = fetch_named(&repo, transport.as_mut(), &options, &mut meters)?;
    drop(meters);
    arguments.report(&repo, outcome)
}

impl Arguments {
    fn parse(words: &[OsString]) -> Result<Self, CommandError> {
        let mut arguments = Self::default();
        let mut rest = words.iter();
        loop {
            let word = rest.next().ok_or_else(misuse)?;
            if !word.as_bytes().starts_with(b"-") {
                arguments.destination.clone_from(word);
                arguments.options.words = rest.map(bytes).collect();
                return Ok(arguments);
            }
            arguments.option(word)?;
        }
    }

    fn option(&mut self, word: &OsStr) -> Result<(), CommandError> {
        let options = &mut self.options;
        let bytes = word.as_bytes();
        if let Some((name, value)) = bytes.split_once_str("=") {
            return self.value(name, value);
        }
        match bytes {
            b"--all" => options.all = true,
            b"--stdin" => self.stdin = true,
            b"-q" | b"--quiet" => self.quiet = true,
            b"-k" | b"--keep" => {
                options.guards_pack = options.keep;
                options.keep = true;
            }
            b"--thin" => options.thin = true,
            b"--include-tag" => options.include_tag = true,
            b"--deepen-relative" => self.deepens_relative = true,
            b"--refetch" => options.refetch = true,
            b"--no-progress" => options.no_progress = true,
            b"--check-self-contained-and-connected" => self.tells_connected = true,
            b"--cloning" => options.cloning = true,
            // git takes it and, as nobody says which refs are ours, does nothing with it
            b"--update-shallow" => {}
            b"--from-promisor" => options.from_promisor = true,
            b"--stateless-rpc" => self.stateless_rpc = true,
            b"--lock-pack" => options.is_locked = true,
            b"--diag-url" => self.shows_url = true,
            b"-v" => self.verbose = true,
            b"--no-filter" => self.filters.clear(),
            _ => return Err(misuse()),
        }
        Ok(())
    }

    /// An option with a value.
    fn value(&mut self, name: &[u8], value: &[u8]) -> Result<(), CommandError> {
        let text = || value.to_str_lossy().into_owned();
        match name {
            b"--upload-pack" | b"--exec" => self.options.transport.upload_pack = Some(value.into()),
            b"--depth" => self.depth = leading_number(value),
            b"--shallow-since" => self.since = Some(text()),
            b"--shallow-exclude" => self.exclude.push(text()),
            b"--filter" => self.filters.push(OsStr::from_bytes(value).to_owned()),
            _ => return Err(misuse()),
        }
        Ok(())
    }

    fn options(&self, repo: &Repository) -> Result<Options, CommandError> {
        let mut wish = deepen(None, self.since.as_ref(), &self.exclude)?;
        wish.depth = u32::try_from(self.depth.max(0)).unwrap_or(DEPTH_INFINITE).min(DEPTH_INFINITE);
        wish.relative = self.deepens_relative && wish.depth > 0;
        Ok(Options {
            deepen: wish,
            filter: filter(&self.filters)?,
            transport: transport::Options {
                verbose: self.verbose,
                directory: repo.work_tree.clone(),
                ..self.options.transport.clone()
            },
            ..self.options.clone()
        })
    }

    /// Shows the server's meters whatever `--quiet` says, and our own where git has `index-pack` show them; those of
    /// `unpack-objects` are for terminals.
    fn meters(&self, repo: &Repository, context: &Context) -> Shown {
        let terminal = Terminal::new(&repo.env);
        let settings = MeterSettings {
            progress: !self.quiet && !self.options.no_progress,
            quiet: self.quiet,
            verbosity: if self.verbose { 2 } else { 0 },
            remote_paints: RemotePaints::new(&terminal, &repo.config),
        };
        let shows_unpacking = terminal.is_tty;
        let meters = Meters::new(terminal, settings, Arc::clone(&context.is_stopped));
        Shown { meters, shows_unpacking }
    }

    fn report(&self, repo: &Repository, outcome: Outcome) -> Result<u8, CommandError> {
        if let Some(pack) = outcome.pack {
            self.report_pack(repo, pack)?;
        }
        match outcome.ended {
            Err(Error::Transport(transport::Error::Ended)) => return Ok(1),
            ended => ended?,
        }
        if !self.stateless_rpc {
            for Named { id, name } in &outcome.refs {
                ui::out(&[format!("{id} ").as_bytes(), name].concat())?;
            }
        }
        for reason in &outcome.unmatched {
            ui::message("error", reason.as_bytes().into());
        }
        Ok(u8::from(outcome.refs.is_empty() || !outcome.unmatched.is_empty()))
    }

    /// Tells what became of the pack, and leaves its `.keep` file to who reads that.
    fn report_pack(&self, repo: &Repository, pack: Received) -> Result<(), CommandError> {
        let Stored::Pack { path, keep } = pack.stored else { return Ok(()) };
        let word = if keep.is_some() { "keep" } else { "pack" };
        if self.options.is_locked {
            if keep.is_some() {
                let file = near(repo, &path.with_extension("keep"));
                ui::out(&[b"lock ", file.as_slice()].concat())?;
            }
        } else if repo.fsck_rules("fetch")?.is_none() {
            ui::out(format!("{word}\t{}", pack.pack_id).as_bytes())?;
        }
        if let Some(keep) = keep {
            keep.stay();
        }
        if self.tells_connected && pack.links.is_empty() {
            ui::out(b"connectivity-ok")?;
        }
        Ok(())
    }
}

/// The meters without those that are not for this place.
struct Shown {
    meters: Meters,
    shows_unpacking: bool,
}

impl Progress for Shown {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Phase { title, .. } | Event::PhaseEnd { title, .. }
                if !self.shows_unpacking && title == "Unpacking objects" =>
            {
                // what was asked to stop has still to hear of it
                self.meters.report(Event::Detail { level: u8::MAX, text: "" })
            }
            event => self.meters.report(event),
        }
    }
}

/// `--diag-url`: how the URL is understood.
fn show_url(url: &Url) -> Result<u8, CommandError> {
    let mut lines = vec![("url", url.text.clone()), ("protocol", url.scheme.name().to_owned())];
    if url.scheme == Scheme::Ssh {
        let port = url.port.map_or_else(|| "NONE".to_owned(), |port| port.to_string());
        lines.extend([("userandhost", url.user_and_host()), ("port", port.into())]);
    } else {
        lines.push(("hostandport", url.authority()));
    }
    lines.push(("path", url.path.clone()));
    for (name, value) in lines {
        ui::out(&[format!("Diag: {name}=").as_bytes(), &value].concat())?;
    }
    Ok(0)
}

/// `path` as git calls it, which works in the work tree, or in a bare repository's own directory.
fn near(repo: &Repository, path: &Path) -> BString {
    let here = repo.work_tree.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let shown = match path.strip_prefix(&here) {
        Ok(below) if repo.git_dir == here => Path::new(".").join(below),
        Ok(below) => below.to_owned(),
        Err(_elsewhere) => path.to_owned(),
    };
    bytes(&shown.into_os_string())
}

/// The number that `text` begins with, 0 if there is none: strtol(3).
fn leading_number(text: &[u8]) -> i64 {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number =
        digits.get(..len).and_then(|digits| digits.to_str().ok()).filter(|digits| !digits.is_empty());
    let number = number.map_or(0, |digits| digits.parse().unwrap_or(i64::MAX));
    if text.starts_with(b"-") { -number } else { number }
}

fn misuse() -> CommandError {
    CommandError::usage(USAGE)
}
