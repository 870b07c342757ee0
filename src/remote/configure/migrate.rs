//! Remotes in files of their own, as git had them before the configuration: `remotes/<name>` and `branches/<name>` in the
//! git directory. git-fetch(1), "REMOTES".

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::{is_valid_name, key, set};
use crate::remote::Error;
use crate::repo::config::Change;
use crate::repo::{Repository, init};

/// The most of such a file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What such a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Legacy {
    urls: Vec<BString>,
    pushes: Vec<BString>,
    fetches: Vec<BString>,
}

/// Moves the remote `name` from a file of its own into the configuration; `false` if there is no such file.
///
/// # Errors
///
/// If the configuration cannot be written, or the file not be removed.
pub fn migrate(repo: &Repository, name: &BStr) -> Result<bool, Error> {
    if !is_valid_name(name) {
        return Ok(false);
    }
    let path = |directory: &str| repo.common_path(directory).join(name.to_path_lossy());
    let (in_remotes, in_branches) = (path("remotes"), path("branches"));
    let (legacy, path) = if let Some(text) = read(&in_remotes)? {
        (of_remotes(&text), in_remotes)
    } else if let Some(text) = read(&in_branches)? {
        let branch = init::default_branch(&repo.config)?;
        (of_branches(&text, name, branch.as_bstr()), in_branches)
    } else {
        return Ok(false);
    };
    let Some(url) = legacy.urls.first() else { return Ok(false) };
    let values = [("url", &legacy.urls), ("push", &legacy.pushes), ("fetch", &legacy.fetches)];
    let changes = values.iter().flat_map(|(last, values)| {
        values.iter().map(|value| Change::Add(key("remote", name, last), value.clone()))
    });
    set(repo, &changes.collect::<Vec<_>>(), key("remote", name, "url").as_bstr(), url.as_bstr())?;
    std::fs::remove_file(&path).map_err(|source| Error::Io { action: "unable to unlink", path, source })?;
    Ok(true)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut text = Vec::new();
    let file = match File::open(path) {
        Ok(file) if path.is_file() => file,
        Ok(_) | Err(_) => return Ok(None),
    };
    let failed = |source| Error::Io { action: "unable to read", path: PathBuf::from(path), source };
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// `URL:`, `Push:` and `Pull:` lines.
fn of_remotes(text: &[u8]) -> Legacy {
    let mut legacy = Legacy::default();
    for line in text.lines() {
        let line = line.trim_ascii_end();
        for (head, values) in
            [("URL:", &mut legacy.urls), ("Push:", &mut legacy.pushes), ("Pull:", &mut legacy.fetches)]
        {
            if let Some(value) = line.strip_prefix(head.as_bytes()) {
                values.push(value.trim_ascii_start().into());
            }
        }
    }
    legacy
}

/// `<url>#<branch>`; without a branch it is `default`.
fn of_branches(text: &[u8], name: &BStr, default: &BStr) -> Legacy {
    let line = text.lines().next().unwrap_or_default().trim_ascii();
    let (url, branch) = line.split_once_str("#").unwrap_or((line, default));
    if url.is_empty() {
        return Legacy::default();
    }
    let branch = branch.as_bstr();
    Legacy {
        urls: vec![url.into()],
        pushes: vec![format!("HEAD:refs/heads/{branch}").into()],
        fetches: vec![format!("refs/heads/{branch}:refs/heads/{name}").into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_files_are_read() {
        let text = b"URL: one\nPush: a:b\n# Pull: x\nPull: c:d\nPull:e:f \nURL:  two\n";
        let legacy = of_remotes(text);
        assert_eq!(legacy.urls, ["one", "two"]);
        assert_eq!((legacy.pushes, legacy.fetches), (vec!["a:b".into()], vec!["c:d".into(), "e:f".into()]));
        let legacy = of_branches(b" url#topic \n", "x".into(), "main".into());
        assert_eq!(legacy.urls, ["url"]);
        assert_eq!(legacy.pushes, ["HEAD:refs/heads/topic"]);
        assert_eq!(legacy.fetches, ["refs/heads/topic:refs/heads/x"]);
        let fetches = of_branches(b"url\n", "x".into(), "main".into()).fetches;
        assert_eq!(fetches, ["refs/heads/main:refs/heads/x"]);
        assert_eq!(of_branches(b"\n", "x".into(), "main".into()), Legacy::default());
    }
}
