//! Objects that are named as something that they are not. A pack that has them is refused where C git refuses it, and no ref
//! moves to them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::{Format, Git, Run, Sandbox, build, sandbox::gitr_program};

/// A repository with one object of each kind that is as it should be.
struct Fixture {
    sandbox: Sandbox,
    blob: String,
    tree: String,
    other_tree: String,
    commit: String,
    tag: String,
}

/// Objects of which one names another.
struct Case {
    what: String,
    /// The one that a ref is to get.
    tip: String,
    /// What has to be there but for the objects of the fixture.
    ids: Vec<String>,
    /// Whether a file of a tree is no blob.
    is_file: bool,
}

impl Case {
    fn of(what: String, tip: String) -> Self {
        Self { what, ids: vec![tip.clone()], tip, is_file: false }
    }
}

const WHO: &str = "A <a@example.com> 1700000000 +0000";

impl Fixture {
    fn new() -> Self {
        let [blob, tree, other_tree, commit, tag] = [const { String::new() }; 5];
        let mut fixture = Self { sandbox: Sandbox::new(), blob, tree, other_tree, commit, tag };
        fixture.empty("all.git");
        fixture.blob = fixture.object("blob", b"x\n");
        fixture.tree = fixture.tree("100644", &fixture.blob);
        fixture.other_tree = fixture.tree("100755", &fixture.blob);
        fixture.commit = fixture.commit(&fixture.tree, "");
        fixture.tag = fixture.tag("commit", &fixture.commit);
        fixture
    }

    fn empty(&self, name: &str) -> PathBuf {
        let path = self.sandbox.path(name);
        fs::remove_dir_all(&path).ok();
        build::empty(&self.sandbox, &path, Format::Sha1);
        path
    }

    fn object(&self, kind: &str, content: &[u8]) -> String {
        let mut command = self.sandbox.command(&Git::reference().program);
        command.current_dir(self.sandbox.path("all.git"));
        command.args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"]);
        Run::with_input(&mut command, content).success().line()
    }

    fn tree(&self, mode: &str, id: &str) -> String {
        let id = (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap());
        let content: Vec<u8> = mode.bytes().chain(*b" f\0").chain(id).collect();
        self.object("tree", &content)
    }

    fn commit(&self, tree: &str, parent: &str) -> String {
        let parent = if parent.is_empty() { String::new() } else { format!("parent {parent}\n") };
        let content = format!("tree {tree}\n{parent}author {WHO}\ncommitter {WHO}\n\nodd\n");
        self.object("commit", content.as_bytes())
    }

    fn tag(&self, kind: &str, id: &str) -> String {
        self.object("tag", format!("object {id}\ntype {kind}\ntag x\ntagger {WHO}\n\nx\n").as_bytes())
    }

    fn good(&self) -> Vec<String> {
        [&self.blob, &self.tree, &self.other_tree, &self.commit, &self.tag].map(String::clone).to_vec()
    }

    fn cases(&self) -> Vec<Case> {
        let Self { blob, tree, other_tree, commit, tag, .. } = self;
        let mut cases = Vec::new();
        for (kind, id) in
            [("commit", blob), ("tree", blob), ("blob", tree), ("tag", commit), ("commit", tag), ("tag", tag)]
        {
            let tip = self.tag(kind, id);
            let what = format!("a tag says that {id} is a {kind}");
            cases.push(Case::of(what, tip));
        }
        for id in [blob, commit, tag] {
            let tip = self.commit(id, "");
            cases.push(Case::of(format!("the tree {id}"), tip));
        }
        for id in [blob, other_tree, tag] {
            let tip = self.commit(tree, id);
            cases.push(Case::of(format!("the parent {id}"), tip));
        }
        for (mode, id) in
            [("40000", blob), ("40000", commit), ("100644", tree), ("100644", commit), ("160000", blob)]
        {
            let top = self.tree(mode, id);
            let tip = self.commit(&top, "");
            let (what, is_file) = (format!("{mode} {id}"), mode == "100644");
            cases.push(Case { what, ids: vec![top, tip.clone()], tip, is_file });
        }
        // what the commit before has as a file, and what is there as a commit
        for top in [self.tree("40000", blob), commit.clone()] {
            let tip = self.commit(&top, commit);
            let what = format!("{top} behind {commit}");
            cases.push(Case { what, ids: vec![top, tip.clone()], tip, is_file: false });
        }
        cases
    }

    /// A pack of `ids`.
    fn pack(&self, ids: &[String]) -> Vec<u8> {
        let mut command = self.sandbox.command(&Git::reference().program);
        command.current_dir(self.sandbox.path("all.git")).args(["pack-objects", "--stdout", "-q"]);
        let list: String = ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
        Run::with_input(&mut command, list.as_bytes()).success().stdout.into()
    }

    /// A pack of what `case` and the fixture have.
    fn whole_pack(&self, case: &Case) -> Vec<u8> {
        self.pack(&[self.good(), case.ids.clone()].concat())
    }

    fn unpack(&self, place: &Path, pack: &[u8]) {
        let mut command = self.sandbox.command(&Git::reference().program);
        command.current_dir(place).args(["unpack-objects", "-q"]);
        Run::with_input(&mut command, pack).success();
    }

    /// What gitr and C git say to `arguments` and `input`, each in a repository that `prepare` has seen.
    fn both(&self, arguments: &[&str], input: &[u8], prepare: impl Fn(&Path)) -> [Run; 2] {
        [gitr_program(), Git::reference().program.clone().into()].map(|program| {
            let place = self.empty("place.git");
            prepare(&place);
            Run::with_input(self.sandbox.command(program).current_dir(place).args(arguments), input)
        })
    }

