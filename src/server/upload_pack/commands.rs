//! v2: the commands but for `fetch`. gitprotocol-v2(5), "Command Request".

use std::io::{BufRead, Write};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::settings::Unborn;
use super::{Conversation, UploadPack};
use crate::pack::Kind;
use crate::pack::source::Source;
use crate::protocol;
use crate::protocol::command::Command;
use crate::protocol::ls_refs::{self, Preamble, RefLine};
use crate::protocol::pktline::{DATA_LEN_MAX, Packet, Reader};
use crate::server::watch::Phase;
use crate::server::{Error, Packets, harmless};

/// Bytes of lines that are written at once.
pub(super) const LINES_LEN: usize = 32 * 1024;
impl UploadPack<'_> {
    /// Serves one command; whether there was one.
    pub(super) fn serve_command(
        &self,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<bool, Error> {
        let read = self.watch.during(Phase::Parse, || match self.conversation {
            Conversation::Stateful => Command::read_next(input),
            Conversation::Request | Conversation::Advertisement => Command::read(input),
        });
        let Some(command) = read? else { return Ok(false) };
        let Command { name, preamble, has_arguments } = command;
        self.watch.command(known(name.as_ref()), &preamble)?;
        self.check_preamble(&preamble)?;
        match name.as_slice() {
            b"ls-refs" => {
                let request = if has_arguments {
                    ls_refs::Request::decode_arguments(preamble, input)
                        .map_err(|error| behind("ls-refs", error))?
                } else {
                    ls_refs::Request { preamble, ..ls_refs::Request::default() }
                };
                self.watch.ls_refs(&request)?;
                self.ls_refs(&request, out)?;
            }
            b"fetch" => self.fetch(preamble, has_arguments, input, out)?,
            b"object-info" if self.settings.has_object_info => self.object_info(has_arguments, input, out)?,
            b"bundle-uri" if self.settings.has_bundle_uri => self.bundle_uri(has_arguments, input, out)?,
            _ => return Err(Error::Refused(format!("invalid command '{name}'"))),
        }
        Ok(true)
    }

    fn check_preamble(&self, preamble: &Preamble) -> Result<(), Error> {
        if let (Some(id), None) = (&preamble.session_id, &self.settings.session_id) {
            return Err(Error::Refused(format!("unknown capability 'session-id={id}'")));
        }
        if let Some(names) = preamble.promisor_remote.as_ref().filter(|_| self.settings.promisors.is_empty())
        {
            return Err(Error::Refused(format!("unknown capability 'promisor-remote={names}'")));
        }
        let (server, client) =
            (self.repo.object_hash, preamble.object_format.unwrap_or(gix_hash::Kind::Sha1));
        if server != client {
            let text = format!("mismatched object format: server {server}; client {client}");
            return Err(Error::Refused(text));
        }
        Ok(())
    }

    fn ls_refs(&self, request: &ls_refs::Request, out: &mut dyn Write) -> Result<(), Error> {
        let objects = self.objects()?;
        let mut lines = Vec::with_capacity(LINES_LEN + DATA_LEN_MAX);
        let wants_head = request.prefixes.is_empty()
            || request.prefixes.iter().any(|prefix| b"HEAD".starts_with(prefix.as_slice()));
        if let Some(head) = self.refs.head()?.filter(|_| wants_head) {
            let target = head.target.filter(|_| request.symrefs);
            let shows_unborn = request.unborn && self.settings.unborn != Unborn::Ignore && target.is_some();
            if head.id.is_some() || shows_unborn {
                let peeled = head.id.filter(|_| request.peel).and_then(|id| peeled(&objects, &id));
                let symref_target = target.as_ref().map(|target| target.as_bstr());
                RefLine { name: "HEAD".into(), id: head.id, peeled, symref_target }.push(&mut lines)?;
            }
        }
        self.refs.each(&request.prefixes, &mut |served| {
            if served.is_hidden {
                return Ok(());
            }
            let peeled = if request.peel { served.peel(&objects) } else { None };
            let symref_target = served.symref_target.filter(|_| request.symrefs);
            RefLine { name: served.name, id: Some(served.id), peeled, symref_target }.push(&mut lines)?;
            if lines.len() >= LINES_LEN {
                out.write_all(&lines)?;
                lines.clear();
            }
            Ok(())
        })?;
        out.write_all(&lines)?;
        Ok(Packets { out, in_bands: false }.flush()?)
    }

    /// gitprotocol-v2(5), "object-info".
    fn object_info(
        &self,
        has_arguments: bool,
        input: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let mut packets = Packets { out, in_bands: false };
        let mut asks_size = false;
        let mut ids: Vec<BString> = Vec::new();
        let mut unexpected = None;
        let mut reader = Reader::new(input);
        while has_arguments && let Some(line) = argument("object-info", &mut reader)? {
            match line.strip_prefix(b"oid ") {
                None if line == b"size" => asks_size = true,
                Some(id) => {
                    ids.push(id.into());
                    self.watch.object_infos(ids.len())?;
                }
                None => unexpected = Some(BString::from(line)),
            }
        }
        // seen in git 2.47.3: the error is told, and the answer ends as any other
        if let Some(line) = unexpected {
            packets.data(harmless(&format!("ERR object-info: unexpected line: '{line}'")).as_bytes())?;
            return Ok(packets.flush()?);
        }
        let objects = self.objects()?;
        if asks_size {
            packets.data(b"size")?;
        }
        for hex in ids {
            let Some(id) = ObjectId::from_hex(&hex).ok().filter(|id| id.kind() == self.repo.object_hash)
            else {
                let text = format!("ERR object-info: protocol error, expected to get oid, not '{hex}'");
                packets.data(harmless(&text).as_bytes())?;
                continue;
            };
            let mut line = id.to_string();
            if asks_size {
                line.push(' ');
                let header = objects.header(&id).ok().flatten();
                line.extend(header.map(|(_, size)| size.to_string()));
            }
            packets.data(line.as_bytes())?;
        }
        Ok(packets.flush()?)
    }

    /// gitprotocol-v2(5), "bundle-uri": what the configuration says of bundles.
    fn bundle_uri(
        &self,
        has_arguments: bool,
        input: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let mut reader = Reader::new(input);
        if has_arguments && let Some(line) = argument("bundle-uri", &mut reader)? {
            let text = format!("bundle-uri: unexpected argument: '{}'", line.as_bstr());
            return Err(Error::Refused(text));
        }
        let mut packets = Packets { out, in_bands: false };
        for (subsection, key, value) in self.repo.config.section("bundle") {
            let middle = subsection.map(|name| format!("{name}.")).unwrap_or_default();
            let value = value.unwrap_or_default();
            packets.data(&[format!("bundle.{middle}{key}=").as_bytes(), &value].concat())?;
        }
        Ok(packets.flush()?)
    }
}

