//! SQLite: a file each, copied from one that the seed files made.
//!
//! The application finds it as `DATABASE_URL=sqlite:////absolute/path` and, for clients that take
//! a path, as `BLUEPRINT_DATABASE_FILE`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::place::{self, blocking};
use super::seed::Seed;
use super::shelf::{self, Held};
use super::{Choice, Connected, Database, DatabaseError, DatabaseResource, DatabaseSettings, Ground, LeaseName, clone};
use crate::adapters::process::Environment;
use crate::adapters::sql::{sqlite, url};

/// The name in a resource.
pub(crate) const KIND: &str = "sqlite";

/// A SQLite file a lease.
pub struct Sqlite {
    settings: DatabaseSettings,
    why: String,
}

impl Sqlite {
    /// For the table.
    pub fn open(ground: Ground) -> Result<Arc<dyn Database>, DatabaseError> {
        Ok(Arc::new(Self { settings: ground.settings, why: ground.why }))
    }

    fn home(&self) -> PathBuf {
        self.settings.state.join("sqlite")
    }

    /// The scheme of the configured URL, which names the application's driver too.
    fn scheme(&self) -> &str {
        self.settings.url.as_deref().map_or("sqlite", url::scheme)
    }

    /// The closed file that the seed makes, built once per digest of the seed.
    async fn template(&self) -> Result<(PathBuf, Held), DatabaseError> {
        let seed = Seed::read(&self.settings.seed)?;
        let digest = seed.digest(KIND);
        let templates = self.home().join("templates");
        place::make(&templates, 0o700)?;
        let template = templates.join(format!("{digest}.db"));
        let build = async || {
            // What a killed builder left is in nobody's use: the lock is ours.
            let building = shelf::building(&template);
            let keep = |why| place::failed(format!("building {}", template.display()), &why);
            place::remove(&building).map_err(keep)?;
            place::make(&building, 0o700)?;
            fill(&building.join("data.db"), &seed).await?;
            std::fs::rename(building.join("data.db"), &template).map_err(keep)?;
            place::remove(&building).map_err(keep)
        };
        let held = shelf::hold(&template, build).await?;
        Ok((template, held))
    }
}

async fn fill(file: &Path, seed: &Seed) -> Result<(), DatabaseError> {
    let failed =
        |why: sqlx::Error| DatabaseError::Failed { what: format!("building {}", file.display()), why: why.to_string() };
    let mut connection = sqlite::create(file).await.map_err(failed)?;
    for script in seed.scripts() {
        sqlite::run_script(&mut connection, script.text).await.map_err(|why| script.failed(&why))?;
    }
    sqlite::close(connection).await.map_err(failed)
}

#[async_trait]
impl Database for Sqlite {
    fn choice(&self) -> Choice {
        Choice { level: "sqlite file".to_owned(), why: self.why.clone() }
    }

    async fn reach(&self) -> Result<(), DatabaseError> {
        Seed::read(&self.settings.seed).map(drop)
    }

    async fn prepare(&self) -> Result<(), DatabaseError> {
        self.template().await.map(drop)
    }

    async fn tidy(&self) -> Result<(), DatabaseError> {
        for (building, _lock) in shelf::abandoned(&self.home().join("templates"))? {
            place::remove(&building).map_err(|why| place::failed(format!("removing {}", building.display()), &why))?;
            shelf::clear(&building)?;
        }
        Ok(())
    }

    async fn forget(&self) -> Result<Vec<String>, DatabaseError> {
        let mut removed = Vec::new();
        for (template, _lock) in shelf::unused(&self.home().join("templates"))? {
            let gone = std::fs::remove_file(&template);
            gone.map_err(|why| place::failed(format!("removing {}", template.display()), &why))?;
            shelf::clear(&template)?;
            removed.push(template.display().to_string());
        }
        Ok(removed)
    }

    fn intend(&self, lease: &LeaseName) -> DatabaseResource {
        let mut resource = place::intend(KIND, "", lease, None);
        resource.place = self.home().join("leases").join(&resource.name).display().to_string();
        resource
    }

    async fn create(&self, resource: &DatabaseResource) -> Result<Connected, DatabaseError> {
        self.remove(resource).await?;
        let (template, _held) = self.template().await?;
        let dir = place::directory(resource, KIND)?;
        place::make_marked(&dir, 0o700, resource)?;
        let file = dir.join("data.db");
        let into = file.clone();
        blocking(format!("copying {}", template.display()), move || clone::file(&template, &into)).await?;
        let env = Environment::from([
            ("DATABASE_URL".to_owned(), url::sqlite(self.scheme(), &file)),
            ("BLUEPRINT_DATABASE_FILE".to_owned(), file.display().to_string()),
        ]);
        Ok(Connected { resource: resource.clone(), env })
    }

    async fn remove(&self, resource: &DatabaseResource) -> Result<(), DatabaseError> {
        let dir = place::directory(resource, KIND)?;
        if place::is_there(&dir, resource)? {
            blocking(format!("removing {}", dir.display()), move || place::remove(&dir)).await?;
        }
        Ok(())
    }
}
