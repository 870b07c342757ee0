//! Everything that has to hold before a change goes in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::install;
use crate::step::{Steps, cargo, has_cargo, root};

/// Runs every check, cheapest first, and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    let outcome = check(&mut steps);
    steps.summary();
    outcome
}

/// The checks in their order.
fn check(steps: &mut Steps) -> Result<()> {
    install::run(steps)?;
    steps.run("cargo fmt", &mut cargo("fmt --all --check"))?;
    let lints = "clippy --workspace --all-targets --all-features --locked -- -D warnings";
    steps.run("cargo clippy", &mut cargo(lints))?;
    tests(steps)?;
    let documentation = "doc --workspace --no-deps --locked";
    steps.run("cargo doc", cargo(documentation).env("RUSTDOCFLAGS", "-D warnings"))?;
    if has_cargo("deny") {
        steps.run("cargo deny", &mut cargo("deny check"))?;
    } else {
        println!(
            "\nskipped: cargo deny is not installed: licences, advisories and duplicates are not checked"
        );
    }
    Ok(())
}

/// The tests, with nextest where it is installed, and what they skipped.
fn tests(steps: &mut Steps) -> Result<()> {
    let target = root().join("target");
    fs::create_dir_all(&target).with_context(|| format!("cannot create '{}'", target.display()))?;
    let skips = target.join("skipped-tests");
    fs::write(&skips, "").with_context(|| format!("cannot write '{}'", skips.display()))?;
    let outcome = if has_cargo("nextest") {
        let arguments = "nextest run --workspace --all-features --locked --no-fail-fast --status-level fail --final-status-level slow";
        let units = steps.run("cargo nextest", cargo(arguments).env("GITR_TEST_SKIPS", &skips));
        units.and_then(|()| {
            steps.run("cargo test --doc", &mut cargo("test --workspace --all-features --locked --doc"))
        })
    } else {
        steps.run(
            "cargo test",
            cargo("test --workspace --all-features --locked --no-fail-fast").env("GITR_TEST_SKIPS", &skips),
        )
    };
    tell_skips(&skips)?;
    outcome
}

/// Prints what the tests left out, and why: a test runner shows nothing of a test that passes.
fn tell_skips(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))?;
    for line in text.lines() {
        println!("{line}");
    }
    println!("{} skips", text.lines().count());
    Ok(())
}
