//! Child programs, started as C git starts them.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bstr::{BStr, BString, ByteSlice};

use super::{ChildStderr, Error, Options, Settings};
use crate::protocol::{Service, Version};
use crate::telemetry;

/// The variables that speak of one repository: a child works on another, so it must not see them. They are those of
/// `git rev-parse --local-env-vars`, git 2.47.3.
const LOCAL_VARIABLES: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What makes git hand a command to the shell instead of starting it itself.
const SHELL_CHARACTERS: &[u8] = b"|&;<>()$`\\\"' \t\n*?[#~=%";

/// The shell that reads snippets. Windows has one where git is installed.
const SHELL: &str = if cfg!(windows) { "sh" } else { "/bin/sh" };

/// Where children run and what they inherit.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    environment: Option<Vec<(OsString, OsString)>>,
    /// What `-c` said, for programs that work on our own repository.
    parameters: Option<OsString>,
    directory: Option<PathBuf>,
    stderr: ChildStderr,
}

impl Surroundings {
    pub(super) fn new(settings: &dyn Settings, options: &Options) -> Self {
        Self {
            environment: settings.environment(),
            parameters: settings.parameters(),
            directory: options.directory.clone(),
            stderr: options.child_stderr,
        }
    }

    /// The command `program`, to be started without a shell.
    pub(super) fn command(&self, program: &BStr) -> Command {
        let mut command = self.inheriting(program);
        for name in LOCAL_VARIABLES {
            command.env_remove(name);
        }
        command
    }

    /// As [`Self::command`], for a program that works on our own repository and sees all that we see of it.
    pub(super) fn command_here(&self, program: &BStr) -> Command {
        let mut command = self.inheriting(program);
        if let Some(parameters) = &self.parameters {
            command.env("GIT_CONFIG_PARAMETERS", parameters);
        }
        command
    }

    fn inheriting(&self, program: &BStr) -> Command {
        let mut command = Command::new(program.to_os_str_lossy());
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        match self.stderr {
            ChildStderr::Inherit => command.stderr(Stdio::inherit()),
            ChildStderr::Discard => command.stderr(Stdio::null()),
        };
        command
    }

    /// The shell snippet `snippet` with `arguments`, through the shell only if there is need for one.
    pub(super) fn snippet(&self, snippet: &BStr, arguments: &[BString]) -> Command {
        let mut command = if snippet.find_byteset(SHELL_CHARACTERS).is_none() {
            self.command(snippet)
        } else {
            let mut command = self.command(SHELL.into());
            let script = match arguments {
                [] => snippet.to_owned(),
                [..] => BString::from([snippet.as_bytes(), b" \"$@\""].concat()),
            };
            command.arg("-c").arg(script.to_os_str_lossy()).arg(snippet.to_os_str_lossy());
            command
        };
        command.args(arguments.iter().map(|argument| argument.to_os_str_lossy()));
        command
    }
}

/// Starts `command` with pipes to its standard input and output. `class` is what [`telemetry`] calls it.
///
/// # Errors
///
/// [`Error::Start`] with the two lines that git prints; `purpose` is the second.
pub(super) fn start(command: &mut Command, class: &str, purpose: &str) -> Result<Child, Error> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    trace(command);
    let child = command.spawn().map_err(|error| {
        let program = command.get_program().as_encoded_bytes().as_bstr();
        let reason = reason(&error);
        if program.contains(&b'/') {
            let reason = format!("cannot exec '{program}': {reason}");
            Error::Start { severity: "fatal", reason, message: purpose.to_owned() }
        } else {
            let reason = format!("cannot run {program}: {reason}");
            Error::Start { severity: "error", reason, message: purpose.to_owned() }
        }
    })?;
    telemetry::child_started(&child, class, command);
    Ok(child)
}

/// The target of the events that tell of programs that are started: one event of the `tracing` crate for each, at the
/// level `TRACE`, whose field `command` (bytes) is the command line as a shell would take it, or whose field
/// `note` says something about several of them.
pub const TARGET: &str = "gitr::child";

/// Tells whoever listens something about programs that are started, in words of git's.
pub(crate) fn note(text: &str) {
    tracing::trace!(target: TARGET, note = text);
}

/// Tells whoever listens what is started.
pub(crate) fn trace(command: &Command) {
    if !tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
        return;
    }
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<BString> = words.map(|word| quote_if_needed(word.as_encoded_bytes())).collect();
    tracing::trace!(target: TARGET, command = bstr::join(" ", words).as_slice());
}

