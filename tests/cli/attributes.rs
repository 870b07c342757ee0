//! What attributes do to files, where they are found, and which of them count, in clones and pulls beside C git.
//! gitattributes(5).

use super::filter::{Files, clone, commit, pull};
use super::support::Sandbox;

/// A set-up: settings, and the files of a repository.
type Row<'a> = (&'a [&'a str], Files<'a>);

/// Files with every line ending, in the names of which the rows set attributes.
const LINES: Files<'_> = &[
    ("lf.txt", "one\ntwo\n"),
    ("crlf.txt", "one\r\ntwo\r\n"),
    ("mixed.txt", "one\r\ntwo\n"),
    ("cr.txt", "one\rtwo\n"),
    ("binary.txt", "one\n\0two\n"),
    ("empty.txt", ""),
    ("d/e/lf.txt", "one\ntwo\n"),
    ("d/lf.c", "one\ntwo\n"),
    ("a b.c", "one\ntwo\n"),
    ("link.txt*", "lf.txt"),
];

/// Clones each of `rows`, with [`LINES`] in it.
#[track_caller]
fn cloned(rows: &[Row<'_>]) {
    for (settings, files) in rows {
        eprintln!("{settings:?} {files:?}");
        let sandbox = Sandbox::new();
        commit(&sandbox, &[LINES, files].concat());
        clone(&sandbox, settings, &[]);
    }
}

/// Clones with one file of attributes for each of `rows`.
#[track_caller]
fn cloned_with(rows: &[(&[&str], &str)]) {
    for (settings, attributes) in rows {
        cloned(&[(settings, &[(".gitattributes", attributes)])]);
    }
}

#[test]
fn line_endings_are_those_that_are_wished() {
    let none: Files<'_> = &[];
    for setting in ["core.autocrlf=true", "core.autocrlf=input", "core.eol=crlf"] {
        cloned(&[(&[setting], none)]);
    }
    cloned_with(&[
        (&[], "* text=auto\n"),
        (&[], "* text\n"),
        (&[], "* text eol=crlf\n"),
        (&[], "* eol=crlf\n"),
        (&[], "* eol=lf\n"),
        (&[], "* text=auto eol=crlf\n"),
        (&[], "* -text eol=crlf\n"),
        (&[], "*.txt binary\n"),
        (&[], "* crlf\n*.c crlf=input\nlf.txt -crlf\n"),
        (&["core.eol=crlf"], "* text=auto\n"),
        (&["core.eol=crlf"], "* text\n"),
        (&["core.eol=lf"], "* text=auto\n"),
        (&["core.autocrlf=true"], "*.txt eol=lf\n"),
        (&["core.autocrlf=true"], "* -text\n"),
        (&["core.autocrlf=true", "core.eol=lf"], "* text=auto\n"),
        (&["core.autocrlf=input", "core.eol=crlf"], "* text=auto\n"),
        (&["core.autocrlf=input"], "* text eol=crlf\n"),
    ]);
}

#[test]
fn patterns_match_as_git_has_it() {
    cloned_with(&[
        (&[], "\"a b.c\" eol=crlf\n"),
        (&[], "d/ eol=crlf\n"),
        (&[], "d/** eol=crlf\n"),
        (&[], "/lf.txt eol=crlf\n"),
        (&[], "**/lf.txt eol=crlf\n"),
        (&[], "d/*.c eol=crlf\n# *.txt eol=crlf\n"),
        (&[], "*.TXT eol=crlf\n"),
        (&["core.ignoreCase=true"], "*.TXT eol=crlf\n"),
        (&[], "*.txt eol=crlf\r\n*.c eol=crlf\r\n"),
        (&[], "\u{feff}*.txt eol=crlf\n"),
        (&[], "*.txt eol=crlf\n*.txt !eol\n"),
        (&[], "*.txt eol=crlf\n*.txt -eol\n"),
        (&[], "[attr]windows eol=crlf\n*.txt windows\nlf.txt !windows\n"),
        (&[], "[attr]binary eol=crlf\n*.txt binary\n"),
        (&[], "*.txt  text\teol=crlf  \n   *.c eol=crlf\n"),
    ]);
}

#[test]
fn ids_and_encodings_are_put_in() {
    let text: Files<'_> = &[
        ("id.id", "$Id$ $Id: foo $ $Id: foo bar $\n$Id:\n$"),
        ("crlf.id", "$Id$\r\n"),
        ("wide.u16", "h\u{e9}\u{20ac}\n"),
        ("plain.u16", "plain\n"),
        ("nothing.u16", ""),
    ];
    for attributes in [
        "*.id ident\n",
        "*.id ident eol=crlf\n",
        "*.id ident text\nid.id -ident\n",
        "*.u16 working-tree-encoding=UTF-16LE-BOM\n",
        "*.u16 working-tree-encoding=utf16\n",
        "*.u16 working-tree-encoding=UTF-16BE eol=crlf\n",
        "*.u16 working-tree-encoding=UTF-32\n",
        "*.u16 working-tree-encoding=UCS-2\n",
        "*.u16 working-tree-encoding=ISO-8859-1\n",
        "*.u16 working-tree-encoding=nonsense\n",
        "*.u16 working-tree-encoding=UTF-8\n",
    ] {
        eprintln!("{attributes}");
        let sandbox = Sandbox::new();
        commit(&sandbox, text);
        // added as they are: what a clone writes is another matter
        std::fs::write(sandbox.path("served/source/.gitattributes"), attributes).unwrap();
        let source = sandbox.path("served/source");
        sandbox.git(&source, &["add", ".gitattributes"]).success();
        sandbox.git(&source, &["commit", "-q", "-m", "x"]).success();
        clone(&sandbox, &[], &[]);
    }
}

