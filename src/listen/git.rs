//! C git in the place of our services: its `git http-backend` answers, everything else stays as it is. It is the way back
//! if ours should fail, and what ours is compared with.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use bstr::{BString, ByteSlice};
use rustix::event::{PollFd, PollFlags, poll};

use crate::repo::config::{Override, overrides_as_parameters};
use crate::server::enter::{Naming, enter};
use crate::server::http::{Answer, Outcome, Pushes, Request, Site, directory_of};
use crate::server::{self, Watch};

/// How often one who waits for the program looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of the head of an answer.
const HEAD_LEN_MAX: u64 = 65_536;

/// Answers `request` by `program`, which is git.
pub(super) fn serve(
    program: &Path,
    site: &Site,
    request: &Request,
    input: &mut (dyn Read + Send),
    answer: &mut dyn Answer,
) -> Outcome {
    match answered(program, site, request, (input, answer)) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error),
    }
}

fn answered(
    program: &Path,
    site: &Site,
    request: &Request,
    (input, answer): (&mut (dyn Read + Send), &mut dyn Answer),
) -> Result<Outcome, server::Error> {
    let Some(may_push) = gate(site, request)? else {
        let headers = [("Status".to_owned(), "404 Not Found".to_owned())];
        answer.head(&headers)?.flush()?;
        return Ok(Outcome::Refused("Leads out of what is served".into()));
    };
    let mut child = command(program, site, request, may_push).spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(server::Error::Refused("git has no pipes".into()));
    };
    let told = std::thread::scope(|scope| {
        let fed = std::thread::Builder::new().spawn_scoped(scope, || feed(stdin, input));
        let told = fed.and_then(|_| tell(stdout, answer, &site.watch));
        if told.is_err() {
            // it would go on for nobody
            end(&mut child);
        }
        told
    });
    // what it has to say of its end the client has heard by now
    let _status = child.wait()?;
    Ok(told?.map_or(Outcome::Done, Outcome::Refused))
}

fn end(child: &mut Child) {
    // it may have ended by itself
    let _ended = child.kill();
}

/// Looks where the path leads, and who may push; `None` if it leads out of what is served.
fn gate(site: &Site, request: &Request) -> Result<Option<bool>, server::Error> {
    let Some(directory) = directory_of(request) else { return Ok(Some(false)) };
    let may_push = match site.pushes {
        Pushes::Known => request.user.as_ref().is_some_and(|user| !user.is_empty()),
        Pushes::All => true,
        Pushes::None => false,
    };
    let repo = match enter(&directory, Naming::Lenient, &site.overrides, &site.env) {
        Ok(repo) => repo,
        // it says so itself
        Err(server::Error::Missing(_)) => return Ok(Some(may_push)),
        Err(error) => return Err(error),
    };
    if !site.holds(&repo) {
        return Ok(None);
    }
    Ok(Some(repo.config.boolean("http.receivepack")?.unwrap_or(may_push)))
}

/// git as a CGI program: RFC 3875.
fn command(program: &Path, site: &Site, request: &Request, may_push: bool) -> Command {
    let mut command = Command::new(program);
    command.arg("http-backend").env_clear().envs(site.env.vars());
    let mut overrides: Vec<Override> = site.overrides.clone();
    let word: BString = if may_push { "true" } else { "false" }.into();
    overrides.push(("http.receivepack".into(), Some(word)));
    command.env("GIT_CONFIG_PARAMETERS", overrides_as_parameters(&overrides, &site.env));
    command.env("PATH_TRANSLATED", &request.path).env_remove("GIT_PROJECT_ROOT");
    if site.exports_all {
        command.env("GIT_HTTP_EXPORT_ALL", "1");
    }
    let mut set = |name: &str, value: &BString| {
        if !value.is_empty() {
            command.env(name, value.to_os_str_lossy());
        }
    };
    set("REQUEST_METHOD", &request.method);
    set("SERVER_PROTOCOL", &request.protocol);
    set("QUERY_STRING", &request.query);
    set("CONTENT_TYPE", &request.content_type);
    set("CONTENT_LENGTH", &request.content_length);
    set("HTTP_CONTENT_ENCODING", &request.content_encoding);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Gives it the body of the request. It may not want all of it.
fn feed(mut stdin: ChildStdin, input: &mut (dyn Read + Send)) {
    let _all_or_some = io::copy(input, &mut stdin);
}

/// Passes its answer on; the status if that is a refusal.
fn tell(stdout: ChildStdout, answer: &mut dyn Answer, watch: &Watch) -> io::Result<Option<String>> {
    let mut output = BufReader::with_capacity(65_536, Watched { stdout, watch });
    let mut headers = Vec::new();
    loop {
        let mut line = Vec::new();
        (&mut output).take(HEAD_LEN_MAX).read_until(b'\n', &mut line)?;
        let text = line.trim_ascii_end().to_str_lossy().into_owned();
        match text.split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None if text.is_empty() && line.ends_with(b"\n") => break,
            None => return Err(io::Error::other("git http-backend does not answer as a CGI program")),
        }
    }
    let out = answer.head(&headers)?;
    loop {
        let bytes = output.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            break;
        }
        out.write_all(bytes)?;
        if length < output.capacity() {
            // it may be all that the client hears for a while
            out.flush()?;
        }
        output.consume(length);
    }
    out.flush()?;
    Ok(headers.into_iter().find(|(name, _)| name == "Status").map(|(_, status)| status))
}

/// Output of a program, as long as somebody wants it.
struct Watched<'a> {
    stdout: ChildStdout,
    watch: &'a Watch,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = LOOK.try_into().map_err(io::Error::other)?;
        loop {
            if self.watch.is_stopped() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
            if poll(&mut fds, Some(&limit))? > 0 {
                return self.stdout.read(buffer);
            }
        }
    }
}
