//! The address for those who run the server: whether it lives, whether it can take more, and what it has measured.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::Shared;
use super::body::Outgoing;

/// The format in which metrics are told.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `/livez`, `/readyz` and `/metrics`.
pub(super) fn respond(shared: &Arc<Shared>, request: &Request<Incoming>) -> Response<Outgoing> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".into());
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => match unready(shared) {
            None => text(StatusCode::OK, "ok\n".into()),
            Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        },
        "/metrics" => {
            let (busy, waiting) = shared.pool.load();
            let mut response = text(StatusCode::OK, shared.metrics.text(busy, waiting));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "here are /livez, /readyz and /metrics\n".into()),
    }
}

/// Why no more requests should be sent here.
pub(super) fn unready(shared: &Shared) -> Option<&'static str> {
    if shared.is_draining.load(Ordering::SeqCst) {
        Some("the server is about to end")
    } else if !shared.pool.is_ready() {
        Some("too many requests wait")
    } else if std::fs::read_dir(&shared.root).is_err() {
        Some("the root cannot be read")
    } else {
        None
    }
}

fn text(status: StatusCode, body: String) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::Whole(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
