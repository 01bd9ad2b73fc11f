//! What is frozen when a run starts: nothing of it changes while it lives.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::commit::CommitId;
use super::landing::Require;
use super::measurement::{MetricName, Unchecked};
use super::plan::Plan;

/// What is frozen when a run starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// `yyyymmdd-hhmmss-<4 hex>`.
    pub run: String,
    /// The document, relative to the repository's root.
    pub document: String,
    /// Its digest outside the regions that the tool rewrites.
    pub digest: String,
    /// The plan that was read from it.
    pub plan: Plan,
    /// The commit that variants start from.
    pub base: CommitId,
    /// The branch that the winner lands on.
    pub target: String,
    /// Decides every shuffle.
    pub seed: u64,
    /// Where leases live.
    pub state: PathBuf,
    /// Seconds since 1970.
    pub at: i64,
    /// Digest of the configuration, so that a resumed run can tell that it changed.
    pub configuration: String,
    /// Digest of the configuration and hooks of git that it obeys, which are kept beside the journal.
    #[serde(default)]
    pub given: Option<String>,
    /// How long measuring may take.
    pub measure_budget: Duration,
    /// Whether more may be taken of the time cap where that would decide.
    #[serde(default)]
    pub extends: bool,
    /// What must be shown before a variant may land.
    #[serde(default)]
    pub require: Require,
    /// By which rules it is decided; the first ones where absent.
    #[serde(default = "first_rules")]
    pub rules: u32,
    /// The names of the metric sources with the metrics that each provides.
    pub sources: Vec<(String, Vec<String>)>,
    /// The metrics whose values count work and say nothing of time.
    #[serde(default)]
    pub counts: Vec<MetricName>,
    /// The metrics of which nobody checks what is answered, as far as the configuration tells.
    #[serde(default)]
    pub unchecked: Vec<Unchecked>,
    /// Whether controls compete in the place of the variants, and nothing is to land.
    #[serde(default)]
    pub rehearsal: bool,
    /// Whether only the harness is tried, on the baseline: no variant takes part.
    #[serde(default)]
    pub trying: bool,
    /// Whether what is not ours runs in a sandbox.
    #[serde(default)]
    pub sandboxed: bool,
    /// Whether a winner is to land, and the document to be told how it ended.
    #[serde(default = "yes")]
    pub merge: bool,
}

/// What runs did before there was a choice on record.
fn yes() -> bool {
    true
}

fn first_rules() -> u32 {
    1
}
