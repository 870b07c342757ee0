//! What gitr itself reads in a partial clone: it is fetched all at once, as C git does or better, and only where it may be.

use std::path::Path;

use crate::support::gateway::Gateway;
use crate::support::servers::port_of;
use crate::support::{Case, Kind, Run, Sandbox, Stream, Twin, build, state};

/// The repository that is cloned.
const NAME: &str = "project.git";

/// Two partial clones without work trees of a served project.
fn clones<'a>(case: &'a Case, filter: &str) -> Twin<'a> {
    build::project(&case.sandbox, &case.served(NAME), case.format, 24);
    case.refresh(NAME);
    let twin = case.twin();
    twin.done("", &["clone", "-q", "--no-checkout", filter, &case.url(NAME), "copy"]);
    twin
}

/// Both have the same, and what gitr has is whole but for what was promised.
#[track_caller]
fn same(case: &Case, twin: &Twin<'_>) {
    twin.same_state("copy");
    let copy = twin.ours.join("copy");
    case.sandbox.git(&copy, &["fsck", "--full"]).success();
    assert_eq!(state::leftovers(&copy), Vec::<std::path::PathBuf>::new());
}

/// A served repository that has all of the project, and more, and has promised nothing.
fn serve_fork(case: &Case) -> String {
    let fork = case.served("fork.git");
    build::copy(&case.sandbox, &case.served(NAME), &fork);
    let mut stream = Stream::onto("main");
    stream.commit("main", 700).file("dir1/file1.txt", "of the fork\n");
    stream.import(&case.sandbox, &fork);
    case.url("fork.git")
}

#[test]
fn other_remotes_need_not_send_what_was_promised() {
    crate::once(Kind::File, |case| {
        for filter in ["--filter=blob:none", "--filter=tree:0"] {
            std::fs::remove_dir_all(case.served(NAME)).ok();
            std::fs::remove_dir_all(case.served("fork.git")).ok();
            let twin = clones(case, filter);
            let fork = serve_fork(case);
            twin.prepare(|client| {
                case.sandbox.git(&client.join("copy"), &["remote", "add", "fork", &fork]).success();
            });
            twin.done("copy", &["fetch", "fork"]);
            same(case, &twin);
        }
    });
}

/// A filter alone makes a remote a promisor.
#[test]
fn a_filter_is_a_promise() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        twin.prepare(|client| {
            case.sandbox
                .git(&client.join("copy"), &["config", "--unset", "remote.origin.promisor"])
                .success();
        });
        let mut stream = Stream::onto("main");
        stream.history(24..28).import(&case.sandbox, &case.served(NAME));
        twin.done("copy", &["fetch"]);
        same(case, &twin);
        twin.done("copy", &["bundle", "create", "-q", "all.bundle", "main"]);
    });
}

/// What is there, in packs of the promisor, is whole: refs that were lost come back without any request for objects.
#[test]
fn what_the_promisor_sent_is_not_asked_for_again() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        twin.prepare(|client| {
            let copy = client.join("copy");
            let git = |arguments: &[&str]| drop(case.sandbox.git(&copy, arguments).success());
            git(&["update-ref", "refs/remotes/origin/main", "v0.1^0~5"]);
            git(&["update-ref", "refs/heads/main", "v0.1^0~5"]);
            git(&["update-ref", "-d", "refs/remotes/origin/topic"]);
            git(&["tag", "-d", "v0.1", "v1.0"]);
            git(&["update-ref", "-d", "refs/remotes/origin/release/1.0"]);
        });
        let packs = |client: &Path| std::fs::read_dir(client.join("copy/.git/objects/pack")).unwrap().count();
        let before = packs(&twin.ours);
        twin.done("copy", &["fetch", "--no-recurse-submodules"]);
        assert_eq!((packs(&twin.ours), packs(&twin.theirs)), (before, before));
        same(case, &twin);
    });
}

/// A bundle holds what its maker lacked, which comes in one request; where that is forbidden nothing is made.
#[test]
fn a_bundle_is_whole() {
    crate::once(Kind::Apache, |case| {
        let twin = clones(case, "--filter=blob:none");
        let gateway = Gateway::before(port_of(&case.url(NAME)));
        let url = format!("http://127.0.0.1:{}/git/{NAME}", gateway.port);
        case.sandbox.git(&twin.ours.join("copy"), &["config", "remote.origin.url", &url]).success();
        twin.done("copy", &["bundle", "create", "-q", "all.bundle", "main"]);
        assert_eq!(gateway.seen().len(), 2);
        for client in [&twin.ours, &twin.theirs] {
            let bundle = client.join("copy/all.bundle").display().to_string();
            case.sandbox.git(client, &["clone", "-q", &bundle, "of-bundle"]).success();
        }
        let of = |client: &Path| case.sandbox.git(&client.join("of-bundle"), &["rev-parse", "HEAD"]).line();
        assert_eq!(of(&twin.ours), of(&twin.theirs));
    });
}

