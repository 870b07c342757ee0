//! Pushing as another program embeds it: scripted far sides, each of which says what the test lets it say, and C git's
//! receive-pack.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "support/mod.rs"]
mod support;

use std::ops::ControlFlow;
use std::path::PathBuf;

use bstr::ByteSlice;
use gitr::progress::{Event, Progress};
use gitr::protocol::push::Rewritten;
use gitr::remote::push::{RefUpdate, Status};
use gitr::remote::send_pack::{Options, Signed, send_pack};
use gitr::remote::{Error, RepoSettings, Session};
use gitr::repo::{Environment, Repository};
use gitr::transport::{self, ChildStderr, Url};
use gix_hash::ObjectId;

use support::{Format, Sandbox, Stream, build};

/// Everything that was told.
#[derive(Default)]
struct Told {
    remote: Vec<String>,
    warnings: Vec<String>,
    errors: Vec<String>,
    /// The errors, and what ended a part of the work.
    ends: Vec<String>,
    /// Stop when the far side says something in band 2.
    stops: bool,
}

impl Progress for Told {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Remote { line, .. } => {
                self.remote.push(line.to_str_lossy().into_owned());
                if self.stops {
                    return ControlFlow::Break(());
                }
            }
            Event::Warning(text) => self.warnings.push(text.to_owned()),
            Event::Error(text) => {
                self.errors.push(text.to_owned());
                self.ends.push(format!("error: {text}"));
            }
            Event::Fatal(text) => self.ends.push(format!("fatal: {text}")),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A repository of ours, and what is pushed from it.
struct Near {
    sandbox: Sandbox,
    path: PathBuf,
    /// `refs/heads/main` and its parent.
    tip: ObjectId,
    parent: ObjectId,
    /// What a scripted far side has as `refs/heads/kept`.
    kept: ObjectId,
}

/// What became of a push.
struct Pushed {
    rows: Vec<RefUpdate>,
    told: Told,
    result: Result<(), Error>,
    /// What the far side heard, if its script kept it.
    heard: Vec<u8>,
}

impl Near {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let path = sandbox.path("near.git");
        build::empty(&sandbox, &path, Format::Sha1);
        let mut stream = Stream::new();
        for number in 0..3 {
            stream.commit("main", number).file("file.txt", format!("{number}\n"));
        }
        stream.import(&sandbox, &path);
        let id = |name: &str| {
            let line = sandbox.git(&path, &["rev-parse", name]).success().line();
            ObjectId::from_hex(line.as_bytes()).unwrap()
        };
        let (tip, parent) = (id("main"), id("main~1"));
        Self { sandbox, path, tip, parent, kept: tip }
    }

    fn repository(&self) -> Repository {
        let env: Environment = self.sandbox.variables().into_iter().collect();
        Repository::open(&self.path, None, &[], &env).unwrap()
    }

    /// A row that makes `name` of `old` what `new` is; the null id for `None`.
    fn row(name: &str, old: Option<ObjectId>, new: Option<ObjectId>) -> RefUpdate {
        let null = ObjectId::null(gix_hash::Kind::Sha1);
        RefUpdate {
            source: None,
            name: name.into(),
            old: old.unwrap_or(null),
            new: new.unwrap_or(null),
            expected: None,
            forced: false,
            status: Status::Pending,
            rewritten: Vec::new(),
        }
    }

    /// Pushes `rows` to the repository at `path`, served by the shell snippet `receive_pack` if there is one.
    fn push(
        &self,
        path: &str,
        receive_pack: Option<&str>,
        rows: Vec<RefUpdate>,
        options: &Options,
        told: Told,
    ) -> Pushed {
        let repo = self.repository();
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let (mut rows, mut told) = (rows, told);
        let transport = transport::Options {
            receive_pack: receive_pack.map(Into::into),
            child_stderr: ChildStderr::Discard,
            directory: Some(self.sandbox.path("")),
            ..transport::Options::default()
        };
        let url = Url::parse(path.into()).unwrap();
        let result =
            Session::connect_receive_pack(&url, &settings, transport, &mut told).and_then(|mut session| {
                let refs = session.refs(&[], &mut told)?;
                let sent = send_pack(&mut session, &repo, &refs, &mut rows, options, &mut told);
                // how a scripted far side ends is not what is tested
                let _ended = session.close();
                sent
            });
        let heard = std::fs::read(self.sandbox.path("heard")).unwrap_or_default();
        Pushed { rows, told, result, heard }
    }
}

