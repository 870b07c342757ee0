//! Options that take in many ends of history at once: `--all`, `--branches`, `--reflog`, `--bisect` and their kin.
//! git-rev-list(1), "Commit Limiting".

use std::collections::VecDeque;
use std::io::ErrorKind;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::revisions::{Parser, Tip};
use crate::progress::Event;
use crate::remote::Error;
use crate::remote::refspec::wildmatch;
use crate::repo::hidden::Hidden;
use crate::repo::reference::WorkTrees;
use crate::repo::{Reference, Target};

/// The services whose `hideRefs` `--exclude-hidden` can mean.
const SERVICES: [&str; 3] = ["fetch", "receive", "uploadpack"];

/// What the next option that takes in many refs leaves out.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// The patterns of `--exclude`.
    patterns: Vec<BString>,
    /// What `--exclude-hidden` means.
    hidden: Option<Hidden>,
}

impl LeftOut {
    /// Whether the ref `full` is left out, which is called `name` where patterns are compared.
    fn has(&self, name: &BStr, full: &BStr) -> bool {
        self.patterns.iter().any(|pattern| wildmatch(pattern.as_bstr(), name))
            || self.hidden.as_ref().is_some_and(|hidden| hidden.hides(Some(full), full))
    }
}

impl Parser<'_> {
    /// Takes an option that takes in refs, or that changes the meaning of what follows; false if it is another. The value of
    /// some may be the next argument, in `rest`.
    pub(super) fn refs(&mut self, option: &BStr, rest: &mut VecDeque<&BString>) -> Result<bool, Error> {
        let (name, value) = match option.split_once_str("=") {
            Some((name, value)) => (name.as_bstr(), Some(value.as_bstr())),
            None => (option, None),
        };
        match (name.as_bytes(), value) {
            (b"--not", None) => self.is_negated = !self.is_negated,
            (b"--single-worktree", None) => self.work_trees = WorkTrees::This,
            (b"--reflog", None) => self.logged()?,
            (b"--bisect", None) => self.bisected()?,
            (b"--alternate-refs", None) => {
                let tips = self.repo.borrowed_tips()?;
                self.nameless(&tips);
            }
            (b"--indexed-objects", None) => self.indexed()?,
            (b"--exclude" | b"--exclude-hidden" | b"--glob", value) => {
                let missing = || Error::Usage(format!("Option '{name}' requires a value"));
                let next = || rest.pop_front().map(|value| value.as_bstr());
                let value = value.or_else(next).ok_or_else(missing)?;
                match name.as_bytes() {
                    b"--exclude" => self.left_out.patterns.push(value.to_owned()),
                    b"--glob" => self.globbed(value)?,
                    _ => self.hide(value)?,
                }
            }
            (b"--all", None) => {
                self.many("refs/", "", None)?;
                self.heads()?;
                self.left_out = LeftOut::default();
            }
            (b"--branches" | b"--tags" | b"--remotes", pattern) => self.below(name, pattern)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `HEAD`, and those of the other work trees.
    fn heads(&mut self) -> Result<(), Error> {
        let mut names = vec![BString::from("HEAD")];
        if self.work_trees == WorkTrees::All {
            let others = self.repo.other_work_trees()?;
            names.extend(others.into_iter().map(|(prefix, _)| [prefix.as_slice(), b"HEAD"].concat().into()));
        }
        names.retain(|name| !self.left_out.has(name.as_bstr(), name.as_bstr()));
        for name in names {
            if let Some(id) = self.repo.resolve_ref(name.as_bstr())? {
                self.add(name, id, self.is_negated);
            }
        }
        Ok(())
    }

    /// `--branches` and the like, with the pattern behind `=`, of which an empty one means nothing.
    fn below(&mut self, option: &BStr, pattern: Option<&BStr>) -> Result<(), Error> {
        if self.left_out.hidden.is_some() {
            let text = format!("options '--exclude-hidden' and '{option}' cannot be used together");
            return Err(Error::Usage(text));
        }
        let prefix = match option.as_bytes() {
            b"--branches" => "refs/heads/",
            b"--tags" => "refs/tags/",
            _ => "refs/remotes/",
        };
        self.many(prefix, prefix, pattern.filter(|pattern| !pattern.is_empty()))?;
        self.left_out = LeftOut::default();
        Ok(())
    }

    /// `--glob`: a pattern of full names, of which `refs/` may be left out.
    fn globbed(&mut self, pattern: &BStr) -> Result<(), Error> {
        let prefix = if pattern.starts_with(b"refs/") { "" } else { "refs/" };
        let full = BString::from([prefix.as_bytes(), pattern].concat());
        self.many("", "", Some(full.as_bstr()))?;
        self.left_out = LeftOut::default();
        Ok(())
    }

    /// `--exclude-hidden`.
    fn hide(&mut self, service: &BStr) -> Result<(), Error> {
        if self.left_out.hidden.is_some() {
            return Err(Error::Usage("--exclude-hidden= passed more than once".into()));
        }
        let Some(service) = SERVICES.into_iter().find(|known| service == *known) else {
            return Err(Error::Usage(format!("unsupported section for hidden refs: {service}")));
        };
        self.left_out.hidden = Some(Hidden::read(&self.repo.config, service));
        Ok(())
    }

    /// Takes in the refs below `prefix` that match `pattern`, which begins there; they are called by what follows `cut`.
    fn many(&mut self, prefix: &str, cut: &str, pattern: Option<&BStr>) -> Result<(), Error> {
        let pattern = pattern.map(|pattern| {
            let is_glob = pattern.find_byteset(b"*?[").is_some();
            let slash = if pattern.ends_with(b"/") { "" } else { "/" };
            let end = if is_glob { String::new() } else { format!("{slash}*") };
            BString::from([prefix.as_bytes(), pattern, end.as_bytes()].concat())
        });
        for reference in self.repo.refs(prefix.into())? {
            let full = reference.name.as_bstr();
            let name = full.strip_prefix(cut.as_bytes()).unwrap_or(full).as_bstr();
            let is_wanted = pattern.as_ref().is_none_or(|pattern| wildmatch(pattern.as_bstr(), full));
            if is_wanted && !self.left_out.has(name, full) {
                self.reference(name.to_owned(), &reference, self.is_negated)?;
            }
        }
        Ok(())
    }

    /// `--bisect`: from what is known to be good to what is known to be bad. git-bisect(1), "Alternate terms".
    fn bisected(&mut self) -> Result<(), Error> {
        let path = self.repo.git_path("BISECT_TERMS");
        let terms = match std::fs::read(&path) {
            Ok(terms) => terms,
            Err(error) if error.kind() == ErrorKind::NotFound => b"bad\ngood\n".to_vec(),
            Err(source) => return Err(Error::Io { action: "cannot read", path, source }),
        };
        let mut terms = ByteSlice::lines(terms.as_slice());
        for is_excluded in [self.is_negated, !self.is_negated] {
            let Some(term) = terms.next().filter(|term| !term.is_empty()) else { return Ok(()) };
            let prefix = BString::from([b"refs/bisect/", term].concat());
            for reference in self.repo.refs(prefix.as_bstr())? {
                self.reference(reference.name.clone(), &reference, is_excluded)?;
            }
        }
        Ok(())
    }

    /// `--reflog`: all that reflogs name, and that is still here.
    fn logged(&mut self) -> Result<(), Error> {
        for name in self.repo.reflog_names(self.work_trees)? {
            let log = self.repo.reflog(name.as_bstr())?;
            let ids = log.iter().rev().flat_map(|entry| [entry.old, entry.new]);
            let (here, gone): (Vec<ObjectId>, Vec<ObjectId>) =
                ids.filter(|id| !id.is_null()).partition(|id| self.objects.contains(id));
            self.nameless(&here);
            let text = format!("reflog of '{name}' references pruned commits");
            if !gone.is_empty() && self.progress.report(Event::Warning(&text)).is_break() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// `--indexed-objects`. To leave them out would make a bundle that nobody can use, as no commit that it needs has them.
    fn indexed(&mut self) -> Result<(), Error> {
        if !self.is_negated {
            let ids = self.repo.indexed_objects(self.work_trees)?;
            self.nameless(&ids);
        }
        Ok(())
    }

    /// Adds what is called by nothing that could be a ref, and is here.
    fn nameless(&mut self, ids: &[ObjectId]) {
        for id in ids.iter().filter(|id| self.objects.contains(id)) {
            let name = BString::default();
            self.revisions.tips.push(Tip { name, id: *id, is_excluded: self.is_negated, is_left: false });
        }
    }

    /// Adds what a ref leads to, if that is here.
    fn reference(&mut self, name: BString, reference: &Reference, is_excluded: bool) -> Result<(), Error> {
        let id = match &reference.target {
            Target::Id(id) => Some(*id),
            Target::Symbolic(_) => self.repo.resolve_ref(reference.name.as_bstr())?,
        };
        if let Some(id) = id.filter(|id| self.objects.contains(id)) {
            self.add(name, id, is_excluded);
        }
        Ok(())
    }
}
