//! Signed pushes: whether the far side takes them, and what is signed. gitprotocol-pack(5), "Push Certificate".

use bstr::{BStr, BString, ByteSlice};

use super::{Options, Signed, tell};
use crate::progress::{Event, Progress};
use crate::protocol::push::Command;
use crate::protocol::push::certificate::{Certificate, is_valid_nonce};
use crate::remote::{Error, Session};
use crate::repo::{self, Repository};
use crate::transport::Url;

/// What the far side wants to have signed, if the push is to be signed and it takes that; else `None`, and the user is told.
/// That it must be signed was checked before.
pub(super) fn nonce<'a>(
    session: &'a Session,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Option<&'a BStr>, Error> {
    if options.signed == Signed::No {
        return Ok(None);
    }
    if !session.capabilities().contains("push-cert") {
        let text = "not sending a push certificate since the receiving end does not support --signed push";
        tell(progress, Event::Warning(text))?;
        return Ok(None);
    }
    let nonce = session.capabilities().value("push-cert").unwrap_or_default();
    if is_valid_nonce(nonce) {
        Ok(Some(nonce))
    } else {
        Err(Error::Usage(format!("the receiving end asked to sign an invalid nonce <{nonce}>")))
    }
}

/// The certificate for `commands`, signed by the user's program.
///
/// # Errors
///
/// [`Error::Usage`] if it did not sign; what it said was told to `progress`.
pub(super) fn certificate(
    repo: &Repository,
    commands: &[Command],
    nonce: &BStr,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<BString, Error> {
    match sign(repo, commands, nonce, options) {
        Err(Error::Repo(repo::Error::Sign(reason))) => {
            tell(progress, Event::Error(&reason))?;
            Err(Error::Usage("failed to sign the push certificate".into()))
        }
        outcome => outcome,
    }
}

fn sign(repo: &Repository, commands: &[Command], nonce: &BStr, options: &Options) -> Result<BString, Error> {
    let signer = repo.signer()?;
    let mut pushee =
        Url::parse(options.url.as_bstr()).map_or_else(|_| options.url.clone(), |url| url.redacted());
    let is_http = pushee.starts_with(b"http://") || pushee.starts_with(b"https://");
    if is_http && !pushee.ends_with(b"/") {
        // git's helper for HTTP names it so, and servers have stored it so
        pushee.push(b'/');
    }
    let mut certificate = Certificate {
        pusher: signer.pusher()?,
        pushee: Some(pushee).filter(|url| !url.is_empty()),
        nonce: Some(nonce.to_owned()).filter(|nonce| !nonce.is_empty()),
        options: options.push_options.clone(),
        commands: commands.to_vec(),
        signature: BString::default(),
    };
    certificate.signature = signer.sign(&certificate.payload())?;
    Ok(certificate.encode())
}
