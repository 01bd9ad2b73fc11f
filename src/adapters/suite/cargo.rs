//! `cargo test`: the parts of its test programs, each named by the heading that Cargo gives it.
//!
//! Headings go to standard error, and results to standard output. Both are in the order in which
//! the programs run, so they are paired by it; in one stream, whatever a test logs could stand
//! in the middle of a result.

use std::collections::HashMap;

use super::libtest::{self, Section};
use super::output::{Cases, plain};
use crate::domain::cases::{TestCase, merge};

/// Every case, named behind its program, or why the output is not whole.
pub fn parse(output: &[u8], headings: &[u8]) -> Cases {
    let sections = libtest::sections(&plain(output))?;
    let headings = plain(headings);
    let programs = programs(&headings);
    if sections.is_empty() && !programs.is_empty() {
        return Err("none of its test programs told what it ran; `sh -c 'cargo test …'` makes one test of targets \
                    with `harness = false`"
            .to_owned());
    }
    let documents = headings.lines().filter(|line| line.starts_with("   Doc-tests ")).count();
    let labels = labels(&sections, &programs, documents);
    let name = |label: &str, case: TestCase| {
        let name = unplaced(&case.name);
        TestCase { name: if label.is_empty() { name } else { format!("{label}::{name}") }, status: case.status }
    };
    let cases = sections.into_iter().zip(&labels).flat_map(|(cases, label)| cases.into_iter().map(|c| name(label, c)));
    Ok(merge(cases))
}

/// A label for each part. Documentation tests come last; Cargo gives each crate at least one part
/// of them, and each other program one. Where a program of its own making left none, who is who
/// can't be told, and labels are left out.
fn labels(sections: &[Section], programs: &[String], documents: usize) -> Vec<String> {
    let documented = |cases: &Section| cases.first().is_some_and(|case| case.name.contains(" (line "));
    let first = sections.iter().position(documented).unwrap_or(sections.len());
    let empty = documents.saturating_sub(sections.len() - first);
    let paired = first.saturating_sub(empty) >= programs.len();
    let label = |at: usize| match programs.get(at) {
        _ if at >= first => "doc-tests".to_owned(),
        Some(program) if paired => program.clone(),
        _ => String::new(),
    };
    (0..sections.len()).map(label).collect()
}

/// `     Running unittests src/lib.rs (target/debug/deps/tiny-b8411d1b6389d6df)` as `tiny (src/lib.rs)`,
/// with a number where packages have programs and files of the same name.
fn programs(headings: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut name = |line: &str| {
        let (source, path) = line.strip_prefix("     Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
        let file = path.rsplit(['/', '\\']).next()?;
        let program = match file.rsplit_once('-') {
            Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => name,
            _ => file,
        };
        let label = format!("{program} ({})", source.strip_prefix("unittests ").unwrap_or(source));
        let count = seen.entry(label.clone()).or_default();
        *count += 1;
        Some(if *count == 1 { label } else { format!("{label} #{count}") })
    };
    headings.lines().filter_map(&mut name).collect()
}

/// A documentation test's name without its line, which moves with every edit above it.
fn unplaced(name: &str) -> String {
    let cut = name.rsplit_once(" (line ").and_then(|(head, tail)| Some((head, tail.split_once(')')?)));
    match cut {
        Some((head, (number, tail))) if number.bytes().all(|b| b.is_ascii_digit()) => format!("{head}{tail}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Cargo 1.95 prints it for a workspace of two packages. One test's own output looks like a report.
    const OUTPUT: &str = include_str!("../../../tests/fixtures/suite/cargo-test.stdout");
    const HEADINGS: &str = include_str!("../../../tests/fixtures/suite/cargo-test.stderr");

    fn shown(output: &str, headings: &str) -> Vec<String> {
        let cases = parse(output.as_bytes(), headings.as_bytes()).unwrap();
        cases.iter().map(|c| format!("{} {:?}", c.name, c.status)).collect()
    }

    #[test]
    fn every_case_is_named_behind_its_program_without_hashes_and_lines() {
        let expected = [
            "member (src/lib.rs)::adds Passed",
            "tiny (src/lib.rs)::tests::adds_slowly Skipped",
            "tiny (src/lib.rs)::tests::adds Passed",
            "tiny (src/lib.rs)::tests::adds_wrongly Failed",
            "tiny (src/lib.rs)::tests::overflows - should panic Passed",
            "tiny (src/main.rs)::tests::adds Passed",
            "it (tests/it.rs)::works Passed",
            "doc-tests::member/src/lib.rs - one Passed",
            "doc-tests::src/lib.rs - add Passed",
            "doc-tests::src/lib.rs - add - compile fail Passed",
        ];
        assert_eq!(shown(OUTPUT, HEADINGS), expected);
    }

    #[test]
    fn colours_and_other_hashes_change_no_name() {
        let painted = OUTPUT.replace(" ok\n", " \u{1b}[32mok\u{1b}(B\u{1b}[m\n").replace("(line 5)", "(line 77)");
        let headings = HEADINGS.replace("91e6256da91397c4", "0123456789abcdef").replace('\n', "\u{1b}[0m\n");
        assert_eq!(shown(&painted, &headings), shown(OUTPUT, HEADINGS));
    }

    #[test]
    fn files_of_the_same_name_in_two_packages_stay_apart() {
        let headings = "     Running tests/it.rs (target/debug/deps/it-91e6256da91397c4)\n".repeat(2);
        assert_eq!(programs(&headings), ["it (tests/it.rs)", "it (tests/it.rs) #2"]);
    }

    #[test]
    fn labels_are_left_out_where_a_program_has_a_harness_of_its_own() {
        let headings = HEADINGS
            .replace("   Doc-tests member", "     Running tests/own.rs (target/debug/deps/own-0db70d83f876565d)");
        let names = shown(OUTPUT, &headings);
        assert_eq!(names[0], "adds Passed");
        assert!(names.contains(&"doc-tests::src/lib.rs - add Passed".to_owned()), "{names:?}");
        let error = parse(b"", HEADINGS.as_bytes()).unwrap_err();
        assert!(error.contains("harness = false"), "{error}");
    }

    #[test]
    fn crates_without_documentation_tests_shift_no_label() {
        let empty = "\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; \
                     finished in 0.00s\n\n";
        let at = OUTPUT.find("\nrunning 1 test\ntest member/src").unwrap();
        let output = format!("{}{empty}{}", &OUTPUT[..at], &OUTPUT[at..]);
        let headings = HEADINGS.replace("   Doc-tests member", "   Doc-tests empty\n   Doc-tests member");
        assert_eq!(shown(&output, &headings), shown(OUTPUT, HEADINGS));
    }

    /// The failed test's own output holds the closing line of another report.
    #[test]
    fn the_output_of_a_program_cut_off_anywhere_is_refused() {
        let heading = HEADINGS.lines().find(|line| line.contains("tiny-b84")).unwrap();
        let start = OUTPUT.find("running 4 tests").unwrap();
        let end = start + OUTPUT[start..].find("1 ignored; 0 measured; 0 filtered out").unwrap() + 37;
        assert_eq!(shown(&OUTPUT[start..end], heading).len(), 4);
        for at in start..end {
            parse(&OUTPUT.as_bytes()[start..at], heading.as_bytes()).unwrap_err();
        }
    }
}
