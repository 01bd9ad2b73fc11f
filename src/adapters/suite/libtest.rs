//! What Rust's test programs print, one after another: lines for people, or JSON where they are told so.
//!
//! A test that fails has its own output printed, which may look like a report itself. It stands
//! behind the results, so that only the closing line whose numbers fit them ends a program's part.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::domain::cases::{TestCase, TestStatus};

/// One program's cases.
pub type Section = Vec<TestCase>;

/// Whether a line is the event with which a program's tests begin.
pub fn begins(line: &str) -> bool {
    event(line).is_some_and(|e| e.kind == "suite" && e.event == "started")
}

/// The cases of each test program in the order in which they ran.
pub fn sections(text: &str) -> Result<Vec<Section>, String> {
    let mut walk = Walk::default();
    for line in text.lines() {
        match event(line) {
            Some(event) => walk.event(event),
            None => walk.line(line),
        }
    }
    walk.finish()
}

#[derive(Default)]
struct Walk {
    open: Option<Open>,
    /// Tests that JSON says have begun, without their end.
    begun: BTreeSet<String>,
    done: Vec<Section>,
}

/// A program whose tests are not closed yet. A result is absent as long as something else was
/// printed in its place.
struct Open {
    expected: usize,
    seen: Vec<(String, Option<TestStatus>)>,
    /// How many of each kind are among them.
    counts: [usize; 3],
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    test_count: usize,
}

fn event(line: &str) -> Option<Event> {
    if line.starts_with('{') { serde_json::from_str(line).ok() } else { None }
}

impl Walk {
    fn event(&mut self, event: Event) {
        let Event { kind, event, name, test_count } = event;
        let status = match (kind.as_str(), event.as_str()) {
            ("suite", "started") => {
                self.open.get_or_insert(Open::new(test_count));
                return;
            }
            ("suite", "ok" | "failed") => {
                let open = self.open.take();
                self.done.extend(open.map(Open::close));
                return;
            }
            ("test", "started") => {
                self.begun.insert(name);
                return;
            }
            ("test", "ok") | ("bench", _) => TestStatus::Passed,
            ("test", "failed") => TestStatus::Failed,
            ("test", "ignored") => TestStatus::Skipped,
            _ => return,
        };
        self.begun.remove(&name);
        if let Some(open) = &mut self.open {
            open.add(name, Some(status));
        }
    }

    fn line(&mut self, line: &str) {
        let Some(open) = &mut self.open else {
            self.open = expected(line).map(Open::new);
            return;
        };
        if let Some((name, status)) = result(line).filter(|_| open.seen.len() < open.expected) {
            open.add(name, status);
        } else if totals(line).is_some_and(|totals| open.settles(totals)) {
            let open = self.open.take();
            self.done.extend(open.map(Open::close));
        } else if let (Some((name, None)), Some(late)) = (open.seen.last().cloned(), status(line)) {
            open.seen.pop();
            open.add(name, Some(late));
        }
    }

    fn finish(self) -> Result<Vec<Section>, String> {
        match (self.open, self.begun.first()) {
            (Some(Open { expected, counts, .. }), _) => Err(format!(
                "a program ran {expected} tests, of which {} can be told, and its closing line is missing or says \
                 otherwise; it is cut off, or what tests print stands in between",
                counts.iter().sum::<usize>()
            )),
            (None, Some(name)) => Err(format!("the test `{name}` began and never ended")),
            (None, None) => Ok(self.done),
        }
    }
}

/// What results are counted by.
const KINDS: [TestStatus; 3] = [TestStatus::Passed, TestStatus::Failed, TestStatus::Skipped];

impl Open {
    fn new(expected: usize) -> Self {
        Self { expected, seen: Vec::new(), counts: [0; 3] }
    }

    fn add(&mut self, name: String, status: Option<TestStatus>) {
        for (kind, count) in KINDS.iter().zip(&mut self.counts) {
            *count += usize::from(status == Some(*kind));
        }
        self.seen.push((name, status));
    }

    /// Whether the numbers of a closing line are those of the results; results that were printed
    /// over are told by what is missing, if that is all of one kind.
    fn settles(&mut self, totals: [usize; 3]) -> bool {
        let missing: Vec<_> = totals.iter().zip(self.counts).map(|(total, seen)| total.checked_sub(seen)).collect();
        let short: Vec<_> = KINDS.into_iter().zip(&missing).filter(|(_, m)| **m != Some(0)).collect();
        let unknown = self.seen.len() - self.counts.iter().sum::<usize>();
        match short[..] {
            _ if self.seen.len() != self.expected => false,
            [] => unknown == 0,
            [(kind, missing)] if *missing == Some(unknown) => {
                for (_, status) in &mut self.seen {
                    status.get_or_insert(kind);
                }
                true
            }
            _ => false,
        }
    }

