//! Ids and ref names as text, for whoever reads or writes a hundred thousand of them: what the crates for it do, in a
//! fraction of the steps. And the values of the configuration and its URLs, for whoever has one.

pub(crate) mod url;

use bstr::{BStr, ByteSlice as _};
use gix_hash::ObjectId;

/// The value of each hexadecimal digit; [`NO_DIGIT`] for any other byte.
const VALUES: [u16; 256] = values();
const NO_DIGIT: u16 = 0x100;
/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = pairs();
const DIGITS: [u8; 16] = *b"0123456789abcdef";

#[expect(clippy::indexing_slicing, reason = "would not compile if it were beyond the end")]
const fn values() -> [u16; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = DIGITS[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
}

#[expect(clippy::indexing_slicing, reason = "would not compile if it were beyond the end")]
const fn pairs() -> [[u8; 2]; 256] {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    pairs
}

/// The id that `hex` is in full; `None` if it is none of either hash function.
pub(crate) fn id_of_hex(hex: &[u8]) -> Option<ObjectId> {
    match hex.len() {
        40 => decode::<20>(hex).map(ObjectId::Sha1),
        64 => decode::<32>(hex).map(ObjectId::Sha256),
        _ => None,
    }
}

/// The `N` bytes that twice as many digits stand for.
fn decode<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut all = 0;
    for (byte, pair) in bytes.iter_mut().zip(hex.as_chunks::<2>().0) {
        let [high, low] = *pair;
        let value = VALUES.get(usize::from(high))? << 4 | VALUES.get(usize::from(low))?;
        all |= value;
        *byte = u8::try_from(value & 0xff).unwrap_or_default();
    }
    // a wrong high digit has moved its mark up
    (all < NO_DIGIT).then_some(bytes)
}

/// Appends `id` in hexadecimal to `out`.
pub(crate) fn push_hex(out: &mut Vec<u8>, id: &gix_hash::oid) {
    let start = out.len();
    out.resize(start + 2 * id.as_bytes().len(), 0);
    let digits = out.get_mut(start..).unwrap_or_default();
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(id.as_bytes()) {
        *pair = hex_of_byte(*byte);
    }
}

/// The two digits of `byte`.
pub(crate) fn hex_of_byte(byte: u8) -> [u8; 2] {
    PAIRS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// `name` without `prefix` before it; `None` if it begins otherwise. Where the prefix is empty nothing is compared: what an
/// empty slice points to may be mapped nowhere, and a vector that is loaded from there under an empty mask, as glibc's
/// `memcmp` does it, takes the processor as long as a hundred comparisons.
pub(crate) fn strip_prefix<'n>(name: &'n BStr, prefix: &[u8]) -> Option<&'n BStr> {
    if prefix.is_empty() { Some(name) } else { name.strip_prefix(prefix).map(BStr::new) }
}

/// Whether `name` is the full name of a ref: `HEAD` and its like, or one with a slash (git-check-ref-format(1)).
pub(crate) fn is_full_ref_name(name: &BStr) -> bool {
    is_plain(name) && name.contains(&b'/') || gix_validate::reference::name(name).is_ok()
}

/// Whether `name` is well-formed, one level being enough (git-check-ref-format(1), `--allow-onelevel`).
pub(crate) fn is_partial_ref_name(name: &BStr) -> bool {
    is_plain(name) || gix_validate::reference::name_partial(name).is_ok()
}

/// Whether `name` is so simple that no rule can forbid it; one that is not may be allowed nonetheless.
fn is_plain(name: &[u8]) -> bool {
    let mut before = b'/';
    for &byte in name {
        let kind = KINDS.get(usize::from(byte)).copied().unwrap_or(Kind::Other);
        let is_free = match kind {
            Kind::Free => true,
            // `.lock` is no end of a component
            Kind::Lock => before != b'.',
            Kind::Dash => before != b'/',
            Kind::End => before != b'/' && before != b'.',
            Kind::Other => false,
        };
        if !is_free {
            return false;
        }
        before = byte;
    }
    before != b'/' && before != b'.'
}

/// What a byte of a name may be, see [`is_plain`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Free,
    Lock,
    Dash,
    End,
    Other,
}

const KINDS: [Kind; 256] = kinds();

#[expect(clippy::indexing_slicing, reason = "would not compile if it were beyond the end")]
const fn kinds() -> [Kind; 256] {
    let mut kinds = [Kind::Other; 256];
    let mut byte = u8::MAX;
    loop {
        kinds[byte as usize] = match byte {
            b'l' => Kind::Lock,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Kind::Free,
            b'-' => Kind::Dash,
            b'.' | b'/' => Kind::End,
            _ => Kind::Other,
        };
        if byte == 0 {
            return kinds;
        }
        byte -= 1;
    }
}

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

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    #[test]
    fn ids_are_read_as_the_crate_reads_them() {
        let sha1 = "0123456789abcdefABCDEF0123456789abcdef01";
        let sha256 = "0123456789abcdef".repeat(4);
        for hex in [sha1, &sha256] {
            assert_eq!(id_of_hex(hex.as_bytes()), ObjectId::from_hex(hex.as_bytes()).ok(), "{hex}");
            let mut out = b"x".to_vec();
            push_hex(&mut out, &id_of_hex(hex.as_bytes()).unwrap());
            assert_eq!(out, format!("x{}", hex.to_lowercase()).as_bytes());
        }
        for wrong in ["", "0", &sha1[1..], &sha256[1..], &sha1.replace('0', "g"), &sha1.replace('0', "\u{0}")]
        {
            assert_eq!(id_of_hex(wrong.as_bytes()), None, "{wrong}");
        }
        for byte in 0..=u8::MAX {
            let mut hex = sha1.as_bytes().to_vec();
            hex[7] = byte;
            assert_eq!(id_of_hex(&hex), ObjectId::from_hex(&hex).ok(), "{byte}");
        }
    }

    /// All names of up to five of the letters that rules speak of, and those of any one byte more.
    #[test]
    fn names_are_judged_as_the_crate_judges_them() {
        let check = |name: &[u8]| {
            let name = name.as_bstr();
            assert_eq!(is_full_ref_name(name), gix_validate::reference::name(name).is_ok(), "{name}");
            assert_eq!(
                is_partial_ref_name(name),
                gix_validate::reference::name_partial(name).is_ok(),
                "{name}"
            );
        };
        let letters = b"a./-@{l~A_";
        let mut names = vec![Vec::new()];
        for _ in 0..5 {
            let longer = names
                .iter()
                .flat_map(|name: &Vec<u8>| letters.iter().map(move |l| [name, &[*l][..]].concat()));
            names.extend(longer.collect::<Vec<_>>());
            names.sort_unstable();
            names.dedup();
        }
        for name in &names {
            check(name);
        }
        for byte in 0..=u8::MAX {
            check(&[b"refs/heads/a", &[byte][..], b"b"].concat());
            check(&[b"refs/heads/", &[byte][..]].concat());
        }
        for name in [
            "refs/heads/a.lock",
            "refs/a.lock/b",
            "refs/heads/a.lockb",
            "refs/heads/v1.2.3",
            "HEAD",
            "FETCH_HEAD",
        ] {
            check(name.as_bytes());
        }
    }
}
