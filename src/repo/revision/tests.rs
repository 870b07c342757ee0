//! C git says the same of the same repository.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Command, Output};

use bstr::ByteSlice;

use super::*;
use crate::repo::Environment;

/// A repository of C git, and ours of the same directory.
struct Pair {
    _directory: tempfile::TempDir,
    top: PathBuf,
}

impl Pair {
    fn new(script: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let pair = Self { _directory: directory, top };
        pair.run(&["init -q -b main"]);
        pair.run(script);
        pair
    }

    /// Runs the words of each line as a command of git; a number before it is the date, in thousands of seconds.
    fn run(&self, script: &[&str]) {
        for line in script {
            let words: Vec<&str> = line.split_whitespace().collect();
            let date = words.first().and_then(|word| word.parse::<u32>().ok());
            let words = if date.is_some() { &words[1..] } else { &words[..] };
            let output = self.git(words, date.unwrap_or(1_700_009));
            assert!(output.status.success(), "{line}: {}", output.stderr.as_bstr());
        }
    }

    fn git(&self, arguments: &[&str], date: u32) -> Output {
        Command::new("git")
            .args(arguments)
            .current_dir(&self.top)
            .env_clear()
            .envs(self.environment(date).vars())
            .output()
            .unwrap()
    }

    fn environment(&self, date: u32) -> Environment {
        let mut env: Environment = Environment::from_process()
            .vars()
            .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GIT_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.set("HOME", &self.top);
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            env.set(format!("GIT_{who}_NAME"), "A");
            env.set(format!("GIT_{who}_EMAIL"), "a@example.com");
            env.set(format!("GIT_{who}_DATE"), format!("{date}000 +0000"));
        }
        env
    }

    fn open(&self) -> Repository {
        Repository::open(&self.top.join(".git"), None, &[], &self.environment(1_700_009)).unwrap()
    }

    /// Compares what `git rev-parse --verify` and we say: the id, or the lines about why there is none.
    fn check(&self, expression: &str) {
        let theirs = self.git(&["rev-parse", "--verify", expression], 1_700_009);
        let mut heard = Heard::default();
        let answer = self.open().resolve_revision_as(expression.into(), Hint::Configured, &mut heard);
        let mut lines = heard.0;
        let id = match answer {
            Ok(Some(id)) => format!("{id}\n"),
            Ok(None) => {
                lines += "fatal: Needed a single revision\n";
                String::new()
            }
            Err(error) => {
                lines += &format!("fatal: {error}\n");
                String::new()
            }
        };
        let ours = (id.as_bytes().as_bstr(), lines.as_bytes().as_bstr());
        assert_eq!(ours, (theirs.stdout.as_bstr(), theirs.stderr.as_bstr()), "{expression}");
    }
}

/// The lines that git would print.
#[derive(Default)]
struct Heard(String);

impl Progress for Heard {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Warning(text) => self.0 += &format!("warning: {text}\n"),
            Event::Error(text) => self.0 += &format!("error: {text}\n"),
            other => panic!("{other:?}"),
        }
        ControlFlow::Continue(())
    }
}

/// Three commits on `main`, one more with files on `side`, tags, and an upstream.
fn history() -> Pair {
    let pair = Pair::new(&[
        "1700001 commit -q --allow-empty -m one",
        "1700002 commit -q --allow-empty -m two",
        "1700003 commit -q --allow-empty -m three",
        "1700004 checkout -q -b side",
    ]);
    std::fs::create_dir(pair.top.join("dir")).unwrap();
    std::fs::write(pair.top.join("dir/file"), "a").unwrap();
    std::fs::write(pair.top.join("file"), "b").unwrap();
    pair.run(&[
        "add .",
        "1700005 commit -q -m files",
        "1700006 merge -q --no-ff -m merged -s ours main~1 --no-edit",
        "tag light",
        "tag -a -m tagged v1 main~1",
        "tag -a -m nested v2 v1",
        "tag -a -m tree tree HEAD^{tree}",
        "tag -a -m blob blob HEAD:file",
        "update-ref refs/remotes/origin/main main~2",
        "update-ref refs/remotes/origin/topic main~1",
        "symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/main",
        "config remote.origin.url /nowhere",
        "config remote.origin.fetch +refs/heads/*:refs/remotes/origin/*",
        "config branch.main.remote origin",
        "config branch.main.merge refs/heads/main",
        "config branch.side.remote .",
        "config branch.side.merge refs/heads/main",
        "symbolic-ref refs/heads/alias refs/heads/main",
    ]);
    pair
}

