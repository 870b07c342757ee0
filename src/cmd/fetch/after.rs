//! What a fetch does when the refs have moved: upstreams, and what C git, where it is installed, does for the repository.

use std::process::{Command, Stdio};

use bstr::{BString, ByteSlice};

use super::{Run, options};
use crate::cmd::{CommandError, children, installed, key_and_value, ui};
use crate::remote::fetch::{FollowHead, OtherHead, OurHead, Outcome};
use crate::remote::{Remote, upstream};

impl Run<'_> {
    /// `--set-upstream`: the current branch follows the one ref that was fetched for `FETCH_HEAD` alone. `name` is what the
    /// remote was called, `noted` are such refs.
    pub(super) fn set_upstream(&self, name: &BString, noted: &[BString]) -> Result<(), CommandError> {
        let warn = |text: &str| ui::message("warning", text.as_bytes().as_bstr());
        let source = match noted {
            [source] => source,
            [] => {
                warn(
                    "no source branch found;\nyou need to specify exactly one branch with the --set-upstream option",
                );
                return Ok(());
            }
            _ => {
                warn("multiple branches detected, incompatible with --set-upstream");
                return Ok(());
            }
        };
        let branch = self.repo.head_branch()?;
        let Some(branch) = branch.as_ref().and_then(|full| full.strip_prefix(b"refs/heads/")) else {
            let short = source.strip_prefix(b"refs/heads/").unwrap_or(source).as_bstr();
            warn(&format!(
                "could not set upstream of HEAD to '{short}' from '{name}' when it does not point to any branch."
            ));
            return Ok(());
        };
        if source == "HEAD" || source.starts_with(b"refs/heads/") {
            let warnings = upstream::set(self.repo, branch.as_bstr(), name.as_bstr(), source.as_bstr())?;
            for text in warnings {
                ui::message("warning", text.as_bstr());
            }
        } else if source.starts_with(b"refs/remotes/") {
            warn("not setting upstream for a remote remote-tracking branch");
        } else if source.starts_with(b"refs/tags/") {
            warn("not setting upstream for a remote tag");
        } else {
            warn("unknown branch type");
        }
        Ok(())
    }

    /// `followRemoteHEAD`: says that the far side's `HEAD` names another branch than our note of it.
    pub(super) fn tell_of_other_head(
        &self,
        remote: &Remote,
        other: Option<&OtherHead>,
    ) -> Result<(), CommandError> {
        let name = remote.display_name();
        if let FollowHead::Unknown(text) = &remote.follow_head {
            let text = format!("unrecognized followRemoteHEAD value '{text}' ignored");
            ui::message("warning", text.as_bytes().as_bstr());
        }
        let Some(OtherHead { theirs, ours }) = other.filter(|_| self.show.verbosity >= 0) else {
            return Ok(());
        };
        let ours = match ours {
            OurHead::Branch(branch) => format!("'{branch}'"),
            OurHead::Detached(id) => format!("a detached HEAD pointing to '{id}'"),
        };
        ui::safe_note(
            format!("'HEAD' at '{name}' is '{theirs}', but we have {ours} locally.").as_bytes().as_bstr(),
        );
        let config = &self.repo.config;
        if config.boolean("advice.fetchRemoteHEADWarn")?.unwrap_or(true) && self.repo.env.has_advice() {
            for line in [
                &*format!("Run 'git remote set-head {name} {theirs}' to follow the change, or set"),
                &format!("'remote.{name}.followRemoteHEAD' configuration option to a different value"),
                "if you do not want to see this message. Specifically running",
                &format!("'git config set remote.{name}.followRemoteHEAD warn-if-not-{theirs}'"),
                "will disable the warning until the remote changes HEAD to something else.",
            ] {
                ui::hint(line);
            }
        }
        Ok(())
    }

    /// Says that nobody looked for forced updates, or that looking took long.
    pub(super) fn warn_of_forced_check(&self, outcome: &Outcome) -> Result<(), CommandError> {
        /// As in git 2.47.3.
        const LONG_SECONDS: f64 = 10.0;
        let is_wanted = self.repo.config.boolean("advice.fetchShowForcedUpdates")?.unwrap_or(true)
            && self.repo.env.has_advice();
        if !is_wanted || (outcome.updates.is_empty() && outcome.unchanged_count == 0) {
            return Ok(());
        }
        if self.options.skips_forced_check {
            let text = "fetch normally indicates which branches had a forced update,\nbut that check has been \
                        disabled; to re-enable, use '--show-forced-updates'\nflag or run 'git config \
                        fetch.showForcedUpdates true'";
            ui::message("warning", text.into());
        } else if outcome.forced_check.as_secs_f64() > LONG_SECONDS {
            let seconds = outcome.forced_check.as_secs_f64();
            let text = format!(
                "it took {seconds:.2} seconds to check forced updates; you can use\n'--no-show-forced-updates' or \
                 run 'git config fetch.showForcedUpdates false'\nto avoid this check\n"
            );
            ui::message("warning", text.as_bytes().as_bstr());
        }
        Ok(())
    }

    /// Lets C git write a commit-graph and keep the repository in order. Without C git nothing of it happens.
    pub(super) fn maintain(&self) -> Result<(), CommandError> {
        if options::writes_commit_graph(self.parsed, self.repo)? && !self.options.dry_run {
            let progress = match self.show.progress {
                Some(true) => "--progress",
                Some(false) | None => "--no-progress",
            };
            self.run_git(&[], &["commit-graph", "write", "--reachable", "--split", progress])?;
        }
        let config = &self.repo.config;
        if !options::runs_maintenance(self.parsed) || config.boolean("maintenance.auto")? == Some(false) {
            return Ok(());
        }
        let detaches = match config.boolean("maintenance.autoDetach")? {
            Some(detaches) => detaches,
            None => config.boolean("gc.autoDetach")?.unwrap_or(true),
        };
        let quiet = if self.show.verbosity < 0 { "--quiet" } else { "--no-quiet" };
        let detach = if detaches { "--detach" } else { "--no-detach" };
        self.run_git(&self.after_refetch()?, &["maintenance", "run", "--auto", quiet, detach])
    }

    /// What makes the maintenance after `--refetch` put packs together, unless the user has turned that off.
    fn after_refetch(&self) -> Result<Vec<&'static str>, CommandError> {
        const SETTINGS: [(&str, &str); 2] = [
            ("gc.autoPackLimit", "gc.autoPackLimit=1"),
            ("maintenance.incremental-repack.auto", "maintenance.incremental-repack.auto=-1"),
        ];
        let mut settings = Vec::new();
        for (key, setting) in SETTINGS.into_iter().filter(|_| self.options.refetch) {
            if self.repo.config.integer(key)? != Some(0) {
                settings.push(setting);
            }
        }
        Ok(settings)
    }

    /// Runs C git in this repository. Its failures are its own affair: it has told of them.
    fn run_git(&self, settings: &[&str], arguments: &[&str]) -> Result<(), CommandError> {
        let Some(git) = installed::git(&self.context.env) else { return Ok(()) };
        let mut command = Command::new(git);
        let mut context = self.context.clone();
        let settings = settings.iter().map(|setting| key_and_value(setting.as_bytes()));
        context.overrides.extend(settings);
        context.pass_on(&mut command);
        let _status = children::git_status(command.args(arguments).stdin(Stdio::null()))?;
        Ok(())
    }
}
