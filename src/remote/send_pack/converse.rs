//! The conversation itself: a pack is made, sent and commented on at once.

use std::io::{self, BufRead, Cursor, Read};

use super::CUT_BEHIND_REPORT;
use super::ask::Pack;
use super::pipe::{PipeReader, PipeWriter, pipe};
use super::{Options, tell};
use crate::pack;
use crate::pack::enumerate::Enumerated;
use crate::pack::produce::produce;
use crate::progress::{Event, Handle, Progress, Shared};
use crate::protocol::push::{NO_STATUS, Report, Request};
use crate::protocol::sideband::Demux;
use crate::protocol::{self, trace};
use crate::remote::promisor::{LazyFetch, enumerate_whole};
use crate::remote::{Error, Session};
use crate::repo::{Objects, Repository};
use crate::telemetry;
use crate::transport;

/// What was heard.
pub(super) struct Heard {
    /// What the far side reported, or as much as was understood; `None` if it was not asked to.
    pub(super) report: Option<Report>,
    /// How it ended.
    pub(super) result: Result<(), Error>,
}

/// How the far side answers.
#[derive(Clone, Copy)]
struct Form {
    reports: bool,
    has_bands: bool,
    object_hash: gix_hash::Kind,
}

/// Says `request`, with `pack` behind it, and hears what the far side says.
pub(super) fn converse(
    session: &mut Session,
    (repo, options): (&Repository, &Options),
    request: &Request,
    pack: Option<&Pack>,
    progress: &mut dyn Progress,
) -> Heard {
    let has = |word: &str| request.capabilities.iter().any(|known| known == word);
    let form = Form {
        reports: has("report-status-v2") || has("report-status"),
        has_bands: has("side-band-64k"),
        object_hash: repo.object_hash,
    };
    let mut report = form.reports.then(Report::default);
    let result = request.encode().map_err(Error::from).and_then(|request| {
        trace::sent(&request);
        let shared = Shared::new(progress);
        let mut hear = |input: &mut dyn BufRead| hear(input, form, report.as_mut(), &shared);
        match pack {
            None => session
                .connection()
                .converse(&mut Cursor::new(request), &mut hear, &mut shared.handle())
                .map_err(flat),
            Some(pack) => {
                let maker = Maker { repo, pack, options };
                send_with(session, &maker, request, (form, &mut hear), &shared)
            }
        }
    });
    Heard { report, result }
}

/// As [`converse`], with a pack that another thread makes meanwhile.
fn send_with(
    session: &mut Session,
    maker: &Maker<'_>,
    request: Vec<u8>,
    (form, hear): (Form, Hear<'_>),
    shared: &Shared<'_>,
) -> Result<(), Error> {
    let source = maker.repo.objects()?.here();
    let (writer, reader) = pipe();
    let stopper = reader.stopper();
    let mut body = Body { request: Cursor::new(request), pack: reader, is_said: false };
    let mut hear_all = |input: &mut dyn BufRead| {
        let heard = hear(input);
        if heard.is_err() || form.is_heard() {
            // All has been answered: nobody waits for the rest of a pack.
            stopper.stop();
        }
        heard
    };
    let (made, conversed) = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("pack".into());
        let making = thread.spawn_scoped(scope, || maker.run(source, writer, shared.handle()))?;
        let conversed = session.connection().converse(&mut body, &mut hear_all, &mut shared.handle());
        stopper.stop();
        let made = making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, io::Error>((made, conversed))
    })
    .map_err(transport::Error::from)?;
    match made {
        // Nobody read on: why that is, is for the far side's words to say.
        Ok(()) | Err(Error::Pack(pack::Error::Send(_))) => {}
        Err(error) => return Err(error),
    }
    conversed.map_err(flat)?;
    if !form.is_heard() && !body.is_said {
        return Err(protocol::Error::UnexpectedEof { position: 0 }.into());
    }
    Ok(())
}

/// Takes in what the far side says.
type Hear<'a> = &'a mut dyn FnMut(&mut dyn BufRead) -> Result<(), transport::Error>;

/// Makes a pack, from a repository that may lack parts of it.
struct Maker<'a> {
    repo: &'a Repository,
    pack: &'a Pack,
    options: &'a Options,
}

