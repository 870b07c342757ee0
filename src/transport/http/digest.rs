//! Digest authentication: RFC 7616, and RFC 2617 for servers that know no `qop`.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use md5::{Digest as _, Md5};

use super::scheme::Challenge;

/// What a server wants to be shown the knowledge of the password by. Clones count their uses together, as the server does.
#[derive(Debug, Clone)]
pub(super) struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    hash: Hash,
    /// Whether the password's hash is bound to this session: `MD5-sess`.
    is_session: bool,
    /// Whether the server knows `qop=auth`.
    is_counted: bool,
    is_stale: bool,
    /// How often the nonce was used.
    uses: Arc<AtomicU32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
}

impl Digest {
    /// What `challenge` asks for; `None` if it is something that is not spoken here.
    pub(super) fn of(challenge: &Challenge) -> Option<Self> {
        let algorithm = challenge.parameter("algorithm").unwrap_or("MD5").to_ascii_uppercase();
        let (hash, is_session) = match &*algorithm {
            "MD5" => (Hash::Md5, false),
            "MD5-SESS" => (Hash::Md5, true),
            "SHA-256" => (Hash::Sha256, false),
            "SHA-256-SESS" => (Hash::Sha256, true),
            _ => return None,
        };
        let qualities = challenge.parameter("qop");
        let knows_auth = |list: &str| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
        Some(Self {
            realm: challenge.parameter("realm")?.to_owned(),
            nonce: challenge.parameter("nonce")?.to_owned(),
            opaque: challenge.parameter("opaque").map(ToOwned::to_owned),
            hash,
            is_session,
            is_counted: match qualities {
                None => false,
                Some(list) if knows_auth(list) => true,
                // `auth-int` alone would bind the body, which streams
                Some(_) => return None,
            },
            is_stale: challenge.parameter("stale").is_some_and(|word| word.eq_ignore_ascii_case("true")),
            uses: Arc::default(),
        })
    }

    /// The greater the better.
    pub(super) fn strength(&self) -> u8 {
        match self.hash {
            Hash::Md5 => 0,
            Hash::Sha256 => 1,
        }
    }

    /// Whether only the nonce was wrong, not the password.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The value of the header for one request.
    pub(super) fn authorization(&self, user: &str, password: &str, method: &str, target: &str) -> String {
        let count = self.uses.fetch_add(1, Ordering::Relaxed) + 1;
        self.proof(&Claim { user, password, method, target }, count, &random())
    }

    fn proof(&self, claim: &Claim<'_>, count: u32, own_nonce: &str) -> String {
        let Claim { user, password, method, target } = claim;
        let Self { realm, nonce, .. } = self;
        let mut secret = self.hash.of(&format!("{user}:{realm}:{password}"));
        if self.is_session {
            secret = self.hash.of(&format!("{secret}:{nonce}:{own_nonce}"));
        }
        let request = self.hash.of(&format!("{method}:{target}"));
        let response = if self.is_counted {
            self.hash.of(&format!("{secret}:{nonce}:{count:08x}:{own_nonce}:auth:{request}"))
        } else {
            self.hash.of(&format!("{secret}:{nonce}:{request}"))
        };
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\"",
            quoted(user),
            quoted(realm),
            quoted(nonce),
            quoted(target)
        );
        value.push_str(&format!(
            ", algorithm={}{}",
            self.hash.name(),
            if self.is_session { "-sess" } else { "" }
        ));
        if self.is_counted {
            value.push_str(&format!(", cnonce=\"{own_nonce}\", nc={count:08x}, qop=auth"));
        } else if self.is_session {
            value.push_str(&format!(", cnonce=\"{own_nonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        value
    }
}

/// Who asks for what.
struct Claim<'a> {
    user: &'a str,
    password: &'a str,
    method: &'a str,
    target: &'a str,
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// In hexadecimal digits.
    fn of(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => {
                let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha256);
                hasher.update(text.as_bytes());
                // SHA-256 knows no collision that it would have to refuse
                hasher.try_finalize().map(|id| id.to_string()).unwrap_or_default()
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // writing to a String cannot fail
        let _: Result<(), std::fmt::Error> = write!(text, "{byte:02x}");
    }
    text
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// 128 bits that nobody can foretell: the standard library seeds each of its hashers by the operating system.
fn random() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::super::scheme::challenges;
    use super::*;

    fn proof(challenge: &str, own_nonce: &str) -> String {
        let digest = Digest::of(&challenges(&[challenge.to_owned()])[0]).unwrap();
        let claim =
            Claim { user: "Mufasa", password: "Circle of Life", method: "GET", target: "/dir/index.html" };
        let value = digest.proof(&claim, 1, own_nonce);
        let begin = value.find("response=\"").unwrap() + "response=\"".len();
        value[begin..].split('"').next().unwrap().to_owned()
    }

    /// RFC 7616, 3.9.1.
    #[test]
    fn the_examples_of_the_rfc_come_out() {
        let rest = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"x\"";
        let own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        assert_eq!(proof(&format!("Digest algorithm=MD5, {rest}"), own), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            proof(&format!("Digest algorithm=SHA-256, {rest}"), own),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn each_use_of_a_nonce_is_counted() {
        let digest = Digest::of(&challenges(&["Digest realm=r, nonce=n, qop=auth".into()])[0]).unwrap();
        let count = || digest.clone().authorization("a", "b", "GET", "/").contains("nc=00000002");
        assert!(!count());
        assert!(count());
    }

    #[test]
    fn what_is_not_spoken_is_not_tried() {
        let known = |text: &str| Digest::of(&challenges(&[text.to_owned()])[0]).is_some();
        assert!(known("Digest realm=r, nonce=n"));
        assert!(!known("Digest realm=r, nonce=n, qop=auth-int"));
        assert!(!known("Digest realm=r, nonce=n, algorithm=SHA-512-256"));
        assert!(!known("Digest realm=r"));
    }
}
