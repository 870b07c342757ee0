//! A clone of an ordinary project.

use crate::support::{Case, build};

/// Clones a project with a work tree and without; both equal C git's.
pub fn scenario(case: &Case) {
    build::project(&case.sandbox, &case.served("project.git"), case.format, 60);
    case.refresh("project.git");
    let url = case.url("project.git");
    let twin = case.twin();

    twin.done("", &["clone", &url, "copy"]);
    twin.same_objects("copy");

    twin.done("", &["clone", "--bare", "-q", &url, "bare.git"]);
    twin.same_objects("bare.git");

    // What was cloned is up to date: the fetch has nothing to say but writes FETCH_HEAD.
    let quiet = twin.done("copy", &["fetch"]);
    assert_eq!((quiet.stdout, quiet.stderr), ("".into(), "".into()));
    twin.same("copy");
}
