//! v2: the command `fetch`. gitprotocol-v2(5), "fetch".

use std::io::{BufRead, Write};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::UploadPack;
use super::commands::behind;
use super::common::{Common, Told};
use super::deepen::{Cut, INFINITE, client_boundary};
use super::reachable::first_unreadable;
use super::send::Job;
use crate::pack::enumerate::FilterSpec;
use crate::protocol;
use crate::protocol::fetch::{Deepen, Request, ShallowUpdate, SideBand};
use crate::protocol::ls_refs::Preamble;
use crate::protocol::promisor_remote::decode_names;
use crate::repo::Objects;
use crate::server::watch::Phase;
use crate::server::{Error, Packets, Watch};
use crate::telemetry;

impl UploadPack<'_> {
    /// Serves one fetch.
    pub(super) fn fetch(
        &self,
        preamble: Preamble,
        has_arguments: bool,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        let mut state = State::ReadArguments;
        loop {
            state = match state {
                State::ReadArguments => self.read_arguments(preamble.clone(), has_arguments, input, out)?,
                State::SendAcknowledgments(asked) => {
                    self.watch.during(Phase::Negotiate, || asked.send_acknowledgments(&self.watch, out))?
                }
                State::SendPack(asked) => self.answer(*asked, out)?,
                State::Done => return Ok(()),
            }
        }
    }

    fn read_arguments(
        &self,
        preamble: Preamble,
        has_arguments: bool,
        input: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> Result<State, Error> {
        let mut request = Request { preamble, ..Request::default() };
        let read = || if has_arguments { request.read_arguments_v2(input) } else { Ok(()) };
        if let Err(error) = self.watch.during(Phase::Parse, read) {
            let told = matches!(error, protocol::Error::Repeated { .. }).then(|| error.to_string());
            let mut packets = Packets { out, in_bands: request.features.sideband_all };
            return Err(told.map_or_else(|| behind("fetch", error), |text| packets.refuse(&text, &text)));
        }
        self.watch.fetch(&request)?;
        self.check_allowed(&request)?;
        let mut objects = self.objects()?;
        let mut packets = Packets { out, in_bands: request.features.sideband_all };
        let wanted_refs = self.look_up(&request, &mut objects, &mut packets)?;
        let filter = self.filter_of(&request, &mut packets)?;
        let excluded = self.excluded(&request.deepen)?;
        let client_boundary = client_boundary(&request, &objects)?;
        let has_wants = !request.wants.is_empty() || !request.want_refs.is_empty();
        let has_haves = !request.haves.is_empty();
        if !has_haves {
            FetchInfo::new(&request, 0).tell();
        }
        if !has_wants && !request.features.wait_for_done {
            return Ok(State::Done);
        }
        let asked = Box::new(Asked {
            request,
            wanted_refs,
            client_boundary,
            excluded,
            filter,
            common: Common::new(objects),
        });
        Ok(if has_haves { State::SendAcknowledgments(asked) } else { State::SendPack(asked) })
    }

    /// Refuses arguments that were not advertised.
    fn check_allowed(&self, request: &Request) -> Result<(), Error> {
        let settings = &self.settings;
        let unexpected = |line: BString| Error::Refused(format!("unexpected line: '{line}'"));
        if let Some(filter) = request.filter.as_ref().filter(|_| !settings.allows_filter) {
            return Err(unexpected(format!("filter {filter}").into()));
        }
        if let Some(name) = request.want_refs.first().filter(|_| !settings.has_ref_in_want) {
            return Err(unexpected(format!("want-ref {name}").into()));
        }
        if request.features.sideband_all && !settings.has_sideband_all {
            return Err(unexpected("sideband-all".into()));
        }
        if !request.packfile_uris.is_empty() && !settings.elsewhere.is_offered() {
            let line = [b"packfile-uris ", bstr::join(",", &request.packfile_uris).as_slice()].concat();
            return Err(unexpected(line.into()));
        }
        Ok(())
    }

    /// Looks up what is wanted; the refs wanted by name are given with what they hold.
    fn look_up(
        &self,
        request: &Request,
        objects: &mut Objects,
        packets: &mut Packets<'_>,
    ) -> Result<Vec<(ObjectId, BString)>, Error> {
        let forbidden = match first_unreadable(&request.wants, objects) {
            None if self.settings.is_strict => self.first_unreachable(&request.wants, objects)?,
            unreadable => unreadable,
        };
        if let Some(id) = forbidden {
            return Err(packets.refuse(
                &format!("upload-pack: not our ref {id}"),
                format!("git upload-pack: not our ref {id}"),
            ));
        }
        let mut found: Vec<(ObjectId, BString)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for name in &request.want_refs {
            if !seen.insert(name) {
                let text = format!("duplicate want-ref {name}");
                return Err(packets.refuse(&text, text.clone()));
            }
            let Some(id) = self.refs.find(name.as_bstr())? else {
                let text = format!("unknown ref {name}");
                return Err(packets.refuse(&text, text.clone()));
            };
            found.push((id, name.clone()));
        }
        Ok(found)
    }

    /// The filter, if there is one.
    pub(super) fn filter_of(
        &self,
        request: &Request,
        packets: &mut Packets<'_>,
    ) -> Result<Option<FilterSpec>, Error> {
        let Some(spec) = &request.filter else { return Ok(None) };
        let spec = FilterSpec::parse(spec.as_bstr()).map_err(Error::Refused)?;
        self.watch.tell(|account| account.filter = Some(spec.kind()));
        match self.filter_refusal(&spec) {
            None => Ok(Some(spec)),
            Some(text) => Err(packets.refuse(&text, text.clone())),
        }
    }

    fn answer(&self, asked: Asked, out: &mut (dyn Write + Send)) -> Result<State, Error> {
        let mut wants = asked.wants();
        let Asked { request, wanted_refs, client_boundary, excluded, filter, common } = asked;
        let mut packets = Packets { out: &mut *out, in_bands: request.features.sideband_all };
        if !wanted_refs.is_empty() {
            packets.line(b"wanted-refs")?;
            for (id, name) in &wanted_refs {
                packets.line(&[id.to_string().as_bytes(), b" ", name].concat())?;
            }
            packets.delimiter()?;
        }
        let cut =
            self.shallow_info((&request.deepen, &excluded), &wants, client_boundary.clone(), &mut packets)?;
        // URIs have no place but in an answer that is all in bands, whose begin is told where they are known
        let uri_protocols = if packets.in_bands { request.packfile_uris } else { Vec::new() };
        if uri_protocols.is_empty() {
            packets.line(b"packfile")?;
        }
        let mut features = request.features;
        features.side_band = SideBand::Large;
        wants.extend(cut.more_wants);
        let mut haves = common.haves;
        haves.extend(cut.more_haves);
        let filter_spec = FilterSpec::combined(request.filter.as_slice()).map_err(Error::Refused)?;
        let job = Job {
            wants,
            haves,
            boundary: cut.boundary,
            receiver_shallow: client_boundary,
            filter,
            filter_spec,
            features,
            omits_promised: self.has_accepted(&request.preamble),
            uri_protocols,
        };
        self.send_pack(job, out)?;
        Ok(State::Done)
    }

    /// Whether the client gets what is missing here from one of the promisors that it was told of.
    fn has_accepted(&self, preamble: &Preamble) -> bool {
        let names = preamble.promisor_remote.as_ref().map(|names| decode_names(names.as_bstr()));
        let is_ours = |name: &BString| self.settings.promisors.iter().any(|remote| remote.name == *name);
        names.unwrap_or_default().iter().any(is_ours)
    }

    /// Tells how the boundary moves, if the client has one or gets one.
    fn shallow_info(
        &self,
        (deepen, excluded): (&Deepen, &[ObjectId]),
        wants: &[ObjectId],
        client: Vec<ObjectId>,
        packets: &mut Packets<'_>,
    ) -> Result<Cut, Error> {
        let is_asked = *deepen != Deepen { relative: deepen.relative, ..Deepen::default() };
        let is_shallow = !self.repo.shallow()?.is_empty();
        if !is_asked && client.is_empty() && !is_shallow {
            return Ok(Cut::default());
        }
        packets.line(b"shallow-info")?;
        let cut = if is_asked {
            self.deepen(deepen, excluded, wants, client)
        } else if is_shallow {
            self.deepen(&Deepen { depth: INFINITE, ..Deepen::default() }, &[], wants, client)
        } else {
            Ok(Cut::unmoved(client))
        };
        let cut = cut.inspect_err(|_| {
            // the line is on its way, as in git 2.47.3
            let _sent_or_gone = packets.out.flush();
        })?;
        for update in &cut.updates {
            packets.data(shown(*update).as_bytes())?;
        }
        packets.delimiter()?;
        Ok(cut)
    }

    /// Moves the boundary.
    pub(super) fn deepen(
        &self,
        deepen: &Deepen,
        excluded: &[ObjectId],
        wants: &[ObjectId],
        client: Vec<ObjectId>,
    ) -> Result<Cut, Error> {
        if deepen.depth > 0 && (deepen.since.is_some() || !deepen.not.is_empty()) {
            let text = "git upload-pack: deepen and deepen-since (or deepen-not) cannot be used together";
            return Err(Error::Refused(text.into()));
        }
        let own = self.repo.shallow()?;
        Ok(Cut::new((self.objects()?, &own), wants, client, deepen, excluded)?)
    }
}

