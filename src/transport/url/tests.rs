//! Every kind of URL that git takes, and what it is taken for.

use std::path::Path;

use proptest::prelude::*;

use super::*;

/// What `git fetch-pack --diag-url` of git 2.47.3 says: `ssh|userandhost|port|path`, `git|hostandport|path`,
/// `file|hostandport|path`, or the message it dies with.
const DIAGNOSED: &[(&str, &str)] = &[
    ("host:path", "ssh|host|-|path"),
    ("user@host:path", "ssh|user@host|-|path"),
    ("user@host:/abs", "ssh|user@host|-|/abs"),
    ("[host]:path", "ssh|host|-|path"),
    ("[user@host:123]:path", "ssh|user@host|123|path"),
    ("[host:123]:path", "ssh|host|123|path"),
    ("user@[host:123]:path", "ssh|user@host|123|path"),
    ("[::1]:path", "ssh|::1|-|path"),
    ("user@[::1]:path", "ssh|user@::1|-|path"),
    ("[user@::1]:path", "ssh|user@::1|-|path"),
    ("[::1]", "no path specified; see 'git help pull' for valid url syntax"),
    ("ssh://host/path", "ssh|host|-|/path"),
    ("ssh://user@host:22/path", "ssh|user@host|22|/path"),
    ("ssh://host:/path", "ssh|host|-|/path"),
    ("ssh://[::1]:22/p", "ssh|::1|22|/p"),
    ("ssh://user@[::1]/p", "ssh|user@::1|-|/p"),
    ("ssh://[user@::1]:22/p", "ssh|user@::1|22|/p"),
    ("ssh://[user@host:22]/p", "ssh|user@host|22|/p"),
    ("ssh://host/~user/p", "ssh|host|-|~user/p"),
    ("ssh://host/~", "ssh|host|-|~"),
    ("host:~user/p", "ssh|host|-|~user/p"),
    ("host:/~user/p", "ssh|host|-|~user/p"),
    ("git://host/p", "git|host|/p"),
    ("git://host:9999/p", "git|host:9999|/p"),
    ("git://[::1]:9999/p", "git|[::1]:9999|/p"),
    ("git://[::1]/p", "git|[::1]|/p"),
    ("git://host:/p", "git|host:|/p"),
    ("git://host/~u/p", "git|host|~u/p"),
    ("git+ssh://h/p", "ssh|h|-|/p"),
    ("ssh+git://h/p", "ssh|h|-|/p"),
    ("file:///a/b", "file||/a/b"),
    ("file://a/b", "file|a|/b"),
    ("file://", "no path specified; see 'git help pull' for valid url syntax"),
    ("/abs/p", "file||/abs/p"),
    ("./rel:x", "file||./rel:x"),
    ("rel/x:y", "file||rel/x:y"),
    ("C:/x", "ssh|C|-|/x"),
    ("ssh://host", "no path specified; see 'git help pull' for valid url syntax"),
    ("ssh://host:22", "no path specified; see 'git help pull' for valid url syntax"),
    ("host:", "ssh|host|-|"),
    ("ssh://host/a%20b", "ssh|host|-|/a b"),
    ("host:a%20b", "ssh|host|-|a%20b"),
    ("ssh://us%40er@host/p", "ssh|us@er@host|-|/p"),
    ("ssh://host:22x/p", "ssh|host:22x|-|/p"),
    ("ssh://host:999999/p", "ssh|host:999999|-|/p"),
    ("ssh://host:0/p", "ssh|host|0|/p"),
    ("ssh://host:65536/p", "ssh|host:65536|-|/p"),
    ("ssh://host:65535/p", "ssh|host|65535|/p"),
    ("ssh://host:-1/p", "ssh|host:-1|-|/p"),
    ("ssh:///p", "ssh||-|/p"),
    ("ssh://u:p@host/p", "ssh|u:p@host|-|/p"),
    ("ssh://u@p@host/p", "ssh|u@p@host|-|/p"),
    ("file://C:/x", "file|C:|/x"),
    ("ssh://-x/p", "ssh|-x|-|/p"),
    ("xx-x:p", "ssh|xx-x|-|p"),
    ("host:-p", "strange pathname '-p' blocked"),
    ("ssh://h/-p", "ssh|h|-|/-p"),
    ("ssh://u@-x/p", "ssh|u@-x|-|/p"),
    ("ssh://-u@x/p", "ssh|-u@x|-|/p"),
    ("ssh://h:-p/x", "ssh|h:-p|-|/x"),
    ("git://-x/p", "git|-x|/p"),
    ("ssh://host%2fx/p", "ssh|host|-|/x/p"),
    ("ssh://ho%3ast/p", "ssh|ho:st|-|/p"),
    (":p", "ssh||-|p"),
    ("@:p", "ssh|@|-|p"),
    ("a@:p", "ssh|a@|-|p"),
    ("u@h:22:p", "ssh|u@h|-|22:p"),
    ("ssh://host:22/p?q#f", "ssh|host|22|/p?q#f"),
    ("ssh://h/%zz", "ssh|h|-|/%zz"),
    ("ssh://h/%00x", "ssh|h|-|/%00x"),
    ("ssh://h/a%", "ssh|h|-|/a%"),
    ("ssh://[::1/p", "ssh|[::1|-|/p"),
    ("[::1:p", "ssh|[|-|:1:p"),
    ("ssh://host//p", "ssh|host|-|//p"),
    ("ssh://h/~/p", "ssh|h|-|~/p"),
    ("ssh://h:~/p", "ssh|h:~|-|/p"),
    ("ssh://h:22/~u/p", "ssh|h|22|~u/p"),
    ("ssh://[::1]x:22/p", "ssh|::1|22|/p"),
    ("ssh://[::1]:/p", "ssh|::1|-|/p"),
    ("[::1]:~u/x", "ssh|::1|-|~u/x"),
    ("[::1]:/~u/x", "ssh|::1|-|~u/x"),
    ("git://h", "no path specified; see 'git help pull' for valid url syntax"),
    ("git://u@h/p", "git|u@h|/p"),
    ("git://u@h:1/p", "git|u@h:1|/p"),
    ("file://~u/p", "file|~u|/p"),
    ("file:///~u/p", "file||/~u/p"),
    ("~u/p", "file||~u/p"),
    ("ssh://[h]:22/p", "ssh|h|22|/p"),
    ("[h]:22:p", "ssh|h|-|22:p"),
    ("[h:22]:~x", "ssh|h|22|~x"),
    ("[u@h:22]:p", "ssh|u@h|22|p"),
    ("u@[h]:p", "ssh|u@h|-|p"),
    ("u@[h]:22/p", "ssh|u@h|-|22/p"),
    ("u@[::1]:22/p", "ssh|u@::1|-|22/p"),
    ("git+ssh://u@h:1/p", "ssh|u@h|1|/p"),
    ("r.git", "file||r.git"),
    ("", "no path specified; see 'git help pull' for valid url syntax"),
    ("file:////a", "file||//a"),
    ("file:///a%20b", "file||/a b"),
    ("file://a%20b/c", "file|a b|/c"),
    ("ssh://host/a+b", "ssh|host|-|/a+b"),
    ("ssh://::1/p", "ssh|::1|-|/p"),
    ("ssh://::1:22/p", "ssh|::1:22|-|/p"),
    ("u@::1:p", "ssh|u@|-|:1:p"),
    ("ssh://[::1]:22", "no path specified; see 'git help pull' for valid url syntax"),
    ("ssh://[::1]", "no path specified; see 'git help pull' for valid url syntax"),
    ("[::1]/p", "no path specified; see 'git help pull' for valid url syntax"),
    ("[h]p:x", "ssh|h|-|x"),
    ("a/b:c:d", "file||a/b:c:d"),
    ("h:a:b", "ssh|h|-|a:b"),
    ("h:/a:b", "ssh|h|-|/a:b"),
    ("f_o://x/y", "protocol 'f_o' is not supported"),
    ("://x/y", "protocol '' is not supported"),
    ("ssh:/h/p", "ssh|ssh|-|/h/p"),
    ("ssh:h/p", "ssh|ssh|-|h/p"),
    ("file:/a", "ssh|file|-|/a"),
    ("file:a", "ssh|file|-|a"),
    ("git:x", "ssh|git|-|x"),
    ("http:x", "ssh|http|-|x"),
    ("a_b::c", "ssh|a_b|-|:c"),
    ("ssh://host/p%41", "ssh|host|-|/pA"),
    ("ssh://h%41/p", "ssh|hA|-|/p"),
    ("%41:p", "ssh|%41|-|p"),
    ("ssh://u%3Ap@h:1/p", "ssh|u:p@h:1|-|/p"),
    ("ssh://[u%40@h]:1/p", "ssh|u@@h|1|/p"),
    ("[u@[::1]:22]:p", "ssh|[u@::1|-|22]:p"),
    ("[u@[::1]]:p", "ssh|[u@::1|-|p"),
    ("ssh%3a//h/p", "file||ssh%3a//h/p"),
    ("ssh%3A%2F%2Fh/p", "file||ssh%3A%2F%2Fh/p"),
    ("ssh://h/a b", "ssh|h|-|/a b"),
    ("ssh:// h/p", "ssh| h|-|/p"),
    ("h p:x", "ssh|h p|-|x"),
    ("C:x", "ssh|C|-|x"),
    ("h:22", "ssh|h|-|22"),
    ("1:x", "ssh|1|-|x"),
    ("h:22/p", "ssh|h|-|22/p"),
    ("ssh://h:22:23/p", "ssh|h:22:23|-|/p"),
    ("ssh://u@[h:1]:2/p", "ssh|u@h:1|2|/p"),
    ("ssh://[h:1]/p", "ssh|h|1|/p"),
    ("ssh://[u@h]:2/p", "ssh|u@h|2|/p"),
    ("ssh://[]/p", "ssh||-|/p"),
    ("[]:p", "ssh||-|p"),
    ("[:1]:p", "ssh||1|p"),
    ("ssh://host/a//b/", "ssh|host|-|/a//b/"),
    ("file://host/p", "file|host|/p"),
    ("ssh://[::1]:99999/p", "ssh|::1|-|/p"),
    ("ssh://[h:1]x/p", "ssh|h|1|/p"),
    ("ssh://[::1]:x/p", "ssh|::1|-|/p"),
    ("ssh://[u@h:1]:/p", "ssh|u@h|1|/p"),
    ("ssh://[h:]/p", "ssh|h:|-|/p"),
    ("git://[::1/p", "git|[::1|/p"),
    ("file://[::1]/p", "file|[::1]|/p"),
    ("file://u@[a/b]/c", "file|u@[a/b]|/c"),
    ("ssh://u@[a/b]/c", "ssh|u@a/b|-|/c"),
    ("ssh://u@h@[::1]:3/p", "ssh|u@h@::1|3|/p"),
    ("./a://b", "protocol './a' is not supported"),
    ("h:p://x", "protocol 'h:p' is not supported"),
    ("-x", "strange pathname '-x' blocked"),
    ("a@b/c", "file||a@b/c"),
    ("h@[x", "file||h@[x"),
];

fn parse(text: &str) -> Url {
    Url::parse(text.into()).expect("the URL parses")
}

fn diagnose(text: &str) -> String {
    let url = match Url::parse(text.into()) {
        Ok(url) => url,
        Err(error) => return error.to_string(),
    };
    match url.scheme {
        Scheme::Path | Scheme::File => format!("file|{}|{}", url.host, url.path),
        Scheme::Git => format!("git|{}|{}", url.authority(), url.path),
        Scheme::Ssh => {
            let port = url.port.map_or("-".to_owned(), |port| port.to_string());
            format!("ssh|{}|{port}|{}", url.user_and_host(), url.path)
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn taken_apart_as_git_does() {
    for (text, expected) in DIAGNOSED {
        assert_eq!(diagnose(text), *expected, "{text}");
    }
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
