//! The report as JUnit XML: a suite a contender, a case a test and a bound, for the viewers that every
//! continuous integration has.

use quick_junit::{NonSuccessKind, Property, Report, TestCase as Case, TestCaseStatus as Status, TestSuite as Suite};

use super::super::{scoreboard, verdict, words};
use crate::domain::cases::{TestCase, TestStatus};
use crate::domain::measurement::Contender;
use crate::domain::plan::MetricBound;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::{Disqualification, Outcome, TestReport};
use crate::domain::verdict::Row;
use crate::engine::state::Facts;

/// The whole document. A contender whose tests did not run has an empty suite that says why.
pub fn junit(facts: &Facts, board: &Scoreboard) -> String {
    let mut report = Report::new(text(&format!("{} ({})", facts.seen.started.plan.title, facts.seen.started.run)));
    report.add_test_suites(board.rows.iter().map(|row| suite(facts, board, row)));
    let written = report.to_string();
    // Writing to memory does not fail.
    debug_assert!(written.is_ok());
    written.unwrap_or_default()
}

fn suite(facts: &Facts, board: &Scoreboard, row: &Row) -> Suite {
    let variant = row.contender.key().and_then(|key| facts.seen.started.plan.variant(key.as_str()));
    let name = variant.map_or_else(|| row.contender.to_string(), |v| format!("{} {}", v.key, v.name));
    let mut suite = Suite::new(text(&name));
    if let Some(ending) = verdict::ending(&row.contender, &row.outcome) {
        suite.add_property(Property::new("outcome", text(&ending)));
    }
    let mut cases = tests(facts, &row.contender);
    cases.extend(bounds(facts, board, row));
    cases.extend(ending(row));
    for case in &mut cases {
        case.set_classname(row.contender.to_string());
    }
    suite.add_test_cases(cases);
    suite
}

/// Its tests. One that fails on the baseline too is the baseline's failure, and told in the baseline's suite.
fn tests(facts: &Facts, contender: &Contender) -> Vec<Case> {
    let failed = |of: &Contender| facts.seen.tests.get(of).map(TestReport::failed).unwrap_or_default();
    let known = if contender.key().is_some() { failed(&Contender::Baseline) } else { Vec::new() };
    let report = facts.seen.tests.get(contender);
    let case = |test: &TestCase| {
        let mut status = match test.status {
            TestStatus::Passed => Status::success(),
            TestStatus::Failed if known.contains(&test.name) => skipped("fails on the baseline too"),
            TestStatus::Failed => failure("failed"),
            TestStatus::Skipped => Status::skipped(),
        };
        // The end of what it printed, where that is known.
        let failed = test.status == TestStatus::Failed;
        if let Some(detail) = report.filter(|_| failed).and_then(|r| r.detail(std::slice::from_ref(&test.name))) {
            status.set_description(text(&detail));
        }
        Case::new(text(&test.name), status)
    };
    report.map(|report| report.cases.iter().map(case).collect()).unwrap_or_default()
}

/// The bounds that a variant is held to, a case each; of one whose value is not known there is none.
fn bounds(facts: &Facts, board: &Scoreboard, row: &Row) -> Vec<Case> {
    let gated = facts.seen.started.plan.metrics.iter().filter(|_| row.contender.key().is_some());
    let case = |metric: &MetricBound| {
        let value = row.metrics.get(&metric.name)?;
        let out = matches!(&row.outcome,
            Outcome::Disqualified { reason: Disqualification::BoundBroken { metric: broken, .. } } if *broken == metric.name);
        let status = match (out, scoreboard::missed(row, metric, board)) {
            (true, _) => failure(&format!("{} is {value}, must be {}", metric.name, metric.bound)),
            (false, true) => skipped("not settled"),
            (false, false) => Status::success(),
        };
        Some(Case::new(text(&scoreboard::metric_title(metric)), status))
    };
    gated.filter_map(case).collect()
}

/// Whoever is out for another reason has a case that says so, or nothing in its suite would have failed.
fn ending(row: &Row) -> Option<Case> {
    let status = match &row.outcome {
        Outcome::Eligible { .. }
        | Outcome::Disqualified {
            reason: Disqualification::TestsFailed { .. } | Disqualification::BoundBroken { .. },
        } => return None,
        // No fault of the contender's.
        Outcome::Infrastructure { message } => saying(Status::non_success(NonSuccessKind::Error), message),
        Outcome::Disqualified { reason } => failure(&reason.to_string()),
    };
    Some(Case::new("stays in the competition", status))
}

fn failure(message: &str) -> Status {
    saying(Status::non_success(NonSuccessKind::Failure), message)
}

fn skipped(why: &str) -> Status {
    saying(Status::skipped(), why)
}

fn saying(mut status: Status, message: &str) -> Status {
    status.set_message(text(&words::one_line(message)));
    status
}

