//! From a request that may be made to the head of its answer: a place, a worker, and who is waited for how long.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::Task;
use super::source::Source;
use crate::listen::Shared;
use crate::listen::body::{
    ANSWER_PIECES_MAX, End as _, Flow, Headers, Outgoing, Outlet, Packing, Piece, Piped, REQUEST_PIECES_MAX,
    Reading,
};
use crate::listen::job::{Job, TOO_SLOW};
use crate::listen::limit::{Limit, Limits};
use crate::listen::refusal::{Asked, Refusal, response};
use crate::listen::ticket::Ticket;
use crate::listen::wait::{Awaited, Wait};
use crate::listen::work::Full;
use crate::protocol::Service;
use crate::server::upload_pack::version_asked;
use crate::server::{Watch, http};

/// When a client may come again that found no room.
const RETRY_AFTER: &str = "10";

/// An answer whose head is known.
pub(super) struct Begun {
    headers: Headers,
    pieces: mpsc::Receiver<Piece>,
    flow: Arc<Flow>,
    is_head: bool,
}

impl Begun {
    pub(super) fn status(&self) -> StatusCode {
        let status = self.headers.iter().find(|(name, _)| name == "Status");
        let status = status.and_then(|(_, value)| StatusCode::from_bytes(value.get(..3)?.as_bytes()).ok());
        status.unwrap_or(StatusCode::OK)
    }

    /// The answer, which ends after what is given.
    pub(super) fn answer(self, mut ticket: Ticket, reading: Option<Reading>) -> Response<Outgoing> {
        let status = self.status();
        ticket.entry.status = status.as_u16();
        let headers: Headers = self.headers.into_iter().filter(|(name, _)| name != "Status").collect();
        if self.is_head {
            ticket.whole();
            return response(status, &headers, Outgoing::Done);
        }
        let Self { pieces, flow, .. } = self;
        let patience = ticket.shared.settings.limits.time(Limit::WriteTime);
        let (own, watch, activity) =
            (Arc::clone(&flow), Arc::clone(&ticket.watch), ticket.ongoing.activity());
        tokio::spawn(async move {
            if own.stalls(patience).await {
                watch.limited(Limit::WriteTime.name());
                activity.abort();
            }
        });
        response(
            status,
            &headers,
            Outgoing::Piped(Piped { pieces, flow, end: Box::new(ticket), reading, is_made: false }),
        )
    }
}

/// Finds a worker and waits for the head of its answer.
pub(super) async fn work(
    shared: &Arc<Shared>,
    mut task: Task,
    mut source: Source,
    ticket: &mut Ticket,
) -> Result<Begun, Refusal> {
    let limits = &shared.settings.limits;
    ticket.entry.version = version_asked(&task.site.env);
    introduce(&mut task, ticket);
    let is_push = task.asked == Asked::Rpc(Service::ReceivePack);
    let mut share = shared.budget.share(ticket.entry.address);
    let first = if is_push { Ok(Vec::new()) } else { source.first(&mut share).await }
        .map_err(|_| unread(&ticket.watch))?;
    let is_list = is_list(&first);
    task.who.is_large = task.asked != Asked::Advertisement && !is_list;
    let queued = Instant::now();
    let place = shared.pool.place(task.who.clone()).await;
    ticket.entry.queued = queued.elapsed();
    let place = match place {
        Ok(place) => place,
        Err(why) => {
            source.leave(ticket.ongoing.activity().begin());
            return Err(full(why));
        }
    };
    // what workers have is theirs
    drop(share);
    let is_head = task.request.method == "HEAD";
    let (head, is_begun) = oneshot::channel();
    let (answer, pieces) = mpsc::channel(ANSWER_PIECES_MAX);
    let mut outlet = Outlet::new(head, answer, Arc::clone(&ticket.watch));
    outlet.sent = Arc::clone(&ticket.sent);
    outlet.is_head = is_head;
    let flow = Arc::clone(&outlet.flow);
    outlet.packing = match task.asked {
        Asked::Advertisement if task.takes_gzip => Packing::Always,
        _ if is_list && task.takes_gzip => Packing::Short,
        _ => Packing::Never,
    };
    let makes_pack = matches!(task.asked, Asked::Rpc(_)) && !is_list;
    let (sender, input) = mpsc::channel(REQUEST_PIECES_MAX);
    let may_keep = shared.cache.is_some() || outlet.packing == Packing::Short;
    let may_keep = may_keep && task.asked == Asked::Rpc(Service::UploadPack) && source.is_over;
    let whole = may_keep.then(|| first.concat());
    let wait = Arc::new(Wait::default());
    tokio::spawn(source.pump(first, sender, Arc::clone(&wait)));
    let (report, own) = (Arc::clone(&ticket.report), Arc::clone(&wait));
    let job = Job { place, task, input, outlet, makes_pack, whole, report, wait: own };
    let own = Arc::clone(shared);
    tokio::task::spawn_blocking(move || job.run(&own));
    let headers = first_of(is_begun, &wait, (limits, &ticket.watch)).await?;
    Ok(Begun { headers, pieces, flow, is_head })
}

