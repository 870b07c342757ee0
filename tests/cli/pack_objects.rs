//! `pack-objects`: what is packed, words and exit codes, compared with C git's.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bstr::ByteSlice;

use crate::support::{Format, Git, Run, Sandbox, Twin, build, sandbox::gitr_program, state};

/// Two bare repositories `copy` with 12 commits: eight of them in a kept pack, three in another, and one loose.
fn copies(sandbox: &Sandbox, format: Format) -> Twin<'_> {
    let twin = Twin::new(sandbox, 2, Vec::new());
    build::project(sandbox, &sandbox.path("served/project.git"), format, 12);
    let source = sandbox.path("served/project.git").display().to_string();
    for (branch, at) in [("old", "main~4"), ("middle", "main~1")] {
        sandbox.git(&twin.ours, &["-C", &source, "branch", branch, at]).success();
    }
    for directory in [&twin.ours, &twin.theirs] {
        build::empty(sandbox, &directory.join("copy"), format);
        let copy = directory.join("copy");
        let fetch = |what: &str, unpack: &str| {
            sandbox.git(&copy, &["-c", unpack, "fetch", "-q", &source, what]).success();
        };
        fetch("refs/heads/old:refs/heads/old", "fetch.unpackLimit=1");
        for pack in packs(&copy) {
            std::fs::write(pack.with_extension("keep"), "").unwrap();
        }
        fetch("refs/heads/middle:refs/heads/middle", "fetch.unpackLimit=1");
        fetch("+refs/*:refs/*", "fetch.unpackLimit=1000");
    }
    twin
}

fn packs(repository: &Path) -> Vec<PathBuf> {
    let files = state::files(&repository.join("objects/pack"));
    files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "pack")).collect()
}

/// Gives both the same words and input.
fn both(sandbox: &Sandbox, twin: &Twin<'_>, arguments: &[&str], input: &str) -> [Run; 2] {
    let arguments = [&["pack-objects"], arguments].concat();
    let programs = [(gitr_program(), &twin.ours), (Git::reference().program.clone().into(), &twin.theirs)];
    programs.map(|(program, directory)| {
        let mut command = sandbox.command(program);
        Run::with_input(command.args(&arguments).current_dir(directory.join("copy")), input.as_bytes())
    })
}

/// The ids in the pack that a run made and named, after C git has looked at it; with nothing left beside it.
fn listed(sandbox: &Sandbox, directory: &Path, run: &Run) -> Vec<String> {
    assert_eq!(run.status, 0, "{run:?}");
    let id = run.stdout.trim().to_str().unwrap();
    let base = directory.join("copy").join(format!("made-{id}"));
    for extension in ["pack", "idx", "rev"] {
        assert!(base.with_extension(extension).exists(), "{extension} of {id}");
    }
    let name = base.display().to_string();
    let pack = std::fs::read(base.with_extension("pack")).unwrap();
    assert!(pack.ends_with(&hex(id)), "{id}");
    sandbox.git(directory, &["-C", "copy", "verify-pack", &format!("{name}.idx")]).success();
    let checked = sandbox.git(directory, &["-C", "copy", "index-pack", "--verify", &format!("{name}.pack")]);
    checked.success();
    let shown =
        sandbox.git(directory, &["-C", "copy", "verify-pack", "-v", &format!("{name}.idx")]).success();
    let lines = shown.stdout.to_str().unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let is_object =
        |line: &&String| [" commit ", " tree ", " blob ", " tag "].iter().any(|kind| line.contains(kind));
    let mut ids: Vec<String> =
        lines.iter().filter(is_object).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    ids.sort();
    for extension in ["pack", "idx", "rev"] {
        std::fs::remove_file(base.with_extension(extension)).unwrap();
    }
    ids
}

