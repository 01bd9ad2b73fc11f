//! The verdict, which is never a guess sold as a fact, and the rows that it is made over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::instructions::Tied;
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
    /// The time ended first.
    Undecided {
        /// The survivor with the highest total, where it is a variant and ahead of everybody.
        leader: Option<VariantKey>,
        /// Its difference to the closest rival.
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
    /// Whether more measuring could change it.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Undecided { .. } | Self::NoWinner { reason: NoWinner::NotMeasured })
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
    /// The baseline beat every variant.
    BaselineBetter,
    /// The winner's support was required and is missing: so said by runs whose verdict and landing were one.
    NotSupported,
    /// The time ended before anything was measured.
    NotMeasured,
    /// Two trees of the baseline did not come out alike, so that no comparison of this run
    /// means anything.
    HarnessBiased {
        /// The baseline against its shadow; the e-value is that of a difference in either direction.
        support: Support,
    },
}

/// How one contender stands against its closest rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// The rival.
    pub rival: Contender,
    /// Difference in total points.
    pub difference: f64,
    /// Half the width of its 95 % interval; absent where too few blocks were counted for one.
    #[serde(default)]
    pub half_width: Option<f64>,
    /// The e-value of "better than the rival by more than the indifference".
    pub e_value: f64,
    /// Blocks counted.
    pub blocks: u32,
}

/// Why a variant is known to be better than the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Ground {
    /// Its lead in total points is supported.
    Lead {
        /// With this e-value.
        e_value: f64,
    },
    /// The baseline is known to miss a bound that the variant is known to keep: also one that is relative to the
    /// baseline and asks for more than it has.
    Bound {
        /// The bound's metric.
        metric: MetricName,
    },
    /// The baseline fails a test of the plan that the variant passes.
    Test {
        /// Its name.
        name: String,
    },
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
    /// Metrics whose bound was not settled: neither kept nor missed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<MetricName>,
    /// Why it is known to be better than the baseline, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Ground>,
    /// Instructions of the plan's tie-breaker, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
}

impl Row {
    /// What settles a tie; the baseline takes no part in one.
    pub fn tied(&self) -> Option<Tied<'_>> {
        let simplicity = self.criteria.map(|criteria| criteria.simplicity);
        Some(Tied { key: self.contender.key()?, simplicity, instructions: self.instructions })
    }
}
