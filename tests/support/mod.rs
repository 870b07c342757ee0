//! What every test crate stands on: a hermetic sandbox, repositories built from fast-import streams, real servers on
//! loopback ports, and C git as the reference that gitr is compared with.
//!
//! Each test crate takes this module in with `#[path = "../support/mod.rs"] mod support;`.
#![allow(dead_code, unused_imports, reason = "each test crate uses its own part")]

pub mod build;
pub mod folding;
pub mod gateway;
pub mod git;
pub mod odd;
pub mod page;
pub mod proxy;
pub mod push;
pub mod run;
pub mod sandbox;
pub mod script;
pub mod servers;
pub mod state;
pub mod twin;

pub use build::{Format, Stream};
pub use git::Git;
pub use push::Pushers;
pub use run::Run;
pub use sandbox::Sandbox;
pub use servers::{Kind, Serve};
pub use twin::{Case, Twin, over};

use std::path::{Path, PathBuf};

/// The value of an environment variable of the test run itself.
#[expect(clippy::disallowed_methods, reason = "the tests have no repo::Environment; this is their one door")]
pub fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Whether this run has to have everything it needs: `CI=true`.
pub fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true")
}

/// Says that a part of a test cannot run on this machine, for a reason that no installation would change: on stderr
/// and in the file that `GITR_TEST_SKIPS` names, which `cargo xtask test` shows at the end.
pub fn skipped(reason: &str) {
    let line = format!("skipped: {}: {reason}\n", std::thread::current().name().unwrap_or("?"));
    eprint!("{line}");
    if let Some(file) = variable("GITR_TEST_SKIPS") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()));
        written.expect("GITR_TEST_SKIPS names a file that can be written");
    }
}

/// Says that a program is missing: a printed skip on a developer's machine, a failure in CI.
///
/// # Panics
/// Under `CI=true`.
pub fn missing(program: &str) {
    let reason = format!("{program} is not installed; `cargo xtask test` installs it as root");
    assert!(!is_ci(), "{reason}");
    skipped(&reason);
}

/// Finds `program` in `PATH` and where Debian keeps its servers.
pub fn find_program(program: &str) -> Option<PathBuf> {
    program_directories()
        .into_iter()
        .map(|directory| directory.join(program))
        .find(|file| is_executable(file))
}

/// The directories of `PATH`, then those where an unprivileged user's `PATH` does not look.
pub fn program_directories() -> Vec<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).collect()
}

/// Whether `file` may be run.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
