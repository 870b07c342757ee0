//! From the wanted tips to all that they refer to, fetching what is not here.

use std::collections::{BinaryHeap, HashSet, VecDeque};

use gix_hash::ObjectId;
use gix_object::Kind;
use gix_object::tree::EntryKind;

use super::place::{Pack, Place, shown, tell, told};
use crate::pack::{self, Arrival, Comparable, Stored};
use crate::progress::{Event, Progress};
use crate::remote::Error;
use crate::remote::bundle_uri::Unseen;
use crate::remote::fetch::{keep_text, tips_of};
use crate::repo::{Objects, Repository};
use crate::transport::{File, Files};

/// The most alternates that are looked at.
const PLACES_MAX: usize = 100;
/// The longest pack, in bytes.
const PACK_LEN_MAX: i64 = 1 << 40;

/// Brings `wants` and all that they refer to into `repo`; gives the packs that came, with what guards them. What our refs
/// lead to is taken to be whole.
///
/// # Errors
///
/// [`Error::Told`] where an object cannot be had; `progress` was told why. What came before is here, and no ref leads to it.
pub(in crate::remote) fn fetch(
    files: &mut dyn Files,
    repo: &Repository,
    wants: &[ObjectId],
    progress: &mut dyn Progress,
) -> Result<Vec<Stored>, Error> {
    let mut objects = repo.objects()?.here();
    let complete = Complete::new(&mut objects, tips_of(repo)?).map_err(unreadable)?;
    let places = vec![Place::new(files.base().to_owned(), 0)];
    let mut walk = Walk {
        repo,
        files,
        progress,
        objects,
        places,
        looked_for_alternates: 0,
        complete,
        queue: VecDeque::new(),
        seen: HashSet::new(),
        latest: None,
        loose: Vec::new(),
        packs: Vec::new(),
        done: 0,
    };
    for want in wants {
        walk.add(*want, None);
    }
    walk.run()?;
    let Walk { objects, loose, packs, progress, .. } = walk;
    if let Some(rules) = repo.fsck_rules("fetch")? {
        pack::check_objects(&loose, &rules, &objects, progress)?;
    }
    Ok(packs)
}

struct Walk<'a> {
    repo: &'a Repository,
    files: &'a mut dyn Files,
    progress: &'a mut dyn Progress,
    objects: Objects,
    /// The repository, then its alternates.
    places: Vec<Place>,
    /// Of how many places the alternates are known.
    looked_for_alternates: usize,
    complete: Complete,
    /// What is to be looked at, and what it has to be.
    queue: VecDeque<(ObjectId, Option<Kind>)>,
    seen: HashSet<ObjectId>,
    /// The commit that was looked at last.
    latest: Option<ObjectId>,
    /// The objects that came one by one.
    loose: Vec<ObjectId>,
    packs: Vec<Stored>,
    /// How many objects were fetched.
    done: u64,
}