/// Without what would do something to a terminal, and without what XML 1.0 can't hold even when escaped.
fn text(text: &str) -> String {
    let visible = words::visible(text, false);
    visible.chars().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}

#[cfg(test)]
mod tests {
    use quick_xml::events::Event;

    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn viewers_get_a_suite_a_contender_and_a_case_a_test() {
        let facts = fixtures::finished();
        insta::assert_snapshot!(junit(&facts, facts.scoreboard.as_ref().unwrap()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="Lower the cost (20260105-100000-1a2b)" tests="19" skipped="4" failures="2" errors="0">
            <testsuite name="A Cost 20" tests="5" skipped="1" errors="0" failures="0">
                <testcase name="sh tests/run.sh" classname="A"/>
                <testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="A"/>
                <testcase name="later" classname="A">
                    <skipped/>
                </testcase>
                <testcase name="latency_p95 &lt; 80 ms" classname="A"/>
                <testcase name="size &lt;= +10 %" classname="A"/>
            </testsuite>
            <testsuite name="B Cost 60" tests="5" skipped="1" errors="0" failures="0">
                <properties>
                    <property name="outcome" value="B went over budget; what it had done is judged"/>
                </properties>
                <testcase name="sh tests/run.sh" classname="B"/>
                <testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="B"/>
                <testcase name="later" classname="B">
                    <skipped/>
                </testcase>
                <testcase name="latency_p95 &lt; 80 ms" classname="B"/>
                <testcase name="size &lt;= +10 %" classname="B"/>
            </testsuite>
            <testsuite name="C Cost 85" tests="5" skipped="1" errors="0" failures="1">
                <properties>
                    <property name="outcome" value="C is out: latency_p95 is 85.09 ms, must be &lt; 80 ms"/>
                </properties>
                <testcase name="sh tests/run.sh" classname="C"/>
                <testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="C"/>
                <testcase name="later" classname="C">
                    <skipped/>
                </testcase>
                <testcase name="latency_p95 &lt; 80 ms" classname="C">
                    <failure message="latency_p95 is 85.09 ms, must be &lt; 80 ms"/>
                </testcase>
                <testcase name="size &lt;= +10 %" classname="C"/>
            </testsuite>
            <testsuite name="D Elsewhere | &lt;b&gt;" tests="1" skipped="0" errors="0" failures="1">
                <properties>
                    <property name="outcome" value="D is out: changed files that are not allowed: elsewhere.txt, more|&lt;b&gt;.txt"/>
                </properties>
                <testcase name="stays in the competition" classname="D">
                    <failure message="changed files that are not allowed: elsewhere.txt, more|&lt;b&gt;.txt"/>
                </testcase>
            </testsuite>
            <testsuite name="baseline" tests="3" skipped="1" errors="0" failures="0">
                <testcase name="sh tests/run.sh" classname="baseline"/>
                <testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="baseline"/>
                <testcase name="later" classname="baseline">
                    <skipped/>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn a_test_that_the_baseline_fails_is_its_failure_and_a_missed_bound_is_a_failed_case() {
        let mut facts = fixtures::finished();
        let board = facts.scoreboard.clone().unwrap();
        let reports: Vec<_> = facts.seen.tests.iter().map(|(who, report)| (who.clone(), report.clone())).collect();
        for (who, mut report) in reports {
            report.cases[1].status = TestStatus::Failed;
            facts.seen.tests.insert(who, report);
        }
        let text = junit(&facts, &board);
        let suite =
            |name: &str| text.split("<testsuite ").find(|part| part.starts_with(&format!("name=\"{name}"))).unwrap();
        let failures = |name: &str| suite(name).matches("<failure").count();
        assert_eq!((failures("A "), failures("C "), failures("D "), failures("baseline")), (0, 1, 1, 1), "{text}");
        assert!(suite("A ").contains("<skipped message=\"fails on the baseline too\"/>"), "{text}");
        assert!(suite("C ").contains("<failure message=\"latency_p95 is 85.09 ms, must be &lt; 80 ms\"/>"), "{text}");
    }

    #[test]
    fn whatever_a_test_is_called_the_document_is_well_formed_and_says_its_name() {
        let mut facts = fixtures::finished();
        let board = facts.scoreboard.clone().unwrap();
        let name = "a\"b' <c> & ]]> \u{0}\u{1b}\u{ffff} é";
        let cases = [TestStatus::Failed, TestStatus::Passed].map(|status| TestCase { name: name.to_owned(), status });
        facts.seen.tests.insert(Contender::Baseline, TestReport::of(cases.into()));
        let text = junit(&facts, &board);
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut names = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "testcase" => {
                    let value = tag.try_get_attribute("name").unwrap().unwrap().value;
                    names.push(quick_xml::escape::unescape(&value).unwrap().into_owned());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(names.iter().filter(|n| *n == "a\"b' <c> & ]]>  é").count(), 2, "{names:?}");
    }
}
