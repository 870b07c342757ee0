//! Objects that no git would write.

use std::path::Path;

use super::{Git, Run, Sandbox};

/// The object of `kind` that `content` makes, in the repository `place`, however odd it is.
pub fn make(sandbox: &Sandbox, place: &Path, kind: &str, content: &[u8]) -> String {
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(place).args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"]);
    Run::with_input(&mut command, content).success().line()
}

/// Objects that name others and that git cannot read, or does not want to: their kinds and what they consist of. `tree` and
/// `commit` are ids of others.
pub fn objects(tree: &str, commit: &str) -> Vec<(&'static str, Vec<u8>)> {
    let who = "A <a@example.com> 1700000000 +0000";
    let people = format!("author {who}\ncommitter {who}\n\nm\n");
    let z = "z".repeat(40);
    let commits = [
        String::new(),
        people.clone(),
        format!("tree 1234\n{people}"),
        format!("tree {z}\n{people}"),
        format!("tree {tree}0\n{people}"),
        format!("tree {tree}\n"),
        format!("tree {tree}\nparent 1234\n{people}"),
        format!("tree {tree}\nparent {z}\n{people}"),
        format!("tree {tree}\nparent {commit}\nparent {commit}0\n{people}"),
        format!("tree {tree}\nparent {commit}\n"),
        format!("tree {tree}\nparent {tree}\n{people}"),
        format!("tree {commit}\nparent {commit}\n{people}"),
    ];
    let tags = [
        String::new(),
        format!("object {commit}\n"),
        format!("object {commit}\ntag v\ntagger {who}\n\nm\n"),
        format!("object 1234\ntype commit\ntag v\ntagger {who}\n\nm\n"),
        format!("object {z}\ntype commit\ntag v\ntagger {who}\n\nm\n"),
        format!("object {commit}\ntype cow\ntag v\ntagger {who}\n\nm\n"),
        format!("object {commit}\ntype \ntag v\ntagger {who}\n\nm\n"),
        format!("object {commit}\ntype {}\ntag v\ntagger {who}\n\nm\n", "x".repeat(19)),
        format!("object {commit}\ntype {}\ntag v\ntagger {who}\n\nm\n", "x".repeat(20)),
        format!("object {commit}\ntype commit\ntagger {who}\n\nm\n"),
        format!("object {commit}\ntype commit\ntag v"),
    ];
    let id = [7; 20];
    let whole = [&b"100644 a\0"[..], &id].concat();
    let trees = [
        b"x".to_vec(),
        b"100644 ".to_vec(),
        [&whole[..], b"100644 b"].concat(),
        [&whole[..], b"100644 b\0abc"].concat(),
        [&b"100644 \0"[..], &id].concat(),
        [&b"1006x4 a\0"[..], &id].concat(),
        [&whole[..], b"x\0", &id].concat(),
    ];
    let commits = commits.map(|content| ("commit", content.into_bytes()));
    let tags = tags.map(|content| ("tag", content.into_bytes()));
    commits.into_iter().chain(tags).chain(trees.map(|content| ("tree", content))).collect()
}

/// A pack of nothing but the object `id` in `place`.
pub fn pack(sandbox: &Sandbox, place: &Path, id: &str) -> Vec<u8> {
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(place).args(["pack-objects", "--stdout", "-q"]);
    Run::with_input(&mut command, format!("{id}\n").as_bytes()).success().stdout.into()
}
