//! Names of objects as users write them: gitrevisions(7).
//!
//! ```text
//! main@{1}^{commit}~2:src/lib.rs      tree path     `resolve_path`
//! ────┬───┴───┬────┴┬                 steps         `step`, applied left to right
//!     │       └─────┘
//!     └ base: full id, ref (`name`), reflog (`log`), `describe` output, abbreviated id (`short`)
//! ```
//!
//! What git prints on the way, such as `warning: refname 'x' is ambiguous.`, goes to the caller's [`Progress`].

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::object::Objects;
use super::{Error, Repository};
use crate::progress::{Discard, Event, Progress};

mod log;
mod name;
mod search;
mod short;
mod step;
mod upstream;

/// What an abbreviated id may be taken for where it fits several objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hint {
    /// What `core.disambiguate` says; anything by default.
    #[default]
    Configured,
    /// A commit.
    Commit,
    /// A commit or a tag of one.
    Committish,
    /// A tree.
    Tree,
    /// A tree, a commit or a tag of either.
    Treeish,
    /// A blob.
    Blob,
}

impl Repository {
    /// The object that `expression` names, such as `main`, `HEAD~2`, `v1.0^{commit}`, `@{upstream}` or `deadbee`;
    /// `None` if there is none. A full id need not exist.
    ///
    /// Nothing of what git would print is told: see [`Self::resolve_revision_as`].
    ///
    /// # Errors
    ///
    /// [`Error::Object`] if an object on the way is broken. [`Error::Reference`] where git dies, in its words: a reflog
    /// that is too short, a branch without upstream.
    pub fn resolve_revision(&self, expression: &BStr) -> Result<Option<ObjectId>, Error> {
        self.resolve_revision_as(expression, Hint::Configured, &mut Discard)
    }

    /// As [`Self::resolve_revision`]. `hint` tells what an abbreviated id is to be; `progress` hears the warnings and
    /// errors that git prints. The text of an ambiguous id is several lines, `hint: ` before each but the first.
    ///
    /// Of gitrevisions(7) two things are left out and are errors: what lies in the index (`:path`, `:1:path`), and
    /// paths relative to the current directory (`HEAD:./path`), which a library does not have.
    pub fn resolve_revision_as(
        &self,
        expression: &BStr,
        hint: Hint,
        progress: &mut dyn Progress,
    ) -> Result<Option<ObjectId>, Error> {
        Resolver { repo: self, objects: self.objects()?, progress }.resolve(expression, hint)
    }
}

impl Repository {
    /// The refs that the short or full `name` may mean, best first: full name and object. `@{upstream}` and the like are
    /// names too. Where `core.warnAmbiguousRefs` is off only the best counts.
    pub fn refs_called(&self, name: &BStr) -> Result<Vec<(BString, ObjectId)>, Error> {
        let mut resolver = Resolver { repo: self, objects: self.objects()?, progress: &mut Discard };
        let mut found = resolver.refs_named(name)?;
        if !resolver.warns_of_ambiguous_refs()? {
            found.truncate(1);
        }
        Ok(found)
    }
}

/// Resolves expressions in one repository.
struct Resolver<'a> {
    repo: &'a Repository,
    objects: Objects,
    progress: &'a mut dyn Progress,
}

