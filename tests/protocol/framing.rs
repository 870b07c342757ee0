//! Frames and bands, good and bad.

use gitr::progress::Shared;
use std::io::Read;
use std::ops::ControlFlow;

use gitr::progress::{Ending, Event, Progress};
use gitr::protocol::fetch::{Ack, Reply};
use gitr::protocol::pktline::{Packet, Reader, write_data};
use gitr::protocol::sideband::{Demux, into_protocol_error};
use gitr::protocol::{Advertisement, Error, bundle};

fn packet_error(mut bytes: &[u8]) -> String {
    Reader::new(&mut bytes).read().unwrap_err().to_string()
}

#[test]
fn bad_lengths() {
    assert_eq!(packet_error(b"Welcome\n"), "protocol error: bad line length character: Welc");
    assert_eq!(packet_error(b"W\x07\x1bx"), "protocol error: bad line length character: W??x");
    assert_eq!(packet_error(b"-001"), "protocol error: bad line length character: -001");
    assert_eq!(packet_error(b"0003"), "protocol error: bad line length 3");
    assert_eq!(packet_error(b"fff1"), "protocol error: bad line length 65521");
    for cut in [&b""[..], b"000", b"0008ab"] {
        assert_eq!(packet_error(cut), "the remote end hung up unexpectedly");
    }
    assert!(write_data(&mut Vec::new(), &vec![0; 65517]).is_err());
}

#[test]
fn frames_end_where_they_end() {
    let mut input = &b"0009abc\n\n000Aabcdef0004000100000002PACK"[..];
    let mut reader = Reader::new(&mut input);
    assert_eq!(reader.read().unwrap().line(), Some(&b"abc\n"[..]));
    assert_eq!(reader.read().unwrap(), Packet::Data(b"abcdef"));
    assert_eq!(reader.read().unwrap(), Packet::Data(b""));
    assert_eq!(reader.read().unwrap(), Packet::Delimiter);
    assert_eq!(reader.read().unwrap(), Packet::Flush);
    assert_eq!(reader.read().unwrap(), Packet::ResponseEnd);
    assert_eq!(input, b"PACK");
}

#[test]
fn the_reason_of_the_server() {
    assert_eq!(packet_error(b"0010ERR go away\n"), "remote error: go away");
    assert!(Reader::new(&mut &b"000cERR away"[..]).read_raw().is_ok());
    let error = Advertisement::read(&mut &b"000bERR no\n"[..]).unwrap_err();
    assert!(matches!(error, Error::Remote(text) if text == "no"));
}

#[derive(Default)]
struct Record {
    lines: Vec<(String, Ending)>,
    stop: bool,
}

impl Progress for Record {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Remote { line, ending } = event {
            self.lines.push((String::from_utf8_lossy(line).into_owned(), ending));
        }
        if self.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Lines of band 2.
type Told = Vec<(String, Ending)>;

/// The lines told, and the bytes of band 1 or the error.
fn demultiplex(mut bytes: &[u8], stop: bool) -> (Told, Result<Vec<u8>, String>) {
    let mut record = Record { stop, ..Record::default() };
    let mut data = Vec::new();
    let result = {
        let progress = Shared::new(&mut record);
        Demux::new(&mut bytes, &progress).read_to_end(&mut data)
    };
    (record.lines, result.map(|_| data).map_err(|error| into_protocol_error(error).to_string()))
}

#[test]
fn lines_across_packets() {
    let (lines, data) =
        demultiplex(b"0008\x02abc0008\x01PA\n0005\x010009\x02\r\nde0006\x02f0007\x01CK0000", false);
    assert_eq!(data.unwrap(), b"PA\nCK");
    let expected = [("abc", Ending::Replaced), ("", Ending::Newline), ("def", Ending::Unterminated)];
    assert_eq!(lines, expected.map(|(line, ending)| (line.to_owned(), ending)));
}

#[test]
fn bands_that_fail() {
    let (lines, data) = demultiplex(b"0007\x02ab000b\x03broken", false);
    assert_eq!(data.unwrap_err(), "remote error: broken");
    assert_eq!(lines, [("ab".to_owned(), Ending::Unterminated)]);
    assert_eq!(demultiplex(b"0006\x09x", false).1.unwrap_err(), "protocol error: bad band #9");
    assert_eq!(demultiplex(b"0004", false).1.unwrap_err(), "protocol error: no band designator");
    assert_eq!(demultiplex(b"000aERR no", false).1.unwrap_err(), "remote error: no");
    for cut in [&b""[..], b"0009\x01ab", b"0006\x01a"] {
        assert_eq!(demultiplex(cut, false).1.unwrap_err(), "the remote end hung up unexpectedly");
    }
    assert_eq!(demultiplex(b"0007\x02a\n0000", true).1.unwrap_err(), "interrupted");
}

#[test]
fn endless_lines_come_in_pieces() {
    let mut bytes = Vec::new();
    for _ in 0..4 {
        write_data(&mut bytes, &[&[2][..], &vec![b'x'; 60_000]].concat()).unwrap();
    }
    bytes.extend_from_slice(b"0000");
    let (lines, _) = demultiplex(&bytes, false);
    assert_eq!(lines.iter().map(|(line, _)| line.len()).collect::<Vec<_>>(), [120_000, 120_000]);
}

#[test]
fn messages_out_of_place() {
    let reply = |bytes: &[u8]| Reply::read_v2(&mut &bytes[..]).unwrap_err().to_string();
    assert_eq!(reply(b"0008junk"), "expected 'packfile', received 'junk'");
    assert_eq!(reply(b"0000"), "expected 'packfile', received '0000'");
    let words = "protocol error: expected packfile to be sent after 'ready'";
    assert_eq!(reply(b"0013acknowledgments0009ready0000"), words);
    let words = "protocol error: expected no other sections to be sent after no 'ready'";
    assert_eq!(reply(b"0013acknowledgments0007NAK0001"), words);
    let ack = |bytes: &[u8]| Ack::read_v0(&mut &bytes[..]).unwrap_err().to_string();
    assert_eq!(ack(b"0008ACKS"), "expected ACK/NAK, received 'ACKS'");
    let advertisement = |bytes: &[u8]| Advertisement::read(&mut &bytes[..]).unwrap_err().to_string();
    assert_eq!(advertisement(b"0008foo\n"), "protocol error: unexpected 'foo'");
    assert_eq!(advertisement(b"000eversion 2\n0001"), "expected flush after capabilities");
    assert_eq!(advertisement(b"000eversion 3\n0000"), "server is speaking an unknown protocol");
    let header = |text: &str| bundle::Header::read(&mut text.as_bytes()).unwrap_err().to_string();
    assert_eq!(header("# v4 git bundle\n\n"), "does not look like a v2 or v3 bundle file");
    assert_eq!(header("# v3 git bundle\n@foo=bar\n\n"), "unknown capability 'foo=bar'");
    assert_eq!(header("# v2 git bundle\nzzz\n\n"), "unrecognized header: zzz (3)");
}
