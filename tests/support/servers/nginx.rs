//! nginx with `git-http-backend` under fcgiwrap, and the repositories as plain files.

use std::fs;
use std::path::Path;

use super::{Process, Serve};
use crate::support::{Git, Sandbox};

/// A running nginx and the fcgiwrap behind it.
pub(super) struct Nginx {
    /// The server.
    process: Process,
    /// What runs the CGI program; held for its drop.
    _wrapper: Process,
}

impl Nginx {
    /// Starts nginx and fcgiwrap with the `git-http-backend` of `git`.
    ///
    /// # Panics
    /// If one of them does not start.
    pub(super) fn start(sandbox: &Sandbox, git: &Git) -> Option<Self> {
        let program = super::require("nginx")?;
        let wrap = super::require("fcgiwrap")?;
        let directory = super::home_of(sandbox, &format!("nginx-{}", git.version));
        let socket = directory.join("fcgi.sock");
        let mut command = sandbox.command(&wrap);
        command.args(["-f", "-c", "4", "-s"]).arg(format!("unix:{}", socket.display()));
        let mut wrapper = Process::spawn(command, &directory.join("fcgiwrap.log"), 0);
        assert!(wrapper.wait_until(|| socket.exists()), "fcgiwrap does not start");
        let config = directory.join("nginx.conf");
        let process = Process::start(&directory, |port| {
            fs::write(&config, configuration(sandbox, git, &directory, port))
                .expect("the sandbox can be written");
            let mut command = sandbox.command(&program);
            command.arg("-p").arg(&directory).arg("-c").arg(&config).arg("-e").arg(directory.join("error"));
            command
        });
        Some(Self { process, _wrapper: wrapper })
    }
}

impl Serve for Nginx {
    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/git/{name}", self.process.port)
    }
}

/// The configuration file. The repositories belong to the user who runs the test, so the worker stays that user.
fn configuration(sandbox: &Sandbox, git: &Git, directory: &Path, port: u16) -> String {
    let here = directory.display();
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let backend = git.exec_path.join("git-http-backend");
    let variables =
        super::cgi_variables(sandbox).map(|(name, value)| format!("fastcgi_param {name} \"{value}\";\n"));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|part| format!("{part}_temp_path {here}/{part};\n"))
        .concat();
    let served = sandbox.path("served");
    let served = served.display();
    fs::write(directory.join("users"), "alice:{PLAIN}sesame\n").expect("the sandbox can be written");
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {here}/pid;\nerror_log {here}/error warn;\n\
         events {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{port};\nclient_max_body_size 0;\n\
         location /plain/ {{ alias {served}/; }}\n\
         location /locked/ {{ alias {served}/; auth_basic git; auth_basic_user_file {here}/users; }}\n\
         location /moved/ {{ rewrite ^/moved/(.*) /plain/$1 redirect; }}\n\
         location /apart/ {{ alias {served}/; location ~ /apart/.*/objects/ {{ rewrite ^/apart/(.*) /plain/$1 redirect; }} }}\n\
         location ~ ^/git(/.*) {{\nfastcgi_pass unix:{here}/fcgi.sock;\n\
         fastcgi_param SCRIPT_FILENAME {};\nfastcgi_param PATH_INFO $1;\n\
         fastcgi_param QUERY_STRING $query_string;\nfastcgi_param REQUEST_METHOD $request_method;\n\
         fastcgi_param CONTENT_TYPE $content_type;\nfastcgi_param CONTENT_LENGTH $content_length;\n\
         fastcgi_param REMOTE_ADDR $remote_addr;\nfastcgi_param SERVER_PROTOCOL $server_protocol;\n\
         {}}}\n}}\n}}\n",
        backend.display(),
        variables.concat()
    )
}
