//! Pushes: recorded bytes, and what holds for all requests and reports.

use std::ops::ControlFlow;

use bstr::BString;
use gitr::progress::{Discard, Event, Progress, Shared};
use gitr::protocol::push::{Command, RefReport, Report, Request, Rewritten};
use gitr::protocol::sideband::Demux;
use gitr::protocol::{Advertisement, Error};
use gix_hash::{Kind, ObjectId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::fixture;

const GITS: [&str; 2] = ["2.39.5", "2.47.3"];
const OLD: &str = "20e9e056e63e0a20bb05a414fc84a8bc8b44268a";
const NEW: &str = "1280bab4edf96352b8e4c51c3ba9fc30b912168f";
const NULL: &str = "0000000000000000000000000000000000000000";

fn id(hex: &str) -> ObjectId {
    ObjectId::from_hex(hex.as_bytes()).unwrap()
}

fn command(old: &str, new: &str, name: &str) -> Command {
    Command { name: name.into(), old: id(old), new: id(new) }
}

fn pkt(line: &str) -> String {
    format!("{:04x}{line}", line.len() + 4)
}

/// `lines`, each a pkt-line, and a flush-pkt.
fn pkts(lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| pkt(line)).collect();
    (lines + "0000").into_bytes()
}

#[test]
fn requests_of_c_git() {
    for git in GITS {
        let bytes = fixture(&format!("push-request-{git}.bin"));
        let mut input = &[&bytes[..], b"PACK"].concat()[..];
        let request = Request::decode(&mut input, Kind::Sha1).unwrap();
        assert_eq!(input, b"PACK", "not a byte of the pack is taken");
        assert_eq!(request.encode().unwrap(), bytes, "our form is C git's");
        assert_eq!(request.shallow, [id(OLD)]);
        let commands = [
            command(OLD, NEW, "refs/heads/main"),
            command(OLD, NULL, "refs/heads/old"),
            command(NULL, NEW, "refs/for/x"),
            command(NULL, NEW, "refs/for/bad"),
        ];
        assert_eq!(request.commands, commands);
        let agent = format!("agent=git/{git}");
        let words =
            ["report-status-v2", "side-band-64k", "quiet", "push-options", "object-format=sha1", &agent];
        assert_eq!(request.capabilities, words);
        assert_eq!(request.options, Some(vec!["a=1".into(), "b c".into()]));
    }
}

#[test]
fn signed_requests_of_c_git() {
    for git in GITS {
        let bytes = fixture(&format!("push-signed-{git}.bin"));
        let request = Request::decode(&mut &bytes[..], Kind::Sha1).unwrap();
        assert_eq!(request.encode().unwrap(), bytes);
        assert_eq!(request.commands, [], "they are in the certificate");
        let certificate = request.certificate.unwrap();
        assert!(certificate.starts_with(b"certificate version 0.1\npusher A <a@b> "), "{certificate}");
        assert!(certificate.ends_with(b"\n-----END PGP SIGNATURE-----\n"), "{certificate}");
        assert_eq!(request.options, Some(vec!["a=1".into()]));
    }
}

