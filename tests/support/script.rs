//! Scenarios as text: one command a line, for gitr and C git in two copies of one repository.

use std::path::Path;

use super::{Sandbox, Twin};

/// Plays `script` in the repository `copy` of both clients. A line is a command in words with blanks between:
///
/// - `= <command>` is given to gitr and to C git, which have to print and return the same;
/// - `! <command>` prepares: C git does it in both repositories, and it has to succeed;
/// - `@ <command>` is done by C git in `served/project.git`;
/// - `> <file> <text>` writes a file in both repositories, empty without a text; `< <file>` removes it.
///
/// `''` stands for an empty word. At the end both repositories have to be equal, and what gitr left whole.
///
/// # Panics
/// If anything differs.
#[track_caller]
pub fn play(sandbox: &Sandbox, twin: &Twin<'_>, script: &str) {
    act(sandbox, twin, script);
    twin.same("copy");
}

/// As [`play`], for what ends in a work tree with changes.
///
/// # Panics
/// If anything differs.
#[track_caller]
pub fn play_unfinished(sandbox: &Sandbox, twin: &Twin<'_>, script: &str) {
    act(sandbox, twin, script);
    twin.same_state("copy");
}

/// Plays `script` without a look at what comes of it.
///
/// # Panics
/// If both do not say the same.
#[track_caller]
pub fn act(sandbox: &Sandbox, twin: &Twin<'_>, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split(' ').map(|word| if word == "''" { "" } else { word });
        let kind = words.next();
        let words: Vec<&str> = words.collect();
        let prepare = |act: &dyn Fn(&Path)| twin.prepare(|client| act(&client.join("copy")));
        match kind {
            Some("=") => drop(twin.run("copy", &words)),
            Some("!") => prepare(&|copy| drop(sandbox.git(copy, &words).success())),
            Some("@") => drop(sandbox.git(&sandbox.path("served/project.git"), &words).success()),
            Some(">") => prepare(&|copy| {
                let (name, text) = words.split_first().expect("a file is named");
                let text = if text.is_empty() { String::new() } else { format!("{}\n", text.join(" ")) };
                std::fs::write(copy.join(name), text).expect("the repository can be written");
            }),
            Some("<") => prepare(&|copy| {
                std::fs::remove_file(copy.join(words.join(" "))).expect("the file is there");
            }),
            _ => panic!("no command: {line}"),
        }
    }
}
