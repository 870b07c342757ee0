//! `gitr remote add`.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};

use super::{check_free, usage};
use crate::cmd::arguments::{self, Parsed, Spec};
use crate::cmd::transfer::bytes;
use crate::cmd::{CommandError, Context, fetch, ui};
use crate::remote::configure::{self, Mirror, New};

const SPEC: Spec =
    Spec { name: "remote add", synopsis: &["git remote add [<options>] <name> <url>"], plain: &[] };

/// Stands for a `--mirror` without a value.
const UNTOLD: &str = "";

#[derive(Debug, clap::Args)]
struct Arguments {
    /// fetch the remote branches
    #[arg(short, long)]
    fetch: bool,
    #[arg(
        long,
        help = "import all tags and associated objects when fetching
                          or do not fetch any tag at all (--no-tags)"
    )]
    tags: bool,
    /// branch(es) to track
    #[arg(short, long, value_name = "branch")]
    track: Vec<OsString>,
    /// master branch
    #[arg(short, long, value_name = "branch")]
    master: Option<OsString>,
    /// set up remote as a mirror to push to or fetch from
    #[arg(long, value_name = "(push|fetch)", num_args = 0..=1, require_equals = true, default_missing_value = UNTOLD)]
    mirror: Option<OsString>,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr remote add`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let values = &parsed.values;
    let mirror = mirror(values.mirror.as_ref())?;
    let [name, url] = values.operands.as_slice() else { return Err(usage::<Arguments>(&SPEC)) };
    if mirror.is_some() && values.master.is_some() {
        return Err(CommandError::fatal("specifying a master branch makes no sense with --mirror"));
    }
    if mirror == Some(Mirror::Push) && !values.track.is_empty() {
        let text = "specifying branches to track makes sense only with fetch mirrors";
        return Err(CommandError::fatal(text));
    }
    let repo = context.repository_entered()?;
    let new = New {
        name: bytes(name),
        url: bytes(url),
        branches: values.track.iter().map(bytes).collect(),
        mirror,
        tags: parsed.choice("tags"),
    };
    crate::remote::Remote::from_config(&repo.config, new.name.as_bstr())?;
    check_free(&repo, new.name.as_bstr())?;
    configure::add(&repo, &new)?;
    if values.fetch && !fetch_new(&new.name, &context)? {
        return Ok(1);
    }
    let Some(master) = values.master.as_ref().map(bytes) else { return Ok(0) };
    if configure::set_head(&repo, new.name.as_bstr(), master.as_bstr(), "remote add").is_err() {
        ui::message("error", format!("Could not setup master '{master}'").as_bytes().as_bstr());
        return Ok(1);
    }
    Ok(0)
}

/// Fetches from the remote that was added; `false`, after saying so, if that fails.
fn fetch_new(name: &BString, context: &Context) -> Result<bool, CommandError> {
    ui::out(format!("Updating {name}").as_bytes())?;
    let code = fetch::run(&[name.to_os_str_lossy().into_owned()], context.clone());
    let is_done = code.unwrap_or_else(CommandError::print) == 0;
    if !is_done {
        ui::message("error", format!("Could not fetch {name}").as_bytes().as_bstr());
    }
    Ok(is_done)
}

fn mirror(value: Option<&OsString>) -> Result<Option<Mirror>, CommandError> {
    let Some(value) = value else { return Ok(None) };
    match value.to_string_lossy().as_ref() {
        UNTOLD => {
            ui::note(
                "warning: --mirror is dangerous and deprecated; please\n\t use --mirror=fetch or --mirror=push instead",
            );
            Ok(Some(Mirror::Both))
        }
        "fetch" => Ok(Some(Mirror::Fetch)),
        "push" => Ok(Some(Mirror::Push)),
        other => Err(CommandError::bad_option(format!("unknown --mirror argument: {other}"))),
    }
}