/// Where a fetch stands.
enum State {
    ReadArguments,
    SendAcknowledgments(Box<Asked>),
    SendPack(Box<Asked>),
    Done,
}

/// What was asked for, and what is known of it.
struct Asked {
    request: Request,
    wanted_refs: Vec<(ObjectId, BString)>,
    client_boundary: Vec<ObjectId>,
    /// What `deepen-not` names.
    excluded: Vec<ObjectId>,
    filter: Option<FilterSpec>,
    common: Common,
}

impl Asked {
    /// Tells what both sides have, and whether that is enough.
    fn send_acknowledgments(mut self: Box<Self>, watch: &Watch, out: &mut dyn Write) -> Result<State, Error> {
        let features = self.request.features;
        let haves = std::mem::take(&mut self.request.haves);
        let mut common = Vec::new();
        for id in haves {
            if self.common.have(id) == Told::News {
                common.push(id);
            }
        }
        watch.tell(|account| account.common = self.common.haves.len());
        FetchInfo::new(&self.request, self.common.haves.len()).tell();
        if self.request.done {
            return Ok(State::SendPack(self));
        }
        let mut packets = Packets { out, in_bands: features.sideband_all };
        packets.line(b"acknowledgments")?;
        for id in &common {
            packets.line(format!("ACK {id}").as_bytes())?;
        }
        if common.is_empty() {
            packets.line(b"NAK")?;
        }
        let wants = self.wants();
        if features.wait_for_done || !self.common.is_enough(&wants).map_err(Error::object)? {
            packets.flush()?;
            return Ok(State::Done);
        }
        packets.line(b"ready")?;
        packets.delimiter()?;
        Ok(State::SendPack(self))
    }

