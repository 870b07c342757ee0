//! What is sent: for the same push a pack that is hardly larger than C git's, and that `index-pack --strict --fix-thin`
//! takes, from repositories of every shape.

use bstr::ByteSlice;

use super::commit;
use crate::support::proxy::{Fault, Proxy};
use crate::support::push::{COPY, ORIGIN, push_once};
use crate::support::{Format, Git, Kind, Pushers, Stream, build};

/// What gitr's pack may have for each hundred bytes of C git's.
const PERCENT_MAX: usize = 105;

#[test]
fn packs_are_no_larger_than_git_s() {
    for format in Format::ALL {
        push_once(Kind::Daemon, Git::reference(), format, 2, scenario);
    }
}

/// Each shape of repository.
fn scenario(pushers: &Pushers<'_>) {
    pushers.in_server(&["config", "receive.unpackLimit", "1"]); // index-pack instead of unpack-objects
    loose_and_packed(pushers);
    let lender = pushers.case.sandbox.path("lender.git");
    build::project(&pushers.case.sandbox, &lender, pushers.case.format, 30);
    for (number, options) in [
        &["--depth=3", "--no-single-branch"][..],
        &["--filter=blob:none"],
        &["--filter=tree:0", "--no-checkout"],
        &["--reference", &lender.display().to_string()],
    ]
    .into_iter()
    .enumerate()
    {
        pushers.clone(options);
        grow(pushers, 1_000 * (number + 1));
        weigh(pushers, ORIGIN, &["main"]);
    }
}

/// Objects in files of their own, for which deltas have to be found, and in a pack, which has them.
fn loose_and_packed(pushers: &Pushers<'_>) {
    pushers.serve("empty.git", |path| {
        build::empty(&pushers.case.sandbox, path, pushers.case.format);
    });
    grow(pushers, 100);
    weigh(pushers, ORIGIN, &["main~10:main"]);
    weigh(pushers, ORIGIN, &["--no-thin", "main"]);
    pushers.in_client(&["repack", "-adfq"]);
    weigh(pushers, "empty.git", &["main~10:refs/heads/main"]);
    weigh(pushers, "empty.git", &["main"]);
    pushers.client(&commit("main", 150));
    weigh(pushers, "empty.git", &["main"]);
}

/// Commits from `first` on, some with larger files that resemble each other.
fn grow(pushers: &Pushers<'_>, first: usize) {
    let mut stream = Stream::onto("main");
    stream.history(first..first + 30);
    let noise = build::noise(20_000);
    for number in 30..35 {
        let file = [&noise[..], format!("{number}\n").as_bytes(), &noise[..number * 100]].concat();
        stream.commit("main", first + number).file(&format!("large/{}", number % 2), file);
    }
    pushers.client(&stream);
    // so that C git does the same each time
    pushers.in_client(&["config", "pack.threads", "1"]);
}

/// Pushes with both to the served repository `name`, and weighs the packs.
#[track_caller]
fn weigh(pushers: &Pushers<'_>, name: &str, arguments: &[&str]) {
    let [ours, theirs] = ["ours", "them"].map(|whose| {
        let proxy = Proxy::before(&pushers.case.url(&format!("{whose}/{name}")), Fault::None);
        let config = format!("remote.origin.pushurl={}", proxy.url);
        let arguments = [&["-c", &config, "push", "-q", "origin"], arguments].concat();
        let run = match whose {
            "ours" => pushers.twin.gitr(COPY, &arguments),
            _ => pushers.twin.git(COPY, &arguments),
        };
        let sent = proxy.client_bytes();
        let pack = sent.find("0000PACK").expect("a pack is sent");
        (run, sent.len() - pack)
    });
    assert_eq!(theirs.0.status, 0, "{:?}", theirs.0);
    pushers.compare(&ours.0, &theirs.0);
    assert!(
        100 * ours.1 <= PERCENT_MAX * theirs.1,
        "push {arguments:?} to {name}: a pack of {} bytes, and C git's has {}",
        ours.1,
        theirs.1
    );
}
