//! `--verify`: is the index that of the pack, and what is in it.

use std::fmt::Write as _;
use std::path::Path;

use super::{Examined, Verify, examine, named};
use crate::cmd::{CommandError, ui};
use crate::pack::placement::Placement;

/// Looks for what is verified before anything is read: the `index`, and the pack beside it.
pub(super) fn check(index: Option<&Path>) -> Result<(), CommandError> {
    let index = index.ok_or_else(|| CommandError::fatal("--verify with no packfile name given"))?;
    let what = match (index.with_extension("pack").exists(), index.exists()) {
        (true, true) => return Ok(()),
        (true, false) => "pack idx file for",
        (false, _) => "pack file",
    };
    Err(CommandError::fatal(format!("Cannot open existing {what} '{}'", index.display())))
}

/// Shows what was asked for of what `pack` holds, and compares the indices beside it with that.
pub(super) fn run(
    examined: &Examined<'_>,
    verify: Verify,
    placement: &Placement,
    pack: &Path,
) -> Result<(), CommandError> {
    match verify {
        Verify::Silent => {}
        Verify::Objects | Verify::Chains => show(&examined.objects(), verify)?,
    }
    examined.check_unique()?;
    let index = match &placement.idx {
        Some(index) => index.clone(),
        None => named(pack, ".pack", "packfile")?.with_extension("idx"),
    };
    let invalid =
        |path: &Path| CommandError::fatal(format!("sha1 file '{}' validation error", path.display()));
    let lost =
        |_| CommandError::fatal(format!("Cannot open existing pack idx file for '{}'", index.display()));
    if !examined.has_index(&index).map_err(lost)? {
        return Err(invalid(&index));
    }
    let reverse = index.with_extension("rev");
    if placement.has_rev && reverse.exists() && !examined.has_reverse_index(&reverse).unwrap_or(false) {
        return Err(invalid(&reverse));
    }
    Ok(())
}

fn show(objects: &[examine::Object], verify: Verify) -> Result<(), CommandError> {
    let mut text = String::new();
    let mut chains: Vec<u64> = Vec::new();
    let mut whole = 0_u64;
    for object in objects {
        let examine::Object { id, kind, size, offset, len, delta } = object;
        let kind = kind.to_string();
        if verify == Verify::Objects {
            // A String takes whatever is written to it.
            let _always = write!(text, "{id} {kind:<6} {size} {len} {offset}");
        }
        if let Some((depth, base)) = delta {
            let at = *depth as usize;
            if chains.len() < at {
                chains.resize(at, 0);
            }
            if let Some(count) = at.checked_sub(1).and_then(|at| chains.get_mut(at)) {
                *count += 1;
            }
            if verify == Verify::Objects {
                let _always = write!(text, " {depth} {base}");
            }
        } else {
            whole += 1;
        }
        if verify == Verify::Objects {
            text.push('\n');
        }
    }
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    if whole > 0 {
        let _always = writeln!(text, "non delta: {whole} object{}", plural(whole));
    }
    for (length, count) in (1..).zip(chains).filter(|(_, count)| *count > 0) {
        let _always = writeln!(text, "chain length = {length}: {count} object{}", plural(count));
    }
    Ok(ui::out_raw(text.as_bytes())?)
}
