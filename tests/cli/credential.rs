//! `gitr credential` and its helpers beside C git's.

use std::fs;

use super::support::sandbox::gitr_program;
use super::support::{Run, Sandbox};

/// A helper that tells what it hears and knows nothing.
const LISTENER: &str = "!f() { echo \"helper $1\" >&2; cat >&2; }; f";

/// A helper that knows all that can be known.
const KNOWS_ALL: &str = "!f() { cat >&2; echo capability[]=authtype; echo capability[]=state; echo state[]=me:1; \
                         echo state[]=me:2; echo authtype=Bearer; echo credential=tok; echo ephemeral=1; \
                         echo continue=1; echo username=u; echo password=p; echo oauth_refresh_token=o; \
                         echo password_expiry_utc=99999999999; }; f";

/// What a helper can do wrong, and other moods.
const MOODS: [&str; 6] = [
    "!exit 3;:",
    "!f() { echo username=a; echo quit=yes; }; f",
    "!f() { echo username=a; echo bad; echo password=x; }; f",
    "!f() { echo authtype=Bearer; echo credential=tok; echo state[]=a; }; f",
    "!f() { echo username=a; echo password=old; echo password_expiry_utc=1; }; f",
    "no-such-helper",
];

const DESCRIPTIONS: [&str; 14] = [
    "",
    "protocol=https\nhost=git.test\n\n",
    "protocol=https\nhost=git.test\nusername=u",
    "capability[]=authtype\ncapability[]=state\nwwwauth[]=Basic\nprotocol=https\nhost=git.test\npath=a/b\n\n",
    "capability[]=state\nstate[]=x:1\nstate[]=x:2\nprotocol=https\nhost=git.test\n\n",
    "url=https://u:p@git.test:80/x/y\n\n",
    "url=cert:///a/b/\nusername=u\npassword=p\n\n",
    "protocol=https\nusername=u\n\n",
    "host=git.test\n\n",
    "protocol=https\nhost=git.test\nusername=u\npassword=p\npassword_expiry_utc=1\n\n",
    "nokeyvalue\n\n",
    "url=https://h%0ahost=evil/x\n\n",
    "url=https://@git.test/x\n\n",
    "url=https://:p@git.test/x\n\n",
];

/// Gives `input` to both, and checks that both print and return the same.
#[track_caller]
fn same(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Run {
    let run = |program: std::ffi::OsString| {
        let mut command = sandbox.command(program);
        command.current_dir(sandbox.path("")).args(arguments);
        Run::with_input(&mut command, input.as_bytes())
    };
    let (ours, theirs) = (run(gitr_program()), run("git".into()));
    let same = (&ours.stdout, &ours.stderr, ours.status) == (&theirs.stdout, &theirs.stderr, theirs.status);
    assert!(same, "{arguments:?} {input:?}\n{ours:?}\n== git\n{theirs:?}");
    theirs
}

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("GIT_TERMINAL_PROMPT", "0");
    sandbox
}

#[test]
fn helpers_are_told_and_asked_as_by_git() {
    let sandbox = sandbox();
    for action in ["fill", "approve", "reject"] {
        for input in DESCRIPTIONS {
            for helper in [LISTENER, KNOWS_ALL].iter().chain(&MOODS) {
                let helper = format!("credential.helper={helper}");
                let listener = format!("credential.helper={LISTENER}");
                let arguments = ["-c", &helper, "-c", &listener, "credential", action];
                same(&sandbox, &arguments, input);
            }
            let helper = format!("credential.helper={LISTENER}");
            let arguments = ["-c", "credential.useHttpPath=true", "-c", &helper, "credential", action];
            same(&sandbox, &arguments, input);
        }
    }
}

