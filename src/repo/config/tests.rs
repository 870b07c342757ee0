//! Configuration as git reads, joins and edits it.

use std::path::Path;
use std::process::{Command, Output};

use bstr::{BString, ByteSlice};
use proptest::prelude::*;

use super::*;

/// An empty home with C git in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn env(&self) -> Environment {
        let mut env = Environment::default();
        env.set("HOME", self.path());
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        env.set("PATH", Environment::from_process().get("PATH").unwrap());
        env
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs git with `env` in the home.
    fn git(&self, env: &Environment, args: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.env_clear().envs(env.vars()).args(args).current_dir(self.path()).output().unwrap()
    }
}

fn change(args: &[&str]) -> Change {
    let arg = |index: usize| BString::from(args[index]);
    match args[0] {
        "--replace-all" => Change::Set(arg(1), arg(2)),
        "--add" => Change::Add(arg(1), arg(2)),
        "--unset-all" => Change::Unset(arg(1)),
        "--remove-section" => Change::RemoveSection(arg(1)),
        "--rename-section" => Change::RenameSection(arg(1), arg(2)),
        other => panic!("{other}"),
    }
}

/// Changes `text` with C git and with [`edit`]; both files must be the same.
fn same_as_git(home: &Home, text: &str, args: &[&str]) {
    home.write("git", text);
    home.write("own", text);
    let output = home.git(&home.env(), &[&["config", "-f", "git"], args].concat());
    let result = edit(&home.path().join("own"), &[change(args)]);
    if !output.status.success() && args[0] != "--unset-all" {
        let git = output.stderr.to_str_lossy();
        let error = result.expect_err(&format!("{text:?} {args:?}: {git}")).to_string();
        assert!(git.contains(error.as_str()), "{text:?} {args:?}: {git} but {error}");
    }
    let read = |name| BString::from(std::fs::read(home.path().join(name)).unwrap());
    assert_eq!(read("own"), read("git"), "{text:?} {args:?}");
    assert!(!home.path().join("own.lock").exists());
}

#[test]
fn edits_leave_the_bytes_that_git_leaves() {
    let texts = [
        "",
        "\n",
        "[a]",
        "[a]\n",
        "[a]\n\n\n",
        "\n\n[a]\n\n\n",
        "[a] ; com\n",
        "[a] ; com\n\tb = 1\n",
        "[a]\n; com\n[d]\n\te = 1\n",
        "[a]\n\tb = 1\n",
        "[a]\n\tb = 1",
        "[a]b = 1",
        "[a]  b = 1 ; com\n",
        "[a]b = 1\n\tc = 2\n",
        "[a]\n\n  b=1\n\n\n\tc=2\n",
        "[a]\n  b=1 ; com\n\n; tail\n[d]\n\te = 1\n",
        "[a]\n\tb = 1\n\tb = 2\n\tc = 3\n",
        "[a]\n\tb = 1\n[c]\n\tx=1\n[a]\n\tb = 2\n\tc = 3\n[f]\n",
        "[a]\n\tb = 1\n[a]\n\tc = 2\n[a]\n",
        "[a]\n\tc = 1\n[a]\n\tb=2\n[a]\n\td=3\n",
        "[A]\n\tB = 1\n[a \"x\"]\n\tc = 1\n",
        "; x\n[a]\n\tb = 1\n",
        "; x\n[a]\n\tb = 1\n; y\n",
        "[x]\n\ty=1\n; x\n[a]\n\tb = 1\n[z]\n\tb = 2\n",
        "[x]\n\ty=1\n\n[a]\n\n\tb = 1\n\n[z]\n\tb = 2\n",
        "[a]\n; x\n\tb = 1\n",
        "[a]\n\tb = 1\\\n2\n\tc=1\n",
        "[a]\n\tb\n\tc\n",
        "[a]\r\n\tb=1\r\n\tc=2\r\n",
        "\u{feff}[a]\n\tb = 1\n",
    ];
    let home = Home::new();
    for text in texts {
        for args in [
            ["--replace-all", "a.b", "x"].as_slice(),
            &["--replace-all", "a.c", "x"],
            &["--replace-all", "A.NewKey", "x"],
            &["--replace-all", "n.b", "x"],
            &["--add", "a.b", "x"],
            &["--add", "a.x.b", "x"],
            &["--unset-all", "a.b"],
            &["--unset-all", "a.c"],
        ] {
            same_as_git(&home, text, args);
        }
    }
}

