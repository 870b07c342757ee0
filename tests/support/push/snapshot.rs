//! The way back to where a scenario began.

use std::path::{Path, PathBuf};

use bstr::BString;

use super::{ORIGIN, Pushers, WHOSE, replace};

/// What everything was at some time, in gitr's half.
pub struct Snapshot {
    /// The refs of `origin`.
    pub refs: BString,
    /// The refs of the client.
    pub tracking: BString,
}

impl Pushers<'_> {
    /// Remembers both clients and all that is served.
    pub fn snapshot(&self) -> Snapshot {
        let sandbox = &self.case.sandbox;
        let refs = |path: &Path| sandbox.git(path, &["for-each-ref"]).success().stdout;
        let snapshot = Snapshot { refs: refs(&self.served(ORIGIN)[0]), tracking: refs(&self.clients()[0]) };
        for (path, kept) in self.kept() {
            replace(sandbox, &path, &kept);
        }
        snapshot
    }

    /// Makes everything what it was at the last [`Self::snapshot`].
    pub fn restore(&self, _: &Snapshot) {
        for (path, kept) in self.kept() {
            replace(&self.case.sandbox, &kept, &path);
        }
        for name in self.served_names() {
            self.refresh(&name);
        }
    }

    /// What a snapshot keeps, and where.
    fn kept(&self) -> [(PathBuf, PathBuf); 4] {
        let [ours, theirs] = self.clients();
        let [served_ours, served_theirs] = WHOSE.map(|whose| self.case.served(whose));
        let kept = |name| self.case.sandbox.path("kept").join(name);
        [
            (ours, kept("ours")),
            (theirs, kept("theirs")),
            (served_ours, kept("served-ours")),
            (served_theirs, kept("served-theirs")),
        ]
    }
}
