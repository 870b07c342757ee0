//! The head of a v2 command, as a server reads it. `gitprotocol-v2(5)`, "Command Request".

use std::io::BufRead;

use bstr::BString;

use super::ls_refs::{Preamble, check_request_len};
use super::pktline::{Packet, Reader};
use super::{Error, printable};

/// What comes before the arguments of a command: its name and the capabilities, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The command's name.
    pub name: BString,
    /// The capabilities that the client chose.
    pub preamble: Preamble,
    /// Whether arguments follow: a delimiter ended the head, not a flush-pkt.
    pub has_arguments: bool,
}

impl Command {
    /// Reads one; `None` if the client hung up or said goodbye by a flush-pkt.
    pub fn read(input: &mut dyn BufRead) -> Result<Option<Self>, Error> {
        Self::read_until(input, false)
    }

    /// As [`Self::read`], over a connection on which a client may say one after the other. One that hangs up within the
    /// first packet has said no more either: so in git 2.47.3.
    pub fn read_next(input: &mut dyn BufRead) -> Result<Option<Self>, Error> {
        Self::read_until(input, true)
    }

    fn read_until(input: &mut dyn BufRead, may_hang_up: bool) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(input);
        let mut name = None;
        let mut preamble = Preamble::default();
        let mut has_begun = false;
        let has_arguments = loop {
            check_request_len(&reader)?;
            let position = reader.position();
            let packet = match reader.read_or_eof() {
                Err(Error::UnexpectedEof { .. }) if may_hang_up && !has_begun => None,
                read => read?,
            };
            match packet {
                None if has_begun => return Err(Error::UnexpectedEof { position }),
                None => return Ok(None),
                Some(Packet::Flush) if !has_begun => return Ok(None),
                Some(Packet::Flush) => break false,
                Some(Packet::Delimiter) => break true,
                Some(packet @ Packet::ResponseEnd) => return Err(super::unexpected_line(packet.shown())),
                Some(packet @ Packet::Data(_)) => match packet.shown().strip_prefix(b"command=") {
                    Some(command) => choose(&mut name, command)?,
                    None => preamble.take(packet.shown())?,
                },
            }
            has_begun = true;
        };
        let name = name.ok_or_else(|| Error::Unsupported("no command requested".into()))?;
        Ok(Some(Self { name, preamble, has_arguments }))
    }
}

fn choose(name: &mut Option<BString>, command: &[u8]) -> Result<(), Error> {
    if let Some(first) = name {
        return Err(Error::Unsupported(format!(
            "command '{}' requested after already requesting command '{}'",
            printable(command),
            printable(first)
        )));
    }
    *name = Some(command.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Option<Command>, Error> {
        Command::read(&mut bytes)
    }

    #[test]
    fn the_name_may_follow_the_capabilities() {
        let command = read(b"0010agent=git/1\n0014command=ls-refs\n0000").unwrap().unwrap();
        assert_eq!((command.name, command.has_arguments), ("ls-refs".into(), false));
        assert_eq!(command.preamble.agent, Some("git/1".into()));
        assert!(read(b"0012command=fetch\n0001").unwrap().unwrap().has_arguments);
    }

    #[test]
    fn the_end_and_a_flush_are_goodbyes() {
        assert_eq!(read(b"").unwrap(), None);
        assert_eq!(read(b"0000").unwrap(), None);
        for cut in [&b"\n"[..], b"000", b"0005", b"0012command=fetc"] {
            assert_eq!(Command::read_next(&mut &cut[..]).unwrap(), None, "{}", cut.escape_ascii());
            assert!(matches!(read(cut), Err(Error::UnexpectedEof { .. })), "{}", cut.escape_ascii());
        }
        for cut in [&b"0012command=fetch\n"[..], b"0012command=fetch\n00", b"0012command=fetch\n0009age"] {
            let read = read(cut);
            assert!(matches!(read, Err(Error::UnexpectedEof { .. })), "{}: {read:?}", cut.escape_ascii());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_git_s_words() {
        for (bytes, text) in [
            (&b"0001"[..], "no command requested"),
            (b"0010agent=git/1\n0000", "no command requested"),
            (
                b"0014command=ls-refs\n0012command=fetch\n0000",
                "command 'fetch' requested after already requesting command 'ls-refs'",
            ),
            (b"000afrotz\n0000", "unknown capability 'frotz'"),
            (b"0012object-format\n0000", "object-format capability requires an argument"),
        ] {
            assert_eq!(read(bytes).unwrap_err().to_string(), text);
        }
        assert!(read(b"0002").is_err());
    }
}