#[test]
fn requests_that_make_no_sense() {
    let first = format!("{NULL} {NEW} refs/heads/x\0 report-status push-options");
    for (bytes, expected) in [
        (pkts(&["abc"]), "protocol error: expected old/new/ref, got 'abc'"),
        (pkts(&["shallow zzz"]), "protocol error: expected shallow sha, got 'zzz'"),
        (pkts(&[&format!("{NULL}{NULL} {NULL} r")[..60]]), "protocol error: expected old/new/ref, got '"),
        (b"".to_vec(), "the remote end hung up unexpectedly"),
        (pkt(&first).into_bytes(), "the remote end hung up unexpectedly"),
        (pkts(&[&first]), "the remote end hung up unexpectedly"),
        ([pkts(&[&first]), b"0001".to_vec()].concat(), "protocol error: unexpected '0001'"),
        (pkt("push-cert\0 report-status").into_bytes(), "the remote end hung up unexpectedly"),
    ] {
        let error = Request::decode(&mut &bytes[..], Kind::Sha1).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    // ids of another hash function are none
    let sha256 = format!("{0} {0} refs/heads/x", "0".repeat(64));
    assert!(Request::decode(&mut &pkts(&[&sha256])[..], Kind::Sha1).is_err());
    assert_eq!(Request::decode(&mut &pkts(&[&sha256])[..], Kind::Sha256).unwrap().commands.len(), 1);
}

#[test]
fn a_request_for_nothing_is_nothing() {
    assert_eq!(Request::default().encode().unwrap(), b"");
    assert_eq!(Request::decode(&mut &b"0000"[..], Kind::Sha1).unwrap(), Request::default());
}

#[test]
fn what_fits_no_packet_is_not_cut() {
    let option = BString::from("x".repeat(65_517));
    let sent = |option: BString| Request {
        commands: vec![command(NULL, NEW, "refs/heads/x")],
        options: Some(vec![option]),
        ..Request::default()
    };
    let error = sent(option).encode().unwrap_err();
    assert_eq!(error.to_string(), "protocol error: impossibly long line");
    assert!(sent("x".repeat(65_516).into()).encode().is_ok());
}

struct Lines(Vec<String>);

impl Progress for Lines {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Remote { line, .. } = event {
            self.0.push(String::from_utf8(line.to_vec()).unwrap());
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn reports_of_c_git() {
    for git in GITS {
        let bytes = fixture(&format!("push-report-{git}.bin"));
        let mut lines = Lines(Vec::new());
        let shared = Shared::new(&mut lines);
        let mut input = &bytes[..];
        let mut demux = Demux::new(&mut input, &shared);
        let report = Report::read(&mut demux, Kind::Sha1).unwrap();
        demux.finish().unwrap();
        assert!(input.is_empty());
        assert_eq!(lines.0, ["hook", "error: denying ref deletion for refs/heads/old"]);

        let first = Rewritten {
            name: Some("refs/pull/1/head".into()),
            old: Some(id(&"1".repeat(40))),
            new: Some(id(&"2".repeat(40))),
            forced: true,
        };
        let second = Rewritten { name: Some("refs/pull/2/head".into()), ..Rewritten::default() };
        let refs = [
            RefReport { name: "refs/heads/main".into(), outcome: Ok(vec![]) },
            RefReport { name: "refs/heads/old".into(), outcome: Err("deletion prohibited".into()) },
            RefReport { name: "refs/for/x".into(), outcome: Ok(vec![first, second]) },
            RefReport { name: "refs/for/bad".into(), outcome: Err("not today".into()) },
        ];
        assert_eq!(report.refs, refs);
        assert_eq!(report.unpack, Ok(()));
        let encoded = report.encode();
        let found = bytes.windows(encoded.len()).any(|window| window == encoded);
        assert!(found, "our form is C git's");
        let v1 = String::from_utf8(report.encode_v1()).unwrap();
        assert!(!v1.contains("option") && v1.matches("refs/for/x").count() == 1, "{v1}");
    }
}

/// What git 2.47.3 says to a server that answers so.
#[test]
fn reports_that_make_no_sense() {
    for (lines, expected) in [
        (&[][..], "unexpected flush packet while reading remote unpack status"),
        (&["bogus\n"], "unable to parse remote unpack status: bogus"),
        (&["unpack\n"], "unable to parse remote unpack status: unpack"),
        (&["unpack ok\n", "bogus line\n"], "invalid ref status from remote: bogus"),
        (&["unpack ok\n", "ok\n"], "invalid status line from remote: ok"),
        (&["unpack ok\n", "zzz\n"], "invalid status line from remote: zzz"),
        (&["unpack ok\n", "option refname x\n"], "'option' without a matching 'ok/ng' directive"),
        (
            &["unpack ok\n", "ng a no\n", "option refname x\n"],
            "'option' without a matching 'ok/ng' directive",
        ),
        (&["unpack ok\n", "ok a\n", "option\n"], "invalid status line from remote: option"),
    ] {
        let error = Report::read(&mut &pkts(lines)[..], Kind::Sha1).unwrap_err();
        assert!(matches!(error, Error::Report(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    for (bytes, expected) in [
        ("", "the remote end hung up unexpectedly"),
        ("000eunpack ok\n", "the remote end hung up unexpectedly"),
        ("000eunpack ok\n0010ERR go away\n", "remote error: go away"),
        ("garbage", "protocol error: bad line length character: garb"),
    ] {
        let error = Report::read(&mut bytes.as_bytes(), Kind::Sha1).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_was_understood_before_an_error_holds() {
    let mut report = Report::default();
    let lines = ["unpack ok\n", "ok refs/heads/a\n", "bogus line\n", "ok refs/heads/b\n"];
    report.take(&mut &pkts(&lines)[..], Kind::Sha1).unwrap_err();
    assert_eq!(report.refs, [RefReport { name: "refs/heads/a".into(), outcome: Ok(vec![]) }]);
}

/// Each seen in git 2.47.3.
#[test]
fn reports_are_read_as_git_reads_them() {
    let outcome = |lines: &[&str]| {
        let mut lines = lines.to_vec();
        lines.insert(0, "unpack ok\n");
        let report = Report::read(&mut &pkts(&lines)[..], Kind::Sha1).unwrap();
        report.refs.into_iter().map(|told| told.outcome).collect::<Vec<_>>()
    };
    let renamed = |name: &str| Rewritten { name: Some(name.into()), ..Rewritten::default() };
    assert_eq!(outcome(&["ng a some \u{1} reason"]), [Err("some \u{1} reason".into())]);
    assert_eq!(outcome(&["ng a\n"]), [Err("failed".into())]);
    assert_eq!(outcome(&["ok a extra\n"]), [Ok(vec![])]);
    assert_eq!(outcome(&["ok a\n", "ok a\n"]), [Ok(vec![])]);
    assert_eq!(outcome(&["ok a\n", "ok a\n", "option refname b\n"]), [Ok(vec![renamed("b")])]);
    assert_eq!(outcome(&["ok a\n", "option refname b\n", "ok a\n"]), [Ok(vec![renamed("b")])]);
    assert_eq!(outcome(&["ok a\n", "ng a no\n"]), [Ok(vec![]), Err("no".into())]);
    for option in ["option old-oid zzz\n", "option refname\n", "option unknown thing\n"] {
        assert_eq!(outcome(&["ok a\n", option]), [Ok(vec![])], "{option}");
    }
    assert_eq!(Report::read(&mut &b"000eunpack ok\n0001"[..], Kind::Sha1).unwrap(), Report::default());
}

/// What servers say to a push before they are asked; `\0` stands for the NUL.
#[test]
fn advertisements_of_receive_pack() {
    let jgit =
        " side-band-64k delete-refs report-status quiet atomic ofs-delta agent=JGit/4.11.9.201909030838-r";
    let dulwich = " report-status delete-refs quiet atomic ofs-delta side-band-64k no-done object-format=sha1 \
                   symref=HEAD:refs/heads/main";
    for (name, list) in [("refs/heads/main", jgit), ("HEAD", dulwich)] {
        let bytes = pkts(&[&format!("{NEW} {name}\0{list}")]);
        let Advertisement::Refs { capabilities, refs, .. } = Advertisement::read(&mut &bytes[..]).unwrap()
        else {
            panic!("{name}");
        };
        assert_eq!(refs.len(), 1);
        for word in ["report-status", "delete-refs", "quiet", "atomic", "ofs-delta", "side-band-64k"] {
            assert!(capabilities.contains(word), "{word} in {list}");
        }
        assert!(!capabilities.contains("report-status-v2"));
    }
    for git in GITS {
        let bytes = fixture(&format!("advert-{git}-receive.bin"));
        let advertisement = Advertisement::read(&mut &bytes[..]).unwrap();
        let Advertisement::Refs { capabilities, refs, .. } = &advertisement else { panic!("{git}") };
        assert!(capabilities.contains("report-status-v2"));
        assert_eq!(refs.last().unwrap().peeled, None, "a receive-pack peels no tags");
        let mut out = Vec::new();
        advertisement.write(&mut out).unwrap();
        assert_eq!(out, bytes);
    }
}

fn any_id() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 20]>().prop_map(|bytes| ObjectId::try_from(&bytes[..]).unwrap())
}

fn word() -> impl Strategy<Value = BString> {
    "[a-z]{1,8}(/[a-z0-9]{1,8})?".prop_map(Into::into)
}

fn text() -> impl Strategy<Value = BString> {
    "[ -~é]{0,20}[a-z]".prop_map(Into::into)
}

fn rewritten() -> impl Strategy<Value = Rewritten> {
    (option::of(word()), option::of(any_id()), option::of(any_id()), any::<bool>())
        .prop_map(|(name, old, new, forced)| Rewritten { name, old, new, forced })
        .prop_filter("what says nothing is not written", |rewritten| *rewritten != Rewritten::default())
}

proptest! {
    #[test]
    fn requests(
        shallow in vec(any_id(), 0..3), commands in vec((word(), any_id(), any_id()), 1..4),
        capabilities in vec("[b-z-]{1,9}(=[a-z]{1,3})?", 0..4), options in option::of(vec(text(), 0..3)),
        certificate in option::of(vec(text(), 1..4)),
    ) {
        let mut capabilities: Vec<BString> = capabilities.into_iter().map(Into::into).collect();
        capabilities.extend(options.is_some().then(|| "push-options".into()));
        let commands = commands.into_iter().map(|(name, old, new)| Command { name, old, new }).collect();
        let certificate = certificate.map(|lines| BString::from(bstr::concat(
            lines.iter().flat_map(|line| [&line[..], b"\n"]))));
        let commands = if certificate.is_some() { Vec::new() } else { commands };
        let sent = Request { shallow, commands, capabilities, certificate, options };
        let bytes = sent.encode().unwrap();
        prop_assert_eq!(Request::decode(&mut &bytes[..], Kind::Sha1).unwrap(), sent);
    }

    #[test]
    fn reports(
        unpack in option::of(text()),
        refs in vec((word(), prop_oneof![
            text().prop_map(Err),
            vec(rewritten(), 0..3).prop_map(Ok),
        ]), 0..5)
    ) {
        let mut refs: Vec<_> = refs.into_iter().map(|(name, outcome)| RefReport { name, outcome }).collect();
        refs.dedup_by(|a, b| a.name == b.name);
        let unpack = unpack.filter(|reason| reason != "ok").map_or(Ok(()), Err);
        let sent = Report { unpack, refs };
        prop_assert_eq!(Report::read(&mut &sent.encode()[..], Kind::Sha1).unwrap(), sent);
    }

    #[test]
    fn any_lines(lines in vec((0..8_usize, vec(any::<u8>(), 0..60)), 0..8), flush in any::<bool>()) {
        let words = ["", "unpack ok\n", "ok ", "ng ", "option ", "shallow ", "push-cert\0", "push-cert-end\n"];
        let mut bytes = Vec::new();
        for (index, rest) in lines {
            let line = [words[index].as_bytes(), &rest].concat();
            bytes.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
            bytes.extend_from_slice(&line);
        }
        bytes.extend_from_slice(if flush { b"0000" } else { b"" });
        let mut report = &bytes[..];
        let _read = Report::read(&mut report, Kind::Sha1);
        let mut request = &bytes[..];
        let _read = Request::decode(&mut request, Kind::Sha1);
        prop_assert!(report.len() <= bytes.len() && request.len() <= bytes.len());
        let mut discard = Discard;
        let shared = Shared::new(&mut discard);
        let _read = Report::read(&mut Demux::new(&mut &bytes[..], &shared), Kind::Sha1);
    }
}
