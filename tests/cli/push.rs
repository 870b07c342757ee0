//! What `push` and `send-pack` say: usage, what does not go together, and around the table.

use bstr::ByteSlice;

use super::support::sandbox::gitr_program;
use super::support::{Git, Run, Sandbox, Twin};
use super::{clones, misused, sandbox};

/// Two clients, each with a server of its own in `served.git` and a clone of it in `copy`, which is one commit ahead.
pub(super) fn pushers(sandbox: &Sandbox) -> Twin<'_> {
    let twin = Twin::new(sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    twin.prepare(|client| {
        let git = |arguments: &[&str]| sandbox.git(client, arguments).success();
        git(&["clone", "-q", "--bare", &source, "served.git"]);
        git(&["clone", "-q", "served.git", "copy"]);
        git(&["-C", "copy", "remote", "set-url", "origin", "../served.git"]);
        git(&["-C", "copy", "commit", "-q", "--allow-empty", "-m", "ahead"]);
    });
    twin
}

/// Checks that both servers have the same refs.
#[track_caller]
pub(super) fn same_server(sandbox: &Sandbox, twin: &Twin<'_>) {
    let refs = |client: &std::path::Path| sandbox.git(&client.join("served.git"), &["for-each-ref"]).stdout;
    assert_eq!(refs(&twin.ours), refs(&twin.theirs));
}

#[test]
fn usage_lists_the_options_of_git() {
    let sandbox = Sandbox::new();
    for command in ["push", "send-pack"] {
        let ours = sandbox.gitr(&sandbox.path(""), &[command, "-h"]);
        let theirs = sandbox.git(&sandbox.path(""), &[command, "-h"]);
        assert_eq!((&ours.stdout, &ours.stderr, ours.status), (&theirs.stdout, &theirs.stderr, 129));
    }
}

#[test]
fn unknown_options_are_misuse() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for command in ["push", "send-pack"] {
        for option in ["--nosuch", "-Z", "--receive-pack", "--thin=x"] {
            misused(&twin, &[command, option]);
        }
    }
    for arguments in [
        &["push", "-o"][..],
        &["push", "--repo"],
        &["push", "--recurse-submodules"],
        &["push", "--no-ipv4"],
        &["push", "--force-with-lease=main:nosuch", "origin", "main"],
        &["push", "--force-with-lease=:a:b", "origin", "main"],
        &["send-pack"],
        &["send-pack", "--all", "--mirror", "nowhere"],
        &["send-pack", "--all", "nowhere", "main"],
        &["send-pack", "--mirror", "nowhere", "main"],
    ] {
        misused(&twin, arguments);
    }
}

#[test]
fn options_that_exclude_each_other() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for arguments in [
        &["--delete", "--all", "origin", "main"][..],
        &["--delete", "--mirror"],
        &["--delete", "--tags"],
        &["--tags", "--branches"],
        &["--mirror", "--tags"],
        &["--mirror", "--branches"],
        &["--delete", "--tags", "--all", "origin", "main"],
        &["--delete", "--tags", "--all", "--mirror", "origin", "main"],
        &["--all", "origin", "main"],
        &["--branches", "origin", "main"],
        &["--mirror", "origin", "main"],
        &["--delete"],
        &["--delete", "origin"],
    ] {
        assert_eq!(twin.run("copy", &[&["push"], arguments].concat()).status, 128, "{arguments:?}");
    }
    twin.prepare(|client| {
        sandbox.git(&client.join("copy"), &["config", "remote.origin.mirror", "true"]).success();
    });
    assert_eq!(twin.run("copy", &["push", "origin", "main"]).status, 128);
}

#[test]
fn words_that_make_no_refspec() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for arguments in [
        &["origin", "tag"][..],
        &["--delete", "origin", ":main"],
        &["--delete", "origin", "main:other"],
        &["--delete", "origin", "tag"],
        &["--delete", "origin", ""],
        &["-o", "a\nb", "origin", "main"],
        &["--signed=nosuch"],
        &[""],
        &["--repo="],
    ] {
        assert_eq!(twin.run("copy", &[&["push"], arguments].concat()).status, 128, "{arguments:?}");
    }
    assert_eq!(twin.run("copy", &["send-pack", "--signed=nosuch", "nowhere", "main"]).status, 128);
    let foreign = ["send-pack", "--remote=origin", "nowhere", "main"];
    assert_eq!(twin.run("copy", &foreign).status, 128);
}

