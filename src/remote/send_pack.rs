//! Asking for changes of refs and sending the objects they need. `gitprotocol-pack(5)`, "Pushing Data To a Server".

use bstr::BString;

use super::push::RefUpdate;
use super::{Error, Session};
use crate::progress::Progress;
use crate::protocol::Ref;
use crate::repo::Repository;

/// How the changes are asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Deltas may be based on what the far side has (`--thin`).
    pub thin: bool,
    /// All refs change or none.
    pub atomic: bool,
    /// The far side is asked for silence.
    pub quiet: bool,
    /// Everything is done but asking.
    pub dry_run: bool,
    /// `--push-option`; an error if the far side takes none.
    pub push_options: Vec<BString>,
    /// Whether the push is signed.
    pub signed: Signed,
    /// The URL, for the certificate.
    pub url: BString,
}

/// `--signed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signed {
    /// It is not.
    #[default]
    No,
    /// It is, if the far side takes signed pushes.
    IfAsked,
    /// It is, or it fails.
    Yes,
}

/// Asks the far side of `session` for those of `rows` that are [`Status::Pending`](super::push::Status::Pending), sends
/// the objects, and puts what became of each into its status. `advertised` says what the far side has.
pub fn send_pack(
    _session: &mut Session,
    _repo: &Repository,
    _advertised: &[Ref],
    _rows: &mut [RefUpdate],
    _options: &Options,
    _progress: &mut dyn Progress,
) -> Result<(), Error> {
    unimplemented!()
}
