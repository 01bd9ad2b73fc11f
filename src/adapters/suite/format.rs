//! Formats in which runners report on standard output: one table, and how a report is recognised.

use super::output::{Cases, plain};
use super::{cargo, gotest, libtest, tap};

/// A format of reports.
pub struct Format {
    /// As documented.
    pub name: &'static str,
    /// Whether a first line that is not blank can only be the beginning of such a report.
    begins: fn(&str) -> bool,
    /// The cases, from standard output and standard error.
    pub parse: fn(&[u8], &[u8]) -> Cases,
}

/// TAP, versions 12 to 14.
pub const TAP: Format = Format { name: "TAP", begins: tap::begins, parse: |output, _| tap::parse(output) };
/// What `cargo test` prints.
pub const CARGO: Format = Format { name: "cargo test", begins: libtest::begins, parse: cargo::parse };
/// What `go test -json` prints.
pub const GO: Format =
    Format { name: "go test -json", begins: gotest::begins, parse: |output, _| gotest::parse(output) };

/// Every format that is looked for in the output of programs that we don't know.
pub const FORMATS: &[&Format] = &[&TAP, &CARGO, &GO];

/// The format of an output whose first line leaves no doubt.
pub fn recognised(output: &[u8]) -> Option<&'static Format> {
    let line = output.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    let line = plain(line);
    FORMATS.iter().copied().find(|format| (format.begins)(line.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::cases::TestStatus;

    const PERL: &[u8] = include_bytes!("../../../tests/fixtures/suite/perl.tap");
    const NODE: &[u8] = include_bytes!("../../../tests/fixtures/suite/node.tap");
    const JSON: &[u8] = include_bytes!("../../../tests/fixtures/suite/libtest.jsonl");
    const GO_TEST: &[u8] = include_bytes!("../../../tests/fixtures/suite/go-panic.jsonl");

    #[test]
    fn a_report_is_recognised_by_its_first_line_and_nothing_less() {
        for (text, expected) in [
            ("\n\nTAP version 14\n", Some("TAP")),
            ("1..3\nok", Some("TAP")),
            ("1..0 # SKIP no database", Some("TAP")),
            ("\u{1b}[1m1..3\u{1b}[0m\n", Some("TAP")),
            (r#"{ "type": "suite", "event": "started", "test_count": 4 }"#, Some("cargo test")),
            (r#"{"Action":"start","Package":"a/b"}"#, Some("go test -json")),
            ("ok 1 - adds\n1..1\n", None),
            ("1...3", None),
            ("1..3 things", None),
            ("TAP is nice", None),
            (r#"{"type": "suite"}"#, None),
            (r#"{"Action": "start"}"#, None),
            ("running 3 tests", None),
            ("", None),
        ] {
            assert_eq!(recognised(text.as_bytes()).map(|f| f.name), expected, "{text:?}");
        }
    }

    fn passes(format: &Format, bytes: &[u8]) -> bool {
        (format.parse)(bytes, b"").is_ok_and(|cases| {
            cases.iter().any(|c| c.status == TestStatus::Passed) && cases.iter().all(|c| c.status != TestStatus::Failed)
        })
    }

    proptest! {
        #[test]
        fn whatever_a_program_prints_nothing_panics(bytes in any::<Vec<u8>>(), head in 0..4usize) {
            let mut report = [PERL, NODE, JSON, GO_TEST][head][..200].to_vec();
            report.extend(&bytes);
            for format in FORMATS {
                drop((format.parse)(&bytes, &bytes));
                drop((format.parse)(&report, &bytes));
            }
            recognised(&bytes);
        }

        #[test]
        fn lines_in_any_order_never_panic(lines in proptest::collection::vec(0..40usize, 0..60), which in 0..4usize) {
            let text = String::from_utf8_lossy([PERL, NODE, JSON, GO_TEST][which]);
            let all: Vec<_> = text.lines().collect();
            let shuffled: Vec<_> = lines.iter().map(|at| all[at % all.len()]).collect();
            for format in FORMATS {
                drop((format.parse)(shuffled.join("\n").as_bytes(), b""));
            }
        }

        /// All these reports hold a failure or end with the line that makes them whole.
        #[test]
        fn a_report_cut_off_anywhere_is_never_a_pass(at in 0.0..1.0f64) {
            for (format, report) in [(&TAP, PERL), (&TAP, NODE), (&CARGO, JSON), (&GO, GO_TEST)] {
                let cut = (report.len() as f64 * at) as usize;
                prop_assert!(!passes(format, &report[..cut]), "{} at {}", format.name, cut);
            }
        }
    }
}
