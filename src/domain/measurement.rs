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

/// Who is measured: the base commit itself, one of the variants, or the base commit once more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Contender {
    /// The base commit.
    Baseline,
    /// A variant's harvested commit.
    Variant(VariantKey),
    /// The base commit in a second tree: no candidate, but what tells whether the harness treats
    /// two identical trees alike.
    Shadow,
}

impl Contender {
    /// The variant's key, or `None` for the baseline and its shadow.
    pub fn key(&self) -> Option<&VariantKey> {
        match self {
            Self::Baseline | Self::Shadow => None,
            Self::Variant(key) => Some(key),
        }
    }

    /// The form used in paths and names: the variant's slug, `baseline`, or `shadow`.
    pub fn slug(&self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Shadow => "shadow".to_owned(),
            // A variant may be called "baseline"; the prefix keeps the two apart.
            Self::Variant(key) if ["baseline", "shadow"].contains(&key.slug().as_str()) => format!("v-{}", key.slug()),
            Self::Variant(key) => key.slug(),
        }
    }

    /// What its programs are told as `BLUEPRINT_VARIANT`: the variant's key as the document writes
    /// it, `baseline`, or `shadow`. The shadow has a name of its own as a variant has, so that a
    /// harness that treats the baseline's apart is found out.
    pub fn told(&self) -> String {
        match self {
            Self::Baseline | Self::Shadow => self.slug(),
            Self::Variant(key) => key.to_string(),
        }
    }

    /// Whose facts that do not vary (tests, exact metrics) count for it: the shadow has the baseline's.
    pub fn stands_for(&self) -> &Self {
        match self {
            Self::Shadow => &Self::Baseline,
            own => own,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.pad("baseline"),
            Self::Shadow => f.pad("shadow baseline"),
            Self::Variant(key) => f.pad(key.as_str()),
        }
    }
}

impl From<Contender> for String {
    fn from(contender: Contender) -> Self {
        match contender {
            Contender::Baseline => "@baseline".to_owned(),
            Contender::Shadow => "@shadow".to_owned(),
            Contender::Variant(key) => key.into(),
        }
    }
}

impl TryFrom<String> for Contender {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "@baseline" => Ok(Self::Baseline),
            "@shadow" => Ok(Self::Shadow),
            _ => VariantKey::try_from(text).map(Self::Variant),
        }
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

/// What a slice cost the machine, taken outside the measured process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timing {
    /// Elapsed.
    pub wall: Duration,
    /// User and system time of the process and its reaped children, where known.
    pub cpu: Option<Duration>,
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
}

/// One round: a slice per survivor and source, in an order shuffled from the run's seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// From 0; block 0 is warm-up and is never counted.
    pub index: u32,
    /// In the order in which they were taken.
    pub slices: Vec<Slice>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_read_back_as_it_was_written_and_no_variant_takes_the_place_of_the_two_others() {
        for text in ["@baseline", "@shadow", "A", "Shadow", "baseline"] {
            let contender = Contender::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(contender), text);
        }
        let slug = |text: &str| Contender::try_from(text.to_owned()).unwrap().slug();
        assert_eq!(
            ["@shadow", "Shadow", "@baseline", "baseline"].map(slug),
            ["shadow", "v-shadow", "baseline", "v-baseline"]
        );
    }
}
