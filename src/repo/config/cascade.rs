//! Reading the files of the cascade in git's order: git-config(1), "FILES".

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BString, ByteSlice};
use gix_hash::oid;

use super::include::{Conditions, Include};
use super::parse::{self, Kind};
use super::{Config, Dirs, Entry, Environment, Error, Override, Scope, parameters, value};

/// The largest configuration file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// As many bytes as the standard library asks for at least where it does not know how many there are.
const READ_LEN_MIN: usize = 32;
/// How deep includes may be nested; git's own limit.
const INCLUDE_DEPTH_MAX: usize = 10;
/// How many files may be included in all, where a few that include each other would multiply.
const INCLUDE_FILES_MAX: usize = 10_000;

/// See [`Config::load`].
pub(super) fn load(
    env: &Environment,
    overrides: &[Override],
    dirs: Option<Dirs<'_>>,
) -> Result<Config, Error> {
    let conditions = Conditions::new(env, dirs);
    let (config, asked) = Loader::new(env, conditions).run(overrides, dirs)?;
    if !asked {
        return Ok(config);
    }
    // `hasconfig` looks at the whole configuration, so a second reading is needed once the URLs are known.
    let urls =
        config.section("remote").into_iter().filter_map(|(_, name, value)| value.filter(|_| name == "url"));
    let mut conditions = Conditions::new(env, dirs);
    conditions.remote_urls = Some(urls.collect());
    Ok(Loader::new(env, conditions).run(overrides, dirs)?.0)
}

/// See [`Config::from_file`].
pub(super) fn load_file(path: &Path, name: &Path, env: &Environment) -> Result<Config, Error> {
    match read(path)? {
        Some(text) => load_bytes(&text, name, env),
        None => Ok(Config { env: env.clone(), ..Config::default() }),
    }
}

/// See [`Config::from_bytes`].
pub(super) fn load_bytes(text: &[u8], name: &Path, env: &Environment) -> Result<Config, Error> {
    let mut config = Config { env: env.clone(), ..Config::default() };
    for entry in entries(text, name, Scope::Local)? {
        config.push(entry);
    }
    Ok(config)
}

/// See [`Config::from_blob`].
pub(super) fn load_blob(text: &[u8], id: &oid, env: &Environment) -> Result<Config, Error> {
    let bad_line = |line| Error::Config(format!("bad config line {line} in blob {id}"));
    parse::parse(text).map_err(bad_line)?;
    load_bytes(text, Path::new(&id.to_string()), env)
}

struct Loader<'a> {
    env: &'a Environment,
    config: Config,
    conditions: Conditions<'a>,
    /// Whether a `hasconfig` condition came up while the URLs were not known.
    asked_for_urls: bool,
    files_included: usize,
}

/// A file being read.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    /// What errors call it.
    name: &'a Path,
    scope: Scope,
    depth: usize,
    /// Included by `hasconfig`, so that remote URLs are forbidden in it.
    without_urls: bool,
}

impl<'a> Loader<'a> {
    fn new(env: &'a Environment, conditions: Conditions<'a>) -> Self {
        let config = Config { env: env.clone(), ..Config::default() };
        Self { env, config, conditions, asked_for_urls: false, files_included: 0 }
    }

    fn run(mut self, overrides: &[Override], dirs: Option<Dirs<'_>>) -> Result<(Config, bool), Error> {
        if self.env.boolean("GIT_CONFIG_NOSYSTEM")? != Some(true) {
            let path =
                self.env.get("GIT_CONFIG_SYSTEM").map_or_else(|| "/etc/gitconfig".into(), PathBuf::from);
            self.file(Source::new(&path, &path, Scope::System))?;
        }
        for path in global_files(self.env) {
            self.file(Source::new(&path, &path, Scope::Global))?;
        }
        if let Some(dirs) = dirs {
            self.repository(dirs)?;
        }
        for entry in parameters::entries(self.env, overrides)? {
            self.entry(entry, None)?;
        }
        Ok((self.config, self.asked_for_urls))
    }

    fn repository(&mut self, dirs: Dirs<'_>) -> Result<(), Error> {
        let path = dirs.common.join("config");
        let name = display_name(dirs.common, "config");
        let Some(text) = read(&path)? else { return Ok(()) };
        self.text(&text, Source::new(&path, &name, Scope::Local))?;
        if load_bytes(&text, &name, self.env)?.boolean("extensions.worktreeConfig")? == Some(true) {
            let path = dirs.git.join("config.worktree");
            self.file(Source::new(&path, &display_name(dirs.git, "config.worktree"), Scope::Worktree))?;
        }
        Ok(())
    }

    fn file(&mut self, source: Source<'_>) -> Result<(), Error> {
        let text = match read(source.path) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(()),
            // as git: a home directory that this user may not enter has no configuration
            Err(Error::Io { source: error, .. })
                if source.scope == Scope::Global && error.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.text(&text, source)
    }

