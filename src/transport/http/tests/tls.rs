//! TLS against `openssl s_server`, which answers every GET by the files of its directory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;

/// A server with a certificate of its own; it ends when this is dropped.
struct Server {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    /// Serves with the certificate that `make` puts into `server.pem`, with its key.
    fn start(make: impl Fn(&Path)) -> Self {
        Self::start_with(&[], make)
    }

    /// As [`Server::start`], with more `options` of the program.
    fn start_with(options: &[&str], make: impl Fn(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path());
        let service = directory.path().join("r.git/info");
        std::fs::create_dir_all(&service).unwrap();
        let answer = "HTTP/1.0 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n\
                      000eversion 2\n0000";
        std::fs::write(service.join("refs?service=git-upload-pack"), answer).unwrap();
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-HTTP",
                "-cert",
                "server.pem",
                "-key",
                "server.pem",
            ])
            .args(options)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let accept = lines.map(Result::unwrap).find(|line| line.starts_with("ACCEPT")).unwrap();
        let port = accept.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, directory, port }
    }

    fn at(&self, host: &str) -> String {
        format!("https://{host}:{}/r.git", self.port)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Settings that trust the certificate in file `name`.
    fn trusting(&self, name: &str) -> FakeSettings {
        quiet().with("sslcainfo", self.file(name).to_str().unwrap())
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let arguments = arguments.split_whitespace();
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", output.stderr.as_bstr());
}

/// `server.pem` by itself.
fn self_signed(directory: &Path) {
    openssl(
        directory,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost -keyout server.pem -out cert.pem",
    );
    append(directory, "cert.pem");
}

/// `server.pem` by the authority `ca.pem`; it is valid for `days` from now on.
fn by_authority(directory: &Path, days: i32) {
    openssl(
        directory,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority \
         -keyout ca.key -out ca.pem",
    );
    openssl(
        directory,
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout server.pem \
         -out server.csr",
    );
    std::fs::write(directory.join("extensions"), "subjectAltName=DNS:localhost\n").unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions \
                -out cert.pem -days";
    openssl(directory, &format!("{sign} {days}"));
    append(directory, "cert.pem");
}

/// Adds file `name` to `server.pem`.
fn append(directory: &Path, name: &str) {
    let path = directory.join("server.pem");
    let both = [std::fs::read(&path).unwrap(), std::fs::read(directory.join(name)).unwrap()].concat();
    std::fs::write(path, both).unwrap();
}

fn outcome(at: &str, settings: &FakeSettings) -> String {
    let prefix = format!("unable to access '{at}/': ");
    match connect(at, settings) {
        Ok(mut connection) => read_greeting(&mut *connection).to_string(),
        Err(error) => error.to_string().strip_prefix(&prefix).unwrap().to_owned(),
    }
}

const GREETING: &str = "000eversion 2\n0000";

#[test]
fn a_private_authority_is_trusted_when_named() {
    let server = Server::start(|directory| by_authority(directory, 2));
    let at = server.at("localhost");
    assert_eq!(outcome(&at, &server.trusting("ca.pem")), GREETING);
    let settings = quiet().with_env("GIT_SSL_CAINFO", server.file("ca.pem"));
    assert_eq!(outcome(&at, &settings), GREETING);
    let unknown = "SSL certificate problem: unable to get local issuer certificate";
    assert_eq!(outcome(&at, &quiet()), unknown);
}

#[test]
fn a_name_must_match() {
    let server = Server::start(|directory| by_authority(directory, 2));
    let expected = "SSL: no alternative certificate subject name matches target host name '127.0.0.1'";
    assert_eq!(outcome(&server.at("127.0.0.1"), &server.trusting("ca.pem")), expected);
    let server = Server::start(self_signed);
    assert_eq!(outcome(&server.at("127.0.0.1"), &server.trusting("cert.pem")), expected);
}

#[test]
fn dates_are_looked_at() {
    let server = Server::start(|directory| by_authority(directory, -1));
    let expected = "SSL certificate problem: certificate has expired";
    assert_eq!(outcome(&server.at("localhost"), &server.trusting("ca.pem")), expected);
}

#[test]
fn a_self_signed_certificate_is_trusted_when_named_itself() {
    let server = Server::start(self_signed);
    let at = server.at("localhost");
    assert_eq!(outcome(&at, &server.trusting("cert.pem")), GREETING);
    assert_eq!(outcome(&at, &quiet()), "SSL certificate problem: self-signed certificate");
}

#[test]
fn verification_can_be_switched_off() {
    let server = Server::start(self_signed);
    let at = server.at("127.0.0.1");
    assert_eq!(outcome(&at, &quiet().with("sslverify", "false")), GREETING);
    assert_eq!(outcome(&at, &quiet().with_env("GIT_SSL_NO_VERIFY", "1")), GREETING);
    let elsewhere = quiet().with_url(Some("https://git.test"), "sslverify", "false");
    assert_eq!(outcome(&at, &elsewhere), "SSL certificate problem: self-signed certificate");
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let at = "https://127.0.0.1:1/r.git";
    let expected = "Problem with the SSL CA cert (path? access rights?)";
    assert_eq!(outcome(at, &quiet().with("sslcainfo", "/no/such/file.pem")), expected);
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(outcome(at, &quiet().with("sslcainfo", file.path().to_str().unwrap())), expected);
}

#[test]
fn a_server_without_tls_is_named_as_such() {
    let outcome_of = |reply: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("https://{}/r.git", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // the whole client hello is read, or closing would be a reset
            let mut head = [0; 5];
            stream.read_exact(&mut head).unwrap();
            let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(reply).unwrap();
        });
        let message = outcome(&at, &quiet());
        server.join().unwrap();
        message
    };
    assert_eq!(outcome_of(b""), "TLS connect error: unexpected eof while reading");
    let message = outcome_of(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(message.starts_with("TLS connect error: "), "{message}");
}