    fn close(self) -> Section {
        let case = |(name, status): (String, Option<_>)| status.map(|status| TestCase { name, status });
        self.seen.into_iter().filter_map(case).collect()
    }
}

/// `running 4 tests`.
fn expected(line: &str) -> Option<usize> {
    let (count, noun) = line.strip_prefix("running ")?.split_once(' ')?;
    if matches!(noun, "test" | "tests") { count.parse().ok() } else { None }
}

/// `test tests::adds ... ok`; without a result where something else stands in its place.
fn result(line: &str) -> Option<(String, Option<TestStatus>)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.to_owned(), status(rest)))
}

/// A result with what may stand behind it: a reason, a time, a benchmark's figures.
fn status(text: &str) -> Option<TestStatus> {
    let word = text.split([' ', ',']).next().unwrap_or_default();
    let rest = text[word.len()..].trim_start_matches([' ', ',']);
    let timed = rest.is_empty() || rest.starts_with('<') || rest.starts_with('(');
    match word {
        "ok" if timed => Some(TestStatus::Passed),
        "FAILED" if timed => Some(TestStatus::Failed),
        "ignored" => Some(TestStatus::Skipped),
        "bench:" if rest.contains(" ns/iter") => Some(TestStatus::Passed),
        _ => None,
    }
}

/// How many passed, failed and were ignored: `test result: ok. 2 passed; 0 failed; …; 0 filtered out`.
fn totals(line: &str) -> Option<[usize; 3]> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = counts
        .split("; ")
        .zip([" passed", " failed", " ignored", " measured", " filtered out"])
        .map(|(part, unit)| part.strip_suffix(unit).and_then(|n| n.parse::<usize>().ok()));
    let [passed, failed, ignored, measured] = [numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next()??;
    Some([passed.checked_add(measured)?, failed, ignored])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<Vec<String>> {
        let show = |c: &TestCase| format!("{} {:?}", c.name, c.status);
        sections(text).unwrap().iter().map(|cases| cases.iter().map(show).collect()).collect()
    }

    /// As nightly programs write it where they are told `--format json`.
    #[test]
    fn json_lines_yield_the_cases_of_each_program() {
        let all = shown(include_str!("../../../tests/fixtures/suite/libtest.jsonl"));
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 1, 1, 1, 2]);
        let first = [
            "tests::adds_slowly Skipped",
            "tests::adds Passed",
            "tests::adds_wrongly Failed",
            "tests::overflows Passed",
        ];
        assert_eq!(all[0], first);
    }

    /// As nextest 0.9.143 writes it: it closes a program's part before all of its tests have ended.
    #[test]
    fn json_lines_of_nextest_are_read_to_their_end() {
        let text = include_str!("../../../tests/fixtures/suite/nextest.jsonl");
        assert_eq!(shown(text).concat().len(), 7);
        let without = text.replace("\"event\":\"ok\",\"name\":\"tiny::tiny$tests::overflows\"", "");
        assert!(sections(&without).is_err());
    }

    #[test]
    fn results_are_told_where_a_test_prints_between_its_name_and_its_result() {
        let text = "running 3 tests\ntest a ... hello\nok\ntest b ... [INFO] x\n[INFO] y ok\ntest c ... FAILED\n\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(shown(text), [["a Passed", "b Passed", "c Failed"]]);
    }

    #[test]
    fn results_that_could_be_either_are_refused() {
        let text = "running 2 tests\ntest a ... hello\ntest b ... hello\n\n\
                    test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert!(sections(text).unwrap_err().contains("2 tests, of which 0 can be told"));
    }

    #[test]
    fn times_reasons_and_benchmarks_belong_to_no_name() {
        let text = "running 4 tests\ntest a ... ok <0.012s>\ntest b ... ignored, slow\n\
                    test c ... bench:       1,234.50 ns/iter (+/- 12)\ntest d ... FAILED (time limit exceeded)\n\n\
                    test result: FAILED. 1 passed; 1 failed; 1 ignored; 1 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(shown(text), [["a Passed", "b Skipped", "c Passed", "d Failed"]]);
    }

    #[test]
    fn dots_in_the_place_of_names_are_no_report() {
        let text = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        sections(text).unwrap_err();
    }
}