    /// Takes what `text` says, which is in the file `source`.
    fn text(&mut self, text: &[u8], source: Source<'_>) -> Result<(), Error> {
        for entry in entries(text, source.name, source.scope)? {
            if source.without_urls && entry.section == "remote" && entry.name == "url" {
                return Err(Error::Config(
                    "remote URLs cannot be configured in file directly or indirectly included by \
                     includeIf.hasconfig:remote.*.url"
                        .to_owned(),
                ));
            }
            self.entry(entry, Some(source))?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry, source: Option<Source<'_>>) -> Result<(), Error> {
        let Some(include) = Include::of(&entry) else {
            self.config.push(entry);
            return Ok(());
        };
        self.config.push(entry.clone());
        let holds = match &include {
            Include::Always => Some(true),
            Include::If(condition) => {
                let held = self.conditions.hold(condition.as_bstr(), source.map(|source| source.path));
                held.map_err(|reason| entry.explain(reason))?
            }
        };
        self.asked_for_urls |= holds.is_none();
        if holds == Some(true) {
            self.include(&entry, source, include.depends_on_urls())?;
        }
        Ok(())
    }

    /// Reads the file that the value of `entry` names.
    fn include(
        &mut self,
        entry: &Entry,
        source: Option<Source<'_>>,
        without_urls: bool,
    ) -> Result<(), Error> {
        let Some(text) = &entry.value else {
            return Err(entry.missing_value(entry.key().as_bstr()));
        };
        let path = value::path(text.as_bstr(), self.env)
            .ok_or_else(|| entry.explain(format!("could not expand include path '{text}'")))?;
        let beside = |parent: &Path| parent.parent().unwrap_or(Path::new("")).join(&path);
        let (path, name) = match source {
            _ if path.is_absolute() => (path.clone(), path),
            Some(source) => (beside(source.path), beside(source.name)),
            None => return Err(entry.explain("relative config includes must come from files".to_owned())),
        };
        let depth = source.map_or(0, |source| source.depth) + 1;
        self.files_included += 1;
        if depth > INCLUDE_DEPTH_MAX || self.files_included > INCLUDE_FILES_MAX {
            let from = source.map_or(Path::new("command line"), |source| source.name);
            return Err(Error::Config(format!(
                "exceeded maximum include depth ({INCLUDE_DEPTH_MAX}) while including\n\t{}\nfrom\n\t{}\n\
                 This might be due to circular includes.",
                name.display(),
                from.display()
            )));
        }
        let scope = entry.scope;
        let without_urls = without_urls || source.is_some_and(|source| source.without_urls);
        self.file(Source { path: &path, name: &name, scope, depth, without_urls })
    }
}

impl<'a> Source<'a> {
    fn new(path: &'a Path, name: &'a Path, scope: Scope) -> Self {
        Self { path, name, scope, depth: 0, without_urls: false }
    }
}

/// `GIT_CONFIG_GLOBAL`, or the two files of the user.
fn global_files(env: &Environment) -> Vec<PathBuf> {
    if let Some(path) = env.get("GIT_CONFIG_GLOBAL") {
        return vec![path.into()];
    }
    let home = env.home();
    let xdg = env.path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let xdg = xdg.map(|dir| dir.join("git/config"));
    xdg.into_iter().chain(home.map(|home| home.join(".gitconfig"))).collect()
}

/// What errors call the file `file` of a repository: as seen from the top of its work tree, where git stands.
pub(in crate::repo) fn display_name(dir: &Path, file: &str) -> PathBuf {
    if dir.file_name().is_some_and(|name| name == ".git") {
        Path::new(".git").join(file)
    } else {
        dir.join(file)
    }
}

/// The content of the file at `path`; `None` if it is not there or is no file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    let refuse = |source| Error::Io { action: "unable to access", path: path.to_owned(), source };
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| {
        // there is room for all of it, and for the look that finds that it was all
        text.reserve(usize::try_from(file.metadata()?.len().min(FILE_BYTES_MAX)).unwrap_or(0) + READ_LEN_MIN);
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)
    });
    match read {
        Ok(_) if text.len() as u64 > FILE_BYTES_MAX => Err(refuse(std::io::ErrorKind::FileTooLarge.into())),
        Ok(_) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => Ok(None),
        Err(error) => Err(refuse(error)),
    }
}

/// The definitions in `text`.
fn entries(text: &[u8], name: &Path, scope: Scope) -> Result<Vec<Entry>, Error> {
    let bad_line = |line| Error::Config(format!("bad config line {line} in file {}", name.display()));
    let file: Arc<Path> = name.into();
    let mut section = BString::default();
    let mut subsection = None;
    let mut entries = Vec::new();
    for item in parse::parse(text).map_err(bad_line)? {
        match item.kind {
            Kind::Header(header) => (section, subsection) = (header.section, header.subsection),
            Kind::Entry { name, value } => entries.push(Entry {
                section: section.clone(),
                subsection: subsection.clone(),
                name,
                value,
                scope,
                origin: Some((Arc::clone(&file), item.line)),
            }),
            Kind::Comment => {}
        }
    }
    Ok(entries)
}