impl Walk<'_> {
    fn add(&mut self, id: ObjectId, kind: Option<Kind>) {
        if self.seen.insert(id) {
            self.queue.push_back((id, kind));
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some((id, kind)) = self.queue.pop_front() {
            // the empty tree is in every repository, and others look for its file
            if !self.objects.contains(&id) || id.is_empty_tree() {
                if !self.bring(&id)? && !id.is_empty_tree() {
                    let text = format!("Unable to find {id} under {}", shown(self.files.base()));
                    tell(self.progress, Event::Error(&text))?;
                    return self.lacks(&id, kind);
                }
                self.done += 1;
                let (title, done) = ("Fetching objects", self.done);
                tell(self.progress, Event::Phase { title, done, total: None, bytes: 0 })?;
            }
            self.follow(id, kind)?;
        }
        Ok(())
    }

    /// Adds what `id`, which is here, refers to.
    fn follow(&mut self, id: ObjectId, kind: Option<Kind>) -> Result<(), Error> {
        let found = match kind {
            // no more is known of a file than that it is here
            Some(Kind::Blob) => return Ok(()),
            Some(Kind::Commit | Kind::Tree | Kind::Tag) | None => {
                self.objects.kind(&id).map_err(unreadable)?
            }
        };
        match found {
            Some(found) if kind.is_some_and(|kind| kind != found) => self.lacks(&id, kind),
            Some(Kind::Commit) => self.follow_commit(id),
            Some(Kind::Tree) => self.follow_tree(&id),
            Some(Kind::Tag) => {
                let target = self.objects.tag_target(&id, &mut Vec::new()).map_err(unreadable)?;
                match target {
                    Some(target) => self.add(target, None),
                    None => return self.lacks(&id, kind),
                }
                Ok(())
            }
            Some(Kind::Blob) => Ok(()),
            None => self.lacks(&id, kind),
        }
    }

    fn follow_commit(&mut self, id: ObjectId) -> Result<(), Error> {
        let Some(commit) = self.objects.commit(&id).map_err(unreadable)? else {
            return self.lacks(&id, Some(Kind::Commit));
        };
        if self.complete.has(&mut self.objects, &id, commit.date).map_err(unreadable)? {
            return Ok(());
        }
        self.latest = Some(id);
        tell(self.progress, Event::Detail { level: 3, text: &format!("walk {id}") })?;
        self.add(commit.tree, Some(Kind::Tree));
        for parent in commit.parents {
            self.add(parent, Some(Kind::Commit));
        }
        Ok(())
    }

    fn follow_tree(&mut self, id: &ObjectId) -> Result<(), Error> {
        let mut content = Vec::new();
        self.objects.find(id, &mut content).map_err(unreadable)?;
        for entry in gix_object::TreeRefIter::from_bytes(&content, id.kind()) {
            let Ok(entry) = entry else { return self.lacks(id, Some(Kind::Tree)) };
            match entry.mode.kind() {
                EntryKind::Tree => self.add(entry.oid.to_owned(), Some(Kind::Tree)),
                EntryKind::Commit => {}
                EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link => {
                    self.add(entry.oid.to_owned(), Some(Kind::Blob));
                }
            }
        }
        Ok(())
    }

    /// Fetches `id` from wherever it is; whether it is here now.
    fn bring(&mut self, id: &ObjectId) -> Result<bool, Error> {
        let mut at = 0;
        while at < self.places.len() {
            if self.bring_loose(at, id)? {
                return Ok(true);
            }
            if self.looked_for_alternates == at {
                self.add_alternates(at)?;
                self.looked_for_alternates += 1;
            }
            at += 1;
        }
        for at in 0..self.places.len() {
            if self.bring_packed(at, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add_alternates(&mut self, at: usize) -> Result<(), Error> {
        let Some(place) = self.places.get(at) else { return Ok(()) };
        for found in place.alternates(self.files, self.progress)? {
            let is_new = !self.places.iter().any(|place| place.base == found.base);
            if is_new && self.places.len() < PLACES_MAX {
                let text = format!("adding alternate object store: {}", found.base);
                tell(self.progress, Event::Warning(&text))?;
                self.places.push(found);
            }
        }
        Ok(())
    }

    fn bring_loose(&mut self, at: usize, id: &ObjectId) -> Result<bool, Error> {
        let Some(url) = self.places.get(at).map(|place| place.loose(id)) else { return Ok(false) };
        let File::Body(mut body) = self.files.open(&url, self.progress)? else { return Ok(false) };
        let text = match pack::receive_loose(&mut *body, (&self.repo.objects_dir, self.repo.storage), id)? {
            Arrival::Stored => {
                self.loose.push(*id);
                tell(self.progress, Event::Detail { level: 3, text: &format!("got {id}") })?;
                return Ok(true);
            }
            Arrival::Corrupt => format!("File {id} ({url}) corrupt"),
            Arrival::BadHash => format!("File {id} has bad hash"),
        };
        tell(self.progress, Event::Error(&text))?;
        Ok(false)
    }

    fn bring_packed(&mut self, at: usize, id: &ObjectId) -> Result<bool, Error> {
        while let Some(place) = self.places.get_mut(at)
            && let Some(pack) = place.take_pack(self.files, id, self.progress)?
        {
            self.take(&pack, id)?;
            if self.objects.contains(id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes `pack`, which is said to have `id`. That it is no pack is told and no more.
    fn take(&mut self, pack: &Pack, id: &ObjectId) -> Result<(), Error> {
        let text = format!("Getting pack {}\n which contains {id}", pack.id);
        for text in text.lines() {
            tell(self.progress, Event::Detail { level: 3, text })?;
        }
        let mut body = match self.files.open(&pack.url, self.progress)? {
            File::Body(body) => body,
            File::Missing(status) => {
                let url = &pack.url;
                let text =
                    format!("Unable to get pack file {url}\nThe requested URL returned error: {status}");
                return told(self.progress, &text);
            }
        };
        let rules = self.repo.fsck_rules("fetch")?;
        let boundary = self.repo.shallow()?;
        let options = pack::Options {
            objects: self.repo.objects_dir.clone(),
            storage: self.repo.storage,
            object_hash: self.repo.object_hash,
            bases: Some(&Comparable(&self.objects)),
            unpack_limit: 0,
            keep: Some(keep_text()),
            promisor: None,
            threads: 0,
            size_max_bytes: PACK_LEN_MAX,
            made_len_max: 0,
            to_end: true,
            fsck: rules.as_ref(),
            shallow: &boundary,
        };
        match pack::receive(&mut *body, &options, &mut Unseen(self.progress)) {
            Ok(received) => {
                self.packs.push(received.stored);
                Ok(self.objects.refresh()?)
            }
            Err(error @ (pack::Error::Interrupted | pack::Error::Write { .. })) => Err(error.into()),
            Err(error) => tell(self.progress, Event::Fatal(&error.to_string())),
        }
    }

    /// Tells that `id` cannot be had, and gives up.
    fn lacks(&mut self, id: &ObjectId, kind: Option<Kind>) -> Result<(), Error> {
        let kind = kind.map_or_else(|| "object".to_owned(), |kind| kind.to_string());
        let mut text = format!("Cannot obtain needed {kind} {id}");
        if let Some(commit) = self.latest {
            text.push_str(&format!("\nwhile processing commit {commit}."));
        }
        for text in text.lines() {
            tell(self.progress, Event::Detail { level: 0, text })?;
        }
        tell(self.progress, Event::Error("fetch failed."))?;
        Err(Error::Told(Box::new(Error::Missing(text))))
    }
}

/// The commits that our refs lead to, as far back as was asked for.
struct Complete {
    queue: BinaryHeap<(i64, ObjectId)>,
    found: HashSet<ObjectId>,
}

impl Complete {
    fn new(objects: &mut Objects, tips: Vec<ObjectId>) -> std::io::Result<Self> {
        let mut complete = Self { queue: BinaryHeap::new(), found: HashSet::new() };
        for tip in tips {
            if let Some((id, Kind::Commit)) = objects.peel(&tip)? {
                complete.add(objects, id)?;
            }
        }
        Ok(complete)
    }

    fn add(&mut self, objects: &mut Objects, id: ObjectId) -> std::io::Result<()> {
        if self.found.insert(id)
            && let Some(commit) = objects.commit(&id)?
        {
            self.queue.push((commit.date, id));
        }
        Ok(())
    }

    /// Whether the commit `id` of `date` is among them.
    fn has(&mut self, objects: &mut Objects, id: &ObjectId, date: i64) -> std::io::Result<bool> {
        while let Some((newest, _)) = self.queue.peek()
            && *newest >= date
        {
            let Some((_, newest)) = self.queue.pop() else { break };
            for parent in objects.commit(&newest)?.map(|commit| commit.parents).unwrap_or_default() {
                self.add(objects, parent)?;
            }
        }
        Ok(self.found.contains(id))
    }
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
