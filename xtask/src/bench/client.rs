//! Rows of clients that fetch: clones, fetches of nothing, lists of refs, a prune, and what becomes of a pack.

use anyhow::Result;

use super::git::{feed_git, git, link, said_by_git};
use super::measure::compare;
use super::program::{self, Program};
use super::{Bench, TURNS, TURNS_WHOLE, is_wanted};

impl Bench {
    pub(super) fn clone(&self, scheme: &str, url: &str) -> Result<()> {
        compare(&format!("clone --bare {scheme}"), (TURNS_WHOLE, program::all()), |program| {
            let copy = self.fresh("copy.git")?;
            let quiet = if program == Program::Gix { "--no-tags" } else { "-q" };
            self.measure(program, &self.directory, &["clone", quiet, "--bare", url, &copy])
        })
    }

    /// A clone with a work tree. C git's workers are as many as make it fastest.
    pub(super) fn clone_with_files(&self) -> Result<()> {
        let url = self.url("source.git");
        for workers in ["checkout.workers=1", "checkout.workers=2"] {
            compare(&format!("clone, {workers}"), (TURNS_WHOLE, program::c_gits()), |program| {
                let copy = self.fresh("copy")?;
                self.measure(program, &self.directory, &["-c", workers, "clone", "-q", &url, &copy])
            })?;
        }
        Ok(())
    }

    pub(super) fn list_refs(&self) -> Result<()> {
        let url = self.url("source.git");
        compare("ls-remote", (TURNS, program::c_gits()), |program| {
            self.measure_often(program, &self.directory, &["ls-remote", &url])
        })
    }

    pub(super) fn fetch_nothing(&self) -> Result<()> {
        let copy = self.fresh("copy.git")?;
        git(&self.directory, &["clone", "-q", "--mirror", &self.url("source.git"), &copy])?;
        let copy = self.directory.join(copy);
        compare("fetch nothing", (TURNS, program::c_gits()), |program| {
            self.measure_often(program, &copy, &["fetch", "-q"])
        })
    }

    /// A fetch that removes half of all refs.
    pub(super) fn prune(&self) -> Result<()> {
        if !is_wanted("prune") {
            return Ok(());
        }
        let half = self.fresh("half.git")?;
        link(&self.source, &self.directory.join(&half))?;
        let half = self.directory.join(half);
        let names = said_by_git(&half, &["for-each-ref", "--format=delete %(refname)"])?;
        let every_other = names.lines().filter(|line| !line.ends_with("/main")).step_by(2);
        let gone: String = every_other.flat_map(|line| [line, "\n"]).collect();
        feed_git(&half, &["update-ref", "--stdin"], &gone)?;
        git(&half, &["pack-refs", "--all"])?;
        let template = self.fresh("template.git")?;
        git(&self.directory, &["clone", "-q", "--mirror", &self.url("source.git"), &template])?;
        let template = self.directory.join(template);
        git(&template, &["config", "remote.origin.url", &self.url("half.git")])?;
        compare(&format!("prune {} refs", gone.lines().count()), (TURNS, program::c_gits()), |program| {
            let copy = self.directory.join(self.fresh("copy.git")?);
            link(&template, &copy)?;
            self.measure(program, &copy, &["fetch", "-q", "--prune"])
        })
    }

    /// An index for the pack that is there, with one thread and with two.
    pub(super) fn index_pack(&self) -> Result<()> {
        let pack = self.pack()?;
        let pack = pack.to_string_lossy();
        for threads in ["1", "2"] {
            let option = format!("--threads={threads}");
            compare(&format!("index-pack {option}"), (TURNS_WHOLE, program::all()), |program| {
                let arguments: &[&str] = match program {
                    Program::Gix => &["--threads", threads, "free", "pack", "index", "create", "-p", &pack],
                    _ => &["index-pack", &option, "-o", "bench.idx", &pack],
                };
                self.measure(program, &self.directory, arguments)
            })?;
        }
        Ok(())
    }
}
