//! Servers in trouble, and answers in every form that HTTP has.

use super::{Row, over_gateway, row};
use crate::support::Kind;
use crate::support::gateway::{Act, Dress, Of, after, every, first};

/// How the commands end if a server takes no POST: a push ends as one of which a ref was rejected.
const NO_POST: [i32; 3] = [128, 128, 1];

fn said(name: &'static str, act: Act) -> Row {
    row(name, vec![every(Of::Any, act)]).fails()
}

/// Every form of an answer, at one server after the other.
fn forms() -> Vec<Row> {
    let dressed = |name, dress| row(name, vec![every(Of::Any, Act::Dress(dress))]);
    vec![
        row("as it is", Vec::new()),
        dressed("HTTP/1.0", Dress::Old),
        dressed("in chunks", Dress::Chunked),
        dressed("compressed", Dress::Gzip),
        dressed("compressed and in chunks", Dress::GzipChunked),
        dressed("and long requests in chunks", Dress::Chunked).with("http.postBuffer=131040"),
    ]
}

#[test]
fn answers_come_in_every_form() {
    for kind in [Kind::Apache, Kind::Nginx, Kind::Lighttpd] {
        over_gateway(kind, forms());
    }
}

#[test]
fn errors_are_told() {
    let page = "Content-Type: text/plain\r\n";
    let html = "Content-Type: text/html\r\n";
    over_gateway(
        Kind::Apache,
        vec![
            said("403", Act::Say(403, page, "not you\n")),
            said("404", Act::Say(404, page, "not here\nor not any more\n\n")),
            said("404 with a page for people", Act::Say(404, html, "<p>no\n")),
            said("410", Act::Say(410, "", "")),
            said("429", Act::Say(429, "Retry-After: 1\r\n", "")),
            said("500", Act::Say(500, "", "")),
            said("503", Act::Say(503, "", "")),
            said("407 from who is no proxy", Act::Say(407, "Proxy-Authenticate: Basic\r\n", "")),
            row("403 for POST", vec![every(Of::Post, Act::Say(403, html, "not you\n"))]).ends(NO_POST),
            row("404 for POST", vec![every(Of::Post, Act::Say(404, html, "gone\n"))]).ends(NO_POST),
            row("429 for POST", vec![every(Of::Post, Act::Say(429, "", ""))]).ends(NO_POST),
            row("503 for POST", vec![every(Of::Post, Act::Say(503, "", ""))]).ends(NO_POST),
            row("503 for the second POST", vec![after(1, Of::Post, Act::Say(503, "", ""))])
                .ends([128, 128, 0]),
            row("503 once", vec![first(1, Of::Any, Act::Say(503, "", ""))]).fails(),
            row(
                "503 with a page, which C git does not show, for POST",
                vec![every(Of::Post, Act::Say(503, page, "no\n"))],
            )
            .ends(NO_POST)
            .own_words("remote: no\nerror: RPC failed; HTTP 503"),
            row("413 for POST", vec![every(Of::Post, Act::Say(413, html, "too much\n"))]).ends(NO_POST),
        ],
    );
}

#[test]
fn answers_that_never_come() {
    over_gateway(
        Kind::Apache,
        vec![
            said("no answer", Act::HangUp),
            row("no answer to POST", vec![every(Of::Post, Act::HangUp)]).ends(NO_POST),
            row("no answer to the second POST", vec![after(1, Of::Post, Act::HangUp)]).ends([128, 128, 0]),
            said("silence", Act::Stall)
                .with("http.lowSpeedLimit=1000")
                .with("http.lowSpeedTime=1")
                .own_words("Operation too slow. Less than 1000 bytes/sec transferred the last 1 seconds"),
        ],
    );
}

#[test]
fn what_passes_is_tried_again_on_request() {
    let once = |name, act| row(name, vec![first(1, Of::Any, act)]);
    let busy = |lines| Act::Say(503, lines, "");
    let limited = Act::Say(429, "Retry-After: 0\r\n", "");
    // C git 2.47.3 knows no `http.maxRetries` and ends at once
    let patient = |row: Row| row.with("http.maxRetries=2").where_git_fails([128; 3]);
    let told = "error: 503; trying again in 0.0 seconds (1 of 2)";
    over_gateway(
        Kind::Apache,
        vec![
            row("nothing is wrong", Vec::new()).requests([3, 3, 2]),
            once("503, then well, without the setting", busy("Retry-After: 0\r\n")).fails().requests([1; 3]),
            once("429, then well, without the setting", limited.clone()).fails().requests([1; 3]),
            patient(once("503, then well", busy("")))
                .own_words("warning: The requested URL returned error: 503; trying again in 0.")
                .requests([4, 4, 3]),
            patient(once("503 with a pause, then well", busy("Retry-After: 0\r\n")))
                .own_words(told)
                .requests([4, 4, 3]),
            patient(once("429 with a pause, then well", limited.clone()))
                .with("http.retryAfter=1000")
                .own_words("error: 429; trying again in 0.0 seconds (1 of 2)")
                .requests([4, 4, 3]),
            once("429 with a pause that is too long", Act::Say(429, "Retry-After: 3\r\n", ""))
                .with("http.maxRetries=2")
                .with("http.maxRetryTime=2")
                .fails()
                .requests([1; 3]),
            row("429 for ever", vec![every(Of::Any, limited)])
                .with("http.maxRetries=2")
                .fails()
                .own_words("error: 429; trying again in 0.0 seconds (2 of 2)")
                .requests([3; 3]),
            row("503 for a POST", vec![first(1, Of::Post, busy("Retry-After: 0\r\n"))])
                .with("http.maxRetries=2")
                .ends([0, 0, 1])
                .where_git_fails(NO_POST)
                .requests([4, 4, 2]),
        ],
    );
}
