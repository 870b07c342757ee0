//! `gitr http-backend`, which a web server starts for each request. `git-http-backend(1)`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::BString;

use super::{CommandError, Context, service, signal, ui};
use crate::repo::Environment;
use crate::server::http::{Answer, Outcome, Request, Site, introduce, path_below};

/// Runs `gitr http-backend`: the request is in the environment and on standard input, the answer goes to standard output.
pub(super) fn run(_arguments: &[OsString], mut context: Context) -> Result<u8, CommandError> {
    let mut answer = Cgi(BufWriter::with_capacity(service::BUFFER_LEN, service::stdout()?));
    let request = match request(&context.env) {
        Ok(request) => request,
        Err(text) => {
            ui::message("fatal", text.as_bytes().into());
            answer.head(&Site::broken())?.flush()?;
            return Ok(0);
        }
    };
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    prepare(&mut context.env, &request);
    let exports_all = context.env.get("GIT_HTTP_EXPORT_ALL").is_some();
    let site = Site { exports_all, env: context.env, overrides: context.overrides, ..Site::default() };
    let mut input = BufReader::new(service::Input::stdin(None)?);
    Ok(match site.serve(&request, &mut input, &mut answer) {
        Outcome::Done => 0,
        Outcome::Refused(log) => {
            if !log.is_empty() {
                ui::safe_note(log.as_bytes());
            }
            0
        }
        Outcome::Broken(error) => {
            ui::message("fatal", error.to_string().as_bytes().into());
            0
        }
        Outcome::Failed(error) => {
            ui::message("fatal", error.to_string().as_bytes().into());
            1
        }
    })
}

/// The request, as RFC 3875 tells a program of it.
fn request(env: &Environment) -> Result<Request, String> {
    let text = |name: &str| BString::from(env.get(name).map(OsStr::as_bytes).unwrap_or_default());
    if env.get("REQUEST_METHOD").is_none() {
        return Err("No REQUEST_METHOD from server".into());
    }
    Ok(Request {
        method: text("REQUEST_METHOD"),
        protocol: text("SERVER_PROTOCOL"),
        path: path(env)?,
        query: text("QUERY_STRING"),
        content_type: text("CONTENT_TYPE"),
        content_encoding: text("HTTP_CONTENT_ENCODING"),
        content_length: text("CONTENT_LENGTH"),
        user: env.get("REMOTE_USER").map(|user| user.as_bytes().into()),
        address: env.get("REMOTE_ADDR").map(|address| address.as_bytes().into()),
    })
}

/// Where the request leads: below `GIT_PROJECT_ROOT`, else where the web server says.
fn path(env: &Environment) -> Result<PathBuf, String> {
    let is_given = |value: &&OsStr| !value.is_empty();
    if let Some(root) = env.get("GIT_PROJECT_ROOT").filter(is_given) {
        let below = env.get("PATH_INFO").filter(is_given);
        let below = below.ok_or("GIT_PROJECT_ROOT is set but PATH_INFO is not")?;
        return path_below(Path::new(root), below.as_bytes()).map_err(|error| error.to_string());
    }
    let translated = env.get("PATH_TRANSLATED").filter(is_given);
    translated.map(PathBuf::from).ok_or_else(|| "No GIT_PROJECT_ROOT or PATH_TRANSLATED from server".into())
}

/// What the services are told by the environment: git-http-backend(1), "ENVIRONMENT".
fn prepare(env: &mut Environment, request: &Request) {
    if env.get("GIT_PROTOCOL").is_none()
        && let Some(protocol) = env.get("HTTP_GIT_PROTOCOL").map(OsStr::to_owned)
    {
        env.set("GIT_PROTOCOL", protocol);
    }
    introduce(env, request);
}

/// The answer, as RFC 3875 has it.
struct Cgi(BufWriter<File>);

impl Answer for Cgi {
    fn head(&mut self, headers: &[(String, String)]) -> io::Result<&mut (dyn Write + Send)> {
        for (name, value) in headers {
            write!(self.0, "{name}: {value}\r\n")?;
        }
        self.0.write_all(b"\r\n")?;
        Ok(&mut self.0)
    }
}
