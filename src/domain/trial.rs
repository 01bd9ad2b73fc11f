//! A trial's life and every way it can end. A trial that failed has no score; it never has a zero.

use serde::{Deserialize, Serialize};

use super::cases::{TestCase, TestStatus, merge};
use super::fresh::{self, Advantage};
use super::measurement::MetricName;
use super::plan::VariantKey;
use super::quantity::{Bound, Limit, Quantity, Tokens};
use super::suspicion::Suspicion;

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
        /// Titles of work items that were not carried out, where such work may compete.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unfinished: Vec<String>,
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
    /// Work items were not carried out; what there is of the work is kept.
    Unfinished {
        /// Titles of the items that are missing, in document order.
        missing: Vec<String>,
        /// What ended the work before its end.
        why: String,
        /// Whether that was a cap or the deadline.
        over_budget: bool,
    },
    /// What the agent left could not be taken over.
    NotHarvested {
        /// What is in the way.
        message: String,
    },
    /// A directory of the trial is not what it was when the trial began.
    Replaced {
        /// Which directory, and what stands in its place.
        message: String,
    },
    /// Files by which it is judged changed while its programs ran.
    Tampered {
        /// Which, and what ran.
        message: String,
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
    /// Tests failed that a weight's note demands, whether or not the baseline passes them.
    GateMissed {
        /// The note, as written.
        gate: String,
        /// Names of failing tests, and suites in which none ran; sorted.
        tests: Vec<String>,
    },
    /// A bound was missed, with the evidence that the race asks for.
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
    /// Its advantage is gone in a tree that no earlier slice used.
    LeftOver {
        /// Of which metric.
        metric: MetricName,
        /// In the race.
        shown: Advantage,
        /// In fresh trees.
        fresh: Advantage,
    },
}

impl std::fmt::Display for Disqualification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AgentFailed { message } => write!(f, "agent failed: {message}"),
            Self::NothingChanged => f.write_str("nothing changed"),
            Self::OverBudget { cap } => write!(f, "{} cap reached with nothing to evaluate", cap.trim_end_matches('s')),
            Self::Unfinished { missing, why, .. } => {
                write!(
                    f,
                    "unfinished: {} {} not carried out ({why})",
                    quoted(missing),
                    match missing.len() {
                        1 => "was",
                        _ => "were",
                    }
                )
            }
            Self::NotHarvested { message } => write!(f, "its work can't be taken over: {message}"),
            Self::Replaced { message } | Self::Tampered { message } => f.write_str(message),
            Self::ContractBroken { paths } => write!(f, "changed files that are not allowed: {}", paths.join(", ")),
            Self::SetupFailed { message } => write!(f, "set-up failed: {message}"),
            Self::TestsFailed { tests, .. } => f.write_str(&failed(tests)),
            Self::GateMissed { gate, tests } => write!(f, "the weights say \"{gate}\": {}", failed(tests)),
            Self::BoundBroken { metric, bound, value } => {
                write!(f, "{metric} is {}, must be {bound}", beside(*value, *bound))
            }
            Self::InvalidMeasurement { message } => write!(f, "invalid measurement: {message}"),
            Self::LeftOver { metric, shown, fresh } => write!(
                f,
                "{metric} is {} times as fast as the baseline in a tree that earlier slices used, and {fresh} times in a \
                 fresh one: what it saves is left over from earlier slices",
                fresh::factor(shown.times())
            ),
        }
    }
}

/// `` `The cost` and `A cache` ``.
pub fn quoted(titles: &[String]) -> String {
    let quoted: Vec<_> = titles.iter().map(|title| format!("`{title}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn failed(tests: &[String]) -> String {
    match tests {
        [] => "tests failed".to_owned(),
        [one] => format!("test failed: {one}"),
        [first, rest @ ..] => format!("tests failed: {first} and {} more", rest.len()),
    }
}

/// A value as it is shown, with all of its digits where it would look like the limit that it misses.
fn beside(value: Quantity, bound: Bound) -> String {
    let short = value.to_string();
    match bound.limit {
        Limit::Absolute(limit) if format!("{limit:#}") == short => format!("{value:#}"),
        _ => short,
    }
}

/// The tests of one tree; skipped ones count neither way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestReport {
    /// Every case once, in the order of the suites.
    pub cases: Vec<TestCase>,
    /// What each suite came to by itself, in their order; a case of two suites counts in both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteRun>,
    /// What failing tests printed, as far as it is known: of a test by its name, or of a whole suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// The file that holds all that was printed, where something failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What suites left running that kept their output open, in sentences: what came later was not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<String>,
}

/// What one suite came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteRun {
    /// The line of the document that it stands for.
    pub suite: String,
    /// Cases that passed or failed.
    pub ran: usize,
    /// Names of those that failed, sorted.
    pub failed: Vec<String>,
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
    /// The report of one suite.
    pub fn of(cases: Vec<TestCase>) -> Self {
        Self { cases, ..Self::default() }
    }

    /// Adds what a suite reported. A case that another had too counts once, with the worst that was seen of it.
    pub fn add(&mut self, suite: &str, part: Self) {
        self.suites.push(SuiteRun { suite: suite.to_owned(), ran: part.counted(), failed: part.failed() });
        let cases = std::mem::take(&mut self.cases);
        self.cases = merge(cases.into_iter().chain(part.cases));
        self.failures.extend(part.failures);
        self.leaks.extend(part.leaks);
    }

    /// Passed cases.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|c| c.status == TestStatus::Passed).count()
    }

    /// Cases that passed or failed.
    pub fn counted(&self) -> usize {
        self.cases.iter().filter(|c| c.status != TestStatus::Skipped).count()
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
    /// Lines that could be there for whoever measures and tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
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
    /// Titles of work items that were not carried out, in document order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_misses_its_bound_is_never_shown_as_the_bound() {
        let broken = |value: &str, bound: &str| {
            let metric = MetricName::new("p95").unwrap();
            let (bound, value) = (Bound::parse(bound).unwrap(), Quantity::parse(value).unwrap());
            Disqualification::BoundBroken { metric, bound, value }.to_string()
        };
        assert_eq!(broken("85.0912345 ms", "<80ms"), "p95 is 85.09 ms, must be < 80 ms");
        assert_eq!(broken("80.00001 ms", "<=80ms"), "p95 is 80.00001 ms, must be <= 80 ms");
    }

    #[test]
    fn a_case_of_two_suites_counts_once_with_the_worst_that_was_seen_and_in_both() {
        let case = |name: &str, status| TestCase { name: name.to_owned(), status };
        let mut whole = TestReport::default();
        whole.add("all", TestReport::of(vec![case("a", TestStatus::Passed), case("b", TestStatus::Skipped)]));
        whole.add("again", TestReport::of(vec![case("a", TestStatus::Failed)]));
        assert_eq!((whole.cases.len(), whole.failed()), (2, vec!["a".to_owned()]));
        let runs: Vec<_> = whole.suites.iter().map(|run| (run.suite.as_str(), run.ran, run.failed.len())).collect();
        assert_eq!(runs, [("all", 1, 0), ("again", 1, 1)]);
    }

    #[test]
    fn a_report_from_before_suites_were_told_apart_is_read() {
        let report: TestReport = serde_json::from_str(r#"{"cases":[{"name":"a","status":"passed"}]}"#).unwrap();
        assert_eq!((report.passed(), report.suites.len()), (1, 0));
    }
}
