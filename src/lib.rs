//! gitr moves git history between machines.
//!
//! The crate is the library behind the `gitr` command: everything the command does, with nothing printed, no exit
//! and no global state. Work reports through [`progress::Progress`], which can also stop it.
//!
//! ```no_run
//! use gitr::progress::Discard;
//! use gitr::remote::{Remote, fetch::{Fetch, Options}};
//! use gitr::repo::{Environment, Repository};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let environment = Environment::from_process();
//! let repo = Repository::open("project/.git".as_ref(), Some("project".as_ref()), &[], &environment)?;
//! let origin = Remote::from_config(&repo.config, "origin".into())?;
//! let options = Options::default();
//! let listed = Fetch::new(&repo, &origin, &options)?.list(&mut Discard)?;
//! for update in listed.transfer(&mut Discard)?.update()?.follow_tags(&mut Discard)?.updates {
//!     println!("{:?} is now {:?}", update.local, update.new);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | to | start at |
//! | --- | --- |
//! | clone | [`remote::clone::Clone`], `examples/clone.rs` |
//! | fetch | [`remote::fetch::Fetch`] |
//! | list refs | [`remote::Session::connect`], `examples/ls_refs.rs` |
//! | watch or stop the work | [`progress::Progress`]; [`remote::Error::is_interrupted`] |
//! | say who the user is | [`credential::CredentialProvider`] in [`transport::Options`] |
//! | keep the process's own environment out | [`repo::Environment`] |
//!
//! What the library starts are programs that git starts too: `ssh`, the server of a repository on this machine, filters
//! and hooks. They have a standard error of their own; see [`transport::ChildStderr`].
//!
//! The modules in reading order: [`protocol`] says what the bytes mean, [`transport`] how they travel,
//! [`credential`] who the user is, [`pack`] takes packs in, [`repo`] is the only door to a repository,
//! [`remote`] is what a fetch does to it, [`server`] the other side of the conversation and [`listen`] its sockets.

pub mod credential;
pub mod listen;
pub mod pack;
pub mod progress;
pub mod protocol;
pub mod remote;
pub mod repo;
pub mod server;
pub mod storage;
pub mod telemetry;
mod text;
pub mod transport;

// The command line: public for `main.rs`, which is a crate of its own, and no part of the library. It prints, reads
// the process's environment and may change without notice.
#[doc(hidden)]
#[allow(
    rustdoc::invalid_html_tags,
    reason = "the doc comments of arguments are the help, with git's <placeholders>"
)]
pub mod cmd;
