//! What everybody does: new commits, new branches, tags, deletions, and what is rejected before a byte goes out.

use super::commit;
use crate::support::{Pushers, Stream};

/// Every row, one after the other.
pub(super) fn scenario(pushers: &Pushers<'_>) {
    up_to_date(pushers);
    forwards(pushers);
    created(pushers);
    without_upstream(pushers);
    backwards(pushers);
    deleted(pushers);
    tags(pushers);
}

/// Nothing to do, said in each tone.
fn up_to_date(pushers: &Pushers<'_>) {
    pushers.done(&["push"]);
    pushers.done(&["push", "--porcelain"]);
    pushers.done(&["push", "-v"]);
    pushers.done(&["push", "-q"]);
    pushers.done(&["push", "--dry-run", "origin", "main"]);
    pushers.done(&["push", "origin", ":"]);
}

/// Where what a branch follows cannot be written the push has gone well all the same.
fn without_upstream(pushers: &Pushers<'_>) {
    let locks = pushers.clients().map(|client| client.join(".git/config.lock"));
    for lock in &locks {
        std::fs::write(lock, "").unwrap();
    }
    pushers.done(&["push", "-u", "origin", "new:follows/nothing"]);
    for lock in &locks {
        std::fs::remove_file(lock).unwrap();
    }
}

/// Our commits on top of theirs, one and many.
fn forwards(pushers: &Pushers<'_>) {
    pushers.client(&commit("main", 100));
    pushers.done(&["push", "--dry-run"]);
    pushers.done(&["push", "--dry-run", "--porcelain"]);
    pushers.done(&["push"]);
    let mut stream = Stream::onto("main");
    pushers.client(stream.history(101..140));
    pushers.done(&["push", "--porcelain", "origin", "main"]);
    pushers.client(&commit("main", 140));
    pushers.done(&["push", "-v", "origin", "main:refs/heads/main"]);
    pushers.client(&commit("main", 141));
    pushers.done(&["push", "-q"]);
    pushers.client(&commit("main", 142));
    pushers.done(&["push", "<first.git>", "main"]);
}

/// Names that the server does not have.
fn created(pushers: &Pushers<'_>) {
    let mut stream = Stream::new();
    stream.branch("new", "refs/heads/main").commit("new", 200).file("new.txt", "new\n");
    pushers.client(&stream);
    pushers.done(&["push", "origin", "new"]);
    pushers.done(&["push", "-u", "origin", "new:other/name"]);
    pushers.done(&["push", "--set-upstream", "origin", "main", "new"]);
    pushers.done(&["push", "origin", "HEAD:refs/misc/one", "HEAD~1:refs/heads/older"]);
    pushers.done(&["push", "--porcelain", "origin", "new:refs/heads/porcelain"]);
    pushers.done(&["push", "--no-thin", "origin", "new~1:refs/heads/thick"]);
}

/// Histories that went apart: rejected with a reason, taken with force.
fn backwards(pushers: &Pushers<'_>) {
    pushers.server(&commit("main", 300));
    pushers.rejected(&["push"]); // behind, and the server's commit is not here: fetch first
    pushers.client(&commit("main", 301));
    pushers.rejected(&["push", "--porcelain"]);
    pushers.fetch();
    pushers.rejected(&["push"]); // non-fast-forward
    pushers.rejected(&["push", "-q", "origin", "main", "HEAD:refs/heads/beside"]);
    pushers.done(&["push", "--force", "--dry-run"]);
    pushers.done(&["push", "--force"]);
    pushers.rejected(&["push", "origin", "main~2:main"]);
    pushers.done(&["push", "--porcelain", "origin", "+main~2:main"]);
    pushers.done(&["push", "origin", "main", "--no-force"]);
    pushers.server(&commit("topic", 302));
    pushers.rejected(&["push", "origin", "origin/topic:topic"]);
    pushers.fetch();
    pushers.rejected(&["push", "origin", "origin/topic~1:topic"]); // another branch than the current one
    pushers.rejected(&["-c", "advice.pushUpdateRejected=false", "push", "origin", "origin/topic~1:topic"]);
}

/// Names that go.
fn deleted(pushers: &Pushers<'_>) {
    pushers.done(&["push", "--dry-run", "origin", ":new"]);
    pushers.done(&["push", "origin", ":new"]);
    pushers.done(&["push", "--porcelain", "origin", "--delete", "older", "porcelain"]);
    pushers.rejected(&["push", "origin", ":nosuch"]);
    pushers.rejected(&["push", "--delete", "origin", "nosuch", "thick"]);
    pushers.done(&["push", "origin", ":refs/heads/nosuch"]); // the server warns
    pushers.done(&["push", "origin", ":thick", "main:refs/heads/again"]);
}

/// Tags of both kinds, and one that is there already.
fn tags(pushers: &Pushers<'_>) {
    let mut stream = Stream::new();
    stream.light_tag("light", "refs/heads/main").annotated_tag("annotated", "refs/heads/main");
    pushers.client(&stream);
    pushers.done(&["push", "origin", "light", "annotated"]);
    pushers.done(&["push", "origin", "tag", "light"]);
    let mut stream = Stream::new();
    pushers.client(stream.light_tag("light", "refs/heads/main~1"));
    pushers.rejected(&["push", "origin", "light"]);
    pushers.rejected(&["push", "--porcelain", "origin", "refs/tags/light"]);
    pushers.done(&["push", "--force", "origin", "light"]);
    pushers.done(&["push", "origin", ":light", ":refs/tags/annotated"]);
}
