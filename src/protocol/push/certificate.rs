//! The push certificate: what a pusher signs. gitprotocol-pack(5), "Push Certificate".
//!
//! ```text
//! certificate version 0.1
//! pusher C O Mitter <committer@example.com> 1700000000 +0100
//! pushee https://example.com/repository.git
//! nonce 1700000000-2b7b…
//! push-option ci.skip
//!
//! <old> <new> refs/heads/main
//! -----BEGIN PGP SIGNATURE-----
//! …
//! ```

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Command;
use crate::protocol::Error;

/// The line that every certificate begins with.
const VERSION: &[u8] = b"certificate version 0.1";

/// How signatures begin, of the formats that git knows. gitformat-signature(5).
const SIGNATURE_BEGINS: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
];

/// The longest nonce that is signed, in bytes (seen in git 2.47.3).
const NONCE_LEN_MAX: usize = 255;

/// A push certificate, signed or yet to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Who pushes and when: the key's name or `Name <email>`, then seconds since 1970 and the zone.
    pub pusher: BString,
    /// The URL, without secrets.
    pub pushee: Option<BString>,
    /// What the server gave to be signed.
    pub nonce: Option<BString>,
    /// The push options.
    pub options: Vec<BString>,
    /// The changes.
    pub commands: Vec<Command>,
    /// The armoured signature; empty if there is none yet.
    pub signature: BString,
}

impl Certificate {
    /// What is to be signed: everything but the signature.
    pub fn payload(&self) -> BString {
        let mut out = BString::default();
        let mut line = |words: &[&[u8]]| {
            out.extend_from_slice(&words.concat());
            out.push(b'\n');
        };
        line(&[VERSION]);
        line(&[b"pusher ", &self.pusher]);
        if let Some(pushee) = &self.pushee {
            line(&[b"pushee ", pushee]);
        }
        if let Some(nonce) = &self.nonce {
            line(&[b"nonce ", nonce]);
        }
        for option in &self.options {
            line(&[b"push-option ", option]);
        }
        line(&[]);
        for Command { name, old, new } in &self.commands {
            line(&[format!("{old} {new} ").as_bytes(), name]);
        }
        out
    }

    /// The whole text, as it goes over the wire between `push-cert` and `push-cert-end`.
    pub fn encode(&self) -> BString {
        let mut out = self.payload();
        out.extend_from_slice(&self.signature);
        out
    }

    /// Reads a certificate; header lines of other names are passed over. It is not verified.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] in the words of git's receive-pack.
    pub fn decode(text: &BStr, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        let (payload, signature) = split_signature(text);
        let malformed = |reason: &str| Error::Malformed(reason.to_owned());
        let (header, commands) =
            payload.split_once_str("\n\n").ok_or_else(|| malformed("malformed push certificate"))?;
        let mut certificate = Self {
            pusher: BString::default(),
            pushee: None,
            nonce: None,
            options: Vec::new(),
            commands: Vec::new(),
            signature: signature.into(),
        };
        let mut header = header.lines();
        if header.next() != Some(VERSION) {
            return Err(malformed("malformed push certificate"));
        }
        header.for_each(|line| certificate.take_header(line));
        for line in commands.lines() {
            certificate.commands.push(parse_command(line, object_hash)?);
        }
        Ok(certificate)
    }

    fn take_header(&mut self, line: &[u8]) {
        let (name, value) = line.split_once_str(" ").unwrap_or((line, b""));
        match name {
            b"pusher" => self.pusher = value.into(),
            b"pushee" => self.pushee = Some(value.into()),
            b"nonce" => {
                self.nonce.get_or_insert(value.into());
            }
            b"push-option" => self.options.push(value.into()),
            _ => {}
        }
    }
}

/// Whether a client may sign `nonce`: letters, digits and `-./+=_`, fewer than 256. A server could otherwise have
/// whatever it likes signed (seen in git 2.47.3).
pub fn is_valid_nonce(nonce: &BStr) -> bool {
    let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-./+=_".contains(byte);
    nonce.len() <= NONCE_LEN_MAX && nonce.iter().all(is_valid)
}

