//! A repository on this machine, served by `git-upload-pack` or `git-receive-pack` as a child; where no git is installed, by
//! the program that [`OWN_PROGRAM`](super::OWN_PROGRAM) names.
//!
//! The child checks who owns the repository (`safe.directory`) and says itself what is wrong with the path; what it
//! writes to standard error goes where ours goes.

use std::ffi::OsStr;
use std::process::Command;

use bstr::{BString, ByteSlice};

use super::child::{self, Surroundings};
use super::program::{Place, Programs};
use super::stream::Stream;
use super::{Connection, Error, Options, Settings, Transport, Url};
use crate::progress::Progress;
use crate::protocol::{Service, Version};

/// Reaches [`Scheme::Path`](super::Scheme::Path) and [`Scheme::File`](super::Scheme::File).
#[derive(Debug)]
pub struct Local {
    path: BString,
    options: Options,
    surroundings: Surroundings,
    programs: Programs,
}

impl Local {
    /// The repository at the path of `url`; a relative one starts from the directory of `options`.
    pub fn new(url: &Url, settings: &dyn Settings, options: Options) -> Self {
        Self {
            path: url.path.clone(),
            surroundings: Surroundings::new(settings, &options),
            programs: Programs::new(settings, &options),
            options,
        }
    }

    /// `program 'path'`, a snippet for the shell with git's own programs within its reach.
    fn command(&self, service: Service) -> Result<Command, Error> {
        let mut program = child::far_program(&self.options, service);
        let mut directory = None;
        if program == service.name() {
            match (self.programs.find(service.name(), &self.surroundings), self.programs.own()) {
                (Some(Place::Reachable), _) => {}
                (Some(Place::Directory(place)), _) => directory = Some(place),
                (Some(Place::Subcommand), _) => program = service.name().replacen("git-", "git ", 1).into(),
                (None, Some(own)) => program = own_service(own, service),
                (None, None) => return Err(nobody_serves(service)),
            }
        }
        let snippet = BString::from([&program[..], b" ", &child::shell_quote(&self.path)].concat());
        let mut command = self.surroundings.snippet(snippet.as_bstr(), &[]);
        if let Some(directory) = directory {
            command.env("PATH", self.programs.path_with(directory));
        }
        Ok(command)
    }
}

/// The snippet that has the program `own` serve.
fn own_service(own: &OsStr, service: Service) -> BString {
    let name = service.name();
    let verb = name.strip_prefix("git-").unwrap_or(name);
    [&child::shell_quote(own.as_encoded_bytes())[..], b" ", verb.as_bytes()].concat().into()
}

fn nobody_serves(service: Service) -> Error {
    let name = service.name();
    Error::Program(format!(
        "cannot run {name}: a local repository needs {name} or git in PATH, or GIT_EXEC_PATH to say where it is"
    ))
}

