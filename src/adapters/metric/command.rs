//! Metrics out of a command's standard output, which must be one JSON document.

use async_trait::async_trait;
use serde_json::Value;

use super::asked::{Asked, Binding};
use super::slice;
use super::value::{clip, number, output, reading};
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::adapters::process::Program;
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::{Dimension, Quantity};
use crate::error::Error;

/// One run of the command serves all of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Prints the document.
    pub command: Program,
    /// At least one.
    pub metrics: Vec<Metric>,
    /// Where the document tells what was computed, as [`Metric::path`].
    pub output: Option<String>,
}

/// One number in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the blueprint.
    pub name: MetricName,
    /// Keys and indices joined by dots, such as `latency.0.p95`; empty where the document is the number.
    pub path: String,
    /// What the number is in, such as `ms`.
    pub unit: String,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["run", "path", "output", "unit"];

    fn read(asked: &Asked) -> Result<Self, Error> {
        let path = asked.path.clone().unwrap_or_default();
        let one = Metric { name: asked.name.clone(), path, unit: asked.unit()? };
        Ok(Self { command: asked.run()?, metrics: vec![one], output: asked.output.clone() })
    }

    fn join(&mut self, other: &Self) -> bool {
        // At most one of them may say where the document tells what was computed, or both the same place.
        let together = self.output.is_none() || other.output.is_none() || self.output == other.output;
        let same = self.command == other.command && together;
        if same {
            self.metrics.extend_from_slice(&other.metrics);
            self.output = self.output.take().or_else(|| other.output.clone());
        }
        same
    }

    fn programs(&self) -> Vec<&Program> {
        vec![&self.command]
    }
}

/// The source.
pub struct Command {
    name: String,
    settings: Settings,
}

impl Command {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("command: {}", settings.command), settings }
    }
}

#[async_trait]
impl MetricSource for Command {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.settings.metrics.iter().map(|m| m.name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        let metric = self.settings.metrics.iter().find(|m| m.name == *metric)?;
        Quantity::in_unit(1.0, &metric.unit).ok().map(Quantity::dimension)
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
    }

    fn unchecked(&self) -> Option<&'static str> {
        self.settings.output.is_none().then_some("add `output: PATH`, where its document tells what it computed")
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        Ok(Box::new(Output { settings: self.settings.clone(), site: site.clone() }))
    }
}

struct Output {
    settings: Settings,
    site: Site,
}

#[async_trait]
impl Meter for Output {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let command = &self.settings.command;
        let finished = slice::run(&self.site, slot, command, &[], &[]).await?;
        let document: Value = serde_json::from_slice(&finished.stdout).map_err(|why| {
            let found = clip(finished.text().trim());
            MetricError::Variant(format!("the output of `{command}` is not one JSON document: {why} (`{found}`)"))
        })?;
        let readings = self.settings.metrics.iter().map(|m| one(&document, m)).collect::<Result<_, _>>()?;
        let output = self.settings.output.as_deref().map(|path| answer(&document, path)).transpose()?;
        Ok(Sample { output, ..slice::sample(readings, &self.site, &finished) })
    }

    async fn close(&mut self) {}
}

fn one(document: &Value, metric: &Metric) -> Result<Reading, MetricError> {
    let refuse = |why: String| MetricError::Variant(format!("{}: {why}", metric.name));
    let value = find(document, &metric.path).map_err(refuse)?;
    let value = number(value).map_err(refuse)?;
    let place = if metric.path.is_empty() { "the output" } else { &metric.path };
    reading(&metric.name, value, &metric.unit, 1, place)
}

/// What was computed, as one short line.
fn answer(document: &Value, path: &str) -> Result<String, MetricError> {
    let value = find(document, path).map_err(|why| MetricError::Variant(format!("what was computed: {why}")))?;
    Ok(value.as_str().map_or_else(|| output(&value.to_string()), output))
}

/// Follows a path; a step into a list is an index from 0.
fn find<'a>(document: &'a Value, path: &str) -> Result<&'a Value, String> {
    let mut at = document;
    for step in path.split('.').filter(|_| !path.is_empty()) {
        let next = match at {
            Value::Object(map) => map.get(step),
            Value::Array(list) => step.parse::<usize>().ok().and_then(|index| list.get(index)),
            _ => None,
        };
        at = next.ok_or_else(|| format!("the output has no `{path}` (nothing at `{step}`)"))?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let document = json!({"a": {"b": [{"c": 7}]}});
        assert_eq!(find(&document, "a.b.0.c").unwrap(), 7);
        assert_eq!(find(&json!(7), "").unwrap(), 7);
        for path in ["a.b.1.c", "a.x", "a.b.0.c.d", "a..b"] {
            assert!(find(&document, path).unwrap_err().contains("the output has no"), "{path}");
        }
    }

    #[test]
    fn what_was_computed_is_a_text_or_any_part_of_the_document() {
        let document = json!({"rows": [1, 2], "said": "a  b"});
        assert_eq!(answer(&document, "rows").unwrap(), "[1,2]");
        assert_eq!(answer(&document, "said").unwrap(), "a b");
        let error = answer(&document, "lost").unwrap_err().to_string();
        assert_eq!(error, "what was computed: the output has no `lost` (nothing at `lost`)");
    }

    #[test]
    fn a_value_that_is_no_number_is_never_read_as_one() {
        let metric =
            |path: &str| Metric { name: MetricName::new("m").unwrap(), path: path.to_owned(), unit: "ms".to_owned() };
        for value in [json!("12"), json!(null), json!([1]), json!(true)] {
            one(&json!({"v": value}), &metric("v")).unwrap_err();
        }
        assert_eq!(one(&json!({"v": 12}), &metric("v")).unwrap().value.to_string(), "12 ms");
    }
}
