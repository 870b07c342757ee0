//! The files of a repository, for clients that know no other way. gitprotocol-http(5), "Dumb Clients".

use std::fs::{self, Metadata};
use std::io;
use std::time::SystemTime;

use jiff::Timestamp;

use super::route::{File, FileKind};
use super::{Answer, Outcome, Refusal, forbidden, header, no_cache, not_found};
use crate::repo::{Repository, Target};
use crate::server::server_info;

/// How long what never changes may be kept, in seconds: a year.
const FOREVER_SECONDS: i64 = 31_536_000;

type Headers = Vec<(String, String)>;

/// Sends `file`.
pub(super) fn send(
    repo: &Repository,
    file: &File,
    answer: &mut dyn Answer,
    headers: &mut Headers,
) -> Result<Outcome, Refusal> {
    check_enabled(repo)?;
    match file.kind {
        FileKind::Head => text(&head(repo)?, "text/plain", answer, headers),
        FileKind::Packs => {
            headers.extend(no_cache());
            text(&server_info::packs(repo)?, "text/plain; charset=utf-8", answer, headers)
        }
        FileKind::Text => {
            headers.extend(no_cache());
            stream(repo, file, "text/plain", answer, headers)
        }
        FileKind::Forever(kind) => {
            let now = Timestamp::now().as_second();
            headers.push(header("Date", &date(now)));
            headers.push(header("Expires", &date(now.saturating_add(FOREVER_SECONDS))));
            headers.push(header("Cache-Control", "public, max-age=31536000"));
            stream(repo, file, kind, answer, headers)
        }
    }
}

/// Sends the refs as lines; unless `hides` is set hidden ones too, as git 2.47.3 does.
pub(super) fn refs(
    repo: &Repository,
    hides: bool,
    answer: &mut dyn Answer,
    headers: &mut Headers,
) -> Result<Outcome, Refusal> {
    check_enabled(repo)?;
    text(&server_info::refs(repo, hides)?, "text/plain", answer, headers)
}

/// Files have all objects in them, whoever may ask for which.
fn check_enabled(repo: &Repository) -> Result<(), Refusal> {
    let is_strict = repo.config.boolean("gitr.strictWants")?.unwrap_or(false);
    if repo.config.boolean("http.getanyfile")?.unwrap_or(!is_strict) {
        return Ok(());
    }
    Err(forbidden("Unsupported service: getanyfile".into()))
}

/// `HEAD` as its file says it, unless it leads nowhere.
fn head(repo: &Repository) -> Result<Vec<u8>, Refusal> {
    let Some(id) = repo.resolve_ref("HEAD".into())? else { return Ok(Vec::new()) };
    Ok(match repo.find_ref("HEAD".into())?.map(|reference| reference.target) {
        Some(Target::Symbolic(name)) => [b"ref: ", name.as_slice(), b"\n"].concat(),
        Some(Target::Id(_)) | None => format!("{id}\n").into_bytes(),
    })
}

fn text(
    content: &[u8],
    kind: &str,
    answer: &mut dyn Answer,
    headers: &mut Headers,
) -> Result<Outcome, Refusal> {
    headers.push(header("Content-Length", &content.len().to_string()));
    headers.push(header("Content-Type", kind));
    let out = answer.head(headers)?;
    out.write_all(content)?;
    out.flush()?;
    Ok(Outcome::Done)
}

fn stream(
    repo: &Repository,
    file: &File,
    kind: &str,
    answer: &mut dyn Answer,
    headers: &mut Headers,
) -> Result<Outcome, Refusal> {
    let cannot = |error: &io::Error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        not_found(format!("Cannot open '{}': {reason}", file.name))
    };
    let path = repo.common_path(&file.name.to_string());
    let opened = fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, mut content) = opened.map_err(|error| cannot(&error))?;
    headers.push(header("Content-Length", &metadata.len().to_string()));
    headers.push(header("Content-Type", kind));
    headers.push(header("Last-Modified", &date(changed(&metadata))));
    let out = answer.head(headers)?;
    io::copy(&mut content, out)?;
    out.flush()?;
    Ok(Outcome::Done)
}

fn changed(metadata: &Metadata) -> i64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}

fn date(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
