//! How packs are made, from the configuration. `git-config(1)`, "pack.*" and "core.*".

use std::ops::RangeInclusive;

use super::{Error, Repository};
use crate::pack::produce::{Reuse, Settings};
use crate::progress::{Event, Progress};

/// The longest chain of deltas git makes.
pub const DEPTH_MAX: i64 = 4095;

/// `pack.window` where nothing is configured.
const WINDOW: i64 = 10;

/// `pack.depth` where nothing is configured.
const DEPTH: i64 = 50;

/// `core.bigFileThreshold` where nothing is configured.
const BIG_FILE_THRESHOLD_BYTES: u64 = 512 * 1024 * 1024;

/// `pack.deltaCacheSize` where nothing is configured.
const DELTA_CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// zlib's levels; -1 is its default.
const LEVELS: RangeInclusive<i64> = -1..=9;

/// The settings of the packs that `repo` makes. `ofs_delta` is the receiver's to say. A depth beyond git's limit is
/// cut, which `progress` is told.
///
/// # Errors
///
/// In git's words where a value makes no sense.
pub fn pack_settings(
    repo: &Repository,
    ofs_delta: bool,
    progress: &mut dyn Progress,
) -> Result<Settings, Error> {
    let integer = |key: &str| repo.config.integer(key);
    let depth = integer("pack.depth")?.unwrap_or(DEPTH);
    if depth > DEPTH_MAX {
        let text = format!("delta chain depth {depth} is too deep, forcing {DEPTH_MAX}");
        if progress.report(Event::Warning(&text)).is_break() {
            return Err(Error::Interrupted);
        }
    }
    let threads = integer("pack.threads")?.unwrap_or(0);
    let threads = usize::try_from(threads)
        .map_err(|_| Error::Config(format!("invalid number of threads specified ({threads})")))?;
    let delta_cache = integer("pack.deltaCacheSize")?.map(|bytes| u64::try_from(bytes).unwrap_or(0));
    Ok(Settings {
        object_hash: repo.object_hash,
        window: count(integer("pack.window")?.unwrap_or(WINDOW)),
        depth: count(depth.min(DEPTH_MAX)),
        window_memory_bytes: bytes(repo, "pack.windowMemory")?.unwrap_or(0),
        compression: compression(repo)?,
        ofs_delta,
        big_file_threshold_bytes: bytes(repo, "core.bigFileThreshold")?.unwrap_or(BIG_FILE_THRESHOLD_BYTES),
        threads,
        delta_cache_bytes: match delta_cache {
            None => DELTA_CACHE_BYTES,
            // git's word for no limit
            Some(0) => u64::MAX,
            Some(bytes) => bytes,
        },
        reuse: Reuse::All,
        known: None,
    })
}

/// `pack.compression`, else `core.compression`. All levels are looked at, as git refuses to start with a bad one.
fn compression(repo: &Repository) -> Result<i32, Error> {
    let level = |key: &str, name: &str| {
        let Some(level) = repo.config.integer(key)? else { return Ok(None) };
        if !LEVELS.contains(&level) {
            return Err(Error::Config(format!("bad {name} compression level {level}")));
        }
        Ok(i32::try_from(level).ok())
    };
    let core = level("core.compression", "zlib")?;
    level("core.looseCompression", "zlib")?;
    Ok(level("pack.compression", "pack")?.or(core).unwrap_or(-1))
}

/// A number of bytes; git takes none below 0.
fn bytes(repo: &Repository, key: &str) -> Result<Option<u64>, Error> {
    let Some(value) = repo.config.integer(key)? else { return Ok(None) };
    let value = u64::try_from(value).map_err(|_| {
        let key = key.to_ascii_lowercase();
        Error::Config(format!("bad numeric config value '{value}' for '{key}': invalid unit"))
    })?;
    Ok(Some(value))
}

/// What is below 0 is as good as nothing.
fn count(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::*;
    use crate::repo::{Config, Environment};

    fn repository(config: &str) -> Repository {
        let env = Environment::default();
        let config = Config::from_bytes(config.as_bytes(), Path::new("config"), &env).expect("it parses");
        Repository {
            ref_format: crate::repo::RefFormat::Files,
            storage: crate::storage::Storage::default(),
            git_dir: "r".into(),
            common_dir: "r".into(),
            work_tree: None,
            objects_dir: "r/objects".into(),
            object_hash: gix_hash::Kind::Sha1,
            config,
            env,
            promisor: None,
            hooks: crate::repo::hook::Hooks::default(),
        }
    }

    #[derive(Default)]
    struct Warnings(Vec<String>);

    impl Progress for Warnings {
        fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
            if let Event::Warning(text) = event {
                self.0.push(text.to_owned());
            }
            ControlFlow::Continue(())
        }
    }

    #[test]
    fn the_defaults_are_git_s() {
        let settings = pack_settings(&repository(""), true, &mut Warnings::default()).expect("no errors");
        assert_eq!((settings.window, settings.depth, settings.threads), (10, 50, 0));
        assert_eq!((settings.compression, settings.window_memory_bytes), (-1, 0));
        assert_eq!((settings.big_file_threshold_bytes, settings.delta_cache_bytes), (512 << 20, 256 << 20));
        assert!(settings.ofs_delta);
    }

    #[test]
    fn the_configuration_is_heard() {
        let text = "[core]\ncompression = 3\nbigFileThreshold = 1m\n\
                    [pack]\nwindow = -4\ndepth = 9999\nthreads = 2\nwindowMemory = 2k\ndeltaCacheSize = 0\n";
        let mut warnings = Warnings::default();
        let settings = pack_settings(&repository(text), false, &mut warnings).expect("no errors");
        assert_eq!((settings.window, settings.depth, settings.threads), (0, 4095, 2));
        assert_eq!(warnings.0, ["delta chain depth 9999 is too deep, forcing 4095"]);
        assert_eq!((settings.compression, settings.window_memory_bytes), (3, 2048));
        assert_eq!((settings.big_file_threshold_bytes, settings.delta_cache_bytes), (1 << 20, u64::MAX));
        let both = repository("[core]\ncompression = 3\n[pack]\ncompression = 0\n");
        assert_eq!(pack_settings(&both, true, &mut warnings).expect("no errors").compression, 0);
    }

    #[test]
    fn nonsense_is_refused_in_git_s_words() {
        for (text, expected) in [
            ("[pack]\ncompression = 10", "bad pack compression level 10"),
            ("[core]\ncompression = -2", "bad zlib compression level -2"),
            ("[core]\nlooseCompression = 44", "bad zlib compression level 44"),
            ("[pack]\nthreads = -1", "invalid number of threads specified (-1)"),
            (
                "[pack]\nwindowMemory = -1",
                "bad numeric config value '-1' for 'pack.windowmemory': invalid unit",
            ),
        ] {
            let error = pack_settings(&repository(text), true, &mut Warnings::default()).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }
}