impl Transport for Local {
    fn connect(
        &mut self,
        service: Service,
        version: Version,
        _progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error> {
        let mut command = self.command(service)?;
        match child::version_request(child::version_for(service, version)) {
            Some(request) => command.env("GIT_PROTOCOL", request),
            None => command.env_remove("GIT_PROTOCOL"),
        };
        let child = child::start(&mut command, "transport/file", "unable to fork")?;
        Ok(Box::new(Stream::from_child(child)?))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::open;
    use super::super::tests::{Sandbox, Table, first_line, greet, parse};
    use super::*;
    use crate::progress::Discard;

    #[test]
    fn greeted_in_every_version() {
        let sandbox = Sandbox::new();
        let path = sandbox.repository("it's a repository!.git");
        let settings = Table::default().within(&sandbox);
        let url = path.to_str().expect("text").to_owned();
        let file_url = format!("file://{}", url.replace(' ', "%20"));
        for url in [url, file_url] {
            let v2 = greet(&url, &settings, Options::default(), Version::V2).expect("version 2");
            assert_eq!(v2, "version 2\n");
            let v1 = greet(&url, &settings, Options::default(), Version::V1).expect("version 1");
            assert_eq!(v1, "version 1\n");
            let v0 = greet(&url, &settings, Options::default(), Version::V0).expect("version 0");
            assert!(v0.contains(" HEAD\0"), "{v0}");
        }
    }

    #[test]
    fn a_relative_path_starts_from_the_directory() {
        let sandbox = Sandbox::new();
        sandbox.repository("r.git");
        let settings = Table::default().within(&sandbox);
        let options = Options { directory: Some(sandbox.path().to_owned()), ..Options::default() };
        assert_eq!(greet("r.git", &settings, options, Version::V2).expect("it is there"), "version 2\n");
    }

    #[test]
    fn push_is_never_asked_for_in_version_2() {
        let sandbox = Sandbox::new();
        let path = sandbox.repository("r.git");
        let settings = Table::default().within(&sandbox);
        let url = parse(path.to_str().expect("text"));
        let mut transport = open(&url, &settings, Options::default()).expect("it opens");
        let mut connection =
            transport.connect(Service::ReceivePack, Version::V2, &mut Discard).expect("it starts");
        assert!(first_line(&mut *connection).contains("report-status"));
        connection.exchange(b"0000", &mut Discard).expect("goodbye");
        connection.close().expect("it ends well");
    }

    #[test]
    fn what_is_no_repository_says_nothing() {
        let sandbox = Sandbox::new();
        let settings = Table::default().within(&sandbox);
        let options =
            Options { upload_pack: Some("exec 2>/dev/null; git-upload-pack".into()), ..Options::default() };
        let mut transport = open(&parse("/nonexistent"), &settings, options).expect("it opens");
        let mut connection =
            transport.connect(Service::UploadPack, Version::V2, &mut Discard).expect("the shell starts");
        let mut said = Vec::new();
        connection.greeting().expect("a reader").read_to_end(&mut said).expect("it ends");
        assert!(said.is_empty());
        assert!(matches!(connection.close(), Err(Error::Ended)));
    }

    /// What the child sees, compared with what the child of C git sees.
    #[test]
    fn the_child_sees_what_it_sees_under_git() {
        let sandbox = Sandbox::new();
        let log = sandbox.path().join("log");
        let script = format!(
            "#!/bin/sh\n(for a; do echo \"<$a>\"; done; env | grep '^GIT_' | grep -v EXEC_PATH | sort) >{}\n",
            log.display()
        );
        let program = sandbox.script("upload pack", &script);
        let snippet = format!("GIT_X=1 '{}' --strict", program.display());
        let scoped = [("GIT_DIR", "/nonexistent"), ("GIT_INDEX_FILE", "/x"), ("GIT_CONFIG_COUNT", "0")];
        for (version, number) in [(Version::V0, "0"), (Version::V1, "1"), (Version::V2, "2")] {
            for path in ["/a b", "./it's!", "x/y:z"] {
                sandbox.git(&["init", "--quiet", "w"]);
                let mut git = sandbox.command("git");
                git.args([
                    "-c",
                    &format!("protocol.version={number}"),
                    "ls-remote",
                    "--upload-pack",
                    &snippet,
                    path,
                ]);
                git.envs([("GIT_INDEX_FILE", "/x"), ("GIT_DIR", "w/.git"), ("GIT_CONFIG_COUNT", "0")]);
                assert!(!git.output().expect("git runs").status.success());
                let expected = std::fs::read_to_string(&log).expect("git ran the script");

                let settings = Table::new(&[], &scoped).within(&sandbox);
                let options = Options { upload_pack: Some(snippet.as_str().into()), ..Options::default() };
                let mut transport = open(&parse(path), &settings, options).expect("it opens");
                let connection =
                    transport.connect(Service::UploadPack, version, &mut Discard).expect("it starts");
                connection.close().expect("the script ends well");
                assert_eq!(std::fs::read_to_string(&log).expect("we ran the script"), expected, "{path}");
            }
        }
    }

    #[test]
    fn where_no_git_is_the_program_that_is_named_serves() {
        let sandbox = Sandbox::new();
        let program = sandbox.script("our own", "#!/bin/sh\n/bin/echo \"$1 <$2>\"\n");
        let mut settings = Table::new(
            &[],
            &[("PATH", "/nonexistent"), (super::super::OWN_PROGRAM, program.to_str().expect("text"))],
        )
        .within(&sandbox);
        settings.children = Some(vec![("PATH".into(), "/nonexistent".into())]);
        for (service, said) in
            [(Service::UploadPack, "upload-pack <it's>\n"), (Service::ReceivePack, "receive-pack <it's>\n")]
        {
            let mut transport = open(&parse("it's"), &settings, Options::default()).expect("it opens");
            let mut connection = transport.connect(service, Version::V2, &mut Discard).expect("it starts");
            let mut heard = String::new();
            connection.greeting().expect("a reader").read_to_string(&mut heard).expect("it ends");
            assert_eq!(heard, said);
        }
    }

    #[test]
    fn programs_are_found_outside_path() {
        let sandbox = Sandbox::new();
        let program = sandbox.script("git-upload-pack", "#!/bin/sh\n/bin/echo \"$1\"\n");
        let exec_path = program.parent().expect("a directory").to_str().expect("text").to_owned();
        let mut settings =
            Table::new(&[], &[("PATH", "/nonexistent"), ("GIT_EXEC_PATH", &exec_path)]).within(&sandbox);
        settings.children = Some(vec![("PATH".into(), "/nonexistent".into())]);
        let mut transport = open(&parse("/p"), &settings, Options::default()).expect("it opens");
        let mut connection =
            transport.connect(Service::UploadPack, Version::V2, &mut Discard).expect("found");
        let mut said = String::new();
        connection.greeting().expect("a reader").read_to_string(&mut said).expect("it ends");
        assert_eq!(said, "/p\n");

        let nowhere = Table::new(&[], &[("PATH", "/nonexistent")]);
        let mut transport = Local::new(&parse("/p"), &nowhere, Options::default());
        transport.surroundings = Surroundings::new(&settings, &Options::default());
        let error = transport.connect(Service::UploadPack, Version::V2, &mut Discard).err().expect("no git");
        assert!(error.to_string().starts_with("cannot run git-upload-pack: "), "{error}");
    }
}
