//! How the configuration and the environment want a checkout.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_filter::eol::{AutoCrlf, Mode};

use super::index::Layout;
use super::{Driver, Options, PARALLEL_FROM, Protection, SPARSE_FILE, SPARSE_TOP, Surroundings};
use crate::repo::{Error, Repository};

/// The attributes of the system, read unless `GIT_ATTR_NOSYSTEM` is set.
const SYSTEM_ATTRIBUTES: &str = "/etc/gitattributes";

impl Repository {
    /// What the configuration says about a checkout.
    pub(in crate::repo) fn checkout_options(&self) -> Result<Options, Error> {
        let protection = Protection::default();
        let flag = |key: &str, default: bool| Ok::<_, Error>(self.config.boolean(key)?.unwrap_or(default));
        let line_endings = gix_filter::eol::Configuration { auto_crlf: self.auto_crlf()?, eol: self.eol() };
        self.config.check_values(&["filter.*.clean", "filter.*.smudge", "filter.*.process"])?;
        let drivers = drivers(&self.config.section("filter"))?;
        let runs_process = drivers.iter().any(|driver| driver.process.is_some());
        Ok(Options {
            protection: Protection {
                hfs: flag("core.protectHFS", protection.hfs)?,
                ntfs: flag("core.protectNTFS", protection.ntfs)?,
            },
            symlinks: flag("core.symlinks", cfg!(unix))?,
            ignore_case: flag("core.ignoreCase", false)?,
            line_endings,
            drivers,
            surroundings: self.surroundings(),
            attributes_files: self.attributes_files()?,
            info_attributes: Some(self.common_path("info/attributes")),
            exclude_files: None,
            reference: if runs_process { self.head_branch()? } else { None },
            treeish: if runs_process { self.resolve_ref("HEAD".into())? } else { None },
            top_only: self.is_sparse_at_top()?,
            workers: self.count_or("checkout.workers", 0)?,
            parallel_from: self.count_or("checkout.thresholdForParallelism", PARALLEL_FROM)?,
            index: self.index_layout()?,
        })
    }

    /// How an index is written that is new: `GIT_INDEX_VERSION`, `index.version` and `index.skipHash`, and `feature.manyFiles`,
    /// which sets both.
    fn index_layout(&self) -> Result<Layout, Error> {
        let is_large = self.config.boolean("feature.manyFiles")?.unwrap_or(false);
        let skips_hash = self.config.boolean("index.skipHash")?.unwrap_or(is_large);
        let configured = self.config.integer("index.version")?.unwrap_or(if is_large { 4 } else { 2 });
        let version = match self.env.get("GIT_INDEX_VERSION") {
            Some(version) => version.to_str().and_then(|version| version.parse().ok()).unwrap_or_default(),
            None => configured,
        };
        Ok(Layout { shortens_paths: version == 4, skips_hash })
    }

    /// Where filters run. `GIT_DIR` is set where they could not find the repository by themselves.
    fn surroundings(&self) -> Surroundings {
        let directory = self.work_tree.clone().unwrap_or_default();
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut env = self.env.clone();
        if env.get("GIT_DIR").is_some() || !directory.join(".git").exists() {
            env.set("GIT_DIR", absolute(&self.git_dir));
        }
        if env.get("GIT_WORK_TREE").is_some() {
            env.set("GIT_WORK_TREE", absolute(&directory));
        }
        if let Some(parameters) = self.config.parameters() {
            env.set("GIT_CONFIG_PARAMETERS", parameters);
        }
        Surroundings { directory, env }
    }