#[test]
fn the_nearest_file_has_the_last_word() {
    cloned(&[
        (&[], &[(".gitattributes", "* eol=crlf\n"), ("d/.gitattributes", "* -text\n")]),
        (&[], &[(".gitattributes", "* -text\n"), ("d/e/.gitattributes", "* text eol=crlf\n")]),
        (&[], &[("d/.gitattributes", "/lf.c eol=crlf\ne/lf.txt eol=crlf\n")]),
        (&["core.attributesFile=../outer"], &[("d/.gitattributes", "* -text\n")]),
        (&["core.symlinks=false"], &[(".gitattributes", "* eol=crlf\n")]),
        (&[], &[(".gitattributes", "*.c filter\n*.txt -filter\n*.txt filter=\n")]),
    ]);
    let sandbox = Sandbox::new();
    commit(
        &sandbox,
        &[LINES, &[(".gitattributes", "*.txt eol=crlf\n"), ("d/.gitattributes", "* -text\n")]].concat(),
    );
    let (outer, template) = (sandbox.path("outer"), sandbox.path("template"));
    std::fs::write(&outer, "* eol=crlf\n").unwrap();
    let outer = format!("core.attributesFile={}", outer.display());
    clone(&sandbox, &[&outer], &[]);
    std::fs::create_dir_all(template.join("info")).unwrap();
    std::fs::write(template.join("info/attributes"), "d/e/* text eol=crlf\nlf.txt !eol\n").unwrap();
    let template = format!("--template={}", template.display());
    clone(&sandbox, &[], &[&template]);
    clone(&sandbox, &[&outer], &[&template]);
    std::fs::create_dir_all(sandbox.path("home/.config/git")).unwrap();
    std::fs::write(sandbox.path("home/.config/git/attributes"), "*.c eol=crlf\n").unwrap();
    clone(&sandbox, &[], &[]);
}

/// The new attributes hold for what is written; those of the work tree for what is looked at, and where the new commit has
/// none.
#[test]
fn a_pull_takes_attributes_along() {
    // what is there first, what is pulled, what is the user's own
    let rows: [[Files<'_>; 3]; 7] = [
        [&[(".gitattributes", "* eol=crlf\n")], &[("lf.txt", "new\n")], &[]],
        [&[], &[(".gitattributes", "* eol=crlf\n"), ("lf.txt", "new\n")], &[]],
        [&[(".gitattributes", "* eol=crlf\n")], &[(".gitattributes", "* -text\n"), ("lf.txt", "new\n")], &[]],
        [&[], &[("d/lf.c", "new\n")], &[("d/.gitattributes", "* eol=crlf\n")]],
        [&[], &[("d/lf.c", "new\n"), ("d/new/lf.c", "new\n")], &[(".gitattributes", "* eol=crlf\n")]],
        [
            &[],
            &[("d/.gitattributes", "*.c eol=crlf\n"), ("d/lf.c", "new\n")],
            &[(".gitattributes", "* eol=lf\n")],
        ],
        [&[(".gitattributes", "*.c eol=crlf ident\n")], &[("d/lf.c", "$Id$\n"), ("a b.c", "new\n")], &[]],
    ];
    for [first, second, mine] in rows {
        eprintln!("{first:?} {second:?} {mine:?}");
        let sandbox = Sandbox::new();
        commit(&sandbox, &[LINES, first].concat());
        let (twin, _) = clone(&sandbox, &[], &[]);
        commit(&sandbox, second);
        twin.prepare(|client| {
            for (path, content) in mine {
                std::fs::write(client.join("copy").join(path), content).unwrap();
            }
        });
        pull(&twin, &[]);
    }
}
