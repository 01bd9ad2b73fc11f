//! `go test -json`: one event a line, for tests and for the packages that hold them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::output::{Cases, plain};
use crate::domain::cases::{TestCase, TestStatus, merge};

/// How much of a compiler's output is told.
const TOLD: usize = 20;

/// Whether a line is an event of a package.
pub fn begins(line: &str) -> bool {
    line.starts_with('{')
        && serde_json::from_str::<Event>(line)
            .is_ok_and(|e| !e.action.is_empty() && (!e.package.is_empty() || !e.import_path.is_empty()))
}

/// Every case, named behind its package, or why the output is not whole. A test that began and
/// did not end when its package failed has failed.
pub fn parse(bytes: &[u8]) -> Cases {
    let text = plain(bytes);
    let mut walk = Walk::default();
    for line in text.lines() {
        if line.starts_with('{') {
            let event =
                serde_json::from_str(line).map_err(|_| format!("the event `{line}` is cut off or malformed"))?;
            walk.event(event)?;
        } else {
            walk.words(line);
        }
    }
    walk.finish()
}

/// What tests that failed printed, as people read it; of all tests where none failed. `None` of output of another kind.
pub fn told(bytes: &[u8]) -> Option<String> {
    let text = plain(bytes);
    let events: Vec<Event> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |event: &Event| (event.package.clone(), event.test.clone());
    let failed: BTreeSet<_> = events.iter().filter(|e| e.action == "fail" && !e.test.is_empty()).map(of).collect();
    let prints =
        |event: &&Event| event.action.ends_with("output") && (failed.is_empty() || failed.contains(&of(event)));
    let printed: String = events.iter().filter(prints).map(|event| event.output.as_str()).collect();
    (!printed.trim().is_empty()).then(|| printed.trim_end().to_owned())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Event {
    action: String,
    package: String,
    import_path: String,
    test: String,
    output: String,
    failed_build: String,
}

#[derive(Default)]
struct Walk {
    /// Packages that have begun, with their tests that have begun.
    open: BTreeMap<String, Package>,
    cases: Vec<TestCase>,
    unbuilt: Option<String>,
    compiler: String,
}

#[derive(Default)]
struct Package {
    tests: BTreeSet<String>,
    failed: bool,
}

impl Walk {
    fn event(&mut self, event: Event) -> Result<(), String> {
        let Event { action, package, import_path, test, output, failed_build } = event;
        if !failed_build.is_empty() || action == "build-fail" {
            self.unbuilt.get_or_insert(if package.is_empty() { import_path } else { package.clone() });
        } else if action == "build-output" {
            self.compiler.push_str(&output);
        }
        if package.is_empty() {
            return Ok(());
        }
        let status = match action.as_str() {
            "pass" | "bench" => TestStatus::Passed,
            "fail" => TestStatus::Failed,
            "skip" => TestStatus::Skipped,
            _ => {
                let open = self.open.entry(package).or_default();
                if action == "run" {
                    open.tests.insert(test);
                }
                return Ok(());
            }
        };
        if test.is_empty() {
            return self.close(&package, status);
        }
        let open = self.open.entry(package.clone()).or_default();
        open.tests.remove(&test);
        open.failed |= status == TestStatus::Failed;
        self.cases.push(TestCase { name: format!("{package}::{test}"), status });
        Ok(())
    }

    /// The end of a package.
    fn close(&mut self, package: &str, status: TestStatus) -> Result<(), String> {
        let Package { mut tests, failed } = self.open.remove(package).unwrap_or_default();
        // Benchmarks begin and never end.
        tests.retain(|test| !test.starts_with("Benchmark"));
        match (status, tests.first()) {
            (TestStatus::Failed, None) if !failed => drop(tests.insert("exit status".to_owned())),
            (TestStatus::Failed, _) | (_, None) => {}
            (_, Some(test)) => return Err(format!("the test `{test}` of `{package}` began and never ended")),
        }
        let case = |test| TestCase { name: format!("{package}::{test}"), status: TestStatus::Failed };
        self.cases.extend(tests.into_iter().map(case));
        Ok(())
    }

    /// What is no event: older versions say so that a package was not built.
    fn words(&mut self, line: &str) {
        let failed = line.strip_prefix("FAIL\t").and_then(|rest| rest.rsplit_once(" ["));
        if let Some((package, "build failed]" | "setup failed]")) = failed {
            self.unbuilt.get_or_insert(package.to_owned());
        }
    }

    fn finish(self) -> Cases {
        if let Some(package) = self.unbuilt {
            let lines: Vec<_> = self.compiler.trim_end().lines().collect();
            let told = lines[lines.len().saturating_sub(TOLD)..].iter().map(|line| format!("\n{line}"));
            return Err(format!("`{package}` was not built{}", told.collect::<String>()));
        }
        match self.open.keys().next() {
            Some(package) => Err(format!("it is cut off before the end of `{package}`")),
            None => Ok(merge(self.cases)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go 1.19 prints it.
    const TESTS: &str = include_str!("../../../tests/fixtures/suite/go-test.jsonl");

    fn shown(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap().iter().map(|c| format!("{} {:?}", c.name, c.status)).collect()
    }

    #[test]
    fn what_failing_tests_printed_is_told_as_people_read_it() {
        let told = told(TESTS.as_bytes()).unwrap();
        assert!(told.contains("--- FAIL: TestAdds/wrong"), "{told}");
        assert!(!told.contains("Action") && !told.contains("PASS"), "{told}");
        assert_eq!(super::told(b"FAIL\n{\"a\": 1}\n"), None);
    }

    #[test]
    fn every_case_is_named_behind_its_package() {
        let expected = [
            "example.org/tiny/inner::TestAdds Passed",
            "example.org/tiny::TestAdds/small Passed",
            "example.org/tiny::TestAdds/wrong Failed",
            "example.org/tiny::TestAdds Failed",
            "example.org/tiny::TestSkips Skipped",
            "example.org/tiny::TestPrints Passed",
            "example.org/tiny::ExampleAdd Passed",
        ];
        assert_eq!(shown(TESTS), expected);
    }

    #[test]
    fn a_test_that_panics_has_failed() {
        let text = include_str!("../../../tests/fixtures/suite/go-panic.jsonl");
        assert_eq!(shown(text), ["example.org/tiny::TestA Passed", "example.org/tiny::TestB Failed"]);
        let unended: String = text
            .lines()
            .filter(|l| !(l.contains("\"fail\"") && l.contains("TestB")))
            .map(|l| format!("{l}\n"))
            .collect();
        assert_eq!(shown(&unended), shown(text));
    }

    #[test]
    fn a_package_that_fails_without_a_test_is_a_failed_case() {
        let text = r#"{"Action":"output","Package":"p","Output":"exit status 1\n"}
                      "#
        .trim()
        .to_owned()
            + "\n{\"Action\":\"fail\",\"Package\":\"p\"}\n";
        assert_eq!(shown(&text), ["p::exit status Failed"]);
    }

    #[test]
    fn a_package_that_is_not_built_is_no_report() {
        let error = parse(include_bytes!("../../../tests/fixtures/suite/go-build.jsonl")).unwrap_err();
        assert_eq!(error, "`example.org/tiny/bad` was not built");
    }

    /// As Go 1.24 and later are documented to print it.
    #[test]
    fn a_compilers_output_among_the_events_is_told() {
        let text = "{\"ImportPath\":\"p [p.test]\",\"Action\":\"build-output\",\"Output\":\"# p [p.test]\\n\"}\n\
                    {\"ImportPath\":\"p [p.test]\",\"Action\":\"build-output\",\"Output\":\"./a.go:3:1: undefined: x\\n\"}\n\
                    {\"ImportPath\":\"p [p.test]\",\"Action\":\"build-fail\"}\n\
                    {\"Action\":\"start\",\"Package\":\"p\"}\n\
                    {\"Action\":\"output\",\"Package\":\"p\",\"Output\":\"FAIL\\tp [build failed]\\n\"}\n\
                    {\"Action\":\"fail\",\"Package\":\"p\",\"Elapsed\":0,\"FailedBuild\":\"p [p.test]\"}\n";
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!(error, "`p [p.test]` was not built\n# p [p.test]\n./a.go:3:1: undefined: x");
    }

    #[test]
    fn an_output_cut_off_inside_a_package_is_refused() {
        for at in 1..TESTS.len() {
            let whole = TESTS[..at]
                .lines()
                .last()
                .is_some_and(|l| l.ends_with('}') && !l.contains("\"Test\"") && !l.contains("output"));
            assert!(whole || parse(&TESTS.as_bytes()[..at]).is_err(), "at {at}");
        }
    }

    #[test]
    fn a_test_without_an_end_in_a_package_that_passes_is_refused_and_a_benchmark_is_not() {
        let text = |test| {
            format!(
                "{{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"{test}\"}}\n{{\"Action\":\"pass\",\"Package\":\"p\"}}\n"
            )
        };
        assert!(parse(text("TestA").as_bytes()).unwrap_err().contains("never ended"));
        assert_eq!(parse(text("BenchmarkA").as_bytes()).unwrap(), []);
    }
}
