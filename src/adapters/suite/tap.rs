//! The Test Anything Protocol, versions 12 to 14, as Perl, Node, bats, pgTAP and shell scripts write it.

use super::output::{Cases, plain};
use crate::domain::cases::{TestCase, TestStatus, merge};

/// Whether a line is a version or a plan.
pub fn begins(line: &str) -> bool {
    let version = line.strip_prefix("TAP version ").is_some_and(|v| v.parse::<u32>().is_ok());
    version || plan(line).is_some()
}

/// Every case of a report, or why it is not whole. A subtest's cases are named behind their
/// parent, which is itself a case only where it has no others or fails for a reason of its own.
pub fn parse(bytes: &[u8]) -> Cases {
    let text = plain(bytes);
    let mut levels = vec![Level::default()];
    let mut yaml = None;
    for line in text.split_inclusive('\n') {
        let whole = line.ends_with('\n');
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        let body = body.trim_end();
        match yaml {
            Some(depth) if depth == indent && body == "..." => yaml = None,
            Some(_) => {}
            // Diagnostics of the test above them, which may hold anything.
            None if body == "---" && indent % 4 == 2 => yaml = Some(indent),
            None if indent % 4 == 0 => statement(&mut levels, indent / 4, body, whole)?,
            None => {}
        }
    }
    match <[Level; 1]>::try_from(levels) {
        Ok([level]) if yaml.is_none() => level.finish().map(merge),
        _ => Err("it is cut off before its end".to_owned()),
    }
}

