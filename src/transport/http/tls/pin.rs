//! Keys that a server must have, whoever vouches for it: git-config(1), `http.pinnedPubkey`.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::server::ParsedCertificate;

/// libcurl's limit for a file with a public key: 1 MiB.
const KEY_FILE_LEN_MAX: u64 = 1024 * 1024;
/// How a list of hashes begins: `CURLOPT_PINNEDPUBLICKEY(3)`.
const HASH_PREFIX: &str = "sha256//";

/// Whether `certificate` has one of the keys that `pinned` names: hashes in `sha256//…;sha256//…`, or a PEM or DER file.
pub(in super::super) fn is_pinned(pinned: &str, certificate: &CertificateDer<'_>) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    let key = parsed.subject_public_key_info();
    if pinned.starts_with(HASH_PREFIX) {
        let Some(hash) = sha256(&key) else { return false };
        let hash = STANDARD.encode(hash);
        return pinned.split(';').any(|one| one.trim().strip_prefix(HASH_PREFIX) == Some(&*hash));
    }
    let is_short = fs::metadata(pinned).is_ok_and(|metadata| metadata.len() <= KEY_FILE_LEN_MAX);
    let Some(bytes) = is_short.then(|| fs::read(pinned).ok()).flatten() else { return false };
    match SubjectPublicKeyInfoDer::from_pem_slice(&bytes) {
        Ok(expected) => expected == key,
        Err(_) => *bytes == *key,
    }
}

fn sha256(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha256);
    hasher.update(bytes);
    hasher.try_finalize().ok().map(|id| id.as_bytes().to_vec())
}
