//! The verdict: never a guess sold as a fact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measurement::{Contender, MetricName};
use super::plan::VariantKey;
use super::quantity::Quantity;
use super::score::{Criteria, Points};
use super::trial::Outcome;

/// What a run concluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// One variant beat all others and the baseline.
    Winner {
        /// Who.
        key: VariantKey,
        /// By how much and how surely, over its closest rival; `None` where it had none.
        support: Option<Support>,
    },
    /// No difference worth having between these; the simplest of them wins.
    Tie {
        /// The simplest.
        key: VariantKey,
        /// All that tie, the simplest among them, in document order.
        among: Vec<VariantKey>,
    },
    /// The time ended first; the survivor with the highest total leads.
    Undecided {
        /// The leader; lands as not supported unless support is required.
        leader: VariantKey,
        /// Its difference to the closest survivor.
        support: Option<Support>,
        /// The smallest difference in points that could have been seen in the blocks there were.
        smallest_seen: Option<f64>,
    },
    /// Nobody may land.
    NoWinner {
        /// Why.
        reason: NoWinner,
    },
}

impl Verdict {
    /// The variant to land, if any.
    pub fn landing(&self) -> Option<&VariantKey> {
        match self {
            Self::Winner { key, .. } | Self::Tie { key, .. } => Some(key),
            Self::Undecided { leader, .. } => Some(leader),
            Self::NoWinner { .. } => None,
        }
    }

    /// Whether the measurements support it.
    pub fn is_supported(&self) -> bool {
        matches!(self, Self::Winner { .. } | Self::Tie { .. })
    }
}

/// Why nobody won.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum NoWinner {
    /// No variant passed its gates.
    NoneEligible,
    /// The code as it is beat every variant.
    BaselineBetter,
    /// The winner's support was required and is missing.
    NotSupported,
}

/// How one contender stands against its closest rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// The rival.
    pub rival: Contender,
    /// Difference in total points.
    pub difference: f64,
    /// Half the width of its 95 % interval.
    pub half_width: f64,
    /// The e-value of "better than the rival by more than the indifference".
    pub e_value: f64,
    /// Blocks counted.
    pub blocks: u32,
}

/// One line of the scoreboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Whose.
    pub contender: Contender,
    /// How its trial ended.
    pub outcome: Outcome,
    /// Its points; absent unless it has all three.
    pub criteria: Option<Criteria>,
    /// The weighted sum of the points as shown; absent unless eligible (or the baseline).
    pub total: Option<Points>,
    /// Each metric's value as displayed: the 20 % trimmed mean over blocks.
    pub metrics: BTreeMap<MetricName, Quantity>,
}

/// Everything the Results table, the Analysis and the report are made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scoreboard {
    /// The variants in document order, then the baseline.
    pub rows: Vec<Row>,
    /// What was concluded.
    pub verdict: Verdict,
    /// Blocks counted.
    pub blocks: u32,
}

/// What a verdict is made from.
pub struct Evidence<'a> {
    /// The variants in document order, then the baseline.
    pub rows: Vec<Row>,
    /// The race as it ended.
    pub race: &'a super::race::Race,
    /// Every block's unrounded totals, warm-up included.
    pub blocks: &'a [(u32, BTreeMap<Contender, f64>)],
    /// Whether every bound was known when measuring ended.
    pub bounds_known: bool,
    /// Whether an unsupported leader may not win.
    pub require_supported: bool,
    /// The run's seed, for the intervals.
    pub seed: u64,
}

/// The verdict with the table it was made from.
pub fn decide(_evidence: Evidence<'_>) -> Scoreboard {
    todo!()
}
