//! A document to start from: the template, with the tests and metrics that the configuration has and the
//! code that was found.

use crate::adapters::metric;
use crate::config::{Config, Metric};
use crate::domain::detect::Found;
use crate::domain::measurement::MetricName;
use crate::domain::quantity::Dimension;

const TEMPLATE: &str = include_str!("../../templates/blueprint.md");

/// What stands in the template where nothing is known of the repository.
const FILES: &str = "src/**";
const TESTS: &str = "- sh tests/run.sh";
const METRICS: &str = "- latency_p95: <100ms";
const NOTE: &str = "p95 latency";

/// The bound of the metric that a document is about, and of the others, where less is better.
const GOAL: (&str, &str) = ("<=-10%", "<=+5%");
/// The same where more is better.
const GOAL_OF_MORE: (&str, &str) = (">=+10%", ">=-5%");

/// A document's text.
pub fn document(title: &str, id: &str, now: &str, found: &[Found], config: &Config) -> String {
    let files: Vec<_> = found.iter().flat_map(|found| &found.files).map(String::as_str).collect();
    let tests: Vec<_> = tests(found, config).into_iter().map(|line| format!("- {line}")).collect();
    // What a project measures first leads; the configuration has its metrics by the alphabet.
    let leading = found.iter().flat_map(|found| &found.metrics).map(|metric| &metric.name);
    let leading = leading.into_iter().find(|name| config.metrics.contains_key(*name));
    let mut named: Vec<_> = config.metrics.iter().collect();
    named.sort_by_key(|(name, _)| leading != Some(*name));
    let metrics: Vec<_> = named.iter().enumerate().map(|(at, (name, metric))| bound(at, name, metric)).collect();
    let note =
        named.first().map(|(name, _)| *name).map_or_else(|| NOTE.to_owned(), |name| name.as_str().replace('_', " "));
    let or = |lines: Vec<String>, fallback: &str| if lines.is_empty() { fallback.to_owned() } else { lines.join("\n") };
    TEMPLATE
        .replace("{{title}}", title)
        .replace("{{id}}", id)
        .replace("{{now}}", now)
        .replace("{{files}}", &if files.is_empty() { FILES.to_owned() } else { files.join(", ") })
        .replace("{{tests}}", &or(tests, TESTS))
        .replace("{{metrics}}", &or(metrics, METRICS))
        .replace("{{note}}", &note)
}

/// Commands that were found, suites that are configured.
pub fn tests(found: &[Found], config: &Config) -> Vec<String> {
    let all = found.iter().flat_map(|found| &found.tests);
    let bound = all.filter(|test| test.run.is_none() || config.suites.contains_key(&test.line));
    let mut lines: Vec<_> = bound.map(|test| test.line.clone()).collect();
    let more: Vec<_> = config.suites.keys().filter(|line| !lines.contains(line)).cloned().collect();
    lines.extend(more);
    lines
}

/// A metric's line. The first is what the change is for; the others may not get much worse.
fn bound(at: usize, name: &MetricName, metric: &Metric) -> String {
    let more = metric::build(metric.source.clone()).dimension(name) == Some(Dimension::Rate);
    let (goal, rest) = if more { GOAL_OF_MORE } else { GOAL };
    format!("- {name}: {}", if at == 0 { goal } else { rest })
}
