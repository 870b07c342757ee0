//! What `.gitmodules` says of submodules, as far as it can be trusted. gitmodules(5).

use std::path::PathBuf;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use crate::remote::Error;
use crate::repo::index::Indexed;
use crate::repo::{Config, Repository};

/// What the file is called.
const NAME: &str = ".gitmodules";

/// `submodule.<name>.update`: how a submodule comes to the commit that the superproject names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Procedure {
    /// The commit is checked out.
    Checkout,
    /// It is merged into what is checked out; of a fresh clone it is checked out.
    Merge,
    /// What is checked out is rebased on it; of a fresh clone it is checked out.
    Rebase,
    /// The submodule is left alone.
    Nothing,
    /// A command of the user's, which is given the commit.
    Command(BString),
}

impl Procedure {
    /// Reads a value of the configuration; `None` for what is none of git's words.
    pub fn parse(value: &BStr) -> Option<Self> {
        match value.as_bytes() {
            b"checkout" => Some(Self::Checkout),
            b"merge" => Some(Self::Merge),
            b"rebase" => Some(Self::Rebase),
            b"none" => Some(Self::Nothing),
            [b'!', command @ ..] => Some(Self::Command(command.into())),
            _ => None,
        }
    }

    /// The word for the configuration; `None` for a command.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Checkout => Some("checkout"),
            Self::Merge => Some("merge"),
            Self::Rebase => Some("rebase"),
            Self::Nothing => Some("none"),
            Self::Command(_) => None,
        }
    }
}

/// A submodule as `.gitmodules` has it.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// What the configuration calls it. It names a directory, so `..` is no part of it.
    pub name: BString,
    /// Where it is in the superproject.
    pub path: Option<BString>,
    /// Where it comes from; relative to the superproject's remote if it starts with `./` or `../`.
    pub url: Option<BString>,
    /// How it is updated; never a command.
    pub procedure: Option<Procedure>,
    /// The branch that `--remote` follows; `.` is the superproject's.
    pub branch: Option<BString>,
    /// Whether one commit is enough.
    pub is_shallow: bool,
}

/// All that `.gitmodules` says of submodules.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    submodules: Vec<Declared>,
    /// What was ignored since it cannot be meant well, for the user to read.
    pub warnings: Vec<String>,
}

impl Modules {
    /// Reads the declarations in `config`, which is what [`read`] gives.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words for an `update` that is none of git's, or is a command: nobody has asked for that one.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let mut modules = Self::default();
        for (name, key, value) in config.section("submodule") {
            let Some(name) = name else { continue };
            if !is_safe_name(name.as_bstr()) {
                modules.warnings.push(format!("ignoring suspicious submodule name: {name}"));
                continue;
            }
            let Some(value) = value else { continue };
            if ["path", "url"].contains(&&*key) && value.starts_with(b"-") {
                let text = "which may be interpreted as a command-line option";
                modules.warnings.push(format!("ignoring 'submodule.{name}.{key}' {text}: {value}"));
                continue;
            }
            modules.take(name, &key, value)?;
        }
        for declared in &mut modules.submodules {
            let key = format!("submodule.{}.shallow", declared.name);
            declared.is_shallow = config.boolean(&key)?.unwrap_or(false);
        }
        Ok(modules)
    }

    fn take(&mut self, name: BString, key: &str, value: BString) -> Result<(), Error> {
        match key {
            "path" => self.change(name, |declared| declared.path = Some(value)),
            "url" => self.change(name, |declared| declared.url = Some(value)),
            "branch" => self.change(name, |declared| declared.branch = Some(value)),
            "update" => match Procedure::parse(value.as_bstr()) {
                Some(Procedure::Command(_)) | None => {
                    return Err(Error::Usage(format!("invalid value for 'submodule.{name}.update'")));
                }
                procedure => self.change(name, |declared| declared.procedure = procedure),
            },
            _ => {}
        }
        Ok(())
    }

    /// Changes what is known of the submodule `name`, which need not have been mentioned before.
    fn change(&mut self, name: BString, change: impl FnOnce(&mut Declared)) {
        if let Some(declared) = self.submodules.iter_mut().find(|declared| declared.name == name) {
            return change(declared);
        }
        let mut declared = Declared { name, ..Declared::default() };
        change(&mut declared);
        self.submodules.push(declared);
    }

    /// The submodule at `path`: of several, the last.
    pub fn at(&self, path: &BStr) -> Option<&Declared> {
        let is_there = |declared: &&Declared| declared.path.as_ref().is_some_and(|own| own == path);
        self.submodules.iter().rev().find(is_there)
    }
}

/// `.gitmodules` as it was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// What it says.
    pub config: Config,
    /// Why nothing counts of what it says: it is no configuration. In a commit this is nothing that the user could mend.
    pub complaint: Option<String>,
}

