//! `--sort`: by name, by version, by id; by what an object holds only where the object is here.

use std::cmp::Ordering;

use bstr::{BString, ByteSlice};

use super::Row;
use crate::cmd::CommandError;
use crate::pack::Kind;
use crate::pack::source::Source;
use crate::repo::date::{Date, DateFormat};
use crate::repo::{Config, Repository};

/// One `--sort` key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    field: Field,
    is_reversed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    /// Names as version numbers.
    Version,
    /// What an object is or holds.
    Object(Fact),
}

#[derive(Debug, Clone, Copy)]
enum Fact {
    Id,
    Kind,
    Size,
    Date(Whose, Option<DateFormat>),
}

/// Whose date.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Author,
    Committer,
    Tagger,
    /// The committer's or the tagger's.
    Creator,
}

/// What rows are compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(BString),
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
        "" => return Err(CommandError::fatal("malformed field name: ")),
        "refname" if is_version => Field::Version,
        "refname" => Field::Name,
        name => Field::Object(parse_fact(name, has_objects)?),
    };
    Ok(Key { field, is_reversed })
}

/// What a key means that is about an object.
fn parse_fact(name: &str, has_objects: bool) -> Result<Fact, CommandError> {
    let (field, argument) = match name.split_once(':') {
        Some((field, argument)) => (field, Some(argument)),
        None => (name, None),
    };
    let fact = match field {
        "authordate" => Fact::Date(Whose::Author, None),
        "committerdate" => Fact::Date(Whose::Committer, None),
        "taggerdate" => Fact::Date(Whose::Tagger, None),
        "creatordate" => Fact::Date(Whose::Creator, None),
        "objectname" => Fact::Id,
        "objecttype" => Fact::Kind,
        "objectsize" => Fact::Size,
        _ => return Err(CommandError::fatal(format!("unknown field name: {name}"))),
    };
    if !has_objects {
        return Err(CommandError::fatal(format!(
            "not a git repository, but the field '{name}' requires access to object data"
        )));
    }
    if let Fact::Date(whose, _) = fact {
        let Some(argument) = argument else { return Ok(Fact::Date(whose, None)) };
        let format = DateFormat::parse(argument).map_err(CommandError::fatal)?;
        let unknown =
            || CommandError::fatal(format!("sorting by dates written as '{argument}' is not supported"));
        return format.map(|format| Fact::Date(whose, Some(format))).ok_or_else(unknown);
    }
    match (fact, argument.filter(|argument| !argument.is_empty())) {
        // shortened ids stand in the same order
        (Fact::Id, Some("short")) | (_, None) => Ok(fact),
        (Fact::Kind, Some(_)) => Err(CommandError::fatal(format!("%({field}) does not take arguments"))),
        (_, Some(argument)) => {
            Err(CommandError::fatal(format!("unrecognized %({field}) argument: {argument}")))
        }
    }
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
    let facts: Vec<Fact> = keys.iter().filter_map(Key::fact).collect();
    let values = match repo.filter(|_| !facts.is_empty()) {
        Some(repo) => values(rows, &facts, repo)?,
        None => vec![Vec::new(); rows.len()],
    };
    let mut order: Vec<(&Row, Vec<Value>)> = rows.iter().zip(values).collect();
    order.sort_by(|(one, values), (other, others)| {
        let mut facts = values.iter().zip(others).map(|(value, other)| value.cmp(other));
        let compared = keys.iter().map(|key| {
            let ordering = match key.field {
                Field::Name => one.name.cmp(&other.name),
                Field::Version => compare_versions(&one.name, &other.name, &suffixes),
                Field::Object(_) => facts.next().unwrap_or(Ordering::Equal),
            };
            if key.is_reversed { ordering.reverse() } else { ordering }
        });
        // the last key counts most
        let by_keys = compared.fold(Ordering::Equal, |earlier, later| later.then(earlier));
        by_keys.then_with(|| one.name.cmp(&other.name))
    });
    let sorted: Vec<Row> = order.into_iter().map(|(row, _)| row.clone()).collect();
    rows.clone_from_slice(&sorted);
    Ok(())
}

impl Key {
    fn fact(&self) -> Option<Fact> {
        match self.field {
            Field::Object(fact) => Some(fact),
            Field::Name | Field::Version => None,
        }
    }
}

/// For each row, each of the `facts` about its object.
fn values(rows: &[Row], facts: &[Fact], repo: &Repository) -> Result<Vec<Vec<Value>>, CommandError> {
    let objects = repo.objects()?;
    let mut content = Vec::new();
    // an id is known without its object, and what that is and how long without its content
    let is_read = facts.iter().any(|fact| matches!(fact, Fact::Date(..)));
    let is_looked_up = facts.iter().any(|fact| !matches!(fact, Fact::Id));
    let mut of_row = |row: &Row| {
        content.clear();
        let header = if is_read {
            let kind = objects.find(&row.id, &mut content)?;
            kind.map(|kind| (kind, content.len() as u64))
        } else if is_looked_up {
            Source::header(&objects, &row.id)?
        } else {
            Some((Kind::Commit, 0))
        };
        let missing = || CommandError::fatal(format!("missing object {} for {}", row.id, row.name));
        let (kind, size) = header.ok_or_else(missing)?;
        let value = |fact: &Fact| match *fact {
            Fact::Id => Value::Text(row.id.as_bytes().into()),
            Fact::Kind => Value::Text(kind.as_bytes().into()),
            Fact::Size => Value::Number(i64::try_from(size).unwrap_or(i64::MAX)),
            Fact::Date(whose, format) => {
                let has_dates = matches!(kind, Kind::Commit | Kind::Tag);
                let date = if has_dates { whose.date(&content) } else { None };
                match format {
                    None => Value::Number(date.map_or(0, Date::seconds)),
                    Some(format) => {
                        Value::Text(date.map(|date| date.written(format)).unwrap_or_default().into())
                    }
                }
            }
        };
        Ok(facts.iter().map(value).collect())
    };
    rows.iter().map(&mut of_row).collect()
}

impl Whose {
    /// The date in the head of a commit or tag; `None` if it has none of this kind.
    fn date(self, content: &[u8]) -> Option<Date> {
        let names: &[&[u8]] = match self {
            Self::Author => &[b"author "],
            Self::Committer => &[b"committer "],
            Self::Tagger => &[b"tagger "],
            Self::Creator => &[b"committer ", b"tagger "],
        };
        let mut head = content.lines().take_while(|line| !line.is_empty());
        let line = head.find(|line| names.iter().any(|name| line.starts_with(name)))?;
        let (_, date) = line.rsplit_once_str("> ")?;
        Date::of_header(date.to_str().ok()?)
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
