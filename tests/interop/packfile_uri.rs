//! Packs that a server names instead of sending their objects: packfile-uris, as C git's upload-pack has them.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::page::{Asked, Page};
use crate::support::{Case, Format, Git, Kind, Run, Sandbox, Stream, Twin, build, state};

/// The repository that is served.
const NAME: &str = "r.git";
/// What makes a client take packs from elsewhere.
const TAKE: [&str; 2] = ["-c", "fetch.uriProtocols=http,https"];

/// A served repository, one of whose blobs stands elsewhere.
struct Elsewhere {
    files: PathBuf,
    page: Page,
    asked: Asked,
    /// The blob.
    blob: String,
    /// The pack it is in.
    pack: String,
}

/// Makes `served/r.git` with a file `big`, whose blob is in a pack of its own among `files`.
fn elsewhere(sandbox: &Sandbox, format: Format, content: &str, file: &str) -> Elsewhere {
    let served = sandbox.path("served").join(NAME);
    build::empty(sandbox, &served, format);
    let mut stream = Stream::new();
    stream.commit("main", 1).file("README", "read me\n").file(file, content);
    stream.commit("main", 2).file("more", "more\n");
    stream.import(sandbox, &served);
    let files = sandbox.path("files");
    fs::create_dir_all(&files).unwrap();
    let (page, asked) = Page::files(&files);
    let blob = sandbox.git(&served, &["rev-parse", &format!("main:{file}")]).success().line();
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(&served).args(["pack-objects", "-q"]).arg(files.join("p"));
    let pack = Run::with_input(&mut command, format!("{blob}\n").as_bytes()).success().line();
    sandbox.git(&served, &["config", "uploadpack.allowSidebandAll", "true"]).success();
    Elsewhere { files, page, asked, blob, pack }
}

impl Elsewhere {
    /// Has the server name the pack `id` at `uri` for the blob.
    fn name(&self, sandbox: &Sandbox, id: &str, uri: &str) {
        let served = sandbox.path("served").join(NAME);
        let value = format!("{} {id} {uri}", self.blob);
        sandbox.git(&served, &["config", "uploadpack.blobPackfileUri", &value]).success();
    }

    /// The name of the file with the pack.
    fn file(&self) -> String {
        format!("p-{}.pack", self.pack)
    }
}

/// The packs of a repository that both clients have made.
fn packs(twin: &Twin<'_>, place: &str) -> [Vec<PathBuf>; 2] {
    [&twin.ours, &twin.theirs].map(|client| {
        let files = state::files(&client.join(place).join("objects/pack"));
        files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "pack")).collect()
    })
}

/// Clones and fetches with both.
fn taken(case: &Case) {
    let here = elsewhere(&case.sandbox, case.format, "stands elsewhere\n", "big");
    here.name(&case.sandbox, &here.pack, &here.page.url(&here.file()));
    case.refresh(NAME);
    let (twin, url) = (case.twin(), case.url(NAME));
    twin.done("", &[&TAKE[..], &["clone", "-q", "--bare", &url, "copy"]].concat());
    twin.same_objects("copy");
    assert_eq!(here.asked.paths(), [here.file(), here.file()], "both went there");
    twin.prepare(|client| build::empty(&case.sandbox, &client.join("empty.git"), case.format));
    twin.done("empty.git", &[&TAKE[..], &["fetch", "-q", &url, "main:main"]].concat());
    twin.same_objects("empty.git");
    for place in ["copy", "empty.git"] {
        let [ours, theirs] = packs(&twin, place);
        let is_named = |file: &&PathBuf| file.to_string_lossy().contains(&here.pack);
        assert_eq!(
            (ours.len(), ours.iter().filter(is_named).count()),
            (theirs.len(), 1),
            "{ours:?} {theirs:?}"
        );
    }
    here.asked.paths();
    // who does not take packs from there is sent everything
    for protocols in ["https", "ftp,file", "HTTP", ""] {
        let wish = format!("fetch.uriProtocols={protocols}");
        twin.prepare(|client| drop(fs::remove_dir_all(client.join("plain"))));
        twin.done("", &["-c", &wish, "clone", "-q", "--bare", &url, "plain"]);
        twin.same_objects("plain");
    }
    assert_eq!(here.asked.paths(), Vec::<String>::new());
}

#[test]
fn packs_elsewhere_are_taken_as_git_takes_them() {
    for git in Git::all() {
        taken(&Case::new(Kind::File, git, 2, Format::Sha1).unwrap());
    }
    taken(&Case::new(Kind::File, Git::reference(), 2, Format::Sha256).unwrap());
    crate::once(Kind::Apache, taken);
}

