//! Writes a URL anew from its parts; the fuzz target takes this file in as well.

use bstr::{BString, ByteSlice};
use gitr::transport::{Scheme, Url};

/// A text that has to lead to the same place as `url`; `None` where only the text it came from does, since a host like
/// `a:b` can be said in one form alone.
pub fn print(url: &Url) -> Option<BString> {
    let (name, is_decoded) = match &url.scheme {
        Scheme::Path => return Some(url.path.clone()),
        Scheme::Helper(name) => return Some([name, &b"::"[..], &url.path].concat().into()),
        Scheme::File => ("file", true),
        Scheme::Git => ("git", true),
        Scheme::Ssh => ("ssh", true),
        Scheme::Http => ("http", false),
        Scheme::Https => ("https", false),
    };
    // wherever these stand, git takes what follows them for the host in brackets
    if is_decoded && url.path.contains_str("@[") {
        return None;
    }
    let host = host(&url.host)?;
    let mut authority = BString::default();
    if let Some(user) = &url.user {
        // These are looked for once all is decoded, and so are found in the user as well.
        if user.find_byteset(b"[]:/").is_some() && is_decoded {
            return None;
        }
        authority.extend_from_slice(&encode(user, b"-._"));
        authority.push(b'@');
    }
    authority.extend_from_slice(&host);
    if let Some(port) = url.port {
        authority.extend_from_slice(format!(":{port}").as_bytes());
    }
    let path = if is_decoded { encode(&url.path, b"/-._~") } else { url.path.clone() };
    let text = match (&url.scheme, path.first()) {
        (_, Some(b'/')) | (Scheme::Http | Scheme::Https, _) => {
            [name.as_bytes(), b"://", &authority, &path].concat()
        }
        (_, Some(b'~')) => [name.as_bytes(), b"://", &authority, b"/", &path].concat(),
        // Only the form of scp says a path below the home directory, and it knows no percent signs.
        _ if authority.contains(&b'%') => return None,
        _ if host.starts_with(b"[") && url.port.is_some() => return None,
        _ if host.starts_with(b"[") => [&authority[..], b":", &url.path].concat(),
        _ => [b"[", &authority[..], b"]:", &url.path].concat(),
    };
    Some(text.into())
}

/// A plain host, or an address of IPv6 in brackets.
fn host(host: &BString) -> Option<BString> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let is_address =
        host.contains(&b':') && host.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b':');
    if is_address && host.find_byte(b':') != host.rfind_byte(b':') {
        return Some([b"[", host.as_slice(), b"]"].concat().into());
    }
    (!host.is_empty() && host.iter().all(is_plain)).then(|| host.clone())
}

/// Every byte but letters, digits and `plain` by its number; NUL, which has none, as it is.
fn encode(text: &[u8], plain: &[u8]) -> BString {
    let mut encoded = BString::default();
    for byte in text {
        if byte.is_ascii_alphanumeric() || plain.contains(byte) || *byte == 0 {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    encoded
}
