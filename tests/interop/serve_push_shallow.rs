//! Pushes whose history ends where that of `gitr receive-pack` does not: what is taken, and what is written down of it.

use std::fs;

use crate::serve_pair::Pair;
use crate::support::{Format, Git, Stream, build, state};

/// The branch with the short history.
const OTHER: &str = "other:refs/heads/other";

impl Pair<'_> {
    /// Takes the last commits of a history that nobody else knows into what is pushed from.
    fn fetch_other(&self, depth: usize) {
        let other = self.sandbox.path("other.git");
        if !other.exists() {
            build::empty(&self.sandbox, &other, Format::Sha1);
            let mut stream = Stream::new();
            for number in 0..6 {
                stream.commit("main", 500 + number).file("other", format!("{number}\n"));
            }
            stream.annotated_tag("old", "refs/heads/main").import(&self.sandbox, &other);
        }
        let url = format!("file://{}", other.display());
        let depth = format!("--depth={depth}");
        self.work(&["fetch", "-q", "--no-tags", &depth, &url, "+main:other"]);
    }

    fn work(&self, arguments: &[&str]) {
        self.sandbox.git(&self.sandbox.path("work.git"), arguments).success();
    }

    /// New history on the short one.
    fn grow_other(&self, number: usize) {
        let mut stream = Stream::onto("other");
        stream.commit("other", number).file("other", format!("{number}\n"));
        stream.import(&self.sandbox, &self.sandbox.path("work.git"));
    }

    /// The shallow boundary of our own server.
    fn boundary(&self) -> String {
        fs::read_to_string(self.sandbox.path("ours.git/shallow")).unwrap_or_default()
    }
}

fn pushed() -> Pair<'static> {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.fetch_other(2);
    pushed
}

#[test]
fn new_ends_of_history_are_refused_unless_they_are_welcome() {
    for client in Git::all() {
        let pushed = Pair::bare(client, Format::Sha1);
        pushed.fetch_other(2);
        let run = pushed.same(&[OTHER]);
        assert!(run.complains_of("shallow update not allowed"), "{run:?}");
        pushed.grow(12..20);
        pushed.same(&["main", OTHER]);
        pushed.same(&["other~1:refs/tags/end", ":v0.1"]);
        // what is whole here is whole, wherever the client's history ends
        pushed.same(&["v0.1"]);
        assert_eq!(pushed.boundary(), "");
        pushed.configure("receive.shallowUpdate", "true");
        pushed.same(&[OTHER]);
        assert_eq!(pushed.boundary().lines().count(), 1);
        pushed.same(&["other:refs/heads/twice", "other~1:refs/tags/end"]);
        pushed.grow_other(600);
        pushed.same(&[OTHER]);
        // the client knows more of it
        pushed.fetch_other(4);
        pushed.grow_other(601);
        pushed.same(&["+other:refs/heads/other"]);
        pushed.fetch_other(100);
        pushed.grow_other(602);
        pushed.same(&["+other:refs/heads/other"]);
    }
}

#[test]
fn each_ref_brings_its_own_end_of_history() {
    let pushed = pushed();
    pushed.work(&["branch", "short", "other"]);
    pushed.work(&["tag", "-a", "-m", "x", "tagged", "other"]);
    let third = pushed.sandbox.path("third.git");
    build::empty(&pushed.sandbox, &third, Format::Sha1);
    let mut stream = Stream::new();
    for number in 0..4 {
        stream.commit("main", 700 + number).file("third", format!("{number}\n"));
    }
    stream.import(&pushed.sandbox, &third);
    let url = format!("file://{}", third.display());
    pushed.work(&["fetch", "-q", "--depth=1", &url, "main:third"]);
    pushed.configure("receive.shallowUpdate", "true");
    pushed.same(&["tagged"]);
    pushed.same(&["third"]);
    pushed.same(&["main:refs/heads/whole", OTHER, "short"]);
    assert_eq!(pushed.boundary().lines().count(), 2);
    // two at once are too many for C git, which breaks down
    let ours = pushed.sandbox.path("ours.git");
    fs::remove_dir_all(&ours).unwrap();
    build::empty(&pushed.sandbox, &ours, Format::Sha1);
    pushed.configure("receive.shallowUpdate", "true");
    let run = pushed.ours(&["third", "main", OTHER, "short"]).success();
    assert_eq!(pushed.boundary().lines().count(), 2, "{run:?}");
    state::assert_sound(&pushed.sandbox, &ours);
}