/// `word` as git's traces show it: in quotes only if a shell would take it for something else.
fn quote_if_needed(word: &[u8]) -> BString {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+,-./:=@_^".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) { word.into() } else { shell_quote(word) }
}

/// What the system says of `error`, without the number that Rust adds.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

/// What to run on the far side for `service`: what the user says, else the service's own name.
pub(super) fn far_program(options: &Options, service: Service) -> BString {
    let chosen = match service {
        Service::UploadPack => &options.upload_pack,
        Service::ReceivePack => &options.receive_pack,
    };
    chosen.clone().unwrap_or_else(|| service.name().into())
}

/// The version to ask `service` for: there is no push in version 2, so git asks for 0.
pub(super) fn version_for(service: Service, version: Version) -> Version {
    match (service, version) {
        (Service::ReceivePack, Version::V2) => Version::V0,
        _ => version,
    }
}

/// How `version` is asked for in `GIT_PROTOCOL` and on git://; version 0 is what comes unasked.
pub(super) fn version_request(version: Version) -> Option<&'static str> {
    match version {
        Version::V0 => None,
        Version::V1 => Some("version=1"),
        Version::V2 => Some("version=2"),
    }
}

/// Quotes `text` for the shell as git does: `!` too, for the sake of csh.
pub(super) fn shell_quote(text: &[u8]) -> BString {
    let mut quoted = BString::from("'");
    for &byte in text {
        match byte {
            b'\'' | b'!' => quoted.extend_from_slice(&[b'\'', b'\\', byte, b'\'']),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::tests::Table;
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let program = std::iter::once(command.get_program());
        program.chain(command.get_args()).map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn quoted_for_every_shell() {
        for (text, expected) in [
            ("", "''"),
            ("/a b", "'/a b'"),
            ("it's", r"'it'\''s'"),
            ("a!b", r"'a'\!'b'"),
            ("$x`y`\n", "'$x`y`\n'"),
        ] {
            assert_eq!(shell_quote(text.as_bytes()), expected);
        }
    }

    #[cfg(unix)]
    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(200))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(
            words in proptest::collection::vec(proptest::collection::vec(1_u8.., 0..24), 1..8),
        ) {
            let mut line = b"printf '%s\\0'".to_vec();
            for word in &words {
                line.push(b' ');
                line.extend_from_slice(&shell_quote(word));
            }
            let line = <OsString as std::os::unix::ffi::OsStringExt>::from_vec(line);
            let mut shell = Command::new("/bin/sh");
            let output = shell.arg("-c").arg(line).env("LC_ALL", "C").output().expect("there is a shell");
            let read: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
            let (last, read) = read.split_last().expect("a split has a part");
            proptest::prop_assert!(last.is_empty() && output.stderr.is_empty());
            proptest::prop_assert_eq!(read, words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_only_if_needed() {
        let surroundings = Surroundings::new(&Table::default(), &Options::default());
        let arguments = [BString::from("-4"), BString::from("a b")];
        let direct = surroundings.snippet("/usr/bin/ssh".into(), &arguments);
        assert_eq!(words(&direct), ["/usr/bin/ssh", "-4", "a b"]);
        let shell = surroundings.snippet("ssh -i key".into(), &arguments);
        assert_eq!(words(&shell), ["/bin/sh", "-c", "ssh -i key \"$@\"", "ssh -i key", "-4", "a b"]);
        let whole = surroundings.snippet("git-upload-pack 'r'".into(), &[]);
        assert_eq!(words(&whole), ["/bin/sh", "-c", "git-upload-pack 'r'", "git-upload-pack 'r'"]);
    }

    #[test]
    fn a_program_that_cannot_start_is_named() {
        let surroundings = Surroundings::new(&Table::default(), &Options::default());
        for (program, severity, reason) in [
            ("/nonexistent/ssh", "fatal", "cannot exec '/nonexistent/ssh': No such file or directory"),
            ("no-such-ssh", "error", "cannot run no-such-ssh: No such file or directory"),
        ] {
            let error = start(&mut surroundings.command(program.into()), "test", "unable to fork")
                .expect_err("missing");
            assert_eq!(error.to_string(), format!("{reason}\nfatal: unable to fork"));
            assert!(matches!(error, Error::Start { severity: said, .. } if said == severity));
        }
    }
}
