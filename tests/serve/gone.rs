//! Clients that hang up, in each state of their request, and clients that sit still: whom they keep from being served.

use std::fmt::Write as _;
use std::io::Read as _;
use std::time::{Duration, Instant};

use bstr::ByteSlice as _;

use crate::bounds::{Guarded, REFS, begun, holder};
use crate::client::{Client, fetch, get, head, ls_refs, packets, post};
use crate::support::Run;

/// How soon a worker is free.
const FREE_WITHIN: Duration = Duration::from_secs(1);
/// How often that is tried where the machine has something else to do.
const TRIES: usize = 8;
/// Versions of a file, and lines of each: in a second nobody finds the deltas of all.
const VERSIONS: usize = 1_000;
const VERSION_LINES: usize = 1_500;
/// Commits of a history that takes longer than that to be walked, where nobody stops it.
const COMMITS: usize = 20_000;
/// Places for large answers where there are eight in all.
const PLACES: u64 = 6;
/// Metrics: workers that have something to do, and requests that are not answered to the end.
const BUSY: &str = "gitr_workers_busy ";
const REQUESTS: &str = "http_server_active_requests ";

/// Adds a long history without branches, whose trees differ, and one commit beside it that is older than all.
fn lengthen(server: &Guarded) {
    let mut text = String::from(
        "commit refs/heads/old\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\nM 644 inline old\ndata 1\nx\n",
    );
    for number in 0..COMMITS {
        let (time, content) = (1_000_000_000 + number, format!("{number}\n"));
        write!(
            text,
            "commit refs/heads/long\ncommitter A <a@example.com> {time} +0000\ndata 1\nx\n\
             M 644 inline {}/{}/file\ndata {}\n{content}\n",
            number % 90,
            number % 70,
            content.len()
        )
        .unwrap();
    }
    let mut command = server.sandbox.command("git");
    command.current_dir(server.repository()).args(["fast-import", "--quiet"]);
    Run::with_input(&mut command, text.as_bytes()).success();
}

fn id(server: &Guarded, name: &str) -> String {
    server.sandbox.git(&server.repository(), &["rev-parse", name]).success().line()
}

/// A POST of all of `body`, to which nobody has heard an answer yet.
fn posted(port: u16, body: &[u8]) -> Client {
    begun(port, &head(&format!("Content-Length: {}", body.len())), body)
}

/// Waits until `name` is `value`, and tells how long that took.
fn waits_for(server: &mut Guarded, name: &str, value: u64) -> Duration {
    let start = Instant::now();
    assert!(server.wait_until(name, |now| now == value), "{name}: {}", server.metric(name));
    start.elapsed()
}

/// Adds many versions of a file, each a loose object: whoever wants them has deltas searched for long.
fn add_versions(server: &Guarded) {
    let mut text = String::new();
    for number in 0..VERSIONS {
        let lines: Vec<String> =
            (0..VERSION_LINES).map(|line| format!("{line} {}\n", line * number % 97)).collect();
        let (time, content) = (1_000_000_000 + number, lines.concat());
        write!(
            text,
            "commit refs/heads/versions\ncommitter A <a@example.com> {time} +0000\ndata 1\nx\n\
             M 644 inline file\ndata {}\n{content}\n",
            content.len()
        )
        .unwrap();
    }
    let mut command = server.sandbox.command("git");
    command.current_dir(server.repository()).args([
        "-c",
        "fastimport.unpackLimit=100000",
        "fast-import",
        "--quiet",
    ]);
    Run::with_input(&mut command, text.as_bytes()).success();
}

/// Brings a client into a state, has it hang up, and sees that its worker is free at once: on a busy machine not each time.
fn frees_at_once(server: &mut Guarded, (state, gauge): (&str, &str), begin: &dyn Fn(&mut Guarded) -> Client) {
    let mut times = Vec::new();
    while times.iter().all(|time| *time >= FREE_WITHIN) {
        assert!(times.len() < TRIES, "{state}: {times:?}");
        let client = begin(server);
        assert_eq!(server.metric(gauge), 1, "{state}");
        drop(client);
        times.push(waits_for(server, gauge, 0));
    }
}

