//! `push.negotiate` against C git's upload-pack: what is found is what C git finds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "support/mod.rs"]
mod support;

use std::ops::ControlFlow;
use std::path::PathBuf;

use gitr::progress::{Event, Progress};
use gitr::remote::push::negotiate::commits_in_common;
use gitr::repo::{Environment, Repository};
use gitr::transport::{self, ChildStderr, Url};
use gix_hash::ObjectId;

use support::{Format, Sandbox, Stream, build};

/// What was told as a warning or an error.
#[derive(Default)]
struct Told(Vec<String>);

impl Progress for Told {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Warning(text) => self.0.push(format!("warning: {text}")),
            Event::Error(text) => self.0.push(format!("error: {text}")),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A repository of ours with two branches of which the far side has the beginning, under names that it hides.
struct Site {
    sandbox: Sandbox,
    near: PathBuf,
    far: PathBuf,
}

impl Site {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let (near, far) = (sandbox.path("near.git"), sandbox.path("far.git"));
        build::empty(&sandbox, &near, Format::Sha1);
        let mut stream = Stream::new();
        for number in 0..120 {
            stream.commit(if number % 2 == 0 { "main" } else { "side" }, number);
        }
        stream.import(&sandbox, &near);
        build::empty(&sandbox, &far, Format::Sha1);
        let far_name = far.to_str().unwrap();
        sandbox.git(&near, &["push", "-q", far_name, "main~40:refs/heads/hidden/main"]).success();
        sandbox.git(&far, &["config", "uploadpack.hideRefs", "refs/heads/hidden"]).success();
        Self { sandbox, near, far }
    }

    fn id(&self, name: &str) -> ObjectId {
        let line = self.sandbox.git(&self.near, &["rev-parse", name]).success().line();
        ObjectId::from_hex(line.as_bytes()).unwrap()
    }

    fn ours(&self, tips: &[ObjectId], far: &str, version: &str) -> (Vec<ObjectId>, Vec<String>) {
        let env: Environment = self.sandbox.variables().into_iter().collect();
        let overrides = [("protocol.version".into(), Some(version.into()))];
        let repo = Repository::open(&self.near, None, &overrides, &env).unwrap();
        let options =
            transport::Options { child_stderr: ChildStderr::Discard, ..transport::Options::default() };
        let mut told = Told::default();
        let url = Url::parse(far.into()).unwrap();
        let found = commits_in_common(&repo, &url, options, tips, &mut told).unwrap();
        (found, told.0)
    }
}

#[test]
fn what_is_hidden_is_found_as_git_finds_it() {
    let site = Site::new();
    let far = site.far.to_str().unwrap();
    for tip in ["main", "main~50"] {
        let expected = site.id(if tip == "main" { "main~40" } else { tip });
        let (found, told) = site.ours(&[site.id(tip)], far, "2");
        assert_eq!((found.as_slice(), told), (&[expected][..], Vec::new()), "{tip}");
        let named = format!("--negotiation-tip={tip}");
        let theirs = site.sandbox.git(&site.near, &["fetch", "--negotiate-only", &named, far]).success();
        assert_eq!(theirs.line(), expected.to_string(), "{tip}");
    }
}

/// git 2.47.3 says a last time that it has nothing, is sent a pack for it, and dies.
#[test]
fn a_tip_without_anything_in_common_ends_the_conversation() {
    let site = Site::new();
    let far = site.far.to_str().unwrap();
    let (main, topic) = (site.id("main"), site.id("side"));
    assert_eq!(site.ours(&[main, topic], far, "2"), (vec![site.id("main~40")], vec![]));
    assert_eq!(site.ours(&[topic], far, "2"), (vec![], vec![]));
}

#[test]
fn a_push_goes_on_where_nothing_can_be_asked() {
    let site = Site::new();
    let failed = "warning: push negotiation failed; proceeding anyway with push";
    let tip = site.id("main");
    let (found, told) = site.ours(&[tip], site.far.to_str().unwrap(), "0");
    assert!(found.is_empty());
    assert_eq!(told, ["warning: --negotiate-only requires protocol v2", failed]);
    let (found, told) = site.ours(&[tip], "/nonexistent", "2");
    assert!(found.is_empty());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("error: "), "{told:?}");
    assert_eq!(told[1], failed);
    let nothing = [ObjectId::null(gix_hash::Kind::Sha1)];
    assert_eq!(site.ours(&nothing, "/nonexistent", "2"), (vec![], vec![]));
}
