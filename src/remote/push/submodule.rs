//! `--recurse-submodules`: what a push of the superproject needs of its submodules. git-push(1).
//!
//! ```text
//! decided rows ─ before_push ─┬─ check      unpushed commits: an error that lists them
//!                             ├─ on-demand  each submodule is pushed first
//!                             └─ only       and the superproject is not
//! ```
//!
//! A submodule is pushed by another run of the program, in its own work tree: it is a push of its own, with its own
//! configuration, table and hints. The caller starts it, see [`Terminal::push`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use crate::remote::refspec::candidates;
use crate::remote::{Error, Remote};
use crate::repo::config::{Override, local_repo_env, overrides_as_parameters};
use crate::repo::{Config, Environment, Repository, Target};

pub(in crate::remote) mod changed;
pub(in crate::remote) mod walk;

/// `--recurse-submodules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recurse {
    /// Submodules are not looked at.
    #[default]
    No,
    /// The push fails if a commit of a submodule is not on its remote.
    Check,
    /// Submodules are pushed first.
    OnDemand,
    /// Submodules are pushed, the superproject is not.
    Only,
}

/// A push of a superproject, as far as its submodules are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Superproject<'a> {
    /// The superproject.
    pub repo: &'a Repository,
    /// Where it is pushed to.
    pub remote: &'a Remote,
    /// What becomes of its submodules.
    pub recurse: Recurse,
    /// Nothing is to change anywhere.
    pub dry_run: bool,
    /// The refspecs as given; submodules are pushed with the same.
    pub refspecs: &'a [BString],
    /// The push options; submodules are pushed with the same.
    pub push_options: &'a [BString],
    /// `-c` values, which hold for submodules as well.
    pub overrides: &'a [Override],
}

/// A submodule that is to be pushed.
#[derive(Debug, Clone)]
pub struct Submodule {
    /// Its path in the superproject.
    pub path: BString,
    /// Where it is.
    pub directory: PathBuf,
    /// What to run there: `push` and its arguments.
    pub arguments: Vec<BString>,
    environment: Environment,
}

/// Who shows what happens, and starts the pushes.
pub trait Terminal {
    /// Shows a line as it is, on standard error.
    fn say(&mut self, line: &str);
    /// Pushes `submodule` and shows it; whether it went well. A program runs it by [`Submodule::command`].
    fn push(&mut self, submodule: &Submodule) -> Result<bool, Error>;
}

/// Whether the superproject is to be pushed after its submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is.
    Push,
    /// All is done ([`Recurse::Only`]).
    Stop,
}

impl Recurse {
    /// Reads the value of the option. `only-is-on-demand` is what git itself gives to the push of a submodule: there the
    /// configuration decides, see [`Self::for_submodule`], and `None` is the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words.
    pub fn parse(value: &BStr) -> Result<Option<Self>, Error> {
        if value == "only-is-on-demand" {
            return Ok(None);
        }
        word(value, "recurse-submodules").map(Some)
    }

    /// What `push.recurseSubmodules` says, else `submodule.recurse`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words for a value that is none of git's.
    pub fn from_config(config: &Config) -> Result<Self, Error> {
        if let Some(value) = config.string("push.recurseSubmodules") {
            return word(value.as_bstr(), "push.recursesubmodules");
        }
        let recurses = config.boolean("submodule.recurse")?.unwrap_or(false);
        Ok(if recurses { Self::OnDemand } else { Self::No })
    }

    /// As it holds in a submodule that is pushed because of its superproject: `only` is `on-demand` there.
    #[must_use]
    pub fn for_submodule(self) -> Self {
        match self {
            Self::Only => Self::OnDemand,
            Self::No | Self::Check | Self::OnDemand => self,
        }
    }
}

