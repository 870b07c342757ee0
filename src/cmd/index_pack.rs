//! `gitr index-pack`: an index for a pack, from a file or from standard input. `git-index-pack(1)`.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use bstr::BString;
use gix_hash::ObjectId;

use super::error::reason;
use super::ui::Meters;
use super::{CommandError, Context, Show, signal, ui};
use crate::pack::examine::{self, Examined};
use crate::pack::fsck::Rules;
use crate::pack::index::Layout;
use crate::pack::placement::{Connectivity, Placement};
use crate::pack::{self, Bases, Comparable, Stored};
use crate::repo::{Config, Objects, Repository};

mod arguments;
mod verify;

use arguments::{Arguments, Verify};

/// The input is read in pieces of this size.
const READ_LEN: usize = 128 * 1024;

/// Runs `gitr index-pack`.
pub(super) fn run(words: &[OsString], context: Context) -> Result<u8, CommandError> {
    let arguments = Arguments::parse(words)?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let place = match context.repository() {
        Ok(repo) => Place::Repository(Box::new(repo)),
        Err(_outside) => Place::Outside(context.config()?),
    };
    place.config().check_core_without_refs()?;
    let repo = place.repository();
    arguments.check(repo.is_some())?;
    let objects = repo.map(Repository::objects).transpose()?;
    let mut meters = context.meters(place.config(), Show { verbosity: 0, progress: Some(arguments.verbose) });
    let job = Job {
        objects,
        shallow: repo.map(Repository::shallow).transpose()?.unwrap_or_default(),
        rules: arguments.rules()?,
        hash: arguments.hash.or(repo.map(|repo| repo.object_hash)).unwrap_or(gix_hash::Kind::Sha1),
        place,
        arguments,
    };
    job.run(&mut meters)
}

/// Where the command runs.
enum Place {
    Repository(Box<Repository>),
    Outside(Config),
}

impl Place {
    fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Repository(repo) => Some(repo),
            Self::Outside(_) => None,
        }
    }

    fn config(&self) -> &Config {
        match self {
            Self::Repository(repo) => &repo.config,
            Self::Outside(config) => config,
        }
    }
}

/// One run of the command.
struct Job {
    arguments: Arguments,
    place: Place,
    objects: Option<Objects>,
    shallow: Vec<ObjectId>,
    hash: gix_hash::Kind,
    rules: Option<Rules>,
}

impl Job {
    fn run(self, meters: &mut Meters) -> Result<u8, CommandError> {
        let placement = self.placement()?;
        if self.arguments.verify.is_some() {
            verify::check(placement.idx.as_deref())?;
        }
        let comparable = self.objects.as_ref().map(|objects| Comparable(objects));
        let known = comparable.as_ref();
        let (id, is_whole, left) = if self.arguments.stdin {
            self.receive(known, &placement, meters)?
        } else {
            let examined = self.examine(known, &placement, meters)?;
            if let Some(verify) = self.arguments.verify {
                verify::run(&examined, verify, &placement, self.pack_path())?;
                return Ok(0);
            }
            examined.write(&placement, self.place.config().storage()?)?;
            (examined.pack_id(), examined.links().is_empty(), Vec::new())
        };
        let word = match (self.arguments.stdin, placement.made_keep.get()) {
            (false, _) => "",
            (true, false) => "pack\t",
            (true, true) => "keep\t",
        };
        ui::out(format!("{word}{id}").as_bytes())?;
        ui::out_raw(&left)?;
        for missing in placement.missing_modules.into_iter().flat_map(RefCell::into_inner) {
            ui::out(missing.to_string().as_bytes())?;
        }
        Ok(u8::from(self.arguments.connected && !is_whole))
    }

    /// Takes in the pack on standard input. Gives its id, whether it refers to nothing else, and what was read beyond it,
    /// which is for whoever reads our output.
    fn receive(
        &self,
        known: Option<&Comparable<'_>>,
        placement: &Placement,
        meters: &mut Meters,
    ) -> Result<(ObjectId, bool, Vec<u8>), CommandError> {
        if let Some(path) = &placement.pack {
            check_new(path)?;
        }
        let header = self.arguments.pack_header.map(|header| header.to_vec()).unwrap_or_default();
        let input = io::Cursor::new(header).chain(io::stdin());
        let mut input = BufReader::with_capacity(READ_LEN, input);
        let options = pack::Options { to_end: is_file(io::stdin()), ..self.options(known)? };
        let received = pack::receive_at(&mut input, &options, placement, meters)?;
        match received.stored {
            Stored::Pack { .. } | Stored::Loose | Stored::Nothing => {
                Ok((received.pack_id, received.links.is_empty(), input.buffer().to_vec()))
            }
        }
    }

