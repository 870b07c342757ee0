//! Where objects come from.

use bstr::BString;

use crate::progress::Progress;
use crate::protocol::Ref;
use crate::remote::far::Foreign;
use crate::remote::{Error, Far, Session, session};
use crate::transport::bundle::Bundle;

/// Where objects come from.
pub(super) enum Source {
    Session(Box<Session>),
    Foreign(Foreign),
    Bundle(Box<Bundle>),
}

impl Source {
    /// The refs that are there; `prefixes` are those of the names that matter.
    pub(super) fn refs(
        &mut self,
        prefixes: &[BString],
        progress: &mut dyn Progress,
    ) -> Result<Vec<Ref>, Error> {
        let refs = match self {
            Self::Session(session) => session.refs(prefixes, progress)?,
            Self::Foreign(foreign) => foreign.refs().to_vec(),
            // C git takes a bundle's refs from the last to the first.
            Self::Bundle(bundle) => bundle.header.refs.iter().rev().cloned().collect(),
        };
        Ok(session::without_bad_names(refs))
    }
}

impl From<Far> for Source {
    fn from(far: Far) -> Self {
        match far {
            Far::Session(session) => Self::Session(session),
            Far::Foreign(foreign) => Self::Foreign(foreign),
        }
    }
}
