//! Remote helper programs: a few lines of shell, and git's own. gitremote-helpers(7).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Format, Kind, Sandbox, Stream, Twin, build, variable};

/// Connects with the repository at its address.
const CONNECT: &str = r#"#!/bin/sh
while read -r line; do case "$line" in
capabilities) echo connect; echo ;;
connect*) echo; exec git "${line#connect git-}" "$2" ;;
'') exit ;;
esac; done
"#;

/// Moves refs and objects itself.
const COMMANDS: &str = r#"#!/bin/sh
far() { GIT_DIR=$2 git for-each-ref --format='%(objectname) %(refname)'; }
while read -r line; do case "$line" in
capabilities) printf '%s\n' fetch push option ''; ;;
option\ verbosity*|option\ progress*|option\ depth*|option\ cloning*|option\ followtags*|option\ dry-run*) echo ok ;;
option*) echo unsupported ;;
list*) far "$@"; echo "@$(GIT_DIR=$2 git symbolic-ref HEAD) HEAD"; echo ;;
fetch*)
    ids=
    while test -n "$line"; do line=${line#fetch }; ids="$ids ${line%% *}"; read -r line; done
    kept=$(git fetch-pack -q --no-progress "$2" $ids) || exit 1
    kept=$(echo "$kept" | sed -n 's/^keep.//p')
    test -z "$kept" || echo "lock $(cd "$GIT_DIR" && pwd)/objects/pack/pack-$kept.keep"
    echo ;;
push*)
    while test -n "$line"; do
        refspec=${line#push }
        if test "${refspec#*:}" = refs/heads/closed; then echo "error ${refspec#*:} it is closed"
        elif git push -q "$2" "$refspec" 2>/dev/null; then echo "ok ${refspec#*:}"
        else echo "error ${refspec#*:} non-fast forward"; fi
        read -r line
    done
    echo ;;
'') exit ;;
esac; done
"#;

/// Speaks in fast-import streams.
const FOREIGN: &str = r#"#!/bin/sh
private=refs/foreign/heads
far=$2
unset GIT_WORK_TREE
while read -r line; do case "$line" in
capabilities) printf '%s\n' import export "refspec refs/heads/*:$private/*" ''; ;;
list*) GIT_DIR=$far git for-each-ref --format='? %(refname)' refs/heads; echo '@refs/heads/main HEAD'; echo ;;
import*)
    refs=
    while test -n "$line"; do refs="$refs ${line#import }"; read -r line; done
    echo 'feature done'
    GIT_DIR=$far git fast-export --refspec="refs/heads/*:$private/*" $refs
    echo done ;;
export)
    before=$(GIT_DIR=$far git for-each-ref --format=' %(refname) %(objectname) ')
    GIT_DIR=$far git fast-import --quiet --force || exit 1
    GIT_DIR=$far git for-each-ref --format='%(refname) %(objectname)' | while read -r name id; do
        case "$before" in *" $name $id "*) ;; *) echo "ok $name" ;; esac
    done
    echo ;;
'') exit ;;
esac; done
"#;

/// Takes every option and does nothing, but tells of leases and refs as it hears them.
const LISTENER: &str = r#"#!/bin/sh
while read -r line; do case "$line" in
capabilities) printf '%s\n' push option ''; ;;
option*) case "$line" in *\ cas\ *) echo "$line" >&2 ;; esac; echo ok ;;
list*) GIT_DIR=$2 git for-each-ref --format='%(objectname) %(refname)'; echo ;;
push*) while test -n "$line"; do echo "$line" >&2; echo "ok ${line#*:}"; read -r line; done; echo ;;
'') exit ;;
esac; done
"#;

/// A sandbox with the programs, which may be used.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("bin")).unwrap();
    let programs =
        [("connect", CONNECT), ("commands", COMMANDS), ("foreign", FOREIGN), ("listener", LISTENER)];
    for (name, text) in programs {
        let file = sandbox.path("bin").join(format!("git-remote-{name}"));
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = variable("PATH").unwrap_or_default();
    sandbox.set("PATH", format!("{}:{}", sandbox.path("bin").display(), path.to_str().unwrap()));
    sandbox.set("GIT_ALLOW_PROTOCOL", "file:connect:commands:foreign:listener:ext:http");
    sandbox
}

/// Two clients, each beside a repository of its own.
fn twin(sandbox: &Sandbox, version: u8) -> Twin<'_> {
    let twin = Twin::new(sandbox, version, Vec::new());
    for client in [&twin.ours, &twin.theirs] {
        build::project(sandbox, &client.join("far.git"), Format::Sha1, 20);
        sandbox.git(&client.join("far.git"), &["tag", "-d", "v0.1"]).success();
    }
    twin
}

