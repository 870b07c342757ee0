//! A stream in, an indexed pack out.
use std::io::BufRead;

use super::{Error, Options, Received};
use crate::progress::Progress;

/// Receives one pack from `input`.
pub fn receive(
    input: &mut dyn BufRead,
    options: &Options<'_>,
    progress: &mut dyn Progress,
) -> Result<Received, Error> {
    let _ = (input, options, progress);
    todo!("pack helper")
}
