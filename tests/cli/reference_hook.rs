//! What the `reference-transaction` hook and others hear of a fetch, a pull and a clone, call by call, and what becomes of a
//! fetch that it refuses.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Sandbox, Stream, Twin, script};

/// Tells each call and what it reads.
const TELLS: &str = "#!/bin/sh\n{ echo \"call $*\"; cat; } >>\"$(git rev-parse --absolute-git-dir)/told\"\n";

/// Clones with the hook `text`, made before the project changed in every way.
fn outdated<'a>(sandbox: &'a Sandbox, text: &str) -> Twin<'a> {
    let project = sandbox.path("served/project.git");
    let git = |words: &[&str]| drop(sandbox.git(&project, words).success());
    git(&["update-ref", "refs/heads/gone", "main"]);
    git(&["update-ref", "refs/heads/back", "main"]);
    let twin = crate::clones(sandbox);
    twin.prepare(|client| install(&client.join("copy/.git/hooks"), text));
    Stream::onto("main").history(12..15).import(sandbox, &project);
    git(&["update-ref", "refs/heads/new", "main"]);
    git(&["update-ref", "refs/tags/followed", "main"]);
    git(&["update-ref", "refs/heads/back", "main~5"]);
    git(&["update-ref", "-d", "refs/heads/gone"]);
    git(&["update-ref", "refs/tags/v0.1", "main~1"]);
    twin
}

/// Makes `text` the hook in `hooks`.
pub(crate) fn install(hooks: &Path, text: &str) {
    fs::create_dir_all(hooks).unwrap();
    let hook = hooks.join("reference-transaction");
    fs::write(&hook, text).unwrap();
    fs::set_permissions(hook, Permissions::from_mode(0o755)).unwrap();
}

/// Gives `words` to both, in fresh clones; checks that both hooks heard the same, and something. What was told is given back.
#[track_caller]
fn told_of(words: &str, text: &str) -> String {
    let sandbox = crate::sandbox();
    let twin = outdated(&sandbox, text);
    script::act(&sandbox, &twin, &format!("= {words}"));
    let told = |client: &Path| fs::read_to_string(client.join("copy/.git/told")).unwrap_or_default();
    let (ours, theirs) = (told(&twin.ours), told(&twin.theirs));
    assert_eq!(ours, theirs, "{words}");
    assert!(ours.starts_with("call prepared\n"), "{words}: {ours}");
    twin.prepare(|client| fs::remove_file(client.join("copy/.git/told")).unwrap());
    twin.prepare(|client| fs::remove_file(client.join("copy/.git/hooks/reference-transaction")).unwrap());
    let refs = ["for-each-ref"];
    let refs = [&twin.ours, &twin.theirs].map(|client| sandbox.git(&client.join("copy"), &refs).stdout);
    assert_eq!(refs[0], refs[1], "{words}");
    let noted = |client: &Path| fs::read_to_string(client.join("copy/.git/FETCH_HEAD")).ok();
    assert_eq!(noted(&twin.ours), noted(&twin.theirs), "{words}");
    ours
}

/// A hook that writes down its name, what it is told and where branches are then. githooks(5).
const ALL_TELL: &str = "#!/bin/sh\nd=$(git rev-parse --absolute-git-dir)\n{\n\techo \"$(basename \"$0\") $*\"\n\t\
    test \"$(basename \"$0\")\" = reference-transaction && cat\n\tfor f in AUTO_MERGE ORIG_HEAD FETCH_HEAD; do\n\t\t\
    test -e \"$d/$f\" && echo \"$f $(head -n 1 \"$d/$f\")\"\n\tdone\n} >>\"$d/told\"\nexit 0\n";

const HOOKS: [&str; 5] =
    ["reference-transaction", "post-checkout", "post-index-change", "post-merge", "post-rewrite"];

