//! The parts of commits that walks need, from the commit-graph or from the object.

use bstr::ByteSlice;
use gix_hash::{ObjectId, oid};

use super::Commit;

/// The commit `id` of the commit-graph; `None` if it is not there or the graph is broken at that place, where the
/// object tells the truth.
pub(super) fn from_graph(graph: &gix_commitgraph::Graph, id: &oid) -> Option<Commit> {
    let commit = graph.commit_by_id(id)?;
    let tree = commit.root_tree_id().to_owned();
    let date = i64::try_from(commit.committer_timestamp()).ok()?;
    let parents =
        commit.iter_parents().map(|parent| parent.ok().map(|position| graph.id_at(position).to_owned()));
    Some(Commit { tree, parents: parents.collect::<Option<_>>()?, date })
}

/// The generation of the commit `id` of the commit-graph; `None` if it is not there.
pub(super) fn generation(graph: &gix_commitgraph::Graph, id: &oid) -> Option<u32> {
    Some(graph.commit_by_id(id)?.generation())
}

/// Parses the content of a commit; `None` if tree or parents are not what they should be, one of them is both, or nothing stands
/// behind them. A broken date is 0. Both as for C git.
pub(super) fn parse(content: &[u8], object_hash: gix_hash::Kind) -> Option<Commit> {
    let mut lines = content.lines();
    let tree = id_after(lines.next()?, b"tree ", object_hash)?;
    let mut parents = Vec::new();
    let mut date = 0;
    for line in lines {
        if line.starts_with(b"parent ") {
            parents.push(id_after(line, b"parent ", object_hash)?);
        } else if let Some(committer) = line.strip_prefix(b"committer ") {
            date = date_of(committer).unwrap_or(0);
            break;
        } else if line.is_empty() {
            break;
        }
    }
    let hex_len = object_hash.len_in_hex();
    let links_len = "tree \n".len() + hex_len + parents.len() * ("parent \n".len() + hex_len);
    (content.len() > links_len && !parents.contains(&tree)).then_some(Commit { tree, parents, date })
}

/// The id that stands in `line` behind `key`.
pub(super) fn id_after(line: &[u8], key: &[u8], object_hash: gix_hash::Kind) -> Option<ObjectId> {
    let id = ObjectId::from_hex(line.strip_prefix(key)?).ok()?;
    (id.kind() == object_hash).then_some(id)
}

/// The seconds of `Name <email> seconds zone`.
fn date_of(signature: &[u8]) -> Option<i64> {
    let (_, after) = signature.rsplit_once_str(">")?;
    after.to_str().ok()?.split_ascii_whitespace().next()?.parse().ok()
}
