//! Requests that are whole and mean no good: what they get is an answer of git's, and the server is what it was before.

use bstr::ByteSlice as _;

use crate::bounds::Guarded;
use crate::client::{fetch, get, packets, post};
use crate::support::{Run, Stream, build};

/// A request for objects with `line` among its arguments.
fn fetch_with(line: &str, want: &str) -> Vec<u8> {
    packets(&["command=fetch", "0001", "ofs-delta", line, want, "done", "0000"])
}

#[test]
fn nothing_that_was_asked_comes_back_as_a_command_to_a_terminal() {
    let mut server = Guarded::start(&[]);
    server.sandbox.git(&server.repository(), &["config", "transfer.advertiseObjectInfo", "true"]).success();
    server.sandbox.git(&server.repository(), &["config", "uploadpack.advertiseBundleURIs", "true"]).success();
    server.sandbox.git(&server.repository(), &["config", "uploadpack.allowRefInWant", "true"]).success();
    let want = format!("want {}\n", server.tip());
    let evil = "\u{1b}]0;x\u{7}\u{1b}[2J";
    for body in [
        packets(&[&format!("command={evil}"), "0000"]),
        packets(&["command=ls-refs", &format!("agent={evil}"), &format!("nonsense={evil}"), "0000"]),
        packets(&["command=ls-refs", &format!("object-format={evil}"), "0000"]),
        packets(&["command=ls-refs", "0001", evil, "0000"]),
        packets(&["command=object-info", "0001", evil, "0000"]),
        packets(&["command=object-info", "0001", &format!("oid {evil}"), "0000"]),
        packets(&["command=bundle-uri", "0001", evil, "0000"]),
        fetch_with(evil, &want),
        fetch_with(&format!("want-ref {evil}"), &want),
        fetch_with(&format!("filter {evil}"), &want),
        fetch_with(&format!("deepen-not {evil}"), &want),
        fetch_with(&format!("deepen {evil}"), &want),
        fetch_with(&format!("want {evil}"), &want),
        fetch_with(&format!("have {evil}"), &want),
        fetch_with(&format!("shallow {evil}"), &want),
        evil.as_bytes().to_vec(),
    ] {
        let answer = post(server.port(), &body);
        let head = &answer.body[..answer.body.find("PACK").unwrap_or(answer.body.len())];
        let is_clean = !head.contains_str("\u{1b}") && !head.contains(&7);
        assert!(is_clean, "{:?}: {:?}", body.as_bstr(), head.as_bstr());
    }
    server.is_as_before();
    assert!(!server.server.log().contains('\u{1b}'), "{:?}", server.server.log());
}

#[test]
fn filters_and_depths_without_measure_are_answered() {
    let mut server = Guarded::start(&[]);
    server.sandbox.git(&server.repository(), &["config", "uploadpack.allowFilter", "true"]).success();
    let mut stream = Stream::onto("main");
    stream.commit("main", 200).file("sparse", "/*/a\n".repeat(1 << 20));
    stream.import(&server.sandbox, &server.repository());
    let want = format!("want {}\n", server.tip());
    let nested = (0..2_000).fold("blob:none".to_owned(), |inner, _| format!("combine:{inner}"));
    let wide = format!("combine:{}", vec!["blob:none"; 6_000].join("+"));
    for line in [
        format!("filter {nested}"),
        format!("filter {wide}"),
        "filter sparse:oid=main:sparse".to_owned(),
        "filter tree:999999999999999999999".to_owned(),
        "filter tree:4294967295".to_owned(),
        "filter blob:limit=99999999999999999999g".to_owned(),
        "filter combine:%".to_owned(),
        "deepen 2147483647".to_owned(),
        "deepen 99999999999999999999".to_owned(),
        "deepen -1".to_owned(),
        "deepen-since 0".to_owned(),
        "deepen-since 99999999999999999999".to_owned(),
    ] {
        let answer = post(server.port(), fetch_with(&line, &want));
        let ends = ["PACK", "ERR ", "\u{3}aborting due to"];
        let is_told = ends.iter().any(|end| answer.body.contains_str(end));
        let text = &answer.body[..answer.body.len().min(300)];
        assert!(
            answer.status < 500 && answer.is_whole && is_told,
            "{line:.80} {} {:?} {}",
            answer.status,
            text.as_bstr(),
            server.server.log()
        );
        server.is_as_before();
    }
}