/// Tells the services, and what they start, who asks.
fn introduce(task: &mut Task, ticket: &Ticket) {
    let entry = &ticket.entry;
    task.who.address = entry.address;
    task.request.user = entry.user.as_deref().map(Into::into);
    task.request.address = entry.address.map(|address| address.to_string().into());
    for (name, value) in [("REMOTE_USER", &task.request.user), ("REMOTE_ADDR", &task.request.address)] {
        match value {
            Some(value) => task.site.env.set(name, value.to_string()),
            None => task.site.env.remove(name),
        }
    }
    http::introduce(&mut task.site.env, &task.request);
    task.site.watch = Arc::clone(&ticket.watch);
}

/// Waits for the head of an answer, as long as whoever is waited for may take. What has moved refs is waited for without a
/// limit: who heard of a failure would hear what is not so.
async fn first_of(
    mut is_begun: oneshot::Receiver<Headers>,
    wait: &Wait,
    (limits, watch): (&Limits, &Watch),
) -> Result<Headers, Refusal> {
    let broken = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error");
    let patience = limits.time(Limit::AnswerTime);
    let limit = loop {
        let (limit, left) = match wait.awaited() {
            Awaited::Others => (Limit::AnswerTime, patience),
            Awaited::Slot(since) => {
                (Limit::QueueTime, limits.time(Limit::QueueTime).saturating_sub(since.elapsed()))
            }
            Awaited::Worker(since) => (Limit::AnswerTime, patience.saturating_sub(since.elapsed())),
        };
        if left.is_zero() {
            break limit;
        }
        // whoever is waited for next has all of his time left then
        if let Ok(head) = tokio::time::timeout(left.min(patience), &mut is_begun).await {
            return head.map_err(broken);
        }
    };
    if !watch.give_up() {
        return is_begun.await.map_err(broken);
    }
    Err(if limit == Limit::QueueTime {
        full(Full::Patience)
    } else {
        Refusal::limited(StatusCode::GATEWAY_TIMEOUT, limit, "this takes too long")
    })
}

/// What a client hears that found no room.
pub(super) fn full(full: Full) -> Refusal {
    let text = match full {
        Full::Queue => "too many requests: the queue is full, please come again",
        Full::Patience => "too many requests: no worker was free in time, please come again",
    };
    Refusal::limited(StatusCode::TOO_MANY_REQUESTS, full.limit(), text).with("Retry-After", RETRY_AFTER)
}

/// Whether a request asks for what needs no pack.
fn is_list(first: &[Bytes]) -> bool {
    let begins = first.first().map(|bytes| bytes.get(4..).unwrap_or_default()).unwrap_or_default();
    let lists: [&[u8]; 3] = [b"command=ls-refs", b"command=object-info", b"command=bundle-uri"];
    lists.iter().any(|list| begins.starts_with(list))
}

/// Why the body of a request is not read.
fn unread(watch: &Watch) -> Refusal {
    // it is counted with what is told of the request
    match watch.account().limited.and_then(Limit::called) {
        Some(Limit::QueueBytes | Limit::QueueBytesPerAddress) => {
            let text = "too many requests: they take too much memory, please come again";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, text).with("Retry-After", RETRY_AFTER)
        }
        Some(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, TOO_SLOW),
        None => Refusal::new(StatusCode::BAD_REQUEST, "the request breaks off"),
    }
}
