//! `gitr receive-pack`, which serves pushes over a pair of pipes. `git-receive-pack(1)`.

use std::ffi::OsString;
use std::io::{BufReader, BufWriter};
use std::sync::Arc;

use super::arguments::{self, Parsed, Spec};
use super::{CommandError, Context, service, signal, ui};
use crate::server::ReceivePack;
use crate::server::enter::Naming;
use crate::server::upload_pack::version_asked;

const SPEC: Spec = Spec { name: "receive-pack", synopsis: &["git receive-pack <git-dir>"], plain: &[] };

#[derive(Debug, clap::Args)]
struct Arguments {
    /// quiet
    #[arg(short, long)]
    quiet: bool,
    #[arg(long = "stateless-rpc", hide = true)]
    stateless_rpc: bool,
    #[arg(long = "http-backend-info-refs", alias = "advertise-refs", hide = true)]
    http_backend_info_refs: bool,
    #[arg(long = "reject-thin-pack-for-testing", hide = true)]
    reject_thin: bool,
    #[arg(hide = true)]
    operands: Vec<OsString>,
}

/// Runs `gitr receive-pack`.
pub(super) fn run(arguments: &[OsString], context: Context) -> Result<u8, CommandError> {
    let parsed: Parsed<Arguments> = arguments::parse(&SPEC, arguments)?;
    let values = &parsed.values;
    let usage = || arguments::usage_of::<Arguments>(&SPEC);
    let directory = match values.operands.as_slice() {
        [directory] => directory,
        [] => return Err(CommandError::usage(format!("fatal: you must specify a directory\n\n{}", usage()))),
        [..] => return Err(CommandError::usage(format!("fatal: too many arguments\n\n{}", usage()))),
    };
    let repo = service::open(directory, Naming::Lenient, &context)?;
    repo.config.check_core()?;
    signal::guard_temporaries(Arc::clone(&context.is_stopped))?;
    let conversation = service::conversation(values.http_backend_info_refs, values.stateless_rpc);
    let mut input = BufReader::new(service::Input::stdin(None)?);
    let mut out = BufWriter::with_capacity(service::BUFFER_LEN, service::stdout()?);
    let service = ReceivePack::new(&repo, conversation)?
        .called(directory.as_encoded_bytes())
        .rejecting_thin(values.reject_thin);
    service.warnings().for_each(|text| ui::message("warning", text.as_bytes().into()));
    service.serve(version_asked(&repo.env), &mut input, &mut out)?;
    Ok(0)
}
