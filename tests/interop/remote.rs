//! `remote` and `pull` over real servers: what asks one without a fetch, and what fetches.

use crate::support::{Case, Kind, Stream, build, script};

/// The repository that is served.
const NAME: &str = "project.git";

fn scenario(case: &Case) {
    build::project(&case.sandbox, &case.served(NAME), case.format, 12);
    case.refresh(NAME);
    let (url, twin) = (case.url(NAME), case.twin());
    twin.prepare(|client| {
        case.sandbox.git(client, &["clone", "-q", &url, "copy"]).success();
        case.sandbox.git(&client.join("copy"), &["branch", "-q", "own", "HEAD~1"]).success();
    });
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file("new", "new\n").branch("fresh", "refs/heads/main");
    stream.import(&case.sandbox, &case.served(NAME));
    case.sandbox.git(&case.served(NAME), &["update-ref", "-d", "refs/heads/topic"]).success();
    case.refresh(NAME);
    let text = format!(
        "= remote show origin
         = remote set-head origin -a
         = remote prune -n origin
         = remote prune origin
         = remote add -f -m main second {url}
         = remote update
         = pull
         = pull --rebase second fresh
         = pull -q"
    );
    script::play(&case.sandbox, &twin, &text);
}

#[test]
fn remotes_are_asked_and_pulled_from() {
    for kind in [Kind::File, Kind::Daemon, Kind::Ssh, Kind::Apache] {
        crate::once(kind, scenario);
    }
}
