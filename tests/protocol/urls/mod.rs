//! URLs: the table of what C git makes of them, and properties.

use bstr::{BStr, BString, ByteSlice};
use gitr::transport::{Error, Scheme, Url};
use proptest::prelude::*;

mod print;

/// The port that an http URL need not name.
const HTTP_PORT: u16 = 80;

/// A row of the table for `text`, by our own parser.
fn row(text: &BStr) -> Vec<String> {
    let columns = |protocol: &str, host: &[u8], port: Option<u16>, path: &[u8]| {
        let port = port.map(|port| port.to_string()).unwrap_or_default();
        vec![protocol.to_owned(), host.to_str_lossy().into(), port, path.to_str_lossy().into()]
    };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return columns("refused", b"", None, error.to_string().as_bytes()),
    };
    let bracketed = |host: &BString| {
        if host.contains(&b':') { BString::from(format!("[{host}]")) } else { host.clone() }
    };
    let whole = |host: &BString| {
        let user = url.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        BString::from(format!("{user}{host}"))
    };
    match &url.scheme {
        Scheme::Path | Scheme::File => columns("file", &url.host, None, &url.path),
        // git:// is asked with the host and port as they stand in the URL.
        Scheme::Git => columns("git", &virtual_host(text), None, &url.path),
        Scheme::Ssh => columns("ssh", &whole(&url.host), url.port, &url.path),
        Scheme::Http | Scheme::Https => {
            let path = url.path.strip_suffix(b"/").unwrap_or(&url.path);
            columns("http", &bracketed(&url.host), url.port.filter(|port| *port != HTTP_PORT), path)
        }
        Scheme::Helper(name) => columns("helper", name, None, &url.path),
    }
}

/// What stands between `://` and the path in one of the table's URLs of git://, none of which is encoded there.
fn virtual_host(text: &BStr) -> BString {
    let rest = text.split_once_str("://").map_or(&b""[..], |(_, rest)| rest);
    let from = if rest.starts_with(b"[") { rest.find_byte(b']').unwrap_or(0) } else { 0 };
    let end = rest[from..].find_byte(b'/').map_or(rest.len(), |slash| from + slash);
    rest[..end].into()
}

#[test]
fn every_url_leads_where_it_leads_with_git() {
    let table = crate::fixture("urls-2.47.3.tsv");
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with(b"#")) {
        let mut columns = line.split_str("\t").map(|column| column.to_str_lossy().into_owned());
        let text = columns.next().unwrap();
        let (expected, found) = (columns.collect::<Vec<_>>(), row(text.as_bytes().as_bstr()));
        count += 1;
        if found != expected {
            wrong.push(format!("{text}: {found:?}, git: {expected:?}"));
        }
    }
    assert!(count >= 450, "the table has {count} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The parts of a URL that say where it leads.
type Parts = (Scheme, Option<BString>, BString, Option<u16>, BString);

fn parts(url: Url) -> Parts {
    (url.scheme, url.user, url.host, url.port, url.path)
}

/// Whether what is printed from the parts of `text` has the same parts.
fn printed_and_parsed_again(text: &[u8]) -> Result<Option<(Parts, Parts)>, Error> {
    let url = Url::parse(text.as_bstr())?;
    let Some(printed) = print::print(&url) else { return Ok(None) };
    Ok(Some((parts(Url::parse(printed.as_bstr())?), parts(url))))
}

proptest! {
    #[test]
    fn a_url_is_the_same_when_it_is_written_anew(
        scheme in "ssh|git|file|http|https|git\\+ssh",
        user in proptest::option::of("[a-z@%0-9:]{1,5}"),
        host in "[a-z0-9.-]{1,8}|\\[[0-9a-f:]{3,9}\\]",
        port in proptest::option::of(0_u16..),
        path in "(/~?[a-z0-9 %:?#@+!'~.-]{0,12}){1,3}",
    ) {
        let user = user.map(|user| user + "@").unwrap_or_default();
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let text = format!("{scheme}://{user}{host}{port}{path}");
        if let Ok(Some((again, first))) = printed_and_parsed_again(text.as_bytes()) {
            prop_assert_eq!(again, first, "{}", text);
        }
    }

    #[test]
    fn so_is_any_other_text(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(Some((again, first))) = printed_and_parsed_again(&text) {
            prop_assert_eq!(again, first);
        }
    }

    #[test]
    fn the_form_of_scp_too(text in "([a-z]{0,3}@)?(\\[[a-z0-9:@]{0,9}\\]|[a-z0-9.]{0,5}):[a-z~/ :%-]{0,9}") {
        if let Ok(Some((again, first))) = printed_and_parsed_again(text.as_bytes()) {
            prop_assert_eq!(again, first, "{}", text);
        }
    }
}
