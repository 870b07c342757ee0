//! The names of configuration keys.

use bstr::{BStr, BString, ByteSlice};

use super::Error;

/// `section.subsection.name` taken apart, in the case it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'a> {
    /// Before the first dot.
    pub section: &'a [u8],
    /// Between the first and the last dot.
    pub subsection: Option<&'a [u8]>,
    /// Behind the last dot.
    pub name: &'a [u8],
}

impl<'a> Key<'a> {
    /// Takes `key` apart and checks its parts; errors are those of git 2.47.3.
    pub(super) fn parse(key: &'a [u8]) -> Result<Self, Error> {
        let refuse = |what: &str| Err(Error::Config(format!("{what}: {}", key.as_bstr())));
        let Some((before, name)) = key.rsplit_once_str(b".").filter(|(before, _)| !before.is_empty()) else {
            return refuse("key does not contain a section");
        };
        if name.is_empty() {
            return refuse("key does not contain variable name");
        }
        let (section, subsection) = split_section(before);
        let name_is_valid =
            name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(|&byte| is_name(byte));
        if !section.iter().all(|&byte| is_name(byte)) || !name_is_valid || key.contains(&0) {
            return refuse("invalid key");
        }
        if subsection.is_some_and(|subsection| subsection.contains(&b'\n')) {
            return refuse("invalid key (newline)");
        }
        Ok(Self { section, subsection, name })
    }

    /// The spelling under which all spellings of the key are the same: section and name in lower case.
    pub(super) fn canonical(self) -> BString {
        let mut canonical = self.section.to_ascii_lowercase();
        if let Some(subsection) = self.subsection {
            canonical.push(b'.');
            canonical.extend_from_slice(subsection);
        }
        canonical.push(b'.');
        canonical.extend(self.name.to_ascii_lowercase());
        canonical.into()
    }
}

/// The canonical spelling of `key`, which need not be valid: section and name in lower case.
pub fn canonical(key: &[u8]) -> BString {
    match key.rsplit_once_str(b".") {
        Some((before, name)) => {
            let (section, subsection) = split_section(before);
            Key { section, subsection, name }.canonical()
        }
        None => key.into(),
    }
}

/// Section and subsection of `name`, such as `branch.main`.
pub(super) fn split_section(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    match name.split_once_str(b".") {
        Some((section, subsection)) => (section, Some(subsection)),
        None => (name, None),
    }
}

/// Checks the name of a section, such as `branch.main`.
pub(super) fn check_section(name: &BStr) -> Result<(&[u8], Option<&[u8]>), Error> {
    let (section, subsection) = split_section(name);
    let subsection_is_valid = subsection.is_none_or(|subsection| !subsection.contains(&b'\n'));
    let section_is_valid = !section.is_empty() && section.iter().all(|&byte| is_name(byte));
    if !section_is_valid || !subsection_is_valid || name.contains(&0) {
        return Err(Error::Config(format!("invalid section name: {name}")));
    }
    Ok((section, subsection))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}
