//! `GIT_TRACE_PACKET`: what users are asked for when something is wrong.

use std::fs;

use super::sandbox;
use super::support::Twin;

/// The packets of the command itself; who speaks is left to `agent=`, and the server prints its own.
fn own_lines(trace: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap();
    fs::remove_file(trace).unwrap();
    let is_own = |line: &&str| line.contains("ls-remote") && !line.contains("agent=");
    text.lines().filter(is_own).map(ToOwned::to_owned).collect()
}

#[test]
fn packets_are_traced_in_the_form_of_git() {
    let mut sandbox = sandbox();
    let trace = sandbox.path("trace");
    sandbox.set("GIT_TRACE_PACKET", &trace);
    sandbox.set("GIT_TRACE_BARE", "1");
    for version in 1..=2 {
        let twin = Twin::new(&sandbox, version, Vec::new());
        let list = ["ls-remote", "../served/project.git", "main"];
        twin.gitr("", &list).success();
        let ours = own_lines(&trace);
        twin.git("", &list).success();
        assert_eq!(ours, own_lines(&trace));
        assert!(ours.contains(&format!("packet:    ls-remote< version {version}")), "{ours:#?}");
    }
}

#[test]
fn time_and_place_stand_in_front() {
    let mut sandbox = sandbox();
    sandbox.set("GIT_TRACE_PACKET", "1");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let run = twin.gitr("", &["ls-remote", "../served/project.git"]).success();
    let text = run.stderr.to_string();
    let line = text.lines().find(|line| line.ends_with("ls-remote< version 2")).unwrap();
    assert_eq!(line.find("packet:"), Some(40), "{line}");
}

#[test]
fn a_trace_that_goes_nowhere_is_warned_of() {
    let mut sandbox = sandbox();
    sandbox.set("GIT_TRACE_PACKET", "nowhere");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let run = twin.gitr("", &["ls-remote", "../served/project.git"]).success();
    assert!(
        run.stderr.starts_with(b"warning: unknown trace value for 'GIT_TRACE_PACKET': nowhere\n"),
        "{run:?}"
    );
}

#[test]
fn what_is_asked_for_by_id_is_not_listed() {
    let mut sandbox = sandbox();
    let ours = super::clones(&sandbox).ours;
    let trace = sandbox.path("trace");
    sandbox.set("GIT_TRACE_PACKET", &trace);
    let served = sandbox.path("served/project.git");
    let id = sandbox.git(&served, &["rev-parse", "main~1"]).success().line();
    sandbox.gitr(&ours.join("copy"), &["fetch", "--no-tags", "origin", &id]).success();
    let text = fs::read_to_string(&trace).unwrap();
    assert!(text.contains("fetch< version 2"), "{text}");
    assert!(!text.contains("fetch> command=ls-refs"), "{text}");
}