#[test]
fn a_server_whose_own_history_is_short_takes_more_of_that() {
    let pushed = pushed();
    for place in ["theirs.git", "ours.git"] {
        fs::remove_dir_all(pushed.sandbox.path(place)).unwrap();
        let url = format!("file://{}", pushed.sandbox.path("work.git").display());
        let words =
            ["clone", "-q", "--bare", "--depth=1", "--single-branch", "--no-tags", "-b", "main", &url, place];
        pushed.sandbox.git(&pushed.sandbox.path(""), &words).success();
    }
    pushed.grow(12..16);
    pushed.same(&["main"]);
    pushed.same(&[OTHER]);
    pushed.configure("receive.shallowUpdate", "true");
    pushed.configure("receive.fsckObjects", "true");
    pushed.configure("receive.unpackLimit", "1");
    pushed.same(&[OTHER]);
    assert_eq!(pushed.boundary().lines().count(), 2);
}

#[test]
fn hooks_see_history_that_ends_where_it_will() {
    let pushed = pushed();
    pushed.configure("receive.shallowUpdate", "true");
    let looks = "echo \"$(basename $0) $(test -f shallow && echo written)\"; sort \"$GIT_SHALLOW_FILE\"";
    for (name, tips) in [("pre-receive", "while read a b c; do"), ("update", "for b in $3; do")] {
        pushed.hook(name, &format!("{looks}\n{tips} git log --format=%s $b; done"));
    }
    pushed.hook("post-receive", &format!("{looks}; git log --format=%s other"));
    let run = pushed.same(&["-q", OTHER]);
    assert!(run.complains_of("commit 504 on main"), "{run:?}");
    // nothing new ends
    pushed.hook("pre-receive", "echo \"<$GIT_SHALLOW_FILE>\"");
    pushed.hook("update", "echo \"<$GIT_SHALLOW_FILE>\"");
    pushed.hook("post-receive", "echo \"<$GIT_SHALLOW_FILE>\"");
    pushed.grow_other(600);
    let run = pushed.same(&["-q", OTHER]);
    assert!(run.complains_of("<>"), "{run:?}");
}

#[test]
fn what_is_declined_ends_no_history() {
    let pushed = pushed();
    pushed.configure("receive.shallowUpdate", "true");
    for hook in ["update", "pre-receive"] {
        pushed.hook(hook, "exit 1");
        pushed.same(&["main:refs/heads/whole", OTHER]);
    }
    assert_eq!(pushed.boundary(), "");
    pushed.prepare(|_, place| fs::remove_dir_all(place.join("hooks")).unwrap());
    pushed.configure("receive.denyNonFastForwards", "true");
    pushed.same(&[OTHER]);
    pushed.work(&["branch", "-f", "other", "other~1"]);
    pushed.grow_other(600);
    pushed.same(&["+other:refs/heads/other"]);
}

/// C git moves the others, and hangs up where the boundary is locked.
#[test]
fn an_atomic_push_is_all_or_nothing() {
    let pushed = pushed();
    let ours = pushed.sandbox.path("ours.git");
    let before = pushed.sandbox.git(&ours, &["for-each-ref"]).success().stdout;
    let atomic = ["--atomic", OTHER, "main:refs/heads/whole"];
    let run = pushed.ours(&atomic);
    assert!(run.complains_of("shallow update not allowed"), "{run:?}");
    assert!(run.complains_of("atomic push fail"), "{run:?}");
    pushed.configure("receive.shallowUpdate", "true");
    fs::write(ours.join("shallow.lock"), "").unwrap();
    for words in [&atomic[..], &[OTHER]] {
        let run = pushed.ours(words);
        assert!(
            run.complains_of("shallow error") && run.complains_of("shallow.lock': File exists"),
            "{run:?}"
        );
    }
    assert_eq!(pushed.sandbox.git(&ours, &["for-each-ref"]).success().stdout, before);
    assert_eq!(pushed.boundary(), "");
    fs::remove_file(ours.join("shallow.lock")).unwrap();
    pushed.ours(&atomic).success();
    assert_eq!(pushed.boundary().lines().count(), 1);
    state::assert_sound(&pushed.sandbox, &ours);
}