/// Reads an answer until `text` was in it.
fn hears(client: &mut Client, text: &str) {
    let mut heard = Vec::new();
    let mut piece = [0; 256];
    while !heard.contains_str(text) {
        let count = client.0.read(&mut piece).unwrap();
        assert_ne!(count, 0, "{}", heard.as_bstr());
        heard.extend_from_slice(&piece[..count]);
    }
}

#[test]
fn those_who_hang_up_in_any_state_free_their_workers_at_once() {
    let mut server = Guarded::start(&["--limit=workers=1", "--enable-receive-pack=anybody"]);
    lengthen(&server);
    add_versions(&server);
    server.enlarge(9 << 20);
    let port = server.port();
    let (long, old, tip) = (id(&server, "long"), id(&server, "old"), server.tip());
    let versions = fetch(&id(&server, "versions"));
    let negotiation =
        packets(&["command=fetch", "0001", &format!("want {long}"), &format!("have {old}"), "0000"]);
    let deepen = format!("deepen {}", COMMITS - 1);
    let deepened = packets(&["command=fetch", "0001", &deepen, &format!("want {long}"), "0000"]);
    for (state, body) in [("negotiation", negotiation), ("boundary", deepened), ("enumeration", fetch(&long))]
    {
        frees_at_once(&mut server, (state, BUSY), &|server| {
            let client = posted(port, &body);
            waits_for(server, BUSY, 1);
            client
        });
    }
    frees_at_once(&mut server, ("search for deltas", BUSY), &|_| {
        let mut client = posted(port, &versions);
        hears(&mut client, "Compressing objects:");
        client
    });
    frees_at_once(&mut server, ("writing", BUSY), &|_| {
        let mut client = posted(port, &fetch(&tip));
        client.0.read_exact(&mut vec![0; 1 << 20]).unwrap();
        client
    });
    // a fetch has a worker once all of its request is there
    frees_at_once(&mut server, ("request", REQUESTS), &|server| {
        let said = head("Content-Length: 100\nExpect: 100-continue");
        let mut client = begun(port, &said, "");
        assert_eq!(client.answer().unwrap().status, 100);
        client.send("0014");
        waits_for(server, REQUESTS, 1);
        client
    });
    frees_at_once(&mut server, ("commands of a push", BUSY), &|_| holder(port, "project"));
    frees_at_once(&mut server, ("pack of a push", BUSY), &|_| {
        let mut client = holder(port, "project");
        client
            .send(&packets(&[&format!("{} {tip} refs/heads/x\0report-status", "0".repeat(40)), "0000"])[..]);
        client.send("PACK");
        client
    });
}

#[test]
fn those_who_hang_up_in_the_queue_leave_it_at_once() {
    let mut server = Guarded::start(&["--limit=workers=1", "--enable-receive-pack=anybody"]);
    let port = server.port();
    let held = holder(port, "project");
    let mut times = Vec::new();
    while times.iter().all(|time| *time >= FREE_WITHIN) {
        assert!(times.len() < TRIES, "{times:?}");
        let queued = posted(port, &ls_refs());
        waits_for(&mut server, "gitr_queue_depth ", 1);
        drop(queued);
        times.push(waits_for(&mut server, "gitr_queue_depth ", 0));
    }
    drop(held);
    waits_for(&mut server, BUSY, 0);
    assert_eq!(post(port, ls_refs()).status, 200);
    waits_for(&mut server, "gitr_client_gone_total ", times.len() as u64 + 1);
}

