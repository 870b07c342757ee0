//! How trees are packed makes no difference to what is found.

use gitr::pack::enumerate::Wanted;

use super::{EPOCH, Random, Repo, Story, ids};

/// A repository whose directory has `files` files, of which each of `commits` commits on two branches changes some.
fn with_large_directory(files: usize, commits: usize, format: &str) -> Repo {
    let repo = Repo::new(format);
    let mut story = Story { random: Random(3), stream: Vec::new(), made: [0; 3], id_hex_len: 40 };
    for number in 1..=commits {
        let branch = number % 2;
        story.line(&format!("commit refs/heads/b{branch}\nmark :{number}"));
        story.line(&format!("committer A U Thor <a@example.com> {} +0000\ndata 1\nm", EPOCH + number as u64));
        if number > 1 {
            story.line(&format!("from :{}", number.saturating_sub(2).max(1)));
        }
        let changed = if number == 1 { files } else { 1 + story.random.below(4) };
        for at in 0..changed {
            let file = if number == 1 { at } else { story.random.below(files) };
            story.file(&format!("large/directory/file {file}"), &format!("{number} {file}"));
        }
        if story.random.one_in(3) {
            let file = story.random.below(files);
            story.line(&format!("D large/directory/file {file}"));
        }
    }
    story.line("done");
    repo.git(&["fast-import", "--quiet", "--done"], &story.stream);
    repo
}

#[test]
fn deltas_of_trees_change_nothing() {
    for format in ["sha1", "sha256"] {
        let repo = with_large_directory(300, 60, format);
        let (wants, haves) = (ids(&repo.git(&["rev-parse", "b0", "b1"], b"")), vec![repo.id("b0~5")]);
        let wanted = [
            Wanted { wants: wants.clone(), ..Wanted::default() },
            Wanted { wants: wants.clone(), haves: haves.clone(), ..Wanted::default() },
            Wanted { wants, haves, thin: true, ..Wanted::default() },
        ];
        // whatever is a delta to whatever: the same objects are found in the same order
        let mut before = Vec::new();
        for window in ["--window=0", "--window=10", "--window=250"] {
            repo.git(&["repack", "-adfq", "--no-write-bitmap-index", "--depth=30", window], b"");
            let found: Vec<_> = wanted.iter().map(|wanted| repo.check(wanted)).collect();
            let found: Vec<_> = found.into_iter().map(|found| (found.objects, found.bases)).collect();
            assert!(before.is_empty() || before == found, "{window}");
            before = found;
        }
    }
}