#[test]
fn sections_go_and_change_their_name_as_git_lets_them() {
    let texts = [
        "[a]\n\tb = 1\n[c \"d\"]\n\te = 1\n[a]\n\tc = 2\n; tail\n",
        "; pre\n[a]\n\tb = 1\n; x\n\n[c \"d\"]\n\tf = 1",
        "[a]b = 1\n[c \"d\"]  f = 1\n[d]",
        "  [a]\n\tb = 1\n  [c \"d\"] ; com\n\td=1\n",
        "[a.B]b = 1\n[a \"B\"]f = 1\n[c \"d\"]\n\n\te = 1\n[c \"d\"]\n\tf = 1\n",
        "[c \"d\"]\r\n\te = 1\r\n[a]\r\n\tb = 2\r\n",
    ];
    let home = Home::new();
    for text in texts {
        for args in [
            ["--remove-section", "a"].as_slice(),
            &["--remove-section", "c.d"],
            &["--remove-section", "a.B"],
            &["--remove-section", "nope.x"],
            &["--rename-section", "c.d", "c.f"],
            &["--rename-section", "c.d", "X.y\"z\\.w"],
            &["--rename-section", "c.d", "x_.y"],
        ] {
            same_as_git(&home, text, args);
        }
    }
}

#[test]
fn a_long_value_cannot_pose_as_a_section() {
    // CVE-2023-29007
    let value = format!("{}[c \"d\"] x = 1", "x".repeat(1100));
    let home = Home::new();
    let text = format!("[a]\n\tb = {value}\n[c \"d\"]\n\te = 1\n");
    same_as_git(&home, &text, &["--rename-section", "c.d", "c.f"]);
    home.write("continued", "[a]\n\tb = 1\\\n[c \"d\"]\n\te = 1\n");
    let error = edit(&home.path().join("continued"), &[Change::RemoveSection("c.d".into())]).unwrap_err();
    assert_eq!(error.to_string(), "no such section: c.d");
}

#[test]
fn values_are_quoted_as_git_quotes_them() {
    let home = Home::new();
    for value in [
        "", " ", "a b", " a", "a ", "a;b", "a#b", "a\"b", "a\\b", "a\rb", "a\r", "\r", "a\r\n", "a\tb",
        "a\tb ", "\ta", "a\n", "a\nb", "a\u{8}b", "a=b", "a'b", "[a]", "\u{1}", "\u{e4}",
    ] {
        same_as_git(&home, "", &["--add", "a.b", value]);
        same_as_git(&home, "[a]\n\tb = \"x\"\n", &["--replace-all", "a.b", value]);
    }
    for key in ["a.b.c", "a.B c.d", "a.x\"y\\z.d", "a...b", "A-1.B]#;.C-d", "a.\u{e4}.b"] {
        same_as_git(&home, "[a.b]\n\tc = 1\n", &["--add", key, "1"]);
    }
    for key in ["foo", ".foo", "a.", "a.1b", "a.b_c", "a_b.c", "a.x\ny.b", ""] {
        same_as_git(&home, "[a]\n\tb = 1\n", &["--add", key, "1"]);
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in "[ -~\t\r\n]{0,40}", subsection in "[ -~\r\t]{1,20}") {
        let home = Home::new();
        let path = home.path().join("config");
        let key = format!("a.{subsection}.b");
        edit(&path, &[Change::Set(key.as_str().into(), value.as_str().into())]).unwrap();
        let config = Config::from_file(&path, &path, &home.env()).unwrap();
        prop_assert_eq!(config.string(&key), Some(BString::from(value)));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in proptest::collection::vec(proptest::sample::select(
        b"ab.- \t\r\n\\\"=[];#\0".to_vec()), 0..40)) {
        if let Ok(items) = parse::parse(&text) {
            prop_assert!(items.iter().all(|item| item.span.end <= text.len()));
        }
    }
}