#[test]
fn what_is_not_what_was_named_is_refused() {
    let sandbox = Sandbox::new();
    let here = elsewhere(&sandbox, Format::Sha1, "stands elsewhere\n", "big");
    let url = format!("file://{}", sandbox.path("served").join(NAME).display());
    let whole = fs::read(here.files.join(here.file())).unwrap();
    let mut changed = whole.clone();
    changed[14] ^= 1;
    for (name, content) in [("cut", &whole[..whole.len() - 1]), ("empty", b""), ("changed", &changed[..])] {
        fs::write(here.files.join(name), content).unwrap();
    }
    let mismatch = "does not match expected hash";
    for (id, name, words) in [
        (&here.blob, here.file(), mismatch),
        (&here.pack, "nosuch".to_owned(), "The requested URL returned error: 404"),
        (&here.pack, "cut".to_owned(), mismatch),
        (&here.pack, "empty".to_owned(), mismatch),
        (&here.pack, "changed".to_owned(), "pack"),
    ] {
        here.name(&sandbox, id, &here.page.url(&name));
        let twin = Twin::new(&sandbox, 2, Vec::new());
        twin.prepare(|client| build::empty(&sandbox, &client.join("empty.git"), Format::Sha1));
        let clone = [&TAKE[..], &["clone", "-q", "--bare", &url, "copy"]].concat();
        let fetch = [&TAKE[..], &["fetch", "-q", &url, "main:main"]].concat();
        for (run, theirs) in [
            (twin.gitr("", &clone), twin.git("", &clone)),
            (twin.gitr("empty.git", &fetch), twin.git("empty.git", &fetch)),
        ] {
            assert_eq!((run.status, theirs.status), (128, 128), "{name}: {run:?} {theirs:?}");
            assert!(run.complains_of(words), "{name}: {run:?}");
        }
        is_untouched(&sandbox, &twin);
    }
}

/// Nothing of a clone is there; the empty repository has no ref, and no file that was for a while.
#[track_caller]
fn is_untouched(sandbox: &Sandbox, twin: &Twin<'_>) {
    assert!(!twin.ours.join("copy").exists());
    let empty = twin.ours.join("empty.git");
    assert_eq!(sandbox.git(&empty, &["for-each-ref"]).success().stdout, "");
    assert_eq!(state::leftovers(&empty), Vec::<PathBuf>::new());
}

#[test]
fn a_protocol_that_is_forbidden_is_not_asked_for() {
    let sandbox = Sandbox::new();
    let here = elsewhere(&sandbox, Format::Sha1, "stands elsewhere\n", "big");
    here.name(&sandbox, &here.pack, &here.page.url(&here.file()));
    let url = format!("file://{}", sandbox.path("served").join(NAME).display());
    let copy = sandbox.path("copy");
    let words =
        [&TAKE[..], &["-c", "protocol.http.allow=never", "clone", "-q", "--bare", &url, "copy"]].concat();
    sandbox.gitr(&sandbox.path(""), &words).success();
    state::assert_sound(&sandbox, &copy);
    assert_eq!(here.asked.paths(), Vec::<String>::new());
}

#[test]
fn the_rules_of_fsck_hold_for_what_comes_from_elsewhere() {
    for (modules, status) in [
        ("[submodule \"a\"]\n\tpath = a\n\turl = ../a\n", 0),
        ("[submodule \"a\"]\n\tpath = a\n\turl = -x\n", 128),
    ] {
        let sandbox = Sandbox::new();
        let here = elsewhere(&sandbox, Format::Sha1, modules, ".gitmodules");
        here.name(&sandbox, &here.pack, &here.page.url(&here.file()));
        let url = format!("file://{}", sandbox.path("served").join(NAME).display());
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let words = [&TAKE[..], &["-c", "transfer.fsckObjects=true", "clone", "-q", "--bare", &url, "copy"]];
        let (ours, theirs) = (twin.gitr("", &words.concat()), twin.git("", &words.concat()));
        assert_eq!((ours.status, theirs.status), (status, status), "{ours:?} {theirs:?}");
        assert_eq!(here.asked.paths().len(), 2);
        assert_eq!(Path::exists(&twin.ours.join("copy")), status == 0);
    }
}

#[test]
fn what_is_meant_for_the_server_goes_nowhere_else() {
    crate::once(Kind::Apache, |case| {
        let here = elsewhere(&case.sandbox, Format::Sha1, "stands elsewhere\n", "big");
        here.name(&case.sandbox, &here.pack, &here.page.url(&here.file()));
        case.refresh(NAME);
        let trace = case.sandbox.path("trace");
        let url = case.url(NAME);
        let mut command = case.sandbox.command(env!("CARGO_BIN_EXE_gitr"));
        command.args(TAKE).args([
            "-c",
            "http.extraHeader=X-Secret: sesame",
            "clone",
            "-q",
            "--bare",
            &url,
            "copy",
        ]);
        Run::of(command.env("GIT_TRACE_PACKET", &trace)).success();
        assert_eq!(here.asked.paths(), [here.file()]);
        let headers = here.asked.headers().join("\n");
        assert!(!headers.contains("sesame"), "{headers}");
        // to know where a pack is may be all it takes to have it
        let trace = fs::read(trace).unwrap();
        let expected = format!("{} {}<redacted>", here.pack, here.page.url(""));
        assert!(trace.contains_str(&expected), "{}", trace.as_bstr());
        assert!(!trace.contains_str(here.file()), "{}", trace.as_bstr());
    });
}
