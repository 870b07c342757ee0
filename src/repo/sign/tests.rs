//! Against scripts in the place of gpg, and the real ssh-keygen.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::repo::Environment;
use crate::repo::config::Override;

/// A repository, a directory for scripts, and one for temporary files.
struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("tmp")).unwrap();
        let git = Command::new("git").args(["init", "-q", "work"]).current_dir(directory.path()).status();
        assert!(git.unwrap().success());
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a script and gives its path.
    fn script(&self, name: &str, body: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn open(&self, settings: &[(&str, &str)]) -> Repository {
        let mut env: Environment = Environment::from_process()
            .vars()
            .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GIT_") && *name != "SSH_AUTH_SOCK")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.set("HOME", self.directory.path());
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        env.set("GIT_COMMITTER_NAME", "C O Mitter");
        env.set("GIT_COMMITTER_EMAIL", "c@example.com");
        env.set("TMPDIR", self.path("tmp"));
        env.set("OUT", self.path("out"));
        let overrides: Vec<Override> =
            settings.iter().map(|(key, value)| ((*key).into(), Some((*value).into()))).collect();
        Repository::open(&self.directory.path().join("work/.git"), None, &overrides, &env).unwrap()
    }

    /// What signing `data` comes to; that no temporary file is left is checked.
    fn sign(&self, settings: &[(&str, &str)]) -> Result<String, String> {
        let outcome = self.open(settings).sign(b"data\n");
        let left = std::fs::read_dir(self.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "temporary files are left");
        outcome.map(|signature| signature.to_string()).map_err(|error| error.to_string())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.path("out")).unwrap()
    }
}

/// Says what it was given, and signs as gpg does.
const GOOD: &str =
    "{ echo \"$*\"; pwd; cat; } >\"$OUT\"; echo '[GNUPG:] SIG_CREATED D' >&2; printf 'sig\\r\\nna\\n'";

#[test]
fn gpg_is_called_as_git_calls_it() {
    let site = Site::new();
    let good = site.script("good", GOOD);
    let top = site.path("work");
    assert_eq!(site.sign(&[("gpg.program", &good)]), Ok("sig\nna\n".into()));
    assert_eq!(site.said(), format!("--status-fd=2 -bsau C O Mitter <c@example.com>\n{top}\ndata\n"));
    for format in ["openpgp", "x509"] {
        let program = format!("gpg.{format}.program");
        let settings = [("gpg.format", format), ("user.signingKey", "A B"), (&program, &good)];
        assert_eq!(site.sign(&settings), Ok("sig\nna\n".into()));
        assert_eq!(site.said(), format!("--status-fd=2 -bsau A B\n{top}\ndata\n"));
    }
}

#[test]
fn the_program_defined_last_signs() {
    let site = Site::new();
    let good = site.script("good", GOOD);
    let bad = site.script("bad", "exit 1");
    let keys = ["gpg.program", "gpg.openpgp.program"];
    for (first, last) in [(keys[0], keys[1]), (keys[1], keys[0])] {
        assert_eq!(site.sign(&[(first, &bad), (last, &good)]), Ok("sig\nna\n".into()), "{last}");
    }
}

#[test]
fn gpg_that_fails_is_told_of_in_its_words() {
    let site = Site::new();
    let head = "gpg failed to sign the data:\n";
    for (body, said) in [
        ("cat >/dev/null; echo 'gpg: no secret key' >&2; exit 2", "gpg: no secret key\n"),
        ("exit 1", "(no gpg output)"),
        ("cat >/dev/null; echo signature", "(no gpg output)"),
        ("echo x '[GNUPG:] SIG_CREATED ' >&2", "x [GNUPG:] SIG_CREATED \n"),
    ] {
        let program = site.script("gpg", body);
        assert_eq!(site.sign(&[("gpg.program", &program)]), Err(format!("{head}{said}")), "{body}");
    }
    let none = site.path("none");
    let error = site.sign(&[("gpg.program", &none)]).unwrap_err();
    assert_eq!(error, format!("cannot exec '{none}': No such file or directory"));
}

#[test]
fn wrong_settings_are_refused() {
    let site = Site::new();
    assert_eq!(
        site.sign(&[("gpg.format", "OpenPGP")]),
        Err("invalid value for 'gpg.format': 'OpenPGP'".into())
    );
    let error = "either user.signingkey or gpg.ssh.defaultKeyCommand needs to be configured";
    assert_eq!(site.sign(&[("gpg.format", "ssh")]), Err(error.into()));
}

