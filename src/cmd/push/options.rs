//! What the options and the configuration of a push ask for.

use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};

use super::Arguments;
use crate::cmd::arguments::Parsed;
use crate::cmd::transfer::{bytes, helper_options, ip_version};
use crate::cmd::ui::Terminal;
use crate::cmd::{CommandError, Show};
use crate::remote::Remote;
use crate::remote::push::{Leases, Options};
use crate::remote::send_pack::Signed;
use crate::repo::{Config, Repository};
use crate::transport;

/// Stands for `--force-with-lease` without a value: no argument can hold a NUL.
pub(in crate::cmd) const EVERY_REF: &str = "\0";

/// Refuses combinations of options that say which kinds of refs are meant.
pub(super) fn check_kinds(values: &Arguments) -> Result<(), CommandError> {
    let given: Vec<String> = [
        (values.delete, "--delete"),
        (values.tags, "--tags"),
        (values.all || values.branches, "--all/--branches"),
        (values.mirror, "--mirror"),
    ]
    .into_iter()
    .filter(|(is_given, _)| *is_given)
    .map(|(_, name)| format!("'{name}'"))
    .collect();
    let names = match given.as_slice() {
        [] | [_] => return Ok(()),
        [one, other] => format!("{one} and {other}"),
        [rest @ .., last] => format!("{}, and {last}", rest.join(", ")),
    };
    Err(CommandError::fatal(format!("options {names} cannot be used together")))
}

/// Refuses refspecs beside options that stand for all of them, and push options that cannot be sent.
pub(super) fn check_refspecs(options: &Options) -> Result<(), CommandError> {
    for (is_given, name) in [(options.all, "--all"), (options.mirror, "--mirror")] {
        if is_given && !options.refspecs.is_empty() {
            return Err(CommandError::fatal(format!("{name} can't be combined with refspecs")));
        }
    }
    if options.push_options.iter().any(|option| option.contains(&b'\n')) {
        return Err(CommandError::fatal("push options must not have new line characters"));
    }
    Ok(())
}

/// The refspecs of the command line in one form: `tag <name>` is two words, and `--delete` takes names alone.
pub(super) fn refspecs(words: &[BString], deletes: bool) -> Result<Vec<BString>, CommandError> {
    let mut refspecs = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = if word == "tag" {
            let name = words.next().ok_or_else(|| CommandError::fatal("tag shorthand without <tag>"))?;
            BString::from([b"refs/tags/", &name[..]].concat())
        } else if deletes && (word.is_empty() || word.contains(&b':')) {
            return Err(CommandError::fatal("--delete only accepts plain target ref names"));
        } else {
            word.clone()
        };
        refspecs.push(if deletes { [b":", &text[..]].concat().into() } else { text });
    }
    Ok(refspecs)
}

/// Everything but the refspecs.
pub(super) fn options(
    parsed: &Parsed<Arguments>,
    repo: &Repository,
    remote: &Remote,
    show: Show,
) -> Result<Options, CommandError> {
    let values = &parsed.values;
    let config = &repo.config;
    // A value that makes no sense is told of even where it would not count.
    config.boolean("push.autoSetupRemote")?;
    let or_config = |option: &str, key: &str| match parsed.choice(option) {
        Some(choice) => Ok(choice),
        None => config.boolean(key).map(Option::unwrap_or_default),
    };
    let mirror = values.mirror || remote.mirror;
    Ok(Options {
        all: values.all || values.branches,
        mirror,
        tags: values.tags,
        follow_tags: or_config("follow-tags", "push.followTags")?,
        prune: values.prune,
        force: values.force || mirror,
        lease: leases(repo, &values.force_with_lease)?,
        force_if_includes: or_config("force-if-includes", "push.useForceIfIncludes")?,
        atomic: values.atomic,
        dry_run: values.dry_run,
        thin: parsed.choice("thin") != Some(false),
        // where nobody sees our own meters the far side need not send its
        quiet: show.verbosity < 0 || !show.is_progress_shown(&Terminal::new(&repo.env)),
        push_options: push_options(config, &values.push_option)?,
        signed: signed(parsed.choice("signed"), values.signed.as_ref(), config)?,
        no_verify: values.no_verify,
        transport: transport::Options {
            receive_pack: values.exec.as_ref().or(values.receive_pack.as_ref()).map(bytes),
            ip_version: ip_version(values.ipv4, values.ipv6),
            verbose: show.verbosity > 0,
            helper_options: helper_options(show, &repo.env),
            ..transport::Options::default()
        },
        ..Options::default()
    })
}

