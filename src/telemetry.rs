//! What is told to those who measure: programs that are started, stretches of work, and facts. Each is an event of the
//! `tracing` crate at the level `TRACE`; the command writes them where `GIT_TRACE2_EVENT` says.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

/// The target of the events. Their field `event` is one of the constants below.
pub const TARGET: &str = "gitr::telemetry";
/// A program was started: `pid`, `class` (such as `transport/ssh`), `argv` (bytes, each word ends with a NUL) and
/// `use_shell`, whether the first word of that is a snippet which a shell runs.
pub const CHILD_START: &str = "child_start";
/// A program has ended: `pid` and `code`.
pub const CHILD_EXIT: &str = "child_exit";
/// A stretch of work begins: `category`, `label` and, where there are several of them, `msg`, which one it is.
pub const REGION_ENTER: &str = "region_enter";
/// It is over: the same.
pub const REGION_LEAVE: &str = "region_leave";
/// A fact: `category`, `key` and `value`.
pub const DATA: &str = "data";

/// A fact of several parts: `category`, `key` and `value`, a JSON object.
pub const DATA_JSON: &str = "data_json";

/// What stands for the exit code of a program that a signal ended: 128 and its number, as shells have it.
const SIGNALLED: i32 = 128;

/// Tells of a `child` that was started by `command`.
pub(crate) fn child_started(child: &Child, class: &str, command: &Command) {
    if !is_on() {
        return;
    }
    let words: Vec<&OsStr> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let (words, use_shell) = match words.as_slice() {
        // the snippet is its own name: what is behind it are its arguments
        [shell, option, _, snippet @ ..] if is_shell(shell) && *option == "-c" && !snippet.is_empty() => {
            (snippet, true)
        }
        words => (words, false),
    };
    child_started_as(child, class, words, use_shell);
}

/// As [`child_started`], where the program is known by the first of `words`, whatever file it is.
pub(crate) fn child_started_as(child: &Child, class: &str, words: &[&OsStr], use_shell: bool) {
    let argv: Vec<u8> = words.iter().flat_map(|word| [word.as_encoded_bytes(), b"\0"].concat()).collect();
    let pid = u64::from(child.id());
    tracing::trace!(target: TARGET, event = CHILD_START, pid, class, argv = &*argv, use_shell);
}

fn is_shell(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == "sh")
}

/// Tells how the child with the id `pid` has ended.
pub(crate) fn child_ended(pid: u32, status: ExitStatus) {
    if is_on() {
        let code = i64::from(code(status));
        tracing::trace!(target: TARGET, event = CHILD_EXIT, pid = u64::from(pid), code);
    }
}

/// Does `work`, and tells when it begins and ends.
pub(crate) fn region<T>(category: &str, label: &str, work: impl FnOnce() -> T) -> T {
    region_entered(category, label);
    let done = work();
    region_left(category, label);
    done
}

/// As [`region`], for one of several that `which` names.
pub(crate) fn region_of<T>(category: &str, label: &str, which: &str, work: impl FnOnce() -> T) -> T {
    tracing::trace!(target: TARGET, event = REGION_ENTER, category, label, msg = which);
    let done = work();
    tracing::trace!(target: TARGET, event = REGION_LEAVE, category, label, msg = which);
    done
}

/// Tells that a stretch of work begins which [`region`] cannot hold; [`region_left`] has to follow.
pub(crate) fn region_entered(category: &str, label: &str) {
    tracing::trace!(target: TARGET, event = REGION_ENTER, category, label);
}

/// Tells that it is over.
pub(crate) fn region_left(category: &str, label: &str) {
    tracing::trace!(target: TARGET, event = REGION_LEAVE, category, label);
}

/// Tells a fact.
pub(crate) fn data(category: &str, key: &str, value: &str) {
    tracing::trace!(target: TARGET, event = DATA, category, key, value);
}

/// Tells of a pack that was sent, as `git pack-objects` of git 2.47.3 does: how many entries it has, how many of them are
/// deltas, and what of both was taken from packs as it was.
pub(crate) fn pack_sent(entries: (u32, u32), reused: (u32, u32)) {
    for (key, count) in [
        ("write_pack_file/wrote", entries.0),
        ("written", entries.0),
        ("written/delta", entries.1),
        ("reused", reused.0),
        ("reused/delta", reused.1),
    ] {
        data("pack-objects", key, &count.to_string());
    }
}

/// Tells a fact of several parts, the fields of `value`.
pub(crate) fn data_json(category: &str, key: &str, value: &impl serde::Serialize) {
    if is_on() {
        let value = serde_json::to_string(value).unwrap_or_default();
        tracing::trace!(target: TARGET, event = DATA_JSON, category, key, value);
    }
}

fn is_on() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::TRACE)
}

/// The exit code, as shells tell it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| SIGNALLED + signal(status).unwrap_or_default())
}

/// The signal that ended a program.
#[cfg(unix)]
pub(crate) fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
pub(crate) fn signal(_status: ExitStatus) -> Option<i32> {
    None
}
