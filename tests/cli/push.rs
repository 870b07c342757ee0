//! What `push` and `send-pack` say before any far side is asked: usage, and what does not go together.

use super::support::Sandbox;
use super::{clones, misused, sandbox};

#[test]
fn usage_lists_the_options_of_git() {
    let sandbox = Sandbox::new();
    for command in ["push", "send-pack"] {
        let ours = sandbox.gitr(&sandbox.path(""), &[command, "-h"]);
        let theirs = sandbox.git(&sandbox.path(""), &[command, "-h"]);
        assert_eq!((&ours.stdout, &ours.stderr, ours.status), (&theirs.stdout, &theirs.stderr, 129));
    }
}

#[test]
fn unknown_options_are_misuse() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for command in ["push", "send-pack"] {
        for option in ["--nosuch", "-Z", "--receive-pack", "--thin=x"] {
            misused(&twin, &[command, option]);
        }
    }
    for arguments in [
        &["push", "-o"][..],
        &["push", "--repo"],
        &["push", "--recurse-submodules"],
        &["push", "--no-ipv4"],
        &["push", "--force-with-lease=main:nosuch", "origin", "main"],
        &["push", "--force-with-lease=:a:b", "origin", "main"],
        &["send-pack"],
        &["send-pack", "--all", "--mirror", "nowhere"],
        &["send-pack", "--all", "nowhere", "main"],
        &["send-pack", "--mirror", "nowhere", "main"],
    ] {
        misused(&twin, arguments);
    }
}

#[test]
fn options_that_exclude_each_other() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for arguments in [
        &["--delete", "--all", "origin", "main"][..],
        &["--delete", "--mirror"],
        &["--delete", "--tags"],
        &["--tags", "--branches"],
        &["--mirror", "--tags"],
        &["--mirror", "--branches"],
        &["--delete", "--tags", "--all", "origin", "main"],
        &["--delete", "--tags", "--all", "--mirror", "origin", "main"],
        &["--all", "origin", "main"],
        &["--branches", "origin", "main"],
        &["--mirror", "origin", "main"],
        &["--delete"],
        &["--delete", "origin"],
    ] {
        assert_eq!(twin.run("copy", &[&["push"], arguments].concat()).status, 128, "{arguments:?}");
    }
    twin.prepare(|client| {
        sandbox.git(&client.join("copy"), &["config", "remote.origin.mirror", "true"]).success();
    });
    assert_eq!(twin.run("copy", &["push", "origin", "main"]).status, 128);
}

#[test]
fn words_that_make_no_refspec() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for arguments in [
        &["origin", "tag"][..],
        &["--delete", "origin", ":main"],
        &["--delete", "origin", "main:other"],
        &["--delete", "origin", "tag"],
        &["-o", "a\nb", "origin", "main"],
        &["--signed=nosuch"],
        &[""],
        &["--repo="],
    ] {
        assert_eq!(twin.run("copy", &[&["push"], arguments].concat()).status, 128, "{arguments:?}");
    }
    assert_eq!(twin.run("copy", &["send-pack", "--signed=nosuch", "nowhere", "main"]).status, 128);
    let foreign = ["send-pack", "--remote=origin", "nowhere", "main"];
    assert_eq!(twin.run("copy", &foreign).status, 128);
}

#[test]
fn values_of_the_configuration_that_mean_nothing() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for value in [
        "push.gpgSign=nosuch",
        "push.followTags=nosuch",
        "push.useForceIfIncludes=nosuch",
        "push.autoSetupRemote=nosuch",
    ] {
        assert_eq!(twin.run("copy", &["-c", value, "push", "origin", "main"]).status, 128, "{value}");
    }
    for value in ["color.push.error=nosuch", "color.push.reset=nosuch", "color.advice.hint=nosuch"] {
        let colored = ["-c", "color.push=always", "-c", "color.advice=always", "-c", value, "push", "origin"];
        assert_eq!(twin.run("copy", &colored).status, 128, "{value}");
    }
}

#[test]
fn a_push_needs_a_destination() {
    let sandbox = Sandbox::new();
    let twin = super::Twin::new(&sandbox, 2, Vec::new());
    twin.prepare(|client| {
        sandbox.git(client, &["init", "-q", "copy"]).success();
    });
    assert_eq!(twin.run("copy", &["push"]).status, 128);
    assert_eq!(twin.run("copy", &["push", "--porcelain"]).status, 128);
    assert_eq!(twin.run("", &["push"]).status, 128);
}