impl Resolver<'_> {
    fn resolve(&mut self, expression: &BStr, hint: Hint) -> Result<Option<ObjectId>, Error> {
        if let Some(pattern) = expression.strip_prefix(b":/") {
            return self.search_everywhere(pattern.as_bstr());
        }
        if expression.starts_with(b":") {
            return Err(Error::Object(format!("'{expression}': names in the index are not supported")));
        }
        match split_path(expression) {
            None => self.resolve_object(expression, hint),
            Some((revision, path)) => {
                let Some(id) = self.resolve_object(revision, Hint::Treeish)? else { return Ok(None) };
                self.resolve_path(id, path)
            }
        }
    }

    /// An expression without a path.
    fn resolve_object(&mut self, expression: &BStr, hint: Hint) -> Result<Option<ObjectId>, Error> {
        let Some((base, steps)) = step::split(expression) else { return Ok(None) };
        let hint = steps.first().map_or(hint, |(step, _)| step.hint());
        let Some(mut id) = self.resolve_base(base, hint)? else { return Ok(None) };
        for (step, so_far) in steps {
            match self.take_step(id, &step, so_far)? {
                Some(next) => id = next,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    fn resolve_base(&mut self, base: &BStr, hint: Hint) -> Result<Option<ObjectId>, Error> {
        if let Some(id) = self.full_id(base)? {
            return Ok(Some(id));
        }
        if let Some(id) = self.resolve_name(base)? {
            return Ok(Some(id));
        }
        if let Some(id) = self.resolve_described(base)? {
            return Ok(Some(id));
        }
        self.resolve_short(base, hint)
    }

    fn full_id(&mut self, base: &BStr) -> Result<Option<ObjectId>, Error> {
        if base.len() != self.repo.object_hash.len_in_hex() {
            return Ok(None);
        }
        let Ok(id) = ObjectId::from_hex(base) else { return Ok(None) };
        let warns = self.warns_of_ambiguous_refs()?
            && self.repo.config.boolean("advice.objectNameWarning")?.unwrap_or(true);
        if warns && !self.refs_named(base)?.is_empty() {
            self.warn(&format!("refname '{base}' is ambiguous."))?;
        }
        Ok(Some(id))
    }

    /// What lies at `path` of the tree that `id` leads to. An empty path is the tree itself.
    fn resolve_path(&mut self, id: ObjectId, path: &BStr) -> Result<Option<ObjectId>, Error> {
        if path.starts_with(b"./") || path.starts_with(b"../") || path == "." || path == ".." {
            return Err(Error::Object(format!("'{path}': relative paths are not supported here")));
        }
        let Some(mut id) = self.peel_to(id, Kind::Tree)? else { return Ok(None) };
        if path.is_empty() {
            return Ok(Some(id));
        }
        let (path, wants_tree) =
            path.strip_suffix(b"/").map_or((path, false), |directory| (directory.as_bstr(), true));
        let mut content = Vec::new();
        let mut is_tree = true;
        for name in path.split_str("/") {
            if !is_tree || self.read(&id, &mut content)? != Some(Kind::Tree) {
                return Ok(None);
            }
            let mut entries = gix_object::TreeRefIter::from_bytes(&content, self.repo.object_hash);
            let found = entries.find_map(|entry| entry.ok().filter(|entry| entry.filename == name));
            let Some(entry) = found else { return Ok(None) };
            is_tree = entry.mode.is_tree();
            id = entry.oid.to_owned();
        }
        Ok((is_tree || !wants_tree).then_some(id))
    }

    /// Kind and content of an object.
    fn read(&self, id: &ObjectId, content: &mut Vec<u8>) -> Result<Option<Kind>, Error> {
        self.objects.find(id, content).map_err(broken)
    }

    fn warns_of_ambiguous_refs(&self) -> Result<bool, Error> {
        Ok(self.repo.config.boolean("core.warnAmbiguousRefs")?.unwrap_or(true))
    }

    fn warn(&mut self, text: &str) -> Result<(), Error> {
        self.report(Event::Warning(text))
    }

    fn report(&mut self, event: Event<'_>) -> Result<(), Error> {
        if self.progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Splits `<revision>:<path>` at the first colon that is not between braces.
fn split_path(expression: &BStr) -> Option<(&BStr, &BStr)> {
    let mut depth = 0_usize;
    for (at, byte) in expression.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                let (revision, path) = expression.split_at(at);
                return Some((revision.as_bstr(), path.strip_prefix(b":")?.as_bstr()));
            }
            _ => {}
        }
    }
    None
}

fn broken(error: std::io::Error) -> Error {
    Error::Object(error.to_string())
}

fn reference_error(text: String) -> Error {
    Error::Reference(text)
}

/// A short branch name's full one.
fn branch_ref(short: &BStr) -> BString {
    [b"refs/heads/", short.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests;
