//! How `clone` understands where to clone from and where to.

use std::path::Path;

use super::support::{Stream, Twin, build};
use super::{clones, sandbox};

#[test]
fn a_path_is_remembered_as_it_was_given() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "-q", "../served/project.git", "copy"]);
    twin.same("copy");
    twin.done("copy", &["clone", "-q", ".", "../again"]);
    twin.same("again");
    twin.done("", &["clone", "-q", "./copy/.git/", "third"]);
    twin.same("third");
}

#[test]
fn a_path_that_is_there_is_no_host() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "-q", "--bare", "../served/project.git", "host:path"]);
    twin.done("", &["clone", "host:path", "copy"]);
    twin.same("copy");
}

#[test]
fn the_git_directory_can_be_elsewhere() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "--separate-git-dir", "real", "../served/project.git", "copy"]);
    twin.same("copy");
    let link = |client: &Path| std::fs::read_to_string(client.join("copy/.git")).unwrap();
    assert_eq!(link(&twin.ours), format!("gitdir: {}\n", twin.ours.join("real").display()));
    twin.done("", &["clone", "-q", "copy/.git", "again"]);
    assert_eq!(twin.run("", &["clone", "--separate-git-dir", "real", "again", "third"]).status, 128);
    assert_eq!(twin.run("", &["clone", "--bare", "--separate-git-dir", "x", "again", "third"]).status, 128);
    assert!(!twin.ours.join("third").exists());
}

/// The git directory is neither one that is there, nor the work tree, nor above it.
#[test]
fn the_git_directory_is_a_new_one() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let source = "../served/project.git";
    twin.prepare(|client| std::fs::create_dir(client.join("empty")).unwrap());
    for (git_dir, directory) in [
        ("same", "same"),
        ("./same", "same/"),
        ("above", "above/below"),
        ("empty", "copy"),
        ("empty", "empty"),
    ] {
        let run = twin.run("", &["clone", "-q", "--separate-git-dir", git_dir, source, directory]);
        assert_eq!(run.status, 128, "{git_dir} {directory}");
        assert_eq!(std::fs::read_dir(twin.ours.join("empty")).unwrap().count(), 0);
        for made in ["same", "copy"] {
            assert_eq!(
                twin.ours.join(made).exists(),
                twin.theirs.join(made).exists(),
                "{git_dir} {directory}"
            );
        }
    }
    twin.done("", &["clone", "-q", "--separate-git-dir", "within/x", source, "within"]);
    assert!(twin.ours.join("within/x/HEAD").exists());
}

#[test]
fn an_empty_template_is_no_template() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "--template=", "../served/project.git", "copy"]);
    twin.same("copy");
    assert!(!twin.ours.join("copy/.git/info").exists());
    assert_eq!(twin.run("", &["clone", "--separate-git-dir=", "copy", "again"]).status, 128);
}

#[test]
fn the_work_tree_can_be_elsewhere() {
    let mut sandbox = sandbox();
    sandbox.set("GIT_WORK_TREE", "tree");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "../served/project.git", "copy"]);
    for file in ["copy/config", "copy/HEAD"] {
        let read = |client: &Path| std::fs::read_to_string(client.join(file)).unwrap();
        let theirs = read(&twin.theirs).replace("/theirs/", "/ours/");
        assert_eq!(read(&twin.ours), theirs);
    }
    let files = |client: &Path| {
        let entries = std::fs::read_dir(client.join("tree")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(files(&twin.ours), files(&twin.theirs));
    assert_eq!(twin.run("", &["clone", "../served/project.git", "second"]).status, 128);
}

#[test]
fn a_shallow_source_is_rejected_on_demand() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let served = sandbox.path("served");
    let url = format!("file://{}", served.join("project.git").display());
    sandbox.git(&served, &["clone", "-q", "--bare", "--depth=2", &url, "shallow.git"]).success();
    let source = served.join("shallow.git").display().to_string();
    for version in 0..=2 {
        let twin = Twin::new(&sandbox, version, Vec::new());
        for source in [&source, &format!("file://{source}")] {
            assert_eq!(twin.run("", &["clone", "--reject-shallow", source, "copy"]).status, 128);
            assert!(!twin.ours.join("copy").exists());
        }
    }
    twin.done("", &["-c", "clone.rejectShallow=true", "clone", "--no-reject-shallow", &source, "copy"]);
    twin.same("copy");
    twin.done("", &["clone", "--reject-shallow", "--depth=1", &format!("file://{source}"), "deep"]);
    twin.same("deep");
}