/// The shell snippet of a far side that says it can do `capabilities` and has `refs/heads/old` and `refs/heads/kept`,
/// keeps what it hears, up to the end, and then says `answer`.
fn far_side(near: &Near, capabilities: &str, answer: &[u8]) -> String {
    std::fs::write(near.sandbox.path("answer"), answer).unwrap();
    format!("{}cat >heard; cat answer; :", greeting(near, capabilities))
}

/// The beginning of such a snippet.
fn greeting(near: &Near, capabilities: &str) -> String {
    let lines = [
        format!("{} refs/heads/old\0{capabilities}\n", near.parent),
        format!("{} refs/heads/kept\n", near.kept),
    ];
    std::fs::write(near.sandbox.path("greeting"), pkts(&[&lines[0], &lines[1]])).unwrap();
    "cat greeting; ".to_owned()
}

fn pkt(line: &str) -> String {
    format!("{:04x}{line}", line.len() + 4)
}

/// `lines`, each a pkt-line, and a flush-pkt.
fn pkts(lines: &[&str]) -> Vec<u8> {
    (lines.iter().map(|line| pkt(line)).collect::<String>() + "0000").into_bytes()
}

/// `data` in one packet of a side-band.
fn band(number: u8, data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 5).as_bytes(), &[number], data].concat()
}

/// Deletes `refs/heads/old` at a far side that can do `capabilities` and answers with `answer`.
fn delete(capabilities: &str, answer: &[u8]) -> Pushed {
    let near = Near::new();
    let rows = vec![Near::row("refs/heads/old", Some(near.parent), None)];
    let far = far_side(&near, capabilities, answer);
    near.push("far", Some(&far), rows, &Options::default(), Told::default())
}

#[test]
fn a_report_becomes_the_status() {
    for (line, expected) in [
        ("ok refs/heads/old\n", Status::Done),
        ("ok refs/heads/old extra\n", Status::Done),
        ("ng refs/heads/old no \u{1}\u{e9} way\n", Status::RemoteRejected("no \u{1}\u{e9} way".into())),
        ("ng refs/heads/old\n", Status::RemoteRejected("failed".into())),
    ] {
        let answer = pkts(&["unpack ok\n", line]);
        let bare = delete("report-status delete-refs", &answer);
        let banded = [band(2, b"from a hook\n"), band(1, &answer), b"0000".to_vec()].concat();
        let banded = delete("report-status delete-refs side-band-64k", &banded);
        assert_eq!(banded.told.remote, ["from a hook"]);
        for pushed in [bare, banded] {
            pushed.result.unwrap();
            assert_eq!(pushed.rows[0].status, expected, "{line}");
        }
    }
}

#[test]
fn what_is_asked_is_what_git_asks() {
    let all = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options \
               object-format=sha1 agent=x";
    let agent = gitr::remote::session::AGENT;
    for (capabilities, options, expected) in [
        ("delete-refs unheard-of", Options::default(), String::new()),
        (
            " delete-refs report-status agent=JGit/4.11",
            Options::default(),
            format!(" report-status agent={agent}"),
        ),
        (
            all,
            Options::default(),
            format!(" report-status-v2 side-band-64k object-format=sha1 agent={agent}"),
        ),
        (
            all,
            Options {
                quiet: true,
                atomic: true,
                push_options: vec!["a=1".into(), "b c".into()],
                ..Options::default()
            },
            format!(
                " report-status-v2 side-band-64k quiet atomic push-options object-format=sha1 agent={agent}"
            ),
        ),
    ] {
        let near = Near::new();
        let rows = vec![
            Near::row("refs/heads/old", Some(near.parent), None),
            Near::row("refs/heads/kept", Some(near.tip), None),
        ];
        let far = far_side(&near, capabilities, b"");
        let pushed = near.push("far", Some(&far), rows, &options, Told::default());
        let null = "0".repeat(40);
        let first = format!("{} {null} refs/heads/old\0{expected}", near.parent);
        let mut heard = pkts(&[&first, &format!("{} {null} refs/heads/kept", near.tip)]);
        if !options.push_options.is_empty() {
            heard.extend(pkts(&["a=1", "b c"]));
        }
        assert_eq!(pushed.heard.as_bstr(), heard.as_bstr());
    }
}

#[test]
fn a_session_is_named_if_both_sides_wish_it() {
    let near = Near::new();
    near.sandbox.git(&near.path, &["config", "transfer.advertiseSID", "true"]).success();
    for (capabilities, is_named) in [("delete-refs session-id=far", true), ("delete-refs", false)] {
        let rows = vec![Near::row("refs/heads/old", Some(near.parent), None)];
        let far = far_side(&near, capabilities, b"");
        let pushed = near.push("far", Some(&far), rows, &Options::default(), Told::default());
        assert_eq!(pushed.heard.contains_str(" session-id=2"), is_named);
    }
}