/// `.gitmodules` of the work tree, else of the index, else of `HEAD`; empty where there is none.
///
/// # Errors
///
/// If it cannot be read, or is no configuration in the work tree.
pub fn read(repo: &Repository) -> Result<Found, Error> {
    if repo.work_tree.is_none() {
        return Ok(Found::default());
    }
    match place(repo)? {
        Some(Place::File(file)) => {
            let name = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
            Ok(Found { config: Config::from_file(&file, &name, &repo.env)?, complaint: None })
        }
        Some(Place::Blob(id)) => of_blob(repo, &id),
        None => Ok(Found::default()),
    }
}

/// Whether the index has a conflict about `.gitmodules`, which tells of no submodule then.
///
/// # Errors
///
/// If the index cannot be read.
pub fn has_conflict(repo: &Repository) -> Result<bool, Error> {
    Ok(repo.indexed_blob(NAME.into())? == Indexed::Unmerged)
}

/// Where `.gitmodules` stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the work tree.
    File(PathBuf),
    /// In the index or a commit.
    Blob(ObjectId),
}

/// Where the `.gitmodules` stands that counts: in the work tree, also as a symbolic link to nothing, which says nothing, else in
/// the index, else in `HEAD`.
///
/// # Errors
///
/// If the index cannot be read.
pub fn place(repo: &Repository) -> Result<Option<Place>, Error> {
    let file = repo.work_tree.as_ref().map(|top| top.join(NAME));
    if let Some(file) = file.filter(|file| file.symlink_metadata().is_ok()) {
        return Ok(Some(Place::File(file)));
    }
    let blob = match repo.indexed_blob(NAME.into())? {
        Indexed::Blob(blob) => Some(blob),
        Indexed::Nothing | Indexed::Unmerged => in_revision(repo, "HEAD"),
    };
    Ok(blob.map(Place::Blob))
}

/// The `.gitmodules` of the commit `revision`. What is missing says nothing, and the fetch may bring it.
fn in_revision(repo: &Repository, revision: &str) -> Option<ObjectId> {
    repo.resolve_revision(format!("{revision}:{NAME}").as_str().into()).ok().flatten()
}

/// `.gitmodules` of the commit `revision`; empty where it has none.
///
/// # Errors
///
/// If it cannot be read.
pub fn of_revision(repo: &Repository, revision: &str) -> Result<Found, Error> {
    in_revision(repo, revision).map_or_else(|| Ok(Found::default()), |id| of_blob(repo, &id))
}

fn of_blob(repo: &Repository, id: &oid) -> Result<Found, Error> {
    let mut content = Vec::new();
    let found = repo.objects()?.find(id, &mut content);
    if found.map_err(|error| crate::repo::Error::Object(error.to_string()))? != Some(Kind::Blob) {
        return Ok(Found::default());
    }
    match Config::from_blob(&content, id, &repo.env) {
        Ok(config) => Ok(Found { config, complaint: None }),
        Err(error) => Ok(Found { complaint: Some(error.to_string()), ..Found::default() }),
    }
}

/// Whether `name` may be a directory below `modules`: no part of it is `..`, whatever separates parts on any system.
pub fn is_safe_name(name: &BStr) -> bool {
    !name.is_empty() && !name.split(|&byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"..")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::repo::Environment;

    fn modules(text: &str) -> Result<Modules, Error> {
        let config = Config::from_bytes(text.as_bytes(), Path::new(".gitmodules"), &Environment::default());
        Modules::new(&config.unwrap())
    }

    #[test]
    fn names_that_lead_elsewhere_are_ignored() {
        for (name, is_safe) in
            [("a", true), ("a/b", true), ("..a", true), ("", false), ("..", false), ("a/../b", false)]
        {
            assert_eq!(is_safe_name(name.into()), is_safe, "{name}");
        }
        assert!(!is_safe_name(r"a\..\b".into()));
        let modules = modules("[submodule \"../x\"]\npath = a\n").unwrap();
        assert_eq!(modules.warnings, ["ignoring suspicious submodule name: ../x"]);
        assert!(modules.at("a".into()).is_none());
    }

    #[test]
    fn what_looks_like_an_option_is_ignored() {
        let modules = modules("[submodule \"x\"]\npath = x\nurl = -u./y\n").unwrap();
        assert!(modules.at("x".into()).unwrap().url.is_none());
        assert_eq!(modules.warnings.len(), 1);
    }

    #[test]
    fn nobody_else_says_which_command_runs() {
        for update in ["!touch x", "bogus"] {
            let error = modules(&format!("[submodule \"x\"]\nupdate = {update}\n")).unwrap_err();
            assert_eq!(error.to_string(), "invalid value for 'submodule.x.update'");
        }
    }
}