/// Files with one thing each that the syntax allows or forbids.
const SYNTAX: &[&str] = &[
    "[foo",
    "[foo \"x]",
    "[a]b=c\\q",
    "[a]1x=y",
    "[a]b_c=2",
    "[a] b=c",
    "[a \"x\" ] b=c",
    "[a\"x\"]b=c",
    "[A.B \"c\"]d=e",
    "[a.B]d=e",
    "[a]k=v\\",
    "[a]k",
    "[a]k ;x",
    "[a]k x",
    "[]k=v",
    "[a \"x\\ny\"]k=v",
    "[.x]k=v",
    "[a]=v",
    "[a]k = \"a b\" \"c\"  d  ;x",
    "[a]k=a\\tb\\nc\\bd\\\"e\\\\",
    "[a]\nk = a \\\n  b   \\\n c",
    "[a] k=1 \n; comment \\\nj=2",
    "[a\t\"x\"]b=c",
    "[a ]b=c",
    "[a]k=v\r\nj=2\r",
    "[a]k=v\r x",
    "\u{feff}[a]k=v",
    "[a]k\r\nj=2",
    "[a]k=\"x\r\n\"",
    "[a]k=\"x\"\r\n",
    "\u{c}[a]k=v",
    "[a]\u{b}k=v",
    "[a]k=\"x\ny\"",
    "[a]k=\"  x  \"  ",
    "[a.]k=v",
    "[a-b.c-d]k-1=v",
    "[a \"b\nc\"]k=v",
    "[a]k = ",
    "[a \"b\"] [c] d=e",
    "[a]d=e [b]c=d",
    "[a]\n\nd=\"#x\";\n[b",
    "[a]\nb=1\nc=\\x\n",
    "[a]\nb=1\n\n\nc d\n",
    "[a]\nb=1\\\n\"\n",
];

#[test]
fn files_are_read_as_git_reads_them() {
    let home = Home::new();
    let env = home.env();
    for text in SYNTAX {
        home.write("c", text);
        let output = home.git(&env, &["config", "-f", "c", "--list", "-z"]);
        match Config::from_file(&home.path().join("c"), Path::new("c"), &env) {
            Ok(config) => {
                assert!(output.status.success(), "{text:?} {}", output.stderr.as_bstr());
                let mut listed = Vec::new();
                for entry in &config.entries {
                    listed.extend_from_slice(&entry.key());
                    if let Some(value) = &entry.value {
                        listed.extend([b"\n".as_slice(), value].concat());
                    }
                    listed.push(0);
                }
                assert_eq!(listed.as_bstr(), output.stdout.as_bstr(), "{text:?}");
            }
            Err(error) => {
                assert_eq!(format!("fatal: {error}\n"), output.stderr.to_str_lossy(), "{text:?}");
            }
        }
    }
}

#[test]
fn values_mean_what_they_mean_to_git() {
    let home = Home::new();
    let env = home.env();
    for value in [
        "",
        "x",
        "true",
        "YES",
        "On",
        "false",
        "no",
        "OFF",
        "0",
        "1",
        "-3",
        "3k",
        "1K",
        "2m",
        "3G",
        "3x",
        "9k9",
        " 3k",
        "3 ",
        "0x10K",
        "010",
        "09",
        "0x",
        "99999999999",
        "99999999999999999999",
        "9223372036854775807",
        "8g",
        "+5",
        "k",
        "tru",
        "00",
        "-0",
        "9007199254740992k",
    ] {
        home.write("c", &format!("[a]\n\tb = \"{value}\"\n"));
        let config = Config::from_file(&home.path().join("c"), Path::new("c"), &env).unwrap();
        let git = |kind: &str| {
            let output = home.git(&env, &["config", "-f", "c", kind, "a.b"]);
            [output.stdout, output.stderr].concat().to_str_lossy().trim_end().to_owned()
        };
        let own = |result: Result<String, Error>| result.unwrap_or_else(|error| format!("fatal: {error}"));
        assert_eq!(
            own(config.boolean("A.b").map(|value| value.unwrap().to_string())),
            git("--bool"),
            "{value:?}"
        );
        assert_eq!(
            own(config.integer("A.B").map(|value| value.unwrap().to_string())),
            git("--int"),
            "{value:?}"
        );
    }
}

