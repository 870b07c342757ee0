//! Bodies between sockets, which wait for nothing, and workers, which wait for everything: channels with an end.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

pub(super) use self::outgoing::{End, Outgoing, Piped, Reading};
use super::cache::Kept;
use super::job::Finish;
use super::lists::{Copying, List};
use super::slot::Slot;
use crate::server::Watch;
use crate::server::http::Answer;

mod outgoing;

/// Pieces of a request that wait on their way.
pub(super) const REQUEST_PIECES_MAX: usize = 8;
/// Pieces of an answer that wait on their way, beside what hyper has ready for the socket.
pub(super) const ANSWER_PIECES_MAX: usize = 4;
/// Bytes of a piece of an answer.
const PIECE_LEN: usize = 65_536;
/// Who writes more than this at once writes more of it: a whole piece is made room for.
const BUFFER_LEN_MIN: usize = 4096;
/// Answers below this are not worth compressing.
const COMPRESSED_MIN: usize = 1024;

/// The headers of an answer, `Status` among them if it is not 200.
pub(super) type Headers = Vec<(String, String)>;

/// Pieces of an answer on their way: how many were put in, and how many taken out.
#[derive(Debug, Default)]
pub(super) struct Flow {
    put: AtomicU64,
    taken: AtomicU64,
    /// Hears of the end, before or while it is waited for.
    is_over: Notify,
}

impl Flow {
    /// Waits until a client has taken nothing for so long though there was something, or the answer has ended; whether it
    /// was the former. HTTP/2 has windows of its own, so that the socket does not tell.
    pub(super) async fn stalls(&self, patience: Duration) -> bool {
        let mut before = self.taken.load(Ordering::Relaxed);
        loop {
            if tokio::time::timeout(patience, self.is_over.notified()).await.is_ok() {
                return false;
            }
            let taken = self.taken.load(Ordering::Relaxed);
            if taken == before && self.put.load(Ordering::Relaxed) > taken {
                return true;
            }
            before = taken;
        }
    }
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// The answer is whole.
    End,
}

/// The body of a request, as a worker reads it.
pub(super) struct Inlet {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    slot: Option<Arc<Slot>>,
}

impl Inlet {
    pub(super) fn new(pieces: mpsc::Receiver<io::Result<Bytes>>, slot: Option<Arc<Slot>>) -> Self {
        Self { pieces, piece: Bytes::new(), slot }
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Ok(piece) = self.pieces.try_recv() {
            return Some(piece);
        }
        let pieces = &mut self.pieces;
        match &self.slot {
            Some(slot) => slot.without(|| pieces.blocking_recv()),
            None => pieces.blocking_recv(),
        }
    }
}

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.next() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let piece = self.piece.split_to(buffer.len().min(self.piece.len()));
        let (taken, _) = buffer.split_at_mut_checked(piece.len()).ok_or(io::ErrorKind::InvalidInput)?;
        taken.copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// An answer, as a worker writes it. The head goes out with the first byte of the body, so that an answer that fails
/// before is another one.
pub(super) struct Outlet {
    head: Option<Headers>,
    buffer: Vec<u8>,
    sink: Sink,
    packer: Option<GzEncoder<Vec<u8>>>,
    /// Where a copy of what is sent is kept.
    pub copying: Option<Copying>,
    pub slot: Option<Arc<Slot>>,
    pub watch: Arc<Watch>,
    /// Whether there is to be no body: `HEAD`.
    pub is_head: bool,
    pub packing: Packing,
    pub sent: Arc<AtomicU64>,
    pub flow: Arc<Flow>,
}

/// Whether an answer is compressed, where the client takes that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Packing {
    #[default]
    Never,
    /// If it is shorter than a piece.
    Short,
    Always,
}

/// Where an answer goes.
enum Sink {
    /// To a client: the head, then the rest.
    Client(Option<oneshot::Sender<Headers>>, mpsc::Sender<Piece>),
    /// To where it is kept.
    Kept(Arc<Kept>),
}

impl Sink {
    /// Whether whoever sends more has to wait.
    fn is_full(&self) -> bool {
        matches!(self, Self::Client(_, pieces) if pieces.capacity() == 0)
    }
}

impl Outlet {
    /// An answer to one client.
    pub(super) fn new(
        head: oneshot::Sender<Headers>,
        pieces: mpsc::Sender<Piece>,
        watch: Arc<Watch>,
    ) -> Self {
        Self::to(Sink::Client(Some(head), pieces), watch)
    }

    /// An answer that is kept.
    pub(super) fn keep(kept: Arc<Kept>) -> Self {
        let watch = Arc::clone(&kept.watch);
        Self::to(Sink::Kept(kept), watch)
    }

    fn to(sink: Sink, watch: Arc<Watch>) -> Self {
        Self {
            head: Some(Headers::new()),
            buffer: Vec::new(),
            sink,
            packer: None,
            copying: None,
            slot: None,
            watch,
            is_head: false,
            packing: Packing::Never,
            sent: Arc::default(),
            flow: Arc::default(),
        }
    }

    /// The headers that wait for the first byte; `None` if they are on their way.
    pub(super) fn waiting(&self) -> Option<&Headers> {
        self.head.as_ref()
    }

    /// Puts another answer in the place of one of which nothing was sent.
    pub(super) fn replace(&mut self, headers: Headers, body: &[u8]) {
        if let Some(waiting) = &mut self.head {
            *waiting = headers;
            self.buffer = body.to_vec();
            self.packing = Packing::Never;
        }
    }

