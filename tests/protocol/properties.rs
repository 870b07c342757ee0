//! What holds for every message and for all bytes.

use gitr::progress::Shared;
use std::io::Read;

use gitr::progress::Discard;
use gitr::protocol::fetch::{self, Ack, Deepen, Features, Have, MultiAck, Reply, ShallowUpdate, SideBand};
use gitr::protocol::ls_refs::{self, Preamble};
use gitr::protocol::pktline::{Reader, write_data};
use gitr::protocol::sideband::{Demux, SidebandWriter};
use gitr::protocol::{Advertisement, Capabilities, Ref, Version, bundle, bundle_uri};
use gix_hash::{Kind, ObjectId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn id() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 20]>().prop_map(|bytes| ObjectId::try_from(&bytes[..]).unwrap())
}

fn word() -> impl Strategy<Value = bstr::BString> {
    "[a-z]{1,8}(/[a-z0-9]{1,8})?".prop_map(Into::into)
}

fn preamble() -> impl Strategy<Value = Preamble> {
    let hash = prop_oneof![Just(Kind::Sha1), Just(Kind::Sha256)];
    (option::of(word()), option::of(hash), option::of(word()), vec(word(), 0..3)).prop_map(
        |(agent, object_format, session_id, server_options)| Preamble {
            promisor_remote: None,
            agent,
            object_format,
            session_id,
            server_options,
        },
    )
}

fn deepen() -> impl Strategy<Value = Deepen> {
    (0..=0x7fff_ffff_u32, any::<bool>(), option::of(0..i64::MAX), vec(word(), 0..3))
        .prop_map(|(depth, relative, since, not)| Deepen { depth, relative, since, not })
}

