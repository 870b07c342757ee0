//! The `gitr` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(gitr::cmd::run(std::env::args_os()))
}
