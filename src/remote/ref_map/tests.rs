//! What refspecs make of an advertisement.

use super::*;
use crate::repo::Config;

fn id(digit: u8) -> ObjectId {
    ObjectId::from_hex(&[digit; 40]).unwrap()
}

fn refs() -> Vec<Ref> {
    let mut refs = vec![
        Ref::direct("HEAD", id(b'1')),
        Ref::direct("refs/heads/main", id(b'1')),
        Ref::direct("refs/heads/side", id(b'2')),
        Ref::direct("refs/tags/v1", id(b'3')),
    ];
    refs[3].peeled = Some(id(b'2'));
    refs
}

fn remote(refspecs: &[&str]) -> Remote {
    Remote {
        name: Some("origin".into()),
        fetch: refspecs.iter().map(|text| Refspec::parse_fetch((*text).into()).unwrap()).collect(),
        ..Remote::of_url(&Config::default(), "x".into())
    }
}

fn map(remote: &Remote, branch: &CurrentBranch, refspecs: &[&str]) -> Vec<(String, String, FetchHead)> {
    let refspecs: Vec<_> =
        refspecs.iter().map(|text| Refspec::parse_fetch((*text).into()).unwrap()).collect();
    asked(&refspecs, remote, branch)
        .map(&refs())
        .unwrap()
        .into_iter()
        .map(|m| (m.remote.to_string(), m.local.unwrap_or_default().to_string(), m.fetch_head))
        .collect()
}

fn asked<'a>(refspecs: &'a [Refspec], remote: &'a Remote, branch: &'a CurrentBranch) -> Asked<'a> {
    Asked { refspecs, refmap: None, remote, branch, all_tags: false, symbolic: &[] }
}

#[test]
fn the_upstream_of_the_current_branch_is_for_merge() {
    let remote = remote(&["+refs/heads/*:refs/remotes/origin/*"]);
    let branch = CurrentBranch { remote: Some("origin".into()), merge: vec!["refs/heads/side".into()] };
    assert_eq!(
        map(&remote, &branch, &[]),
        [
            ("refs/heads/main".into(), "refs/remotes/origin/main".into(), FetchHead::NotForMerge),
            ("refs/heads/side".into(), "refs/remotes/origin/side".into(), FetchHead::Merge),
        ]
    );
}

#[test]
fn a_named_branch_updates_its_tracking_branch_by_the_way() {
    let remote = remote(&["+refs/heads/*:refs/remotes/origin/*"]);
    assert_eq!(
        map(&remote, &CurrentBranch::default(), &["main"]),
        [
            ("refs/heads/main".into(), String::new(), FetchHead::Merge),
            ("refs/heads/main".into(), "refs/remotes/origin/main".into(), FetchHead::Ignore),
        ]
    );
}

#[test]
fn a_remote_without_refspecs_gives_its_head() {
    assert_eq!(
        map(&remote(&[]), &CurrentBranch::default(), &[]),
        [("HEAD".into(), String::new(), FetchHead::Merge)]
    );
}

#[test]
fn a_negative_refspec_leaves_refs_out() {
    let remote = remote(&["refs/heads/*:refs/x/*", "^refs/heads/side"]);
    assert_eq!(
        map(&remote, &CurrentBranch::default(), &[]),
        [("refs/heads/main".into(), "refs/x/main".into(), FetchHead::NotForMerge)]
    );
}

#[test]
fn no_pattern_stores_in_a_symbolic_ref() {
    let (remote, branch) =
        (remote(&["refs/heads/*:refs/x/*", "refs/heads/main:refs/x/side"]), CurrentBranch::default());
    let symbolic: [BString; 2] = ["refs/x/main".into(), "refs/x/side".into()];
    let asked = Asked { symbolic: &symbolic, ..asked(&[], &remote, &branch) };
    let stored: Vec<_> = asked.map(&refs()).unwrap().into_iter().map(|m| (m.remote, m.local)).collect();
    assert_eq!(stored, [("refs/heads/main".into(), Some("refs/x/side".into()))]);
}

#[test]
fn one_destination_takes_one_source() {
    let refspecs: Vec<_> =
        ["main:x", "side:x"].iter().map(|text| Refspec::parse_fetch((*text).into()).unwrap()).collect();
    let (remote, branch) = (remote(&[]), CurrentBranch::default());
    let error = asked(&refspecs, &remote, &branch).map(&refs()).unwrap_err().to_string();
    assert_eq!(error, "Cannot fetch both refs/heads/main and refs/heads/side to refs/heads/x");
}

#[test]
fn a_tag_is_followed_if_its_target_comes_and_it_is_not_here() {
    let remote = remote(&["refs/heads/*:refs/remotes/origin/*"]);
    let branch = CurrentBranch::default();
    let map = asked(&[], &remote, &branch).map(&refs()).unwrap();
    let followed = tags_to_follow(&refs(), &map, &|_| false, &mut |_| false);
    assert_eq!(followed.iter().map(|m| m.remote.to_string()).collect::<Vec<_>>(), ["refs/tags/v1"]);
    assert!(tags_to_follow(&refs(), &map, &|_| false, &mut |_| true).is_empty());
    assert!(tags_to_follow(&refs(), &[], &|_| false, &mut |_| false).is_empty());
}
