//! The fake: services in this process, each with rows of text as a database has and keys as a cache has. A line of a seed
//! file is a row.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::seed::Seed;
use super::{Choice, LeaseName, Ready, Service, ServiceError, ServiceResource, ServiceSettings, place};
use crate::adapters::process::Environment;

/// The name in a resource.
const KIND: &str = "fake";

/// What its addresses begin with.
const SCHEME: &str = "memory:";

/// What one service holds.
#[derive(Debug, Clone, Default)]
struct Held {
    nonce: Option<String>,
    rows: Vec<String>,
    keys: BTreeMap<String, String>,
}

/// Services in memory.
#[derive(Default)]
pub struct FakeService {
    settings: ServiceSettings,
    held: Mutex<BTreeMap<String, Held>>,
}

impl FakeService {
    /// One that holds nothing yet.
    pub fn new(settings: ServiceSettings) -> Self {
        Self { settings, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the resources that exist; none after an orderly end.
    pub fn live(&self) -> Vec<String> {
        self.held().keys().cloned().collect()
    }

    /// The rows of a service; nothing where there is none.
    pub fn rows(&self, name: &str) -> Option<Vec<String>> {
        self.held().get(name).map(|held| held.rows.clone())
    }

    /// Adds a row; a service that is not there is made, without a mark of ours.
    pub fn write(&self, name: &str, row: &str) {
        self.held().entry(name.to_owned()).or_default().rows.push(row.to_owned());
    }

    /// Makes a service that is marked and empty, as if making it had been interrupted.
    pub fn begin(&self, resource: &ServiceResource) {
        let begun = Held { nonce: Some(resource.nonce.clone()), ..Held::default() };
        self.held().insert(resource.name.clone(), begun);
    }

    /// Carries out `SET key value`, `GET key` or `FLUSHALL` for whoever has this environment.
    pub fn run(&self, env: &Environment, words: &[&str]) -> Result<Option<String>, String> {
        let mut held = self.held();
        let name = env.get("REDIS_URL").and_then(|url| url.strip_prefix(SCHEME)).ok_or("no REDIS_URL")?;
        let keys = &mut held.get_mut(name).ok_or_else(|| format!("{name} is not there"))?.keys;
        match words {
            ["SET", key, value] => Ok(keys.insert((*key).to_owned(), (*value).to_owned())),
            ["GET", key] => Ok(keys.get(*key).cloned()),
            ["FLUSHALL"] => {
                keys.clear();
                Ok(None)
            }
            other => Err(format!("unknown command {other:?}")),
        }
    }
}

#[async_trait]
impl Service for FakeService {
    fn choice(&self) -> Choice {
        Choice { used_as: self.settings.used_as, level: KIND.to_owned(), why: "a test asked for it".to_owned() }
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn prepare(&self) -> Result<(), ServiceError> {
        Seed::read(&self.settings.seed).map(drop)
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        place::intend(KIND, "memory", lease, None)
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
        self.remove(resource).await?;
        let seed = Seed::read(&self.settings.seed)?;
        let rows = seed.scripts().flat_map(|script| script.text.lines()).map(str::to_owned).collect();
        let held = Held { nonce: Some(resource.nonce.clone()), rows, keys: BTreeMap::new() };
        self.held().insert(resource.name.clone(), held);
        let address = format!("{SCHEME}{}", resource.name);
        let env = [("DATABASE_URL", address.as_str()), ("REDIS_URL", &address), ("BLUEPRINT_CACHE_PREFIX", "")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Ok(Ready::new(resource.clone(), env))
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        place::check(resource, KIND)?;
        let mut held = self.held();
        match held.get(&resource.name) {
            None => Ok(()),
            Some(found) if found.nonce.as_ref() == Some(&resource.nonce) => {
                held.remove(&resource.name);
                Ok(())
            }
            Some(_) => Err(place::foreign(resource)),
        }
    }
}
