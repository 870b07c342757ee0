//! What is written down of promisors that are accepted: git-config(1), `promisor.storeFields`.

use std::fmt::Write as _;

use bstr::{BString, ByteSlice};

use super::tell;
use crate::pack::enumerate::FilterSpec;
use crate::progress::{Event, Progress};
use crate::protocol::promisor_remote::PromisorRemote;
use crate::remote::Error;
use crate::repo::Repository;
use crate::repo::config::{Change, edit};

/// Writes down, for the remote called `name` here, what the server says of `stored`, where that is news. The user hears of
/// it, but not what a token is.
pub(super) fn store(
    repo: &Repository,
    name: &BString,
    remote: &PromisorRemote,
    stored: &[BString],
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    for field in stored {
        let field = field.to_ascii_lowercase();
        let (shown, value, fault) = match field.as_slice() {
            b"partialclonefilter" => ("filter", &remote.filter, filter_fault as Fault),
            b"token" => ("token", &remote.token, token_fault as Fault),
            // no other field can be advertised
            _ => continue,
        };
        let key = BString::from(format!("remote.{name}.{}", field.as_bstr()));
        let Some(value) = value else { continue };
        let old = repo.config.string(&key.to_string());
        if old.as_ref() == Some(value) {
            continue;
        }
        if let Some(fault) = fault(value) {
            let text = format!("{fault} from the server for remote '{name}' is not stored");
            tell(progress, Event::Warning(&text))?;
            continue;
        }
        edit(&repo.common_path("config"), &[Change::Set(key, value.clone())])?;
        let mut text = format!("Storing new {shown} from server for remote '{name}'");
        if field != b"token" {
            write!(text, ": '{}' -> '{value}'", old.unwrap_or_default()).ok();
        }
        tell(progress, Event::Detail { level: 0, text: &text })?;
    }
    Ok(())
}

/// What is wrong with a value, if anything.
type Fault = fn(&BString) -> Option<&'static str>;

fn filter_fault(value: &BString) -> Option<&'static str> {
    let is_good = matches!(FilterSpec::combined(std::slice::from_ref(value)), Ok(Some(_)));
    (!is_good).then_some("an invalid partialCloneFilter")
}

fn token_fault(value: &BString) -> Option<&'static str> {
    value.iter().any(u8::is_ascii_control).then_some("a token with a control character")
}
