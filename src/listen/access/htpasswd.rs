//! Users and passwords as Apache keeps them: htpasswd(1).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// The alphabet of crypt(3).
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What hashes begin with that Apache made of MD5.
const APR1: &str = "$apr1$";
/// How often that one hashes.
const APR1_ROUNDS: usize = 1000;
/// Bytes of a password; what is longer costs time only.
const PASSWORD_LEN_MAX: usize = 1024;

/// The users of a file.
#[derive(Debug, Default)]
pub(super) struct Users {
    hashes: HashMap<String, String>,
    /// Stands for users who are not there, so that these are not told by the time it takes.
    example: String,
}

impl Users {
    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut users = Self::default();
        for (number, line) in super::lines(text).enumerate() {
            let pair = line.split_once(':').filter(|(user, _)| !user.is_empty());
            let (user, hash) = pair.ok_or_else(|| format!("entry {} is no user and hash", number + 1))?;
            if !is_known(hash) {
                return Err(format!("the hash of '{user}' is neither bcrypt nor apr1 nor SHA"));
            }
            if users.example.is_empty() {
                hash.clone_into(&mut users.example);
            }
            users.hashes.insert(user.to_owned(), hash.to_owned());
        }
        Ok(users)
    }

    /// Whether that is the password of `user`.
    pub(super) fn is_right(&self, user: &str, password: &str) -> bool {
        if password.len() > PASSWORD_LEN_MAX {
            return false;
        }
        match self.hashes.get(user) {
            Some(hash) => verify(hash, password),
            None => verify(&self.example, password) && false_whatever_it_took(),
        }
    }
}

/// Nobody who is not there has a password.
fn false_whatever_it_took() -> bool {
    false
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start))
}

fn is_known(hash: &str) -> bool {
    is_bcrypt(hash) || hash.starts_with(APR1) || hash.starts_with("{SHA}")
}

fn verify(hash: &str, password: &str) -> bool {
    if is_bcrypt(hash) {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    if let Some(rest) = hash.strip_prefix(APR1) {
        let salt = rest.split('$').next().unwrap_or_default();
        return is_same(&apr1(salt, password), hash);
    }
    let Some(expected) = hash.strip_prefix("{SHA}") else { return false };
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(password.as_bytes());
    hasher.try_finalize().is_ok_and(|id| is_same(&STANDARD.encode(id.as_slice()), expected))
}

/// Whether both are the same, in a time that tells nothing of where they differ.
fn is_same(one: &str, other: &str) -> bool {
    let difference = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && difference == 0
}

/// Apache's variant of the MD5 of crypt(3): passwords-encryptions in Apache's documentation.
fn apr1(salt: &str, password: &str) -> String {
    let (salt, password) = (salt.as_bytes(), password.as_bytes());
    let mut both = Md5::new();
    both.update(password);
    both.update(salt);
    both.update(password);
    let both: [u8; 16] = both.finalize().into();
    let mut begun = Md5::new();
    begun.update(password);
    begun.update(APR1);
    begun.update(salt);
    begun.update(both.iter().copied().cycle().take(password.len()).collect::<Vec<u8>>());
    let mut length = password.len();
    while length > 0 {
        let first = password.first().copied().unwrap_or_default();
        begun.update([if length & 1 == 1 { 0 } else { first }]);
        length >>= 1;
    }
    let mut digest: [u8; 16] = begun.finalize().into();
    for round in 0..APR1_ROUNDS {
        let is_odd = round & 1 == 1;
        let mut next = Md5::new();
        next.update(if is_odd { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if is_odd { &digest } else { password });
        digest = next.finalize().into();
    }
    let salt = String::from_utf8_lossy(salt);
    format!("{APR1}{salt}${}", letters(&digest))
}

/// A digest in the letters of crypt(3), whose order is its own.
fn letters(digest: &[u8; 16]) -> String {
    let byte = |place: usize| u32::from(digest.get(place).copied().unwrap_or_default());
    let mut text = String::new();
    let mut put = |mut value: u32, count: usize| {
        for _ in 0..count {
            let letter = ALPHABET.get((value & 63) as usize).copied().unwrap_or_default();
            text.push(char::from(letter));
            value >>= 6;
        }
    };
    for (high, middle, low) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        put(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    put(byte(11), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_hash_is_understood() {
        // by htpasswd and openssl passwd
        let text = "# users\napr:$apr1$saltsalt$yAAkm4libquA.ZWLHbSBq/\nsha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n\
                    bcrypt:$2y$04$sLRSz6JdtI42D3IJRwCMo.CCLI5ot71cCemWy1b9ZCjZq3.5tZCbO\n";
        let users = Users::parse(text).unwrap();
        for user in ["apr", "sha"] {
            assert!(users.is_right(user, "password"), "{user}");
            assert!(!users.is_right(user, "Password"), "{user}");
            assert!(!users.is_right(user, ""), "{user}");
        }
        assert!(users.is_right("bcrypt", "correctbatteryhorsestapler"));
        assert!(!users.is_right("bcrypt", "password"));
        assert!(!users.is_right("nobody", "password"), "though it is that of the first one");
    }

    #[test]
    fn what_is_not_understood_is_refused_at_once() {
        assert!(Users::parse("alice:password").is_err());
        assert!(Users::parse("alice").is_err());
        assert!(Users::parse(":{SHA}x").is_err());
    }
}
