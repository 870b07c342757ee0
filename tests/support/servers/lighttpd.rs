//! lighttpd with `git-http-backend` as CGI.

use std::fs;
use std::path::Path;

use super::{Process, Serve};
use crate::support::{Git, Sandbox};

/// A running lighttpd.
pub(super) struct Lighttpd(Process);

impl Lighttpd {
    /// Starts lighttpd with the `git-http-backend` of `git`.
    pub(super) fn start(sandbox: &Sandbox, git: &Git) -> Option<Self> {
        let program = super::require("lighttpd")?;
        let directory = super::home_of(sandbox, &format!("lighttpd-{}", git.version));
        let config = directory.join("lighttpd.conf");
        let process = Process::start(&directory, |port| {
            fs::write(&config, configuration(sandbox, git, &directory, port))
                .expect("the sandbox can be written");
            let mut command = sandbox.command(&program);
            command.arg("-D").arg("-f").arg(&config);
            command
        });
        Some(Self(process))
    }
}

impl Serve for Lighttpd {
    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/git/{name}", self.0.port)
    }
}

/// The configuration file. The `cgi.assign` is for every URL: in a conditional block on the URL it would not match
/// the script's path, and the program itself would be sent.
fn configuration(sandbox: &Sandbox, git: &Git, directory: &Path, port: u16) -> String {
    let here = directory.display();
    let backend = git.exec_path.join("git-http-backend");
    let variables = super::cgi_variables(sandbox).map(|(name, value)| format!("\"{name}\" => \"{value}\""));
    format!(
        "server.modules = ( \"mod_alias\", \"mod_cgi\", \"mod_setenv\" )\n\
         server.document-root = \"{here}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
         server.errorlog = \"{here}/error\"\nserver.max-request-size = 0\n\
         server.stream-response-body = 1\n\
         setenv.add-environment = ( {} )\n\
         alias.url = ( \"/git\" => \"{}\" )\ncgi.assign = ( \"git-http-backend\" => \"\" )\n",
        variables.join(", "),
        backend.display()
    )
}
