//! The program of private servers on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules::{OLDEST, version};
use crate::adapters::process::{Command, Executor, Stop};
use crate::adapters::service::ServiceError;

/// Names the program of private servers, where the `PATH` is not to be searched.
const VARIABLE: &str = "BLUEPRINT_REDIS_BIN";
/// What it is called otherwise.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// Why there is none, in one clause.
pub(super) fn missing() -> String {
    format!("no redis-server in the PATH or in {VARIABLE}")
}

/// The program of private servers with its version, where there is one.
pub async fn found(exec: &dyn Executor) -> Result<Option<String>, ServiceError> {
    match find()? {
        Some(program) => release(&program, exec).await.map(Some),
        None => Ok(None),
    }
}

/// The program of private servers.
pub(super) fn find() -> Result<Option<PathBuf>, ServiceError> {
    if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty()) {
        return match named.canonicalize() {
            Ok(path) if path.is_file() => Ok(Some(path)),
            _ => Err(ServiceError::Refused(format!("{VARIABLE} names {}, which is no file", named.display()))),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let places = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    Ok(places.into_iter().find(|place| place.is_file()))
}

/// Asks the program for its version.
pub(super) async fn release(program: &Path, exec: &dyn Executor) -> Result<String, ServiceError> {
    let command = Command::new(program, ["--version"], "/").limit(Duration::from_secs(10));
    let said = exec.run(command, &Stop::new()).await?.text();
    let found = said.split_ascii_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or_default();
    match version(found) {
        Some(version) if version >= OLDEST => Ok(format!("redis-server {found}")),
        Some(_) => Err(ServiceError::Refused(format!(
            "{} is version {found}; private servers need {}.{}",
            program.display(),
            OLDEST.0,
            OLDEST.1
        ))),
        None => Err(ServiceError::Refused(format!(
            "{} does not tell a version of Redis: {}",
            program.display(),
            said.trim()
        ))),
    }
}
