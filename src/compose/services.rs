//! The services that the configuration asks for, each lease one of its own.

use std::sync::Arc;

use super::values;
use crate::adapters::service::{Isolation, Service, ServiceSettings, choose};
use crate::config::{Cache, CacheIsolation, Database, DatabaseIsolation, Engine};
use crate::domain::service::Use;
use crate::error::Result;
use crate::project::Project;

/// The services of a run with so many variants; connects to nothing that is not needed to choose.
pub async fn ports(project: &Project, variants: usize) -> Result<Vec<Arc<dyn Service>>> {
    let mut ports = Vec::new();
    for settings in settings(project, variants)? {
        ports.push(choose(settings, project.exec.clone()).await?);
    }
    Ok(ports)
}

fn settings(project: &Project, variants: usize) -> Result<Vec<ServiceSettings>> {
    let common = |used_as: Use, url: Option<&str>| {
        let url = values::reference(project, &format!("{used_as}.url"), url)?;
        // Templates and private servers live beside the leases.
        let state = project.state_root();
        Ok::<_, crate::error::Error>(ServiceSettings {
            used_as,
            url,
            state,
            leases: leases(variants),
            ..Default::default()
        })
    };
    let mut all = Vec::new();
    if let Some(database) = &project.config.database {
        all.push(ServiceSettings {
            engine: database.engine.map(|engine| name(engine).to_owned()),
            isolation: of_database(database),
            seed: database.seed.iter().map(|file| project.git_root().join(file)).collect(),
            ..common(Use::Database, database.url.as_deref())?
        });
    }
    if let Some(cache) = &project.config.cache {
        all.push(ServiceSettings { isolation: of_cache(cache), ..common(Use::Cache, cache.url.as_deref())? });
    }
    Ok(all)
}

/// Every contender, the baseline and its shadow among them, is judged while others are still at
/// work: two leases each at the most.
fn leases(variants: usize) -> u32 {
    u32::try_from(2 * (variants + 2)).unwrap_or(u32::MAX)
}

/// What the table calls it.
fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "postgres",
        Engine::Sqlite => "sqlite",
    }
}

fn of_database(config: &Database) -> Isolation {
    match config.isolation {
        None | Some(DatabaseIsolation::Auto) => Isolation::Auto,
        Some(DatabaseIsolation::Server) => Isolation::Server,
        Some(DatabaseIsolation::Database) => Isolation::Database,
        Some(DatabaseIsolation::Schema) => Isolation::Schema,
    }
}

fn of_cache(config: &Cache) -> Isolation {
    match config.isolation {
        None | Some(CacheIsolation::Auto) => Isolation::Auto,
        Some(CacheIsolation::Server) => Isolation::Server,
        Some(CacheIsolation::Acl) => Isolation::Acl,
    }
}
