//! Passwords, tokens and cookies are told to those they are for, and stand in no text that anybody else can read.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;

use super::{Bench, NAME};
use crate::support::gateway::{Act, Gateway, Of, every};
use crate::support::servers::port_of;
use crate::support::{Format, Git, Kind, Run, Sandbox, Twin, state};

/// What must be seen nowhere: the password, in plain and as it is sent; a token; a cookie; and the same for a proxy.
const SECRETS: [&str; 6] = [
    "hunter2",
    "YWxpY2U6aHVudGVyMg==",
    "t0ken-of-alice",
    "c00kie-of-alice",
    "pr0xy-word",
    "bWU6cHIweHktd29yZA==",
];
/// Alice with that password over the wire.
const DEMAND: Act = Act::Demand("Basic realm=\"git\"", "Basic YWxpY2U6aHVudGVyMg==");
/// Everything that can be traced.
const TRACES: [&str; 9] = [
    "GIT_TRACE",
    "GIT_TRACE_PACKET",
    "GIT_TRACE_CURL",
    "GIT_TRACE_SETUP",
    "GIT_TRACE_PERFORMANCE",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_TRACE_CREDENTIAL",
];

/// Notes the arguments and the environment of every program that is started by its name, then starts it.
const RECORDER: &str = "#!/bin/sh\n{ printf '%s ' \"$0\" \"$@\"; echo; tr '\\0' ' ' </proc/$$/cmdline; env; } \
                        >>\"$RECORD\"\nPATH=$REAL_PATH\nexec \"${0##*/}\" \"$@\"\n";

