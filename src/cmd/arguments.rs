//! git's manner of options on top of clap: every option has its `--no-` form, long ones may be shortened, options may
//! follow operands, and usage is printed as git prints it.

use std::ffi::OsString;

use clap::builder::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use super::{CommandError, ui};

/// What clap cannot know of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    /// The command's name.
    pub(super) name: &'static str,
    /// The lines of the synopsis.
    pub(super) synopsis: &'static [&'static str],
    /// Long options that have no `--no-` form.
    pub(super) plain: &'static [&'static str],
}

/// Options as they were given.
#[derive(Debug)]
pub(super) struct Parsed<A> {
    /// The values.
    pub(super) values: A,
    matches: ArgMatches,
    /// The ids of options that may stand without their value.
    optional: Vec<clap::Id>,
}

impl<A> Parsed<A> {
    /// An option of three states: given, given with `--no-`, not given.
    pub(super) fn choice(&self, long: &str) -> Option<bool> {
        let is_set = |id: &str| self.matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false);
        if is_set(&negative(long)) {
            Some(false)
        } else if is_set(&long.replace('-', "_")) {
            Some(true)
        } else {
            None
        }
    }

    /// Which of the options `longs` was the last to be given with `value`.
    pub(super) fn last_with(&self, longs: &[&'static str], value: &str) -> Option<&'static str> {
        let places = longs.iter().flat_map(|long| {
            let id = long.replace('-', "_");
            let values = self.matches.try_get_many::<String>(&id).ok().flatten().into_iter().flatten();
            let indices = self.matches.indices_of(&id).into_iter().flatten();
            let given = values.zip(indices).filter(|(given, _)| *given == value);
            given.map(|(_, place)| (place, *long)).collect::<Vec<_>>()
        });
        places.max().map(|(_, long)| long)
    }

    /// The options of `longs` that were given, as words for another command. A value that is empty is none where it may be
    /// left out.
    pub(super) fn passed(&self, longs: &[&str]) -> Vec<OsString> {
        let mut words = Vec::new();
        for long in longs {
            let id = long.replace('-', "_");
            let is_optional = self.optional.iter().any(|optional| *optional == *id);
            let values = self.matches.try_get_many::<OsString>(&id).ok().flatten();
            match (self.choice(long), values) {
                (Some(false), _) => words.push(format!("--no-{long}").into()),
                (None, Some(values)) => words.extend(values.map(|value| {
                    let mut word = OsString::from(format!("--{long}"));
                    if !is_optional || !value.is_empty() {
                        word.push("=");
                        word.push(value);
                    }
                    word
                })),
                (Some(true), _) => words.push(format!("--{long}").into()),
                (None, None) => {}
            }
        }
        words
    }

    /// How much is shown: above 0 for `--verbose`, below for `--quiet`. Of the two the last one counts.
    pub(super) fn verbosity(&self) -> i8 {
        let count = |id: &str| self.matches.try_get_one::<u8>(id).ok().flatten().copied().unwrap_or_default();
        let last = |id: &str| {
            let indices = (count(id) > 0).then(|| self.matches.indices_of(id)).flatten();
            indices.and_then(Iterator::max)
        };
        let level = |id: &str| i8::try_from(count(id)).unwrap_or(i8::MAX);
        match (last("verbose"), last("quiet")) {
            (Some(verbose), Some(quiet)) => {
                if verbose > quiet {
                    1
                } else {
                    -1
                }
            }
            (Some(_), None) => level("verbose"),
            (None, Some(_)) => -level("quiet"),
            (None, None) => 0,
        }
    }
}

/// Parses `arguments`; `-h` prints the usage and ends with 129.
pub(super) fn parse<A: Args + FromArgMatches>(
    spec: &Spec,
    arguments: &[OsString],
) -> Result<Parsed<A>, CommandError> {
    let command = A::augment_args(Command::new(spec.name))
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .args_override_self(true);
    let usage = usage(spec, &command);
    let is_help = |argument: &OsString| argument == "-h" || argument == "--help";
    let is_only_help =
        arguments.first().is_some_and(is_help) && (arguments.len() == 1 || spec.name != "ls-remote");
    if is_only_help {
        ui::out(usage.as_bytes())?;
        return Err(CommandError::silent(129));
    }
    let longs = longs(&command);
    let command = with_negatives(command, spec).mut_args(with_any_value);
    let may_stand_alone = |argument: &&Arg| argument.is_require_equals_set();
    let optional = command.get_arguments().filter(may_stand_alone).map(|argument| argument.get_id().clone());
    let optional = optional.collect();
    let complain = |error| complain(&error, arguments, (&longs, spec), &usage);
    let matches = command.try_get_matches_from(with_plain_end(arguments)).map_err(complain)?;
    let values = A::from_arg_matches(&matches).map_err(complain)?;
    Ok(Parsed { values, matches, optional })
}

/// Whatever follows an option that needs a value is the value, also if it looks like an option.
fn with_any_value(argument: Arg) -> Arg {
    let is_option = argument.get_long().is_some() || argument.get_short().is_some();
    let takes_next = is_option && argument.get_action().takes_values() && !argument.is_require_equals_set();
    argument.allow_hyphen_values(takes_next)
}

/// `--end-of-options` is `--` by another name.
fn with_plain_end(arguments: &[OsString]) -> Vec<OsString> {
    let mut arguments = arguments.to_vec();
    let end = arguments.iter_mut().find(|argument| *argument == "--" || *argument == "--end-of-options");
    if let Some(end) = end {
        *end = "--".into();
    }
    arguments
}

/// The usage text for a complaint of the command itself.
pub(super) fn usage_of<A: Args>(spec: &Spec) -> String {
    usage(spec, &A::augment_args(Command::new(spec.name)))
}

/// Adds `--no-x` for every `--x`, and `--x` for every `--no-x`; of two the last one counts.
fn with_negatives(mut command: Command, spec: &Spec) -> Command {
    let other_names = |argument: &Arg| {
        let aliases = argument.get_all_aliases().unwrap_or_default();
        aliases.into_iter().map(|alias| leak(&format!("no-{alias}"))).collect::<Vec<_>>()
    };
    let longs: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| {
            Some((argument.get_id().to_string(), argument.get_long()?.to_owned(), other_names(argument)))
        })
        .filter(|(_, long, _)| !spec.plain.contains(&long.as_str()))
        .collect();
    for (id, long, other_names) in longs {
        let opposite_long = long.strip_prefix("no-").map_or_else(|| format!("no-{long}"), ToOwned::to_owned);
        let opposite_id = negative(&long);
        let opposite = Arg::new(leak(&opposite_id))
            .long(leak(&opposite_long))
            .aliases(other_names)
            .hide(true)
            .action(ArgAction::SetTrue)
            .overrides_with(leak(&id));
        let (id, opposite_id) = (leak(&id), leak(&opposite_id));
        command = command.mut_arg(id, |argument| argument.overrides_with(opposite_id)).arg(opposite);
    }
    command
}

