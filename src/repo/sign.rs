//! Signing by the user's program, and judging what was signed: `gpg.format`, `gpg.program`, `gpg.<format>.program`,
//! `user.signingKey`. git-config(1).

use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::config::to_path;
use super::{Error, Repository};

mod program;
mod ssh;
mod verify;

use program::Program;
pub use verify::{Validity, Verdict};

/// What gpg says behind `--status-fd` once it has signed (the file DETAILS of its documentation).
const CREATED: &[u8] = b"[GNUPG:] SIG_CREATED ";

/// How the user signs, as the configuration says: program and key.
pub struct Signer<'a> {
    repo: &'a Repository,
    format: Format,
    key: Key,
}

/// `gpg.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenPgp,
    X509,
    Ssh,
}

/// Which key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// Whatever the program knows by this name.
    Name(BString),
    /// The file that has it, private or public.
    File(PathBuf),
    /// A public key, whose private one the agent of ssh has.
    Literal(BString),
}

impl Repository {
    /// The detached, armoured signature of `text` by the key that the configuration names, else that of the committer.
    ///
    /// # Errors
    ///
    /// See [`Signer::sign`] and [`Self::signer`].
    pub fn sign(&self, text: &[u8]) -> Result<BString, Error> {
        self.signer()?.sign(text)
    }

    /// Finds out how to sign. For ssh this may run `gpg.ssh.defaultKeyCommand`.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigEntry`] and [`Error::Config`] in git's words where no key is configured, or a value is wrong.
    pub fn signer(&self) -> Result<Signer<'_>, Error> {
        let format = match self.config.string("gpg.format").as_deref().map(Vec::as_slice) {
            None | Some(b"openpgp") => Format::OpenPgp,
            Some(b"x509") => Format::X509,
            Some(b"ssh") => Format::Ssh,
            Some(_) => return Err(self.config.invalid_value("gpg.format")),
        };
        let configured = self.config.string("user.signingKey");
        let key = match (format, configured) {
            (Format::OpenPgp | Format::X509, Some(name)) => Key::Name(name),
            (Format::OpenPgp | Format::X509, None) => Key::Name(self.committer_without_date()?),
            (Format::Ssh, Some(text)) => {
                let path = || self.config.path("user.signingKey").map(Option::unwrap_or_default);
                ssh::literal(text.as_bstr())
                    .map_or_else(|| path().map(Key::File), |key| Ok(Key::Literal(key)))?
            }
            (Format::Ssh, None) => Key::Literal(ssh::default_key(self)?),
        };
        Ok(Signer { repo: self, format, key })
    }

    /// `Name <email>` of the committer, who must have a name.
    fn committer_without_date(&self) -> Result<BString, Error> {
        let committer = self.committer()?;
        let end = committer.rfind_byte(b'>').map_or(committer.len(), |end| end + 1);
        let ident = committer.get(..end).unwrap_or_default();
        match ident.strip_prefix(b" ") {
            Some(email) => {
                Err(Error::Config(format!("empty ident name (for {}) not allowed", email.as_bstr())))
            }
            None => Ok(ident.into()),
        }
    }
}

impl Signer<'_> {
    /// The pusher of a push certificate: the key's name (with ssh its fingerprint), the present moment, the zone.
    ///
    /// # Errors
    ///
    /// [`Error::Sign`] if ssh-keygen does not know the key.
    pub fn pusher(&self) -> Result<BString, Error> {
        let name = match &self.key {
            Key::Name(name) => name.clone(),
            Key::File(_) | Key::Literal(_) => ssh::fingerprint(self.repo, &self.key)?,
        };
        let now = gix_date::Time::now_local_or_utc();
        let time = now.format_or_unix(gix_date::time::Format::Raw);
        Ok([name.as_slice(), b" ", time.as_bytes()].concat().into())
    }

    /// The detached, armoured signature of `text`. Carriage returns are taken out of it, as C git does.
    ///
    /// # Errors
    ///
    /// [`Error::Sign`] in git's words if the program cannot be started or fails. No temporary file stays behind.
    pub fn sign(&self, text: &[u8]) -> Result<BString, Error> {
        let program = program_of(self.repo, self.format)?;
        let mut signature = match (self.format, &self.key) {
            (Format::OpenPgp | Format::X509, Key::Name(name)) => self.gpg(&program, name, text),
            (_, key) => ssh::sign(self.repo, &program, key, text),
        }?;
        signature.retain(|byte| *byte != b'\r');
        Ok(signature.into())
    }

    fn gpg(&self, program: &Program, name: &BString, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut command = program.command(self.repo);
        command.args(["--status-fd=2", "-bsau"]).arg(to_path(name));
        let failed = |said: &[u8]| {
            let said = if said.is_empty() { b"(no gpg output)" } else { said };
            Error::Sign(format!("gpg failed to sign the data:\n{}", said.as_bstr()))
        };
        let ended = program::run(command, text).map_err(|error| program.cannot_run(&error))?;
        let created =
            ended.stderr.starts_with(CREATED) || ended.stderr.find([b"\n", CREATED].concat()).is_some();
        if ended.success && created { Ok(ended.stdout) } else { Err(failed(&ended.stderr)) }
    }
}

/// `gpg.<format>.program`, and for `openpgp` also `gpg.program`: whichever is defined last.
fn program_of(repo: &Repository, format: Format) -> Result<Program, Error> {
    let (subsection, default) = match format {
        Format::OpenPgp => ("openpgp", "gpg"),
        Format::X509 => ("x509", "gpgsm"),
        Format::Ssh => ("ssh", "ssh-keygen"),
    };
    let mut key = None;
    for (of, name, _) in repo.config.section("gpg") {
        match of {
            Some(of) if of == subsection && name == "program" => key = Some(format!("gpg.{of}.program")),
            None if format == Format::OpenPgp && name == "program" => {
                key = Some("gpg.program".to_owned());
            }
            Some(_) | None => {}
        }
    }
    let path = key.map_or(Ok(None), |key| repo.config.path(&key))?;
    Ok(Program(path.unwrap_or_else(|| default.into())))
}

#[cfg(test)]
mod tests;
