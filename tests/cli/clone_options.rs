//! Options of `clone` that say what is checked out, each beside C git.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Sandbox, Twin};

/// A template directory with a hook that tells of itself.
fn template(sandbox: &Sandbox, script: &str) -> String {
    let template = sandbox.path("template");
    let hook = template.join("hooks/post-checkout");
    std::fs::create_dir_all(template.join("hooks")).unwrap();
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    template.display().to_string()
}

#[test]
fn a_hook_is_told_of_the_checkout() {
    let sandbox = crate::sandbox();
    let script = "#!/bin/sh\necho \"out $*\"\necho err >&2\npwd | sed 's/.*\\///'\n\
        case $GIT_DIR in /*/*) cd \"$GIT_DIR\" && pwd | sed 's/.*\\/\\(.*\\/\\)/\\1/';; esac\n";
    let template = template(&sandbox, script);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let option = format!("--template={template}");
    twin.done("", &["clone", &option, "../served/project.git", "copy"]);
    twin.same("copy");
    twin.done("", &["clone", &option, "--no-checkout", "../served/project.git", "none"]);
    twin.done("", &["clone", &option, "--bare", "../served/project.git", "bare.git"]);
}

#[test]
fn a_hook_that_is_not_content_is_told_by_the_exit_code() {
    let sandbox = crate::sandbox();
    let template = template(&sandbox, "#!/bin/sh\nexit 3\n");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let option = format!("--template={template}");
    assert_eq!(twin.run("", &["clone", &option, "../served/project.git", "copy"]).status, 3);
    twin.same("copy");
}

#[test]
fn a_sparse_clone_has_the_files_at_the_top() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (options, name) in [
        (&["--sparse"][..], "copy"),
        (&["--sparse", "--filter=blob:none"], "partial"),
        (&["--sparse", "--branch=v1.0", "-q"], "tag"),
    ] {
        twin.done("", &[&["clone"], options, &[&url, name]].concat());
        twin.same(name);
        for file in [".git/config.worktree", ".git/info/sparse-checkout"] {
            let read = |client: &Path| std::fs::read(client.join(name).join(file)).unwrap();
            assert_eq!(read(&twin.ours), read(&twin.theirs), "{file}");
        }
        let flags = |client: &Path| sandbox.git(&client.join(name), &["ls-files", "-t"]).success().stdout;
        assert_eq!(flags(&twin.ours), flags(&twin.theirs));
    }
    // C git can make it larger, and has the files for that.
    sandbox.git(&twin.ours.join("partial"), &["sparse-checkout", "add", "deep"]).success();
    assert!(twin.ours.join("partial/deep/er/and/deeper/file.txt").exists());
    twin.done("", &["clone", "--sparse", "--no-checkout", &url, "none"]);
    assert_eq!(twin.run("", &["clone", "--sparse", "--bare", &url, "bare.git"]).status, 1);
    assert!(!twin.ours.join("bare.git").exists());
}

#[test]
fn formats_of_refs_are_known() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "--ref-format=files", "../served/project.git", "copy"]);
    assert_eq!(twin.run("", &["clone", "--ref-format=x", "../served/project.git", "other"]).status, 128);
}

#[test]
fn several_filters_are_one() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (number, filters) in [
        &["--filter=blob:limit=1k"][..],
        &["--filter=blob:limit=1K", "--filter=tree:1"],
        &["--filter=blob:none", "--filter=combine:tree:3+blob:limit=10"],
        &["--filter=object:type=commit"],
        &["--filter=sparse:oid=main:README"],
        &["--filter=combine:tree:%31+blob:none"],
    ]
    .iter()
    .enumerate()
    {
        let name = format!("copy{number}");
        twin.done("", &[&["clone", "--bare", "-q"], *filters, &[&url, &name]].concat());
        twin.same_objects(&name);
    }
    for filter in ["bogus", "combine:tree:1+x", "combine:tree:1+blob:none(", "combine:tree:1+"] {
        let option = format!("--filter={filter}");
        assert_eq!(twin.run("", &["clone", &option, &url, "bad"]).status, 128, "{filter}");
    }
}

#[test]
fn what_follows_an_option_is_its_value() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (option, status) in [
        ("-o", 0),
        ("--origin", 0),
        ("-b", 128),
        ("--branch", 128),
        ("-c", 128),
        ("--depth", 128),
        ("--reference", 128),
        ("--filter", 128),
        ("--server-option", 0),
    ] {
        assert_eq!(twin.run("", &["clone", "-q", option, "-x", &url, "copy"]).status, status, "{option}");
        if status == 0 {
            twin.same("copy");
        }
        for client in [&twin.ours, &twin.theirs] {
            std::fs::remove_dir_all(client.join("copy")).ok();
        }
    }
    twin.done("", &["clone", "-q", &url, "copy"]);
    twin.done("copy", &["remote", "add", "-m", "-x", "new", "url"]);
    assert_eq!(twin.run("copy", &["push", "-o", "-x", "origin", "main"]).status, 128);
    assert_eq!(twin.run("copy", &["push", "-o"]).status, 129);
    twin.same_state("copy");
}

/// What is to be written holds already, unless what stands in front of the command says otherwise.
#[test]
fn the_new_configuration_names_the_remote() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let source = "../served/project.git";
    let name = "clone.defaultRemoteName=zz";
    twin.done("", &["clone", "-q", "-c", name, source, "one"]);
    twin.done("", &["clone", "-q", "-c", name, "-c", "clone.defaultRemoteName=yy", source, "two"]);
    twin.done("", &["-c", "clone.defaultRemoteName=yy", "clone", "-q", "-c", name, source, "three"]);
    twin.done("", &["clone", "-q", "-c", name, "-o", "xx", source, "four"]);
    for copy in ["one", "two", "three", "four"] {
        twin.same(copy);
    }
    assert_eq!(twin.run("", &["clone", "-c", "clone.defaultRemoteName=a..b", source, "five"]).status, 128);
}

/// What a template configures holds for the clone that it is for.
#[test]
fn the_configuration_of_a_template_counts() {
    const PROJECT: &str = "../served/project.git";
    for (number, (key, value, source)) in [
        ("protocol.file.allow", "never", PROJECT),
        ("url.../served/.insteadOf", "short:", "short:project.git"),
        ("remote.origin.fetch", "+refs/heads/topic:refs/other/topic", PROJECT),
        ("core.autocrlf", "nonsense", PROJECT),
        ("core.bare", "nonsense", PROJECT),
        ("transfer.fsckObjects", "true", PROJECT),
    ]
    .into_iter()
    .enumerate()
    {
        let sandbox = crate::sandbox();
        let template = sandbox.path("template");
        std::fs::create_dir(&template).unwrap();
        sandbox.git(&template, &["config", "-f", "config", key, value]).success();
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let option = format!("--template={}", template.display());
        let run = twin.run("", &["clone", &option, source, "copy"]);
        assert_eq!(run.status == 0, twin.ours.join("copy").exists(), "{number}: {run:?}");
        if run.status == 0 {
            twin.same("copy");
        }
    }
}

#[test]
fn a_template_that_is_not_there_is_told_of() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "--template=nosuch", "../served/project.git", "copy"]);
    twin.done("", &["-c", "init.templateDir=nosuch", "clone", "-q", "../served/project.git", "other"]);
    twin.same("copy");
}
