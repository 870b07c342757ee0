//! The format of a repository: gitrepository-layout(5) and git-config(1), `core.repositoryFormatVersion`,
//! `extensions.*`.

use std::path::{Path, PathBuf};

use super::config::{display_name, to_path};
use super::{Config, Environment, Error, RefFormat};

/// Extensions that mean something in version 0 too.
const KNOWN_V0: [&str; 4] = ["noop", "preciousobjects", "partialclone", "worktreeconfig"];
/// Extensions of version 1.
const KNOWN_V1: [&str; 6] = [
    "noop-v1",
    "objectformat",
    "compatobjectformat",
    "refstorage",
    "relativeworktrees",
    "submodulepathconfig",
];

/// What a repository's own configuration says about its shape; no other file has a say.
pub(super) struct Format {
    /// The hash function.
    pub object_hash: gix_hash::Kind,
    /// How refs are kept.
    pub refs: RefFormat,
    /// `core.bare`.
    pub bare: Option<bool>,
    /// `core.worktree`, relative to the git directory.
    pub work_tree: Option<PathBuf>,
}

/// Reads and checks the format.
pub(super) fn read(git_dir: &Path, common_dir: &Path, env: &Environment) -> Result<Format, Error> {
    let name = display_name(common_dir, "config");
    let config = Config::from_file(&common_dir.join("config"), &name, env)?;
    check_version(&config)?;
    let object_hash = match config.string("extensions.objectFormat") {
        None => gix_hash::Kind::Sha1,
        Some(value) if value == "sha1" => gix_hash::Kind::Sha1,
        Some(value) if value == "sha256" => gix_hash::Kind::Sha256,
        Some(_) => return Err(config.invalid_value("extensions.objectformat")),
    };
    let refs = match config.string("extensions.refStorage") {
        None => RefFormat::Files,
        Some(value) if value == "files" => RefFormat::Files,
        Some(value) if value == "reftable" => RefFormat::Tables,
        Some(_) => return Err(config.invalid_value("extensions.refstorage")),
    };
    let mut shape = config.shape()?;
    if config.boolean("extensions.worktreeConfig")? == Some(true) {
        let name = display_name(git_dir, "config.worktree");
        let (bare, work_tree) = Config::from_file(&git_dir.join("config.worktree"), &name, env)?.shape()?;
        shape = (bare.or(shape.0), work_tree.or(shape.1));
    } else if common_dir != git_dir {
        // core.worktree and core.bare are those of the main work tree
        shape = (None, None);
    }
    Ok(Format { object_hash, refs, bare: shape.0, work_tree: shape.1 })
}

fn check_version(config: &Config) -> Result<(), Error> {
    let version = config.integer("core.repositoryFormatVersion")?.unwrap_or(0);
    if version > 1 {
        return Err(Error::Refused(format!("Expected git repo version <= 1, found {version}")));
    }
    let mut names: Vec<String> = Vec::new();
    for (subsection, name, _) in config.section("extensions") {
        if subsection.is_none() && !names.contains(&name) {
            names.push(name);
        }
    }
    let list = |names: Vec<String>, what: &str| {
        let plural = if names.len() == 1 { "" } else { "s" };
        Err(Error::Refused(format!("{what}{plural} found:\n\t{}", names.join("\n\t"))))
    };
    if version == 1 {
        let is_known = |name: &str| KNOWN_V0.contains(&name) || KNOWN_V1.contains(&name);
        names.retain(|name| !is_known(name));
        if !names.is_empty() {
            return list(names, "unknown repository extension");
        }
    } else {
        names.retain(|name| KNOWN_V1.contains(&name.as_str()) && name != "relativeworktrees");
        if !names.is_empty() {
            return list(names, "repo version is 0, but v1-only extension");
        }
    }
    Ok(())
}

impl Config {
    /// `core.bare` and `core.worktree`.
    fn shape(&self) -> Result<(Option<bool>, Option<PathBuf>), Error> {
        Ok((self.boolean("core.bare")?, self.string("core.worktree").map(|path| to_path(&path))))
    }
}
