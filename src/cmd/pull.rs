//! `gitr pull`. `git-pull(1)`.
//!
//! The fetch is ours, and where nothing is to be merged, there is no commit yet, or the branch moves forward, so is the rest.
//! The installed git merges and rebases.

use std::ffi::OsString;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::arguments::{self, Parsed};
use super::transfer::{bytes, reflog_action};
use super::{CommandError, Context, fetch, ui};
use crate::protocol::trace as packet;
use crate::remote::{fetch_head, pull};
use crate::repo::Repository;

mod advice;
mod candidates;
mod choice;
mod diffstat;
mod forward;
mod git;
mod options;
mod rebase;

use choice::{Choice, FastForward, Rebase};
use git::Git;
use options::{Arguments, FETCH_OPTIONS, MERGE_OPTIONS, SPEC};

/// Runs `gitr pull`.
pub(super) fn run(arguments: &[OsString], mut context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let wish = choice::rebase_option(&parsed)?;
    options::check_cleanup(&parsed)?;
    let mut repo = context.repository()?;
    repo.config.check_core()?;
    repo.config.check_index()?;
    if repo.work_tree.is_none() {
        return Err(CommandError::fatal("this operation must be run in a work tree"));
    }
    super::enter(&repo)?;
    repo.check_index_file()?;
    // what a pull is made of begins at the top
    for env in [&mut context.env, &mut repo.env] {
        env.set("GIT_PREFIX", "");
    }
    if context.env.get("GIT_REFLOG_ACTION").is_none() {
        let action = reflog_action("pull", &context.env, arguments);
        context.env.set("GIT_REFLOG_ACTION", action.to_os_str_lossy());
    }
    let pull = Pull {
        choice: Choice::new(&parsed, wish, &repo)?,
        git: Git::new(&context),
        operands: parsed.values.operands.iter().map(bytes).collect(),
        repo: &repo,
        parsed: &parsed,
        context: &context,
    };
    pull.run()
}

/// One invocation.
struct Pull<'a> {
    repo: &'a Repository,
    parsed: &'a Parsed<Arguments>,
    context: &'a Context,
    choice: Choice,
    git: Git<'a>,
    /// The remote and the refspecs.
    operands: Vec<BString>,
}

