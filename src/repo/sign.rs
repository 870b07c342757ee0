//! Signing by the user's program: `gpg.format`, `gpg.program`, `gpg.<format>.program`, `user.signingKey`. git-config(1).

use bstr::BString;

use super::{Error, Repository};

impl Repository {
    /// The detached, armoured signature of `text` by the key that the configuration names, else that of the committer.
    ///
    /// # Errors
    ///
    /// In git's words if the program cannot be started or fails.
    pub fn sign(&self, _text: &[u8]) -> Result<BString, Error> {
        unimplemented!()
    }
}
