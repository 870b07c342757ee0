//! The page for people, from a request to an answer.

use std::sync::Arc;

use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::begin::full;
use super::who::{Subject, identify};
use crate::listen::access::Deed;
use crate::listen::body::Outgoing;
use crate::listen::connection::Peer;
use crate::listen::log::Entry;
use crate::listen::page::page;
use crate::listen::refusal::Refusal;
use crate::listen::{Role, Shared};

/// What a proxy says of how it was spoken to.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Makes the page, when it is its turn.
pub(super) async fn show(
    shared: &Arc<Shared>,
    parts: &Parts,
    peer: Peer,
    entry: &mut Entry,
) -> Result<Response<Outgoing>, Refusal> {
    let access = shared.access();
    identify(shared, parts, &access, Subject { repository: None, deed: Deed::Read }, entry).await?;
    let is_forwarded = shared.settings.proxies.trust(peer.address)
        && parts.headers.get(FORWARDED_PROTO).is_some_and(|proto| proto == "https");
    let scheme = if peer.role == Role::Secure || is_forwarded { "https" } else { "http" };
    let base = format!("{scheme}://{}", entry.host.as_deref().unwrap_or("localhost"));
    let turn = shared.pages.turn(entry.address).await.map_err(full)?;
    let (own, user) = (Arc::clone(shared), entry.user.clone());
    let made = tokio::task::spawn_blocking(move || {
        let made = page(&own, &access, user.as_deref(), &base);
        drop(turn);
        made
    });
    made.await.map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error"))
}
