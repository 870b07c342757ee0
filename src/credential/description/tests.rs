//! Descriptions read, written and shown.

use super::*;

fn read(text: &str, speaker: Speaker) -> Description {
    let mut description = Description::default();
    description.read(&mut text.as_bytes(), speaker).unwrap();
    description
}

fn written(description: &Description, listener: Listener) -> String {
    String::from_utf8(description.write(listener).unwrap()).unwrap()
}

#[test]
fn lines_are_written_in_the_order_of_git() {
    let text = "capability[]=authtype\ncapability[]=state\nauthtype=Bearer\ncredential=tok\nephemeral=1\n\
                protocol=https\nhost=x\npath=p\nusername=u\npassword=p\noauth_refresh_token=o\n\
                password_expiry_utc=99999999999\nwwwauth[]=Basic\ncontinue=1\nstate[]=me:1\n";
    assert_eq!(written(&read(text, Speaker::Caller), Listener::Helper), text);
}

#[test]
fn what_nobody_asked_for_is_not_told() {
    let answer = read("capability[]=authtype\nauthtype=Bearer\ncredential=tok\n", Speaker::Helper);
    assert_eq!(written(&answer, Listener::Caller), "");
    let asked = Description { asked: Capabilities::ALL, ..answer };
    assert_eq!(written(&asked, Listener::Caller), "capability[]=authtype\nauthtype=Bearer\ncredential=tok\n");
}

#[test]
fn a_url_is_taken_apart() {
    let text = |url: &str| written(&Description::from_url(url).unwrap(), Listener::Helper);
    assert_eq!(
        text("https://bob:p%20w@example.com:8443/a/b.git/"),
        "protocol=https\nhost=example.com:8443\npath=a/b.git\nusername=bob\npassword=p w\n"
    );
    assert_eq!(text("cert:///path/x"), "protocol=cert\nhost=\npath=path/x\n");
    assert_eq!(text("https://:p@h"), "protocol=https\nhost=h\nusername=\npassword=p\n");
    assert_eq!(text("https://h?x@y"), "protocol=https\nhost=h\npath=?x@y\n");
}

#[test]
fn urls_that_would_fool_a_helper_are_refused() {
    let reason = |url: &str| match Description::from_url(url) {
        Err(Error::Url { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("notaurl"), "url has no scheme: notaurl");
    assert_eq!(reason("://x"), "url has no scheme: ://x");
    for (part, url) in [
        ("host", "https://h%0ahost=evil/x"),
        ("username", "https://u%0a@h/x"),
        ("password", "https://u:p%0a@h/x"),
        ("path", "https://h/x%0ay"),
    ] {
        assert_eq!(reason(url), format!("url contains a newline in its {part} component: {url}"));
    }
}

#[test]
fn values_that_break_lines_are_refused() {
    let host = |host: &str| Description { host: Some(host.into()), ..Description::default() };
    assert!(matches!(
        host("a\nb").write(Listener::Helper),
        Err(Error::UnsafeValue { key: "host", what: "newline" })
    ));
    assert!(host("a\0b").write(Listener::Helper).is_err());
    assert!(matches!(host("a\rb").write(Listener::Helper), Err(Error::CarriageReturn { .. })));
    let allowed = Description { allows_carriage_return: true, ..host("a\rb") };
    assert!(allowed.write(Listener::Helper).is_ok());
}

#[test]
fn a_line_without_a_value_stops_the_reading() {
    let mut description = Description::default();
    let error = description.read(&mut &b"username=a\nbad\npassword=x\n"[..], Speaker::Helper).unwrap_err();
    assert_eq!(error.to_string(), "invalid credential line: bad");
    assert_eq!(description.username.as_deref(), Some("a"));
    assert!(description.password.is_none());
}

#[test]
fn a_description_is_safe_to_show() {
    let described = |url: &str| Description::from_url(url).unwrap().describe(true);
    assert_eq!(described("https://a%40b@git.test:8443/x%20y/z"), "https://a%40b@git.test:8443/x%20y/z");
    assert_eq!(described("https://h%1bx"), "https://h%1Bx");
    assert_eq!(described("https://ü"), "https://%C3%BC");
}
