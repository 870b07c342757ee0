//! Remotes as the configuration describes them. `git-config(1)`, `remote.<name>.*`, `url.<base>.*`.

use bstr::{BStr, BString, ByteSlice};

use super::fetch::FollowHead;
use super::push::PushRefspec;
use super::{Error, Refspec};
use crate::protocol::Version;
use crate::repo::Config;
use crate::transport::Url;

/// Where history comes from and which refs it fills.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// The name in the configuration; `None` for a URL or path that was given directly.
    pub name: Option<BString>,
    /// The URLs, after `url.<base>.insteadOf`. At least one.
    pub urls: Vec<BString>,
    /// Where a push goes, one after the other: `remote.<name>.pushurl` after `url.<base>.insteadOf`, else those of `url`
    /// that a `url.<base>.pushInsteadOf` rewrites, else [`Self::urls`]. At least one.
    pub push_urls: Vec<BString>,
    /// `remote.<name>.push`: what a push without refspecs of its own pushes.
    pub push: Vec<PushRefspec>,
    /// `remote.<name>.mirror`: a push is one with `--mirror`.
    pub mirror: bool,
    /// The refspecs that a fetch without its own uses.
    pub fetch: Vec<Refspec>,
    /// Which tags come along.
    pub tags: Tags,
    /// `remote.<name>.prune`, or `fetch.prune`.
    pub prune: bool,
    /// `remote.<name>.pruneTags`, or `fetch.pruneTags`: what is pruned includes tags.
    pub prune_tags: bool,
    /// `remote.<name>.uploadpack`.
    pub upload_pack: Option<BString>,
    /// `remote.<name>.receivepack`.
    pub receive_pack: Option<BString>,
    /// `remote.<name>.promisor`, which a filter implies: objects that are missing may be asked for later.
    pub promisor: bool,
    /// `remote.<name>.partialclonefilter`.
    pub filter: Option<BString>,
    /// `remote.<name>.vcs`: the helper program that reaches all of the URLs.
    pub vcs: Option<BString>,
    /// `remote.<name>.skipFetchAll` or `skipDefaultUpdate`.
    pub skip_fetch_all: bool,
    /// `remote.<name>.serverOption`: what a server is told that is told nothing else.
    pub server_options: Vec<BString>,
    /// `remote.<name>.followRemoteHEAD`, or `fetch.followRemoteHEAD`.
    pub follow_head: FollowHead,
    /// `remote.<name>.negotiationRestrict`: where negotiations start, as `--negotiation-tip` says it.
    pub negotiation_tips: Vec<BString>,
    /// `remote.<name>.negotiationInclude`: what negotiations name in any case.
    pub negotiation_include: Vec<BString>,
}

/// Which tags a fetch brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tags {
    /// Those that point into the history that is fetched.
    #[default]
    Follow,
    /// All of them (`--tags`).
    All,
    /// None but those asked for (`--no-tags`).
    None,
}

/// What git refuses without a value as soon as it reads remotes, whichever is meant (seen in git 2.47.3).
const VALUED: [&str; 12] = [
    "branch.*.merge",
    "branch.*.pushremote",
    "branch.*.remote",
    "remote.*.fetch",
    "remote.*.push",
    "remote.*.pushurl",
    "remote.*.receivepack",
    "remote.*.uploadpack",
    "remote.*.url",
    "remote.pushdefault",
    "url.*.insteadof",
    "url.*.pushinsteadof",
];

/// The URLs may hold a password: they are told without.
impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let redacted = |url: &BString| Url::parse(url.as_bstr()).map(|url| url.redacted());
        let urls: Vec<BString> = self.urls.iter().filter_map(|url| redacted(url).ok()).collect();
        f.debug_struct("Remote").field("name", &self.name).field("urls", &urls).finish_non_exhaustive()
    }
}

impl Remote {
    /// The remote that `name` means: one of the configuration, or the URL or path that `name` is.
    pub fn from_config(config: &Config, name: &BStr) -> Result<Self, Error> {
        config.check_values(&VALUED)?;
        let mut remote = Self::of_url(config, name);
        remote.prune = config.boolean("fetch.prune")?.unwrap_or(false);
        remote.prune_tags = config.boolean("fetch.pruneTags")?.unwrap_or(false);
        remote.follow_head =
            config.string("fetch.followRemoteHEAD").as_ref().map(FollowHead::parse).unwrap_or_default();
        if is_nickname(name) && exists(config, name) {
            remote.name = Some(name.to_owned());
            remote.read(config, name)?;
        }
        Ok(remote)
    }

    /// A remote that is nothing but a URL, without what `fetch.*` says of all remotes.
    pub fn of_url(config: &Config, url: &BStr) -> Self {
        Self {
            name: None,
            urls: vec![rewrite(config, url)],
            push_urls: push_urls(config, &[url.to_owned()], &[]),
            push: Vec::new(),
            mirror: false,
            fetch: Vec::new(),
            tags: Tags::Follow,
            prune: false,
            prune_tags: false,
            upload_pack: None,
            receive_pack: None,
            promisor: false,
            filter: None,
            vcs: None,
            skip_fetch_all: false,
            server_options: Vec::new(),
            follow_head: FollowHead::default(),
            negotiation_tips: Vec::new(),
            negotiation_include: Vec::new(),
        }
    }

