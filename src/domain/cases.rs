//! Bringing reports together: a case counts once, with the worst that was seen of it.

use std::collections::HashMap;

use super::trial::{TestCase, TestStatus};

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
