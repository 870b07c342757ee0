//! What an upload-pack may do, from the configuration. git-config(1), "uploadpack.*".

use std::time::Duration;

use bstr::{BString, ByteSlice};

use super::elsewhere::Elsewhere;
use crate::protocol::promisor_remote::PromisorRemote;
use crate::repo::hidden::Hidden;
use crate::repo::session_id::session_id;
use crate::repo::{Config, Error, Repository};

/// Seconds of silence before the client is told that we are still there, where `uploadpack.keepAlive` is not set.
const KEEP_ALIVE_SECONDS: i64 = 5;

/// The configuration of one service.
#[derive(Debug)]
pub(super) struct Settings {
    pub allows_filter: bool,
    /// v0: objects that hidden refs point to may be asked for.
    pub allows_tips: bool,
    /// v0: objects that refs lead to may be asked for.
    pub allows_reachable: bool,
    /// v0: any object may be asked for.
    pub allows_any: bool,
    /// What holds in v0 holds in v2 as well, where C git lets any object be asked for (`gitr.strictWants`).
    pub is_strict: bool,
    pub has_ref_in_want: bool,
    pub has_sideband_all: bool,
    pub has_bundle_uri: bool,
    pub has_object_info: bool,
    pub unborn: Unborn,
    /// Packs that stand elsewhere.
    pub elsewhere: Elsewhere,
    /// What makes packs in our place.
    pub pack_objects_hook: Option<BString>,
    /// `None`: never.
    pub keep_alive: Option<Duration>,
    pub session_id: Option<BString>,
    pub filters: Filters,
    /// The promisor remotes that clients are told of (`promisor.advertise`).
    pub promisors: Vec<PromisorRemote>,
}

/// `lsrefs.unborn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unborn {
    Ignore,
    Allow,
    Advertise,
}

/// `uploadpackfilter.*`.
#[derive(Debug)]
pub(super) struct Filters {
    default: bool,
    by_kind: Vec<(String, bool)>,
    pub tree_depth_max: Option<u64>,
}

impl Settings {
    pub(super) fn read(repo: &Repository) -> Result<Self, Error> {
        let config = &repo.config;
        Hidden::check(config, "uploadpack")?;
        let is = |key: &str| config.boolean(key).map(|value| value.unwrap_or(false));
        let allows_any = is("uploadpack.allowAnySHA1InWant")?;
        let keep_alive = config.integer("uploadpack.keepAlive")?.unwrap_or(KEEP_ALIVE_SECONDS);
        Ok(Self {
            allows_filter: is("uploadpack.allowFilter")?,
            allows_tips: is("uploadpack.allowTipSHA1InWant")? || allows_any,
            allows_reachable: is("uploadpack.allowReachableSHA1InWant")? || allows_any,
            allows_any,
            is_strict: is("gitr.strictWants")?,
            has_ref_in_want: is("uploadpack.allowRefInWant")?,
            has_sideband_all: is("uploadpack.allowSidebandAll")? || repo.env.is_true("GIT_TEST_SIDEBAND_ALL"),
            has_bundle_uri: is("uploadpack.advertiseBundleURIs")?,
            has_object_info: is("transfer.advertiseObjectInfo")?,
            unborn: Unborn::read(config)?,
            elsewhere: Elsewhere::read(config),
            // a repository of another's has no say in what is run
            pack_objects_hook: config.protected("uploadpack.packObjectsHook").pop(),
            keep_alive: u64::try_from(keep_alive)
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            session_id: session_id(config, &repo.env)?,
            filters: Filters::read(config)?,
            promisors: if is("promisor.advertise")? { promisors(repo)? } else { Vec::new() },
        })
    }
}

/// The promisor remotes of `repo` that have a URL, with the fields that `promisor.sendFields` names.
fn promisors(repo: &Repository) -> Result<Vec<PromisorRemote>, Error> {
    let config = &repo.config;
    let sent = config.string("promisor.sendFields").unwrap_or_default().to_ascii_lowercase();
    let sent: Vec<&[u8]> = sent.fields_with(|letter| letter == ',' || letter.is_whitespace()).collect();
    let mut remotes = Vec::new();
    for name in repo.promisor_names()? {
        let value =
            |key: &str| config.string(&format!("remote.{name}.{key}")).filter(|value| !value.is_empty());
        let field = |key: &str| value(key).filter(|_| sent.contains(&key.to_ascii_lowercase().as_bytes()));
        let Some(url) = value("url") else { continue };
        let (filter, token) = (field("partialCloneFilter"), field("token"));
        remotes.push(PromisorRemote { name, url, filter, token });
    }
    Ok(remotes)
}

impl Unborn {
    fn read(config: &Config) -> Result<Self, Error> {
        match config.string("lsrefs.unborn").as_deref().map(Vec::as_slice) {
            None | Some(b"advertise") => Ok(Self::Advertise),
            Some(b"allow") => Ok(Self::Allow),
            Some(b"ignore") => Ok(Self::Ignore),
            Some(other) => {
                Err(Error::Config(format!("invalid value for 'lsrefs.unborn': '{}'", BString::from(other))))
            }
        }
    }
}

impl Filters {
    fn read(config: &Config) -> Result<Self, Error> {
        let default = config.boolean("uploadpackfilter.allow")?.unwrap_or(true);
        let mut by_kind = Vec::new();
        for (subsection, key, _) in config.section("uploadpackfilter") {
            if let (Some(kind), "allow") = (&subsection, key.as_str()) {
                let allowed = config.boolean(&format!("uploadpackfilter.{kind}.allow"))?.unwrap_or(true);
                by_kind.push((kind.to_string(), allowed));
            }
            // git-config(1): a depth implies that the filter is allowed
            if subsection.is_some_and(|kind| kind == "tree") && key == "maxdepth" {
                by_kind.insert(0, ("tree".to_owned(), true));
            }
        }
        let depth = config.integer("uploadpackfilter.tree.maxDepth")?;
        Ok(Self { default, by_kind, tree_depth_max: depth.and_then(|depth| u64::try_from(depth).ok()) })
    }

    /// Whether filters of this kind are served.
    pub(super) fn allows(&self, kind: &str) -> bool {
        let said = self.by_kind.iter().rev().find(|(known, _)| known == kind);
        said.map_or(self.default, |(_, allowed)| *allowed)
    }
}