impl Superproject<'_> {
    /// Does what is to be done about submodules before `new_ids`, the new values of the far side's refs, may be pushed.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words if commits are on no remote, or a submodule could not be pushed; what git prints
    /// in front of that was told to `terminal`.
    pub fn before_push(&self, new_ids: &[ObjectId], terminal: &mut dyn Terminal) -> Result<Next, Error> {
        let pushes = match self.recurse {
            Recurse::No => return Ok(Next::Push),
            Recurse::Check => false,
            Recurse::OnDemand | Recurse::Only => true,
        };
        if self.repo.is_bare() {
            return Ok(Next::Push);
        }
        if pushes {
            let needed = self.unpushed(new_ids, terminal)?;
            self.push_all(&needed, terminal)?;
        }
        if !pushes || !self.dry_run {
            let left = self.unpushed(new_ids, terminal)?;
            if !left.is_empty() {
                advise(&left, terminal);
                return Err(Error::Usage("Aborting.".into()));
            }
        }
        Ok(if self.recurse == Recurse::Only { Next::Stop } else { Next::Push })
    }

    /// The paths of the submodules that have commits which are used by `new_ids`, changed since what the remote's tracking
    /// branches have, and are on no remote of the submodule; sorted. `terminal` is told of what is passed over.
    pub fn unpushed(&self, new_ids: &[ObjectId], terminal: &mut dyn Terminal) -> Result<Vec<BString>, Error> {
        let known = match &self.remote.name {
            Some(name) => ids_below(self.repo, &format!("refs/remotes/{name}/"))?,
            None => Vec::new(),
        };
        let mut paths = Vec::new();
        for (path, commits) in changed::changed(self.repo, new_ids, known, &mut |text| terminal.say(&text))? {
            let Some(submodule) = open(self.repo, path.as_bstr())? else { continue };
            if needs_pushing(&submodule, path.as_bstr(), &commits)? {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }

    fn push_all(&self, paths: &[BString], terminal: &mut dyn Terminal) -> Result<(), Error> {
        if self.remote.name.is_some() {
            let head = self.repo.head_branch()?.unwrap_or_else(|| "HEAD".into());
            for path in paths {
                let Some(submodule) = open(self.repo, path.as_bstr())? else { continue };
                if let Some(reason) = self.obstacle(&submodule, head.as_bstr())? {
                    terminal.say(&format!("fatal: {reason}"));
                    return Err(Error::Usage(format!("process for submodule '{path}' failed")));
                }
            }
        }
        let mut failed = false;
        for path in paths {
            terminal.say(&format!("Pushing submodule '{path}'"));
            if !terminal.push(&self.submodule(path))? {
                terminal.say(&format!("Unable to push submodule '{path}'"));
                failed = true;
            }
        }
        if failed { Err(Error::Usage("failed to push all needed submodules".into())) } else { Ok(()) }
    }

    /// Why the remote and the refspecs make no sense in `submodule`, if so. What is named without a remote of the
    /// configuration is not passed on, and so cannot be wrong.
    fn obstacle(&self, submodule: &Repository, head: &BStr) -> Result<Option<String>, Error> {
        let Some(remote) = &self.remote.name else { return Ok(None) };
        if !crate::remote::config::exists(&submodule.config, remote.as_bstr()) {
            return Ok(Some(format!("remote '{remote}' not configured")));
        }
        let names: Vec<BString> =
            submodule.refs("refs/".into())?.into_iter().map(|reference| reference.name).collect();
        for refspec in self.refspecs {
            let refspec = refspec.strip_prefix(b"+").unwrap_or(refspec);
            let source = refspec.split_once_str(":").map_or(refspec, |(source, _)| source).as_bstr();
            if refspec == b":" || refspec.starts_with(b"^") || source.contains(&b'*') {
                continue;
            }
            if matches(&names, source) == 1 {
                continue;
            }
            if source != "HEAD" {
                return Ok(Some(format!("src refspec '{source}' must name a ref")));
            }
            if submodule.head_branch()?.is_none_or(|branch| branch != head) {
                return Ok(Some("HEAD does not match the named branch in the superproject".into()));
            }
        }
        Ok(None)
    }

    fn submodule(&self, path: &BString) -> Submodule {
        let mut arguments: Vec<BString> =
            vec!["push".into(), "--recurse-submodules=only-is-on-demand".into()];
        if self.dry_run {
            arguments.push("--dry-run".into());
        }
        arguments.extend(self.push_options.iter().map(|option| format!("--push-option={option}").into()));
        if let Some(remote) = &self.remote.name {
            arguments.push(remote.clone());
            arguments.extend_from_slice(self.refspecs);
        }
        let mut environment = environment(&self.repo.env);
        let parameters = overrides_as_parameters(self.overrides, &self.repo.env);
        if !parameters.is_empty() {
            environment.set("GIT_CONFIG_PARAMETERS", parameters);
        }
        environment.set("GIT_DIR", ".git");
        Submodule {
            path: path.clone(),
            directory: directory(self.repo, path.as_bstr()),
            arguments,
            environment,
        }
    }
}

impl Submodule {
    /// The run of `program` that pushes it; it has no input.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(self.arguments.iter().map(|argument| argument.to_os_str_lossy()))
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.environment.vars())
            .stdin(Stdio::null());
        command
    }
}

/// Reads one of git's words; `name` is what the error calls the setting.
fn word(value: &BStr, name: &str) -> Result<Recurse, Error> {
    match value.to_ascii_lowercase().as_slice() {
        b"check" => Ok(Recurse::Check),
        b"on-demand" => Ok(Recurse::OnDemand),
        b"only" => Ok(Recurse::Only),
        b"no" | b"false" | b"off" | b"0" | b"" => Ok(Recurse::No),
        _ => Err(Error::Usage(format!("bad {name} argument: {value}"))),
    }
}

