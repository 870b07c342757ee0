//! What a helper program can do: gitremote-helpers(7), "Capabilities".

use bstr::{BStr, BString, ByteSlice};

use super::super::Error;

/// The answer to `capabilities`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) connect: bool,
    pub(super) stateless_connect: bool,
    pub(super) fetch: bool,
    pub(super) import: bool,
    pub(super) bidi_import: bool,
    pub(super) push: bool,
    pub(super) export: bool,
    pub(super) option: bool,
    pub(super) object_format: bool,
    pub(super) check_connectivity: bool,
    pub(super) signed_tags: bool,
    pub(super) no_private_update: bool,
    /// `refspec`: which private ref stands for a ref of the far side.
    pub(super) refspecs: Vec<BString>,
    pub(super) export_marks: Option<BString>,
    pub(super) import_marks: Option<BString>,
}

/// The most refspecs that are taken.
const REFSPECS_MAX: usize = 10_000;

impl Capabilities {
    /// Takes in one line.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if it is unknown and marked with `*`: the program will not do without it.
    pub(super) fn learn(&mut self, line: &BStr) -> Result<(), Error> {
        let (is_mandatory, text) = match line.strip_prefix(b"*") {
            Some(rest) => (true, rest),
            None => (false, line.as_bytes()),
        };
        let (name, value) = text.split_once_str(" ").unwrap_or((text, b""));
        match name {
            b"connect" => self.connect = true,
            b"stateless-connect" => self.stateless_connect = true,
            b"fetch" => self.fetch = true,
            b"import" => self.import = true,
            b"bidi-import" => self.bidi_import = true,
            b"push" => self.push = true,
            b"export" => self.export = true,
            b"option" => self.option = true,
            b"object-format" => self.object_format = true,
            b"check-connectivity" => self.check_connectivity = true,
            b"signed-tags" => self.signed_tags = true,
            b"no-private-update" => self.no_private_update = true,
            b"refspec" if self.refspecs.len() < REFSPECS_MAX => self.refspecs.push(value.into()),
            b"export-marks" => self.export_marks = Some(value.into()),
            b"import-marks" => self.import_marks = Some(value.into()),
            // Nothing here asks for a `get`.
            b"get" => {}
            _ if is_mandatory => {
                return Err(Error::Program(format!(
                    "unknown mandatory capability {}; this remote helper probably needs newer version of Git",
                    text.as_bstr()
                )));
            }
            _ => {}
        }
        Ok(())
    }

    /// The private ref that stands for the far side's `name`: its own name where the program has no refspecs.
    pub(super) fn private_ref(&self, name: &BStr) -> Option<BString> {
        if self.refspecs.is_empty() {
            return Some(name.to_owned());
        }
        self.refspecs.iter().find_map(|refspec| apply(refspec, name))
    }
}

/// The right side of `refspec` for `name`, if its left side matches: `refs/heads/*:refs/x/heads/*`.
fn apply(refspec: &BString, name: &BStr) -> Option<BString> {
    let refspec = refspec.strip_prefix(b"+").unwrap_or(refspec);
    let (from, to) = refspec.split_once_str(":")?;
    let Some((before, after)) = from.split_once_str("*") else {
        return (from == name.as_bytes()).then(|| to.into());
    };
    let middle = name.strip_prefix(before)?.strip_suffix(after)?;
    let (to_before, to_after) = to.split_once_str("*")?;
    Some([to_before, middle, to_after].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(lines: &[&str]) -> Result<Capabilities, Error> {
        let mut capabilities = Capabilities::default();
        lines.iter().try_for_each(|line| capabilities.learn((*line).into()))?;
        Ok(capabilities)
    }

    #[test]
    fn what_is_unknown_is_ignored_unless_it_is_mandatory() {
        let known = learnt(&["fetch", "*connect", "foo bar", "import-marks /a b", "get"]).expect("known");
        assert!(known.fetch && known.connect && !known.push);
        assert_eq!(known.import_marks, Some("/a b".into()));
        let error = learnt(&["*foo bar"]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "unknown mandatory capability foo bar; this remote helper probably needs newer version of Git"
        );
    }

    #[test]
    fn a_private_ref_is_made_by_the_first_refspec_that_fits() {
        let known = learnt(&[
            "refspec refs/heads/main:refs/x/special",
            "refspec +refs/heads/*:refs/x/heads/*",
            "refspec refs/tags/v*-rc:refs/x/*",
        ])
        .expect("known");
        for (name, expected) in [
            ("refs/heads/main", Some("refs/x/special")),
            ("refs/heads/a/b", Some("refs/x/heads/a/b")),
            ("refs/tags/v1-rc", Some("refs/x/1")),
            ("refs/tags/v1", None),
            ("refs/tags/v-r", None),
        ] {
            assert_eq!(known.private_ref(name.into()), expected.map(BString::from), "{name}");
        }
        assert_eq!(Capabilities::default().private_ref("refs/a".into()), Some("refs/a".into()));
    }
}
