//! Loads on databases: the files that they are read from, which nobody but the base may write unless the configuration lets
//! variants.

use super::values::wrong;
use crate::adapters::git::Git;
use crate::adapters::metric::sql_load::Settings;
use crate::adapters::metric::{ParamsFrom, SourceSettings};
use crate::config::{Config, Metric};
use crate::domain::plan::Plan;
use crate::engine::before::target::Target;
use crate::engine::implement::contract;
use crate::error::Result;

/// The load that a metric comes from, where it comes from one.
pub fn load(metric: &Metric) -> Option<&Settings> {
    if let SourceSettings::SqlLoad(settings) = &metric.source { Some(settings) } else { None }
}

/// The globs of the configuration, and the files of its loads. Parameters are always the base's: they are
/// the same for every contender.
pub fn protected(config: &Config) -> Vec<String> {
    let files = config.metrics.values().filter_map(load).flat_map(|Settings { file, params, by_variant, .. }| {
        let params = if let ParamsFrom::File(file) = params { Some(file) } else { None };
        Some(file).filter(|_| !by_variant).into_iter().chain(params)
    });
    config.protect.iter().cloned().chain(files.map(|file| globset::escape(file))).collect()
}

/// Refuses a load that could only fail later: the base's files must be there and say what can be asked, and
/// a statement that variants may rewrite must not be restored from the base for another reason.
pub async fn check(config: &Config, plan: &Plan, protect: &[String], git: &dyn Git, target: &Target) -> Result<()> {
    for bound in &plan.metrics {
        let Some(settings) = config.metrics.get(&bound.name).and_then(load) else { continue };
        let place = format!("metrics.{}", bound.name);
        if settings.by_variant && contract::globs(protect).is_match(&settings.file) {
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
            settings.verify(file, &bytes).map_err(|why| wrong(format!("`{place}.sql_load`: {file}: {why}")))?;
        }
    }
    Ok(())
}
