//! `remote` and its verbs, each scenario beside C git: output, exit code, configuration, refs and reflogs.

use super::support::{Twin, script};
use super::{clones, sandbox};

/// Plays `text` in two clones of a project, whose remote `second` has all branches, a `HEAD` and another symbolic ref.
#[track_caller]
fn play(text: &str) {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let source = sandbox.path("served/project.git").display().to_string();
    let symref = "refs/remotes/second/topic";
    twin.prepare(|client| {
        let copy = client.join("copy");
        for words in [
            &["remote", "add", "second", &source][..],
            &["fetch", "-q", "second"],
            &["remote", "set-head", "second", "main"],
            &["symbolic-ref", "refs/remotes/second/link", symref],
            &["branch", "-q", "--track", "mine", "second/topic"],
        ] {
            sandbox.git(&copy, words).success();
        }
    });
    script::play(&sandbox, &twin, text);
}

#[test]
fn remotes_are_listed() {
    play(
        "= remote
         = remote -v
         = remote --verb
         = remote --no-verbose
         = remote show
         = remote -v show
         ! config remote.novalue.fetch +refs/heads/*:refs/x/*
         ! config remote.pushonly.pushurl elsewhere
         ! config remote.origin.promisor true
         ! config remote.origin.partialclonefilter blob:none
         ! config remote.second.partialclonefilter blob:none
         ! config --add remote.second.url other
         ! config url.ssh://host/.insteadOf short:
         ! config remote.short.url short:x
         ! config remote.pushDefault second
         = remote -v
         = -c remote.extra.url=x remote -v",
    );
}

#[test]
fn a_remote_is_added() {
    play(
        "= remote add third ../elsewhere
         = remote add origin x
         = remote add bad..name x
         = remote add '' x
         = remote add one
         = remote add one two three
         = remote add -t main -t topic -m main some x
         = remote add --tags all x
         = remote add --no-tags none x
         = remote add --mirror=fetch mirror x
         = remote add --mirror=fetch -t heads/main mirrored x
         = remote add --mirror=push pushed x
         = remote add --mirror both x
         = remote add --mirror=bad bad x
         = remote add --mirror -m main bad x
         = remote add --mirror=push -t main bad x
         = remote add --no-mirror plain x
         = remote add third/below x
         = remote set-head -d some",
    );
}

#[test]
fn a_remote_is_added_and_fetched() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let source = sandbox.path("served/project.git").display().to_string();
    let text = format!(
        "= remote add -f -m main new {source}
         = remote add -f -t topic --no-tags one {source}
         = remote add -f -t nosuch -m main none {source}
         = remote add -f gone ./nosuch"
    );
    script::play(&sandbox, &twin, &text);
}

#[test]
fn a_remote_is_renamed_with_all_that_names_it() {
    play(
        "! config branch.mine.pushRemote second
         ! config remote.pushDefault second
         ! config --add remote.second.fetch +refs/notes/*:refs/notes/second/*
         = remote rename second third
         = remote rename third deep/er
         = remote rename nosuch x
         = remote rename origin deep/er
         = remote rename origin origin
         = remote rename origin bad..name
         = remote rename origin
         = remote rename a b c
         = remote rename --progress origin upstream
         ! pack-refs --all
         = remote rename upstream origin",
    );
}

/// Where one ref cannot be renamed none is, and nothing is left behind.
#[test]
fn a_locked_ref_keeps_all_from_being_renamed() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let copy = twin.ours.join("copy");
    let source = sandbox.path("served/project.git").display().to_string();
    sandbox.git(&copy, &["remote", "add", "-f", "second", &source]).success();
    let refs = || sandbox.git(&copy, &["for-each-ref"]).success().stdout;
    let before = refs();
    let lock = copy.join(".git/refs/remotes/second/main.lock");
    std::fs::write(&lock, "").unwrap();
    let run = twin.gitr("copy", &["remote", "rename", "second", "third"]);
    assert_eq!(run.status, 128, "{run:?}");
    assert_eq!(refs(), before);
    std::fs::remove_file(&lock).unwrap();
    assert!(super::support::state::leftovers(&copy).is_empty());
    assert!(
        !copy.join(".git/refs/remotes/third").exists() && !copy.join(".git/logs/refs/remotes/third").exists()
    );
}

#[test]
fn what_a_name_has_from_before_is_replaced() {
    let left = "! update-ref --create-reflog refs/remotes/up/main HEAD~1
                ! update-ref --create-reflog refs/remotes/up/extra HEAD~1
                ! update-ref refs/remotes/up/topic HEAD~2";
    play(&format!("{left}\n= remote rename second up"));
    // C git stumbles over such a `HEAD` when all others have been renamed
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let text = "! symbolic-ref refs/remotes/up/HEAD refs/remotes/up/extra
                ! update-ref refs/remotes/up/extra HEAD~1";
    script::act(&sandbox, &twin, text);
    assert_eq!(twin.gitr("copy", &["remote", "rename", "origin", "up"]).status, 0);
    assert_eq!(twin.git("copy", &["remote", "rename", "origin", "up"]).status, 0);
    twin.same_state("copy");
}

/// C git has renamed half of it by then.
#[test]
fn where_refs_cannot_be_renamed_the_configuration_stays() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let copy = twin.ours.join("copy");
    let config = || std::fs::read_to_string(copy.join(".git/config")).unwrap();
    let refs = || sandbox.git(&copy, &["for-each-ref"]).success().stdout;
    sandbox.git(&copy, &["update-ref", "refs/remotes/up/main/x", "HEAD"]).success();
    let before = (config(), refs());
    let words = ["remote", "rename", "origin", "up"];
    let run = twin.gitr("copy", &words);
    assert_eq!(run.status, 128, "{run:?}");
    assert_eq!((config(), refs()), before);
    sandbox.git(&copy, &["update-ref", "-d", "refs/remotes/up/main/x"]).success();
    twin.gitr("copy", &words).success();
}

/// Refs go one by one where a new name lies below an old one.
#[test]
fn a_remote_is_renamed_into_the_way_of_its_own_refs() {
    play(
        "! update-ref -d refs/remotes/second/release/1.0
         ! symbolic-ref -d refs/remotes/second/link
         ! update-ref --no-deref -d refs/remotes/second/HEAD
         ! update-ref -d refs/remotes/second/topic
         = remote rename second second/main",
    );
}

#[test]
fn a_remote_is_renamed_without_its_refs() {
    play(
        "! config --unset-all remote.second.fetch
         = remote rename second third
         ! config --add remote.origin.fetch refs/heads/x:refs/y/x
         ! config branch.main.remote second
         ! config --add branch.main.remote origin
         = remote rename origin new
         = remote remove new",
    );
}

/// Renaming a remote to its own name takes it from a file of its own into the configuration.
#[test]
fn a_remote_in_a_file_of_its_own_is_migrated() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| {
        for directory in ["remotes", "branches"] {
            std::fs::create_dir_all(client.join("copy/.git").join(directory)).unwrap();
        }
        let text = "URL: ./one\nPush: refs/heads/main:refs/heads/up\nPull: refs/heads/main:refs/heads/o\n";
        std::fs::write(client.join("copy/.git/remotes/one"), text).unwrap();
    });
    let text = "> .git/branches/two ./two#topic
                > .git/branches/three ./three
                = remote rename one one
                = remote rename two two
                = remote rename three three
                = remote rename four four";
    script::play(&sandbox, &twin, text);
    let is_there = |name: &str| twin.ours.join("copy/.git").join(name).exists();
    assert!(!["remotes/one", "branches/two", "branches/three"].into_iter().any(is_there));
}

#[test]
fn a_remote_is_removed_with_all_that_names_it() {
    play(
        "! config branch.mine.pushRemote second
         ! config branch.mine.rebase true
         ! config remote.pushDefault second
         = remote remove second
         = remote rm second
         = remote rm
         = remote rm a b
         ! config --add branch.main.merge refs/heads/other
         = remote rm origin",
    );
}

#[test]
fn what_another_remote_fills_stays() {
    play(
        "! config remote.again.url x
         ! config remote.again.fetch +refs/heads/main:refs/remotes/second/main
         = remote rm second
         ! config remote.mirror.url x
         ! config remote.mirror.fetch +refs/*:refs/*
         = remote rm mirror",
    );
}

#[test]
fn what_is_configured_elsewhere_is_told() {
    let sandbox = sandbox();
    sandbox.git(&sandbox.path(""), &["config", "--global", "remote.pushDefault", "origin"]).success();
    sandbox.git(&sandbox.path(""), &["config", "--global", "remote.user.url", "x"]).success();
    let twin = clones(&sandbox);
    let text = "= remote -v
                = remote rename user mine
                = remote rm user
                = remote get-url user
                = remote add user y
                = remote -v
                = remote rename origin upstream
                ! remote rename upstream origin
                = remote rm origin";
    script::play(&sandbox, &twin, text);
}

#[test]
fn a_locked_file_is_told() {
    play(
        "> .git/config.lock
         = remote add new x
         = remote rm origin
         = remote rename origin new
         = remote set-url origin new
         = remote set-branches origin new
         < .git/config.lock",
    );
}

#[test]
fn urls_are_told_and_changed() {
    play(
        "! config url.http://base/.insteadOf gh:
         ! config url.ssh://push/.pushInsteadOf gh:
         = remote add ins gh:x
         = remote get-url ins
         = remote get-url --push ins
         = remote get-url --push --all ins
         = remote get-url
         = remote get-url a b
         = remote get-url nosuch
         = remote set-url --push ins gh:push1
         = remote set-url --push --add ins gh:push2
         = remote get-url --push ins
         = remote get-url --push --all ins
         = remote set-url ins gh:y
         = remote set-url ins gh:z gh:[ab]
         = remote set-url ins z ^http
         = remote set-url --add ins gh:w
         = remote set-url --add ins gh:v
         = remote set-url ins new
         = remote set-url ins new w$
         = remote get-url --all ins
         = remote set-url --delete ins gh:v
         = remote set-url --delete ins .*
         = remote set-url --delete ins (
         = remote set-url --delete --push ins (
         = remote set-url --delete --push ins .*
         = remote set-url --delete --push ins .*
         = remote set-url --add --delete ins x
         = remote set-url --add ins x y
         = remote set-url --delete ins x y
         = remote set-url ins
         = remote set-url nosuch x
         = remote set-url ins ''
         = remote -v
         = remote set-url --push second p
         = remote set-url --push second q p
         = remote set-url --push second q (",
    );
}

#[test]
fn branches_are_chosen() {
    play(
        "= remote set-branches
         = remote set-branches --add
         = remote set-branches nosuch x
         = remote set-branches origin a b
         = remote set-branches --add origin c
         ! config remote.origin.mirror true
         = remote set-branches origin heads/*
         = remote set-branches origin
         = remote set-branches origin x",
    );
}

#[test]
fn the_head_of_a_remote_is_set() {
    play(
        "= remote set-head
         = remote set-head origin
         = remote set-head -a
         = remote set-head -a origin main
         = remote set-head -a -d origin
         = remote set-head nosuch -a
         = remote set-head nosuch -d
         = remote set-head nosuch main
         = remote set-head origin nosuch
         = remote set-head origin topic
         = remote set-head -d origin
         = remote set-head -d origin
         = remote set-head origin -a
         = remote set-head --auto second
         @ symbolic-ref HEAD refs/heads/unborn
         = remote set-head origin -a
         @ branch new main
         @ symbolic-ref HEAD refs/heads/new
         = remote set-head origin -a
         @ update-ref --no-deref HEAD refs/heads/topic
         = remote set-head origin -a
         @ update-ref --no-deref HEAD refs/heads/main
         = remote set-head origin -a",
    );
}

#[test]
fn a_head_of_a_remote_that_cannot_be_set_is_explained() {
    const HEAD: &str = "refs/remotes/origin/HEAD";
    for (before, after) in [
        (format!("> .git/{HEAD}.lock"), format!("< .git/{HEAD}.lock")),
        (format!("> .git/{HEAD} garbage"), format!("< .git/{HEAD}")),
        (
            format!("! symbolic-ref -d {HEAD}\n! update-ref {HEAD}/x main"),
            format!("! update-ref -d {HEAD}/x"),
        ),
    ] {
        play(&format!(
            "{before}
             = remote set-head origin -a
             = remote set-head origin topic
             = remote set-head -d origin
             {after}"
        ));
    }
}

#[test]
fn a_remote_is_shown() {
    play(
        "= remote show origin
         = remote show -n origin
         = remote show origin second
         = remote show nosuch
         = remote show -n nosuch
         @ branch new main
         @ branch -D topic
         @ update-ref refs/heads/back main~1
         ! update-ref refs/heads/back main
         ! update-ref refs/heads/release/1.0 main~2
         = remote show origin
         ! config remote.origin.push refs/heads/*:refs/heads/*
         = remote show origin
         = remote show -n origin
         ! config --add remote.origin.push +main:other
         ! config --add remote.origin.push :back
         ! config --add remote.origin.push :gone
         ! config --add remote.origin.push :
         ! config --add remote.origin.push ^refs/heads/mine
         = remote show origin
         = remote show -n origin
         ! config remote.second.push nosuch:x
         = remote show second
         ! config remote.second.mirror true
         = remote show second
         = remote show -n second
         @ update-ref --no-deref HEAD refs/heads/main
         = remote show second
         @ symbolic-ref HEAD refs/heads/unborn
         = remote show second",
    );
}

#[test]
fn a_remote_is_shown_with_any_refspecs() {
    play(
        "! config --add remote.origin.fetch ^refs/heads/topic
         = remote show origin
         = remote show -n origin
         ! config --replace-all remote.origin.fetch refs/heads/main:refs/remotes/origin/main
         ! config --add remote.origin.fetch refs/heads/gone:refs/remotes/origin/gone
         ! config --add remote.origin.fetch refs/tags/v1.0:refs/x/v1
         = remote show origin
         = remote show -n origin
         ! config --unset-all remote.origin.fetch
         = remote show origin
         = remote show -n origin
         ! config remote.origin.fetch +refs/*:refs/*
         = remote show origin
         = remote show -n origin
         ! config remote.origin.pushurl one
         ! config --add remote.origin.pushurl two
         = remote show -n origin",
    );
}

#[test]
fn what_branches_pull_is_shown() {
    play(
        "! config branch.mine.rebase true
         = remote show -n second
         ! config branch.mine.rebase interactive
         = remote show -n second
         ! config branch.mine.rebase merges
         = remote show -n second
         ! config branch.longer.remote second
         ! config branch.longer.merge refs/heads/x
         = remote show -n second
         ! config --add branch.mine.merge refs/heads/y
         = remote show -n second
         ! config branch.mine.rebase false
         = remote show -n second
         ! config branch.mine.rebase nonsense
         = remote show -n second
         ! config --unset branch.mine.rebase
         ! config --add branch.longer.remote origin
         = remote show -n second",
    );
}

#[test]
fn stale_branches_are_pruned() {
    play(
        "= remote prune
         = remote prune nosuch
         = remote prune origin
         @ update-ref -d refs/heads/topic
         = remote prune -n second
         = remote prune second origin
         = remote prune second
         ! symbolic-ref -d refs/remotes/second/link",
    );
}

#[test]
fn several_remotes_are_updated() {
    play(
        "@ branch new main
         @ branch -D topic
         = remote update
         = remote -v update second
         = remote update -p second
         = remote update nosuch
         ! config remotes.group origin
         = remote update group
         ! config remotes.default second
         = remote update
         ! config --unset remotes.default
         ! config remote.second.skipDefaultUpdate true
         = remote update
         ! config remote.gone.url ./nosuch
         = remote update
         ! symbolic-ref -d refs/remotes/second/link",
    );
}

#[test]
fn usage_is_that_of_git() {
    let sandbox = sandbox();
    let twin: Twin<'_> = clones(&sandbox);
    for verb in ["add", "rename", "remove", "set-head", "show", "prune", "update"] {
        assert_eq!(twin.run("copy", &["remote", verb, "-h"]).status, 129);
        assert_eq!(twin.run("copy", &["remote", verb, "--nosuch"]).status, 129);
    }
    for words in
        [&["-h"][..], &["nosuch"], &["-x"], &["set-branches", "-h"], &["get-url", "-h"], &["set-url", "-h"]]
    {
        assert_eq!(twin.run("copy", &[&["remote"], words].concat()).status, 129);
    }
}

/// What C git left behind when it wrote `packed-refs` stops both: nothing that is packed goes, and the rest is done.
#[test]
fn an_unfinished_file_of_refs_keeps_refs() {
    play(
        "! pack-refs --all
         > .git/packed-refs.new
         @ update-ref -d refs/heads/topic
         @ update-ref refs/heads/later main
         = fetch --prune second
         = remote prune second
         @ update-ref -d refs/heads/release/1.0
         = fetch -q --prune second
         = remote rm second
         < .git/packed-refs.new
         = fetch --prune second
         ! symbolic-ref -d refs/remotes/second/link",
    );
}
