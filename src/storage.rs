//! How the files of a repository are stored: who else may use them, and what of them outlasts a crash of the system.

use std::fs::File;
use std::io;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

/// The rules for the files of one repository; the default is git's where nothing is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storage {
    /// Who may read and write the files.
    pub shared: Shared,
    /// Which files are synchronised to disk before they count.
    pub synced: Synced,
    /// How hard loose objects are deflated.
    pub loose_level: Level,
}

/// A level of zlib: git-config(1), `core.looseCompression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(i8);

impl Default for Level {
    fn default() -> Self {
        Self(1)
    }
}

impl Level {
    /// The level `level`, which is that of zlib's choice if it is -1; `None` if there is none of that number.
    pub fn new(level: i64) -> Option<Self> {
        i8::try_from(level).ok().filter(|level| (-1..=9).contains(level)).map(Self)
    }

    /// From 0 to 9; `None` leaves it to zlib.
    pub(crate) fn number(self) -> Option<u32> {
        u32::try_from(self.0).ok()
    }
}

/// Who may use the files of a repository: git-config(1), `core.sharedRepository`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shared {
    /// Whom the umask lets.
    #[default]
    Umask,
    /// The group too.
    Group,
    /// The group, and others may read.
    Everybody,
    /// These bits of `0666`, whatever the umask is; directories get their `x` with each `r`.
    Mode(u16),
}

/// A kind of files that are synchronised or not: git-config(1), `core.fsync`. What C git alone writes is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Loose objects.
    LooseObject,
    /// Packs.
    Pack,
    /// Indices of packs, and what else stands beside them.
    PackMetadata,
    /// The index of a work tree.
    Index,
    /// Refs.
    Reference,
}

/// Which components are synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced(u8);

/// The bits of the components, and git's words for them and for several at once. A word may stand for what C git alone writes.
const WORDS: [(&str, u8); 11] = [
    ("loose-object", 1),
    ("pack", 2),
    ("pack-metadata", 4),
    ("commit-graph", 0),
    ("index", 8),
    ("reference", 16),
    ("objects", 3),
    ("derived-metadata", 4),
    ("committed", 19),
    ("added", 27),
    ("all", 31),
];

impl Default for Synced {
    fn default() -> Self {
        Self(2 | 4)
    }
}

impl Synced {
    /// Reads a value of `core.fsync`, with the words in it that mean nothing. Seen in git 2.47.3: a word means all components
    /// that begin with it, what is added counts after what is taken away, and `none` is known at the end alone.
    pub fn parse(value: &BStr) -> (Self, Vec<BString>) {
        let (mut all, mut added, mut removed) = (Self::default().0, 0, 0);
        let mut unknown = Vec::new();
        let words = value.split(|byte| *byte == b',').map(|word| word.trim_start_with(|char| char == ' '));
        let mut words = words.filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            if word == b"none" && words.peek().is_none() {
                all = 0;
                continue;
            }
            let (prefix, bits) = match word.strip_prefix(b"-") {
                Some(prefix) => (prefix, &mut removed),
                None => (word, &mut added),
            };
            let mut meant = WORDS.iter().filter(|(name, _)| name.as_bytes().starts_with(prefix)).peekable();
            if meant.peek().is_none() {
                unknown.push(prefix.into());
            }
            *bits |= meant.fold(0, |bits, (_, more)| bits | more);
        }
        (Self((all & !removed) | added), unknown)
    }

    /// With `component` as well.
    #[must_use]
    pub fn with(self, component: Component) -> Self {
        Self(self.0 | component.bit())
    }
}

impl Component {
    const fn bit(self) -> u8 {
        match self {
            Self::LooseObject => 1,
            Self::Pack => 2,
            Self::PackMetadata => 4,
            Self::Index => 8,
            Self::Reference => 16,
        }
    }
}

impl Shared {
    /// The rule as the crates of gitoxide take it: bits to add, or less than 0 those to have.
    fn bits(self) -> i32 {
        match self {
            Self::Umask => 0,
            Self::Group => 0o660,
            Self::Everybody => 0o664,
            Self::Mode(mode) => -i32::from(mode),
        }
    }

    /// The value that `git init --shared` writes down; `None` where the umask rules.
    pub fn value(self) -> Option<String> {
        match self {
            Self::Umask => None,
            Self::Group => Some("1".to_owned()),
            Self::Everybody => Some("2".to_owned()),
            Self::Mode(mode) => Some(format!("{mode:#06o}").replacen("0o", "", 1)),
        }
    }
}

impl Storage {
    /// The bits of [`Shared`] for locks.
    pub(crate) fn bits(self) -> i32 {
        self.shared.bits()
    }

    /// Lets those use the file or directory at `path` who may.
    pub(crate) fn share(self, path: &Path) -> io::Result<()> {
        gix_fs::set_shared_repository_permissions(path, self.bits())
    }

    /// Makes `directory` and its parents, as far as they are missing, for those who may use them.
    pub(crate) fn make_directories(self, directory: &Path) -> io::Result<()> {
        gix_fs::dir::create::all(directory, gix_fs::dir::create::Retries::default(), self.bits()).map(drop)
    }

    /// Writes a file in one go, for those who may use it.
    pub(crate) fn write(self, path: &Path, content: &[u8]) -> io::Result<()> {
        std::fs::write(path, content)?;
        self.share(path)
    }

    /// Copies a file to where none is; `mode` makes of its mode the one that the copy gets, less the umask.
    pub(crate) fn copy(self, from: &Path, to: &Path, mode: fn(u32) -> u32) -> io::Result<()> {
        let mut from = File::open(from)?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
            options.mode(mode(from.metadata()?.permissions().mode()));
        }
        io::copy(&mut from, &mut options.open(to)?)?;
        self.share(to)
    }

    /// Sees to it that what `file` has outlasts a crash of the system, if that is asked for.
    pub(crate) fn sync(self, component: Component, file: &File) -> io::Result<()> {
        if self.syncs(component) { file.sync_all() } else { Ok(()) }
    }

    /// Whether `component` is to be synchronised.
    pub(crate) fn syncs(self, component: Component) -> bool {
        self.synced.0 & component.bit() != 0
    }
}
