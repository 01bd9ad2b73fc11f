//! Metrics out of a file of JSON lines that a command writes to `$BLUEPRINT_METRICS`.
//!
//! A line is `{"metric": "index_size", "value": 12.5, "unit": "MB", "n": 1}`; `n` may be left out. One
//! line may be `{"output": "…"}`: what was computed, which must be what the baseline computes.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::asked::{Asked, Binding, share};
use super::slice::{self, no_scratch};
use super::value::{clip, number, output, reading};
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::adapters::process::{Exchange, Program};
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::Dimension;
use crate::error::Error;

/// One run of the command serves all of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Writes the lines.
    pub command: Program,
    /// At least one.
    pub metrics: Vec<Metric>,
}

/// One metric that the file must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the document and in the file.
    pub name: MetricName,
    /// What its bound is in; a value of another dimension is refused.
    pub dimension: Option<Dimension>,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["run", "unit"];

    fn read(asked: &Asked) -> Result<Self, Error> {
        let one = Metric { name: asked.name.clone(), dimension: asked.dimension()? };
        Ok(Self { command: asked.run()?, metrics: vec![one] })
    }

    fn join(&mut self, other: &Self) -> bool {
        let same = self.command == other.command;
        share(same, &mut self.metrics, &other.metrics)
    }

    fn programs(&self) -> Vec<&Program> {
        vec![&self.command]
    }
}

/// The source.
pub struct File {
    name: String,
    settings: Settings,
}

impl File {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("file: {}", settings.command), settings }
    }
}

#[async_trait]
impl MetricSource for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.settings.metrics.iter().map(|m| m.name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        self.settings.metrics.iter().find(|m| m.name == *metric)?.dimension
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
    }

    fn unchecked(&self) -> Option<&'static str> {
        Some("its program may write a line {\"output\": …}")
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        Ok(Box::new(Lines { settings: self.settings.clone(), site: site.clone() }))
    }
}

struct Lines {
    settings: Settings,
    site: Site,
}

#[async_trait]
impl Meter for Lines {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let command = &self.settings.command;
        let exchange = Exchange::empty(&self.site.scratch, "metrics.jsonl").map_err(no_scratch)?;
        let vars = [("BLUEPRINT_METRICS", exchange.shown())];
        let finished = slice::run(&self.site, slot, command, &[], &vars).await?;
        let bytes = slice::report(&exchange, command, &finished)?;
        let (readings, output) = read(&bytes, &self.settings.metrics)?;
        Ok(Sample { output, ..slice::sample(readings, &self.site, &finished) })
    }

    async fn close(&mut self) {}
}

/// The line that tells what was computed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    output: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    metric: MetricName,
    value: Value,
    unit: String,
    #[serde(default = "once")]
    n: u64,
}

fn once() -> u64 {
    1
}

/// Every metric that is asked for, in the order asked for. Lines about other metrics must be
/// as valid, and are then left aside. With them the output, where a line tells it.
fn read(bytes: &[u8], metrics: &[Metric]) -> Result<(Vec<Reading>, Option<String>), MetricError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|why| MetricError::Variant(format!("the metrics file is not UTF-8: {why}")))?;
    let (mut found, mut told): (Vec<Reading>, Option<String>) = (Vec::new(), None);
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("line {} of the metrics file", index + 1);
        let cut = index + 1 == text.lines().count() && !text.ends_with('\n');
        if let Ok(Output { output: text }) = serde_json::from_str(line) {
            if told.replace(output(&text)).is_some() {
                return Err(MetricError::Variant(format!("{place} tells the output a second time")));
            }
            continue;
        }
        let reading = one(line, &place, cut)?;
        if found.iter().any(|known| known.metric == reading.metric) {
            return Err(MetricError::Variant(format!("{}: {place} reports it a second time", reading.metric)));
        }
        found.push(reading);
    }
    let readings = metrics.iter().map(|metric| pick(&mut found, metric)).collect::<Result<_, _>>()?;
    Ok((readings, told))
}

fn one(line: &str, place: &str, cut: bool) -> Result<Reading, MetricError> {
    let line: Line = serde_json::from_str(line).map_err(|why| {
        let cut = if cut { "is cut off: it has no line end, and" } else { "is malformed:" };
        MetricError::Variant(format!("{place} {cut} {why} (`{}`)", clip(line)))
    })?;
    let value = number(&line.value).map_err(|why| MetricError::Variant(format!("{} ({place}): {why}", line.metric)))?;
    reading(&line.metric, value, &line.unit, line.n, place)
}

