//! `index-pack`: what it reads and checks, and what it finds in its place already.

use std::fs;

use crate::index_pack::{fed, of_blobs, packs, same_files};
use crate::support::{Format, Git, Run, Sandbox, odd, sandbox::gitr_program};

#[test]
fn what_stands_behind_a_pack_in_a_pipe_is_passed_on() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let pack = of_blobs(1);
    for rest in [&b""[..], b"more", b"a line\nand\0another"] {
        let run = fed(&sandbox, &twin, "new", &["index-pack", "--stdin"], &[&pack, rest].concat());
        assert!(run.success().stdout.ends_with(rest));
    }
}

#[test]
fn nothing_stands_behind_a_pack_in_a_file() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    twin.prepare(|directory| {
        fs::write(directory.join("long"), [&of_blobs(1)[..], b"more"].concat()).unwrap();
    });
    let programs = [(gitr_program(), &twin.ours), (Git::reference().program.clone().into(), &twin.theirs)];
    let [ours, theirs] = programs.map(|(program, directory)| {
        let mut command = sandbox.command("sh");
        command.args(["-c", "exec \"$0\" index-pack --stdin <../long"]).arg(program);
        Run::of(command.current_dir(directory.join("new")))
    });
    assert_eq!((ours.status, &ours.stdout, &ours.stderr), (128, &theirs.stdout, &theirs.stderr), "{ours:?}");
    same_files(&twin, "new");
}

#[test]
fn strict_and_fsck_objects_go_together() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let part = fs::read(twin.ours.join("part.pack")).unwrap();
    for options in [
        &["--strict", "--fsck-objects"][..],
        &["--fsck-objects", "--strict"],
        &["--strict", "--fsck-objects=missingEmail=warn"],
        &["--strict=nosuch=warn", "--fsck-objects"],
        &["--fsck-objects=nosuch=warn", "--strict"],
        &["--strict=nosuch=warn", "--strict=missingEmail=warn"],
    ] {
        let programs =
            [(gitr_program(), &twin.ours), (Git::reference().program.clone().into(), &twin.theirs)];
        for (program, directory) in programs {
            let mut command = sandbox.command(program);
            command.args(["index-pack", "--stdin"]).args(options).current_dir(directory.join("new"));
            let run = Run::with_input(&mut command, &part);
            assert_eq!(run.status, 128, "{run:?}");
            let names_a_rule = options.iter().any(|option| option.contains("nosuch"));
            assert_eq!(run.complains_of("Unhandled message id: nosuch"), names_a_rule, "{run:?}");
        }
    }
}

#[test]
fn a_stream_is_verified_against_nothing() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    for options in [&["--verify"][..], &["--verify-stat"], &["--verify", "copy.pack"]] {
        let arguments = [&["index-pack", "--stdin"], options].concat();
        assert_eq!(fed(&sandbox, &twin, "new", &arguments, &of_blobs(1)).status, 128, "{options:?}");
    }
}

#[test]
fn a_reverse_index_that_is_missing_is_made() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let whole = fs::read(twin.ours.join("whole.pack")).unwrap();
    let name = fed(&sandbox, &twin, "new", &["index-pack", "--stdin"], &whole).line().replace("pack\t", "");
    for missing in [&["rev"][..], &["idx"], &["idx", "rev"], &[]] {
        for suffix in missing {
            let name = format!("new/objects/pack/pack-{name}.{suffix}");
            twin.prepare(|directory| fs::remove_file(directory.join(&name)).unwrap());
        }
        fed(&sandbox, &twin, "new", &["index-pack", "--stdin"], &whole).success();
    }
}

#[test]
fn objects_that_cannot_be_read_are_refused_in_the_words_of_c_git() {
    let sandbox = Sandbox::new();
    let twin = packs(&sandbox, Format::Sha1);
    let source = sandbox.path("served/project.git");
    let [tree, commit] =
        ["main^{tree}", "main"].map(|name| sandbox.git(&source, &["rev-parse", name]).line());
    for (kind, content) in odd::objects(&tree, &commit) {
        let pack = odd::pack(&sandbox, &source, &odd::make(&sandbox, &source, kind, &content));
        let options = ["--strict", "--fsck-objects", "--check-self-contained-and-connected"];
        // without rules git lets pass some trees that nothing names
        let count = if kind == "tree" { 2 } else { 3 };
        for option in options.into_iter().take(count) {
            let run = fed(&sandbox, &twin, "copy", &["index-pack", "--stdin", option], &pack);
            assert_eq!(run.status, 128, "{}: {run:?}", content.escape_ascii());
        }
    }
}
