//! Repositories that have moved.

use super::{Row, over_gateway, row};
use crate::support::Kind;
use crate::support::gateway::{Act, Of, Place, every, first};

/// Alice in a helper.
const ALICE: &str = "username=alice\npassword=sesame\n";
/// Alice over the wire.
const PROOF: &str = "Basic YWxpY2U6c2VzYW1l";

fn moved(name: &'static str, status: u16, place: Place) -> Row {
    row(name, vec![every(Of::Any, Act::Redirect(status, place))]).moved()
}

#[test]
fn a_repository_that_has_moved_is_found() {
    over_gateway(
        Kind::Apache,
        vec![
            moved("301 to another path", 301, Place::Path),
            moved("302 to another path", 302, Place::Path),
            moved("303 to another path", 303, Place::Path),
            moved("307 to another path", 307, Place::Path),
            moved("308 to another path", 308, Place::Path),
            moved("301 to another path, quietly", 301, Place::Path).quiet(),
            moved("301 to another port", 301, Place::Port),
            moved("302 to another host", 302, Place::Host),
            moved("307 to another host", 307, Place::Host),
            moved("308 to another port", 308, Place::Port),
            moved("all of them are followed", 302, Place::Port).with("http.followRedirects=true"),
            moved("none is followed", 302, Place::Path).with("http.followRedirects=false").fails(),
            moved("in circles", 302, Place::Circle).fails(),
            moved("to another protocol", 302, Place::Below("ftp://127.0.0.1".into()))
                .fails()
                .own_words("Protocol \"ftp\" disabled"),
            moved("to a file", 302, Place::Below("file:///etc".into()))
                .fails()
                .own_words("Protocol \"file\" disabled"),
            moved("to a program", 302, Place::Below("ext::sh%20-c%20touch%20PWN%20".into()))
                .fails()
                .own_words("Protocol \"ext\" disabled"),
            moved("to an open file", 302, Place::Below("fd::7/".into()))
                .fails()
                .own_words("Protocol \"fd\" disabled"),
            moved("by a server, where only the user may say http", 302, Place::Port)
                .with("protocol.http.allow=user")
                .fails()
                .own_words("Protocol \"http\" disabled"),
            moved("to what is no repository", 302, Place::Below("http://127.0.0.1:1/?".into())).fails(),
        ],
    );
}

#[test]
fn who_we_are_is_told_where_we_were_asked_alone() {
    let demand = |of| every(of, Act::Demand("Basic realm=\"git\"", PROOF));
    let redirect = |place| every(Of::Any, Act::Redirect(302, place));
    let row = |name, gate| row(name, gate).moved().helper(ALICE);
    // C git goes on with who it was before the redirect, and with the place before it
    over_gateway(
        Kind::Apache,
        vec![
            row("the other port asks", vec![redirect(Place::Port), demand(Of::Other)]).tells_more(),
            row("both ask", vec![demand(Of::Any), redirect(Place::Port)]).where_git_fails([128; 3]),
            row("both ask, and the URL says", vec![demand(Of::Any), redirect(Place::Port)])
                .user("alice:sesame@")
                .where_git_fails([128; 3]),
            row(
                "the first asks",
                vec![first(1, Of::Any, Act::Demand("Basic realm=\"a\"", PROOF)), redirect(Place::Port)],
            )
            .where_git_fails([128, 128, 1]),
            row("by another name", vec![demand(Of::Any), redirect(Place::Host)]).where_git_fails([128; 3]),
            row("at another path", vec![demand(Of::Any), redirect(Place::Path)])
                .where_git_fails([128, 128, 1]),
        ],
    );
}
