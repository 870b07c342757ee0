//! Servers that want to know who asks.

use super::{Row, over_gateway, row};
use crate::support::Kind;
use crate::support::gateway::{Act, Of, after, every, first};

/// Alice in a helper, and over the wire.
const ALICE: &str = "username=alice\npassword=sesame\n";
const BASIC: Act = Act::Demand("Basic realm=\"git\"", "Basic YWxpY2U6c2VzYW1l");
/// A token in a helper, and over the wire.
const TOKEN: &str = "capability[]=authtype\nauthtype=Bearer\ncredential=t0ken\n";
const BEARER: Act = Act::Demand("Bearer realm=\"git\"", "Bearer t0ken");

fn guarded(name: &'static str, act: Act) -> Row {
    row(name, vec![every(Of::Any, act)])
}

#[test]
fn names_and_passwords() {
    over_gateway(
        Kind::Apache,
        vec![
            guarded("a helper knows", BASIC).helper(ALICE),
            guarded("a helper knows something else", BASIC)
                .helper("username=alice\npassword=wrong\n")
                .fails(),
            guarded("a helper knows the password alone", BASIC).helper("password=sesame\n").fails(),
            guarded("a helper knows nothing", BASIC).helper("").fails(),
            guarded("a helper gives up", BASIC).helper("quit=1\n").fails(),
            guarded("a helper's password is over", BASIC)
                .helper("username=alice\npassword=sesame\npassword_expiry_utc=1\n")
                .fails(),
            guarded("the URL says", BASIC).user("alice:sesame@"),
            guarded("the URL says, and a helper hears", BASIC).user("alice:sesame@").helper(""),
            guarded("the URL says something else", BASIC).user("alice:wrong@").fails(),
            guarded("the URL says something else, and a helper knows", BASIC)
                .user("alice:wrong@")
                .helper(ALICE)
                .fails(),
            guarded("the URL says the name", BASIC).user("alice@").helper(ALICE),
            guarded("the URL says another name", BASIC).user("bob@").helper("password=sesame\n").fails(),
            guarded("nobody knows", BASIC).fails(),
            guarded("nobody may be asked", BASIC).with("credential.interactive=false").fails(),
            guarded("told before anybody asks", BASIC).helper(ALICE).with("http.proactiveAuth=basic"),
            guarded("told before anybody asks, as a helper has it", BASIC)
                .helper(ALICE)
                .with("http.proactiveAuth=auto"),
            guarded("a header says", BASIC).with("http.extraHeader=Authorization: Basic YWxpY2U6c2VzYW1l"),
            guarded("a header says something else", BASIC)
                .with("http.extraHeader=Authorization: Basic d3Jvbmc6d3Jvbmc=")
                .helper(ALICE)
                .fails(),
            guarded("the path belongs to it", BASIC).helper(ALICE).with("credential.useHttpPath=true"),
        ],
    );
}

#[test]
fn tokens() {
    over_gateway(
        Kind::Apache,
        vec![
            guarded("a helper has one", BEARER).helper(TOKEN),
            guarded("a helper has another", BEARER)
                .helper("capability[]=authtype\nauthtype=Bearer\ncredential=other\n")
                .fails(),
            guarded("one for once", BEARER)
                .helper("capability[]=authtype\nauthtype=Bearer\ncredential=t0ken\nephemeral=1\n"),
            guarded("told before anybody asks", BEARER).helper(TOKEN).with("http.proactiveAuth=auto"),
            guarded("a header says", BEARER).with("http.extraHeader=Authorization: Bearer t0ken"),
        ],
    );
}

#[test]
fn questions_that_come_late() {
    // C git says what it can take to the first question alone
    let late = |name, rule| row(name, vec![rule]).helper(ALICE).tells_more();
    over_gateway(
        Kind::Apache,
        vec![
            late("the first POST is asked", every(Of::Post, BASIC)),
            late("the second POST is asked", after(1, Of::Post, BASIC)),
            late("all but the first request", after(1, Of::Any, BASIC)),
            late("one request alone", first(1, Of::Any, BASIC)),
            late(
                "what was right is wrong for POST",
                every(Of::Post, Act::Demand("Basic realm=\"git\"", "Basic x")),
            )
            .ends([128, 128, 1])
            .own_words("fatal: Authentication failed for 'http://"),
        ],
    );
}

#[test]
fn questions_that_come_late_and_that_nobody_can_answer() {
    let row = row("the second POST is asked", vec![after(1, Of::Post, BASIC)]).helper("");
    over_gateway(Kind::Apache, vec![row.ends([128, 128, 0]).own_words("").tells_more()]);
}

#[test]
fn schemes_that_are_not_spoken() {
    let demand = |name, challenge| guarded(name, Act::Demand(challenge, "x")).helper(ALICE).fails();
    over_gateway(
        Kind::Apache,
        vec![
            demand("Bearer for who has a password", "Bearer realm=\"git\"").own_words("fatal: "),
            demand("something new", "Sphinx riddle=\"legs\"").own_words("fatal: "),
            demand("Basic among others", "Sphinx, Basic realm=\"git\""),
        ],
    );
}
