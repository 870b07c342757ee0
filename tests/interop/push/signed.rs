//! Signed pushes: what the certificate says, what the server makes of it, and signing that fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::{commit, once};
use crate::support::{Kind, Pushers, Run, Sandbox, find_program, missing};

/// Tells what the server thinks of the certificate, and the certificate without what differs in each push: the time,
/// the nonce, the signature. A web server makes the nonce anew, so that a fresh one may count as `SLOP`.
const TELL_CERTIFICATE: &str = "cat >/dev/null\n\
    echo \"status $GIT_PUSH_CERT_STATUS\"\n\
    echo \"signer $GIT_PUSH_CERT_SIGNER\"\n\
    echo \"key $GIT_PUSH_CERT_KEY\"\n\
    case $GIT_PUSH_CERT_NONCE_STATUS in OK|SLOP) echo fresh ;; *) echo \"$GIT_PUSH_CERT_NONCE_STATUS\" ;; esac\n\
    test -n \"$GIT_PUSH_CERT\" || exit 0\n\
    git cat-file blob $GIT_PUSH_CERT |\n\
    sed -e '/^-----BEGIN/,$d' -e 's/^\\(pusher .*\\) [0-9]* [-+][0-9]*$/\\1 <time>/' -e 's/^nonce .*/nonce/'\n";

/// Removes the certificate, whose id is another in each push.
const REMOVE_CERTIFICATE: &str = "test -n \"$GIT_PUSH_CERT\" || exit 0\n\
    rm -f objects/$(echo $GIT_PUSH_CERT | sed 's|^..|&/|')\n";

/// Every row, one after the other.
pub fn scenario(pushers: &Pushers<'_>) {
    pushers.in_server(&["config", "gpg.ssh.allowedSignersFile", &signers(&pushers.case.sandbox)]);
    pushers.server_hook("pre-receive", TELL_CERTIFICATE);
    pushers.server_hook("post-receive", REMOVE_CERTIFICATE);
    not_supported(pushers);
    pushers.in_server(&["config", "receive.certNonceSeed", "seed"]);
    pushers.in_server(&["config", "receive.certNonceSlop", "3600"]);
    with_ssh_key(pushers);
    if pushers.case.kind != Kind::Apache {
        with_openpgp_key(pushers); // gnupg takes no keys from the directory of another user than the server's
    }
}

/// Where the list of those who may sign is, in `sandbox`.
fn signers(sandbox: &Sandbox) -> String {
    sandbox.path("home/signers").display().to_string()
}

/// The server takes no certificates.
fn not_supported(pushers: &Pushers<'_>) {
    pushers.client(&commit("main", 100));
    pushers.breaks(&["push", "--signed", "origin", "main"]);
    pushers.done(&["push", "--signed=if-asked", "origin", "main"]);
    pushers.done(&["-c", "push.gpgSign=if-asked", "push", "origin", "main:refs/heads/asked"]);
    pushers.done(&["push", "--signed", "--no-signed", "origin", "main:refs/heads/not"]);
}

/// `gpg.format=ssh` with a key made for the test.
fn with_ssh_key(pushers: &Pushers<'_>) {
    let Some(keygen) = find_program("ssh-keygen") else { return missing("ssh-keygen") };
    let sandbox = &pushers.case.sandbox;
    let key = sandbox.path("home/signing");
    let mut command = sandbox.command(keygen);
    Run::of(command.args(["-q", "-t", "ed25519", "-N", "", "-C", "key", "-f"]).arg(&key)).success();
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(signers(sandbox), format!("committer@example.com {public}")).unwrap();
    pushers.in_client(&["config", "gpg.format", "ssh"]);
    pushers.in_client(&["config", "user.signingKey", &key.display().to_string()]);
    pushers.client(&commit("main", 200));
    let run = pushers.done(&["push", "--signed", "origin", "main"]);
    assert!(run.complains_of("status G") && run.complains_of("fresh"), "{run:?}");
    pushers.done(&[
        "push",
        "--signed=true",
        "origin",
        "main:refs/heads/one",
        ":asked",
        "+main~1:refs/heads/not",
    ]);
    pushers.done(&["-c", "push.gpgSign=true", "push", "--porcelain", "origin", "main:refs/heads/two"]);
    pushers.done(&["push", "--signed=if-asked", "--atomic", "origin", "main:refs/heads/three"]);
    pushers.in_server(&["config", "receive.advertisePushOptions", "true"]);
    pushers.done(&["push", "--signed", "-o", "first", "-o", "second", "origin", "main:refs/heads/four"]);
    pushers.done(&["push", "--signed", "origin", "main"]); // up to date: nothing is signed
    pushers.done(&["push", "--signed", "--dry-run", "origin", "main:refs/heads/dry"]);
    pushers.rejected(&["push", "--signed", "origin", "main~1:main", "main:refs/heads/five"]);
    pushers.in_client(&["config", "user.signingKey", &sandbox.path("home/nosuch").display().to_string()]);
    without_key(pushers);
}

