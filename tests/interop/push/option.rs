//! Push options, and a server that does something else than it was asked: the `proc-receive` hook.

use super::commit;
use crate::support::Pushers;

/// Tells what the server was given.
const TELL_OPTIONS: &str = "cat >/dev/null\nenv | grep ^GIT_PUSH_OPTION | sort\n";

/// A `proc-receive` hook in plain sh, gitprotocol-pack(5) by way of githooks(5): reads pkt-lines byte by byte and
/// writes the report that each case puts behind it.
const PROC_RECEIVE: &str = r#"
line=
read_packet() {
    size=$(dd bs=1 count=4 2>/dev/null)
    test "$size" = 0000 && return 1
    line=$(dd bs=1 count=$((0x$size - 4)) 2>/dev/null | tr '\000' ' ')
}
packet() { printf '%04x%s\n' $((${#1} + 5)) "$1"; }
read_packet
greeting=$line
read_packet
printf '0022version=1\000push-options atomic\n0000'
while read_packet; do
    set -- $line
    old=$1 new=$2 name=$3
    echo "proc-receive: $old $new $name" >&2
    names="$names $name"
done
case $greeting in
*push-options*) while read_packet; do echo "option: $line" >&2; done ;;
esac
"#;

/// Every row, one after the other.
pub(super) fn scenario(pushers: &Pushers<'_>) {
    push_options(pushers);
    rewritten(pushers);
}

/// `--push-option` and `push.pushOption`.
fn push_options(pushers: &Pushers<'_>) {
    pushers.client(&commit("main", 100));
    pushers.breaks(&["push", "-o", "one", "origin", "main"]); // the server does not take any
    pushers.in_server(&["config", "receive.advertisePushOptions", "true"]);
    pushers.server_hook("pre-receive", TELL_OPTIONS);
    pushers.done(&["push", "-o", "one", "--push-option=key=value", "origin", "main"]);
    pushers.done(&["push", "origin", "main:refs/heads/none"]);
    pushers.done(&["-c", "push.pushOption=configured", "push", "origin", "main:refs/heads/configured"]);
    let twice = ["-c", "push.pushOption=a", "-c", "push.pushOption=", "-c", "push.pushOption=b"];
    pushers.done(&[&twice[..], &["push", "origin", "main:refs/heads/reset"]].concat());
    pushers.done(&[&twice[..], &["push", "-o", "given", "origin", "main:refs/heads/given"]].concat());
    pushers.done(&["push", "-o", "", "origin", ":given"]);
    pushers.fatal(&["push", "-o", "two\nlines", "origin", "main:refs/heads/lines"]);
}

/// Refs that the server writes under other names.
fn rewritten(pushers: &Pushers<'_>) {
    pushers.server_hook("pre-receive", "");
    pushers.in_server(&["config", "receive.procReceiveRefs", "refs/for"]);
    pushers.rejected(&["push", "origin", "main:refs/for/main/topic"]); // there is no hook
    let report = |lines: &str| pushers.server_hook("proc-receive", &format!("{PROC_RECEIVE}{lines}"));

    report("for name in $names; do packet \"ok $name\"; done\nprintf 0000\n");
    pushers.done(&["push", "-o", "topic=x", "origin", "main:refs/for/main/topic"]);

    report(
        "packet \"ok $name\"\npacket 'option refname refs/changes/23/123/1'\n\
         packet \"option new-oid $new\"\nprintf 0000\n",
    );
    pushers.done(&["push", "origin", "main:refs/for/main/topic"]);
    pushers.done(&["push", "--porcelain", "origin", "main:refs/for/main/topic", "main:refs/heads/beside"]);

    report(
        "packet \"ok $name\"\npacket 'option refname refs/changes/23/123/2'\n\
         packet \"option old-oid $new\"\npacket \"option new-oid $new\"\npacket 'option forced-update'\nprintf 0000\n",
    );
    pushers.done(&["push", "origin", "main:refs/for/main/topic"]);

    report(
        "packet \"ok $name\"\npacket 'option refname refs/heads/main'\n\
         packet \"ok $name\"\npacket 'option refname refs/changes/24/124/1'\npacket 'option forced-update'\nprintf 0000\n",
    );
    pushers.done(&["push", "origin", "main:refs/for/main/topic"]);

    report("packet \"ok $name\"\npacket 'option fall-through'\nprintf 0000\n");
    pushers.done(&["push", "origin", "main:refs/for/main/through"]);

    report("packet \"ng $name not welcome here\"\nprintf 0000\n");
    pushers.rejected(&["push", "origin", "main:refs/for/main/topic", "main:refs/heads/welcome"]);
    pushers.rejected(&["push", "--atomic", "origin", "main:refs/for/main/topic", "main:refs/heads/atomic"]);

    report("printf 0000\n"); // says nothing of the ref
    pushers.rejected(&["push", "origin", "main:refs/for/main/topic"]);
    report("exit 1\n");
    pushers.rejected(&["push", "--porcelain", "origin", "main:refs/for/main/topic", "main:refs/heads/left"]);
}