/// A sandbox in which every stream is written down.
fn recorded() -> Sandbox {
    use std::os::unix::fs::PermissionsExt;
    let mut sandbox = Sandbox::new();
    let programs = sandbox.path("programs");
    fs::create_dir(&programs).unwrap();
    for name in ["git", "ssh", "gpg"] {
        let file = programs.join(name);
        fs::write(&file, RECORDER).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let real = crate::support::variable("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&real))).unwrap();
    sandbox.set("RECORD", sandbox.path("record"));
    sandbox.set("REAL_PATH", real);
    sandbox.set("PATH", path);
    fs::create_dir(sandbox.path("traces")).unwrap();
    for name in TRACES {
        sandbox.set(name, sandbox.path("traces").join(name));
    }
    sandbox
}

/// Puts `settings` into the user's configuration, in the place of those before: who gives them on a command line shows them
/// to everybody, and to the programs that are started by it.
fn configure(sandbox: &Sandbox, settings: &[&str]) {
    let mut text = String::from("[gc]\n\tauto = 0\n[safe]\n\tdirectory = *\n");
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap();
        let (section, key) = key.split_once('.').unwrap();
        text.push_str(&format!("[{section}]\n\t{key} = \"{value}\"\n"));
    }
    fs::write(sandbox.path("home/.gitconfig"), text).unwrap();
}

/// Fails if one of [`SECRETS`] stands in `text`.
#[track_caller]
fn assert_silent(text: &[u8], what: &str) {
    for secret in SECRETS {
        let shown = String::from_utf8_lossy(text);
        assert!(text.find(secret).is_none(), "'{secret}' stands in {what}:\n{shown}");
    }
}

/// Looks into every file below `directory`.
#[track_caller]
fn assert_silent_below(directory: &Path) {
    for file in state::files(directory) {
        assert_silent(&fs::read(&file).unwrap_or_default(), &file.display().to_string());
    }
}

/// The three commands with `options` to `url`, and nothing of what they print, trace, start and leave tells a secret.
#[track_caller]
fn are_silent(sandbox: &Sandbox, bench: &Bench<'_>, options: &[&str], url: &str, end: i32) {
    let twin = Twin::new(sandbox, 2, Vec::new());
    super::copy_tree(&bench.template, &twin.ours.join("copy.git"));
    for order in super::ORDERS {
        let words = order.iter().map(|&word| if word == "<url>" { url } else { word });
        let arguments: Vec<&str> = options.iter().copied().chain(words).collect();
        let run = twin.gitr(if order[0] == "clone" { "" } else { "copy.git" }, &arguments);
        assert_eq!(run.status == 0, end == 0, "{run:?}");
        assert_silent(&run.stdout, "stdout");
        assert_silent(&run.stderr, "stderr");
    }
    fs::remove_file(sandbox.path("served").join(NAME).join("refs/heads/work")).ok();
    assert!(sandbox.path("traces/GIT_TRACE_CURL").exists(), "nothing was traced");
    assert_silent_below(&sandbox.path("traces"));
    assert_silent_below(&twin.ours);
    assert_silent(&fs::read(sandbox.path("record")).unwrap_or_default(), "what children were given");
}

#[test]
fn no_stream_tells_a_secret() {
    let sandbox = recorded();
    let Some(server) = Kind::Apache.start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    server.refresh(&sandbox, NAME, Format::Sha1);
    let gateway = Gateway::before(port_of(&server.url(NAME)));
    let at = |user: &str| format!("http://{user}127.0.0.1:{}/git/{NAME}", gateway.port);
    let cookies = sandbox.path("cookies");
    fs::write(&cookies, "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tc00kie-of-alice\n").unwrap();
    let cookies = format!("http.cookieFile={}", cookies.display());
    // how a helper is called is seen by everybody, what it answers is not
    let answering = |name: &str, answer: &str| {
        let file = sandbox.path(name);
        fs::write(&file, answer).unwrap();
        format!("credential.helper=!f() {{ test $1 = get && cat {}; }}; f", file.display())
    };
    let helper = &*answering("alice", "username=alice\npassword=hunter2\n");
    let token = &*answering("token", "capability[]=authtype\nauthtype=Bearer\ncredential=t0ken-of-alice\n");
    let header = "http.extraHeader=Authorization: Bearer t0ken-of-alice";
    let bearer = Act::Demand("Bearer realm=\"git\"", "Bearer t0ken-of-alice");
    let wrong = Act::Demand("Basic realm=\"git\"", "Basic nobody");
    for (setting, gate, end) in
        [(helper, DEMAND, 0), (helper, wrong.clone(), 128), (token, bearer.clone(), 0), (header, bearer, 0)]
    {
        configure(&sandbox, &[&cookies, setting]);
        gateway.set(&[every(Of::Any, gate)]);
        are_silent(&sandbox, &bench, &[], &at(""), end);
        let sent: Vec<_> = gateway.seen().into_iter().filter_map(|seen| seen.authorization).collect();
        assert!(!sent.is_empty(), "nobody was told anything");
    }
}

#[test]
fn a_proxy_s_password_stands_nowhere_either() {
    let sandbox = recorded();
    let Some(server) = Kind::Apache.start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    server.refresh(&sandbox, NAME, Format::Sha1);
    // a proxy that lets nobody through
    let gateway = Gateway::before(port_of(&server.url(NAME)));
    let refusal = Act::Say(407, "Proxy-Authenticate: Basic realm=\"proxy\"\r\n", "");
    gateway.set(&[every(Of::Any, refusal)]);
    let proxy = format!("http://me:pr0xy-word@127.0.0.1:{}", gateway.port);
    configure(&sandbox, &[&format!("http.proxy={proxy}")]);
    are_silent(&sandbox, &bench, &[], "http://git.test/x.git", 128);
}

/// The password of a URL is kept in the configuration, as C git keeps it, and nowhere else.
#[test]
fn a_password_of_a_url_is_kept_where_git_keeps_it() {
    let sandbox = recorded();
    let Some(server) = Kind::Apache.start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    server.refresh(&sandbox, NAME, Format::Sha1);
    let gateway = Gateway::before(port_of(&server.url(NAME)));
    gateway.set(&[every(Of::Any, DEMAND)]);
    let url = format!("http://alice:hunter2@127.0.0.1:{}/git/{NAME}", gateway.port);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    super::copy_tree(&bench.template, &twin.ours.join("copy.git"));
    let silent = |run: Run| {
        let run = run.success();
        assert_silent(&run.stdout, "stdout");
        assert_silent(&run.stderr, "stderr");
    };
    silent(twin.gitr("", &["clone", &url, "new"]));
    silent(twin.gitr("new", &["fetch", "-v"]));
    silent(twin.gitr("new", &["ls-remote"]));
    silent(twin.gitr("copy.git", &["fetch", &url, "refs/heads/more:refs/heads/more"]));
    silent(twin.gitr("copy.git", &["push", &url, "refs/heads/work"]));
    let config = twin.ours.join("new/.git/config");
    assert!(fs::read_to_string(&config).unwrap().contains("hunter2"));
    for file in state::files(&twin.ours).into_iter().filter(|file| *file != config) {
        assert_silent(&fs::read(&file).unwrap(), &file.display().to_string());
    }
    // our own command line is the caller's doing
    for file in state::files(&sandbox.path("traces")) {
        let text = fs::read_to_string(&file).unwrap();
        let foreign: String = text.lines().filter(|line| !line.contains(&url)).collect();
        assert_silent(foreign.as_bytes(), &file.display().to_string());
        assert!(file.ends_with("GIT_TRACE2_EVENT") || !text.contains("hunter2"), "{}", file.display());
    }
    assert_silent(&fs::read(sandbox.path("record")).unwrap_or_default(), "what children were given");
}
