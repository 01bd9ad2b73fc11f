//! From measurements to points. Every criterion is a bounded, smooth, monotone function of the
//! variant's own value, so a hopeless rival never changes who wins (design: `100 · h / (h + x)`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::measurement::MetricName;
use super::plan::Plan;
use super::quantity::{Finite, Quantity, QuantityError};
use super::trial::{ChangeSize, TestReport};

/// Points from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Points(Finite);

impl Points {
    /// Clamped to 0..=100; `None` unless finite.
    pub fn new(value: f64) -> Option<Self> {
        Finite::new(value.clamp(0.0, 100.0)).map(Self)
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0.get()
    }

    /// To 0.1, as tables show it and as the Total adds it up.
    pub fn shown(self) -> f64 {
        (self.get() * 10.0).round() / 10.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1}", self.shown()))
    }
}

/// The three criteria of one contender.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Criteria {
    /// Passed tests by counted tests.
    pub tests: Points,
    /// Metrics against their bounds.
    pub performance: Points,
    /// Size of the change.
    pub simplicity: Points,
}

/// Turns readings into points by one plan's weights and bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scorer {
    // The implementation decides what it holds.
}

impl Scorer {
    /// A scorer for this plan; `baseline` holds the baseline's values, needed where a bound is
    /// relative to them.
    pub fn new(_plan: &Plan, _baseline: &BTreeMap<MetricName, Quantity>) -> Result<Self, QuantityError> {
        todo!()
    }

    /// The metrics that the Performance criterion counts.
    pub fn performance_metrics(&self) -> &[MetricName] {
        todo!()
    }

    /// The Performance points of these values; `None` where one of the metrics is missing or of
    /// another dimension.
    pub fn performance(&self, _values: &BTreeMap<MetricName, Quantity>) -> Option<Points> {
        todo!()
    }

    /// Σ weight × criterion, over the criteria as shown (to 0.1): what a reader can add up.
    pub fn total(&self, _criteria: &Criteria) -> Points {
        todo!()
    }

    /// Σ weight × criterion without rounding: what the race runs on.
    pub fn exact_total(&self, _criteria: &Criteria) -> f64 {
        todo!()
    }
}

/// Passed by counted × 100; `None` where no test counted.
pub fn tests_points(_report: &TestReport) -> Option<Points> {
    todo!()
}

/// `100 · h / (h + x)` with h = 500 and x = (added + ½ deleted) × nesting surplus + 25 a new dependency.
pub fn simplicity_points(_change: &ChangeSize) -> Points {
    todo!()
}
