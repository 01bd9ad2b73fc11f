//! What judges and what measures: the document's lines and names bound to suites and sources.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::queries;
use super::values::{needed, wrong};
use crate::adapters::http::{self, RequestPath, RequestSettings, ServeSettings};
use crate::adapters::load;
use crate::adapters::metric::{self, MetricSource, SourceSettings, command, file, instructions, report, sql, sql_load};
use crate::adapters::process::Program;
use crate::adapters::suite::{self, CommandSettings, HttpSettings, Suite, SuiteSettings};
use crate::config::{self, Config, Http, Metric};
use crate::domain::document::Bindings;
use crate::domain::measurement::MetricName;
use crate::domain::plan::{EvaluationTest, MetricBound, Plan};
use crate::domain::quantity::Limit;
use crate::error::Result;

/// What the configuration binds, for `check`.
pub fn bindings(config: &Config) -> Result<Bindings> {
    let all: Vec<_> = config.metrics.iter().collect();
    let mut metrics = BTreeMap::new();
    for source in build(config, &all)? {
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
    let limit = |own: Option<Duration>| own.or(config.test_limit);
    if let Some(bound) = config.suites.get(line) {
        let own = config::duration(&format!("suites.{line}.limit"), bound.limit.as_deref()).map_err(wrong)?;
        return match (&bound.run, &bound.http) {
            (Some(run), None) => Ok(program(line, Program::Shell(run.clone()), limit(own))),
            (None, Some(http)) => burst(config, test, http, limit(own)),
            _ => Err(wrong(format!("`suites.{line}` takes exactly one of `run` and `http`"))),
        };
    }
    match test {
        EvaluationTest::Command { argv, .. } => Ok(program(line, Program::Argv(argv.clone()), limit(None))),
        EvaluationTest::Prose { load: Some(_), .. } => burst(config, test, &Http::default(), limit(None)),
        EvaluationTest::Prose { load: None, .. } => {
            let error = wrong(format!("nothing stands behind the test `{line}`"));
            Err(error.hint(format!("add it: `suites: {{\"{line}\": {{run: …}}}}`")))
        }
    }
}

fn program(line: &str, command: Program, limit: Option<Duration>) -> SuiteSettings {
    SuiteSettings::Command(CommandSettings { name: line.to_owned(), command, limit })
}

/// A load test; how many requests are in flight stands in the line unless it is configured.
fn burst(config: &Config, test: &EvaluationTest, own: &Http, limit: Option<Duration>) -> Result<SuiteSettings> {
    let line = test.text();
    let place = format!("suites.{line}.http");
    let http = config.http(own);
    let said = match test {
        EvaluationTest::Prose { load: Some(load), .. } => load.concurrency.try_into().ok(),
        _ => None,
    };
    Ok(SuiteSettings::Http(HttpSettings {
        name: line.to_owned(),
        serve: serve(&place, &http)?,
        request: request(&place, &http)?,
        concurrency: own.concurrency.or(said).or(http.concurrency).unwrap_or(http::CONCURRENCY),
        requests: http.requests,
        limit,
    }))
}

fn path(place: &str, key: &str, text: &str) -> Result<RequestPath> {
    RequestPath::from_str(text).map_err(|why| wrong(format!("`{place}.{key}`: {why}")))
}

fn serve(place: &str, http: &Http) -> Result<ServeSettings> {
    let run = needed(place, "serve", http.serve.as_ref())?;
    let (key, ready) = match &http.ready {
        Some(ready) => ("ready", ready.as_str()),
        None => ("path", needed(place, "path", http.path.as_ref())?),
    };
    let limit = config::duration(&format!("{place}.ready_limit"), http.ready_limit.as_deref()).map_err(wrong)?;
    let mut settings = ServeSettings::new(Program::Shell(run.to_owned()), path(place, key, ready)?);
    settings.ready_limit = limit.unwrap_or(settings.ready_limit);
    Ok(settings)
}

fn request(place: &str, http: &Http) -> Result<RequestSettings> {
    let text = needed(place, "path", http.path.as_ref())?;
    let expect = http.expect.clone();
    Ok(RequestSettings { path: path(place, "path", text)?, expect, limit: http::REQUEST_LIMIT })
}

/// Metrics that need not have a value on the baseline.
pub fn missing_on_base(config: &Config) -> BTreeSet<MetricName> {
    let missing = config.metrics.iter().filter(|(_, metric)| metric.missing_on_base);
    missing.map(|(name, _)| name.clone()).collect()
}

/// The sources of the plan's metrics.
pub fn sources(config: &Config, plan: &Plan) -> Result<Vec<Arc<dyn MetricSource>>> {
    let bound = |metric: &MetricBound| {
        config.metrics.get_key_value(&metric.name).ok_or_else(|| {
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
    Ok(build(config, &wanted)?.into_iter().map(Arc::from).collect())
}

/// The name under which the tie-breaker's counts are read; no metric of a document has it.
const TIE_BREAK: &str = "tie-break/instructions";

/// What is counted of variants that can't be told apart, where the configuration asks for it.
pub fn tie_breaker(config: &Config) -> Result<Option<Arc<dyn MetricSource>>> {
    let Some(asked) = &config.tie_break else { return Ok(None) };
    let place = "measure.tie_break";
    let from = needed(place, "from", asked.from.as_ref())?;
    if from != "instructions" {
        return Err(wrong(format!("`{place}.from`: ties are broken by `instructions`, not by `{from}`")));
    }
    let command = Program::Shell(needed(place, "run", asked.run.as_ref())?.to_owned());
    let counter = counter(place, asked.counter.as_deref())?;
    let name = MetricName::new(TIE_BREAK).ok_or_else(|| wrong("the tie-breaker has no name"))?;
    let settings = SourceSettings::Instructions(instructions::Settings { name, command, counter });
    Ok(Some(Arc::from(metric::build(settings))))
}

fn counter(place: &str, text: Option<&str>) -> Result<instructions::Counter> {
    let Some(text) = text else { return Ok(instructions::Counter::default()) };
    text.parse().map_err(|why| wrong(format!("`{place}.counter`: {why}")))
}

/// One source for all metrics that come out of the same run of the same program.
fn build(config: &Config, wanted: &[(&MetricName, &Metric)]) -> Result<Vec<Box<dyn MetricSource>>> {
    let mut built: Vec<SourceSettings> = Vec::new();
    for (name, metric) in wanted {
        let settings = source(config, name, metric)?;
        if let Some(left) = join(&mut built, settings) {
            built.push(left);
        }
    }
    built.iter().try_for_each(comparable)?;
    Ok(built.into_iter().map(metric::build).collect())
}

/// Refuses to compare answers of which some may be missing.
fn comparable(settings: &SourceSettings) -> Result<()> {
    let SourceSettings::Http(http) = settings else { return Ok(()) };
    match http.metrics.iter().find(|one| one.stat == metric::load::LoadStat::ErrorRate).filter(|_| http.output) {
        None => Ok(()),
        Some(rate) => {
            let error = wrong(format!(
                "`metrics.{}` counts failed requests, and where some may fail answers can't be compared by `output`",
                rate.name
            ));
            Err(error.hint("leave `output` out, or count failures at another `path`, `rate` or `slice`"))
        }
    }
}

/// Adds the metric to a source that is the same but for its metrics; the settings back where none is.
fn join(built: &mut [SourceSettings], new: SourceSettings) -> Option<SourceSettings> {
    use SourceSettings::{Command, File, Http, Report, SqlLoad};
    for known in built {
        match (known, &new) {
            (Report(known), Report(new)) if known.format == new.format && known.command == new.command => {
                known.metrics.extend_from_slice(&new.metrics);
            }
            (File(known), File(new)) if known.command == new.command => known.metrics.extend_from_slice(&new.metrics),
            (Command(known), Command(new)) if known.command == new.command && together(known, new) => {
                known.metrics.extend_from_slice(&new.metrics);
                known.output = known.output.take().or_else(|| new.output.clone());
            }
            (Http(known), Http(new))
                if metric::http::Settings { metrics: new.metrics.clone(), output: new.output, ..known.clone() }
                    == *new =>
            {
                known.output |= new.output;
                known.metrics.extend_from_slice(&new.metrics);
            }
            (SqlLoad(known), SqlLoad(new))
                if sql_load::Settings { metrics: new.metrics.clone(), ..known.clone() } == *new =>
            {
                known.metrics.extend_from_slice(&new.metrics);
            }
            _ => continue,
        }
        return None;
    }
    Some(new)
}

/// Whether no two of them say where the document tells what was computed.
fn together(known: &command::Settings, new: &command::Settings) -> bool {
    known.output.is_none() || new.output.is_none() || known.output == new.output
}

/// One metric's source, for this metric alone.
fn source(config: &Config, name: &MetricName, metric: &Metric) -> Result<SourceSettings> {
    let place = format!("metrics.{name}");
    let kind = kind(&place, metric)?;
    only(&place, kind, metric)?;
    let run = || needed(&place, "run", metric.run.as_ref()).map(|run| Program::Shell(run.to_owned()));
    let name = (*name).clone();
    if let Some(format) = report::find(kind) {
        let stat = needed(&place, "stat", metric.stat.as_ref())?;
        let stat = stat.parse().map_err(|why| wrong(format!("`{place}.stat`: {why}")))?;
        let one = report::Metric { name, test: metric.test.clone(), stat, unit: metric.unit.clone() };
        return Ok(SourceSettings::Report(report::Settings { format, command: run()?, metrics: vec![one] }));
    }
    Ok(match kind {
        "file" => {
            let one = file::Metric { name, dimension: dimension(&place, metric)? };
            SourceSettings::File(file::Settings { command: run()?, metrics: vec![one] })
        }
        "command" => {
            let unit = needed(&place, "unit", metric.unit.as_ref())?.to_owned();
            dimension(&place, metric)?;
            let one = command::Metric { name, path: metric.path.clone().unwrap_or_default(), unit };
            let output = metric.output.clone();
            SourceSettings::Command(command::Settings { command: run()?, metrics: vec![one], output })
        }
        "sql" => {
            let query = needed(&place, "sql", metric.sql.as_ref())?.to_owned();
            let unit = needed(&place, "unit", metric.unit.as_ref())?.to_owned();
            dimension(&place, metric)?;
            SourceSettings::Sql(sql::Settings { name, query, unit })
        }
        "time" => {
            let output = output(&place, kind, "stdout", metric)?;
            SourceSettings::Time(metric::time::Settings { name, command: run()?, output })
        }
        "instructions" => {
            let counter = counter(&place, metric.counter.as_deref())?;
            SourceSettings::Instructions(instructions::Settings { name, command: run()?, counter })
        }
        "sql-load" => SourceSettings::SqlLoad(queries::load(config, &place, name, metric)?),
        _ => SourceSettings::Http(http_load(config, &place, name, metric)?),
    })
}

/// Whether what is answered is compared, where a kind of source can only compare one thing.
fn output(place: &str, kind: &str, only: &str, metric: &Metric) -> Result<bool> {
    match metric.output.as_deref() {
        None => Ok(false),
        Some(word) if word == only => Ok(true),
        Some(_) => Err(wrong(format!("`{place}.output` of a metric from `{kind}` can only be `{only}`"))),
    }
}

fn http_load(config: &Config, place: &str, name: MetricName, metric: &Metric) -> Result<metric::http::Settings> {
    let output = output(place, "http", "body", metric)?;
    let stat = needed(place, "stat", metric.stat.as_ref())?;
    let stat = stat.parse().map_err(|why| wrong(format!("`{place}.stat`: {why}")))?;
    let place = format!("{place}.http");
    let http = config.http(metric.http.as_ref().unwrap_or(&Http::default()));
    let slice = config::duration(&format!("{place}.slice"), http.slice.as_deref()).map_err(wrong)?;
    Ok(metric::http::Settings {
        serve: serve(&place, &http)?,
        request: request(&place, &http)?,
        rate: http.rate.unwrap_or(load::RATE),
        concurrency: http.concurrency.unwrap_or(http::CONCURRENCY),
        requests: http.requests,
        duration: slice.unwrap_or(load::SLICE),
        output,
        metrics: vec![metric::load::Metric { name, stat }],
    })
}

/// The kind of source: named by `from`, or told by `sql` or `http`.
fn kind<'a>(place: &str, metric: &'a Metric) -> Result<&'a str> {
    let told =
        [("sql", metric.sql.is_some()), ("sql-load", metric.sql_load.is_some()), ("http", metric.http.is_some())];
    let told = told.into_iter().find_map(|(kind, there)| there.then_some(kind));
    match (metric.from.as_deref(), told) {
        (Some(from), _) if !metric::SOURCES.contains(&from) => {
            let error = wrong(format!("`{place}.from`: `{from}` is no source"));
            Err(error.hint(format!("known are: {}", metric::SOURCES.join(", "))))
        }
        (Some(from), Some(told)) if from != told => {
            Err(wrong(format!("`{place}` is from `{from}` and has `{told}`; it can be only one of them")))
        }
        (Some(from), _) => Ok(from),
        (None, Some(told)) => Ok(told),
        (None, None) => {
            Err(wrong(format!("`{place}` needs `from`")).hint(format!("known are: {}", metric::SOURCES.join(", "))))
        }
    }
}

/// Keys that mean nothing to a kind of source are refused, not ignored.
fn only(place: &str, kind: &str, metric: &Metric) -> Result<()> {
    let format = report::find(kind);
    let family = if format.is_some() { "report" } else { kind };
    let keys: &[(&str, bool, &[&str])] = &[
        ("run", metric.run.is_some(), &["report", "file", "command", "time", "instructions"]),
        ("counter", metric.counter.is_some(), &["instructions"]),
        ("test", metric.test.is_some(), &["report"]),
        ("stat", metric.stat.is_some(), &["report", "http", "sql-load"]),
        ("path", metric.path.is_some(), &["command"]),
        ("output", metric.output.is_some(), &["command", "time", "http"]),
        ("unit", metric.unit.is_some(), &["report", "file", "command", "sql"]),
        ("sql", metric.sql.is_some(), &["sql"]),
        ("sql_load", metric.sql_load.is_some(), &["sql-load"]),
        ("http", metric.http.is_some(), &["http"]),
    ];
    let units = format.is_none_or(|format| format.units);
    let odd = |key: &str, kinds: &[&str]| !kinds.contains(&family) || (key == "unit" && !units);
    match keys.iter().find(|(key, there, kinds)| *there && odd(key, kinds)) {
        Some((key, ..)) => Err(wrong(format!("`{place}.{key}` means nothing to a metric from `{kind}`"))),
        None => Ok(()),
    }
}

fn dimension(place: &str, metric: &Metric) -> Result<Option<crate::domain::quantity::Dimension>> {
    let Some(unit) = &metric.unit else { return Ok(None) };
    let one = crate::domain::quantity::Quantity::in_unit(1.0, unit);
    one.map(|q| Some(q.dimension())).map_err(|why| wrong(format!("`{place}.unit`: {why}")))
}

#[cfg(test)]
mod tests;
