//! What went wrong below HTTP, in curl's words: scripts and programs look for them.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;

use super::tls;

/// How deep a chain of causes is followed.
const CAUSE_DEPTH_MAX: usize = 16;

/// A request that got no answer, as curl would put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// curl's number for it, libcurl-errors(3).
    pub(super) curl_code: u8,
    /// curl's sentence.
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(curl_code: u8, message: impl Into<String>) -> Self {
        Self { curl_code, message: message.into() }
    }

    /// A file of certificates cannot be used.
    pub(super) fn ca_file() -> Self {
        Self::new(77, "Problem with the SSL CA cert (path? access rights?)")
    }

    /// Our own certificate cannot be used.
    pub(super) fn own_certificate() -> Self {
        Self::new(58, "could not load PEM client certificate")
    }

    /// A proxy does not let us through, whoever we say we are.
    pub(super) fn proxy_denied() -> Self {
        Self::new(56, "CONNECT tunnel failed, response 407")
    }

    /// What the chain of causes under `error` says to somebody who wanted to talk to `host`; `None` if it holds
    /// nothing that has a name.
    pub(super) fn from_causes(error: &(dyn StdError + 'static), host: &str) -> Option<Self> {
        find_tls(error).map(|cause| tls_failure(cause, host)).or_else(|| io_failure(error))
    }
}

/// curl's words for a failed handshake with `host`; those of OpenSSL builds.
fn tls_failure(error: &rustls::Error, host: &str) -> Failure {
    let rustls::Error::InvalidCertificate(reason) = error else {
        return Failure::new(35, format!("TLS connect error: {error}"));
    };
    let problem = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not yet valid"
        }
        CertificateError::UnknownIssuer => "unable to get local issuer certificate",
        CertificateError::Revoked => "certificate revoked",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let message =
                format!("SSL: no alternative certificate subject name matches target host name '{host}'");
            return Failure::new(60, message);
        }
        _ if tls::is_authority(error) => "self-signed certificate",
        other => return Failure::new(60, format!("SSL certificate problem: {other}")),
    };
    Failure::new(60, format!("SSL certificate problem: {problem}"))
}

/// The sentence for what the operating system or the HTTP layer said.
fn io_failure(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    for _ in 0..CAUSE_DEPTH_MAX {
        let cause = next?;
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::ConnectionReset) => {
                return Some(Failure::new(56, "Recv failure: Connection reset by peer"));
            }
            Some(io::ErrorKind::BrokenPipe) => return Some(Failure::new(55, "Send failure: Broken pipe")),
            _ => {}
        }
        // the HTTP layer has no public types for these; the tests pin the words
        let text = cause.to_string();
        if text.contains("connection closed before message completed") {
            return Some(Failure::new(52, "Empty reply from server"));
        }
        if text.contains("tls handshake eof") {
            return Some(Failure::new(35, "TLS connect error: unexpected eof while reading"));
        }
        if text.contains("invalid HTTP version") || text.contains("invalid HTTP status-code") {
            return Some(Failure::new(1, "Received HTTP/0.9 when not allowed"));
        }
        next = cause.source();
    }
    None
}

/// The TLS error in the chain of causes, also where `io::Error` hides it.
fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    for _ in 0..CAUSE_DEPTH_MAX {
        let cause = next?;
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inside.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| cause.source());
    }
    None
}