#[test]
fn values_of_the_configuration_that_mean_nothing() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for value in [
        "push.gpgSign=nosuch",
        "push.followTags=nosuch",
        "push.useForceIfIncludes=nosuch",
        "push.autoSetupRemote=nosuch",
    ] {
        assert_eq!(twin.run("copy", &["-c", value, "push", "origin", "main"]).status, 128, "{value}");
    }
    for key in
        ["push.pushOption", "remote.nosuch.url", "remote.pushDefault", "branch..remote=x", "url.x.insteadOf"]
    {
        assert_eq!(twin.run("copy", &["-c", key, "push", "origin", "main"]).status, 128, "{key}");
    }
    for value in ["color.push.error=nosuch", "color.push.reset=nosuch", "color.advice.hint=nosuch"] {
        let colored = ["-c", "color.push=always", "-c", "color.advice=always", "-c", value, "push", "origin"];
        assert_eq!(twin.run("copy", &colored).status, 128, "{value}");
    }
}

#[test]
fn a_push_needs_a_destination() {
    let sandbox = Sandbox::new();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.prepare(|client| {
        sandbox.git(client, &["init", "-q", "copy"]).success();
    });
    assert_eq!(twin.run("copy", &["push"]).status, 128);
    assert_eq!(twin.run("copy", &["push", "--porcelain"]).status, 128);
    assert_eq!(twin.run("", &["push"]).status, 128);
}

#[test]
fn what_is_pushed_can_be_followed() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    for arguments in [
        &["push", "-u", "origin", "main:refs/heads/one", "HEAD:refs/heads/two"][..],
        &["push", "-n", "-u", "origin", "main:refs/heads/three"],
        &["push", "-q", "-u", "origin", "main:refs/heads/three"],
        &["push", "-u", "../served.git", "main"],
        &["push", "-u", "origin", "main:refs/tags/no-branch", "HEAD~1:refs/heads/no-source"],
        &["-c", "branch.autoSetupRebase=always", "push", "-v", "-u", "origin", "main"],
        &["push", "--porcelain", "-u", "origin", "main"],
    ] {
        twin.done("copy", arguments);
        let config =
            |client: &std::path::Path| std::fs::read_to_string(client.join("copy/.git/config")).unwrap();
        assert_eq!(config(&twin.ours), config(&twin.theirs), "{arguments:?}");
    }
    same_server(&sandbox, &twin);
}

#[test]
fn each_url_is_pushed_to_and_one_failure_is_enough() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.prepare(|client| {
        sandbox.git(client, &["clone", "-q", "--bare", "served.git", "second.git"]).success();
        sandbox.git(&client.join("served.git"), &["branch", "-q", "other", "main~3"]).success();
        for url in ["../served.git", "../second.git"] {
            let add = ["config", "--add", "remote.origin.pushurl", url];
            sandbox.git(&client.join("copy"), &add).success();
        }
    });
    twin.done("copy", &["push", "-v", "origin", "main"]);
    assert_eq!(twin.run("copy", &["push", "origin", "main~5:refs/heads/other"]).status, 1);
    assert_eq!(
        twin.run("copy", &["push", "--porcelain", "origin", "main~4:refs/heads/other", ":main"]).status,
        1
    );
    same_server(&sandbox, &twin);
}

#[test]
fn of_two_verbosities_the_last_counts() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.done("copy", &["push", "-v", "-q", "origin", "main"]);
    twin.done("copy", &["push", "-q", "-v", "origin", "main"]);
    twin.done("copy", &["push", "--no-quiet", "origin", "main"]);
    twin.done("copy", &["push", "-q", "--porcelain", "origin", "main"]);
}

#[test]
fn a_rejection_says_how_to_go_on_unless_told_not_to() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    let behind = ["push", "origin", "main~3:main"];
    for before in [
        &[][..],
        &["-c", "advice.pushUpdateRejected=false"],
        &["-c", "advice.pushNonFFCurrent=false"],
        &["-c", "advice.pushNonFFMatching=false"],
        &["--no-advice"],
        &["-c", "color.push=always", "-c", "color.advice=always", "-c", "color.transport=always"],
        &["-c", "color.push=always", "-c", "color.push.error=bold 12", "-c", "color.push.reset=cyan"],
        &["-c", "color.ui=always"],
    ] {
        let arguments = [before, &behind].concat();
        assert_eq!(twin.run("copy", &arguments).status, 1, "{before:?}");
    }
    assert_eq!(twin.run("copy", &["push", "origin", "nosuch"]).status, 1);
    assert_eq!(twin.run("copy", &["push", "origin", "HEAD~1:unqualified"]).status, 1);
    assert_eq!(twin.run("copy", &["push", "origin", ":nosuch"]).status, 1);
}