    /// All that is wanted, by id or by name.
    fn wants(&self) -> Vec<ObjectId> {
        let by_name = self.wanted_refs.iter().map(|(id, _)| *id);
        self.request.wants.iter().copied().chain(by_name).collect()
    }
}

fn shown(update: ShallowUpdate) -> String {
    match update {
        ShallowUpdate::Shallow(id) => format!("shallow {id}"),
        ShallowUpdate::Unshallow(id) => format!("unshallow {id}"),
    }
}

/// What is told of a fetch, as git 2.47.3 tells it.
#[derive(serde::Serialize)]
#[serde(rename_all = "kebab-case")]
struct FetchInfo {
    haves: usize,
    wants: usize,
    want_refs: usize,
    depth: u32,
    shallows: usize,
    deepen_since: bool,
    deepen_not: usize,
    deepen_relative: bool,
    /// Its kind alone.
    filter: Option<&'static str>,
}

impl FetchInfo {
    /// `haves` are those that are here and do not follow from the ones before.
    fn new(request: &Request, haves: usize) -> Self {
        let Deepen { depth, relative, since, not } = &request.deepen;
        Self {
            haves,
            wants: request.wants.len(),
            want_refs: request.want_refs.len(),
            depth: *depth,
            shallows: request.shallow.len(),
            deepen_since: since.is_some(),
            deepen_not: not.len(),
            deepen_relative: *relative,
            filter: request.filter.as_ref().map(|filter| kind(filter)),
        }
    }

    fn tell(&self) {
        telemetry::data_json("upload-pack", "fetch-info", self);
    }
}

/// The word that says what kind of a filter it is: `tree` of `tree:1`, `blob:limit` of `blob:limit=1k`.
fn kind(filter: &[u8]) -> &'static str {
    const KINDS: [&str; 6] = ["blob:none", "blob:limit", "tree", "sparse:oid", "object:type", "combine"];
    KINDS.into_iter().find(|kind| filter.starts_with(kind.as_bytes())).unwrap_or_default()
}
