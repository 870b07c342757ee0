//! Requests and answers as they come and go, told to whoever listens: events of the `tracing` crate at the level
//! `TRACE`. The command prints them where `GIT_TRACE_CURL` says. Secrets are taken out before an event is made.

use std::borrow::Cow;

/// The target of the events. Their fields are `kind` (one of the constants below) and `data` (bytes).
pub const TARGET: &str = "gitr::http";
/// The kind of an event that tells of a connection.
pub const INFO: &str = "info";
/// The kind of an event with the header of a request, all lines.
pub const SENT_HEADER: &str = "=> Send header";
/// The kind of an event with a piece of a request's body.
pub const SENT_DATA: &str = "=> Send data";
/// The kind of an event with one line of the header of an answer.
pub const RECEIVED_HEADER: &str = "<= Recv header";
/// The kind of an event with a piece of an answer's body, as it came over the wire.
pub const RECEIVED_DATA: &str = "<= Recv data";

/// What stands in the place of a secret.
const REDACTED: &str = "<redacted>";

/// Whether somebody listens: making the texts costs time.
pub(super) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::TRACE)
}

/// Tells of a connection.
pub(super) fn info(text: &str) {
    tracing::trace!(target: TARGET, kind = INFO, data = text.as_bytes());
}

/// Tells of the header of a request: its first line, then names and values.
pub(super) fn sent_header<'a>(
    first: &str,
    lines: impl Iterator<Item = (&'a str, Cow<'a, str>)>,
    shows_secrets: bool,
) {
    let mut text = format!("{first}\r\n");
    for (name, value) in lines {
        let value = if shows_secrets { value } else { redacted(name, value) };
        text.push_str(&format!("{}: {value}\r\n", title_case(name)));
    }
    text.push_str("\r\n");
    tracing::trace!(target: TARGET, kind = SENT_HEADER, data = text.as_bytes());
}

/// Tells of a piece of a request's body.
pub(super) fn sent_data(bytes: &[u8]) {
    tracing::trace!(target: TARGET, kind = SENT_DATA, data = bytes);
}

/// Tells of the first or the last line of an answer's header.
pub(super) fn received_line(line: &str) {
    let line = format!("{line}\r\n");
    tracing::trace!(target: TARGET, kind = RECEIVED_HEADER, data = line.as_bytes());
}

/// Tells of a line of an answer's header.
pub(super) fn received_header(name: &str, value: &str, shows_secrets: bool) {
    let value = if shows_secrets { value.into() } else { redacted(name, value.into()) };
    received_line(&format!("{}: {value}", title_case(name)));
}

/// Tells of a piece of an answer's body.
pub(super) fn received_data(bytes: &[u8]) {
    tracing::trace!(target: TARGET, kind = RECEIVED_DATA, data = bytes);
}

/// `value` without what only the two ends may know; the scheme and the names of cookies stay, as in git 2.47.3.
fn redacted<'a>(name: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    match &*name.to_ascii_lowercase() {
        "authorization" | "proxy-authorization" => match value.split_once(' ') {
            Some((scheme, _)) => format!("{scheme} {REDACTED}").into(),
            None => REDACTED.into(),
        },
        "cookie" => {
            let names = value.split(';').map(|pair| pair.split('=').next().unwrap_or_default().trim());
            names.map(|name| format!("{name}={REDACTED}")).collect::<Vec<_>>().join("; ").into()
        }
        "set-cookie" => {
            let (pair, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
            format!("{}={REDACTED}{rest}", pair.split('=').next().unwrap_or_default()).into()
        }
        _ => value,
    }
}

/// The name of a header as curl writes it: `Content-Type`.
fn title_case(name: &str) -> String {
    let mut is_start = true;
    let capital = |letter: char| {
        let is_first = std::mem::replace(&mut is_start, letter == '-');
        if is_first { letter.to_ascii_uppercase() } else { letter }
    };
    name.chars().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_and_what_they_are_stays() {
        let shown = |name: &str, value: &'static str| redacted(name, value.into()).into_owned();
        assert_eq!(shown("Authorization", "Basic abc"), "Basic <redacted>");
        assert_eq!(shown("authorization", "abc"), "<redacted>");
        assert_eq!(shown("Proxy-Authorization", "Digest username=\"a\", x"), "Digest <redacted>");
        assert_eq!(shown("Cookie", "a=b; c=d=e"), "a=<redacted>; c=<redacted>");
        assert_eq!(shown("set-cookie", "a=b; Path=/; Secure"), "a=<redacted>; Path=/; Secure");
        assert_eq!(shown("accept", "*/*"), "*/*");
    }

    #[test]
    fn names_are_written_in_capitals() {
        assert_eq!(title_case("www-authenticate"), "Www-Authenticate");
        assert_eq!(title_case("X-Mine"), "X-Mine");
    }
}
