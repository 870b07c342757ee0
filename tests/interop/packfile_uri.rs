//! Packs that a server names instead of sending their objects: packfile-uris, as C git's upload-pack has them.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::serve_transport::server;
use crate::support::page::{Asked, Page};
use crate::support::{Case, Format, Git, Kind, Run, Sandbox, Stream, Twin, build, state};

/// The repository that is served.
const NAME: &str = "r.git";
/// What makes a client take packs from elsewhere.
const TAKE: [&str; 2] = ["-c", "fetch.uriProtocols=http,https"];

/// What asks a server for them.
const ALL: &str = "packfile-uris https,http";
/// The status of a program that wrote to nobody.
const BROKEN_PIPE: i32 = 128 + 13;

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
fn packs_elsewhere_are_named_by_gitr_as_by_git() {
    for (kind, format) in [
        (Kind::File, Format::Sha256),
        (Kind::Daemon, Format::Sha1),
        (Kind::Apache, Format::Sha1),
        (Kind::GitrServe, Format::Sha1),
    ] {
        if let Some(case) = Case::new(kind, server(), 2, format) {
            taken(&case);
        }
    }
}

/// What `git upload-pack` answers to a request for all of `main` with `lines` besides: packets with their lines in an
/// order of their own where there is none, the number of objects of a pack.
fn answer(sandbox: &Sandbox, git: &Git, config: &[String], lines: &[&str]) -> (i32, Vec<String>) {
    let served = sandbox.path("served").join(NAME);
    let id = sandbox.git(&served, &["rev-parse", "main"]).success().line();
    let mut request = packet("command=fetch") + &packet("object-format=sha1") + "0001";
    for line in [&["no-progress", &format!("want {id}")], lines, &["done"]].concat() {
        request += &packet(line);
    }
    request += "0000";
    let mut command = sandbox.command(&git.program);
    command.args(config.iter().flat_map(|value| ["-c", value.as_str()]));
    command.args(["upload-pack", "--stateless-rpc"]).arg(&served).env("GIT_PROTOCOL", "version=2");
    let run = Run::with_input(&mut command, request.as_bytes());
    (run.status, told(&run.stdout))
}

/// What C git answers. Where it does not like its configuration, it may be gone before it has read what it is asked.
fn theirs(sandbox: &Sandbox, config: &[String], lines: &[&str]) -> (i32, Vec<String>) {
    let mut answers = (0..100).map(|_| answer(sandbox, Git::reference(), config, lines));
    answers.find(|(status, _)| *status != BROKEN_PIPE).expect("it is not always gone")
}

/// A line as a packet.
fn packet(line: &str) -> String {
    format!("{:04x}{line}\n", line.len() + 5)
}

/// The packets of an answer, bands merged.
fn told(mut bytes: &[u8]) -> Vec<String> {
    let (mut lines, mut pack, mut said) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length = usize::from_str_radix(length.to_str().unwrap(), 16).unwrap();
        let (payload, rest) = rest.split_at(length.saturating_sub(4));
        bytes = rest;
        match payload {
            [1, data @ ..] if !pack.is_empty() || data.starts_with(b"PACK") => pack.extend_from_slice(data),
            [2, data @ ..] => said.extend_from_slice(data),
            _ => lines.push(format!("{length:04x} {}", payload.as_bstr())),
        }
    }
    // the length of what was sent in pieces is nobody's concern
    if let Some(count) = pack.get(8..12) {
        lines.push(format!("a pack of {count:?} objects"));
    }
    lines.push(said.to_str_lossy().into_owned());
    // C git names packs in no order
    lines.sort();
    lines
}

