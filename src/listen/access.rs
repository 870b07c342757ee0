//! Who a client is and what he may do: users with passwords, users with tokens, a service that is asked, and rules.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::forward::Forward;
use self::htpasswd::Users;
use self::rule::Rules;
use self::token::Tokens;

pub(super) mod forward;
mod htpasswd;
mod place;
mod rule;
mod token;

/// Bytes of a file of users, tokens or rules.
const FILE_LEN_MAX: u64 = 16 << 20;
/// How long a password that was right is not looked at again: hashing it takes a good part of a second.
const REMEMBERED_FOR: Duration = Duration::from_mins(1);
/// Passwords that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// Where it stands who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Users and passwords: `htpasswd -B` makes it. bcrypt, apr1 and SHA are understood.
    pub htpasswd: Option<PathBuf>,
    /// Users and tokens, `<user> <token>` or `<user> sha256:<hexadecimal digits>` a line.
    pub tokens: Option<PathBuf>,
    /// The rules, as TOML.
    pub rules: Option<PathBuf>,
    /// A URL that decides.
    pub forward: Option<String>,
    /// Whether reading is for users alone where no rule says otherwise.
    pub is_private: bool,
}

/// What is in those files.
#[derive(Debug, Default)]
pub(super) struct Access {
    users: Option<Users>,
    tokens: Option<Tokens>,
    rules: Option<Rules>,
    pub forward: Option<Forward>,
    is_private: bool,
    /// Hashes of users with their passwords that were found right, and until when they are.
    remembered: Mutex<HashMap<Digest, Instant>>,
}

/// A SHA-256: what is compared instead of secrets, so that the time it takes tells nothing.
type Digest = [u8; 32];

/// What a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    Basic { user: String, password: String },
    Bearer(String),
}

/// Who somebody is that claims so, as far as it can be told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    User(String),
    Nobody,
    /// His password has to be hashed.
    ByPassword,
}

/// What is decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// Somebody might be, but not without saying who he is.
    Unknown,
    Denied,
}

/// What somebody is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Read,
    Write,
}

impl Deed {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Files {
    /// Whether clients can be told from each other.
    pub fn knows_users(&self) -> bool {
        self.htpasswd.is_some() || self.tokens.is_some() || self.forward.is_some()
    }
}

impl Access {
    /// Reads all files anew.
    pub(super) fn load(files: &Files) -> io::Result<Self> {
        let read = |path: &Option<PathBuf>| path.as_deref().map(text_of).transpose();
        let bad = |path: &Option<PathBuf>, error: String| {
            let path = path.as_deref().unwrap_or(Path::new("?"));
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        };
        let users = read(&files.htpasswd)?.map(|text| Users::parse(&text)).transpose();
        let tokens = read(&files.tokens)?.map(|text| Tokens::parse(&text)).transpose();
        let rules = read(&files.rules)?.map(|text| Rules::parse(&text)).transpose();
        let forward = files.forward.as_deref().map(Forward::parse).transpose();
        Ok(Self {
            users: users.map_err(|error| bad(&files.htpasswd, error))?,
            tokens: tokens.map_err(|error| bad(&files.tokens, error))?,
            rules: rules.map_err(|error| bad(&files.rules, error))?,
            forward: forward.map_err(|error| bad(&files.forward.as_ref().map(PathBuf::from), error))?,
            is_private: files.is_private,
            remembered: Mutex::default(),
        })
    }

    /// Who it is that claims so, by tokens and by passwords that were looked at lately.
    pub(super) fn known(&self, claim: &Claim) -> Known {
        let of_token = |token: &str, user: Option<&str>| {
            self.tokens.as_ref().and_then(|tokens| tokens.user(token, user))
        };
        match claim {
            Claim::Bearer(token) => of_token(token, None).map_or(Known::Nobody, Known::User),
            Claim::Basic { user, password } => {
                if let Some(user) = of_token(password, Some(user)) {
                    return Known::User(user);
                }
                match digest(user, password) {
                    Some(digest) if self.is_remembered(&digest) => Known::User(user.clone()),
                    Some(_) if self.users.is_some() => Known::ByPassword,
                    Some(_) | None => Known::Nobody,
                }
            }
        }
    }

    /// Who it is that claims so; it may take a while.
    pub(super) fn user(&self, claim: &Claim) -> Option<String> {
        match (self.known(claim), claim) {
            (Known::User(user), _) => Some(user),
            (Known::ByPassword, Claim::Basic { user, password }) => {
                self.users.as_ref()?.is_right(user, password).then(|| {
                    self.remember(digest(user, password));
                    user.clone()
                })
            }
            (Known::Nobody | Known::ByPassword, _) => None,
        }
    }

