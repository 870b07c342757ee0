//! The `gitr` command.

use std::process::ExitCode;
use std::thread::Builder;

/// As much stack as most systems give: where the user allows a process less (`ulimit -s`), git still runs.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn main() -> ExitCode {
    let run = || gitr::cmd::run(std::env::args_os());
    if has_stack() {
        return ExitCode::from(run());
    }
    let code = match Builder::new().name("main".into()).stack_size(STACK_BYTES).spawn(run) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Err(_) => run(),
    };
    ExitCode::from(code)
}

/// Whether this thread has as much already.
#[cfg(unix)]
fn has_stack() -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack);
    limit.current.is_none_or(|bytes| bytes >= STACK_BYTES as u64)
}

#[cfg(not(unix))]
fn has_stack() -> bool {
    false
}
