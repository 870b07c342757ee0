//! Which refspecs a push has: those of the command line, else of the remote, else what `push.default` says.

use bstr::{BStr, BString, ByteSlice};

use super::Options;
use super::refspec::{Content, PushRefspec};
use super::source::{Found, LocalRefs};
use crate::remote::config::{default_name, exists};
use crate::remote::{Error, Remote};
use crate::repo::Repository;

/// The refspecs that `options` and the configuration give.
///
/// # Errors
///
/// [`Error::Refspec`], or [`Error::Usage`] in git's words where nobody says what is to be pushed.
pub(super) fn choose(
    repo: &Repository,
    remote: &Remote,
    options: &Options,
    locals: &LocalRefs,
) -> Result<Vec<PushRefspec>, Error> {
    let mut refspecs = Vec::new();
    for text in &options.refspecs {
        refspecs.push(of_command_line(repo, remote, locals, text.as_bstr())?);
    }
    if options.all {
        refspecs.push(PushRefspec::same_names("refs/heads/*"));
    }
    if options.tags {
        refspecs.push(PushRefspec::same_names("refs/tags/*"));
    }
    if !refspecs.is_empty() {
        return Ok(refspecs);
    }
    if !remote.push.is_empty() {
        return Ok(remote.push.clone());
    }
    if options.mirror {
        return Ok(vec![PushRefspec { force: false, content: Content::Matching }]);
    }
    by_default(repo, remote)
}

/// Whether the push, if it goes well, makes the current branch follow what it was pushed to although nobody asked for that:
/// `push.autoSetupRemote`, if the branch follows nothing yet and `push.default` is to decide.
///
/// # Errors
///
/// In git's words if the configuration makes no sense.
pub fn sets_upstream(repo: &Repository, remote: &Remote, options: &Options) -> Result<bool, Error> {
    let is_default = options.refspecs.is_empty()
        && !(options.all || options.tags || options.mirror)
        && remote.push.is_empty();
    if !is_default || !is_automatic(repo)? {
        return Ok(false);
    }
    let by_branch = match Default::from_config(repo)? {
        Default::Nothing | Default::Matching => false,
        Default::Current | Default::Upstream | Default::Simple => true,
    };
    Ok(by_branch && Branch::current(repo)?.is_some_and(|branch| branch.merges.is_empty()))
}

/// `push.default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Default {
    Nothing,
    Matching,
    Current,
    Upstream,
    Simple,
}

impl Default {
    fn from_config(repo: &Repository) -> Result<Self, Error> {
        repo.config.check_push_default()?;
        Ok(match repo.config.string("push.default").unwrap_or_default().as_slice() {
            b"nothing" => Self::Nothing,
            b"matching" => Self::Matching,
            b"current" => Self::Current,
            // git-config(1): `tracking` is the old name.
            b"upstream" | b"tracking" => Self::Upstream,
            _ => Self::Simple,
        })
    }
}

/// The current branch and what it follows.
struct Branch {
    /// The full name.
    full: BString,
    /// The name without `refs/heads/`.
    short: BString,
    /// The remote that it belongs to.
    remote: BString,
    /// `branch.<name>.merge`, if there is a `branch.<name>.remote`.
    merges: Vec<BString>,
}

impl Branch {
    /// `None` if `HEAD` is detached.
    fn current(repo: &Repository) -> Result<Option<Self>, Error> {
        let Some(full) = repo.head_branch()? else { return Ok(None) };
        Ok(Self::of(repo, full))
    }

    /// `None` if `full` is no branch.
    fn of(repo: &Repository, full: BString) -> Option<Self> {
        let short = BString::from(full.strip_prefix(b"refs/heads/")?);
        let remote = default_name(&repo.config, Some(full.as_bstr()));
        let follows = repo.config.string(&format!("branch.{short}.remote")).is_some();
        let merges = if follows { repo.config.strings(&format!("branch.{short}.merge")) } else { Vec::new() };
        Some(Self { full, short, remote, merges })
    }
}

/// One refspec of the command line. A name alone goes where a push without refspecs would take it: git-push(1), `<refspec>`.
fn of_command_line(
    repo: &Repository,
    remote: &Remote,
    locals: &LocalRefs,
    text: &BStr,
) -> Result<PushRefspec, Error> {
    let is_name = !text.contains(&b':') && !text.is_empty();
    let Found::One(name) = (if is_name { locals.find(text) } else { Found::No }) else {
        return PushRefspec::parse(text);
    };
    let is_excluded = remote.push.iter().any(|refspec| refspec.excludes(name.as_bstr()));
    let configured = remote.push.iter().filter(|_| !is_excluded);
    let mut mapped = configured.filter_map(|refspec| Some((refspec.force, destination(refspec, &name)?)));
    if let Some((force, destination)) = mapped.next() {
        return Ok(PushRefspec { force, ..PushRefspec::one(text.to_owned(), destination) });
    }
    if Default::from_config(repo)? == Default::Upstream
        && let Some(branch) = Branch::of(repo, name)
        && let [merge] = branch.merges.as_slice()
    {
        return Ok(PushRefspec::one(text.to_owned(), merge.clone()));
    }
    PushRefspec::parse(text)
}

