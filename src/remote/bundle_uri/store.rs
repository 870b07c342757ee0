//! A bundle that was found becomes objects and `refs/bundles/`.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Bundles, open_bundle};
use crate::pack::Stored;
use crate::progress::{Event, Progress};
use crate::protocol::bundle::Header;
use crate::remote::connectivity::{Arrived, first_missing};
use crate::remote::{Error, bundle, fetch};
use crate::repo::{Edit, Expected, Objects, Repository, Target};

/// What reflogs say, if there are any.
const MESSAGE: &str = "fetched bundle";

impl Bundles<'_> {
    /// Takes in the bundle at `path`. False if that cannot be done now; why is told, unless what it builds on is missing and
    /// may still come.
    pub(super) fn unbundle(&mut self, path: &Path) -> Result<bool, Error> {
        match self.take(path) {
            Ok(()) => Ok(true),
            Err(error) if error.is_interrupted() => Err(Error::Interrupted),
            Err(Error::Prerequisites(_)) => Ok(false),
            Err(Error::Unbundle(error)) => {
                self.tell(Event::Fatal(&error.to_string()))?;
                self.tell(Event::Error("index-pack died"))?;
                Ok(false)
            }
            Err(error) => {
                self.tell(Event::Error(&error.to_string()))?;
                Ok(false)
            }
        }
    }

    fn take(&mut self, path: &Path) -> Result<(), Error> {
        let (header, mut pack) = open_bundle(path)?;
        let is_partial = self.repo.is_partial()?;
        if header.filter.is_some() && !is_partial {
            return Err(Error::Usage("bundle-uri: a filtered bundle is of no use in a full clone".into()));
        }
        let mut objects = self.repo.objects()?.here();
        let old_tips: Vec<ObjectId> =
            branches(&header).map(|(_, id)| id).filter(|id| objects.contains(id)).collect();
        let input = (&header, &mut pack as &mut dyn BufRead);
        let keep = Some(fetch::keep_text());
        let received = bundle::unbundle(self.repo, &mut objects, input, keep, &mut Unseen(self.progress))?;
        objects.refresh()?;
        let wanted = branches(&header).map(|(_, id)| id).filter(|id| objects.contains(id));
        let wanted: Vec<ObjectId> = wanted.collect();
        let arrived = Arrived { links: &received.links, old_tips: &old_tips };
        if !is_partial && !is_whole(self.repo, &mut objects, &wanted, arrived)? {
            return Err(Error::Usage("bundle-uri: the bundle lacks objects that its refs need".into()));
        }
        self.write_refs(&header, &objects)?;
        // what kept the pack until now goes
        drop::<Stored>(received.stored);
        Ok(())
    }

    fn write_refs(&mut self, header: &Header, objects: &Objects) -> Result<(), Error> {
        for (name, id) in branches(header) {
            let failed = |text: String| format!("update_ref failed for ref '{name}': {text}");
            if gix_validate::reference::name(name.as_bstr()).is_err() {
                let text = failed(format!("refusing to update ref with bad name '{name}'"));
                self.tell(Event::Error(&text))?;
                continue;
            }
            if !objects.contains(&id) {
                let text = format!("trying to write ref '{name}' with nonexistent object {id}");
                let text = failed(format!("cannot update ref '{name}': {text}"));
                self.tell(Event::Error(&text))?;
                continue;
            }
            let edit = Edit {
                name: name.clone(),
                new: Some(Target::Id(id)),
                expected: Expected::Any,
                message: Some(MESSAGE.into()),
                through: Vec::new(),
            };
            if let Err(error) = self.repo.update_refs(&[edit]) {
                self.tell(Event::Error(&failed(error.to_string())))?;
            }
        }
        Ok(())
    }
}

/// The branches of a bundle, by the names they get here.
fn branches(header: &Header) -> impl Iterator<Item = (BString, ObjectId)> {
    header.refs.iter().filter_map(|reference| {
        let short = reference.name.strip_prefix(b"refs/heads/")?;
        Some((BString::from([b"refs/bundles/", short].concat()), reference.id?))
    })
}

fn is_whole(
    repo: &Repository,
    objects: &mut Objects,
    tips: &[ObjectId],
    arrived: Arrived<'_>,
) -> Result<bool, Error> {
    let mut known = fetch::tips_of(repo)?;
    known.retain(|id| objects.contains(id));
    let missing = first_missing(objects, tips, &known, Some(arrived));
    Ok(missing.map_err(|error| crate::repo::Error::Object(error.to_string()))?.is_none())
}

/// Shows nothing of what is done on the way, as git does; the work can still be stopped.
pub(in crate::remote) struct Unseen<'a>(pub &'a mut dyn Progress);

impl Progress for Unseen<'_> {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        self.0.report(match event {
            Event::Phase { .. } | Event::PhaseEnd { .. } | Event::Note(_) => {
                Event::Detail { level: u8::MAX, text: "" }
            }
            other => other,
        })
    }
}