/// Commits beside each client and in its clone.
fn grow(sandbox: &Sandbox, twin: &Twin<'_>, first: usize) {
    twin.prepare(|client| {
        let mut stream = Stream::onto("main");
        let (from, to) = (first, first + 3);
        stream.history(from..to).annotated_tag(&format!("t{first}"), "refs/heads/main");
        stream.import(sandbox, &client.join("far.git"));
    });
}

/// Clone, fetch, push and ls-remote by the program of `url`, which finds `far.git` from where the client is.
fn round(sandbox: &Sandbox, twin: &Twin<'_>, url: &str) {
    twin.done("", &["clone", &url.replace('@', "far.git"), "copy"]);
    twin.same_objects("copy");
    let url = &url.replace('@', "../far.git");
    for client in [&twin.ours, &twin.theirs] {
        sandbox.git(&client.join("copy"), &["remote", "set-url", "origin", url]).success();
    }
    twin.done("copy", &["ls-remote"]);
    twin.done("copy", &["ls-remote", url, "refs/heads/*"]);
    grow(sandbox, twin, 40);
    twin.done("copy", &["fetch"]);
    twin.same_objects("copy");
    twin.done("copy", &["fetch", "-v"]);
    twin.done("copy", &["fetch", url, "topic"]);
    twin.same("copy");
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["reset", "-q", "--hard", "origin/main"]).success();
        sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    });
    twin.done("copy", &["push"]);
    twin.done("copy", &["push", "origin", "HEAD:refs/heads/new", "main:refs/heads/more"]);
    twin.done("copy", &["push", url, "main"]);
    twin.same("copy");
    twin.same("far.git");
}

#[test]
fn a_helper_that_connects() {
    let sandbox = sandbox();
    for version in [0, 2] {
        let twin = twin(&sandbox, version);
        round(&sandbox, &twin, "connect::@");
        twin.done("copy", &["push", "origin", ":new", "--porcelain"]);
    }
}

#[test]
fn a_helper_with_commands_of_its_own() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    round(&sandbox, &twin, "commands::@");
    twin.done("copy", &["push", "origin", ":new", "+HEAD~1:more"]);
    twin.done("copy", &["push", "--dry-run", "origin", "main:not/made"]);
    let refused = twin.run("copy", &["push", "origin", "main:closed", "HEAD~2:main"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    for option in ["--atomic", "--signed", "--push-option=x"] {
        let unsupported = twin.run("copy", &["push", option, "origin", "main:other"]);
        assert_eq!(unsupported.status, 128, "{unsupported:?}");
    }
    twin.done("", &["clone", "-q", "--depth=2", "commands::far.git", "cut"]);
    twin.same("cut");
    twin.done("", &["clone", "-q", "--single-branch", "--bare", "commands::far.git", "one.git"]);
    twin.same("one.git");
}

#[test]
fn a_helper_that_speaks_in_streams() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    let foreign = "foreign::@";
    twin.done("", &["clone", "-q", &foreign.replace('@', "far.git"), "copy"]);
    twin.same_objects("copy");
    let url = &foreign.replace('@', "../far.git");
    for client in [&twin.ours, &twin.theirs] {
        sandbox.git(&client.join("copy"), &["remote", "set-url", "origin", url]).success();
    }
    grow(&sandbox, &twin, 40);
    twin.done("copy", &["fetch", "-q"]);
    twin.same("copy");
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["reset", "-q", "--hard", "origin/main"]).success();
        sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    });
    twin.done("copy", &["push", "origin", "HEAD"]);
    twin.done("copy", &["push", "origin", "main:refs/heads/new"]);
    twin.same("copy");
    twin.same("far.git");
    let unsupported = twin.run("copy", &["push", "--dry-run", "origin", "main:other"]);
    assert_eq!(unsupported.status, 128, "{unsupported:?}");
}

#[test]
fn a_helper_brings_what_a_partial_clone_lacks() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    let fetches =
        COMMANDS.replace("option\\ dry-run*", "option\\ dry-run*|option\\ filter*|option\\ from-promisor*");
    fs::write(sandbox.path("bin/git-remote-commands"), fetches).unwrap();
    for client in [&twin.ours, &twin.theirs] {
        let url = format!("file://{}", client.join("far.git").display());
        let words = ["clone", "-q", "--bare", "--filter=blob:none", &url, "partial.git"];
        sandbox.git(client, &words).success();
        let partial = client.join("partial.git");
        sandbox.git(&partial, &["config", "remote.origin.url", "commands::../far.git"]).success();
        build::empty(&sandbox, &client.join("other.git"), Format::Sha1);
    }
    // the blobs have to be sent, and are not there
    twin.done("partial.git", &["push", "-q", "../other.git", "main"]);
    twin.same_objects("other.git");
    // where the helper pushes itself nothing is negotiated beforehand
    twin.done("partial.git", &["-c", "push.negotiate=true", "push", "origin", "main:refs/heads/again"]);
    twin.same("far.git");
}

