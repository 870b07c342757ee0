//! `GIT_TRACE_PACKET`: what users are asked for when something is wrong.

use std::fs;

use super::sandbox;
use super::support::Twin;

/// The packets of the command itself; who speaks is left to `agent=`, and the server prints its own.
fn own_lines(trace: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap();
    fs::remove_file(trace).unwrap();
    let is_own = |line: &&str| line.contains("ls-remote") && !line.contains("agent=");
    text.lines().filter(is_own).map(ToOwned::to_owned).collect()
}

#[test]
fn packets_are_traced_in_the_form_of_git() {
    let mut sandbox = sandbox();
    let trace = sandbox.path("trace");
    sandbox.set("GIT_TRACE_PACKET", &trace);
    sandbox.set("GIT_TRACE_BARE", "1");
    for version in 1..=2 {
        let twin = Twin::new(&sandbox, version, Vec::new());
        let list = ["ls-remote", "../served/project.git", "main"];
        twin.gitr("", &list).success();
        let ours = own_lines(&trace);
        twin.git("", &list).success();
        assert_eq!(ours, own_lines(&trace));
        assert!(ours.contains(&format!("packet:    ls-remote< version {version}")), "{ours:#?}");
    }
}

#[test]
fn time_and_place_stand_in_front() {
    let mut sandbox = sandbox();
    sandbox.set("GIT_TRACE_PACKET", "1");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let run = twin.gitr("", &["ls-remote", "../served/project.git"]).success();
    let text = run.stderr.to_string();
    let line = text.lines().find(|line| line.ends_with("ls-remote< version 2")).unwrap();
    assert_eq!(line.find("packet:"), Some(40), "{line}");
}

#[test]
fn a_trace_that_goes_nowhere_is_warned_of() {
    let mut sandbox = sandbox();
    sandbox.set("GIT_TRACE_PACKET", "nowhere");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let run = twin.gitr("", &["ls-remote", "../served/project.git"]).success();
    assert!(
        run.stderr.starts_with(b"warning: unknown trace value for 'GIT_TRACE_PACKET': nowhere\n"),
        "{run:?}"
    );
}

#[test]
fn what_is_asked_for_by_id_is_not_listed() {
    let mut sandbox = sandbox();
    let ours = super::clones(&sandbox).ours;
    let trace = sandbox.path("trace");
    sandbox.set("GIT_TRACE_PACKET", &trace);
    let served = sandbox.path("served/project.git");
    let id = sandbox.git(&served, &["rev-parse", "main~1"]).success().line();
    sandbox.gitr(&ours.join("copy"), &["fetch", "--no-tags", "origin", &id]).success();
    let text = fs::read_to_string(&trace).unwrap();
    assert!(text.contains("fetch< version 2"), "{text}");
    assert!(!text.contains("fetch> command=ls-refs"), "{text}");
}
