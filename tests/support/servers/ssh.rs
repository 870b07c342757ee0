//! OpenSSH's `sshd`, with keys made for the test.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Process, Serve};
use crate::support::{Git, Run, Sandbox};

/// Where sshd wants an empty directory when root starts it.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// A running `sshd` that lets one key in.
pub struct Sshd {
    /// The server.
    process: Process,
    /// Keys, known hosts, configuration.
    directory: PathBuf,
    /// Where the repositories are.
    served: PathBuf,
}

impl Sshd {
    /// Starts sshd such that its sessions find the programs of `git` first.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(sandbox: &Sandbox, git: &Git) -> Option<Self> {
        let sshd = super::require("sshd")?;
        let keygen = super::require("ssh-keygen")?;
        super::require("ssh")?;
        let directory = super::home_of(sandbox, &format!("sshd-{}", git.version));
        for name in ["host", "user"] {
            let file = directory.join(name);
            let mut command = sandbox.command(&keygen);
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(file);
            Run::of(&mut command).success();
        }
        fs::copy(directory.join("user.pub"), directory.join("authorized_keys")).expect("the key was made");
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all(PRIVILEGE_SEPARATION).expect("root may make it");
        }
        let config = directory.join("sshd_config");
        let process = Process::start(&directory, |port| {
            fs::write(&config, configuration(sandbox, git, &directory, port))
                .expect("the sandbox can be written");
            let mut command = sandbox.command(&sshd);
            command.args(["-D", "-e", "-f"]).arg(&config);
            command
        });
        write_known_hosts(&directory, process.port);
        Some(Self { process, directory, served: sandbox.path("served") })
    }

    /// Where its keys are: `host` and `user`, which it lets in, each with its `.pub`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.process.port
    }

    /// The ssh command of the client: nothing of the user's own configuration counts.
    pub fn command(&self) -> String {
        let directory = self.directory.display();
        format!(
            "ssh -F none -i {directory}/user -o IdentitiesOnly=yes -o BatchMode=yes \
             -o UserKnownHostsFile={directory}/known_hosts -o GlobalKnownHostsFile=none"
        )
    }
}

impl Sshd {
    /// The same for `PuTTY`'s plink, which has a key of its own form and is told the server's; `None`, after saying so, if it
    /// is missing.
    pub fn plink(&self, sandbox: &Sandbox) -> Option<Plink> {
        let (program, puttygen) = (super::require("plink")?, super::require("puttygen")?);
        let key = self.directory.join("user.ppk");
        let mut command = sandbox.command(puttygen);
        command.arg(self.directory.join("user")).args(["-O", "private", "-o"]).arg(&key);
        Run::of(&mut command).success();
        let mut command = sandbox.command("ssh-keygen");
        let print = Run::of(command.args(["-l", "-f"]).arg(self.directory.join("host.pub"))).success().line();
        let host_key = print.split(' ').nth(1).expect("the second word").to_owned();
        Some(Plink { program, key, host_key })
    }
}

/// How plink reaches a server.
pub struct Plink {
    /// The program.
    pub program: PathBuf,
    /// The file with the user's key.
    pub key: PathBuf,
    /// The fingerprint of the server's key.
    pub host_key: String,
}

impl Plink {
    /// The command line with these.
    pub fn command(&self) -> String {
        let Self { program, key, host_key } = self;
        format!("{} -batch -i {} -hostkey {host_key}", program.display(), key.display())
    }
}

impl Serve for Sshd {
    fn url(&self, name: &str) -> String {
        format!("ssh://127.0.0.1:{}{}", self.process.port, self.served.join(name).display())
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![("GIT_SSH_COMMAND".to_owned(), self.command())]
    }
}

/// `sshd_config(5)`: one key, no passwords, `GIT_PROTOCOL` let through, and the hermetic environment. Of several
/// `SetEnv` lines only the first counts. The key exchange is the cheapest there is, since each command needs one.
fn configuration(sandbox: &Sandbox, git: &Git, directory: &Path, port: u16) -> String {
    let home = sandbox.path("home");
    let (directory, home, programs) = (directory.display(), home.display(), git.exec_path.display());
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\n\
         AuthorizedKeysFile {directory}/authorized_keys\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n\
         PermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\nUseDNS no\nPrintMotd no\n\
         PrintLastLog no\nMaxStartups 100:30:200\nKexAlgorithms curve25519-sha256\n\
         SetEnv PATH={programs}:/usr/bin:/bin HOME={home} GIT_CONFIG_NOSYSTEM=1 LC_ALL=C \
         GIT_COMMITTER_DATE={}\n",
        super::COMMITTER_DATE
    )
}

/// Makes the server known to the client.
fn write_known_hosts(directory: &Path, port: u16) {
    let key = fs::read_to_string(directory.join("host.pub")).expect("the key was made");
    fs::write(directory.join("known_hosts"), format!("[127.0.0.1]:{port} {key}"))
        .expect("the sandbox can be written");
}