#[test]
fn the_environment_and_the_command_line_are_read_as_git_reads_them() {
    let home = Home::new();
    for variables in [
        [("GIT_CONFIG_COUNT", "x")].as_slice(),
        &[("GIT_CONFIG_COUNT", "-1")],
        &[("GIT_CONFIG_COUNT", "")],
        &[("GIT_CONFIG_COUNT", "99999999999")],
        &[("GIT_CONFIG_COUNT", "2147483647")],
        &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "x.y")],
        &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "x"), ("GIT_CONFIG_VALUE_0", "1")],
        &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", ""), ("GIT_CONFIG_VALUE_0", "1")],
        &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "X.Y"), ("GIT_CONFIG_VALUE_0", "v=1")],
        &[("GIT_CONFIG_PARAMETERS", "x.y=1")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y=1' 'x.y=a'")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y'='a'")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y'")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y'=")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y'= 'x.y=c'")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y'=b")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y'z")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y=a'\\''b'")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y=a'\\!'b'   'c.d=1'")],
        &[("GIT_CONFIG_PARAMETERS", "'x.y=a'\\x'b'")],
        &[("GIT_CONFIG_PARAMETERS", " 'x.y=a'")],
        &[("GIT_CONFIG_PARAMETERS", "'foo'")],
        &[("GIT_CONFIG_PARAMETERS", "'a_b.c=1'")],
        &[("GIT_CONFIG_PARAMETERS", "'include.path=relative'")],
        &[("GIT_CONFIG_PARAMETERS", "'include.path'")],
        &[("GIT_CONFIG_NOSYSTEM", "bogus")],
    ] {
        let mut env = home.env();
        for &(name, value) in variables {
            env.set(name, value);
        }
        let output = home.git(&env, &["config", "--get-all", "x.y"]);
        let own = match Config::load(&env, &[], None) {
            Ok(config) => config.strings("x.y").iter().map(|value| value.to_string() + "\n").collect(),
            Err(Error::ConfigEntry { reason, message }) => format!("error: {reason}\nfatal: {message}\n"),
            Err(error) => format!("fatal: {error}\n"),
        };
        assert_eq!(own, [output.stdout, output.stderr].concat().to_str_lossy(), "{variables:?}");
    }
}

#[test]
fn a_child_gets_the_overrides_as_git_hands_them_on() {
    let home = Home::new();
    let mut env = home.env();
    env.set("GIT_CONFIG_PARAMETERS", "'x.old=1'");
    let overrides: [Override; 4] = [
        ("x.y".into(), Some("a'b!c d".into())),
        ("x.z".into(), None),
        ("x.w".into(), Some("".into())),
        ("alias.q".into(), Some("!printf %s \"$GIT_CONFIG_PARAMETERS\"".into())),
    ];
    let args = [
        "-c",
        "x.y=a'b!c d",
        "-c",
        "x.z",
        "-c",
        "x.w=",
        "-c",
        "alias.q=!printf %s \"$GIT_CONFIG_PARAMETERS\"",
        "q",
    ];
    let output = home.git(&env, &args);
    let own = overrides_as_parameters(&overrides, &env);
    assert_eq!(own.as_encoded_bytes().as_bstr(), output.stdout.as_bstr());

    let listed = home.git(&env, &["rev-parse", "--local-env-vars"]).stdout;
    assert_eq!(local_repo_env().join("\n") + "\n", listed.to_str_lossy());
}

#[test]
fn later_scopes_win_and_a_repository_has_no_say_in_protected_keys() {
    let home = Home::new();
    let env = home.env();
    assert!(home.git(&env, &["init", "-q", "-b", "topic/x", "r"]).status.success());
    std::fs::create_dir_all(home.path().join(".config/git")).unwrap();
    home.write(".config/git/config", "[s]\n\tk = xdg\n");
    home.write(".gitconfig", "[s]\n\tk = home\n[include]\n\tpath = inc\n\tpath = nope\n");
    home.write("inc", "[s]\n\tk = included\n");
    home.write(
        "r/.git/config",
        "[core]\n\trepositoryformatversion = 0\n[s]\n\tk = local\n[extensions]\n\tworktreeConfig\n",
    );
    home.write("r/.git/config.worktree", "[s]\n\tk = worktree\n");
    let git = home.path().join("r/.git");
    let dirs = Dirs { git: &git, common: &git };
    let config = Config::load(&env, &[("s.k".into(), Some("command".into()))], Some(dirs)).unwrap();
    assert_eq!(config.strings("S.K"), ["xdg", "home", "included", "local", "worktree", "command"]);
    assert_eq!(config.protected("s.k"), ["xdg", "home", "included", "command"]);
    assert_eq!(config.scope("s.k"), Some(Scope::Command));
    let output = home.git(&env, &["-C", "r", "-c", "s.k=command", "config", "--get-all", "s.k"]);
    assert_eq!(output.stdout.as_bstr(), "xdg\nhome\nincluded\nlocal\nworktree\ncommand\n");
}