/// The version of the index in `directory`, and whether it goes without a checksum.
fn index_layout(directory: &Path) -> (Option<u8>, bool) {
    let index = std::fs::read(directory.join(".git/index")).unwrap();
    (index.get(7).copied(), index.ends_with(&[0; 20]))
}

/// A new index is as the configuration wants it; one that is there keeps its version.
#[test]
fn an_index_is_written_as_the_configuration_wants_it() {
    const SETTINGS: [&[&str]; 9] = [
        &[],
        &["index.version=4"],
        &["index.version=3"],
        &["index.skipHash=true"],
        &["feature.manyFiles=true"],
        &["feature.manyFiles=true", "index.skipHash=false"],
        &["feature.manyFiles=true", "index.version=2"],
        &["feature.manyFiles=false", "index.version=4"],
        &["core.untrackedCache=true"],
    ];
    let mut sandbox = sandbox();
    let source = sandbox.path("served/project.git");
    let url = source.display().to_string();
    let settings = SETTINGS.map(|settings| settings.iter().flat_map(|setting| ["-c", setting]).collect());
    let settings: [Vec<&str>; SETTINGS.len()] = settings;
    {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        for (number, settings) in settings.iter().enumerate() {
            for (kind, option) in [("plain", "--no-bare"), ("sparse", "--sparse")] {
                let name = format!("{kind}{number}");
                twin.done("", &[settings, &["clone", "-q", option, &url, &name][..]].concat());
                let layout = index_layout(&twin.ours.join(&name));
                assert_eq!(layout, index_layout(&twin.theirs.join(&name)), "{settings:?}");
                twin.same(&name);
            }
        }
        let mut stream = Stream::onto("main");
        stream.commit("main", 100).file("new/deep", "new\n").file("dir1/added", "added\n");
        stream.import(&sandbox, &source);
        for (number, settings) in settings.iter().enumerate() {
            for from in [0, 4] {
                let name = format!("pulled{from}{number}");
                twin.prepare(|client| {
                    drop(build::copy(&sandbox, &client.join(format!("plain{from}")), &client.join(&name)));
                });
                twin.done(&name, &[settings, &["pull", "-q"][..]].concat());
                let layout = index_layout(&twin.ours.join(&name));
                assert_eq!(layout, index_layout(&twin.theirs.join(&name)), "{settings:?}");
                twin.same(&name);
            }
        }
    }
    sandbox.set("GIT_INDEX_VERSION", "4");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["-c", "index.version=2", "clone", "-q", &url, "told"]);
    assert_eq!(index_layout(&twin.ours.join("told")), index_layout(&twin.theirs.join("told")));
    twin.same("told");
}

#[test]
fn settings_of_the_index_that_make_no_sense_end_everything() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let url = sandbox.path("served/project.git").display().to_string();
    twin.done("copy", &["bundle", "create", "-q", "../file", "main"]);
    for setting in ["feature.manyFiles=x", "index.skipHash=x", "index.version=x", "index.version=99999999999"]
    {
        for words in [
            &["fetch"][..],
            &["pull"],
            &["push", "--dry-run"],
            &["clone", "-q", &url, "new"],
            &["fetch-pack", &url, "HEAD"],
            &["pack-objects", "-q", "--all", "packed"],
            &["bundle", "create", "-q", "new", "main"],
            &["bundle", "create", "-q", "new", "nosuch"],
            &["send-pack", "--dry-run", &url, "main:new"],
        ] {
            assert_eq!(twin.run("copy", &[&["-c", setting], words].concat()).status, 128);
        }
        assert_eq!(twin.run("copy", &["-c", setting, "bundle", "unbundle", "../file"]).status, 1);
        twin.same_state("copy");
    }
    for setting in ["core.abbrev=x", "core.maxTreeDepth=x"] {
        assert_eq!(twin.run("", &["-c", setting, "receive-pack", "copy"]).status, 128);
    }
}
