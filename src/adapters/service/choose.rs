//! Which way of having a service a run gets, and why.

use std::sync::Arc;

use super::seed::Seed;
use super::{Ground, Isolation, Offer, Service, ServiceError, ServiceSettings, Sought, TABLE, Way};
use crate::adapters::process::Executor;

/// Opens what is asked for, or the first of its engine that the machine and the role allow. The engine is what isolation, `engine`
/// and URL name; where none does, what the seed is written for, and else the first of the table. Nothing is made yet.
pub async fn choose(settings: ServiceSettings, exec: Arc<dyn Executor>) -> Result<Arc<dyn Service>, ServiceError> {
    let (engine, told) = engine(&settings)?;
    let asked = settings.isolation;
    let ways = of_use(&settings).filter(|way| way.engine == engine);
    let ways = ways.filter(|way| asked == Isolation::Auto || way.isolation == asked);
    let mut sought = (asked == Isolation::Auto).then(|| Sought { told, lacking: Vec::new() });
    let mut refused = None;
    for way in ways {
        let ground = Ground { settings: settings.clone(), exec: Arc::clone(&exec), sought: sought.clone() };
        match (way.open)(ground).await? {
            Offer::Had(service) => return Ok(service),
            Offer::Lacking { why, error } => {
                if let Some(sought) = &mut sought {
                    sought.lacking.push(why);
                }
                refused = Some(error);
            }
        }
    }
    let none = || format!("`{0}.isolation: {asked}` is no way of having a {0} of {engine}", settings.used_as);
    Err(refused.unwrap_or_else(|| ServiceError::Refused(none())))
}

fn of_use(settings: &ServiceSettings) -> impl Iterator<Item = &'static Way> {
    let used_as = settings.used_as;
    TABLE.iter().filter(move |way| way.used_as == used_as)
}

/// What the application speaks, and how that is known.
fn engine(settings: &ServiceSettings) -> Result<(&'static str, String), ServiceError> {
    let used_as = settings.used_as;
    let engines = |keep: &dyn Fn(&Way) -> bool| -> Vec<&'static str> {
        of_use(settings).filter(|way| keep(way)).map(|way| way.engine).collect()
    };
    let mut told: Vec<(Vec<&'static str>, String)> = Vec::new();
    if settings.isolation != Isolation::Auto {
        told.push((engines(&|way| way.isolation == settings.isolation), format!("{used_as}.isolation")));
    }
    if let Some(name) = &settings.engine {
        told.push((engines(&|way| way.engine == name), format!("{used_as}.engine")));
    }
    if let Some(url) = &settings.url {
        let (scheme, _) = url.split_once(':').unwrap_or_default();
        let meant = engines(&|way| way.schemes.contains(&scheme.split('+').next().unwrap_or_default()));
        if meant.is_empty() {
            return Err(unknown(settings, scheme));
        }
        told.push((meant, format!("{used_as}.url")));
    }
    for (at, (first, key)) in told.iter().enumerate() {
        if let Some((_, other)) = told[at + 1..].iter().find(|(other, _)| !first.iter().any(|one| other.contains(one)))
        {
            return Err(ServiceError::Refused(format!(
                "`{key}` and `{other}` contradict each other: they mean different engines"
            )));
        }
    }
    let all = engines(&|_| true).into_iter();
    let mut left = all.filter(|engine| told.iter().all(|(meant, _)| meant.contains(engine)));
    match (told.first(), left.next()) {
        (Some((_, key)), Some(engine)) => Ok((engine, format!("`{key}` names it"))),
        (None, Some(usual)) => by_seed(settings, usual),
        (_, None) => Err(ServiceError::Refused(format!("nothing here can be a {used_as} as it is configured"))),
    }
}

/// What a seed is written for.
fn by_seed(settings: &ServiceSettings, usual: &'static str) -> Result<(&'static str, String), ServiceError> {
    let seed = Seed::read(&settings.seed)?;
    let mut known = of_use(settings).filter_map(|way| Some((way.engine, seed.word(way.words)?)));
    Ok(match known.next() {
        Some((engine, word)) => (engine, format!("the seed says `{word}`, which is {engine}'s")),
        None => (usual, "neither URL nor engine is configured".to_owned()),
    })
}

fn unknown(settings: &ServiceSettings, scheme: &str) -> ServiceError {
    let mut known: Vec<_> = of_use(settings).filter_map(|way| way.schemes.first()).map(|s| format!("{s}:")).collect();
    known.dedup();
    ServiceError::Refused(format!(
        "`{0}.url` begins with `{scheme}:`, and a {0} is known by {1} alone",
        settings.used_as,
        known.join(" or ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::service::Use;

    fn with(url: &str, engine: Option<&str>, isolation: Isolation) -> ServiceSettings {
        let url = Some(url.to_owned());
        ServiceSettings { url, engine: engine.map(str::to_owned), isolation, ..ServiceSettings::default() }
    }

    fn refused(settings: &ServiceSettings) -> String {
        engine(settings).unwrap_err().to_string()
    }

    #[test]
    fn keys_that_contradict_each_other_and_other_engines_are_refused() {
        insta::assert_snapshot!(refused(&with("postgres://h/d", Some("sqlite"), Isolation::Auto)), @"`database.engine` and `database.url` contradict each other: they mean different engines");
        insta::assert_snapshot!(refused(&with("sqlite:///x", None, Isolation::Schema)), @"`database.isolation` and `database.url` contradict each other: they mean different engines");
        insta::assert_snapshot!(refused(&with("mysql://h/d", None, Isolation::Auto)), @"`database.url` begins with `mysql:`, and a database is known by sqlite: or postgresql: alone");
        let cache = ServiceSettings { used_as: Use::Cache, ..with("http://h", None, Isolation::Auto) };
        insta::assert_snapshot!(refused(&cache), @"`cache.url` begins with `http:`, and a cache is known by redis: alone");
    }

    #[test]
    fn an_engine_is_known_by_isolation_name_and_url_and_else_by_the_seed() {
        let of = |settings: &ServiceSettings| engine(settings).unwrap();
        let (first, told) = of(&with("postgresql+psycopg://h/d", None, Isolation::Auto));
        assert_eq!((first, told.as_str()), ("postgres", "`database.url` names it"));
        let schema = ServiceSettings { isolation: Isolation::Schema, ..ServiceSettings::default() };
        assert_eq!(of(&schema), ("postgres", "`database.isolation` names it".to_owned()));
        assert_eq!(of(&ServiceSettings::default()).0, "sqlite");
        assert_eq!(of(&ServiceSettings { used_as: Use::Cache, ..ServiceSettings::default() }).0, "redis");
    }

    #[test]
    fn no_two_ways_make_resources_of_one_kind_and_ways_of_one_engine_agree_on_what_means_it() {
        for (at, way) in TABLE.iter().enumerate() {
            for other in &TABLE[at + 1..] {
                assert_ne!(way.kind, other.kind);
                let (one, two) = ((way.engine, way.used_as), (other.engine, other.used_as));
                assert_eq!(one == two, way.schemes == other.schemes, "{} and {}", way.kind, other.kind);
            }
        }
    }
}
