//! Who may do what.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{Client, ask, get};
use crate::served;
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Sandbox, Serve as _, build};

pub const REFS: &str = "/project.git/info/refs?service=git-upload-pack";

/// `alice` with the password `password`.
const HTPASSWD: &str = "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nbob:$apr1$saltsalt$yAAkm4libquA.ZWLHbSBq/\n";

/// A project, and the options by which users are known.
pub fn sandbox() -> (Sandbox, String, String) {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 5);
    std::fs::write(sandbox.path("htpasswd"), HTPASSWD).unwrap();
    std::fs::write(sandbox.path("tokens"), "ci 0123456789abcdef\n").unwrap();
    let option = |name: &str| format!("--{name}={}", sandbox.path(name).display());
    let options = (option("htpasswd"), option("tokens"));
    (sandbox, options.0, options.1)
}

pub fn as_user(port: u16, path: &str, authorization: &str) -> u16 {
    ask(port, &format!("GET {path} HTTP/1.1\nAuthorization: {authorization}"), "").status
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[test]
fn those_push_who_say_who_they_are() {
    let (sandbox, htpasswd, tokens) = sandbox();
    let server = GitrServe::start(&sandbox, &[&htpasswd, &tokens, "--enable-receive-pack"]);
    let repository = sandbox.path("served/project.git");
    let hook = repository.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho \"$REMOTE_USER $GIT_COMMITTER_NAME\"\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let url = server.url("project.git");
    let push = |who: &str, branch: &str| {
        let url = url.replace("://", &format!("://{who}"));
        sandbox.git(&repository, &["push", &url, &format!("main:refs/heads/{branch}")])
    };
    let nobody = push("", "nobody");
    assert!(nobody.status == 128 && nobody.complains_of("could not read Username"), "{nobody:?}");
    let wrong = push("alice:wrong@", "wrong");
    assert!(wrong.status == 128 && wrong.complains_of("Authentication failed"), "{wrong:?}");
    for (who, name) in
        [("alice:password@", "alice"), ("bob:password@", "bob"), ("ci:0123456789abcdef@", "ci")]
    {
        let pushed = push(who, name).success();
        assert!(pushed.complains_of(&format!("remote: {name} ")), "{pushed:?}");
        let gitr = sandbox.gitr(
            &repository,
            &[
                "push",
                "-q",
                &url.replace("://", &format!("://{who}")),
                &format!("main:refs/heads/gitr-{name}"),
            ],
        );
        gitr.success();
    }
    let port = server.process.port;
    assert_eq!(get(port, REFS).status, 200, "reading is for everybody");
    assert_eq!(as_user(port, REFS, &basic("alice:wrong")), 401, "but not for liars");
    assert_eq!(as_user(port, REFS, "Bearer 0123456789abcdef"), 200);
    assert_eq!(as_user(port, REFS, "Bearer 0123456789abcdeX"), 401);
}

#[test]
fn rules_say_who_reads_and_writes_what() {
    let (sandbox, htpasswd, tokens) = sandbox();
    build::project(&sandbox, &sandbox.path("served/private/secret.git"), Format::Sha1, 3);
    let rules = "[groups]\nteam=['bob']\n[[rule]]\nrepositories=['private/**']\nread=['alice']\nwrite=['@team']\n\
                 [[rule]]\nrepositories=['*.git']\nread=['anybody']\n";
    std::fs::write(sandbox.path("rules"), rules).unwrap();
    let file = format!("--rules={}", sandbox.path("rules").display());
    let mut server = GitrServe::start(&sandbox, &[&htpasswd, &tokens, &file, "--enable-receive-pack"]);
    let port = server.process.port;
    let secret = "/private/secret.git/info/refs?service=git-upload-pack";
    let push = "/private/secret.git/info/refs?service=git-receive-pack";
    for (path, who, status) in [
        (REFS, None, 200),
        (secret, None, 401),
        ("/private/none.git/info/refs?service=git-upload-pack", None, 401),
        (secret, Some("alice:password"), 200),
        (secret, Some("ci:0123456789abcdef"), 404),
        (push, Some("alice:password"), 404),
        (push, Some("bob:password"), 200),
        (push, None, 401),
        ("/project.git/info/refs?service=git-receive-pack", Some("bob:password"), 404),
        ("/project.git/info/refs?service=git%2Dreceive%2Dpack", Some("alice:password"), 404),
        ("/project.git/info/refs?service=git%2dreceive%2Dpac%6b", None, 401),
    ] {
        let status_now = match who {
            None => get(port, path).status,
            Some(who) => as_user(port, path, &basic(who)),
        };
        assert_eq!(status_now, status, "{path} {who:?}");
    }
    let challenged = get(port, secret);
    assert_eq!(challenged.header("www-authenticate"), Some("Basic realm=\"git\", charset=\"UTF-8\""));
    // a file that makes no sense changes nothing, one that does is taken
    std::fs::write(sandbox.path("rules"), "nonsense").unwrap();
    server.signal(rustix::process::Signal::HUP);
    server.wait_for("users and rules stay as they were");
    assert_eq!(get(port, REFS).status, 200);
    std::fs::write(sandbox.path("rules"), "").unwrap();
    server.signal(rustix::process::Signal::HUP);
    assert!((0..10_000).any(|_| get(port, REFS).status == 401));
}

/// A rule about one repository holds however it is called, and for all that is in it.
#[test]
fn a_rule_holds_for_every_name_of_a_repository() {
    let (sandbox, htpasswd, tokens) = sandbox();
    build::project(&sandbox, &sandbox.path("served/public/secret.git"), Format::Sha1, 3);
    build::project(&sandbox, &sandbox.path("served/public/work/.git"), Format::Sha1, 3);
    build::project(&sandbox, &sandbox.path("served/public/open.git"), Format::Sha1, 3);
    let rules = "[[rule]]\nrepositories=['public/secret.git', 'public/work']\nread=['alice']\n\
                 [[rule]]\nrepositories=['public/**']\nread=['anybody']\n";
    std::fs::write(sandbox.path("rules"), rules).unwrap();
    let file = format!("--rules={}", sandbox.path("rules").display());
    let server = GitrServe::start(&sandbox, &[&htpasswd, &tokens, &file]);
    let port = server.process.port;
    let head = sandbox.git(&sandbox.path("served/public/secret.git"), &["rev-parse", "HEAD"]).line();
    let object = format!("objects/{}/{}", &head[..2], &head[2..]);
    let asked = ["info/refs?service=git-upload-pack", "info/refs", "HEAD", "objects/info/packs", &object];
    for (name, is_secret) in [
        ("secret.git", true),
        ("secret", true),
        ("work", true),
        ("work/.git", true),
        ("open.git", false),
        ("open", false),
    ] {
        for what in asked {
            let path = format!("/public/{name}/{what}");
            let (nobody, alice) = (get(port, &path).status, as_user(port, &path, &basic("alice:password")));
            // what is not there, or no part of the protocol, is not there for alice either
            let is_refused = if is_secret { nobody == 401 } else { [200, 404].contains(&nobody) };
            assert!(is_refused && [200, 404].contains(&alice), "{path}: {nobody} {alice}");
            assert!(is_secret || nobody == alice, "{path}: {nobody} {alice}");
        }
        let posted = ask(
            port,
            &format!(
                "POST /public/{name}/git-upload-pack HTTP/1.1\nContent-Type: \
            application/x-git-upload-pack-request\nGit-Protocol: version=2"
            ),
            "0014command=ls-refs\n0000",
        );
        assert_eq!(posted.status, if is_secret { 401 } else { 200 }, "{name}");
        let listed = format!("/public/{name}/info/refs?service=git-upload-pack");
        assert_eq!(as_user(port, &listed, &basic("alice:password")), 200, "{name}");
    }
}

/// The git directories of work trees and of submodules are within that of a repository, and links lead to it.
#[test]
fn a_rule_holds_for_what_leads_into_a_repository() {
    let (sandbox, htpasswd, _) = sandbox();
    let public = sandbox.path("served/public");
    let secret = public.join("secret.git");
    build::project(&sandbox, &secret, Format::Sha1, 3);
    build::project(&sandbox, &secret.join("modules/sub"), Format::Sha1, 3);
    build::project(&sandbox, &public.join("work/.git"), Format::Sha1, 3);
    let outside = sandbox.path("outside").display().to_string();
    let inside = public.join("tree").display().to_string();
    for (repository, tree) in [(&secret, &outside), (&public.join("work/.git"), &inside)] {
        sandbox.git(repository, &["worktree", "add", "-q", "--detach", tree]).success();
    }
    std::os::unix::fs::symlink("secret.git", public.join("link")).unwrap();
    let rules = "[[rule]]\nrepositories=['public/secret.git', 'public/work']\nread=['alice']\n\
                 [[rule]]\nrepositories=['public/link', '**']\nread=['anybody']\n";
    std::fs::write(sandbox.path("rules"), rules).unwrap();
    let file = format!("--rules={}", sandbox.path("rules").display());
    let server = GitrServe::start(&sandbox, &[&htpasswd, &file]);
    let port = server.process.port;
    for name in [
        "secret.git/worktrees/outside",
        "secret.git/modules/sub",
        "work/.git/worktrees/tree",
        "tree",
        "link",
        "link/worktrees/outside",
    ] {
        let path = format!("/public/{name}/info/refs?service=git-upload-pack");
        assert_eq!(get(port, &path).status, 401, "{name}");
        assert_eq!(as_user(port, &path, &basic("alice:password")), 200, "{name}");
        assert_eq!(as_user(port, &path, &basic("bob:password")), 404, "{name}");
    }
}

/// Whoever tries passwords fills a part of the queue, and nobody else waits for him.
#[test]
fn few_wait_for_their_passwords() {
    const GUESSES: usize = 8;
    let (sandbox, _, tokens) = sandbox();
    // that of no password, which takes its time to be found out
    let slow = "$2y$12$sLRSz6JdtI42D3IJRwCMo.CCLI5ot71cCemWy1b9ZCjZq3.5tZCbO";
    std::fs::write(sandbox.path("htpasswd"), format!("alice:{slow}\n")).unwrap();
    let htpasswd = format!("--htpasswd={}", sandbox.path("htpasswd").display());
    let server = GitrServe::start(&sandbox, &[&htpasswd, &tokens, "--limit=queue=1"]);
    let port = server.process.port;
    let mut clients: Vec<Client> = std::iter::repeat_with(|| Client::new(port)).take(GUESSES).collect();
    for client in &mut clients {
        let guess = basic("alice:guess");
        client.send(format!("GET {REFS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {guess}\r\n\r\n"));
    }
    assert_eq!(as_user(port, REFS, "Bearer 0123456789abcdef"), 200);
    assert_eq!(as_user(port, REFS, &basic("ci:0123456789abcdef")), 200);
    assert_eq!(get(port, REFS).status, 200);
    let answers: Vec<_> = clients.iter_mut().map(|client| client.answer().unwrap()).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    let wrong = answers.iter().filter(|answer| answer.status == 401).count();
    assert!(!refused.is_empty() && wrong > 0 && refused.len() + wrong == GUESSES, "{answers:?}");
    assert!(refused.iter().all(|answer| answer.header("retry-after").is_some()), "{answers:?}");
}

#[test]
fn proxies_are_believed_that_are_named() {
    let (_sandbox, mut server) = served(&["--trust-proxy=127.0.0.0/8", "--trust-proxy=10.0.0.1"]);
    let head = |said: &str| format!("GET {REFS} HTTP/1.1\nX-Forwarded-For: {said}");
    for (said, address) in [
        ("192.0.2.9", "192.0.2.9 "),
        ("6.6.6.6, 192.0.2.8, 10.0.0.1", "192.0.2.8 "),
        ("nonsense", "127.0.0.1 "),
    ] {
        ask(server.process.port, &head(said), "");
        server.wait_for(&format!("\n{address}"));
    }
    let (_sandbox, mut server) = served(&[]);
    let forged = format!("{}\nX-Forwarded-User: root\nRemote-User: root", head("192.0.2.9"));
    ask(server.process.port, &forged, "");
    server.wait_for("\n127.0.0.1 - ");
    assert!(!server.log().contains("192.0.2.9"));
}

#[test]
fn a_server_that_knows_nobody_does_not_start_for_users() {
    let (sandbox, htpasswd, tokens) = sandbox();
    let root = format!("--root={}", sandbox.path("served").display());
    for words in [
        &["serve", &root, "--enable-receive-pack"][..],
        &["serve", &root, "--private"],
        &["serve", &root, "--htpasswd=/none"],
        &["serve", &root, "--trust-proxy=x"],
        &["serve", &root, "--vhost=x"],
        &["serve", &root, "--tls-listen=0"],
        &["serve", &root, "--forward-auth=https://x"],
        &["serve", &root, "--forward-auth=http://x", &htpasswd],
        &["serve", &root, "--forward-auth=http://x", &tokens],
    ] {
        let run = sandbox.gitr(&sandbox.path(""), words);
        assert_eq!(run.status, 128, "{run:?}");
        assert!(run.stderr.starts_with(b"fatal: ") || run.stderr.starts_with(b"hint: "), "{run:?}");
    }
    let private = GitrServe::start(&sandbox, &[&htpasswd, "--private"]);
    let port = private.process.port;
    assert_eq!(get(port, REFS).status, 401);
    assert_eq!(get(port, "/none.git/HEAD").status, 401);
    assert_eq!(as_user(port, REFS, &basic("alice:password")), 200);
    assert_eq!(as_user(port, "/none.git/HEAD", &basic("alice:password")), 404);
}

#[test]
fn hosts_have_roots_of_their_own() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 3);
    build::project(&sandbox, &sandbox.path("other/else.git"), Format::Sha1, 3);
    let host = format!("--vhost=Git.Example.com={}", sandbox.path("other").display());
    let server = GitrServe::start(&sandbox, &[&host]);
    let port = server.process.port;
    let status = |host: &str, name: &str| {
        let mut client = Client::new(port);
        client.send(format!("GET /{name}.git/HEAD HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        client.answer().unwrap().status
    };
    assert_eq!(status("git.example.com:80", "else"), 200);
    assert_eq!(status("git.example.com", "project"), 404);
    assert_eq!(status("localhost", "project"), 200);
    assert_eq!(status("localhost", "else"), 404);
}