#[test]
fn what_the_far_side_lacks_is_refused_in_git_s_words() {
    let with = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    let signed = |options: &mut Options| options.signed = Signed::Yes;
    let atomic = |options: &mut Options| options.atomic = true;
    let optioned = |options: &mut Options| options.push_options = vec!["a".into()];
    for (options, expected) in [
        (with(signed), "the receiving end does not support --signed push"),
        (with(atomic), "the receiving end does not support --atomic push"),
        (with(optioned), "the receiving end does not support push options"),
    ] {
        let near = Near::new();
        let rows = vec![Near::row("refs/heads/old", Some(near.parent), None)];
        let far = far_side(&near, "delete-refs report-status", b"");
        let pushed = near.push("far", Some(&far), rows, &options, Told::default());
        assert_eq!(pushed.result.unwrap_err().to_string(), expected);
        assert_eq!(pushed.rows[0].status, Status::Pending);
        assert_eq!(pushed.heard, b"0000", "nothing is asked for");
    }
}

#[test]
fn a_far_side_with_another_hash_function_is_refused() {
    let near = Near::new();
    build::empty(&near.sandbox, &near.sandbox.path("far.git"), Format::Sha256);
    let rows = vec![Near::row("refs/heads/new", None, Some(near.tip))];
    let pushed = near.push("far.git", None, rows, &Options::default(), Told::default());
    let error = pushed.result.unwrap_err().to_string();
    assert_eq!(error, "the receiving end does not support this repository's hash algorithm");
}

#[test]
fn a_signature_nobody_asks_for_is_left_out_with_a_warning() {
    let near = Near::new();
    let rows = vec![Near::row("refs/heads/old", Some(near.parent), None)];
    let far = far_side(&near, "delete-refs", b"");
    let options = Options { signed: Signed::IfAsked, ..Options::default() };
    let pushed = near.push("far", Some(&far), rows, &options, Told::default());
    pushed.result.unwrap();
    let text = "not sending a push certificate since the receiving end does not support --signed push";
    assert_eq!(pushed.told.warnings, [text]);
    assert_eq!(pushed.rows[0].status, Status::Done);
}

#[test]
fn refs_that_cannot_be_deleted_are_not_asked_for() {
    let near = Near::new();
    let rows = vec![Near::row("refs/heads/old", Some(near.parent), None)];
    let far = far_side(&near, "report-status", b"");
    let pushed = near.push("far", Some(&far), rows, &Options::default(), Told::default());
    pushed.result.unwrap();
    assert_eq!(pushed.rows[0].status, Status::NoDelete);
    assert_eq!(pushed.heard, b"0000");
}

#[test]
fn all_or_nothing_is_nothing_where_a_row_was_rejected() {
    let near = Near::new();
    let mut rejected = Near::row("refs/heads/old", Some(near.parent), Some(near.tip));
    rejected.status = Status::FetchFirst;
    let rows = vec![rejected, Near::row("refs/heads/kept", Some(near.tip), None)];
    let far = far_side(&near, "report-status delete-refs atomic", b"");
    let options = Options { atomic: true, ..Options::default() };
    let pushed = near.push("far", Some(&far), rows, &options, Told::default());
    pushed.result.unwrap();
    assert_eq!(pushed.rows[0].status, Status::FetchFirst);
    assert_eq!(pushed.rows[1].status, Status::AtomicFailed);
    assert_eq!(pushed.told.errors, ["atomic push failed for ref refs/heads/old. status: 5"]);
    assert_eq!(pushed.heard, b"0000");
}

#[test]
fn a_dry_run_asks_for_nothing() {
    let near = Near::new();
    let rows = vec![
        Near::row("refs/heads/old", Some(near.parent), None),
        Near::row("refs/heads/new", None, Some(near.tip)),
    ];
    let far = far_side(&near, "report-status delete-refs", b"");
    let options = Options { dry_run: true, ..Options::default() };
    let pushed = near.push("far", Some(&far), rows, &options, Told::default());
    pushed.result.unwrap();
    assert!(pushed.rows.iter().all(|row| row.status == Status::Done));
    assert_eq!(pushed.heard, b"0000");
}