#[test]
fn conditions_hold_where_they_hold_for_git() {
    let home = Home::new();
    let env = home.env();
    assert!(home.git(&env, &["init", "-q", "-b", "topic/x", "Work/r"]).status.success());
    home.write("inc", "[s]\n\tk = yes\n");
    let git = home.path().join("Work/r/.git");
    let real = git.canonicalize().unwrap();
    let real = real.to_str().unwrap();
    for condition in [
        "gitdir:~/Work/",
        "gitdir:~/work/",
        "gitdir/i:~/work/",
        "gitdir:Work/",
        "gitdir:r",
        "gitdir:r/.git",
        "gitdir:*/.git",
        "gitdir:**/.git",
        "gitdir:./Work/",
        "gitdir:./r/",
        "gitdir:/",
        real,
        "onbranch:topic/",
        "onbranch:topic/*",
        "onbranch:*",
        "onbranch:**",
        "onbranch:topic/x",
        "hasconfig:remote.*.url:https://x/**",
        "hasconfig:remote.*.url:https://y/**",
        "hasconfig:other:x",
        "bogus:x",
    ] {
        home.write(".gitconfig", &format!("[includeIf \"{condition}\"]\n\tpath = inc\n"));
        home.write("Work/r/.git/config", "[remote \"o\"]\n\turl = https://x/y/z\n");
        let output = home.git(&env, &["-C", "Work/r", "config", "s.k"]);
        let config = Config::load(&env, &[], Some(Dirs { git: &git, common: &git })).unwrap();
        assert_eq!(config.string("s.k").is_some(), output.status.success(), "{condition}");
    }
}

#[test]
fn a_file_included_for_a_url_must_not_define_one() {
    let home = Home::new();
    let env = home.env();
    assert!(home.git(&env, &["init", "-q", "r"]).status.success());
    let git = home.path().join("r/.git");
    home.write("r/.git/config", "[remote \"o\"]\n\turl = https://x/y/z\n");
    home.write(".gitconfig", "[includeIf \"hasconfig:remote.*.url:https://x/**\"]\n\tpath = inc\n");
    home.write("inc", "[include]\n\tpath = inc2\n");
    home.write("inc2", "[remote \"x\"]\n\turl = u\n");
    let output = home.git(&env, &["-C", "r", "config", "s.k"]);
    let error = Config::load(&env, &[], Some(Dirs { git: &git, common: &git })).unwrap_err();
    assert_eq!(format!("fatal: {error}\n"), output.stderr.to_str_lossy());
}

#[test]
fn circular_includes_end_with_gits_words() {
    let home = Home::new();
    let env = home.env();
    home.write(".gitconfig", "[include]\n\tpath = .gitconfig\n");
    let output = home.git(&env, &["config", "s.k"]);
    let error = Config::load(&env, &[], None).unwrap_err();
    assert_eq!(format!("fatal: {error}\n"), output.stderr.to_str_lossy());
}

#[test]
fn a_locked_file_is_left_alone() {
    let home = Home::new();
    home.write("config", "[a]\n");
    home.write("config.lock", "");
    let path = home.path().join("config");
    let error = edit(&path, &[Change::Set("a.b".into(), "1".into())]).unwrap_err();
    assert_eq!(error.to_string(), format!("could not lock config file {}: File exists", path.display()));
    assert!(home.path().join("config.lock").exists());
}

#[cfg(unix)]
#[test]
fn mode_and_symbolic_link_outlive_an_edit() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.write("real", "[a]\n");
    let real = home.path().join("real");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = home.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    edit(&link, &[Change::Set("a.b".into(), "1".into())]).unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&real).unwrap().as_bstr(), "[a]\n\tb = 1\n");
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}
