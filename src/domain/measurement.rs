//! What measuring yields: readings, slices and blocks. Values are quantities, so `NaN` can't occur.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::VariantKey;
use super::quantity::Quantity;

/// A metric's name, such as `query_latency_p95`: letters, digits, `_`, `-`, `.` and `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MetricName(String);

impl MetricName {
    /// The name, or `None` where the text can't be one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
            && text.as_bytes()[0].is_ascii_alphanumeric();
        fits.then(|| Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MetricName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("`{text}` can't be a metric's name"))
    }
}

impl From<MetricName> for String {
    fn from(name: MetricName) -> Self {
        name.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who is measured: the base commit itself, or one of the variants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Contender {
    /// The base commit.
    Baseline,
    /// A variant's harvested commit.
    Variant(VariantKey),
}

impl Contender {
    /// The variant's key, or `None` for the baseline.
    pub fn key(&self) -> Option<&VariantKey> {
        match self {
            Self::Baseline => None,
            Self::Variant(key) => Some(key),
        }
    }

    /// The form used in paths and names: the variant's slug, or `baseline`.
    pub fn slug(&self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            // A variant may be called "baseline"; the prefix keeps the two apart.
            Self::Variant(key) if key.slug() == "baseline" => "v-baseline".to_owned(),
            Self::Variant(key) => key.slug(),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.pad("baseline"),
            Self::Variant(key) => f.pad(key.as_str()),
        }
    }
}

impl From<Contender> for String {
    fn from(contender: Contender) -> Self {
        match contender {
            Contender::Baseline => "@baseline".to_owned(),
            Contender::Variant(key) => key.into(),
        }
    }
}

impl TryFrom<String> for Contender {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "@baseline" { Ok(Self::Baseline) } else { VariantKey::try_from(text).map(Self::Variant) }
    }
}

/// One metric's value in one slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which metric.
    pub metric: MetricName,
    /// Its value; finite and not negative.
    pub value: Quantity,
    /// How many observations stand behind the value.
    pub observations: u64,
}

/// What a slice cost the machine, taken outside the measured process. What a machine can't tell
/// is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Elapsed.
    pub wall: Duration,
    /// User and system time of everything that belongs to the slice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Duration>,
    /// Time in which nothing of the slice could run for want of a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// CPU time of everything else meanwhile, all cores together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Duration>,
    /// Time that a hypervisor took from the cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steal: Option<Duration>,
    /// Time in which anything on the machine waited for a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Duration>,
}

/// One contender's turn in a block at one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Whose turn.
    pub contender: Contender,
    /// Which source was asked.
    pub source: String,
    /// What it said.
    pub readings: Vec<Reading>,
    /// What it cost.
    pub timing: Timing,
    /// The metric whose value is the slice's own time, where there is one: by which clock is for
    /// `domain::timed` to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<MetricName>,
}

/// One round: a slice per survivor and source, in an order shuffled from the run's seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// From 0; block 0 is warm-up and is never counted.
    pub index: u32,
    /// In the order in which they were taken.
    pub slices: Vec<Slice>,
}
