//! Refs that a server hides (`transfer.hideRefs`, `uploadpack.hideRefs`): what a listing, a clone and a fetch see of them.

use crate::support::{Sandbox, Twin};

/// Values of `transfer.hideRefs` and `uploadpack.hideRefs`, in the order of the configuration.
const ROWS: [&[(&str, &str)]; 11] = [
    &[("transfer", "refs/hidden")],
    &[("uploadpack", "refs/hidden")],
    &[("transfer", "refs"), ("transfer", "!refs/heads")],
    &[("transfer", "refs/hidden"), ("uploadpack", "!refs/hidden/x")],
    &[("uploadpack", "^refs/hidden")],
    &[("uploadpack", "!^refs/hidden"), ("uploadpack", "^refs/tags")],
    &[("uploadpack", "refs/hidden/x"), ("uploadpack", "!refs/hidden")],
    &[("uploadpack", "refs/heads/main")],
    &[("uploadpack", "refs/hidden/")],
    &[("uploadpack", "refs")],
    &[("receive", "refs/hidden")],
];

fn served(sandbox: &Sandbox, row: &[(&str, &str)]) -> String {
    let project = sandbox.path("served/project.git");
    for (name, tip) in [("refs/hidden/x", "main"), ("refs/hidden/y", "main~1"), ("refs/pull/1", "main~2")] {
        sandbox.git(&project, &["update-ref", name, tip]).success();
    }
    for (section, value) in row {
        sandbox.git(&project, &["config", "--add", &format!("{section}.hideRefs"), value]).success();
    }
    format!("file://{}", project.display())
}

#[track_caller]
fn row(row: &[(&str, &str)], version: u8) {
    let sandbox = crate::sandbox();
    let url = served(&sandbox, row);
    let id = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "refs/pull/1"]).success().line();
    let twin = Twin::new(&sandbox, version, Vec::new());
    twin.done("", &["ls-remote", &url]);
    twin.done("", &["ls-remote", "--symref", &url, "refs/hidden/*", "HEAD"]);
    twin.done("", &["clone", "--mirror", &url, "mirror.git"]);
    twin.same("mirror.git");
    twin.done("", &["clone", &url, "copy"]);
    twin.same("copy");
    twin.run("copy", &["fetch", "origin", "+refs/*:refs/all/*"]);
    twin.run("copy", &["fetch", "origin", &id]);
    if version == 2 {
        // before that the far side says that the client hung up, whenever it does
        twin.run("copy", &["fetch", "origin", "refs/hidden/x:refs/seen/x"]);
    }
    twin.same("copy");
    let seen = sandbox.git(&twin.ours.join("mirror.git"), &["for-each-ref", "refs/hidden"]).success().stdout;
    let is_hidden =
        sandbox.git(&sandbox.path("served/project.git"), &["config", "receive.hideRefs"]).status != 0;
    assert!(is_hidden || seen.to_string().lines().count() == 2, "{seen}");
}

#[test]
fn hidden_refs_are_not_seen() {
    for hidden in ROWS {
        row(hidden, 2);
    }
}

#[test]
fn hidden_refs_are_not_seen_in_version_0() {
    for hidden in ROWS {
        row(hidden, 0);
    }
}
