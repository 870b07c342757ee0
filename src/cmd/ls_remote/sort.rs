//! `--sort`: by name, by version, by id; by what an object holds only where the object is here.

use std::cmp::Ordering;

use bstr::{BString, ByteSlice};

use super::Row;
use crate::cmd::CommandError;
use crate::repo::{Config, Repository};

/// One `--sort` key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    field: Field,
    is_reversed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    /// Names as version numbers.
    Version,
    Id,
    Kind,
    Date,
}

/// Parses the keys; `has_objects` tells whether objects can be looked at.
pub(super) fn parse(texts: &[String], has_objects: bool) -> Result<Vec<Key>, CommandError> {
    texts.iter().map(|text| parse_one(text, has_objects)).collect()
}

fn parse_one(text: &str, has_objects: bool) -> Result<Key, CommandError> {
    let (is_reversed, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    let (is_version, name) = ["version:", "v:"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .map_or((false, name), |name| (true, name));
    let field = match name {
        "refname" if is_version => Field::Version,
        "refname" => Field::Name,
        "objectname" => Field::Id,
        "objecttype" => Field::Kind,
        "committerdate" | "creatordate" | "authordate" | "taggerdate" => Field::Date,
        other => return Err(CommandError::fatal(format!("unknown field name: {other}"))),
    };
    if matches!(field, Field::Kind | Field::Date) && !has_objects {
        return Err(CommandError::fatal(format!(
            "not a git repository, but the field '{name}' requires access to object data"
        )));
    }
    Ok(Key { field, is_reversed })
}

/// Sorts `rows`; the first key given last counts most, as in git.
pub(super) fn sort(
    rows: &mut [Row],
    keys: &[Key],
    repo: Option<&Repository>,
    config: &Config,
) -> Result<(), CommandError> {
    if keys.is_empty() {
        return Ok(());
    }
    let suffixes = config.strings("versionsort.suffix");
    let facts = facts(rows, keys, repo)?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|one, other| {
        let compared = keys.iter().rev().map(|key| {
            let ordering = compare(key.field, (rows, &facts), *one, *other, &suffixes);
            if key.is_reversed { ordering.reverse() } else { ordering }
        });
        let by_name = || rows.get(*one).map(|row| &row.name).cmp(&rows.get(*other).map(|row| &row.name));
        compared.fold(Ordering::Equal, Ordering::then).then_with(by_name)
    });
    let sorted: Vec<Row> = order.iter().filter_map(|index| rows.get(*index).cloned()).collect();
    rows.clone_from_slice(&sorted);
    Ok(())
}

/// Kind and date of each row's object, where a key asks for them.
fn facts(rows: &[Row], keys: &[Key], repo: Option<&Repository>) -> Result<Vec<(BString, i64)>, CommandError> {
    let needs_objects = keys.iter().any(|key| matches!(key.field, Field::Kind | Field::Date));
    let Some(repo) = repo.filter(|_| needs_objects) else {
        return Ok(vec![(BString::default(), 0); rows.len()]);
    };
    let mut objects = repo.objects()?;
    rows.iter()
        .map(|row| {
            let missing = || CommandError::fatal(format!("missing object {} for {}", row.id, row.name));
            let kind = objects.kind(&row.id)?.ok_or_else(missing)?;
            let date = objects.commit(&row.id)?.map_or(0, |commit| commit.date);
            Ok((BString::from(kind.as_bytes()), date))
        })
        .collect()
}

fn compare(
    field: Field,
    (rows, facts): (&[Row], &[(BString, i64)]),
    one: usize,
    other: usize,
    suffixes: &[BString],
) -> Ordering {
    let (Some(a), Some(b)) = (rows.get(one), rows.get(other)) else { return Ordering::Equal };
    match field {
        Field::Name => a.name.cmp(&b.name),
        Field::Version => compare_versions(&a.name, &b.name, suffixes),
        Field::Id => a.id.cmp(&b.id),
        Field::Kind => facts.get(one).map(|fact| &fact.0).cmp(&facts.get(other).map(|fact| &fact.0)),
        Field::Date => facts.get(one).map(|fact| fact.1).cmp(&facts.get(other).map(|fact| fact.1)),
    }
}

/// Digits compare as numbers; a name that goes on with one of `suffixes` comes before the one that ends there.
fn compare_versions(one: &BString, other: &BString, suffixes: &[BString]) -> Ordering {
    let common = one.iter().zip(other.iter()).take_while(|(a, b)| a == b).count();
    let suffix_rank = |name: &BString| {
        suffixes.iter().position(|suffix| {
            (0..=common).any(|at| name.get(at..).is_some_and(|rest| rest.starts_with(suffix)))
        })
    };
    match (suffix_rank(one), suffix_rank(other)) {
        (Some(a), Some(b)) if a != b => return a.cmp(&b),
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), Some(_)) | (None, None) => {}
    }
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    while let (Some((&x, rest_a)), Some((&y, rest_b))) = (a.split_first(), b.split_first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number_a, after_a) = split_number(a);
            let (number_b, after_b) = split_number(b);
            let ordering = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
            if ordering != Ordering::Equal {
                return ordering;
            }
            (a, b) = (after_a, after_b);
        } else if x != y {
            return x.cmp(&y);
        } else {
            (a, b) = (rest_a, rest_b);
        }
    }
    a.len().cmp(&b.len())
}

/// The digits at the beginning without leading zeros, and what follows.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    (digits.get(zeros..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str], suffixes: &[&str]) -> Vec<String> {
        let suffixes: Vec<BString> = suffixes.iter().map(|s| (*s).into()).collect();
        let mut names: Vec<BString> = names.iter().map(|name| (*name).into()).collect();
        names.sort_by(|a, b| compare_versions(a, b, &suffixes));
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(sorted(&["v2.10", "v2.9-rc1", "v1", "v2.9"], &[]), ["v1", "v2.9", "v2.9-rc1", "v2.10"]);
    }

    #[test]
    fn a_suffix_comes_before_its_release() {
        assert_eq!(sorted(&["v1.0", "v1.0-rc1"], &["-rc"]), ["v1.0-rc1", "v1.0"]);
    }
}
