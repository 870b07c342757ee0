//! Which objects a pack is to hold: those that the wants reach and the haves do not.

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Error;
use super::source::Source;
use crate::progress::Progress;

/// What is to be sent, and what the receiver has.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Objects of any kind that the receiver is to have with all they reach.
    pub wants: Vec<ObjectId>,
    /// Objects that the receiver has with all they reach. Those that are not here are passed over.
    pub haves: Vec<ObjectId>,
    /// Commits whose parents the receiver does not have although it has them: its shallow boundary.
    pub receiver_shallow: Vec<ObjectId>,
    /// Whether the trees and blobs at the boundary are wanted as bases of a thin pack.
    pub thin: bool,
    /// Whether objects that are missing here are passed over because a promisor remote has them (a partial clone);
    /// else a missing object is an error.
    pub is_partial: bool,
}

/// The objects of a pack, in git's order: commits and tags as the walk met them, then trees and blobs by path.
#[derive(Debug, Clone, Default)]
pub struct Enumerated {
    /// What the pack holds.
    pub objects: Vec<Object>,
    /// What the receiver has and deltas of a thin pack may be based on: trees and blobs of boundary commits, in the
    /// order they should be tried.
    pub bases: Vec<Object>,
}

/// One object of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// Says which objects are alike, from their path: see [`name_hash`]. 0 for commits, tags and root trees.
    pub name_hash: u32,
}

/// Finds the objects to send. Reports the phase `Enumerating objects`.
///
/// # Errors
///
/// [`Error::Missing`] names an object that is not here and should be.
pub fn enumerate(
    _source: &dyn Source,
    _wanted: &Wanted,
    _progress: &mut dyn Progress,
) -> Result<Enumerated, Error> {
    unimplemented!()
}

/// A number from the last characters of a path, so that sorting by it brings files of the same name and kind together:
/// the later a character the more it counts, white space does not. gitpacking(7), "name-hash".
pub fn name_hash(_path: &[u8]) -> u32 {
    unimplemented!()
}
