//! JUnit XML, as pytest, Maven, Gradle, nextest, gtest and most other runners write it.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::domain::cases::{TestCase, TestStatus, merge};
use crate::domain::excerpt::excerpt;
use crate::domain::trial::Failure;

/// Every case of a report with what it says of each failure, or why it can't be read.
pub type Read = Result<(Vec<TestCase>, Vec<Failure>), String>;

/// Reads a report. Suites may be nested to any depth.
pub fn read(bytes: &[u8]) -> Read {
    let text = std::str::from_utf8(bytes).map_err(|why| format!("it is not UTF-8: {why}"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut walk = Walk::default();
    loop {
        match reader.read_event().map_err(|why| format!("at byte {}: {why}", reader.error_position()))? {
            Event::Start(tag) => walk.open(&tag)?,
            Event::Empty(tag) => {
                walk.open(&tag)?;
                walk.close();
            }
            Event::End(_) => walk.close(),
            Event::Text(text) => walk.say(&text),
            Event::CData(text) => walk.say(&text),
            Event::GeneralRef(name) => {
                let known = name.resolve_char_ref().ok().flatten().map(String::from);
                walk.say(known.as_deref().or_else(|| resolve_predefined_entity(&name)).unwrap_or_default());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    walk.finish()
}

#[derive(Default)]
struct Walk {
    depth: usize,
    rooted: bool,
    /// The open case with the depth of its element.
    open: Option<(usize, TestCase)>,
    cases: Vec<TestCase>,
    /// What the failure says that is open, with the depth of its element.
    saying: Option<(usize, String)>,
    failures: Vec<Failure>,
}

impl Walk {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = tag.local_name();
        let name: &str = name.as_ref();
        if self.depth == 0 {
            if self.rooted || !matches!(name, "testsuites" | "testsuite") {
                return Err(format!("`<{name}>` is not the root of a JUnit report"));
            }
            self.rooted = true;
        }
        self.depth += 1;
        match (name, &mut self.open) {
            ("testcase", None) => self.open = Some((self.depth, case(tag)?)),
            ("testcase", Some((_, outer))) => return Err(format!("a case stands inside the case `{}`", outer.name)),
            // Only a case's own children speak about it; its output may hold anything.
            ("failure" | "error", Some((depth, case))) if self.depth == *depth + 1 => {
                case.status = TestStatus::Failed;
                let message = attribute(tag, "message")?.map_or_else(String::new, |message| format!("{message}\n"));
                self.saying = Some((self.depth, message));
            }
            ("skipped", Some((depth, case))) if self.depth == *depth + 1 && case.status == TestStatus::Passed => {
                case.status = TestStatus::Skipped;
            }
            _ => {}
        }
        Ok(())
    }

    /// Text of a failure; all other text is passed over.
    fn say(&mut self, text: &str) {
        if let Some((_, said)) = &mut self.saying {
            said.push_str(text);
        }
    }

    fn close(&mut self) {
        if let Some((_, said)) = self.saying.take_if(|(depth, _)| *depth == self.depth)
            && let Some((_, case)) = &self.open
        {
            self.failures.push(Failure { test: case.name.clone(), output: excerpt(&said) });
        }
        if self.open.as_ref().is_some_and(|(depth, _)| *depth == self.depth) {
            self.cases.extend(self.open.take().map(|(_, case)| case));
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn finish(self) -> Result<(Vec<TestCase>, Vec<Failure>), String> {
        match (self.rooted, self.depth) {
            (false, _) => Err("it is empty".to_owned()),
            (true, 0) => Ok((merge(self.cases), self.failures)),
            (true, _) => Err("it is cut off before its end".to_owned()),
        }
    }
}

fn case(tag: &BytesStart<'_>) -> Result<TestCase, String> {
    let name = attribute(tag, "name")?.filter(|n| !n.is_empty()).ok_or("a case has no name")?;
    let name = match attribute(tag, "classname")?.filter(|class| !class.is_empty()) {
        Some(class) => format!("{class}::{name}"),
        None => name,
    };
    // GoogleTest says of a disabled test only that it was not run.
    let idle = attribute(tag, "status")?.is_some_and(|status| matches!(status.as_str(), "notrun" | "disabled"));
    Ok(TestCase { name, status: if idle { TestStatus::Skipped } else { TestStatus::Passed } })
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let found = tag.try_get_attribute(name).map_err(|why| format!("in a `<testcase>`: {why}"))?;
    found
        .map(|value| value.normalized_value(XmlVersion::Implicit1_0).map(|v| v.into_owned()))
        .transpose()
        .map_err(|why| format!("in a `<testcase>`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report as pytest 9 writes it: passed, skipped, failed, and a module that can't be imported.
    const PYTEST: &str = include_str!("../../../tests/fixtures/metric/junit-pytest.xml");

    fn shown(text: &str) -> Vec<String> {
        read(text.as_bytes()).unwrap().0.iter().map(|c| format!("{} {:?}", c.name, c.status)).collect()
    }

    #[test]
    fn a_pytest_report_yields_its_cases() {
        let expected = [
            "t.test_q::test_query_speed Passed",
            "t.test_q::test_p[a&b] Passed",
            "t.test_q::test_s Skipped",
            "t.test_q.TestX::test_f Failed",
            "t.test_bad Failed",
        ];
        assert_eq!(shown(PYTEST), expected);
    }

    #[test]
    fn nested_suites_and_disabled_tests_are_understood() {
        let text = r#"<testsuites><testsuite name="o"><testsuite name="i"><testcase name="a" classname=""/>
            <testcase name="b" status="notrun"/></testsuite><testcase name="c"><system-out><failure/></system-out>
            </testcase><testcase name="d"><skipped/><error/></testcase></testsuite></testsuites>"#;
        assert_eq!(shown(text), ["a Passed", "b Skipped", "c Passed", "d Failed"]);
    }

    #[test]
    fn a_test_that_passes_and_breaks_in_its_teardown_has_failed() {
        let text = r#"<testsuite><testcase classname="t" name="a"/>
            <testcase classname="t" name="a"><error message="teardown"/></testcase></testsuite>"#;
        assert_eq!(shown(text), ["t::a Failed"]);
    }

    #[test]
    fn what_a_failure_says_is_told_by_its_test() {
        let text = r#"<testsuite><testcase name="a"><failure message="1 &lt; 2">at <![CDATA[<x>]]>
            line &amp; end</failure><system-out>noise</system-out></testcase><testcase name="b"/></testsuite>"#;
        let (_, failures) = read(text.as_bytes()).unwrap();
        let expected = "1 < 2\nat <x>\n            line & end";
        assert_eq!(failures, [Failure { test: "a".to_owned(), output: expected.to_owned() }]);
        let (_, pytest) = read(PYTEST.as_bytes()).unwrap();
        assert_eq!(pytest.len(), 2);
        assert!(pytest.iter().all(|failure| !failure.output.is_empty()), "{pytest:?}");
    }

    #[test]
    fn a_report_cut_off_anywhere_is_refused() {
        let cut = PYTEST.trim_end().char_indices().map(|(at, _)| at).step_by(7);
        for at in cut {
            read(&PYTEST.as_bytes()[..at]).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in ["", "<html></html>", "<testsuite><testcase/></testsuite>", "<testsuite></testsuites>", "ok"] {
            read(text.as_bytes()).unwrap_err();
        }
        assert_eq!(read(b"<testsuite/>").unwrap().0, []);
    }
}
