//! Helper programs: gitcredentials(7), "CUSTOM HELPERS".
//!
//! ```text
//! fill:     helper get ── helper get ── … ── Prompt        until user name and password are known
//! approve:  helper store ── helper store ── …
//! reject:   helper erase ── helper erase ── …
//! ```

use std::io::{BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::configuration::Applied;
use super::{
    Capabilities, Configuration, Credential, CredentialProvider, Description, Error, Listener, Prompt,
    Speaker, Target,
};
use crate::telemetry;

/// The shell that reads what `credential.helper` says.
const SHELL: &str = if cfg!(windows) { "sh" } else { "/bin/sh" };

/// The provider that configuration and environment describe: helper programs, then a person.
#[derive(Debug, Clone, Default)]
pub struct Helpers {
    configuration: Configuration,
}

/// What a helper is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Get,
    Store,
    Erase,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Store => "store",
            Self::Erase => "erase",
        }
    }
}

impl Helpers {
    /// Helpers and prompts as `configuration` has them.
    pub fn new(configuration: Configuration) -> Self {
        Self { configuration }
    }

    /// Completes `description`: asks the helpers in turn, then the user.
    ///
    /// # Errors
    ///
    /// If nobody could be asked, a helper said that nobody is to be, or a value is not safe to pass on.
    pub fn fill(&self, description: &mut Description) -> Result<(), Error> {
        if description.is_complete() {
            return Ok(());
        }
        let applied = self.configuration.apply(description)?;
        self.ask_helpers(description, &applied)?;
        if !description.is_complete() {
            self.ask_user(description, &applied)?;
        }
        Ok(())
    }

    /// Tells the helpers that `description` was accepted, so that they may store it.
    ///
    /// # Errors
    ///
    /// If a value is not safe to pass on.
    pub fn approve(&self, description: &Description) -> Result<(), Error> {
        if !description.is_complete() || is_expired(description) {
            return Ok(());
        }
        self.tell(description, Operation::Store)
    }

    /// Tells the helpers that `description` was refused, so that they forget it.
    ///
    /// # Errors
    ///
    /// If a value is not safe to pass on.
    pub fn reject(&self, description: &Description) -> Result<(), Error> {
        self.tell(description, Operation::Erase)
    }

    fn ask_helpers(&self, description: &mut Description, applied: &Applied) -> Result<(), Error> {
        for helper in &applied.helpers {
            let request = description.write(Listener::Helper)?;
            let mut answer = Description {
                states: Vec::new(),
                is_continued: false,
                answered: Capabilities::default(),
                ..description.clone()
            };
            self.run(helper, Operation::Get, &request, Some(&mut answer));
            if answer.states.is_empty() {
                answer.states.clone_from(&description.states);
            }
            *description = answer;
            if is_expired(description) {
                description.password = None;
                description.password_expiry_utc = None;
            }
            if description.is_complete() {
                description.challenges.clear();
                return Ok(());
            }
            if description.is_final {
                return Err(Error::Quit(helper.clone()));
            }
        }
        Ok(())
    }

    fn ask_user(&self, description: &mut Description, applied: &Applied) -> Result<(), Error> {
        if !applied.is_interactive {
            return Err(Error::NotInteractive);
        }
        let prompt = Prompt {
            askpass: self.configuration.askpass.clone(),
            terminal_disabled: self.configuration.terminal_disabled,
        };
        telemetry::region("credential", "interactive", || prompt.complete(description, applied.sanitizes))
    }

    fn tell(&self, description: &Description, operation: Operation) -> Result<(), Error> {
        let mut description = description.clone();
        let applied = self.configuration.apply(&mut description)?;
        let request = description.write(Listener::Helper)?;
        for helper in &applied.helpers {
            self.run(helper, operation, &request, None);
        }
        Ok(())
    }

