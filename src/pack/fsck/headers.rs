//! Commits and tags: lines of a fixed order, then free text.

use bstr::ByteSlice;

use super::{Message, Report};

/// Checks a commit.
pub(super) fn check_commit(content: &[u8], report: &mut Report<'_>) {
    if !has_whole_header(content, report) {
        return;
    }
    let mut rest = content;
    if !id_line(&mut rest, "tree", (Message::MissingTree, Message::BadTreeSha1), report) {
        return;
    }
    while rest.starts_with(b"parent ") {
        if !id_line(&mut rest, "parent", (Message::BadParentSha1, Message::BadParentSha1), report) {
            return;
        }
    }
    let mut authors = 0;
    while let Some(line) = line_of(&mut rest, b"author ") {
        authors += 1;
        check_ident(line, report);
        if report.has_error() {
            return;
        }
    }
    match authors {
        0 => report.add(Message::MissingAuthor, "invalid format - expected 'author' line"),
        1 => {}
        _ => report.add(Message::MultipleAuthors, "invalid format - multiple 'author' lines"),
    }
    if report.has_error() {
        return;
    }
    match line_of(&mut rest, b"committer ") {
        Some(line) => check_ident(line, report),
        None => report.add(Message::MissingCommitter, "invalid format - expected 'committer' line"),
    }
    if !report.has_error() && content.contains(&0) {
        report.add(Message::NulInCommit, "NUL byte in the commit object body");
    }
}

/// Checks a tag.
pub(super) fn check_tag(content: &[u8], report: &mut Report<'_>) {
    if !has_whole_header(content, report) {
        return;
    }
    let mut rest = content;
    if !id_line(&mut rest, "object", (Message::MissingObject, Message::BadObjectSha1), report) {
        return;
    }
    let Some(kind) = line_of(&mut rest, b"type ") else {
        return report.add(Message::MissingTypeEntry, "invalid format - expected 'type' line");
    };
    if gix_object::Kind::from_bytes(kind).is_err() {
        report.add(Message::BadType, "invalid 'type' value");
    }
    if report.has_error() {
        return;
    }
    let Some(name) = line_of(&mut rest, b"tag ") else {
        return report.add(Message::MissingTagEntry, "invalid format - expected 'tag' line");
    };
    let full = [b"refs/tags/", name].concat();
    if gix_validate::reference::name(full.as_bstr()).is_err() {
        report.add(Message::BadTagName, format_args!("invalid 'tag' name: {}", name.as_bstr()));
    }
    if report.has_error() {
        return;
    }
    match line_of(&mut rest, b"tagger ") {
        Some(line) => check_ident(line, report),
        // Tags of very old versions of git have none.
        None => report.add(Message::MissingTaggerEntry, "invalid format - expected 'tagger' line"),
    }
    if !report.has_error() && !rest.is_empty() && !rest.starts_with(b"\n") {
        report.add(Message::ExtraHeaderEntry, "invalid format - extra header(s) after 'tagger'");
    }
}

/// Whether the header ends, with an empty line or with the object, and has no NUL.
fn has_whole_header(content: &[u8], report: &mut Report<'_>) -> bool {
    let header = content.find(b"\n\n").map_or(content, |end| content.get(..end).unwrap_or(content));
    if let Some(at) = header.find_byte(0) {
        report.add(Message::NulInHeader, format_args!("unterminated header: NUL at offset {at}"));
        return false;
    }
    if header.len() == content.len() && !content.ends_with(b"\n") {
        report.add(Message::UnterminatedHeader, "unterminated header");
        return false;
    }
    true
}

/// Takes the line `word` with an id; gives whether the next line is worth a look.
fn id_line(
    rest: &mut &[u8],
    word: &str,
    (missing, bad): (Message, Message),
    report: &mut Report<'_>,
) -> bool {
    let Some(line) = line_of(rest, format!("{word} ").as_bytes()) else {
        report.add(missing, format_args!("invalid format - expected '{word}' line"));
        return false;
    };
    let is_id = line.len() == report.id.kind().len_in_hex() && line.iter().all(u8::is_ascii_hexdigit);
    if !is_id {
        report.add(bad, format_args!("invalid '{word}' line format - bad sha1"));
    }
    !report.has_error()
}

/// Takes the line that begins with `word`, if that is the next one, and gives what follows the word.
fn line_of<'a>(rest: &mut &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let behind = rest.strip_prefix(word)?;
    let (line, next) = behind.split_once_str("\n").unwrap_or((behind, &[]));
    *rest = next;
    Some(line)
}

/// Checks `<name> SP <<email>> SP <date> SP <zone>`.
fn check_ident(line: &[u8], report: &mut Report<'_>) {
    if let Err((message, what)) = ident(line) {
        report.add(message, format_args!("invalid author/committer line - {what}"));
    }
}

fn ident(line: &[u8]) -> Result<(), (Message, &'static str)> {
    if line.starts_with(b"<") {
        return Err((Message::MissingNameBeforeEmail, "missing space before email"));
    }
    let end = line.find_byteset("<>").unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    if rest.starts_with(b">") {
        return Err((Message::BadName, "bad name"));
    }
    let Some(rest) = rest.strip_prefix(b"<") else { return Err((Message::MissingEmail, "missing email")) };
    if !name.ends_with(b" ") {
        return Err((Message::MissingSpaceBeforeEmail, "missing space before email"));
    }
    let end = rest.find_byteset("<>").unwrap_or(rest.len());
    let rest = rest.get(end..).and_then(|rest| rest.strip_prefix(b">"));
    let rest = rest.ok_or((Message::BadEmail, "bad email"))?;
    let rest =
        rest.strip_prefix(b" ").ok_or((Message::MissingSpaceBeforeDate, "missing space before date"))?;
    date(rest)
}

fn date(text: &[u8]) -> Result<(), (Message, &'static str)> {
    if matches!(text, [b'0', next, ..] if *next != b' ') {
        return Err((Message::ZeroPaddedDate, "zero-padded date"));
    }
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len).unwrap_or((text, &[]));
    let is_small = digits.to_str().is_ok_and(|digits| digits.is_empty() || digits.parse::<i64>().is_ok());
    if !is_small {
        return Err((Message::BadDateOverflow, "date causes integer overflow"));
    }
    let zone = rest.strip_prefix(b" ").filter(|_| !digits.is_empty());
    match zone.ok_or((Message::BadDate, "bad date"))? {
        [b'+' | b'-', digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err((Message::BadTimezone, "bad time zone")),
    }
}
