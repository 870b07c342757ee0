//! What a receive-pack allows, from the configuration. git-config(1), "receive.*".

use std::time::Duration;

use bstr::{BString, ByteSlice};

use crate::protocol::push::Command;
use crate::repo::hidden::Hidden;
use crate::repo::session_id::session_id;
use crate::repo::{Config, Error, FsckSettings, Repository};

/// Packs of fewer objects become loose ones, where `receive.unpackLimit` is not set.
const UNPACK_LIMIT: i64 = 100;

/// Seconds of silence before the client is told that we are still there, where `receive.keepAlive` is not set.
const KEEP_ALIVE_SECONDS: i64 = 5;

/// The configuration of one service.
#[derive(Debug)]
pub(super) struct Settings {
    pub denies_deletes: bool,
    pub denies_non_fast_forwards: bool,
    pub current: Deny,
    pub delete_current: Deny,
    /// `receive.shallowUpdate`: history may end where it did not yet.
    pub takes_shallow: bool,
    pub has_atomic: bool,
    pub has_push_options: bool,
    pub has_ofs_delta: bool,
    pub unpack_limit: u32,
    /// 0: no limit; below: nothing is taken.
    pub input_size_max: i64,
    /// What received objects are checked for.
    pub fsck: FsckSettings,
    /// `git maintenance` has a look afterwards.
    pub maintains: bool,
    /// `receive.updateServerInfo`: the files of the dumb protocol are written anew.
    pub writes_server_info: bool,
    /// What the `proc-receive` hook does in our place.
    pub handed_over: Vec<HandedOver>,
    pub session_id: Option<BString>,
    /// `receive.certNonceSeed`: the secret of the nonces that are to be signed.
    pub nonce_seed: Option<BString>,
    /// `receive.certNonceSlop`, in seconds: how old a nonce may be to count as fresh.
    pub nonce_slop: u64,
    /// `receive.keepAlive`; `None`: never.
    pub keep_alive: Option<Duration>,
}

/// One value of `receive.procReceiveRefs`: `[<modifiers>:]<prefix>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HandedOver {
    prefix: BString,
    creates: bool,
    changes: bool,
    deletes: bool,
    /// All refs but those below the prefix are meant.
    is_negated: bool,
}

/// What is done about a change of the branch that is checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deny {
    /// Nothing is configured: it is refused, with an explanation.
    Unconfigured,
    Ignore,
    Warn,
    Refuse,
    /// `updateInstead`.
    UpdateInstead,
}

impl Settings {
    pub(super) fn read(repo: &Repository) -> Result<Self, Error> {
        let config = &repo.config;
        Hidden::check(config, "receive")?;
        let is = |key: &str, default: bool| config.boolean(key).map(|value| value.unwrap_or(default));
        let integer = |key: &str| config.integer(key);
        let limit =
            integer("receive.unpackLimit")?.or(integer("transfer.unpackLimit")?).unwrap_or(UNPACK_LIMIT);
        let size = integer("receive.maxInputSize")?.unwrap_or(0);
        let keep_alive = integer("receive.keepAlive")?.unwrap_or(KEEP_ALIVE_SECONDS);
        Ok(Self {
            denies_deletes: is("receive.denyDeletes", false)?,
            denies_non_fast_forwards: is("receive.denyNonFastForwards", false)?,
            current: Deny::read(config, "receive.denyCurrentBranch")?,
            delete_current: Deny::read(config, "receive.denyDeleteCurrent")?,
            takes_shallow: is("receive.shallowUpdate", false)?,
            has_atomic: is("receive.advertiseAtomic", true)?,
            has_push_options: is("receive.advertisePushOptions", false)?,
            has_ofs_delta: is("repack.useDeltaBaseOffset", true)?,
            unpack_limit: u32::try_from(limit).unwrap_or(0),
            input_size_max: size,
            fsck: repo.fsck_settings("receive")?,
            maintains: is("receive.autogc", true)?,
            writes_server_info: is("receive.updateServerInfo", false)?,
            handed_over: config.strings("receive.procReceiveRefs").iter().map(HandedOver::parse).collect(),
            session_id: session_id(config, &repo.env)?,
            nonce_seed: config.string("receive.certNonceSeed"),
            nonce_slop: slop(config)?,
            keep_alive: u64::try_from(keep_alive)
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        })
    }
}

/// The slop of nonces, which C git reads as a number without sign.
fn slop(config: &Config) -> Result<u64, Error> {
    let value = config.integer("receive.certNonceSlop")?.unwrap_or(0);
    u64::try_from(value).map_err(|_| config.invalid_value("receive.certnonceslop"))
}

impl HandedOver {
    fn parse(value: &BString) -> Self {
        let (modifiers, prefix) = match value.split_once_str(":") {
            Some((modifiers, prefix)) => (Some(modifiers), prefix),
            None => (None, value.as_slice()),
        };
        let has = |letter: u8| modifiers.is_none_or(|modifiers| modifiers.contains(&letter));
        Self {
            prefix: prefix.trim_end_with(|letter| letter == '/').into(),
            creates: has(b'a'),
            changes: has(b'm'),
            deletes: has(b'd'),
            is_negated: modifiers.is_some_and(|modifiers| modifiers.contains(&b'!')),
        }
    }

    /// Whether `command` is meant.
    pub(super) fn takes(&self, command: &Command) -> bool {
        let is_kind = match (command.old.is_null(), command.new.is_null()) {
            (_, true) => self.deletes,
            (true, false) => self.creates,
            (false, false) => self.changes,
        };
        let rest = command.name.strip_prefix(self.prefix.as_slice());
        let is_below = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')));
        is_kind && is_below != self.is_negated
    }
}

impl Deny {
    fn read(config: &Config, key: &str) -> Result<Self, Error> {
        let Some(word) = config.string(key) else { return Ok(Self::Unconfigured) };
        match word.to_ascii_lowercase().as_slice() {
            b"ignore" => return Ok(Self::Ignore),
            b"warn" => return Ok(Self::Warn),
            b"refuse" => return Ok(Self::Refuse),
            b"updateinstead" => return Ok(Self::UpdateInstead),
            _ => {}
        }
        Ok(if config.boolean(key)?.unwrap_or(false) { Self::Refuse } else { Self::Ignore })
    }
}