#[test]
fn a_far_side_that_cannot_report_is_believed_if_it_ends_well() {
    let quiet = delete("delete-refs", b"");
    quiet.result.unwrap();
    assert_eq!(quiet.rows[0].status, Status::Done);
    let talkative = delete("delete-refs side-band-64k", &[band(2, b"done\n"), b"0000".to_vec()].concat());
    talkative.result.unwrap();
    assert_eq!(talkative.rows[0].status, Status::Done);
    assert_eq!(talkative.told.remote, ["done"]);
    // git shows `[deleted]` here, and fails
    let torn = delete("delete-refs side-band-64k", &band(3, b"out of disk\n"));
    assert_eq!(torn.result.unwrap_err().to_string(), "remote error: out of disk");
    assert_eq!(torn.rows[0].status, Status::Unreported);
}

#[test]
fn a_far_side_that_says_nothing_of_a_ref_is_not_believed() {
    let silent = delete("report-status delete-refs", &pkts(&["unpack ok\n"]));
    silent.result.unwrap();
    assert_eq!(silent.rows[0].status, Status::Unreported);
}

#[test]
fn refs_that_were_not_asked_for_are_warned_of() {
    let near = Near::new();
    let mut same = Near::row("refs/heads/kept", Some(near.tip), Some(near.tip));
    same.status = Status::UpToDate;
    let rows = vec![same, Near::row("refs/heads/old", Some(near.parent), None)];
    let answer =
        pkts(&["unpack ok\n", "ok refs/heads/zz\n", "ng refs/heads/kept no\n", "ok refs/heads/old\n"]);
    let far = far_side(&near, "report-status delete-refs", &answer);
    let pushed = near.push("far", Some(&far), rows, &Options::default(), Told::default());
    pushed.result.unwrap();
    let warnings = [
        "remote reported status on unknown ref: refs/heads/zz",
        "remote reported status on unexpected ref: refs/heads/kept",
    ];
    assert_eq!(pushed.told.warnings, warnings);
    assert_eq!(pushed.rows[0].status, Status::UpToDate);
    assert_eq!(pushed.rows[1].status, Status::Done);
}

#[test]
fn a_failed_unpack_is_told_and_no_ref_believed() {
    let answer = pkts(&["unpack index-pack abnormal exit\n", "ok refs/heads/old\n"]);
    let pushed = delete("report-status delete-refs", &answer);
    pushed.result.unwrap();
    assert_eq!(pushed.told.errors, ["remote unpack failed: index-pack abnormal exit"]);
    assert_eq!(pushed.rows[0].status, Status::Unreported);
    let answer = pkts(&["unpack index-pack abnormal exit\n", "ng refs/heads/old unpacker error\n"]);
    let pushed = delete("report-status delete-refs", &answer);
    assert_eq!(pushed.rows[0].status, Status::RemoteRejected("unpacker error".into()));
}

#[test]
fn what_a_hook_did_instead_is_kept() {
    let new = "2".repeat(40);
    let answer = pkts(&[
        "unpack ok\n",
        "ok refs/heads/old\n",
        "option refname refs/heads/elsewhere\n",
        &format!("option new-oid {new}\n"),
        "option forced-update\n",
        "ok refs/heads/old\n",
        "option refname refs/heads/too\n",
    ]);
    let pushed = delete("report-status-v2 report-status delete-refs", &answer);
    pushed.result.unwrap();
    let first = Rewritten {
        name: Some("refs/heads/elsewhere".into()),
        old: None,
        new: ObjectId::from_hex(new.as_bytes()).ok(),
        forced: true,
    };
    let second = Rewritten { name: Some("refs/heads/too".into()), ..Rewritten::default() };
    assert_eq!(pushed.rows[0].rewritten, [first, second]);
}