    /// Sends a list that is kept.
    pub(super) fn send_list(&mut self, list: &List) -> io::Result<()> {
        self.packing = Packing::Never;
        self.head = Some(list.headers.clone());
        self.push()?;
        self.send(list.body.clone())
    }

    /// Sends what is left.
    pub(super) fn finish(mut self, finish: Finish) -> io::Result<()> {
        self.push()?;
        if let Some(packer) = self.packer.take() {
            let rest = packer.finish()?;
            self.send(rest.into())?;
        }
        if let Some(copying) = self.copying.take().filter(|_| finish == Finish::Whole) {
            copying.end(&self.watch);
        }
        match (&self.sink, finish) {
            (Sink::Kept(kept), finish) => {
                kept.end(finish);
                Ok(())
            }
            (Sink::Client(_, pieces), Finish::Whole) => self.wait_for_room(pieces, Piece::End),
            // the client is to see that something is missing
            (Sink::Client(..), Finish::Cut) => Ok(()),
        }
    }

    /// Sends the head, if it was not yet, and what is buffered.
    fn push(&mut self) -> io::Result<()> {
        if let Some(mut headers) = self.head.take() {
            self.decide_packing(&mut headers);
            if let Some(copying) = &mut self.copying {
                copying.begin(&headers);
            }
            match &mut self.sink {
                Sink::Kept(kept) => kept.set_headers(headers),
                Sink::Client(sender, _) => {
                    let sent = sender.take().map(|sender| sender.send(headers));
                    sent.transpose().map_err(|_| io::ErrorKind::BrokenPipe)?;
                }
            }
        }
        let bytes = std::mem::take(&mut self.buffer);
        match &mut self.packer {
            None => self.send(bytes.into()),
            Some(packer) => {
                packer.write_all(&bytes)?;
                let ready = std::mem::take(packer.get_mut());
                self.send(ready.into())
            }
        }
    }

    /// Begins to compress if that is what is to be done, and says so in `headers`.
    fn decide_packing(&mut self, headers: &mut Headers) {
        let is_plain = headers.iter().all(|(name, _)| name != "Status");
        let may_pack = match self.packing {
            Packing::Never => return,
            Packing::Short => self.buffer.len() < PIECE_LEN,
            Packing::Always => true,
        };
        if may_pack && is_plain && self.buffer.len() >= COMPRESSED_MIN && !self.is_head {
            headers.retain(|(name, _)| name != "Content-Length");
            headers.push(("Content-Encoding".into(), "gzip".into()));
            self.packer = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        }
        headers.push(("Vary".into(), "Accept-Encoding".into()));
    }

    fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() || self.is_head {
            return Ok(());
        }
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.copying = self.copying.take().and_then(|mut copying| copying.add(&bytes).then_some(copying));
        match &self.sink {
            Sink::Kept(kept) => kept.append(&bytes),
            Sink::Client(_, pieces) => self.wait_for_room(pieces, Piece::Data(bytes)),
        }
    }

    fn wait_for_room(&self, pieces: &mpsc::Sender<Piece>, piece: Piece) -> io::Result<()> {
        self.flow.put.fetch_add(1, Ordering::Relaxed);
        let piece = match pieces.try_send(piece) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Full(piece)) => piece,
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        let sent = match &self.slot {
            Some(slot) => slot.without(|| pieces.blocking_send(piece)),
            None => pieces.blocking_send(piece),
        };
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Answer for Outlet {
    fn head(&mut self, headers: &[(String, String)]) -> io::Result<&mut (dyn Write + Send)> {
        if let Some(waiting) = &mut self.head {
            // an answer that begins anew is another one
            self.buffer.clear();
            *waiting = headers.to_vec();
        }
        Ok(self)
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.watch.is_stopped() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.buffer.capacity() == 0 && bytes.len() > BUFFER_LEN_MIN {
            self.buffer.reserve_exact(PIECE_LEN);
        }
        let room = PIECE_LEN.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= PIECE_LEN {
            self.push()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.watch.is_stopped() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // Nobody waits to tell of progress, who may have memory and a slot meanwhile: it goes with what follows.
        let waits = self.head.is_none() && self.sink.is_full();
        if self.buffer.is_empty() || waits { Ok(()) } else { self.push() }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use hyper::body::Body as _;

    use super::*;

    struct Nobody;

    impl End for Nobody {
        fn whole(&mut self) {}

        fn cut(&mut self) {}
    }

    #[test]
    fn nobody_watches_over_an_answer_that_has_ended() {
        let flow = Arc::new(Flow::default());
        let (_, pieces) = mpsc::channel(1);
        let (_reader, reading) = oneshot::channel();
        let end = Box::new(Nobody);
        drop(Outgoing::Piped(Piped {
            pieces,
            flow: Arc::clone(&flow),
            end,
            reading: Some(reading),
            is_made: false,
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _clock = runtime.enter();
        let stalls = pin!(flow.stalls(Duration::from_hours(1)));
        assert_eq!(stalls.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(false));
    }

    /// Or the client would wait: it has yet to say that this was its last byte.
    #[test]
    fn an_answer_does_not_end_before_its_request() {
        let (maker, pieces) = mpsc::channel(1);
        let (reader, reading) = oneshot::channel();
        let (flow, end) = (Arc::default(), Box::new(Nobody));
        let mut answer = Outgoing::Piped(Piped { pieces, flow, end, reading: Some(reading), is_made: false });
        let context = &mut Context::from_waker(Waker::noop());
        maker.try_send(Piece::End).unwrap();
        assert!(Pin::new(&mut answer).poll_frame(context).is_pending());
        drop(reader);
        assert!(matches!(Pin::new(&mut answer).poll_frame(context), Poll::Ready(None)));
    }
}
