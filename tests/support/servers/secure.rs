//! Apache behind TLS, with places that want to know who asks.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::apache::{MODULE_DIRECTORIES, load_modules};
use super::{Process, Serve};
use crate::support::{Git, Run, Sandbox};

/// What the configuration below needs; some builds have one or the other compiled in.
const MODULES: [&str; 16] = [
    "mpm_event",
    "authz_core",
    "authz_user",
    "authn_core",
    "authn_file",
    "auth_basic",
    "auth_digest",
    "alias",
    "env",
    "cgid",
    "unixd",
    "socache_shmcb",
    "ssl",
    "http2",
    "log_forensic",
    "headers",
];

/// A running Apache; `/git/` is for everybody, `/basic/` and `/digest/` are for Alice. It has names beside `localhost`, for
/// who finds it by them: the certificate of `expired.test` is over, that of `wrong.test` is for `localhost`, and
/// `client.test` wants one of the client.
pub struct Secure {
    process: Process,
    directory: PathBuf,
}

impl Secure {
    /// Starts it with the `git-http-backend` of `git`; `None`, after saying so, if a program is missing.
    pub fn start(sandbox: &Sandbox, git: &Git) -> Option<Self> {
        let program = crate::support::find_program("apache2").or_else(|| super::require("httpd"))?;
        let openssl = super::require("openssl")?;
        let htpasswd = super::require("htpasswd")?;
        let modules = MODULE_DIRECTORIES.iter().map(PathBuf::from).find(|directory| directory.is_dir())?;
        let directory = super::home_of(sandbox, "secure");
        make_certificates(sandbox, &openssl, &directory);
        Run::of(sandbox.command(&htpasswd).current_dir(&directory).args([
            "-bc",
            "basic",
            "alice",
            "open sesame",
        ]))
        .success();
        // md5 of `alice:git:open sesame`, as htdigest writes it
        let digest = Run::with_input(sandbox.command(&openssl).args(["md5", "-r"]), b"alice:git:open sesame");
        let digest = digest.success().line();
        let hash = digest.split_whitespace().next().expect("openssl prints a hash");
        fs::write(directory.join("digest"), format!("alice:git:{hash}\n")).expect("it can be written");
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Some(33), Some(33)); // Debian's www-data
            chown(&directory, user, group).expect("root may give it away");
        }
        let config = directory.join("httpd.conf");
        let process = Process::start(&directory, |port| {
            let text = configuration(sandbox, git, &directory, &modules, port);
            fs::write(&config, text).expect("the sandbox can be written");
            let mut command = sandbox.command(&program);
            command.arg("-f").arg(&config).arg("-DFOREGROUND");
            command
        });
        Some(Self { process, directory })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.process.port
    }

    /// The URL of `host` without a path.
    pub fn base(&self, host: &str) -> String {
        format!("https://{host}:{}", self.process.port)
    }

    /// The URL of `served/<name>` in `place`.
    pub fn at(&self, place: &str, name: &str) -> String {
        format!("https://localhost:{}/{place}/{name}", self.process.port)
    }

    /// A file that the server made, such as `ca.pem`.
    pub fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// The first line of each request so far. It is noted before it is answered, as in no other log of Apache's.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.join("requests")).unwrap_or_default();
        let begun = log.lines().filter(|line| line.starts_with('+'));
        begun.filter_map(|line| line.split('|').nth(1)).map(ToOwned::to_owned).collect()
    }
}

impl Serve for Secure {
    fn url(&self, name: &str) -> String {
        self.at("git", name)
    }
}

/// An authority, and what it says of servers and of a client.
fn make_certificates(sandbox: &Sandbox, openssl: &Path, directory: &Path) {
    let run = |arguments: &str| {
        let mut command = sandbox.command(openssl);
        Run::of(command.current_dir(directory).args(arguments.split_whitespace())).success();
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    run(&format!("req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
    for (name, host, days) in
        [("server", "localhost", 2), ("expired", "expired.test", -1), ("client", "client.test", 2)]
    {
        run(&format!("req {key} -subj /CN={host} -keyout {name}.key -out {name}.csr"));
        fs::write(directory.join("extension"), format!("subjectAltName=DNS:{host}\n"))
            .expect("it can be written");
        run(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extension -out {name}.pem \
             -days {days}"
        ));
    }
}

/// The configuration file.
fn configuration(sandbox: &Sandbox, git: &Git, directory: &Path, modules: &Path, port: u16) -> String {
    let here = directory.display();
    let backend = git.exec_path.join("git-http-backend");
    let backend = backend.display();
    let mut text = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nErrorLog {here}/error\nLogLevel warn\n\
         Mutex file:{here}\nListen 127.0.0.1:{port}\nTimeout 120\n"
    );
    text += &load_modules(modules, &MODULES);
    if rustix::process::geteuid().is_root() {
        text += "User #33\nGroup #33\n";
    }
    for (name, value) in super::cgi_variables(sandbox) {
        text.extend([format!("SetEnv {name} \"{value}\"\n")]);
    }
    text += &format!(
        "ScriptSock {here}/cgid\nForensicLog {here}/requests\n\
         SSLSessionCache shmcb:{here}/sessions\nProtocols h2 http/1.1\n\
         <Directory />\nRequire all granted\nOptions +ExecCGI\n</Directory>\n"
    );
    for place in ["git", "basic", "digest"] {
        text += &format!("ScriptAlias /{place}/ {backend}/\n");
    }
    text += &format!(
        "<Location /basic/>\nAuthType Basic\nAuthName git\nAuthUserFile {here}/basic\nRequire valid-user\n</Location>\n\
         <Location /digest/>\nAuthType Digest\nAuthName git\nAuthUserFile {here}/digest\nRequire valid-user\n\
         </Location>\n"
    );
    let moved = [301, 302, 307, 308].map(|status| {
        format!("RedirectMatch {status} ^/plain/{status}/([0-9]+)/(.*)$ http://127.0.0.1:$1/git/$2\n")
    });
    let moved = moved.concat();
    let served = [
        ("localhost", "server", &*moved),
        ("expired.test", "expired", ""),
        ("wrong.test", "server", ""),
        ("client.test", "client", "SSLVerifyClient require\n"),
    ];
    for (host, certificate, more) in served {
        text += &format!(
            "<VirtualHost *:{port}>\nServerName {host}\nSSLEngine on\nSSLCertificateFile {here}/{certificate}.pem\n\
             SSLCertificateKeyFile {here}/{certificate}.key\nSSLCACertificateFile {here}/ca.pem\n{more}</VirtualHost>\n"
        );
    }
    text
}
