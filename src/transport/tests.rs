//! What the tests of all transports share, and the tests of [`open`].

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bstr::ByteSlice;

use super::*;
use crate::progress::Event;

/// Settings from two tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    config: Vec<(String, BString)>,
    env: Vec<(OsString, OsString)>,
    /// What children get in place of this process's environment.
    pub(super) children: Option<Vec<(OsString, OsString)>>,
}

impl Table {
    pub(super) fn new(config: &[(&str, &str)], env: &[(&str, &str)]) -> Self {
        let config = config.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { config, env, children: None }
    }

    /// With the environment of `sandbox`, for us and for the children.
    pub(super) fn within(mut self, sandbox: &Sandbox) -> Self {
        let mut env = sandbox.environment();
        env.append(&mut self.env);
        self.env = env;
        self.children = Some(self.env.clone());
        self
    }
}

impl Settings for Table {
    fn value(&self, key: &str) -> Option<BString> {
        self.config.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    fn section(&self, name: &str) -> Vec<Entry> {
        let keys = self.config.iter().filter_map(|(key, value)| {
            let key = key.strip_prefix(name)?.strip_prefix('.')?.to_lowercase();
            Some(Entry { subsection: None, key, value: Some(value.clone()) })
        });
        keys.collect()
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn environment(&self) -> Option<Vec<(OsString, OsString)>> {
        self.children.clone()
    }
}

/// Keeps what is told.
#[derive(Debug, Default)]
pub(super) struct Recorder(pub(super) RefCell<Vec<String>>);

impl Progress for Recorder {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Detail { text, .. } = event {
            self.0.borrow_mut().push(text.to_owned());
        }
        ControlFlow::Continue(())
    }
}

/// A directory that is home to everything a test starts.
pub(super) struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What programs in the sandbox see: its own home, no system configuration, this process's `PATH`.
    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        #[expect(clippy::disallowed_methods, reason = "the programs that tests start are found as usual")]
        let path = std::env::var_os("PATH").unwrap_or_default();
        vec![
            ("PATH".into(), path),
            ("HOME".into(), self.path().into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("LC_ALL".into(), "C".into()),
        ]
    }

    /// `program` in the sandbox, with no more of this process's environment than needed.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", output.stderr.as_bstr());
        String::from_utf8(output.stdout).expect("text")
    }

    /// A bare repository `name` with one commit.
    pub(super) fn repository(&self, name: &str) -> PathBuf {
        self.git(&["init", "--quiet", "--bare", name]);
        let tree = self.git(&["-C", name, "hash-object", "-w", "-t", "tree", "/dev/null"]);
        let author = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
        let commit = [&["-C", name][..], &author, &["commit-tree", "-m", "first", tree.trim()]].concat();
        let id = self.git(&commit);
        self.git(&["-C", name, "update-ref", "HEAD", id.trim()]);
        self.path().join(name)
    }

    /// The script `name`, made executable.
    #[cfg(unix)]
    pub(super) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join(name);
        // Written and renamed: a thread that forks meanwhile would else hold it open, and it could not be run.
        let source = self.path().join(format!("{name}.source"));
        std::fs::write(&source, text).expect("it can be written");
        let status = self.command("cp").arg(&source).arg(&path).status().expect("cp runs");
        assert!(status.success());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }
}

pub(super) fn parse(url: &str) -> Url {
    Url::parse(url.into()).expect("the URL parses")
}

/// The first pkt-line that a far side says, without its length.
pub(super) fn first_line(connection: &mut dyn Connection) -> String {
    let reader = connection.greeting().expect("a greeting");
    let mut length = [0; 4];
    reader.read_exact(&mut length).expect("a length");
    let length = usize::from_str_radix(std::str::from_utf8(&length).expect("digits"), 16).expect("a length");
    let mut line = vec![0; length - 4];
    reader.read_exact(&mut line).expect("a line");
    String::from_utf8(line).expect("text")
}

/// Opens a session with `url`, reads the first line, says goodbye and closes.
pub(super) fn greet(
    url: &str,
    settings: &Table,
    options: Options,
    version: Version,
) -> Result<String, Error> {
    let mut transport = open(&parse(url), settings, options)?;
    let mut connection = transport.connect(Service::UploadPack, version, &mut Recorder::default())?;
    let line = first_line(&mut *connection);
    connection.exchange(b"0000", &mut crate::progress::Discard)?;
    connection.close()?;
    Ok(line)
}

fn refusal(url: &str, settings: &Table) -> String {
    match open(&parse(url), settings, Options::default()) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_could_be_an_option_is_blocked() {
    let proxy = Table::new(&[], &[("GIT_PROXY_COMMAND", "/bin/true")]);
    for (url, expected) in [
        ("ssh://-oProxyCommand=x/path", "strange hostname '-oProxyCommand=x' blocked"),
        ("ssh://-x@h/p", "strange hostname '-x@h' blocked"),
        ("ssh://u@-x/p", "strange hostname '-x' blocked"),
        ("ssh://[-x]:22/p", "strange hostname '-x' blocked"),
        ("ssh://%2dx/p", "strange hostname '-x' blocked"),
        ("-x:p", "strange hostname '-x' blocked"),
        ("[-x:1]:p", "strange hostname '-x' blocked"),
        ("git://-x/p", "strange hostname '-x' blocked"),
        ("git://h/p%0ahost=x", "newline is forbidden in git:// hosts and repo paths"),
        ("git://h%0a/p", "newline is forbidden in git:// hosts and repo paths"),
        ("git://h/p\0host=x", "newline is forbidden in git:// hosts and repo paths"),
        ("http://h/%0a", "url contains a newline in its path component: http://h/%0a/"),
        ("https://u:p%0A@h/p", "url contains a newline in its password component: https://h/p/"),
        ("https://u%0Ahost=x@h/p", "url contains a newline in its username component: https://h/p/"),
        ("ssh://h%0a/p", "control characters are forbidden in ssh hosts and users"),
        ("ssh://u%1b[31m@h/p", "control characters are forbidden in ssh hosts and users"),
        ("h\x07:p", "control characters are forbidden in ssh hosts and users"),
        ("ext::sh -c x", "transport 'ext' not allowed"),
        ("bzr://h/p", "'bzr' needs a remote helper program, which is not used here"),
    ] {
        assert_eq!(refusal(url, &proxy), expected, "{url}");
    }
    for path in ["-p", "h:-p"] {
        let error = Url::parse(path.into()).expect_err("it is blocked");
        assert_eq!(error.to_string(), "strange pathname '-p' blocked");
    }
}

#[test]
fn the_policy_holds_for_every_transport() {
    let never = Table::new(&[("protocol.allow", "never")], &[]);
    for (url, name) in [
        ("/p", "file"),
        ("file:///p", "file"),
        ("git://h/p", "git"),
        ("h:p", "ssh"),
        ("ssh://h/p", "ssh"),
        ("http://h/p", "http"),
        ("https://h/p", "https"),
        ("foo::p", "foo"),
    ] {
        assert_eq!(refusal(url, &never), format!("transport '{name}' not allowed"), "{url}");
    }
}