/// Each tag is peeled once, not once for each of those that lead to it.
#[test]
fn tags_of_tags_and_prefixes_of_refs_are_answered() {
    let mut server = Guarded::start(&[]);
    let mut stream = String::new();
    for number in 0..5_000 {
        let from = if number == 0 { "refs/heads/main^0".to_owned() } else { format!(":{number}") };
        let mark = number + 1;
        let tagger = "tagger A <a@example.com> 1000000000 +0000";
        stream += &format!("tag t{number}\nmark :{mark}\nfrom {from}\n{tagger}\ndata 1\nx\n");
    }
    let mut command = server.sandbox.command("git");
    command.current_dir(server.repository()).args(["fast-import", "--quiet"]);
    Run::with_input(&mut command, stream.as_bytes()).success();
    let listed = post(server.port(), packets(&["command=ls-refs", "0001", "peel", "0000"]));
    let tip = server.sandbox.git(&server.repository(), &["rev-parse", "main"]).line();
    for number in [0, 900, 4_999] {
        let line = format!("refs/tags/t{number} peeled:{tip}\n");
        assert!(listed.is_whole && listed.body.contains_str(&line), "{line}: {}", listed.body.len());
    }
    let id = server.sandbox.git(&server.repository(), &["rev-parse", "t4999"]).line();
    let asked = post(server.port(), fetch(&id));
    assert!(
        asked.status == 200 && asked.is_whole && asked.body.contains_str("PACK"),
        "{}",
        server.server.log()
    );
    let mut haves = vec!["command=fetch".to_owned(), "0001".to_owned(), format!("want {id}")];
    let all =
        server.sandbox.git(&server.repository(), &["for-each-ref", "--format=have %(objectname)"]).success();
    haves.extend(all.stdout.lines().map(|line| line.to_str_lossy().into_owned()));
    haves.extend(["done".to_owned(), "0000".to_owned()]);
    let lines: Vec<&str> = haves.iter().map(String::as_str).collect();
    let asked = post(server.port(), packets(&lines));
    assert!(
        asked.status == 200 && asked.is_whole && asked.body.contains_str("PACK"),
        "{}",
        server.server.log()
    );
    // as many prefixes as are taken, of which the last matches
    let mut body = packets(&["command=ls-refs", "0001"]);
    for number in 1..65_535 {
        body.extend(packets(&[&format!("ref-prefix refs/tags/none{number}")]));
    }
    body.extend(packets(&["ref-prefix refs/heads/main", "0000"]));
    let listed = post(server.port(), body);
    assert!(listed.status == 200 && listed.body.ends_with(b" refs/heads/main\n0000"), "{listed:?}");
    server.is_as_before();
}

/// What hidden refs lead to can be had in version 2 by who knows the id, as from C git, unless wants are strict.
#[test]
fn hidden_history_is_not_to_be_had_where_wants_are_strict() {
    let mut server = Guarded::start(&[]);
    let repository = server.repository();
    server.sandbox.git(&repository, &["config", "transfer.hideRefs", "refs/hidden"]).success();
    let old = server.sandbox.git(&repository, &["rev-parse", "main~3"]).line();
    let tree = server.sandbox.git(&repository, &["rev-parse", "main^{tree}"]).line();
    let mut stream = Stream::onto("main");
    stream.commit("main", 300).file("secret", "secret");
    stream.import(&server.sandbox, &repository);
    let hidden = server.tip();
    server.sandbox.git(&repository, &["tag", "-a", "-m", "x", "tag", "main"]).success();
    let tag = server.sandbox.git(&repository, &["rev-parse", "tag"]).line();
    for words in [
        ["update-ref", "refs/hidden/x", "main"],
        ["update-ref", "refs/heads/main", "main~1"],
        ["update-ref", "-d", "refs/tags/tag"],
    ] {
        server.sandbox.git(&repository, &words).success();
    }
    let asked = |id: &str| post(server.port(), fetch(id)).body;
    for id in [&hidden, &tag, &old, &tree] {
        assert!(asked(id).contains_str("PACK"), "{id}");
    }
    server.sandbox.git(&repository, &["config", "gitr.strictWants", "true"]).success();
    // the user who serves allows any, which counts for version 2 now
    assert!(asked(&hidden).contains_str("PACK"));
    server.sandbox.git(&repository, &["config", "uploadpack.allowAnySHA1InWant", "false"]).success();
    for id in [&hidden, &tag] {
        let answer = asked(id);
        assert!(
            answer.contains_str(format!("not our ref {id}")) && !answer.contains_str("PACK"),
            "{answer:?}"
        );
    }
    for id in [&server.tip(), &old, &tree] {
        assert!(asked(id).contains_str("PACK"), "{id}");
    }
    // files have what is hidden in them, too
    let loose = format!("objects/{}/{}", &hidden[..2], &hidden[2..]);
    let files = ["HEAD", "info/refs", "objects/info/packs", &loose];
    let status = |name: &&str| get(server.port(), &format!("/project.git/{name}")).status;
    assert_eq!(files.iter().map(status).collect::<Vec<_>>(), [403; 4]);
    server.sandbox.git(&repository, &["config", "http.getanyfile", "true"]).success();
    assert_eq!(files[..3].iter().map(status).collect::<Vec<_>>(), [200; 3]);
    let url = format!("http://127.0.0.1:{}/project.git", server.port());
    server.sandbox.git(&server.sandbox.path(""), &["clone", "-q", "--mirror", &url, "copy.git"]).success();
    server.is_as_before();
}

#[test]
fn what_was_refused_is_not_to_be_had() {
    let mut server = Guarded::start(&["--enable-receive-pack=anybody"]);
    let repository = server.repository();
    server.sandbox.git(&repository, &["config", "receive.denyDeletes", "true"]).success();
    server.sandbox.git(&repository, &["config", "transfer.hideRefs", "refs/hidden"]).success();
    let copy = server.sandbox.path("copy.git");
    build::project(&server.sandbox, &copy, crate::Format::Sha1, 3);
    let mut stream = Stream::onto("main");
    stream.commit("main", 300).file("secret", "secret");
    stream.import(&server.sandbox, &copy);
    let secret = server.sandbox.git(&copy, &["rev-parse", "main"]).line();
    let url = format!("http://127.0.0.1:{}/project.git", server.port());
    let pushed = server.sandbox.git(&copy, &["push", "-q", &url, "main:refs/hidden/x"]);
    assert!(pushed.status == 1 && pushed.complains_of("deny updating a hidden ref"), "{pushed:?}");
    let asked = post(server.port(), fetch(&secret));
    assert!(asked.body.contains_str(format!("not our ref {secret}")), "{asked:?}");
    server.is_as_before();
    let left = server.sandbox.git(&repository, &["cat-file", "-e", &secret]);
    assert_ne!(left.status, 0);
}