#[test]
fn names_and_steps() {
    let pair = history();
    for expression in "HEAD @ main heads/main refs/heads/main light v1 tags/v1 origin origin/main \
        remotes/origin/topic alias nothing . .. refs/heads HEAD@ @@ config HEAD^ HEAD^1 HEAD^2 \
        HEAD^3 HEAD^0 HEAD~ HEAD~2 HEAD~0 HEAD^^ HEAD~1^1 @^ @~1 HEAD~99 HEAD~99999999999 HEAD^+1 \
        HEAD^{-1} HEAD^2~1^{tree} v1^ v2~1 v2^{} v2^{tag} v2^{commit} v2^{tree} v2^{blob} \
        v2^{object} HEAD^{tag} HEAD^{foo} HEAD^{commit tree^{tree} tree^{commit} tree^0 blob^{blob} \
        blob^{tree} blob^{} HEAD: HEAD:file HEAD:dir HEAD:dir/ HEAD:dir/file HEAD:dir/file/ \
        HEAD:file/ HEAD:/file HEAD:dir//file HEAD:none HEAD:none/x v2: tree:dir/file blob:x \
        HEAD^{tree}:dir none:file HEAD^{/one} HEAD^{/o} HEAD^{/!-m} HEAD^{/} v2^{/two} HEAD^{/zzz} \
        HEAD^{/(} tree^{/x} HEAD^{/^t[wx]o} HEAD^{/one}~1 :/files :/zzz :/ :/!x :/!!x \
        0000000000000000000000000000000000000000 1111111111111111111111111111111111111111 \
        1111111111111111111111111111111111111111^0 1111111111111111111111111111111111111111^{object} \
        11111111111111111111111111111111111111111 111"
        .split(' ')
    {
        pair.check(expression);
    }
    pair.check("");
}

#[test]
fn tracking_branches() {
    let pair = history();
    for expression in
        "@{u} @{upstream} @{U} main@{u} main@{UPSTREAM} main@{upstream}^ HEAD@{u} @@{u} none@{u} \
        v1@{u} alias@{u} @{-1}@{u} main@{push} main@{PUSH} @{push} alias@{push} main@{0}@{u} \
        main@{u}: heads/main@{u}"
            .split(' ')
    {
        pair.check(expression);
    }
    for (change, expression) in [
        ("config push.default current", "main@{push}"),
        ("config branch.main.merge refs/heads/topic", "main@{push}"),
        ("config push.default simple", "main@{push}"),
        ("config push.default upstream", "main@{push}"),
        ("config push.default nothing", "main@{push}"),
        ("config remote.origin.push refs/heads/m*:refs/heads/topi*", "main@{push}"),
        ("config remote.origin.push refs/heads/main:refs/heads/topic", "main@{push}"),
        ("config --add remote.origin.push refs/heads/side:refs/other", "side@{push}"),
        ("config branch.side.pushRemote origin", "side@{push}"),
        ("config branch.main.merge refs/other", "main@{u}"),
        ("checkout -q --detach", "@{u}"),
        ("config branch.side.remote origin", "HEAD@{push}"),
    ] {
        pair.run(&[change]);
        pair.check(expression);
    }
}

