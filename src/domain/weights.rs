//! Weights: how much each criterion counts, with the note that chooses its metrics or gates.

use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::trial::{Disqualification, TestReport};

/// How much each criterion counts; the percentages sum to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Tests passed.
    pub tests: Weight,
    /// Metrics against their bounds.
    pub performance: Weight,
    /// Size of the change.
    pub simplicity: Weight,
}

/// One criterion's share of the total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// 0 to 100.
    pub percent: f64,
    /// What stands in parentheses, such as `p95 latency`.
    pub note: Option<String>,
    /// What the note demands, where it demands something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

impl Weight {
    /// A weight with the note that stands beside it.
    pub fn new(percent: f64, note: Option<String>) -> Self {
        let gate = note.as_deref().and_then(Gate::read);
        Self { percent, note, gate }
    }

    /// The note, where it chooses metrics and does not gate.
    pub fn selection(&self) -> Option<&str> {
        self.note.as_deref().filter(|_| self.gate.is_none())
    }
}

impl Weights {
    /// The notes that gate, with what they cover.
    pub fn gates(&self) -> impl Iterator<Item = (&str, Gate)> {
        let all = [&self.tests, &self.performance, &self.simplicity];
        all.into_iter().filter_map(|weight| Some((weight.note.as_deref()?, weight.gate?)))
    }

    /// The same weights with no gate.
    #[must_use]
    pub fn without_gates(&self) -> Self {
        let open = |weight: &Weight| Weight { gate: None, ..weight.clone() };
        Self { tests: open(&self.tests), performance: open(&self.performance), simplicity: open(&self.simplicity) }
    }

    /// The first of its gates that a tree with this report misses.
    pub fn missed(&self, report: &TestReport) -> Option<Disqualification> {
        self.gates().find_map(|(note, gate)| {
            let tests: Vec<_> = gate.missing(report).into_iter().collect();
            (!tests.is_empty()).then(|| Disqualification::GateMissed { gate: note.to_owned(), tests })
        })
    }
}
