//! Loads on databases: their settings, and the files that they are read from, which nobody but the base
//! may write unless the configuration lets variants.

use super::values::{needed, wrong};
use crate::adapters::git::Git;
use crate::adapters::load as defaults;
use crate::adapters::metric::load::{LoadStat, Metric as Told};
use crate::adapters::metric::sql_load::{CONCURRENCY, ParamsFrom, Settings};
use crate::config::{self, Config, Metric, Params, SqlLoad};
use crate::domain::measurement::MetricName;
use crate::domain::plan::{FilePattern, Plan};
use crate::engine::before::target::Target;
use crate::engine::implement::contract;
use crate::error::Result;

/// One metric's load.
pub fn load(config: &Config, place: &str, name: MetricName, metric: &Metric) -> Result<Settings> {
    let stat = needed(place, "stat", metric.stat.as_ref())?;
    let stat: LoadStat = stat.parse().map_err(|why| wrong(format!("`{place}.stat`: {why}")))?;
    if stat == LoadStat::ErrorRate {
        return Err(wrong(format!(
            "`{place}.stat`: a statement that fails is no measurement; `error_rate` is for `http`"
        )));
    }
    if config.database.is_none() {
        return Err(wrong(format!("`{place}` loads a database, and contenders have none")).hint("add `database: {}`"));
    }
    let place = format!("{place}.sql_load");
    let own = metric.sql_load.clone().unwrap_or_default();
    let path = |key: &str, path: &str| match FilePattern::new(path) {
        Ok(_) => Ok(path.to_owned()),
        Err(why) => Err(wrong(format!("`{place}.{key}`: `{path}`: {why}"))),
    };
    let params = match &own.params {
        None => ParamsFrom::Nowhere,
        Some(Params::File(file)) => ParamsFrom::File(path("params", file)?),
        Some(Params::Drawn(drawn)) => match drawn.range {
            [first, last] if first <= last => ParamsFrom::Range(first, last),
            [first, last] => return Err(wrong(format!("`{place}.params.range`: {first} comes after {last}"))),
        },
    };
    Ok(Settings {
        file: path("file", needed(&place, "file", own.file.as_ref())?)?,
        params,
        rate: own.rate.unwrap_or(defaults::RATE),
        concurrency: own.concurrency.unwrap_or(CONCURRENCY),
        duration: config::duration(&format!("{place}.slice"), own.slice.as_deref())
            .map_err(wrong)?
            .unwrap_or(defaults::SLICE),
        metrics: vec![Told { name, stat }],
    })
}

/// The globs of the configuration, and the files of its loads. Parameters are always the base's: they are
/// the same for every contender.
pub fn protected(config: &Config) -> Vec<String> {
    let loads = config.metrics.values().filter_map(|metric| metric.sql_load.as_ref());
    let files = loads.flat_map(|SqlLoad { file, params, by_variant, .. }| {
        let params = if let Some(Params::File(file)) = params { Some(file) } else { None };
        file.as_ref().filter(|_| !by_variant).into_iter().chain(params)
    });
    config.protect.iter().cloned().chain(files.map(|file| globset::escape(file))).collect()
}

/// Refuses a load that could only fail later: the base's files must be there and say what can be asked, and
/// a statement that variants may rewrite must not be restored from the base for another reason.
pub async fn check(config: &Config, plan: &Plan, protect: &[String], git: &dyn Git, target: &Target) -> Result<()> {
    for bound in &plan.metrics {
        let Some(metric) = config.metrics.get(&bound.name).filter(|metric| metric.sql_load.is_some()) else { continue };
        let place = format!("metrics.{}", bound.name);
        let settings = load(config, &place, bound.name.clone(), metric)?;
        let by_variant = metric.sql_load.as_ref().is_some_and(|own| own.by_variant);
        if by_variant && contract::globs(protect).is_match(&settings.file) {
            let file = &settings.file;
            return Err(wrong(format!(
                "`{place}.sql_load.by_variant`: {file} is as the base has it in every judged tree"
            ))
            .hint("put it where `blueprint plan` names nothing as restored from the base, such as db/queries/"));
        }
        for file in settings.files() {
            let Some(bytes) = git.file_at(&target.base, file).await? else {
                return Err(wrong(format!("`{place}.sql_load` names {file}, which is not on `{}`", target.branch))
                    .hint(format!("commit it first: git add {file}")));
            };
            settings.check(file, &bytes).map_err(|why| wrong(format!("`{place}.sql_load`: {file}: {why}")))?;
        }
    }
    Ok(())
}
