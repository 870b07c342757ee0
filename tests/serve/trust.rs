//! Repositories that belong to others or lead elsewhere: what is served of them.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use bstr::ByteSlice as _;

use crate::client::{get, ls_refs};
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Sandbox, Serve as _, build, skipped, state};

/// Some user that nobody here is.
const STRANGER: u32 = 54_321;

/// Gives everything below `path` to the stranger; whether that may be done.
fn give_away(path: &Path) -> bool {
    state::everything(path).iter().all(|file| chown(file, Some(STRANGER), Some(STRANGER)).is_ok())
}

fn status(server: &GitrServe, path: &str) -> u16 {
    get(server.process.port, &format!("/{path}/info/refs?service=git-upload-pack")).status
}

/// As git http-backend of git 2.47.3, of which a client hears no more than that.
#[test]
fn what_belongs_to_others_is_not_served_unless_it_is_declared_safe() {
    let sandbox = Sandbox::new();
    let configuration = sandbox.path("home/.gitconfig");
    let text = fs::read_to_string(&configuration).unwrap().replace("[safe]\n\tdirectory = *\n", "");
    fs::write(&configuration, text).unwrap();
    for name in ["own.git", "strange.git"] {
        build::project(&sandbox, &sandbox.path("served").join(name), Format::Sha1, 3);
    }
    let strange = sandbox.path("served/strange.git");
    if !give_away(&strange) {
        return skipped("giving files to another user takes root");
    }
    let [ours, theirs] = ["--backend=gitr", "--backend=git"]
        .map(|backend| GitrServe::start(&sandbox, &[backend, "--enable-receive-pack=anybody"]));
    for server in [&ours, &theirs] {
        assert_eq!((status(server, "own.git"), status(server, "strange.git")), (200, 500));
        assert_eq!(get(server.process.port, "/strange.git/HEAD").status, 500);
        let push = "/strange.git/info/refs?service=git-receive-pack";
        assert_eq!(get(server.process.port, push).status, 500);
    }
    let told = get(ours.process.port, "/strange.git/info/refs?service=git-upload-pack");
    assert!(!told.body.contains_str(strange.to_str().unwrap()), "{told:?}");
    for value in ["/elsewhere", strange.to_str().unwrap(), "", "*"] {
        sandbox.git(&sandbox.path(""), &["config", "--global", "--add", "safe.directory", value]).success();
        assert_eq!(status(&ours, "strange.git"), status(&theirs, "strange.git"), "{value}");
    }
    assert_eq!(status(&ours, "strange.git"), 200);
}

/// Links, files that say where a repository is, and what they share with others.
#[test]
fn nothing_beside_the_root_is_served() {
    let sandbox = Sandbox::new();
    let outside = sandbox.path("outside.git");
    build::project(&sandbox, &outside, Format::Sha1, 3);
    build::project(&sandbox, &sandbox.path("served/inside.git"), Format::Sha1, 3);
    let served = |name: &str| sandbox.path("served").join(name);
    symlink(&outside, served("link.git")).unwrap();
    symlink(sandbox.path(""), served("up")).unwrap();
    symlink("link.git", served("twice.git")).unwrap();
    fs::create_dir(served("file")).unwrap();
    fs::write(served("file/.git"), format!("gitdir: {}\n", outside.display())).unwrap();
    fs::write(served("plain.git"), format!("gitdir: {}\n", outside.display())).unwrap();
    let common = served("common.git");
    fs::create_dir(&common).unwrap();
    fs::write(common.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(common.join("commondir"), format!("{}\n", outside.display())).unwrap();
    for (name, inner) in [("objects.git", "objects"), ("refs.git", "refs")] {
        build::project(&sandbox, &served(name), Format::Sha1, 3);
        fs::remove_dir_all(served(name).join(inner)).unwrap();
        symlink(outside.join(inner), served(name).join(inner)).unwrap();
    }
    build::project(&sandbox, &served("tables.git"), Format::Sha1, 3);
    fs::create_dir(sandbox.path("tables")).unwrap();
    symlink(sandbox.path("tables"), served("tables.git/reftable")).unwrap();
    let (confined, free) =
        (GitrServe::start(&sandbox, &[]), GitrServe::start(&sandbox, &["--follow-symlinks"]));
    for name in [
        "link.git",
        "twice.git",
        "up/outside.git",
        "file",
        "file/.git",
        "plain.git",
        "common.git",
        "objects.git",
        "refs.git",
        "tables.git",
    ] {
        assert_eq!((name, status(&confined, name)), (name, 404));
        assert_eq!((name, status(&free, name)), (name, 200));
    }
    assert_eq!(status(&confined, "inside.git"), 200);
    // nor by the old way, nor by the other program
    fs::write(sandbox.path("secret"), "secret").unwrap();
    symlink(sandbox.path("secret"), served("inside.git/objects/info/alternates")).unwrap();
    let other = GitrServe::start(&sandbox, &["--backend=git"]);
    for path in ["/link.git/HEAD", "/link/HEAD", "/common.git/info/refs", "/refs.git/info/refs"] {
        for server in [&confined, &other] {
            assert_eq!((path, get(server.process.port, path).status), (path, 404));
        }
        assert_eq!((path, get(free.process.port, path).status), (path, 200));
    }
    let secret = "/inside.git/objects/info/alternates";
    assert_eq!(get(confined.process.port, secret).status, 404);
    assert_eq!(get(free.process.port, secret).body, "secret");
}

/// `objects/info/alternates` says whose objects a repository borrows: these may be anywhere, as with C git.
#[test]
fn objects_may_be_borrowed_from_outside() {
    let sandbox = Sandbox::new();
    let lender = sandbox.path("outside.git");
    build::project(&sandbox, &lender, Format::Sha1, 5);
    build::borrower(&sandbox, &sandbox.path("served/project.git"), &lender, Format::Sha1);
    let server = GitrServe::start(&sandbox, &[]);
    let url = server.url("project.git");
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--mirror", &url, "copy.git"]).success();
    sandbox.git(&sandbox.path("copy.git"), &["fsck", "--full"]).success();
    // one that leads nowhere, or to what is no text
    let alternates = sandbox.path("served/project.git/objects/info/alternates");
    let good = fs::read(&alternates).unwrap();
    for bad in [&b"/nowhere\n"[..], b"\xff\xfe\n", b"\n#\n\n", b"../../project.git/objects\n"] {
        fs::write(&alternates, [bad, b"\n", &good].concat()).unwrap();
        let answer = crate::client::post(server.process.port, ls_refs());
        assert!(answer.status == 200 && answer.is_whole, "{:?} {answer:?}", bad.as_bstr());
    }
    // and the lender borrows from the borrower: no circle is the end of it
    fs::write(lender.join("objects/info/alternates"), "../../served/project.git/objects\n").unwrap();
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--mirror", &url, "again.git"]).success();
    sandbox.git(&sandbox.path("again.git"), &["fsck", "--full"]).success();
}
