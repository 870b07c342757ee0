//! `--prefetch`: all that is fetched is kept where nobody looks, so that a later fetch has less to do.

use bstr::{BString, ByteSlice};

use crate::remote::Refspec;
use crate::remote::refspec::Source;

/// Sends what `refspecs` store below `refs/prefetch/`, and leaves out tags and what they do not store.
pub(super) fn redirect(refspecs: &mut Vec<Refspec>) {
    refspecs.retain(|refspec| match &refspec.source {
        Source::Exclude(_) => true,
        Source::Name(name) | Source::Pattern(name) => {
            refspec.destination.is_some() && !name.starts_with(b"refs/tags/")
        }
        Source::Id(_) => refspec.destination.is_some(),
    });
    for refspec in refspecs.iter_mut().filter(|refspec| refspec.destination.is_some()) {
        refspec.force = true;
        refspec.destination = refspec.destination.take().map(below_prefetch);
    }
}

fn below_prefetch(name: BString) -> BString {
    let short = name.strip_prefix(b"refs/").unwrap_or(&name);
    [b"refs/prefetch/".as_slice(), short.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_below_prefetch_but_tags() {
        let texts = [
            "refs/heads/*:refs/remotes/o/*",
            "refs/tags/*:refs/tags/*",
            "HEAD",
            "^refs/heads/x",
            "side:side",
        ];
        let mut refspecs: Vec<Refspec> =
            texts.iter().map(|text| Refspec::parse_fetch((*text).into()).unwrap()).collect();
        redirect(&mut refspecs);
        let kept: Vec<_> = refspecs.iter().map(|refspec| refspec.destination.clone()).collect();
        assert_eq!(kept, [Some("refs/prefetch/remotes/o/*".into()), None, Some("refs/prefetch/side".into())]);
        assert!(refspecs[0].force);
    }
}
