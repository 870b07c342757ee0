//! Many refs at once, and many places.

use super::commit;
use crate::support::{Pushers, Stream, build};

/// Every row, one after the other.
pub(super) fn scenario(pushers: &Pushers<'_>) {
    everything(pushers);
    following_tags(pushers);
    pruned(pushers);
    mirrored(pushers);
    several_urls(pushers);
}

/// `--all`, `--branches`, `--tags`.
fn everything(pushers: &Pushers<'_>) {
    let mut stream = Stream::new();
    stream.branch("one", "refs/heads/main").commit("one", 100).file("one.txt", "one\n");
    stream.branch("two", "refs/heads/main~1").commit("two", 101).file("two.txt", "two\n");
    stream.light_tag("light", "refs/heads/one").annotated_tag("annotated", "refs/heads/two");
    pushers.client(&stream);
    pushers.done(&["push", "--all", "--dry-run"]);
    pushers.done(&["push", "--all"]);
    pushers.done(&["push", "--branches", "origin"]);
    pushers.done(&["push", "--tags"]);
    pushers.client(&commit("one", 102));
    pushers.done(&["push", "--tags", "origin", "one"]);
    pushers.fatal(&["push", "--all", "origin", "main"]);
    pushers.fatal(&["push", "--all", "--tags"]);
}

/// `--follow-tags` takes the annotated tags that what is pushed reaches, and no other.
fn following_tags(pushers: &Pushers<'_>) {
    let mut stream = Stream::onto("main");
    stream.commit("main", 200).file("tagged.txt", "tagged\n");
    stream.annotated_tag("reached", "refs/heads/main").light_tag("light-too", "refs/heads/main");
    stream.annotated_tag("beside", "refs/heads/one");
    stream.commit("main", 201).file("tagged.txt", "further\n").annotated_tag("next", "refs/heads/main");
    pushers.client(&stream);
    pushers.done(&["push", "--follow-tags", "--no-follow-tags", "--dry-run", "origin", "main"]);
    pushers.done(&["push", "--follow-tags", "origin", "main~1:refs/heads/main"]);
    pushers.done(&["-c", "push.followTags=true", "push"]);
}

/// What is not here goes there.
fn pruned(pushers: &Pushers<'_>) {
    pushers.in_client(&["branch", "-q", "-D", "two"]);
    pushers.done(&["push", "--prune", "--dry-run", "origin", "refs/heads/*:refs/heads/*"]);
    pushers.done(&["push", "--prune", "origin", "refs/heads/o*:refs/heads/o*", "refs/heads/t*"]);
    pushers.done(&["push", "--prune", "--all"]);
    pushers.done(&["push", "--prune", "--porcelain", "origin", "refs/heads/*:refs/copies/*"]);
}

/// A mirror has the same refs, whatever it had.
fn mirrored(pushers: &Pushers<'_>) {
    pushers.serve("mirror.git", |path| {
        build::project(&pushers.case.sandbox, path, pushers.case.format, 5);
    });
    pushers.done(&["push", "--mirror", "--dry-run", "<mirror.git>"]);
    pushers.done(&["push", "--mirror", "<mirror.git>"]);
    pushers.done(&["push", "--mirror", "<mirror.git>"]);
    pushers.in_client(&["remote", "add", "--mirror=push", "mirror", "<mirror.git>"]);
    pushers.in_client(&["update-ref", "-d", "refs/tags/light"]);
    pushers.client(&commit("main", 300));
    pushers.done(&["push", "--porcelain", "mirror"]);
    pushers.fatal(&["push", "--mirror", "<mirror.git>", "main"]);
    pushers.fatal(&["push", "--mirror", "--all"]);
    pushers.in_client(&["remote", "remove", "mirror"]);
}

/// One remote with several places, one of which may refuse or be absent.
fn several_urls(pushers: &Pushers<'_>) {
    pushers.serve("second.git", |path| {
        build::empty(&pushers.case.sandbox, path, pushers.case.format);
    });
    pushers.in_client(&["remote", "set-url", "--add", "--push", "origin", "<first.git>"]);
    pushers.in_client(&["remote", "set-url", "--add", "--push", "origin", "<second.git>"]);
    pushers.client(&commit("main", 400));
    pushers.done(&["push", "origin", "main"]);
    pushers.done(&["push", "-v", "origin", "main"]);
    pushers.server(&commit("main", 401));
    pushers.client(&commit("main", 402));
    pushers.rejected(&["push", "origin", "main"]); // the first refuses, the second takes it
    pushers.in_client(&["remote", "set-url", "--push", "origin", "<nosuch.git>", "first"]);
    let first_is_missing = pushers.like_git(&["push", "origin", "main:refs/heads/last"]);
    assert_ne!(first_is_missing.status, 0, "{first_is_missing:?}");
}
