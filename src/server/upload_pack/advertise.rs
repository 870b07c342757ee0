//! What a client hears first.

use std::io::Write;

use gix_hash::ObjectId;

use super::commands::LINES_LEN;
use super::settings::Unborn;
use super::{Conversation, UploadPack};
use crate::protocol::pktline::{begin_packet, end_packet, write_flush, write_line};
use crate::protocol::promisor_remote;
use crate::protocol::{Advertisement, Capabilities, Version};
use crate::server::{Error, agent};
use crate::text::push_hex;

impl UploadPack<'_> {
    /// v2: the commands, in the order of git 2.47.3.
    pub(super) fn commands(&self) -> Advertisement {
        let settings = &self.settings;
        let mut capabilities = Capabilities::default();
        let agent = agent(&self.repo.env);
        capabilities.push_line(&[b"agent=", agent.as_slice()].concat());
        let has_unborn = settings.unborn == Unborn::Advertise;
        capabilities.push_line(if has_unborn { b"ls-refs=unborn" } else { b"ls-refs" });
        let mut fetch = "fetch=shallow wait-for-done".to_owned();
        for (word, is_there) in [
            (" filter", settings.allows_filter),
            (" ref-in-want", settings.has_ref_in_want),
            (" sideband-all", settings.has_sideband_all),
            (" packfile-uris", settings.elsewhere.is_offered()),
        ] {
            fetch.push_str(if is_there { word } else { "" });
        }
        capabilities.push_line(fetch.as_bytes());
        capabilities.push_line(b"server-option");
        capabilities.push_line(format!("object-format={}", self.repo.object_hash).as_bytes());
        if let Some(id) = &settings.session_id {
            capabilities.push_line(&[b"session-id=", id.as_slice()].concat());
        }
        if settings.has_object_info {
            capabilities.push_line(b"object-info");
        }
        if settings.has_bundle_uri {
            capabilities.push_line(b"bundle-uri");
        }
        if !settings.promisors.is_empty() {
            let value = promisor_remote::encode(&settings.promisors);
            capabilities.push_line(&[b"promisor-remote=", value.as_slice()].concat());
        }
        Advertisement::Commands { capabilities }
    }

    /// v0 and v1: the refs, the capabilities behind the first.
    pub(super) fn advertise_refs(&self, version: Version, out: &mut dyn Write) -> Result<(), Error> {
        if version == Version::V1 {
            write_line(out, b"version 1")?;
        }
        let head = self.refs.head()?;
        let symref = head.as_ref().and_then(|head| Some((head.id?, head.target.as_ref()?.clone())));
        let list = self.capabilities_v0(symref.map(|(_, target)| target).as_deref());
        let mut lines = Lines { out, list: Some(list), waiting: Vec::new() };
        if let Some(id) = head.and_then(|head| head.id) {
            lines.write(&id, &[b"HEAD"])?;
        }
        let objects = self.objects()?;
        self.refs.each(&["refs/".into()], &mut |served| {
            if served.is_hidden {
                return Ok(());
            }
            let peeled = served.peel(&objects);
            lines.write(&served.id, &[served.name])?;
            peeled.map_or(Ok(()), |peeled| lines.write(&peeled, &[served.name, b"^{}"]))
        })?;
        if lines.list.is_some() {
            lines.write(&self.repo.object_hash.null(), &[b"capabilities^{}"])?;
        }
        let out = lines.finish()?;
        for id in self.repo.shallow()? {
            write_line(out, format!("shallow {id}").as_bytes())?;
        }
        Ok(write_flush(out)?)
    }

    /// The words behind the NUL, in the order of git 2.47.3.
    fn capabilities_v0(&self, head_target: Option<&Vec<u8>>) -> Vec<u8> {
        let settings = &self.settings;
        let mut list =
            "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not \
                        deepen-relative no-progress include-tag multi_ack_detailed"
                .as_bytes()
                .to_vec();
        let mut add = |word: &[u8]| list.extend_from_slice(&[b" ", word].concat());
        if settings.allows_tips {
            add(b"allow-tip-sha1-in-want");
        }
        if settings.allows_reachable {
            add(b"allow-reachable-sha1-in-want");
        }
        // it spares a round trip only where each request is one of its own
        if self.conversation != Conversation::Stateful {
            add(b"no-done");
        }
        if let Some(target) = head_target {
            add(&[b"symref=HEAD:", target.as_slice()].concat());
        }
        if settings.allows_filter {
            add(b"filter");
        }
        if let Some(id) = &settings.session_id {
            add(&[b"session-id=", id.as_slice()].concat());
        }
        add(format!("object-format={}", self.repo.object_hash).as_bytes());
        add(&[b"agent=", agent(&self.repo.env).as_slice()].concat());
        list
    }
}

/// Ref lines, the first of which has the capabilities.
struct Lines<'a> {
    out: &'a mut dyn Write,
    list: Option<Vec<u8>>,
    /// Lines that are not written yet.
    waiting: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn write(&mut self, id: &ObjectId, name: &[&[u8]]) -> Result<(), Error> {
        let start = begin_packet(&mut self.waiting);
        push_hex(&mut self.waiting, id);
        self.waiting.push(b' ');
        for part in name {
            self.waiting.extend_from_slice(part);
        }
        if let Some(list) = self.list.take() {
            self.waiting.push(0);
            self.waiting.extend_from_slice(&list);
        }
        self.waiting.push(b'\n');
        end_packet(&mut self.waiting, start)?;
        if self.waiting.len() >= LINES_LEN {
            self.out.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }

    fn finish(self) -> Result<&'a mut dyn Write, Error> {
        self.out.write_all(&self.waiting)?;
        Ok(self.out)
    }
}