#[test]
fn the_configuration_is_read_as_by_git() {
    let sandbox = sandbox();
    let input = "url=https://user@git.test/a/b\npassword=\n\n";
    let unnamed = "url=https://git.test/a/b\n\n";
    let nobody = "url=https://@git.test/a/b\n\n";
    for setting in [
        "credential.git.test.helper",
        "credential.user@git.test.helper",
        "credential.you@git.test.helper",
        "credential.https://.helper",
        "credential.http://.helper",
        "credential.https://*.test.helper",
        "credential.*.test.helper",
        "credential.https://git.test/a.helper",
        "credential.git.test/a.helper",
        "credential.git.test/a/b.helper",
        "credential.https://git.test:443.helper",
        "credential.https://@git.test.helper",
        "credential.https://:p@git.test.helper",
        "credential.https:/git.test.helper",
        "credential.https://git.test./a/x/...helper",
        "credential.https://git.test/a?x.helper",
        "credential.https://git%2etest.helper",
        "credential.with%0anewline.helper",
    ] {
        let setting = format!("{setting}=!echo password=yes;:");
        for input in [input, unnamed, nobody] {
            let arguments =
                ["-c", "credential.useHttpPath=true", "-c", "credential.username=n", "-c", &setting];
            same(&sandbox, &[&arguments[..], &["credential", "fill"]].concat(), input);
        }
    }
    for setting in ["credential.interactive=never", "credential.useHttpPath=foo", "credential.username="] {
        same(&sandbox, &["-c", setting, "credential", "fill"], unnamed);
    }
    same(&sandbox, &["credential", "capability"], "");
    for wrong in [&["credential"][..], &["credential", "frob"], &["credential", "fill", "x"]] {
        same(&sandbox, wrong, "");
    }
}

#[test]
fn the_helpers_that_come_with_git_keep_what_was_approved() {
    let sandbox = sandbox();
    let known = "protocol=https\nhost=git.test\nusername=alice\npassword=hunter2\n\n";
    let asked = "protocol=https\nhost=git.test\n\n";
    let socket = sandbox.path("cache/socket");
    for helper in ["store".to_owned(), format!("cache --timeout=60 --socket={}", socket.display())] {
        let helper = format!("credential.helper={helper}");
        let ours = |action: &str, input: &str| {
            let mut command = sandbox.command(gitr_program());
            command.current_dir(sandbox.path("")).args(["-c", &helper, "credential", action]);
            Run::with_input(&mut command, input.as_bytes())
        };
        ours("approve", known).success();
        let found = ours("fill", asked).success();
        assert_eq!(found.stdout, known.trim_end().to_owned() + "\n", "{helper}");
        let theirs = same(&sandbox, &["-c", &helper, "credential", "fill"], asked);
        assert_eq!(theirs.stdout, found.stdout);
        ours("reject", known).success();
        assert_eq!(ours("fill", asked).status, 128, "{helper} has forgotten");
    }
    let socket = format!("--socket={}", socket.display());
    sandbox.git(&sandbox.path(""), &["credential-cache", &socket, "exit"]).success();
}

#[test]
fn no_helper_hears_a_value_that_would_fool_it() {
    let sandbox = sandbox();
    let log = sandbox.path("heard");
    let helper = format!("credential.helper=!f() {{ cat >>'{}'; }}; f", log.display());
    for input in [
        "url=https://h%0ahost=evil/x\n\n",
        "url=https://u%0a@h/x\n\n",
        "url=https://h/x%0ay\n\n",
        "url=https://h%0dx/y\n\n",
        "protocol=https\n\n",
        "host=h\n\n",
        "url=:///x\n\n",
    ] {
        let mut command = sandbox.command(gitr_program());
        command.current_dir(sandbox.path("")).args(["-c", &helper, "credential", "fill"]);
        let run = Run::with_input(&mut command, input.as_bytes());
        assert_eq!(run.status, 128, "{input:?}: {run:?}");
    }
    assert!(!fs::exists(&log).unwrap());
}

#[test]
fn passwords_in_urls_are_told_of() {
    let sandbox = sandbox();
    let url = "http://user:hunter2@127.0.0.1:1/x";
    for setting in ["die", "bogus"] {
        let setting = format!("transfer.credentialsInUrl={setting}");
        let run = same(&sandbox, &["-c", &setting, "ls-remote", url], "");
        assert_eq!(run.status, 128, "{run:?}");
    }
    let warn = "transfer.credentialsInUrl=warn";
    for command in [&["ls-remote", url][..], &["clone", url, "copy"]] {
        let arguments = [&["-c", warn], command].concat();
        let run = sandbox.gitr(&sandbox.path(""), &arguments);
        let warning = "warning: URL 'http://user:<redacted>@127.0.0.1:1/x' uses plaintext credentials\n";
        assert!(run.complains_of(warning) && !run.complains_of("hunter2"), "{run:?}");
        let run =
            sandbox.gitr(&sandbox.path(""), &[&["-c", "transfer.credentialsInUrl=allow"], command].concat());
        assert!(!run.complains_of("plaintext"), "{run:?}");
    }
}
