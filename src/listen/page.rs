//! The page at `/` for people: which repositories are served, how they are cloned, and how the server is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;

use super::access::{Access, Deed, Verdict};
use super::body::Outgoing;
use super::refusal::response;
use super::{Shared, admin};

/// How deep repositories are looked for.
const DEPTH_MAX: usize = 4;
/// How many are shown.
const SHOWN_MAX: usize = 1_000;
/// How many directories are looked at for it.
const LOOKED_AT_MAX: usize = 20_000;

/// The looks of the page.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8884}\
    code{font:14px ui-monospace,monospace;user-select:all;overflow-wrap:anywhere}";

/// The page as `user` may see it.
pub(super) fn page(
    shared: &Arc<Shared>,
    access: &Access,
    user: Option<&str>,
    base: &str,
) -> hyper::Response<Outgoing> {
    let host = base.split_once("://").map(|(_, host)| host);
    let root = shared.root_of(host);
    let mut names = repositories(root, shared.settings.exports_all);
    names.retain(|name| access.verdict(user, name, Deed::Read) == Verdict::Allowed);
    let body = html(&names, base, admin::unready(shared));
    let headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    response(StatusCode::OK, &headers, Outgoing::Whole(Bytes::from(body)))
}

fn html(names: &[String], base: &str, trouble: Option<&str>) -> String {
    let rows: Vec<String> = names
        .iter()
        .map(|name| {
            let address = format!("{base}/{}", address(name));
            format!(
                "<tr><td>{}</td><td><code>git clone {}</code></td></tr>\n",
                escaped(name),
                escaped(&address)
            )
        })
        .collect();
    let health = trouble.unwrap_or("all is well");
    let list = if names.is_empty() {
        "<p>No repository is served to you here.</p>".to_owned()
    } else {
        format!(
            "<table><thead><tr><th>repository</th><th>clone it</th></tr></thead><tbody>\n{}</tbody></table>",
            rows.concat()
        )
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>repositories</title><style>{STYLE}</style></head><body>\n\
         <h1>Repositories</h1>\n{list}\n<p id=\"health\">{}</p>\n</body></html>\n",
        escaped(health)
    )
}

/// The repositories below `root`, as paths from there.
fn repositories(root: &Path, exports_all: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead: Vec<(PathBuf, usize)> = vec![(root.to_owned(), 0)];
    let mut looked_at = 0;
    while let Some((directory, depth)) = ahead.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX || found.len() >= SHOWN_MAX {
                break;
            }
            // links are served, but not looked behind: they may lead in circles
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = entry.path();
            let git_dir = [path.join(".git"), path.clone()].into_iter().find(|path| is_repository(path));
            match git_dir {
                Some(git_dir) if exports_all || git_dir.join("git-daemon-export-ok").exists() => {
                    let name = path.strip_prefix(root).unwrap_or(&path);
                    found.extend(name.to_str().map(ToOwned::to_owned));
                }
                None if depth + 1 < DEPTH_MAX => ahead.push((path, depth + 1)),
                Some(_) | None => {}
            }
        }
    }
    found.sort_unstable();
    found
}

fn is_repository(path: &Path) -> bool {
    ["HEAD", "objects", "refs"].iter().all(|name| path.join(name).exists())
}

/// A path as a URL has it.
fn address(name: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    utf8_percent_encode(name, PLAIN).to_string()
}

/// Text that is text, whatever is in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_nothing_else() {
        let page = html(&["<script>alert(1)</script>\".git".into()], "http://a\"b", Some("<b>"));
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;.git"), "{page}");
        assert!(page.contains("http://a&quot;b/%3Cscript%3Ealert%281%29%3C/script%3E%22.git"), "{page}");
    }

    #[test]
    fn repositories_are_found_that_are_exported() {
        let root = tempfile::tempdir().unwrap();
        for name in ["one.git", "deep/two.git", "work/.git"] {
            for part in ["objects", "refs"] {
                fs::create_dir_all(root.path().join(name).join(part)).unwrap();
            }
            fs::write(root.path().join(name).join("HEAD"), "").unwrap();
        }
        fs::create_dir(root.path().join("empty")).unwrap();
        fs::write(root.path().join("one.git/git-daemon-export-ok"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("circle")).unwrap();
        assert_eq!(repositories(root.path(), true), ["deep/two.git", "one.git", "work"]);
        assert_eq!(repositories(root.path(), false), ["one.git"]);
    }
}