    /// The name in messages: that of the configuration, else the URL.
    pub fn display_name(&self) -> &BStr {
        match (&self.name, self.urls.first()) {
            (Some(name), _) => name.as_bstr(),
            (None, Some(url)) => url.as_bstr(),
            (None, None) => "".into(),
        }
    }

    /// Where it is fetched from.
    ///
    /// # Errors
    ///
    /// As [`Url::parse`].
    pub fn location(&self) -> Result<Url, Error> {
        self.locate(self.urls.first())
    }

    /// Where `url`, one of [`Self::urls`] or of [`Self::push_urls`], leads.
    pub(super) fn locate(&self, url: Option<&BString>) -> Result<Url, Error> {
        let url = url.ok_or_else(|| Error::Usage("no URL".into()))?;
        Ok(match &self.vcs {
            Some(vcs) => Url::of_helper(vcs.as_bstr(), url.as_bstr()),
            None => Url::parse(url.as_bstr())?,
        })
    }

    /// Takes in `remote.<name>.*`. A remote without a URL is its own name's path, as in git.
    fn read(&mut self, config: &Config, name: &BStr) -> Result<(), Error> {
        let key = |last: &str| format!("remote.{name}.{last}");
        self.vcs = config.string(&key("vcs"));
        let mut urls = since_empty(&config.strings(&key("url")));
        if urls.is_empty() {
            // A helper program needs no URL: it knows the name.
            urls.push(if self.vcs.is_some() { BString::default() } else { name.to_owned() });
        }
        self.urls = urls.iter().map(|url| rewrite(config, url.as_bstr())).collect();
        self.push_urls = push_urls(config, &urls, &since_empty(&config.strings(&key("pushurl"))));
        for text in config.strings(&key("push")) {
            self.push.push(PushRefspec::parse(text.as_bstr())?);
        }
        self.mirror = config.boolean(&key("mirror"))?.unwrap_or(false);
        self.receive_pack = config.string(&key("receivepack"));
        for text in config.strings(&key("fetch")) {
            self.fetch.push(Refspec::parse_fetch(text.as_bstr())?);
        }
        self.tags = match config.string(&key("tagOpt")).as_deref().map(Vec::as_slice) {
            Some(b"--tags") => Tags::All,
            Some(b"--no-tags") => Tags::None,
            Some(_) | None => Tags::Follow,
        };
        self.prune = config.boolean(&key("prune"))?.unwrap_or(self.prune);
        self.prune_tags = config.boolean(&key("pruneTags"))?.unwrap_or(self.prune_tags);
        self.upload_pack = config.string(&key("uploadpack"));
        self.filter = config.string(&key("partialclonefilter"));
        self.promisor = config.boolean(&key("promisor"))?.unwrap_or(false)
            || self.filter.is_some()
            || config.string("extensions.partialClone").is_some_and(|promisor| promisor == name);
        self.server_options = server_options(config, name);
        if let Some(text) = config.string(&key("followRemoteHEAD")) {
            self.follow_head = FollowHead::parse(&text);
        }
        self.negotiation_tips = since_empty(&config.strings(&key("negotiationRestrict")));
        self.negotiation_include = since_empty(&config.strings(&key("negotiationInclude")));
        // of the two that mean the same the later counts
        let skips = [key("skipFetchAll"), key("skipDefaultUpdate")];
        if let Some(key) = config.last_of(&skips.each_ref().map(String::as_str)) {
            self.skip_fetch_all = config.boolean(key)?.unwrap_or(false);
        }
        Ok(())
    }
}

/// `remote.<name>.serverOption`.
pub(super) fn server_options(config: &Config, name: &BStr) -> Vec<BString> {
    since_empty(&config.strings(&format!("remote.{name}.serverOption")))
}

/// The names of all remotes of the configuration, in order of definition.
pub fn names(config: &Config) -> Vec<BString> {
    let mut names = Vec::new();
    for (subsection, _, _) in config.section("remote") {
        if let Some(name) = subsection.filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    names
}

/// What the configuration says of one branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branch {
    /// The name without `refs/heads/`.
    pub name: BString,
    /// `branch.<name>.remote`.
    pub remote: Option<BString>,
    /// `branch.<name>.pushRemote`.
    pub push_remote: Option<BString>,
    /// `branch.<name>.merge`, any number.
    pub merges: Vec<BString>,
    /// `branch.<name>.rebase`.
    pub rebase: Option<BString>,
    /// The keys that should have one value and have more; the last counts.
    pub repeated: Vec<BString>,
}

