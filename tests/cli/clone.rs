//! How `clone` understands where to clone from and where to.

use super::sandbox;
use super::support::Twin;

#[test]
fn a_path_is_remembered_as_it_was_given() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "-q", "../served/project.git", "copy"]);
    twin.same("copy");
    twin.done("copy", &["clone", "-q", ".", "../again"]);
    twin.same("again");
    twin.done("", &["clone", "-q", "./copy/.git/", "third"]);
    twin.same("third");
}

#[test]
fn a_path_that_is_there_is_no_host() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "-q", "--bare", "../served/project.git", "host:path"]);
    twin.done("", &["clone", "host:path", "copy"]);
    twin.same("copy");
}