#[test]
fn the_words_of_the_far_side_have_the_colors_of_the_configuration() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    let script = "#!/bin/sh\nprintf 'error: e\\nhint: h\\nwarning: w\\n Success s\\nerrors\\n'\nexit 1\n";
    twin.prepare(|client| {
        let hook = client.join("served.git/hooks/update");
        std::fs::create_dir_all(client.join("served.git/hooks")).unwrap();
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    });
    let push = ["push", "origin", "main:refs/heads/other"];
    for colors in [
        &[][..],
        &["color.remote.error=blue"],
        &["color.remote.error=", "color.remote.hint=normal", "color.remote.warning=reset"],
        &["color.remote.error=nosuch", "color.remote.hint=9 9 9", "color.remote.warning=blue"],
        &["color.remote.success=200 ul", "color.remote.reset=blue", "color.remote.hint=#ff0000 blue"],
    ] {
        let settings = ["color.remote=always"].iter().chain(colors).flat_map(|setting| ["-c", setting]);
        let run = twin.run("copy", &settings.chain(push).collect::<Vec<_>>());
        assert_eq!(run.status, 1, "{colors:?}");
        assert!(run.stderr.contains(&0x1b), "{run:?}");
    }
    for colors in ["color.remote.error=blue", "color.remote.error=nosuch"] {
        assert_eq!(twin.run("copy", &[&["-c", colors][..], &push].concat()).status, 1, "{colors}");
    }
}

#[test]
fn refspecs_come_from_standard_input() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    let run = |program: &std::ffi::OsStr, client: &std::path::Path| {
        let mut command = sandbox.command(program);
        command.current_dir(client.join("copy")).args(["send-pack", "--stdin", "../served.git", "main"]);
        Run::with_input(&mut command, b"main:refs/heads/one\n:refs/heads/topic\n")
    };
    let ours = run(&gitr_program(), &twin.ours);
    let theirs = run(Git::reference().program.as_os_str(), &twin.theirs);
    assert_eq!((&ours.stdout, &ours.stderr, ours.status), (&theirs.stdout, &theirs.stderr, theirs.status));
    same_server(&sandbox, &twin);
}

#[test]
fn no_password_of_a_url_is_shown() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    let ssh =
        ["-c", "ssh.variant=simple", "-c", "core.sshCommand=sh -c 'git receive-pack ../served.git' ssh"];
    for command in ["send-pack", "push"] {
        let refspec = format!("main:refs/heads/{command}");
        let pushed = [command, "ssh://me:s3cret@git.test/x", refspec.as_str()];
        let said = twin.done("copy", &[&ssh[..], &pushed].concat()).stderr;
        assert!(said.contains_str("To ssh://git.test/x\n") && !said.contains_str("s3cret"), "{said}");
    }
}

#[test]
fn a_helper_is_told_of_each_ref() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    let push = |id: &str| {
        let new = format!("{id}:refs/heads/new");
        twin.run("copy", &["send-pack", "--helper-status", "../served.git", "main", &new])
    };
    let told = push("main~3").success().stdout;
    assert!(told.starts_with(b"ok refs/heads/main\n") && told.ends_with(b"ok refs/heads/new\n"), "{told}");
    assert!(told.contains_str("error refs/heads/topic no match\n"), "{told}");
    let told = push("main~4");
    assert!(told.stdout.contains_str("error refs/heads/new non-fast forward\n"), "{told:?}");
    assert_eq!(told.status, 255);
}

/// Files that describe remotes, from before the configuration did.
#[test]
fn old_files_tell_where_to_push_and_what() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.prepare(|client| {
        let place = |name: &str| client.join("copy/.git").join(name);
        for directory in ["branches", "remotes"] {
            std::fs::create_dir_all(place(directory)).unwrap();
        }
        std::fs::write(place("branches/plain"), "../served.git\n").unwrap();
        std::fs::write(place("branches/other"), "../served.git#other\n").unwrap();
        std::fs::write(place("remotes/old"), "URL: ../served.git\nPush: main:refs/heads/pushed\n").unwrap();
    });
    for name in ["plain", "other", "old"] {
        let said = twin.done("copy", &["push", name]).stderr;
        assert!(said.contains_str("-> "), "{said}");
        same_server(&sandbox, &twin);
    }
}

#[test]
fn http_is_spoken_by_whoever_starts_send_pack() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    let served = twin.ours.join("served.git");
    let advertised =
        sandbox.git(&served, &["receive-pack", "--stateless-rpc", "--advertise-refs", "."]).success();
    let mut command = sandbox.command(gitr_program());
    let arguments = ["send-pack", "--stateless-rpc", "--helper-status", "http://example.com/", "main"];
    command.current_dir(twin.ours.join("copy")).args(arguments);
    let run = Run::with_input(&mut command, &advertised.stdout);
    // The server's answer does not come: what was asked for stands in pkt-lines all the same.
    assert_eq!(run.status, 128, "{run:?}");
    assert!(run.stdout.contains_str(" refs/heads/main\0"), "{run:?}");
    assert!(run.stdout.ends_with(b"0000"), "{run:?}");
}
