//! A cache in memory, for tests of what uses the port.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Cache, CacheError, CacheReady, CacheResource, secret};
use crate::adapters::process::Environment;

type Stores = BTreeMap<String, BTreeMap<String, String>>;

/// For tests: one map for each resource that exists.
#[derive(Default)]
pub struct FakeCache(Mutex<Stores>);

impl FakeCache {
    /// Names of the resources that exist; none after an orderly end.
    pub fn live(&self) -> Vec<String> {
        self.stores().keys().cloned().collect()
    }

    /// Carries out `SET key value`, `GET key` or `FLUSHALL` for whoever has this environment.
    pub fn run(&self, env: &Environment, words: &[&str]) -> Result<Option<String>, String> {
        let mut stores = self.stores();
        let name = env.get("REDIS_URL").and_then(|url| url.strip_prefix("fake://")).ok_or("no REDIS_URL")?;
        let store = stores.get_mut(name).ok_or_else(|| format!("{name} is not there"))?;
        match words {
            ["SET", key, value] => Ok(store.insert((*key).to_owned(), (*value).to_owned())),
            ["GET", key] => Ok(store.get(*key).cloned()),
            ["FLUSHALL"] => {
                store.clear();
                Ok(None)
            }
            other => Err(format!("unknown command {other:?}")),
        }
    }

    fn stores(&self) -> MutexGuard<'_, Stores> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cache for FakeCache {
    fn choice(&self) -> (String, String) {
        ("fake".to_owned(), "a test".to_owned())
    }

    fn intend(&self, run: &str, contender: &str) -> CacheResource {
        let nonce = secret::nonce();
        let name = format!("{run}-{contender}-{nonce}");
        CacheResource { kind: "fake".to_owned(), place: "memory".to_owned(), name, nonce }
    }

    async fn create(&self, resource: &CacheResource) -> Result<CacheReady, CacheError> {
        self.stores().insert(resource.name.clone(), BTreeMap::new());
        let url = ("REDIS_URL".to_owned(), format!("fake://{}", resource.name));
        let env = [url, ("BLUEPRINT_CACHE_PREFIX".to_owned(), String::new())].into();
        Ok(CacheReady { resource: resource.clone(), env })
    }

    async fn remove(&self, resource: &CacheResource) -> Result<(), CacheError> {
        self.stores().remove(&resource.name);
        Ok(())
    }
}
