//! `gitr credential`. `git-credential(1)`.

use std::ffi::OsString;
use std::io::BufReader;

use super::{CommandError, Context, ui};
use crate::credential::{Configuration, Description, Error, Helpers, Listener, Speaker};
use crate::remote::RepoSettings;
use crate::transport;

const USAGE: &str = "usage: git credential (fill|approve|reject)";

/// What `gitr credential capability` prints: git-credential(1), "CAPABILITY INPUT/OUTPUT FORMAT".
const CAPABILITIES: &str = "version 0\ncapability authtype\ncapability state";

/// Runs `gitr credential`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let action = match arguments {
        [action] => action.to_str().unwrap_or_default(),
        [] | [..] => return Err(CommandError::usage(USAGE)),
    };
    match action {
        "capability" => ui::out(CAPABILITIES.as_bytes())?,
        "fill" => {
            let (helpers, mut description) = read(&context)?;
            helpers.fill(&mut description).map_err(fatal)?;
            ui::out_raw(&description.write(Listener::Caller).map_err(fatal)?)?;
        }
        "approve" => {
            let (helpers, description) = read(&context)?;
            helpers.approve(&description).map_err(fatal)?;
        }
        "reject" => {
            let (helpers, description) = read(&context)?;
            helpers.reject(&description).map_err(fatal)?;
        }
        _ => return Err(CommandError::usage(USAGE)),
    }
    Ok(0)
}

/// The helpers that hold here, and the description on standard input.
fn read(context: &Context) -> Result<(Helpers, Description), CommandError> {
    let config = match context.repository() {
        Ok(repo) => repo.config,
        Err(_outside) => context.config()?,
    };
    let settings = RepoSettings { config: &config, env: &context.env };
    let mut description = Description::default();
    match description.read(&mut BufReader::new(std::io::stdin()), Speaker::Caller) {
        Ok(()) => {}
        Err(Error::Line(line)) => {
            warn(&format!("invalid credential line: {line}"));
            return Err(CommandError::fatal("unable to read credential from stdin"));
        }
        Err(error) => return Err(fatal(error)),
    }
    let configuration = Configuration { warning: Some(warn), ..transport::credentials(&settings) };
    Ok((Helpers::new(configuration), description))
}

fn warn(text: &str) {
    ui::message("warning", text.into());
}

/// The message of `error`; git tells first why a URL cannot be used.
fn fatal(error: Error) -> CommandError {
    if let Error::Url { reason, .. } = &error {
        warn(reason);
    }
    CommandError::fatal(error)
}
