//! TLS, and proxies on the way to it: each row at Apache, whose log counts the requests.

use std::fs;

use super::{Bench, Place, Row, row};
use crate::support::gateway::{Act, Gateway, Of, Place as Target, every};
use crate::support::servers::port_of;
use crate::support::servers::secure::Secure;
use crate::support::servers::through::{Guard, Proxy};
use crate::support::{Git, Kind, Run, Sandbox};

/// Alice in a helper, and in a URL.
const ALICE: &str = "username=alice\npassword=open sesame\n";
const ALICE_AT: &str = "alice:open%20sesame@";

/// Goes through what `rows` makes for a server, with what has to run meanwhile; its hosts other than `localhost` are names for the same.
fn over_tls<T>(rows: impl FnOnce(&Sandbox, &Secure) -> (Vec<Row>, T)) {
    let sandbox = Sandbox::new();
    let Some(server) = Secure::start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    // the server runs as somebody else
    Run::of(sandbox.command("chmod").args(["-R", "a+rwX"]).arg(sandbox.path("served"))).success();
    let (rows, _running) = rows(&sandbox, &server);
    let place = Place { gateway_port: None, base: server.base("localhost") };
    bench.go_through(rows, &place, &|_| (), &|| server.requests());
}

/// A row that trusts the server's authority.
fn trusting(server: &Secure, name: &'static str) -> Row {
    row(name, Vec::new()).with(format!("http.sslCAInfo={}", server.file("ca.pem")))
}

/// A row at another name of the server, which has a certificate of its own.
fn at(server: &Secure, host: &'static str, name: &'static str) -> Row {
    let resolve = format!("http.curloptResolve={host}:{}:127.0.0.1", server.port());
    trusting(server, name).with(resolve).host(host)
}

