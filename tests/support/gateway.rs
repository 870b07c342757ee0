//! A gateway before a web server, as companies have them: it notes every request and, where its rules say so, does not
//! let it through as it is.

use std::io::BufReader;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

mod message;

pub use message::Dress;
use message::{Answer, Request};

/// Paths below this are only the old name of what is at the path behind it.
const MOVED: &str = "/moved";

/// A listening gateway with two ports; it lives as long as the test's process.
pub struct Gateway {
    /// Where it listens.
    pub port: u16,
    /// Where it listens as well, as if it were another server.
    pub other_port: u16,
    shared: Arc<Shared>,
}

/// What is done with some of the requests.
#[derive(Debug, Clone)]
pub struct Rule {
    /// With which.
    of: Of,
    /// With how many of those it is not done yet.
    after: usize,
    /// With how many it is done then.
    times: usize,
    /// What.
    act: Act,
}

/// Which requests a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// All.
    Any,
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// Those that come to the other port.
    Other,
    /// The one with this number, counted from 0, and those after it that are the same again.
    Step(usize),
}

/// What a gateway does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends a request below `/moved` to where the repository is now, with this status.
    Redirect(u16, Place),
    /// Wants this `Authorization`; who has another is told this `WWW-Authenticate`.
    Demand(&'static str, &'static str),
    /// Answers in the server's place: a status, header lines, a body.
    Say(u16, &'static str, &'static str),
    /// Hangs up without a word.
    HangUp,
    /// Answers these bytes, which another answer had, and hangs up if there are no more.
    Replay(Vec<u8>, Then),
    /// Says nothing, for as long as the client waits.
    Stall,
    /// Lets it through and gives the answer another form.
    Dress(Dress),
}

/// What follows a replayed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next request.
    More,
    /// The end of the connection.
    End,
}

/// Where a repository is now.
#[derive(Debug, Clone)]
pub enum Place {
    /// At another path.
    Path,
    /// At the other port.
    Port,
    /// At the same server by another name.
    Host,
    /// Below this URL.
    Below(String),
    /// Where it was: the client goes in circles.
    Circle,
}

/// A request that came, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET /git/project.git/info/refs?…`.
    pub line: String,
    /// Whether it came to the other port.
    pub at_other: bool,
    /// What it had to say of who sent it.
    pub authorization: Option<String>,
    /// The status that was answered; 0 if none was.
    pub status: u16,
    /// The bytes that were answered.
    pub answer: Vec<u8>,
}

/// A rule for all requests `of` a kind.
pub fn every(of: Of, act: Act) -> Rule {
    Rule { of, after: 0, times: usize::MAX, act }
}

/// A rule for the first `times` requests `of` a kind.
pub fn first(times: usize, of: Of, act: Act) -> Rule {
    Rule { of, after: 0, times, act }
}

/// A rule for all requests `of` a kind but the first `count`.
pub fn after(count: usize, of: Of, act: Act) -> Rule {
    Rule { of, after: count, times: usize::MAX, act }
}

/// What the threads share.
struct Shared {
    server: SocketAddr,
    other_port: u16,
    port: u16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The rules, each with how many requests it has met.
    rules: Vec<(Rule, usize)>,
    seen: Vec<Seen>,
    /// The latest request, and how many there were without repetitions.
    latest: Option<(String, Vec<u8>)>,
    steps: usize,
}

