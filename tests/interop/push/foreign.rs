//! Servers that are not C git: those of Java and of Python, with what they advertise.

use super::commit;
use crate::support::push::push_once;
use crate::support::{Format, Git, Kind, Pushers, Stream};

#[test]
fn push_to_jgit() {
    push_once(Kind::Jgit, Git::reference(), Format::Sha1, 2, scenario);
}

#[test]
fn push_to_dulwich() {
    push_once(Kind::Dulwich, Git::reference(), Format::Sha1, 2, scenario);
}

/// What both can do.
fn scenario(pushers: &Pushers<'_>) {
    pushers.in_server(&["config", "core.logAllRefUpdates", "false"]); // they date their lines with the present
    pushers.done(&["push", "-v"]);
    pushers.client(&commit("main", 100));
    pushers.done(&["push"]);
    pushers.client(Stream::onto("main").history(101..140).annotated_tag("v2", "refs/heads/main"));
    pushers.done(&["push", "--porcelain", "--follow-tags", "origin", "main"]);
    pushers.done(&["push", "-u", "origin", "main:new", "main~1:refs/heads/older"]);
    pushers.server(&commit("main", 300));
    pushers.client(&commit("main", 301));
    pushers.rejected(&["push", "origin", "main"]);
    pushers.done(&["push", "--force", "origin", "main"]);
    pushers.done(&["push", "-q", "origin", "--delete", "older", "topic"]);
    pushers.done(&["push", "origin", "main:refs/misc/one", "refs/heads/main:refs/copies/main"]);
    pushers.like_git(&["push", "--atomic", "origin", "main:refs/heads/a1", "main~1:refs/heads/a2"]);
    pushers.like_git(&["push", "-o", "option", "origin", "main:refs/heads/option"]);
    pushers.like_git(&["push", "--signed=if-asked", "origin", "main:refs/heads/signed"]);
}
