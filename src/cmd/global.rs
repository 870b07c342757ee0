//! The options in front of the command, which are git's own. `git(1)`, "OPTIONS".

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::error::reason;
use super::{CommandError, key_and_value, ui, usage};
use crate::repo::Environment;
use crate::repo::config::Override;

/// A command line taken apart.
pub(super) struct Invocation {
    /// The command's name.
    pub(super) command: String,
    /// What follows it.
    pub(super) arguments: Vec<OsString>,
    /// What stands in front of it.
    pub(super) globals: Globals,
}

/// What the global options say.
#[derive(Debug, Default)]
pub(super) struct Globals {
    /// The environment with the changes that some options are.
    pub(super) env: Environment,
    /// `-c` and `--config-env`.
    pub(super) overrides: Vec<Override>,
    /// `--git-dir`.
    pub(super) git_dir: Option<PathBuf>,
    /// `--work-tree`.
    pub(super) work_tree: Option<PathBuf>,
    /// `--bare`.
    pub(super) bare: bool,
}

impl Globals {
    /// The same, with names of directories that hold wherever we go.
    pub(super) fn bound(mut self) -> Self {
        for name in ["GIT_DIR", "GIT_WORK_TREE"] {
            if let Some(path) = self.env.path(name) {
                self.env.set(name, anywhere(path));
            }
        }
        Self { git_dir: self.git_dir.map(anywhere), work_tree: self.work_tree.map(anywhere), ..self }
    }
}

/// Options that mean nothing to a transport and that tools put in front of every command.
const IGNORED: [&str; 9] = [
    "-p",
    "--paginate",
    "-P",
    "--no-pager",
    "--no-replace-objects",
    "--glob-pathspecs",
    "--noglob-pathspecs",
    "--icase-pathspecs",
    "--literal-pathspecs",
];

/// Options that are an environment variable in another form.
const VARIABLES: [(&str, &str, &str); 3] = [
    ("--no-optional-locks", "GIT_OPTIONAL_LOCKS", "0"),
    ("--no-lazy-fetch", "GIT_NO_LAZY_FETCH", "1"),
    ("--no-advice", "GIT_ADVICE", "0"),
];

/// Options that take a value behind `=` or as the next word.
const WITH_VALUE: [&str; 6] =
    ["--git-dir", "--work-tree", "--namespace", "--config-env", "--attr-source", "--super-prefix"];

/// Takes the options in front of the command.
pub(super) fn parse(arguments: &[OsString]) -> Result<Invocation, CommandError> {
    let mut globals = Globals { env: Environment::from_process(), ..Globals::default() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy().into_owned();
        if !text.starts_with('-') {
            return Ok(Invocation { command: text, arguments: rest.cloned().collect(), globals });
        }
        let early = |text: &str| -> Result<u8, CommandError> {
            ui::out(text.as_bytes())?;
            Ok(0)
        };
        match text.as_str() {
            "-v" | "--version" => return Ok(command("version", rest, globals)),
            "-h" | "--help" => return Ok(command("help", rest, globals)),
            "--exec-path" => {
                let path = globals.env.get("GIT_EXEC_PATH").map(OsStr::to_string_lossy).unwrap_or_default();
                return early(&path).and_then(|code| Err(CommandError::silent(code)));
            }
            "-C" => change_directory(value_of("-C", rest.next())?)?,
            "-c" => globals.overrides.push(override_of(value_of("-c", rest.next())?)?),
            "--bare" => globals.bare = true,
            option if IGNORED.contains(&option) => {}
            option => take_long(option, argument, &mut rest, &mut globals)?,
        }
    }
    Err(CommandError::usage(usage()).exit_1())
}

fn command<'a>(name: &str, rest: impl Iterator<Item = &'a OsString>, globals: Globals) -> Invocation {
    Invocation { command: name.into(), arguments: rest.cloned().collect(), globals }
}

fn take_long<'a>(
    option: &str,
    argument: &OsStr,
    rest: &mut impl Iterator<Item = &'a OsString>,
    globals: &mut Globals,
) -> Result<(), CommandError> {
    if let Some((_, variable, value)) = VARIABLES.iter().find(|(name, _, _)| *name == option) {
        globals.env.set(*variable, *value);
        return Ok(());
    }
    let (name, attached) = match argument.as_bytes().split_once_str("=") {
        Some((name, value)) => (name.to_str_lossy().into_owned(), Some(OsString::from_vec(value.to_vec()))),
        None => (option.to_owned(), None),
    };
    if name == "--exec-path" {
        globals.env.set("GIT_EXEC_PATH", attached.unwrap_or_default());
        return Ok(());
    }
    if !WITH_VALUE.contains(&name.as_str()) {
        return Err(CommandError::usage(format!("unknown option: {option}\n{}", usage())));
    }
    let value = match attached {
        Some(value) => value,
        None => value_of(&name, rest.next())?.to_owned(),
    };
    match name.as_str() {
        "--git-dir" => globals.git_dir = Some(value.into()),
        "--work-tree" => globals.work_tree = Some(value.into()),
        "--namespace" => globals.env.set("GIT_NAMESPACE", value),
        "--config-env" => globals.overrides.push(from_variable(&value, &globals.env)?),
        _ => {}
    }
    Ok(())
}

fn value_of<'a>(option: &str, value: Option<&'a OsString>) -> Result<&'a OsStr, CommandError> {
    value.map(OsString::as_os_str).ok_or_else(|| {
        let text = match option {
            "-C" => "no directory given for '-C' option".to_owned(),
            "-c" => "-c expects a configuration string".to_owned(),
            "--config-env" => "no config key given for --config-env".to_owned(),
            "--git-dir" | "--work-tree" => format!("no directory given for '{option}' option"),
            option => format!("no value given for '{option}' option"),
        };
        CommandError::usage(format!("{text}\n{}", usage()))
    })
}

/// `path` so that it means the same wherever we go; what is not there is told as it was written.
fn anywhere(path: PathBuf) -> PathBuf {
    if path.exists() { std::path::absolute(&path).unwrap_or(path) } else { path }
}

fn change_directory(directory: &OsStr) -> Result<(), CommandError> {
    if directory.is_empty() {
        return Ok(());
    }
    std::env::set_current_dir(directory).map_err(|error| {
        CommandError::fatal(format!("cannot change to '{}': {}", directory.display(), reason(&error)))
    })
}

fn override_of(text: &OsStr) -> Result<Override, CommandError> {
    let (key, value) = key_and_value(text.as_bytes());
    if key.is_empty() {
        return Err(CommandError::fatal("empty config key"));
    }
    if !key.contains(&b'.') {
        return Err(CommandError::fatal("unable to parse command-line config")
            .with_error(format!("key does not contain a section: {key}")));
    }
    Ok((key, value))
}

/// `--config-env=<name>=<variable>`.
fn from_variable(text: &OsStr, env: &Environment) -> Result<Override, CommandError> {
    let Some((key, variable)) = text.as_bytes().rsplit_once_str("=") else {
        return Err(CommandError::fatal(format!("invalid config format: {}", text.display())));
    };
    if variable.is_empty() {
        return Err(CommandError::fatal(format!(
            "missing environment variable name for configuration '{}'",
            key.as_bstr()
        )));
    }
    let name = variable.to_str_lossy();
    match env.get(&name) {
        Some(value) => Ok((key.into(), Some(BString::from(value.as_bytes())))),
        None => Err(CommandError::fatal(format!(
            "missing environment variable '{name}' for configuration '{}'",
            key.as_bstr()
        ))),
    }
}