/// The name for logs, which have no room for what clients make up.
fn known(command: &BStr) -> &'static str {
    let names = ["ls-refs", "fetch", "object-info", "bundle-uri"];
    names.into_iter().find(|name| command == *name).unwrap_or("unknown")
}

/// The next argument, `None` at the flush-pkt.
fn argument<'r>(command: &str, reader: &'r mut Reader<'_>) -> Result<Option<&'r [u8]>, Error> {
    match reader.read()? {
        packet @ Packet::Data(_) => Ok(packet.line()),
        Packet::Flush => Ok(None),
        Packet::Delimiter | Packet::ResponseEnd => {
            Err(Error::Refused(format!("expected flush after {command} arguments")))
        }
    }
}

/// An error among the arguments of a command, in the words of git 2.47.3.
pub(super) fn behind(command: &str, error: protocol::Error) -> Error {
    match error {
        protocol::Error::Malformed(text) => match text.strip_prefix("unexpected '") {
            Some("0001'" | "0002'") => Error::Refused(format!("expected flush after {command} arguments")),
            Some(line) => Error::Refused(format!("unexpected line: '{line}")),
            None if text.starts_with("invalid shallow line") => Error::Refused(text),
            None if text.starts_with("expected SHA1") => Error::Refused(format!("git upload-pack: {text}")),
            None => match text.strip_prefix("invalid deepen") {
                Some(rest) => Error::Refused(format!("Invalid deepen{rest}")),
                None => Error::Refused(format!("git upload-pack: protocol error, {text}")),
            },
        },
        error => error.into(),
    }
}

fn peeled(objects: &crate::repo::Objects, id: &ObjectId) -> Option<ObjectId> {
    let is_tag = matches!(objects.kind(id), Ok(Some(Kind::Tag)));
    if is_tag { objects.peel(id).ok().flatten().map(|(id, _)| id) } else { None }
}
