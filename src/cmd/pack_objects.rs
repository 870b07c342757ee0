//! `gitr pack-objects`: a pack of the objects that standard input names. `git-pack-objects(1)`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use gix_hash::ObjectId;

use super::arguments::{self, Parsed};
use super::{CommandError, Context, Show, signal, ui};
use crate::pack::Kind;
use crate::pack::enumerate::{Enumerated, Object, enumerate};
use crate::pack::index::Layout;
use crate::pack::placement::Placement;
use crate::pack::produce::{Reuse, Settings, produce, produce_files};
use crate::progress::{Event, Progress};
use crate::repo::pack_settings::pack_settings;
use crate::repo::{Objects, Repository, Target};

mod input;
mod limit;
mod options;

use limit::Limit;
use options::{Arguments, Goal, SPEC};

/// Runs `gitr pack-objects`.
pub(super) fn run(words: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, words)?;
    let goal = parsed.values.goal()?;
    signal::guard_temporaries(std::sync::Arc::clone(&context.is_stopped))?;
    let repo = context.repository()?;
    repo.config.check_core()?;
    repo.config.check_index()?;
    let arguments = &parsed.values;
    let shown = options::progress_wish(words);
    let meters = context.meters(&repo.config, Show { verbosity: 0, progress: shown.own });
    let mut progress = Quiet { meters, writes: shown.writes || !matches!(goal, Goal::Stdout) };
    let settings = settings(&repo, &parsed, &mut progress)?;
    let objects = repo.objects()?;
    let uses_bitmaps = parsed.choice("use-bitmap-index").unwrap_or(matches!(goal, Goal::Stdout));
    // they do not tell where an object lies
    let objects = if uses_bitmaps && !arguments.limits_packs() { objects } else { objects.without_bitmaps() };
    let job = Job { repo: &repo, arguments, objects };
    job.run(&goal, &settings, &mut progress)
}

/// How the pack is made: the configuration, and what the command line says instead.
fn settings(
    repo: &Repository,
    parsed: &Parsed<Arguments>,
    progress: &mut dyn Progress,
) -> Result<Settings, CommandError> {
    let arguments = &parsed.values;
    let mut settings = pack_settings(repo, arguments.delta_base_offset, progress)?;
    if parsed.choice("reuse-object") == Some(false) {
        settings.reuse = Reuse::Nothing;
    } else if parsed.choice("reuse-delta") == Some(false) {
        settings.reuse = Reuse::Objects;
    }
    arguments.change(&mut settings, progress)?;
    Ok(settings)
}

/// One run of the command.
struct Job<'a> {
    repo: &'a Repository,
    arguments: &'a Arguments,
    objects: Objects,
}

impl Job<'_> {
    fn run(
        mut self,
        goal: &Goal<'_>,
        settings: &Settings,
        progress: &mut dyn Progress,
    ) -> Result<u8, CommandError> {
        let mut found = self.find(progress)?;
        if self.arguments.include_tag {
            self.add_tags(&mut found)?;
        }
        Limit::new(self.arguments).apply(&self.objects, &mut found);
        if self.arguments.non_empty && found.count() == 0 {
            return Ok(0);
        }
        match goal {
            Goal::Stdout => {
                let mut out = BufWriter::new(io::stdout());
                produce(&self.objects, found, settings, &mut out, progress)?;
                out.flush()?;
            }
            Goal::Files(base) => {
                let placement = self.placement()?;
                let base = Path::new(base);
                let files = (base, placement, self.repo.storage);
                let produced = produce_files(&self.objects, found, settings, files, progress)?;
                ui::out(produced.pack_id.to_string().as_bytes())?;
            }
        }
        Ok(0)
    }

    /// What standard input asks for.
    fn find(&mut self, progress: &mut dyn Progress) -> Result<Enumerated, CommandError> {
        let mut input = io::stdin().lock();
        if self.arguments.stdin_packs {
            return input::packs(&mut input, &self.objects);
        }
        if !self.arguments.walks() {
            return input::objects(&mut input, &self.objects, self.repo.object_hash);
        }
        let asked = input::revisions(&mut input, self.repo, self.arguments)?;
        if !asked.shallow.is_empty() {
            let mut boundary = self.repo.shallow()?;
            boundary.extend(&asked.shallow);
            self.objects = self.repo.objects_within(boundary)?;
        }
        Ok(enumerate(&self.objects, &asked.wanted, progress)?)
    }

    /// Adds the annotated tags whose objects are packed.
    fn add_tags(&self, found: &mut Enumerated) -> Result<(), CommandError> {
        let mut packed: HashSet<ObjectId> = found.objects.iter().map(|object| object.id).collect();
        for reference in self.repo.refs("refs/tags/".into())? {
            let Target::Id(mut id) = reference.target else { continue };
            let Some((peeled, _)) = self.objects.peel(&id)? else { continue };
            let holds = |packed: &HashSet<ObjectId>, found: &Enumerated, id: &ObjectId| {
                packed.contains(id) || found.is_packed(&self.objects, id)
            };
            if !holds(&packed, found, &peeled) {
                continue;
            }
            let mut content = Vec::new();
            while !holds(&packed, found, &id) {
                packed.insert(id);
                found.objects.push(Object { id, kind: Kind::Tag, name_hash: 0 });
                match self.objects.tag_target(&id, &mut content)? {
                    Some(target) => id = target,
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn placement(&self) -> Result<Placement, CommandError> {
        let config = &self.repo.config;
        let layout = match &self.arguments.index_version {
            Some(text) => options::layout(text)?,
            None => match config.integer("pack.indexVersion")? {
                Some(1) => Layout { version: 1, ..Layout::default() },
                Some(2) | None => Layout::default(),
                Some(other) => return Err(CommandError::fatal(format!("bad pack.indexVersion={other}"))),
            },
        };
        let has_rev = config.boolean("pack.writeReverseIndex")?.unwrap_or(true);
        Ok(Placement { has_rev, layout, ..Placement::default() })
    }
}

/// The meters, without that of writing where a pack goes to standard output: `--all-progress`.
struct Quiet {
    meters: ui::Meters,
    writes: bool,
}

impl Progress for Quiet {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Phase { title: "Writing objects", .. }
            | Event::PhaseEnd { title: "Writing objects", .. }
                if !self.writes =>
            {
                self.meters.report(Event::Phase { title: "Writing objects", done: 0, total: None, bytes: 0 })
            }
            event => self.meters.report(event),
        }
    }
}
