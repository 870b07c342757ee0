//! TLS by rustls with the ring provider, given explicitly: no process-wide default is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use super::failure::Failure;
use crate::credential::Secret;

mod identity;
mod pin;

pub(super) use identity::{FileKind, Identity};
pub(super) use pin::is_pinned;

/// The most bytes of certificates read from one file; Mozilla's whole bundle has 230 KiB.
const CA_FILE_LEN_MAX: u64 = 16 * 1024 * 1024;
/// The newest version and no other.
static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
/// Files of a directory of certificates that are read; Debian's has some 300.
const CA_FILES_MAX: usize = 4096;

/// Whom a client trusts over `https`, and who it is itself: git-config(1), `http.ssl*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trust {
    /// `http.sslVerify`.
    pub(super) verify: bool,
    /// `http.sslCAInfo`: a PEM file that replaces the system's certificates.
    pub(super) ca_info: Option<PathBuf>,
    /// `http.sslCAPath`: a directory of PEM files that are trusted as well.
    pub(super) ca_path: Option<PathBuf>,
    /// `http.sslCert` and what belongs to it.
    pub(super) identity: Option<Identity>,
    /// `http.sslVersion`: the oldest version that will do.
    pub(super) version: Option<String>,
    /// `http.pinnedPubkey`.
    pub(super) pinned_key: Option<String>,
}

/// The configuration for `https`. Loading the system's certificates takes milliseconds, so call it late. `password` is
/// that of the identity's key.
pub(super) fn config(trust: &Trust, password: Option<&Secret>) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(trust, &provider)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(trust.version.as_deref()))
        .map_err(|error| unusable(&error))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some(identity) = &trust.identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = identity.load(password)?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| Failure::own_certificate())?;
    // rustls would look whether they belong together, which refuses certificates of version 1; the server looks, too
    let own = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    Ok(builder.with_client_cert_resolver(Arc::new(own)))
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    if !trust.verify {
        return Ok(Arc::new(NoVerifier { provider: Arc::clone(provider) }));
    }
    let from_directory = trust.ca_path.as_deref().map(read_directory).unwrap_or_default();
    if let Some(path) = &trust.ca_info {
        let mut certificates = read_certificates(path).ok_or_else(Failure::ca_file)?;
        certificates.extend(from_directory);
        return Ok(Arc::new(FileVerifier::new(certificates, provider)?));
    }
    let system = || {
        let unusable = |error| Failure::new(77, format!("Problem with the SSL CA cert: {error}"));
        rustls_platform_verifier::Verifier::new(Arc::clone(provider)).map_err(unusable)
    };
    if from_directory.is_empty() {
        return Ok(Arc::new(system()?));
    }
    Ok(Arc::new(EitherVerifier { first: FileVerifier::new(from_directory, provider)?, second: system()? }))
}

/// The versions that are at least `oldest`: libcurl's `CURLOPT_SSLVERSION`. rustls speaks none below TLS 1.2.
fn versions(oldest: Option<&str>) -> &'static [&'static SupportedProtocolVersion] {
    match oldest {
        Some("tlsv1.3") => TLS13_ALONE,
        Some(_) | None => rustls::ALL_VERSIONS,
    }
}

/// Trusts the certificates of some files: as issuers and, unlike webpki but like OpenSSL, also as themselves. A
/// self-signed certificate made by `openssl req -x509` is its own authority and would else never be accepted.
#[derive(Debug)]
struct FileVerifier {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl FileVerifier {
    fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|_| Failure::ca_file())?;
        Ok(Self { inner, certificates })
    }
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // webpki has looked at the dates before it says this; what is left is the name
            Err(error) if is_authority(&error) && self.certificates.iter().any(|own| own == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Trusts whom either of two trusts.
#[derive(Debug)]
struct EitherVerifier {
    first: FileVerifier,
    second: rustls_platform_verifier::Verifier,
}

impl ServerCertVerifier for EitherVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let first = self.first.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match first {
            // the others know no better what is wrong with the certificate itself
            Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                self.second.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}

/// Accepts every certificate: `http.sslVerify=false`. The handshake's signature is still checked, where that can be.
#[derive(Debug)]
struct NoVerifier {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        or_too_old(verify_tls12_signature(message, certificate, signed, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        or_too_old(verify_tls13_signature(message, certificate, signed, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate was refused because it belongs to an authority, not to a server.
pub(super) fn is_authority(error: &rustls::Error) -> bool {
    is_webpki(error, "CaUsedAsEndEntity")
}

/// Whether `error` is webpki's of this name.
fn is_webpki(error: &rustls::Error, name: &str) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    // its own error type is not ours to name; its `Debug` is the name of the variant
    format!("{:?}", other.0).contains(name)
}

/// `verdict`, but for certificates of version 1, whose keys webpki does not read. Who verifies nothing hears from any
/// server that it has the key to a certificate, which anybody can make; whose key is pinned is refused later.
fn or_too_old(
    verdict: Result<HandshakeSignatureValid, rustls::Error>,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    match verdict {
        Err(error) if is_webpki(&error, "UnsupportedCertVersion") => Ok(HandshakeSignatureValid::assertion()),
        verdict => verdict,
    }
}

/// All certificates of the PEM files in a directory, whatever their names; others are passed over. OpenSSL looks only
/// at files that `c_rehash` named, which are links to the same.
fn read_directory(path: &Path) -> Vec<CertificateDer<'static>> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let files = entries.flatten().take(CA_FILES_MAX).map(|entry| entry.path());
    let mut certificates: Vec<_> = files.filter_map(|file| read_certificates(&file)).flatten().collect();
    certificates.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
    certificates.dedup();
    certificates
}

/// All certificates of a PEM file; `None` if there are none or one is broken.
fn read_certificates(path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    if fs::metadata(path).ok()?.len() > CA_FILE_LEN_MAX {
        return None;
    }
    let text = fs::read(path).ok()?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().ok()?;
    if certificates.is_empty() { None } else { Some(certificates) }
}

fn unusable(error: &rustls::Error) -> Failure {
    Failure::new(35, format!("TLS connect error: {error}"))
}
