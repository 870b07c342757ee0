//! TLS: which certificate a client gets, and new ones while the server runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::log::Log;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Certificates of one chain.
const CHAIN_MAX: usize = 32;

/// The files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate and those that vouch for it, in PEM.
    pub chain: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// Certificates as they are on disk.
pub(super) struct Certificates {
    files: Vec<Identity>,
    log: Arc<dyn Log>,
    held: Mutex<Held>,
}

struct Held {
    keys: Vec<Arc<CertifiedKey>>,
    /// When the files had changed last before they were read.
    changed: Vec<Option<SystemTime>>,
    /// What was wrong with those that were not taken: it is told once, unless somebody asks for them anew.
    complaint: Option<String>,
    looked: Instant,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads them; the first is for clients that ask for no name, or for one that none is for.
    pub(super) fn load(files: Vec<Identity>, log: Arc<dyn Log>) -> io::Result<Arc<Self>> {
        // what changes while it is read is read again
        let changed = changed(&files);
        let held = Held { keys: read(&files)?, changed, complaint: None, looked: Instant::now() };
        Ok(Arc::new(Self { files, log, held: Mutex::new(held) }))
    }

    /// What makes connections secret.
    pub(super) fn acceptor(self: &Arc<Self>) -> io::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads them anew. Those that were good stay if the new ones are not, until they are.
    pub(super) fn reload(&self) {
        self.lock().complaint = None;
        self.take_new();
    }

    fn take_new(&self) {
        let changed = changed(&self.files);
        let new = read(&self.files);
        let mut held = self.lock();
        match new {
            Ok(keys) => {
                held.keys = keys;
                held.changed = changed;
                held.complaint = None;
            }
            Err(error) => {
                let complaint = format!("the certificates stay as they were: {error}");
                if held.complaint.as_ref() != Some(&complaint) {
                    self.log.note(&complaint);
                    held.complaint = Some(complaint);
                }
            }
        }
    }

    fn refresh(&self) {
        let is_new = {
            let mut held = self.lock();
            if held.looked.elapsed() < LOOK {
                return;
            }
            held.looked = Instant::now();
            held.changed != changed(&self.files)
        };
        if is_new {
            self.take_new();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.refresh();
        let held = self.lock();
        let named = hello.server_name().and_then(|name| held.keys.iter().find(|key| is_for(key, name)));
        named.or_else(|| held.keys.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    let certificate = key.cert.first().and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
    certificate.is_some_and(|certificate| verify_server_name(&certificate, &name).is_ok())
}

fn changed(files: &[Identity]) -> Vec<Option<SystemTime>> {
    let time = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).ok();
    files.iter().flat_map(|identity| [time(&identity.chain), time(&identity.key)]).collect()
}

fn read(files: &[Identity]) -> io::Result<Vec<Arc<CertifiedKey>>> {
    files.iter().map(|identity| read_one(identity).map(Arc::new)).collect()
}

fn read_one(identity: &Identity) -> io::Result<CertifiedKey> {
    let bad = |path: &Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let pieces =
        CertificateDer::pem_file_iter(&identity.chain).map_err(|error| bad(&identity.chain, &error))?;
    let chain: Result<Vec<_>, _> = pieces.take(CHAIN_MAX).collect();
    let chain = chain.map_err(|error| bad(&identity.chain, &error))?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|error| bad(&identity.key, &error))?;
    let signing = ring::default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| bad(&identity.key, &error))?;
    let own = CertifiedKey::new(chain, signing);
    match own.keys_match() {
        Ok(()) => Ok(own),
        Err(error) => Err(bad(&identity.key, &error)),
    }
}
