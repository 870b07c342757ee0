//! What a clone writes into the new repository besides objects: configuration, refs and `HEAD`.

use bstr::{BString, ByteSlice};

use super::plan::{Head, Plan};
use super::{Clone, Cloned};
use crate::remote::{Error, upstream};
use crate::repo::config::{Change, canonical};
use crate::repo::hook::RunBy;
use crate::repo::{Edit, Expected, RefFormat, Repository, Target, init};
use crate::transport::Url;

impl Clone<'_> {
    pub(super) fn init(&self, object_hash: gix_hash::Kind) -> Result<Repository, Error> {
        // what it is in the end is planned already
        let branch = init::default_branch(&self.config).unwrap_or_else(|_| "master".into());
        let head = format!("refs/heads/{branch}");
        let init = init::Init {
            git_dir: self.destination.git_dir.clone(),
            work_tree: self.destination.work_tree.clone(),
            object_hash,
            ref_format: self.options.ref_format,
            head: head.into(),
            template: self.options.template.clone(),
            overrides: self.overrides.to_vec(),
        };
        let mut repo = Repository::init(&init, self.env)?;
        repo.hooks.run_by = RunBy::Clone;
        let changes: Vec<Change> = self
            .options
            .config
            .iter()
            .map(|(key, value)| Change::Add(canonical(key), value.clone().unwrap_or_else(|| "true".into())))
            .collect();
        if changes.is_empty() {
            return Ok(repo);
        }
        crate::repo::config::edit(&repo.common_path("config"), &changes)?;
        self.reopen(&repo)
    }

    /// The empty `repo`, made for objects with ids of `object_hash`.
    pub(super) fn with_hash(
        &self,
        repo: Repository,
        object_hash: gix_hash::Kind,
    ) -> Result<Repository, Error> {
        if repo.object_hash == object_hash {
            return Ok(repo);
        }
        let set = |key: &str, value: &str| Change::Set(key.into(), value.into());
        let format = object_hash.to_string();
        let changes = [set("core.repositoryformatversion", "1"), set("extensions.objectformat", &format)];
        repo.renew_tables(object_hash)?;
        crate::repo::config::edit(&repo.common_path("config"), &changes)?;
        self.reopen(&repo)
    }

    pub(super) fn reopen(&self, repo: &Repository) -> Result<Repository, Error> {
        let mut reopened =
            Repository::open(&repo.git_dir, repo.work_tree.as_deref(), self.overrides, self.env)?;
        reopened.hooks = repo.hooks.clone();
        Ok(reopened)
    }

    pub(super) fn write_remote_config(&self, repo: &Repository, plan: &Plan) -> Result<(), Error> {
        let key = |last: &str| BString::from(format!("remote.{}.{last}", self.options.origin));
        // C git learns of the hash function after it has made the repository, so its section comes last unless there is
        // one already.
        let is_last = repo.object_hash != gix_hash::Kind::Sha1 && repo.ref_format == RefFormat::Files;
        let mut changes = Vec::new();
        if is_last {
            changes.push(Change::RemoveSection("extensions".into()));
        }
        changes.push(Change::Set(key("url"), self.url.clone()));
        if self.options.no_tags {
            changes.push(Change::Set(key("tagOpt"), "--no-tags".into()));
        }
        if let Some(refspec) = &plan.configured {
            changes.push(Change::Add(key("fetch"), refspec.clone()));
        }
        if self.options.mirror {
            changes.push(Change::Set(key("mirror"), "true".into()));
        }
        if is_last {
            changes.push(Change::Set("extensions.objectformat".into(), repo.object_hash.to_string().into()));
        }
        Ok(crate::repo::config::edit(&repo.common_path("config"), &changes)?)
    }

    /// Writes the refs, `HEAD` and the branch's configuration.
    pub(super) fn write_refs(&self, repo: Repository, plan: &Plan, is_local: bool) -> Result<Cloned, Error> {
        let repo = self.reopen(&repo)?;
        let objects = repo.objects()?;
        let refs: Vec<_> = plan
            .map
            .iter()
            .filter_map(|mapping| Some((mapping.local.as_ref()?.as_bstr(), mapping.id)))
            .collect();
        if plan.has_refs {
            repo.write_packed_refs(&refs)?;
        }
        let followed = plan.followed_edits(&objects);
        // each tag that is followed is a transaction of its own to a hook, as in git
        let together = if repo.has_reference_hook()? { 1 } else { followed.len().max(1) };
        for edits in followed.chunks(together) {
            repo.update_refs(edits)?;
        }
        let message = BString::from(format!("clone: from {}", self.reflog_url()?));
        if let Some(remote_head) = &plan.remote_head {
            let name = format!("refs/remotes/{}/HEAD", self.options.origin).into();
            let new = Some(Target::Symbolic(remote_head.clone()));
            repo.update_refs(&[Edit {
                name,
                new,
                expected: Expected::Any,
                message: Some(message.clone()),
                through: Vec::new(),
            }])?;
        }
        self.write_head(&repo, plan, &message)?;
        let repo = self.reopen(&repo)?;
        let head = plan.head.commit();
        let is_detached = matches!(plan.head, Head::Detached(_));
        Ok(Cloned {
            repo,
            head,
            is_detached,
            is_local,
            is_empty: plan.is_empty,
            options: self.options.clone(),
        })
    }

    fn reflog_url(&self) -> Result<BString, Error> {
        Ok(Url::parse(self.url.as_bstr())?.redacted())
    }

    fn write_head(&self, repo: &Repository, plan: &Plan, message: &BString) -> Result<(), Error> {
        let edit = |name: BString, new, message| Edit {
            name,
            new: Some(new),
            expected: Expected::Any,
            message,
            through: Vec::new(),
        };
        let message = (!self.is_bare()).then(|| message.clone());
        match &plan.head {
            Head::Branch { name, id } => {
                repo.update_refs(&[edit("HEAD".into(), Target::Symbolic(name.clone()), None)])?;
                if !self.is_bare() {
                    // git writes the branch through its name, as a hook hears
                    let through = vec!["HEAD".into()];
                    repo.update_refs(&[Edit { through, ..edit(name.clone(), Target::Id(*id), message) }])?;
                    self.write_branch_config(repo, name)?;
                }
            }
            Head::Detached(id) => repo.update_refs(&[edit("HEAD".into(), Target::Id(*id), message)])?,
            Head::Unborn(name) => {
                repo.update_refs(&[edit("HEAD".into(), Target::Symbolic(name.clone()), None)])?;
                if !self.is_bare() {
                    self.write_branch_config(repo, name)?;
                }
            }
        }
        Ok(())
    }

    fn write_branch_config(&self, repo: &Repository, branch: &BString) -> Result<(), Error> {
        let Some(short) = branch.strip_prefix(b"refs/heads/") else { return Ok(()) };
        upstream::set(repo, short.as_bstr(), self.options.origin.as_bstr(), branch.as_bstr()).map(drop)
    }
}
