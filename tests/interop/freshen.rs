//! Objects that are there already when they are pushed: they count as new ones from then on, so that no `git gc` that runs
//! meanwhile takes them for garbage.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::{Format, Git, Run, Sandbox, build, sandbox::gitr_program, state};

/// When all that is there was made.
const LONG_AGO: Duration = Duration::from_secs(1_000_000_000);

/// Brings the objects of `work.git`, which the second argument packs, into the repository at the first; no ref leads to
/// them.
type Arrange = fn(&Sandbox, &Path, &[u8]);

fn unpack(sandbox: &Sandbox, place: &Path, pack: &[u8]) {
    let mut command = sandbox.command(&Git::reference().program);
    Run::with_input(command.current_dir(place).args(["unpack-objects", "-q"]), pack).success();
}

fn keep(sandbox: &Sandbox, place: &Path, pack: &[u8]) {
    let mut command = sandbox.command(&Git::reference().program);
    Run::with_input(command.current_dir(place).args(["index-pack", "--stdin"]), pack).success();
}

/// Into a pack that knows when each object was used last.
fn discard(sandbox: &Sandbox, place: &Path, pack: &[u8]) {
    keep(sandbox, place, pack);
    sandbox.git(place, &["repack", "-q", "-d", "--cruft"]).success();
}

fn borrow(sandbox: &Sandbox, place: &Path, pack: &[u8]) {
    let lender = sandbox.path("lender.git");
    fs::remove_dir_all(&lender).ok();
    build::empty(sandbox, &lender, Format::Sha1);
    unpack(sandbox, &lender, pack);
    fs::write(place.join("objects/info/alternates"), format!("{}/objects\n", lender.display())).unwrap();
}

/// The files of objects of `place` and of who lends to it.
fn files(sandbox: &Sandbox, place: &Path) -> Vec<PathBuf> {
    let lender = sandbox.path("lender.git/objects");
    let lent = if lender.exists() { state::files(&lender) } else { Vec::new() };
    state::files(&place.join("objects")).into_iter().chain(lent).collect()
}

#[test]
fn what_is_pushed_again_is_new() {
    for (what, arrange) in [
        ("loose", unpack as Arrange),
        ("packed", keep),
        ("in a cruft pack", discard),
        ("of another repository", borrow),
    ] {
        let sandbox = Sandbox::new();
        let work = sandbox.path("work.git");
        build::project(&sandbox, &work, Format::Sha1, 6);
        let mut command = sandbox.command(&Git::reference().program);
        command.current_dir(&work).args(["pack-objects", "--revs", "--stdout", "-q"]);
        let pack = Run::with_input(&mut command, b"main\n").success().stdout;
        let [ours, theirs] = [gitr_program(), Git::reference().program.clone().into()].map(|program| {
            let place = sandbox.path("place.git");
            fs::remove_dir_all(&place).ok();
            build::empty(&sandbox, &place, Format::Sha1);
            sandbox.git(&place, &["config", "receive.unpackLimit", "10000"]).success();
            arrange(&sandbox, &place, &pack);
            let then = SystemTime::UNIX_EPOCH + LONG_AGO;
            for file in files(&sandbox, &place) {
                fs::File::open(file).unwrap().set_modified(then).unwrap();
            }
            let program = format!("{} receive-pack", program.to_string_lossy());
            let place_text = place.display().to_string();
            sandbox.git(&work, &["push", "-q", "--receive-pack", &program, &place_text, "main"]).success();
            let is_old = |file: &Path| fs::metadata(file).unwrap().modified().unwrap() == then;
            let all = files(&sandbox, &place).into_iter();
            all.map(|file| (is_old(&file), file)).collect::<BTreeSet<_>>()
        });
        assert_eq!(ours, theirs, "{what}");
        assert!(ours.iter().any(|(is_old, _)| !is_old), "{what}");
    }
}

/// `core.looseCompression`, else `core.compression`.
#[test]
fn loose_objects_are_deflated_as_the_configuration_says() {
    let sandbox = Sandbox::new();
    let work = sandbox.path("work.git");
    build::empty(&sandbox, &work, Format::Sha1);
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(&work).args(["hash-object", "-w", "--stdin"]);
    let id = Run::with_input(&mut command, &vec![b'z'; 50_000]).success().line();
    for (settings, is_long) in [
        (&[][..], false),
        (&["core.looseCompression=0"], true),
        (&["core.compression=0"], true),
        (&["core.compression=0", "core.looseCompression=-1"], false),
    ] {
        let [ours, theirs] = [gitr_program(), Git::reference().program.clone().into()].map(|program| {
            let place = sandbox.path("place.git");
            fs::remove_dir_all(&place).ok();
            build::empty(&sandbox, &place, Format::Sha1);
            for (key, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
                sandbox.git(&place, &["config", key, value]).success();
            }
            let program = format!("{} receive-pack", program.to_string_lossy());
            let place_text = place.display().to_string();
            let refspec = format!("{id}:refs/tags/x");
            sandbox.git(&work, &["push", "-q", "--receive-pack", &program, &place_text, &refspec]).success();
            let file = place.join("objects").join(&id[..2]).join(&id[2..]);
            fs::metadata(file).unwrap().len() > 50_000
        });
        assert_eq!((ours, theirs), (is_long, is_long), "{settings:?}");
    }
}
