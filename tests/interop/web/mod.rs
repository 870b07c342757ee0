//! HTTP in every situation, as tables: each row is given to gitr and to C git at the same server, and a clone, a fetch
//! and a push have to end in the same way, with the same words, with the same questions to a credential helper, and with no
//! more requests.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::BString;

use crate::support::gateway::{Gateway, Rule, Seen};
use crate::support::servers::port_of;
use crate::support::{Format, Git, Kind, Run, Sandbox, Stream, Twin, build, state};

mod cut;
mod login;
mod redirect;
mod secret;
mod secure;
mod trouble;

/// The repository that is served.
const NAME: &str = "project.git";
/// What a row is given, command by command; `<url>` is the row's.
const ORDERS: [&[&str]; 3] = [
    &["clone", "<url>", "new"],
    &["fetch", "<url>", "refs/heads/more:refs/heads/more"],
    &["push", "<url>", "refs/heads/work"],
];

/// One situation.
pub(super) struct Row {
    /// What it is.
    name: &'static str,
    /// What the gateway does before it lets anybody through.
    gate: Vec<Rule>,
    /// What stands before the host in the URL, and what before the path.
    user: &'static str,
    below: String,
    /// Where it is, if not where all are.
    host: Option<&'static str>,
    scheme: Option<&'static str>,
    /// `-c` settings.
    settings: Vec<String>,
    /// Options of each command.
    options: &'static [&'static str],
    /// What a credential helper knows.
    helper: Option<&'static str>,
    /// How the three commands end.
    ends: [i32; 3],
    /// How they end for C git, where it does what gitr does not, or the other way round.
    git_ends: Option<[i32; 3]>,
    /// How many requests gitr makes, where that is not just no more than C git's.
    requests: Option<[usize; 3]>,
    /// Whether the words are the same too.
    words: Words,
    /// Whether gitr tells helpers more than C git does: what it can take, and what the server said.
    tells_more: bool,
}

/// How the words of the two compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// They are the same.
    Same,
    /// C git's are those of its TLS library, or nobody's, and ours have to contain these.
    Own(&'static str),
}

/// A row in which all goes well and nothing is unusual.
pub(super) fn row(name: &'static str, gate: Vec<Rule>) -> Row {
    Row {
        name,
        gate,
        user: "",
        below: "git".to_owned(),
        host: None,
        scheme: None,
        settings: Vec::new(),
        options: &[],
        helper: None,
        ends: [0; 3],
        git_ends: None,
        requests: None,
        words: Words::Same,
        tells_more: false,
    }
}

