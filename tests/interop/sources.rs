//! Repositories that are not ordinary: empty, detached, unborn, borrowing, shallow, with thousands of refs.

use std::fs;

use crate::support::{Case, Kind, Stream, build, over};

/// The repository that is cloned.
const NAME: &str = "source.git";

/// Clones the source as it is now and compares everything.
fn clone_equals(case: &Case) {
    case.refresh(NAME);
    let twin = case.twin();
    twin.done("", &["clone", &case.url(NAME), "copy"]);
    twin.same_objects("copy");
    twin.done("", &["clone", "--bare", &case.url(NAME), "bare.git"]);
    twin.same_objects("bare.git");
}

/// The path of HEAD of the source.
fn set_head(case: &Case, content: &str) {
    fs::write(case.served(NAME).join("HEAD"), content).unwrap();
}

/// An empty repository whose HEAD is not the client's default branch.
fn empty(case: &Case) {
    build::empty(&case.sandbox, &case.served(NAME), case.format);
    set_head(case, "ref: refs/heads/trunk\n");
    clone_equals(case);
}

/// HEAD is a commit that no branch has.
fn detached(case: &Case) {
    build::project(&case.sandbox, &case.served(NAME), case.format, 12);
    let id = case.sandbox.git(&case.served(NAME), &["rev-parse", "main~3"]).success().line();
    set_head(case, &format!("{id}\n"));
    clone_equals(case);
}

/// HEAD names a branch that does not exist, beside some that do.
fn unborn(case: &Case) {
    build::project(&case.sandbox, &case.served(NAME), case.format, 12);
    set_head(case, "ref: refs/heads/nosuch\n");
    clone_equals(case);
}

/// The repository borrows its objects from another.
fn borrower(case: &Case) {
    let lender = case.served("lender.git");
    build::project(&case.sandbox, &lender, case.format, 12);
    build::borrower(&case.sandbox, &case.served(NAME), &lender, case.format);
    clone_equals(case);
}

/// HEAD is a branch that is not called main.
fn other_default_branch(case: &Case) {
    build::project(&case.sandbox, &case.served(NAME), case.format, 12);
    set_head(case, "ref: refs/heads/release/1.0\n");
    clone_equals(case);
}

#[test]
fn empty_repository() {
    for kind in [Kind::Path, Kind::File, Kind::Apache] {
        over(kind, empty);
    }
}

#[test]
fn detached_head() {
    for kind in [Kind::Path, Kind::Daemon] {
        over(kind, detached);
    }
}

#[test]
fn unborn_head() {
    for kind in [Kind::Path, Kind::Daemon] {
        over(kind, unborn);
    }
}

#[test]
fn borrowed_objects() {
    for kind in [Kind::Path, Kind::File] {
        over(kind, borrower);
    }
}

#[test]
fn head_on_another_branch() {
    for kind in [Kind::File, Kind::Bundle] {
        over(kind, other_default_branch);
    }
}

#[test]
fn ten_thousand_refs() {
    for kind in [Kind::Daemon, Kind::Apache] {
        crate::once(kind, |case| {
            build::many_refs(&case.sandbox, &case.served(NAME), case.format, 10_000);
            let twin = case.twin();
            twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);
            twin.same_objects("copy");
            let mut stream = Stream::onto("main");
            stream.commit("main", 5).file("file.txt", "two\n");
            stream.import(&case.sandbox, &case.served(NAME));
            twin.done("copy", &["fetch"]);
            twin.same("copy");
        });
    }
}

#[test]
fn shallow_repository() {
    for kind in [Kind::Path, Kind::File] {
        crate::once(kind, |case| {
            build::project(&case.sandbox, &case.served("deep.git"), case.format, 20);
            let from = format!("file://{}", case.served("deep.git").display());
            let arguments = ["clone", "-q", "--bare", "--depth=4", &from, NAME];
            case.sandbox.git(&case.sandbox.path("served"), &arguments).success();
            clone_equals(case);
        });
    }
}

#[test]
fn large_files() {
    crate::once(Kind::Daemon, |case| {
        build::empty(&case.sandbox, &case.served(NAME), case.format);
        let mut stream = Stream::new();
        stream.commit("main", 0).file("noise", build::noise(8 << 20)).file("zeros", vec![0; 32 << 20]);
        stream.import(&case.sandbox, &case.served(NAME));
        clone_equals(case);
    });
}

#[test]
fn work_tree_of_another_repository() {
    crate::once(Kind::Path, |case| {
        let url = case.served("work");
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        case.sandbox.git(&case.sandbox.path("served"), &["clone", "-q", NAME, "work"]).success();
        let twin = case.twin();
        for (url, copy) in [(url.clone(), "one"), (url.join(".git"), "two")] {
            twin.done("", &["clone", &url.display().to_string(), copy]);
            twin.same_objects(copy);
        }
    });
}
