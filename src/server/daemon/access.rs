//! A program that is asked whether a client gets what it wants: git-daemon(1), `--access-hook`.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use bstr::{BStr, ByteSlice};

use super::{Denial, Hello, place};
use crate::repo::Repository;

/// Bytes of what the program says that are looked at.
const TEXT_LEN_MAX: u64 = 4_096;
/// What a client is told where the program says nothing.
const REJECTED: &str = "service rejected";

/// Asks `hook` whether `service` may be had of `repo`.
pub(super) fn ask(hook: &Path, service: &BStr, hello: &Hello, repo: &Repository) -> Result<(), Denial> {
    let host = hello.host.clone().unwrap_or_default();
    let address = place::address_of(hello).unwrap_or_default();
    let canonical = if address.is_empty() { b"" } else { host.as_slice() };
    let port = hello.port.clone().unwrap_or_default();
    let mut command = Command::new(hook);
    command.arg(OsStr::from_bytes(service)).arg(&repo.git_dir);
    command.args([host.as_slice(), canonical, address.as_bytes(), &port].map(OsStr::from_bytes));
    command.current_dir(&repo.git_dir).env_clear().envs(repo.env.vars()).env("GIT_DIR", ".");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let failed = |what: &str| {
        Denial::new(REJECTED, &format!("daemon access hook '{}' failed to {what}", hook.display()))
    };
    let mut child = command.spawn().map_err(|_| failed("start"))?;
    let mut text = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(TEXT_LEN_MAX);
        // what cannot be read was not said
        let _whole_or_not = stdout.read_to_end(&mut text);
        // who says more is not to wait for somebody who hears it
        let _rest = std::io::copy(&mut stdout.into_inner(), &mut std::io::sink());
    }
    let status = child.wait().map_err(|_| failed("end"))?;
    if status.success() {
        return Ok(());
    }
    let line = text.lines().next().unwrap_or_default().to_str_lossy().into_owned();
    let told = if line.is_empty() { REJECTED.to_owned() } else { line };
    let reason = format!("daemon access hook '{}' declined: {told}", hook.display());
    Err(Denial::new(told, &reason))
}
