//! `GIT_TRACE2_EVENT`: one JSON object on each line, for programs that collect them. api-trace2, "The Event Format Target".
//!
//! There are `version`, `start`, `cmd_name`, `error`, `exit` and `atexit` of the command, and what
//! [`telemetry`](crate::telemetry) tells. The other two formats, `GIT_TRACE2` and `GIT_TRACE2_PERF`, are not there.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bstr::ByteSlice;
use tracing::Metadata;

use super::super::ui;
use super::{Fields, Sink};
use crate::repo::Environment;
use crate::telemetry;

/// The variable that says where the events go.
const VARIABLE: &str = "GIT_TRACE2_EVENT";
/// The variable by which a child knows whose child it is.
const PARENT: &str = "GIT_TRACE2_PARENT_SID";
/// The same, by the names of the commands.
const PARENT_NAME: &str = "GIT_TRACE2_PARENT_NAME";
/// How deep regions may lie in each other that are told; [`NESTING_MAX`] if it says nothing.
const NESTING: &str = "GIT_TRACE2_EVENT_NESTING";
/// git-config(1), "trace2.eventNesting".
const NESTING_MAX: usize = 2;
/// Says whether it is told that nothing can be written where the events should go.
const DEBUG: &str = "GIT_TRACE2_DST_DEBUG";
/// The version of the format: api-trace2, `"evt"`.
const FORMAT: &str = "4";

/// Where events go, and what they have in common.
pub(super) struct EventLog {
    sink: Sink,
    /// Names this process among all: those of its parents stand in front.
    sid: String,
    begin: Instant,
    children: Mutex<Vec<Started>>,
    /// How many regions have begun and not ended, and one more.
    nesting: AtomicUsize,
    nesting_max: usize,
}

/// A child, or a region, that has begun.
struct Started {
    pid: u64,
    begin: Instant,
}

impl EventLog {
    /// Begins a log, if the environment asks for one: for `command`, which was called by `arguments`. Children hear of it by
    /// `env`.
    pub(super) fn open(env: &mut Environment, arguments: &[OsString], command: &str) -> Option<Self> {
        let wish = env.get(VARIABLE)?.to_owned();
        let own = own_sid();
        let path = Path::new(&wish);
        let place = if path.is_absolute() && path.is_dir() { path.join(&own).into() } else { wish };
        let sink = match Sink::at(&place.to_string_lossy(), VARIABLE) {
            Ok(sink) => sink?,
            Err(complaint) => {
                if env.is_true(DEBUG) {
                    ui::note(format!("warning: {complaint}"));
                }
                return None;
            }
        };
        let sid = joined(env, PARENT, &own);
        let hierarchy = joined(env, PARENT_NAME, command);
        let nesting_max = env.get(NESTING).and_then(|depth| depth.to_str()?.parse().ok());
        let nesting_max = nesting_max.unwrap_or(NESTING_MAX);
        let log = Self {
            sink,
            sid,
            nesting_max,
            begin: Instant::now(),
            children: Mutex::default(),
            nesting: 1.into(),
        };
        let exe = super::super::VERSION.trim_start_matches("git version ");
        log.write("version", None, &format!("\"evt\":\"{FORMAT}\",\"exe\":{}", json(exe)));
        let redacts = env.get("GIT_TRACE_REDACT").is_none() || env.is_true("GIT_TRACE_REDACT");
        let argv = arguments.iter().map(|word| word.to_string_lossy());
        let argv: Vec<String> =
            argv.map(|word| json(&if redacts { redacted(&word) } else { word.into_owned() })).collect();
        log.write("start", None, &format!("{},\"argv\":[{}]", log.t_abs(), argv.join(",")));
        let names = format!("\"name\":{},\"hierarchy\":{}", json(command), json(&hierarchy));
        log.write("cmd_name", None, &names);
        env.set(PARENT, &log.sid);
        env.set(PARENT_NAME, hierarchy);
        Some(log)
    }

    /// An error that ends the command.
    pub(super) fn error(&self, message: &str) {
        self.write("error", None, &format!("\"msg\":{0},\"fmt\":{0}", json(message)));
    }

    /// The end, with its exit code.
    pub(super) fn exit(&self, code: i64) {
        for event in ["exit", "atexit"] {
            self.write(event, None, &format!("{},\"code\":{code}", self.t_abs()));
        }
    }

