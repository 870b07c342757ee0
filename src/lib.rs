//! gitr moves git history between machines.
//!
//! The crate is the library behind the `gitr` command: everything the command does, with nothing printed, no exit
//! and no global state. Work reports through [`progress::Progress`], which can also stop it.
//!
//! The modules in reading order: [`protocol`] says what the bytes mean, [`transport`] how they travel,
//! [`credential`] who the user is, [`pack`] takes packs in, [`repo`] is the only door to a repository and
//! [`remote`] is what a fetch does to it. [`cmd`] is the command line on top.

pub mod credential;
pub mod pack;
pub mod progress;
pub mod protocol;
pub mod remote;
pub mod repo;
pub mod transport;

/// The command line: public for `main.rs`, which is a crate of its own, and no part of the library. It prints, reads
/// the process's environment and may change without notice.
#[doc(hidden)]
pub mod cmd;
