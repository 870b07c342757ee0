//! Another program that makes the pack: git-config(1), `uploadpack.packObjectsHook`.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::UploadPack;
use super::bands::{Bands, lock};
use super::elsewhere::{self, Head};
use super::send::Job;
use crate::repo::{Repository, shell};
use crate::server::Error;

/// How often one who waits for the program looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Bytes that are passed on at once.
const PART_LEN_MAX: usize = 65_515;

/// Parts that wait to be sent.
const PARTS_MAX: usize = 4;

/// What the program writes, as it comes.
enum Part {
    /// Of the pack.
    Pack(Vec<u8>),
    /// What a person may want to see.
    Text(Vec<u8>),
}

impl UploadPack<'_> {
    /// Lets `hook` make the pack of `job`, and sends it. It is given the command that C git runs otherwise, and what that
    /// is to read. Without side-bands nobody hears what it has to say. Seen in git 2.47.3.
    ///
    /// # Errors
    ///
    /// [`Error::PackObjectsHook`] if it fails. It is ended where nobody is left to read.
    pub(super) fn make_by_hook(&self, hook: &BStr, job: &Job, bands: &Mutex<Bands<'_>>) -> Result<(), Error> {
        let shallow = shallow(self.repo, job)?;
        let mut command = command(hook, &arguments(job, !shallow.is_empty()), self.repo)?;
        let failed = |source| crate::repo::Error::Io {
            action: "cannot run",
            path: PathBuf::from(hook.to_string()),
            source,
        };
        let mut child = command.spawn().map_err(failed)?;
        let mut head = (!job.uri_protocols.is_empty()).then(Head::default);
        let parts = parts(&mut child, input(job, &shallow));
        let sent = parts.and_then(|parts| self.pass_on(&parts, &mut head, bands));
        if sent.is_err() {
            // it would go on for nobody
            let _ended_or_not = child.kill();
        }
        let status = child.wait().map_err(failed)?;
        sent?;
        if status.success() { Ok(()) } else { Err(Error::PackObjectsHook { status }) }
    }

    /// Sends what comes until its end; `head` is what comes before the pack, if there may be such.
    fn pass_on(
        &self,
        parts: &Receiver<Part>,
        head: &mut Option<Head>,
        bands: &Mutex<Bands<'_>>,
    ) -> io::Result<()> {
        loop {
            let part = parts.recv_timeout(LOOK);
            let mut bands = lock(bands);
            match part {
                _ if self.watch.is_stopped() => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(Part::Pack(mut bytes)) => {
                    if let Some(before) = head {
                        let Some((lines, rest)) = before.take(&bytes)? else { continue };
                        bands.begin(&lines)?;
                        *head = None;
                        bytes = rest;
                    }
                    bands.data.extend_from_slice(&bytes);
                    bands.send_data()?;
                }
                Ok(Part::Text(bytes)) => bands.tell(&bytes)?,
                Err(RecvTimeoutError::Timeout) => bands.keep_alive()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// The commits whose parents are not seen: where our own history ends, and where the client's does and will.
fn shallow(repo: &Repository, job: &Job) -> Result<Vec<ObjectId>, Error> {
    let mut all = repo.shallow()?;
    for id in job.boundary.iter().chain(&job.receiver_shallow) {
        if !all.contains(id) {
            all.push(*id);
        }
    }
    Ok(all)
}

/// The command that C git runs where there is no hook.
fn arguments(job: &Job, is_shallow: bool) -> Vec<BString> {
    let features = &job.features;
    let mut words: Vec<BString> = vec!["git".into()];
    if is_shallow {
        words.extend(["--shallow-file".into(), "".into()]);
    }
    words.extend(["pack-objects".into(), "--revs".into()]);
    for (word, is_said) in [
        ("--thin", features.thin_pack),
        ("--stdout", true),
        ("--shallow", is_shallow),
        ("--progress", !features.no_progress),
        ("--delta-base-offset", features.ofs_delta),
        ("--include-tag", features.include_tag),
    ] {
        words.extend(is_said.then(|| word.into()));
    }
    words.extend(job.filter_spec.iter().map(|spec| [b"--filter=", spec.as_slice()].concat().into()));
    words.extend(elsewhere::options(&job.uri_protocols));
    words
}

/// What `git pack-objects --revs` reads.
fn input(job: &Job, shallow: &[ObjectId]) -> Vec<u8> {
    let line = |id: &ObjectId| format!("{id}\n");
    let mut text = String::new();
    text.extend(shallow.iter().map(|id| format!("--shallow {id}\n")));
    text.extend(job.wants.iter().map(line));
    text.push_str("--not\n");
    text.extend(job.haves.iter().map(line));
    text.push('\n');
    text.into_bytes()
}

/// `hook` with `arguments`, run as C git does: within the git directory, which `GIT_DIR` names.
fn command(hook: &BStr, arguments: &[BString], repo: &Repository) -> io::Result<Command> {
    let mut shell = shell(hook)?;
    for word in arguments {
        shell.arg(word.to_os_str().map_err(io::Error::other)?);
    }
    shell.current_dir(&repo.git_dir).env_clear().envs(repo.env.vars()).env("GIT_DIR", ".");
    if repo.env.get("GIT_NO_LAZY_FETCH").is_none() {
        // what a server lacks it does not ask of others: git-upload-pack(1), `GIT_NO_LAZY_FETCH`
        shell.env("GIT_NO_LAZY_FETCH", "1");
    }
    if let Some(parameters) = repo.config.parameters() {
        shell.env("GIT_CONFIG_PARAMETERS", parameters);
    }
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(shell)
}

/// Gives `child` its input, and what it writes to whoever receives. Threads that are left over end with its pipes.
fn parts(child: &mut Child, input: Vec<u8>) -> io::Result<Receiver<Part>> {
    let (sender, parts) = sync_channel(PARTS_MAX);
    if let Some(mut stdin) = child.stdin.take() {
        // a program need not read its input: how it ends tells whether it should have
        spawn(move || drop(stdin.write_all(&input)))?;
    }
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        spawn(move || read(stdout, Part::Pack, &sender))?;
    }
    if let Some(stderr) = child.stderr.take() {
        spawn(move || read(stderr, Part::Text, &sender))?;
    }
    Ok(parts)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("hook".into()).spawn(work).map(drop)
}

/// Reads up to the end, or until nobody wants more.
fn read(mut pipe: impl Read, part: fn(Vec<u8>) -> Part, sender: &SyncSender<Part>) {
    let mut buffer = vec![0; PART_LEN_MAX];
    loop {
        match pipe.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(amount) => {
                let bytes = buffer.get(..amount).unwrap_or_default().to_vec();
                if sender.send(part(bytes)).is_err() {
                    return;
                }
            }
        }
    }
}