    /// What [`telemetry`] tells.
    pub(super) fn tell(&self, metadata: &Metadata<'_>, fields: &Fields) {
        let Fields { event, pid, code, class, category, label, msg, key, value, .. } = fields;
        let text = match event.as_str() {
            telemetry::CHILD_START => {
                let words = fields.bytes.split_str("\0").map(|word| json(&word.to_str_lossy()));
                let mut words: Vec<String> = words.collect();
                words.pop(); // behind the last NUL
                let id = self.begin_child(*pid);
                let (class, argv) = (json(class), words.join(","));
                let use_shell = fields.use_shell;
                format!(
                    "\"child_id\":{id},\"child_class\":{class},\"use_shell\":{use_shell},\"argv\":[{argv}]"
                )
            }
            telemetry::CHILD_EXIT => {
                let (id, seconds) = self.end_child(*pid);
                format!("\"child_id\":{id},\"pid\":{pid},\"code\":{code},\"t_rel\":{seconds:.6}")
            }
            telemetry::DATA | telemetry::DATA_JSON => {
                let (category, key) = (json(category), json(key));
                let value = if event == telemetry::DATA { json(value) } else { value.clone() };
                let times = format!("{0},\"t_rel\":{1:.6}", self.t_abs(), self.begin.elapsed().as_secs_f64());
                let nesting = self.nesting.load(Ordering::Relaxed);
                if nesting > self.nesting_max {
                    return;
                }
                format!(
                    "{times},\"nesting\":{nesting},\"category\":{category},\"key\":{key},\"value\":{value}"
                )
            }
            telemetry::REGION_ENTER | telemetry::REGION_LEAVE => {
                let nesting = if event == telemetry::REGION_ENTER {
                    self.nesting.fetch_add(1, Ordering::Relaxed)
                } else {
                    self.nesting.fetch_sub(1, Ordering::Relaxed).saturating_sub(1)
                };
                if nesting > self.nesting_max {
                    return;
                }
                let which = if msg.is_empty() { String::new() } else { format!(",\"msg\":{}", json(msg)) };
                let (category, label) = (json(category), json(label));
                format!("\"nesting\":{nesting},\"category\":{category},\"label\":{label}{which}")
            }
            _ => return,
        };
        self.write(event, Some(metadata), &text);
    }

    fn begin_child(&self, pid: u64) -> usize {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.push(Started { pid, begin: Instant::now() });
        children.len() - 1
    }

    /// The number of the child and how many seconds it has run.
    fn end_child(&self, pid: u64) -> (usize, f64) {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        // the latest: the system gives numbers away again
        let found = children.iter().enumerate().rev().find(|(_, child)| child.pid == pid);
        found.map_or((0, 0.0), |(id, child)| (id, child.begin.elapsed().as_secs_f64()))
    }

    fn t_abs(&self) -> String {
        format!("\"t_abs\":{:.6}", self.begin.elapsed().as_secs_f64())
    }

    fn write(&self, event: &str, place: Option<&Metadata<'_>>, rest: &str) {
        let file = place.and_then(Metadata::file).unwrap_or(file!());
        let line = place.and_then(Metadata::line).unwrap_or(line!());
        let thread = std::thread::current();
        let thread = json(thread.name().unwrap_or("unnamed"));
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
        let (event, sid, file) = (json(event), json(&self.sid), json(file));
        let text = format!(
            "{{\"event\":{event},\"sid\":{sid},\"thread\":{thread},\"time\":\"{time}\",\"file\":{file},\"line\":{line},{rest}}}\n"
        );
        self.sink.write(text.as_bytes());
    }
}

/// A name for this process that no other has.
fn own_sid() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ");
    format!("{now}-{}-P{:08x}", crate::remote::host_name(), std::process::id())
}

/// What a parent gave by `variable`, then `own`.
fn joined(env: &Environment, variable: &str, own: &str) -> String {
    match env.get(variable) {
        Some(parent) if !parent.is_empty() => format!("{}/{own}", parent.to_string_lossy()),
        Some(_) | None => own.to_owned(),
    }
}

/// `word` without the password of the URL that it is.
fn redacted(word: &str) -> String {
    let parts = word.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (login, host) = authority.rsplit_once('@')?;
        let (name, _) = login.split_once(':')?;
        Some(format!("{scheme}://{name}:<REDACTED>@{host}{path}"))
    });
    parts.unwrap_or_else(|| word.to_owned())
}

/// `text` as a string of JSON: RFC 8259, 7.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_left_out() {
        assert_eq!(redacted("http://u:p@h/x"), "http://u:<REDACTED>@h/x");
        assert_eq!(redacted("http://u:p@q@h"), "http://u:<REDACTED>@h");
        for plain in ["http://u@h/x", "http://h/a:b@c", "u:p@h", "--x=y"] {
            assert_eq!(redacted(plain), plain);
        }
    }

    #[test]
    fn strings_are_those_of_json() {
        assert_eq!(json("a\"b\\c\n\u{1b}ü"), "\"a\\\"b\\\\c\\n\\u001bü\"");
    }
}
