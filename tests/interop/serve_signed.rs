//! Signed pushes: `gitr receive-pack` judges certificates as C git's does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::serve_pair::Pair;
use crate::support::{Format, Git, Run, find_program, missing};

/// Signs with something that is no signature, of the kind that the file `kind` beside it names.
const SIGN: &str = r#"
cat >/dev/null; kind=$(cat "${0%/*}/kind"); echo '[GNUPG:] SIG_CREATED D' >&2
echo "-----BEGIN $kind-----"; echo abc; echo "-----END $kind-----""#;

/// Notes how it was asked, and answers with the file `answer` beside it.
const JUDGE: &str = r#"
{ echo "$*" | sed 's,/[^ ]*vtag[^ ]*\|/[^ ]*/[.]tmp[^ ]*,<signature>,'
sed -e 's/ [0-9]* +0000/ <time>/' -e 's/^nonce .*/nonce/' -e s/theirs/ours/; } >>"${0%/*}/asked"
sed 's/^/[GNUPG:] /' "${0%/*}/answer""#;

/// Tells what the server thinks of the certificate, and removes it, since each has another id.
const TELL_CERTIFICATE: &str = r#"
cat; env | grep '^GIT_PUSH_CERT' | grep -v 'CERT=\|NONCE=' | sort
git cat-file blob $GIT_PUSH_CERT | sed -n -e '/^-----/p' -e '/^0/p'
test -n "$GIT_QUARANTINE_PATH" || rm -f objects/$(echo $GIT_PUSH_CERT | sed 's|^..|&/|')"#;

/// What programs say of a signature, and how they are asked.
#[test]
fn signatures_are_judged_as_c_git_judges_them() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    let work = pushed.sandbox.path("work.git");
    let program = |place: &Path, name: &str, script: &str| {
        fs::write(place.join(name), format!("#!/bin/sh{script}\n")).unwrap();
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        place.join(name).display().to_string()
    };
    let sign = program(&work, "sign", SIGN);
    pushed.sandbox.git(&work, &["config", "gpg.program", &sign]).success();
    pushed.prepare(|sandbox, place| {
        let judge = program(place, "judge", JUDGE);
        for key in ["gpg.program", "gpg.x509.program"] {
            drop(sandbox.git(place, &["config", key, &judge]).success());
        }
    });
    pushed.configure("receive.certNonceSeed", "seed");
    pushed.configure("receive.advertisePushOptions", "true");
    for name in ["pre-receive", "post-receive"] {
        pushed.hook(name, TELL_CERTIFICATE);
    }
    pushed.grow(12..14);
    for (number, (kind, answer)) in [
        ("PGP SIGNATURE", "GOODSIG 0123 N <e>\nTRUST_NEVER 0 pgp"),
        ("PGP SIGNATURE", "ERRSIG 0123 1 2 3\nNO_PUBKEY 0123"),
        ("PGP SIGNATURE", "GOODSIG 0123 N <e>\nBADSIG 0123 N <e>"),
        ("PGP MESSAGE", "EXPKEYSIG 0123 N <e>"),
        ("SIGNED MESSAGE", "BADSIG 0123 N <e>"),
        ("PGP SIGNATURE", ""),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(work.join("kind"), kind).unwrap();
        pushed.prepare(|_, place| fs::write(place.join("answer"), format!("{answer}\n")).unwrap());
        let name = format!("main:refs/heads/{number}");
        let run = pushed.same(&["--signed", "-o", "a", "-o", "b", &name]);
        assert!(run.complains_of("GIT_PUSH_CERT_STATUS"), "{run:?}");
    }
    let [theirs, ours] = pushed.places().map(|place| fs::read_to_string(place.join("asked")).unwrap());
    assert_eq!(ours, theirs);
}

/// Tells what the server thinks of who signed, and removes the certificate.
const TELL_SIGNER: &str = r"
cat >/dev/null; env | grep '^GIT_PUSH_CERT_\(STATUS\|SIGNER\|KEY\)' | sort
rm -f objects/$(echo $GIT_PUSH_CERT | sed 's|^..|&/|')";

/// Keys that are known, known for another time, known for something else, revoked and unknown.
#[test]
fn keys_that_were_revoked_or_whose_time_is_over_count_as_for_c_git() {
    let Some(keygen) = find_program("ssh-keygen") else { return missing("ssh-keygen") };
    let pair = Pair::bare(Git::reference(), Format::Sha1);
    let (work, sandbox) = (pair.sandbox.path("work.git"), &pair.sandbox);
    for name in ["good", "bad"] {
        let mut command = sandbox.command(&keygen);
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(sandbox.path(name));
        Run::of(&mut command).success();
    }
    let public = |name: &str| fs::read_to_string(sandbox.path(name).with_extension("pub")).unwrap();
    let file = |name: &str| sandbox.path(name).display().to_string();
    sandbox.git(&work, &["config", "gpg.format", "ssh"]).success();
    sandbox.git(&work, &["config", "user.signingKey", &file("good")]).success();
    pair.configure("receive.certNonceSeed", "seed");
    pair.configure("receive.certNonceSlop", "3600");
    pair.hook("post-receive", TELL_SIGNER);
    pair.grow(12..14);
    let who = "committer@example.com";
    let signers = |options: &str, key: &str| format!("{who} {options} {}", public(key));
    // a list of keys as a file of text, and one that is no list
    fs::write(sandbox.path("none"), "").unwrap();
    fs::write(sandbox.path("list"), public("good")).unwrap();
    fs::write(sandbox.path("others"), public("bad")).unwrap();
    fs::write(sandbox.path("nonsense"), "nonsense\n").unwrap();
    let mut number = 0;
    for (list, revoked) in [
        (signers("", "good"), None),
        (signers("", "good"), Some("none")),
        (signers("", "good"), Some("others")),
        (signers("valid-before=\"20010101\"", "good"), None),
        (signers("valid-after=\"20010101\",valid-before=\"20990101\"", "good"), None),
        (signers("valid-after=\"20990101\"", "good"), None),
        (signers("namespaces=\"file\"", "good"), None),
        (signers("namespaces=\"git\"", "good"), None),
        (signers("", "bad"), None),
        (String::new(), None),
        ("nonsense\n".to_owned(), None),
    ] {
        fs::write(sandbox.path("signers"), &list).unwrap();
        pair.configure("gpg.ssh.allowedSignersFile", &file("signers"));
        match revoked {
            Some(name) => pair.configure("gpg.ssh.revocationFile", &file(name)),
            None => pair.prepare(|sandbox, place| {
                drop(sandbox.git(place, &["config", "--unset", "gpg.ssh.revocationFile"]));
            }),
        }
        number += 1;
        let run = pair.same(&["--signed", &format!("main:refs/heads/{number}")]);
        assert!(run.complains_of("GIT_PUSH_CERT_STATUS"), "{list} {revoked:?}: {run:?}");
    }
    // git 2.47.3 puts an empty word before `-r`, behind which ssh-keygen takes no options, so that it takes revoked keys
    fs::write(sandbox.path("signers"), signers("", "good")).unwrap();
    for (name, is_good) in [("others", true), ("list", false), ("nonsense", false)] {
        pair.configure("gpg.ssh.revocationFile", &file(name));
        let run = pair.ours(&["--signed", &format!("main:refs/heads/{name}")]);
        assert_eq!(run.complains_of("GIT_PUSH_CERT_STATUS=G"), is_good, "{name}: {run:?}");
        assert_eq!(run.complains_of("GIT_PUSH_CERT_STATUS=B"), !is_good, "{name}: {run:?}");
    }
}
