//! HTTPS and HTTP/2, with C git's and gitr's clients.

use std::cell::OnceCell;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use bstr::ByteSlice as _;
use rustix::fs::OFlags;

use crate::support::servers::free_port;
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Git, Run, Sandbox, Stream, build, sandbox};

/// Makes a certificate for `name` that vouches for itself.
fn certificate(sandbox: &Sandbox, name: &str, file: &str) {
    let mut command = sandbox.command("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    command.arg("-keyout").arg(sandbox.path(format!("{file}.key")));
    sign(command, sandbox, name, file);
}

/// Makes another with the key of `old`.
fn renewal(sandbox: &Sandbox, name: &str, file: &str, old: &str) {
    let mut command = sandbox.command("openssl");
    command.args(["req", "-x509", "-key"]).arg(sandbox.path(format!("{old}.key")));
    sign(command, sandbox, name, file);
}

fn sign(mut command: Command, sandbox: &Sandbox, name: &str, file: &str) {
    command.args([
        "-days",
        "10",
        "-subj",
        &format!("/CN={name}"),
        "-addext",
        &format!("subjectAltName=DNS:{name}"),
    ]);
    command.arg("-out").arg(sandbox.path(format!("{file}.pem")));
    Run::of(&mut command).success();
}

fn options(sandbox: &Sandbox, port: u16) -> Vec<String> {
    let mut options =
        vec![format!("--tls-listen=127.0.0.1:{port}"), "--enable-receive-pack=anybody".to_owned()];
    for file in ["one", "two"] {
        options.push(format!("--tls-cert={}", sandbox.path(format!("{file}.pem")).display()));
        options.push(format!("--tls-key={}", sandbox.path(format!("{file}.key")).display()));
    }
    options
}

fn server() -> Option<(Sandbox, GitrServe, u16)> {
    if crate::support::find_program("openssl").is_none() {
        crate::support::missing("openssl");
        return None;
    }
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 30);
    certificate(&sandbox, "localhost", "one");
    certificate(&sandbox, "git.test", "two");
    let port = free_port();
    let options = options(&sandbox, port);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = GitrServe::start(&sandbox, &options);
    Some((sandbox, server, port))
}

#[test]
fn clients_clone_fetch_and_push_in_both_versions_of_http() {
    let Some((sandbox, mut server, port)) = server() else { return };
    let authority = format!("http.sslCAInfo={}", sandbox.path("one.pem").display());
    let gitr = Git { program: sandbox::gitr_program().into(), ..Git::reference().clone() };
    let url = format!("https://localhost:{port}/project.git");
    let repository = sandbox.path("served/project.git");
    let mut number = 0;
    for client in Git::all().iter().chain([&gitr]) {
        for version in ["HTTP/2", "HTTP/1.1"] {
            number += 1;
            let http = format!("http.version={version}");
            let place = sandbox.path(format!("clone{number}"));
            let run = |directory: &Path, words: &[&str]| {
                let mut all = vec!["-c", &authority, "-c", &http];
                all.extend_from_slice(words);
                sandbox.git_of(client, directory, &all).success();
            };
            run(&sandbox.path(""), &["clone", "-q", &url, place.to_str().unwrap()]);
            run(
                &sandbox.path(""),
                &["clone", "-q", "--depth=1", "--filter=tree:0", "--bare", &url, &format!("part{number}")],
            );
            let mut stream = Stream::onto("main");
            stream.commit("main", 300 + number).file("large.bin", &build::noise(2 << 20)[number..]);
            stream.import(&sandbox, &place);
            run(&place, &["push", "-q", "origin", &format!("main:refs/heads/pushed{number}")]);
            run(&place, &["fetch", "-q", "origin"]);
            let pushed = format!("refs/heads/pushed{number}");
            assert_eq!(
                sandbox.git(&repository, &["rev-parse", &pushed]).line(),
                sandbox.git(&place, &["rev-parse", "main"]).line()
            );
        }
    }
    sandbox.git(&repository, &["fsck", "--strict"]).success();
    server.wait_for("\"POST /project.git/git-upload-pack HTTP/2.0\" 200");
    server.wait_for("\"POST /project.git/git-receive-pack HTTP/2.0\" 200");
    server.wait_for("\"POST /project.git/git-upload-pack HTTP/1.1\" 200");
}