    /// Pushes the tip of `case` with `pack` to both; whether they take it.
    #[track_caller]
    fn pushed(&self, case: &Case, pack: &[u8], prepare: impl Fn(&Path)) -> bool {
        let line = format!("{} {} refs/tags/x\0 report-status", "0".repeat(40), case.tip);
        let input = [packet(line.as_bytes()).as_slice(), b"0000", pack].concat();
        let takes = |run: Run| {
            assert!(run.stdout.contains_str("unpack ok"), "{}: {run:?}", case.what);
            run.stdout.contains_str("ok refs/tags/x")
        };
        let [ours, theirs] = self.both(&["receive-pack", "."], &input, prepare).map(takes);
        assert_eq!(ours, theirs, "{}", case.what);
        ours
    }
}

/// A pkt-line of `text`.
fn packet(text: &[u8]) -> Vec<u8> {
    [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
}

#[test]
fn index_pack_refuses_them() {
    let fixture = Fixture::new();
    for case in fixture.cases() {
        for pack in [fixture.whole_pack(&case), fixture.pack(&case.ids)] {
            for check in ["--strict", "--fsck-objects", "--check-self-contained-and-connected"] {
                let prepare = |place: &Path| fixture.unpack(place, &fixture.pack(&fixture.good()));
                let [ours, theirs] = fixture.both(&["index-pack", "--stdin", check], &pack, prepare);
                assert_eq!(ours.status, theirs.status, "{} {check}: {ours:?} {theirs:?}", case.what);
            }
        }
    }
}

#[test]
fn no_ref_is_pushed_to_them() {
    let fixture = Fixture::new();
    let good = fixture.pack(&fixture.good());
    let mut outcomes = Vec::new();
    for case in fixture.cases() {
        outcomes.push(fixture.pushed(&case, &fixture.whole_pack(&case), |_| {}));
        // to what is there already
        let unpack_good = |place: &Path| fixture.unpack(place, &good);
        if !case.is_file {
            outcomes.push(fixture.pushed(&case, &fixture.pack(&case.ids), unpack_good));
        }
        // all of it is
        let nothing = fixture.pack(&[]);
        outcomes.push(fixture.pushed(&case, &nothing, |place| {
            unpack_good(place);
            fixture.unpack(place, &fixture.pack(&case.ids));
        }));
        // and what it names is not
        fixture.pushed(&case, &nothing, |place| fixture.unpack(place, &fixture.pack(&case.ids)));
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

#[test]
fn checked_pushes_are_refused_as_such() {
    let fixture = Fixture::new();
    for case in fixture.cases() {
        for limit in ["1", "100"] {
            let line = format!("{} {} refs/tags/x\0 report-status", "0".repeat(40), case.tip);
            let input = [packet(line.as_bytes()).as_slice(), b"0000", &fixture.whole_pack(&case)].concat();
            let unpack_limit = format!("receive.unpackLimit={limit}");
            let arguments = ["-c", "receive.fsckObjects=true", "-c", &unpack_limit, "receive-pack", "."];
            let [ours, theirs] = fixture.both(&arguments, &input, |_| {}).map(|run| {
                let said = run.stdout.to_str_lossy().into_owned();
                said.split_once("unpack ").expect("a report").1.to_owned()
            });
            assert_eq!(ours, theirs, "{}", case.what);
        }
    }
}

#[test]
fn neither_fetch_nor_clone_takes_them() {
    let fixture = Fixture::new();
    let served = fixture.empty("served.git");
    let (url, script) = (format!("file://{}", served.display()), fixture.sandbox.path("upload-pack"));
    for case in fixture.cases() {
        // A server that gives all without asking.
        let name = if case.what.contains("tag says") { "refs/tags/x" } else { "refs/heads/main" };
        let greeting = format!("{} {name}\0side-band-64k ofs-delta agent=x\n", case.tip);
        let band = [b"\x01", fixture.whole_pack(&case).as_slice()].concat();
        let said = [&packet(greeting.as_bytes())[..], b"00000008NAK\n", &packet(&band), b"0000"].concat();
        let answer = fixture.sandbox.path("answer");
        fs::write(&answer, said).unwrap();
        fs::write(&script, format!("#!/bin/sh\ncat {}\ncat >/dev/null\n", answer.display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let program = script.display().to_string();
        let start = ["-c", "protocol.version=0"];
        let fetch = ["fetch", "-q", "--upload-pack", &program, &url, "+refs/*:refs/*"];
        let [ours, theirs] = fixture.both(&[&start[..], &fetch].concat(), &[], |_| {});
        assert_eq!(ours.status, theirs.status, "{}: {ours:?} {theirs:?}", case.what);
        let is_told = |run: &Run| run.complains_of("did not send all necessary objects\n");
        assert_eq!(is_told(&ours), is_told(&theirs), "{}: {ours:?}", case.what);
        let bundle = fixture.sandbox.path("bad.bundle");
        let head = format!("# v2 git bundle\n{} {name}\n\n", case.tip);
        fs::write(&bundle, [head.as_bytes(), &fixture.whole_pack(&case)].concat()).unwrap();
        let fetch = ["fetch", "-q", &bundle.display().to_string(), "+refs/*:refs/*"];
        let [ours, theirs] = fixture.both(&fetch, &[], |_| {});
        assert_eq!(
            (ours.status, is_told(&ours)),
            (theirs.status, is_told(&theirs)),
            "{}: {ours:?}",
            case.what
        );
        let clone = ["clone", "-q", "--bare", "--upload-pack", &program, &url, "copy.git"];
        let [ours, theirs] = fixture.both(&[&start[..], &clone].concat(), &[], |_| {});
        assert_eq!(ours.status, theirs.status, "{}: {ours:?} {theirs:?}", case.what);
    }
}
