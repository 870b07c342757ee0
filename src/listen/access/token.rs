//! Users and tokens: one a line.

use super::{Digest, sha256};

/// What a token begins with of which the file has the SHA-256 alone.
const HASHED: &str = "sha256:";
/// Letters of a token that is worth one.
const TOKEN_LEN_MIN: usize = 16;

/// The tokens of a file.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<(String, Digest)>);

impl Tokens {
    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let entry = |(number, line): (usize, &str)| {
            let bad = |why: &str| format!("entry {}: {why}", number + 1);
            let (user, token) = line.split_once(char::is_whitespace).ok_or_else(|| bad("no token"))?;
            let token = token.trim();
            let digest = match token.strip_prefix(HASHED) {
                Some(hex) => digest(hex).ok_or_else(|| bad("no SHA-256 in hexadecimal digits"))?,
                None if token.len() < TOKEN_LEN_MIN => return Err(bad("the token is too short")),
                None => sha256(&[token.as_bytes()]).ok_or_else(|| bad("cannot be hashed"))?,
            };
            Ok((user.to_owned(), digest))
        };
        super::lines(text).enumerate().map(entry).collect::<Result<_, String>>().map(Self)
    }

    /// Whose token it is; where `claimed` says who, only if it is his.
    pub(super) fn user(&self, token: &str, claimed: Option<&str>) -> Option<String> {
        let digest = sha256(&[token.as_bytes()])?;
        let is_meant = |user: &str| claimed.is_none_or(|claimed| claimed == user);
        let found = self.0.iter().find(|(user, known)| *known == digest && is_meant(user));
        found.map(|(user, _)| user.clone())
    }
}

fn digest(hex: &str) -> Option<Digest> {
    let id = gix_hash::ObjectId::from_hex(hex.as_bytes()).ok()?;
    id.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_somebody_s() {
        let text = "ci 0123456789abcdef\n# more\nbot sha256:\
            3465f6e6975baa864ca957f0914ecda9bf7eb601ac31ac20a5dc3d329279a843\n";
        let tokens = Tokens::parse(text).unwrap();
        assert_eq!(tokens.user("0123456789abcdef", None), Some("ci".into()));
        assert_eq!(tokens.user("0123456789abcdef", Some("ci")), Some("ci".into()));
        assert_eq!(tokens.user("0123456789abcdef", Some("bot")), None);
        assert_eq!(tokens.user("0123456789abcdeg", None), None);
        assert_eq!(tokens.user("fedcba9876543210", None), Some("bot".into()));
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused() {
        for text in ["ci", "ci short", "ci sha256:12"] {
            assert!(Tokens::parse(text).is_err(), "{text}");
        }
    }
}
