//! Connections that end too early: at, before and behind every border of what the server says.

use bstr::ByteSlice;

use super::{Bench, NAME, ORDERS, compare, row, shown};
use crate::support::gateway::{Act, Gateway, Of, Rule, Then, every, first};
use crate::support::servers::port_of;
use crate::support::{Format, Git, Kind, Sandbox, Twin};

#[test]
fn a_clone_is_cut_at_every_border() {
    cut_everywhere(ORDERS[0]);
}

#[test]
fn a_push_is_cut_at_every_border() {
    cut_everywhere(ORDERS[2]);
}

/// Gives `order` to both as often as there are places to cut its conversation, and compares.
fn cut_everywhere(order: &[&str]) {
    let sandbox = Sandbox::new();
    let Some(server) = Kind::Apache.start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    server.refresh(&sandbox, NAME, Format::Sha1);
    let gateway = Gateway::before(port_of(&server.url(NAME)));
    let url = format!("http://127.0.0.1:{}/git/{NAME}", gateway.port);
    let requests = || gateway.seen().iter().map(shown).collect();
    let both = |name, gate: Vec<_>| {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let row = row(name, gate);
        let deeds = [false, true].map(|is_ours| {
            gateway.set(&row.gate);
            bench.attempt((&twin, is_ours), &row, order, &url, &requests)
        });
        (row, deeds)
    };
    let (row, [theirs, ours]) = both("whole", Vec::new());
    assert_eq!(compare(&row, &ours, &theirs, (0, 0), None), None);
    let answers: Vec<_> = gateway.seen().into_iter().map(|seen| seen.answer).collect();
    let mut wrong = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        for place in places(answer) {
            let (row, [theirs, ours]) = both("cut", cut(&answers, number, place));
            let row = row.own_words("");
            let end = theirs.run.status;
            // C git takes the beginning of a header for all of an answer that says nothing, and goes on as if the server
            // knew the dumb protocol alone
            let is_misread = number == 0 && (first_line(answer)..head(answer)).contains(&place);
            // C git's pushes may come twice
            let is_repeated = order[0] == "push" && number == 1 && place < first_line(answer);
            let ends = match (is_misread, is_repeated) {
                (true, _) => (128, end),
                (false, true) => (1, end),
                (false, false) => (end, end),
            };
            let what = compare(&row, &ours, &theirs, ends, None);
            let len = answer.len();
            wrong.extend(what.map(|what| format!("answer {number} ends at {place} of {len}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{} cuts differ\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The rules that give all of `answers` but for the one with this `number`, which ends at `place` the first time.
fn cut(answers: &[Vec<u8>], number: usize, place: usize) -> Vec<Rule> {
    let begun = answers[number][..place].to_vec();
    let whole = answers.iter().enumerate();
    let whole = whole.map(|(step, bytes)| every(Of::Step(step), Act::Replay(bytes.clone(), Then::More)));
    [first(1, Of::Step(number), Act::Replay(begun, Then::End))].into_iter().chain(whole).collect()
}

/// Before, at and behind each border: of the first line, of the header, of the first packets and the last, and of the
/// whole.
fn places(answer: &[u8]) -> Vec<usize> {
    let mut packets = Vec::new();
    let mut place = head(answer);
    while let Some(digits) = answer.get(place..place + 4) {
        let len = digits.to_str().ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(len) = len else { break };
        place += len.max(4);
        packets.push(place);
    }
    let ends = packets.iter().rev().take(2).chain(packets.iter().take(2));
    let borders = [1, first_line(answer), head(answer)].into_iter().chain(ends.copied());
    let around = borders.flat_map(|border| [border - 1, border, border + 1]);
    let mut places: Vec<usize> = around.filter(|&at| at < answer.len()).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The length of the first line.
fn first_line(answer: &[u8]) -> usize {
    answer.find("\r\n").expect("there is a line") + 2
}

/// The length of the header.
fn head(answer: &[u8]) -> usize {
    answer.find("\r\n\r\n").expect("there is a header") + 4
}
