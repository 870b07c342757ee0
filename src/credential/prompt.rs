//! Asks a person: by an askpass program, else on the terminal. `gitcredentials(7)`, "Requesting credentials".

use std::ffi::OsString;
use std::io::Read as _;
use std::process::{Command, Stdio};

use super::{Credential, CredentialProvider, Description, Error, Secret, Target};

/// The longest answer of an askpass program or a terminal that is taken, in bytes.
const ANSWER_LEN_MAX: usize = 64 * 1024;

/// Asks for user name and password, each time anew: nothing is remembered.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// The program that asks: called with the question, prints the answer. `GIT_ASKPASS`, `core.askPass` or
    /// `SSH_ASKPASS`, the first of them that is not empty.
    pub askpass: Option<OsString>,
    /// Whether the terminal must be left alone (`GIT_TERMINAL_PROMPT=0`).
    pub terminal_disabled: bool,
}

impl CredentialProvider for Prompt {
    fn fill(&self, target: &Target, _www_authenticate: &[String]) -> Result<Option<Credential>, Error> {
        let mut description = target.description();
        description.path = None;
        // refuses what could fool whoever reads it line by line
        description.write(super::Listener::Helper)?;
        self.complete(&mut description, true)?;
        Ok(Some(Credential::from_description(description)))
    }

    fn approve(&self, _target: &Target, _credential: &Credential) {}

    fn reject(&self, _target: &Target, _credential: &Credential) {}
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// The name: typed visibly.
    Username,
    /// The secret: typed blindly.
    Password,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Username => "Username",
            Self::Password => "Password",
        }
    }
}

impl Prompt {
    /// Asks for what `description` lacks; `sanitizes` is `credential.sanitizePrompt`.
    pub(super) fn complete(&self, description: &mut Description, sanitizes: bool) -> Result<(), Error> {
        if description.username.is_none() {
            description.username = Some(self.ask(Field::Username, &description.describe(sanitizes))?);
        }
        if description.password.is_none() {
            description.password =
                Some(Secret::new(self.ask(Field::Password, &description.describe(sanitizes))?));
        }
        Ok(())
    }

    fn ask(&self, field: Field, url: &str) -> Result<String, Error> {
        let question = format!("{} for '{url}': ", field.name());
        // an askpass program that fails leaves the question to the terminal, as in git 2.47.3
        if let Some(answer) = self.askpass.as_ref().and_then(|program| run_askpass(program, &question)) {
            return Ok(answer);
        }
        let unreadable =
            |reason: String| Error::Unreadable { field: field.name(), url: url.to_owned(), reason };
        if self.terminal_disabled {
            return Err(unreadable("terminal prompts disabled".into()));
        }
        read_terminal(field, &question).map_err(|error| unreadable(reason(&error)))
    }
}

/// The first line that `program` prints when asked `question`; `None` if it fails.
fn run_askpass(program: &OsString, question: &str) -> Option<String> {
    let mut child =
        Command::new(program).arg(question).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
    let mut answer = Vec::new();
    let read = child.stdout.take()?.take(ANSWER_LEN_MAX as u64).read_to_end(&mut answer);
    let status = child.wait().ok()?;
    if read.is_err() || !status.success() {
        return None;
    }
    let line = answer.split(|&byte| byte == b'\n' || byte == b'\r').next()?;
    String::from_utf8(line.to_vec()).ok()
}

#[cfg(unix)]
fn read_terminal(field: Field, question: &str) -> std::io::Result<String> {
    super::terminal::ask(question, field == Field::Username, ANSWER_LEN_MAX)
}

#[cfg(not(unix))]
fn read_terminal(_field: Field, _question: &str) -> std::io::Result<String> {
    Err(std::io::Error::other("terminal prompts are not available on this system; set GIT_ASKPASS"))
}

/// What the operating system says about `error`, without the number that Rust adds.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(username: Option<&str>) -> Target {
        Target {
            protocol: "http".into(),
            host: "git.test:81".into(),
            username: username.map(Into::into),
            ..Target::default()
        }
    }

    #[test]
    fn without_a_terminal_the_missing_field_is_named() {
        let prompt = Prompt { askpass: None, terminal_disabled: true };
        let error = |name| prompt.fill(&target(name), &[]).err().map(|error| error.to_string());
        assert_eq!(
            error(None).as_deref(),
            Some("could not read Username for 'http://git.test:81': terminal prompts disabled")
        );
        assert_eq!(
            error(Some("alice")).as_deref(),
            Some("could not read Password for 'http://alice@git.test:81': terminal prompts disabled")
        );
    }

    #[cfg(unix)]
    #[test]
    fn an_askpass_program_is_asked_both_questions() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("ask");
        let script = "#!/bin/sh\ncase \"$1\" in\nUser*) echo alice;;\n*) echo \"[$1]\";;\nesac\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let prompt = Prompt { askpass: Some(program.into()), terminal_disabled: true };
        let credential = prompt.fill(&target(None), &[]).unwrap().unwrap();
        assert_eq!(credential.username, "alice");
        assert_eq!(credential.password.reveal(), "[Password for 'http://alice@git.test:81': ]");
    }

    #[test]
    fn an_askpass_program_that_fails_leaves_the_question_to_the_terminal() {
        let prompt = Prompt { askpass: Some("no-such-askpass-program".into()), terminal_disabled: true };
        assert!(prompt.fill(&target(None), &[]).is_err());
    }
}