#[test]
fn the_far_side_s_own_words_are_the_error() {
    let bands = "report-status delete-refs side-band-64k";
    let bare = "report-status delete-refs";
    let unpacked = pkt("unpack ok\n").into_bytes();
    let hung_up = "the remote end hung up unexpectedly";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (bare, b"".to_vec(), hung_up),
        (bare, unpacked.clone(), hung_up),
        (bare, pkt("ERR go away\n").into_bytes(), "remote error: go away"),
        (bare, [&unpacked[..], pkt("ERR go away\n").as_bytes()].concat(), "remote error: go away"),
        (bare, b"garbage".to_vec(), "protocol error: bad line length character: garb"),
        (bands, b"".to_vec(), hung_up),
        (bands, b"0000".to_vec(), hung_up),
        (bands, band(1, &unpacked), hung_up),
        (bands, [band(2, b"look"), band(3, b"disk full\n")].concat(), "remote error: disk full"),
        (bands, pkt("ERR gone\n").into_bytes(), "remote error: gone"),
        (bands, [band(1, pkt("ERR gone\n").as_bytes()), b"0000".to_vec()].concat(), "remote error: gone"),
        (bands, band(7, b"x"), "protocol error: bad band #7"),
        (bare, b"0000".to_vec(), hung_up), // that it says nothing was told before, as in git
        (bare, pkts(&["bogus\n"]), "unable to parse remote unpack status: bogus"),
    ];
    for (capabilities, answer, expected) in cases {
        let pushed = delete(capabilities, &answer);
        assert_eq!(pushed.result.unwrap_err().to_string(), expected, "{}", answer.as_bstr());
        assert_eq!(pushed.rows[0].status, Status::Unreported);
        let heard = if answer.starts_with(b"0009\x02look") { vec!["look"] } else { vec![] };
        assert_eq!(pushed.told.remote, heard);
    }
}

#[test]
fn what_was_reported_holds_even_if_the_session_breaks_behind_it() {
    let report = pkts(&["unpack ok\n", "ok refs/heads/old\n"]);
    for end in [b"".to_vec(), band(3, b"too late\n")] {
        let pushed = delete("report-status delete-refs side-band-64k", &[band(1, &report), end].concat());
        assert!(pushed.result.is_err());
        assert_eq!(pushed.rows[0].status, Status::Done);
    }
    let bogus = pkts(&["unpack ok\n", "ok refs/heads/old\n", "bogus line\n"]);
    let pushed = delete("report-status delete-refs", &bogus);
    assert_eq!(pushed.result.unwrap_err().to_string(), "invalid ref status from remote: bogus");
    assert_eq!(pushed.rows[0].status, Status::Done);
}

#[test]
fn a_push_can_be_stopped_while_the_far_side_talks() {
    let near = Near::new();
    let rows = vec![Near::row("refs/heads/old", Some(near.parent), None)];
    std::fs::write(near.sandbox.path("talk"), band(2, b"on and on\n")).unwrap();
    let greeting = greeting(&near, "report-status delete-refs side-band-64k");
    let far = format!("{greeting}while cat talk; do :; done; :");
    let told = Told { stops: true, ..Told::default() };
    let pushed = near.push("far", Some(&far), rows, &Options::default(), told);
    assert!(pushed.result.unwrap_err().is_interrupted());
    assert_eq!(pushed.told.remote, ["on and on"]);
}

#[test]
fn haves_beside_the_refs_are_no_refs() {
    let near = Near::new();
    let greeting =
        pkts(&[&format!("{} .have\0report-status\n", near.parent), &format!("{} refs/heads/a\n", near.tip)]);
    std::fs::write(near.sandbox.path("greeting"), greeting).unwrap();
    let repo = near.repository();
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    let transport = transport::Options {
        receive_pack: Some("cat greeting; cat >heard; :".into()),
        directory: Some(near.sandbox.path("")),
        ..transport::Options::default()
    };
    let url = Url::parse("far".into()).unwrap();
    let mut session =
        Session::connect_receive_pack(&url, &settings, transport, &mut Told::default()).unwrap();
    assert_eq!(session.extra_haves(), [near.parent]);
    let refs = session.refs(&[], &mut Told::default()).unwrap();
    assert_eq!(refs.iter().map(|found| found.name.to_string()).collect::<Vec<_>>(), ["refs/heads/a"]);
    session.close().unwrap();
}

#[test]
fn version_2_is_not_spoken() {
    for (greeting, expected) in [
        (&b"000eversion 2\n0000"[..], "support for protocol v2 not implemented yet"),
        (b"000eversion 3\n0000", "server is speaking an unknown protocol"),
        (b"000dERR nope\n", "remote error: nope"),
    ] {
        let near = Near::new();
        std::fs::write(near.sandbox.path("greeting"), greeting).unwrap();
        let pushed = near.push("far", Some("cat greeting; :"), vec![], &Options::default(), Told::default());
        assert_eq!(pushed.result.unwrap_err().to_string(), expected);
    }
    // the version that is asked for is git's
    for (version, expected) in [("0", "\n"), ("1", "version=1\n"), ("2", "\n")] {
        let near = Near::new();
        near.sandbox.git(&near.path, &["config", "protocol.version", version]).success();
        let far = format!("{}echo \"$GIT_PROTOCOL\" >heard; :", greeting(&near, "report-status"));
        let pushed = near.push("far", Some(&far), vec![], &Options::default(), Told::default());
        pushed.result.unwrap();
        assert_eq!(pushed.heard.as_bstr(), expected);
    }
}

