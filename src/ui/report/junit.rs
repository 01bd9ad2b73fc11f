//! The report as JUnit XML: a suite a contender, a case a test and a bound, for the viewers that every
//! continuous integration has.

use std::io;

use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::writer::Writer;

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
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory does not fail.
    let written = document(&mut writer, facts, board);
    debug_assert!(written.is_ok());
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

fn document(writer: &mut Writer<Vec<u8>>, facts: &Facts, board: &Scoreboard) -> io::Result<()> {
    let title = valid(&format!("{} ({})", facts.seen.started.plan.title, facts.seen.started.run));
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer.write_event(Event::Start(BytesStart::new("testsuites").with_attributes([("name", title.as_str())])))?;
    for row in &board.rows {
        suite(writer, facts, board, row)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))
}

/// A case of a suite as viewers get it.
struct Case {
    name: String,
    result: Seen,
    /// The end of what it printed, where it failed and that is known.
    detail: Option<String>,
}

/// What it came to.
enum Seen {
    Passed,
    Failed(String),
    Skipped(Option<&'static str>),
    /// No fault of the contender's.
    Broken(String),
}

fn suite(writer: &mut Writer<Vec<u8>>, facts: &Facts, board: &Scoreboard, row: &Row) -> io::Result<()> {
    let variant = row.contender.key().and_then(|key| facts.seen.started.plan.variant(key.as_str()));
    let name = variant.map_or_else(|| row.contender.to_string(), |v| format!("{} {}", v.key, v.name));
    let mut cases = tests(facts, &row.contender);
    cases.extend(bounds(facts, board, row));
    cases.extend(ending(row));
    let count = |wanted: fn(&Seen) -> bool| cases.iter().filter(|case| wanted(&case.result)).count().to_string();
    let failed = count(|seen| matches!(seen, Seen::Failed(_)));
    let (errors, skipped) =
        (count(|seen| matches!(seen, Seen::Broken(_))), count(|seen| matches!(seen, Seen::Skipped(_))));
    let tag = BytesStart::new("testsuite").with_attributes([
        ("name", valid(&name).as_str()),
        ("tests", &cases.len().to_string()),
        ("failures", &failed),
        ("errors", &errors),
        ("skipped", &skipped),
    ]);
    writer.write_event(Event::Start(tag))?;
    if let Some(ending) = verdict::ending(&row.contender, &row.outcome) {
        writer.write_event(Event::Start(BytesStart::new("properties")))?;
        let property = [("name", "outcome"), ("value", &valid(&ending))];
        writer.write_event(Event::Empty(BytesStart::new("property").with_attributes(property)))?;
        writer.write_event(Event::End(BytesEnd::new("properties")))?;
    }
    for test in &cases {
        case(writer, &row.contender, test)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

/// Its tests. One that fails on the baseline too is the baseline's failure, and told in the baseline's suite.
fn tests(facts: &Facts, contender: &Contender) -> Vec<Case> {
    let failed = |of: &Contender| facts.seen.tests.get(of).map(TestReport::failed).unwrap_or_default();
    let known = if contender.key().is_some() { failed(&Contender::Baseline) } else { Vec::new() };
    let cases = facts.seen.tests.get(contender).map(|report| report.cases.as_slice()).unwrap_or_default();
    let seen = |test: &TestCase| match test.status {
        TestStatus::Passed => Seen::Passed,
        TestStatus::Failed if known.contains(&test.name) => Seen::Skipped(Some("fails on the baseline too")),
        TestStatus::Failed => Seen::Failed("failed".to_owned()),
        TestStatus::Skipped => Seen::Skipped(None),
    };
    let report = facts.seen.tests.get(contender);
    let detail = |test: &TestCase| report?.detail(std::slice::from_ref(&test.name));
    let case = |test: &TestCase| {
        let detail = detail(test).filter(|_| test.status == TestStatus::Failed);
        Case { name: test.name.clone(), result: seen(test), detail }
    };
    cases.iter().map(case).collect()
}

/// The bounds that a variant is held to, a case each; of one whose value is not known there is none.
fn bounds(facts: &Facts, board: &Scoreboard, row: &Row) -> Vec<Case> {
    let gated = facts.seen.started.plan.metrics.iter().filter(|_| row.contender.key().is_some());
    let case = |metric: &MetricBound| {
        let value = row.metrics.get(&metric.name)?;
        let out = matches!(&row.outcome,
            Outcome::Disqualified { reason: Disqualification::BoundBroken { metric: broken, .. } } if *broken == metric.name);
        let result = match (out, scoreboard::missed(row, metric, board)) {
            (true, _) => Seen::Failed(format!("{} is {value}, must be {}", metric.name, metric.bound)),
            (false, true) => Seen::Skipped(Some("not settled")),
            (false, false) => Seen::Passed,
        };
        Some(Case { name: scoreboard::metric_title(metric), result, detail: None })
    };
    gated.filter_map(case).collect()
}

/// Whoever is out for another reason has a case that says so, or nothing in its suite would have failed.
fn ending(row: &Row) -> Option<Case> {
    let result = match &row.outcome {
        Outcome::Eligible { .. } => return None,
        Outcome::Infrastructure { message } => Seen::Broken(message.clone()),
        Outcome::Disqualified {
            reason: Disqualification::TestsFailed { .. } | Disqualification::BoundBroken { .. },
        } => {
            return None;
        }
        Outcome::Disqualified { reason } => Seen::Failed(reason.to_string()),
    };
    Some(Case { name: "stays in the competition".to_owned(), result, detail: None })
}

fn case(writer: &mut Writer<Vec<u8>>, contender: &Contender, case: &Case) -> io::Result<()> {
    let (class, name) = (contender.to_string(), valid(&case.name));
    let tag = BytesStart::new("testcase").with_attributes([("classname", class.as_str()), ("name", name.as_str())]);
    let said = |tag: &'static str, message: &str| {
        BytesStart::new(tag).with_attributes([("message", valid(&words::one_line(message)).as_str())])
    };
    let inner = match &case.result {
        Seen::Passed => return writer.write_event(Event::Empty(tag)),
        Seen::Failed(message) => said("failure", message),
        Seen::Broken(message) => said("error", message),
        Seen::Skipped(Some(why)) => said("skipped", why),
        Seen::Skipped(None) => BytesStart::new("skipped"),
    };
    writer.write_event(Event::Start(tag))?;
    match &case.detail {
        Some(detail) => {
            writer.write_event(Event::Start(inner.borrow()))?;
            writer.write_event(Event::Text(BytesText::new(&valid(detail))))?;
            writer.write_event(Event::End(inner.to_end()))?;
        }
        None => writer.write_event(Event::Empty(inner))?,
    }
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

/// Without what XML 1.0 can't hold even when escaped.
fn valid(text: &str) -> String {
    let visible = words::visible(text, false);
    visible.chars().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn viewers_get_a_suite_a_contender_and_a_case_a_test() {
        let facts = fixtures::finished();
        insta::assert_snapshot!(junit(&facts, facts.scoreboard.as_ref().unwrap()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="Lower the cost (20260105-100000-1a2b)">
          <testsuite name="A Cost 20" tests="5" failures="0" errors="0" skipped="1">
            <testcase classname="A" name="sh tests/run.sh"/>
            <testcase classname="A" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="A" name="later">
              <skipped/>
            </testcase>
            <testcase classname="A" name="latency_p95 &lt; 80 ms"/>
            <testcase classname="A" name="size &lt;= +10 %"/>
          </testsuite>
          <testsuite name="B Cost 60" tests="5" failures="0" errors="0" skipped="1">
            <properties>
              <property name="outcome" value="B went over budget; what it had done is judged"/>
            </properties>
            <testcase classname="B" name="sh tests/run.sh"/>
            <testcase classname="B" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="B" name="later">
              <skipped/>
            </testcase>
            <testcase classname="B" name="latency_p95 &lt; 80 ms"/>
            <testcase classname="B" name="size &lt;= +10 %"/>
          </testsuite>
          <testsuite name="C Cost 85" tests="5" failures="1" errors="0" skipped="1">
            <properties>
              <property name="outcome" value="C is out: latency_p95 is 85.09 ms, must be &lt; 80 ms"/>
            </properties>
            <testcase classname="C" name="sh tests/run.sh"/>
            <testcase classname="C" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="C" name="later">
              <skipped/>
            </testcase>
            <testcase classname="C" name="latency_p95 &lt; 80 ms">
              <failure message="latency_p95 is 85.09 ms, must be &lt; 80 ms"/>
            </testcase>
            <testcase classname="C" name="size &lt;= +10 %"/>
          </testsuite>
          <testsuite name="D Elsewhere | &lt;b&gt;" tests="1" failures="1" errors="0" skipped="0">
            <properties>
              <property name="outcome" value="D is out: outside the diff contract: elsewhere.txt, more|&lt;b&gt;.txt"/>
            </properties>
            <testcase classname="D" name="stays in the competition">
              <failure message="outside the diff contract: elsewhere.txt, more|&lt;b&gt;.txt"/>
            </testcase>
          </testsuite>
          <testsuite name="baseline" tests="3" failures="0" errors="0" skipped="1">
            <testcase classname="baseline" name="sh tests/run.sh"/>
            <testcase classname="baseline" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="baseline" name="later">
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
