//! `gitr demo`: the main job on a machine without a network. Makes a repository with the installed `git`, serves it on
//! loopback by `gitr serve`, clones it with gitr, pushes a commit, and fetches what somebody else adds.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{CommandError, ui};

/// Commits in the demo's repository.
const COMMITS: usize = 200;

/// Runs `gitr demo`.
pub(super) fn run(arguments: &[OsString]) -> Result<u8, CommandError> {
    if !arguments.is_empty() {
        return Err(CommandError::usage("usage: gitr demo"));
    }
    let git = which::which("git").map_err(|_| {
        CommandError::fatal("the demo needs a 'git' to make a repository; install git and run it again")
    })?;
    let gitr = std::env::current_exe()?;
    let directory = tempfile::Builder::new().prefix("gitr-demo-").tempdir()?;
    let root = directory.path();
    say(&format!("making a repository of {COMMITS} commits"));
    let source = root.join("project.git");
    import(&git, &source, &history())?;
    let server = Server::start(&gitr, root)?;
    let url = format!("{}project.git", server.base);
    let clone = root.join("project");
    show(&gitr, root, &["ls-remote", &url])?;
    show(&gitr, root, &["clone", "--progress", &url, "project"])?;
    say("we add a commit and push it");
    add_commit(&git, &clone)?;
    show(&gitr, &clone, &["push", "--progress"])?;
    say("somebody adds a commit to the repository");
    import(&git, &source, &one_more())?;
    show(&gitr, &clone, &["fetch"])?;
    say("what git says of the result");
    let is_whole = show(&git, &clone, &["fsck", "--full"])? && show(&git, &clone, &["status", "-sb"])?;
    say(if is_whole { "done: the clone is whole" } else { "the clone is not whole" });
    Ok(u8::from(!is_whole))
}

fn say(text: &str) {
    ui::note(format!("\n# {text}"));
}

/// Shows a command line, then what it prints.
fn show(program: &Path, directory: &Path, arguments: &[&str]) -> Result<bool, CommandError> {
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    ui::note(format!("\n$ {name} {}", arguments.join(" ")));
    let status = command(program).args(arguments).current_dir(directory).status()?;
    Ok(status.success())
}

/// A command that no configuration of the user's changes.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let nowhere = if cfg!(windows) { "NUL" } else { "/dev/null" };
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", nowhere).env("LC_ALL", "C");
    for variable in crate::repo::config::local_repo_env() {
        command.env_remove(variable);
    }
    command
}

/// Feeds `stream` to `git fast-import` in the bare repository `directory`, which is made if it is not there.
fn import(git: &Path, directory: &Path, stream: &str) -> Result<(), CommandError> {
    let is_done = |status: std::process::ExitStatus, what: &str| {
        if status.success() { Ok(()) } else { Err(CommandError::fatal(format!("{what} failed: {status}"))) }
    };
    if !directory.exists() {
        let mut init = command(git);
        init.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(directory);
        is_done(init.status()?, "git init")?;
    }
    let mut child = command(git)
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, stream.as_bytes())?;
    }
    is_done(child.wait()?, "git fast-import")
}

/// Commits a file in the clone at `directory`.
fn add_commit(git: &Path, directory: &Path) -> Result<(), CommandError> {
    std::fs::write(directory.join("OURS"), "from the clone\n")?;
    let run = |arguments: &[&str]| {
        let identity = ["-c", "user.name=Demo", "-c", "user.email=demo@example.com"];
        let status = command(git).args(identity).args(arguments).current_dir(directory).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(CommandError::fatal(format!("git {} failed: {status}", arguments.join(" "))))
        }
    };
    run(&["add", "OURS"])?;
    run(&["commit", "--quiet", "--message=our change"])
}

/// A project that grows file by file, with a branch and a tag.
fn history() -> String {
    let mut stream = String::new();
    for number in 1..=COMMITS {
        let lines: Vec<String> =
            (0..40).map(|line| format!("line {line} of version {}", number / 7)).collect();
        let text = lines.join("\n") + "\n";
        stream.push_str(&commit(number, "main", &format!("src/file{}.txt", number % 17), &text));
    }
    stream.push_str(&format!("reset refs/heads/topic\nfrom :{}\n\n", COMMITS - 50));
    stream.push_str(&format!(
        "tag v1.0\nfrom :{}\ntagger Demo <demo@example.com> 1700000000 +0000\ndata 9\nfirst one\n",
        COMMITS - 10
    ));
    stream
}

fn one_more() -> String {
    let from = "from refs/heads/main^0\n";
    commit(COMMITS + 1, "main", "NEWS", "one more\n").replacen("M 100644", &format!("{from}M 100644"), 1)
}

fn commit(number: usize, branch: &str, path: &str, text: &str) -> String {
    let message = format!("change {number}\n");
    let time = 1_600_000_000 + number * 3600;
    format!(
        "commit refs/heads/{branch}\nmark :{number}\ncommitter Demo <demo@example.com> {time} +0000\ndata {}\n{message}M 100644 inline \
         {path}\ndata {}\n{text}\n",
        message.len(),
        text.len()
    )
}

/// A `gitr serve` that ends with the demo.
struct Server {
    child: Child,
    /// Where it listens.
    base: String,
}

impl Server {
    fn start(gitr: &Path, root: &Path) -> Result<Self, CommandError> {
        let mut child = command(gitr)
            .args(["serve", "--listen=127.0.0.1:0", "--export-all", "--enable-receive-pack=anybody"])
            .args(["--log-format=none", "--root"])
            .arg(root)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stderr) = child.stderr.take() {
            BufReader::new(stderr).read_line(&mut line)?;
        }
        let server = Self { base: line.trim().rsplit(' ').next().unwrap_or_default().to_owned(), child };
        if server.base.starts_with("http://") {
            Ok(server)
        } else {
            Err(CommandError::fatal(format!("gitr serve does not start: {}", line.trim())))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _reaped = self.child.wait();
    }
}