impl Row {
    /// The user in the URL, with `@`.
    fn user(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    /// The repository is asked for where it was before.
    fn moved(self) -> Self {
        self.below("moved/git")
    }

    fn below(self, below: impl Into<String>) -> Self {
        Self { below: below.into(), ..self }
    }

    fn host(self, host: &'static str) -> Self {
        Self { host: Some(host), ..self }
    }

    fn scheme(self, scheme: &'static str) -> Self {
        Self { scheme: Some(scheme), ..self }
    }

    fn with(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// With `-q`.
    fn quiet(self) -> Self {
        Self { options: &["-q"], ..self }
    }

    /// There is a helper that answers with these lines.
    fn helper(self, lines: &'static str) -> Self {
        Self { helper: Some(lines), ..self }
    }

    /// All three commands fail.
    fn fails(self) -> Self {
        self.ends([128, 128, 128])
    }

    fn ends(self, ends: [i32; 3]) -> Self {
        Self { ends, ..self }
    }

    /// gitr does what C git fails in.
    fn where_git_fails(self, ends: [i32; 3]) -> Self {
        Self { git_ends: Some(ends), ..self }
    }

    /// C git does what gitr does not dare.
    fn where_git_dares(self) -> Self {
        Self { ends: [128; 3], git_ends: Some([0; 3]), ..self }
    }

    /// gitr makes so many requests, each time a situation is tried.
    fn requests(self, requests: [usize; 3]) -> Self {
        Self { requests: Some(requests), ..self }
    }

    fn tells_more(self) -> Self {
        Self { tells_more: true, ..self }
    }

    fn own_words(self, words: &'static str) -> Self {
        Self { words: Words::Own(words), ..self }
    }
}

/// A served repository, both clients, and what is between them.
pub(super) struct Bench<'a> {
    sandbox: &'a Sandbox,
    /// A copy that lacks what is fetched and has what is pushed.
    template: PathBuf,
    /// What the recording helper heard.
    heard: PathBuf,
    helper: PathBuf,
}

/// What one command did.
struct Deed {
    run: Run,
    requests: usize,
    /// For messages.
    told: Vec<String>,
    heard: String,
    after: BString,
}

/// Serves a repository by a server of `kind` with a gateway before it, and goes through the `rows`.
///
/// # Panics
/// If the clients differ in any; all are tried.
pub(super) fn over_gateway(kind: Kind, rows: Vec<Row>) {
    let sandbox = Sandbox::new();
    let Some(server) = kind.start(&sandbox, Git::reference()) else { return };
    let bench = Bench::new(&sandbox);
    server.refresh(&sandbox, NAME, Format::Sha1);
    let gateway = Gateway::before(port_of(&server.url(NAME)));
    let begin = |row: &Row| gateway.set(&row.gate);
    let requests = || gateway.seen().iter().map(shown).collect();
    bench.go_through(
        rows,
        &Place { gateway_port: Some(gateway.port), base: String::new() },
        &begin,
        &requests,
    );
}

/// A request as messages show it.
fn shown(seen: &Seen) -> String {
    let scheme = seen.authorization.as_deref().and_then(|value| value.split(' ').next());
    let place = if seen.at_other { " at the other port" } else { "" };
    format!("{}{place} [{}] {}", seen.line, scheme.unwrap_or("nobody"), seen.status)
}

/// How rows reach the server.
pub(super) struct Place {
    gateway_port: Option<u16>,
    /// The URL up to the path, where there is no gateway.
    base: String,
}

impl Place {
    fn url(&self, row: &Row) -> String {
        if let Some(port) = self.gateway_port {
            return format!("http://{}127.0.0.1:{port}/{}/{NAME}", row.user, row.below);
        }
        let (scheme, authority) = self.base.split_once("://").expect("it is a URL");
        let authority = authority.replace("localhost", row.host.unwrap_or("localhost"));
        format!("{}://{}{authority}/{}/{NAME}", row.scheme.unwrap_or(scheme), row.user, row.below)
    }
}

impl<'a> Bench<'a> {
    /// A repository that takes pushes, and what both clients begin with.
    pub(super) fn new(sandbox: &'a Sandbox) -> Self {
        let served = sandbox.path("served").join(NAME);
        build::project(sandbox, &served, Format::Sha1, 8);
        sandbox.git(&served, &["config", "http.receivepack", "true"]).success();
        sandbox.git(&served, &["repack", "-adq"]).success();
        let template = sandbox.path("template.git");
        build::copy(sandbox, &served, &template);
        let mut stream = Stream::onto("main");
        stream.branch("more", "refs/heads/main").commit("more", 300).file("more", "more\n");
        stream.import(sandbox, &served);
        let mut stream = Stream::onto("main");
        stream.branch("work", "refs/heads/main").commit("work", 400).file("work", build::noise(70_000));
        stream.import(sandbox, &template);
        let (heard, helper) = (sandbox.path("heard"), sandbox.path("helper"));
        Self { sandbox, template, heard, helper }
    }

    /// Gives each row to both.
    pub(super) fn go_through(
        &self,
        rows: Vec<Row>,
        place: &Place,
        begin: &dyn Fn(&Row),
        requests: &dyn Fn() -> Vec<String>,
    ) {
        let mut wrong = Vec::new();
        for row in rows {
            let url = place.url(&row);
            let ends = row.ends.into_iter().zip(row.git_ends.unwrap_or(row.ends));
            for (number, (order, ends)) in ORDERS.iter().zip(ends).enumerate() {
                let twin = Twin::new(self.sandbox, 2, Vec::new());
                let [theirs, ours] = [false, true].map(|is_ours| {
                    begin(&row);
                    let before = requests().len();
                    self.attempt((&twin, is_ours), &row, order, &url, &|| requests().split_off(before))
                });
                let differences = compare(&row, &ours, &theirs, ends, row.requests.map(|all| all[number]));
                wrong.extend(differences.map(|what| format!("{}: {}: {what}", row.name, order[0])));
            }
        }
        assert!(wrong.is_empty(), "{} commands differ\n{}", wrong.len(), wrong.join("\n\n"));
    }

