//! A trial's life and every way it can end. A trial that failed has no score; it never has a zero.

use serde::{Deserialize, Serialize};

use super::measurement::MetricName;
use super::plan::VariantKey;
use super::quantity::{Bound, Quantity, Tokens};

/// Where a trial stands; the order is the order in which a trial passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Phase {
    Queued,
    Prepare,
    Implement,
    Harvest,
    Test,
    Measure,
    Done,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Passed its gates; has a score.
    Eligible {
        /// Set where the agent was stopped by a cap and what it left was judged.
        over_budget: bool,
    },
    /// Out of the race, with the reason.
    Disqualified {
        /// The first gate it failed.
        reason: Disqualification,
    },
    /// The machine failed, not the variant.
    Infrastructure {
        /// What went wrong.
        message: String,
    },
}

impl Outcome {
    /// Whether the trial may win.
    pub fn is_eligible(&self) -> bool {
        matches!(self, Self::Eligible { .. })
    }
}

/// Why a trial can't win.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Disqualification {
    /// The agent failed and left nothing.
    AgentFailed {
        /// What the agent said, or how it ended.
        message: String,
    },
    /// The agent finished and changed nothing.
    NothingChanged,
    /// A cap or the deadline was reached and there is nothing to judge.
    OverBudget {
        /// Which cap.
        cap: String,
    },
    /// Files outside the plan's, or changes that the contract does not allow.
    ContractBroken {
        /// Offending paths, sorted.
        paths: Vec<String>,
    },
    /// The variant's tree could not be set up or migrated.
    SetupFailed {
        /// Which command, and the tail of what it printed.
        message: String,
    },
    /// Tests failed that pass on the baseline, or a suite produced no verdict.
    TestsFailed {
        /// Names of failing tests, sorted.
        tests: Vec<String>,
        /// The end of what they printed, and where all of it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A bound was missed at 20:1.
    BoundBroken {
        /// Which metric.
        metric: MetricName,
        /// What it must keep.
        bound: Bound,
        /// What was seen.
        value: Quantity,
    },
    /// A metric was invalid or missing.
    InvalidMeasurement {
        /// What was wrong.
        message: String,
    },
}

impl std::fmt::Display for Disqualification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AgentFailed { message } => write!(f, "agent failed: {message}"),
            Self::NothingChanged => f.write_str("nothing changed"),
            Self::OverBudget { cap } => write!(f, "over budget ({cap}) with nothing to judge"),
            Self::ContractBroken { paths } => write!(f, "outside the diff contract: {}", paths.join(", ")),
            Self::SetupFailed { message } => write!(f, "set-up failed: {message}"),
            Self::TestsFailed { tests, .. } => match tests.as_slice() {
                [] => f.write_str("tests failed"),
                [one] => write!(f, "test failed: {one}"),
                [first, rest @ ..] => write!(f, "tests failed: {first} and {} more", rest.len()),
            },
            Self::BoundBroken { metric, bound, value } => write!(f, "{metric} is {value}, must be {bound}"),
            Self::InvalidMeasurement { message } => write!(f, "invalid measurement: {message}"),
        }
    }
}

/// One test's result in one tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TestCase {
    /// As the report names it; unique within its suite.
    pub name: String,
    /// What came out.
    pub status: TestStatus,
}

/// What a test can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum TestStatus {
    Passed,
    Failed,
    Skipped,
}

/// The tests of one tree; skipped ones count neither way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestReport {
    /// Every case, in the order of the suites.
    pub cases: Vec<TestCase>,
    /// What failing tests printed, as far as it is known: of a test by its name, or of a whole suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// The file that holds all that was printed, where something failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// What a failing test printed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The test, or the suite where what a test printed is not told apart.
    pub test: String,
    /// An [`excerpt`](super::excerpt::excerpt).
    pub output: String,
}

impl TestReport {
    /// Passed cases.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|c| c.status == TestStatus::Passed).count()
    }

    /// Cases that passed or failed.
    pub fn counted(&self) -> usize {
        self.cases.iter().filter(|c| c.status != TestStatus::Skipped).count()
    }

    /// A report of these cases.
    pub fn of(cases: Vec<TestCase>) -> Self {
        Self { cases, ..Self::default() }
    }

    /// The end of what these tests printed, or else of what anything that failed did, and where all of it is.
    pub fn detail(&self, tests: &[String]) -> Option<String> {
        let of = |failure: &&Failure| tests.contains(&failure.test);
        let failure = self.failures.iter().find(of).or_else(|| self.failures.first());
        let output = failure.map(|failure| match tests {
            [one] if *one == failure.test => failure.output.clone(),
            _ => format!("{}:\n{}", failure.test, failure.output),
        });
        let log = self.log.as_ref().map(|log| format!("all of it: {log}"));
        let lines: Vec<_> = output.into_iter().chain(log).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Names of failed cases, sorted.
    pub fn failed(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.cases.iter().filter(|c| c.status == TestStatus::Failed).map(|c| c.name.clone()).collect();
        names.sort();
        names
    }
}

/// How much a change changed, over production files only: Simplicity's factors and where they come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChangeSize {
    /// Code lines added.
    pub added: u64,
    /// Code lines deleted.
    pub deleted: u64,
    /// Mean nesting depth of the added lines over that of the base's files, at least 1.
    pub nesting_surplus: f64,
    /// How many dependencies are named now and not before.
    pub new_dependencies: u64,
    /// Their names.
    #[serde(default)]
    pub dependencies: Vec<NewDependency>,
    /// The files that count, by path.
    #[serde(default)]
    pub counted: Vec<CountedFile>,
    /// The files that do not, by path.
    #[serde(default)]
    pub excluded: Vec<ExcludedFile>,
}

/// A dependency that a change brings in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDependency {
    /// As its ecosystem spells it.
    pub name: String,
    /// The path of the first manifest that names it.
    pub manifest: String,
}

/// A changed file of production code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Whose comments are known; in a file of none, every line that is not blank is code.
    pub language: Option<String>,
    /// Code lines added; none in a manifest, whose dependencies count instead.
    pub added: u64,
    /// Code lines deleted; none in a manifest.
    pub deleted: u64,
}

/// A changed file that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Why not.
    pub reason: Exclusion,
}

/// Why a changed file does not count as production code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exclusion {
    /// Tests and what they are run on.
    Test,
    /// Written by a program, as its path or its first lines say.
    Generated,
    /// Versions that a package manager chose.
    LockFile,
    /// Written for people.
    Prose,
    /// Somebody else's code, kept here.
    Vendored,
    /// No text, or more than 4 MiB of it.
    Binary,
}

impl Exclusion {
    /// As a reader reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Generated => "generated",
            Self::LockFile => "lock file",
            Self::Prose => "prose",
            Self::Vendored => "vendored",
            Self::Binary => "binary",
        }
    }
}

/// What an agent used, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read by the model, cached ones included.
    pub input: Tokens,
    /// Tokens written by the model.
    pub output: Tokens,
}

impl Usage {
    /// Input and output together; saturating.
    pub fn total(self) -> Tokens {
        self.input.saturating_add(self.output)
    }

    /// Both added up; saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { input: self.input.saturating_add(other.input), output: self.output.saturating_add(other.output) }
    }
}

/// A trial's branch and what stands on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harvest {
    /// Which variant.
    pub variant: VariantKey,
    /// The harvested commit's object name in hex.
    pub commit: String,
    /// Changed paths relative to the base, sorted.
    pub changed: Vec<String>,
}
