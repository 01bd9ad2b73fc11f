//! How a run is to be carried out, a part for each stage; resolved once from defaults, configuration, document and flags.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::adapters::process::{Egress, Environment, Limits, Redactor};
use crate::domain::landing::Require;
use crate::domain::lanes::Wanted;
use crate::domain::measurement::MetricName;

/// How a run is to be carried out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What leases are given.
    pub leases: Leasing,
    /// How variants are implemented.
    pub implement: Implementing,
    /// How trees are judged.
    pub judge: Judging,
    /// How they are measured.
    pub measure: Measuring,
    /// What becomes of the result.
    pub land: Landing,
}

/// What leases are given.
#[derive(Debug, Clone)]
pub struct Leasing {
    /// Where they live; outside the repository.
    pub state: PathBuf,
    /// The allow-listed part of our own environment.
    pub env: Environment,
    /// Untracked paths that are copied into every tree.
    pub carry: Vec<String>,
    /// Folders with what was built; a tree begins with those of the baseline.
    pub built: Vec<String>,
    /// What programs in a lease may read and write besides.
    pub sandbox: Opened,
}

/// What the configuration opens to programs in a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// To be read.
    pub read: Vec<PathBuf>,
    /// To be read and written.
    pub write: Vec<PathBuf>,
    /// What is reached over the network.
    pub network: Egress,
    /// What is used of the machine.
    pub limits: Limits,
}

/// How variants are implemented.
#[derive(Debug, Clone)]
pub struct Implementing {
    /// Trials at a time; as many as there are variants where absent.
    pub parallel: Option<usize>,
    /// After so long without any sign of life an agent's program is stopped.
    pub patience: Duration,
    /// Whether a variant competes of which work items were not carried out.
    pub judge_unfinished: bool,
    /// Where transcripts of what is said to models go; they are kept.
    pub transcripts: PathBuf,
}

/// How trees are judged.
#[derive(Debug, Clone)]
pub struct Judging {
    /// Lines for `sh -c`, run in every judged tree, and in the worktrees of agents that work in them.
    pub setup: Vec<String>,
    /// Lines for `sh -c`, run in a judged tree after set-up.
    pub build: Vec<String>,
    /// Lines for `sh -c`, run in a judged tree against its fresh database.
    pub migrate: Vec<String>,
    /// Globs of files that are restored from the base before judging.
    pub protect: Vec<String>,
    /// Whether contestants may write the tests that judge them.
    pub contestants_write_tests: bool,
    /// Where all that a failing command or test printed goes; it is kept.
    pub logs: PathBuf,
    /// Takes secrets of ours out of what is shown.
    pub redactor: Redactor,
}

/// How trees are measured.
#[derive(Debug, Clone)]
pub struct Measuring {
    /// How long it may take.
    pub budget: Duration,
    /// Whether more may be taken of the time cap where that would decide.
    pub extends: bool,
    /// How long it may wait for a calmer machine.
    pub wait: Option<Duration>,
    /// Parallel lanes.
    pub lanes: Wanted,
    /// Metrics that need not have a value on the baseline.
    pub missing_on_base: BTreeSet<MetricName>,
}

/// What becomes of the result.
#[derive(Debug, Clone)]
pub struct Landing {
    /// What must be shown before a variant may land.
    pub require: Require,
    /// Whether anything is landed at all.
    pub merge: bool,
    /// Whether the document tells on the branch how a run ended that landed nothing.
    pub record: bool,
    /// Whether hooks of the repository are run on a commit before it lands.
    pub hooks: bool,
    /// Whether commits are signed where the user's git is set to sign.
    pub sign: bool,
}