fn advise(paths: &[BString], terminal: &mut dyn Terminal) {
    terminal.say("The following submodule paths contain changes that can\nnot be found on any remote:");
    for path in paths {
        terminal.say(&format!("  {path}"));
    }
    terminal.say(
        "\nPlease try\n\n\tgit push --recurse-submodules=on-demand\n\nor cd to the path and use\n\n\tgit push\n\n\
         to push them to a remote.\n",
    );
}

/// Whether `commits`, which the superproject uses, are all here and known to our refs, and one of them is not on a remote.
/// C git takes a submodule that has no remote-tracking branch, or lacks a commit, for one that needs no push: the right
/// answer would be that it does not know.
fn needs_pushing(submodule: &Repository, path: &BStr, commits: &[ObjectId]) -> Result<bool, Error> {
    let remote = ids_below(submodule, "refs/remotes/")?;
    if remote.is_empty() {
        return Ok(false);
    }
    let mut objects = submodule.objects()?;
    for id in commits {
        match objects.kind(id).map_err(walk::unreadable)? {
            Some(gix_object::Kind::Commit) => {}
            None => return Ok(false),
            Some(kind) => {
                let text = format!("submodule entry '{path}' ({id}) is a {kind}, not a commit");
                return Err(Error::Usage(text));
            }
        }
    }
    let mut all = ids_below(submodule, "")?;
    all.extend(submodule.resolve_ref("HEAD".into())?);
    let are_ours = walk::are_reachable(&mut objects, commits, &all)?;
    Ok(are_ours && !walk::are_reachable(&mut objects, commits, &remote)?)
}

/// What the refs below `prefix` lead to.
pub(in crate::remote) fn ids_below(repo: &Repository, prefix: &str) -> Result<Vec<ObjectId>, Error> {
    let mut ids = Vec::new();
    for reference in repo.refs(prefix.into())? {
        match reference.target {
            Target::Id(id) => ids.push(id),
            Target::Symbolic(name) => ids.extend(repo.resolve_ref(name.as_bstr())?),
        }
    }
    Ok(ids)
}

/// How many of the refs `names` a refspec's source means: a full name, or a short one by the rules of gitrevisions(7).
/// Branches, tags and full names hide other refs.
fn matches(names: &[BString], source: &BStr) -> usize {
    let candidates = candidates(source);
    let matching: Vec<&BString> = names.iter().filter(|name| candidates.contains(name)).collect();
    let is_strong = |name: &&&BString| {
        name.len() == source.len()
            || name.len() == source.len() + "refs/".len()
            || name.starts_with(b"refs/heads/")
            || name.starts_with(b"refs/tags/")
    };
    let strong = matching.iter().filter(is_strong).count();
    if strong > 0 { strong } else { matching.len() }
}

/// The repository of the submodule at `path`; `None` if it is not checked out.
///
/// The path comes from a tree, which anybody may have made: what it leads to through a symbolic link or out of the work
/// tree is a repository that nobody asked to push.
fn open(repo: &Repository, path: &BStr) -> Result<Option<Repository>, Error> {
    if leads_elsewhere(path) {
        return Err(Error::Usage(format!("invalid submodule path '{path}'")));
    }
    refuse_symlinks(repo, path)?;
    let directory = directory(repo, path);
    if !directory.join(".git").exists() {
        return Ok(None);
    }
    let Some(git_dir) = crate::repo::discover::local_git_dir(&directory) else { return Ok(None) };
    Ok(Some(Repository::open(&git_dir, Some(&directory), &[], &environment(&repo.env))?))
}

/// Whether `path` is none of a file in a work tree.
fn leads_elsewhere(path: &BStr) -> bool {
    path.split_str("/").any(|name| matches!(name, b"" | b"." | b".."))
}

/// Refuses what leads to the submodule at `path` through a symbolic link.
pub(in crate::remote) fn refuse_symlinks(repo: &Repository, path: &BStr) -> Result<(), Error> {
    let ends = path.find_iter("/").chain([path.len()]);
    for part in ends.filter_map(|end| path.get(..end)).map(ByteSlice::as_bstr) {
        let found = directory(repo, part).symlink_metadata();
        if found.is_ok_and(|found| found.is_symlink()) {
            let what = if part == path { String::new() } else { format!("'{part}' in ") };
            let text = format!("expected {what}submodule path '{path}' not to be a symbolic link");
            return Err(Error::Usage(text));
        }
    }
    Ok(())
}

fn directory(repo: &Repository, path: &BStr) -> PathBuf {
    repo.work_tree.as_deref().unwrap_or(&repo.git_dir).join(path.to_path_lossy())
}

/// The environment of work in another repository: nothing that speaks of ours.
pub(in crate::remote) fn environment(env: &Environment) -> Environment {
    let mut environment = env.clone();
    for name in local_repo_env() {
        if !["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"].contains(name) {
            environment.remove(name);
        }
    }
    environment
}

#[cfg(test)]
mod tests;