/// `--force-with-lease`, any number.
pub(in crate::cmd) fn leases(repo: &Repository, texts: &[OsString]) -> Result<Leases, CommandError> {
    let mut leases = Leases::default();
    for text in texts {
        if text == EVERY_REF {
            leases.all = true;
            continue;
        }
        leases.refs.push(lease(repo, bytes(text).as_bstr())?);
    }
    Ok(leases)
}

/// `<refname>[:<expect>]`; an empty `<expect>` says that the ref must not be there.
fn lease(repo: &Repository, text: &BStr) -> Result<(BString, Option<gix_hash::ObjectId>), CommandError> {
    let Some((name, expect)) = text.split_once_str(":") else { return Ok((text.into(), None)) };
    if expect.is_empty() {
        return Ok((name.into(), Some(gix_hash::ObjectId::null(repo.object_hash))));
    }
    let expect = expect.as_bstr();
    match repo.resolve_revision(expect)? {
        Some(id) => Ok((name.into(), Some(id))),
        None => Err(CommandError::bad_option(format!("cannot parse expected object name '{expect}'"))),
    }
}

/// `--signed` and its `--no-` form, else `push.gpgSign`.
pub(in crate::cmd) fn signed(
    choice: Option<bool>,
    value: Option<&OsString>,
    config: &Config,
) -> Result<Signed, CommandError> {
    if choice == Some(false) {
        return Ok(Signed::No);
    }
    if let Some(text) = value.map(bytes) {
        return parse_signed(text.as_bstr())
            .ok_or_else(|| CommandError::fatal(format!("bad signed argument: {text}")));
    }
    match config.string("push.gpgSign") {
        None => Ok(Signed::No),
        // A key that stands alone is true, one with an empty value is not: the configuration knows.
        Some(text) if text.is_empty() => match config.boolean("push.gpgSign")? {
            Some(true) => Ok(Signed::Yes),
            Some(false) | None => Ok(Signed::No),
        },
        Some(text) => parse_signed(text.as_bstr()).ok_or_else(|| {
            CommandError::bad_value(config, "push.gpgsign").with_error("invalid value for 'push.gpgsign'")
        }),
    }
}

fn parse_signed(text: &BStr) -> Option<Signed> {
    if text.eq_ignore_ascii_case(b"if-asked") {
        return Some(Signed::IfAsked);
    }
    Some(if boolean(text)? { Signed::Yes } else { Signed::No })
}

/// A boolean as git-config(1), "Values" has them.
pub(super) fn boolean(text: &BStr) -> Option<bool> {
    match text.to_ascii_lowercase().as_slice() {
        b"true" | b"yes" | b"on" => Some(true),
        b"false" | b"no" | b"off" | b"" => Some(false),
        number => Some(number.to_str().ok()?.parse::<i64>().ok()? != 0),
    }
}

/// `--push-option`, else `push.pushOption`, where an empty value takes back what was said before.
fn push_options(config: &Config, given: &[OsString]) -> Result<Vec<BString>, CommandError> {
    config.check_values(&["push.pushoption"])?;
    if !given.is_empty() {
        return Ok(given.iter().map(bytes).collect());
    }
    let values = config.strings("push.pushOption");
    Ok(values.rsplit(|value| value.is_empty()).next().unwrap_or_default().to_vec())
}
