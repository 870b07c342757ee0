//! Signed pushes: the nonce that a client has to sign, the certificate that comes back, and what hooks hear of both.
//! git-receive-pack(1), "PRE-RECEIVE HOOK"; gitprotocol-pack(5), "Push Certificate".

use std::cell::OnceCell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use bstr::{BString, ByteSlice};
use gix_hash::{Kind, ObjectId};
use hmac::{Hmac, KeyInit, Mac};

use super::Voice;
use super::settings::Settings;
use crate::pack;
use crate::protocol::push::Command;
use crate::protocol::push::certificate::{Certificate, split_signature};
use crate::repo::Repository;
use crate::server::Error;

/// `<seconds since 1970>-<HMAC of the repository's name and the time>`: nobody who does not know the seed can make one, so
/// that a server which forgets what it has issued knows it again. HMAC as git 2.47.3 has it, with the seed as the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce {
    time: i64,
    text: String,
    /// `<name>:`, which goes before the time.
    name: Vec<u8>,
    seed: BString,
    object_hash: Kind,
}

impl Nonce {
    /// One of this moment for the repository called `name`; `None` if no seed is configured.
    pub(super) fn issue(settings: &Settings, name: &[u8], object_hash: Kind) -> Option<Self> {
        let seed = settings.nonce_seed.clone()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Some(Self::at(time, seed, name, object_hash))
    }

    fn at(time: i64, seed: BString, name: &[u8], object_hash: Kind) -> Self {
        let mut nonce = Self { time, text: String::new(), name: [name, b":"].concat(), seed, object_hash };
        nonce.text = format!("{time}-{}", nonce.code(time));
        nonce
    }

    /// The code behind `time`.
    fn code(&self, time: i64) -> ObjectId {
        let key = [self.name.as_slice(), time.to_string().as_bytes()].concat();
        match self.object_hash {
            Kind::Sha256 => ObjectId::Sha256(code::<Hmac<sha2::Sha256>>(&key, &self.seed).into()),
            _ => ObjectId::Sha1(code::<Hmac<sha1::Sha1>>(&key, &self.seed).into()),
        }
    }

    /// What `given` is to us. Without `slop`, which is in seconds, it has to be this one.
    fn judge(&self, given: Option<&BString>, slop: Option<u64>) -> Freshness {
        let Some(given) = given else { return Freshness::Missing };
        if *given == self.text {
            return Freshness::Ok(None);
        }
        let (Some(slop), Some(time)) = (slop, self.time_of(given)) else { return Freshness::Bad };
        let age = self.time.saturating_sub(time);
        if age.unsigned_abs() <= slop { Freshness::Ok(Some(given.clone())) } else { Freshness::Slop(age) }
    }