impl Pull<'_> {
    fn run(&self) -> Result<u8, CommandError> {
        self.check_unfinished()?;
        let old = self.repo.resolve_ref("HEAD".into())?;
        let fork_point = if self.choice.is_rebase() { self.prepare_rebase(old)? } else { None };
        if !self.fetch() {
            return Ok(1);
        }
        if self.parsed.values.dry_run {
            return Ok(0);
        }
        // the fetch may have written down of whom more can be had
        let repo = self.context.repository()?;
        let Self { parsed, context, choice, .. } = *self;
        let (git, operands) = (self.git.clone(), self.operands.clone());
        Pull { repo: &repo, parsed, context, choice, git, operands }.go_on(old, fork_point)
    }

    /// What comes after the fetch; our branch was at `old` before.
    fn go_on(&self, old: Option<ObjectId>, fork_point: Option<ObjectId>) -> Result<u8, CommandError> {
        let current = self.repo.resolve_ref("HEAD".into())?;
        if let (Some(old), Some(current)) = (old, current)
            && old != current
        {
            self.follow_fetch(old, current)?;
        }
        self.integrate(old, current, fork_point)
    }

    /// Joins what was fetched with our branch, which was at `old` before and is at `current` now.
    fn integrate(
        &self,
        old: Option<ObjectId>,
        current: Option<ObjectId>,
        fork_point: Option<ObjectId>,
    ) -> Result<u8, CommandError> {
        let heads = fetch_head::to_merge(&self.repo.git_path("FETCH_HEAD"))?;
        let Some(first) = heads.first().copied() else {
            candidates::explain_none(self.repo, &self.operands, self.choice.is_rebase())?;
            return Ok(1);
        };
        let (Some(old), Some(current)) = (old, current) else {
            if heads.len() > 1 {
                return Err(CommandError::fatal("Cannot merge multiple branches into empty head."));
            }
            return self.begin(first, current);
        };
        if self.choice.is_rebase() && heads.len() > 1 {
            return Err(CommandError::fatal("Cannot rebase onto multiple branches."));
        }
        let standing = pull::Standing::of(self.repo, old, &heads)?;
        self.check_divergence(&standing)?;
        let is_rebase = self.choice.is_rebase() && self.choice.fast_forward != Some(FastForward::Only);
        let code = if is_rebase && !standing.can_fast_forward {
            self.rebase(current, first, fork_point)?
        } else {
            // the fetch may have moved the branch
            let standing =
                if current == old { standing } else { pull::Standing::of(self.repo, current, &heads)? };
            self.merge(current, first, &standing, is_rebase)?
        };
        self.update_submodules(code, is_rebase)
    }

    /// Refuses to begin where another merge is not finished.
    fn check_unfinished(&self) -> Result<(), CommandError> {
        if self.git.output(&["ls-files", "--unmerged"])?.is_some_and(|listed| !listed.is_empty()) {
            ui::message("error", "Pulling is not possible because you have unmerged files.".into());
            ui::hint(
                "Fix them up in the work tree, and then use 'git add/rm <file>'\nas appropriate to mark resolution and \
                 make a commit.",
            );
            return Err(CommandError::fatal("Exiting because of an unresolved conflict."));
        }
        if self.repo.git_path("MERGE_HEAD").exists() {
            ui::message("error", "You have not concluded your merge (MERGE_HEAD exists).".into());
            ui::hint("Please, commit your changes before merging.");
            return Err(CommandError::fatal("Exiting because of unfinished merge."));
        }
        Ok(())
    }

    /// Fetches; whether that went well. git fetches in a child, so that the code is 1 whatever happens.
    fn fetch(&self) -> bool {
        let mut words: Vec<OsString> = vec!["--update-head-ok".into()];
        words.extend(options::verbosity(self.parsed));
        words.extend(self.parsed.passed(&FETCH_OPTIONS));
        words.extend(self.parsed.values.operands.iter().cloned());
        let fetch = || fetch::run(&words, self.context.clone());
        packet::told_as("fetch", fetch).unwrap_or_else(CommandError::print) == 0
    }

    /// The fetch itself moved the branch that is checked out: its work tree follows.
    fn follow_fetch(&self, old: ObjectId, current: ObjectId) -> Result<(), CommandError> {
        ui::note(format!(
            "warning: fetch updated the current branch head.\nfast-forwarding your working tree from\ncommit {old}."
        ));
        if !self.move_work_tree(Some(old), current)? {
            return Err(CommandError::fatal(format!(
                "Cannot fast-forward your working tree.\nAfter making sure that you saved anything precious from\n\
                 $ git diff {old}\noutput, run\n$ git reset --hard\nto recover."
            )));
        }
        Ok(())
    }

    /// The first commit of a branch.
    fn begin(&self, head: ObjectId, fetched: Option<ObjectId>) -> Result<u8, CommandError> {
        if options::verifies_signatures(self.parsed, self.repo)? {
            let id = head.to_string();
            return self.git.run(&["merge", "--ff-only", "--verify-signatures", &id]);
        }
        if !pull::is_empty_work_tree(self.repo) {
            if self.move_work_tree(None, head)? {
                pull::set_head(self.repo, head, fetched)?;
                return Ok(0);
            }
            return Ok(1);
        }
        let mut meters = self.context.meters(&self.repo.config, options::show(self.parsed));
        let outcome = pull::begin(self.repo, head, fetched, &mut meters)?;
        for (_, reason) in &outcome.errors {
            ui::message("error", reason.as_bytes().as_bstr());
        }
        Ok(u8::from(!outcome.is_complete()))
    }

    /// Refuses what neither a fast-forward nor a wish of the user's settles.
    fn check_divergence(&self, standing: &pull::Standing) -> Result<(), CommandError> {
        let is_divergent = !standing.can_fast_forward && !standing.is_up_to_date;
        if !is_divergent {
            return Ok(());
        }
        match self.choice.fast_forward {
            Some(FastForward::Only) => {
                advice::diverging(self.repo)?;
                Err(CommandError::fatal("Not possible to fast-forward, aborting."))
            }
            None if self.choice.rebase == Rebase::Unspecified => {
                advice::need_to_choose();
                Err(CommandError::fatal("Need to specify how to reconcile divergent branches."))
            }
            Some(FastForward::Allowed | FastForward::Never) | None => Ok(()),
        }
    }

    fn merge(
        &self,
        current: ObjectId,
        head: ObjectId,
        standing: &pull::Standing,
        is_rebase: bool,
    ) -> Result<u8, CommandError> {
        let is_settled = standing.is_up_to_date
            && standing.heads == 1
            && !options::verifies_signatures(self.parsed, self.repo)?
            && pull::merges_plainly(self.repo)?;
        if is_settled {
            pull::remember(self.repo, current)?;
            if self.parsed.verbosity() >= 0 {
                let squash = if self.parsed.values.squash { " (nothing to squash)" } else { "" };
                ui::out(format!("Already up to date.{squash}").as_bytes())?;
            }
            pull::forget_merge(self.repo)?;
            return Ok(0);
        }
        if let Some(first) = standing.first
            && self.is_plain_fast_forward(head, standing)?
            && let Some(code) = self.fast_forward(current, first)?
        {
            return Ok(code);
        }
        let mut words: Vec<OsString> = vec!["merge".into()];
        words.extend(options::verbosity(self.parsed));
        words.extend(self.parsed.passed(&MERGE_OPTIONS));
        words.extend(options::diffstat(self.parsed));
        words.extend(self.choice.autostash_word());
        let fast_forward = if is_rebase { Some(FastForward::Only) } else { self.choice.fast_forward };
        words.extend(fast_forward.map(|choice| choice.word().into()));
        words.push("FETCH_HEAD".into());
        self.git.run_or_explain(&words, "merge FETCH_HEAD")
    }

    /// Takes submodules along after what went well, where that is wished.
    fn update_submodules(&self, code: u8, is_rebase: bool) -> Result<u8, CommandError> {
        if code != 0 || !options::recurses(self.parsed, self.repo)? {
            return Ok(code);
        }
        let how = if is_rebase { "--rebase" } else { "--checkout" };
        let mut words: Vec<OsString> = vec!["submodule".into()];
        words.extend(["update", "--recursive", how].map(OsString::from));
        if self.parsed.verbosity() < 0 {
            words.push("--quiet".into());
        }
        self.git.run_or_explain(&words, "submodule update --recursive")
    }
}
