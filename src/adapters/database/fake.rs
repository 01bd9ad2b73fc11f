//! The fake: databases that are lists of text in this process. A line of a seed file is a row.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::seed::Seed;
use super::{Choice, Connected, Database, DatabaseError, DatabaseResource, DatabaseSettings, LeaseName, place};
use crate::adapters::process::Environment;

/// The name in a resource.
pub const KIND: &str = "fake";

/// What one database holds.
#[derive(Debug, Clone, Default)]
struct Held {
    nonce: Option<String>,
    rows: Vec<String>,
}

/// Databases in memory.
pub struct FakeDatabase {
    settings: DatabaseSettings,
    held: Mutex<BTreeMap<String, Held>>,
}

impl FakeDatabase {
    /// An empty server.
    pub fn new(settings: DatabaseSettings) -> Self {
        Self { settings, held: Mutex::default() }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of a database; nothing where there is none.
    pub fn rows(&self, name: &str) -> Option<Vec<String>> {
        self.held().get(name).map(|held| held.rows.clone())
    }

    /// Adds a row; a database that is not there is made, without a mark of ours.
    pub fn write(&self, name: &str, row: &str) {
        self.held().entry(name.to_owned()).or_default().rows.push(row.to_owned());
    }

    /// Makes a database that is marked and empty, as if making it had been interrupted.
    pub fn begin(&self, resource: &DatabaseResource) {
        let begun = Held { nonce: Some(resource.nonce.clone()), rows: Vec::new() };
        self.held().insert(resource.name.clone(), begun);
    }
}

#[async_trait]
impl Database for FakeDatabase {
    fn choice(&self) -> Choice {
        Choice { level: KIND.to_owned(), why: "a test asked for it".to_owned() }
    }

    async fn reach(&self) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn prepare(&self) -> Result<(), DatabaseError> {
        Seed::read(&self.settings.seed).map(drop)
    }

    async fn tidy(&self) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn forget(&self) -> Result<Vec<String>, DatabaseError> {
        Ok(Vec::new())
    }

    fn intend(&self, lease: &LeaseName) -> DatabaseResource {
        place::intend(KIND, "memory", lease, None)
    }

    async fn create(&self, resource: &DatabaseResource) -> Result<Connected, DatabaseError> {
        self.remove(resource).await?;
        let seed = Seed::read(&self.settings.seed)?;
        let rows = seed.scripts().flat_map(|script| script.text.lines()).map(str::to_owned).collect();
        self.held().insert(resource.name.clone(), Held { nonce: Some(resource.nonce.clone()), rows });
        let env = Environment::from([("DATABASE_URL".to_owned(), format!("memory:{}", resource.name))]);
        Ok(Connected { resource: resource.clone(), env })
    }

    async fn remove(&self, resource: &DatabaseResource) -> Result<(), DatabaseError> {
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
