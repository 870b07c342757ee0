//! What a fetch comes to.

use std::time::Duration;

use gix_hash::ObjectId;

use super::OtherHead;
use crate::remote::update::{RefUpdate, Status};

/// What a fetch did to the refs.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A row for each ref, in git's order.
    pub updates: Vec<RefUpdate>,
    /// Why refs could not be moved, in git's words.
    pub errors: Vec<crate::repo::Error>,
    /// Why all was refused that should have been done at once (`--atomic`), or that a hook refused to move a ref.
    pub refusal: Option<crate::repo::Error>,
    /// What there is to tell of `refs/remotes/<remote>/HEAD`.
    pub other_head: Option<OtherHead>,
    /// How many refs stay as they are and have no row ([`Options::skips_unchanged`](super::Options::skips_unchanged)).
    pub unchanged_count: usize,
    /// How long it took to find out which updates are fast-forwards.
    pub forced_check: Duration,
    /// What our refs led to before.
    pub known: Vec<ObjectId>,
}

impl Outcome {
    /// The ids that are new to our refs or were noted in `FETCH_HEAD`.
    pub fn new_ids(&self) -> Vec<ObjectId> {
        let is_new = |update: &&RefUpdate| update.status != Status::UpToDate && update.old != update.new;
        self.updates.iter().filter(is_new).filter_map(|update| update.new).collect()
    }
}