fn hex(id: &str) -> Vec<u8> {
    id.as_bytes().chunks(2).map(|pair| u8::from_str_radix(pair.to_str().unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_same_objects_are_packed() {
    for format in Format::ALL {
        let sandbox = Sandbox::new();
        let twin = copies(&sandbox, format);
        twin.prepare(|client| {
            // a commit that nothing but a reflog names
            let copy = client.join("copy");
            let lost =
                sandbox.git(&copy, &["commit-tree", "-p", "main~2", "-m", "lost", "main~1^{tree}"]).line();
            let main = sandbox.git(&copy, &["rev-parse", "main"]).line();
            for id in [lost, main] {
                sandbox.git(&copy, &["update-ref", "--create-reflog", "refs/heads/main", &id]).success();
            }
            // a branch that is called like another commit's id, which names that commit all the same
            let id = sandbox.git(&copy, &["rev-parse", "main~2"]).line();
            sandbox.git(&copy, &["update-ref", &format!("refs/heads/{id}"), "main~5"]).success();
        });
        let id = sandbox.git(&twin.ours, &["-C", "copy", "rev-parse", "main~2"]).line();
        let everything = sandbox.git(&twin.ours, &["-C", "copy", "rev-list", "--objects", "--all"]).success();
        let everything = everything.stdout.to_str().unwrap().to_owned();
        for (arguments, input) in [
            (&["--revs"][..], "main\n"),
            (&["--revs", "--include-tag"], "main\n^main~3\n"),
            (&["--revs", "--delta-base-offset"], "main~5..main\n"),
            (&["--revs"], "main\n--not\nmiddle\nold\n"),
            (&["--revs"], &format!("{id}\n^old\n")),
            (&["--all"], ""),
            (&["--reflog"], ""),
            (&["--all", "--reflog"], ""),
            (&["--all", "--unpacked"], ""),
            (&["--all", "--incremental", "--non-empty"], ""),
            (&["--all", "--honor-pack-keep", "--local"], ""),
            (&["--all", "--no-reuse-delta", "--window=20", "--depth=3"], ""),
            (&["--all", "--no-reuse-object", "--threads=1", "--compression=0"], ""),
            (&["--all", "--window=0", "--index-version=1"], ""),
            (&["--revs", "--filter=blob:none"], "main\n"),
            (&["--revs", "--filter=tree:2", "--filter=blob:limit=10"], "main\n"),
            (&["--revs"], "old...main~9\nmain~3...middle\n"),
            (&["--revs"], "main^!\n^main~9^@\n"),
            (&["--revs"], "--not\nmain~2^!\n--not\nmain^-\n"),
            (&["--revs"], "main\n^main~4^{tree}\n"),
            (&["--revs", "--filter=tree:1"], "main^{tree}\n"),
            (&["--revs", "--filter=tree:2"], "main^{tree}\n"),
            (&["--revs", "--filter=object:type=blob"], "main^{tree}\n"),
            (&["--revs", "--filter=object:type=commit"], "main^{tree}\n"),
            (&["--revs", "--filter=tree:2", "--filter=blob:none"], "main^{tree}\n"),
            (&["--revs", "--filter=tree:1"], "main^{tree}\nmain~2\n"),
            (&["--index-version=2,0x10"], &everything),
        ] {
            let arguments = [&["-q"], arguments, &["made"]].concat();
            let [ours, theirs] = both(&sandbox, &twin, &arguments, input);
            assert_eq!(ours.stderr.as_bstr(), theirs.stderr.as_bstr(), "{arguments:?}");
            if theirs.stdout.is_empty() {
                assert!(ours.stdout.is_empty(), "{arguments:?}");
                continue;
            }
            let ours = listed(&sandbox, &twin.ours, &ours);
            assert_eq!(ours, listed(&sandbox, &twin.theirs, &theirs), "{arguments:?}");
            assert!(!ours.is_empty() || arguments.contains(&"--unpacked"), "{arguments:?}");
        }
        // the one that is there from the beginning
        let kept = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "keep");
        assert!(state::leftovers(&twin.ours).iter().all(kept));
    }
}

/// As strtoul(3) reads them.
#[test]
fn the_numbers_of_a_layout_are_those_of_c() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    for (layout, version) in [("0", 1), ("", 1), (" +1", 1), ("4294967298", 2), ("2,0X10", 2), ("2,  020", 2)]
    {
        // git does not put another index in the place of one
        let (base, layout) = (format!("made{layout}"), format!("--index-version={layout}"));
        let arguments = ["-q", "--all", "--max-pack-size=0", &layout, &base];
        let runs = both(&sandbox, &twin, &arguments, "");
        for (run, place) in runs.iter().zip([&twin.ours, &twin.theirs]) {
            assert_eq!((run.status, run.stderr.as_bstr()), (0, "".into()), "{run:?}");
            let index = std::fs::read(place.join("copy").join(format!("{base}-{}.idx", run.line()))).unwrap();
            let is_first = !index.starts_with(b"\xfftOc");
            assert_eq!(is_first, version == 1, "{run:?}");
        }
    }
}

/// How many objects are in a pack on standard output.
fn count(run: &Run) -> u32 {
    assert_eq!(run.status, 0, "{run:?}");
    u32::from_be_bytes(run.stdout[8..12].try_into().unwrap())
}

#[test]
fn what_bitmaps_tell_is_limited_by_where_it_lies() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    twin.prepare(|client| {
        let copy = client.join("copy");
        for pack in packs(&copy) {
            std::fs::remove_file(pack.with_extension("keep")).ok();
        }
        sandbox.git(&copy, &["repack", "-adbq"]).success();
        std::fs::write(packs(&copy)[0].with_extension("keep"), "").unwrap();
        let lone = ["commit-tree", "-p", "main", "-m", "lone", "main^{tree}"];
        let lone = sandbox.git(&copy, &lone).line();
        sandbox.git(&copy, &["update-ref", "refs/heads/lone", &lone]).success();
    });
    let name = packs(&twin.ours.join("copy"))[0].file_name().unwrap().to_str().unwrap().to_owned();
    for limit in
        ["--incremental", "--unpacked", "--honor-pack-keep", &format!("--keep-pack={name}"), "--local"]
    {
        let arguments = ["-q", "--all", "--stdout", "--use-bitmap-index", limit];
        let [ours, theirs] = both(&sandbox, &twin, &arguments, "");
        assert_eq!(count(&ours), count(&theirs), "{limit}");
        assert!(count(&ours) == 1 || limit == "--local", "{limit}");
    }
}

