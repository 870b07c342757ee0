//! What values mean: booleans, integers and paths, as git reads them.

use std::path::PathBuf;

use bstr::{BStr, ByteSlice};

use crate::repo::Environment;

/// A value as a boolean: git-config(1), "Values", and any integer; `None` if it is none.
pub fn boolean(value: &BStr) -> Option<bool> {
    let is = |words: [&str; 3]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    if value.is_empty() || is(["false", "no", "off"]) {
        return Some(false);
    }
    if is(["true", "yes", "on"]) {
        return Some(true);
    }
    // git reads the number as a C int
    let number = integer(value).ok().and_then(|number| i32::try_from(number).ok())?;
    Some(number != 0)
}

/// A value as an integer, read as C's `strtoimax` with base 0 does, with a suffix k, m or g. The error is git's word
/// for what is wrong.
pub fn integer(value: &BStr) -> Result<i64, &'static str> {
    let value = value.trim_start();
    let negative = value.starts_with(b"-");
    let rest = value.strip_prefix(b"-").or(value.strip_prefix(b"+")).unwrap_or(value);
    let (radix, digits) = match rest {
        [b'0', b'x' | b'X', digits @ ..] if digits.first().is_some_and(u8::is_ascii_hexdigit) => (16, digits),
        [b'0', ..] => (8, rest),
        _ => (10, rest),
    };
    let len = digits.iter().take_while(|&&byte| char::from(byte).is_digit(radix)).count();
    let (digits, suffix) = digits.split_at(len);
    let factor: i64 = match suffix {
        _ if digits.is_empty() => return Err("invalid unit"),
        b"" => 1,
        [b'k' | b'K'] => 1 << 10,
        [b'm' | b'M'] => 1 << 20,
        [b'g' | b'G'] => 1 << 30,
        _ => return Err("invalid unit"),
    };
    let mut number: i64 = 0;
    for &digit in digits {
        let digit = i64::from(char::from(digit).to_digit(radix).unwrap_or(0));
        number =
            number.checked_mul(i64::from(radix)).and_then(|n| n.checked_add(digit)).ok_or("out of range")?;
    }
    number.checked_mul(if negative { -factor } else { factor }).ok_or("out of range")
}

/// A value as a path, with `~/` and `~user/` expanded; `None` if the home directory is not known.
pub(in crate::repo) fn path(value: &BStr, env: &Environment) -> Option<PathBuf> {
    let Some(rest) = value.strip_prefix(b"~") else {
        return Some(to_path(value));
    };
    let (user, rest) = rest.split_once_str(b"/").unwrap_or((rest, b""));
    let home = if user.is_empty() { env.home()? } else { home_of(user)? };
    Some(if rest.is_empty() { home } else { home.join(to_path(rest)) })
}

/// Bytes as a path; on systems whose paths are Unicode, what is not is replaced.
pub(in crate::repo) fn to_path(bytes: &[u8]) -> PathBuf {
    bytes.to_path_lossy().into_owned()
}

/// The home directory of `user` by the system's list of users.
fn home_of(user: &[u8]) -> Option<PathBuf> {
    let users = std::fs::read("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split_str(b":");
        (fields.next()? == user).then(|| fields.nth(4).map(to_path)).flatten()
    })
}
