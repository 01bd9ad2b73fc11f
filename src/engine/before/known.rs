//! What is known of a run before it: the plan, the configuration and this machine, as far as a reviewer wants to read of them.

use serde::Serialize;

use crate::adapters::git::Customs;
use crate::adapters::process::Egress;
use crate::adapters::service::Choice;
use crate::domain::estimate::Estimate;
use crate::domain::landing::Require;
use crate::domain::lanes::{Lanes, Refusal};
use crate::domain::measurement::{MetricName, Unchecked};
use crate::domain::plan::Plan;
use crate::domain::quantity::Tokens;

/// What is known of a run before it.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// What the document plans.
    pub plan: &'a Plan,
    /// The document, relative to the repository's root.
    pub document: &'a str,
    /// Its digest outside the regions that the tool rewrites.
    pub digest: &'a str,
    /// Whether it may run.
    pub approved: bool,
    /// The commit that variants start from, in hex.
    pub base: &'a str,
    /// The branch that the winner lands on.
    pub target: &'a str,
    /// Whether that branch is checked out.
    pub checked_out: bool,
    /// As the agent describes itself.
    pub agent: &'a str,
    /// What the agent's first request, and an answer of a useful length, come to at the most, where that is known.
    pub needs: Option<Tokens>,
    /// Lines for `sh -c`, run in every tree.
    pub setup: &'a [String],
    /// Lines for `sh -c`, run in every judged tree after set-up.
    pub build: &'a [String],
    /// Folders with what they build, of which every tree gets a copy of the baseline's.
    pub built: &'a [String],
    /// Variables of the configuration that every program gets.
    pub environment: Environment,
    /// Lines for `sh -c`, run against a fresh database.
    pub migrate: &'a [String],
    /// Untracked paths copied into every tree.
    pub carry: &'a [String],
    /// Globs of files restored from the base before judging.
    pub protect: &'a [String],
    /// Tests, and metrics that say their own values, each with a file of the base that says what its command does.
    pub harness: Vec<(String, String)>,
    /// How long measuring may take, in seconds.
    pub measure_seconds: u64,
    /// The lanes that contenders would be measured in, or why one after another.
    pub lanes: Result<Lanes, Refusal>,
    /// Whether the configuration asks for a number of them.
    pub lanes_asked: bool,
    /// What must be shown before a variant may land.
    pub require: Require,
    /// Whether anything is landed at all.
    pub merge: bool,
    /// Whether the end of a run that landed nothing is committed in the document.
    pub record: bool,
    /// Whether the repository's hooks are run.
    pub hooks: bool,
    /// Whether commits are signed as the user's git is set to.
    pub sign: bool,
    /// What the user's git does when it commits.
    pub customs: &'a Customs,
    /// Whether a variant competes of which work items were not carried out.
    pub judge_unfinished: bool,
    /// Whether contestants may write the tests that judge them.
    pub contestants_write_tests: bool,
    /// Globs of what variants may change although they are judged by it.
    pub trust: &'a [String],
    /// What each lease has of its own besides: how, and why so.
    pub services: Vec<Choice>,
    /// Metric sources with the metrics that each provides.
    pub sources: &'a [(String, Vec<String>)],
    /// The metrics whose values count work and say nothing of time.
    pub counts: &'a [MetricName],
    /// The metrics of which nobody checks what is answered, as far as the configuration tells.
    pub unchecked: &'a [Unchecked],
    /// What is counted of variants that can't be told apart.
    pub tie_break: Option<&'a str>,
    /// How the agent's requests reach their models.
    pub models: &'a Reach,
    /// What measuring will take and can tell, as far as an earlier run or try showed.
    pub estimate: Option<Estimate>,
    /// Files that the plan names and that the target does not have as they are, a sentence each.
    pub uncommitted: &'a [String],
    /// What agents and judged code reach over the network from their sandbox; `None` where there is none.
    pub sandbox: Option<&'a Egress>,
    /// CPUs of this machine.
    pub cpus: usize,
}

/// How an agent's requests reach their models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It has none: recorded work.
    None,
    /// In a way of its own, which nobody sees.
    Unseen,
    /// Through the proxy, which counts and caps them; to these addresses.
    Through(String),
    /// Not at all, for this reason.
    Missing(String),
}

/// Variables that programs get beside those of every run, by name; values are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Environment {
    /// Set by the configuration.
    pub set: Vec<String>,
    /// Passed on from the environment of whoever starts the run.
    pub passed: Vec<String>,
    /// To be passed on, and not set.
    pub missing: Vec<String>,
}
