//! Documents as people write them: the seed, its variations, and everything that can be wrong.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::domain::diagnostic::{Code, Diagnostic};
use blueprint::domain::document::{Bindings, Document};

const SEED: &str = include_str!("fixtures/documents/seed.md");

/// Codes with the text that they are about.
fn about<'a>(source: &'a str, found: &[Diagnostic]) -> Vec<(Code, &'a str)> {
    found.iter().map(|f| (f.code, &source[f.span.clone()])).collect()
}

#[test]
fn the_seed_has_exactly_its_own_faults() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let expected = [(Code::Total, "95.6"), (Code::DoubleEncoded, "âœ…"), (Code::Total, "92.2"), (Code::Total, "92.6")];
    assert_eq!(about(SEED, seed.warnings()), expected);
    assert_eq!(seed.warnings()[0].message, "the Total of A is 95.6, and the weighted sum is 96.96");
    let metrics: BTreeMap<_, _> = seed.plan().metrics.iter().map(|m| (m.name.clone(), None)).collect();
    let open = Bindings { suites: BTreeSet::new(), load_bound: false, metrics };
    assert_eq!(about(SEED, &seed.bind(&open)), [(Code::Unbound, "Load test with 1000 concurrent requests")]);
    assert_eq!(seed.bind(&Bindings { load_bound: true, ..open }), []);
}

#[test]
fn the_seed_reads_as_it_is_meant() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    insta::assert_json_snapshot!(seed.plan());
}
