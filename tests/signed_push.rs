//! Signed pushes, compared with what C git sends to the same far side.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "support/mod.rs"]
mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};
use gitr::progress::{Event, Progress};
use gitr::protocol::push::certificate::Certificate;
use gitr::remote::push::{RefUpdate, Status};
use gitr::remote::send_pack::{Options, Signed, send_pack};
use gitr::remote::{Error, RepoSettings, Session};
use gitr::repo::{Environment, Repository};
use gitr::transport::{self, ChildStderr, Url};
use gix_hash::ObjectId;

use support::{Format, Sandbox, build};

/// Signs as gpg does, with something that is no signature.
const GPG: &str = "#!/bin/sh\ncat >\"$HOME/signed\"\necho '[GNUPG:] SIG_CREATED D' >&2\n\
    printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nabc\\n-----END PGP SIGNATURE-----\\n'\n";

/// Keeps what the far side knows of a signed push.
const HOOK: &str = "#!/bin/sh\n{ echo \"$GIT_PUSH_CERT_NONCE_STATUS $GIT_PUSH_OPTION_COUNT\"; \
    git cat-file blob \"$GIT_PUSH_CERT\"; } >\"$HOME/certificate\"\n";

/// A repository of ours, and a far side that takes signed pushes.
struct Site {
    sandbox: Sandbox,
    near: PathBuf,
    far: PathBuf,
    tip: ObjectId,
}

impl Site {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let (near, far) = (sandbox.path("near.git"), sandbox.path("far.git"));
        build::project(&sandbox, &near, Format::Sha1, 3);
        build::copy(&sandbox, &near, &far);
        let git = |directory: &Path, words: &[&str]| sandbox.git(directory, words).success();
        git(&far, &["config", "receive.certNonceSeed", "seed"]);
        git(&far, &["config", "receive.advertisePushOptions", "true"]);
        executable(&far.join("hooks/post-receive"), HOOK);
        let home = PathBuf::from(&sandbox.variables()[std::ffi::OsStr::new("HOME")]);
        executable(&home.join("gpg"), GPG);
        git(&near, &["config", "gpg.program", home.join("gpg").to_str().unwrap()]);
        let tip = ObjectId::from_hex(git(&near, &["rev-parse", "HEAD"]).line().as_bytes()).unwrap();
        Self { sandbox, near, far, tip }
    }

    fn home(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.sandbox.variables()[std::ffi::OsStr::new("HOME")]).join(name)
    }

    /// Deletes `name` on the far side.
    fn push(&self, name: &str, options: &Options) -> (Result<(), Error>, Vec<RefUpdate>, Told) {
        let env: Environment = self.sandbox.variables().into_iter().collect();
        let repo = Repository::open(&self.near, None, &[], &env).unwrap();
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let transport =
            transport::Options { child_stderr: ChildStderr::Discard, ..transport::Options::default() };
        let url = Url::parse(self.far.to_str().unwrap().into()).unwrap();
        let mut told = Told::default();
        let mut rows = vec![RefUpdate {
            source: None,
            name: name.into(),
            old: self.tip,
            new: ObjectId::null(gix_hash::Kind::Sha1),
            expected: None,
            forced: false,
            status: Status::Pending,
            rewritten: Vec::new(),
        }];
        let mut session = Session::connect_receive_pack(&url, &settings, transport, &mut told).unwrap();
        let refs = session.refs(&[], &mut told).unwrap();
        let result = send_pack(&mut session, &repo, &refs, &mut rows, options, &mut told);
        // what the far side thinks of a session that ends early is not what is tested
        let _ended = session.close();
        (result, rows, told)
    }

    fn options(&self, signed: Signed) -> Options {
        let url = BString::from(self.far.to_str().unwrap());
        Options { signed, url, push_options: vec!["one".into(), "t w o".into()], ..Options::default() }
    }

    /// The certificate that the far side has kept, and what it says about it.
    fn kept(&self) -> (String, Certificate, BString) {
        let text = std::fs::read(self.home("certificate")).unwrap();
        let (verdict, certificate) = text.split_once_str("\n").unwrap();
        let parsed = Certificate::decode(certificate.as_bstr(), gix_hash::Kind::Sha1).unwrap();
        (verdict.to_str().unwrap().to_owned(), parsed, certificate.into())
    }
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What was told as a warning or an error.
#[derive(Default)]
struct Told(Vec<String>);