/// All branches that the configuration says something of, sorted by name.
///
/// # Errors
///
/// As [`Remote::from_config`].
pub fn branches(config: &Config) -> Result<Vec<Branch>, Error> {
    config.check_values(&VALUED)?;
    let mut branches: std::collections::BTreeMap<BString, Branch> = std::collections::BTreeMap::new();
    for (name, key, value) in config.section("branch") {
        let Some(name) = name else { continue };
        let branch = branches
            .entry(name.clone())
            .or_insert_with(|| Branch { name: name.clone(), ..Branch::default() });
        let slot = match key.as_str() {
            "remote" => &mut branch.remote,
            "pushremote" => &mut branch.push_remote,
            "merge" => {
                branch.merges.extend(value);
                continue;
            }
            "rebase" => {
                branch.rebase = Some(value.unwrap_or_else(|| "true".into()));
                continue;
            }
            _ => continue,
        };
        if std::mem::replace(slot, value).is_some() {
            branch.repeated.push(format!("branch.{name}.{key}").into());
        }
    }
    Ok(branches.into_values().collect())
}

/// The URLs that the configuration gives the remote `name`, rewritten: those to fetch from, those to push to. Both are empty
/// for a remote without one.
pub fn urls(config: &Config, name: &BStr) -> (Vec<BString>, Vec<BString>) {
    let values = |last: &str| since_empty(&config.strings(&format!("remote.{name}.{last}")));
    let (urls, pushed) = (values("url"), values("pushurl"));
    let fetched = urls.iter().map(|url| rewrite(config, url.as_bstr())).collect();
    (fetched, push_urls(config, &urls, &pushed))
}

/// The remote that a fetch without a name means: that of the current branch, else the only one, else `origin`.
pub fn default_name(config: &Config, branch: Option<&BStr>) -> BString {
    let of_branch = branch
        .and_then(|full| full.strip_prefix(b"refs/heads/"))
        .and_then(|short| config.string(&format!("branch.{}.remote", short.as_bstr())));
    if let Some(remote) = of_branch {
        return remote;
    }
    let names = names(config);
    match names.as_slice() {
        [only] => only.clone(),
        _ => "origin".into(),
    }
}

/// Whether the configuration has anything to say about the remote `name`.
pub fn exists(config: &Config, name: &BStr) -> bool {
    config
        .section("remote")
        .iter()
        .any(|(subsection, _, _)| subsection.as_ref().is_some_and(|subsection| subsection == name))
}

/// Applies the longest `url.<base>.insteadOf` that `url` begins with.
pub fn rewrite(config: &Config, url: &BStr) -> BString {
    rewrite_by(config, "insteadof", url).unwrap_or_else(|| url.to_owned())
}

/// Where a push goes that finds `urls` and `push_urls` in the configuration; see [`Remote::push_urls`].
fn push_urls(config: &Config, urls: &[BString], push_urls: &[BString]) -> Vec<BString> {
    if !push_urls.is_empty() {
        return push_urls.iter().map(|url| rewrite(config, url.as_bstr())).collect();
    }
    let aliases = urls.iter().filter_map(|url| rewrite_by(config, "pushinsteadof", url.as_bstr()));
    let aliases: Vec<BString> = aliases.collect();
    if aliases.is_empty() { urls.iter().map(|url| rewrite(config, url.as_bstr())).collect() } else { aliases }
}

/// `url` rewritten by the longest `url.<base>.<key>` that it begins with; `None` if there is none.
fn rewrite_by(config: &Config, key: &str, url: &BStr) -> Option<BString> {
    let mut best: Option<(usize, BString)> = None;
    for (base, name, prefix) in config.section("url") {
        let (Some(base), Some(prefix)) = (base, prefix.filter(|_| name == key)) else { continue };
        if url.starts_with(&prefix) && best.as_ref().is_none_or(|(length, _)| *length < prefix.len()) {
            best = Some((prefix.len(), base));
        }
    }
    let (length, mut base) = best?;
    base.extend_from_slice(url.get(length..).unwrap_or_default());
    Some(base)
}

/// The values after the last empty one: git-config(1), "remote.<name>.url": it takes back what was said before.
fn since_empty(values: &[BString]) -> Vec<BString> {
    values.rsplit(|value| value.is_empty()).next().unwrap_or_default().to_vec()
}

/// The version to ask for: `protocol.version`, else `GIT_TEST_PROTOCOL_VERSION` (git's own tests), else 2.
pub fn protocol_version(config: &Config) -> Result<Version, Error> {
    let tested = config.environment().get("GIT_TEST_PROTOCOL_VERSION").filter(|version| !version.is_empty());
    let tested = tested.map(|version| BString::from(version.as_encoded_bytes()));
    match config.string("protocol.version").or(tested).as_deref().map(Vec::as_slice) {
        None | Some(b"2") => Ok(Version::V2),
        Some(b"1") => Ok(Version::V1),
        Some(b"0") => Ok(Version::V0),
        Some(other) => {
            Err(Error::Usage(format!("unknown value for config 'protocol.version': {}", other.as_bstr())))
        }
    }
}

/// A name that may be looked up in the configuration: not empty, not a path.
fn is_nickname(name: &BStr) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.starts_with(b"/")
}