#[test]
fn those_who_sit_on_their_packs_keep_nobody_from_the_rest() {
    let mut server = Guarded::start(&[
        "--limit=packs=1",
        "--limit=workers=8",
        "--limit=workers-per-address=100",
        "--limit=queue-time=10m",
        "--limit=write-time=10m",
    ]);
    server.enlarge(9 << 20);
    let (port, body) = (server.port(), fetch(&server.tip()));
    let mut clients: Vec<_> = (0..PLACES).map(|_| posted(port, &body)).collect();
    waits_for(&mut server, BUSY, PLACES);
    // these have begun to get their packs, and as many wait until they have theirs
    clients.extend((0..PLACES).map(|_| posted(port, &body)));
    waits_for(&mut server, "gitr_queue_depth ", PLACES);
    for _ in 0..3 {
        let listed = post(port, ls_refs());
        assert_eq!((listed.status, listed.is_whole), (200, true));
        assert_eq!(get(port, REFS).status, 200);
        waits_for(&mut server, BUSY, PLACES);
    }
    // whoever goes on gets all of it
    for client in clients.iter_mut().take(2) {
        let answer = client.answer().unwrap();
        assert!(answer.is_whole && answer.body.len() > 9 << 20, "{} {}", answer.status, answer.body.len());
    }
    drop(clients);
    waits_for(&mut server, BUSY, 0);
    server.starts_anew();
    server.is_as_before();
}

/// A crowd beyond the places and the queue is told when to come again, and nobody is told anything else.
#[test]
fn packs_beyond_the_limit_are_told_when_to_come_again() {
    let mut server = Guarded::start(&[
        "--limit=packs=1",
        "--limit=workers=4",
        "--limit=queue=2",
        "--limit=queue-time=10m",
        "--limit=workers-per-address=100",
    ]);
    server.enlarge(9 << 20);
    let (port, body) = (server.port(), fetch(&server.tip()));
    let held: Vec<_> = (0..5).map(|_| posted(port, &body)).collect();
    waits_for(&mut server, "gitr_queue_depth ", 2);
    let beyond = post(port, &body);
    assert_eq!((beyond.status, beyond.header("retry-after")), (429, Some("10")), "{beyond:?}");
    assert_eq!(post(port, ls_refs()).status, 200);
    drop(held);
    waits_for(&mut server, BUSY, 0);
    server.starts_anew();
    server.is_as_before();
    assert_eq!(server.counted("queue"), 1);
}

/// Wants and haves of which each leads to all of the others: the history is walked once, not once for each.
#[test]
fn a_history_is_walked_once_whatever_is_asked() {
    let mut server = Guarded::start(&[]);
    lengthen(&server);
    let all = server.sandbox.git(&server.repository(), &["rev-list", "long"]).success().stdout.to_string();
    let ids: Vec<&str> = all.lines().collect();
    let root = format!("have {}", ids[COMMITS - 1]);
    let wants = |begin: usize| ids[begin..].iter().map(|id| format!("want {id}"));
    // the last of the wants is the only one that leads nowhere
    let old = format!("want {}", id(&server, "old"));
    let body: Vec<String> = ["command=fetch".to_owned(), "0001".to_owned()]
        .into_iter()
        .chain(wants(0))
        .chain([old, root, "0000".to_owned()])
        .collect();
    let body = packets(&body.iter().map(String::as_str).collect::<Vec<_>>());
    let answer = post(server.port(), &body);
    let told = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).into_owned();
    assert!(answer.status == 200 && told.contains("ACK ") && !told.contains("ready"), "{answer:?}");
    // v0 compares after each have that is not here
    let mut lines = vec![format!("want {} multi_ack_detailed no-done side-band-64k", ids[0])];
    lines.push(format!("want {}", id(&server, "old")));
    lines.push("0000".to_owned());
    for (number, known) in ids.iter().enumerate().skip(COMMITS - 4_000) {
        lines.extend([format!("have {known}"), format!("have {number:040x}")]);
    }
    lines.push("0000".to_owned());
    let body = packets(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let said = head(&format!("Content-Length: {}", body.len())).replace("Git-Protocol: version=2", "X: y");
    let answer = crate::client::ask(server.port(), &said, &body);
    assert!(answer.status == 200 && answer.is_whole && answer.body.ends_with(b"0008NAK\n"), "{answer:?}");
    server.starts_anew();
    server.is_as_before();
}
