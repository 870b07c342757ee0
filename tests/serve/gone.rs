//! Clients that hang up, in each state of their request, and clients that sit still: whom they keep from being served.

use std::fmt::Write as _;
use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::bounds::{Guarded, REFS, begun, holder};
use crate::client::{Client, fetch, get, head, ls_refs, packets, post};
use crate::support::Run;

/// How soon a worker is free: a second on a machine that has nothing else to do.
const FREE_WITHIN: Duration = Duration::from_secs(5);
/// Commits of a history that takes longer than that to be walked, where nobody stops it.
const COMMITS: usize = 20_000;
/// Places for large answers where there are eight in all.
const PLACES: u64 = 6;

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

#[test]
fn those_who_hang_up_in_any_state_free_their_workers_at_once() {
    let mut server = Guarded::start(&["--limit=workers=1", "--enable-receive-pack=anybody"]);
    lengthen(&server);
    server.enlarge(9 << 20);
    let port = server.port();
    let (long, old, tip) = (id(&server, "long"), id(&server, "old"), server.tip());
    let negotiation =
        packets(&["command=fetch", "0001", &format!("want {long}"), &format!("have {old}"), "0000"]);
    let deepened = packets(&[
        "command=fetch",
        "0001",
        &format!("deepen {}", COMMITS - 1),
        &format!("want {long}"),
        "0000",
    ]);
    for (state, body) in [("negotiation", negotiation), ("boundary", deepened), ("enumeration", fetch(&long))]
    {
        let client = posted(port, &body);
        waits_for(&mut server, "gitr_workers_busy ", 1);
        drop(client);
        let time = waits_for(&mut server, "gitr_workers_busy ", 0);
        assert!(time < FREE_WITHIN, "{state}: {time:?}");
    }
    let mut writing = posted(port, &fetch(&tip));
    writing.0.read_exact(&mut vec![0; 1 << 20]).unwrap();
    assert_eq!(server.metric("gitr_workers_busy "), 1);
    drop(writing);
    let time = waits_for(&mut server, "gitr_workers_busy ", 0);
    assert!(time < FREE_WITHIN, "writing: {time:?}");
    // one works, and one waits for it
    let held = holder(port, "project");
    let queued = posted(port, &ls_refs());
    waits_for(&mut server, "gitr_queue_depth ", 1);
    drop(queued);
    let time = waits_for(&mut server, "gitr_queue_depth ", 0);
    assert!(time < FREE_WITHIN, "queue: {time:?}");
    drop(held);
    let time = waits_for(&mut server, "gitr_workers_busy ", 0);
    assert!(time < FREE_WITHIN, "push: {time:?}");
    assert_eq!(post(port, ls_refs()).status, 200);
    waits_for(&mut server, "gitr_client_gone_total ", 6);
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
    waits_for(&mut server, "gitr_workers_busy ", PLACES);
    // these have begun to get their packs, and as many wait until they have theirs
    clients.extend((0..PLACES).map(|_| posted(port, &body)));
    waits_for(&mut server, "gitr_queue_depth ", PLACES);
    for _ in 0..3 {
        let listed = post(port, ls_refs());
        assert_eq!((listed.status, listed.is_whole), (200, true));
        assert_eq!(get(port, REFS).status, 200);
        waits_for(&mut server, "gitr_workers_busy ", PLACES);
    }
    // whoever goes on gets all of it
    for client in clients.iter_mut().take(2) {
        let answer = client.answer().unwrap();
        assert!(answer.is_whole && answer.body.len() > 9 << 20, "{} {}", answer.status, answer.body.len());
    }
    drop(clients);
    waits_for(&mut server, "gitr_workers_busy ", 0);
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
    waits_for(&mut server, "gitr_workers_busy ", 0);
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
