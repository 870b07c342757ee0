//! `receive-pack` as a program, given what a client has sent: with side-bands and without, gitr and C git say the same, to the
//! client and to those who run the server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::support::{Format, Git, Run, Sandbox, build, odd, sandbox};

/// What stands for no object.
const NONE: &str = "0000000000000000000000000000000000000000";

/// A project, and a copy of an earlier state of it that is made anew for each push.
struct Raw {
    sandbox: Sandbox,
    work: PathBuf,
    kind: Kind,
}

/// What is pushed to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bare,
    CheckedOut,
}

/// What is to become of refs: the old object, the new one, the name.
type Commands<'c> = &'c [(&'c str, &'c str, &'c str)];

/// What there is to see of a push.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: i32,
    /// What is for programs: the report.
    report: BString,
    /// What is for the one who pushes, however it comes in pieces.
    told: BString,
    stderr: BString,
    refs: BString,
}

impl Raw {
    fn new(kind: Kind) -> Self {
        let sandbox = Sandbox::new();
        let work = sandbox.path("work.git");
        build::project(&sandbox, &work, Format::Sha1, 6);
        Self { sandbox, work, kind }
    }

    fn id(&self, name: &str) -> String {
        match name {
            "" => NONE.to_owned(),
            name => self.sandbox.git(&self.work, &["rev-parse", "--verify", "-q", name]).success().line(),
        }
    }

    /// A pack of what `main` has and `main~2` has not.
    fn pack(&self) -> BString {
        let mut command = self.sandbox.command(&Git::reference().program);
        command.current_dir(&self.work).args(["pack-objects", "--revs", "--stdout", "-q"]);
        Run::with_input(&mut command, b"main\n^main~2\n").success().stdout
    }

    /// A request for `commands` (old, new, ref), without its pack.
    fn request(&self, commands: Commands<'_>, capabilities: &str) -> Vec<u8> {
        let mut request = Vec::new();
        for (number, (old, new, name)) in commands.iter().enumerate() {
            let mut line = format!("{} {} {name}", self.id(old), self.id(new));
            if number == 0 {
                line.push_str(&format!("\0 report-status {capabilities}"));
            }
            request.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
        }
        request.extend_from_slice(b"0000");
        request
    }

    /// What comes of `request` in a fresh copy that `prepare` has made ready.
    fn seen(&self, program: &Path, request: &[u8], prepare: &dyn Fn(&Self, &Path)) -> Seen {
        let place = self.sandbox.path("place");
        fs::remove_dir_all(&place).ok();
        let git = |directory: &Path, words: &[&str]| self.sandbox.git(directory, words).success();
        let format = if self.kind == Kind::Bare { "--bare" } else { "--no-bare" };
        git(&self.work, &["clone", "-q", format, "--template=", ".", "../place"]);
        git(&place, &["update-ref", "refs/heads/main", &self.id("main~2")]);
        git(&place, &["update-ref", "refs/heads/other", &self.id("main~2")]);
        if self.kind == Kind::CheckedOut {
            git(&place, &["reset", "-q", "--hard"]);
        }
        prepare(self, &place);
        let mut command = self.sandbox.command(program);
        command.current_dir(&self.work).args(["receive-pack", "../place"]);
        let run = Run::with_input(&mut command, request);
        let (report, told) = after_advertisement(&run.stdout, request.contains_str("side-band-64k"));
        let refs = git(&place, &["for-each-ref"]).stdout;
        Seen { status: run.status, report, told, stderr: run.stderr, refs }
    }

    /// Checks that the same comes of both, with side-bands and without; what gitr says without.
    #[track_caller]
    fn same(&self, commands: Commands<'_>, pack: &[u8], prepare: &dyn Fn(&Self, &Path)) -> BString {
        let [_, plain] = ["side-band-64k", ""].map(|capabilities| {
            let request = [&self.request(commands, capabilities), pack].concat();
            let theirs = self.seen(&Git::reference().program, &request, prepare);
            let ours = self.seen(sandbox::gitr_program().as_ref(), &request, prepare);
            assert_eq!(ours, theirs, "{commands:?}, {capabilities}");
            assert!(ours.report.contains_str("unpack "), "{ours:?}");
            ours.stderr
        });
        plain
    }

    /// As [`Self::same`], for a push to `main`.
    #[track_caller]
    fn pushed(&self, prepare: &dyn Fn(&Self, &Path)) -> BString {
        self.same(&[("main~2", "main", "refs/heads/main")], &self.pack(), prepare)
    }
}

/// Band 1 and band 2 of what follows the advertisement; without bands everything is in the first.
fn after_advertisement(mut out: &[u8], has_bands: bool) -> (BString, BString) {
    let packet = |out: &[u8]| {
        let len = out.get(..4).and_then(|len| usize::from_str_radix(len.to_str().ok()?, 16).ok());
        len.map(|len| (out[4..len.max(4)].to_vec(), len.max(4)))
    };
    while let Some((text, len)) = packet(out) {
        out = &out[len..];
        if text.is_empty() {
            break;
        }
    }
    if !has_bands {
        return (out.into(), BString::default());
    }
    let (mut report, mut told) = (BString::default(), BString::default());
    while let Some((text, len)) = packet(out) {
        out = &out[len..];
        match text.split_first() {
            Some((1, text)) => report.extend_from_slice(text),
            Some((2, text)) => told.extend_from_slice(text),
            Some(_) => panic!("no band: {text:?}"),
            None => report.extend_from_slice(b"0000"),
        }
    }
    (report, told)
}

/// Makes `text` the hook `name` of the repository at `place`.
fn hook(place: &Path, name: &str, text: &str, mode: u32) {
    let inner = place.join(".git");
    let hooks = if inner.exists() { inner } else { place.to_owned() }.join("hooks");
    fs::create_dir_all(&hooks).unwrap();
    fs::write(hooks.join(name), text).unwrap();
    fs::set_permissions(hooks.join(name), Permissions::from_mode(mode)).unwrap();
}

fn configure(raw: &Raw, place: &Path, key: &str, value: &str) {
    raw.sandbox.git(place, &["config", key, value]).success();
}

const HOOKS: [&str; 5] = ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"];

/// What was pushed is read in any case, since the shell may end before it is told.
const SAYS: &str = "#!/bin/sh\ncat >/dev/null\necho \"$0 $PWD $GIT_DIR $*\"\necho \"told $*\" >&2\n";

#[test]
fn hooks_are_called_as_git_calls_them() {
    for kind in [Kind::Bare, Kind::CheckedOut] {
        let raw = Raw::new(kind);
        for hooks in ["", "inner/hooks", "/place/../place/hooks"] {
            let said = raw.pushed(&|raw, place| {
                configure(raw, place, "receive.denyCurrentBranch", "ignore");
                for name in HOOKS {
                    hook(place, name, SAYS, 0o755);
                }
                let git_dir = if kind == Kind::Bare { place.to_owned() } else { place.join(".git") };
                if hooks == "inner/hooks" {
                    fs::create_dir(git_dir.join("inner")).unwrap();
                    fs::rename(git_dir.join("hooks"), git_dir.join(hooks)).unwrap();
                    configure(raw, place, "core.hooksPath", hooks);
                } else if !hooks.is_empty() {
                    fs::rename(git_dir.join("hooks"), place.join("hooks")).ok();
                    let root = place.parent().unwrap().display();
                    configure(raw, place, "core.hooksPath", &format!("{root}{hooks}"));
                }
            });
            // the last one hears of a transaction twice
            assert_eq!(said.lines().count(), 2 * (HOOKS.len() + 1), "{said}");
        }
    }
}

#[test]
fn hooks_that_are_no_programs_are_told_to_those_who_run_the_server() {
    let raw = Raw::new(Kind::Bare);
    let said = raw.pushed(&|_, place| HOOKS.iter().for_each(|name| hook(place, name, SAYS, 0o644)));
    for name in HOOKS {
        assert!(said.contains_str(format!("hint: The 'hooks/{name}' hook was ignored")), "{said}");
    }
    assert_eq!(said.lines().count(), 2 * HOOKS.len(), "{said}");
    let said = raw.pushed(&|raw, place| {
        configure(raw, place, "advice.ignoredHook", "false");
        for name in HOOKS {
            hook(place, name, SAYS, 0o644);
        }
    });
    assert!(said.is_empty(), "{said}");
}

/// A transaction that its hook refuses fails one ref; C git says nothing more.
#[test]
fn hooks_that_die_or_cannot_be_started_have_failed() {
    let raw = Raw::new(Kind::Bare);
    for name in &HOOKS[..4] {
        for (text, said) in [
            ("kill -9 $$", format!("error: hooks/{name} died of signal 9\n")),
            ("kill -INT $$", String::new()),
            ("exit 127", String::new()),
        ] {
            let text = format!("#!/bin/sh\ncat >/dev/null\n{text}\n");
            let heard = raw.pushed(&|_, place| hook(place, name, &text, 0o755));
            let declined = "error: hook declined to update refs/heads/main\n";
            assert_eq!(heard, format!("{said}{}", if *name == "update" { declined } else { "" }));
        }
        raw.pushed(&|_, place| hook(place, name, "#!/no/such/program\n", 0o755));
        raw.pushed(&|_, place| hook(place, name, "cat >/dev/null\necho \"$0 $PWD\"\n", 0o755));
    }
}

#[test]
fn a_proc_receive_hook_that_does_nothing_is_told_of() {
    let raw = Raw::new(Kind::Bare);
    let commands = [("", "main", "refs/for/main"), ("main~2", "main", "refs/heads/main")];
    for (text, mode) in [
        (SAYS, 0o644),
        // who has not been greeted is told of that as well
        ("#!/bin/sh\nhead -c 18 >/dev/null\nexit 0\n", 0o755),
        ("#!/bin/sh\nhead -c 18 >/dev/null\necho \"$0 $PWD $GIT_DIR\" >&2\n", 0o755),
        ("#!/bin/sh\nhead -c 18 >/dev/null\nkill -9 $$\n", 0o755),
    ] {
        raw.same(&commands, &raw.pack(), &|raw, place| {
            configure(raw, place, "receive.procReceiveRefs", "refs/for");
            hook(place, "proc-receive", text, mode);
        });
    }
}

/// What a client that has no side-bands cannot be told.
#[test]
fn what_the_client_does_not_hear_is_told_to_those_who_run_the_server() {
    let raw = Raw::new(Kind::Bare);
    let empty = b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82;\xd8\xa8\xea\xb5\x10\xadj\xc7\\\x82<\xfd>\xd3\x1e";
    let none: &dyn Fn(&Raw, &Path) = &|_, _| {};
    let rows: [(Commands<'_>, &[u8], &str, &str); 14] = [
        (&[("main~2", "main~3", "refs/heads/main")], empty, "receive.denyNonFastForwards", "true"),
        (&[("main~2", "", "refs/heads/other")], b"", "receive.denyDeletes", "true"),
        (&[("main~2", "", "refs/heads/main")], b"", "", ""),
        (&[("main~2", "", "refs/heads/main")], b"", "receive.denyDeleteCurrent", "refuse"),
        (&[("main~2", "", "refs/heads/main")], b"", "receive.denyDeleteCurrent", "warn"),
        (&[("main~2", "", "refs/heads/none")], b"", "", ""),
        (&[("", "main~1", "refs/heads/a..b"), ("", "main~1", "HEAD")], &raw.pack(), "", ""),
        (&[("", "main", "refs/heads/main/x")], &raw.pack(), "", ""),
        (&[("main~3", "main", "refs/heads/main")], &raw.pack(), "", ""),
        (&[("", "main", "refs/heads/main")], &raw.pack(), "", ""),
        (&[("", "main^{tree}", "refs/heads/new")], &raw.pack(), "", ""),
        (&[("main~2", "main", "refs/heads/main")], &raw.pack(), "receive.hideRefs", "refs/heads"),
        (&[("main~2", "main", "refs/heads/main")], &raw.pack(), "receive.maxInputSize", "20"),
        (&[("main~2", "main", "refs/heads/main")], &raw.pack(), "receive.maxInputSize", "-1"),
    ];
    for (commands, pack, key, value) in rows {
        let prepare: &dyn Fn(&Raw, &Path) = &|raw, place| configure(raw, place, key, value);
        let said = raw.same(commands, pack, if key.is_empty() { none } else { prepare });
        assert_eq!(said.is_empty(), key == "receive.hideRefs", "{commands:?}: {said}");
    }
    let mut pack = raw.pack().to_vec();
    raw.same(&[("main~2", "main", "refs/heads/main")], &pack[..pack.len() - 30], none);
    pack.push(0);
    pack.remove(pack.len() - 2);
    for limit in ["100", "1"] {
        raw.same(&[("main~2", "main", "refs/heads/main")], &pack, &|raw, place| {
            configure(raw, place, "receive.unpackLimit", limit);
        });
    }
    let alias = [("main~2", "main", "refs/heads/main"), ("main~2", "main~1", "refs/heads/alias")];
    raw.same(&alias, &raw.pack(), &|raw, place| {
        drop(raw.sandbox.git(place, &["symbolic-ref", "refs/heads/alias", "refs/heads/main"]).success());
    });
}

/// Each in its own words.
#[test]
fn a_commit_whose_parents_cannot_be_read_is_refused() {
    let raw = Raw::new(Kind::Bare);
    let text = format!(
        "tree {}\nparent {}x\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nbad\n",
        raw.id("main^{tree}"),
        raw.id("main~2")
    );
    let (bad, request) = lone_commit(&raw, &text);
    for limit in ["100", "1"] {
        let limited: &dyn Fn(&Raw, &Path) = &|raw, place| configure(raw, place, "receive.unpackLimit", limit);
        let theirs = raw.seen(&Git::reference().program, &request, limited);
        let ours = raw.seen(sandbox::gitr_program().as_ref(), &request, limited);
        assert_eq!((ours.status, &ours.refs), (theirs.status, &theirs.refs));
        assert!(!ours.refs.contains_str(&bad) && ours.report.contains_str("ng refs/heads/main "), "{ours:?}");
    }
}

#[test]
fn objects_that_cannot_be_read_are_refused() {
    let raw = Raw::new(Kind::Bare);
    let other = raw.sandbox.path("other.git");
    build::project(&raw.sandbox, &other, Format::Sha1, 6);
    for (kind, content) in odd::objects(&raw.id("main~2^{tree}"), &raw.id("main~2")) {
        let id = odd::make(&raw.sandbox, &other, kind, &content);
        let pack = odd::pack(&raw.sandbox, &other, &id);
        for fsck in [false, true] {
            let prepare: &dyn Fn(&Raw, &Path) = &|raw, place| {
                configure(raw, place, "receive.fsckObjects", if fsck { "true" } else { "false" });
            };
            let [ours, theirs] =
                [sandbox::gitr_program().as_ref(), Git::reference().program.as_path()].map(|program| {
                    let request = [raw.request(&[("", &id, "refs/heads/new")], ""), pack.clone()].concat();
                    raw.seen(program, &request, prepare)
                });
            assert_eq!(
                (ours.status, &ours.report, &ours.refs),
                (theirs.status, &theirs.report, &theirs.refs),
                "{id}"
            );
            assert!(ours.report.contains_str("ng refs/heads/new "), "{ours:?}");
            // git has other words for a tree that a ref is to lead to, and looks twice for what is missing
            if kind == "tree" && !fsck {
                continue;
            }
            let first: Vec<_> = theirs.stderr.lines().take(ours.stderr.lines().count()).collect();
            let said: Vec<_> = ours.stderr.lines().collect();
            assert_eq!(
                BString::from(said.join(&b'\n')),
                BString::from(first.join(&b'\n')),
                "{}",
                content.escape_ascii()
            );
        }
    }
}

#[test]
fn commits_that_cannot_be_read_and_are_here_already_are_refused() {
    let raw = Raw::new(Kind::Bare);
    let odd = odd::objects(&raw.id("main~2^{tree}"), &raw.id("main~2"));
    for (kind, content) in odd.into_iter().filter(|(kind, _)| *kind == "commit") {
        let id = odd::make(&raw.sandbox, &raw.work, kind, &content);
        let commands = [("", &*id, "refs/heads/new"), ("main~2", "main~1", "refs/heads/main")];
        let request = [raw.request(&commands, ""), raw.pack().to_vec()].concat();
        let [ours, theirs] = [sandbox::gitr_program().as_ref(), Git::reference().program.as_path()]
            .map(|program| raw.seen(program, &request, &|_, _| {}));
        let seen = |seen: &Seen| (seen.status, seen.report.clone(), seen.refs.clone());
        assert_eq!(seen(&ours), seen(&theirs), "{}", content.escape_ascii());
        assert!(ours.report.contains_str("ng refs/heads/new "), "{ours:?}");
    }
}

#[test]
fn tips_that_cannot_be_read_are_not_given() {
    let raw = Raw::new(Kind::Bare);
    let packet = |line: &str| format!("{:04x}{line}", line.len() + 4);
    let odd = odd::objects(&raw.id("main~2^{tree}"), &raw.id("main~2"));
    for (kind, content) in odd.into_iter().filter(|(kind, _)| *kind != "tree") {
        let id = odd::make(&raw.sandbox, &raw.work, kind, &content);
        fs::write(raw.work.join("refs/heads/odd"), format!("{id}\n")).unwrap();
        let old = [&packet(&format!("want {id} ofs-delta\n")), "0000", &packet("done\n")].concat();
        let want = packet(&format!("want {id}\n"));
        let new = [&packet("command=fetch"), "0001", &want, &packet("done\n"), "0000"].concat();
        for (version, request) in [("0", old), ("2", new)] {
            let [ours, theirs] =
                [sandbox::gitr_program().as_ref(), Git::reference().program.as_path()].map(|program| {
                    let mut command = raw.sandbox.command(program);
                    command.current_dir(&raw.work).env("GIT_PROTOCOL", format!("version={version}"));
                    Run::with_input(command.args(["upload-pack", "--stateless-rpc", "."]), request.as_bytes())
                });
            assert_eq!(
                (ours.status, &ours.stdout),
                (theirs.status, &theirs.stdout),
                "{}",
                content.escape_ascii()
            );
            assert!(ours.stdout.contains_str(format!("ERR upload-pack: not our ref {id}")), "{ours:?}");
        }
    }
}

/// Each in its own words.
#[test]
fn a_commit_whose_tree_cannot_be_read_is_refused_in_the_report() {
    let raw = Raw::new(Kind::Bare);
    let tree = raw.id("main~2^{tree}");
    let parent = raw.id("main~2");
    let text =
        format!("tree {tree}\nparent {parent}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nnew\n");
    let (_, request) = lone_commit(&raw, &text);
    let damaged: &dyn Fn(&Raw, &Path) = &|raw, place| {
        let packs = place.join("objects/pack");
        let aside = raw.sandbox.path("aside");
        fs::remove_dir_all(&aside).ok();
        fs::rename(&packs, &aside).unwrap();
        let pack = fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().path());
        for pack in pack.filter(|path| path.extension().is_some_and(|extension| extension == "pack")) {
            let mut command = raw.sandbox.command(&Git::reference().program);
            command.current_dir(place).args(["unpack-objects", "-q"]);
            Run::with_input(&mut command, &fs::read(pack).unwrap()).success();
        }
        let file = place.join("objects").join(&tree[..2]).join(&tree[2..]);
        let whole = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, &whole[..3]).unwrap();
    };
    let theirs = raw.seen(&Git::reference().program, &request, damaged);
    let ours = raw.seen(sandbox::gitr_program().as_ref(), &request, damaged);
    assert_eq!((ours.status, &ours.report, &ours.refs), (theirs.status, &theirs.report, &theirs.refs));
    assert!(ours.report.contains_str("ng refs/heads/main missing necessary objects"), "{ours:?}");
}

