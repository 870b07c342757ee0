//! Servers that are asked for refs by name: `uploadpack.allowRefInWant`.

use bstr::{BString, ByteSlice};

use crate::support::{Format, Run, Sandbox, Stream, Twin, build};

/// What is asked for, and what the server says of it; what is asked for goes in no order.
fn wants(run: &Run) -> Vec<BString> {
    let text = |line: &[u8]| {
        let (_, text) = line.split_once_str("> ").or_else(|| line.split_once_str("< "))?;
        let is_asked = text.starts_with(b"want ") || text.starts_with(b"want-ref ") || text == b"wanted-refs";
        is_asked.then(|| BString::from(text.trim_end()))
    };
    let mut lines: Vec<BString> = run.stderr.lines().filter_map(text).collect();
    lines.sort();
    lines
}

#[test]
fn refs_are_wanted_by_name_as_by_git() {
    let mut sandbox = Sandbox::new();
    let served = sandbox.path("served/project.git");
    build::project(&sandbox, &served, Format::Sha1, 12);
    sandbox.git(&served, &["config", "uploadpack.allowRefInWant", "true"]).success();
    sandbox.git(&served, &["config", "uploadpack.allowAnySHA1InWant", "true"]).success();
    let id = sandbox.git(&served, &["rev-parse", "main~3"]).success().line();
    let url = format!("file://{}", served.display());
    // a program of its own tells what it hears and says
    sandbox.set("GIT_TRACE_PACKET", "1");
    let commands: [&[&str]; 7] = [
        &["fetch", &url, "main"],
        &["fetch", &url, "HEAD"],
        &["fetch", &url, "refs/heads/*:refs/x/*"],
        &["fetch", &url, &id],
        &["fetch", &url, "topic", &id],
        &["clone", "--bare", &url, "bare"],
        &["clone", "--single-branch", "-b", "topic", &url, "copy"],
    ];
    for command in commands {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        twin.prepare(|directory| drop(sandbox.git(directory, &["init", "-q"]).success()));
        let (ours, theirs) = (twin.gitr("", command).success(), twin.git("", command).success());
        assert_eq!(wants(&ours), wants(&theirs), "{command:?}");
        assert!(!wants(&ours).is_empty(), "{command:?}: {ours:?}");
        // what is named is had, and whole
        let name = match command {
            [.., "bare"] => "bare",
            [.., "copy"] => "copy",
            _ => "",
        };
        twin.same(name);
    }
}

#[test]
fn what_moves_is_followed_by_name() {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served/project.git");
    build::project(&sandbox, &served, Format::Sha1, 12);
    sandbox.git(&served, &["config", "uploadpack.allowRefInWant", "true"]).success();
    let url = format!("file://{}", served.display());
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", &url, "copy"]);
    Stream::onto("main").commit("main", 100).file("new", "new\n").import(&sandbox, &served);
    twin.done("copy", &["fetch", "-v"]);
    twin.same("copy");
    sandbox.git(&served, &["update-ref", "refs/heads/main", "main~2"]).success();
    twin.done("copy", &["fetch", "-v"]);
    twin.same("copy");
}