/// Where `refspec` takes our ref `name`, if it says so.
fn destination(refspec: &PushRefspec, name: &BString) -> Option<BString> {
    match &refspec.content {
        Content::One { source, destination } if source == name => destination.clone(),
        Content::Pattern { .. } => refspec.map_pattern(name.as_bstr()),
        Content::One { .. } | Content::Matching | Content::Delete(_) | Content::Exclude(_) => None,
    }
}

/// What `push.default` makes of a push without refspecs.
fn by_default(repo: &Repository, remote: &Remote) -> Result<Vec<PushRefspec>, Error> {
    let default = Default::from_config(repo)?;
    match default {
        Default::Matching => return Ok(vec![PushRefspec { force: false, content: Content::Matching }]),
        Default::Nothing => {
            let text = "You didn't specify any refspecs to push, and push.default is \"nothing\".";
            return Err(Error::Usage(text.into()));
        }
        Default::Current | Default::Upstream | Default::Simple => {}
    }
    let name = remote.display_name();
    let branch = Branch::current(repo)?.ok_or_else(|| detached(name))?;
    // A remote that is only assumed has to be there for the push to go elsewhere.
    let is_named = repo.config.string(&format!("branch.{}.remote", branch.short)).is_some();
    let is_own_remote = branch.remote == name || !is_named && !exists(&repo.config, branch.remote.as_bstr());
    let destination = match default {
        Default::Upstream if !is_own_remote => return Err(triangular(name, &branch)),
        Default::Upstream => upstream(repo, name, &branch)?,
        Default::Simple if is_own_remote => {
            let upstream = upstream(repo, name, &branch)?;
            if upstream != branch.full {
                return Err(other_name(repo, name, upstream.as_bstr()));
            }
            upstream
        }
        Default::Simple | Default::Current | Default::Nothing | Default::Matching => branch.full.clone(),
    };
    Ok(vec![PushRefspec::one(branch.full, destination)])
}

/// What `branch` follows; its own name if it follows nothing and is about to.
fn upstream(repo: &Repository, remote: &BStr, branch: &Branch) -> Result<BString, Error> {
    match branch.merges.as_slice() {
        [only] => Ok(only.clone()),
        [] if is_automatic(repo)? => Ok(branch.full.clone()),
        [] => Err(no_upstream(remote, branch)),
        [..] => Err(Error::Usage(format!(
            "The current branch {} has multiple upstream branches, refusing to push.",
            branch.short
        ))),
    }
}

fn is_automatic(repo: &Repository) -> Result<bool, Error> {
    Ok(repo.config.boolean("push.autoSetupRemote")?.unwrap_or(false))
}

fn detached(remote: &BStr) -> Error {
    Error::Usage(format!(
        "You are not currently on a branch.\nTo push the history leading to the current (detached HEAD)\n\
         state now, use\n\n    git push {remote} HEAD:<name-of-remote-branch>\n"
    ))
}

fn triangular(remote: &BStr, branch: &Branch) -> Error {
    Error::Usage(format!(
        "You are pushing to remote '{remote}', which is not the upstream of\nyour current branch '{}', \
         without telling me what to push\nto update which remote branch.",
        branch.short
    ))
}

fn no_upstream(remote: &BStr, branch: &Branch) -> Error {
    let short = &branch.short;
    Error::Usage(format!(
        "The current branch {short} has no upstream branch.\n\
         To push the current branch and set the remote as upstream, use\n\n    \
         git push --set-upstream {remote} {short}\n\n\
         To have this happen automatically for branches without a tracking\n\
         upstream, see 'push.autoSetupRemote' in 'git help config'.\n"
    ))
}

fn other_name(repo: &Repository, remote: &BStr, upstream: &BStr) -> Error {
    let upstream = upstream.strip_prefix(b"refs/heads/").unwrap_or(upstream).as_bstr();
    let mut text = format!(
        "The upstream branch of your current branch does not match\n\
         the name of your current branch.  To push to the upstream branch\non the remote, use\n\n    \
         git push {remote} HEAD:{upstream}\n\nTo push to the branch of the same name on the remote, use\n\n    \
         git push {remote} HEAD\n"
    );
    // Nobody is told of what he has set already.
    if repo.config.string("push.default").is_none() {
        text.push_str("\nTo choose either option permanently, see push.default in 'git help config'.\n");
    }
    if repo.config.string("branch.autoSetupMerge").is_none_or(|value| value != "simple") {
        text.push_str(
            "\nTo avoid automatically configuring an upstream branch when its name\n\
             won't match the local branch, see option 'simple' of branch.autoSetupMerge\n\
             in 'git help config'.\n",
        );
    }
    Error::Usage(text)
}
