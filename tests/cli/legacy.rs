//! Remotes as they were described before the configuration did it, in `.git/branches` and `.git/remotes`.

use std::fs;

use crate::support::script;

/// Files of remotes: where, and what they say; `SOURCE` is the project.
const FILES: [(&str, &str); 12] = [
    ("branches/plain", "SOURCE\n"),
    ("branches/topic", "SOURCE#topic\n"),
    ("branches/nosuch", "SOURCE#nosuch\n"),
    ("branches/empty", ""),
    ("remotes/all", "URL: SOURCE\nPull: refs/heads/main:refs/remotes/all/main\nPush: refs/heads/main\n"),
    ("remotes/two", "URL: SOURCE\nURL: ./nosuch\nPull: +refs/heads/*:refs/remotes/two/*\n"),
    ("remotes/tight", "URL:SOURCE\n\nbogus\n"),
    ("remotes/noted", "URL: SOURCE\nPull: topic\n"),
    ("remotes/both", "URL: SOURCE\nPull: topic\nPull: main\nPull: release/1.0:refs/remotes/x/r\n"),
    ("remotes/nowhere", "Pull: main:x\n"),
    ("remotes/wrong", "URL: SOURCE\nPull: a:b:c\n"),
    // what the configuration has goes before what a file has
    ("remotes/origin", "URL: ./nosuch\n"),
];

/// Gives each line of `text` to both with each remote in the place of `NAME`, in fresh clones for each.
#[track_caller]
fn each(text: &str) {
    for (file, _) in FILES {
        let sandbox = crate::sandbox();
        let twin = crate::clones(&sandbox);
        let source = sandbox.path("served/project.git").display().to_string();
        twin.prepare(|client| {
            for (file, text) in FILES {
                let path = client.join("copy/.git").join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text.replace("SOURCE", &source)).unwrap();
            }
        });
        let (_, name) = file.split_once('/').unwrap();
        script::act(&sandbox, &twin, &text.replace("NAME", name));
        twin.same_state("copy");
    }
}

#[test]
fn a_remote_in_a_file_is_fetched_from() {
    each(
        "= ls-remote NAME
         = ls-remote --get-url NAME
         = fetch -v NAME
         = fetch -v NAME topic
         = fetch --multiple NAME
         = remote update NAME
         = fetch --set-upstream NAME main",
    );
}

#[test]
fn a_remote_in_a_file_is_shown() {
    each(
        "= remote
         = remote -v
         = remote get-url NAME
         = remote get-url --push --all NAME
         = remote show -n NAME
         = remote show NAME
         = fetch --all",
    );
}

#[test]
fn a_remote_in_a_file_is_looked_after() {
    each(
        "= fetch NAME
         = remote prune NAME
         = remote set-head NAME -a
         = remote add NAME ./other
         = remote set-branches NAME topic",
    );
    each("= remote rm NAME");
    each(
        "= fetch -v NAME
         = remote rm NAME",
    );
    each(
        "= fetch NAME main
         = fetch --append NAME
         = remote rename NAME other",
    );
    each("= remote rename NAME deep/er");
    each(
        "= remote set-url NAME ./other
         = remote -v",
    );
}
