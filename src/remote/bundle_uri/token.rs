//! Lists whose bundles have creation tokens: only what is newer than the newest that was taken in is looked at, and no
//! more of it than is needed.

use std::cmp::Reverse;

use bstr::ByteSlice;

use super::{Bundles, Got, Trust, is_bundle, shown};
use crate::protocol::bundle_uri::Listed;
use crate::remote::Error;

/// What is known of one bundle.
enum State {
    /// Nothing was tried.
    Unknown,
    /// It is here; what it builds on was not when that was tried.
    Waiting(Got),
    /// It was taken in, or cannot be had.
    Settled,
}

impl Bundles<'_> {
    /// Goes from the newest bundle to older ones until one can be taken in, then back to newer ones with what that brought.
    /// All went well if that ends at the newest.
    pub(super) fn by_token(&mut self, listed: &[&Listed], trust: Trust) -> Result<bool, Error> {
        let known = self.known_token();
        let mut listed = listed.to_vec();
        listed.sort_by_key(|bundle| Reverse(bundle.token));
        // where nothing was taken in so far even the token 0 is news
        listed.retain(|bundle| known.is_none_or(|known| bundle.token > known));
        let mut states: Vec<State> = listed.iter().map(|_| State::Unknown).collect();
        let mut newest = known;
        let mut place = Some(0);
        let mut goes_to_older = true;
        while let Some((bundle, state)) = place.and_then(|at| Some((listed.get(at)?, states.get_mut(at)?))) {
            if matches!(state, State::Unknown) {
                *state = match self.download(bundle.uri.as_bstr(), trust)? {
                    Some((got, _)) if is_bundle(got.path()) => State::Waiting(got),
                    Some(_) => {
                        self.warn(&format!(
                            "file downloaded from '{}' is not a bundle",
                            shown(bundle.uri.as_bstr())
                        ))?;
                        return Ok(false);
                    }
                    None => {
                        self.warn(&format!(
                            "failed to download bundle from URI '{}'",
                            shown(bundle.uri.as_bstr())
                        ))?;
                        goes_to_older = true;
                        State::Settled
                    }
                };
            }
            if let State::Waiting(got) = state {
                goes_to_older = !self.unbundle(got.path())?;
                if !goes_to_older {
                    *state = State::Settled;
                    newest = newest.max(Some(bundle.token));
                }
            }
            place =
                if goes_to_older { place.map(|at| at + 1) } else { place.and_then(|at| at.checked_sub(1)) };
        }
        let is_complete = place.is_none() || listed.is_empty();
        if let Some(newest) = newest.filter(|_| is_complete && newest != known) {
            self.remember_token(newest)?;
        }
        Ok(is_complete)
    }

    /// `fetch.bundleCreationToken`, if it is a number.
    fn known_token(&self) -> Option<u64> {
        self.repo.config.string("fetch.bundleCreationToken")?.to_str().ok()?.parse().ok()
    }
}
