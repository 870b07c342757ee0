//! Rows of clients that push.

use std::path::Path;

use anyhow::Result;

use super::git::{git, link};
use super::measure::{Figures, compare};
use super::program::{self, Program};
use super::report::say;
use super::{Bench, TURNS_WHOLE, is_wanted, large};

impl Bench {
    /// A push of the last `commits` of the first-parent history, or of all of it.
    pub(super) fn push(&self, title: &str, commits: Option<u32>, turns: usize) -> Result<()> {
        if !is_wanted(title) {
            return Ok(());
        }
        let template = self.fresh("template.git")?;
        git(&self.directory, &["init", "-q", "--bare", &template])?;
        if let Some(commits) = commits {
            let base = format!("HEAD~{commits}");
            if git(&self.source, &["rev-parse", "-q", "--verify", &base]).is_err() {
                say(&format!("| {title} | the history is shorter | | | | | |"));
                return Ok(());
            }
            let template = self.directory.join(&template);
            let template = template.to_string_lossy();
            git(&self.source, &["push", "-q", &template, &format!("{base}:refs/heads/base")])?;
        }
        compare(title, (turns, program::c_gits()), |program| {
            self.push_into_copy(program, &self.source, &template)
        })
    }

    /// A push of all of a repository of a gigabyte.
    pub(super) fn push_large(&self) -> Result<()> {
        const TITLE: &str = "push a gigabyte";
        if !is_wanted(TITLE) {
            return Ok(());
        }
        let source = self.fresh("large.git")?;
        large::make(&self.directory, &source)?;
        let source = self.directory.join(source);
        let template = self.fresh("template.git")?;
        git(&self.directory, &["init", "-q", "--bare", &template])?;
        compare(TITLE, (TURNS_WHOLE, program::c_gits()), |program| {
            self.push_into_copy(program, &source, &template)
        })
    }

    /// Pushes `HEAD` of `source` to a copy of `template`.
    fn push_into_copy(&self, program: Program, source: &Path, template: &str) -> Result<Figures> {
        let target = self.fresh("target.git")?;
        link(&self.directory.join(template), &self.directory.join(&target))?;
        let url = self.url(&target);
        let figures = self.measure(program, source, &["push", "-q", &url, "HEAD:refs/heads/new"])?;
        git(&self.directory.join(&target), &["rev-parse", "-q", "--verify", "refs/heads/new"])?;
        Ok(figures)
    }
}
