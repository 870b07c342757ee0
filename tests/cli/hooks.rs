//! How hooks are run by a clone, a fetch, a pull and a push: by which name, where, where their words go, and what comes of those
//! that are no programs or do not end by themselves.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Sandbox, Stream, Twin, script};

const HOOKS: [&str; 5] =
    ["pre-push", "post-checkout", "reference-transaction", "post-index-change", "post-merge"];

/// Says who it is, on both outputs.
const SAYS: &str = "#!/bin/sh\necho \"$0 $PWD $GIT_DIR ${GIT_PREFIX-none}\"\necho \"told $*\" >&2\n";

/// Makes a file with `text` and `mode` of each of `names` in `hooks`.
fn install(hooks: &Path, names: &[&str], text: &str, mode: u32) {
    fs::create_dir_all(hooks).unwrap();
    for name in names {
        fs::write(hooks.join(name), text).unwrap();
        fs::set_permissions(hooks.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

/// Clones of a project that has moved on since.
fn outdated(sandbox: &Sandbox) -> Twin<'_> {
    let project = sandbox.path("served/project.git");
    let twin = crate::clones(sandbox);
    Stream::onto("main").history(12..15).import(sandbox, &project);
    twin
}

#[test]
fn hooks_are_called_as_git_calls_them() {
    for words in [
        "fetch -q origin main",
        "pull -q origin main",
        "push --dry-run origin main~1:refs/heads/new",
        "-C dir1 fetch -q origin main",
        "-C dir1 pull -q origin main",
        "-C dir1 push -q --dry-run origin main~1:refs/heads/new",
    ] {
        for place in ["", "hooks", "<client>/copy/hooks"] {
            let sandbox = crate::sandbox();
            let twin = outdated(&sandbox);
            twin.prepare(|client| {
                let copy = client.join("copy");
                let path = place.replace("<client>", &client.display().to_string());
                let hooks = if place.is_empty() { copy.join(".git/hooks") } else { copy.join("hooks") };
                install(&hooks, &HOOKS, SAYS, 0o755);
                if !place.is_empty() {
                    sandbox.git(&copy, &["config", "core.hooksPath", &path]).success();
                }
            });
            script::act(&sandbox, &twin, &format!("= {words}"));
        }
    }
}

#[test]
fn hooks_of_a_bare_repository_and_of_a_linked_work_tree() {
    let sandbox = crate::sandbox();
    let twin = outdated(&sandbox);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(client, &["clone", "-q", "--mirror", "copy", "bare.git"]).success();
        sandbox.git(&copy, &["worktree", "add", "-q", "-b", "linked", "../linked"]).success();
        install(&copy.join(".git/hooks"), &HOOKS, SAYS, 0o755);
        install(&client.join("bare.git/hooks"), &HOOKS, SAYS, 0o755);
    });
    twin.run("linked", &["fetch", "-q", "origin", "main"]);
    let project = sandbox.path("served/project.git").display().to_string();
    twin.run("bare.git", &["fetch", "-q", &project, "main:other"]);
}

#[test]
fn hooks_of_a_clone_are_named_from_the_root() {
    let sandbox = crate::sandbox();
    let source = format!("file://{}", sandbox.path("served/project.git").display());
    // where git calls the hook before there is a work tree is another place
    let says = "#!/bin/sh\necho \"$0 $GIT_DIR\"\n";
    for options in [&[][..], &["--bare"]] {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        twin.prepare(|client| install(&client.join("template/hooks"), &HOOKS, says, 0o755));
        twin.done("", &[&["clone", "-q", "--template=template"], options, &[&source, "copy"]].concat());
    }
}

#[test]
fn files_that_are_not_executable_are_told_of_once() {
    for words in
        ["fetch -q origin main", "pull -q origin main", "push --dry-run", "-c advice.ignoredHook=false fetch"]
    {
        let sandbox = crate::sandbox();
        let twin = outdated(&sandbox);
        twin.prepare(|client| install(&client.join("copy/.git/hooks"), &HOOKS, SAYS, 0o644));
        script::act(&sandbox, &twin, &format!("= {words}"));
    }
    let sandbox = crate::sandbox();
    let source = format!("file://{}", sandbox.path("served/project.git").display());
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.prepare(|client| install(&client.join("template/hooks"), &HOOKS, SAYS, 0o644));
    let run = twin.done("", &["clone", "-q", "--template=template", &source, "copy"]);
    assert!(run.complains_of("copy/.git/hooks/post-checkout' hook was ignored"), "{run:?}");
}

