//! Pushes that break on the way: no ref moves half, no tracking ref tells what is not so, nothing is left here.

use std::fs;
use std::path::PathBuf;

use bstr::ByteSlice;

use crate::support::page::Page;
use crate::support::proxy::{Fault, Proxy};
use crate::support::push::{COPY, ORIGIN, Snapshot};
use crate::support::{Case, Format, Git, Kind, Pushers, Run, Stream, build, state};

/// What is pushed: an update, a creation and a deletion.
const REFSPECS: [&str; 3] = ["main", "main~1:refs/heads/new", ":topic"];
/// At how many places a conversation over HTTP is broken, in each direction.
const PLACES: usize = 8;

/// Two clients with more to push than a socket takes at once, and what everything was before.
fn with_clients(kind: Kind, scenario: impl FnOnce(&Pushers<'_>, &Snapshot)) {
    let Some(case) = Case::new(kind, Git::reference(), 2, Format::Sha1) else { return };
    let pushers = Pushers::new(&case, |path| build::project(&case.sandbox, path, case.format, 12));
    let mut stream = Stream::onto("main");
    stream.history(100..110).commit("main", 110).file("noise", build::noise(300_000));
    pushers.client(&stream);
    let snapshot = pushers.snapshot();
    scenario(&pushers, &snapshot);
    pushers.finish();
}

/// What one side says in a push that goes well, and where it can be cut.
struct Script {
    /// What the client sends.
    client: Vec<u8>,
    /// What the server sends.
    server: Vec<u8>,
}

impl Script {
    /// The scripts of gitr and of C git.
    fn of_both(pushers: &Pushers<'_>, snapshot: &Snapshot) -> [Self; 2] {
        let mut scripts = Vec::new();
        attempt(
            pushers,
            |_| Fault::None,
            |proxy| {
                scripts.push(Self { client: proxy.client_bytes(), server: proxy.server_bytes() });
            },
        );
        pushers.restore(snapshot);
        scripts.try_into().unwrap_or_else(|_| unreachable!("there are two clients"))
    }
}

/// Pushes with both through a relay each, whose fault `choose` tells by the number of the client: gitr's is 0.
/// `look` sees each relay afterwards.
fn attempt(pushers: &Pushers<'_>, choose: impl Fn(usize) -> Fault, mut look: impl FnMut(&Proxy)) -> [Run; 2] {
    [0, 1].map(|number| {
        let whose = ["ours", "them"][number];
        let proxy = Proxy::before(&pushers.case.url(&format!("{whose}/{ORIGIN}")), choose(number));
        let run = push_to(pushers, number, &proxy.url, &REFSPECS);
        look(&proxy);
        run
    })
}

/// Pushes to `url` as if it were `origin`.
fn push_to(pushers: &Pushers<'_>, number: usize, url: &str, refspecs: &[&str]) -> Run {
    let config = format!("remote.origin.pushurl={url}");
    let arguments = [&["-c", &config, "push", "origin"], refspecs].concat();
    let run =
        if number == 0 { pushers.twin.gitr(COPY, &arguments) } else { pushers.twin.git(COPY, &arguments) };
    pushers.await_servers();
    let anonymous = pushers.twin.anonymous(url.as_bytes());
    Run { stderr: run.stderr.replace(&*anonymous, "<url>").into(), ..run }
}

/// The refs of the copy that gitr pushes to.
fn served_refs(pushers: &Pushers<'_>) -> bstr::BString {
    let [ours, _] = pushers.served(ORIGIN);
    pushers.case.sandbox.git(&ours, &["for-each-ref"]).success().stdout
}

/// Checks what has to hold after any fault, and brings everything back.
#[track_caller]
fn assert_unharmed(pushers: &Pushers<'_>, snapshot: &Snapshot, run: &Run, after: &[u8], what: &str) {
    assert_ne!(run.status, 0, "{what}: {run:?}");
    let tells = |line: &[u8]| line.starts_with(b"fatal: ") || line.starts_with(b"error: ");
    assert!(run.stderr.lines().any(tells), "{what}: nothing is told: {run:?}");
    let refs = served_refs(pushers);
    let moved = refs == after;
    assert!(moved || refs == snapshot.refs, "{what}: some refs moved\n{refs}\n{run:?}");
    let [ours, _] = pushers.clients();
    assert_eq!(state::leftovers(&ours), Vec::<PathBuf>::new(), "{what}: files were left by {run:?}");
    let temporary = pushers.case.sandbox.path("temporary");
    assert_eq!(state::files(&temporary), Vec::<PathBuf>::new(), "{what}: files were left by {run:?}");
    pushers.restore(snapshot);
}

/// The ends of the pkt-lines of `bytes` up to the first flush-pkt, and that of the flush-pkt.
fn packets(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut place = 0;
    while let Some(length) = bytes.get(place..place + 4) {
        let length = usize::from_str_radix(&length.to_str_lossy(), 16).unwrap();
        place += length.max(4);
        ends.push(place);
        if length == 0 {
            break;
        }
    }
    ends
}

#[test]
fn a_push_cut_in_the_server_s_words() {
    with_clients(Kind::Daemon, |pushers, snapshot| {
        let after = refs_after(pushers, snapshot);
        let [_, script] = Script::of_both(pushers, snapshot);
        let greeting = *packets(&script.server).last().unwrap();
        let end = script.server.len();
        let places = [0, 1, 3, 4, 10, 60, greeting / 2, greeting - 5, greeting - 4, greeting - 1, greeting]
            .into_iter()
            .chain([greeting + 3, greeting + 4, greeting + 5, greeting + 20, end - 30, end - 4, end - 1]);
        for place in places {
            let [ours, theirs] = attempt(pushers, |_| Fault::Close(place as u64), |_| ());
            pushers.compare(&ours, &theirs);
            assert_unharmed(pushers, snapshot, &ours, &after, &format!("cut at {place} of {end}"));
        }
    });
}

#[test]
fn a_push_cut_in_the_client_s_words() {
    with_clients(Kind::Daemon, |pushers, snapshot| {
        let after = refs_after(pushers, snapshot);
        let scripts = Script::of_both(pushers, snapshot);
        let [ours, theirs] = scripts.each_ref().map(|script| places_of_client(&script.client));
        assert_eq!(ours.len(), theirs.len(), "gitr has other sections than git");
        for fault in [Fault::EndRequest, Fault::CloseRequest] {
            for places in ours.iter().zip(&theirs).map(|(ours, theirs)| [*ours, *theirs]) {
                let faults = places.map(|place| fault(place as u64));
                let [ours, theirs] = attempt(pushers, |number| faults[number], |_| ());
                pushers.compare(&ours, &theirs);
                let what = format!("{:?} of {}", faults[0], scripts[0].client.len());
                assert_unharmed(pushers, snapshot, &ours, &after, &what);
            }
        }
    });
}

/// Places before, on and after each border of what a client of `git://` sends: the request, the commands, the pack.
fn places_of_client(bytes: &[u8]) -> Vec<usize> {
    let request = packets(bytes)[0];
    let commands: Vec<_> = packets(&bytes[request..]).into_iter().map(|end| request + end).collect();
    let pack = *commands.last().unwrap();
    let end = bytes.len();
    assert_eq!(bytes.get(pack..pack + 4), Some(&b"PACK"[..]));
    let around = commands.iter().flat_map(|&border| [border - 1, border]);
    let in_pack =
        [pack + 2, pack + 4, pack + 12, pack + 13, usize::midpoint(pack, end), end - 21, end - 20, end - 1];
    [request / 2, request, request + 2].into_iter().chain(around).chain(in_pack).collect()
}

/// Resets: what is said depends on who notices first, what is left does not.
#[test]
fn a_push_reset_anywhere() {
    with_clients(Kind::Daemon, |pushers, snapshot| {
        let after = refs_after(pushers, snapshot);
        let [script, _] = Script::of_both(pushers, snapshot);
        let server = [0, 100, script.server.len() / 2, script.server.len() - 2]
            .map(|place| Fault::Reset(place as u64));
        let client = [0, 70, script.client.len() / 2, script.client.len() - 2];
        for fault in server.into_iter().chain(client.map(|place| Fault::ResetRequest(place as u64))) {
            let [ours, theirs] = attempt(pushers, |_| fault, |_| ());
            assert_ne!(theirs.status, 0, "{theirs:?}");
            assert_unharmed(pushers, snapshot, &ours, &after, &format!("{fault:?}"));
        }
    });
}

/// Over HTTP the words are curl's, and gitr's own.
#[test]
fn a_push_over_http_cut_anywhere() {
    with_clients(Kind::Apache, |pushers, snapshot| {
        let after = refs_after(pushers, snapshot);
        let [script, _] = Script::of_both(pushers, snapshot);
        let (client, server) = (script.client.len(), script.server.len());
        let spread = |length: usize| (0..PLACES).map(move |step| (length * step / PLACES) as u64);
        let faults = spread(server)
            .flat_map(|place| [Fault::Close(place), Fault::Reset(place)])
            .chain(spread(client).flat_map(|place| [Fault::CloseRequest(place), Fault::ResetRequest(place)]));
        for fault in faults {
            let proxy = Proxy::before(&pushers.case.url(&format!("ours/{ORIGIN}")), fault);
            let ours = push_to(pushers, 0, &proxy.url, &REFSPECS);
            let tracking = tracking_refs(pushers);
            assert_eq!(tracking, snapshot.tracking, "{fault:?}: tracking refs moved\n{ours:?}");
            assert_unharmed(pushers, snapshot, &ours, &after, &format!("{fault:?}"));
        }
    });
}

/// The refs of gitr's client.
fn tracking_refs(pushers: &Pushers<'_>) -> bstr::BString {
    pushers.case.sandbox.git(&pushers.clients()[0], &["for-each-ref"]).success().stdout
}

/// What the served refs are after the push.
fn refs_after(pushers: &Pushers<'_>, snapshot: &Snapshot) -> bstr::BString {
    let [ours, theirs] = attempt(pushers, |_| Fault::None, |_| ());
    assert_eq!((ours.status, theirs.status), (0, 0), "{ours:?}\n== git\n{theirs:?}");
    let refs = served_refs(pushers);
    pushers.restore(snapshot);
    refs
}

/// A server that dies while the pack comes: it greets, reads so many bytes and is killed.
#[test]
fn a_server_killed_in_the_pack() {
    with_clients(Kind::File, |pushers, snapshot| {
        for bytes in [0, 4, 400, 20_000, 200_000] {
            let program = pushers.case.sandbox.path("home/dying-receive-pack");
            let script = format!(
                "#!/bin/sh\ngit receive-pack --http-backend-info-refs \"$1\"\n\
                 head -c {bytes} >/dev/null\necho 'fatal: struck down' >&2\nkill -9 $$\n"
            );
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let option = format!("--receive-pack={}", program.display());
            let arguments = [&["push", &option, "origin"], &REFSPECS[..]].concat();
            let [ours, theirs] = [pushers.gitr(&arguments), pushers.git(&arguments)];
            pushers.compare(&ours, &theirs);
            assert_unharmed(pushers, snapshot, &ours, &snapshot.refs, &format!("killed after {bytes} bytes"));
        }
    });
}

/// A greeting of the served repository, for servers that say something else afterwards; without `capabilities`.
fn greeting(pushers: &Pushers<'_>, capabilities: &[&str]) -> Vec<u8> {
    let [_, theirs] = pushers.served(ORIGIN);
    let path = theirs.display().to_string();
    let run =
        pushers.case.sandbox.git(&theirs, &["receive-pack", "--http-backend-info-refs", &path]).success();
    let mut bytes: Vec<u8> = run.stdout.into();
    for name in capabilities {
        assert!(bytes.contains_str(name), "no {name} to take away");
        bytes = bytes.replace(format!(" {name}"), format!(" x{}", &name[1..]));
    }
    bytes
}

/// `lines` as pkt-lines and a flush-pkt.
fn report(lines: &[&str]) -> Vec<u8> {
    let lines = lines.iter().map(|line| format!("{:04x}{line}\n", line.len() + 5));
    format!("{}0000", lines.collect::<String>()).into_bytes()
}

/// As [`with_clients`], with one small commit to push, to servers of our own.
fn in_front_of_pages(scenario: impl FnOnce(&Pushers<'_>)) {
    let Some(case) = Case::new(Kind::File, Git::reference(), 2, Format::Sha1) else { return };
    let pushers = Pushers::new(&case, |path| build::project(&case.sandbox, path, case.format, 12));
    pushers.client(Stream::onto("main").commit("main", 100).file("new.txt", "new\n"));
    pushers.in_client(&["update-ref", "refs/kept/main", "refs/remotes/origin/main"]);
    scenario(&pushers);
    pushers.finish();
}

/// A server that refuses: instead of a greeting, and after it.
#[test]
fn a_server_that_refuses_with_err() {
    in_front_of_pages(|pushers| {
        let refusal = report(&["ERR no pushes today"]);
        let refusal = refusal.strip_suffix(b"0000").unwrap();
        let after_greeting = [&greeting(pushers, &[])[..], refusal].concat();
        let without_sideband = [&greeting(pushers, &["side-band-64k"])[..], refusal].concat();
        for said in [refusal, &without_sideband] {
            told_by_both(pushers, said);
        }
        // git takes it for a packet of a band that there is not, and shows nothing of it
        let ours = told(pushers, 0, &after_greeting);
        assert_eq!(ours.status, 128, "{ours:?}");
        assert!(ours.complains_of("remote: no pushes today"), "{ours:?}");
    });
}

/// Reports that are short, odd or lies, without a sideband around them and with one.
#[test]
fn reports_that_no_server_of_git_sends() {
    let reports: [&[&str]; 15] = [
        &["unpack ok", "ok refs/heads/main"],
        &["unpack ok", "ng refs/heads/main because"],
        &["unpack ok", "ng refs/heads/main"],
        &["unpack broken", "ng refs/heads/main unpacker error"],
        &["unpack ok"],
        &["unpack ok", "ok refs/heads/unknown"],
        &["unpack ok", "ok refs/heads/main", "ok refs/heads/main"],
        &["unpack ok", "ok refs/heads/main", "ng refs/heads/main too late"],
        &["unpack ok", "option refname refs/heads/other"],
        &["unpack ok", "ok refs/heads/main", "option refname refs/heads/other", "option unknown thing"],
        &["unpack ok", "ok refs/heads/main", "option old-oid nonsense"],
        &["unpack ok", "nonsense"],
        &["ok refs/heads/main"],
        &["nonsense"],
        &[],
    ];
    in_front_of_pages(|pushers| {
        for lines in reports {
            let plain = [greeting(pushers, &["side-band-64k"]), report(lines)].concat();
            told_by_both(pushers, &plain);
            let inner = report(lines);
            let mut wrapped = format!("{:04x}\u{1}", inner.len() + 5).into_bytes();
            wrapped.extend([&inner[..], b"0000"].concat());
            told_by_both(pushers, &[greeting(pushers, &[]), wrapped].concat());
        }
        // Without its objects no ref can have moved, whatever is said; git shows it as moved, and moves its own.
        let lie = [greeting(pushers, &["side-band-64k"]), report(&["unpack broken", "ok refs/heads/main"])];
        let before = tracking_refs(pushers);
        let ours = told(pushers, 0, &lie.concat());
        assert_eq!(ours.status, 1, "{ours:?}");
        assert!(ours.complains_of("error: remote unpack failed: broken"), "{ours:?}");
        assert_eq!(tracking_refs(pushers), before, "{ours:?}");
        let error = b"0015\x03out of everything0000";
        told_by_both(pushers, &[&greeting(pushers, &[])[..], error].concat());
    });
}

/// Pushes `main` to a server that says `bytes` whatever it hears; both clients have to say and leave the same.
#[track_caller]
fn told_by_both(pushers: &Pushers<'_>, bytes: &[u8]) {
    let runs = [0, 1].map(|number| told(pushers, number, bytes));
    pushers.compare(&runs[0], &runs[1]);
    pushers.in_client(&["update-ref", "refs/remotes/origin/main", "refs/kept/main"]);
}

/// Pushes `main` to a server that says `bytes` whatever it hears, with gitr if `number` is 0.
fn told(pushers: &Pushers<'_>, number: usize, bytes: &[u8]) -> Run {
    let page = Page::say(bytes);
    push_to(pushers, number, &format!("git://127.0.0.1:{}/{ORIGIN}", page.port), &["main"])
}
