//! One request and its answer.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bstr::{BString, ByteSlice as _};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, Version};

use super::body::{Outgoing, Reading};
use super::connection::Peer;
use super::job::TOO_LONG;
use super::limit::Limit;
use super::log::{Ending, Entry};
use super::refusal::{Asked, Refusal};
use super::ticket::Ticket;
use super::watched::Ongoing;
use super::work::For;
use super::{Pushing, Shared};
use crate::protocol::Service;
use crate::server::harmless;
use crate::server::http::{self, Pushes, Site, path_below};
use begin::{Begun, work};
use front::show;
use source::Source;
use who::authorize;

mod begin;
mod front;
mod place;
mod source;
mod who;

/// What git's clients say of the versions that they speak.
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

/// Of what a request is a part: W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Who stands behind a proxy.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Answers one request.
pub(super) async fn respond(
    shared: Arc<Shared>,
    peer: Peer,
    ongoing: Ongoing,
    request: hyper::Request<Incoming>,
) -> Response<Outgoing> {
    let (parts, body) = request.into_parts();
    let path = percent_encoding::percent_decode_str(parts.uri.path()).collect::<Vec<u8>>();
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked::of(parts.method.as_str(), &path, query.as_bytes());
    let mut ticket = Ticket::new(&shared, entry(&shared, &parts, peer, &path), ongoing);
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    if shared.settings.has_page && path == b"/" && is_read {
        return match show(&shared, &parts, peer, &mut ticket.entry).await {
            Ok(page) => {
                ticket.answered(page.status().as_u16(), Ending::Done);
                page
            }
            Err(refusal) => refusal.answer(asked, ticket),
        };
    }
    let is_push = asked == Asked::Rpc(Service::ReceivePack);
    let counts = (Arc::clone(&ticket.received), Arc::clone(&ticket.watch));
    let (source, reading) = Source::new(body, &shared.settings.limits, is_push, counts);
    let begun = answer(&shared, (&parts, path), asked, source, &mut ticket).await;
    let is_no = begun.as_ref().map_or(true, |begun| is_no(begun.status()));
    let reading = if is_push && is_no {
        if parts.version == Version::HTTP_2 {
            read_first(&shared, reading).await;
        }
        None
    } else {
        Some(reading)
    };
    match begun {
        Ok(begun) => begun.answer(ticket, reading),
        Err(refusal) => refusal.answer(asked, ticket),
    }
}

