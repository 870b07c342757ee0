//! The access log: one line for each request, for people or for programs.

use bstr::{BString, ByteSlice};
use serde_json::{Map, Value, json};

use crate::cmd::ui;
use crate::listen::log::{Entry, Log};
use crate::protocol::Version;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    None,
}

impl Format {
    pub(super) fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("text") => Some(Self::Text),
            Some("json") => Some(Self::Json),
            Some("none") => Some(Self::None),
            Some(_) => None,
        }
    }
}

/// Lines on standard error.
pub(super) struct Printed(pub Format);

impl Log for Printed {
    fn request(&self, entry: &Entry) {
        match self.0 {
            Format::Text => ui::note(text(entry)),
            Format::Json => ui::note(json(entry)),
            Format::None => {}
        }
    }

    fn note(&self, text: &str) {
        if self.0 == Format::Json {
            ui::note(escaped(&json!({ "time": now(), "note": text })));
        } else {
            ui::note(ui::one_line(text));
        }
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn version(version: Version) -> u8 {
    match version {
        Version::V0 => 0,
        Version::V1 => 1,
        Version::V2 => 2,
    }
}

/// What is known of the request, as names and values, in an order that stays.
fn facts(entry: &Entry) -> Vec<(&'static str, Value)> {
    let account = &entry.account;
    let mut facts: Vec<(&'static str, Value)> = vec![("git-protocol", json!(version(entry.version)))];
    let mut add = |name, value: Option<Value>| facts.extend(value.map(|value| (name, value)));
    let text = |text: &BString| json!(text.to_str_lossy());
    let count = |count: usize| (count > 0).then(|| json!(count));
    add("command", account.command.map(Into::into));
    add("wants", count(account.wants));
    add("want-refs", count(account.want_refs));
    add("haves", count(account.haves));
    add("common", count(account.common));
    add("shallows", count(account.shallows));
    add("depth", (account.depth > 0).then(|| json!(account.depth)));
    add("deepen-since", account.deepen_since.map(Into::into));
    add("deepen-not", count(account.deepen_nots));
    add("deepen-relative", account.deepen_relative.then_some(json!(true)));
    add("filter", account.filter.map(Into::into));
    add("objects", account.pack.map(|pack| json!(pack.objects)));
    add("pack-bytes", account.pack.map(|pack| json!(pack.bytes)));
    add("agent", account.agent.as_ref().map(text));
    add("session-id", account.session_id.as_ref().map(text));
    add("reason", entry.reason.as_ref().filter(|reason| !reason.is_empty()).map(|reason| json!(reason)));
    facts
}

/// For people: address, user, time, request, status, bytes, seconds, and what is known of it.
fn text(entry: &Entry) -> String {
    let address = entry.address.map_or_else(|| "-".into(), |address| address.to_string());
    let user = entry.user.as_deref().unwrap_or("-").replace(char::is_whitespace, "?");
    let Entry { method, protocol, status, sent, .. } = entry;
    // what is quoted ends where the quotes end
    let path = entry.path.replace('\\', "\\\\").replace('"', "\\\"");
    let seconds = entry.time.as_secs_f64();
    let result = entry.result.name();
    let mut line = format!(
        "{address} {user} {} \"{method} {path} {protocol}\" {status} {sent} {seconds:.3} {result}",
        now()
    );
    for (name, value) in facts(entry) {
        line.push_str(&format!(" {name}={value}"));
    }
    ui::one_line(&line)
}

/// For programs.
fn json(entry: &Entry) -> String {
    let mut object = Map::new();
    let mut add = |name: &str, value: Value| object.insert(name.to_owned(), value);
    add("time", json!(now()));
    add("address", json!(entry.address));
    add("user", json!(entry.user));
    add("method", json!(entry.method));
    add("host", json!(entry.host));
    add("path", json!(entry.path));
    add("protocol", json!(entry.protocol));
    add("status", json!(entry.status));
    add("received", json!(entry.received));
    add("sent", json!(entry.sent));
    add("seconds", json!(entry.time.as_secs_f64()));
    add("queued", json!(entry.queued.as_secs_f64()));
    add("result", json!(entry.result.name()));
    for (name, value) in facts(entry) {
        add(name, value);
    }
    for (phase, time) in &entry.account.phases {
        let name = format!("{}-seconds", phase.name());
        let before = object.get(&name).and_then(Value::as_f64).unwrap_or(0.0);
        object.insert(name, json!(before + time.as_secs_f64()));
    }
    escaped(&Value::Object(object))
}

/// JSON without the control characters that it leaves as they are: DEL and those behind it.
fn escaped(value: &Value) -> String {
    let text = value.to_string();
    text.chars()
        .map(|letter| match letter {
            '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(letter)),
            letter => letter.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let mut entry = Entry {
            method: "GET".into(),
            path: "/a\u{1b}[2J\n\u{9b}\"x.git".into(),
            protocol: "HTTP/1.1",
            status: 200,
            user: Some("me\nyou".into()),
            ..Entry::default()
        };
        entry.account.command = Some("fetch");
        entry.account.wants = 2;
        entry.account.session_id = Some("id\nfake 200".into());
        entry
    }

    #[test]
    fn a_line_is_one_line_whatever_clients_say() {
        let json = json(&entry());
        assert!(!json.chars().any(char::is_control), "{json}");
        let parsed: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["path"], "/a\u{1b}[2J\n\u{9b}\"x.git");
        assert_eq!(parsed["wants"], 2);
        let text = text(&entry());
        assert!(!text.chars().any(char::is_control), "{text}");
        assert!(text.contains(" me?you "), "{text}");
        assert!(text.contains(r#""GET /a?[2J??\"x.git HTTP/1.1" 200 "#), "{text}");
        assert!(text.contains("command=\"fetch\" wants=2"), "{text}");
    }
}
