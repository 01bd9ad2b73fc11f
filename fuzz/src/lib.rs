//! What is fuzzed: everything that is read of what others wrote. A target takes bytes and panics where something does not hold that must hold
//! for any bytes. `scripts/fuzz` looks for such bytes; `tests/corpus.rs` replays those that are kept in `fuzz/corpus`.

use std::collections::BTreeSet;
use std::path::Path;

use blueprint::adapters::proxy::wire;
use blueprint::adapters::suite::{format, junit as junit_report};
use blueprint::config::Config;
use blueprint::domain::cases::{TestCase, TestStatus};
use blueprint::domain::diagnostic::Diagnostic;
use blueprint::domain::document::{self as documents, Document, Regions, ResultRow, same_outside_regions};
use blueprint::domain::plan::Status;
use blueprint::domain::wire::Wire;
use blueprint::ui::diagnostics;

/// A target: what it is called, which is also where its corpus lies, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] =
    [("document", document), ("configuration", configuration), ("stream", stream), ("tap", tap), ("junit", junit)];

/// A document, and its findings as they are printed. One that is valid can be written into, and what is written is a valid document of the
/// same plan which, written into again, stays as it is.
pub fn document(data: &[u8]) {
    documents::is_blueprint(data);
    let found = match Document::parse(data) {
        Ok(document) => {
            assert_eq!(document.source(), data);
            written(&document);
            document.warnings().to_vec()
        }
        Err(found) => {
            assert!(found.iter().any(Diagnostic::is_error), "refused without an error: {found:#?}");
            found
        }
    };
    printed(&found, data);
    fixed(found, data);
}

fn written(document: &Document) {
    assert_eq!(document.rewrite(&Regions::default()), document.source(), "nothing was to be written");
    let rows = document.plan().variants.iter().enumerate().map(|(at, variant)| ResultRow {
        variant: variant.key.clone(),
        criteria: None,
        total: None,
        winner: at == 0,
    });
    let regions = Regions {
        results: Some(rows.collect()),
        winner: Some("none | *so far*".to_owned()),
        analysis: Some(vec!["Run: 20260102-030405-beef".to_owned(), "# no heading".to_owned()]),
        status: Some(Status::Completed),
        updated: Some("2026-01-02 03:04".to_owned()),
        artifacts: Some(vec!["Run 20260102-030405-beef: `blueprint report`".to_owned()]),
    };
    let bytes = document.rewrite(&regions);
    let again = Document::parse(&bytes).unwrap_or_else(|found| panic!("what was written is not valid: {found:#?}"));
    assert!(same_outside_regions(document, &again), "something else was changed");
    assert_eq!(document.digest(), again.digest());
    assert_eq!(again.rewrite(&regions), bytes, "writing the same again changes it");
    let approved = document.with_approval(&document.digest());
    let approved = Document::parse(&approved).unwrap_or_else(|found| panic!("the approval is not valid: {found:#?}"));
    assert_eq!(approved.plan().approved.as_ref(), Some(&document.digest()), "the approval can't be read");
    assert_eq!(approved.digest(), document.digest(), "the approval is part of what it approves");
}

fn printed(found: &[Diagnostic], source: &[u8]) {
    for finding in found {
        let spans = finding.labels.iter().map(|label| &label.span).chain([&finding.span]);
        for span in spans {
            assert!(span.start <= span.end && span.end <= source.len(), "{finding:#?}");
        }
    }
    for coloured in [false, true] {
        diagnostics::human(found, "a.md", source, coloured);
    }
    // A line each, whatever stands in the document.
    assert_eq!(diagnostics::github(found, "a.md", source).lines().count(), found.len());
}

/// Fixes bring a document to where no fix is left.
fn fixed(mut found: Vec<Diagnostic>, data: &[u8]) {
    let mut bytes = data.to_vec();
    for _ in 0..4 {
        let better = documents::fixed(&bytes, &found).bytes;
        if better == bytes {
            return;
        }
        bytes = better;
        found = match Document::parse(&bytes) {
            Ok(document) => document.warnings().to_vec(),
            Err(found) => found,
        };
    }
    panic!("fixes don't come to an end: {found:#?}");
}

/// A configuration: it is one, or there is a sentence that says why it is not.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text, Path::new("blueprint.yaml")) {
        Ok(config) => assert_eq!(config.text, text),
        Err(error) => {
            let said = error.to_string();
            assert!(said.strip_prefix("blueprint.yaml: ").is_some_and(|why| !why.trim().is_empty()), "{said:?}");
        }
    }
}

/// A provider's answer, however it is cut. The first byte says by which protocol, the second how long the pieces are.
pub fn stream(data: &[u8]) {
    let [wire, size, answer @ ..] = data else { return };
    let rules = wire::rules(Wire::ALL[usize::from(*wire) % Wire::ALL.len()]);
    let (mut whole, mut seen) = (rules.meter(), Vec::new());
    let upto = whole.feed(answer, &mut |value| seen.push(value.clone()));
    assert!(upto <= answer.len());
    let (mut cut, mut seen_cut, mut behind) = (rules.meter(), Vec::new(), 0);
    let (mut at, mut written) = (0, 0);
    for piece in answer.chunks(usize::from(*size).max(1)) {
        let upto = cut.feed(piece, &mut |value| seen_cut.push(value.clone()));
        assert!(upto <= piece.len());
        if upto > 0 {
            behind = at + upto;
        }
        at += piece.len();
        let reading = cut.reading();
        assert!(reading.written >= written, "what was written becomes less");
        written = reading.written;
    }
    assert_eq!(seen_cut, seen);
    assert_eq!(cut.reading(), whole.reading());
    assert_eq!(behind, upto, "how much is behind nothing open depends on the cut");
    assert!(!whole.reading().complete || whole.reading().usage.is_some());
}

/// What a runner prints, TAP first of all, read by every format that is looked for in the output of programs.
pub fn tap(data: &[u8]) {
    format::recognised(data);
    for known in format::FORMATS {
        let cases = (known.parse)(data, data);
        if let Ok(cases) = &cases {
            once(cases);
        }
    }
    // Line ends and colours are no part of a report.
    let cases = (format::TAP.parse)(data, b"");
    let other: Vec<u8> =
        data.iter().flat_map(|byte| if *byte == b'\n' { b"\r\n".to_vec() } else { vec![*byte] }).collect();
    assert_eq!((format::TAP.parse)(&other, b""), cases);
}

/// A report as JUnit XML: each case counts once, and what is said of a failure is said of a case.
pub fn junit(data: &[u8]) {
    let Ok((cases, failures)) = junit_report::read(data) else { return };
    once(&cases);
    for failure in failures {
        let case = cases.iter().find(|case| case.name == failure.test);
        assert!(case.is_some_and(|case| case.status == TestStatus::Failed), "{failure:?} of {case:?}");
    }
}

fn once(cases: &[TestCase]) {
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "a case counts twice: {cases:?}");
}
