//! Refs of ours that are gone on the far side, many of them at once.

use super::support::{Git, Run};
use super::{clones, sandbox};

/// So many in one directory that those which are packed alone go without a lock each, unless somebody else has one.
#[test]
fn many_packed_refs_are_pruned() {
    let sandbox = sandbox();
    let served = sandbox.path("served/project.git");
    let tip = sandbox.git(&served, &["rev-parse", "main"]).success().line();
    let change = |verb: &str, value: &str| {
        let lines = (0..40).map(|number| format!("{verb} refs/heads/many/n{number}{value}\n"));
        let mut command = sandbox.command(&Git::reference().program);
        command.current_dir(&served).args(["update-ref", "--stdin"]);
        Run::with_input(&mut command, lines.collect::<String>().as_bytes()).success();
    };
    change("create", &format!(" {tip}"));
    let twin = clones(&sandbox);
    change("delete", "");
    let in_the_way = "copy/.git/refs/remotes/origin/many/n5.lock";
    twin.prepare(|client| {
        let git = |words: &[&str]| drop(sandbox.git(&client.join("copy"), words).success());
        git(&["pack-refs", "--all"]);
        git(&["update-ref", "refs/remotes/origin/many/n7", "refs/remotes/origin/main~1"]);
        std::fs::write(client.join(in_the_way), "").unwrap();
    });
    assert_eq!(twin.run("copy", &["fetch", "--prune"]).status, 1);
    twin.same_state("copy");
    twin.prepare(|client| std::fs::remove_file(client.join(in_the_way)).unwrap());
    twin.done("copy", &["fetch", "--prune"]);
    twin.same("copy");
    assert!(!twin.ours.join("copy/.git/refs/remotes/origin/many").exists());
}
