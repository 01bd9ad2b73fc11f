//! SQLite: a file each, copied from one that the seed files made.
//!
//! The application finds it as `DATABASE_URL=sqlite:////absolute/path` and, for clients that take
//! a path, as `BLUEPRINT_DATABASE_FILE`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::place::{self, blocking};
use super::seed::Seed;
use super::shelf::{self, Held};
use super::{
    Choice, Ground, Isolation, LeaseName, Offer, Ready, Service, ServiceError, ServiceResource, ServiceSettings, Way,
    clone,
};
use crate::adapters::process::Environment;
use crate::adapters::sql::{sqlite, url};
use crate::domain::service::Use;

/// The name in a resource.
pub(crate) const KIND: &str = "sqlite";

/// Its line in the table.
pub(crate) const WAY: Way = Way {
    used_as: Use::Database,
    engine: "sqlite",
    schemes: &["sqlite", "sqlite3"],
    isolation: Isolation::File,
    kind: KIND,
    words: &[],
    open: |ground| Box::pin(async { Ok(Offer::had(Sqlite::new(ground))) }),
};

/// A SQLite file a lease.
pub(super) struct Sqlite {
    settings: ServiceSettings,
    why: String,
}

impl Sqlite {
    fn new(ground: Ground) -> Self {
        Self { why: ground.because(None), settings: ground.settings }
    }

    fn home(&self) -> PathBuf {
        self.settings.state.join("sqlite")
    }

    /// The scheme of the configured URL, which names the application's driver too.
    fn scheme(&self) -> &str {
        self.settings.url.as_deref().map_or("sqlite", url::scheme)
    }

    /// The closed file that the seed makes, built once per digest of the seed.
    async fn template(&self) -> Result<(PathBuf, Held), ServiceError> {
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

async fn fill(file: &Path, seed: &Seed) -> Result<(), ServiceError> {
    let failed =
        |why: sqlx::Error| ServiceError::Failed { what: format!("building {}", file.display()), why: why.to_string() };
    let mut connection = sqlite::create(file).await.map_err(failed)?;
    for script in seed.scripts() {
        sqlite::run_script(&mut connection, script.text).await.map_err(|why| script.failed(&why))?;
    }
    sqlite::close(connection).await.map_err(failed)
}

#[async_trait]
impl Service for Sqlite {
    fn choice(&self) -> Choice {
        Choice { used_as: Use::Database, level: "sqlite file".to_owned(), why: self.why.clone() }
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn reach(&self) -> Result<(), ServiceError> {
        Seed::read(&self.settings.seed).map(drop)
    }

    async fn prepare(&self) -> Result<(), ServiceError> {
        self.template().await.map(drop)
    }

    async fn tidy(&self) -> Result<(), ServiceError> {
        for (building, _lock) in shelf::abandoned(&self.home().join("templates"))? {
            place::remove(&building).map_err(|why| place::failed(format!("removing {}", building.display()), &why))?;
            shelf::clear(&building)?;
        }
        Ok(())
    }

    async fn forget(&self) -> Result<Vec<String>, ServiceError> {
        let mut removed = Vec::new();
        for (template, _lock) in shelf::unused(&self.home().join("templates"))? {
            let gone = std::fs::remove_file(&template);
            gone.map_err(|why| place::failed(format!("removing {}", template.display()), &why))?;
            shelf::clear(&template)?;
            removed.push(template.display().to_string());
        }
        Ok(removed)
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        let mut resource = place::intend(KIND, "", lease, None);
        resource.place = self.home().join("leases").join(&resource.name).display().to_string();
        resource
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
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
        Ok(Ready { write: vec![dir], ..Ready::new(resource.clone(), env) })
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        let dir = place::directory(resource, KIND)?;
        if place::is_there(&dir, resource)? {
            blocking(format!("removing {}", dir.display()), move || place::remove(&dir)).await?;
        }
        Ok(())
    }
}