#[test]
fn what_a_ref_was() {
    let pair = history();
    let ids: Vec<String> = ["main~2", "main~1", "main"]
        .iter()
        .map(|name| String::from_utf8(pair.git(&["rev-parse", name], 1).stdout).unwrap().trim().to_owned())
        .collect();
    let zero = "0".repeat(40);
    for (name, lines) in [
        ("empty", vec![]),
        ("gap", vec![(&zero, &ids[0], 1), (&ids[1], &ids[2], 3)]),
        ("stale", vec![(&zero, &ids[0], 1), (&ids[0], &ids[1], 3)]),
        ("cut", vec![(&ids[0], &ids[2], 3)]),
    ] {
        pair.run(&[&format!("branch {name} main")]);
        let mut log = String::new();
        for (old, new, date) in lines {
            log += &format!("{old} {new} A <a@example.com> 170000{date}000 +0130\tx\n");
        }
        std::fs::write(pair.top.join(".git/logs/refs/heads").join(name), log).unwrap();
    }
    for expression in "main@{0} main@{1} main@{2} main@{3} HEAD@{1} HEAD@{3} @{0} @{1} @{9} side@{1} @@{1} \
        alias@{1} v1@{0} v1@{now} none@{0} main@{} @{ @{x main@{nonsense} main@{2001-01-01} \
        main@{1700002500} main@{1700002000} main@{12345678} main@{123456789} @{yesterday} \
        main@{1}^{tree} main@{1}: empty@{0} empty@{1} empty@{now} gap@{0} gap@{1} gap@{2} \
        gap@{1700002500} gap@{1700000000} stale@{0} stale@{1} stale@{now} stale@{1700001000} cut@{0} \
        cut@{1} cut@{2} cut@{1700000000} @{-1} @{-2} @{-0} @{-1}^ @{-1}@{1} @{-1}@{0}: main@{-1} \
        @{-x} @{-1}:none"
        .split(' ')
    {
        pair.check(expression);
    }
    pair.check("main@{1 day ago}");
    pair.run(&["checkout -q --detach main~1", "checkout -q side"]);
    for expression in ["@{-1}", "@{-1}^", "@{-2}", "@{-1}@{1}", "@{-1}@{u}"] {
        pair.check(expression);
    }
}

#[test]
fn ambiguous_names() {
    let pair = history();
    pair.run(&["tag main HEAD"]);
    let head = String::from_utf8(pair.git(&["rev-parse", "HEAD"], 1).stdout).unwrap();
    let short = &head[..7];
    pair.run(&[&format!("branch {short} main~1")]);
    for expression in
        ["main", "main^0", "heads/main", "main@{0}", "main@{u}", "@{-1}", short, &head[..12], &head[..5]]
    {
        pair.check(expression);
    }
    pair.run(&["config core.warnAmbiguousRefs false"]);
    pair.check("main");
    pair.check(short);
}

#[test]
fn abbreviated_ids() {
    let pair = Pair::new(&["commit -q --allow-empty -m first"]);
    // enough objects that some share four digits
    let mut stream = String::new();
    for number in 0..400 {
        let date = 1_700_000_000 + number;
        stream += &format!("blob\ndata <<X\nblob {number}\nX\n\n");
        stream += &format!("commit refs/heads/x\nmark :{}\ncommitter A <a@b> {date} +0000\n", number + 1);
        stream += &format!("data <<X\nsubject {number}\n\nbody\nX\n\n");
        stream += &format!("tag t{number}\nfrom :{}\ntagger A <a@b> {date} +0000\ndata 1\nx\n", number + 1);
    }
    import(&pair.top, &stream);
    let all = pair.git(&["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"], 1).stdout;
    let all = String::from_utf8(all).unwrap();
    let mut prefixes: Vec<&str> = all.lines().map(|id| &id[..4]).collect();
    let shared = |prefixes: &[&str]| prefixes.windows(2).any(|pair| pair[0] == pair[1]);
    prefixes.sort_unstable();
    assert!(shared(&prefixes), "no two of {} ids are alike", prefixes.len());
    let shared = prefixes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    for prefix in shared.take(12) {
        for suffix in ["", "^{commit}", "^{tree}", "^{blob}", "^{tag}", "^{}", "~0", ":"] {
            pair.check(&format!("{prefix}{suffix}"));
        }
        pair.check(&prefix.to_uppercase());
        pair.check(&format!("v1-1-g{prefix}"));
    }
    let head = pair.git(&["rev-parse", "HEAD"], 1).stdout;
    let head = head.to_str().unwrap().trim();
    for expression in [&head[..10], &head[..3], &format!("v1-2-g{}", &head[..10])] {
        pair.check(expression);
    }
}

fn import(top: &std::path::Path, stream: &str) {
    use std::io::Write as _;
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(top)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_left_out_says_so() {
    let pair = history();
    let repo = pair.open();
    for expression in [":file", ":0:file", "HEAD:./file", "HEAD:../file"] {
        let error = repo.resolve_revision(expression.into()).unwrap_err().to_string();
        assert!(error.ends_with("not supported") || error.ends_with("not supported here"), "{error}");
    }
}
