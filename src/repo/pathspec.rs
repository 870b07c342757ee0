//! Pathspecs: which paths are meant. gitglossary(7), "pathspec".

use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_pathspec::{Defaults, Pattern, Search};

use super::Error;

/// Several pathspecs, of which one has to match and none of those that exclude.
#[derive(Debug)]
pub struct Pathspecs(Search);

impl Pathspecs {
    /// Reads `specs`, which begin at the `top` of the work tree. Attributes are not looked at: what asks for one matches
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] in git's words for what is no pathspec, or leads out of the work tree.
    pub fn parse(specs: &[BString], top: &Path) -> Result<Self, Error> {
        let patterns = specs.iter().map(|spec| pattern(spec.as_bstr())).collect::<Result<Vec<_>, _>>()?;
        for (spec, pattern) in specs.iter().zip(&patterns) {
            if leads_out(pattern.path().as_bstr()) {
                let text = format!("{spec}: '{spec}' is outside repository at '{}'", top.display());
                return Err(Error::Refused(text));
            }
        }
        let search = Search::from_specs(patterns, None, top);
        Ok(Self(search.map_err(|error| Error::Refused(format!("invalid pathspec: {error}")))?))
    }

    /// Whether the directory `path` is meant.
    pub fn match_directory(&mut self, path: &BStr) -> bool {
        let found = self.0.pattern_matching_relative_path(path, Some(true), &mut |_, _, _, _| false);
        found.is_some_and(|found| !found.is_excluded())
    }
}

/// Reads one pathspec.
fn pattern(spec: &BStr) -> Result<Pattern, Error> {
    const KNOWN: [&[u8]; 7] = [b"top", b"literal", b"icase", b"glob", b"attr", b"exclude", b""];
    if spec.is_empty() {
        let text =
            "empty string is not a valid pathspec. please use . instead if you meant to match all paths";
        return Err(Error::Refused(text.into()));
    }
    // gix_pathspec takes the point for the beginning of all names
    let spec = if spec == "." || spec == "./" { b":".as_bstr() } else { spec };
    gix_pathspec::parse(spec, Defaults::default()).map_err(|error| {
        let words =
            spec.strip_prefix(b":(").and_then(|rest| rest.split_once_str(")")).map(|(words, _)| words);
        let mut words = words.into_iter().flat_map(|words| words.split_str(","));
        let unknown = words.find(|word| {
            let word = word.split_once_str(":").map_or(*word, |(word, _)| word);
            !KNOWN.contains(&word)
        });
        Error::Refused(match unknown {
            Some(word) => format!("Invalid pathspec magic '{}' in '{spec}'", word.as_bstr()),
            None => format!("invalid pathspec '{spec}': {error}"),
        })
    })
}

/// Whether `path` goes up more than down.
fn leads_out(path: &BStr) -> bool {
    let mut depth = 0_usize;
    for part in path.split_str("/") {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    path.starts_with(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_found_as_git_finds_submodules() {
        for (specs, expected) in [
            (&["."][..], [true, true, true]),
            (&["x"], [false, true, true]),
            (&["x/"], [false, true, true]),
            (&["*b"], [false, true, false]),
            (&[".", ":^x/b"], [true, false, true]),
            (&[":!x"], [true, false, false]),
            (&[":(icase)X/B"], [false, true, false]),
        ] {
            let specs: Vec<BString> = specs.iter().map(|&spec| spec.into()).collect();
            let mut specs = Pathspecs::parse(&specs, Path::new("/top")).unwrap();
            let found = ["a", "x/b", "x/c"].map(|path| specs.match_directory(path.into()));
            assert_eq!(found, expected, "{specs:?}");
        }
    }

    #[test]
    fn what_is_no_pathspec_is_told_in_the_words_of_git() {
        for (spec, expected) in [
            (":(bad)x", "Invalid pathspec magic 'bad' in ':(bad)x'"),
            ("../x", "../x: '../x' is outside repository at '/top'"),
            (
                "",
                "empty string is not a valid pathspec. please use . instead if you meant to match all paths",
            ),
        ] {
            let error = Pathspecs::parse(&[spec.into()], Path::new("/top")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