fn install_all(hooks: &Path) {
    fs::create_dir_all(hooks).unwrap();
    for name in HOOKS {
        fs::write(hooks.join(name), ALL_TELL).unwrap();
        fs::set_permissions(hooks.join(name), Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn all_hooks_hear_of_a_clone_in_git_s_order() {
    for options in [
        &["--branch", "main"][..],
        &["--branch", "topic", "-q"],
        &["--no-checkout"],
        &["--single-branch"],
        &["--depth", "2"],
        &["--filter=blob:none"],
    ] {
        let sandbox = crate::sandbox();
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let source = format!("file://{}", sandbox.path("served/project.git").display());
        twin.prepare(|client| install_all(&client.join("template/hooks")));
        twin.done("", &[&["clone", "--template=template"], options, &[&source, "copy"]].concat());
        let told = |client: &Path| fs::read_to_string(client.join("copy/.git/told")).unwrap_or_default();
        let ours = told(&twin.ours);
        assert_eq!(ours, told(&twin.theirs), "{options:?}");
        let is_filled = !options.contains(&"--no-checkout");
        assert_eq!(ours.contains("post-index-change 1 0"), is_filled, "{options:?}");
    }
}

#[test]
fn all_hooks_hear_of_a_pull_in_git_s_order() {
    for words in
        ["pull", "pull --ff-only", "pull origin topic", "pull -q", "-c pull.rebase=false pull --no-stat"]
    {
        let sandbox = crate::sandbox();
        let twin = outdated(&sandbox, ALL_TELL);
        twin.prepare(|client| install_all(&client.join("copy/.git/hooks")));
        script::act(&sandbox, &twin, &format!("= {words}"));
        let told = |client: &Path| fs::read_to_string(client.join("copy/.git/told")).unwrap_or_default();
        let ours = told(&twin.ours);
        assert_eq!(ours, told(&twin.theirs), "{words}");
        assert!(ours.contains("0000 AUTO_MERGE\n"), "{words}: {ours}");
    }
}

/// An atomic fetch of which one ref may not move gives up the others, as the hook hears.
#[test]
fn an_atomic_fetch_that_gives_up_tells_the_hook() {
    let sandbox = crate::sandbox();
    let twin = outdated(&sandbox, TELLS);
    let refspecs = "refs/heads/back:refs/remotes/origin/back main:refs/heads/x";
    script::act(&sandbox, &twin, &format!("= fetch --atomic origin {refspecs}"));
    let told = |client: &Path| fs::read_to_string(client.join("copy/.git/told")).unwrap_or_default();
    assert_eq!(told(&twin.ours), told(&twin.theirs));
    assert!(told(&twin.ours).starts_with("call aborted\n"), "{}", told(&twin.ours));
}

#[test]
fn each_ref_of_a_fetch_has_its_own_transaction() {
    let told = told_of("fetch", TELLS);
    // main, topic, back, new and the tag
    assert_eq!(told.matches("call committed").count(), 5, "{told}");
    told_of("fetch --prune", TELLS);
    told_of("fetch --no-tags -q", TELLS);
}

#[test]
fn tags_move_without_a_look_at_what_they_were() {
    told_of("fetch --tags --force", TELLS);
    told_of("fetch --tags", TELLS);
    told_of("fetch origin tag followed", TELLS);
}

#[test]
fn an_atomic_fetch_is_one_transaction() {
    let told = told_of("fetch --atomic", TELLS);
    assert_eq!(told.matches("call committed").count(), 1, "{told}");
    told_of("fetch --atomic --prune", TELLS);
}

#[test]
fn of_a_ref_that_may_not_move_the_hook_hears_nothing() {
    let told = told_of("fetch origin refs/heads/back:refs/remotes/origin/back main:refs/heads/x", TELLS);
    assert!(!told.contains("origin/back"), "{told}");
}

#[test]
fn a_hook_that_refuses_ends_the_fetch() {
    let refuses = format!("{TELLS}test \"$1\" != prepared\n");
    for words in
        ["fetch", "fetch --prune", "fetch --atomic", "fetch --atomic --prune", "pull", "remote prune origin"]
    {
        let told = told_of(words, &refuses);
        assert!(told.contains("call aborted"), "{words}: {told}");
    }
    let refuses = "#!/bin/sh\ntold=$(git rev-parse --absolute-git-dir)/told\necho \"call $1\" >>\"$told\"\n\
                   while read old new name; do\n    echo \"$old $new $name\" >>\"$told\"\n\
                   \x20   test \"$1 $name\" = \"prepared refs/remotes/origin/new\" && exit 1\ndone\nexit 0\n";
    told_of("fetch --atomic --prune", refuses);
    let told = told_of("fetch", refuses);
    assert!(told.contains("call committed") && told.contains("call aborted"), "{told}");
    assert!(!told.contains("refs/tags/followed"), "{told}");
}

#[test]
fn a_clone_without_a_work_tree_tells_the_hook_of_its_template() {
    for options in [&["--bare"][..], &["--mirror"], &["--branch", "v1.0"]] {
        let sandbox = crate::sandbox();
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let source = sandbox.path("served/project.git").display().to_string();
        twin.prepare(|client| install(&client.join("template/hooks"), TELLS));
        twin.done("", &[&["clone", "--template=template"], options, &[&source, "copy"]].concat());
        let told = |client: &Path| {
            let git_dir = if options[0] == "--branch" { "copy/.git/told" } else { "copy/told" };
            fs::read_to_string(client.join(git_dir)).unwrap_or_default()
        };
        assert_eq!(told(&twin.ours), told(&twin.theirs), "{options:?}");
        assert!(told(&twin.ours).starts_with("call prepared\n"), "{options:?}");
    }
}
