//! Judging a signature with the program that its kind is for. git-config(1), "gpg.*"; what is asked and how the answers
//! are read was seen in git 2.47.3.

use std::ffi::{OsStr, OsString};

use bstr::{BStr, BString, ByteSlice};

use super::program::{self, Program};
use super::ssh::Scratch;
use super::{Error, Format, program_of, to_path};
use crate::repo::Repository;

/// Begins the lines that are for programs, of gpg and gpgsm.
const STATUS: &[u8] = b"[GNUPG:] ";

/// What gpg says of a key's owner, behind `TRUST_`.
const TRUST_LEVELS: [&[u8]; 5] = [b"UNDEFINED", b"NEVER", b"MARGINAL", b"FULLY", b"ULTIMATE"];

/// The most names that a key may have in the list of allowed signers: a program is run for each.
const PRINCIPALS_MAX: usize = 1000;

/// What became of judging a signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// How good it is.
    pub validity: Validity,
    /// Whose key it is, as the program says it; empty if it does not.
    pub signer: BString,
    /// The key's id or fingerprint; empty if it is not known.
    pub key: BString,
    /// What the one who runs the program should hear: why it could not be asked.
    pub complaints: Vec<String>,
}

/// How good a signature is: the letters of `%G?`, git-log(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validity {
    /// `G`. How far its key is trusted, a push certificate does not tell.
    Good,
    /// `B`
    Bad,
    /// `X`: good, and it has expired.
    Expired,
    /// `Y`: good, and its key has expired.
    ExpiredKey,
    /// `R`: good, and its key was revoked.
    RevokedKey,
    /// `E`: it cannot be checked.
    Unchecked,
    /// `N`: nothing was said of it.
    #[default]
    None,
}

impl Validity {
    /// The letter.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Good => "G",
            Self::Bad => "B",
            Self::Expired => "X",
            Self::ExpiredKey => "Y",
            Self::RevokedKey => "R",
            Self::Unchecked => "E",
            Self::None => "N",
        }
    }
}

impl Repository {
    /// Has `signature`, which is detached and armoured, judged as one of `payload`. A signature that is worth nothing is no
    /// error, nor is a program that cannot be started or gets no temporary file: the verdict says so. No file stays behind.
    ///
    /// # Errors
    ///
    /// [`Error::Sign`] if the signature is of no kind that git knows; [`Error::Config`] if a value makes no sense.
    pub fn verify(&self, payload: &[u8], signature: &[u8]) -> Result<Verdict, Error> {
        let Some(format) = format_of(signature) else {
            let first = signature.lines().next().unwrap_or_default();
            return Err(Error::Sign(format!("bad/incompatible signature '{}'", first.as_bstr())));
        };
        let program = program_of(self, format)?;
        let file = match Scratch::write(self, signature) {
            Ok(file) => file,
            Err(error) => {
                return Ok(Verdict { complaints: vec![error.to_string()], ..Verdict::default() });
            }
        };
        match format {
            Format::OpenPgp => Ok(gpg(self, &program, (&["--keyid-format=long"], &file), payload)),
            Format::X509 => Ok(gpg(self, &program, (&[], &file), payload)),
            Format::Ssh => ssh(self, &program, &file, payload),
        }
    }
}

/// The kind of a signature, by its first line: gitformat-signature(5).
fn format_of(signature: &[u8]) -> Option<Format> {
    let kinds = [
        (&b"-----BEGIN PGP SIGNATURE-----"[..], Format::OpenPgp),
        (b"-----BEGIN PGP MESSAGE-----", Format::OpenPgp),
        (b"-----BEGIN SIGNED MESSAGE-----", Format::X509),
        (b"-----BEGIN SSH SIGNATURE-----", Format::Ssh),
    ];
    kinds.into_iter().find(|(begin, _)| signature.starts_with(begin)).map(|(_, format)| format)
}

