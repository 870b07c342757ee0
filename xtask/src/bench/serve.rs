//! What servers spend: `gitr serve` beside C git's `git-http-backend` behind nginx and fcgiwrap, asked by clients that do
//! nothing with the answers. The figures of a row are those of the server: CPU of all its processes for one operation, the
//! wall clock that 95 of 100 operations do not exceed, and the most memory that all its processes had at a time.

use anyhow::Result;

use self::front::Front;
use self::load::{Load, Request};
use super::git::{git, link, said_by_git};
use super::measure::{Figures, compare};
use super::report::say;
use super::{Bench, TURNS, TURNS_WHOLE, is_wanted, program};

mod front;
mod load;

/// Clients that come at once.
const CROWD: usize = 50;
/// Operations of a turn that are over soon, and of one that moves everything.
const MANY: usize = 20;
const FEW: usize = 2;
/// Commits that the clients lack who come again, some more and some less.
const BEHIND: usize = 100;

impl Bench {
    /// Rows of a repository of some size.
    pub(super) fn serve(&self) -> Result<()> {
        let Some(fronts) = self.fronts()? else { return Ok(()) };
        let plain = self.without_bitmap()?;
        let plain = plain.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let everything = self.everything()?;
        for (title, name) in [("bitmap", "source.git"), ("no bitmap", plain.as_str())] {
            let requests = vec![
                Request::greeting(name),
                Request::command(name, "ls-refs", &LISTING, &[]),
                Request::command(name, "fetch", &PLAIN, &everything),
            ];
            let load = Load { rows: vec![requests], times: FEW, at_once: 1 };
            compare_fronts(&format!("serve: clone, {title}"), TURNS_WHOLE, &fronts, &load)?;
        }
        let head = said_by_git(&self.source, &["rev-parse", "HEAD"])?;
        self.serve_shallow(&fronts)?;
        self.serve_news(&fronts, &head)?;
        serve_nothing(&fronts)
    }

    /// Rows of a repository of many refs.
    pub(super) fn serve_refs(&self) -> Result<()> {
        let Some(fronts) = self.fronts()? else { return Ok(()) };
        let requests = vec![Request::command("source.git", "ls-refs", &LISTING, &[])];
        compare_fronts(
            "serve: ls-refs",
            TURNS,
            &fronts,
            &Load { rows: vec![requests], times: MANY, at_once: 1 },
        )?;
        self.serve_changing(&fronts)?;
        serve_nothing(&fronts)
    }

    /// A list of refs of which one is new.
    fn serve_changing(&self, fronts: &[Front]) -> Result<()> {
        let name = self.fresh("changing.git")?;
        let place = self.directory.join(&name);
        link(&self.source, &place)?;
        let requests = vec![Request::command(&name, "ls-refs", &LISTING, &[])];
        let load = Load { rows: vec![requests], times: 1, at_once: 1 };
        let mut number = 0;
        compare("serve: ls-refs, one new", (2 * TURNS, program::c_gits()), |program| {
            number += 1;
            git(&place, &["update-ref", &format!("refs/heads/new{number}"), "HEAD"])?;
            git(&place, &["pack-refs", "--all"])?;
            front_of(fronts, program).map_or_else(|| Ok(Figures::default()), |front| front.bear(&load))
        })
    }

    /// Clones of one commit each, which come at once: of the same, and of one after the other.
    fn serve_shallow(&self, fronts: &[Front]) -> Result<()> {
        let latest = said_by_git(&self.source, &["rev-list", &format!("--max-count={CROWD}"), "HEAD"])?;
        let requests = |commit: &str| {
            let shallow = ["deepen 1".to_owned(), format!("want {commit}"), "done".to_owned()];
            vec![
                Request::greeting("source.git"),
                Request::command("source.git", "ls-refs", &LISTING, &[]),
                Request::command("source.git", "fetch", &PLAIN, &shallow),
            ]
        };
        for (which, count) in [("one commit", 1), ("as many commits", CROWD)] {
            let rows = latest.lines().take(count).map(requests).collect();
            let load = Load { rows, times: CROWD, at_once: CROWD };
            let title = format!("serve: {CROWD} shallow clones of {which}");
            compare_fronts(&title, TURNS_WHOLE, fronts, &load)?;
        }
        Ok(())
    }

    /// A fetch of what has come since [`BEHIND`] commits.
    fn serve_news(&self, fronts: &[Front], head: &str) -> Result<()> {
        let title = format!("serve: fetch {BEHIND} commits");
        // no two clients have been away for as long
        let bases = (BEHIND - MANY / 2..BEHIND + MANY / 2).map(|behind| {
            said_by_git(&self.source, &["rev-parse", "-q", "--verify", &format!("HEAD~{behind}")])
        });
        let Ok(bases) = bases.collect::<Result<Vec<_>>>() else {
            say(&format!("| {title} | the history is shorter | | | | | |"));
            return Ok(());
        };
        let requests = |base: String| {
            let news = [format!("want {head}"), format!("have {base}"), "done".to_owned()];
            vec![
                Request::greeting("source.git"),
                Request::command("source.git", "ls-refs", &LISTING, &[]),
                Request::command("source.git", "fetch", &PLAIN, &news),
            ]
        };
        let rows = bases.into_iter().map(requests).collect();
        compare_fronts(&title, TURNS, fronts, &Load { rows, times: MANY, at_once: 1 })
    }

    /// A server for each program; `None` if there is nothing to compare gitr with.
    fn fronts(&self) -> Result<Option<Vec<Front>>> {
        if let Some(reason) = front::lacks() {
            println!("\nskipped: {reason}: no rows of servers");
            return Ok(None);
        }
        let programs = std::iter::once(program::Program::Gitr).chain(program::c_gits());
        programs.map(|program| Front::start(program, &self.directory)).collect::<Result<_>>().map(Some)
    }

    /// What a clone asks for.
    fn everything(&self) -> Result<Vec<String>> {
        let wants = self.tips()?.into_iter().map(|id| format!("want {id}"));
        Ok(std::iter::once("include-tag".to_owned()).chain(wants).chain(["done".to_owned()]).collect())
    }
}

/// What a clone asks of the list of refs.
const LISTING: [&str; 6] =
    ["peel", "symrefs", "unborn", "ref-prefix refs/heads/", "ref-prefix refs/tags/", "ref-prefix HEAD"];
/// And a mirror.
const MIRRORED: [&str; 4] = ["peel", "symrefs", "ref-prefix refs/", "ref-prefix HEAD"];
/// What every fetch says.
const PLAIN: [&str; 3] = ["thin-pack", "no-progress", "ofs-delta"];

fn serve_nothing(fronts: &[Front]) -> Result<()> {
    let requests =
        vec![Request::greeting("source.git"), Request::command("source.git", "ls-refs", &MIRRORED, &[])];
    let load = Load { rows: vec![requests], times: MANY, at_once: 1 };
    compare_fronts("serve: fetch nothing", TURNS, fronts, &load)
}

fn front_of(fronts: &[Front], program: program::Program) -> Option<&Front> {
    fronts.iter().find(|front| front.program == program)
}

fn compare_fronts(title: &str, turns: usize, fronts: &[Front], load: &Load) -> Result<()> {
    if !is_wanted(title) {
        return Ok(());
    }
    for front in fronts {
        // the first finds nothing in memory
        front.bear(load)?;
    }
    compare(title, (turns, program::c_gits()), |program| {
        front_of(fronts, program).map_or_else(|| Ok(Figures::default()), |front| front.bear(load))
    })
}
