//! The rules of the house, which ARCHITECTURE.md tells in words: who may use whom, where printing, HTTP and gix stay.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use beside itself. `None`: everything.
const MAY_USE: [(&str, Option<&[&str]>); 13] = [
    ("cmd", None),
    ("listen", Some(&["server", "repo", "protocol"])),
    ("server", Some(&["repo", "pack", "protocol", "progress", "storage", "telemetry", "text"])),
    ("remote", Some(&["transport", "repo", "pack", "protocol", "progress", "storage", "telemetry", "text"])),
    ("transport", Some(&["protocol", "credential", "progress", "telemetry", "text"])),
    ("repo", Some(&["pack", "protocol", "progress", "storage", "telemetry", "text"])),
    ("pack", Some(&["progress", "storage", "text"])),
    ("protocol", Some(&["progress", "text"])),
    ("credential", Some(&["telemetry", "text"])),
    ("progress", Some(&[])),
    ("storage", Some(&[])),
    ("telemetry", Some(&[])),
    ("text", Some(&[])),
];

/// gix crates that are common words, and so may be named everywhere: ids, and the rules for names and patterns, which
/// are functions of bytes.
const COMMON_GIX: [&str; 3] = ["gix_hash", "gix_validate", "gix_glob"];

/// One source file of the library or the command.
struct Source {
    /// Its path below `src/`, with `/`.
    name: String,
    /// Its text as it stands.
    text: String,
    /// Its text with comments and literals blanked out, white space taken away around `::`.
    code: String,
}

impl Source {
    /// The top module that the file belongs to.
    fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether the file is in one of `modules`.
    fn is_in(&self, modules: &[&str]) -> bool {
        modules.contains(&self.module())
    }
}

#[test]
fn modules_use_only_what_they_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        let module = source.module();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "{}: the module '{module}' is not in the table of tests/layout.rs",
                source.name
            ));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for used in modules_named(&source.code) {
            if used != module && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: '{module}' may not use '{used}'", source.name));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_the_edges_of_http_name_the_http_crate() {
    let names = |source: &Source| {
        let is_client =
            source.name == "transport/http/client.rs" || source.name.starts_with("transport/http/client/");
        !is_client
            && !source.is_in(&["listen"])
            && ["hyper", "hyper_util", "tokio", "tokio_rustls"]
                .iter()
                .any(|word| has_word(&source.code, word))
    };
    assert_none(&files_where(names));
}

#[test]
fn gix_stays_behind_the_repository_and_the_pack_engine() {
    let names = |source: &Source| {
        let is_allowed = |word: &str| match word {
            _ if COMMON_GIX.contains(&word) => true,
            // Rules for names and patterns touch no repository.
            "gix_object" | "gix_validate" | "gix_glob" => source.is_in(&["repo", "pack", "remote"]),
            // Modes of the files that both of those write.
            "gix_fs" => source.is_in(&["storage"]),
            _ => source.is_in(&["repo", "pack"]),
        };
        words(&source.code).any(|word| word.starts_with("gix_") && !is_allowed(word))
    };
    assert_none(&files_where(names));
}

#[test]
fn only_the_command_prints() {
    let prints = |source: &Source| {
        let macros = ["println!", "eprintln!", "print!", "eprint!"];
        !source.is_in(&["cmd", "main"]) && macros.iter().any(|name| source.code.contains(name))
    };
    assert_none(&files_where(prints));
}

#[test]
fn every_file_says_what_it_is() {
    assert_none(&files_where(|source| !source.text.starts_with("//!")));
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "/* a /* b */ c */ let x = \"crate::d\"; // crate::e\nlet r = r#\"crate::\"f\"#; let c = '\"'; 'a: g();";
    let code = blank(text);
    let kept: String = code.split_whitespace().collect();
    assert_eq!(kept, "letx=;letr=;letc=;'a:g();");
}

#[test]
fn module_names_are_found_in_every_form() {
    let code =
        "use crate::pack; crate :: repo::open(); use crate::{ progress::Event, protocol::{a, b}, cmd };";
    let mut found = modules_named(code);
    found.sort();
    assert_eq!(found, ["cmd", "pack", "progress", "protocol", "repo"]);
}

/// Every file below `src/`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut ahead = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(next) = ahead.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(read(&root, &path));
            }
        }
    }
    found
}

/// Reads one file.
fn read(root: &Path, path: &PathBuf) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
    Source { name, code: blank(&text), text }
}

/// The names of the files that `matches`.
fn files_where(matches: impl Fn(&Source) -> bool) -> Vec<String> {
    sources().into_iter().filter(matches).map(|source| source.name).collect()
}

/// Fails with the list, one a line.
#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "against the rules of the house:\n{}", wrong.join("\n"));
}

/// The top modules that `code` reaches through `crate::`, in a path or in a list of imports.
fn modules_named(code: &str) -> Vec<String> {
    let code: String =
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let mut found = Vec::new();
    for (start, pattern) in code.match_indices("crate::") {
        let before = code.get(..start).and_then(|text| text.chars().next_back());
        let rest = code.get(start + pattern.len()..).unwrap_or_default();
        if before.is_some_and(is_word) {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(list) => found.extend(first_words(list)),
            None => found.extend(words(rest).next().map(str::to_owned)),
        }
    }
    // `pub use` of the crate root and types re-exported there begin with a capital letter.
    found.retain(|name| name.starts_with(char::is_lowercase));
    found.sort();
    found.dedup();
    found
}

/// The first word of each entry of an import list, up to its closing brace.
fn first_words(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut entry = String::new();
    let mut found = Vec::new();
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(std::mem::take(&mut entry)),
            _ if depth == 0 => entry.push(letter),
            _ => {}
        }
    }
    found.push(entry);
    found.iter().filter_map(|entry| words(entry).next().map(str::to_owned)).collect()
}

/// Whether `word` stands in `code` as a word.
fn has_word(code: &str, word: &str) -> bool {
    words(code).any(|found| found == word)
}

/// The words of `code`.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter| !is_word(letter)).filter(|word| !word.is_empty())
}

/// Whether `letter` may stand in a name.
fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// `text` without its comments and without its string and character literals.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skipped = skip(rest, code.chars().next_back());
        if skipped > 0 {
            code.push(' ');
            rest = rest.get(skipped..).unwrap_or_default();
        } else {
            code.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
    }
    code
}

/// The length of the comment or literal that `text` begins with; 0 if it begins with code.
fn skip(text: &str, before: Option<char>) -> usize {
    let end_of = |pattern: &str, from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.find(pattern).map_or(text.len(), |place| from + place + pattern.len())
    };
    if text.starts_with("//") {
        return end_of("\n", 0);
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    if text.starts_with('\'') {
        // A lifetime or label is a quote without a second one right behind its first letter.
        let mut letters = text.chars().skip(1);
        let first = letters.next();
        return if first == Some('\\') || letters.next() == Some('\'') { quoted(text, '\'') } else { 0 };
    }
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r'));
    match raw {
        Some(raw) if !before.is_some_and(is_word) => {
            let hashes = raw.chars().take_while(|&letter| letter == '#').count();
            let opening = text.len() - raw.len() + hashes + 1;
            let is_raw = raw.chars().nth(hashes) == Some('"');
            if is_raw { end_of(&format!("\"{}", "#".repeat(hashes)), opening) } else { 0 }
        }
        _ => 0,
    }
}

/// The length of a block comment with those inside it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut place = 0;
    while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            place += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            place += 2;
        } else {
            place += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    place
}

/// The length of a literal that ends with an unescaped `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (place, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return place + 1,
            _ => {}
        }
    }
    text.len()
}
