//! Gates: a weight's note that demands that tests pass, what it covers, and what a tree misses of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cases::{TestCase, TestStatus};
use super::trial::TestReport;

/// Words of which a note must have one to demand anything.
const DEMAND: &[&str] = &["must", "shall", "has", "have", "needs", "need", "required"];
/// What is demanded.
const PASS: &[&str] = &["pass", "passes", "passed"];
/// Of what.
const TESTS: &[&str] = &["test", "tests", "suite", "suites", "check", "checks"];
/// Words that narrow a demand to tests of performance, and by which those are known.
const PERFORMANCE: &[&str] =
    &["performance", "perf", "load", "loadtest", "loadtests", "bench", "benches", "benchmark", "benchmarks"];
/// Words that change nothing.
const PLAIN: &[&str] = &["all", "every", "each", "the", "of", "a", "to", "it", "they", "its", "variant", "variants"];

/// What a note that gates covers: whoever fails a test of it is out, also where the baseline fails it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Every suite.
    AllTests,
    /// Suites whose line says performance, load or benchmark, and tests in a folder or module called so.
    PerformanceTests,
}

impl Gate {
    /// `must pass all performance tests`, in whatever order of these words. A note with a word that is
    /// not known here demands something else, and `None` is the answer: half a gate would be a wrong one.
    pub fn read(note: &str) -> Option<Self> {
        let words: Vec<String> = words(note).collect();
        let has = |some: &[&str]| words.iter().any(|word| some.contains(&word.as_str()));
        let known =
            |word: &String| [DEMAND, PASS, TESTS, PERFORMANCE, PLAIN].iter().any(|s| s.contains(&word.as_str()));
        let gates = has(DEMAND) && has(PASS) && words.iter().all(known);
        gates.then(|| if has(PERFORMANCE) { Self::PerformanceTests } else { Self::AllTests })
    }

    /// Whether a suite or metric whose line or name is this belongs to it.
    pub fn covers(self, line: &str) -> bool {
        self == Self::AllTests || words(line).any(|word| PERFORMANCE.contains(&word.as_str()))
    }

    /// Whether a test belongs to it by where it lies, whatever the line of its suite says.
    fn covers_test(self, name: &str) -> bool {
        let mut parts: Vec<_> = name.split(['/', '.', ':', '\\']).collect();
        // The last is the test's own name.
        parts.pop();
        self == Self::AllTests || parts.iter().any(|part| PERFORMANCE.contains(&part.to_lowercase().as_str()))
    }