#[test]
fn the_pusher_is_the_key_or_the_committer() {
    let site = Site::new();
    let name = |settings: &[(&str, &str)]| {
        let pusher = site.open(settings).signer().unwrap().pusher().unwrap();
        let mut words = pusher.rsplitn_str(3, " ");
        let (zone, seconds) = (words.next().unwrap(), words.next().unwrap());
        assert_eq!((zone.len(), seconds.to_str().unwrap().parse::<i64>().is_ok()), (5, true), "{pusher}");
        words.next().unwrap().as_bstr().to_string()
    };
    assert_eq!(name(&[]), "C O Mitter <c@example.com>");
    assert_eq!(name(&[("user.signingKey", "ABC")]), "ABC");
}

/// Makes a key.
fn key(site: &Site) -> String {
    let path = site.path("key");
    let words = ["-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", &path];
    let made = Command::new("ssh-keygen").args(words).status();
    assert!(made.expect("the OpenSSH client is installed").success());
    path
}

fn is_good(signature: &str, site: &Site) -> bool {
    let file = site.path("signature");
    std::fs::write(&file, signature).unwrap();
    std::fs::write(site.path("data"), "data\n").unwrap();
    Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "git", "-s", &file])
        .stdin(std::fs::File::open(Path::new(&site.path("data"))).unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[test]
fn ssh_keys_sign() {
    let site = Site::new();
    let key = key(&site);
    for path in [&key, &format!("{key}.pub"), "~/key", "../key"] {
        let signature = site.sign(&[("gpg.format", "ssh"), ("user.signingKey", path)]).unwrap();
        assert!(is_good(&signature, &site), "{path}: {signature}");
        let pusher =
            site.open(&[("gpg.format", "ssh"), ("user.signingKey", path)]).signer().unwrap().pusher();
        // C git leaves two spaces here
        assert!(pusher.unwrap().split_str(" ").nth(1).unwrap().is_empty());
    }
}

#[test]
fn a_literal_key_is_given_to_the_agent() {
    let site = Site::new();
    let key = key(&site);
    let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    let script = "{ echo \"$1 $2 $3 $4 $5 $7\"; cat \"$6\" \"$8\"; } >\"$OUT\"; echo signature >\"$8.sig\"";
    let program = site.script("keygen", script);
    let literal = format!("key::{}", public.trim_end());
    let command = format!("cat '{key}.pub'");
    let settings = [("gpg.format", "ssh"), ("gpg.ssh.program", &program)];
    for (name, value) in [
        ("user.signingKey", literal.as_str()),
        ("user.signingKey", public.trim_end()),
        ("gpg.ssh.defaultKeyCommand", &command),
    ] {
        let settings = [&settings[..], &[(name, value)]].concat();
        assert_eq!(site.sign(&settings), Ok("signature\n".into()), "{value}");
        assert_eq!(site.said(), format!("-Y sign -n git -f -U\n{}data\n", public.trim_end()), "{value}");
        let pusher = site.open(&settings).signer().unwrap().pusher().unwrap();
        assert!(pusher.starts_with(b"SHA256:"), "{pusher}");
    }
}

#[test]
fn ssh_keygen_that_fails_is_told_of_in_its_words() {
    let site = Site::new();
    let settings = [("gpg.format", "ssh"), ("user.signingKey", "/none")];
    for (body, said) in [
        ("echo 'agent refused' >&2; exit 1", "agent refused\n"),
        (
            "echo 'usage: x' >&2; exit 1",
            "ssh-keygen -Y sign is needed for ssh signing (available in openssh version 8.2p1+)\nusage: x\n",
        ),
    ] {
        let program = site.script("keygen", body);
        let settings = [&settings[..], &[("gpg.ssh.program", program.as_str())]].concat();
        assert_eq!(site.sign(&settings), Err(said.into()));
    }
    let program = site.script("keygen", "exit 0");
    let error = site.sign(&[&settings[..], &[("gpg.ssh.program", program.as_str())]].concat()).unwrap_err();
    assert!(error.starts_with("failed reading ssh signing data buffer from '"), "{error}");
    assert!(error.ends_with(".sig': No such file or directory"), "{error}");
    for (command, reason) in [
        ("false", "failed: "),
        ("true", "succeeded but returned no keys: "),
        ("echo foo", "succeeded but returned no keys: "),
        ("/nonexistent", "failed: No such file or directory"),
    ] {
        let error = site.sign(&[("gpg.format", "ssh"), ("gpg.ssh.defaultKeyCommand", command)]).unwrap_err();
        assert_eq!(error, format!("gpg.ssh.defaultKeyCommand {reason}"), "{command}");
    }
}
