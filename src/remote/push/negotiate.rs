//! `push.negotiate` and `git fetch --negotiate-only`: which of our commits the far side has, asked of its upload-pack.
//!
//! A push sends what the far side's refs do not reach; what it has beyond them, such as hidden refs, it does not tell.
//! Here it is asked about commits, as in a fetch, without a pack at the end. gitprotocol-v2(5), "wait-for-done".

use std::collections::{BinaryHeap, HashSet};

use gix_hash::ObjectId;
use gix_object::Kind;

use crate::progress::{Event, Progress};
use crate::protocol::Version;
use crate::protocol::fetch::{Features, Reply, Request};
use crate::remote::history::RepoHistory;
use crate::remote::negotiate::{Algorithm, Negotiator};
use crate::remote::{Error, RepoSettings, Session};
use crate::repo::{Objects, Repository};
use crate::transport::{self, Url};

/// Haves in the first round, as C git sends them (seen in git 2.47.3); each round has twice those of the one before.
const ROUND_LEN_FIRST: usize = 16;

/// Rounds do not grow beyond this.
const ROUND_LEN_MAX: usize = 16_384;

/// After this many haves in vain, once something was acknowledged, nothing more is asked (seen in git 2.47.3).
const IN_VAIN_MAX: usize = 256;

/// What a push of `tips` need not send beside what the far side of `url` advertises: commits that it acknowledged in a
/// conversation of its own. Nothing here can fail a push: what goes wrong is told to `progress`, as git tells it, and
/// nothing is known then.
///
/// # Errors
///
/// [`Error::Interrupted`] and nothing else.
pub fn commits_in_common(
    repo: &Repository,
    url: &Url,
    options: transport::Options,
    tips: &[ObjectId],
    progress: &mut dyn Progress,
) -> Result<Vec<ObjectId>, Error> {
    let tips: Vec<ObjectId> = tips.iter().copied().filter(|id| !id.is_null()).collect();
    if tips.is_empty() {
        return Ok(Vec::new());
    }
    match ask(repo, url, options, &tips, progress) {
        Ok(Some(common)) => return Ok(common),
        Ok(None) => {}
        Err(error) if error.is_interrupted() => return Err(error),
        Err(error) => tell(progress, Event::Error(&error.to_string()))?,
    }
    tell(progress, Event::Warning("push negotiation failed; proceeding anyway with push"))?;
    Ok(Vec::new())
}

/// Asks the far side of `session` which commits of the histories of `tips` it has: the newest ones, in the order it
/// acknowledged them. `None` if it cannot be asked; `progress` was told why.
pub fn negotiate_only(
    session: &mut Session,
    repo: &Repository,
    tips: &[ObjectId],
    algorithm: Algorithm,
    progress: &mut dyn Progress,
) -> Result<Option<Vec<ObjectId>>, Error> {
    if session.version() != Version::V2 {
        tell(progress, Event::Warning("--negotiate-only requires protocol v2"))?;
        return Ok(None);
    }
    if !session.capabilities().supports("fetch", "wait-for-done") {
        tell(progress, Event::Warning("server does not support wait-for-done"))?;
        return Ok(None);
    }
    let mut ours = Ours::new(repo, tips, algorithm)?;
    let mut named = HashSet::new();
    let mut common = Vec::new();
    let (mut round_len, mut in_vain) = (ROUND_LEN_FIRST, 0);
    loop {
        let haves = ours.haves(round_len)?;
        if haves.is_empty() {
            return Ok(Some(common));
        }
        in_vain += haves.len();
        named.extend(haves.iter().copied());
        let features = Features { wait_for_done: true, ..Features::default() };
        let request = Request { preamble: session.preamble(), haves, features, ..Request::default() };
        let input = session.connection().exchange(&request.encode_v2(), progress)?;
        for id in Reply::read_v2(input)?.acks.unwrap_or_default() {
            // else it was never said that we have it
            if named.contains(&id) && !common.contains(&id) {
                ours.acknowledge(id)?;
                common.push(id);
                in_vain = 0;
            }
        }
        if !common.is_empty() && (in_vain >= IN_VAIN_MAX || ours.all_reach(&common)?) {
            return Ok(Some(common));
        }
        round_len = (round_len * 2).min(ROUND_LEN_MAX);
    }
}

/// Our side of the conversation.
struct Ours {
    tips: Vec<ObjectId>,
    objects: Objects,
    negotiator: Box<dyn Negotiator>,
}

impl Ours {
    fn new(repo: &Repository, tips: &[ObjectId], algorithm: Algorithm) -> Result<Self, Error> {
        let mut ours =
            Self { tips: Vec::new(), objects: repo.objects()?.here(), negotiator: algorithm.negotiator() };
        for tip in tips {
            if let Some((id, Kind::Commit)) = ours.objects.peel(tip).map_err(unreadable)? {
                ours.negotiator.add_tip(id, &mut RepoHistory(&mut ours.objects)).map_err(unreadable)?;
                ours.tips.push(id);
            }
        }
        Ok(ours)
    }

    fn haves(&mut self, len_max: usize) -> Result<Vec<ObjectId>, Error> {
        let mut haves = Vec::new();
        while haves.len() < len_max {
            match self.negotiator.next(&mut RepoHistory(&mut self.objects)).map_err(unreadable)? {
                Some(id) => haves.push(id),
                None => break,
            }
        }
        Ok(haves)
    }

    fn acknowledge(&mut self, id: ObjectId) -> Result<(), Error> {
        self.negotiator.ack(id, &mut RepoHistory(&mut self.objects)).map_err(unreadable)?;
        Ok(())
    }

    /// Whether each tip has one of `common` in its history: then more would not be learnt that matters. Commits older than
    /// all of `common` are not walked.
    fn all_reach(&mut self, common: &[ObjectId]) -> Result<bool, Error> {
        let mut oldest = i64::MAX;
        for id in common {
            oldest = oldest.min(self.date(id)?);
        }
        for tip in self.tips.clone() {
            if !self.reaches(tip, common, oldest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn reaches(&mut self, tip: ObjectId, common: &[ObjectId], oldest: i64) -> Result<bool, Error> {
        let mut seen = HashSet::from([tip]);
        let mut ahead = BinaryHeap::from([(self.date(&tip)?, tip)]);
        while let Some((date, id)) = ahead.pop() {
            if common.contains(&id) {
                return Ok(true);
            }
            if date < oldest {
                continue;
            }
            let parents = self.objects.commit(&id).map_err(unreadable)?.map(|commit| commit.parents);
            for parent in parents.unwrap_or_default() {
                if seen.insert(parent) {
                    ahead.push((self.date(&parent)?, parent));
                }
            }
        }
        Ok(false)
    }

    fn date(&mut self, id: &ObjectId) -> Result<i64, Error> {
        Ok(self.objects.commit(id).map_err(unreadable)?.map_or(i64::MIN, |commit| commit.date))
    }
}

/// One conversation with the upload-pack at `url`.
fn ask(
    repo: &Repository,
    url: &Url,
    options: transport::Options,
    tips: &[ObjectId],
    progress: &mut dyn Progress,
) -> Result<Option<Vec<ObjectId>>, Error> {
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    let algorithm = crate::remote::fetch::algorithm(repo)?;
    let mut session = Session::connect(url, &settings, options, &[], progress)?;
    let common = negotiate_only(&mut session, repo, tips, algorithm, progress)?;
    // the answer is complete; how the far side ends after that changes nothing
    let _ended = session.close();
    Ok(common)
}

fn tell(progress: &mut dyn Progress, event: Event<'_>) -> Result<(), Error> {
    if progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