    /// Whether `user` may do it to `repository`, which is a path below the root.
    pub(super) fn verdict(&self, user: Option<&str>, repository: &str, deed: Deed) -> Verdict {
        let is_allowed = match &self.rules {
            Some(rules) => rules.allow(user, repository, deed),
            // who may write depends on the repository as well: the services look at that
            None => !self.is_private || user.is_some(),
        };
        match (is_allowed, user) {
            (true, _) => Verdict::Allowed,
            (false, None) if self.knows_users() => Verdict::Unknown,
            (false, _) => Verdict::Denied,
        }
    }

    /// Whether clients can say who they are.
    pub(super) fn knows_users(&self) -> bool {
        self.users.is_some() || self.tokens.is_some() || self.forward.is_some()
    }

    /// How they are asked.
    pub(super) fn challenges(&self) -> Vec<&'static str> {
        let bearer = self.tokens.is_some().then_some("Bearer realm=\"git\"");
        std::iter::once("Basic realm=\"git\", charset=\"UTF-8\"").chain(bearer).collect()
    }

    fn is_remembered(&self, digest: &Digest) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).is_some_and(|until| *until > Instant::now())
    }

    fn remember(&self, digest: Option<Digest>) {
        let Some(digest) = digest else { return };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, until| *until > now);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(digest, now + REMEMBERED_FOR);
        }
    }
}

impl Claim {
    /// Reads the header `Authorization`; `None` if it is of no kind that is known.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(rest.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        if user.is_empty() || user.chars().any(char::is_control) {
            return None;
        }
        Some(Self::Basic { user: user.to_owned(), password: password.to_owned() })
    }
}

/// The text of a file that is not too long.
fn text_of(path: &Path) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let data = fs::metadata(path).map_err(named)?;
    if data.len() > FILE_LEN_MAX {
        return Err(named(io::Error::other("the file is too long")));
    }
    fs::read_to_string(path).map_err(named)
}

/// What is remembered of a password.
fn digest(user: &str, password: &str) -> Option<Digest> {
    sha256(&[user.as_bytes(), b"\0", password.as_bytes()])
}

fn sha256(pieces: &[&[u8]]) -> Option<Digest> {
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha256);
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.try_finalize().ok()?.as_slice().try_into().ok()
}

/// The lines of a file that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read() {
        let basic =
            |user: &str, password: &str| Some(Claim::Basic { user: user.into(), password: password.into() });
        for (header, claim) in [
            ("Basic YWxpY2U6c2U6Y3JldA==", basic("alice", "se:cret")),
            ("basic YWxpY2U6", basic("alice", "")),
            ("Basic !", None),
            ("Basic OnB3", None),
            ("Basic", None),
            ("Digest x", None),
            ("Bearer t0ken", Some(Claim::Bearer("t0ken".into()))),
        ] {
            assert_eq!(Claim::parse(header), claim, "{header}");
        }
    }

    #[test]
    fn what_is_private_is_for_users() {
        let access = Access { is_private: true, users: Some(Users::default()), ..Access::default() };
        assert_eq!(access.verdict(None, "x.git", Deed::Read), Verdict::Unknown);
        assert_eq!(access.verdict(Some("a"), "x.git", Deed::Read), Verdict::Allowed);
        assert_eq!(Access::default().verdict(None, "x.git", Deed::Read), Verdict::Allowed);
    }

    #[test]
    fn a_password_that_was_right_is_not_hashed_again() {
        let users = Users::parse("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=").unwrap();
        let access = Access { users: Some(users), ..Access::default() };
        let claim = |password: &str| Claim::Basic { user: "alice".into(), password: password.into() };
        assert_eq!(access.user(&claim("wrong")), None);
        assert!(access.remembered.lock().unwrap().is_empty());
        assert_eq!(access.known(&claim("password")), Known::ByPassword);
        assert_eq!(access.user(&claim("password")), Some("alice".into()));
        assert_eq!(access.remembered.lock().unwrap().len(), 1);
        assert_eq!(access.known(&claim("password")), Known::User("alice".into()));
        assert_eq!(access.known(&claim("wrong")), Known::ByPassword);
    }

    #[test]
    fn tokens_are_told_at_once() {
        let tokens = Tokens::parse("ci 0123456789abcdef").unwrap();
        let users = Users::parse("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=").unwrap();
        let access = Access { tokens: Some(tokens), users: Some(users), ..Access::default() };
        let basic = |user: &str, password: &str| {
            access.known(&Claim::Basic { user: user.into(), password: password.into() })
        };
        let ci = Known::User("ci".into());
        assert_eq!(access.known(&Claim::Bearer("0123456789abcdef".into())), ci);
        assert_eq!(access.known(&Claim::Bearer("password".into())), Known::Nobody);
        assert_eq!(basic("ci", "0123456789abcdef"), ci);
        assert_eq!(basic("alice", "0123456789abcdef"), Known::ByPassword);
        let without_passwords = Access { users: None, ..access };
        let claim = Claim::Basic { user: "alice".into(), password: "password".into() };
        assert_eq!(without_passwords.known(&claim), Known::Nobody);
    }
}
