//! Relative URLs of submodules: git-submodule(1), "add".

use bstr::{BStr, BString, ByteSlice};

use crate::remote::Error;

/// Whether `url` stands for a place beside the superproject.
pub fn is_relative(url: &BStr) -> bool {
    url.starts_with(b"./") || url.starts_with(b"../")
}

/// What `relative` means for a superproject that comes from `base`: each `../` takes one part off.
///
/// # Errors
///
/// [`Error::Usage`] in git's words if `base` has no more parts.
pub fn resolve(base: &BStr, relative: &BStr) -> Result<BString, Error> {
    let mut base = BString::from(base.strip_suffix(b"/").unwrap_or(base));
    let is_path = !has_scheme(base.as_bstr()) && !base.starts_with(b"/");
    if is_path && !is_relative(base.as_bstr()) {
        base = [b"./", base.as_slice()].concat().into();
    }
    let mut rest: &[u8] = relative;
    let mut separator = "/";
    loop {
        if let Some(below) = rest.strip_prefix(b"../") {
            rest = below;
            separator = if strip_part(&mut base, is_path)? { ":" } else { separator };
        } else if let Some(below) = rest.strip_prefix(b"./") {
            rest = below;
        } else {
            break;
        }
    }
    let mut url = BString::from([base.as_slice(), separator.as_bytes(), rest].concat());
    if rest.ends_with(b"/") {
        url.pop();
    }
    Ok(url.strip_prefix(b"./").map(BString::from).unwrap_or(url))
}

/// Takes the last part off; whether a colon stood in front of it.
fn strip_part(base: &mut BString, is_path: bool) -> Result<bool, Error> {
    if let Some(at) = base.rfind_byte(b'/') {
        base.truncate(at);
        return Ok(false);
    }
    if let Some(at) = base.rfind_byte(b':') {
        base.truncate(at);
        return Ok(true);
    }
    if is_path || *base == "." {
        return Err(Error::Usage(format!("cannot strip one component off url '{base}'")));
    }
    *base = ".".into();
    Ok(false)
}

/// Whether a colon comes before any slash, so that it is no path.
fn has_scheme(url: &BStr) -> bool {
    let colon = url.find_byte(b':');
    colon.is_some_and(|colon| url.find_byte(b'/').is_none_or(|slash| colon < slash))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen in git 2.47.3.
    #[test]
    fn parts_are_taken_off_as_git_does() {
        for (base, relative, expected) in [
            ("/srv/outer", "../inner", "/srv/inner"),
            ("/srv/outer/", "../inner", "/srv/inner"),
            ("/srv/outer", "./inner", "/srv/outer/inner"),
            ("/srv/outer", "../inner/", "/srv/inner"),
            ("/srv/outer", "./../inner", "/srv/inner"),
            ("/srv/outer", "../../../x", "./x"),
            ("https://host/a/b", "../c.git", "https://host/a/c.git"),
            ("host:outer", "../inner", "host:inner"),
            ("host:a/outer", "../inner", "host:a/inner"),
            ("a/outer", "../inner", "a/inner"),
        ] {
            let expected = expected.strip_prefix("./").unwrap_or(expected);
            assert_eq!(resolve(base.into(), relative.into()).unwrap(), expected, "{base} {relative}");
        }
        let error = resolve("/srv/outer".into(), "../../../../x".into()).unwrap_err();
        assert_eq!(error.to_string(), "cannot strip one component off url '.'");
    }
}