#[test]
fn heads_of_other_work_trees_are_among_all() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["worktree", "add", "-q", "--detach", "../tree", "main"]).success();
        let other = client.join("tree");
        sandbox.git(&other, &["commit", "-q", "--allow-empty", "-m", "of another work tree"]).success();
    });
    let other = sandbox.git(&twin.ours.join("tree"), &["rev-parse", "HEAD"]).line();
    let [ours, theirs] = both(&sandbox, &twin, &["-q", "--all", "made"], "");
    let ours = listed(&sandbox, &twin.ours, &ours);
    assert!(ours.contains(&other));
    assert_eq!(ours, listed(&sandbox, &twin.theirs, &theirs));
}

#[test]
fn trees_may_be_as_deep_as_the_configuration_says() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    let deep = "a/b/c/d/e/file";
    twin.prepare(|client| {
        build::Stream::new().commit("deep", 0).file(deep, "deep\n").import(&sandbox, &client.join("copy"));
    });
    for (max, is_enough) in [("6", true), ("5", true), ("4", false), ("0", false)] {
        twin.prepare(|client| {
            sandbox.git(&client.join("copy"), &["config", "core.maxTreeDepth", max]).success();
        });
        for name in ["deep", "deep^{tree}"] {
            let [ours, theirs] = both(&sandbox, &twin, &["-q", "--revs", "--stdout"], &format!("{name}\n"));
            let words = |run: &Run| (run.status, run.stderr.as_bstr().to_owned());
            assert_eq!(words(&ours), words(&theirs), "{max} {name}");
            assert_eq!(ours.status == 0, is_enough, "{max} {name}");
        }
    }
}

#[test]
fn the_objects_of_packs_are_packed_without_those_of_others() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    let names: Vec<String> = packs(&twin.ours.join("copy"))
        .iter()
        .map(|pack| pack.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let [first, second] = names.as_slice() else { panic!("{names:?}") };
    for input in
        [format!("{first}\n{second}\n"), format!("{first}\n^{second}\n"), format!("^{first}\n{second}\n")]
    {
        let [ours, theirs] = both(&sandbox, &twin, &["-q", "--stdin-packs", "made"], &input);
        assert_eq!(listed(&sandbox, &twin.ours, &ours), listed(&sandbox, &twin.theirs, &theirs), "{input}");
    }
}

#[test]
fn a_pack_goes_to_standard_output() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    for arguments in
        [&["--revs", "--stdout", "-q"][..], &["--revs", "--stdout", "-q", "--thin", "--delta-base-offset"]]
    {
        let input = if arguments.contains(&"--thin") { "main\n^main~2\n" } else { "main\n" };
        let sizes = both(&sandbox, &twin, arguments, input).map(|run| {
            let run = run.success();
            let mut command = sandbox.command(&Git::reference().program);
            command.args(["index-pack", "--stdin", "--fix-thin"]).current_dir(twin.theirs.join("copy"));
            Run::with_input(&mut command, &run.stdout).success();
            run.stdout.len()
        });
        assert!(sizes[0] <= sizes[1] * 103 / 100, "{sizes:?} with {arguments:?}");
    }
}

/// Bytes of a file that nothing makes smaller, and how much memory may be in use while it is copied out of a pack, mapped
/// pages included, in kilobytes.
const LARGE_LEN: usize = 96 << 20;
const COPYING_MAX_KB: u64 = 88 << 10;