#[test]
fn a_helper_hears_of_each_lease() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    twin.done("", &["clone", "far.git", "copy"]);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["remote", "set-url", "origin", "listener::../far.git"]).success();
        sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    });
    for (leases, ours) in [
        (&["--force-with-lease"][..], 2),
        (&["--force-with-lease=main"], 1),
        (&["--force-with-lease=heads/main:main~1", "--force-with-lease=nosuch:main"], 1),
        (&["--force-with-lease=main:main~2", "--force-with-lease"], 1),
        (&["--mirror", "--force-with-lease=main"], 1),
    ] {
        let refspecs = ["origin", "main", "main:refs/heads/new"];
        let named = if leases.contains(&"--mirror") { &refspecs[..1] } else { &refspecs };
        let run = twin.run("copy", &[&["push", "--dry-run"], leases, named].concat());
        let heard = run.stderr.to_string().matches("option cas refs/heads/").count();
        assert_eq!(heard, ours, "{leases:?} {run:?}");
    }
}

#[test]
fn gits_own_ext() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    round(&sandbox, &twin, "ext::git %s @");
    let missing = twin.run("", &["clone", "ext::git %s nosuch.git", "none"]);
    assert_eq!(missing.status, 128, "{missing:?}");
    assert!(!twin.ours.join("none").exists());
    twin.done("", &["clone", "-q", "--upload-pack=x", "ext::git %s far.git", "named"]);
    twin.same("named");
}

#[test]
fn gits_own_http() {
    for version in [0, 2] {
        crate::once(Kind::Apache, |case| {
            build::project(&case.sandbox, &case.served("r.git"), case.format, 12);
            case.refresh("r.git");
            let url = format!("http::{}", case.url("r.git"));
            let twin = Twin::new(&case.sandbox, version, Vec::new());
            twin.done("", &["ls-remote", &url]);
            twin.done("", &["clone", "-q", &url, "copy"]);
            twin.same_objects("copy");
            let mut stream = Stream::onto("main");
            stream.history(12..15).import(&case.sandbox, &case.served("r.git"));
            case.refresh("r.git");
            twin.done("copy", &["fetch", "-q"]);
            twin.same("copy");
            let copy = twin.ours.join("copy");
            case.sandbox.git(&case.served("r.git"), &["config", "http.receivePack", "true"]).success();
            case.sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
            twin.gitr("copy", &["push", "origin", "HEAD:refs/heads/new"]).success();
            let id = |place, name| case.sandbox.git(place, &["rev-parse", name]).success().line();
            assert_eq!(id(&case.served("r.git"), "new"), id(&copy, "HEAD"));
        });
    }
}

#[test]
fn a_helper_named_by_the_configuration() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    twin.done("", &["clone", "-q", "--no-local", "-c", "remote.origin.vcs=commands", "far.git", "copy"]);
    twin.same("copy");
    twin.done("copy", &["fetch"]);
    twin.done("copy", &["push", "origin", "main:refs/heads/new"]);
    twin.same("copy");
}

#[test]
fn a_helper_that_fails() {
    let sandbox = sandbox();
    let twin = twin(&sandbox, 2);
    let file = sandbox.path("bin/git-remote-commands");
    for text in [
        "#!/bin/sh\nread -r line\necho oops >&2\nexit 3\n".to_owned(),
        "#!/bin/sh\nread -r line\necho '*nosuch'; echo\n".to_owned(),
        COMMANDS.replace("far \"$@\";", "echo oops >&2; exit 3;"),
        COMMANDS.replace("far \"$@\";", "echo nonsense;"),
        COMMANDS.replace("    kept=", "    echo oops >&2; exit 3; kept="),
        CONNECT.replace("echo; exec", "echo oops >&2; exit 3;"),
        CONNECT.replace("echo; exec", "echo fallback; read -r line; echo; exit;"),
    ] {
        fs::write(&file, text).unwrap();
        let run = twin.run("", &["clone", "commands::far.git", "copy"]);
        if run.status != 0 {
            assert!(!twin.ours.join("copy").exists());
        }
        fs::remove_dir_all(twin.ours.join("copy")).ok();
        fs::remove_dir_all(twin.theirs.join("copy")).ok();
    }
    fs::write(&file, COMMANDS.replace("$(git fetch-pack", "$(: git fetch-pack")).unwrap();
    let nothing_came = twin.gitr("", &["clone", "commands::far.git", "copy"]);
    assert_eq!(nothing_came.status, 128, "{nothing_came:?}");
    assert!(!twin.ours.join("copy").exists());
    let missing = twin.run("", &["ls-remote", "nosuch-helper::x"]);
    assert_eq!(missing.status, 128);
    let forbidden = twin.run("", &["ls-remote", "forbidden::x"]);
    assert_eq!(forbidden.status, 128);
}
