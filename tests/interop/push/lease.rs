//! Leases, what they are checked against, and all-or-nothing.

use super::commit;
use crate::support::{Pushers, Stream};

/// Every row, one after the other.
pub(super) fn scenario(pushers: &Pushers<'_>) {
    held(pushers);
    stale(pushers);
    explicit(pushers);
    without_tracking_ref(pushers);
    includes(pushers);
    atomic(pushers);
}

/// `main` of the clients gets another last commit.
fn rewrite(pushers: &Pushers<'_>, number: usize) {
    let mut stream = Stream::new();
    stream
        .branch("main", "refs/heads/main~1")
        .commit("main", number)
        .file("rewritten.txt", format!("{number}\n"));
    pushers.client(&stream);
}

/// The server still has what the tracking ref says.
fn held(pushers: &Pushers<'_>) {
    rewrite(pushers, 100);
    pushers.done(&["push", "--force-with-lease", "--dry-run", "origin", "main"]);
    pushers.done(&["push", "--force-with-lease", "origin", "main"]);
    pushers.done(&["push", "--force-with-lease"]);
    rewrite(pushers, 101);
    pushers.done(&["push", "--force-with-lease=main", "--porcelain", "origin", "main"]);
    pushers.rejected(&["push", "--force-with-lease", "--no-force-with-lease", "origin", "main~2:main"]);
}

/// Somebody else was faster.
fn stale(pushers: &Pushers<'_>) {
    pushers.server(&commit("main", 200));
    rewrite(pushers, 201);
    pushers.rejected(&["push", "--force-with-lease", "origin", "main"]);
    pushers.rejected(&["push", "--force-with-lease=main", "--porcelain", "origin", "main", "main:other"]);
    pushers.rejected(&["push", "--force-with-lease", "origin", ":main"]);
    pushers.fetch();
    pushers.done(&["push", "--force-with-lease", "origin", "main"]);
}

/// What is expected stands on the command line.
fn explicit(pushers: &Pushers<'_>) {
    rewrite(pushers, 300);
    pushers.rejected(&["push", "--force-with-lease=main:main~2", "origin", "main"]);
    pushers.rejected(&["push", "--force-with-lease=main:", "origin", "main"]);
    pushers.done(&["push", "--force-with-lease=main:origin/main", "origin", "main"]);
    pushers.done(&["push", "--force-with-lease=fresh:", "origin", "main:refs/heads/fresh"]);
    pushers.rejected(&["push", "--force-with-lease=fresh:", "origin", "main~1:fresh"]);
    pushers.done(&["push", "--force-with-lease=fresh:main", "origin", ":fresh"]);
    pushers.ends(129, &["push", "--force-with-lease=main:nosuch", "origin", "main"]);
}

/// Nothing says what the server had.
fn without_tracking_ref(pushers: &Pushers<'_>) {
    rewrite(pushers, 400);
    pushers.rejected(&["push", "--force-with-lease", "<first.git>", "main"]);
    pushers.done(&["push", "--force-with-lease", "origin", "main:refs/misc/lease"]);
    pushers.rejected(&["push", "--force-with-lease=refs/misc/lease", "origin", "main~1:refs/misc/lease"]);
    pushers.done(&["push", "--force-with-lease=main:origin/main", "<first.git>", "main"]);
}

/// The tracking ref moved, but nobody looked at what came.
fn includes(pushers: &Pushers<'_>) {
    pushers.fetch();
    pushers.server(&commit("main", 500));
    rewrite(pushers, 501);
    pushers.fetch();
    let lease = "--force-with-lease";
    pushers.rejected(&["push", lease, "--force-if-includes", "origin", "main"]);
    pushers.rejected(&["push", lease, "--force-if-includes", "--porcelain", "origin", "main"]);
    pushers.rejected(&["-c", "push.useForceIfIncludes", "push", lease, "origin", "main"]);
    pushers.in_client(&["update-ref", "refs/heads/main", "refs/remotes/origin/main"]);
    rewrite(pushers, 502);
    pushers.done(&["push", lease, "--force-if-includes", "origin", "main"]);
    pushers.server(&commit("main", 503));
    rewrite(pushers, 504);
    pushers.fetch();
    pushers.rejected(&["push", "--force-if-includes", "origin", "main"]); // no lease: it means nothing
    let without = "--no-force-if-includes";
    pushers.done(&["-c", "push.useForceIfIncludes", "push", lease, without, "origin", "main"]);
}

/// Either every ref or none.
fn atomic(pushers: &Pushers<'_>) {
    pushers.client(&commit("main", 600));
    pushers.done(&["push", "--atomic", "origin", "main", "main:refs/heads/one", "main~1:refs/heads/two"]);
    pushers.done(&["push", "--atomic", "origin", ":one", "main:two"]);
    pushers.rejected(&["push", "--atomic", "origin", "main:three", "main~1:main"]);
    pushers.rejected(&[
        "push",
        "--atomic",
        "--porcelain",
        "origin",
        "main:three",
        "main~1:main",
        "main~1:two",
    ]);
    pushers.rejected(&["push", "--atomic", "origin", "main:refs/heads/three", "main~1:main"]);
    pushers.in_server(&["config", "receive.advertiseAtomic", "false"]);
    pushers.breaks(&["push", "--atomic", "origin", "main:refs/heads/four"]);
    pushers.done(&["push", "--atomic", "--no-atomic", "origin", "main:refs/heads/four"]);
    pushers.in_server(&["config", "receive.advertiseAtomic", "true"]);
}
