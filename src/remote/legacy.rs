//! Remotes as they were described before the configuration did it: files in `.git/remotes` and `.git/branches`.
//! git-fetch(1), "REMOTES".

use std::path::{Component, Path};

use bstr::{BStr, BString, ByteSlice};

use super::config::{Tags, exists, rewrite};
use super::push::PushRefspec;
use super::{Error, Refspec, Remote};
use crate::repo::Repository;

impl Remote {
    /// As [`Remote::from_config`], with the old files of `repo` where the configuration has nothing to say of `name`.
    pub fn in_repository(repo: &Repository, name: &BStr) -> Result<Self, Error> {
        let mut remote = Self::from_config(&repo.config, name)?;
        if !exists(&repo.config, name)
            && is_file_name(name)
            && (remote.read_remotes(repo)? || remote.read_branches(repo)?)
        {
            remote.name = Some(name.to_owned());
        }
        Ok(remote)
    }

    /// Whether `name` is a remote for commands that look after remotes: in the repository's own configuration or in a file.
    ///
    /// # Errors
    ///
    /// If a file has a refspec that is none.
    pub fn is_known_to(repo: &Repository, name: &BStr) -> Result<bool, Error> {
        if exists(&repo.config, name) {
            return Ok(repo.config.is_of_repository("remote", name));
        }
        Ok(Self::in_repository(repo, name)?.name.is_some())
    }

    /// Takes `.git/remotes/<name>`: lines `URL: `, `Push: ` and `Pull: `. Whether there is such a file.
    fn read_remotes(&mut self, repo: &Repository) -> Result<bool, Error> {
        let Some(text) = read(repo, "remotes", self.display_name()) else { return Ok(false) };
        let mut urls = Vec::new();
        for line in text.lines() {
            let value = |key: &str| line.strip_prefix(key.as_bytes()).map(|value| value.trim().as_bstr());
            if let Some(url) = value("URL:") {
                urls.push(rewrite(&repo.config, url));
            } else if let Some(refspec) = value("Push:") {
                self.push.push(PushRefspec::parse(refspec)?);
            } else if let Some(refspec) = value("Pull:") {
                self.fetch.push(Refspec::parse_fetch(refspec)?);
            }
        }
        if !urls.is_empty() {
            self.push_urls.clone_from(&urls);
            self.urls = urls;
        }
        Ok(true)
    }

    /// Takes `.git/branches/<name>`: a URL and, behind `#`, a branch, which is fetched into one named like the file. Whether
    /// there is such a file.
    fn read_branches(&mut self, repo: &Repository) -> Result<bool, Error> {
        let name = self.display_name().to_owned();
        let Some(text) = read(repo, "branches", name.as_bstr()) else { return Ok(false) };
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() {
            return Ok(false);
        }
        let (url, branch) = match line.split_once_str("#") {
            Some((url, branch)) => (url, BString::from(branch)),
            None => (line, config_branch(repo)),
        };
        self.urls = vec![rewrite(&repo.config, url.as_bstr())];
        self.push_urls.clone_from(&self.urls);
        let fetch = [b"refs/heads/".as_slice(), &branch, b":refs/heads/", &name].concat();
        self.fetch = vec![Refspec::parse_fetch(fetch.as_bstr())?];
        let push = [b"HEAD:refs/heads/".as_slice(), &branch].concat();
        self.push = vec![PushRefspec::parse(push.as_bstr())?];
        self.tags = Tags::Follow;
        Ok(true)
    }
}

/// The branch that a file without one means.
fn config_branch(repo: &Repository) -> BString {
    crate::repo::init::default_branch(&repo.config).map_or_else(|_| "master".into(), BString::from)
}

/// The file `name` in the directory `directory` that all work trees share; `None` if there is none.
fn read(repo: &Repository, directory: &str, name: &BStr) -> Option<Vec<u8>> {
    let path = repo.common_path(directory).join(name.to_path_lossy());
    std::fs::read(path).ok()
}

/// Whether `name` can be that of a file in a directory.
fn is_file_name(name: &BStr) -> bool {
    let name = name.to_path_lossy();
    let mut parts = Path::new(&*name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}
