//! Tests that agree with themselves. One that comes out differently in two trees of the same commit says nothing about
//! a change: it decides nothing, for nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::TestStatus;
use super::measurement::Contender;
use super::trial::TestReport;

/// Which tests do not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unsteady {
    names: Vec<String>,
}

/// What the tests of all contenders came to: as they did, and as far as that decides.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reports {
    all: BTreeMap<Contender, TestReport>,
    deciding: BTreeMap<Contender, TestReport>,
    unsteady: Unsteady,
}

impl Reports {
    /// Adds a report, or puts it in the place of one.
    pub fn insert(&mut self, contender: Contender, report: TestReport) {
        let of_base = contender.key().is_none();
        self.all.insert(contender, report);
        if of_base && let Some(baseline) = self.all.get(&Contender::Baseline) {
            self.unsteady = Unsteady::between(baseline, self.all.get(&Contender::Shadow));
        }
        self.deciding = self.all.iter().map(|(who, report)| (who.clone(), self.part(report))).collect();
    }

    /// Takes a variant's away.
    pub fn remove(&mut self, variant: &Contender) {
        self.all.remove(variant);
        self.deciding.remove(variant);
    }

    /// What a report, also another than these such as a merged tree's, says without the unsteady ones. Where no other is
    /// left, everybody has what the baseline has.
    pub fn part(&self, report: &TestReport) -> TestReport {
        match self.all.get(&Contender::Baseline) {
            Some(baseline) if self.decide_nothing() => baseline.clone(),
            _ => self.unsteady.left_out_of(report),
        }
    }

    /// A contender's, as it came out.
    pub fn get(&self, contender: &Contender) -> Option<&TestReport> {
        self.all.get(contender)
    }

    /// A contender's, without tests that are known to say nothing.
    pub fn deciding(&self, contender: &Contender) -> Option<&TestReport> {
        self.deciding.get(contender)
    }

    /// Which tests say nothing.
    pub fn unsteady(&self) -> &Unsteady {
        &self.unsteady
    }

    /// Whether nothing decides, although tests were run.
    pub fn decide_nothing(&self) -> bool {
        self.all.get(&Contender::Baseline).is_some_and(|baseline| self.unsteady.are_all_of(baseline))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Contender, &TestReport)> {
        self.all.iter()
    }
}

impl Unsteady {
    /// By the reports of two trees of the baseline; where there is one only, nothing is known.
    pub fn between(baseline: &TestReport, shadow: Option<&TestReport>) -> Self {
        Self { names: shadow.map(|shadow| differing(baseline, shadow)).unwrap_or_default() }
    }

    /// Their names, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A report without them.
    fn left_out_of(&self, report: &TestReport) -> TestReport {
        let known = |name: &String| self.names.binary_search(name).is_ok();
        let mut left = report.clone();
        left.cases.retain(|case| !known(&case.name));
        for suite in &mut left.suites {
            suite.failed.retain(|name| !known(name));
        }
        left
    }

    /// Whether every test of the baseline's that ran is among them.
    fn are_all_of(&self, baseline: &TestReport) -> bool {
        !self.names.is_empty() && self.left_out_of(baseline).counted() == 0
    }
}

/// Names of the tests that two reports do not agree on, sorted.
pub fn differing(a: &TestReport, b: &TestReport) -> Vec<String> {
    fn all(report: &TestReport) -> BTreeSet<(&str, TestStatus)> {
        report.cases.iter().map(|case| (case.name.as_str(), case.status)).collect()
    }
    let names: BTreeSet<&str> = all(a).symmetric_difference(&all(b)).map(|(name, _)| *name).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// What programs say where a port is taken, by languages and systems.
const TAKEN: [&str; 8] = [
    "address already in use",
    "address in use",
    "eaddrinuse",
    "port is already allocated",
    "already in use by another process",
    "only one usage of each socket address",
    "os error 98",
    "errno 98",
];

/// Whether a test of this report that failed tells that somebody else has its port.
pub fn tells_of_a_taken_port(report: &TestReport) -> bool {
    report.cases.iter().any(|case| case.status == TestStatus::Failed)
        && report.failures.iter().any(|failure| is_a_taken_port(&failure.output))
}

/// Whether what was printed tells that somebody else has a port.
pub fn is_a_taken_port(printed: &str) -> bool {
    let lower = printed.to_lowercase();
    let port = |line: &str| line.contains("port") && (line.contains("already in use") || line.contains("is in use"));
    TAKEN.iter().any(|words| lower.contains(words)) || lower.lines().any(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cases::TestCase;
    use crate::domain::trial::SuiteRun;

    fn report(cases: &[(&str, TestStatus)]) -> TestReport {
        let case = |(name, status): &(&str, TestStatus)| TestCase { name: (*name).to_owned(), status: *status };
        TestReport::of(cases.iter().map(case).collect())
    }

    const PASSED: TestStatus = TestStatus::Passed;
    const FAILED: TestStatus = TestStatus::Failed;

    #[test]
    fn a_test_that_comes_out_differently_in_two_trees_of_the_baseline_is_left_out_of_every_report() {
        let baseline = report(&[("a", PASSED), ("b", FAILED), ("c", PASSED)]);
        let unsteady = Unsteady::between(&baseline, Some(&report(&[("a", PASSED), ("b", PASSED)])));
        assert_eq!(unsteady.names(), ["b", "c"]);
        let suites = vec![SuiteRun { suite: "s".to_owned(), ran: 3, failed: vec!["a".to_owned(), "b".to_owned()] }];
        let variant = TestReport { suites, ..report(&[("a", FAILED), ("b", FAILED), ("d", PASSED)]) };
        let left = unsteady.left_out_of(&variant);
        assert_eq!(left.cases, report(&[("a", FAILED), ("d", PASSED)]).cases);
        assert_eq!(left.suites[0].failed, ["a"]);
        assert!(!unsteady.are_all_of(&baseline));
        assert!(unsteady.are_all_of(&report(&[("b", FAILED)])));
    }

    #[test]
    fn of_one_tree_nothing_is_known_and_nothing_left_out() {
        let baseline = report(&[("a", FAILED)]);
        let unsteady = Unsteady::between(&baseline, None);
        assert_eq!(unsteady.left_out_of(&baseline), baseline);
        assert!(!unsteady.are_all_of(&report(&[])));
    }

    #[test]
    fn a_taken_port_is_known_in_the_words_of_many_languages() {
        for words in [
            "OSError: [Errno 98] Address already in use",
            "Error: listen EADDRINUSE: address already in use 127.0.0.1:8080",
            "listen tcp :8080: bind: address already in use",
            "called `Result::unwrap()` on an `Err` value: Os { code: 98, kind: AddrInUse, message: \"Address in use\" }",
            "java.net.BindException: Address already in use (Bind failed)",
            "Web server failed to start. Port 8080 was already in use.",
            "Bind for 0.0.0.0:5432 failed: port is already allocated",
        ] {
            assert!(is_a_taken_port(words), "{words}");
        }
        for words in ["AssertionError: 1 != 2", "the name is already in use", "connection refused (os error 111)"] {
            assert!(!is_a_taken_port(words), "{words}");
        }
    }
}