/// The answer comes while the client is still sending: it hears it all the same.
#[test]
fn a_push_that_is_refused_early_hears_why() {
    let Some((sandbox, _server, port)) = server() else { return };
    let authority = format!("http.sslCAInfo={}", sandbox.path("one.pem").display());
    let gitr = Git { program: sandbox::gitr_program().into(), ..Git::reference().clone() };
    let repository = sandbox.path("served/project.git");
    sandbox.git(&repository, &["config", "receive.maxInputSize", "1000"]).success();
    let work = sandbox.path("work");
    sandbox.git(&sandbox.path(""), &["clone", "-q", "served/project.git", "work"]).success();
    let mut stream = Stream::onto("main");
    // no multiple of the window, at the end of which some libcurl wait for ever
    stream.commit("main", 300).file("large.bin", build::noise(7 << 20));
    stream.import(&sandbox, &work);
    let url = format!("https://localhost:{port}/project.git");
    for client in Git::all().iter().chain([&gitr]) {
        for version in ["HTTP/2", "HTTP/1.1"] {
            let http = format!("http.version={version}");
            let words = ["-c", &authority, "-c", &http, "push", "-q", &url, "main:refs/heads/new"];
            let run = sandbox.git_of(client, &work, &words);
            assert_eq!(run.status, 1, "{run:?}");
            assert!(run.complains_of("pack exceeds maximum allowed size"), "{version}: {run:?}");
            assert!(run.complains_of("[remote rejected]"), "{version}: {run:?}");
        }
    }
}

/// The subject of the certificate that a client gets who asks for `name`.
fn subject(sandbox: &Sandbox, port: u16, name: &str) -> String {
    let mut command = sandbox.command("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", name]);
    let shown = Run::of(&mut command);
    let line = shown.stdout.lines().find(|line| line.starts_with(b"subject=")).unwrap_or_default();
    line.to_str_lossy().into_owned()
}

#[test]
fn each_name_has_its_certificate_and_new_ones_are_taken() {
    let Some((sandbox, mut server, port)) = server() else { return };
    assert!(subject(&sandbox, port, "localhost").contains("localhost"));
    assert!(subject(&sandbox, port, "git.test").contains("git.test"));
    assert!(subject(&sandbox, port, "else.test").contains("localhost"), "the first is for all others");
    std::fs::write(sandbox.path("one.key"), "nonsense").unwrap();
    server.signal(rustix::process::Signal::HUP);
    server.wait_for("the certificates stay as they were");
    assert!(subject(&sandbox, port, "localhost").contains("localhost"));
    certificate(&sandbox, "new.test", "one");
    server.signal(rustix::process::Signal::HUP);
    assert!((0..1000).any(|_| subject(&sandbox, port, "new.test").contains("new.test")));
}

/// The key is a pipe, so that the server is between two files when the first is renewed.
#[test]
fn a_certificate_that_is_renewed_while_it_is_read_is_read_again() {
    let Some((sandbox, mut server, port)) = server() else { return };
    let (key, kept) = (sandbox.path("one.key"), sandbox.path("kept.key"));
    std::fs::rename(&key, &kept).unwrap();
    renewal(&sandbox, "new.test", "new", "kept");
    Run::of(sandbox.command("mkfifo").arg(&key)).success();
    server.signal(rustix::process::Signal::HUP);
    // it has read the certificate once it waits for the key
    let (pipe, mode) = (OnceCell::new(), OFlags::NONBLOCK.bits().cast_signed());
    let open = || std::fs::File::options().write(true).custom_flags(mode).open(&key);
    assert!(
        server.process.wait_until(|| open().is_ok_and(|file| pipe.set(file).is_ok())),
        "{}",
        server.log()
    );
    let mut pipe = pipe.into_inner().unwrap();
    std::fs::copy(sandbox.path("new.pem"), sandbox.path("one.pem")).unwrap();
    pipe.write_all(&std::fs::read(&kept).unwrap()).unwrap();
    drop(pipe);
    // the key is as it was when that was over
    let time = std::fs::metadata(&key).unwrap().modified().unwrap();
    std::fs::File::open(&kept).unwrap().set_modified(time).unwrap();
    std::fs::rename(&kept, &key).unwrap();
    assert!((0..1000).any(|_| subject(&sandbox, port, "new.test").contains("new.test")));
}
