//! The command lines that ssh, plink and their like are started with.

use std::path::Path;

use super::super::open;
use super::super::tests::{Sandbox, Table, greet, parse};
use super::*;
use crate::progress::Discard;

/// Writes its arguments and what it was asked for to the file `log` beside it; fails at `-G` unless `knows-G` is there.
const RECORDER: &str = r#"#!/bin/sh
home=$(dirname "$0")
{ printf 'run'; for a; do printf ' <%s>' "$a"; done; echo " $GIT_PROTOCOL"; } >>"$home/log"
test "$1" != -G || test -e "$home/knows-G"
"#;

/// One call: URL, protocol version, service, `-4` or `-6`.
struct Call {
    url: &'static str,
    version: Version,
    service: Service,
    ip_version: IpVersion,
}

const URLS: [&str; 14] = [
    "host:path",
    "user@host:/abs/it's!",
    "[user@host:123]:path",
    "user@[::1]:p",
    "ssh://host/path",
    "ssh://user@host:22/path",
    "ssh://[::1]:22/p",
    "ssh://[user@::1]/~user/p",
    "ssh://us%40er@host/a%20b",
    "ssh://u:p@host/$x`y`",
    "git+ssh://h:1/p",
    "ssh://host:22x/p",
    "host:",
    ":p",
];

fn calls() -> Vec<Call> {
    let call = |url, version, service, ip_version| Call { url, version, service, ip_version };
    let mut calls: Vec<Call> =
        URLS.iter().map(|url| call(url, Version::V2, Service::UploadPack, IpVersion::Any)).collect();
    for (version, ip_version) in
        [(Version::V0, IpVersion::Any), (Version::V1, IpVersion::V4), (Version::V2, IpVersion::V6)]
    {
        for service in [Service::UploadPack, Service::ReceivePack] {
            calls.push(call("ssh://u@h:7/p", version, service, ip_version));
        }
    }
    calls
}

/// The log and the last line but the advice of what C git says.
fn run_git(sandbox: &Sandbox, settings: &Table, config: &[(&str, &str)], call: &Call) -> (String, String) {
    let mut git = sandbox.command("git");
    git.envs(settings.environment().expect("it is set"));
    for (key, value) in config {
        git.arg("-c").arg(format!("{key}={value}"));
    }
    let version = match call.version {
        Version::V0 => 0,
        Version::V1 => 1,
        Version::V2 => 2,
    };
    git.args(["-c", &format!("protocol.version={version}"), "-C", "r.git"]);
    git.arg(if call.service == Service::UploadPack { "fetch" } else { "push" });
    match call.ip_version {
        IpVersion::Any => {}
        IpVersion::V4 => drop(git.arg("-4")),
        IpVersion::V6 => drop(git.arg("-6")),
    }
    let output = git.args([call.url, "HEAD"]).output().expect("git runs");
    let words = output.stderr.to_str().expect("text").lines().next().unwrap_or_default().to_owned();
    (take_log(sandbox.path()), words)
}

fn run_ours(sandbox: &Sandbox, settings: &Table, call: &Call) -> (String, Option<String>) {
    let options = Options { ip_version: call.ip_version, ..Options::default() };
    let mut transport = open(&parse(call.url), settings, options).expect("it opens");
    let error = match transport.connect(call.service, call.version, &mut Discard) {
        Ok(connection) => {
            connection.close().expect("the recorder ends well");
            None
        }
        Err(error) => Some(format!("fatal: {error}")),
    };
    (take_log(sandbox.path()), error)
}

fn take_log(directory: &Path) -> String {
    let log = directory.join("log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    // Not there if the recorder did not run.
    drop(std::fs::remove_file(log));
    text
}

/// The same program, called by us and by C git, sees the same.
fn compare(sandbox: &Sandbox, config: &[(&str, &str)], env: &[(&str, &str)], calls: &[Call]) {
    let settings = Table::new(config, env).within(sandbox);
    for call in calls {
        let (expected, words) = run_git(sandbox, &settings, config, call);
        let (ours, error) = run_ours(sandbox, &settings, call);
        assert_eq!(ours, expected, "{} {config:?} {env:?} {words}", call.url);
        match error {
            Some(error) => assert_eq!(error, words, "{}", call.url),
            None => assert_eq!(words, "fatal: Could not read from remote repository.", "{}", call.url),
        }
    }
}

fn sandbox() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.repository("r.git");
    let recorder = sandbox.script("recorder", RECORDER).to_str().expect("text").to_owned();
    (sandbox, recorder)
}

