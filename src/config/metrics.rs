//! What `blueprint.yaml` says of metrics, suites and the programs that both talk to, as they are meant.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::duration::time;
use super::raw;
use crate::adapters::http::{Endpoint, RequestPath};
use crate::adapters::metric::{Asked, AskedLoad, ParamsFrom, SourceSettings, instructions};
use crate::adapters::process::Program;
use crate::domain::measurement::MetricName;
use crate::domain::plan::FilePattern;
use crate::error::{Error, Result};

/// Where a metric's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its source, for this metric alone.
    pub source: SourceSettings,
    /// Whether the baseline need not have a value.
    pub missing_on_base: bool,
}

/// What stands behind a line of the document's tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// What is done.
    pub work: Work,
    /// How long it may take.
    pub limit: Option<Duration>,
}

/// What a suite does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A program is run.
    Run(Program),
    /// A server is asked; what is open is as the file has it for all.
    Http(Endpoint),
}

fn shell(line: String) -> Program {
    Program::Shell(line)
}

/// A server and what it is asked; `place` is what messages call it.
pub(super) fn endpoint(place: &str, raw: raw::Http) -> Result<Endpoint> {
    let path = |key: &str, text: Option<String>| {
        let read = text.map(|text| RequestPath::from_str(&text)).transpose();
        read.map_err(|why| Error::usage(format!("`{place}.{key}`: {why}")))
    };
    Ok(Endpoint {
        serve: raw.serve.map(shell),
        path: path("path", raw.path)?,
        ready: path("ready", raw.ready)?,
        ready_limit: time(&format!("{place}.ready_limit"), raw.ready_limit.as_deref())?,
        expect: raw.expect,
        concurrency: raw.concurrency,
        requests: raw.requests,
        rate: raw.rate,
        slice: time(&format!("{place}.slice"), raw.slice.as_deref())?,
    })
}

/// The suites, by the document's line.
pub(super) fn suites(raw: BTreeMap<String, raw::Suite>) -> Result<BTreeMap<String, Suite>> {
    let one = |(line, raw): (String, raw::Suite)| {
        let limit = time(&format!("suites.{line}.limit"), raw.limit.as_deref())?;
        let work = match (raw.run, raw.http) {
            (Some(run), None) => Work::Run(shell(run)),
            (None, Some(http)) => Work::Http(endpoint(&format!("suites.{line}.http"), http)?),
            _ => return Err(Error::usage(format!("`suites.{line}` takes exactly one of `run` and `http`"))),
        };
        Ok((line, Suite { work, limit }))
    };
    raw.into_iter().map(one).collect()
}

/// The metrics, by name. `all` is what those on servers have in common; `database` whether contenders have one.
pub(super) fn metrics(
    raw: BTreeMap<String, raw::Metric>,
    all: &Endpoint,
    database: bool,
) -> Result<BTreeMap<MetricName, Metric>> {
    let one = |(text, raw): (String, raw::Metric)| {
        let place = format!("metrics.{text}");
        let name = MetricName::new(&text).ok_or_else(|| Error::usage(format!("`{place}` can't be a metric's name")))?;
        let (from, missing_on_base) = (raw.from.clone(), raw.missing_on_base);
        let source = SourceSettings::read(from.as_deref(), &asked(place.clone(), name.clone(), raw, all)?)?;
        if matches!(source, SourceSettings::SqlLoad(_)) && !database {
            return Err(Error::usage(format!("`{place}` loads a database, and contenders have none"))
                .hint("add `database: {}`"));
        }
        Ok((name, Metric { source, missing_on_base }))
    };
    raw.into_iter().map(one).collect()
}

fn asked(place: String, name: MetricName, raw: raw::Metric, all: &Endpoint) -> Result<Asked> {
    let load = raw.sql_load.map(|load| of_load(&format!("{place}.sql_load"), load)).transpose()?;
    let http = raw.http.map(|http| endpoint(&format!("{place}.http"), http)).transpose()?;
    Ok(Asked {
        run: raw.run.map(shell),
        test: raw.test,
        stat: raw.stat,
        path: raw.path,
        output: raw.output,
        unit: raw.unit,
        counter: raw.counter,
        sql: raw.sql,
        sql_load: load,
        http,
        all: all.clone(),
        ..Asked::new(place, name)
    })
}

fn of_load(place: &str, raw: raw::SqlLoad) -> Result<AskedLoad> {
    let path = |key: &str, path: String| match FilePattern::new(&path) {
        Ok(_) => Ok(path),
        Err(why) => Err(Error::usage(format!("`{place}.{key}`: `{path}`: {why}"))),
    };
    let params = match raw.params {
        None => ParamsFrom::Nowhere,
        Some(raw::Params::File(file)) => ParamsFrom::File(path("params", file)?),
        Some(raw::Params::Drawn(drawn)) => match drawn.range {
            [first, last] if first <= last => ParamsFrom::Range(first, last),
            [first, last] => {
                return Err(Error::usage(format!("`{place}.params.range`: {first} comes after {last}")));
            }
        },
    };
    Ok(AskedLoad {
        file: raw.file.map(|file| path("file", file)).transpose()?,
        params,
        by_variant: raw.by_variant,
        rate: raw.rate,
        concurrency: raw.concurrency,
        slice: time(&format!("{place}.slice"), raw.slice.as_deref())?,
    })
}

/// The name under which the tie-breaker's counts are read; no metric of a document has it.
const TIE_BREAK: &str = "tie-break/instructions";

/// What is counted of variants that can't be told apart.
pub(super) fn tie_break(raw: raw::TieBreak) -> Result<instructions::Settings> {
    let place = "measure.tie_break";
    let from = raw.from.ok_or_else(|| Error::usage(format!("`{place}` needs `from`")))?;
    let name = MetricName::new(TIE_BREAK).ok_or_else(|| Error::usage("the tie-breaker has no name"))?;
    let asked = Asked { run: raw.run.map(shell), counter: raw.counter, ..Asked::new(place, name) };
    if from != "instructions" {
        return Err(Error::usage(format!("`{place}.from`: ties are broken by `instructions`, not by `{from}`")));
    }
    match SourceSettings::read(Some(&from), &asked)? {
        SourceSettings::Instructions(settings) => Ok(settings),
        other => Err(Error::usage(format!("`{place}.from`: ties are not broken by `{}`", other.kind()))),
    }
}