/// The key is not there. C git lets ssh-keygen say so and ends with what the system said last, of whatever matter; gitr
/// has ssh-keygen's words in that place.
fn without_key(pushers: &Pushers<'_>) {
    let push = ["push", "--signed", "origin", "main:refs/heads/six"];
    let [ours, theirs] = [pushers.gitr(&push), pushers.git(&push)].map(|run| pushers.without_echo(run));
    let (why, rest) = theirs.stderr.split_once_str("\n").expect("ssh-keygen says why");
    let (fatal, rest) = rest.split_once_str("\n").expect("git says what failed");
    let (what, _) = fatal.rsplit_once_str(": ").expect("a reason follows");
    let stderr = [what, b": ", why.trim_end(), b"\n", rest].concat().into();
    pushers.compare(&ours, &Run { stderr, ..theirs });
}

/// The default format, with a key made for the test.
fn with_openpgp_key(pushers: &Pushers<'_>) {
    let Some(agent) = Agent::start(&pushers.case.sandbox) else { return };
    pushers.in_client(&["config", "--unset", "gpg.format"]);
    pushers.in_client(&["config", "--unset", "user.signingKey"]);
    pushers.client(&commit("main", 300));
    let run = pushers.done(&["push", "--signed", "origin", "main"]); // the committer's key
    assert!(run.complains_of("status G") && run.complains_of("fresh"), "{run:?}");
    pushers.in_client(&["config", "user.signingKey", "committer@example.com"]);
    pushers.done(&["push", "--signed", "origin", "main:refs/heads/openpgp"]);
    pushers.in_client(&["config", "user.signingKey", "nobody@example.com"]);
    pushers.breaks(&["push", "--signed", "origin", "main:refs/heads/nobody"]);
    drop(agent);
}

/// gnupg with one key; the drop ends what it left running.
struct Agent<'a> {
    /// Where its directory is.
    sandbox: &'a Sandbox,
}

impl<'a> Agent<'a> {
    /// Makes a key without a passphrase in the sandbox's home; `None`, after saying so, if gnupg is missing.
    fn start(sandbox: &'a Sandbox) -> Option<Self> {
        let Some(gpg) = find_program("gpg") else {
            missing("gpg");
            return None;
        };
        let home = sandbox.path("home/.gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let agent = Self { sandbox };
        let identity = "C O Mitter <committer@example.com>";
        let mut command = sandbox.command(gpg);
        command.args([
            "--batch",
            "-q",
            "--passphrase",
            "",
            "--quick-generate-key",
            identity,
            "ed25519",
            "sign",
        ]);
        Run::of(&mut command).success();
        Some(agent)
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let mut command = self.sandbox.command("gpgconf");
        Run::of(command.args(["--kill", "all"]));
    }
}

/// Programs that are configured for each format are called as C git calls them, and their words are shown.
#[test]
fn configured_signing_programs() {
    for (format, key) in
        [("openpgp", "gpg.program"), ("openpgp", "gpg.openpgp.program"), ("x509", "gpg.x509.program")]
    {
        once(|pushers| {
            pushers.in_server(&["config", "receive.certNonceSeed", "seed"]);
            pushers.server_hook("pre-receive", TELL_CERTIFICATE);
            pushers.server_hook("post-receive", REMOVE_CERTIFICATE);
            pushers.in_client(&["config", "gpg.format", format]);
            let [ours, theirs] = pushers.clients();
            for client in [&ours, &theirs] {
                let program = signer(client);
                pushers.case.sandbox.git(client, &["config", key, &program.display().to_string()]).success();
            }
            pushers.client(&commit("main", 100));
            pushers.done(&["push", "--signed", "origin", "main"]);
            pushers.done(&[
                "-c",
                "user.signingKey=somebody",
                "push",
                "--signed",
                "origin",
                "main:refs/heads/two",
            ]);
            pushers.in_client(&["config", "user.signingKey", "fails"]);
            pushers.breaks(&["push", "--signed", "origin", "main:refs/heads/three"]);
            let asked = [&ours, &theirs].map(|client| fs::read_to_string(client.join(".git/asked")).unwrap());
            assert_eq!(asked[0], asked[1], "the program was called otherwise than by git");
        });
    }
}

/// A program that notes how it was called and makes something like a signature, unless its key is `fails`.
fn signer(client: &Path) -> PathBuf {
    let program = client.join(".git/signer");
    let script = "#!/bin/sh\necho \"$*\" >>\"${0%/*}/asked\"\ncat >/dev/null\n\
        case \"$*\" in *fails*) echo 'no such key' >&2; exit 1 ;; esac\n\
        echo '\n[GNUPG:] SIG_CREATED ' >&2\n\
        printf -- '-----BEGIN PGP SIGNATURE-----\\nnothing\\n-----END PGP SIGNATURE-----\\n'\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}
