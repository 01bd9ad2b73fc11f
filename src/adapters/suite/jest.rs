//! The report that Jest writes as JSON.

use serde::Deserialize;

use super::junit::{self, Read};
use crate::domain::cases::{TestCase, TestStatus, merge};
use crate::domain::excerpt::excerpt;
use crate::domain::trial::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    test_results: Vec<File>,
}

/// A file of tests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    assertion_results: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    full_name: String,
    status: String,
    #[serde(default)]
    failure_messages: Vec<String>,
}

/// Every case with what is said of each failure. A file that could not be run is a case that failed.
pub(super) fn read(bytes: &[u8]) -> Read {
    // What the repository's own reporter writes to the same place.
    if bytes.trim_ascii_start().starts_with(b"<") {
        return junit::read(bytes);
    }
    let report: Report = serde_json::from_slice(bytes).map_err(|why| format!("it is not Jest's JSON: {why}"))?;
    let (mut cases, mut failures) = (Vec::new(), Vec::new());
    for file in report.test_results {
        let failed = |test: &Test| test.status == "failed";
        if file.status == "failed" && !file.assertion_results.iter().any(failed) {
            failures.push(Failure { test: file.name.clone(), output: excerpt(&file.message) });
            cases.push(TestCase { name: file.name.clone(), status: TestStatus::Failed });
        }
        for test in file.assertion_results {
            let name = format!("{}::{}", file.name, test.full_name);
            let status = match test.status.as_str() {
                "passed" => TestStatus::Passed,
                "failed" => TestStatus::Failed,
                "pending" | "skipped" | "todo" | "disabled" | "focused" => TestStatus::Skipped,
                other => return Err(format!("the test `{name}` is told to be `{other}`")),
            };
            if status == TestStatus::Failed {
                failures.push(Failure { test: name.clone(), output: excerpt(&test.failure_messages.join("\n")) });
            }
            cases.push(TestCase { name, status });
        }
    }
    Ok((merge(cases), failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Jest 30 writes it, without what is not read.
    const REPORT: &str = r#"{"numFailedTests": 1, "success": false, "testResults": [
        {"name": "/t/c.test.js", "status": "failed", "message": "all of it", "assertionResults": [
            {"fullName": "g adds", "status": "passed", "failureMessages": [], "ancestorTitles": ["g"]},
            {"fullName": "g bad", "status": "failed", "failureMessages": ["Expected: 2\nReceived: 1"]},
            {"fullName": "g s", "status": "pending", "failureMessages": []},
            {"fullName": "g later", "status": "todo", "failureMessages": []}]},
        {"name": "/t/d.test.js", "status": "failed", "message": "Cannot find module './x'", "assertionResults": []}]}"#;

    #[test]
    fn every_test_is_a_case_and_a_file_that_can_not_be_run_is_one_that_failed() {
        let (cases, failures) = read(REPORT.as_bytes()).unwrap();
        let told: Vec<_> = cases.iter().map(|case| (case.name.as_str(), case.status)).collect();
        assert_eq!(
            told,
            [
                ("/t/c.test.js::g adds", TestStatus::Passed),
                ("/t/c.test.js::g bad", TestStatus::Failed),
                ("/t/c.test.js::g s", TestStatus::Skipped),
                ("/t/c.test.js::g later", TestStatus::Skipped),
                ("/t/d.test.js", TestStatus::Failed),
            ]
        );
        let said: Vec<_> = failures.iter().map(|failure| failure.output.as_str()).collect();
        assert_eq!(said, ["Expected: 2\nReceived: 1", "Cannot find module './x'"]);
    }

    #[test]
    fn a_report_that_is_cut_off_or_says_what_nobody_knows_is_none() {
        for at in 0..REPORT.len() {
            assert!(read(&REPORT.as_bytes()[..at]).is_err(), "at {at}");
        }
        assert!(read(REPORT.replace("\"todo\"", "\"perhaps\"").as_bytes()).is_err());
    }
}
