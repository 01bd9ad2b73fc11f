//! The report as JUnit XML: a suite a contender, a case a test, for the viewers that every
//! continuous integration has.

use std::io;

use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::writer::Writer;

use super::super::{verdict, words};
use crate::domain::measurement::Contender;
use crate::domain::trial::{TestCase, TestReport, TestStatus};
use crate::domain::verdict::{Row, Scoreboard};
use crate::engine::journal::Facts;

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
    let title = valid(&format!("{} ({})", facts.started.plan.title, facts.started.run));
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer.write_event(Event::Start(BytesStart::new("testsuites").with_attributes([("name", title.as_str())])))?;
    for row in &board.rows {
        suite(writer, facts, row)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))
}

fn suite(writer: &mut Writer<Vec<u8>>, facts: &Facts, row: &Row) -> io::Result<()> {
    let nothing = TestReport::default();
    let report = facts.tests.get(&row.contender).unwrap_or(&nothing);
    let variant = row.contender.key().and_then(|key| facts.started.plan.variant(key.as_str()));
    let name = variant.map_or_else(|| row.contender.to_string(), |v| format!("{} {}", v.key, v.name));
    let failed = report.counted() - report.passed();
    let numbers = [report.cases.len(), failed, report.cases.len() - report.counted()].map(|n| n.to_string());
    let tag = BytesStart::new("testsuite").with_attributes([
        ("name", valid(&name).as_str()),
        ("tests", &numbers[0]),
        ("failures", &numbers[1]),
        ("skipped", &numbers[2]),
    ]);
    writer.write_event(Event::Start(tag))?;
    if let Some(ending) = verdict::ending(&row.contender, &row.outcome) {
        writer.write_event(Event::Start(BytesStart::new("properties")))?;
        let property = [("name", "outcome"), ("value", &valid(&ending))];
        writer.write_event(Event::Empty(BytesStart::new("property").with_attributes(property)))?;
        writer.write_event(Event::End(BytesEnd::new("properties")))?;
    }
    for test in &report.cases {
        case(writer, &row.contender, test, report)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn case(writer: &mut Writer<Vec<u8>>, contender: &Contender, test: &TestCase, report: &TestReport) -> io::Result<()> {
    let (class, name) = (contender.to_string(), valid(&test.name));
    let tag = BytesStart::new("testcase").with_attributes([("classname", class.as_str()), ("name", name.as_str())]);
    let inner = match test.status {
        TestStatus::Passed => return writer.write_event(Event::Empty(tag)),
        TestStatus::Failed => BytesStart::new("failure").with_attributes([("message", "failed")]),
        TestStatus::Skipped => BytesStart::new("skipped"),
    };
    writer.write_event(Event::Start(tag))?;
    match report.detail(std::slice::from_ref(&test.name)).filter(|_| test.status == TestStatus::Failed) {
        Some(detail) => {
            writer.write_event(Event::Start(inner.borrow()))?;
            writer.write_event(Event::Text(BytesText::new(&valid(&detail))))?;
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
          <testsuite name="A Cost 20" tests="3" failures="0" skipped="1">
            <testcase classname="A" name="sh tests/run.sh"/>
            <testcase classname="A" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="A" name="later">
              <skipped/>
            </testcase>
          </testsuite>
          <testsuite name="B Cost 60" tests="3" failures="0" skipped="1">
            <properties>
              <property name="outcome" value="B went over budget; what it had done is judged"/>
            </properties>
            <testcase classname="B" name="sh tests/run.sh"/>
            <testcase classname="B" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="B" name="later">
              <skipped/>
            </testcase>
          </testsuite>
          <testsuite name="C Cost 85" tests="3" failures="0" skipped="1">
            <properties>
              <property name="outcome" value="C is out: latency_p95 is 85.09 ms, must be &lt; 80 ms"/>
            </properties>
            <testcase classname="C" name="sh tests/run.sh"/>
            <testcase classname="C" name="a &lt;b&gt; &amp; &quot;c&quot;"/>
            <testcase classname="C" name="later">
              <skipped/>
            </testcase>
          </testsuite>
          <testsuite name="D Elsewhere | &lt;b&gt;" tests="0" failures="0" skipped="0">
            <properties>
              <property name="outcome" value="D is out: outside the diff contract: elsewhere.txt, more|&lt;b&gt;.txt"/>
            </properties>
          </testsuite>
          <testsuite name="baseline" tests="3" failures="0" skipped="1">
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
    fn whatever_a_test_is_called_the_document_is_well_formed_and_says_its_name() {
        let mut facts = fixtures::finished();
        let board = facts.scoreboard.clone().unwrap();
        let name = "a\"b' <c> & ]]> \u{0}\u{1b}\u{ffff} é";
        let cases = [TestStatus::Failed, TestStatus::Passed].map(|status| TestCase { name: name.to_owned(), status });
        facts.tests.insert(Contender::Baseline, TestReport::of(cases.into()));
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
