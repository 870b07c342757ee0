//! One place where objects are: the repository itself, or an alternate that it names.

use std::io::{BufRead, Read};

use bstr::ByteSlice;
use gix_hash::oid;

use crate::pack::index::{self, Ids};
use crate::progress::{Event, Progress};
use crate::remote::Error;
use crate::transport::{File, Files};

/// The longest list of packs or of alternates that is read, in bytes.
const LIST_LEN_MAX: u64 = 16 * 1024 * 1024;
/// The most packs that one place may name.
const PACKS_MAX: usize = 10_000;
/// The most objects that one pack may have.
const OBJECTS_MAX: usize = 100_000_000;
/// How far an alternate may be from the repository; git 2.47.3 follows as many of its own.
const DEPTH_MAX: usize = 5;

/// See the module.
pub(super) struct Place {
    /// The URL of the repository, ending in a slash.
    pub(super) base: String,
    /// How many alternates lead here.
    depth: usize,
    /// `None` until they were asked for.
    packs: Option<Vec<Pack>>,
}

/// A pack that has not been taken yet.
pub(super) struct Pack {
    pub(super) url: String,
    /// What it is called, which need not be its checksum.
    pub(super) id: String,
    ids: Ids,
}

impl Place {
    /// The place at `base`.
    pub(super) fn new(base: String, depth: usize) -> Self {
        Self { base, depth, packs: None }
    }

    /// The URL of the loose object `id`.
    pub(super) fn loose(&self, id: &oid) -> String {
        let hex = id.to_hex().to_string();
        let (directory, name) = hex.split_at(2);
        format!("{}objects/{directory}/{name}", self.base)
    }

    /// Takes out a pack that has `id`. Which packs there are and what they have is asked for once.
    pub(super) fn take_pack(
        &mut self,
        files: &mut dyn Files,
        id: &oid,
        progress: &mut dyn Progress,
    ) -> Result<Option<Pack>, Error> {
        if self.packs.is_none() {
            self.packs = Some(list_packs(&self.base, files, id.kind(), progress)?);
        }
        let Some(packs) = &mut self.packs else { return Ok(None) };
        let found = packs.iter().position(|pack| pack.ids.contains(id));
        Ok(found.map(|at| packs.remove(at)))
    }

    /// The places whose objects this one borrows, as far as we may go there. gitrepository-layout(5),
    /// "objects/info/http-alternates".
    pub(super) fn alternates(
        &self,
        files: &mut dyn Files,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Self>, Error> {
        if self.depth >= DEPTH_MAX {
            return Ok(Vec::new());
        }
        let text = format!("Getting alternates list for {}", shown(&self.base));
        tell(progress, Event::Detail { level: 3, text: &text })?;
        for name in ["http-alternates", "alternates"] {
            let url = format!("{}objects/info/{name}", self.base);
            let Some(text) = read_list(&url, files, progress)? else { continue };
            let mut found = Vec::new();
            for line in
                ByteSlice::lines(text.as_slice()).filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            {
                let Some(url) = line.to_str().ok().and_then(|line| files.alternate(&self.base, line)) else {
                    continue;
                };
                let text = match url.strip_suffix("objects") {
                    None => format!("ignoring alternate that does not end in 'objects': {url}"),
                    Some(base) if files.follows_alternates() => {
                        found.push(Self::new(base.to_owned(), self.depth + 1));
                        continue;
                    }
                    Some(base) => format!("alternate disabled by http.followRedirects: {base}"),
                };
                tell(progress, Event::Warning(&text))?;
            }
            return Ok(found);
        }
        Ok(Vec::new())
    }
}

/// The packs at `base` whose index can be had and is in order.
fn list_packs(
    base: &str,
    files: &mut dyn Files,
    hash: gix_hash::Kind,
    progress: &mut dyn Progress,
) -> Result<Vec<Pack>, Error> {
    tell(progress, Event::Detail { level: 3, text: &format!("Getting pack list for {}", shown(base)) })?;
    let list = read_list(&format!("{base}objects/info/packs"), files, progress)?.unwrap_or_default();
    let (mut packs, mut left) = (Vec::new(), OBJECTS_MAX);
    for name in ByteSlice::lines(list.as_slice()).filter_map(pack_name).take(PACKS_MAX) {
        tell(progress, Event::Detail { level: 3, text: &format!("Getting index for pack {name}") })?;
        let url = format!("{base}objects/pack/pack-{name}");
        let mut body = match files.open(&format!("{url}.idx"), progress)? {
            File::Body(body) => body,
            File::Missing(status) => {
                let text =
                    format!("Unable to get pack index {url}.idx\nThe requested URL returned error: {status}");
                told(progress, &text)?;
                continue;
            }
        };
        match index::read_ids(&mut body, hash, left) {
            Ok(ids) => {
                left = left.saturating_sub(ids.count());
                packs.push(Pack { url: format!("{url}.pack"), id: name.to_owned(), ids });
            }
            Err(error) => {
                let text = format!("Packfile index for {url}.pack cannot be used: {error}");
                tell(progress, Event::Error(&text))?;
            }
        }
    }
    Ok(packs)
}

/// The id in `P pack-<id>.pack`: nothing else becomes part of a URL.
fn pack_name(line: &[u8]) -> Option<&str> {
    let name = line.strip_prefix(b"P pack-")?.trim_end().strip_suffix(b".pack")?;
    gix_hash::ObjectId::from_hex(name).ok()?;
    name.to_str().ok()
}

/// What the file at `url` says; `None` if there is none, or one that is too long.
fn read_list(
    url: &str,
    files: &mut dyn Files,
    progress: &mut dyn Progress,
) -> Result<Option<Vec<u8>>, Error> {
    let File::Body(mut body) = files.open(url, progress)? else { return Ok(None) };
    let mut text = Vec::new();
    let body: &mut dyn BufRead = &mut *body;
    body.take(LIST_LEN_MAX + 1).read_to_end(&mut text).map_err(crate::transport::Error::from)?;
    if text.len() as u64 > LIST_LEN_MAX {
        tell(progress, Event::Error(&format!("{url} is longer than {LIST_LEN_MAX} bytes")))?;
        return Ok(None);
    }
    Ok(Some(text))
}

/// The URL of a repository as C git shows it here.
pub(super) fn shown(base: &str) -> &str {
    base.trim_end_matches('/')
}

/// Tells of a failure; the lines after the first stand alone.
pub(super) fn told(progress: &mut dyn Progress, text: &str) -> Result<(), Error> {
    let (first, more) = text.split_once('\n').map_or((text, None), |(first, more)| (first, Some(more)));
    tell(progress, Event::Error(first))?;
    more.into_iter()
        .flat_map(str::lines)
        .try_for_each(|text| tell(progress, Event::Detail { level: 0, text }))
}

/// Tells of something.
pub(super) fn tell(progress: &mut dyn Progress, event: Event<'_>) -> Result<(), Error> {
    if progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_packs_become_part_of_a_url() {
        let id = "1234567890123456789012345678901234567890";
        assert_eq!(pack_name(format!("P pack-{id}.pack").as_bytes()), Some(id));
        for line in ["P pack-../../x.pack", "P pack-.pack", "P ../pack-1.pack", "T x", ""] {
            assert_eq!(pack_name(line.as_bytes()), None, "{line}");
        }
    }
}
