//! `url.<base>.insteadOf` and `pushInsteadOf`: which URL is used, shown and written down.

use crate::support::{Twin, script};

/// Rules for `read:`, `deep:` and `both:`; `{served}` is where the project is.
fn rules(served: &str) -> Vec<String> {
    [
        format!("url.{served}/.insteadOf=read:"),
        format!("url.{served}/.insteadOf=both:"),
        format!("url.{served}/.pushInsteadOf=push:"),
        "url./nonexistent/.insteadOf=re".to_owned(),
        "url./nonexistent/short/.insteadOf=deep:".to_owned(),
        format!("url.{served}/pro.insteadOf=deep:o"),
        "url./nonexistent/push/.pushInsteadOf=both:".to_owned(),
    ]
    .to_vec()
}

#[test]
fn the_longest_rule_that_fits_is_taken() {
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let rules = rules(&sandbox.path("served").display().to_string());
    let with = |words: &[&str]| {
        let rules = rules.iter().flat_map(|rule| ["-c", rule.as_str()]);
        rules.chain(words.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |place: &str, words: &[&str]| {
        let words = with(words);
        twin.run(place, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run("", &["clone", "read:project.git", "copy"]).success();
    twin.same("copy");
    for (url, status) in [
        ("read:project.git", 0),
        ("both:project.git", 0),
        ("deep:oject.git", 0),
        ("deep:other.git", 128),
        ("re/x", 128),
        ("push:project.git", 128),
        ("x-read:project.git", 128),
    ] {
        assert_eq!(run("copy", &["ls-remote", url, "main"]).status, status, "{url}");
        assert_eq!(run("copy", &["ls-remote", "--get-url", url]).status, 0, "{url}");
        let fetched = run("copy", &["fetch", "-q", url, "main"]).status;
        assert_eq!(fetched, status, "{url}");
    }
    twin.same("copy");
    // what is shown is what is used; what is written down is what was said
    run("copy", &["remote", "-v"]).success();
    run("copy", &["remote", "add", "push", "push:project.git"]).success();
    run("copy", &["remote", "add", "both", "both:project.git"]).success();
    for words in [
        &["remote", "-v"][..],
        &["remote", "get-url", "both"],
        &["remote", "get-url", "--push", "both"],
        &["remote", "get-url", "--push", "push"],
        &["fetch", "both"],
        &["fetch", "push"],
        &["push", "--dry-run", "push", "main:refs/heads/by-rule"],
        &["push", "--dry-run", "both", "main:refs/heads/nowhere"],
        &["push", "--dry-run", "push:project.git", "main:other"],
    ] {
        run("copy", words);
    }
    // where a push URL is named, only insteadOf holds for it
    run("copy", &["remote", "set-url", "--push", "both", "both:project.git"]).success();
    run("copy", &["remote", "get-url", "--push", "both"]).success();
    run("copy", &["push", "--dry-run", "both", "main:refs/heads/again"]).success();
    twin.same("copy");
}

#[test]
fn rules_of_a_file_hold_for_clones() {
    let sandbox = crate::sandbox();
    let twin = crate::clones(&sandbox);
    let base = sandbox.path("served").display().to_string();
    script::play(
        &sandbox,
        &twin,
        &format!(
            "! config url.{base}/.insteadOf x:\n= fetch x:project.git\n= ls-remote x:project.git main\n\
             ! config remote.origin.url x:project.git\n= fetch\n= remote -v\n= ls-remote --get-url"
        ),
    );
}
