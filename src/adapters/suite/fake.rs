//! A suite for tests of the engine: it answers from a closure and runs nothing.

use async_trait::async_trait;

use super::{Site, Suite, SuiteError};
use crate::domain::cases::{TestCase, TestStatus};
use crate::domain::trial::TestReport;

type Answer = dyn Fn(&Site, &[String]) -> Result<TestReport, SuiteError> + Send + Sync;

/// For tests: a suite whose report is what the closure says.
pub struct FakeSuite {
    name: String,
    answer: Box<Answer>,
}

impl FakeSuite {
    /// The site's tree tells the closure who is being tested.
    pub fn new(
        name: &str,
        answer: impl Fn(&Site, &[String]) -> Result<TestReport, SuiteError> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_owned(), answer: Box::new(answer) }
    }

    /// A suite in which these cases pass everywhere.
    pub fn passing(name: &str, cases: &[&str]) -> Self {
        let case = |name: &&str| TestCase { name: (*name).to_owned(), status: TestStatus::Passed };
        let report = TestReport::of(cases.iter().map(case).collect());
        Self::new(name, move |_, _| Ok(report.clone()))
    }
}

#[async_trait]
impl Suite for FakeSuite {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_selectors(&self) -> bool {
        true
    }

    async fn run(&self, site: &Site, selectors: &[String]) -> Result<TestReport, SuiteError> {
        if site.stop.is_cancelled() { Err(SuiteError::Stopped) } else { (self.answer)(site, selectors) }
    }
}
