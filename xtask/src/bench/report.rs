//! What was measured, as it is printed, and as benches/README.md keeps it.

use std::fs;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::root;

/// The lines around the tables in benches/README.md.
const BEGIN: &str = "<!-- what `cargo xtask bench` printed -->\n";
const END: &str = "<!-- end -->\n";

static LINES: Mutex<String> = Mutex::new(String::new());

/// Prints `line` and keeps it for the file.
pub(super) fn say(line: &str) {
    println!("{line}");
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push_str(line);
    lines.push('\n');
}

/// Puts all that was said into benches/README.md in place of what stood there.
pub(super) fn keep() -> Result<()> {
    let path = root().join("benches/README.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("benches/README.md has no place for the tables")?;
    let (_, after) = rest.split_once(END).context("benches/README.md has no end of the tables")?;
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(&path, format!("{before}{BEGIN}\n{}\n{END}{after}", lines.trim()))?;
    Ok(())
}
