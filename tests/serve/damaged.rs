//! Damaged conversations of `git://` and of pipes, as ssh has them: git's words or none, no panic, and what is served stays
//! whole.

use std::io::Write as _;
use std::sync::Arc;

use bstr::ByteSlice as _;
use gitr::repo::Environment;
use gitr::server::daemon::{Daemon, Hello, Switch};
use gitr::server::enter::Naming;

use crate::abuse::{Chance, TRIES, negotiation, negotiation_v0, push};
use crate::client::{fetch, ls_refs, packets};
use crate::support::{Format, Sandbox, build, state};

/// Serves whatever is below the directory of the sandbox.
fn daemon(sandbox: &Sandbox) -> Daemon {
    let on = Switch { is_on: true, may_be_overridden: false };
    Daemon {
        env: sandbox.variables().into_iter().collect::<Environment>(),
        overrides: Vec::new(),
        exports_all: true,
        naming: Naming::Lenient,
        base: Some(sandbox.path("served")),
        base_is_relaxed: false,
        template: None,
        directories: Vec::new(),
        user_path: None,
        access_hook: None,
        is_informative: true,
        upload_pack: on,
        receive_pack: on,
    }
}

/// What the client says first, and all that follows, of each kind of conversation.
fn kinds(tip: &str) -> Vec<Vec<u8>> {
    let hello = |service: &str, version: u8| {
        let line = format!("git-{service} /project.git\0host=localhost\0\0version={version}\0");
        format!("{:04x}{line}", line.len() + 4).into_bytes()
    };
    let done = [negotiation_v0(tip), packets(&["done\n"])].concat();
    vec![
        [hello("upload-pack", 2), ls_refs(), fetch(tip), packets(&["0000"])].concat(),
        [hello("upload-pack", 2), negotiation(tip)].concat(),
        [hello("upload-pack", 1), done.clone()].concat(),
        [hello("upload-pack", 0), done].concat(),
        [hello("receive-pack", 1), push(tip)].concat(),
        [hello("receive-pack", 0), push(tip)].concat(),
    ]
}

#[test]
fn damaged_conversations_are_answered_or_end() {
    let sandbox = Sandbox::new();
    let repository = sandbox.path("served/project.git");
    build::project(&sandbox, &repository, Format::Sha1, 12);
    let tip = sandbox.git(&repository, &["rev-parse", "main"]).line();
    let daemon = daemon(&sandbox);
    let mut chance = Chance(0x0dd_ba11_5eed);
    let mut served = 0;
    for whole in kinds(&tip) {
        for _ in 0..TRIES {
            let damaged = chance.damage(&whole);
            let (mut input, mut out) = (damaged.as_slice(), Vec::new());
            let Ok(hello) = Hello::read(&mut input) else { continue };
            let ended = daemon.serve(&hello, None, &Arc::default(), (&mut input, &mut out));
            out.flush().unwrap();
            served += usize::from(ended.is_ok());
            // what was said is pkt-lines to the end, but for a pack without bands
            let mut rest = out.as_slice();
            while !rest.is_empty() && !rest.starts_with(b"PACK") {
                let length =
                    rest.get(..4).and_then(|head| usize::from_str_radix(head.to_str().ok()?, 16).ok());
                let length = length.unwrap_or_else(|| panic!("{:?}: {:?}", damaged.as_bstr(), out.as_bstr()));
                rest = rest.get(length.max(4)..).expect("a pkt-line is whole");
            }
        }
    }
    assert!(served > TRIES, "{served} did no harm to what was meant");
    sandbox.git(&repository, &["fsck", "--strict"]).success();
    assert!(state::leftovers(&repository).is_empty());
}
