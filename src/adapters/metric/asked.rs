//! What a configuration says of one metric, before it is known which source reads it.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::params::ParamsFrom;
use crate::adapters::http::Endpoint;
use crate::adapters::process::Program;
use crate::domain::measurement::MetricName;
use crate::domain::quantity::{Dimension, Quantity};
use crate::error::{Error, Result};

/// One metric's keys. What is absent is left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What messages call it, such as `metrics.p95`.
    pub place: String,
    /// Its name in the document.
    pub name: MetricName,
    /// Measures, or is measured.
    pub run: Option<Program>,
    /// The benchmark that is meant.
    pub test: Option<String>,
    /// The statistic.
    pub stat: Option<String>,
    /// Where a document has the number.
    pub path: Option<String>,
    /// What was computed.
    pub output: Option<String>,
    /// What the number is in.
    pub unit: Option<String>,
    /// What counts.
    pub counter: Option<String>,
    /// A query.
    pub sql: Option<String>,
    /// A load on a database.
    pub sql_load: Option<AskedLoad>,
    /// A load on a server.
    pub http: Option<Endpoint>,
    /// What all loads on servers have in common.
    pub all: Endpoint,
}

/// A load on a database, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedLoad {
    /// The statement's file, as a path in the judged tree.
    pub file: Option<String>,
    /// What it is asked with.
    pub params: ParamsFrom,
    /// Whether variants may rewrite the statement's file.
    pub by_variant: bool,
    /// Statements a second.
    pub rate: Option<NonZeroU32>,
    /// Connections.
    pub concurrency: Option<NonZeroU32>,
    /// How long a slice is.
    pub slice: Option<Duration>,
}

impl Asked {
    /// One that says nothing but its name.
    pub fn new(place: impl Into<String>, name: MetricName) -> Self {
        Self {
            place: place.into(),
            name,
            run: None,
            test: None,
            stat: None,
            path: None,
            output: None,
            unit: None,
            counter: None,
            sql: None,
            sql_load: None,
            http: None,
            all: Endpoint::default(),
        }
    }

    /// A refusal; `what` begins with what is to stand behind the metric's place, such as `.stat` in backticks.
    fn wrong(&self, key: &str, why: impl std::fmt::Display) -> Error {
        Error::usage(format!("`{}.{key}`: {why}", self.place))
    }

    fn needed<'a>(&self, key: &str, value: Option<&'a String>) -> Result<&'a str> {
        value.map(String::as_str).ok_or_else(|| Error::usage(format!("`{}` needs `{key}`", self.place)))
    }

    /// What must be there: the line that measures or is measured.
    pub fn run(&self) -> Result<Program> {
        self.run.clone().ok_or_else(|| Error::usage(format!("`{}` needs `run`", self.place)))
    }

    /// What must be there: the statistic.
    pub fn stat<T: FromStr<Err = String>>(&self) -> Result<T> {
        self.needed("stat", self.stat.as_ref())?.parse().map_err(|why| self.wrong("stat", why))
    }

    /// What must be there: the query.
    pub fn sql(&self) -> Result<String> {
        self.needed("sql", self.sql.as_ref()).map(str::to_owned)
    }

    /// What must be there and be known: the unit.
    pub fn unit(&self) -> Result<String> {
        let unit = self.needed("unit", self.unit.as_ref())?.to_owned();
        self.dimension()?;
        Ok(unit)
    }

    /// What the unit is one of, where there is one.
    pub fn dimension(&self) -> Result<Option<Dimension>> {
        let Some(unit) = &self.unit else { return Ok(None) };
        let one = Quantity::in_unit(1.0, unit);
        one.map(|one| Some(one.dimension())).map_err(|why| self.wrong("unit", why))
    }

    /// What counts, where that is said.
    pub fn counter<T: FromStr<Err = String> + Default>(&self) -> Result<T> {
        let Some(text) = &self.counter else { return Ok(T::default()) };
        text.parse().map_err(|why| self.wrong("counter", why))
    }

    /// Whether what is answered is compared, where a source can only compare one thing.
    pub(super) fn compares(&self, kind: &str, only: &str) -> Result<bool> {
        match self.output.as_deref() {
            None => Ok(false),
            Some(word) if word == only => Ok(true),
            Some(_) => {
                Err(Error::usage(format!("`{}.output` of a metric from `{kind}` can only be `{only}`", self.place)))
            }
        }
    }

    /// The keys that are there, as the file has them.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("run", self.run.is_some()),
            ("counter", self.counter.is_some()),
            ("test", self.test.is_some()),
            ("stat", self.stat.is_some()),
            ("path", self.path.is_some()),
            ("output", self.output.is_some()),
            ("unit", self.unit.is_some()),
            ("sql", self.sql.is_some()),
            ("sql_load", self.sql_load.is_some()),
            ("http", self.http.is_some()),
        ];
        keys.into_iter().filter_map(|(key, there)| there.then_some(key))
    }

    /// Keys that mean nothing to a kind of source are refused, not ignored.
    pub(super) fn only(&self, kind: &str, known: &[&str]) -> Result<()> {
        match self.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(Error::usage(format!("`{}.{key}` means nothing to a metric from `{kind}`", self.place))),
            None => Ok(()),
        }
    }

    /// The kind of source: named by `from`, or told by a key that only one kind has.
    pub(super) fn kind<'a>(
        &self,
        from: Option<&'a str>,
        told_by: &[(&'a str, &str)],
        known: &[&str],
    ) -> Result<&'a str> {
        let told = told_by.iter().find(|(_, key)| self.keys().any(|there| there == *key)).map(|(kind, _)| *kind);
        let all = || format!("known are: {}", known.join(", "));
        match (from, told) {
            (Some(from), _) if !known.contains(&from) => {
                Err(self.wrong("from", format!("`{from}` is not a source")).hint(all()))
            }
            (Some(from), Some(told)) if from != told => Err(Error::usage(format!(
                "`{}` is from `{from}` and has `{told}`; it can be only one of them",
                self.place
            ))),
            (Some(from), _) => Ok(from),
            (None, Some(told)) => Ok(told),
            (None, None) => Err(Error::usage(format!("`{}` needs `from`", self.place)).hint(all())),
        }
    }
}

/// The settings of a source: how they are read from what a configuration says, and with which others a run is shared.
pub(super) trait Binding: Sized {
    /// The keys that mean something to it.
    const KEYS: &'static [&'static str];

    /// The key by which it is known where no `from` names it.
    const TOLD_BY: Option<&'static str> = None;

    /// Its settings for this metric alone.
    fn read(asked: &Asked) -> Result<Self>;

    /// Takes the metrics of settings that are the same but for them, so that one slice serves both.
    fn join(&mut self, _other: &Self) -> bool {
        false
    }

    /// Refuses what does not go together in one slice.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The programs that it starts.
    fn programs(&self) -> Vec<&Program>;
}

/// Takes more metrics where the settings are otherwise the same; whether they are.
pub(super) fn share<T: Clone>(same: bool, metrics: &mut Vec<T>, more: &[T]) -> bool {
    if same {
        metrics.extend_from_slice(more);
    }
    same
}
