//! Recorded bytes of C git 2.39.5 and 2.47.3 and of other servers.

use gitr::progress::Shared;
use std::io::Read;

use gitr::progress::Discard;
use gitr::protocol::fetch::{Ack, Reply, ShallowUpdate, read_shallow_v0};
use gitr::protocol::sideband::Demux;
use gitr::protocol::{Advertisement, Ref, Version, bundle, ls_refs};
use gix_hash::{Kind, ObjectId};

use crate::fixture;

const GITS: [&str; 2] = ["2.39.5", "2.47.3"];
const MAIN: &str = "5263352f059ecd8e104d89dfe20f4e77dcae487e";
const PARENT: &str = "ff689415dcb19f3a6b619e74183fa59f1a02cf4a";

fn id(hex: &str) -> ObjectId {
    ObjectId::from_hex(hex.as_bytes()).unwrap()
}

fn read_advertisement(bytes: &[u8]) -> Advertisement {
    let mut input = bytes;
    let advertisement = Advertisement::read(&mut input).unwrap();
    assert!(input.is_empty(), "all of it is read");
    advertisement
}

fn written(advertisement: &Advertisement) -> Vec<u8> {
    let mut out = Vec::new();
    advertisement.write(&mut out).unwrap();
    out
}

#[test]
fn refs_of_c_git() {
    for git in GITS {
        for (hash, kind) in [("sha1", Kind::Sha1), ("sha256", Kind::Sha256)] {
            for (number, expected) in [("0", Version::V0), ("1", Version::V1)] {
                let bytes = fixture(&format!("advert-{git}-{hash}-v{number}.bin"));
                let advertisement = read_advertisement(&bytes);
                assert_eq!(written(&advertisement), bytes, "our form is C git's");
                let Advertisement::Refs { version, capabilities, refs, .. } = advertisement else { panic!() };
                assert_eq!(version, expected);
                assert_eq!(capabilities.object_format().unwrap(), kind);
                let names: Vec<_> = refs.iter().map(|reference| reference.name.to_string()).collect();
                assert_eq!(names, ["HEAD", "refs/heads/main", "refs/heads/side", "refs/tags/v1"]);
                assert_eq!(refs[0].symref_target.as_ref().unwrap(), "refs/heads/main");
                assert_eq!(refs[1].symref_target, None);
                assert!(refs[3].peeled.is_some());
            }
        }
    }
}

#[test]
fn commands_of_c_git() {
    for git in GITS {
        for hash in ["sha1", "sha256"] {
            let bytes = fixture(&format!("advert-{git}-{hash}-v2.bin"));
            let advertisement = read_advertisement(&bytes);
            assert_eq!(written(&advertisement), bytes);
            assert!(matches!(advertisement, Advertisement::Commands { .. }));
            let capabilities = advertisement.capabilities();
            assert_eq!(capabilities.value("object-format").unwrap(), hash);
            assert_eq!(capabilities.value("agent").unwrap(), format!("git/{git}").as_str());
            assert!(capabilities.supports("fetch", "shallow"));
            assert!(!capabilities.supports("fetch", "shal"));
        }
    }
}

#[test]
fn empty_repositories() {
    // git 2.39.5 says nothing but a flush-pkt where git 2.47.3 names its capabilities
    for (git, named) in [("2.39.5", false), ("2.47.3", true)] {
        let advertisement = read_advertisement(&fixture(&format!("advert-{git}-empty-v0.bin")));
        let Advertisement::Refs { capabilities, refs, .. } = advertisement else { panic!() };
        assert_eq!(refs, []);
        assert_eq!(capabilities.contains("multi_ack"), named);
    }
}

#[test]
fn other_servers() {
    for (name, agent) in [
        ("advert-jgit-4.11.bin", Some("JGit/4.11.9.201909030838-r")),
        ("advert-dulwich-1.2.21.bin", None),
        ("advert-gitolite-3.6.12.bin", Some("git/2.47.3")),
        ("advert-googlesource-v2.bin", None),
        ("advert-github-v2.bin", Some("git/github-0123456789ab-Linux")),
    ] {
        let advertisement = read_advertisement(&fixture(name));
        let found = advertisement.capabilities().value("agent").map(ToString::to_string);
        assert_eq!(found.as_deref(), agent, "{name}");
        match advertisement {
            Advertisement::Refs { capabilities, refs, .. } => {
                assert!(capabilities.contains("multi_ack_detailed"), "{name}");
                assert_eq!(refs.last().unwrap().name, "refs/heads/main", "{name}");
                assert_eq!(refs[0].symref_target.is_some(), refs[0].name == "HEAD", "{name}");
            }
            Advertisement::Commands { capabilities } => {
                assert!(capabilities.contains("ls-refs"), "{name}");
                assert!(capabilities.supports("fetch", "filter"), "{name}");
            }
        }
    }
}