/// Whether curl sends nothing more of a request that is answered so: over HTTP/1.1 it waits for the end of the answer then.
fn is_no(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Waits until nothing more is read of a push that is refused: over HTTP/2 curl 7.88 ends it short of the length that it
/// declared, once it hears of that, and takes what this leads to for an error of the connection.
async fn read_first(shared: &Shared, reading: Reading) {
    // who works at it may still hold it
    let _over = tokio::time::timeout(shared.settings.limits.time(Limit::BodyTime), reading).await;
}

async fn answer(
    shared: &Arc<Shared>,
    (parts, path): (&Parts, Vec<u8>),
    asked: Asked,
    source: Source,
    ticket: &mut Ticket,
) -> Result<Begun, Refusal> {
    match enter(shared, (parts, path), asked, &mut ticket.entry).await {
        Ok(task) => work(shared, task, source, ticket).await,
        Err(refusal) => {
            // who asks whether to go on has sent nothing, and is not to be told to
            if parts.headers.get(EXPECT).is_none() {
                source.leave(ticket.ongoing.activity().begin());
            }
            Err(refusal)
        }
    }
}

/// Whether a request may be made, and what is to be done for it then.
async fn enter(
    shared: &Arc<Shared>,
    (parts, path): (&Parts, Vec<u8>),
    asked: Asked,
    entry: &mut Entry,
) -> Result<Task, Refusal> {
    let mut task = admit(shared, (parts, path), asked, entry.host.as_deref())?;
    authorize(shared, parts, &mut task, entry).await?;
    Ok(task)
}

/// From where a client comes: what a proxy says that is believed, else what the socket says.
fn client(shared: &Shared, headers: &HeaderMap, peer: Peer) -> Option<IpAddr> {
    let proxies = &shared.settings.proxies;
    let mut address = peer.address;
    let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in said.iter().rev() {
        if !proxies.trust(address) {
            break;
        }
        let Ok(next) = hop.parse::<IpAddr>() else { break };
        address = Some(next.to_canonical());
    }
    address
}

fn entry(shared: &Shared, parts: &Parts, peer: Peer, path: &[u8]) -> Entry {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(ToString::to_string);
    Entry {
        address: client(shared, &parts.headers, peer),
        method: parts.method.to_string(),
        path: String::from_utf8_lossy(path).into_owned(),
        host: authority.or_else(|| host.map(ToOwned::to_owned)),
        protocol: protocol(parts.version),
        ..Entry::default()
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// What is to be done for a request that may be made.
pub(super) struct Task {
    pub site: Site,
    pub request: http::Request,
    pub asked: Asked,
    who: For,
    takes_gzip: bool,
    /// What the repository is called that is found there: by that rules go.
    name: String,
    /// What else it is called, which rules have to allow as well.
    alias: Option<String>,
    /// Whether it is a push, or the beginning of one.
    is_push: bool,
    /// The path, as it was asked for, with nothing in it that moves a terminal.
    pub path: String,
    /// The span that the client says this is a part of: W3C Trace Context.
    pub traceparent: Option<String>,
    /// How a client is asked who it is that may not push as nobody.
    pub challenges: Vec<&'static str>,
}

/// Looks at the head of a request.
fn admit(
    shared: &Shared,
    (parts, path): (&Parts, Vec<u8>),
    asked: Asked,
    host: Option<&str>,
) -> Result<Task, Refusal> {
    let root = shared.root_of(host);
    let header = |name: HeaderName| text_of(&parts.headers, &name);
    // as the services read it: with nothing left to decode
    let query = parts.uri.query().unwrap_or_default();
    let query: Vec<u8> = percent_encoding::percent_decode_str(query).collect();
    let is_push = path.ends_with(b"/git-receive-pack") || query.contains_str("receive-pack");
    if path.iter().any(u8::is_ascii_control) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the path has control characters"));
    }
    let below = path_below(root, &path)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the path leads elsewhere than it seems"))?;
    let length = header(CONTENT_LENGTH);
    let declared = length.to_string().parse::<u64>().unwrap_or(0);
    if asked != Asked::Rpc(Service::ReceivePack) && declared > shared.settings.limits.get(Limit::RequestBytes)
    {
        return Err(too_large());
    }
    let request = http::Request {
        method: parts.method.as_str().into(),
        // what HTTP/2 is told is what HTTP/1.1 would be
        protocol: if parts.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }.into(),
        path: below,
        query: parts.uri.query().unwrap_or_default().into(),
        content_type: header(CONTENT_TYPE),
        content_encoding: header(CONTENT_ENCODING),
        content_length: length,
        user: None,
        address: None,
    };
    let place::Place { found, name, alias } = place::Place::of(&request.path, root);
    let who = For { address: None, repository: found, is_large: true };
    let takes_gzip = takes_gzip(&header(ACCEPT_ENCODING).to_string());
    let site = site(shared, parts, root);
    let traceparent = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    Ok(Task {
        site,
        request,
        asked,
        who,
        takes_gzip,
        name,
        alias,
        is_push,
        path: harmless(&String::from_utf8_lossy(&path)),
        traceparent: traceparent.map(ToOwned::to_owned),
        challenges: Vec::new(),
    })
}

fn site(shared: &Shared, parts: &Parts, root: &Path) -> Site {
    let settings = &shared.settings;
    let mut env = settings.env.clone();
    env.remove("GIT_PROTOCOL");
    if let Some(asked) = parts.headers.get(GIT_PROTOCOL).and_then(|asked| asked.to_str().ok()) {
        env.set("GIT_PROTOCOL", asked);
    }
    Site {
        env,
        overrides: settings.overrides.clone(),
        exports_all: settings.exports_all,
        pushes: match settings.pushes {
            Pushing::Off => Pushes::None,
            Pushing::Users => Pushes::Known,
            Pushing::Anybody => Pushes::All,
        },
        confined_to: (!settings.follows_links).then(|| root.to_owned()),
        hides_from_dumb: !settings.imitates_backend,
        watch: Arc::default(),
    }
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> BString {
    headers.get(name).map(|value| value.as_bytes().into()).unwrap_or_default()
}

fn takes_gzip(accepted: &str) -> bool {
    let mut codings = accepted.split(',').map(|coding| coding.trim().to_ascii_lowercase());
    codings.any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((&coding, ""));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
        name.trim() == "gzip" && quality.unwrap_or(1.0) > 0.0
    })
}

fn too_large() -> Refusal {
    Refusal::limited(StatusCode::PAYLOAD_TOO_LARGE, Limit::RequestBytes, TOO_LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for (accepted, takes) in [
            ("deflate, gzip", true),
            ("gzip;q=0.5", true),
            ("gzip;q=0, br", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accepted), takes, "{accepted}");
        }
    }
}