/// `refs/heads/main` of a copy of ours is deleted by C git's own program.
#[test]
fn c_git_deletes() {
    for git in support::Git::all() {
        let near = Near::new();
        let far = build::copy(&near.sandbox, &near.path, &near.sandbox.path("far.git"));
        near.sandbox.git(&far, &["update-ref", "refs/heads/other", &near.parent.to_string()]).success();
        let program = format!("{}/git-receive-pack", git.exec_path.display());
        let rows = vec![
            Near::row("refs/heads/other", Some(near.parent), None),
            Near::row("refs/heads/main", Some(near.tip), None),
            Near::row("refs/heads/gone", Some(near.tip), None),
        ];
        let far_name = far.to_str().unwrap();
        let pushed = near.push(far_name, Some(&program), rows, &Options::default(), Told::default());
        pushed.result.unwrap();
        assert_eq!(pushed.rows[0].status, Status::Done);
        let refused = "deletion of the current branch prohibited";
        assert_eq!(pushed.rows[1].status, Status::RemoteRejected(refused.into()));
        assert_eq!(
            near.sandbox.git(&far, &["for-each-ref", "--format=%(refname)"]).line(),
            "refs/heads/main"
        );
        assert!(!pushed.told.remote.is_empty(), "receive-pack explains why");
    }
}

impl Near {
    /// As [`Near::new`], with a commit on top that holds `bytes` bytes which no compression makes fewer.
    fn with_noise(bytes: usize) -> Self {
        let mut near = Self::new();
        let mut stream = Stream::onto("main");
        stream.commit("main", 9).file("noise", build::noise(bytes));
        stream.import(&near.sandbox, &near.path);
        let line = near.sandbox.git(&near.path, &["rev-parse", "main"]).success().line();
        near.tip = ObjectId::from_hex(line.as_bytes()).unwrap();
        near
    }

    /// Creates `refs/heads/new` at a far side that is the shell snippet `far`.
    fn create(&self, far: &str) -> Pushed {
        let rows = vec![Self::row("refs/heads/new", None, Some(self.tip))];
        self.push("far", Some(far), rows, &Options::default(), Told::default())
    }
}

/// What stands behind the request in `heard`, as `git index-pack` judges it; the number of objects.
fn judge_pack(near: &Near, heard: &[u8]) -> usize {
    let pack = &heard[heard.find("0000PACK").unwrap() + 4..];
    let run = support::Run::with_input(
        near.sandbox.command("git").current_dir(&near.path).args([
            "index-pack",
            "--stdin",
            "--fix-thin",
            "--strict",
        ]),
        pack,
    );
    run.success();
    u32::from_be_bytes(pack[8..12].try_into().unwrap()) as usize
}

#[test]
fn packs_go_to_c_git() {
    for git in support::Git::all() {
        for format in Format::ALL {
            let sandbox = Sandbox::new();
            let (near_path, far) = (sandbox.path("near.git"), sandbox.path("far.git"));
            build::project(&sandbox, &near_path, format, 30);
            build::empty(&sandbox, &far, format);
            let id = |name: &str| {
                ObjectId::from_hex(sandbox.git(&near_path, &["rev-parse", name]).success().line().as_bytes())
                    .unwrap()
            };
            let (tip, parent, tag) = (id("main"), id("main~4"), id("v1.0"));
            let near = Near { path: near_path.clone(), tip, parent, kept: tip, sandbox };
            let program = format!("{}/git-receive-pack", git.exec_path.display());
            let null = ObjectId::null(tip.kind());
            for (name, old, new) in [
                ("refs/heads/main", null, parent),
                ("refs/heads/main", parent, tip),
                ("refs/tags/v1.0", null, tag),
                // all of it is there: an empty pack
                ("refs/heads/same", null, tip),
            ] {
                let rows = vec![RefUpdate { old, ..Near::row(name, None, Some(new)) }];
                let options = Options { thin: true, ..Options::default() };
                let pushed =
                    near.push(far.to_str().unwrap(), Some(&program), rows, &options, Told::default());
                pushed.result.unwrap();
                assert_eq!(pushed.rows[0].status, Status::Done, "{name} {:?}", pushed.told.remote);
                assert_eq!(near.sandbox.git(&far, &["rev-parse", name]).line(), new.to_string());
            }
            near.sandbox.git(&far, &["fsck", "--strict", "--full"]).success();
        }
    }
}

