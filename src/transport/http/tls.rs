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
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::failure::Failure;

/// The most bytes of certificates read from one file; Mozilla's whole bundle has 230 KiB.
const CA_FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Whom an `https` client trusts: git-config(1), `http.ssl*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trust {
    /// `http.sslVerify`.
    pub(super) verify: bool,
    /// `http.sslCAInfo`: a PEM file that replaces the system's certificates.
    pub(super) ca_info: Option<PathBuf>,
}

/// The configuration for `https`. Loading the system's certificates takes milliseconds, so call it late.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (&trust.ca_info, trust.verify) {
        (_, false) => Arc::new(NoVerifier { provider: Arc::clone(&provider) }),
        (Some(path), true) => Arc::new(FileVerifier::load(path, &provider)?),
        (None, true) => Arc::new(
            rustls_platform_verifier::Verifier::new(Arc::clone(&provider))
                .map_err(|error| Failure::new(77, format!("Problem with the SSL CA cert: {error}")))?,
        ),
    };
    with_verifier(provider, verifier)
}

fn with_verifier(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Trusts the certificates of one file: as issuers and, unlike webpki but like OpenSSL, also as themselves. A
/// self-signed certificate made by `openssl req -x509` is its own authority and would else never be accepted.
#[derive(Debug)]
struct FileVerifier {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl FileVerifier {
    fn load(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, Failure> {
        let certificates = read_certificates(path).ok_or_else(Failure::ca_file)?;
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

/// Accepts every certificate: `http.sslVerify=false`. The handshake's signature is still checked.
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
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate was refused because it belongs to an authority, not to a server.
pub(super) fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    // webpki's own error type is not ours to name; its `Debug` is the name of the variant
    format!("{:?}", other.0).contains("CaUsedAsEndEntity")
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