/// The events of the command itself in the trace of `GIT_TRACE2_EVENT`, without what differs between any two runs; what C
/// git tells beyond is left out.
fn own_events(trace: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap();
    fs::remove_file(trace).unwrap();
    let told =
        ["version", "start", "cmd_name", "child_start", "child_exit", "data", "error", "exit", "atexit"];
    let mut found = Vec::new();
    for line in text.lines() {
        let value = |key: &str| {
            let begin = line.find(&format!("\"{key}\":"))? + key.len() + 3;
            line[begin..].split([',', '}']).next()
        };
        let event = value("event").unwrap().trim_matches('"');
        // the server's programs have a parent
        let is_own = !value("sid").unwrap().contains('/');
        assert!(line.starts_with('{') && line.ends_with('}') && value("time").is_some(), "{line}");
        if is_own && told.contains(&event) {
            let keys = ["name", "hierarchy", "child_class", "category", "key", "value", "child_id", "code"];
            let values = keys.map(|key| value(key).map(|value| format!("{key}={value}")));
            found.push(format!("{event} {}", values.into_iter().flatten().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

#[test]
fn events_are_those_of_git() {
    let mut sandbox = sandbox();
    let trace = sandbox.path("events");
    sandbox.set("GIT_TRACE2_EVENT", &trace);
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for (arguments, code) in [(["ls-remote", &url], 0), (["ls-remote", "nosuch"], 128)] {
        let run = twin.gitr("", &arguments);
        assert_eq!(run.status, code, "{run:?}");
        let ours = own_events(&trace);
        twin.git("", &arguments);
        let theirs = own_events(&trace);
        if code == 0 {
            assert_eq!(ours, theirs);
            assert!(
                ours.iter().any(|event| event.contains("key=\"negotiated-version\" value=\"2\"")),
                "{ours:#?}"
            );
        }
        let ends = |events: &[String]| events.iter().rev().take(2).cloned().collect::<Vec<_>>();
        assert_eq!(ends(&ours), ends(&theirs));
        assert_eq!(ours[..3], theirs[..3]);
    }
}

#[test]
fn events_name_no_password() {
    let mut sandbox = sandbox();
    let directory = sandbox.path("events");
    fs::create_dir(&directory).unwrap();
    sandbox.set("GIT_TRACE2_EVENT", &directory);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.gitr("", &["ls-remote", "http://user:hunter2@127.0.0.1:1/x"]);
    let file = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("http://user:<REDACTED>@127.0.0.1:1/x") && !text.contains("hunter2"), "{text}");
    assert!(text.contains("\"event\":\"error\""), "{text}");
}

/// What the trace of `GIT_TRACE2_EVENT` says of the parts of a fetch and of its negotiation. C git's other regions are of
/// work that is not done in the same parts here.
fn parts_of_fetch(trace: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap();
    fs::remove_file(trace).unwrap();
    let is_common = |line: &&str| {
        let is_own = !line.split("\"thread\"").next().unwrap().contains('/');
        let is_part = ["fetch", "negotiation_v2", "negotiation_v0_v1"]
            .iter()
            .any(|category| line.contains(&format!("\"category\":\"{category}\"")));
        let is_more = ["haves_added", "in_vain", "filter/"].iter().any(|key| line.contains(key));
        is_own && (is_part && !is_more || line.contains("\"label\":\"negotiation_"))
    };
    let shown = |line: &str| {
        let place = line.find("\"category\"").unwrap();
        let event = line.split(',').next().unwrap();
        format!("{event} {}", &line[place..].replace(",\"msg\":\"\"", ""))
    };
    text.lines().filter(is_common).map(shown).collect()
}

#[test]
fn the_parts_of_a_fetch_are_those_of_git() {
    let mut sandbox = sandbox();
    let trace = sandbox.path("events");
    let url = sandbox.path("served/project.git").display().to_string();
    for (version, category) in [(0, "negotiation_v0_v1"), (2, "negotiation_v2")] {
        sandbox.set("GIT_TRACE2_EVENT", "");
        let twin = super::clones(&sandbox);
        let (ours, theirs) = (twin.ours.join("copy"), twin.theirs.join("copy"));
        drop(twin);
        super::Stream::onto("main").history(50 + version..52 + version).import(&sandbox, url.as_ref());
        sandbox.set("GIT_TRACE2_EVENT", &trace);
        sandbox.set("GIT_TRACE2_EVENT_NESTING", "9");
        let setting = format!("protocol.version={version}");
        sandbox.gitr(&ours, &["-c", &setting, "fetch", "origin"]).success();
        let parts = parts_of_fetch(&trace);
        sandbox.git(&theirs, &["-c", &setting, "fetch", "origin"]).success();
        assert_eq!(parts, parts_of_fetch(&trace));
        assert!(
            parts.iter().any(|part| part.contains("total_rounds") && part.contains(category)),
            "{parts:#?}"
        );
    }
}

/// The programs that a fetch starts beside the far side's: what C git is asked to do afterwards has its name and words.
#[test]
fn programs_are_told_by_the_words_they_are_given() {
    let mut sandbox = sandbox();
    let trace = sandbox.path("events");
    let twin = super::clones(&sandbox);
    let (ours, theirs) = (twin.ours.join("copy"), twin.theirs.join("copy"));
    drop(twin);
    sandbox.set("GIT_TRACE2_EVENT", &trace);
    let started = || {
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        let is_same = |line: &&str| {
            line.contains("child_start") && (line.contains("maintenance") || line.contains("upload-pack"))
        };
        let words = |line: &str| line[line.find("\"use_shell\"").unwrap()..].to_owned();
        text.lines().filter(is_same).map(words).collect::<Vec<_>>()
    };
    for arguments in [&["-c", "maintenance.auto=true", "fetch"][..], &["fetch", "--refetch", "-q"]] {
        sandbox.gitr(&ours, arguments).success();
        let told = started();
        sandbox.git(&theirs, arguments).success();
        assert_eq!(told, started());
    }
}

#[test]
fn packs_are_traced_as_they_are() {
    let mut sandbox = sandbox();
    let pack = sandbox.path("pack");
    sandbox.set("GIT_TRACE_PACKFILE", &pack);
    let ours = Twin::new(&sandbox, 2, Vec::new()).ours;
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    sandbox.gitr(&ours, &["clone", "-q", "--bare", &url, "copy"]).success();
    sandbox.git(&ours, &["index-pack", &pack.display().to_string(), "-o", "copy.idx"]).success();
    let tail = |bytes: Vec<u8>| bytes[bytes.len() - 20..].to_vec();
    let packs = crate::support::state::files(&ours.join("copy/objects/pack"));
    let kept = packs.iter().find(|path| path.extension().is_some_and(|kind| kind == "pack")).unwrap();
    assert_eq!(tail(fs::read(&pack).unwrap()), tail(fs::read(kept).unwrap()));
}

#[test]
fn the_packets_of_a_pull_are_those_of_a_fetch() {
    let mut sandbox = sandbox();
    let trace = sandbox.path("trace");
    let ours = super::clones(&sandbox).ours;
    sandbox.set("GIT_TRACE_PACKET", &trace);
    sandbox.gitr(&ours.join("copy"), &["pull", "-q"]).success();
    let text = fs::read_to_string(&trace).unwrap();
    assert!(text.contains("packet:        fetch< version 2"), "{text}");
}

#[test]
fn programs_that_run_at_once_are_announced() {
    let sandbox = sandbox();
    let twin = super::clones(&sandbox);
    twin.prepare(|client| {
        sandbox.git(&client.join("copy"), &["remote", "add", "second", "../../served/project.git"]).success();
    });
    let mut traced = crate::support::Sandbox::new();
    traced.set("GIT_TRACE", "1");
    let run = traced.gitr(&twin.ours.join("copy"), &["fetch", "--all", "-j3", "-q"]).success();
    assert!(run.complains_of("run_processes_parallel: preparing to run up to 3 tasks"), "{run:?}");
    assert!(run.complains_of("run_processes_parallel: done"), "{run:?}");
}

/// Nothing is said where events cannot be written: programs that collect them must not disturb the others.
#[test]
fn events_that_cannot_be_written_are_not_missed() {
    let mut sandbox = sandbox();
    sandbox.set("GIT_TRACE2_EVENT", "/nowhere/events");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["ls-remote", "-q", "../served/project.git"]);
    drop(twin);
    sandbox.set("GIT_TRACE2_DST_DEBUG", "1");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let run = twin.gitr("", &["ls-remote", "../served/project.git"]).success();
    assert!(run.complains_of("could not open '/nowhere/events' for tracing"), "{run:?}");
}

/// The facts that a server tells in the trace of `GIT_TRACE2_EVENT`, from the category on; ids of sessions are masked, and of a
/// pack it is how many objects it has: how many are deltas is up to who searches.
fn facts(trace: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap();
    fs::remove_file(trace).unwrap();
    let facts = text.lines().filter_map(|line| {
        let (_, fact) = line.split_once("\"category\":").filter(|_| line.contains("\"event\":\"data"))?;
        let is_told = fact.starts_with("\"transfer\"")
            || fact.starts_with("\"upload-pack\"")
            || fact.starts_with("\"pack-objects\",\"key\":\"write_");
        match fact.split_once("-sid\",\"value\":") {
            Some((key, value)) => is_told.then(|| format!("{key} {}", value.contains("client"))),
            None => is_told.then(|| fact.to_owned()),
        }
    });
    facts.collect()
}

/// What C git's client is called with; `{}` is the server's program.
const ASKED: &[&[&str]] = &[
    &["-C", "new.git", "fetch-pack", "--upload-pack={}", "{url}", "HEAD"],
    &["-C", "new.git", "fetch-pack", "--depth=2", "--upload-pack={}", "{url}", "HEAD", "refs/heads/topic"],
    &["-C", "new.git", "fetch-pack", "--filter=blob:limit=1k", "--upload-pack={}", "{url}", "HEAD"],
    &["-C", "new.git", "fetch-pack", "--filter=tree:1", "--upload-pack={}", "{url}", "HEAD"],
    &[
        "-C",
        "new.git",
        "fetch-pack",
        "--filter=combine:tree:2+blob:none",
        "--upload-pack={}",
        "{url}",
        "HEAD",
    ],
    &["-C", "new.git", "fetch-pack", "--shallow-since=2001-01-01", "--upload-pack={}", "{url}", "HEAD"],
    &["-C", "shallow.git", "fetch", "--dry-run", "--deepen=1", "--upload-pack={}"],
    &[
        "-C",
        "shallow.git",
        "fetch",
        "--dry-run",
        "--shallow-exclude=v1.0",
        "--upload-pack={}",
        "origin",
        "main",
    ],
    &["ls-remote", "--upload-pack={}", "{url}"],
    &["-C", "source", "push", "--receive-pack={}", "../shallow.git", "main:refs/heads/pushed"],
];

/// C git's client asks both servers.
#[test]
fn servers_tell_what_they_are_asked_for() {
    let mut sandbox = sandbox();
    let (source, trace) = (sandbox.path("source"), sandbox.path("events"));
    let git =
        |sandbox: &super::support::Sandbox, arguments: &[&str]| sandbox.git(&sandbox.path(""), arguments);
    git(&sandbox, &["clone", "-q", "--mirror", "served/project.git", "source"]).success();
    for key in ["transfer.advertiseSID", "uploadpack.allowFilter"] {
        git(&sandbox, &["-C", "source", "config", key, "true"]).success();
    }
    sandbox.set("GIT_TRACE2_PARENT_SID", "client");
    let url = format!("file://{}", source.display());
    let servers = ["git", &super::support::sandbox::gitr_program().display().to_string()].map(|program| {
        ["upload-pack", "receive-pack"]
            .map(|command| format!("GIT_TRACE2_EVENT='{}' '{program}' {command}", trace.display()))
    });
    let mut all = 0;
    for version in ["0", "2"] {
        for arguments in ASKED {
            let is_push = arguments.contains(&"push");
            let [theirs, ours] = &servers.each_ref().map(|[upload, receive]| {
                let program = if is_push { receive } else { upload };
                let words: Vec<String> =
                    arguments.iter().map(|word| word.replace("{}", program).replace("{url}", &url)).collect();
                let version = format!("protocol.version={version}");
                fs::remove_dir_all(sandbox.path("new.git")).ok();
                fs::remove_dir_all(sandbox.path("shallow.git")).ok();
                git(&sandbox, &["init", "-q", "--bare", "new.git"]).success();
                git(&sandbox, &["clone", "-q", "--bare", "--depth=3", &url, "shallow.git"]).success();
                let settings = ["-c", "transfer.advertiseSID=true", "-c", &version];
                let run = git(
                    &sandbox,
                    &settings.into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>(),
                );
                assert!(trace.exists(), "{run:?}");
                facts(&trace)
            });
            assert_eq!(ours, theirs, "{version} {arguments:?}");
            all += ours.len();
        }
    }
    assert!(all >= 50, "{all}");
}