fn gpg(repo: &Repository, program: &Program, (more, file): (&[&str], &Scratch), payload: &[u8]) -> Verdict {
    let mut command = program.command(repo);
    command.args(more).args(["--status-fd=1", "--verify"]).arg(&file.path).arg("-");
    match program::run(command, payload) {
        Ok(ended) => read_status(&ended.stdout),
        Err(error) => {
            Verdict { complaints: vec![program.cannot_run(&error).to_string()], ..Verdict::default() }
        }
    }
}

/// What the status lines say: the file DETAILS of gpg's documentation. Two verdicts, or a trust of an unknown kind, are none.
fn read_status(said: &[u8]) -> Verdict {
    let unchecked = Verdict { validity: Validity::Unchecked, ..Verdict::default() };
    let mut verdict: Option<Verdict> = None;
    for line in said.split(|byte| *byte == b'\n') {
        let Some(line) = line.strip_prefix(STATUS) else { continue };
        if let Some(level) = line.strip_prefix(b"TRUST_") {
            let level = level.split(|byte| *byte == b' ').next().unwrap_or_default();
            if !TRUST_LEVELS.contains(&level) {
                return unchecked;
            }
        }
        let Some((word, rest)) = line.split_once_str(" ") else { continue };
        let (validity, has_signer) = match word {
            b"GOODSIG" => (Validity::Good, true),
            b"BADSIG" => (Validity::Bad, true),
            b"EXPSIG" => (Validity::Expired, true),
            b"EXPKEYSIG" => (Validity::ExpiredKey, true),
            b"REVKEYSIG" => (Validity::RevokedKey, true),
            b"ERRSIG" => (Validity::Unchecked, false),
            _ => continue,
        };
        if verdict.is_some() {
            return unchecked;
        }
        let (key, signer) = rest.split_once_str(" ").unwrap_or((rest, b""));
        let signer = if has_signer { signer } else { b"" };
        verdict = Some(Verdict { validity, signer: signer.into(), key: key.into(), complaints: Vec::new() });
    }
    verdict.unwrap_or_default()
}

/// With ssh-keygen: which of the allowed signers has the key, and whether the signature is his. A signature by nobody who is
/// allowed may be good all the same, and has no signer.
fn ssh(repo: &Repository, program: &Program, file: &Scratch, payload: &[u8]) -> Result<Verdict, Error> {
    let mut verdict = Verdict::default();
    let Some(signers) = repo.config.path("gpg.ssh.allowedSignersFile")? else {
        let text =
            "gpg.ssh.allowedSignersFile needs to be configured and exist for ssh signature verification";
        verdict.complaints.push(text.to_owned());
        return Ok(verdict);
    };
    let mut ask = |words: &[&OsStr]| {
        let mut command = program.command(repo);
        command.arg("-Y").args(words).arg("-s").arg(&file.path);
        match program::run(command, payload) {
            Ok(ended) => Some(ended),
            Err(error) => {
                verdict.complaints.push(program.cannot_run(&error).to_string());
                None
            }
        }
    };
    let word = OsStr::new;
    let allowed = [word("-f"), signers.as_os_str()];
    let found = ask(&[&[word("find-principals")], &allowed[..]].concat());
    let principals = found.filter(|ended| ended.success).map(|ended| ended.stdout).unwrap_or_default();
    let mut good = None;
    if principals.trim().is_empty() {
        let ended = ask(&["check-novalidate", "-n", "git"].map(OsStr::new));
        good = ended.filter(|ended| ended.success);
    }
    let revoked = revocation(repo)?;
    for principal in principals.lines().filter(|line| !line.is_empty()).take(PRINCIPALS_MAX) {
        let principal = to_path(principal);
        let mut words = [&["verify", "-n", "git"].map(OsStr::new)[..], &allowed].concat();
        words.extend([word("-I"), principal.as_os_str()]);
        if let Some(Ok(file)) = &revoked {
            words.extend([word("-r"), file]);
        }
        good = ask(&words).filter(|ended| ended.success);
        if good.is_some() {
            break;
        }
    }
    if let Some(Err(text)) = revoked {
        verdict.complaints.push(text);
    }
    verdict.validity = Validity::Bad;
    if let Some((signer, key)) = good.as_ref().and_then(|ended| read_good(&ended.stdout)) {
        verdict = Verdict { validity: Validity::Good, signer, key, ..verdict };
    }
    Ok(verdict)
}