fn request() -> impl Strategy<Value = fetch::Request> {
    let ids = || vec(id(), 1..4);
    (preamble(), ids(), ids(), ids(), deepen(), option::of(word()), any::<[bool; 6]>()).prop_map(
        |(
            preamble,
            wants,
            haves,
            shallow,
            deepen,
            filter,
            [thin_pack, ofs_delta, no_progress, include_tag, ..],
        )| {
            let features = Features { thin_pack, ofs_delta, no_progress, include_tag, ..Features::default() };
            fetch::Request { preamble, wants, haves, shallow, deepen, filter, features, ..Default::default() }
        },
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    let update = prop_oneof![id().prop_map(ShallowUpdate::Shallow), id().prop_map(ShallowUpdate::Unshallow)];
    let named = || vec((id(), word()), 0..3);
    (vec(id(), 0..3), vec(update, 0..3), named(), named(), 0..3).prop_map(
        |(acks, shallow, wanted_refs, packfile_uris, kind)| match kind {
            0 => Reply { acks: Some(acks), ..Reply::default() },
            1 => Reply { shallow, wanted_refs, packfile_uris, pack: true, ..Reply::default() },
            _ => Reply { acks: Some(acks), ready: true, shallow, wanted_refs, packfile_uris, pack: true },
        },
    )
}

fn refs() -> impl Strategy<Value = Vec<Ref>> {
    let reference = (word(), id(), option::of(id()), option::of(word()))
        .prop_map(|(name, id, peeled, symref_target)| Ref { name, id: Some(id), peeled, symref_target });
    vec(reference, 0..6)
}

/// What stands behind the first line `command=…`.
fn behind_command(bytes: &[u8]) -> &[u8] {
    let mut input = bytes;
    assert!(Reader::new(&mut input).read().unwrap().line().unwrap().starts_with(b"command="));
    input
}

proptest! {
    #[test]
    fn packets(data in vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        write_data(&mut out, &data).unwrap();
        let mut input = &out[..];
        let mut reader = Reader::new(&mut input);
        prop_assert_eq!(reader.read_raw().unwrap(), gitr::protocol::pktline::Packet::Data(&data));
    }

    #[test]
    fn bands(data in vec(any::<u8>(), 0..3000), small in any::<bool>()) {
        let mut out = Vec::new();
        let kind = if small { SideBand::Small } else { SideBand::Large };
        let mut writer = SidebandWriter::new(&mut out, kind);
        writer.write_band(2, b"text\n").unwrap();
        writer.write_band(1, &data).unwrap();
        writer.finish().unwrap();
        let mut discard = Discard;
        let progress = Shared::new(&mut discard);
        let mut read = Vec::new();
        Demux::new(&mut &out[..], &progress).read_to_end(&mut read).unwrap();
        prop_assert_eq!(read, data);
    }

    #[test]
    fn advertisements(names in refs(), shallow in vec(id(), 0..3), v1 in any::<bool>()) {
        let mut refs = names;
        refs.sort();
        refs.dedup_by(|a, b| a.name == b.name);
        let mut capabilities = Capabilities::from_list(b"ofs-delta agent=git/x");
        for reference in &refs {
            if let Some(target) = &reference.symref_target {
                capabilities.push_line(format!("symref={}:{target}", reference.name).as_bytes());
            }
        }
        let version = if v1 { Version::V1 } else { Version::V0 };
        let sent = Advertisement::Refs { version, capabilities, refs, shallow };
        let mut out = Vec::new();
        sent.write(&mut out).unwrap();
        prop_assert_eq!(Advertisement::read(&mut &out[..]).unwrap(), sent);
    }

    #[test]
    fn listings(refs in refs()) {
        let mut out = Vec::new();
        for reference in &refs {
            ls_refs::RefLine::from(reference).push(&mut out).unwrap();
        }
        out.extend_from_slice(b"0000");
        prop_assert_eq!(ls_refs::read_refs(&mut &out[..], Kind::Sha1).unwrap(), refs);
    }

    #[test]
    fn listing_requests(
        preamble in preamble(), [peel, symrefs, unborn] in any::<[bool; 3]>(), prefixes in vec(word(), 0..4)
    ) {
        let sent = ls_refs::Request { preamble, peel, symrefs, unborn, prefixes };
        let bytes = sent.encode();
        prop_assert_eq!(ls_refs::Request::decode(&mut behind_command(&bytes)).unwrap(), sent);
    }

    #[test]
    fn fetch_requests_v2(sent in request(), [sideband_all, wait_for_done, done] in any::<[bool; 3]>(),
                         want_refs in vec(word(), 0..3), packfile_uris in vec("[a-z]{1,5}", 0..3)) {
        let mut sent = fetch::Request { want_refs, done, ..sent };
        sent.packfile_uris = packfile_uris.into_iter().map(Into::into).collect();
        sent.features.sideband_all = sideband_all;
        sent.features.wait_for_done = wait_for_done;
        let bytes = sent.encode_v2();
        prop_assert_eq!(fetch::Request::decode_v2(&mut behind_command(&bytes)).unwrap(), sent);
    }

    #[test]
    fn fetch_requests_v0(sent in request(), [no_done, deepen_since, deepen_not] in any::<[bool; 3]>(),
                         ack in 0..3, band in 0..3) {
        let mut sent = fetch::Request { haves: Vec::new(), ..sent };
        sent.preamble.server_options.clear();
        sent.features.no_done = no_done;
        sent.features.deepen_since = deepen_since;
        sent.features.deepen_not = deepen_not;
        sent.features.multi_ack = match ack { 0 => MultiAck::None, 1 => MultiAck::Plain, _ => MultiAck::Detailed };
        sent.features.side_band = match band { 0 => SideBand::None, 1 => SideBand::Small, _ => SideBand::Large };
        let mut out = Vec::new();
        sent.encode_wants_v0(&mut out);
        prop_assert_eq!(fetch::Request::decode_wants_v0(&mut &out[..]).unwrap(), sent);
    }

    #[test]
    fn haves(ids in vec(id(), 0..5)) {
        let mut out = Vec::new();
        fetch::encode_haves_v0(&ids, &mut out);
        let mut input = &out[..];
        for id in ids {
            prop_assert_eq!(Have::read_v0(&mut input).unwrap(), Some(Have::Have(id)));
        }
        prop_assert_eq!(Have::read_v0(&mut input).unwrap(), None);
    }

    #[test]
    fn acknowledgments(id in id(), updates in vec(id(), 0..4)) {
        for sent in [Ack::Nak, Ack::Final(id), Ack::Continue(id), Ack::Common(id), Ack::Ready(id)] {
            let mut out = Vec::new();
            sent.write_v0(&mut out).unwrap();
            prop_assert_eq!(Ack::read_v0(&mut &out[..]).unwrap(), sent);
        }
        let updates: Vec<_> = updates.into_iter().map(ShallowUpdate::Unshallow).collect();
        let mut out = Vec::new();
        fetch::write_shallow_v0(&mut out, &updates).unwrap();
        prop_assert_eq!(fetch::read_shallow_v0(&mut &out[..]).unwrap(), updates);
    }

    #[test]
    fn replies(sent in reply()) {
        let mut out = Vec::new();
        sent.write_v2(&mut out).unwrap();
        prop_assert_eq!(Reply::read_v2(&mut &out[..]).unwrap(), sent);
    }

    #[test]
    fn bundle_headers(v3 in any::<bool>(), filter in option::of(word()), prerequisites in vec((id(), word()), 0..3),
                      refs in refs()) {
        let refs = refs.into_iter().map(|r| Ref { peeled: None, symref_target: None, ..r }).collect();
        let (version, filter) = if v3 { (3, filter) } else { (2, None) };
        let sent = bundle::Header { version, object_hash: Kind::Sha1, filter, prerequisites, refs };
        let mut out = Vec::new();
        sent.write(&mut out).unwrap();
        prop_assert_eq!(bundle::Header::read(&mut &out[..]).unwrap(), sent);
    }

    #[test]
    fn any_bytes(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..400),
            vec(prop_oneof![any::<u8>().prop_map(|b| vec![b]), frame(), Just(b"0000".to_vec())], 0..20)
                .prop_map(|parts| parts.concat()),
        ]
    ) {
        every_decoder(&bytes);
        every_decoder(&[b"# v3 git bundle\n", &bytes[..]].concat());
        every_decoder(&[b"000eversion 2\n", &bytes[..]].concat());
    }
}

