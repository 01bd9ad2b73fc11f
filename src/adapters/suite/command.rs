//! A suite that is a program: a JUnit report where it writes one, else a report among what it
//! prints, else its exit status.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::format::{self, Format};
use super::output::Cases;
use super::runner::{self, Invocation, Report};
use super::sentinel::Told;
use super::{Site, Suite, SuiteError, gotest};
use crate::adapters::process::{Exchange, Exit, Finished, Program, REPORT_LIMIT};
use crate::domain::cases::{TestCase, TestStatus, merge};
use crate::domain::excerpt::excerpt;
use crate::domain::measurement::Contender;
use crate::domain::trial::{Failure, TestReport};

/// A program that tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// The line of the document that it stands for.
    pub name: String,
    /// What to run. It finds the place for a JUnit report in `BLUEPRINT_JUNIT`; runners that we
    /// know are told by their own options.
    pub command: Program,
    /// How long one run of it may take.
    pub limit: Option<Duration>,
}

/// The suite.
pub(crate) struct CommandSuite {
    settings: CommandSettings,
    /// Whether its runner takes no tests of ours, as the baseline showed.
    unguarded: AtomicBool,
}

impl CommandSuite {
    /// From its settings.
    pub fn new(settings: CommandSettings) -> Self {
        Self { settings, unguarded: AtomicBool::new(false) }
    }

    /// One run, with a report of its own; `None` where the baseline's run took no tests of ours, and is to be done without.
    async fn report(&self, site: &Site, run: &Invocation) -> Result<Option<TestReport>, SuiteError> {
        let unwritable = |why| SuiteError::Machine(format!("no place for a report in the scratch directory: {why}"));
        let exchange = Exchange::new(&site.scratch, "junit.xml").map_err(unwritable)?;
        let told = if self.unguarded.load(Ordering::Relaxed) {
            None
        } else {
            run.sentinels(&site.env, &exchange).map_err(unwritable)?
        };
        let (program, extra) = run.line(&exchange, told.as_ref()).map_err(unwritable)?;
        let mut vars = vec![("BLUEPRINT_JUNIT", exchange.shown())];
        vars.extend(told.iter().flat_map(|told| told.vars.iter().cloned()));
        vars.extend(run.vars().iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut command = site.command(&program, &extra, &vars, self.settings.limit, Some("tests.log"));
        command.keep = KEPT;
        let finished = site.exec.run(command, &site.stop).await?;
        if finished.exit == Exit::Stopped {
            return Err(SuiteError::Stopped);
        }
        let label = &run.label;
        if let Exit::Beyond(_) = finished.exit {
            return Err(SuiteError::Variant(format!("`{label}` {}", finished.exit.ending())));
        }
        let report = exchange.read().map_err(|why| malformed(label, &why.to_string()))?;
        let on_baseline = site.env.get("BLUEPRINT_VARIANT") == Some(&Contender::Baseline.told());
        let (mut cases, mut failures) = match read(run, report, told.as_ref(), &finished) {
            // Where even the base's run has none of them, it is not what is tested that keeps them out.
            Err(Unread::WithoutOurs(_)) if on_baseline => {
                self.unguarded.store(true, Ordering::Relaxed);
                return Ok(None);
            }
            Err(Unread::WithoutOurs(error) | Unread::Other(error)) => return Err(error),
            Ok(read) => read,
        };
        // Every contender has a tree of its own; the same file has the same name in all of them.
        let tree = format!("{}/", site.tree.display());
        for name in cases.iter_mut().map(|case| &mut case.name).chain(failures.iter_mut().map(|said| &mut said.test)) {
            *name = name.replace(&tree, "");
        }
        // What single tests printed is not told apart in most reports: then it is what all of them printed.
        if failures.is_empty() && cases.iter().any(|case| case.status == TestStatus::Failed) {
            let told = gotest::told(&finished.stdout).unwrap_or_else(|| finished.tail(TOLD));
            failures.push(Failure { test: label.clone(), output: excerpt(&told) });
        }
        failures.truncate(FAILURES);
        let leaks = finished.leak(label).into_iter().collect();
        Ok(Some(TestReport { cases, failures, leaks, ..TestReport::default() }))
    }
}

/// Why a run has no report.
enum Unread {
    /// Tests of ours are not in it as they have to be.
    WithoutOurs(SuiteError),
    /// Anything else.
    Other(SuiteError),
}

impl From<SuiteError> for Unread {
    fn from(error: SuiteError) -> Self {
        Self::Other(error)
    }
}

/// The cases of one run and what is said of those that failed, from its report, where it wrote one, or from what it printed.
fn read(
    run: &Invocation,
    report: Option<Vec<u8>>,
    ours: Option<&Told>,
    finished: &Finished,
) -> Result<(Vec<TestCase>, Vec<Failure>), Unread> {
    let label = &run.label;
    let cases = match (report, run.report) {
        (Some(bytes), _) => {
            let (mut cases, mut failures) = match run.read()(&bytes) {
                Ok(read) => read,
                Err(why) => return Ok((judged(label, Err(why), finished)?, Vec::new())),
            };
            if let Some(Err(why)) = ours.map(|ours| ours.sentinels.take(&mut cases, &mut failures)) {
                return Err(Unread::WithoutOurs(malformed(label, &format!("{why}{}", said(finished)))));
            }
            return Ok((judged(label, Ok(cases), finished)?, failures));
        }
        (None, Report::File(..)) => return Err(unreported(label, finished).into()),
        (None, Report::Printed(..)) if is_cut(finished) => return Err(cut(label, finished.exit).into()),
        (None, Report::Printed(format, ..)) => printed(label, format, finished)?,
        // What runs in its place reports when its tests are over, however they ended.
        (None, Report::Unknown) if ours.is_some() => return Err(Unread::WithoutOurs(cut_short(label, finished))),
        (None, Report::Unknown) => match format::recognised(&finished.first) {
            Some(_) if is_cut(finished) => return Err(cut(label, finished.exit).into()),
            Some(format) => printed(label, format, finished)?,
            None => vec![TestCase { name: label.clone(), status: status(finished.exit) }],
        },
    };
    Ok((cases, Vec::new()))
}

#[async_trait]
impl Suite for CommandSuite {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn program(&self) -> Option<&str> {
        match &self.settings.command {
            Program::Argv(words) => words.first().map(String::as_str),
            Program::Shell(_) => None,
        }
    }

