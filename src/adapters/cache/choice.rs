//! Which level of isolation a machine and a configuration allow.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::acl::Acl;
use super::address::Address;
use super::rules::{OLDEST, version};
use super::server::Private;
use super::{Cache, CacheError, CacheSettings, Isolation};
use crate::adapters::process::{Command, Executor, Stop};

/// Names the program of private servers, where the `PATH` is not to be searched.
const VARIABLE: &str = "BLUEPRINT_REDIS_BIN";
/// What it is called otherwise.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// The level that the settings ask for, or the best that is to be had: private servers where
/// their program is found, else users of the configured server. Nothing is made yet; a configured
/// server is reached only where it will be used.
pub async fn choose(settings: CacheSettings, exec: Arc<dyn Executor>) -> Result<Arc<dyn Cache>, CacheError> {
    pick(settings, program()?, exec).await
}

async fn pick(
    settings: CacheSettings,
    program: Option<PathBuf>,
    exec: Arc<dyn Executor>,
) -> Result<Arc<dyn Cache>, CacheError> {
    let CacheSettings { url, isolation, state } = settings;
    let missing = format!("no redis-server in the PATH or in {VARIABLE}");
    match (isolation, program, url) {
        (Isolation::Auto | Isolation::Server, Some(program), _) => {
            let found = release(&program, &*exec).await?;
            Ok(Arc::new(Private::new(program.clone(), state, format!("{found} at {}", program.display()), exec)))
        }
        (Isolation::Auto, None, Some(url)) => Ok(Arc::new(Acl::open(Address::parse(&url)?, missing).await?)),
        (Isolation::Acl, _, Some(url)) => {
            let why = "asked for in the configuration".to_owned();
            Ok(Arc::new(Acl::open(Address::parse(&url)?, why).await?))
        }
        (Isolation::Acl, _, None) => {
            Err(CacheError::Refused("`isolation: acl` shares a server: name it in `cache.url`".to_owned()))
        }
        (Isolation::Server, None, _) => {
            Err(CacheError::Refused(format!("{missing}; install it, or set `isolation: acl` with a `cache.url`")))
        }
        (Isolation::Auto, None, None) => {
            Err(CacheError::Refused(format!("{missing}, and no `cache.url`; install it, or name a server to share")))
        }
    }
}

/// The program of private servers with its version, where there is one.
pub async fn found(exec: &dyn Executor) -> Result<Option<String>, CacheError> {
    match program()? {
        Some(program) => release(&program, exec).await.map(Some),
        None => Ok(None),
    }
}

/// The program of private servers.
fn program() -> Result<Option<PathBuf>, CacheError> {
    if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty()) {
        return match named.canonicalize() {
            Ok(path) if path.is_file() => Ok(Some(path)),
            _ => Err(CacheError::Refused(format!("{VARIABLE} names {}, which is no file", named.display()))),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let places = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    Ok(places.into_iter().find(|place| place.is_file()))
}

/// Asks the program for its version.
async fn release(program: &std::path::Path, exec: &dyn Executor) -> Result<String, CacheError> {
    let command = Command::new(program, ["--version"], "/").limit(Duration::from_secs(10));
    let said = exec.run(command, &Stop::new()).await?.text();
    let found = said.split_ascii_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or_default();
    match version(found) {
        Some(version) if version >= OLDEST => Ok(format!("redis-server {found}")),
        Some(_) => Err(CacheError::Refused(format!(
            "{} is version {found}; private servers need {}.{}",
            program.display(),
            OLDEST.0,
            OLDEST.1
        ))),
        None => {
            Err(CacheError::Refused(format!("{} does not tell a version of Redis: {}", program.display(), said.trim())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::executor::local::Local;

    async fn refused(isolation: Isolation, url: Option<&str>) -> String {
        let settings = CacheSettings { url: url.map(str::to_owned), isolation, state: "/nowhere".into() };
        pick(settings, None, Arc::new(Local)).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn what_can_not_be_had_is_refused_with_what_to_do() {
        insta::assert_snapshot!(refused(Isolation::Auto, None).await, @"no redis-server in the PATH or in BLUEPRINT_REDIS_BIN, and no `cache.url`; install it, or name a server to share");
        insta::assert_snapshot!(refused(Isolation::Server, Some("redis://h")).await, @"no redis-server in the PATH or in BLUEPRINT_REDIS_BIN; install it, or set `isolation: acl` with a `cache.url`");
        insta::assert_snapshot!(refused(Isolation::Acl, None).await, @"`isolation: acl` shares a server: name it in `cache.url`");
    }

    #[tokio::test]
    async fn a_server_that_can_not_be_reached_is_named_without_its_password() {
        let error = refused(Isolation::Auto, Some("redis://admin:s3cret@127.0.0.1:1/0")).await;
        assert!(error.starts_with("the Redis server at 127.0.0.1:1 can't be reached: "), "{error}");
        assert!(!error.contains("s3cret") && !error.contains("admin"), "{error}");
    }
}