#[test]
fn nothing_is_fetched_where_that_is_forbidden() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        let run = twin.run("copy", &["--no-lazy-fetch", "bundle", "create", "-q", "all.bundle", "main"]);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.complains_of("lazy fetching disabled"), "{run:?}");
        assert!(!twin.ours.join("copy/all.bundle").exists());
        let run = twin.run("", &["--no-lazy-fetch", "clone", "--filter=blob:none", &case.url(NAME), "new"]);
        assert_eq!(run.status, 128, "{run:?}");
    });
}

#[test]
fn a_promisor_that_is_gone_is_told_of_as_git_does() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        std::fs::rename(case.served(NAME), case.served("moved.git")).unwrap();
        let run = twin.run("copy", &["bundle", "create", "-q", "all.bundle", "main"]);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.complains_of("from promisor remote"), "{run:?}");
    });
}

/// gitr where no C git is installed, in a clone by gitr.
fn without_git(sandbox: &Sandbox, place: &Path, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(crate::support::sandbox::gitr_program());
    command.current_dir(place).env("PATH", sandbox.path("temporary")).args(arguments);
    Run::of(&mut command)
}

/// A fast-forward by ourselves: what it writes comes in one request.
#[test]
fn a_fast_forward_fetches_its_files_at_once() {
    crate::once(Kind::Apache, |case| {
        for filter in ["--filter=blob:none", "--filter=tree:0"] {
            std::fs::remove_dir_all(case.served(NAME)).ok();
            build::project(&case.sandbox, &case.served(NAME), case.format, 24);
            case.refresh(NAME);
            let gateway = Gateway::before(port_of(&case.url(NAME)));
            let url = format!("http://127.0.0.1:{}/git/{NAME}", gateway.port);
            let twin = case.twin();
            twin.gitr("", &["clone", "-q", filter, &url, "copy"]).success();
            let mut stream = Stream::onto("main");
            stream.history(24..30).import(&case.sandbox, &case.served(NAME));
            case.refresh(NAME);
            let copy = twin.ours.join("copy");
            let requests = |arguments: &[&str]| {
                let before = gateway.seen().len();
                let run = without_git(&case.sandbox, &copy, arguments);
                assert_eq!(run.status, 0, "{run:?}");
                gateway.seen().len() - before
            };
            // a greeting, the refs and the objects; a greeting and all directories, among which submodules are looked for
            let expected = if filter.contains("tree") { 5 } else { 3 };
            assert_eq!(requests(&["fetch", "-q"]), expected, "{filter}");
            // a greeting and the refs; a greeting and the files
            assert_eq!(requests(&["pull", "-q", "--ff-only"]), 4, "{filter}");
            state::assert_sound(&case.sandbox, &copy);
            let tip = case.sandbox.git(&case.served(NAME), &["rev-parse", "main"]).line();
            assert_eq!(case.sandbox.git(&copy, &["rev-parse", "HEAD"]).line(), tip);
        }
    });
}

/// The first pull of a partial repository fills its work tree.
#[test]
fn a_branch_begins_with_all_of_its_files() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        case.sandbox.git(&twin.ours, &["init", "-q", "new"]).success();
        let new = twin.ours.join("new");
        case.sandbox.git(&new, &["remote", "add", "origin", &case.url(NAME)]).success();
        case.sandbox.git(&new, &["config", "remote.origin.promisor", "true"]).success();
        case.sandbox.git(&new, &["config", "remote.origin.partialclonefilter", "blob:none"]).success();
        twin.gitr("new", &["pull", "-q", "origin", "main"]).success();
        state::assert_sound(&case.sandbox, &new);
    });
}

/// What is pushed to another repository than the promisor is whole; to the promisor itself goes only what is new.
#[test]
fn pushes_send_what_the_other_side_lacks() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        for name in ["ours.git", "them.git"] {
            build::empty(&case.sandbox, &case.served(name), case.format);
        }
        let push = |client: &Path, name: &str, is_ours: bool| {
            let url = case.url(name);
            let arguments = ["push", "-q", &url, "main", "origin/topic:refs/heads/topic"];
            let run = if is_ours { twin.gitr("copy", &arguments) } else { twin.git("copy", &arguments) };
            run.success();
            case.sandbox.git(&case.served(name), &["fsck", "--strict"]).success();
            let listed = ["rev-list", "--objects", "--all", "--missing=print"];
            assert!(
                !case.sandbox.git(&case.served(name), &listed).stdout.contains(&b'?'),
                "{}",
                client.display()
            );
        };
        push(&twin.ours, "ours.git", true);
        push(&twin.theirs, "them.git", false);
    });
}

/// `.gitmodules` of commits that were never checked out is read all the same.
#[test]
fn submodules_of_what_is_missing_are_found() {
    crate::once(Kind::File, |case| {
        let twin = clones(case, "--filter=blob:none");
        let mut stream = Stream::onto("main");
        stream.history(24..28).import(&case.sandbox, &case.served(NAME));
        twin.done("copy", &["fetch", "--recurse-submodules"]);
        same(case, &twin);
    });
}