    fn examine<'a>(
        &'a self,
        known: Option<&'a Comparable<'a>>,
        placement: &Placement,
        meters: &mut Meters,
    ) -> Result<Examined<'a>, CommandError> {
        let path = self.pack_path().to_owned();
        let file = File::open(&path).map_err(|error| {
            let (path, reason) = (path.display(), reason(&error));
            CommandError::fatal(format!("could not open '{path}' for reading: {reason}"))
        })?;
        let options = self.options(known)?;
        Ok(examine::examine((&path, file), &options, placement, meters)?)
    }

    /// The options of both ways in.
    fn options<'a>(&'a self, known: Option<&'a Comparable<'a>>) -> Result<pack::Options<'a>, CommandError> {
        let arguments = &self.arguments;
        let threads = match arguments.threads {
            Some(threads) => threads,
            None => threads(self.place.config())?,
        };
        let objects = self.objects.as_ref().map(|objects| objects as &dyn Bases);
        Ok(pack::Options {
            objects: self.place.repository().map(|repo| repo.objects_dir.clone()).unwrap_or_default(),
            storage: self.place.config().storage()?,
            object_hash: self.hash,
            bases: if arguments.fix_thin { objects } else { known.map(|known| known as &dyn Bases) },
            unpack_limit: 0,
            keep: None,
            promisor: arguments.promisor.as_ref().filter(|_| arguments.stdin).map(line),
            threads,
            size_max_bytes: arguments.input_size_max_bytes,
            made_len_max: 0,
            to_end: true,
            fsck: self.rules.as_ref(),
            shallow: &self.shallow,
        })
    }

    /// The pack file of the command line.
    fn pack_path(&self) -> &Path {
        self.arguments.pack.as_deref().unwrap_or(Path::new(""))
    }

    fn placement(&self) -> Result<Placement, CommandError> {
        let arguments = &self.arguments;
        let has_rev = match arguments.rev_index {
            Some(wish) => wish,
            None => self.place.config().boolean("pack.writeReverseIndex")?.unwrap_or(true),
        };
        let idx = match (&arguments.index, &arguments.pack) {
            (Some(index), _) => Some(index.clone()),
            (None, Some(pack)) => Some(named(pack, ".pack", "packfile")?.with_extension("idx")),
            (None, None) => None,
        };
        if let Some(index) = idx.as_ref().filter(|_| has_rev && arguments.index.is_some()) {
            let _index = named(index, ".idx", "packfile")?;
        }
        let is_strict = arguments.strict || arguments.connected;
        Ok(Placement {
            pack: arguments.pack.clone(),
            idx,
            has_rev,
            layout: self.layout()?,
            keep: arguments.keep.as_ref().map(line),
            promisor: arguments.promisor.as_ref().map(line),
            title: self.title(),
            missing_modules: (arguments.fsck_objects && !arguments.strict).then(RefCell::default),
            connectivity: if is_strict { Connectivity::Required } else { Connectivity::Ignored },
            is_strict,
            keeps_empty: true,
            ..Placement::default()
        })
    }

    fn title(&self) -> &'static str {
        match &self.arguments.progress_title {
            // Kept for as long as the process runs, which has one title.
            Some(title) => Box::leak(title.to_string_lossy().into_owned().into_boxed_str()),
            None if self.arguments.stdin => "Receiving objects",
            None => "Indexing objects",
        }
    }

    fn layout(&self) -> Result<Layout, CommandError> {
        if let Some(layout) = self.arguments.layout {
            return Ok(layout);
        }
        match self.place.config().integer("pack.indexVersion")? {
            None => Ok(Layout::default()),
            Some(version @ 1..=2) => {
                Ok(Layout { version: u8::try_from(version).unwrap_or(2), ..Layout::default() })
            }
            Some(other) => Err(CommandError::fatal(format!("bad pack.indexVersion={other}"))),
        }
    }
}

/// Whether `input` is a file, and no pipe that may go on.
fn is_file(input: impl AsFd) -> bool {
    let file = input.as_fd().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// `pack.threads`.
fn threads(config: &Config) -> Result<usize, CommandError> {
    let wish = config.integer("pack.threads")?.unwrap_or(0);
    usize::try_from(wish)
        .map_err(|_| CommandError::fatal(format!("invalid number of threads specified ({wish})")))
}

/// Whether a file can be made at `path`.
fn check_new(path: &Path) -> Result<(), CommandError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let reason = match directory.map(Path::metadata) {
        Some(Err(error)) => reason(&error),
        Some(Ok(_)) | None if path.exists() => "File exists".to_owned(),
        Some(Ok(_)) | None => return Ok(()),
    };
    Err(CommandError::fatal(format!("unable to create '{}': {reason}", path.display())))
}

/// `path`, which must end with `suffix`.
fn named<'a>(path: &'a Path, suffix: &str, what: &str) -> Result<&'a Path, CommandError> {
    if path.as_os_str().as_bytes().ends_with(suffix.as_bytes()) {
        return Ok(path);
    }
    let path = path.display();
    Err(CommandError::fatal(format!("{what} name '{path}' does not end with '{suffix}'")))
}

/// The content of a file that holds `message`: a line, unless it is empty.
fn line(message: &OsString) -> BString {
    let mut content = message.clone().into_vec();
    if !content.is_empty() {
        content.push(b'\n');
    }
    content.into()
}