    /// Runs one helper and takes in what it answers. A helper that fails has nothing to say; what it writes to stderr
    /// is for the user.
    fn run(&self, helper: &str, operation: Operation, request: &[u8], answer: Option<&mut Description>) {
        let mut command = self.command(helper, operation);
        command.stdin(Stdio::piped());
        command.stdout(if answer.is_some() { Stdio::piped() } else { Stdio::null() });
        let Ok(mut child) = command.spawn() else { return };
        telemetry::child_started(&child, "credential", &command);
        if let Some(mut stdin) = child.stdin.take() {
            // a helper need not read what it is told
            let _read_or_not = stdin.write_all(request);
        }
        if let (Some(answer), Some(stdout)) = (answer, child.stdout.take()) {
            // what stands before a bad line counts, as in git 2.47.3
            if let Err(error) = answer.read(&mut BufReader::new(stdout), Speaker::Helper) {
                self.configuration.warn(&error.to_string());
            }
        }
        if let Ok(status) = child.wait() {
            telemetry::child_ended(child.id(), status);
        }
    }

    /// The command of a helper: a snippet behind `!`, an absolute path, or `git credential-<helper>`.
    fn command(&self, helper: &str, operation: Operation) -> Command {
        let snippet = match helper.strip_prefix('!') {
            Some(snippet) => snippet.to_owned(),
            None if std::path::Path::new(first_word(helper)).is_absolute() => helper.to_owned(),
            // where there is no git, its helpers can still be in PATH
            None if which::which("git").is_err() => format!("git-credential-{helper}"),
            None => format!("git credential-{helper}"),
        };
        let mut command = Command::new(SHELL);
        command.arg("-c").arg(format!("{snippet} {}", operation.name()));
        if let Some(environment) = &self.configuration.environment {
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        }
        command
    }
}

impl CredentialProvider for Helpers {
    fn fill(&self, target: &Target, www_authenticate: &[String]) -> Result<Option<Credential>, Error> {
        let mut description = target.description();
        description.asked = Capabilities::ALL;
        description.challenges = www_authenticate.to_vec();
        Self::fill(self, &mut description)?;
        Ok(Some(Credential::from_description(description)))
    }

    fn proceed(
        &self,
        target: &Target,
        previous: &Credential,
        www_authenticate: &[String],
    ) -> Result<Option<Credential>, Error> {
        let mut description = previous.description(target);
        description.forget_secrets();
        description.is_continued = false;
        description.asked = Capabilities::ALL;
        description.challenges = www_authenticate.to_vec();
        Self::fill(self, &mut description)?;
        Ok(Some(Credential::from_description(description)))
    }

    fn approve(&self, target: &Target, credential: &Credential) {
        // the operation has succeeded, whether its password can be stored or not
        let _stored_or_not = Self::approve(self, &told(credential.description(target)));
    }

    fn reject(&self, target: &Target, credential: &Credential) {
        let _erased_or_not = Self::reject(self, &told(credential.description(target)));
    }
}

/// As helpers hear of it afterwards: with the capabilities that the one who answered has too.
fn told(description: Description) -> Description {
    Description { asked: description.asked.and(description.answered), ..description }
}

fn first_word(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or_default()
}

