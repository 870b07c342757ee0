//! The refs of a remote, and nothing more: `git ls-remote` and what asks as it does.

use bstr::BString;

use super::session::has_good_names;
use super::{Error, Far, Remote, RepoSettings};
use crate::progress::Progress;
use crate::protocol::Ref;
use crate::transport;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What the names begin with; all refs if empty. An older server tells all the same.
    pub prefixes: Vec<BString>,
    /// How the remote is reached; the program on the far side is that of the remote's configuration if `None`.
    pub transport: transport::Options,
    /// `--server-option`.
    pub server_options: Vec<BString>,
}

/// Asks `remote` for its refs. A bundle is read, from its last ref to its first as C git does.
///
/// # Errors
///
/// If the remote cannot be reached or breaks the protocol.
pub fn list(
    remote: &Remote,
    settings: &RepoSettings<'_>,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Vec<Ref>, Error> {
    let mut refs = Vec::new();
    for_each(remote, (settings, options), progress, &mut |reference| refs.push(reference.clone()))?;
    Ok(refs)
}

/// As [`list`], giving `take` one ref after the other as they come, for whoever does not keep them.
///
/// # Errors
///
/// As [`list`]; refs may have been given before.
pub fn for_each(
    remote: &Remote,
    (settings, options): (&RepoSettings<'_>, &Options),
    progress: &mut dyn Progress,
    take: &mut dyn FnMut(&Ref),
) -> Result<(), Error> {
    let url = remote.location()?;
    if let Some(path) = url.local_path().filter(|path| path.is_file())
        && let Some(bundle) = transport::bundle::open(&path)?
    {
        bundle.header.refs.iter().rev().filter(|reference| has_good_names(reference)).for_each(take);
        return Ok(());
    }
    let mut transport_options = options.transport.clone();
    transport_options.remote.clone_from(&remote.name);
    if transport_options.upload_pack.is_none() {
        transport_options.upload_pack.clone_from(&remote.upload_pack);
    }
    let server_options = match options.server_options.as_slice() {
        [] => &remote.server_options,
        given => given,
    };
    let mut far = Far::connect(&url, settings, transport_options, server_options, progress)?;
    far.for_each_ref(&options.prefixes, progress, &mut |reference| {
        if has_good_names(reference) {
            take(reference);
        }
    })?;
    far.close()
}
