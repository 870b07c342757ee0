//! Shapes of refspecs, how their sides are completed, and the words for those that mean nothing.

use super::{commit, once};
use crate::support::{Pushers, Stream};

/// Each of `rows`: what is said has to be C git's, what is left too.
fn each(pushers: &Pushers<'_>, rows: &[&[&str]]) {
    for refspecs in rows {
        let arguments = [&["push", "origin"], *refspecs].concat();
        pushers.like_git(&arguments);
    }
}

#[test]
fn shapes_of_refspecs() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        let mut stream = Stream::new();
        stream.branch("one", "refs/heads/main").branch("two", "refs/heads/main~1");
        stream.annotated_tag("marked", "refs/heads/one");
        pushers.client(&stream);
        let id = pushers.case.sandbox.git(&pushers.clients()[0], &["rev-parse", "main"]).line();
        let by_id = format!("{id}:refs/heads/by-id");
        let short_id = format!("{}:refs/heads/by-short-id", &id[..12]);
        each(
            pushers,
            &[
                &["main"],
                &["HEAD"],
                &["@"],
                &["heads/one"],
                &["refs/heads/one:two"],
                &["one:two", "two:one"],
                &["HEAD:new"],
                &["HEAD~2:refs/heads/older"],
                &["main^{tree}:refs/tags/tree"],
                &["main:README:refs/tags/blob"],
                &["main^{commit}:refs/heads/peeled"],
                &["marked^{}:refs/heads/unmarked"],
                &["marked:refs/tags/renamed"],
                &["marked:refs/heads/tag-as-branch"],
                &[&by_id],
                &[&short_id],
                &["refs/heads/*:refs/copies/*"],
                &["refs/heads/o*e:refs/copies/x*y"],
                &["refs/heads/*:refs/some/*", "^refs/heads/two"],
                &["+:"],
                &[":"],
                &["+two:one"],
                &["tag", "marked"],
                &["refs/remotes/origin/topic:refs/heads/remote"],
                &["origin/topic:refs/heads/remote2"],
                &["main:main", "main:refs/heads/main"],
                &["refs/tags/marked:refs/tags/marked"],
                &["refs/misc/*:refs/misc/*"],
            ],
        );
    });
}

#[test]
fn refspecs_that_mean_nothing() {
    once(|pushers| {
        let mut stream = Stream::new();
        stream.branch("both", "refs/heads/main").light_tag("both", "refs/heads/main~1");
        pushers.client(&stream);
        pushers.in_server(&["update-ref", "refs/heads/double", "refs/heads/main"]);
        pushers.in_server(&["update-ref", "refs/tags/double", "refs/heads/main"]);
        let id = pushers.case.sandbox.git(&pushers.clients()[0], &["rev-parse", "main"]).line();
        let missing = format!("{}:refs/heads/missing", "1".repeat(id.len()));
        each(
            pushers,
            &[
                &["nosuch"],
                &["nosuch:main"],
                &["main:main:main"],
                &["main:..bad"],
                &["main:bad."],
                &["main:a b"],
                &["main:/x"],
                &["main:refs/heads/"],
                &["ma in"],
                &["refs/heads/*"],
                &["refs/heads/*:refs/heads/x"],
                &["refs/heads/x:refs/heads/*"],
                &["refs/heads/*:refs/*/heads/*"],
                &["^refs/heads/two"],
                &["^refs/heads/two:refs/heads/x"],
                &["both"],
                &["both:new"],
                &["main:double"],
                &[":double"],
                &["HEAD~1:unqualified"],
                &["HEAD~1"],
                &["main^{tree}:unqualified"],
                &["main:README:unqualified"],
                &["v1.0^{}:unqualified"],
                &["v1.0:unqualified"],
                &[&id],
                &[&missing],
                &["tag", "nosuch"],
                &["tag"],
                &["main:refs/heads/x", "topic:refs/heads/x"],
                &[":refs/heads/*"],
                &["+"],
                &["+:nosuch"],
                &["main:refs/onelevel"],
                &["main:onelevel/"],
                &["main:HEAD"],
                &["main:FETCH_HEAD"],
                &["main:refs/heads/HEAD"],
                &["main:refs/heads/-dash"],
                &["main:refs/heads/x.lock"],
                &["main:refs/heads/@{x"],
            ],
        );
    });
}

/// A far side without refs: what refspecs add is not looked at by those behind them.
#[test]
fn refspecs_for_a_server_without_refs() {
    once(|pushers| {
        pushers.client(Stream::new().light_tag("light", "refs/heads/main"));
        let pairs = [["light:new", "main:new"], ["main:other", "refs/heads/*:refs/heads/o*"]];
        for (number, refspecs) in pairs.into_iter().enumerate() {
            let name = format!("empty{number}.git");
            pushers.serve(&name, |path| {
                crate::support::build::empty(&pushers.case.sandbox, path, pushers.case.format);
            });
            let url = format!("<{name}>");
            pushers.done(&["push", "--dry-run", &url, "main:twice", "main:twice"]);
            pushers.done(&[&["push", &url], &refspecs[..]].concat());
        }
    });
}

/// `advice.*` takes the hints away.
#[test]
fn hints_that_are_not_wanted() {
    once(|pushers| {
        pushers.server(&commit("main", 100));
        pushers.client(&commit("main", 101));
        pushers.client(Stream::new().light_tag("v0.1", "refs/heads/main"));
        for advice in [
            "pushFetchFirst",
            "pushNonFFCurrent",
            "pushNonFFMatching",
            "pushAlreadyExists",
            "pushNeedsForce",
            "pushRefNeedsUpdate",
            "pushUnqualifiedRefName",
            "pushUpdateRejected",
            "pushNonFastForward",
        ] {
            let off = format!("advice.{advice}=false");
            for refspec in ["main", "main:refs/tags/v0.1", "main^{tree}:main", "main~1:nowhere"] {
                let arguments = ["-c", &off, "push", "origin", refspec];
                pushers.rejected(&arguments);
            }
        }
    });
}