/// clap keeps names for as long as the process runs; there are some dozens, made once.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

fn negative(long: &str) -> String {
    format!("no:{long}")
}

/// The usage as git's option parser lays it out.
fn usage(spec: &Spec, command: &Command) -> String {
    let mut text = String::new();
    for (index, line) in spec.synopsis.iter().enumerate() {
        let lead = if index == 0 { "usage: " } else { "   or: " };
        text.push_str(&if line.starts_with(' ') { format!("{line}\n") } else { format!("{lead}{line}\n") });
    }
    let has_options = command.get_arguments().any(|argument| !argument.is_hide_set());
    if has_options {
        text.push('\n');
    }
    let mut heading = None;
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let own = argument.get_help_heading();
        if let Some(next) = own.filter(|_| own != heading) {
            text.push_str(&format!("\n{next}\n"));
            heading = own;
        }
        if argument.get_long().is_some() || argument.get_short().is_some() {
            text.push_str(&usage_line(spec, argument));
            if let Some(positive) = argument.get_long().and_then(|long| long.strip_prefix("no-")) {
                text.push_str(&format!("    {:<22}opposite of --no-{positive}\n", format!("--{positive}")));
            }
        }
    }
    text
}

fn usage_line(spec: &Spec, argument: &Arg) -> String {
    /// Where the explanation begins.
    const COLUMN: usize = 26;
    let mut line = String::from("    ");
    if let Some(short) = argument.get_short() {
        line.push('-');
        line.push(short);
    }
    if let Some(long) = argument.get_long() {
        if argument.get_short().is_some() {
            line.push_str(", ");
        }
        let is_negatable = !spec.plain.contains(&long) && !long.starts_with("no-");
        line.push_str(if is_negatable { "--[no-]" } else { "--" });
        line.push_str(long);
    }
    if let Some(names) = argument.get_value_names().filter(|_| argument.get_action().takes_values()) {
        let name = names.first().map(ToString::to_string).unwrap_or_default();
        // A choice of words stands for itself.
        let name = if name.starts_with(['(', '.']) { name } else { format!("<{name}>") };
        let is_optional = argument.get_num_args().is_some_and(|range| range.min_values() == 0);
        line.push_str(&if is_optional { format!("[={name}]") } else { format!(" {name}") });
    }
    if line.len() < COLUMN {
        line.push_str(&" ".repeat(COLUMN - line.len()));
    } else {
        line.push('\n');
        line.push_str(&" ".repeat(COLUMN));
    }
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    format!("{line}{help}\n")
}

