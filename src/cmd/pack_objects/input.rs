//! What standard input names: objects, revisions, or packs.

use std::collections::HashSet;
use std::io::BufRead;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::options::Arguments;
use crate::cmd::CommandError;
use crate::pack::enumerate::{Enumerated, FilterSpec, Object, Wanted, name_hash};
use crate::pack::source::Source as _;
use crate::progress::Discard;
use crate::remote::bundle::Lines;
use crate::repo::reference::WorkTrees;
use crate::repo::{Objects, Repository, Target};

/// What a walk begins and ends with.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    /// Commits whose parents are taken for missing.
    pub(super) shallow: Vec<ObjectId>,
}

/// Lines of `<id>[ <path>]`. Those of `-<id>`, the edges of thin packs, are looked at and pass: no base comes of them.
pub(super) fn objects(
    input: &mut dyn BufRead,
    objects: &Objects,
    hash: gix_hash::Kind,
) -> Result<Enumerated, CommandError> {
    let mut found = Enumerated::default();
    let mut seen = HashSet::new();
    for line in lines(input)? {
        let (edge, text) = match line.strip_prefix(b"-") {
            Some(text) => ("edge ", text),
            None => ("", line.as_slice()),
        };
        let (id, path) = text.split_at_checked(hash.len_in_hex()).unwrap_or((text, b""));
        let id = ObjectId::from_hex(id).ok().filter(|id| id.kind() == hash);
        let Some(id) = id else {
            let line = line.as_bstr();
            return Err(CommandError::fatal(format!("expected {edge}object ID, got garbage:\n {line}\n")));
        };
        if !edge.is_empty() || !seen.insert(id) {
            continue;
        }
        let Some(kind) = objects.kind(&id)? else {
            return Err(CommandError::fatal(format!("unable to read {id}")));
        };
        let path = path.get(1..).unwrap_or_default();
        found.objects.push(Object { id, kind, name_hash: name_hash(path) });
    }
    Ok(found)
}

/// Lines of revisions as they follow `git rev-list`, with `--not` and `--shallow <id>`.
pub(super) fn revisions(
    input: &mut dyn BufRead,
    repo: &Repository,
    arguments: &Arguments,
) -> Result<Asked, CommandError> {
    let mut asked = Asked::default();
    let mut is_not = false;
    let mut silent = Discard;
    let mut revisions = Lines::new(repo, &mut silent)?;
    for line in lines(input)? {
        if line.is_empty() {
            break;
        }
        if line == b"--not" {
            is_not = !is_not;
        } else if let Some(id) = line.strip_prefix(b"--shallow ") {
            let id = ObjectId::from_hex(id)
                .map_err(|_| CommandError::fatal(format!("not an object name '{}'", id.as_bstr())))?;
            asked.shallow.push(id);
        } else if line.starts_with(b"-") {
            return Err(CommandError::fatal(format!("not a rev '{}'", line.as_bstr())));
        } else {
            let ends = match plain(line.as_bstr(), is_not, repo.object_hash) {
                Some(end) => vec![end],
                None => revisions.read(line.as_bstr(), is_not)?,
            };
            for (id, is_excluded) in ends {
                let tips = if is_excluded { &mut asked.wanted.haves } else { &mut asked.wanted.wants };
                tips.push(id);
            }
        }
    }
    if arguments.all {
        add_all(repo, &mut asked.wanted)?;
    }
    if arguments.reflog {
        let objects = repo.objects()?;
        for name in repo.reflog_names(WorkTrees::All)? {
            let log = repo.reflog(name.as_bstr())?;
            let ids = log.iter().flat_map(|entry| [entry.old, entry.new]);
            // what was pruned since is no loss
            asked.wanted.wants.extend(ids.filter(|id| !id.is_null() && objects.contains(id)));
        }
    }
    let mut seen = HashSet::new();
    asked.wanted.wants.retain(|id| seen.insert(*id));
    asked.wanted.thin = arguments.thin;
    asked.wanted.is_partial = arguments.allows_missing();
    if !asked.wanted.is_partial && !asked.wanted.haves.is_empty() {
        let objects = repo.objects()?;
        if let Some(id) = asked.wanted.haves.iter().find(|id| !objects.contains(id)) {
            return Err(CommandError::fatal(format!("bad object {id}")));
        }
    }
    let filters: Vec<BString> = arguments.filter.iter().map(|text| text.as_str().into()).collect();
    if let Some(text) = FilterSpec::combined(&filters).map_err(CommandError::fatal)? {
        let spec = FilterSpec::parse(text.as_bstr()).map_err(CommandError::fatal)?;
        asked.wanted.filter = Some(repo.filter(&spec, &repo.objects()?)?);
    }
    Ok(asked)
}

/// `--all`: the refs, and the `HEAD` of each work tree.
fn add_all(repo: &Repository, wanted: &mut Wanted) -> Result<(), CommandError> {
    let heads = repo.refs("refs/".into())?.into_iter().filter_map(|reference| match reference.target {
        Target::Id(id) => Some(id),
        Target::Symbolic(_) => None,
    });
    wanted.wants.extend(heads);
    wanted.wants.extend(repo.resolve_revision("HEAD".into()).ok().flatten());
    for (prefix, _) in repo.other_work_trees()? {
        let name = BString::from([prefix.as_slice(), b"HEAD"].concat());
        wanted.wants.extend(repo.resolve_ref(name.as_bstr())?);
    }
    Ok(())
}

/// The end of history that `line` means, and whether it is left out, if the line is an id: most are, and nothing has to be
/// looked up for them, as a ref of that name counts for nothing.
fn plain(line: &BStr, is_not: bool, hash: gix_hash::Kind) -> Option<(ObjectId, bool)> {
    let (id, is_excluded) = match line.strip_prefix(b"^") {
        Some(id) => (id, !is_not),
        None => (line.as_bytes(), is_not),
    };
    ObjectId::from_hex(id).ok().filter(|id| id.kind() == hash).map(|id| (id, is_excluded))
}

/// Lines of names of packs; what is in those behind a `^` is left out.
pub(super) fn packs(input: &mut dyn BufRead, objects: &Objects) -> Result<Enumerated, CommandError> {
    let (mut ids, mut excluded) = (Vec::new(), HashSet::new());
    for line in lines(input)? {
        if line.is_empty() {
            continue;
        }
        let (is_excluded, name) = match line.strip_prefix(b"^") {
            Some(name) => (true, name),
            None => (false, line.as_slice()),
        };
        let pack = objects.pack_called(&name.to_path_lossy());
        let Some(pack) = pack else {
            let name = name.as_bstr();
            return Err(CommandError::fatal(format!("could not find pack '{name}'")));
        };
        let all = (0..pack.count()).filter_map(|place| pack.id(place));
        if is_excluded { excluded.extend(all) } else { ids.extend(all) }
    }
    let mut found = Enumerated::default();
    for id in ids {
        if !excluded.insert(id) {
            continue;
        }
        if let Some((kind, _)) = objects.header(&id)? {
            found.objects.push(Object { id, kind, name_hash: 0 });
        }
    }
    Ok(found)
}

fn lines(input: &mut dyn BufRead) -> Result<Vec<Vec<u8>>, CommandError> {
    Ok(input.split(b'\n').collect::<Result<_, _>>()?)
}