/// What was signed, and the signature: of a certificate as it came, to the byte.
pub fn split_signature(text: &BStr) -> (&BStr, &BStr) {
    let (payload, signature) = text.split_at(payload_len(text));
    (payload.as_bstr(), signature.as_bstr())
}

/// Where the signature begins: at the last line that begins like one.
fn payload_len(text: &BStr) -> usize {
    let mut end = text.len();
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if SIGNATURE_BEGINS.iter().any(|begin| line.starts_with(begin)) {
            end = at;
        }
        at += line.len();
    }
    end
}

fn parse_command(line: &[u8], object_hash: gix_hash::Kind) -> Result<Command, Error> {
    let id = |hex: &[u8]| ObjectId::from_hex(hex).ok().filter(|id| id.kind() == object_hash);
    let mut words = line.splitn(3, |byte| *byte == b' ');
    match (words.next().and_then(id), words.next().and_then(id), words.next()) {
        (Some(old), Some(new), Some(name)) => Ok(Command { name: name.into(), old, new }),
        _ => {
            Err(Error::Malformed(format!("expected old/new/ref, got '{}'", crate::protocol::printable(line))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As git 2.47.3 sends it to a local repository.
    const RECORDED: &str = "certificate version 0.1\n\
        pusher C <c@d> 1795338266 +0000\n\
        pushee ../srv.git\n\
        nonce 1795338266-fc9dde83754bc90e6a9074e6621b47ef69f87176\n\
        push-option o1\n\
        push-option o 2\n\
        \n\
        0000000000000000000000000000000000000000 a35f95f83366f62780a6b98c0284c0aa18202d2d refs/heads/main\n\
        0000000000000000000000000000000000000000 a35f95f83366f62780a6b98c0284c0aa18202d2d refs/heads/two\n\
        -----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn a_recorded_certificate_is_read_and_written() {
        let certificate = Certificate::decode(RECORDED.into(), gix_hash::Kind::Sha1).unwrap();
        assert_eq!(certificate.pusher, "C <c@d> 1795338266 +0000");
        assert_eq!(certificate.pushee, Some("../srv.git".into()));
        assert_eq!(certificate.options, ["o1", "o 2"]);
        assert_eq!(certificate.commands.len(), 2);
        assert!(certificate.signature.starts_with_str("-----BEGIN PGP SIGNATURE-----\n\nabc"));
        assert_eq!(certificate.encode(), RECORDED);
        assert!(certificate.payload().ends_with_str("refs/heads/two\n"));
    }

    #[test]
    fn what_is_absent_is_not_said() {
        let certificate = Certificate {
            pusher: "A <a@b> 1 +0000".into(),
            pushee: None,
            nonce: None,
            options: Vec::new(),
            commands: Vec::new(),
            signature: BString::default(),
        };
        assert_eq!(certificate.encode(), "certificate version 0.1\npusher A <a@b> 1 +0000\n\n");
        assert_eq!(
            Certificate::decode(certificate.encode().as_bstr(), gix_hash::Kind::Sha1).unwrap(),
            certificate
        );
    }

    #[test]
    fn broken_certificates_are_refused() {
        let id = "1".repeat(40);
        for (text, reason) in [
            (String::new(), "malformed push certificate"),
            ("certificate version 0.1\npusher x\n".into(), "malformed push certificate"),
            ("certificate version 0.2\npusher x\n\n".into(), "malformed push certificate"),
            ("certificate version 0.1\n\nx\n".into(), "expected old/new/ref, got 'x'"),
            (format!("certificate version 0.1\n\n{id} {id}\n"), "expected old/new/ref, got '1"),
            (format!("certificate version 0.1\n\n{id}{id} {id} a\n"), "expected old/new/ref, got '1"),
        ] {
            let error = Certificate::decode(text.as_bytes().as_bstr(), gix_hash::Kind::Sha1).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_server_cannot_have_just_anything_signed() {
        for (nonce, valid) in
            [("", true), ("1700-ab./+=_Z", true), ("a b", false), ("a\nb", false), ("\u{e9}", false)]
        {
            assert_eq!(is_valid_nonce(nonce.into()), valid, "{nonce}");
        }
        assert!(is_valid_nonce("a".repeat(255).as_bytes().as_bstr()));
        assert!(!is_valid_nonce("a".repeat(256).as_bytes().as_bstr()));
    }
}