    fn takes_selectors(&self) -> bool {
        true
    }

    async fn run(&self, site: &Site, selectors: &[String]) -> Result<TestReport, SuiteError> {
        if let Some(option) = selectors.iter().find(|s| s.is_empty() || s.starts_with('-')) {
            return Err(SuiteError::Refused(format!("`{option}` can't select a test: it would be read as an option")));
        }
        let CommandSettings { name, command, .. } = &self.settings;
        let mut report = TestReport::default();
        for invocation in [runner::whole(name, command)].into_iter().chain(runner::selected(command, selectors)) {
            let part = loop {
                if let Some(part) = self.report(site, &invocation).await? {
                    break part;
                }
            };
            report.cases.extend(part.cases);
            report.failures.extend(part.failures);
            report.leaks.extend(part.leaks);
        }
        Ok(TestReport { cases: merge(report.cases), ..report })
    }
}

/// Lines of each stream that are looked at for what is shown of a failure.
const TOLD: usize = 40;

/// Failures of one run of a suite whose output is kept apart; all of it is in the log.
const FAILURES: usize = 10;

/// How much of each stream is kept: one byte more than a report may have.
const KEPT: usize = REPORT_LIMIT as usize + 1;

/// Whether the beginning of a stream is gone.
fn is_cut(finished: &Finished) -> bool {
    finished.stdout.len() >= KEPT || finished.stderr.len() >= KEPT
}

/// As [`judged`], of what was printed.
fn printed(name: &str, format: &Format, finished: &Finished) -> Result<Vec<TestCase>, SuiteError> {
    let report = (format.parse)(&finished.stdout, &finished.stderr);
    judged(name, report.map_err(|why| format!("read as {}, {why}", format.name)), finished)
}

/// What a report and an exit status say together.
fn judged(name: &str, report: Cases, finished: &Finished) -> Result<Vec<TestCase>, SuiteError> {
    let mut cases = report.map_err(|why| malformed(name, &format!("{why} ({}){}", finished.exit, said(finished))))?;
    let counted = cases.iter().filter(|c| c.status != TestStatus::Skipped).count();
    if counted == 0 {
        let what = match (cases.is_empty(), finished.exit.success()) {
            (true, true) => "found no tests",
            (true, false) => "ended before any test was run",
            (false, _) => "skipped every test",
        };
        return Err(SuiteError::Variant(format!("`{name}` {what} ({}){}", finished.exit, said(finished))));
    }
    let failed = cases.iter().any(|c| c.status == TestStatus::Failed);
    if !finished.exit.success() && !failed {
        cases.push(TestCase { name: format!("{name}: exit status"), status: TestStatus::Failed });
    }
    Ok(cases)
}

/// A report of which the beginning is gone.
fn cut(name: &str, exit: Exit) -> SuiteError {
    SuiteError::Variant(format!(
        "`{name}` printed more than 64 MiB ({exit}), so what it reports can't be read whole; let its tests print less, \
         or write JUnit XML to $BLUEPRINT_JUNIT"
    ))
}

fn unreported(name: &str, finished: &Finished) -> SuiteError {
    SuiteError::Variant(format!(
        "`{name}` ended without a report ({}); one that it writes elsewhere has to be copied to $BLUEPRINT_JUNIT{}",
        finished.exit,
        said(finished)
    ))
}

fn cut_short(name: &str, finished: &Finished) -> SuiteError {
    SuiteError::Variant(format!("`{name}` ended before its tests did ({}){}", finished.exit, said(finished)))
}

fn malformed(name: &str, why: &str) -> SuiteError {
    SuiteError::Variant(format!("the report of `{name}` can't be used: {why}"))
}

fn status(exit: Exit) -> TestStatus {
    if exit.success() { TestStatus::Passed } else { TestStatus::Failed }
}

/// The last lines of both streams, as long as a compiler's last message; JSON is not for people.
fn said(finished: &Finished) -> String {
    let tail = finished.tail(TOLD);
    tail.lines().filter(|line| !line.starts_with('{')).map(|line| format!("\n{line}")).collect()
}
