//! What gitr did otherwise than C git.

use std::path::Path;

use bstr::{BString, ByteSlice};

use super::{COPY, Pushers, replace};
use crate::support::{Run, state};

/// How the lines begin in which git 2.47.3 tells that the process has ended that sent a push over HTTP for it.
const ECHOES: [&str; 3] = [
    "Everything up-to-date",
    "error: failed to push some refs",
    "fatal: the remote end hung up unexpectedly",
];

/// How a program ends that SIGPIPE has killed.
const BROKEN_PIPE: i32 = 128 + 13;

impl Pushers<'_> {
    /// Compares what both said and what they left. Where they differ gitr's side becomes what C git's is, so that the
    /// next row is tried on its own.
    pub fn compare(&self, ours: &Run, theirs: &Run) {
        let mut differences = Vec::new();
        if !says_the_same(ours, theirs) {
            differences.push("does not say what git says".to_owned());
        }
        differences.extend(self.other_state());
        if differences.is_empty() {
            return;
        }
        let told = format!("gitr {}\n{ours:?}\n== git\n{theirs:?}", differences.join("\n"));
        eprintln!("{told}\n");
        self.differences.borrow_mut().push(format!("{}: {}", ours.command, differences[0]));
        self.give_theirs_to_us(COPY);
        for name in self.served_names() {
            let [ours, theirs] = self.served(&name);
            replace(&self.case.sandbox, &theirs, &ours);
            self.refresh(&name);
        }
    }

    /// Ends the scenario.
    ///
    /// # Panics
    /// If gitr differed anywhere.
    pub fn finish(&self) {
        let differences = self.differences.borrow();
        assert!(differences.is_empty(), "{} rows differ: {differences:#?}", differences.len());
    }

    /// `run` as if it had ended where it was sent.
    pub fn without_echo(&self, run: Run) -> Run {
        if !self.case.kind.is_http() || run.status == 0 {
            return run;
        }
        let is_echo = |line: &&[u8]| ECHOES.iter().any(|echo| line.starts_with(echo.as_bytes()));
        let stderr = run.stderr.lines_with_terminator().filter(|line| !is_echo(line));
        Run { stderr: stderr.collect::<Vec<_>>().concat().into(), status: 128, ..run }
    }

    /// What gitr left that is not what C git left.
    fn other_state(&self) -> Vec<String> {
        let sandbox = &self.case.sandbox;
        let mut differences = self.differing(
            "the client",
            state::without_work_tree(sandbox, &self.clients()[0]),
            state::without_work_tree(sandbox, &self.clients()[1]),
        );
        let mut looked_at = vec![self.clients()];
        for name in self.served_names() {
            let [ours, theirs] = self.served(&name).map(|path| {
                let mut state = state::without_work_tree(sandbox, &path);
                state.push(("objects", state::objects(sandbox, &path)));
                state
            });
            differences.extend(self.differing(&name, ours, theirs));
            let check = sandbox.git(&self.served(&name)[0], &["fsck", "--full", "--no-dangling"]);
            if check.status != 0 {
                differences.push(format!("{name} is not whole: {check:?}"));
            }
            looked_at.push(self.served(&name));
        }
        differences.extend(looked_at.into_iter().filter_map(|[ours, theirs]| {
            let left = |path: &Path| {
                let mut files = state::leftovers(path);
                // the quarantine of a server that is still at it when the client has ended is its own affair
                files.retain(|file| !file.to_string_lossy().contains("tmp_objdir-incoming"));
                files
            };
            (left(&ours).len() > left(&theirs).len()).then(|| format!("leaves {:?}", left(&ours)))
        }));
        differences
    }

    /// Each part in which two states of `what` differ.
    fn differing(&self, what: &str, ours: state::State, theirs: state::State) -> Vec<String> {
        let parts = ours.into_iter().zip(theirs);
        let parts = parts.map(|((part, ours), (_, theirs))| {
            (part, self.twin.anonymous(&ours), self.twin.anonymous(&theirs))
        });
        let differing = parts.filter(|(_, ours, theirs)| ours != theirs);
        differing
            .map(|(part, ours, theirs)| {
                let gitr = lines_beyond(&ours, &theirs);
                let git = lines_beyond(&theirs, &ours);
                format!("leaves other {part} in {what}\n-- gitr alone\n{gitr}-- git alone\n{git}--")
            })
            .collect()
    }
}

/// Whether gitr says what C git says. Where C git writes to a server that has just gone, the signal may end it before it
/// says why; gitr has to say what C git says if it lives, in any case that it has ended badly.
fn says_the_same(ours: &Run, theirs: &Run) -> bool {
    if theirs.status == BROKEN_PIPE {
        let is_told = |line: &[u8]| line.starts_with(b"fatal: ") || line.starts_with(b"error: ");
        let added = ours.stderr.strip_prefix(theirs.stderr.as_bytes());
        return ours.status == 128 && added.is_some_and(|added| added.lines().any(is_told));
    }
    (&ours.stdout, &ours.stderr, ours.status) == (&theirs.stdout, &theirs.stderr, theirs.status)
}

/// The lines of `text` that `other` has not.
fn lines_beyond(text: &[u8], other: &[u8]) -> BString {
    let is_new = |line: &&[u8]| other.lines_with_terminator().all(|known| known != *line);
    text.lines_with_terminator().filter(is_new).collect::<Vec<_>>().concat().into()
}
