//! Test cases, and how reports are brought together: a case counts once, with the worst that was seen of it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

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

/// The cases of several reports in the order in which they first occur.
pub fn merge(cases: impl IntoIterator<Item = TestCase>) -> Vec<TestCase> {
    let mut merged: Vec<TestCase> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for case in cases {
        match places.get(&case.name) {
            Some(&at) => merged[at].status = worse(merged[at].status, case.status),
            None => {
                places.insert(case.name.clone(), merged.len());
                merged.push(case);
            }
        }
    }
    merged
}

/// A failure weighs more than a pass, and a pass more than not having been run.
fn worse(a: TestStatus, b: TestStatus) -> TestStatus {
    let weight = |status| match status {
        TestStatus::Skipped => 0,
        TestStatus::Passed => 1,
        TestStatus::Failed => 2,
    };
    if weight(a) >= weight(b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_seen_twice_counts_once_with_the_worse_result() {
        use TestStatus::{Failed, Passed, Skipped};
        let case = |name: &str, status| TestCase { name: name.to_owned(), status };
        let seen = [case("a", Passed), case("b", Skipped), case("a", Failed), case("b", Passed), case("a", Passed)];
        assert_eq!(merge(seen), [case("a", Failed), case("b", Passed)]);
    }
}
