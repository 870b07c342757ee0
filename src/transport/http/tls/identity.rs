//! Who we are to a server that wants a certificate: git-config(1), `http.sslCert` and `http.sslKey`.

use std::fs;
use std::path::{Path, PathBuf};

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::SecretDocument;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::super::failure::Failure;
use crate::credential::Secret;

/// The most bytes of a file with a certificate or a key.
const FILE_LEN_MAX: u64 = 1024 * 1024;
/// The label of an encrypted key: RFC 7468, 11.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The files of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Identity {
    /// The certificate and those between it and its authority.
    pub(in super::super) certificate: PathBuf,
    pub(in super::super) certificate_kind: FileKind,
    /// The private key; `None` if it is in the file of the certificate.
    pub(in super::super) key: Option<PathBuf>,
    pub(in super::super) key_kind: FileKind,
    /// `http.sslCertPasswordProtected`: whether the password is asked for.
    pub(in super::super) is_protected: bool,
}

/// `http.sslCertType` and `http.sslKeyType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum FileKind {
    Pem,
    Der,
    /// Something that is not read here, such as `P12`.
    Other,
}

impl FileKind {
    pub(in super::super) fn named(name: Option<&str>) -> Self {
        match name.map(str::to_ascii_uppercase).as_deref() {
            None | Some("" | "PEM") => Self::Pem,
            Some("DER") => Self::Der,
            Some(_) => Self::Other,
        }
    }
}

impl Identity {
    /// The certificates, our own first, and the key.
    pub(super) fn load(
        &self,
        password: Option<&Secret>,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
        let chain = self.chain().ok_or_else(Failure::own_certificate)?;
        let (path, kind) = match &self.key {
            Some(path) => (path, self.key_kind),
            None => (&self.certificate, self.certificate_kind),
        };
        let key = read_key(path, kind, password).ok_or_else(|| {
            let path = path.display();
            Failure::new(58, format!("unable to set private key file: '{path}' type PEM"))
        })?;
        Ok((chain, key))
    }

    fn chain(&self) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = read(&self.certificate)?;
        match self.certificate_kind {
            FileKind::Pem => {
                let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().ok()?;
                if chain.is_empty() { None } else { Some(chain) }
            }
            FileKind::Der => Some(vec![CertificateDer::from(bytes)]),
            FileKind::Other => None,
        }
    }
}

fn read_key(path: &Path, kind: FileKind, password: Option<&Secret>) -> Option<PrivateKeyDer<'static>> {
    let bytes = read(path)?;
    match kind {
        FileKind::Pem => match encrypted_section(&bytes) {
            Some(section) => decrypted(&section, password?),
            None => PrivateKeyDer::from_pem_slice(&bytes).ok(),
        },
        FileKind::Der => PrivateKeyDer::try_from(bytes).ok(),
        FileKind::Other => None,
    }
}

/// The section of a PEM file that holds an encrypted key: the file may hold certificates as well.
fn encrypted_section(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let begin = text.find(&format!("-----BEGIN {ENCRYPTED}-----"))?;
    let end_line = format!("-----END {ENCRYPTED}-----");
    let section = text.get(begin..)?;
    let end = section.find(&end_line)? + end_line.len();
    Some(format!("{}\n", section.get(..end)?))
}

/// RFC 5958, 3: `EncryptedPrivateKeyInfo`.
fn decrypted(section: &str, password: &Secret) -> Option<PrivateKeyDer<'static>> {
    let (_label, document) = SecretDocument::from_pem(section).ok()?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).ok()?;
    let plain = encrypted.decrypt(password.reveal()).ok()?;
    Some(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

fn read(path: &Path) -> Option<Vec<u8>> {
    (fs::metadata(path).ok()?.len() <= FILE_LEN_MAX).then(|| fs::read(path).ok()).flatten()
}
