//! Helper programs of a few lines.

use std::ops::ControlFlow;

use super::super::tests::{Sandbox, Table, first_line, parse};
use super::*;

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Progress for Warnings {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Warning(text) = event {
            self.0.push(text.to_owned());
        }
        ControlFlow::Continue(())
    }
}

/// A sandbox with the program `git-remote-x` that answers as `script`, the arms of a `case`, says.
fn sandbox(script: &str) -> (Sandbox, Table) {
    let sandbox = Sandbox::new();
    let text = format!(
        "#!/bin/sh\nlog=$(dirname \"$0\")/log\necho \"$# $* $GIT_DIR\" >\"$log\"\nwhile read -r line; do\necho \"$line\" >>\"$log\"\n\
         case \"$line\" in\n{script}\n'') ;;\n*) echo '?what' ;;\nesac\ndone\n"
    );
    sandbox.script("git-remote-x", &text);
    let path = sandbox.environment().into_iter().find(|(name, _)| name == "PATH").expect("it is set").1;
    let path = format!("{}:{}", sandbox.path().display(), path.to_str().expect("text"));
    let settings = Table::new(&[], &[("PATH", &path)]).within(&sandbox);
    (sandbox, settings)
}

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path().join("log")).expect("it ran")
}

fn begin(settings: &Table, options: Options) -> Result<Helper, Error> {
    start(&parse("x::some where"), settings, options, &mut Warnings::default())
}

#[test]
fn told_where_it_is_and_what_is_wished() {
    let (sandbox, settings) = sandbox(
        "capabilities) echo option; echo fetch; echo ;;\noption*p*) echo ok ;;\noption*) echo nonsense ;;",
    );
    let options = Options {
        remote: Some("origin".into()),
        git_dir: Some("/some/.git".into()),
        helper_options: vec![("progress", "true".into()), ("verbosity", "1".into())],
        ..Options::default()
    };
    let mut warnings = Warnings::default();
    let mut helper = start(&parse("x::some where"), &settings, options, &mut warnings).expect("it starts");
    assert_eq!(warnings.0, ["x unexpectedly said: 'nonsense'"]);
    assert_eq!(helper.set("depth", "1".into(), &mut warnings).expect("it answers"), Answer::Ok);
    let two_lines = helper.set("push-option", "a\nlist".into(), &mut warnings).expect("it is not asked");
    assert_eq!(two_lines, Answer::Unsupported);
    drop(helper);
    let expected = "2 origin some where /some/.git\ncapabilities\noption progress true\noption verbosity 1\noption depth 1\n";
    assert_eq!(log(&sandbox), expected);
}

#[test]
fn connected_by_a_program_that_remembers() {
    let (sandbox, settings) = sandbox(
        "capabilities) echo '*connect'; echo ;;\nconnect*) echo; exec git upload-pack \"$(dirname \"$0\")/r.git\" ;;",
    );
    sandbox.repository("r.git");
    let helper = begin(&settings, Options::default()).expect("it starts");
    let way = helper.connect(Service::UploadPack, Version::V2, &mut Warnings::default()).expect("connected");
    let Way::Wire(mut transport) = way else { unreachable!("it can connect") };
    let mut connect = || transport.connect(Service::UploadPack, Version::V2, &mut Warnings::default());
    let mut connection = connect().expect("it is there");
    assert!(connection.is_stateful());
    assert!(first_line(&mut *connection).contains(" HEAD\0"));
    connection.exchange(b"0000", &mut Warnings::default()).expect("goodbye");
    connection.close().expect("it ends well");
    assert!(connect().is_err(), "there is only one");
}

#[test]
fn connected_by_a_program_that_does_not_remember() {
    let (_sandbox, settings) = sandbox(
        "capabilities) echo stateless-connect; echo ;;\nstateless-connect*) echo\nprintf '000eversion 2\\n0000'\n\
         for a in 1 2; do head -c 4 >/dev/null; printf '0006a'$a'00000002'; done; exit ;;",
    );
    let helper = begin(&settings, Options::default()).expect("it starts");
    let way = helper.connect(Service::UploadPack, Version::V2, &mut Warnings::default()).expect("connected");
    let Way::Wire(mut transport) = way else { unreachable!("it can connect") };
    let mut connection =
        transport.connect(Service::UploadPack, Version::V2, &mut Warnings::default()).expect("it is there");
    assert!(!connection.is_stateful());
    assert_eq!(first_line(&mut *connection), "version 2\n");
    let mut rest = [0; 4];
    connection.greeting().expect("more of it").read_exact(&mut rest).expect("a flush-pkt");
    for expected in ["0006a10000", "0006a20000"] {
        let mut answer = String::new();
        let reader = connection.exchange(b"0000", &mut Warnings::default()).expect("it is said");
        reader.read_to_string(&mut answer).expect("it ends");
        assert_eq!(answer, expected);
    }
    connection.close().expect("it ends well");
}

