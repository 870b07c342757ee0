//! Apache with `git-http-backend` as CGI.

use std::fs;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use super::{Process, Serve};
use crate::support::{Format, Git, Sandbox, state};

/// Where Debian and Fedora keep Apache's modules.
pub(super) const MODULE_DIRECTORIES: [&str; 3] =
    ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"];
/// What the configuration below needs; some builds have one or the other compiled in.
const MODULES: [&str; 6] = ["mpm_prefork", "authz_core", "alias", "env", "cgi", "unixd"];

/// Debian's number of the user and of the group `www-data`.
const WWW_DATA: u32 = 33;

/// A running Apache.
pub(super) struct Apache(Process);

impl Apache {
    /// Starts Apache with the `git-http-backend` of `git`. Started by root it serves as `www-data`, which does not
    /// own the repositories: the sandbox's `safe.directory` allows that.
    pub(super) fn start(sandbox: &Sandbox, git: &Git) -> Option<Self> {
        let program = crate::support::find_program("apache2").or_else(|| super::require("httpd"))?;
        let Some(modules) = MODULE_DIRECTORIES.iter().map(PathBuf::from).find(|directory| directory.is_dir())
        else {
            crate::support::missing("the modules of apache");
            return None;
        };
        let directory = super::home_of(sandbox, &format!("apache-{}", git.version));
        give(&directory);
        let config = directory.join("httpd.conf");
        let process = Process::start(&directory, |port| {
            let text = configuration(sandbox, git, &directory, &modules, port);
            fs::write(&config, text).expect("the sandbox can be written");
            let mut command = sandbox.command(&program);
            command.arg("-f").arg(&config).arg("-DFOREGROUND");
            command
        });
        Some(Self(process))
    }
}

impl Serve for Apache {
    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/git/{name}", self.0.port)
    }

    fn refresh(&self, sandbox: &Sandbox, name: &str, _format: Format) {
        for path in state::everything(&sandbox.path("served").join(name)) {
            give(&path);
        }
    }
}

/// Gives `path` to the user whom the server runs as, if root starts it.
fn give(path: &Path) {
    if rustix::process::geteuid().is_root() {
        lchown(path, Some(WWW_DATA), Some(WWW_DATA)).expect("root may give it away");
    }
}

/// The configuration file: one server, one script, everybody welcome.
fn configuration(sandbox: &Sandbox, git: &Git, directory: &Path, modules: &Path, port: u16) -> String {
    let here = directory.display();
    let backend = git.exec_path.join("git-http-backend");
    let mut text = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nErrorLog {here}/error\nLogLevel warn\n\
         Mutex file:{here}\nListen 127.0.0.1:{port}\nMaxRequestWorkers 16\nStartServers 2\nTimeout 120\n"
    );
    text += &load_modules(modules, &MODULES);
    if rustix::process::geteuid().is_root() {
        text += &format!("User #{WWW_DATA}\nGroup #{WWW_DATA}\n");
    }
    for (name, value) in super::cgi_variables(sandbox) {
        text.extend([format!("SetEnv {name} \"{value}\"\n")]);
    }
    let access = "<Directory />\nRequire all granted\nOptions +ExecCGI\n</Directory>\n";
    format!("{text}ScriptAlias /git/ {}/\n{access}", backend.display())
}

/// The lines that load those of `names` that are in the directory `modules`.
pub(super) fn load_modules(modules: &Path, names: &[&str]) -> String {
    let files = names.iter().map(|name| (name, modules.join(format!("mod_{name}.so"))));
    let mut text = String::new();
    for (name, file) in files.filter(|(_, file)| file.exists()) {
        text.extend([format!("LoadModule {name}_module {}\n", file.display())]);
    }
    text
}