/// A commit that says `text`, and a push of it alone to `main`.
fn lone_commit(raw: &Raw, text: &str) -> (String, Vec<u8>) {
    fs::write(raw.sandbox.path("commit"), text).unwrap();
    let file = raw.sandbox.path("commit").display().to_string();
    let made = raw.sandbox.git(&raw.work, &["hash-object", "-t", "commit", "-w", "--literally", &file]);
    let id = made.success().line();
    let mut command = raw.sandbox.command(&Git::reference().program);
    command.current_dir(&raw.work).args(["pack-objects", "--stdout", "-q"]);
    let pack = Run::with_input(&mut command, format!("{id}\n").as_bytes()).success().stdout;
    let request = [raw.request(&[("main~2", &id, "refs/heads/main")], ""), pack.to_vec()].concat();
    (id, request)
}

#[test]
fn a_branch_that_is_checked_out_is_explained() {
    let raw = Raw::new(Kind::CheckedOut);
    for value in ["", "refuse", "warn", "ignore", "updateInstead"] {
        let said = raw.pushed(&|raw, place| {
            if !value.is_empty() {
                configure(raw, place, "receive.denyCurrentBranch", value);
            }
        });
        let lines = match value {
            "" => 14,
            "refuse" | "warn" => 1,
            _ => 0,
        };
        assert_eq!(said.lines().count(), lines, "{value}: {said}");
    }
}