impl Maker<'_> {
    /// Writes the pack and tells that it is whole. What fails is told before the far side hears that nothing more comes, as
    /// git's `pack-objects` does.
    fn run(&self, source: Objects, mut out: PipeWriter, mut progress: Handle<'_, '_>) -> Result<(), Error> {
        match self.write(source, &mut out, &mut progress) {
            Ok(()) => {
                out.finish();
                Ok(())
            }
            Err(error) if error.is_interrupted() => Err(error),
            Err(error @ Error::Pack(pack::Error::Send(_))) => Err(error),
            Err(error) => {
                if let Error::Pack(pack::Error::MissingParent { id, .. }) = &error {
                    tell(&mut progress, Event::Error(&format!("Could not read {id}")))?;
                }
                tell(&mut progress, Event::Fatal(&error.to_string()))?;
                Err(Error::Told(Box::new(error)))
            }
        }
    }

    fn write(
        &self,
        mut source: Objects,
        out: &mut PipeWriter,
        progress: &mut Handle<'_, '_>,
    ) -> Result<(), Error> {
        let objects = self.enumerate(&mut source, progress)?;
        let sent = produce(&source, objects, &self.pack.settings, out, progress)?;
        telemetry::pack_sent((sent.objects, sent.deltas), (sent.reused, sent.reused_deltas));
        Ok(())
    }

    /// Finds what is to be sent; what is missing here is fetched.
    fn enumerate(&self, source: &mut Objects, progress: &mut Handle<'_, '_>) -> Result<Enumerated, Error> {
        let Pack { wanted, promisors, .. } = self.pack;
        let lazy = LazyFetch {
            repo: self.repo,
            transport: &self.options.promisor_transport,
            server_options: &[],
            no_progress: self.options.quiet,
        };
        enumerate_whole(&lazy, promisors, source, wanted, progress)
    }
}

impl Form {
    /// Whether the far side says anything by which it is known that it has done.
    fn is_heard(self) -> bool {
        self.reports || self.has_bands
    }
}

/// Reads the report, and tells what is in band 2.
fn hear(
    input: &mut dyn BufRead,
    form: Form,
    report: Option<&mut Report>,
    shared: &Shared<'_>,
) -> Result<(), transport::Error> {
    use protocol::Error as Broken;
    if !form.has_bands {
        return match report.map_or(Ok(()), |report| take(report, input, form, shared)) {
            // no last words, but the answer itself
            Err(transport::Error::Protocol(Broken::Remote(text))) => {
                Err(transport::Error::Access(format!("remote error: {text}")))
            }
            heard => heard,
        };
    }
    let mut demux = Demux::new(input, shared);
    match report.map_or(Ok(()), |report| take(report, &mut demux, form, shared)) {
        Ok(()) => match demux.finish() {
            // All is known by then: git says this and shows it.
            Err(Broken::UnexpectedEof { .. }) if form.reports => {
                Err(Broken::Report(CUT_BEHIND_REPORT.into()).into())
            }
            ended => Ok(ended?),
        },
        Err(error @ transport::Error::Protocol(Broken::Report(_))) => {
            // What it has still to say may explain it; how the stream ends does not matter any more.
            let _end = demux.finish();
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Reads the report whole. One that is cut counts for nothing, as in git.
fn take(
    report: &mut Report,
    input: &mut dyn BufRead,
    form: Form,
    shared: &Shared<'_>,
) -> Result<(), transport::Error> {
    match report.take(input, form.object_hash) {
        Err(protocol::Error::Report(text)) if text == NO_STATUS => {
            // git says so and reads on, where there is nothing
            let _listened = shared.handle().report(Event::Error(&text));
            Err(transport::Error::Access("the remote end hung up unexpectedly".into()))
        }
        Err(error) if !matches!(error, protocol::Error::Report(_)) => {
            *report = Report::default();
            Err(error.into())
        }
        taken => Ok(taken?),
    }
}

/// A protocol's error is one of the protocol, wherever it was noticed.
fn flat(error: transport::Error) -> Error {
    match error {
        transport::Error::Protocol(error) => error.into(),
        error => error.into(),
    }
}

/// All that is said: the request, then the pack.
struct Body {
    request: Cursor<Vec<u8>>,
    pack: PipeReader,
    /// Whether it was read to its end.
    is_said: bool,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.request.read(buffer)?;
        if amount > 0 || buffer.is_empty() {
            return Ok(amount);
        }
        let amount = self.pack.read(buffer)?;
        self.is_said = amount == 0 && !self.pack.is_stopped();
        Ok(amount)
    }
}
