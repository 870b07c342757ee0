//! The ways to prove who we are that servers and proxies offer: RFC 9110, 11; Basic, RFC 7617; Digest, RFC 7616.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::digest::Digest;

/// Challenges in the header of one answer that are looked at.
const CHALLENGES_MAX: usize = 32;

/// A way that was offered and that is spoken here.
#[derive(Debug, Clone)]
pub(super) enum Scheme {
    /// Name and password as they are.
    Basic,
    /// A proof that the password is known.
    Digest(Digest),
}

impl Scheme {
    /// The best of what the lines of `WWW-Authenticate` or `Proxy-Authenticate` offer. Lines that name none are taken to
    /// mean Basic.
    pub(super) fn choose(lines: &[String]) -> Option<Self> {
        if lines.is_empty() {
            return Some(Self::Basic);
        }
        let challenges = challenges(lines);
        let digest = challenges.iter().filter(|challenge| challenge.scheme == "digest");
        // the strongest hash of those that are known
        let digest = digest.filter_map(Digest::of).max_by_key(Digest::strength);
        let basic = challenges.iter().any(|challenge| challenge.scheme == "basic").then_some(Self::Basic);
        digest.map(Self::Digest).or(basic)
    }

    /// The value of `Authorization` or `Proxy-Authorization` for a request by `method` to `target`.
    pub(super) fn authorization(&self, user: &str, password: &str, method: &str, target: &str) -> String {
        match self {
            Self::Basic => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            Self::Digest(digest) => digest.authorization(user, password, method, target),
        }
    }

    /// Whether an answer to a request that used `previous` means that it is worth to try this one: the server had
    /// another way in mind, or only its nonce was too old.
    pub(super) fn is_worth_another_try_after(&self, previous: &Self) -> bool {
        match (previous, self) {
            (Self::Basic, Self::Digest(_)) => true,
            (Self::Digest(_), Self::Digest(digest)) => digest.is_stale(),
            (Self::Basic | Self::Digest(_), Self::Basic) => false,
        }
    }
}

/// One challenge: a scheme and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case.
    pub(super) scheme: String,
    /// Names in lower case, values without quotes.
    pub(super) parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// Takes header lines apart; one line can hold several challenges, and commas divide both them and their parameters.
pub(super) fn challenges(lines: &[String]) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    for part in lines.iter().flat_map(|line| split_outside_quotes(line)) {
        let part = part.trim();
        let (head, rest) = part.split_once([' ', '\t']).unwrap_or((part, ""));
        if head.is_empty() || found.len() > CHALLENGES_MAX {
            continue;
        }
        let parameter = if head.contains('=') || rest.trim_start().starts_with('=') {
            part
        } else {
            found.push(Challenge { scheme: head.to_ascii_lowercase(), parameters: Vec::new() });
            rest
        };
        if let (Some(challenge), Some((name, value))) = (found.last_mut(), parameter.split_once('=')) {
            challenge.parameters.push((name.trim().to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    found
}

fn split_outside_quotes(line: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(|letter| {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && !was_escaped && letter == '\\';
        if letter == '"' && !was_escaped {
            is_quoted = !is_quoted;
        }
        letter == ',' && !is_quoted
    })
    .collect()
}

/// The text of a quoted string: RFC 9110, 5.6.4.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.extend(letters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn challenges_are_divided_at_commas_outside_quotes() {
        let found =
            challenges(&lines(&["Digest realm=\"a, \\\"b\\\"\", nonce=n==, Basic realm = x", "Negotiate"]));
        let expected = [
            ("digest", vec![("realm", "a, \"b\""), ("nonce", "n==")]),
            ("basic", vec![("realm", "x")]),
            ("negotiate", vec![]),
        ];
        let owned = expected.map(|(scheme, parameters)| Challenge {
            scheme: scheme.into(),
            parameters: parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        });
        assert_eq!(found, owned);
    }

    #[test]
    fn the_best_of_what_is_spoken_here_is_chosen() {
        let chosen = |offered: &[&str]| Scheme::choose(&lines(offered));
        assert!(matches!(chosen(&[]), Some(Scheme::Basic)));
        assert!(matches!(chosen(&["Negotiate", "basic realm=\"x\""]), Some(Scheme::Basic)));
        assert!(matches!(chosen(&["Basic realm=x, Digest realm=x, nonce=y"]), Some(Scheme::Digest(_))));
        assert!(chosen(&["Negotiate", "NTLM", "Digest algorithm=SHA-512-256, realm=x, nonce=y"]).is_none());
    }

    #[test]
    fn basic_is_name_and_password() {
        let value = Scheme::Basic.authorization("alice", "secret", "GET", "/");
        assert_eq!(value, "Basic YWxpY2U6c2VjcmV0");
    }
}