/// The long options in the order of the usage, hidden ones and the second names of some too.
fn longs(command: &Command) -> Vec<String> {
    let names = command.get_arguments().filter_map(Arg::get_long_and_visible_aliases);
    names.flatten().map(ToOwned::to_owned).collect()
}

/// The last two of the options `longs` that the shortened `word` may mean, if it may mean more than one. Seen in git 2.47.3: an
/// option that is itself negative has an opposite of two negations, and what is no more than `no-` means each option twice.
fn ambiguity(longs: &[String], spec: &Spec, word: &str) -> Option<(String, String)> {
    let mut meant = Vec::new();
    for long in longs {
        if long.starts_with(word) {
            meant.push(format!("--{long}"));
            continue;
        }
        if spec.plain.contains(&long.as_str()) {
            continue;
        }
        let is_opposite = [
            "no-".starts_with(word),
            word.strip_prefix("no-").is_some_and(|rest| long.starts_with(rest)),
            long.strip_prefix("no-").is_some_and(|positive| positive.starts_with(word)),
        ];
        meant.extend(is_opposite.into_iter().filter(|is_meant| *is_meant).map(|_| format!("--no-{long}")));
    }
    let last = meant.pop()?;
    Some((meant.pop()?, last))
}

/// clap's complaint in git's words. Seen in git 2.47.3: the usage that follows an ambiguous option is printed on stdout.
fn complain(
    error: &clap::Error,
    arguments: &[OsString],
    (longs, spec): (&[String], &Spec),
    usage: &str,
) -> CommandError {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) if error.kind() == ErrorKind::UnknownArgument => option,
        Some(_) | None => return translate(error, arguments, usage),
    };
    let Some(name) = option.strip_prefix("--") else { return translate(error, arguments, usage) };
    let typed = as_typed(arguments, option).trim_start_matches('-');
    let Some((one, other)) = ambiguity(longs, spec, name) else {
        return CommandError::bad_option(format!("unknown option `{typed}'\n{usage}"));
    };
    ui::message("error", format!("ambiguous option: {typed} (could be {one} or {other})").as_str().into());
    match ui::out(usage.as_bytes()) {
        Ok(()) => CommandError::silent(129),
        Err(error) => error.into(),
    }
}

/// clap's other complaints in git's words, as far as git has such.
fn translate(error: &clap::Error, arguments: &[OsString], usage: &str) -> CommandError {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        Some(_) | None => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    let option = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let name = option.trim_start_matches('-');
    let quoted =
        if option.starts_with("--") { format!("option `{name}'") } else { format!("switch `{name}'") };
    match error.kind() {
        ErrorKind::UnknownArgument => CommandError::bad_option(format!("unknown {quoted}\n{usage}")),
        ErrorKind::TooManyValues => CommandError::bad_option(format!("{quoted} takes no value")),
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            // clap names the long form whichever was typed; what lacks a value is the last word.
            let quoted = last_switch(arguments).map_or(quoted, |switch| format!("switch `{switch}'"));
            CommandError::bad_option(format!("{quoted} requires a value"))
        }
        ErrorKind::ValueValidation => CommandError::bad_option(format!("{quoted} expects a numerical value")),
        _ => CommandError::usage(format!("{}{usage}", error.render())),
    }
}

/// The word of `arguments` that gives `option`, with its value if that is part of it.
fn as_typed<'a>(arguments: &'a [OsString], option: &'a str) -> &'a str {
    let gives = |word: &&str| word.split('=').next() == Some(option);
    arguments.iter().filter_map(|argument| argument.to_str()).find(gives).unwrap_or(option)
}

/// The last letter of the last word, if that is one of short options.
fn last_switch(arguments: &[OsString]) -> Option<char> {
    let word = arguments.last()?.to_str()?;
    word.strip_prefix('-').filter(|rest| !rest.starts_with('-'))?.chars().next_back()
}