impl Gateway {
    /// A gateway to the loopback server at `port`.
    pub fn before(port: u16) -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let listeners = [bind(), bind()];
        let ports = listeners.each_ref().map(|one| one.local_addr().expect("it is bound").port());
        let shared = Arc::new(Shared {
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            port: ports[0],
            other_port: ports[1],
            state: Mutex::default(),
        });
        for (number, listener) in listeners.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.serve(&client, number == 1));
                }
            });
        }
        Self { port: ports[0], other_port: ports[1], shared }
    }

    /// Begins anew with these rules; the first that fits a request counts.
    pub fn set(&self, rules: &[Rule]) {
        let rules = rules.iter().map(|rule| (rule.clone(), 0)).collect();
        *self.shared.lock() = State { rules, ..State::default() };
    }

    /// The requests since then.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of a gateway panics")
    }

    /// Serves one connection; `None` when it ends early.
    fn serve(&self, client: &TcpStream, is_other: bool) -> Option<()> {
        client.set_nodelay(true).ok()?;
        let mut input = BufReader::new(client.try_clone().ok()?);
        loop {
            let request = Request::read(&mut input, client)?;
            // noted before it is answered: who has the answer may look at once
            let number = self.note(&request, is_other);
            let act = self.act_for(&request, is_other);
            let answer = match act {
                Some(Act::HangUp) => return client.shutdown(Shutdown::Both).ok(),
                Some(Act::Stall) => {
                    std::io::copy(&mut input, &mut std::io::sink()).ok()?;
                    return None;
                }
                Some(Act::Replay(bytes, then)) => Answer::raw(bytes, then == Then::End),
                Some(act) => self.answer(&request, act)?,
                None => self.pass(&request)?,
            };
            let (bytes, closes) = answer.bytes();
            self.note_answer(number, answer.status, &bytes);
            std::io::Write::write_all(&mut &*client, &bytes).ok()?;
            if closes {
                return client.shutdown(Shutdown::Both).ok();
            }
        }
    }

    fn note(&self, request: &Request, at_other: bool) -> usize {
        let mut state = self.lock();
        state.seen.push(Seen {
            line: format!("{} {}", request.method, request.target),
            at_other,
            authorization: request.header("authorization").map(ToOwned::to_owned),
            status: 0,
            answer: Vec::new(),
        });
        let latest = Some((request.target.clone(), request.body.clone()));
        if state.latest != latest {
            state.latest = latest;
            state.steps += 1;
        }
        state.seen.len() - 1
    }

    fn note_answer(&self, number: usize, status: u16, answer: &[u8]) {
        if let Some(seen) = self.lock().seen.get_mut(number) {
            seen.status = status;
            seen.answer = answer.to_vec();
        }
    }

    /// What is to be done with `request`, if it is not just let through.
    fn act_for(&self, request: &Request, is_other: bool) -> Option<Act> {
        let mut state = self.lock();
        let step = state.steps;
        state.rules.iter_mut().find_map(|(rule, met)| {
            let is_met = match rule.of {
                Of::Any => true,
                Of::Get => request.method == "GET",
                Of::Post => request.method == "POST",
                Of::Other => is_other,
                Of::Step(number) => number + 1 == step,
            } && rule.act.concerns(request);
            *met += usize::from(is_met);
            let is_due = is_met && *met > rule.after && *met - rule.after <= rule.times;
            is_due.then(|| rule.act.clone())
        })
    }

    fn answer(&self, request: &Request, act: Act) -> Option<Answer> {
        match act {
            Act::Redirect(status, place) => {
                let target = request.target.strip_prefix(MOVED).unwrap_or(&request.target);
                let location = match place {
                    Place::Path => target.to_owned(),
                    Place::Port => format!("http://127.0.0.1:{}{target}", self.other_port),
                    Place::Host => format!("http://localhost:{}{target}", self.port),
                    Place::Below(url) => format!("{url}{}", target.trim_start_matches("/git")),
                    Place::Circle => request.target.clone(),
                };
                Some(Answer::new(status, &format!("Location: {location}\r\n"), b"<p>over there\n"))
            }
            Act::Demand(challenge, _) => {
                let lines = format!("WWW-Authenticate: {challenge}\r\nContent-Type: text/plain\r\n");
                Some(Answer::new(401, &lines, b"say who you are\n"))
            }
            Act::Say(status, lines, body) => Some(Answer::new(status, lines, body.as_bytes())),
            Act::Dress(dress) => self.pass(request).map(|answer| answer.dressed(dress)),
            Act::HangUp | Act::Replay(..) | Act::Stall => None,
        }
    }

    /// The server's own answer.
    fn pass(&self, request: &Request) -> Option<Answer> {
        request.ask(TcpStream::connect(self.server).ok()?)
    }
}

impl Act {
    /// Whether there is anything to be done about `request`.
    fn concerns(&self, request: &Request) -> bool {
        match self {
            Self::Redirect(..) => request.target.starts_with(MOVED),
            Self::Demand(_, wanted) => request.header("authorization") != Some(*wanted),
            Self::Say(..) | Self::HangUp | Self::Replay(..) | Self::Stall | Self::Dress(_) => true,
        }
    }
}
