//! The `proc-receive` hook, which does what commands below `receive.procReceiveRefs` ask for in our place. githooks(5).

use std::collections::HashMap;
use std::io::{BufReader, BufWriter};
use std::process::{ChildStdin, ChildStdout};

use bstr::BString;

use super::hooks::Hooks;
use super::{By, ReceivePack, Row, Voice, has};
use crate::protocol;
use crate::protocol::fetch::SideBand;
use crate::protocol::push::proc_receive::{
    Statement, read_greeting, read_report, write_commands, write_greeting,
};
use crate::protocol::push::{Command, Request, Rewritten};
use crate::repo::hook::Hear;
use crate::server::Error;

/// What the report says where the hook did not do its work.
pub(super) const FAILED: &str = "fail to run proc-receive hook";
/// What the report says of a command that the hook said nothing of.
const UNTOLD: &str = "proc-receive failed to report status";

/// What the hook is told.
struct Told<'a> {
    words: Vec<&'static str>,
    commands: Vec<&'a Command>,
    options: Option<&'a [BString]>,
}

impl ReceivePack<'_> {
    /// Has the hook do what it is there for; whether it did everything.
    pub(super) fn hand_over(
        &self,
        request: &Request,
        rows: &mut [Row],
        hooks: &Hooks<'_>,
        voice: &mut Voice<'_>,
    ) -> Result<bool, Error> {
        let is_handed = |row: &Row| row.by == By::Hook && row.error.is_none();
        if !rows.iter().any(is_handed) {
            return Ok(true);
        }
        let Some(hook) = self.repo.hook("proc-receive")? else {
            voice.error("cannot find hook 'proc-receive'")?;
            fail(rows, FAILED);
            return Ok(false);
        };
        let options = Some(hooks.options.as_slice()).filter(|_| request.options.is_some());
        let mut words = Vec::new();
        words.extend(has(request, "atomic").then_some("atomic"));
        words.extend(options.is_some().then_some("push-options"));
        let commands = rows.iter().filter(|row| is_handed(row)).map(|row| &row.command).collect();
        let told = Told { words, commands, options };
        let hook = hook.within(hooks.environment());
        self.commit()?;
        let is_heard = voice.side_band != SideBand::None;
        let mut failure = None;
        let mut hear = |text: &[u8]| {
            if failure.is_none() {
                failure = voice.hear(text).err();
            }
        };
        let talk = |stdin, stdout| converse(stdin, stdout, &told);
        let hear: &mut Hear<'_> = &mut hear;
        let (heard, code) = hook.run_talking(talk, is_heard.then_some(hear));
        if let Some(error) = failure {
            return Err(error);
        }
        let Some(heard) = heard else {
            fail(rows, FAILED);
            return Ok(false);
        };
        let statements = match heard {
            Ok(statements) if statements.is_empty() && code != 0 => {
                Err("proc-receive exited abnormally".to_owned())
            }
            heard => heard.map_err(|error| error.to_string()),
        };
        let statements = match statements {
            Ok(statements) => statements,
            Err(text) => {
                voice.error(&text)?;
                fail(rows, FAILED);
                return Ok(false);
            }
        };
        let complaints = self.take(&statements, rows);
        if !complaints.is_empty() {
            voice.error(&complaints.join("\n"))?;
        }
        Ok(code == 0
            && complaints.is_empty()
            && rows.iter().all(|row| row.by != By::Hook || row.error.is_none()))
    }

    /// Notes in `rows` what the hook says it did; what is wrong with what it says.
    fn take(&self, statements: &[Statement], rows: &mut [Row]) -> Vec<String> {
        let places: HashMap<BString, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.command.name.clone(), place)).collect();
        let mut is_told = vec![false; rows.len()];
        let mut last = None;
        let mut is_new = false;
        let mut complaints = Vec::new();
        // git 2.47.3 says it once
        let mut is_complained_of = false;
        for statement in statements {
            let (name, reason) = match statement {
                Statement::Nonsense(text) => {
                    complaints.push(text.clone());
                    continue;
                }
                Statement::Option(key, value) => {
                    match last.and_then(|place: usize| rows.get_mut(place)) {
                        Some(row) => is_new &= !self.take_option(row, (key, value.as_ref()), is_new),
                        None if is_complained_of => {}
                        None => {
                            let text = "proc-receive reported 'option' without a matching 'ok/ng' directive";
                            complaints.push(text.to_owned());
                            is_complained_of = true;
                        }
                    }
                    continue;
                }
                Statement::Ok(name) => (name, None),
                Statement::Ng(name, reason) => (name, Some(reason)),
            };
            last = places.get(name).copied();
            let Some(row) = last.and_then(|place| rows.get_mut(place)) else {
                complaints.push(format!("proc-receive reported status on unknown ref: {name}"));
                continue;
            };
            if row.by != By::Hook {
                complaints.push(format!("proc-receive reported status on unexpected ref: {name}"));
                last = None;
                continue;
            }
            if let Some(reason) = reason {
                row.error = Some(reason.clone());
            }
            is_new = true;
            if let Some(told) = last.and_then(|place| is_told.get_mut(place)) {
                *told = true;
            }
        }
        for (row, is_told) in rows.iter_mut().zip(is_told) {
            if row.by == By::Hook && row.error.is_none() && !is_told {
                row.error = Some(UNTOLD.into());
            }
        }
        complaints
    }

    /// Takes one option of `row`, the first of another of its updates if it `is_new`; whether it told something.
    fn take_option(&self, row: &mut Row, (key, value): (&BString, Option<&BString>), is_new: bool) -> bool {
        if key == "fall-through" {
            row.by = By::Us;
            return false;
        }
        let mut told = Rewritten::default();
        let value = value.map(|value| value.as_slice());
        told.take_option(key, value, self.repo.object_hash);
        if told == Rewritten::default() {
            return false;
        }
        if is_new || row.rewritten.is_empty() {
            row.rewritten.push(Rewritten::default());
        }
        if let Some(last) = row.rewritten.last_mut() {
            last.take_option(key, value, self.repo.object_hash);
        }
        true
    }
}

/// The whole conversation; the hook sees its end by the end of its input.
fn converse(
    stdin: ChildStdin,
    stdout: ChildStdout,
    told: &Told<'_>,
) -> Result<Vec<Statement>, protocol::Error> {
    let (mut out, mut input) = (BufWriter::new(stdin), BufReader::new(stdout));
    // a hook that does not listen may say something all the same
    let greeted = write_greeting(&mut out, &told.words);
    let wants_options = read_greeting(&mut input)?;
    greeted?;
    let options = told.options.filter(|_| wants_options);
    // nor need one that has decided already
    let _heard_or_not = write_commands(&mut out, told.commands.iter().copied(), options);
    read_report(&mut input)
}

fn fail(rows: &mut [Row], reason: &str) {
    for row in rows.iter_mut().filter(|row| row.by == By::Hook && row.error.is_none()) {
        row.error = Some(reason.into());
    }
}