#[test]
fn a_megabyte_is_heard_before_a_byte_is_listened_to() {
    let near = Near::with_noise(3 << 20);
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let chatter: Vec<u8> = (0..1024).flat_map(|_| band(2, &line)).collect();
    std::fs::write(near.sandbox.path("chatter"), chatter).unwrap();
    let report = band(1, &pkts(&["unpack ok\n", "ok refs/heads/new\n"]));
    std::fs::write(near.sandbox.path("answer"), [report, b"0000".to_vec()].concat()).unwrap();
    let greeting = greeting(&near, "report-status side-band-64k");
    let pushed = near.create(&format!("{greeting}cat chatter; cat >heard; cat answer; :"));
    pushed.result.unwrap();
    assert_eq!(pushed.rows[0].status, Status::Done);
    assert_eq!(pushed.told.remote.len(), 1024);
    assert_eq!(judge_pack(&near, &pushed.heard), 3, "a commit, a tree and a blob");
}

#[test]
fn a_far_side_that_hangs_up_in_the_middle_has_the_last_word() {
    let bands = "report-status side-band-64k";
    let refused = pkts(&["unpack quota exceeded\n", "ng refs/heads/new unpacker error\n"]);
    let cases = [
        (bands, b"".to_vec(), Some("the remote end hung up unexpectedly")),
        (bands, band(3, b"no space left\n"), Some("remote error: no space left")),
        (bands, [band(1, &refused), b"0000".to_vec()].concat(), None),
        ("report-status", b"".to_vec(), Some("the remote end hung up unexpectedly")),
        ("report-status", pkt("ERR too large\n").into_bytes(), Some("remote error: too large")),
        ("report-status", refused, None),
        ("ofs-delta", b"".to_vec(), Some("the remote end hung up unexpectedly")),
    ];
    for (capabilities, answer, expected) in cases {
        let near = Near::with_noise(3 << 20);
        std::fs::write(near.sandbox.path("answer"), answer).unwrap();
        let greeting = greeting(&near, capabilities);
        let pushed = near.create(&format!("{greeting}head -c 200 >heard; exec 0</dev/null; cat answer; :"));
        if let Some(expected) = expected {
            assert_eq!(pushed.result.unwrap_err().to_string(), expected);
            assert_eq!(pushed.rows[0].status, Status::Unreported);
        } else {
            pushed.result.unwrap();
            assert_eq!(pushed.told.errors, ["remote unpack failed: quota exceeded"]);
            assert_eq!(pushed.rows[0].status, Status::RemoteRejected("unpacker error".into()));
        }
    }
}

#[test]
fn a_far_side_that_can_nothing_gets_its_pack() {
    let near = Near::new();
    let pushed = near.create(&far_side(&near, "", b""));
    pushed.result.unwrap();
    assert_eq!(pushed.rows[0].status, Status::Done);
    assert_eq!(judge_pack(&near, &pushed.heard), 0, "it has refs/heads/kept");
}

#[test]
fn an_object_that_is_missing_here_ends_the_push_on_both_sides() {
    let near = Near::with_noise(1 << 20);
    let blob = near.sandbox.git(&near.path, &["rev-parse", "main:noise"]).success().line();
    near.sandbox.git(&near.path, &["-c", "pack.packSizeLimit=0", "repack", "-adq"]).success();
    let packs = near.path.join("objects/pack");
    let loose = near.sandbox.path("loose");
    std::fs::rename(&packs, &loose).unwrap();
    std::fs::create_dir(&packs).unwrap();
    for entry in std::fs::read_dir(&loose).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            let pack = std::fs::read(path).unwrap();
            let mut unpack = near.sandbox.command("git");
            unpack.current_dir(&near.path).args(["unpack-objects", "-q"]);
            support::Run::with_input(&mut unpack, &pack).success();
        }
    }
    std::fs::remove_file(near.path.join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let far = near.sandbox.path("far.git");
    build::empty(&near.sandbox, &far, Format::Sha1);
    let rows = vec![Near::row("refs/heads/new", None, Some(near.tip))];
    let pushed = near.push(far.to_str().unwrap(), None, rows, &Options::default(), Told::default());
    let error = pushed.result.unwrap_err();
    assert!(matches!(error, Error::Told(_)), "{error:?}");
    assert_eq!(error.to_string(), format!("unable to read {blob}"));
    // as in git, where pack-objects has the first word
    let unpack = "error: remote unpack failed: eof before pack header was fully read".to_owned();
    assert_eq!(pushed.told.ends, [format!("fatal: {error}"), unpack]);
    assert_eq!(pushed.rows[0].status, Status::RemoteRejected("unpacker error".into()));
    assert_eq!(near.sandbox.git(&far, &["for-each-ref"]).line(), "");
}

