//! The options of `gitr pack-objects`.

use std::ffi::OsString;

use bstr::BString;

use crate::cmd::CommandError;
use crate::cmd::arguments::{self, Spec};
use crate::cmd::index_version::{self, Misread};
use crate::pack::enumerate::FilterSpec;
use crate::pack::index::Layout;
use crate::pack::produce::Settings;
use crate::progress::{Event, Progress};
use crate::repo::config::integer;
use crate::repo::pack_settings::DEPTH_MAX;

pub(super) const SPEC: Spec = Spec {
    name: "pack-objects",
    synopsis: &[
        "git pack-objects --stdout [<options>] [< <ref-list> | < <object-list>]",
        "git pack-objects [<options>] <base-name> [< <ref-list> | < <object-list>]",
    ],
    plain: &["index-version", "max-pack-size", "window-memory", "unpacked", "all", "reflog", "missing"],
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// do not show progress meter
    #[arg(short, long)]
    quiet: bool,
    /// show progress meter
    #[arg(long)]
    progress: bool,
    /// show progress meter during object writing phase
    #[arg(long = "all-progress")]
    all_progress: bool,
    /// similar to --all-progress when progress meter is shown
    #[arg(long = "all-progress-implied")]
    all_progress_implied: bool,
    /// write the pack index file in the specified idx format version
    #[arg(long = "index-version", value_name = "version>[,<offset>]")]
    pub(super) index_version: Option<String>,
    /// maximum size of each output pack file
    #[arg(long = "max-pack-size", value_name = "n", allow_hyphen_values = true)]
    max_pack_size: Option<String>,
    /// ignore borrowed objects from alternate object store
    #[arg(long)]
    pub(super) local: bool,
    /// ignore packed objects
    #[arg(long)]
    incremental: bool,
    /// limit pack window by objects
    #[arg(long, value_name = "n", allow_hyphen_values = true)]
    window: Option<i64>,
    /// limit pack window by memory in addition to object limit
    #[arg(long = "window-memory", value_name = "n")]
    window_memory: Option<String>,
    /// maximum length of delta chain allowed in the resulting pack
    #[arg(long, value_name = "n", allow_hyphen_values = true)]
    depth: Option<i64>,
    /// reuse existing deltas
    #[arg(long = "reuse-delta")]
    reuse_delta: bool,
    /// reuse existing objects
    #[arg(long = "reuse-object")]
    reuse_object: bool,
    #[arg(long = "delta-base-offset", help = "use OFS_DELTA objects")]
    pub(super) delta_base_offset: bool,
    /// use threads when searching for best delta matches
    #[arg(long, value_name = "n", allow_hyphen_values = true)]
    threads: Option<i64>,
    /// do not create an empty pack output
    #[arg(long = "non-empty")]
    pub(super) non_empty: bool,
    /// read revision arguments from standard input
    #[arg(long)]
    pub(super) revs: bool,
    /// limit the objects to those that are not yet packed
    #[arg(long)]
    unpacked: bool,
    /// include objects reachable from any reference
    #[arg(long)]
    pub(super) all: bool,
    /// include objects referred by reflog entries
    #[arg(long)]
    pub(super) reflog: bool,
    /// read packs from stdin
    #[arg(long = "stdin-packs")]
    pub(super) stdin_packs: bool,
    /// output pack to stdout
    #[arg(long)]
    stdout: bool,
    /// include tag objects that refer to objects to be packed
    #[arg(long = "include-tag")]
    pub(super) include_tag: bool,
    /// use the sparse reachability algorithm
    #[arg(long)]
    sparse: bool,
    /// create thin packs
    #[arg(long)]
    pub(super) thin: bool,
    /// create packs suitable for shallow fetches
    #[arg(long)]
    pub(super) shallow: bool,
    /// ignore packs that have companion .keep file
    #[arg(long = "honor-pack-keep")]
    pub(super) honor_pack_keep: bool,
    /// ignore this pack
    #[arg(long = "keep-pack", value_name = "name")]
    pub(super) keep_pack: Vec<OsString>,
    /// pack compression level
    #[arg(long, value_name = "n", allow_hyphen_values = true)]
    compression: Option<i64>,
    /// do not hide commits by grafts
    #[arg(long = "keep-true-parents")]
    keep_true_parents: bool,
    /// use a bitmap index if available to speed up counting objects
    #[arg(long = "use-bitmap-index")]
    use_bitmap_index: bool,
    /// object filtering
    #[arg(long, value_name = "args")]
    pub(super) filter: Vec<String>,
    /// handling for missing objects
    #[arg(long, value_name = "action")]
    missing: Option<String>,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Where the pack goes.
pub(super) enum Goal<'a> {
    Stdout,
    /// Files whose names begin like this.
    Files(&'a OsString),
}

/// Which meters are shown.
#[derive(Default)]
pub(super) struct Shown {
    /// `--progress` or `--quiet`.
    pub own: Option<bool>,
    /// Whether that of writing is among them where the pack goes to standard output.
    pub writes: bool,
}

/// Of the options about progress the last one counts.
pub(super) fn progress_wish(words: &[OsString]) -> Shown {
    let mut shown = Shown::default();
    let mut is_implied = false;
    for word in words {
        match word.as_encoded_bytes() {
            b"-q" | b"--quiet" | b"--no-progress" => shown = Shown { own: Some(false), writes: false },
            b"--progress" => shown = Shown { own: Some(true), writes: false },
            b"--all-progress" => shown = Shown { own: Some(true), writes: true },
            b"--all-progress-implied" => is_implied = true,
            _ => {}
        }
    }
    shown.writes |= is_implied && shown.own != Some(false);
    shown
}

impl Arguments {
    /// Where the pack goes, after a look at what does not go together.
    pub(super) fn goal(&self) -> Result<Goal<'_>, CommandError> {
        let goal = match (self.stdout, self.operands.as_slice()) {
            (true, []) => Goal::Stdout,
            (false, [base]) => Goal::Files(base),
            (true | false, _) => return Err(CommandError::usage(arguments::usage_of::<Self>(&SPEC))),
        };
        let to_stdout = matches!(goal, Goal::Stdout);
        self.index_version.as_deref().map(layout).transpose()?;
        let filters: Vec<BString> = self.filter.iter().map(|text| text.as_str().into()).collect();
        FilterSpec::combined(&filters).map_err(CommandError::fatal)?;
        let limits_size = match &self.max_pack_size {
            Some(text) => unsigned("max-pack-size", text)? != 0,
            None => false,
        };
        let missing = self
            .missing
            .as_deref()
            .filter(|action| !["error", "allow-any", "allow-promisor"].contains(action));
        let wrong = match () {
            () if self.stdin_packs && self.walks() => {
                "cannot use internal rev list with --stdin-packs".to_owned()
            }
            () if self.stdin_packs && !self.filter.is_empty() => {
                "cannot use --filter with --stdin-packs".to_owned()
            }
            () if self.thin && !to_stdout => "--thin cannot be used to build an indexable pack".to_owned(),
            () if limits_size && to_stdout => {
                "--max-pack-size cannot be used to build a pack for transfer".to_owned()
            }
            () if limits_size => "--max-pack-size is not supported: one pack is made".to_owned(),
            () => match missing {
                Some(action) => format!("invalid value for '--missing': '{action}'"),
                None => return Ok(goal),
            },
        };
        Err(CommandError::fatal(wrong))
    }

    /// Whether a walk finds the objects.
    pub(super) fn walks(&self) -> bool {
        self.revs || self.all || self.reflog || self.unpacked
    }

    /// Whether objects are left out that are packed already.
    pub(super) fn leaves_packed(&self) -> bool {
        self.incremental || self.unpacked
    }

    /// Whether it matters where an object lies.
    pub(super) fn limits_packs(&self) -> bool {
        self.leaves_packed() || self.local || self.honor_pack_keep || !self.keep_pack.is_empty()
    }

    /// Whether objects may be missing.
    pub(super) fn allows_missing(&self) -> bool {
        self.missing.as_deref().is_some_and(|action| action != "error")
    }

    /// Changes what the configuration says.
    pub(super) fn change(
        &self,
        settings: &mut Settings,
        progress: &mut dyn Progress,
    ) -> Result<(), CommandError> {
        if let Some(window) = self.window {
            settings.window = usize::try_from(window).unwrap_or(0);
        }
        if let Some(depth) = self.depth {
            if depth > DEPTH_MAX {
                let text = format!("delta chain depth {depth} is too deep, forcing {DEPTH_MAX}");
                let _goes_on = progress.report(Event::Warning(&text));
            }
            settings.depth = usize::try_from(depth.min(DEPTH_MAX)).unwrap_or(0);
        }
        if let Some(threads) = self.threads {
            settings.threads = usize::try_from(threads).unwrap_or(0);
        }
        if let Some(text) = &self.window_memory {
            settings.window_memory_bytes = unsigned("window-memory", text)?;
        }
        if let Some(level) = self.compression {
            let level = i32::try_from(level).ok().filter(|level| (-1..=9).contains(level));
            settings.compression = level.ok_or_else(|| {
                CommandError::fatal(format!("bad pack compression level {}", self.compression.unwrap_or(0)))
            })?;
        }
        Ok(())
    }
}

/// The value of the option `name`, a number of bytes.
fn unsigned(name: &str, text: &str) -> Result<u64, CommandError> {
    let value = integer(text.as_bytes().into()).ok();
    value.and_then(|value| u64::try_from(value).ok()).ok_or_else(|| {
        CommandError::bad_option(format!(
            "option `{name}' expects a non-negative integer value with an optional k/m/g suffix"
        ))
    })
}

/// Reads `<version>[,<offset>]`.
pub(super) fn layout(text: &str) -> Result<Layout, CommandError> {
    index_version::layout(text, false).map_err(|misread| {
        CommandError::fatal(match misread {
            Misread::Version(version) => format!("unsupported index version {version}"),
            Misread::Number => format!("bad index version '{text}'"),
        })
    })
}
