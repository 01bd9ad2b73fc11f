//! What judges and what measures: the document's lines and names bound to suites and sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::values::wrong;
use crate::adapters::http::{self, Endpoint};
use crate::adapters::metric::{self, MetricSource, SourceSettings, build_all};
use crate::adapters::process::Program;
use crate::adapters::suite::{self, CommandSettings, HttpSettings, Suite, SuiteSettings};
use crate::config::{Config, Work};
use crate::domain::document::Bindings;
use crate::domain::measurement::MetricName;
use crate::domain::plan::{EvaluationTest, MetricBound, Plan};
use crate::domain::quantity::Limit;
use crate::error::{Error, Result};

/// What the configuration binds, for `check`.
pub fn bindings(config: &Config) -> Result<Bindings> {
    let mut metrics = BTreeMap::new();
    for source in built(config.metrics.values().map(|metric| &metric.source))? {
        for name in source.metrics() {
            let dimension = source.dimension(&name);
            metrics.insert(name, dimension);
        }
    }
    let suites = config.suites.keys().cloned().collect();
    Ok(Bindings { suites, load_bound: config.http.serve.is_some(), metrics })
}

/// The plan's tests, in its order.
pub fn suites(config: &Config, plan: &Plan) -> Result<Vec<Arc<dyn Suite>>> {
    plan.tests.iter().map(|test| suite(config, test).map(|settings| Arc::from(suite::build(settings)))).collect()
}

fn suite(config: &Config, test: &EvaluationTest) -> Result<SuiteSettings> {
    let line = test.text();
    if let Some(bound) = config.suites.get(line) {
        let limit = bound.limit.or(config.test_limit);
        return match &bound.work {
            Work::Run(run) => Ok(program(line, run.clone(), limit)),
            Work::Http(http) => burst(config, test, http, limit),
        };
    }
    match test {
        EvaluationTest::Command { argv, .. } => Ok(program(line, Program::Argv(argv.clone()), config.test_limit)),
        EvaluationTest::Prose { load: Some(_), .. } => burst(config, test, &Endpoint::default(), config.test_limit),
        EvaluationTest::Prose { load: None, .. } => {
            let error = wrong(format!("the test `{line}` has no command"));
            Err(error.hint(format!("add it: `suites: {{\"{line}\": {{run: …}}}}`")))
        }
    }
}

fn program(line: &str, command: Program, limit: Option<Duration>) -> SuiteSettings {
    SuiteSettings::Command(CommandSettings { name: line.to_owned(), command, limit })
}

/// A load test; how many requests are in flight stands in the line unless it is configured.
fn burst(config: &Config, test: &EvaluationTest, own: &Endpoint, limit: Option<Duration>) -> Result<SuiteSettings> {
    let line = test.text();
    let place = format!("suites.{line}.http");
    let http = own.clone().or(&config.http);
    let said = match test {
        EvaluationTest::Prose { load: Some(load), .. } => load.concurrency.try_into().ok(),
        _ => None,
    };
    Ok(SuiteSettings::Http(HttpSettings {
        name: line.to_owned(),
        serve: http.serving(&place).map_err(named)?,
        request: http.request(&place).map_err(named)?,
        concurrency: own.concurrency.or(said).or(http.concurrency).unwrap_or(http::CONCURRENCY),
        requests: http.requests,
        limit,
    }))
}

/// An error of a key, with the file that has it.
fn named(error: Error) -> Error {
    Error { message: wrong(&error.message).message, ..error }
}

/// Metrics that need not have a value on the baseline.
pub fn missing_on_base(config: &Config) -> BTreeSet<MetricName> {
    let missing = config.metrics.iter().filter(|(_, metric)| metric.missing_on_base);
    missing.map(|(name, _)| name.clone()).collect()
}

/// The sources of the plan's metrics.
pub fn sources(config: &Config, plan: &Plan) -> Result<Vec<Arc<dyn MetricSource>>> {
    let bound = |metric: &MetricBound| {
        config.metrics.get(&metric.name).map(|found| &found.source).ok_or_else(|| {
            let name = &metric.name;
            wrong(format!("nothing measures `{name}`")).hint(format!("add it: `metrics: {{{name}: {{from: …}}}}`"))
        })
    };
    let relative = |metric: &&MetricBound| matches!(metric.bound.limit, Limit::Relative(_));
    if let Some(metric) = plan
        .metrics
        .iter()
        .filter(relative)
        .find(|metric| config.metrics.get(&metric.name).is_some_and(|settings| settings.missing_on_base))
    {
        let name = &metric.name;
        return Err(wrong(format!(
            "`metrics.{name}.missing_on_base`: the bound of {name} is relative to the baseline"
        ))
        .hint("give it an absolute bound in the document, or measure something that the baseline has"));
    }
    let wanted: Vec<_> = plan.metrics.iter().map(bound).collect::<Result<_>>()?;
    Ok(built(wanted.into_iter())?.into_iter().map(Arc::from).collect())
}

/// What is counted of variants that can't be told apart, where the configuration asks for it.
pub fn tie_breaker(config: &Config) -> Option<Arc<dyn MetricSource>> {
    let settings = config.tie_break.clone()?;
    Some(Arc::from(metric::build(SourceSettings::Instructions(settings))))
}

/// One source for all metrics that come out of the same run of the same program.
fn built<'a>(settings: impl Iterator<Item = &'a SourceSettings>) -> Result<Vec<Box<dyn MetricSource>>> {
    build_all(settings.cloned()).map_err(named)
}

#[cfg(test)]
mod tests;
