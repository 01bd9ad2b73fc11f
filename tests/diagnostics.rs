//! Every code: a document that has it, how it is shown, and its section in the documentation.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::domain::diagnostic::{Code, Diagnostic};
use blueprint::domain::document::{Bindings, Document, fixed};
use blueprint::domain::measurement::MetricName;
use blueprint::domain::quantity::Dimension;
use blueprint::ui::diagnostics::human;

/// A document without any finding.
const VALID: &str = "\
# Cache the listing

**Blueprint ID**: `2026-01-05_cache`
**Status**: pending
**Mode**: competition

## Approach

### Variant A: Index

- an index

### Variant B: View

- a view

## Work Items

### The change

**Files**: src/**
**Diff Contract**: patch

## Evaluation Criteria

**Tests**:
- cargo test

**Metrics**:
- latency_p95: <100ms

## Competition Scoring

### Weights

- Tests: 50%
- Performance: 30% (p95 latency)
- Simplicity: 20%

### Results

| Variant | Tests | Performance | Simplicity | Total | Winner |
|---------|-------|-------------|------------|-------|--------|
| A | 100.0 | 90.0 | 80.0 | 93.0 | ✅ |
| B | 100.0 | 80.0 | 80.0 | 90.0 | |

## Budget

- Max tokens per step: 15000
- Session token cap: 80000
- Time cap: 60 minutes

## Rollback Plan

```bash
git revert HEAD
```
";

const VARIANTS: &str = "### Variant A: Index\n\n- an index\n\n### Variant B: View\n\n- a view\n";
const WEIGHTS: &str = "- Tests: 50%\n- Performance: 30% (p95 latency)\n- Simplicity: 20%\n";
const RESULTS: &str = "### Results

| Variant | Tests | Performance | Simplicity | Total | Winner |
|---------|-------|-------------|------------|-------|--------|
| A | 100.0 | 90.0 | 80.0 | 93.0 | ✅ |
| B | 100.0 | 80.0 | 80.0 | 90.0 | |

";

/// What to replace in the valid document, by what, and the code of the one finding that it makes.
/// An empty text to replace stands for the whole document.
const CASES: &[(&str, &str, Code)] = &[
    ("", "\u{feff} \n", Code::Empty),
    ("# Cache", "#Cache", Code::NoTitle),
    ("# Cache the listing\n", "# \n", Code::NoTitle),
    ("**Blueprint ID**: `2026-01-05_cache`\n", "", Code::NoId),
    ("**Mode**: competition\n", "**Mode**: competition\n**STATUS**: approved\n", Code::FieldTwice),
    ("# Cache", "---\nstatus: approved\n---\n# Cache", Code::FieldsDisagree),
    ("# Cache", "---\nstatus: [pending\n---\n# Cache", Code::FrontMatter),
    ("# Cache", "---\nstatus: >\n  pending\n---\n# Cache", Code::FrontMatter),
    ("# Cache", "---\n- pending\n---\n# Cache", Code::FrontMatter),
    ("pending", "aproved", Code::Status),
    ("**Status**: pending\n", "", Code::Status),
    ("competition\n", "contest\n", Code::Mode),
    (VARIANTS, "", Code::NoVariants),
    ("### Variant B: View", "### Other", Code::VariantCount),
    ("competition\n", "single\n", Code::VariantCount),
    ("Simplicity: 20%", "Simplicity: 10%", Code::WeightSum),
    ("Simplicity: 20%", "Simplicity: 20.5%", Code::WeightSum),
    ("- Simplicity: 20%", "- Simplicity: 0.2", Code::WeightSum),
    (WEIGHTS, "- Tests: 0.5\n- Performance: 0.3 (p95 latency)\n- Simplicity: 0.1\n", Code::WeightSum),
    ("### Variant B: View", "### Variant a: View", Code::VariantTwice),
    (VARIANTS, "### Variant A-1: Index\n\n- an index\n\n### Variant a_1: View\n\n- a view\n", Code::VariantName),
    (RESULTS, "", Code::NoResults),
    ("### Variant B: View", "### Variant the second: View", Code::VariantHeading),
    ("<100ms", "<100 mss", Code::Bound),
    ("<100ms", "100ms", Code::Bound),
    ("<100ms", "<0,5ms", Code::Bound),
    ("<100ms", "<1,500ms", Code::Bound),
    ("<100ms", "<1 000ms", Code::Bound),
    ("<100ms", "<50Mb", Code::Bound),
    ("<100ms", "<5M", Code::Bound),
    ("<100ms", "<=+5ms", Code::Bound),
    ("<100ms", "<-100%", Code::Bound),
    ("- latency_p95: <100ms", "- latency", Code::Bound),
    ("- latency_p95: <100ms", "- the latency: <100ms", Code::MetricNamed),
    ("- latency_p95: <100ms", "- latency_p95: <100ms\n- latency_p95: <1s", Code::MetricTwice),
    ("- Simplicity: 20%", "- Smallness: 20%", Code::Weights),
    ("- Simplicity: 20%", "- Simplicity: a lot", Code::Weights),
    ("- Simplicity: 20%", "- Simplicity: 10%\n- Simplicity: 10%", Code::Weights),
    (WEIGHTS, "", Code::Weights),
    ("- Simplicity: 20%", "- Simplicity: 19,5%", Code::Weights),
    ("src/**", "src/a.rs, ../b.rs", Code::FilePath),
    ("src/**", "`/etc/passwd`", Code::FilePath),
    ("src/**", "src/a.rs, .git/config", Code::FilePath),
    ("patch", "rewrite", Code::Contract),
    ("### The change", "### The change (Variants B & D)", Code::UnknownVariant),
    ("### The change", "### The change (Variants and)", Code::UnknownVariant),
    ("15000", "15k", Code::Budget),
    ("Max tokens per step", "Max token per step", Code::Budget),
    ("60 minutes", "soon", Code::Budget),
    ("60 minutes", "60 bytes", Code::Budget),
    ("- Time cap", "- Max tokens per step: 9\n- Time cap", Code::Budget),
    ("15000", "90,000", Code::CapOrder),
    ("## Rollback Plan", "## BUDGET\n\n## Rollback Plan", Code::SectionTwice),
    ("cargo test", "cargo test && true", Code::Command),
    ("cargo test", "cargo test 'a", Code::Command),
    ("**Mode**", "**Approved**: Jane\n**Mode**", Code::Approval),
    ("| 93.0 |", "| 95.6 |", Code::Total),
    ("an index", "an index – donâ€™t ask", Code::DoubleEncoded),
    ("| 90.0 | |", "| 90.0 | ✅ |", Code::Winners),
    ("**Metrics**:\n- latency_p95: <100ms\n", "", Code::NoMetrics),
    ("(p95 latency)", "(memory)", Code::NoteMatchesNothing),
    ("HEAD\n```\n", "HEAD\n\n## Artifacts\n\n- x\n", Code::OpenFence),
    ("**Files**: src/**\n", "", Code::NoFiles),
    ("## Work Items\n\n### The change\n\n**Files**: src/**\n**Diff Contract**: patch\n", "", Code::NoFiles),
    ("**Tests**:\n- cargo test\n", "", Code::NoTests),
    ("- Tests: 50%", "- Tests: 50% (must pass all performance tests)", Code::IdleGate),
    ("- Simplicity: 20%", "- Simplicity: 20% (few lines)", Code::ProseNote),
    ("- cargo test", "- it feels fast", Code::Unbound),
    ("- cargo test", "- Load test with 1000 concurrent requests", Code::Unbound),
    ("latency_p95: <100ms", "latency_p99: <100ms", Code::NoSource),
    ("<100ms", "<100MB", Code::Dimension),
    ("<100ms", "<=1%", Code::Dimension),
];

fn damaged(from: &str, to: &str) -> String {
    if from.is_empty() {
        return to.to_owned();
    }
    assert!(VALID.contains(from), "`{from}` is not in the valid document");
    VALID.replacen(from, to, 1)
}

fn findings(source: &[u8]) -> Vec<Diagnostic> {
    let bindings = Bindings {
        suites: BTreeSet::new(),
        load_bound: false,
        metrics: BTreeMap::from([(MetricName::new("latency_p95").expect("a name"), Some(Dimension::Time))]),
    };
    match Document::parse(source) {
        Ok(document) => document.warnings().iter().cloned().chain(document.bind(&bindings)).collect(),
        Err(found) => {
            assert!(found.iter().any(Diagnostic::is_error), "refused without an error");
            found
        }
    }
}

#[test]
fn a_valid_document_has_no_findings() {
    assert_eq!(findings(VALID.as_bytes()), []);
}

#[test]
fn each_fault_is_found_as_itself_and_shown_with_what_to_do() {
    let mut shown = String::new();
    let mut seen = BTreeSet::from([Code::NotUtf8]);
    for (from, to, code) in CASES {
        let source = damaged(from, to);
        let found = findings(source.as_bytes());
        let codes: Vec<_> = found.iter().map(|f| f.code).collect();
        assert_eq!(codes, [*code], "{from:?} -> {to:?}\n{}", human(&found, "x.md", source.as_bytes(), false));
        assert!(!found[0].help.is_empty(), "{code} does not say what to do");
        shown.push_str(&human(&found, "x.md", source.as_bytes(), false));
        seen.insert(*code);
    }
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    insta::assert_snapshot!(shown);
}

#[test]
fn invalid_bytes_are_named_with_their_offset_and_line() {
    let mut source = VALID.as_bytes().to_vec();
    source.splice(25..25, [0xc3, 0x28]);
    let found = findings(&source);
    assert_eq!(found[0].code, Code::NotUtf8);
    assert_eq!(found[0].message, "the document is not UTF-8: invalid byte 0xc3 at offset 25, line 3");
    assert_eq!(found[0].span, 25..26);
    assert!(human(&found, "x.md", &source, false).contains("--> x.md:3:"));
}

#[test]
fn several_faults_come_in_the_order_of_the_source_with_warnings_among_them() {
    let source = damaged("pending", "aproved").replace("<100ms", "fast").replace("| 93.0 |", "| 1.0 |");
    let codes: Vec<_> = findings(source.as_bytes()).iter().map(|f| f.code).collect();
    assert_eq!(codes, [Code::Status, Code::Bound, Code::Total]);
}

#[test]
fn fixing_repairs_text_and_totals_and_nothing_else() {
    let source = damaged("| 93.0 | ✅ |", "| 95.6 | âœ… |");
    let document = Document::parse(source.as_bytes()).unwrap();
    let repaired = fixed(document.source(), document.warnings());
    assert_eq!(String::from_utf8(repaired.bytes).unwrap(), VALID);
    let broken = source.replace("Simplicity: 20%", "Simplicity: 10%");
    let found = Document::parse(broken.as_bytes()).unwrap_err();
    let repaired = fixed(broken.as_bytes(), &found);
    assert_eq!(
        repaired.descriptions,
        ["repair double-encoded text"],
        "totals are nobody's while the weights are wrong"
    );
}

#[test]
fn fixing_gives_a_document_a_place_for_its_results() {
    let source = damaged(RESULTS, "");
    let found = Document::parse(source.as_bytes()).unwrap_err();
    let repaired = fixed(source.as_bytes(), &found);
    assert_eq!(repaired.descriptions, ["add `### Results` with an empty table"]);
    assert_eq!(findings(&repaired.bytes), []);
    let text = String::from_utf8(repaired.bytes).unwrap();
    assert!(text.contains("- Simplicity: 20%\n\n### Results\n\n| Variant | Tests |"), "{text}");
    assert!(text.contains("| A       | –"), "{text}");
    assert!(text.contains("\n\n## Budget"), "{text}");
}

#[test]
fn every_code_has_its_section_in_the_documentation_and_every_section_its_code() {
    let text = include_str!("../docs/diagnostics.md");
    let sections: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    let codes: Vec<_> = Code::ALL.iter().map(|code| format!("{code}: {}", code.title())).collect();
    assert_eq!(sections, codes);
}

#[test]
fn a_megabyte_where_a_word_belongs_is_refused_quickly_and_briefly() {
    let started = std::time::Instant::now();
    for word in [
        "pending",
        "competition\n",
        "Variant B",
        "patch",
        "src/**",
        "<100ms",
        "latency_p95:",
        "50%",
        "93.0",
        "60 minutes",
        "Max tokens per step",
        "15000",
    ] {
        for filler in ["x", "9", "1.5 é"] {
            let source = VALID.replacen(word, &format!("{}\n", filler.repeat(1_000_000 / filler.len())), 1);
            let text = human(&findings(source.as_bytes()), "x.md", source.as_bytes(), false);
            assert!(text.len() < 8_000, "{word}: {} bytes", text.len());
        }
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