/// A [`Near`] that is a partial clone by `filter` of `full.git`, which it returns as well.
fn partial(filter: &str) -> (Near, PathBuf) {
    let sandbox = Sandbox::new();
    let (full, path) = (sandbox.path("full.git"), sandbox.path("near.git"));
    build::project(&sandbox, &full, Format::Sha1, 30);
    for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        sandbox.git(&full, &["config", key, "true"]).success();
    }
    let url = format!("file://{}", full.display());
    let directory = sandbox.path("");
    let clone = ["-c", "protocol.file.allow=always", "clone", "-q", "--bare", filter, &url, "near.git"];
    sandbox.git(&directory, &clone).success();
    let id = |name: &str| {
        ObjectId::from_hex(sandbox.git(&full, &["rev-parse", name]).success().line().as_bytes()).unwrap()
    };
    let (tip, parent) = (id("main"), id("main~4"));
    (Near { sandbox, path, tip, parent, kept: tip }, full)
}

/// How many packs promisors sent to `near`.
fn promised_packs(near: &Near) -> usize {
    let entries = std::fs::read_dir(near.path.join("objects/pack")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension() == Some("promisor".as_ref())).count()
}

#[test]
fn what_a_partial_clone_lacks_is_fetched_in_one_batch() {
    let (near, full) = partial("--filter=blob:none");
    let far = near.sandbox.path("far.git");
    build::empty(&near.sandbox, &far, Format::Sha1);
    let options = Options { thin: true, ..Options::default() };
    let push = |far: &str, old, new| {
        let rows = vec![Near::row("refs/heads/new", old, Some(new))];
        let options = Options { url: far.into(), ..options.clone() };
        near.push(far, None, rows, &options, Told::default())
    };
    let before = promised_packs(&near);
    let same = push(&format!("file://{}", full.display()), None, near.parent);
    assert_eq!(
        (&same.rows[0].status, promised_packs(&near)),
        (&Status::Done, before),
        "it has what it promised"
    );
    for (old, new, batches) in [(None, near.parent, 1), (Some(near.parent), near.tip, 2)] {
        let pushed = push(far.to_str().unwrap(), old, new);
        pushed.result.unwrap();
        assert_eq!(pushed.rows[0].status, Status::Done, "{:?}", pushed.told.remote);
        assert_eq!(promised_packs(&near), before + batches);
    }
    near.sandbox.git(&far, &["fsck", "--strict", "--full"]).success();
}

#[test]
fn trees_that_a_partial_clone_lacks_are_fetched_with_what_they_name() {
    let (near, _full) = partial("--filter=tree:0");
    let far = near.sandbox.path("far.git");
    build::empty(&near.sandbox, &far, Format::Sha1);
    let rows = vec![Near::row("refs/heads/new", None, Some(near.tip))];
    let pushed = near.push(far.to_str().unwrap(), None, rows, &Options::default(), Told::default());
    pushed.result.unwrap();
    near.sandbox.git(&far, &["fsck", "--strict", "--full"]).success();
}

#[test]
fn a_promisor_that_is_gone_ends_the_push_on_both_sides() {
    let (near, full) = partial("--filter=blob:none");
    let far = near.sandbox.path("far.git");
    build::empty(&near.sandbox, &far, Format::Sha1);
    std::fs::remove_dir_all(full).unwrap();
    let rows = vec![Near::row("refs/heads/new", None, Some(near.tip))];
    let options = Options {
        promisor_transport: transport::Options {
            child_stderr: ChildStderr::Discard,
            ..transport::Options::default()
        },
        ..Options::default()
    };
    let pushed = near.push(far.to_str().unwrap(), None, rows, &options, Told::default());
    let error = pushed.result.unwrap_err();
    assert!(matches!(&error, Error::Told(error) if matches!(**error, Error::NotPromised(_))), "{error:?}");
    let [remote, fatal, unpack] = &pushed.told.ends[..] else { panic!("{:?}", pushed.told.ends) };
    assert!(remote.starts_with("fatal: Could not read from remote repository."), "{remote}");
    assert_eq!(*fatal, format!("fatal: {error}"));
    assert_eq!(unpack, "error: remote unpack failed: eof before pack header was fully read");
    assert_eq!(pushed.rows[0].status, Status::RemoteRejected("unpacker error".into()));
}