fn pick(found: &mut Vec<Reading>, metric: &Metric) -> Result<Reading, MetricError> {
    let Some(at) = found.iter().position(|reading| reading.metric == metric.name) else {
        return Err(MetricError::Variant(format!("{}: the metrics file does not report it", metric.name)));
    };
    let reading = found.swap_remove(at);
    match metric.dimension {
        Some(expected) if expected != reading.value.dimension() => Err(MetricError::Variant(format!(
            "{}: {} was reported where {expected} is expected",
            metric.name,
            reading.value.dimension()
        ))),
        _ => Ok(reading),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<(Vec<Reading>, Option<String>), String> {
        let metric = |name: &str, dimension| Metric { name: MetricName::new(name).unwrap(), dimension };
        let metrics = [metric("p95", Some(Dimension::Time)), metric("size", None)];
        super::read(text.as_bytes(), &metrics).map_err(|e| e.to_string())
    }

    fn read(text: &str) -> Result<Vec<Reading>, String> {
        whole(text).map(|(readings, _)| readings)
    }

    const SIZE: &str = r#"{"metric":"size","value":12.5,"unit":"MB"}"#;

    fn refused(line: &str) -> String {
        read(&format!("{SIZE}\n{line}\n")).unwrap_err()
    }

    #[test]
    fn values_come_in_the_order_in_which_they_are_asked_for() {
        let found = read(&format!("{SIZE}\n\n{{\"metric\":\"p95\",\"value\":3,\"unit\":\"ms\",\"n\":40}}")).unwrap();
        let shown: Vec<_> = found.iter().map(|r| format!("{} {} {}", r.metric, r.value, r.observations)).collect();
        assert_eq!(shown, ["p95 3 ms 40", "size 12.5 MB 1"]);
    }

    #[test]
    fn what_is_invalid_is_refused_with_its_line() {
        let cases = [
            (
                r#"{"metric":"p95","value":3,"unit":"ms","note":1}"#,
                "line 2 of the metrics file is malformed: unknown field `note`",
            ),
            (
                r#"{"metric":"p95","value":"3,5","unit":"ms"}"#,
                "a number is expected, and the text \"3,5\" stands there",
            ),
            (r#"{"metric":"p95","value":null,"unit":"ms"}"#, "null stands there"),
            (r#"{"metric":"p95","value":NaN,"unit":"ms"}"#, "line 2 of the metrics file is malformed"),
            (r#"{"metric":"p95","value":1e999,"unit":"ms"}"#, "number out of range"),
            (r#"{"metric":"p95","value":-3,"unit":"ms"}"#, "is negative"),
            (r#"{"metric":"p95","value":0,"unit":"ms"}"#, "the value is zero, which a time can't be"),
            (r#"{"metric":"p95","value":3,"unit":"MB"}"#, "p95: a size in bytes was reported where a time is expected"),
            (r#"{"metric":"p95","value":3}"#, "missing field `unit`"),
            (r#"{"metric":"p95","unit":"ms"}"#, "missing field `value`"),
            (r#"{"metric":"p95","value":3,"unit":"ms","n":0}"#, "no observation stands behind the value"),
            (SIZE, "size: line 2 of the metrics file reports it a second time"),
            ("", "p95: the metrics file does not report it"),
        ];
        for (line, expected) in cases {
            let error = refused(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn one_line_may_tell_what_was_computed() {
        let both = format!("{SIZE}\n{{\"metric\":\"p95\",\"value\":3,\"unit\":\"ms\"}}\n");
        assert_eq!(whole(&both).unwrap().1, None);
        let line = r#"{"output": "42 rows\nof 3"}"#;
        assert_eq!(whole(&format!("{line}\n{both}")).unwrap().1.unwrap(), "42 rows of 3");
        let twice = whole(&format!("{line}\n{line}\n{both}")).unwrap_err();
        assert_eq!(twice, "line 2 of the metrics file tells the output a second time");
        let wrong = whole(&format!("{both}{}", r#"{"output": 42}"#)).unwrap_err();
        assert!(wrong.contains("line 3 of the metrics file"), "{wrong}");
    }

    #[test]
    fn a_last_line_that_is_cut_off_is_called_so() {
        let error = read(&format!("{SIZE}\n{{\"metric\":\"p95\",\"val")).unwrap_err();
        assert!(error.starts_with("line 2 of the metrics file is cut off"), "{error}");
    }
}