impl Progress for Told {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Warning(text) => self.0.push(format!("warning: {text}")),
            Event::Error(text) => self.0.push(format!("error: {text}")),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn the_certificate_is_that_of_git() {
    let site = Site::new();
    for signed in [Signed::Yes, Signed::IfAsked] {
        for name in ["ours", "theirs"] {
            let name = format!("refs/heads/{name}");
            site.sandbox.git(&site.far, &["update-ref", &name, &site.tip.to_string()]).success();
        }
        let (result, rows, told) = site.push("refs/heads/ours", &site.options(signed));
        result.unwrap();
        assert_eq!(rows[0].status, Status::Done);
        assert_eq!(told.0, Vec::<String>::new());
        let (verdict, ours, text) = site.kept();
        assert_eq!(verdict, "OK 2");
        assert_eq!(ours.encode(), text);
        assert_eq!(std::fs::read(site.home("signed")).unwrap().as_bstr(), ours.payload());
        let words = ["push", "-q", "--signed", "-o", "one", "-o", "t w o"];
        let far = site.far.to_str().unwrap();
        site.sandbox.git(&site.near, &[&words[..], &[far, ":refs/heads/theirs"]].concat()).success();
        let (_, theirs, _) = site.kept();
        let name = |pusher: &BString| pusher.rsplitn_str(3, " ").last().unwrap().as_bstr().to_string();
        assert_eq!(name(&ours.pusher), name(&theirs.pusher));
        assert_eq!((&ours.pushee, &ours.options), (&theirs.pushee, &theirs.options));
        assert_eq!(ours.signature, theirs.signature);
        assert!(ours.nonce.is_some());
    }
}

#[test]
fn nothing_is_signed_in_a_dry_run() {
    let site = Site::new();
    let options = Options { dry_run: true, ..site.options(Signed::Yes) };
    site.push("refs/heads/x", &options).0.unwrap();
    assert!(!site.home("signed").exists());
}

#[test]
fn a_push_that_cannot_be_signed_fails() {
    let site = Site::new();
    executable(&site.home("gpg"), "#!/bin/sh\ncat >/dev/null; echo 'gpg: no key' >&2; exit 2\n");
    let (result, _, told) = site.push("refs/heads/x", &site.options(Signed::IfAsked));
    assert_eq!(result.unwrap_err().to_string(), "failed to sign the push certificate");
    assert_eq!(told.0, ["error: gpg failed to sign the data:\ngpg: no key\n"]);
    assert!(!site.home("certificate").exists());
}

#[test]
fn a_nonce_with_a_meaning_is_not_signed() {
    let site = Site::new();
    let null = ObjectId::null(gix_hash::Kind::Sha1);
    let greeting = format!("{null} capabilities^{{}}\0report-status push-cert=a,b\n");
    let greeting = format!("{:04x}{greeting}0000", greeting.len() + 4);
    std::fs::write(site.home("greeting"), greeting).unwrap();
    let program = site.home("receive-pack");
    executable(&program, "#!/bin/sh\nexec cat \"$HOME/greeting\"\n");
    let env: Environment = site.sandbox.variables().into_iter().collect();
    let repo = Repository::open(&site.near, None, &[], &env).unwrap();
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    let transport = transport::Options {
        receive_pack: Some(program.to_str().unwrap().into()),
        child_stderr: ChildStderr::Discard,
        ..transport::Options::default()
    };
    let url = Url::parse(site.far.to_str().unwrap().into()).unwrap();
    let mut told = Told::default();
    let mut session = Session::connect_receive_pack(&url, &settings, transport, &mut told).unwrap();
    let error = send_pack(
        &mut session,
        &repo,
        &[],
        &mut [],
        &Options { push_options: Vec::new(), ..site.options(Signed::Yes) },
        &mut told,
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the receiving end asked to sign an invalid nonce <a,b>"), "{text}");
    assert!(!site.home("signed").exists());
}
