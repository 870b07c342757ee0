//! Each client in front of each of gitr's servers and of C git's of the same kind: both leave the same in the clients'
//! repositories and in the servers'.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::client::{self, Client, Task};
use crate::gitr_as_git;
use crate::support::{Format, Git, Kind, Sandbox, Serve, Stream, build};

/// The servers, as C git has them and as gitr has them.
const SERVERS: [(Kind, Kind); 3] =
    [(Kind::Apache, Kind::GitrServe), (Kind::Daemon, Kind::Daemon), (Kind::Ssh, Kind::Ssh)];

/// A repository behind a server, and the copies that a client made of it.
struct Side<'a> {
    sandbox: &'a Sandbox,
    server: Box<dyn Serve>,
    name: &'static str,
}

impl<'a> Side<'a> {
    /// `None`, after saying so, if the server is not installed.
    fn start(sandbox: &'a mut Sandbox, kind: Kind, git: &Git, name: &'static str) -> Option<Self> {
        build::project(sandbox, &sandbox.path("served").join(name), Format::Sha1, 30);
        let server = kind.start(sandbox, git)?;
        for (variable, value) in server.variables() {
            let program = sandbox.path("ssh");
            std::fs::write(&program, format!("#!/bin/sh\nexec {value} \"$@\"\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            sandbox.set(variable, value);
            // JGit knows this one alone
            sandbox.set("GIT_SSH", &program);
        }
        server.refresh(sandbox, name, Format::Sha1);
        Some(Self { sandbox, server, name })
    }

    fn act(&self, client: &Client, task: Task, copy: &str) {
        client.act(self.sandbox, task, &self.server.url(self.name), &self.sandbox.path(copy));
    }

    fn grow(&self, place: &Path, numbers: std::ops::Range<usize>) {
        Stream::onto("main").history(numbers).import(self.sandbox, place);
    }

    /// Does all that `client` can.
    fn act_all(&self, client: &Client) {
        let repository = self.sandbox.path("served").join(self.name);
        self.act(client, Task::Clone, "whole");
        for (task, copy) in [(Task::Shallow, "shallow"), (Task::Filtered, "filtered")] {
            if client.can(task) {
                self.act(client, task, copy);
            }
        }
        self.grow(&repository, 30..38);
        self.server.refresh(self.sandbox, self.name, Format::Sha1);
        self.act(client, Task::Fetch, "whole");
        if client.can(Task::FetchShallow) {
            self.act(client, Task::FetchShallow, "shallow");
        }
        self.grow(&self.sandbox.path("whole"), 40..49);
        self.act(client, Task::Push, "whole");
    }

    /// What is there now of the repository `place`: objects, refs, the shallow boundary.
    fn state(&self, place: &str) -> String {
        let place = self.sandbox.path(place);
        let objects = self.sandbox.git(&place, &["cat-file", "--batch-all-objects", "--batch-check"]);
        let refs = self.sandbox.git(&place, &["for-each-ref"]).success();
        self.sandbox.git(&place, &["fsck", "--full"]).success();
        let boundary = std::fs::read_to_string(place.join("shallow")).unwrap_or_default();
        assert_eq!(boundary.is_empty(), !place.ends_with("shallow"), "{}", place.display());
        let mut boundary: Vec<_> = boundary.lines().collect();
        boundary.sort_unstable();
        format!("{}{}{boundary:?}", objects.success().stdout, refs.stdout)
    }
}

/// Compares what comes of all that `client` does.
fn same(client: &Client, transport: usize) {
    let (theirs, ours) = SERVERS[transport];
    let (mut sandboxes, name) = ([Sandbox::new(), Sandbox::new()], "project.git");
    for sandbox in &sandboxes {
        sandbox.git(&sandbox.path(""), &["config", "--global", "http.receivepack", "true"]).success();
    }
    let [first, second] = &mut sandboxes;
    let gitr = gitr_as_git(second);
    let Some(theirs) = Side::start(first, theirs, Git::reference(), name) else { return };
    let Some(ours) = Side::start(second, ours, &gitr, name) else { return };
    for side in [&theirs, &ours] {
        side.act_all(client);
    }
    let pushed = ours.sandbox.git(&ours.sandbox.path("served/project.git"), &["rev-parse", "pushed"]);
    let main = ours.sandbox.git(&ours.sandbox.path("whole"), &["rev-parse", "main"]).success();
    assert_eq!(pushed.success().stdout, main.stdout);
    for place in ["whole", "shallow", "filtered", "served/project.git"] {
        if theirs.sandbox.path(place).exists() {
            assert_eq!(ours.state(place), theirs.state(place), "{place} over {:?}", SERVERS[transport]);
        }
    }
}

/// Everything in front of all servers but the last `without`.
fn over_servers(client: &Client, without: usize) {
    for transport in 0..SERVERS.len() - without {
        same(client, transport);
    }
}

#[test]
fn c_git_is_served_alike() {
    for git in Git::all() {
        over_servers(&Client::Git(git.clone()), 0);
    }
}

#[test]
fn jgit_is_served_alike() {
    if let Some(client) = client::jgit(&Sandbox::new()) {
        over_servers(&client, 0);
    }
}

#[test]
fn dulwich_is_served_alike() {
    if let Some(client) = client::dulwich() {
        over_servers(&client, 0);
    }
}

#[test]
fn libgit2_is_served_alike() {
    over_servers(&Client::Libgit2, 1);
}
