//! Many who push at the same time, each a commit of its own: nothing is lost, and a server that is killed among them leaves
//! what it serves whole.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc;

use bstr::ByteSlice as _;
use rustix::process::{Signal, kill_process_group};
use sha1::{Digest as _, Sha1};

use crate::client::{Client, head, packets};
use crate::pushed::Pack;
use crate::served;
use crate::support::servers::serve::GitrServe;
use crate::support::{Sandbox, state};

/// Those who push at the same time.
const PUSHERS: usize = 200;
/// The server is killed when so many of them have heard that they are done.
const KILLED_AFTER: [usize; 4] = [1, 30, 90, 150];
/// What lets so many in at a time.
const OPTIONS: [&str; 5] = [
    "--enable-receive-pack=anybody",
    "--limit=connections-per-address=500",
    "--limit=queue=500",
    "--limit=queue-time=10m",
    "--limit=workers-per-address=32",
];

/// A commit onto `parent` that no other pusher makes, its id, and the pack with it.
fn commit(tree: &str, parent: &str, number: usize) -> (String, Vec<u8>) {
    const KIND: u8 = 1;
    let who = format!("A <a@example.com> {} +0000", 1_700_000_000 + number);
    let text = format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{number}\n");
    let id = Sha1::digest(format!("commit {}\0{text}", text.len()));
    let id = gix_hash::ObjectId::try_from(id.as_slice()).unwrap().to_string();
    (id, Pack::new().entry(KIND, text.len() as u64, &[], text.as_bytes()).seal())
}

/// What is pushed to.
struct Place {
    sandbox: Sandbox,
    repository: PathBuf,
    tree: String,
    tip: String,
}

impl Place {
    fn new(sandbox: Sandbox) -> Self {
        let repository = sandbox.path("served/project.git");
        let id = |name: &str| sandbox.git(&repository, &["rev-parse", name]).success().line();
        let (tree, tip) = (id("main^{tree}"), id("main"));
        Self { sandbox, repository, tree, tip }
    }

    /// Everybody pushes to the ref that `name` gives it; tells by `done` who has heard that it is there.
    fn push(
        &self,
        port: u16,
        turn: usize,
        name: &(impl Fn(usize) -> String + Sync),
        done: &mpsc::Sender<(String, String)>,
    ) {
        std::thread::scope(|scope| {
            for number in 0..PUSHERS {
                let done = done.clone();
                scope.spawn(move || {
                    let (id, pack) = commit(&self.tree, &self.tip, turn * PUSHERS + number);
                    let name = name(number);
                    let command = format!(
                        "{} {id} {name}\0 report-status object-format=sha1",
                        "0".repeat(self.tip.len())
                    );
                    let body = [packets(&[&command, "0000"]).as_slice(), &pack].concat();
                    let said = head(&format!("Content-Length: {}", body.len()))
                        .replace("upload-pack", "receive-pack");
                    // nor does it listen any more
                    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
                    let mut client = Client(stream);
                    client.send(format!("{}\r\nHost: x\r\n\r\n", said.replace('\n', "\r\n")));
                    client.send(&body);
                    // a server that was killed says nothing
                    let answer = client.answer().filter(|answer| answer.is_whole);
                    if answer.is_some_and(|answer| answer.body.contains_str(format!("ok {name}\n"))) {
                        done.send((name, id)).unwrap();
                    }
                });
            }
        });
    }

    /// The refs below `prefix`, and what each names.
    fn refs(&self, prefix: &str) -> HashMap<String, String> {
        let words = ["for-each-ref", "--format=%(refname) %(objectname)", prefix];
        let text = self.sandbox.git(&self.repository, &words).success().stdout.to_string();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
    }

    fn assert_whole(&self) {
        self.sandbox.git(&self.repository, &["fsck", "--full", "--strict"]).success();
    }
}

#[test]
fn many_who_push_commits_at_a_time_lose_nothing() {
    let (sandbox, server) = served(&OPTIONS);
    let place = Place::new(sandbox);
    let (sender, done) = mpsc::channel();
    place.push(server.process.port, 0, &|number| format!("refs/heads/own/{number}"), &sender);
    drop(sender);
    let done: HashMap<_, _> = done.iter().collect();
    assert_eq!(done.len(), PUSHERS);
    assert_eq!(place.refs("refs/heads/own"), done);
    let (sender, done) = mpsc::channel();
    place.push(server.process.port, 1, &|_| "refs/heads/one".to_owned(), &sender);
    drop(sender);
    let done: Vec<_> = done.iter().collect();
    assert_eq!(done.len(), 1, "one is the first");
    assert_eq!(place.refs("refs/heads/one").into_iter().collect::<Vec<_>>(), done);
    place.assert_whole();
    assert!(state::leftovers(&place.repository).is_empty());
}

#[test]
fn a_server_killed_among_many_who_push_leaves_everything_whole() {
    let (sandbox, first) = served(&OPTIONS);
    drop(first);
    let place = Place::new(sandbox);
    // the others leave loose objects, these packs
    place.sandbox.git(&place.repository, &["config", "receive.unpackLimit", "1"]).success();
    for (turn, most) in KILLED_AFTER.into_iter().enumerate() {
        let server = GitrServe::start(&place.sandbox, &OPTIONS);
        let (sender, done) = mpsc::channel();
        // some to refs of their own, some to a common one
        let name = |number: usize| match number % 4 {
            0 => format!("refs/heads/common{turn}"),
            _ => format!("refs/heads/turn{turn}/{number}"),
        };
        let told = std::thread::scope(|scope| {
            scope.spawn(|| place.push(server.process.port, turn, &name, &{ sender }));
            let mut told: Vec<(String, String)> = done.iter().take(most).collect();
            kill_process_group(server.process.group(), Signal::KILL).ok();
            told.extend(done.iter());
            told
        });
        assert!((most..PUSHERS).contains(&told.len()), "{} of {most}", told.len());
        let there = place.refs("refs/heads");
        for (name, id) in &told {
            assert_eq!(there.get(name), Some(id), "{name} was said to be there");
        }
        place.assert_whole();
        // what git tells people to remove by hand after a crash
        for lock in state::leftovers(&place.repository) {
            if lock.extension().is_some_and(|extension| extension == "lock") {
                std::fs::remove_file(lock).unwrap();
            }
        }
    }
}
