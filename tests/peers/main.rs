//! gitr's servers in front of other people's clients, and on repositories of every shape: what comes of it is what comes
//! of C git's servers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod clients;
mod corpus;
mod kills;
mod large;
mod traces;

use std::os::unix::fs::PermissionsExt;

use support::{Git, Sandbox, sandbox};

/// gitr in C git's place: its programs by the names that sshd's sessions ask for.
fn gitr_as_git(sandbox: &Sandbox) -> Git {
    let program = sandbox::gitr_program();
    let exec_path = sandbox.path("programs");
    std::fs::create_dir_all(&exec_path).unwrap();
    for name in ["upload-pack", "receive-pack"] {
        let file = exec_path.join(format!("git-{name}"));
        std::fs::write(&file, format!("#!/bin/sh\nexec '{}' {name} \"$@\"\n", program.display())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    Git { program: program.into(), exec_path, version: "gitr".to_owned() }
}