fn is_expired(description: &Description) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    description.password_expiry_utc.is_some_and(|expiry| expiry < now)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::Entry;
    use super::*;

    fn helpers(commands: &[&str]) -> Helpers {
        let entries = commands
            .iter()
            .map(|command| Entry { url: None, key: "helper".into(), value: Some((*command).into()) })
            .collect();
        Helpers::new(Configuration { entries, terminal_disabled: true, ..Configuration::default() })
    }

    fn fill(commands: &[&str]) -> Result<Description, Error> {
        let mut description = Description::from_url("https://git.test/x").unwrap();
        helpers(commands).fill(&mut description)?;
        Ok(description)
    }

    #[test]
    fn helpers_are_asked_until_all_is_known() {
        let known = fill(&[
            "!exit 3;:",
            "!f() { echo username=alice; }; f",
            "!f() { grep -q username=alice && echo password=secret; }; f",
            "!f() { echo password=late; }; f",
        ])
        .unwrap();
        assert_eq!(known.username.as_deref(), Some("alice"));
        assert_eq!(known.password.unwrap().reveal(), "secret");
    }

    #[test]
    fn an_expired_password_is_not_taken() {
        let known = fill(&[
            "!f() { echo username=a; echo password=old; echo password_expiry_utc=1; }; f",
            "!f() { echo password=new; }; f",
        ])
        .unwrap();
        assert_eq!(known.password.unwrap().reveal(), "new");
    }

    #[test]
    fn a_helper_can_end_the_asking() {
        let helper = "!f() { echo username=a; echo quit=yes; }; f";
        let error = fill(&[helper]).unwrap_err();
        assert_eq!(error.to_string(), format!("credential helper '{helper}' told us to quit"));
    }

    #[test]
    fn a_token_is_taken_in_place_of_a_password() {
        let answer = "!f() { echo capability[]=authtype; echo authtype=Bearer; echo credential=tok; }; f";
        let target = Target { protocol: "https".into(), host: "git.test".into(), ..Target::default() };
        let credential = CredentialProvider::fill(&helpers(&[answer]), &target, &[]).unwrap().unwrap();
        let (scheme, secret) = credential.authorization.unwrap();
        assert_eq!((&*scheme, secret.reveal()), ("Bearer", "tok"));
    }

    #[test]
    fn helpers_hear_what_became_of_a_credential() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let helper = format!("!f() {{ echo \"op=$1\"; cat; }} >> '{}'; f", log.display());
        let provider = helpers(&[&helper]);
        let target = Target { protocol: "https".into(), host: "git.test".into(), ..Target::default() };
        let credential = Credential::new("alice", super::super::Secret::new("secret"));
        CredentialProvider::approve(&provider, &target, &credential);
        CredentialProvider::reject(&provider, &target, &credential);
        let lines = "protocol=https\nhost=git.test\nusername=alice\npassword=secret\n";
        assert_eq!(std::fs::read_to_string(log).unwrap(), format!("op=store\n{lines}op=erase\n{lines}"));
    }

    #[test]
    fn helpers_hear_of_the_capabilities_that_they_have() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let helper = format!(
            "!f() {{ (echo \"op=$1\"; cat) >> '{}'; echo capability[]=authtype; echo authtype=Multi; \
             echo credential=tok; }}; f",
            log.display()
        );
        let provider = helpers(&[&helper]);
        let target = Target { protocol: "https".into(), host: "git.test".into(), ..Target::default() };
        let lines = ["Multi a=1".to_owned()];
        let credential = CredentialProvider::fill(&provider, &target, &lines).unwrap().unwrap();
        let next = provider.proceed(&target, &credential, &[]).unwrap().unwrap();
        CredentialProvider::approve(&provider, &target, &next);
        CredentialProvider::reject(&provider, &target, &next.refused_by(&lines));
        let both = "capability[]=authtype\ncapability[]=state\n";
        let (place, kept) =
            ("protocol=https\nhost=git.test\n", "capability[]=authtype\nauthtype=Multi\ncredential=tok\n");
        let expected = format!(
            "op=get\n{both}{place}wwwauth[]=Multi a=1\nop=get\n{both}authtype=Multi\n{place}\
             op=store\n{kept}{place}op=erase\n{kept}{place}wwwauth[]=Multi a=1\n"
        );
        assert_eq!(std::fs::read_to_string(log).unwrap(), expected);
    }

    #[test]
    fn no_helper_is_called_for_what_would_fool_it() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let provider = helpers(&[&format!("!f() {{ cat; }} >> '{}'; f", log.display())]);
        for host in ["a\nhost=b", "a\rb", "a\0b"] {
            let mut description = Description {
                protocol: Some("https".into()),
                host: Some(host.into()),
                ..Description::default()
            };
            assert!(provider.fill(&mut description).is_err(), "{host:?}");
        }
        assert!(!log.exists());
    }
}