    /// When `given` was issued, if it was by one who knows the seed.
    fn time_of(&self, given: &BString) -> Option<i64> {
        let (time, code) = given.split_once_str("-")?;
        let time: i64 = time.to_str().ok()?.parse().ok()?;
        let expected = format!("{time}-{}", self.code(time));
        let is_code = given.len() == expected.len() && !code.is_empty();
        // all bytes are looked at, so that the time this takes tells nothing of them
        let difference =
            given.bytes().zip(expected.bytes()).fold(0, |sum, (left, right)| sum | (left ^ right));
        (is_code && difference == 0).then_some(time)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn code<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> hmac::digest::Output<M> {
    // HMAC takes keys of any length
    let Ok(mut mac) = M::new_from_slice(key) else { return hmac::digest::Output::<M>::default() };
    mac.update(message);
    mac.finalize().into_bytes()
}

/// `GIT_PUSH_CERT_NONCE_STATUS`, where a nonce was asked for. (`UNSOLICITED` is what a hook knows where none was: git 2.47.3
/// sets nothing then.)
#[derive(Debug, Clone, PartialEq, Eq)]
enum Freshness {
    /// The nonce is ours, or this one, which is fresh enough.
    Ok(Option<BString>),
    /// One of ours, so many seconds older.
    Slop(i64),
    Bad,
    Missing,
}

/// A certificate that a client has presented.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    text: BString,
    certificate: Certificate,
    nonce: Option<(&'a Nonce, Freshness)>,
    /// Found out once a hook is to hear of it.
    variables: OnceCell<Variables>,
}

/// Variables of the environment.
type Variables = Vec<(&'static str, BString)>;

impl<'a> Presented<'a> {
    /// Reads it. `slop` is that of a conversation that forgets.
    ///
    /// # Errors
    ///
    /// If it makes no sense or is not signed.
    pub(super) fn read(
        text: BString,
        object_hash: Kind,
        nonce: Option<&'a Nonce>,
        slop: Option<u64>,
    ) -> Result<Self, Error> {
        let certificate = Certificate::decode(text.as_bstr(), object_hash)?;
        if certificate.signature.is_empty() {
            return Err(Error::Refused("bad/incompatible signature ''".into()));
        }
        let nonce = nonce.map(|nonce| (nonce, nonce.judge(certificate.nonce.as_ref(), slop)));
        Ok(Self { text, certificate, nonce, variables: OnceCell::new() })
    }

    /// What is to be done.
    pub(super) fn commands(&self) -> &[Command] {
        &self.certificate.commands
    }

    /// Whether `options`, which were said outside, are those that were signed.
    pub(super) fn has_options(&self, options: &[BString]) -> bool {
        self.certificate.options == options
    }

    /// What hooks hear. The first time, the signature is judged and the certificate becomes a blob, which stays even if the
    /// push is refused, as with C git.
    ///
    /// # Errors
    ///
    /// If the client cannot be reached, the configuration makes no sense, or there is no room for the blob.
    pub(super) fn variables(&self, repo: &Repository, voice: &mut Voice<'_>) -> Result<&Variables, Error> {
        if let Some(known) = self.variables.get() {
            return Ok(known);
        }
        let (payload, signature) = split_signature(self.text.as_bstr());
        let verdict = repo.verify(payload, signature)?;
        for complaint in &verdict.complaints {
            voice.error(complaint)?;
        }
        let written = pack::write_loose(
            (&repo.objects_dir, repo.storage),
            repo.object_hash,
            pack::Kind::Blob,
            &self.text,
        );
        let id = written.map_err(|reason| Error::Refused(reason.to_string()))?;
        let mut variables: Variables = vec![
            ("GIT_PUSH_CERT", id.to_string().into()),
            ("GIT_PUSH_CERT_SIGNER", verdict.signer),
            ("GIT_PUSH_CERT_KEY", verdict.key),
            ("GIT_PUSH_CERT_STATUS", verdict.validity.letter().into()),
        ];
        variables.extend(self.nonce.iter().flat_map(|(nonce, freshness)| freshness.variables(nonce)));
        Ok(self.variables.get_or_init(|| variables))
    }
}

impl Freshness {
    fn variables(&self, ours: &Nonce) -> Variables {
        let ours = || BString::from(ours.text.as_str());
        let (word, nonce) = match self {
            Self::Ok(given) => ("OK", given.clone().unwrap_or_else(ours)),
            Self::Slop(_) => ("SLOP", ours()),
            Self::Bad => ("BAD", ours()),
            Self::Missing => ("MISSING", ours()),
        };
        let mut variables = vec![("GIT_PUSH_CERT_NONCE", nonce), ("GIT_PUSH_CERT_NONCE_STATUS", word.into())];
        if let Self::Slop(age) = self {
            variables.push(("GIT_PUSH_CERT_NONCE_SLOP", age.to_string().into()));
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(time: i64, name: &str, object_hash: Kind) -> Nonce {
        Nonce::at(time, "seed".into(), name.as_bytes(), object_hash)
    }

    /// Nonces that git 2.47.3 issued.
    #[test]
    fn nonces_are_those_of_git() {
        for (time, name, hash, expected) in [
            (1_795_697_767, "dst", Kind::Sha1, "631ba64f2265ff4490e5f17bf821350d42af1519"),
            (1_795_697_767, "../dst", Kind::Sha1, "4e18dc98e6995c55b64650195b8ed41252320f0a"),
            (1_795_697_767, ".", Kind::Sha1, "445b41f79cde655151bafda5c5f388455519a66e"),
            (
                1_795_697_857,
                "d256",
                Kind::Sha256,
                "e76d7d528cc564e5833fbf774ac4ad77fc1fe257e593aeadde8ca48a7984fb83",
            ),
        ] {
            assert_eq!(nonce(time, name, hash).to_string(), format!("{time}-{expected}"), "{name}");
        }
    }

    #[test]
    fn a_nonce_is_known_again_by_its_code() {
        let ours = nonce(1000, "a", Kind::Sha1);
        let judge = |given: &str, slop| ours.judge(Some(&given.into()), slop);
        let text = |time, name: &str| nonce(time, name, Kind::Sha1).to_string();
        assert_eq!(ours.judge(None, Some(9)), Freshness::Missing);
        for slop in [None, Some(0), Some(60)] {
            assert_eq!(judge(&text(1000, "a"), slop), Freshness::Ok(None));
            for wrong in ["", "x", "990-", "990-00", &text(990, "b"), &format!("0{}", text(990, "a"))] {
                assert_eq!(judge(wrong, slop), Freshness::Bad, "{wrong}");
            }
        }
        assert_eq!(judge(&text(990, "a"), None), Freshness::Bad);
        assert_eq!(judge(&text(990, "a"), Some(0)), Freshness::Slop(10));
        assert_eq!(judge(&text(1050, "a"), Some(49)), Freshness::Slop(-50));
        assert_eq!(judge(&text(1050, "a"), Some(50)), Freshness::Ok(Some(text(1050, "a").into())));
        let far = i64::MIN.to_string();
        assert_eq!(judge(&format!("{far}-{}", ours.code(i64::MIN)), Some(1)), Freshness::Bad);
    }
}
