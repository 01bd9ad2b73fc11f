//! Durations of the file.

use std::time::Duration;

use crate::domain::quantity::parse_duration;
use crate::error::{Error, Result};

/// A duration such as `10m`; `key` is named where it is none.
pub fn duration(key: &str, text: Option<&str>) -> std::result::Result<Option<Duration>, String> {
    let read = |text| parse_duration(text).map_err(|why| format!("`{key}`: {why}"));
    let read = text.map(read).transpose()?;
    if read == Some(Duration::ZERO) {
        return Err(format!("`{key}` must be longer than nothing"));
    }
    Ok(read)
}

/// The same, as an error of the file.
pub(super) fn time(key: &str, text: Option<&str>) -> Result<Option<Duration>> {
    duration(key, text).map_err(Error::usage)
}
