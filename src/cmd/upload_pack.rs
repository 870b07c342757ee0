//! `gitr upload-pack`, which serves clones and fetches over a pair of pipes. `git-upload-pack(1)`.

use std::ffi::OsString;
use std::io::{BufReader, BufWriter};
use std::time::Duration;

use super::arguments::{self, Parsed, Spec};
use super::{CommandError, Context, service, ui};
use crate::server::enter::Naming;
use crate::server::upload_pack::version_asked;
use crate::server::{Error, UploadPack};

const SPEC: Spec = Spec {
    name: "upload-pack",
    synopsis: &[
        "git-upload-pack [--[no-]strict] [--timeout=<n>] [--stateless-rpc]",
        "                       [--advertise-refs] <directory>",
    ],
    plain: &[],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    /// quit after a single request/response exchange
    #[arg(long = "stateless-rpc")]
    stateless_rpc: bool,
    /// serve up the info/refs for git-http-backend
    #[arg(long = "http-backend-info-refs", alias = "advertise-refs")]
    http_backend_info_refs: bool,
    /// do not try <directory>/.git/ if <directory> is no Git directory
    #[arg(long)]
    strict: bool,
    /// interrupt transfer after <n> seconds of inactivity
    #[arg(long, value_name = "n")]
    timeout: Option<u64>,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr upload-pack`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let values = &parsed.values;
    let [directory] = values.operands.as_slice() else {
        return Err(CommandError::usage(arguments::usage_of::<Arguments>(&SPEC)));
    };
    let naming = if values.strict { Naming::Strict } else { Naming::Lenient };
    let repo = service::open(directory, naming, &context)?;
    let conversation = service::conversation(values.http_backend_info_refs, values.stateless_rpc);
    let patience = values.timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let mut input = BufReader::new(service::Input::stdin(patience)?);
    let mut out = BufWriter::with_capacity(service::BUFFER_LEN, service::stdout()?);
    let served = UploadPack::new(&repo, conversation)?.serve(version_asked(&repo.env), &mut input, &mut out);
    if let Err(Error::Pack { reason }) = &served {
        // in git it is another program that makes the pack, and has its own words
        ui::message("fatal", reason.to_string().as_bytes().into());
    }
    if let Err(Error::Pack { .. } | Error::PackObjectsHook { .. }) = &served {
        ui::note("error: git upload-pack: git-pack-objects died with error.");
    }
    Ok(served.map(|()| 0)?)
}
