//! A suite that is a program: a JUnit report where it writes one, else its exit status.

use std::time::Duration;

use async_trait::async_trait;

use super::merge::merge;
use super::runner::{self, Invocation};
use super::{Site, Suite, SuiteError, junit};
use crate::adapters::process::{Exchange, Exit, Finished, Program};
use crate::domain::trial::{TestCase, TestReport, TestStatus};

/// A program that tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// The line of the document that it stands for.
    pub name: String,
    /// What to run. It finds the place for a JUnit report in `BLUEPRINT_JUNIT`; pytest is told
    /// by its own option.
    pub command: Program,
    /// How long one run of it may take.
    pub limit: Option<Duration>,
}

/// The suite.
pub struct CommandSuite {
    settings: CommandSettings,
}

impl CommandSuite {
    /// From its settings.
    pub fn new(settings: CommandSettings) -> Self {
        Self { settings }
    }

    /// One run, with a report of its own.
    async fn cases(&self, site: &Site, run: Invocation) -> Result<Vec<TestCase>, SuiteError> {
        let exchange = Exchange::new(&site.scratch, "junit.xml")
            .map_err(|why| SuiteError::Machine(format!("no place for a report in the scratch directory: {why}")))?;
        let path = exchange.shown();
        let Invocation { label, program, mut extra, report } = run;
        let arguments = report(&path);
        let promised = !arguments.is_empty();
        extra.extend(arguments);
        let vars = [("BLUEPRINT_JUNIT", path)];
        let finished = site.run(&program, &extra, &vars, self.settings.limit, Some("tests.log")).await?;
        if finished.exit == Exit::Stopped {
            return Err(SuiteError::Stopped);
        }
        match exchange.read().map_err(|why| malformed(&label, &why.to_string()))? {
            Some(bytes) => judged(&label, &bytes, &finished),
            None if promised => Err(unreported(&label, &finished)),
            None => Ok(vec![TestCase { name: label, status: status(finished.exit) }]),
        }
    }
}

#[async_trait]
impl Suite for CommandSuite {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn takes_selectors(&self) -> bool {
        true
    }

    async fn run(&self, site: &Site, selectors: &[String]) -> Result<TestReport, SuiteError> {
        if let Some(option) = selectors.iter().find(|s| s.is_empty() || s.starts_with('-')) {
            return Err(SuiteError::Refused(format!("`{option}` can't select a test: it would be read as an option")));
        }
        let Self { settings: CommandSettings { name, command, .. } } = self;
        let mut cases = Vec::new();
        for invocation in [runner::whole(name, command)].into_iter().chain(runner::selected(command, selectors)) {
            cases.extend(self.cases(site, invocation).await?);
        }
        Ok(TestReport { cases: merge(cases) })
    }
}

/// What a report and an exit status say together.
fn judged(name: &str, bytes: &[u8], finished: &Finished) -> Result<Vec<TestCase>, SuiteError> {
    let mut cases =
        junit::parse(bytes).map_err(|why| malformed(name, &format!("{why} ({}){}", finished.exit, said(finished))))?;
    let counted = cases.iter().filter(|c| c.status != TestStatus::Skipped).count();
    if counted == 0 {
        let skipped = if cases.is_empty() { "found no tests" } else { "skipped every test" };
        return Err(SuiteError::Variant(format!("`{name}` {skipped} ({}){}", finished.exit, said(finished))));
    }
    let failed = cases.iter().any(|c| c.status == TestStatus::Failed);
    if !finished.exit.success() && !failed {
        cases.push(TestCase { name: format!("{name}: exit status"), status: TestStatus::Failed });
    }
    Ok(cases)
}

fn unreported(name: &str, finished: &Finished) -> SuiteError {
    SuiteError::Variant(format!("`{name}` ended without a report ({}){}", finished.exit, said(finished)))
}

fn malformed(name: &str, why: &str) -> SuiteError {
    SuiteError::Variant(format!("the report of `{name}` can't be read: {why}"))
}

fn status(exit: Exit) -> TestStatus {
    if exit.success() { TestStatus::Passed } else { TestStatus::Failed }
}

fn said(finished: &Finished) -> String {
    let tail = finished.tail(8);
    if tail.is_empty() { String::new() } else { format!("\n{tail}") }
}
