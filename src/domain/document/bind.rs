//! Binding: whether everything that the document asks for has something in the configuration
//! that does it.

use std::collections::{BTreeMap, BTreeSet};

use super::Document;
use crate::domain::diagnostic::{Code, Diagnostic, suggestion};
use crate::domain::measurement::MetricName;
use crate::domain::plan::EvaluationTest;
use crate::domain::quantity::{Dimension, Limit};

/// What the configuration and the built-in phrases offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings {
    /// Lines of tests that `suites:` binds, as the document writes them.
    pub suites: BTreeSet<String>,
    /// Whether `Load test with N concurrent requests` has something to serve.
    pub load_bound: bool,
    /// Metrics with a source, and the dimension of what it yields where that is known.
    pub metrics: BTreeMap<MetricName, Option<Dimension>>,
}

impl Document {
    /// What nothing binds, in the order of the source.
    pub fn bind(&self, bindings: &Bindings) -> Vec<Diagnostic> {
        let tests = self.plan.tests.iter().zip(&self.tests).filter_map(|(test, span)| match test {
            EvaluationTest::Prose { text, load } => {
                let bound = bindings.suites.contains(text) || (load.is_some() && bindings.load_bound);
                (!bound).then(|| unbound(text, load.is_some(), span.clone()))
            }
            EvaluationTest::Command { .. } => None,
        });
        let metrics = self.plan.metrics.iter().zip(&self.metrics).filter_map(|(metric, span)| {
            let name = metric.name.as_str();
            let Some(source) = bindings.metrics.get(&metric.name) else {
                let near = suggestion(name, bindings.metrics.keys().map(MetricName::as_str));
                let finding =
                    Diagnostic::new(Code::NoSource, span.clone(), format!("the metric `{name}` has no source{near}"));
                let help = format!(
                    "say in blueprint.yaml where its values come from:\n\nmetrics:\n  {name}: {{from: command, run: …}}"
                );
                return Some(finding.help(help));
            };
            match (source, metric.bound.limit) {
                (Some(yields), Limit::Absolute(limit)) if *yields != limit.dimension() => {
                    let message =
                        format!("`{name}` is bounded by {}, and its source yields {yields}", limit.dimension());
                    let finding = Diagnostic::new(Code::Dimension, span.clone(), message)
                        .help("correct the bound's unit, or the source's `unit` in blueprint.yaml");
                    Some(match limit.dimension() {
                        Dimension::Percent => {
                            finding.help("with its sign, as in `<=+1%`, it is relative to the baseline")
                        }
                        _ => finding,
                    })
                }
                _ => None,
            }
        });
        let mut found: Vec<_> = tests.chain(metrics).collect();
        found.sort_by_key(|finding| finding.span.start);
        found
    }
}

fn unbound(text: &str, is_load: bool, span: std::ops::Range<usize>) -> Diagnostic {
    let key = serde_json::Value::from(text);
    let suite = if is_load { "{http: {serve: …, path: /}}" } else { "{run: …}" };
    let finding = Diagnostic::new(Code::Unbound, span, format!("nothing says how to run `{text}`"))
        .says("read as prose")
        .help(format!("bind it in blueprint.yaml:\n\nsuites:\n  {key}: {suite}"));
    if is_load { finding } else { finding.help("a line in backticks is run as a command") }
}
