//! What a client hears first: the refs, and what the repositories that we borrow from have.

use std::collections::HashSet;
use std::io::Write;

use gix_hash::ObjectId;

use super::ReceivePack;
use crate::protocol::pktline::{write_flush, write_line};
use crate::server::{Error, agent};

/// What stands for the name of a ref that a client needs to know nothing more of: gitprotocol-pack(5).
const HAVE: &[u8] = b".have";

impl ReceivePack<'_> {
    /// Tells the refs, the capabilities behind the first.
    pub(super) fn advertise(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut list = Some(self.capabilities());
        let mut write = |id: ObjectId, name: &[u8]| -> Result<(), Error> {
            let mut line = [id.to_string().as_bytes(), b" ", name].concat();
            if let Some(list) = list.take() {
                line.push(0);
                line.extend_from_slice(&list);
            }
            Ok(write_line(out, &line)?)
        };
        let mut told = HashSet::new();
        let mut is_empty = true;
        self.refs.each(&["refs/".into()], &mut |served| {
            if served.is_hidden {
                return Ok(());
            }
            told.insert(served.id);
            is_empty = false;
            write(served.id, served.name)
        })?;
        let others = self.refs.outside()?.into_iter().chain(self.repo.borrowed_tips()?);
        for id in others {
            if told.insert(id) {
                is_empty = false;
                write(id, HAVE)?;
            }
        }
        if is_empty {
            write(self.repo.object_hash.null(), b"capabilities^{}")?;
        }
        for id in self.repo.shallow()? {
            write_line(out, format!("shallow {id}").as_bytes())?;
        }
        Ok(write_flush(out)?)
    }

    /// The words behind the NUL, in the order of git 2.47.3.
    fn capabilities(&self) -> Vec<u8> {
        let settings = &self.settings;
        let nonce = self.nonce.as_ref().map(|nonce| format!(" push-cert={nonce}")).unwrap_or_default();
        let mut list = b"report-status report-status-v2 delete-refs side-band-64k quiet".to_vec();
        for (word, is_there) in [
            (" atomic", settings.has_atomic),
            (" ofs-delta", settings.has_ofs_delta),
            (&nonce, self.nonce.is_some()),
            (" push-options", settings.has_push_options),
        ] {
            list.extend_from_slice(if is_there { word.as_bytes() } else { b"" });
        }
        if let Some(id) = &settings.session_id {
            list.extend_from_slice(&[b" session-id=", id.as_slice()].concat());
        }
        list.extend_from_slice(format!(" object-format={} agent=", self.repo.object_hash).as_bytes());
        list.extend_from_slice(&agent(&self.repo.env));
        list
    }
}
