//! Values of the configuration that name a variable, and how a wrong one is refused.

use crate::error::{Error, Result};
use crate::project::{CONFIGURATION, Project};

/// A refusal that names the file.
pub(super) fn wrong(what: impl std::fmt::Display) -> Error {
    Error::usage(format!("{CONFIGURATION}: {what}"))
}

/// A value, or the variable that it names.
pub(super) fn reference(project: &Project, key: &str, text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let Some(name) = text.strip_prefix('$') else { return Ok(Some(text.to_owned())) };
    let name = name.trim_start_matches('{').trim_end_matches('}');
    match project.variables.get(name) {
        Some(value) if !value.is_empty() => Ok(Some(value.clone())),
        _ => Err(Error::usage(format!("`{key}` in {CONFIGURATION} names ${name}, and that variable is not set"))
            .hint(format!("set it: export {name}=…"))),
    }
}