#[test]
fn certificates() {
    over_tls(|_, server| {
        let resolved = |row: Row| row.own_words("fatal: unable to access 'https://").fails();
        let rows = vec![
            trusting(server, "a private authority"),
            trusting(server, "in HTTP/1.1").with("http.version=HTTP/1.1"),
            row("an unknown authority", Vec::new())
                .fails()
                .own_words("unable to get local issuer certificate"),
            row("nothing is verified", Vec::new()).with("http.sslVerify=false"),
            row("a file that is none", Vec::new())
                .with("http.sslCAInfo=/nonexistent.pem")
                .fails()
                .own_words("Problem with the SSL CA cert (path? access rights?)"),
            at(server, "expired.test", "over").fails().own_words("certificate has expired"),
            at(server, "wrong.test", "another name")
                .fails()
                .own_words("no alternative certificate subject name matches target host name 'wrong.test'"),
            at(server, "expired.test", "over, and nobody cares").with("http.sslVerify=false"),
            resolved(at(server, "client.test", "who are you")),
            at(server, "client.test", "a certificate of our own")
                .with(format!("http.sslCert={}", server.file("client.pem")))
                .with(format!("http.sslKey={}", server.file("client.key"))),
            trusting(server, "another key than it should")
                .with("http.pinnedPubkey=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
                .fails(),
            row("nothing but HTTP", Vec::new()).scheme("http").fails().own_words("fatal: "),
        ];
        (rows, ())
    });
}

#[test]
fn logins() {
    over_tls(|_, server| {
        let place = |name, below: &'static str| trusting(server, name).below(below);
        // `tells_more` where what the server says has a number that is never the same
        let rows = vec![
            place("Basic, a helper knows", "basic").helper(ALICE),
            place("Digest, a helper knows", "digest").helper(ALICE).tells_more(),
            place("Basic, the URL says", "basic").user(ALICE_AT),
            place("Digest, the URL says", "digest").user(ALICE_AT),
            place("Basic, wrong", "basic").user("alice:wrong@").fails(),
            place("Digest, wrong", "digest").helper("username=alice\npassword=wrong\n").fails().tells_more(),
        ];
        (rows, ())
    });
}

#[test]
fn proxies() {
    over_tls(|sandbox, server| {
        let through = |name, proxy: String| trusting(server, name).with(format!("http.proxy={proxy}"));
        let mut rows = Vec::new();
        let mut running = Vec::new();
        for (guard, names) in [
            (Guard::None, ["squid", "squid, a name too many"]),
            (Guard::Basic, ["squid with a password", "squid with a wrong password"]),
            (Guard::Digest, ["squid with a proof", "squid with a wrong proof"]),
        ] {
            let Some(squid) = Proxy::squid(sandbox, guard) else { continue };
            rows.push(through(names[0], squid.url("http", "alice:sesame@")));
            let wrong = through(names[1], squid.url("http", "alice:wrong@"));
            rows.push(if guard == Guard::None { wrong } else { wrong.fails() });
            running.push(squid);
        }
        if let Some(tinyproxy) = Proxy::tinyproxy(sandbox) {
            rows.push(through("tinyproxy with a password", tinyproxy.url("http", "alice:sesame@")));
            running.push(tinyproxy);
        }
        if let Some(socks) = Proxy::microsocks(sandbox) {
            rows.push(through("SOCKS5 with a password", socks.url("socks5", "alice:sesame@")));
            rows.push(
                through("SOCKS5 with a wrong password", socks.url("socks5h", "alice:wrong@"))
                    .fails()
                    .own_words("User was rejected by the SOCKS5 server"),
            );
            running.push(socks);
        }
        let both = [server.file("server.key"), server.file("server.pem")].map(|file| fs::read(file).unwrap());
        let certificate = sandbox.path("squid.pem");
        fs::write(&certificate, both.concat()).unwrap();
        if let Some(squid) = Proxy::squid_with_tls(sandbox, &certificate) {
            let trust = format!("http.proxySSLCAInfo={}", server.file("ca.pem"));
            rows.push(through("squid behind TLS", squid.url_with_tls("alice:sesame@")).with(trust));
            running.push(squid);
        }
        (rows, running)
    });
}

#[test]
fn a_repository_that_has_moved_behind_tls_is_found() {
    let sandbox = Sandbox::new();
    let Some(server) = Secure::start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    Run::of(sandbox.command("chmod").args(["-R", "a+rwX"]).arg(sandbox.path("served"))).success();
    let gateway = Gateway::before(server.port());
    let moved = |name, status| {
        let target = Target::Below(server.at("git", "").trim_end_matches('/').to_owned());
        Row { gate: vec![every(Of::Any, Act::Redirect(status, target))], ..trusting(&server, name).moved() }
    };
    let requests = || {
        let led = gateway.seen();
        server.requests().into_iter().chain(led.iter().map(super::shown)).collect()
    };
    let rows = vec![
        moved("301 to https", 301),
        moved("302 to https", 302),
        moved("307 to https", 307),
        moved("308 to https", 308),
        moved("none is followed to https", 302).with("http.followRedirects=false").fails(),
        Row { settings: Vec::new(), ..moved("302 to https of an unknown authority", 302) }
            .fails()
            .own_words("unable to get local issuer certificate"),
    ];
    let place = Place { gateway_port: Some(gateway.port), base: String::new() };
    bench.go_through(rows, &place, &|row| gateway.set(&row.gate), &requests);
}

#[test]
fn nobody_is_led_out_of_tls() {
    over_tls(|sandbox, server| {
        let plain = Kind::Apache.start(sandbox, Git::reference());
        let port = plain.as_ref().map_or(1, |plain| port_of(&plain.url("project.git")));
        // C git follows, and its user's secrets and objects go over the wire for everybody to see
        let moved = |name, status| {
            trusting(server, name)
                .below(format!("plain/{status}/{port}"))
                .where_git_dares()
                .own_words("redirect from https to http refused")
                .requests([1; 3])
        };
        let rows = vec![
            moved("301 to http", 301),
            moved("302 to http", 302),
            moved("307 to http", 307),
            moved("308 to http", 308),
        ];
        (rows, plain)
    });
}
