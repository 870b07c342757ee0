//! `import` and `export`: the program speaks the language of git-fast-import(1), and C git's own programs make objects of
//! it and it of objects. They have to be installed.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use bstr::{BString, ByteSlice};

use super::push::{Change, Reports};
use super::{Helper, child};
use crate::progress::Progress;
use crate::transport::Error;

/// A ref of the far side, for [`Helper::export`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The ref here whose history the far side has: [`Helper::private_ref`], if it is there.
    pub known: Option<BString>,
    /// What is to become of it.
    pub change: Option<Change>,
}

impl Helper {
    /// Whether a push is an [`Helper::export`].
    pub fn exports(&self) -> bool {
        self.capabilities.export && !self.capabilities.push
    }

    /// Whether it is for us to move the private ref of what was pushed.
    pub fn wants_private_update(&self) -> bool {
        !self.capabilities.refspecs.is_empty() && !self.capabilities.no_private_update
    }

    /// Brings what `names`, refs of the listing, lead to, and moves [`Helper::private_ref`] of each.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if `git fast-import` cannot be started or fails.
    pub fn import(&mut self, names: &[BString]) -> Result<(), Error> {
        let output = self.reader.get_ref().as_fd().try_clone_to_owned()?;
        let mut command = self.git("fast-import");
        // C git has it print statistics unless asked for silence; nobody has missed them.
        command.args(["--allow-unsafe-features", "--quiet"]);
        let back_channel = if self.capabilities.bidi_import {
            let input = inheritable(self.writer.as_fd().try_clone_to_owned()?)?;
            command.arg(format!("--cat-blob-fd={}", input.as_raw_fd()));
            Some(input)
        } else {
            None
        };
        let mut import = start(command.stdin(output).stdout(Stdio::null()))?;
        drop(back_channel);
        for name in names {
            self.say(&[b"import ", name])?;
        }
        self.say(&[])?;
        ended_well(import.wait()?, "fast-import")
    }

    /// Sends the changes among `rows` as a stream of `git fast-export`; the refs of the far side come first, in its order.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the program cannot do that, or if `git fast-export` cannot be started or fails.
    pub fn export(&mut self, rows: &[Exported], progress: &mut dyn Progress) -> Result<Reports, Error> {
        if self.capabilities.refspecs.is_empty() {
            return Err(Error::Program("remote-helper doesn't support push; refspec needed".into()));
        }
        self.say(&[b"export"])?;
        let mut command = self.git("fast-export");
        let tags = if self.capabilities.signed_tags { "verbatim" } else { "warn-strip" };
        command.args(["--use-done-feature".to_owned(), format!("--signed-tags={tags}")]);
        // The marks of a stream that was not taken must not replace those that both know.
        let marks = self.capabilities.export_marks.as_ref().map(|file| file.to_path_lossy().into_owned());
        let draft = marks.as_ref().map(|file| PathBuf::from(format!("{}.tmp", file.display())));
        if let Some(draft) = &draft {
            command.arg(format!("--export-marks={}", draft.display()));
        }
        if let Some(file) = &self.capabilities.import_marks {
            command.arg(BString::from([b"--import-marks=", file.as_slice()].concat()).to_os_str_lossy());
        }
        for row in rows {
            add(&mut command, row);
        }
        let input = self.writer.as_fd().try_clone_to_owned()?;
        let mut export = start(command.stdin(Stdio::null()).stdout(input))?;
        // Its handle on the helper's input would keep that from ending.
        drop(command);
        ended_well(export.wait()?, "fast-export")?;
        let reports = self.reports(progress)?;
        if let (Some(draft), Some(marks), false) = (draft, marks, reports.is_cut) {
            keep_marks(&draft, &marks)?;
        }
        Ok(reports)
    }

    /// `git <subcommand>` in the environment that the helper has.
    fn git(&self, subcommand: &str) -> Command {
        let mut command = self.surroundings.command_here("git".into());
        if let Some(git_dir) = &self.options.git_dir {
            command.env("GIT_DIR", git_dir);
        }
        command.arg(subcommand);
        command
    }
}

/// Adds what `row` is to `git fast-export`: what is there, and what is to come.
fn add(command: &mut Command, row: &Exported) {
    if let Some(known) = &row.known {
        command.arg(BString::from([b"^", known.as_slice()].concat()).to_os_str_lossy());
    }
    let Some(Change { source, destination, .. }) = &row.change else { return };
    if source.as_ref() != Some(destination) {
        let from = source.clone().unwrap_or_default();
        let refspec = BString::from([&from[..], b":", destination].concat());
        command.arg("--refspec").arg(refspec.to_os_str_lossy());
    }
    if let Some(source) = source {
        command.arg(source.to_os_str_lossy());
    }
}

/// Marks that both know now. There are none where nothing was new.
fn keep_marks(draft: &Path, marks: &Path) -> Result<(), Error> {
    match std::fs::rename(draft, marks) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A handle that a child inherits under its number.
fn inheritable(handle: OwnedFd) -> Result<OwnedFd, Error> {
    rustix::io::fcntl_setfd(&handle, rustix::io::FdFlags::empty()).map_err(std::io::Error::from)?;
    Ok(handle)
}

fn start(command: &mut Command) -> Result<Child, Error> {
    child::trace(command);
    command.spawn().map_err(|error| {
        let text = "this remote helper needs C git's fast-import and fast-export";
        Error::Program(format!("cannot run git: {}: {text}", child::reason(&error)))
    })
}

fn ended_well(status: ExitStatus, program: &str) -> Result<(), Error> {
    if status.success() { Ok(()) } else { Err(Error::Program(format!("error while running {program}"))) }
}