#[test]
fn listed_refs() {
    for git in GITS {
        let bytes = fixture(&format!("lsrefs-{git}.bin"));
        let refs = ls_refs::read_refs(&mut &bytes[..], Kind::Sha1).unwrap();
        assert_eq!(refs.len(), 4);
        assert_eq!(refs[0].symref_target.as_ref().unwrap(), "refs/heads/main");
        assert_eq!(refs[3].peeled, Some(id(PARENT)));
        let mut out = Vec::new();
        for reference in &refs {
            ls_refs::RefLine::from(reference).push(&mut out).unwrap();
        }
        out.extend_from_slice(b"0000");
        assert_eq!(out, bytes);

        let bytes = fixture(&format!("lsrefs-unborn-{git}.bin"));
        let refs = ls_refs::read_refs(&mut &bytes[..], Kind::Sha1).unwrap();
        let head = Ref {
            name: "HEAD".into(),
            id: None,
            peeled: None,
            symref_target: Some("refs/heads/trunk".into()),
        };
        assert_eq!(refs, [head]);
    }
}

/// The pack in the side-bands at `input`.
fn pack(mut input: &[u8]) -> Vec<u8> {
    let mut discard = Discard;
    let progress = Shared::new(&mut discard);
    let mut pack = Vec::new();
    let mut demux = Demux::new(&mut input, &progress);
    demux.read_to_end(&mut pack).unwrap();
    demux.finish().unwrap();
    assert!(pack.starts_with(b"PACK"));
    assert!(input.is_empty());
    pack
}

#[test]
fn answers_of_v2() {
    for git in GITS {
        for name in ["clone", "acks", "depth", "sideband-all", "nak"] {
            let bytes = fixture(&format!("fetch-{name}-{git}.bin"));
            let mut input = &bytes[..];
            let reply = if name == "sideband-all" {
                Reply::read_v2_sideband_all(&mut input, &mut Discard).unwrap()
            } else {
                Reply::read_v2(&mut input).unwrap()
            };
            let mut out = Vec::new();
            reply.write_v2(&mut out).unwrap();
            if name != "sideband-all" {
                assert_eq!(out, bytes[..bytes.len() - input.len()], "{name} {git}");
            }
            let acks = matches!(name, "acks" | "nak").then(Vec::new);
            let acks = if name == "acks" { acks.map(|_| vec![id(PARENT)]) } else { acks };
            assert_eq!(reply.acks, acks, "{name} {git}");
            assert_eq!(reply.ready, name == "acks", "{name} {git}");
            assert_eq!(reply.pack, name != "nak", "{name} {git}");
            if name == "depth" {
                assert_eq!(reply.shallow, [ShallowUpdate::Shallow(id(MAIN))]);
            }
            if matches!(name, "depth" | "sideband-all") {
                assert_eq!(reply.wanted_refs, [(id(MAIN), "refs/heads/main".into())]);
            }
            if reply.pack {
                pack(input);
            }
        }
    }
}

#[test]
fn answers_of_v0() {
    for git in GITS {
        let bytes = fixture(&format!("fetch-v0-depth-{git}.bin"));
        let mut input = &bytes[..];
        assert_eq!(read_shallow_v0(&mut input).unwrap(), [ShallowUpdate::Shallow(id(MAIN))]);
        assert_eq!(Ack::read_v0(&mut input).unwrap(), Ack::Common(id(PARENT)));
        assert_eq!(Ack::read_v0(&mut input).unwrap(), Ack::Final(id(PARENT)));
        pack(input);
    }
}

#[test]
fn bundles() {
    for git in GITS {
        for name in ["v2", "v3-sha256", "v3-filter"] {
            let bytes = fixture(&format!("{name}-{git}.bundle"));
            let mut input = &bytes[..];
            let header = bundle::Header::read(&mut input).unwrap();
            assert!(input.starts_with(b"PACK"), "not a byte of the pack is taken");
            let mut out = Vec::new();
            header.write(&mut out).unwrap();
            assert_eq!(out, bytes[..bytes.len() - input.len()], "{name} {git}");
            assert_eq!(header.version, if name == "v2" { 2 } else { 3 });
            assert_eq!(header.object_hash == Kind::Sha256, name == "v3-sha256");
            assert_eq!(header.filter.is_some(), name == "v3-filter");
            assert_eq!(header.refs[0].name, "refs/heads/main");
            if name == "v2" {
                assert_eq!(header.prerequisites, [(id(PARENT), "c3".into())]);
            }
        }
    }
}
