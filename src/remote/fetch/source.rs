//! Where objects come from.

use bstr::BString;

use crate::progress::Progress;
use crate::protocol::{Ref, Version};
use crate::remote::bundle::unbundle_file;
use crate::remote::far::Foreign;
use crate::remote::fetch_pack::{self, Fetched, fetch_pack};
use crate::remote::{Error, Far, Session, session};
use crate::repo::{Objects, Repository};
use crate::transport::bundle::Bundle;

/// Where objects come from.
pub(super) enum Source {
    Session(Box<Session>),
    Foreign(Foreign),
    Bundle(Box<Bundle>),
}

/// Where more objects come from after those that were asked for.
pub(super) enum Again {
    /// There is no more.
    Nowhere,
    /// From where the others came.
    Same(Source),
    /// From the same far side, which has to be reached anew: in v0 it gives one pack.
    Anew,
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

    /// Takes a pack into a repository that has some objects; gives it with what the far side says about our boundary.
    pub(super) fn receive(
        &mut self,
        (repo, objects): (&Repository, &mut Objects),
        refs: &[Ref],
        request: &fetch_pack::Request,
        progress: &mut dyn Progress,
    ) -> Result<Fetched, Error> {
        match self {
            Self::Session(session) => fetch_pack(session, repo, refs, request, progress),
            Self::Bundle(bundle) => {
                let pack = unbundle_file(repo, objects, bundle, request, progress)?;
                Ok(Fetched { pack, others: Vec::new(), shallow: Vec::new(), wanted_refs: Vec::new() })
            }
            Self::Foreign(_) => Err(Error::Usage("a helper program brings no pack".into())),
        }
    }

    /// Ends it unless it can be asked once more as it is; `has_given` tells whether a pack came.
    pub(super) fn once_more(self, has_given: bool) -> Result<Again, Error> {
        let again = match &self {
            Self::Session(session) if session.version() == Version::V2 => return Ok(Again::Same(self)),
            Self::Foreign(foreign) if !foreign.imports() => return Ok(Again::Same(self)),
            Self::Session(_) => Again::Anew,
            Self::Foreign(_) | Self::Bundle(_) => Again::Nowhere,
        };
        self.close(has_given)?;
        Ok(again)
    }

    /// Ends it; `has_given` tells whether a pack came.
    pub(super) fn close(self, has_given: bool) -> Result<(), Error> {
        match self {
            Self::Session(session) if has_given => session.close_after_pack(),
            Self::Session(session) => session.close(),
            Self::Foreign(foreign) => {
                foreign.close();
                Ok(())
            }
            Self::Bundle(_) => Ok(()),
        }
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
