//! The programs that the tests start: installed where that can be done without asking, named where it cannot.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::step::{Steps, variable};

/// A program and Debian's package that has it.
const PROGRAMS: [(&str, &str); 22] = [
    ("git", "git"),
    ("git-lfs", "git-lfs"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("plink", "putty-tools"),
    ("puttygen", "putty-tools"),
    ("apache2", "apache2"),
    ("lighttpd", "lighttpd"),
    ("nginx", "nginx-light"),
    ("fcgiwrap", "fcgiwrap"),
    ("gpg", "gpg"),
    ("gpg-agent", "gpg-agent"),
    ("jgit", "jgit-cli"),
    ("dulwich", "python3-dulwich"),
    ("htpasswd", "apache2-utils"),
    ("squid", "squid"),
    ("tinyproxy", "tinyproxy"),
    ("microsocks", "microsocks"),
    ("slowhttptest", "slowhttptest"),
    ("strace", "strace"),
    ("chromium", "chromium"),
    ("lowntfs-3g", "ntfs-3g"),
];

/// Another installation may hold the lock; so many seconds are waited for it.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=900";

/// Installs what is missing, as root where there is apt-get; says what is missing elsewhere.
pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| !is_installed(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !is_installed("apt-get") {
        for (program, package) in missing {
            println!("missing: {program} (Debian: {package}); the tests that need it are skipped");
        }
        return Ok(());
    }
    steps.run("apt-get update", &mut apt("update"))?;
    let mut command = apt("install");
    command.args(["-y", "--no-install-recommends"]);
    steps.run("apt-get install", command.args(missing.into_iter().map(|(_, package)| package)))
}

/// `apt-get <task>` that asks nothing.
fn apt(task: &str) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", LOCK_TIMEOUT, task])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command
}

/// Whether `program` is in `PATH` or where Debian keeps servers.
fn is_installed(program: &str) -> bool {
    let path = variable("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(servers).any(|directory| directory.join(program).is_file())
}

/// Whether this process may install.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
