//! What one refspec takes in of an advertisement.

use bstr::{BStr, BString, ByteSlice};

use super::{FetchHead, Mapping};
use crate::protocol::Ref;
use crate::remote::refspec::{Source, candidates, is_valid_name};
use crate::remote::{Error, Refspec};

/// The refs that `refspec` takes in; an error if it names one that is not there. The names beside the refs are [`Asked::symbolic`].
///
/// [`Asked::symbolic`]: super::Asked::symbolic
pub(super) fn matches(
    refspec: &Refspec,
    sides: (&[Ref], &[BString]),
    fetch_head: FetchHead,
) -> Result<Vec<Mapping>, Error> {
    let matched = matches_if_there(refspec, sides, fetch_head)?;
    match &refspec.source {
        Source::Name(name) if matched.is_empty() => {
            Err(Error::Missing(format!("couldn't find remote ref {name}")))
        }
        Source::Name(_) | Source::Pattern(_) | Source::Id(_) | Source::Exclude(_) => Ok(matched),
    }
}

pub(super) fn matches_if_there(
    refspec: &Refspec,
    (refs, symbolic): (&[Ref], &[BString]),
    fetch_head: FetchHead,
) -> Result<Vec<Mapping>, Error> {
    let mapping =
        |remote: BString, id, local| Mapping { remote, id, local, force: refspec.force, fetch_head };
    match &refspec.source {
        Source::Exclude(_) => Ok(Vec::new()),
        Source::Id(id) => {
            let remote = BString::from(id.to_string());
            Ok(vec![mapping(remote, *id, local_name(refspec.destination.as_ref())?)])
        }
        Source::Name(name) => {
            let Some(reference) = find_by_short_name(refs, name.as_bstr()) else { return Ok(Vec::new()) };
            let Some(id) = reference.id else { return Ok(Vec::new()) };
            Ok(vec![mapping(reference.name.clone(), id, local_name(refspec.destination.as_ref())?)])
        }
        Source::Pattern(_) => {
            let mut map = Vec::new();
            for (index, reference) in refs.iter().enumerate() {
                let local = refspec.map_pattern(reference.name.as_bstr());
                let (Some(local), Some(id)) = (local, reference.id) else { continue };
                if local.as_ref().is_some_and(|local| symbolic.binary_search(local).is_ok()) {
                    continue;
                }
                if map.is_empty() {
                    // the rest as a rule: growing step by step would leave much unused
                    map.reserve_exact(refs.len() - index);
                }
                map.push(mapping(reference.name.clone(), id, local));
            }
            Ok(map)
        }
    }
}

/// The ref that a short name means, by the order of [`candidates`].
pub fn find_by_short_name<'a>(refs: &'a [Ref], name: &BStr) -> Option<&'a Ref> {
    candidates(name).iter().find_map(|full| refs.iter().find(|reference| reference.name == *full))
}

/// The full name of a destination: `refs/…` as it is, `heads/…`, `tags/…` and `remotes/…` below `refs/`, anything else
/// a branch.
fn local_name(destination: Option<&BString>) -> Result<Option<BString>, Error> {
    let Some(destination) = destination else { return Ok(None) };
    let prefix = if destination.starts_with(b"refs/") {
        ""
    } else if [&b"heads/"[..], b"tags/", b"remotes/"].iter().any(|kind| destination.starts_with(kind)) {
        "refs/"
    } else {
        "refs/heads/"
    };
    let mut name = BString::from(prefix);
    name.extend_from_slice(destination);
    if !is_valid_name(name.as_bstr()) {
        return Err(Error::Refspec(destination.clone()));
    }
    Ok(Some(name))
}

pub(super) fn leave_out(map: &mut Vec<Mapping>, refspecs: &[Refspec]) {
    let negative: Vec<_> =
        refspecs.iter().filter(|refspec| matches!(refspec.source, Source::Exclude(_))).collect();
    if negative.is_empty() {
        return;
    }
    map.retain(|mapping| !negative.iter().any(|refspec| refspec.excludes(mapping.remote.as_bstr())));
}
