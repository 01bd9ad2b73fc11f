//! Which level of isolation a run gets, and why.

use std::sync::Arc;

use super::admin::{Admin, Right};
use super::programs::Programs;
use super::seed::Seed;
use super::{Database, DatabaseError, DatabaseSettings, Engine, Ground, Isolation, TABLE};
use crate::adapters::process::Executor;
use crate::adapters::sql::postgres::Standing;
use crate::adapters::sql::url;

/// A level with the clause that says why, and the major version of PostgreSQL that it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen {
    level: Isolation,
    why: String,
    major: Option<u32>,
}

impl Chosen {
    fn new(level: Isolation, why: impl Into<String>) -> Self {
        Self { level, why: why.into(), major: None }
    }
}

/// Opens the level that is asked for, or the first that the machine and the role allow.
///
/// Without a URL: a private PostgreSQL server where the settings or the seed ask for PostgreSQL,
/// else SQLite. With the URL of a PostgreSQL: a private server if this machine has the programs of
/// that server's major version, else a database, else a schema, as the role's rights go.
pub async fn choose(
    settings: DatabaseSettings,
    isolation: Isolation,
    exec: Arc<dyn Executor>,
) -> Result<Arc<dyn Database>, DatabaseError> {
    let (engine, from) = engine(&settings, isolation)?;
    let chosen = match (isolation, engine, &settings.url) {
        (Isolation::Auto, Engine::Sqlite, _) => Chosen::new(Isolation::Sqlite, from),
        (Isolation::Auto, Engine::Postgres, None) => Chosen::new(Isolation::Server, from),
        (Isolation::Auto, Engine::Postgres, Some(text)) => among(text, &exec).await?,
        (asked, ..) => Chosen::new(asked, "`database.isolation` asks for it"),
    };
    let Chosen { level, why, major } = chosen;
    let programs = if level == Isolation::Server { Programs::find(&exec, major).await? } else { None };
    let found = TABLE.iter().find(|(known, _)| *known == level);
    let (_, open) = found.ok_or_else(|| DatabaseError::Refused("this level is none of the known ones".to_owned()))?;
    open(Ground { settings, why, programs, exec })
}

/// What the application speaks, and how that is known.
fn engine(settings: &DatabaseSettings, isolation: Isolation) -> Result<(Engine, String), DatabaseError> {
    let of_url = match settings.url.as_deref().map(url::scheme) {
        None => None,
        Some(scheme) => Some(Engine::of_scheme(scheme).ok_or_else(|| {
            DatabaseError::Refused(format!(
                "`database.url` begins with `{scheme}:`, and only postgresql: and sqlite: are known"
            ))
        })?),
    };
    let of_isolation = match isolation {
        Isolation::Auto => None,
        Isolation::Sqlite => Some(Engine::Sqlite),
        Isolation::Server | Isolation::Database | Isolation::Schema => Some(Engine::Postgres),
    };
    let named = [(of_isolation, "database.isolation"), (settings.engine, "database.engine"), (of_url, "database.url")];
    let mut known = named.into_iter().filter_map(|(engine, key)| Some((engine?, key)));
    let Some((first, key)) = known.next() else {
        return Ok(match Seed::read(&settings.seed)?.postgres_word() {
            Some(word) => (Engine::Postgres, format!("the seed says `{word}`, which is PostgreSQL's")),
            None => (Engine::Sqlite, "neither URL nor engine is configured".to_owned()),
        });
    };
    match known.find(|(other, _)| *other != first) {
        Some((_, other)) => Err(DatabaseError::Refused(format!(
            "`{key}` and `{other}` contradict each other: one means PostgreSQL, the other SQLite"
        ))),
        None => Ok((first, format!("`{key}` names it"))),
    }
}

async fn among(url: &str, exec: &Arc<dyn Executor>) -> Result<Chosen, DatabaseError> {
    let admin = Admin::new(url)?;
    let standing = admin.standing(&mut admin.connect().await?).await?;
    let installed = Programs::find(exec, Some(standing.version / 10_000)).await?.is_some();
    choose_among(&standing, installed).ok_or_else(|| admin.lacks(&standing, Right::Any))
}

/// The first level that a machine and a role allow.
fn choose_among(standing: &Standing, installed: bool) -> Option<Chosen> {
    let (role, major) = (&standing.role, standing.version / 10_000);
    if installed {
        let why = format!("PostgreSQL {major}, the configured server's version, is installed here");
        return Some(Chosen { major: Some(major), ..Chosen::new(Isolation::Server, why) });
    }
    let missing = format!("no PostgreSQL {major} is installed here");
    if standing.databases && standing.roles {
        return Some(Chosen::new(Isolation::Database, format!("{missing}, and `{role}` may create databases")));
    }
    if standing.roles && standing.schemas {
        return Some(Chosen::new(
            Isolation::Schema,
            format!("{missing}, and `{role}` may create schemas but no databases"),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(databases: bool, roles: bool, schemas: bool) -> Standing {
        let role = "me".to_owned();
        Standing { role, version: 150_004, replica: false, databases, roles, schemas, connections: 100 }
    }

    fn level(standing: &Standing, installed: bool) -> Option<Isolation> {
        choose_among(standing, installed).map(|chosen| chosen.level)
    }

    #[test]
    fn the_first_level_that_machine_and_role_allow_is_taken() {
        assert_eq!(level(&standing(false, false, false), true), Some(Isolation::Server));
        assert_eq!(level(&standing(true, true, true), false), Some(Isolation::Database));
        assert_eq!(level(&standing(false, true, true), false), Some(Isolation::Schema));
        assert_eq!(level(&standing(true, false, true), false), None);
        assert_eq!(level(&standing(false, true, false), false), None);
    }

    #[test]
    fn a_private_server_is_of_the_configured_servers_version() {
        let chosen = choose_among(&standing(true, true, true), true).unwrap();
        assert_eq!(chosen.major, Some(15));
        assert_eq!(chosen.why, "PostgreSQL 15, the configured server's version, is installed here");
    }

    #[test]
    fn keys_that_contradict_each_other_and_other_engines_are_refused() {
        let with = |url: &str, engine| DatabaseSettings { url: Some(url.to_owned()), engine, ..Default::default() };
        let refused = |settings: &DatabaseSettings, isolation| engine(settings, isolation).unwrap_err().to_string();
        assert_eq!(
            refused(&with("postgres://h/d", Some(Engine::Sqlite)), Isolation::Auto),
            "`database.engine` and `database.url` contradict each other: one means PostgreSQL, the other SQLite"
        );
        assert!(
            refused(&with("sqlite:///x", None), Isolation::Schema).contains("`database.isolation` and `database.url`")
        );
        assert!(refused(&with("mysql://h/d", None), Isolation::Auto).contains("begins with `mysql:`"));
    }
}
