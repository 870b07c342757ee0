//! What a URL is taken for, beside the table of `tests/protocol/urls`.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Url {
    Url::parse(text.into()).expect("the URL parses")
}

#[test]
fn helpers_are_told_by_double_colon_or_unknown_scheme() {
    for (text, name, address) in [
        ("foo::bar", "foo", "bar"),
        ("ext::sh -c x", "ext", "sh -c x"),
        ("http::http://x/y", "http", "http://x/y"),
        ("::c", "", "c"),
        ("foo://h/p", "foo", "foo://h/p"),
        ("SSH://h/p", "SSH", "SSH://h/p"),
        ("1foo://h/p", "1foo", "1foo://h/p"),
        ("ftp://h/p", "ftp", "ftp://h/p"),
    ] {
        let url = parse(text);
        assert_eq!(url.scheme, Scheme::Helper(name.into()), "{text}");
        assert_eq!(url.path, address, "{text}");
    }
    for text in ["rsync://h/p", "rsync:x"] {
        let error = Url::parse(text.into()).expect_err("git gave it up");
        assert_eq!(error.to_string(), "git-over-rsync is no longer supported");
    }
}

#[test]
fn web_urls_give_up_their_login() {
    let url = parse("https://us%40er:p%3Aw:x@[::1]:8443/a%20b.git?q#f");
    assert_eq!(url.scheme, Scheme::Https);
    assert_eq!(url.user, Some("us@er".into()));
    assert_eq!(url.password.as_ref().map(Secret::reveal), Some("p:w:x"));
    assert_eq!((url.host.to_string().as_str(), url.port), ("::1", Some(8443)));
    assert_eq!(url.path, "/a%20b.git?q#f");
    assert_eq!(format!("{url:?}"), "Url(Https, \"https://[::1]:8443/a%20b.git?q#f\")");

    let url = parse("http://h");
    assert_eq!((url.scheme, url.user, url.password), (Scheme::Http, None, None));
    assert_eq!((url.host, url.port, url.path), ("h".into(), None, "".into()));
    assert_eq!(parse("http://u@h/p@q").host, "h");
    assert_eq!(parse("http://h/p@q").user, None);
}

#[test]
fn git_takes_user_and_host_for_the_host() {
    let url = parse("git://u@[::1]:7/p");
    assert_eq!((url.user, url.host, url.port), (None, "u@::1".into(), Some(7)));
}

#[cfg(not(windows))]
#[test]
fn local_paths() {
    assert_eq!(parse("file:///a%20b").local_path().as_deref(), Some(Path::new("/a b")));
    assert_eq!(parse("./h:p").local_path().as_deref(), Some(Path::new("./h:p")));
    assert_eq!(parse("a%20b").local_path().as_deref(), Some(Path::new("a%20b")));
    assert_eq!(parse("h:p").local_path(), None);
}

/// The right column is what git 2.47.3 wrote to FETCH_HEAD.
#[test]
fn redacted_as_in_fetch_head() {
    for (text, expected) in [
        ("ssh://u:p@h/p", "ssh://h/p"),
        ("http://u:p@h/x", "http://h/x"),
        ("https://u:p@q@h/x@y", "https://h/x@y"),
        ("https://h?u@v", "https://h?u@v"),
        ("u@h:p", "h:p"),
        ("u@h:p@q", "h:p@q"),
        ("ssh://h/p@q", "ssh://h/p@q"),
        ("h:p@q", "h:p@q"),
        ("ssh://u@p@h/p", "ssh://p@h/p"),
        ("h:a@b:c", "b:c"),
        ("u@[::1]:p", "[::1]:p"),
        ("ssh://u%40x@h/p", "ssh://h/p"),
        ("[u@h:22]:p", "h:22]:p"),
        ("ssh://h/u@v:w", "ssh://h/u@v:w"),
        ("/tmp/a@b:c", "/tmp/a@b:c"),
        ("../a@b", "../a@b"),
        ("file:///tmp/a@b", "file:///tmp/a@b"),
        ("file://u@x/tmp/a@b2", "file://x/tmp/a@b2"),
        ("a@b", "a@b"),
    ] {
        assert_eq!(parse(text).redacted(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(url) = Url::parse(BStr::new(&text)) {
            prop_assert_eq!(url.text.as_slice(), &text[..]);
            prop_assert!(!url.redacted().is_empty() || text.contains(&b'@') || text.is_empty());
        }
    }

    #[test]
    fn nor_does_anything_like_a_url(text in "(ssh|git|http|file|x)?(://|::|:)?[u@:/\\[\\]~%0-9a-f-]{0,24}") {
        if let Ok(url) = Url::parse(text.as_str().into()) {
            prop_assert!(!url.path.starts_with(b"-") || matches!(url.scheme, Scheme::Helper(_)));
            prop_assert_eq!(url.local_path().is_some(), matches!(url.scheme, Scheme::Path | Scheme::File));
            prop_assert!(url.authority().len() <= text.len());
        }
    }
}
