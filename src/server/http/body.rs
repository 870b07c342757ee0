//! The body of a request: how long it is, and what it is packed in.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use bstr::ByteSlice;
use flate2::bufread::GzDecoder;

use super::{Request, Watch};
use crate::protocol::Service;
use crate::repo::Repository;
use crate::server::Error;
use crate::server::watch::Limits;

/// Bytes of a request that is looked at as a whole, where nothing is configured: git-http-backend(1).
const REQUEST_LEN_MAX: u64 = 10 * 1024 * 1024;

/// Bytes that may be inflated as if they were so many: what is short is no burden.
const SMALL: u64 = 1024;

/// Bytes that are inflated at a time.
const PIECE_LEN: usize = 8192;

/// A body that can be read.
pub(super) struct Body<'a> {
    stream: Box<dyn BufRead + 'a>,
}

/// Why a body cannot be read.
pub(super) enum Unreadable {
    /// Its length is no number.
    Length(String),
    Other(Error),
}

impl<'a> Body<'a> {
    /// Takes the body of `request` from `input`. The wants and haves of a fetch are limited; a push streams.
    pub(super) fn new(
        (repo, watch): (&Repository, &'a Watch),
        service: Service,
        request: &Request,
        input: &'a mut dyn BufRead,
    ) -> Result<Self, Unreadable> {
        let length = length(request)?;
        let raw: Box<dyn BufRead + 'a> = match (length, service) {
            (Some(length), _) => {
                check((repo, watch), service, length)?;
                Box::new(input.take(length))
            }
            (None, Service::ReceivePack) => Box::new(input),
            (None, Service::UploadPack) => {
                let limit = limit(repo)?;
                let mut whole = Vec::new();
                let read = input.take(limit + 1).read_to_end(&mut whole);
                read.map_err(|error| Unreadable::Other(error.into()))?;
                check((repo, watch), service, whole.len() as u64)?;
                Box::new(io::Cursor::new(whole))
            }
        };
        let is_packed = matches!(request.content_encoding.as_slice(), b"gzip" | b"x-gzip");
        let limits = match service {
            Service::UploadPack => watch.limits(),
            // what is pushed has a limit of its own, receive.maxInputSize
            Service::ReceivePack => Limits { request_len: u64::MAX, ..watch.limits() },
        };
        if !is_packed && limits.request_len == u64::MAX {
            return Ok(Self { stream: raw });
        }
        let taken = Rc::new(Cell::new(0));
        let counted = Counted { raw, taken: Rc::clone(&taken) };
        let inflated: Box<dyn Read + 'a> =
            if is_packed { Box::new(GzDecoder::new(counted)) } else { Box::new(counted) };
        let bounded = Bounded { inflated, is_packed, taken, given: 0, limits, watch };
        let stream: Box<dyn BufRead + 'a> =
            if is_packed { Box::new(Ahead::new(bounded)) } else { Box::new(BufReader::new(bounded)) };
        Ok(Self { stream })
    }

    pub(super) fn reader(&mut self) -> &mut (dyn BufRead + 'a) {
        &mut *self.stream
    }
}

/// Bytes on their way into the inflater.
struct Counted<'a> {
    raw: Box<dyn BufRead + 'a>,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.raw.read(buffer)?;
        self.taken.set(self.taken.get().saturating_add(length as u64));
        Ok(length)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.raw.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.taken.set(self.taken.get().saturating_add(length as u64));
        self.raw.consume(length);
    }
}

/// Bytes that came out of it, which are not to be too many.
struct Bounded<'a> {
    inflated: Box<dyn Read + 'a>,
    is_packed: bool,
    taken: Rc<Cell<u64>>,
    given: u64,
    limits: Limits,
    watch: &'a Watch,
}

impl Bounded<'_> {
    fn too_long(&self, limit: &'static str) -> io::Error {
        self.watch.limited(limit);
        io::Error::other("the request is longer than is served here")
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inflated.read(buffer)?;
        self.given = self.given.saturating_add(length as u64);
        let at_most = self.taken.get().max(SMALL).saturating_mul(self.limits.inflation);
        if self.is_packed && self.given > at_most {
            return Err(self.too_long("inflation"));
        }
        if self.given > self.limits.request_len {
            return Err(self.too_long("request-bytes"));
        }
        Ok(length)
    }
}

/// Inflated bytes, of which the last ones are given once the checksum behind them was found right: nothing that broke off is to
/// be answered.
struct Ahead<'a> {
    inner: Bounded<'a>,
    given: Vec<u8>,
    /// How many of them were taken.
    taken: usize,
    /// What follows.
    next: Vec<u8>,
    is_over: bool,
}

impl<'a> Ahead<'a> {
    fn new(inner: Bounded<'a>) -> Self {
        Self { inner, given: Vec::new(), taken: 0, next: Vec::new(), is_over: false }
    }

    fn advance(&mut self) -> io::Result<()> {
        // its room serves again
        let mut piece = std::mem::take(&mut self.given);
        piece.resize(PIECE_LEN, 0);
        let length = self.inner.read(&mut piece).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::other("request ended in the middle of the gzip stream")
            }
            _ => error,
        })?;
        piece.truncate(length);
        self.is_over = length == 0;
        self.given = std::mem::replace(&mut self.next, piece);
        self.taken = 0;
        Ok(())
    }
}

impl BufRead for Ahead<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken >= self.given.len() && !self.is_over {
            self.advance()?;
        }
        Ok(self.given.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, length: usize) {
        self.taken = self.taken.saturating_add(length);
    }
}

impl Read for Ahead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// The declared length; `None` if the body goes on to its end.
fn length(request: &Request) -> Result<Option<u64>, Unreadable> {
    let text = request.content_length.as_bstr();
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || Unreadable::Length(format!("failed to parse CONTENT_LENGTH: {text}"));
    match text.strip_prefix(b"-") {
        // as git 2.47.3 has it, less than nothing is as good as unknown
        Some(digits) => size(digits).map(|_| None).ok_or_else(bad),
        None => size(text).filter(|length| i64::try_from(*length).is_ok()).map(Some).ok_or_else(bad),
    }
}

fn check((repo, watch): (&Repository, &Watch), service: Service, length: u64) -> Result<(), Unreadable> {
    let limit = limit(repo)?;
    if service == Service::UploadPack && length > limit {
        watch.limited("request-bytes");
        return Err(Unreadable::Other(Error::TooMuch(format!(
            "request was larger than our maximum size ({limit}); try setting GIT_HTTP_MAX_REQUEST_BUFFER"
        ))));
    }
    Ok(())
}

fn limit(repo: &Repository) -> Result<u64, Unreadable> {
    let given = repo.env.get("GIT_HTTP_MAX_REQUEST_BUFFER").and_then(|text| size(text.as_encoded_bytes()));
    let configured = repo.config.integer("http.maxRequestBuffer");
    let configured = configured.map_err(|error| Unreadable::Other(error.into()))?;
    Ok(given.or(configured.and_then(|limit| u64::try_from(limit).ok())).unwrap_or(REQUEST_LEN_MAX))
}

/// A number with or without a suffix k, m or g.
fn size(text: &[u8]) -> Option<u64> {
    let (digits, factor) = match text.split_last()? {
        (b'k' | b'K', digits) => (digits, 1 << 10),
        (b'm' | b'M', digits) => (digits, 1 << 20),
        (b'g' | b'G', digits) => (digits, 1 << 30),
        _ => (text, 1),
    };
    digits.to_str().ok()?.parse::<u64>().ok()?.checked_mul(factor)
}