/// What a hook is that fails by itself, and what comes of it; `$$` is itself.
const FAILURES: [&str; 5] = [
    "#!/bin/sh\nkill -9 $$\n",
    "#!/bin/sh\nkill -INT $$\n",
    "#!/bin/sh\nkill -PIPE $$\n",
    "#!/no/such/program\n",
    "#!/bin/sh\nexit 3\n",
];

#[test]
fn hooks_that_die_or_cannot_be_started_have_failed() {
    for name in ["reference-transaction", "post-index-change", "post-merge"] {
        for text in FAILURES {
            let sandbox = crate::sandbox();
            let twin = outdated(&sandbox);
            twin.prepare(|client| install(&client.join("copy/.git/hooks"), &[name], text, 0o755));
            script::act(&sandbox, &twin, "= pull");
        }
    }
    let sandbox = crate::sandbox();
    let source = format!("file://{}", sandbox.path("served/project.git").display());
    for text in FAILURES {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        twin.prepare(|client| install(&client.join("template/hooks"), &["post-checkout"], text, 0o755));
        let run = twin.run("", &["clone", "-q", "--template=template", &source, "copy"]);
        assert_ne!(run.status, 0, "{run:?}");
    }
}

/// C git waits for ever where `pre-push` cannot be started and the server is a program of its own.
#[test]
fn a_pre_push_hook_that_cannot_be_started_declines() {
    let sandbox = crate::sandbox();
    let twin = outdated(&sandbox);
    twin.prepare(|client| install(&client.join("copy/.git/hooks"), &["pre-push"], FAILURES[3], 0o755));
    let run = twin.gitr("copy", &["push", "origin", "main~1:refs/heads/new"]);
    assert_eq!(run.status, 1);
    assert!(
        run.complains_of("fatal: cannot exec '.git/hooks/pre-push': No such file or directory\n"),
        "{run:?}"
    );
    assert!(run.complains_of("error: failed to push some refs to '"), "{run:?}");
}

/// What the command line said of the configuration holds for the git that a hook calls; how we find our own program is no affair
/// of hooks.
#[test]
fn hooks_hear_what_the_command_line_said_of_the_configuration() {
    const NAMES: [&str; 6] = [
        "pre-push",
        "post-checkout",
        "reference-transaction",
        "post-merge",
        "pre-receive",
        "push-to-checkout",
    ];
    const HEARS: &str = "#!/bin/sh\nenv | grep -e ^GITR_ -e ^GIT_CONFIG_PARAMETERS= >&2\n\
                         echo \"${0##*/} $(git config --get-all some.key | tr '\\n' ' ')\" >&2\n";
    let sandbox = crate::sandbox();
    let twin = outdated(&sandbox);
    let told = ["-c", "some.key=it's", "-c", "some.key=two words", "-c", "some.flag"];
    let project = sandbox.path("served/project.git");
    twin.prepare(|client| {
        let copy = client.join("copy");
        install(&copy.join(".git/hooks"), &NAMES, HEARS, 0o755);
        sandbox.git(client, &["clone", "-q", &project.display().to_string(), "far"]).success();
        sandbox.git(&client.join("far"), &["config", "receive.denyCurrentBranch", "updateInstead"]).success();
        install(&client.join("far/.git/hooks"), &NAMES, HEARS, 0o755);
        install(&client.join("template/hooks"), &NAMES, HEARS, 0o755);
    });
    for words in [
        &["fetch", "-q"][..],
        &["pull", "-q"],
        &["push", "-q", "../far", "HEAD:main", "HEAD:refs/heads/new"],
        &["push", "-q", "../far", ":refs/heads/new"],
        &["clone", "-q", "--template=../template", "../far", "new"],
        &["clone", "-q", "--template=../template", "-c", "some.key=three", "../far", "third"],
    ] {
        twin.done("copy", &[&told, words].concat());
    }
}
