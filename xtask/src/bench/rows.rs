//! Rows of the table that a server makes alone, or that need another server than the others.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use super::distant::{MODULES, Server};
use super::git::{git, link, said_by_git};
use super::measure::compare;
use super::report::say;
use super::{Bench, TURNS, TURNS_WHOLE, program};

/// What an upload-pack is asked for besides the wants.
const CAPABILITIES: [&str; 3] = ["thin-pack", "ofs-delta", "no-progress"];

impl Bench {
    /// A clone by way of Apache and C git's `git-http-backend`, whose bytes are not counted.
    pub(super) fn clone_over_http(&self) -> Result<()> {
        if !Path::new(MODULES).exists() {
            println!("\nskipped: apache2 is not installed: no clone over HTTP");
            return Ok(());
        }
        let server = Server::start(&self.directory)?;
        self.clone("http://", &format!("http://localhost:{}/source.git", server.plain_port))
    }

    /// A fetch of the last `commits` of the first-parent history.
    pub(super) fn fetch(&self, commits: u32) -> Result<()> {
        let title = format!("fetch {commits} commits");
        let template = self.fresh("template.git")?;
        git(&self.directory, &["init", "-q", "--bare", &template])?;
        let base = format!("HEAD~{commits}");
        if git(&self.source, &["rev-parse", "-q", "--verify", &base]).is_err() {
            say(&format!("| {title} | the history is shorter | | | | | |"));
            return Ok(());
        }
        let template = self.directory.join(&template);
        let place = template.to_string_lossy();
        git(&self.source, &["push", "-q", &place, &format!("{base}:refs/heads/base")])?;
        let url = self.url("source.git");
        compare(&title, (TURNS, program::c_gits()), |program| {
            let copy = self.directory.join(self.fresh("copy.git")?);
            link(&template, &copy)?;
            self.measure(program, &copy, &["fetch", "-q", &url, "HEAD:refs/heads/new"])
        })
    }

    /// The pack of a clone as a server makes it, with a bitmap and without.
    pub(super) fn produce(&self) -> Result<()> {
        let request = self.directory.join("request");
        fs::write(&request, self.whole()?)?;
        let plain = self.without_bitmap()?;
        for (title, place) in [("bitmap", &self.source), ("no bitmap", &plain)] {
            let title = format!("upload-pack, {title}");
            compare(&title, (TURNS_WHOLE, program::c_gits()), |program| {
                let input = Stdio::from(File::open(&request).context("the request is gone")?);
                let program = program.path();
                self.measure_fed(
                    (program.as_os_str(), &["upload-pack", "--stateless-rpc", "."]),
                    place,
                    input,
                )
            })?;
        }
        Ok(())
    }

    /// A copy of the source that has no bitmap.
    pub(super) fn without_bitmap(&self) -> Result<PathBuf> {
        let plain = self.directory.join(self.fresh("plain.git")?);
        link(&self.source, &plain)?;
        for entry in fs::read_dir(plain.join("objects/pack"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "bitmap") {
                fs::remove_file(path)?;
            }
        }
        Ok(plain)
    }

    /// The request for all that the source has, in protocol version 0, which needs no word from the environment.
    fn whole(&self) -> Result<String> {
        let ids = self.tips()?;
        let mut request = String::new();
        for (at, id) in ids.iter().enumerate() {
            let capabilities = if at == 0 { format!(" {}", CAPABILITIES.join(" ")) } else { String::new() };
            request.push_str(&packet(&format!("want {id}{capabilities}\n")));
        }
        request.push_str("0000");
        request.push_str(&packet("done\n"));
        Ok(request)
    }

    /// What the refs of the source name, each once.
    pub(super) fn tips(&self) -> Result<Vec<String>> {
        let ids = said_by_git(&self.source, &["for-each-ref", "--format=%(objectname)"])?;
        let mut ids: Vec<String> = ids.lines().map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// `text` as a pkt-line.
pub(super) fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}
