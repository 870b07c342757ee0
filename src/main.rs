//! The `gitr` command.

fn main() {}
