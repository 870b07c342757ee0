//! `gitr pull --rebase`: what git needs to know for it.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::choice::Rebase;
use super::options::{self, REBASE_OPTIONS};
use super::{CommandError, Pull, ui};

impl Pull<'_> {
    /// Refuses a work tree with changes, unless they are stashed. Gives the commit that our branch left its upstream at, as
    /// the upstream's reflog tells before the fetch.
    pub(super) fn prepare_rebase(&self, old: Option<ObjectId>) -> Result<Option<ObjectId>, CommandError> {
        let listed = if old.is_none() { self.git.output(&["ls-files"])? } else { None };
        if listed.is_some_and(|listed| !listed.is_empty()) {
            let text = "Updating an unborn branch with changes added to the index.";
            return Err(CommandError::fatal(text));
        }
        if self.choice.autostash != Some(true) {
            self.check_clean(old.is_some())?;
        }
        self.fork_point()
    }

    /// Refuses changes of the work tree and, where there is a commit to compare it with, of the index.
    fn check_clean(&self, has_head: bool) -> Result<(), CommandError> {
        self.git.test(&["update-index", "-q", "--refresh"])?;
        let differs = |words: &[&str]| Ok::<bool, CommandError>(self.git.test(words)? == Some(1));
        let is_unstaged = differs(&["diff-files", "--quiet", "--ignore-submodules"])?;
        let is_staged =
            has_head && differs(&["diff-index", "--cached", "--quiet", "--ignore-submodules", "HEAD", "--"])?;
        let reasons = match (is_unstaged, is_staged) {
            (false, false) => return Ok(()),
            (true, false) => &["cannot pull with rebase: You have unstaged changes."][..],
            (false, true) => &["cannot pull with rebase: Your index contains uncommitted changes."],
            (true, true) => &[
                "cannot pull with rebase: You have unstaged changes.",
                "additionally, your index contains uncommitted changes.",
            ],
        };
        for text in reasons.iter().chain(&["Please commit or stash them."]) {
            ui::message("error", (*text).into());
        }
        Err(CommandError::silent(128))
    }

    fn fork_point(&self) -> Result<Option<ObjectId>, CommandError> {
        let Some(branch) = self.repo.head_branch()? else { return Ok(None) };
        let Some(upstream) = self.upstream(branch.as_bstr()) else { return Ok(None) };
        let short = branch.strip_prefix(b"refs/heads/").unwrap_or(&branch).as_bstr();
        let words = ["merge-base".into(), "--fork-point".into(), upstream, short.to_owned()];
        let words = words.map(|word| word.to_os_str_lossy().into_owned());
        let found = self.git.output(&words)?;
        Ok(found.and_then(|text| ObjectId::from_hex(text.trim_ascii()).ok()))
    }

    /// The tracking branch that what is fetched goes to.
    fn upstream(&self, branch: &BStr) -> Option<BString> {
        let remote = self.operands.first();
        let Some(refspec) = self.operands.get(1) else {
            let own = crate::remote::config::default_name(&self.repo.config, Some(branch));
            let is_own = remote.is_none_or(|remote| *remote == own);
            return is_own.then(|| "@{upstream}".into());
        };
        let source =
            refspec.trim_start_with(|letter| letter == '+').split_str(":").next().unwrap_or_default();
        let short = match source {
            b"" | b"HEAD" => b"HEAD",
            _ => source
                .strip_prefix(b"refs/heads/")
                .or_else(|| source.strip_prefix(b"heads/"))
                .unwrap_or(source),
        };
        if [&b"refs/"[..], b"tags/", b"remotes/"].iter().any(|kind| short.starts_with(kind)) {
            return None;
        }
        let top: &[u8] = match remote {
            Some(remote) if remote == "." => b"refs/heads",
            _ => b"refs/remotes",
        };
        let middle: Vec<u8> = match remote {
            Some(remote) if remote != "." => [b"/", remote.as_slice()].concat(),
            Some(_) | None => Vec::new(),
        };
        Some([top, &middle, b"/", short].concat().into())
    }

    /// Rebases onto `onto`.
    pub(super) fn rebase(
        &self,
        current: ObjectId,
        onto: ObjectId,
        fork_point: Option<ObjectId>,
    ) -> Result<u8, CommandError> {
        let mut words: Vec<OsString> = vec!["rebase".into()];
        words.extend(options::verbosity(self.parsed));
        match self.choice.rebase {
            Rebase::Merges => words.push("--rebase-merges".into()),
            Rebase::Interactive => words.push("--interactive".into()),
            Rebase::Plain | Rebase::No | Rebase::Unspecified => {}
        }
        words.extend(options::diffstat(self.parsed));
        words.extend(self.parsed.passed(&REBASE_OPTIONS));
        words.extend(self.choice.autostash_word());
        if self.parsed.choice("verify-signatures") == Some(true) {
            ui::note("warning: ignoring --verify-signatures for rebase");
        }
        let upstream = self.useful_fork_point(current, onto, fork_point)?.unwrap_or(onto);
        self.check_submodules(upstream, current)?;
        words.extend(["--onto".into(), onto.to_string().into(), upstream.to_string().into()]);
        self.git.run_or_explain(&words, "rebase FETCH_HEAD")
    }

    /// Refuses commits of ours that record other commits of submodules, where submodules are to come along.
    fn check_submodules(&self, upstream: ObjectId, current: ObjectId) -> Result<(), CommandError> {
        /// The mode of a submodule in a tree.
        const GITLINK: &[u8] = b"160000";
        if !options::recurses(self.parsed, self.repo)? {
            return Ok(());
        }
        let range = format!("{upstream}..{current}");
        // A first commit records nothing anew.
        let words = ["-c", "log.showRoot=false", "log", "--raw", "--no-abbrev", "--format=", &range];
        let listed = self.git.output(&words)?.unwrap_or_default();
        // `:<mode> <mode> …`, the old one and the new one
        let modes = listed.lines().filter_map(|line| line.strip_prefix(b":"));
        if modes.flat_map(|line| line.split_str(" ").take(2)).any(|mode| mode == GITLINK) {
            return Err(CommandError::fatal("cannot rebase with locally recorded submodule modifications"));
        }
        Ok(())
    }

    /// `fork_point`, unless it is where the branches meet anyway.
    fn useful_fork_point(
        &self,
        current: ObjectId,
        onto: ObjectId,
        fork_point: Option<ObjectId>,
    ) -> Result<Option<ObjectId>, CommandError> {
        let Some(fork_point) = fork_point else { return Ok(None) };
        let ids = [current, onto, fork_point].map(|id| id.to_string());
        let words = ["merge-base", "--octopus"].into_iter().chain(ids.iter().map(String::as_str));
        let found = self.git.output(&words.collect::<Vec<_>>())?;
        let meeting = found.and_then(|text| ObjectId::from_hex(text.trim_ascii()).ok());
        Ok((meeting != Some(fork_point)).then_some(fork_point))
    }
}