/// One line, at a depth of subtests. What is neither a plan nor a test point is a comment.
fn statement(levels: &mut Vec<Level>, depth: usize, body: &str, whole: bool) -> Result<(), String> {
    if let Some(reason) = body.strip_prefix("Bail out!") {
        return Err(format!("it bailed out: {}", if reason.is_empty() { "no reason is given" } else { reason.trim() }));
    }
    let (plan, point) = (plan(body), Point::read(body));
    if plan.is_none() && point.is_none() || depth > levels.len() {
        return Ok(());
    }
    if !whole {
        return Err(format!("its last line `{body}` is not complete"));
    }
    if depth == levels.len() {
        levels.push(Level::default());
    }
    let children = match levels.len() - depth {
        1 => Vec::new(),
        2 if point.is_some() => levels.pop().unwrap_or_default().finish()?,
        _ => return Err(format!("the subtests above `{body}` are cut off")),
    };
    let level = &mut levels[depth];
    match (plan, point) {
        (Some(_), _) if level.plan.is_some() => {
            Err("it has two plans: the output of several programs is no one report".to_owned())
        }
        (Some(count), _) => {
            level.plan = Some(count);
            Ok(())
        }
        (None, Some(point)) => {
            level.add(point, children);
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// The tests of one depth.
#[derive(Default)]
struct Level {
    plan: Option<usize>,
    points: usize,
    cases: Vec<TestCase>,
}

impl Level {
    fn add(&mut self, point: Point, children: Vec<TestCase>) {
        self.points += 1;
        let name = if point.name.is_empty() { format!("test {}", self.points) } else { point.name };
        let explained = children.iter().any(|c| c.status == TestStatus::Failed);
        let alone = children.is_empty() || point.status == TestStatus::Failed && !explained;
        for child in children {
            let excused = point.status == TestStatus::Skipped && child.status == TestStatus::Failed;
            let status = if excused { TestStatus::Skipped } else { child.status };
            self.cases.push(TestCase { name: format!("{name} > {}", child.name), status });
        }
        if alone {
            self.cases.push(TestCase { name, status: point.status });
        }
    }

    fn finish(self) -> Cases {
        match self.plan {
            None => Err("it has no plan (`1..N`), so whether it is whole can't be told".to_owned()),
            Some(count) if count != self.points => Err(format!("it promises {count} tests and holds {}", self.points)),
            Some(_) => Ok(self.cases),
        }
    }
}

/// `1..7` or `1..0 # SKIP why`.
fn plan(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("1..")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let comment = rest[digits..].trim_start();
    if comment.is_empty() || comment.starts_with('#') { rest[..digits].parse().ok() } else { None }
}

/// `not ok 3 - name # TODO why`.
struct Point {
    name: String,
    status: TestStatus,
}

impl Point {
    fn read(line: &str) -> Option<Self> {
        let (passed, rest) = match line.strip_prefix("not ok") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok")?),
        };
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            return None;
        }
        let rest = rest.trim_start();
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = behind.is_empty() || behind.starts_with([' ', '\t']);
        let (name, directive) = directed(if numbered { behind } else { rest });
        let status = match (passed, directive) {
            (true, Directive::Skip) | (false, Directive::Todo) => TestStatus::Skipped,
            (true, _) => TestStatus::Passed,
            (false, _) => TestStatus::Failed,
        };
        let name = name.trim();
        let name = name.strip_prefix("- ").unwrap_or(if name == "-" { "" } else { name });
        Some(Self { name: name.trim().replace("\\#", "#"), status })
    }
}

#[derive(Clone, Copy)]
enum Directive {
    None,
    Skip,
    Todo,
}

/// A description and the directive behind it. Times go: they are of no test's name.
fn directed(text: &str) -> (&str, Directive) {
    for (at, _) in text.match_indices('#') {
        if !text[..at].ends_with([' ', '\t']) && at > 0 {
            continue;
        }
        let rest = text[at + 1..].trim_start();
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).take(8).collect();
        let directive = match word.to_ascii_lowercase().as_str() {
            "skip" | "skipped" => Directive::Skip,
            "todo" => Directive::Todo,
            "time" if rest[4..].starts_with('=') => Directive::None,
            _ => continue,
        };
        return (&text[..at], directive);
    }
    (text, Directive::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap().iter().map(|c| format!("{} {:?}", c.name, c.status)).collect()
    }

    /// As Test::More of Perl 5.36 writes it.
    #[test]
    fn a_report_of_perl_yields_its_cases() {
        let expected = [
            "adds Passed",
            "adds # with a hash Passed",
            "adds wrongly Failed",
            "test 4 Skipped",
            "multiplies Skipped",
            "negative numbers > adds Passed",
            "negative numbers > subtracts Passed",
            "test 7 Skipped",
        ];
        assert_eq!(shown(include_str!("../../../tests/fixtures/suite/perl.tap")), expected);
    }

    /// As Node 20 writes it.
    #[test]
    fn a_report_of_node_yields_its_cases_without_their_times() {
        let expected = [
            "adds Passed",
            "adds wrongly Failed",
            "skips Skipped",
            "later Skipped",
            "numbers > are added Passed",
            "numbers > are # odd Passed",
            "numbers > deep > is Passed",
        ];
        assert_eq!(shown(include_str!("../../../tests/fixtures/suite/node.tap")), expected);
    }

    #[test]
    fn plans_stand_at_either_end_and_names_may_be_left_out() {
        assert_eq!(shown("1..2\nok\nok 2 - b # time=12ms\nnot a line of it\n"), ["test 1 Passed", "b Passed"]);
        assert_eq!(shown("TAP version 14\nnot ok 1 a\nok 2 - b#skip\n1..2 # two\n"), ["a Failed", "b#skip Passed"]);
        assert_eq!(shown("1..0 # SKIP no database\n"), [""; 0]);
        assert_eq!(
            shown("1..3\nok 1 - a # skipped: why\nnot ok 2 - b # SKIP\nok 3 - c # ToDo\n"),
            ["a Skipped", "b Failed", "c Passed"]
        );
        assert_eq!(shown("1..1\nok 1 - 2nd\n"), ["2nd Passed"]);
        assert_eq!(shown("1..1\nok 2nd\n"), ["2nd Passed"]);
    }

    #[test]
    fn a_parent_counts_where_no_child_explains_its_failure_and_excuses_its_children() {
        let text = "    ok 1 - a\n    1..1\nnot ok 1 - p\n    not ok 1 - b\n    1..1\nnot ok 2 - q # TODO\n1..2\n";
        assert_eq!(shown(text), ["p > a Passed", "p Failed", "q > b Skipped"]);
    }

    #[test]
    fn what_is_not_whole_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "no plan"),
            ("ok 1\nok 2\n", "no plan"),
            ("1..3\nok 1\nok 2\n", "promises 3 tests and holds 2"),
            ("1..1\nok 1\nok 2\n", "promises 1 tests and holds 2"),
            ("1..2\nok 1\nBail out! no database\n", "bailed out: no database"),
            ("1..1\n    Bail out!\n", "no reason"),
            ("1..1\nok 1\n1..1\nok 1\n", "two plans"),
            ("1..1\nok 1 - nam", "not complete"),
            ("1..1\n    1..2\n    ok 1\nok 1 - parent\n", "promises 2 tests and holds 1"),
            ("1..1\nok 1\n    ok 1\n    1..1\n", "cut off"),
            ("1..1\nok 1\n  ---\n  a: b\n", "cut off"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