#[test]
fn a_large_entry_is_copied_piece_by_piece() {
    let sandbox = Sandbox::new();
    let place = sandbox.path("large.git");
    build::empty(&sandbox, &place, Format::Sha1);
    sandbox.git(&place, &["config", "core.compression", "0"]).success();
    build::Stream::new().commit("main", 0).file("large", build::noise(LARGE_LEN)).import(&sandbox, &place);
    sandbox.git(&place, &["repack", "-q", "-a", "-d", "--write-bitmap-index"]).success();
    let mut command = sandbox.command(gitr_program());
    command.args(["pack-objects", "--all", "--stdout", "-q"]).current_dir(&place);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pack = child.stdout.take().unwrap();
    // with more to come than a pipe takes, so that it waits with nearly all of it done
    std::io::copy(&mut (&mut pack).take(LARGE_LEN as u64 - (1 << 20)), &mut std::io::sink()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB")).unwrap();
    let rest = std::io::copy(&mut pack, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success() && rest > 1 << 20);
    let peak: u64 = peak.trim().parse().unwrap();
    assert!(peak < COPYING_MAX_KB, "{peak} kB");
}

#[test]
fn a_history_may_be_cut_off() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    let id = sandbox.git(&twin.ours, &["-C", "copy", "rev-parse", "main~2"]).success().line();
    let input = format!("--shallow {id}\nmain\n");
    let [ours, theirs] = both(&sandbox, &twin, &["-q", "--revs", "--shallow", "made"], &input);
    let ours = listed(&sandbox, &twin.ours, &ours);
    assert_eq!(ours, listed(&sandbox, &twin.theirs, &theirs));
}

#[test]
fn what_makes_no_sense_is_refused_in_git_s_words() {
    let sandbox = Sandbox::new();
    let twin = copies(&sandbox, Format::Sha1);
    let unknown = format!("{}\n", "1".repeat(40));
    for (arguments, input) in [
        (&["--thin", "x"][..], ""),
        (&["--stdout", "--max-pack-size=1m"], ""),
        (&["--stdin-packs", "--revs", "x"], ""),
        (&["--stdin-packs", "--filter=blob:none", "--stdout"], ""),
        (&["--missing=foo", "--stdout"], ""),
        (&["--index-version=3", "x"], ""),
        (&["--index-version=9", "--stdout"], ""),
        (&["--index-version=258", "x"], ""),
        (&["--index-version=-1", "x"], ""),
        (&["--index-version=2,", "x"], ""),
        (&["--index-version=2,0x", "--stdout"], ""),
        (&["--stdout", "--filter=blob:limit=x"], ""),
        (&["--index-version=2,zz", "x"], ""),
        (&["--index-version=2,0x80000000", "x"], ""),
        (&["--compression=10", "--stdout"], ""),
        (&["--stdout", "-q"], "garbage\n"),
        (&["--stdout", "-q"], "-garbage\n"),
        (&["--stdout", "-q"], &unknown),
        (&["--revs", "--stdout", "-q"], "--foo\n"),
        (&["--revs", "--stdout", "-q"], "nope\n"),
        (&["--revs", "--stdout", "-q"], "main...nope\n"),
        (&["--revs", "--stdout", "-q"], "nope^!\n"),
        (&["--revs", "--stdout", "-q"], "main^-9\n"),
        (&["--revs", "--stdout", "-q"], &format!("main\n^{unknown}")),
        (&["--revs", "--stdout", "-q"], &format!("main\n--not\n{unknown}")),
        (&["--revs", "--stdout", "-q", "--shallow"], "--shallow 01\nmain\n"),
        (&["--stdin-packs", "--stdout", "-q"], "pack-nope.pack\n"),
    ] {
        let [ours, theirs] = both(&sandbox, &twin, arguments, input);
        let words = |run: &Run| (run.status, twin.anonymous(&run.stderr));
        assert_eq!(words(&ours), words(&theirs), "{arguments:?} {input}");
        assert_eq!(theirs.status, 128);
    }
    for arguments in [&["--max-pack-size=-1", "x"], &["--max-pack-size=1x", "x"]] {
        let [ours, theirs] = both(&sandbox, &twin, arguments, "");
        let words = |run: &Run| (run.status, run.stderr.lines().next().map(<[u8]>::to_vec));
        assert_eq!(words(&ours), words(&theirs), "{arguments:?}");
        assert_eq!(theirs.status, 129);
    }
    let [ours, theirs] = both(&sandbox, &twin, &["--depth=5000", "--all", "-q", "made"], "");
    assert_eq!(ours.stderr.as_bstr(), theirs.stderr.as_bstr());
    let [ours, theirs] = both(&sandbox, &twin, &[], "");
    assert_eq!((ours.status, theirs.status), (129, 129));
}
