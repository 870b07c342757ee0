//! The hooks of a push. githooks(5).

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use bstr::BString;
use gix_hash::ObjectId;

use super::certificate::Presented;
use super::{Row, Voice};
use crate::protocol::fetch::SideBand;
use crate::protocol::push::Command;
use crate::repo::{Environment, Repository, TemporaryFile};
use crate::server::Error;

/// What the hooks run in.
pub(super) struct Hooks<'a> {
    pub repo: &'a Repository,
    /// What `git push -o` said.
    pub options: Vec<BString>,
    /// What the client has signed.
    pub certificate: Option<Presented<'a>>,
    /// Tells where history ends, as it will if all goes well.
    shallow: OnceCell<TemporaryFile>,
}

impl<'a> Hooks<'a> {
    pub(super) fn new(
        repo: &'a Repository,
        options: Vec<BString>,
        certificate: Option<Presented<'a>>,
    ) -> Self {
        Self { repo, options, certificate, shallow: OnceCell::new() }
    }

    /// Lets the hooks see history that ends where that of `rows` does, as in git 2.47.3.
    pub(super) fn see(&self, rows: &[Row]) -> Result<(), Error> {
        let ends: Vec<ObjectId> =
            rows.iter().filter(|row| row.is_open()).flat_map(|row| &row.ends).copied().collect();
        if ends.is_empty() {
            return Ok(());
        }
        let boundary = [self.repo.shallow()?, ends].concat();
        let lines: Vec<String> = boundary.iter().map(|id| format!("{id}\n")).collect();
        let mut file = TemporaryFile::create(&std::path::absolute(&self.repo.common_dir)?)?;
        file.write_all(lines.concat().as_bytes())?;
        let _file = self.shallow.get_or_init(|| file);
        Ok(())
    }

    /// What hooks run in.
    pub(super) fn environment(&self) -> Environment {
        self.seeing(self.repo.env.clone())
    }

    fn seeing(&self, mut env: Environment) -> Environment {
        if let Some(file) = self.shallow.get() {
            env.set("GIT_SHALLOW_FILE", file.path());
        }
        env
    }

    /// Asks `pre-receive`, in an environment in which the new objects can be seen; whether it agrees.
    pub(super) fn before(
        &self,
        rows: &[Row],
        env: Environment,
        voice: &mut Voice<'_>,
    ) -> Result<bool, Error> {
        let lines = lines(rows.iter().filter(|row| row.is_open()));
        if lines.is_empty() || self.repo.hook("pre-receive")?.is_none() {
            return Ok(true);
        }
        let env = self.telling(self.seeing(env), voice)?;
        self.run("pre-receive", &[], &lines, env, voice)
    }

    /// Asks `update` about one ref; whether it agrees.
    pub(super) fn update(&self, row: &Row, voice: &mut Voice<'_>) -> Result<bool, Error> {
        let command = &row.command;
        let (old, new) = (command.old.to_string(), command.new.to_string());
        let arguments = [OsStr::from_bytes(&command.name), OsStr::new(&old), OsStr::new(&new)];
        self.run("update", &arguments, b"", self.environment(), voice)
    }

    /// Tells `post-receive` and `post-update` what was done. What they think of it changes nothing.
    pub(super) fn afterwards(&self, rows: &[Row], voice: &mut Voice<'_>) -> Result<(), Error> {
        let done: Vec<&Row> = rows.iter().filter(|row| row.error.is_none() && !row.is_absent).collect();
        if done.is_empty() {
            return Ok(());
        }
        if self.repo.hook("post-receive")?.is_some() {
            let lines = lines(done.iter().copied());
            let env = self.telling(self.environment(), voice)?;
            self.run("post-receive", &[], &lines, env, voice)?;
        }
        let names: Vec<&OsStr> = done.iter().map(|row| OsStr::from_bytes(&row.command.name)).collect();
        self.run("post-update", &names, b"", self.environment(), voice)?;
        Ok(())
    }

    /// Runs the hook `name`, if there is one; whether it agrees. What it writes is for the client. One that cannot be started does
    /// not agree.
    fn run(
        &self,
        name: &str,
        arguments: &[&OsStr],
        input: &[u8],
        env: Environment,
        voice: &mut Voice<'_>,
    ) -> Result<bool, Error> {
        let Some(hook) = self.repo.hook(name)? else { return Ok(true) };
        let hook = hook.within(env);
        let mut failure = None;
        voice.spoke = Instant::now();
        let code = if voice.side_band == SideBand::None {
            hook.run(arguments, input)
        } else {
            hook.run_heard(arguments, input, &mut |text| {
                if failure.is_none() {
                    failure = voice.hear(text).err();
                }
            })
        };
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(code == 0)
    }

    /// `env`, which tells of the push options and of the certificate.
    fn telling(&self, mut env: Environment, voice: &mut Voice<'_>) -> Result<Environment, Error> {
        env.set("GIT_PUSH_OPTION_COUNT", self.options.len().to_string());
        for (number, option) in self.options.iter().enumerate() {
            env.set(format!("GIT_PUSH_OPTION_{number}"), OsString::from(OsStr::from_bytes(option)));
        }
        if let Some(certificate) = &self.certificate {
            for (name, value) in certificate.variables(self.repo, voice)? {
                env.set(*name, OsStr::from_bytes(value));
            }
        }
        Ok(env)
    }
}

/// `<old> <new> <ref>`, a line each; of what the hook did, where it did something else.
fn lines<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<u8> {
    let line = |old: ObjectId, new: ObjectId, name: &BString| {
        [format!("{old} {new} ").as_bytes(), name, b"\n"].concat()
    };
    let lines = |row: &Row| -> Vec<u8> {
        let Command { name, old, new } = &row.command;
        if row.rewritten.is_empty() {
            return line(*old, *new, name);
        }
        let told = row.rewritten.iter().map(|rewritten| {
            let name = rewritten.name.as_ref().unwrap_or(name);
            line(rewritten.old.unwrap_or(*old), rewritten.new.unwrap_or(*new), name)
        });
        told.collect::<Vec<_>>().concat()
    };
    rows.flat_map(lines).collect()
}
