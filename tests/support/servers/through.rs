//! Proxies: squid, tinyproxy and microsocks.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::Process;
use crate::support::{Run, Sandbox};

/// Where Debian and Fedora keep squid's programs for passwords.
const SQUID_DIRECTORIES: [&str; 2] = ["/usr/lib/squid", "/usr/lib64/squid"];

/// A running proxy.
pub struct Proxy {
    process: Process,
    log: PathBuf,
}

/// Whom squid lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Everybody.
    None,
    /// Alice, who says her password.
    Basic,
    /// Alice, who proves that she knows it.
    Digest,
}

impl Proxy {
    /// Starts squid; `None`, after saying so, if it is missing.
    pub fn squid(sandbox: &Sandbox, guard: Guard) -> Option<Self> {
        Self::squid_behind(sandbox, guard, None)
    }

    /// Starts squid behind TLS with the certificate and key in the file `certificate`.
    pub fn squid_with_tls(sandbox: &Sandbox, certificate: &Path) -> Option<Self> {
        Self::squid_behind(sandbox, Guard::Basic, Some(certificate))
    }

    fn squid_behind(sandbox: &Sandbox, guard: Guard, certificate: Option<&Path>) -> Option<Self> {
        let program = super::require("squid")?;
        let tools = SQUID_DIRECTORIES.iter().map(PathBuf::from).find(|directory| directory.is_dir())?;
        let directory = super::home_of(sandbox, &format!("squid-{guard:?}-{}", certificate.is_some()));
        let openssl = super::require("openssl")?;
        write_passwords(sandbox, &openssl, &directory);
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Some(13), Some(13)); // Debian's proxy
            chown(&directory, user, group).expect("root may give it away");
        }
        let config = directory.join("squid.conf");
        let process = Process::start(&directory, |port| {
            let listens = match certificate {
                None => format!("http_port 127.0.0.1:{port}"),
                Some(file) => format!("https_port 127.0.0.1:{port} tls-cert={}", file.display()),
            };
            let text = squid_configuration(&directory, &tools, guard, &listens);
            fs::write(&config, text).expect("the sandbox can be written");
            let mut command = sandbox.command(&program);
            command.args(["-N", "-n", "gitr"]).arg("-f").arg(&config);
            command
        });
        Some(Self { process, log: directory.join("access") })
    }

    /// Starts tinyproxy, which Alice has to log in to; `None`, after saying so, if it is missing.
    pub fn tinyproxy(sandbox: &Sandbox) -> Option<Self> {
        let program = super::require("tinyproxy")?;
        let directory = super::home_of(sandbox, "tinyproxy");
        let (config, log) = (directory.join("conf"), directory.join("access"));
        let process = Process::start(&directory, |port| {
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nLogFile \"{}\"\nLogLevel Connect\nMaxClients 20\n\
                 Allow 127.0.0.1\nBasicAuth alice sesame\n",
                log.display()
            );
            fs::write(&config, text).expect("the sandbox can be written");
            let mut command = sandbox.command(&program);
            command.arg("-d").arg("-c").arg(&config);
            command
        });
        Some(Self { process, log })
    }

    /// Starts microsocks, a SOCKS5 server that Alice has to log in to; `None`, after saying so, if it is missing.
    pub fn microsocks(sandbox: &Sandbox) -> Option<Self> {
        let program = super::require("microsocks")?;
        let directory = super::home_of(sandbox, "microsocks");
        let process = Process::start(&directory, |port| {
            let mut command = sandbox.command(&program);
            command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "alice", "-P", "sesame"]);
            command
        });
        Some(Self { process, log: directory.join("log") })
    }

    /// `https://<user>localhost:port`, the name that certificates are made for.
    pub fn url_with_tls(&self, user: &str) -> String {
        format!("https://{user}localhost:{}", self.process.port)
    }

    /// `scheme://<user>127.0.0.1:port`, where `user` ends in `@` or is empty.
    pub fn url(&self, scheme: &str, user: &str) -> String {
        format!("{scheme}://{user}127.0.0.1:{}", self.process.port)
    }

    /// What the proxy wrote of those it served.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// `basic` and `digest` with the password of Alice.
fn write_passwords(sandbox: &Sandbox, openssl: &Path, directory: &Path) {
    let hashed = Run::of(sandbox.command(openssl).args(["passwd", "-apr1", "sesame"])).success().line();
    fs::write(directory.join("basic"), format!("alice:{hashed}\n")).expect("the sandbox can be written");
    fs::write(directory.join("digest"), "alice:sesame\n").expect("the sandbox can be written");
}

fn squid_configuration(directory: &Path, tools: &Path, guard: Guard, listens: &str) -> String {
    let (here, tools) = (directory.display(), tools.display());
    let login = match guard {
        Guard::None => "http_access allow all\n".to_owned(),
        Guard::Basic => format!(
            "auth_param basic program {tools}/basic_ncsa_auth {here}/basic\nauth_param basic children 1 startup=1\n\
             auth_param basic realm squid\nacl known proxy_auth REQUIRED\nhttp_access allow known\n"
        ),
        Guard::Digest => format!(
            "auth_param digest program {tools}/digest_file_auth {here}/digest\nauth_param digest children 1 startup=1\n\
             auth_param digest realm squid\nacl known proxy_auth REQUIRED\nhttp_access allow known\n"
        ),
    };
    format!(
        "{listens}\n{login}http_access deny all\naccess_log stdio:{here}/access\n\
         cache_log {here}/cache\ncache deny all\npid_filename none\ncoredump_dir {here}\n\
         cache_effective_user proxy\nshutdown_lifetime 1 second\npinger_enable off\nvisible_hostname squid.test\n\
         netdb_filename none\nmax_filedescriptors 1024\n"
    )
}
