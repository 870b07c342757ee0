//! (transport helper)

use super::{Error, Options, Settings, Transport, Url};

/// Stands in until HTTP is written.
pub fn open(_url: &Url, _settings: &dyn Settings, _options: Options) -> Result<Box<dyn Transport>, Error> {
    Err(Error::Url("protocol 'http' is not supported".into()))
}