/// `gpg.ssh.revocationFile`, or that it is not there.
fn revocation(repo: &Repository) -> Result<Option<Result<OsString, String>>, Error> {
    Ok(repo.config.path("gpg.ssh.revocationFile")?.map(|path| {
        if path.exists() {
            Ok(path.into_os_string())
        } else {
            Err(format!("ssh signing revocation file configured but not found: {}", path.display()))
        }
    }))
}

/// Signer and key of `Good "git" signature [for <signer>] with <kind> key <fingerprint>`.
fn read_good(said: &[u8]) -> Option<(BString, BString)> {
    let line = said.lines().next()?.strip_prefix(b"Good \"git\" signature ")?;
    let (signer, rest): (&[u8], &[u8]) = match line.strip_prefix(b"for ") {
        Some(rest) => {
            // a signer may be called anything
            let place = rest.rfind(" with ")?;
            (rest.get(..place)?, rest.get(place + 6..)?)
        }
        None => (b"", line.strip_prefix(b"with ")?),
    };
    let (_, key) = rest.rsplit_once_str(" key ")?;
    Some((signer.into(), BStr::new(key).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As git 2.47.3 reads them.
    #[test]
    fn status_lines_of_gpg_are_read_as_git_reads_them() {
        for (said, letter, key, signer) in [
            ("GOODSIG 0123 N <e>", "G", "0123", "N <e>"),
            ("GOODSIG 0123 N <e>\nTRUST_NEVER 0 pgp", "G", "0123", "N <e>"),
            ("TRUST_FULLY\nGOODSIG 0123 N <e>", "G", "0123", "N <e>"),
            ("TRUST_NONSENSE 0 pgp\nGOODSIG 0123 N <e>", "E", "", ""),
            ("GOODSIG 0123", "G", "0123", ""),
            ("GOODSIG", "N", "", ""),
            ("GOODSIG 0123 N <e>\nGOODSIG 0123 N <e>", "E", "", ""),
            ("GOODSIG 0123 N <e>\nBADSIG 0123 M <f>", "E", "", ""),
            ("BADSIG 0123 M <f>", "B", "0123", "M <f>"),
            ("EXPSIG 0123 M <f>", "X", "0123", "M <f>"),
            ("EXPKEYSIG 0123 M <f>", "Y", "0123", "M <f>"),
            ("REVKEYSIG 0123 M <f>", "R", "0123", "M <f>"),
            ("ERRSIG 0123 1 2 3\nNO_PUBKEY 0123", "E", "0123", ""),
            ("NODATA 4", "N", "", ""),
            (" GOODSIG 0123 N", "N", "", ""),
            ("VALIDSIG FPR 2020 rest\nGOODSIG 0123 N <e>", "G", "0123", "N <e>"),
        ] {
            let lines = format!("[GNUPG:] {}\n", said.replace('\n', "\n[GNUPG:] "));
            let verdict = read_status(lines.as_bytes());
            let expected = (letter, key.into(), signer.into());
            assert_eq!((verdict.validity.letter(), verdict.key, verdict.signer), expected, "{said}");
        }
        assert_eq!(read_status(b"x[GNUPG:] GOODSIG 0123 N").validity, Validity::None);
    }

    #[test]
    fn what_ssh_keygen_says_is_taken_apart() {
        for (said, expected) in [
            ("Good \"git\" signature for a@b with ED25519 key SHA256:x\n", Some(("a@b", "SHA256:x"))),
            ("Good \"git\" signature with RSA key SHA256:x\n", Some(("", "SHA256:x"))),
            ("Good \"git\" signature for a with b with RSA key SHA256:x", Some(("a with b", "SHA256:x"))),
            ("Good \"file\" signature for a with RSA key SHA256:x", None),
            ("Could not verify signature.\n", None),
            ("", None),
        ] {
            let expected = expected.map(|(signer, key)| (BString::from(signer), BString::from(key)));
            assert_eq!(read_good(said.as_bytes()), expected, "{said}");
        }
    }
}