    /// One command of one client.
    fn attempt(
        &self,
        (twin, is_ours): (&Twin<'_>, bool),
        row: &Row,
        order: &[&str],
        url: &str,
        requests: &dyn Fn() -> Vec<String>,
    ) -> Deed {
        fs::remove_file(&self.heard).ok();
        let directory = if is_ours { &twin.ours } else { &twin.theirs };
        let is_clone = order[0] == "clone";
        if !is_clone {
            copy_tree(&self.template, &directory.join("copy.git"));
        }
        let mut options: Vec<String> = row.settings.clone();
        options.extend(row.helper.map(|lines| {
            let (heard, helper) = (self.heard.display(), self.helper.display());
            fs::write(&self.helper, lines).expect("the sandbox can be written");
            format!(
                "credential.helper=!f() {{ (echo \"$1:\"; cat) >>'{heard}'; \
                 if test $1 = get; then cat '{helper}'; fi; }}; f"
            )
        }));
        let options = options.iter().flat_map(|setting| ["-c", setting]);
        let (command, rest) = order.split_at(1);
        let words = command
            .iter()
            .chain(row.options)
            .chain(rest)
            .map(|&word| if word == "<url>" { url } else { word });
        let arguments: Vec<&str> = options.chain(words).collect();
        let at = if is_clone { "" } else { "copy.git" };
        let run = if is_ours { twin.gitr(at, &arguments) } else { twin.git(at, &arguments) };
        let told = requests();
        let heard = fs::read_to_string(&self.heard).unwrap_or_default();
        let after = self.after(directory, is_clone, is_ours);
        Deed { run, requests: told.len(), told, heard, after }
    }

    /// What a command left, here and there; the server's repository is then as it was before.
    fn after(&self, directory: &Path, is_clone: bool, is_ours: bool) -> BString {
        let here = directory.join(if is_clone { "new" } else { "copy.git" });
        let work = self.sandbox.path("served").join(NAME).join("refs/heads/work");
        let mut after = BString::from(format!("pushed: {}\n", fs::read_to_string(&work).unwrap_or_default()));
        fs::remove_file(&work).ok();
        if !here.exists() {
            after.extend_from_slice(b"there is no repository\n");
            return after;
        }
        for (part, text) in state::without_work_tree(self.sandbox, &here) {
            after.extend_from_slice(format!("{part}: {text}\n").as_bytes());
        }
        if is_ours {
            self.sandbox.git(&here, &["fsck", "--full"]).success();
            assert_eq!(state::leftovers(directory), Vec::<PathBuf>::new(), "files were left");
        }
        after
    }
}

/// What differs that should not; `None` if nothing does. `ends` is how ours has to end, and theirs.
fn compare(
    row: &Row,
    ours: &Deed,
    theirs: &Deed,
    ends: (i32, i32),
    requests: Option<usize>,
) -> Option<String> {
    let told = || format!("\n{:?}\n{:#?}\n== git\n{:?}\n{:#?}", ours.run, ours.told, theirs.run, theirs.told);
    if (ours.run.status, theirs.run.status) != ends {
        return Some(format!("they do not end with {ends:?}{}", told()));
    }
    if requests.is_some_and(|requests| requests != ours.requests) {
        return Some(format!("{} requests{}", ours.requests, told()));
    }
    let is_alike = ends.0 == ends.1;
    let is_said = match row.words {
        Words::Same => !is_alike || said(&ours.run) == said(&theirs.run),
        Words::Own(words) => ours.run.complains_of(words),
    };
    if !is_said {
        return Some(format!("other words{}", told()));
    }
    if !is_alike {
        return None; // what is done and what is not have nothing else in common
    }
    if requests.is_none() && ours.requests > theirs.requests {
        return Some(format!("more requests{}", told()));
    }
    let heard = |deed: &Deed| heard(row, &deed.heard);
    if heard(ours) != heard(theirs) {
        return Some(format!("the helper heard\n{}\n== git\n{}{}", ours.heard, theirs.heard, told()));
    }
    (ours.after != theirs.after)
        .then(|| format!("it leaves\n{}\n== git\n{}{}", ours.after, theirs.after, told()))
}

/// What a command said. A push that failed in the transport says so at its end, where C git says that all is well.
fn said(run: &Run) -> (Vec<u8>, String) {
    let ends =
        ["send-pack: unexpected disconnect", "Everything up-to-date", "error: failed to push some refs to"];
    let stderr = run.stderr.to_string();
    let lines =
        stderr.lines().filter(|line| run.status == 0 || !ends.iter().any(|end| line.starts_with(end)));
    (run.stdout.to_vec(), lines.collect::<Vec<_>>().join("\n"))
}

/// What a helper heard, as far as it has to be the same.
fn heard(row: &Row, text: &str) -> String {
    let more = ["capability[]=", "wwwauth[]="];
    let is_kept = |line: &&str| !row.tells_more || !more.iter().any(|name| line.starts_with(name));
    let text = text.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
    // a password that was never sent is not forgotten either
    let end = text.find("erase:").filter(|_| row.words != Words::Same).unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// A copy of a repository, whose objects are linked.
fn copy_tree(from: &Path, to: &Path) {
    for path in state::everything(from) {
        let target = to.join(path.strip_prefix(from).expect("it is below"));
        if path.is_dir() {
            fs::create_dir_all(&target).expect("the sandbox can be written");
        } else if path.components().any(|part| part.as_os_str() == "objects") {
            fs::hard_link(&path, &target).expect("it is one file system");
        } else {
            fs::copy(&path, &target).expect("the sandbox can be written");
        }
    }
}