#[test]
fn what_clients_ask_of_packs_elsewhere_is_answered_as_by_git() {
    let sandbox = Sandbox::new();
    let here = elsewhere(&sandbox, Format::Sha1, "stands elsewhere\n", "big");
    let served = sandbox.path("served").join(NAME);
    sandbox.git(&served, &["config", "uploadpack.allowFilter", "true"]).success();
    let id = |name: &str| sandbox.git(&served, &["rev-parse", name]).success().line();
    let (blob, pack) = (&here.blob, &here.pack);
    let value = |value: &str| format!("uploadpack.blobPackfileUri={value}");
    let big = value(&format!("{blob} {pack} https://x/y z.pack"));
    let more = value(&format!("{} {} http://x/2.pack", id("main:more"), "1".repeat(40)));
    let both = [big.clone(), more.clone()];
    let cases: Vec<(Vec<String>, &[&str])> = vec![
        (vec![], &["sideband-all", ALL]),
        (vec!["uploadpack.blobPackfileUri".into()], &["sideband-all", ALL]),
        (both.to_vec(), &["sideband-all", ALL]),
        (both.to_vec(), &["sideband-all", "packfile-uris http"]),
        (both.to_vec(), &["packfile-uris http", "sideband-all"]),
        (both.to_vec(), &["sideband-all", "packfile-uris https,"]),
        (both.to_vec(), &["sideband-all", "packfile-uris HTTP,ftp"]),
        (both.to_vec(), &["sideband-all", "packfile-uris "]),
        (both.to_vec(), &["sideband-all", "packfile-uris"]),
        (both.to_vec(), &["sideband-all", ALL, "filter blob:none"]),
        (both.to_vec(), &["sideband-all"]),
        // without bands there is no place for them
        (both.to_vec(), &[ALL]),
        (vec![big.clone()], &["sideband-all", ALL, ALL]),
        (vec![big.clone()], &[ALL, ALL, "sideband-all"]),
        (vec![big.clone(), big.clone()], &["sideband-all"]),
        (vec![big.clone(), "uploadpack.blobPackfileUri".into()], &["sideband-all"]),
        (vec![value("anything")], &["sideband-all"]),
        (vec![value(&format!("{blob}  {pack} https://x"))], &["sideband-all"]),
        (vec![value(&format!("{blob} {pack}"))], &["sideband-all"]),
        (vec![value(&format!("{blob} {pack} "))], &["sideband-all", ALL]),
        (vec![value(&format!("{blob} {pack}  https://x"))], &["sideband-all", ALL]),
        (vec![value(&format!("{} {pack} https://x", blob.to_uppercase()))], &["sideband-all", ALL]),
        (vec![value(&format!("{} {pack} https://x", id("main:")))], &["sideband-all", ALL]),
        (vec![value(&format!("{} {pack} https://x", id("main")))], &["sideband-all", ALL]),
    ];
    let mut named = 0;
    for (config, lines) in cases {
        let (theirs, ours) = (theirs(&sandbox, &config, lines), answer(&sandbox, server(), &config, lines));
        assert_eq!(ours, theirs, "{config:?} {lines:?}");
        named += usize::from(ours.1.iter().any(|line| line.contains("packfile-uris\n")));
    }
    assert_eq!(named, 7);
    // another program that makes the pack is asked for them
    let hook = sandbox.path("hook");
    fs::write(&hook, format!("#!/bin/sh\necho \"$*\" >>{}\nexec \"$@\"\n", sandbox.path("seen").display()))
        .unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let config = [big, more, format!("uploadpack.packObjectsHook={}", hook.display())];
    for lines in [&["sideband-all", ALL, "filter blob:limit=1k"][..], &["sideband-all", "packfile-uris ftp,"]]
    {
        let (theirs, ours) = (theirs(&sandbox, &config, lines), answer(&sandbox, server(), &config, lines));
        assert_eq!(ours, theirs, "{lines:?}");
    }
    let seen = fs::read_to_string(sandbox.path("seen")).unwrap();
    let seen: Vec<&str> = seen.lines().collect();
    let [theirs, ours, others @ ..] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((ours, others[1]), (theirs, others[0]));
}

/// C git forgets blobs that lie in a pack.
#[test]
fn neither_a_pack_nor_a_bitmap_brings_back_what_stands_elsewhere() {
    let sandbox = Sandbox::new();
    let here = elsewhere(&sandbox, Format::Sha1, "stands elsewhere\n", "big");
    here.name(&sandbox, &here.pack, &here.page.url(&here.file()));
    let served = sandbox.path("served").join(NAME);
    let plain = answer(&sandbox, server(), &[], &["sideband-all", "packfile-uris http"]);
    assert!(plain.1.iter().any(|line| line.contains(&here.pack)), "{plain:?}");
    for options in ["-adq", "-adbq"] {
        sandbox.git(&served, &["repack", options]).success();
        assert_eq!(answer(&sandbox, server(), &[], &["sideband-all", "packfile-uris http"]), plain);
    }
    let url = format!("file://{}", served.display());
    let upload_pack = format!("--upload-pack={}", server().exec_path.join("git-upload-pack").display());
    let words = [&TAKE[..], &["clone", "-q", "--bare", &upload_pack, &url, "copy"]].concat();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &words);
    twin.same_objects("copy");
    assert_eq!(here.asked.paths(), [here.file(), here.file()]);
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