/// Each variant with each version, service, `-4` and `-6`, with and without port and user.
#[test]
fn every_combination_is_called_as_git_calls_it() {
    let (sandbox, recorder) = sandbox();
    let mut calls = Vec::new();
    for url in ["ssh://h/p", "ssh://h:7/p", "ssh://u@h/p", "ssh://u@h:7/p"] {
        for version in [Version::V0, Version::V1, Version::V2] {
            for service in [Service::UploadPack, Service::ReceivePack] {
                for ip_version in [IpVersion::Any, IpVersion::V4, IpVersion::V6] {
                    calls.push(Call { url, version, service, ip_version });
                }
            }
        }
    }
    for variant in ["ssh", "putty", "plink", "tortoiseplink", "simple"] {
        compare(&sandbox, &[], &[("GIT_SSH", &recorder), ("GIT_SSH_VARIANT", variant)], &calls);
    }
}

#[test]
fn every_variant_is_called_as_git_calls_it() {
    let (sandbox, recorder) = sandbox();
    for variant in ["ssh", "plink", "tortoiseplink", "simple"] {
        compare(&sandbox, &[], &[("GIT_SSH", &recorder), ("GIT_SSH_VARIANT", variant)], &calls());
    }
    let few = &calls()[4..6];
    for variant in ["putty", "auto", "something"] {
        compare(&sandbox, &[("ssh.variant", variant)], &[("GIT_SSH", &recorder)], few);
    }
    compare(
        &sandbox,
        &[("ssh.variant", "plink")],
        &[("GIT_SSH", &recorder), ("GIT_SSH_VARIANT", "ssh")],
        few,
    );
}

#[test]
fn an_unknown_program_is_asked_for_its_configuration() {
    let (sandbox, recorder) = sandbox();
    let few = &calls()[4..6];
    compare(&sandbox, &[], &[("GIT_SSH", &recorder)], few);
    std::fs::write(sandbox.path().join("knows-G"), "").expect("it is ours");
    compare(&sandbox, &[], &[("GIT_SSH", &recorder)], &calls());
    compare(&sandbox, &[], &[("GIT_SSH_COMMAND", &format!("FOO=1 {recorder} -x"))], few);
}

#[test]
fn the_command_is_taken_where_git_takes_it() {
    let (sandbox, _) = sandbox();
    for name in ["ssh", "PLINK.EXE", "tortoisePlink.exe", "putty", "ssh.sh"] {
        sandbox.script(name, RECORDER);
    }
    let at = |name: &str| sandbox.path().join(name).to_str().expect("text").to_owned();
    let few = &calls()[4..6];
    for name in ["ssh", "PLINK.EXE", "tortoisePlink.exe", "putty", "ssh.sh"] {
        compare(&sandbox, &[], &[("GIT_SSH", &at(name))], few);
        compare(&sandbox, &[("core.sshCommand", &at(name))], &[("GIT_SSH", "/nonexistent")], few);
        let quoted = format!("'{}' -i 'a key'", at(name));
        compare(&sandbox, &[("core.sshCommand", "/nonexistent")], &[("GIT_SSH_COMMAND", &quoted)], few);
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let (sandbox, _) = sandbox();
    let call =
        Call { url: "h:p", version: Version::V2, service: Service::UploadPack, ip_version: IpVersion::Any };
    let settings = Table::new(&[], &[("GIT_SSH", "/nonexistent/ssh")]).within(&sandbox);
    let (log, error) = run_ours(&sandbox, &settings, &call);
    assert_eq!(log, "");
    let expected = "fatal: cannot exec '/nonexistent/ssh': No such file or directory\nfatal: unable to fork";
    assert_eq!(error.as_deref(), Some(expected));
}

#[test]
fn first_words() {
    for (line, word) in [
        ("ssh -i key", Some("ssh")),
        ("  /a\\ b/ssh\t-x", Some("/a b/ssh")),
        ("'C:\\x\\plink.exe' -batch", Some("C:\\x\\plink.exe")),
        ("\"a 'b\\\"\"c d", Some("a 'b\"c")),
        ("ssh 'open", None),
        ("ssh \\", None),
        ("", None),
    ] {
        assert_eq!(first_word(line.as_bytes()), word.map(BString::from), "{line}");
    }
}

#[test]
fn greeted_over_an_ssh_that_stays_here() {
    let sandbox = Sandbox::new();
    let path = sandbox.repository("it's.git");
    let script = "#!/bin/sh\nfor last; do :; done\nexec /bin/sh -c \"$last\"\n";
    let ssh = sandbox.script("ssh", script).to_str().expect("text").to_owned();
    let settings = Table::new(&[], &[("GIT_SSH_COMMAND", &format!("{ssh} -F none"))]).within(&sandbox);
    for url in
        [format!("ssh://u@host.example:22{}", path.display()), format!("host.example:{}", path.display())]
    {
        let v2 = greet(&url, &settings, Options::default(), Version::V2).expect("version 2");
        assert_eq!(v2, "version 2\n");
        let v0 = greet(&url, &settings, Options::default(), Version::V0).expect("version 0");
        assert!(v0.contains(" HEAD\0"), "{v0}");
    }
}