#[test]
fn authorities_can_be_in_a_directory() {
    let server = Server::start(|directory| by_authority(directory, 2));
    let trusted = server.file("trusted");
    std::fs::create_dir(&trusted).unwrap();
    std::fs::write(trusted.join("README"), "no certificate\n").unwrap();
    let at = server.at("localhost");
    let settings = quiet().with("sslcapath", trusted.to_str().unwrap());
    assert_eq!(outcome(&at, &settings), "SSL certificate problem: unable to get local issuer certificate");
    std::fs::copy(server.file("ca.pem"), trusted.join("mine.pem")).unwrap();
    assert_eq!(outcome(&at, &settings), GREETING);
    assert_eq!(outcome(&at, &quiet().with_env("GIT_SSL_CAPATH", &trusted)), GREETING);
}

/// `client.pem` with a certificate by the authority of [`by_authority`], `client.key` with its key and `client.enc` with
/// the same key behind the password `secret`.
fn with_client(directory: &Path) {
    by_authority(directory, 2);
    openssl(
        directory,
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=alice -keyout client.key \
         -out client.csr",
    );
    openssl(
        directory,
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 2",
    );
    openssl(directory, "pkcs8 -topk8 -in client.key -passout pass:secret -out client.enc");
}

#[test]
fn a_server_may_want_a_certificate_from_us() {
    let server =
        Server::start_with(&["-Verify", "1", "-verify_return_error", "-CAfile", "ca.pem"], with_client);
    let at = server.at("localhost");
    let trusting = server.trusting("ca.pem");
    let file = |name: &str| server.file(name).to_str().unwrap().to_owned();
    assert_ne!(outcome(&at, &trusting), GREETING);
    let known = trusting.clone().with("sslcert", &file("client.pem"));
    let with_key = known.clone().with("sslkey", &file("client.key"));
    assert_eq!(outcome(&at, &with_key), GREETING);
    let by_variables = trusting
        .with_env("GIT_SSL_CERT", server.file("client.pem"))
        .with_env("GIT_SSL_KEY", server.file("client.key"));
    assert_eq!(outcome(&at, &by_variables), GREETING);
    let begin = "unable to set private key file: '";
    assert!(outcome(&at, &known).starts_with(begin), "the file of the certificate holds no key");

    let locked = known.with("sslkey", &file("client.enc"));
    assert!(outcome(&at, &locked).starts_with(begin));
    let ask = server.file("ask");
    std::fs::write(&ask, "#!/bin/sh\necho secret\n").unwrap();
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o755)).unwrap();
    let asking = locked.with_env("GIT_ASKPASS", &ask).with("sslcertpasswordprotected", "true");
    assert_eq!(outcome(&at, &asking), GREETING);
}

#[test]
fn an_old_version_can_be_refused() {
    let server = Server::start_with(&["-tls1_2"], |directory| by_authority(directory, 2));
    let at = server.at("localhost");
    let trusting = server.trusting("ca.pem");
    for version in ["tlsv1.2", "tlsv1", ""] {
        assert_eq!(outcome(&at, &trusting.clone().with("sslversion", version)), GREETING, "{version}");
    }
    let message = outcome(&at, &trusting.clone().with("sslversion", "tlsv1.3"));
    assert!(message.starts_with("TLS connect error: "), "{message}");
    assert_eq!(
        outcome(&at, &trusting.with("sslversion", "tlsv1.3").with_env("GIT_SSL_VERSION", "")),
        GREETING
    );
}

#[test]
fn a_key_can_be_pinned() {
    let server = Server::start(|directory| {
        by_authority(directory, 2);
        openssl(directory, "x509 -in cert.pem -noout -pubkey -out key.pem");
        openssl(directory, "pkey -pubin -in key.pem -outform der -out key.der");
        openssl(directory, "dgst -sha256 -binary -out key.hash key.der");
        openssl(directory, "base64 -in key.hash -out key.b64");
    });
    let at = server.at("localhost");
    let pinning = |key: &str| server.trusting("ca.pem").with("pinnedpubkey", key);
    let hash = std::fs::read_to_string(server.file("key.b64")).unwrap();
    let wrong = format!("sha256//{}=", "A".repeat(43));
    let right = format!("{wrong};sha256//{}", hash.trim());
    for key in
        [right, server.file("key.pem").display().to_string(), server.file("key.der").display().to_string()]
    {
        assert_eq!(outcome(&at, &pinning(&key)), GREETING, "{key}");
    }
    for key in [wrong, server.file("ca.pem").display().to_string(), "/no/such/file".into()] {
        let expected = format!(
            "unable to access '{at}/' with http.pinnedPubkey configuration: SSL: public key does not match pinned \
             public key"
        );
        assert_eq!(refusal(&at, &pinning(&key)), expected, "{key}");
    }
}