/// A whole pkt-line that begins as some message does.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "ACK ",
        "want ",
        "shallow ",
        "acknowledgments\n",
        "ready\n",
        "\u{1}",
        "\u{2}",
        "deepen ",
        "packfile\n",
    ];
    (0..words.len(), vec(any::<u8>(), 0..50)).prop_map(move |(index, rest)| {
        let mut out = Vec::new();
        write_data(&mut out, &[words[index].as_bytes(), &rest[..]].concat()).unwrap();
        out
    })
}

/// Gives `bytes` to every decoder: each returns, whatever it returns, and takes no more than there is.
fn every_decoder(bytes: &[u8]) {
    let left = |decode: &dyn Fn(&mut &[u8]) -> bool| {
        let mut input = bytes;
        let _ = decode(&mut input);
        assert!(input.len() <= bytes.len());
    };
    left(&|input| Advertisement::read(input).is_ok());
    left(&|input| ls_refs::Request::decode(input).is_ok());
    left(&|input| ls_refs::read_refs(input, Kind::Sha1).is_ok());
    left(&|input| fetch::Request::decode_v2(input).is_ok());
    left(&|input| fetch::Request::decode_wants_v0(input).is_ok());
    left(&|input| Have::read_v0(input).is_ok());
    left(&|input| Ack::read_v0(input).is_ok());
    left(&|input| fetch::read_shallow_v0(input).is_ok());
    left(&|input| Reply::read_v2(input).is_ok());
    left(&|input| Reply::read_v2_sideband_all(input, &mut Discard).is_ok());
    left(&|input| bundle::Header::read(input).is_ok());
    left(&|input| bundle_uri::read_list(input, "https://example.com/a".into()).is_ok());
    left(&|input| {
        let mut discard = Discard;
        let progress = Shared::new(&mut discard);
        let result = Demux::new(input, &progress).read_to_end(&mut Vec::new());
        result.is_ok()
    });
}