#[test]
fn what_cannot_connect_works_by_its_own_commands() {
    let id = "1".repeat(40);
    let (sandbox, settings) = sandbox(&format!(
        "capabilities) printf '%s\\n' connect fetch push check-connectivity option ''; ;;\nconnect*) echo fallback ;;\n\
         option*) echo ok ;;\nlist*) echo '{id} refs/heads/main'; echo '@refs/heads/main HEAD'; echo ;;\n\
         fetch*) while read -r line && test -n \"$line\"; do echo \"$line\" >>\"$log\"; done\n\
         : >pack-1.keep; echo lock $PWD/pack-1.keep; echo lock $PWD/log; echo connectivity-ok; echo ;;\n\
         push*) while read -r line && test -n \"$line\"; do echo \"$line\" >>\"$log\"; done\n\
         echo ok refs/heads/a; echo error refs/heads/b why not; echo ;;"
    ));
    let options = Options {
        upload_pack: Some("/a \"b\"".into()),
        directory: Some(sandbox.path().to_owned()),
        ..Options::default()
    };
    let mut warnings = Warnings::default();
    let helper = begin(&settings, options).expect("it starts");
    let way = helper.connect(Service::UploadPack, Version::V2, &mut warnings).expect("it falls back");
    let Way::Program(mut helper) = way else { unreachable!("it cannot connect") };
    let listing = helper.list(Purpose::Fetch, &mut warnings).expect("two refs");
    assert_eq!(listing.refs.len(), 2);
    helper.list(Purpose::Push, &mut warnings).expect("the same");
    helper.ask_connectivity(&mut warnings).expect("it is asked");
    let wants = listing.refs.iter().map(|r| (r.id.expect("an id"), r.name.clone())).collect::<Vec<_>>();
    let fetched = helper.fetch(&wants, &mut warnings).expect("done");
    assert!(fetched.is_connected && fetched.keep.len() == 1);
    assert!(sandbox.path().join("pack-1.keep").exists());
    drop(fetched);
    assert!(!sandbox.path().join("pack-1.keep").exists() && sandbox.path().join("log").exists());
    let change = |source: Option<&str>, name: &str, force| Change {
        source: source.map(BString::from),
        destination: name.into(),
        force,
    };
    let changes = [change(Some("HEAD"), "refs/heads/a", true), change(None, "refs/heads/b", true)];
    let reports = helper.push(&changes, &mut warnings).expect("reported");
    assert_eq!((reports.list.len(), reports.is_cut), (2, false));
    assert_eq!(reports.list.last().and_then(|report| report.why.clone()), Some("why not".into()));
    drop(helper);
    assert_eq!(warnings.0, [format!("x unexpectedly said: 'lock {}/log'", sandbox.path().display())]);
    let log = log(&sandbox);
    let said: Vec<&str> = log.lines().skip(2).collect();
    let (main, head) = (format!("fetch {id} refs/heads/main"), format!("fetch {id} HEAD"));
    assert_eq!(
        said,
        [
            r#"option servpath "/a \"b\"""#,
            "connect git-upload-pack",
            "list",
            "list for-push",
            "option check-connectivity true",
            &main,
            &head,
            "push +HEAD:refs/heads/a",
            "push :refs/heads/b",
        ]
    );
}

#[test]
fn one_that_ends_is_an_error() {
    let (_sandbox, settings) = sandbox("capabilities) exit 1 ;;");
    let error = begin(&settings, Options::default()).err().expect("it ended");
    assert_eq!(error.to_string(), "remote helper 'x' aborted session");

    let (_sandbox, settings) = sandbox("capabilities) echo connect; echo ;;\nconnect*) exit 3 ;;");
    let helper = begin(&settings, Options::default()).expect("it starts");
    let way = helper.connect(Service::UploadPack, Version::V2, &mut Warnings::default());
    assert!(matches!(way, Err(Error::HelperEnded(name)) if name == "x"));
}

#[test]
fn an_answer_that_is_none_is_quoted() {
    let (_sandbox, settings) = sandbox("capabilities) echo connect; echo ;;\nconnect*) echo well ;;");
    let helper = begin(&settings, Options::default()).expect("it starts");
    let way = helper.connect(Service::UploadPack, Version::V2, &mut Warnings::default());
    assert_eq!(way.err().expect("it is none").to_string(), "unknown response to connect: well");
}

#[test]
fn a_line_has_a_limit() {
    let (_sandbox, settings) = sandbox("capabilities) head -c 1000000 /dev/zero | tr '\\0' x; echo; echo ;;");
    let error = begin(&settings, Options::default()).err().expect("it is too long");
    assert_eq!(error.to_string(), "received more than 65536 bytes in a line of a remote helper");
}

#[test]
fn one_that_is_not_there_is_named_as_git_names_it() {
    let (_sandbox, settings) = sandbox("");
    let start = |url: &str| start(&parse(url), &settings, Options::default(), &mut Warnings::default());
    let error = start("nosuch::p").err().expect("it is missing");
    let expected = "'remote-nosuch' is not a git command. See 'git --help'.\nfatal: remote helper 'nosuch' aborted session";
    assert_eq!(error.to_string(), expected);
    let error = start("ext::true").err().expect("it is forbidden");
    assert_eq!(error.to_string(), "transport 'ext' not allowed");
}
