//! What bundles elsewhere bring before the remote is asked for the rest.

use bstr::ByteSlice;
use gix_hash::ObjectId;

use super::Clone;
use super::plan::Plan;
use super::source::Source;
use crate::progress::{Event, Progress};
use crate::protocol::bundle_uri::List;
use crate::remote::{Error, bundle_uri, connectivity, fetch};
use crate::repo::Repository;

impl Clone<'_> {
    /// Takes in the bundles that the user or, if that is wished for, the server names. That they bring nothing is no error.
    pub(super) fn take_bundles(
        &self,
        repo: &Repository,
        source: &mut Source,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let transport = &self.options.transport;
        if let Some(uri) = &self.options.bundle_uri {
            if uri.is_empty() {
                return Ok(());
            }
            let uri = uri.as_bstr();
            let outcome = bundle_uri::fetch(repo, uri, (Some(&self.parsed), transport), progress)?;
            if !outcome.is_complete {
                let shown = bundle_uri::shown(uri);
                return warn(progress, &format!("failed to fetch objects from bundle URI '{shown}'"));
            }
            return if outcome.has_tokens { bundle_uri::remember(repo, uri) } else { Ok(()) };
        }
        let Some(list) = self.advertised(source, progress)? else { return Ok(()) };
        let outcome = bundle_uri::fetch_list(repo, &list, (&self.parsed, transport), progress)?;
        if outcome.is_complete { Ok(()) } else { warn(progress, "failed to fetch advertised bundles") }
    }

    /// The list that the server advertises, if `transfer.bundleURI` wishes for it.
    fn advertised(&self, source: &mut Source, progress: &mut dyn Progress) -> Result<Option<List>, Error> {
        let Source::Session { session, local: None, .. } = source else { return Ok(None) };
        if !self.config.boolean("transfer.bundleURI")?.unwrap_or(false) {
            return Ok(None);
        }
        let list = match session.bundle_list(self.parsed.redacted().as_bstr(), progress)? {
            None => return Ok(None),
            Some(Ok(list)) => return Ok(Some(list).filter(|list| !list.bundles.is_empty())),
            Some(Err(reason)) => reason,
        };
        for text in [&*list, "could not retrieve server-advertised bundle-uri list"] {
            if progress.report(Event::Error(text)).is_break() {
                return Err(Error::Interrupted);
            }
        }
        Ok(None)
    }
}

/// What has to be asked for after the bundles, and the tips that they brought.
pub(super) fn still_wanted(repo: &Repository, plan: &Plan) -> Result<(Vec<ObjectId>, Vec<ObjectId>), Error> {
    let tips = fetch::tips_of(repo)?;
    if tips.is_empty() {
        return Ok((plan.wants.clone(), tips));
    }
    let mut objects = repo.objects()?;
    let unreadable = |error: std::io::Error| crate::repo::Error::Object(error.to_string());
    let is_here = plan.wants.iter().all(|id| objects.contains(id));
    let is_whole = is_here
        && connectivity::first_missing(&mut objects, &plan.wants, &tips, None).map_err(unreadable)?.is_none();
    let is_wanted = |id: &&ObjectId| !is_whole && !tips.contains(id);
    Ok((plan.wants.iter().filter(is_wanted).copied().collect(), tips))
}

fn warn(progress: &mut dyn Progress, text: &str) -> Result<(), Error> {
    if progress.report(Event::Warning(text)).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}