    /// A number; one that is not positive counts as 0.
    fn count_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        Ok(self.config.integer(key)?.map_or(default, |number| usize::try_from(number).unwrap_or(0)))
    }

    /// Whether a sparse checkout asks for the files at the top and nothing else. What other patterns leave out is not
    /// left out here.
    fn is_sparse_at_top(&self) -> Result<bool, Error> {
        if self.config.boolean("core.sparseCheckout")? != Some(true) {
            return Ok(false);
        }
        Ok(std::fs::read(self.git_path(SPARSE_FILE)).is_ok_and(|patterns| patterns == SPARSE_TOP))
    }

    /// `core.autocrlf`: a boolean, or `input`.
    fn auto_crlf(&self) -> Result<AutoCrlf, Error> {
        let value = self.config.string("core.autocrlf");
        if value.is_some_and(|value| value.eq_ignore_ascii_case(b"input")) {
            return Ok(AutoCrlf::Input);
        }
        let is_on = self.config.boolean("core.autocrlf")?.unwrap_or(false);
        Ok(if is_on { AutoCrlf::Enabled } else { AutoCrlf::Disabled })
    }

    /// `core.eol`; `None` is the platform's own.
    fn eol(&self) -> Option<Mode> {
        let value = self.config.string("core.eol")?;
        match value.to_ascii_lowercase().as_slice() {
            b"lf" => Some(Mode::Lf),
            b"crlf" => Some(Mode::CrLf),
            _ => None,
        }
    }

    /// The files with attributes outside of the repository, the weaker first.
    fn attributes_files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        if !self.env.is_true("GIT_ATTR_NOSYSTEM") {
            files.push(PathBuf::from(SYSTEM_ATTRIBUTES));
        }
        let users = match self.config.path("core.attributesFile")? {
            Some(path) => Some(path),
            None => self.users_file("attributes"),
        };
        files.extend(users);
        Ok(files)
    }

    /// The files with patterns of what is ignored outside of the work tree, the weaker first.
    pub(super) fn exclude_files(&self) -> Result<Vec<PathBuf>, Error> {
        let users = match self.config.path("core.excludesFile")? {
            Some(path) => Some(path),
            None => self.users_file("ignore"),
        };
        let own = std::path::absolute(self.common_path("info/exclude"));
        Ok(users.into_iter().chain(own).collect())
    }

    /// Where the user's file `name` is if the configuration does not say.
    fn users_file(&self, name: &str) -> Option<PathBuf> {
        let directory = |name: &str| self.env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base =
            directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")))?;
        Some(base.join("git").join(name))
    }
}

/// A definition in the configuration: subsection, key and value.
type Row = (Option<BString>, String, Option<BString>);

/// The filter drivers that `section`, all of `filter.*` in order of definition, describes; the last definition wins.
fn drivers(section: &[Row]) -> Result<Vec<Driver>, Error> {
    /// Without any of these there is no driver, which then cannot be required.
    const PROGRAMS: [&str; 3] = ["clean", "smudge", "process"];
    let mut drivers: Vec<Driver> = Vec::new();
    for (name, key, value) in section {
        let Some(name) = name else { continue };
        if !drivers.iter().any(|driver| driver.name == *name) {
            drivers.push(Driver { name: name.clone(), ..Driver::default() });
        }
        let Some(driver) = drivers.iter_mut().find(|driver| driver.name == *name) else { continue };
        let program = value.clone();
        match key.as_str() {
            "clean" => driver.clean = program,
            "smudge" => driver.smudge = program,
            "process" => driver.process = program,
            "required" => driver.required = parse_boolean(name.as_bstr(), value.as_ref())?,
            _ => {}
        }
    }
    let has_program = |driver: &Driver| {
        let is_its = |(name, key, _): &Row| name.as_ref() == Some(&driver.name) && PROGRAMS.contains(&&**key);
        section.iter().any(is_its)
    };
    drivers.retain(has_program);
    for driver in &mut drivers {
        // An empty program is none, and an empty process leaves no room for the others.
        if driver.process.as_ref().is_some_and(|program| program.is_empty()) {
            (driver.clean, driver.smudge) = (None, None);
        }
        for program in [&mut driver.clean, &mut driver.smudge, &mut driver.process] {
            *program = program.take().filter(|program| !program.is_empty());
        }
    }
    Ok(drivers)
}

/// `filter.<name>.required`; a key without a value is true.
fn parse_boolean(name: &BStr, value: Option<&BString>) -> Result<bool, Error> {
    let Some(value) = value else { return Ok(true) };
    let text = value.to_str_lossy().to_ascii_lowercase();
    match text.as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" | "" => Ok(false),
        number => number.parse().map(|number: i64| number != 0).map_err(|_| {
            Error::Config(format!("bad boolean config value '{value}' for 'filter.{name}.required'"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_gathered_by_name_and_the_last_value_wins() {
        let row = |name: &str, key: &str, value: Option<&str>| {
            (Some(BString::from(name)), key.to_owned(), value.map(BString::from))
        };
        let section = [
            row("a", "smudge", Some("one")),
            row("b", "process", Some("p")),
            row("a", "required", None),
            row("a", "smudge", Some("two")),
            row("b", "required", Some("0")),
            row("b", "process", Some("")),
            row("c", "required", None),
        ];
        let drivers = drivers(&section).expect("valid");
        let rows: Vec<_> =
            drivers.iter().map(|it| (it.name.as_bstr(), it.smudge.is_some(), it.required)).collect();
        assert_eq!(rows, [("a".into(), true, true), ("b".into(), false, false)]);
        assert_eq!(drivers[0].smudge.as_ref().map(|it| it.as_bstr()), Some("two".into()));
        assert_eq!(drivers[1].process, None);
        assert!(super::drivers(&[row("a", "required", Some("perhaps"))]).is_err());
    }
}
