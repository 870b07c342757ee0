//! Signing with ssh-keygen: it takes its input from a file and leaves the signature beside it.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_tempfile::{AutoRemove, ContainingDirectory};

use super::program::{self, Program};
use super::{Error, Key};
use crate::repo::Repository;

/// git-config(1), "user.signingKey": the public key that `text` is, if it is one and no path.
pub(super) fn literal(text: &BStr) -> Option<BString> {
    match text.strip_prefix(b"key::") {
        Some(key) => Some(key.into()),
        None => text.starts_with(b"ssh-").then(|| text.to_owned()),
    }
}

/// The first line that `gpg.ssh.defaultKeyCommand` prints. It is split into words as a shell does, and no shell runs.
pub(super) fn default_key(repo: &Repository) -> Result<BString, Error> {
    let Some(line) = repo.config.string("gpg.ssh.defaultKeyCommand").filter(|line| !line.is_empty()) else {
        let text = "either user.signingkey or gpg.ssh.defaultKeyCommand needs to be configured";
        return Err(Error::Config(text.into()));
    };
    let failed = |what: &str, said: &[u8]| {
        Error::Config(format!("gpg.ssh.defaultKeyCommand {what}: {}", said.trim_end().as_bstr()))
    };
    let words = split_words(line.as_bstr()).ok_or_else(|| failed("is malformed", &line))?;
    let Some((program, arguments)) = words.split_first() else { return Err(failed("is empty", b"")) };
    let mut command = program::command(Path::new(program), repo);
    command.args(arguments);
    let ended = program::run(command, b"")
        .map_err(|error| failed("failed", crate::repo::system_text(&error).as_bytes()))?;
    if !ended.success {
        return Err(failed("failed", &ended.stderr));
    }
    let first = ended.stdout.lines().next().and_then(|line| literal(line.as_bstr()));
    first.ok_or_else(|| failed("succeeded but returned no keys", &ended.stderr))
}

/// The fingerprint, with a space behind it: so C git names an ssh key. [`Error::Config`] where there is no such key.
pub(super) fn fingerprint(repo: &Repository, key: &Key) -> Result<BString, Error> {
    let mut command = program::command(Path::new("ssh-keygen"), repo);
    command.arg("-lf");
    let (shown, input): (String, &[u8]) = match key {
        Key::File(path) => {
            command.arg(path);
            (path.display().to_string(), b"")
        }
        Key::Literal(text) | Key::Name(text) => {
            command.arg("-");
            (text.to_string(), text)
        }
    };
    let ended =
        program::run(command, input).map_err(|error| Program("ssh-keygen".into()).cannot_run(&error))?;
    let mut words = ended.stdout.splitn(3, |byte| *byte == b' ').skip(1);
    if let (true, Some(fingerprint)) = (ended.success, words.next()) {
        return Ok([fingerprint, b" "].concat().into());
    }
    // git 2.47.3 lets ssh-keygen say why by itself, and ends with whatever the system said last
    let said = ended.stderr.trim_end().as_bstr();
    Err(Error::Config(format!("failed to get the ssh fingerprint for key '{shown}': {said}")))
}

/// Has `program` sign `text`.
pub(super) fn sign(repo: &Repository, program: &Program, key: &Key, text: &[u8]) -> Result<Vec<u8>, Error> {
    let (key_file, literal) = match key {
        Key::File(path) => (Scratch::at(path), false),
        Key::Literal(text) | Key::Name(text) => (Scratch::write(repo, text)?, true),
    };
    let buffer = Scratch::write(repo, text)?;
    let mut command = program.command(repo);
    command.args(["-Y", "sign", "-n", "git", "-f"]).arg(&key_file.path);
    if literal {
        command.arg("-U");
    }
    command.arg(&buffer.path);
    let signature = SignatureFile(beside(&buffer.path));
    let ended = program::run(command, b"").map_err(|error| program.cannot_run(&error))?;
    if !ended.success {
        let said = ended.stderr.as_bstr();
        let is_old = said.find("usage:").is_some();
        let hint = "ssh-keygen -Y sign is needed for ssh signing (available in openssh version 8.2p1+)\n";
        return Err(Error::Sign(format!("{}{said}", if is_old { hint } else { "" })));
    }
    std::fs::read(&signature.0).map_err(|error| {
        let reason = crate::repo::system_text(&error);
        let path = signature.0.display();
        Error::Sign(format!("failed reading ssh signing data buffer from '{path}': {reason}"))
    })
}

/// A file for ssh-keygen. One of ours goes when the value does, or when a signal ends the process.
pub(super) struct Scratch {
    pub(super) path: PathBuf,
    _ours: Option<gix_tempfile::Handle<gix_tempfile::handle::Closed>>,
}

impl Scratch {
    fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), _ours: None }
    }

    pub(super) fn write(repo: &Repository, content: &[u8]) -> Result<Self, Error> {
        let directory = repo.env.path("TMPDIR").unwrap_or_else(std::env::temp_dir);
        let failed = |source| Error::Io {
            action: "could not create temporary file in",
            path: directory.clone(),
            source,
        };
        let mut file = gix_tempfile::new(&directory, ContainingDirectory::Exists, AutoRemove::Tempfile)
            .map_err(failed)?;
        let path = file
            .with_mut(|file| {
                file.write_all(content)?;
                Ok(file.path().to_owned())
            })
            .flatten()
            .map_err(failed)?;
        Ok(Self { path, _ours: Some(file.close().map_err(failed)?) })
    }
}

/// The file that ssh-keygen leaves behind; it goes when the value does.
struct SignatureFile(PathBuf);

impl Drop for SignatureFile {
    fn drop(&mut self) {
        // there is none if signing failed
        let _absent = std::fs::remove_file(&self.0);
    }
}

/// The name of the signature of `buffer`.
fn beside(buffer: &Path) -> PathBuf {
    let mut name = OsString::from(buffer);
    name.push(".sig");
    name.into()
}

/// The words of a command line: quotes keep words together, a backslash takes the next byte as it is. `None` if a quote is
/// not closed.
fn split_words(line: &BStr) -> Option<Vec<OsString>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', None | Some(b'"')) => word.get_or_insert_default().push(bytes.next()?),
            (_, Some(open)) if byte == open => quote = None,
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (_, None) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (_, None | Some(_)) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    let words = words.into_iter().map(|word| super::to_path(&word).into_os_string());
    quote.is_none().then(|| words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_git_splits_it() {
        let words = |line: &str| split_words(line.into());
        let expected: Vec<OsString> = ["a", "b c", "d e", "", "f\"g"].map(OsString::from).into();
        assert_eq!(words(" a 'b c'  d\\ e '' \"f\\\"g\" "), Some(expected));
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("a\\"), None);
        assert_eq!(words(""), Some(Vec::new()));
    }
}