    /// What this tree's tests miss of it, sorted: failing tests by name, and what none ran of.
    pub(super) fn missing(self, report: &TestReport) -> BTreeSet<String> {
        let suites = || report.suites.iter().filter(|run| self.covers(&run.suite));
        let idle = suites().filter(|run| run.ran == 0).map(|run| format!("{}: no test was executed", run.suite));
        let mut missing: BTreeSet<_> = idle.chain(suites().flat_map(|run| run.failed.iter().cloned())).collect();
        let cases: Vec<_> = report.cases.iter().filter(|case| self.covers_test(&case.name)).collect();
        let is = |status: TestStatus| move |case: &&&TestCase| case.status == status;
        missing.extend(cases.iter().filter(is(TestStatus::Failed)).map(|case| case.name.clone()));
        if let Some(first) = cases.first()
            && cases.iter().filter(is(TestStatus::Skipped)).count() == cases.len()
        {
            missing.insert(format!("{} and all like it were skipped", first.name));
        }
        missing
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::trial::{Disqualification, SuiteRun};
    use crate::domain::weights::{Weight, Weights};

    #[test]
    fn a_note_that_demands_that_tests_pass_is_a_gate_in_any_order_of_its_words() {
        for note in
            ["must pass all", "all must pass", "must all pass", "Must pass all tests.", "every test has to pass"]
        {
            assert_eq!(Gate::read(note), Some(Gate::AllTests), "{note}");
        }
        for note in [
            "must pass all performance tests",
            "all load tests must pass",
            "benchmarks must pass",
            "must pass every perf test",
        ] {
            assert_eq!(Gate::read(note), Some(Gate::PerformanceTests), "{note}");
        }
    }

    #[test]
    fn a_note_with_any_other_word_is_prose() {
        for note in [
            "p95 latency",
            "LOC, maintenance complexity",
            "must pass all unit tests",
            "must pass most tests",
            "must not pass",
            "need not pass all tests",
            "should pass all tests",
            "must pass all tests or explain why",
            "all tests",
            "passes all tests",
            "",
        ] {
            assert_eq!(Gate::read(note), None, "{note}");
        }
    }

    #[test]
    fn performance_is_known_by_whole_words_of_a_line() {
        let gate = Gate::PerformanceTests;
        for line in
            ["pytest tests/performance/ -v", "Load test with 1000 concurrent requests", "cargo bench", "sh perf_all.sh"]
        {
            assert!(gate.covers(line), "{line}");
        }
        for line in ["pytest tests/", "upload works", "payload.sh", "sh tests/run.sh"] {
            assert!(!gate.covers(line) && Gate::AllTests.covers(line), "{line}");
        }
    }

    fn weights(note: &str) -> Weights {
        let weight = |note: Option<&str>| Weight {
            percent: 50.0,
            note: note.map(str::to_owned),
            gate: note.and_then(Gate::read),
        };
        Weights { tests: weight(Some(note)), performance: weight(None), simplicity: weight(Some("LOC")) }
    }

    fn report(suites: &[(&str, usize, &[&str])], cases: &[(&str, TestStatus)]) -> TestReport {
        let run = |(suite, ran, failed): &(&str, usize, &[&str])| SuiteRun {
            suite: (*suite).to_owned(),
            ran: *ran,
            failed: failed.iter().map(|name| (*name).to_owned()).collect(),
        };
        let case = |(name, status): &(&str, TestStatus)| TestCase { name: (*name).to_owned(), status: *status };
        TestReport {
            suites: suites.iter().map(run).collect(),
            cases: cases.iter().map(case).collect(),
            ..TestReport::default()
        }
    }

    #[test]
    fn a_failing_test_misses_the_gate_that_covers_it_and_no_other() {
        let report = report(&[("sh perf.sh", 2, &["slow"]), ("sh unit.sh", 1, &["wrong"])], &[]);
        let miss = |note: &str| weights(note).missed(&report).map(|reason| reason.to_string());
        let words = |note: &str, which: &str| Some(format!("the weights say \"{note}\": {which}"));
        let note = "must pass all performance tests";
        assert_eq!(miss(note), words(note, "test failed: slow"));
        assert_eq!(miss("must pass all"), words("must pass all", "tests failed: slow and 1 more"));
        assert_eq!(miss("speed matters"), None);
    }

    #[test]
    fn a_covered_suite_in_which_no_test_ran_misses_the_gate() {
        let idle = report(&[("sh perf.sh", 0, &[]), ("sh unit.sh", 1, &[])], &[]);
        let Some(Disqualification::GateMissed { tests, .. }) = weights("must pass all performance tests").missed(&idle)
        else {
            panic!("kept")
        };
        assert_eq!(tests, ["sh perf.sh: no test was executed"]);
    }

    #[test]
    fn a_test_in_a_folder_that_says_performance_is_covered_whatever_the_line_of_its_suite() {
        let failed = |name| [(name, TestStatus::Failed)];
        for name in
            ["tests/performance/test_query.py::test_speed", "tests.perf.test_query.test_speed", "bench::tests::fast"]
        {
            let report = report(&[("pytest tests/", 3, &[name])], &failed(name));
            assert!(weights("must pass all performance tests").missed(&report).is_some(), "{name}");
        }
        for name in ["tests/unit/test_load.py::test_config", "load", "tests.test_performance"] {
            let report = report(&[("pytest tests/", 3, &[name])], &failed(name));
            assert_eq!(weights("must pass all performance tests").missed(&report), None, "{name}");
        }
    }
    #[test]
    fn tests_of_a_covered_folder_that_are_all_skipped_miss_the_gate() {
        let (one, other) = ("tests/perf/test_a.py::test_x", "tests/perf/test_b.py::test_y");
        let of = |status| report(&[("pytest tests/", 1, &[])], &[(one, TestStatus::Skipped), (other, status)]);
        let miss = |status| weights("must pass all performance tests").missed(&of(status)).is_some();
        assert_eq!((miss(TestStatus::Skipped), miss(TestStatus::Passed)), (true, false));
    }
}
